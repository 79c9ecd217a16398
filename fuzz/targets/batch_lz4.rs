//! A batch whose records are lz4.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::batches::lz4(data));
