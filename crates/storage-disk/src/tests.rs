//! Tests of a whole data directory.

mod conformance;
