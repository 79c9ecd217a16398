//! A batch whose records are snappy.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::batches::snappy(data));
