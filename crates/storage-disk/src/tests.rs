//! Tests of a whole data directory.

mod conformance;
mod damage;
mod fault_sites;
mod faults;
mod findings;
mod flips;
mod formats;
mod harness;
mod hostile;
mod oracle;
mod power_cuts;
mod promises;
mod quarantine;
mod scenarios;
mod script;
mod scrub;
mod spans;
mod states;
mod trims;
