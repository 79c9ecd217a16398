//! The bodies of the fuzz targets: bytes in, an assertion that fails or nothing.
//!
//! One function for each file in `targets/`, which only hands the bytes over. No body keeps
//! anything from one input to the next, so that an input is all that is needed to repeat a failure.
//! What a failure found here becomes is a test in the crate that it is about.

pub mod batches;
pub mod fronts;
mod input;
pub mod memory;
pub mod own_files;
pub mod partition;
pub mod texts;
pub mod wire;
