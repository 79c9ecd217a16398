//! The length of a frame and the header of a request.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::wire::frame(data));
