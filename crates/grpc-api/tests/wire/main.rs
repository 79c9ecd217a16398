//! The service over a real connection, with a client generated from the same proto file.

#![allow(clippy::disallowed_methods, reason = "tests")]

mod consume;
mod harness;
mod limits;
mod positions;
mod produce;
mod server;
mod services;
mod topics;
