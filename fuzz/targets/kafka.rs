//! Whole requests through the Kafka front door.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::fronts::kafka(data));
