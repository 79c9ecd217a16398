//! The process: one port, its protocols, the threads behind it, and the order in which everything
//! starts and stops. The only crate that names a concrete store.
//!
//! Start: bind, lock and recover the data directory, open the broker, start the shards, accept.
//! Stop: accept nothing more, let requests in flight end, end the shards, then the control worker,
//! and write the clean mark last, after everything was synced.

#![forbid(unsafe_code)]

mod control;
mod detect;
mod door;
mod listener;
mod port_owner;
mod rewind;
mod running;
mod shards;
mod tasks;

pub use kafka_api::Advertise;
pub use listener::BindError;
pub use port_owner::port_owner;
pub use running::{Running, ServerOptions, StartError, start};
pub use storage_disk::{CompactionOptions, DiskOptions, Durability, OpenDiskError};
