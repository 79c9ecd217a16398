//! Tests of a whole data directory.

mod conformance;
mod crash;
mod damage;
mod faults;
mod formats;
mod harness;
mod hostile;
mod promises;
mod quarantine;
