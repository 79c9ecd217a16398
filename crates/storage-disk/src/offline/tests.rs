//! Tests of inspect and verify.
