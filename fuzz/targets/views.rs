//! The borrowed views of Produce and Fetch, beside the generated decoders.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::wire::views(data));
