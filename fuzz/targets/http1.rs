//! Connections to the HTTP pages.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::fronts::http1(data));
