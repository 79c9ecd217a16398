//! Tests of a whole data directory.

mod compaction;
mod conformance;
mod damage;
mod epochs;
mod fault_sites;
mod faults;
mod findings;
mod flips;
mod formats;
pub(crate) mod harness;
mod hostile;
mod leftovers;
mod oracle;
mod power_cuts;
mod promises;
mod quarantine;
mod retention;
mod scenarios;
mod script;
mod scrub;
mod spans;
mod states;
mod trims;
