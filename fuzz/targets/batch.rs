//! A batch whose header is fuzzed, and rows of batches.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::batches::any(data));
