//! A batch whose records are gzip.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::batches::gzip(data));
