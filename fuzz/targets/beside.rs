//! What stands beside segments: topic.meta, producer snapshots, the history of epochs.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::own_files::beside(data));
