//! What a person writes on the command line, and what the first bytes of a connection say.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::texts::texts(data));
