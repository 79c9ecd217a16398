//! Tests of the wire format through its public interface.
//!
//! Messages are built straight from the schema facts by an encoder that shares no code with the
//! crate, for every API and version. Seeds are printed when a check fails.

#![allow(
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod allocator;
mod codecs;
mod fetch_response;
mod golden;
mod hostile;
mod messages;
mod oracle;
mod primitives;
mod schema;
mod views;

#[path = "../../../../xtask/src/codegen/facts.rs"]
#[expect(
    dead_code,
    reason = "the generator also prints facts; tests only read them"
)]
mod facts;
