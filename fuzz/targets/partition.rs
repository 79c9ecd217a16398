//! A data directory whose files were changed by anybody.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::partition::partition(data));
