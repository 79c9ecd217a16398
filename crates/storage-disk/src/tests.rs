//! Tests of a whole data directory.

mod conformance;
mod crash;
mod harness;
