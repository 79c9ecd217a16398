//! The records and the metadata of one node, on its local disk.
//!
//! Everything below the data directory is written here and nowhere else: docs/formats.md draws the
//! bytes. What is acknowledged was synced before; what a crash leaves is recovered without losing
//! any of it. Knows nothing of Kafka requests, gRPC, or what a metadata key means.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::sync::Arc;

use storage::StorageFailure;

mod commit_file;
mod compact;
mod context;
pub mod directory;
mod epoch_file;
mod error;
mod files;
mod flush;
pub mod frames;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(test)]
mod golden;
mod health;
mod index;
mod index_cache;
mod listing;
mod log;
mod maintenance;
mod mend;
pub mod metadata;
mod names;
pub mod offline;
mod open;
mod options;
mod paths;
mod pool;
mod position;
mod producer_snapshot;
mod quarantine;
mod recovery;
mod retention;
mod rewrite;
mod scrub;
mod segment;
mod segment_index;
mod space;
mod spans;
mod store;
mod tally;
#[cfg(test)]
mod tests;
mod time_index;
pub mod topic_meta;
mod trusted_time;
mod walk;
pub mod watermarks;
mod window;

pub use directory::{DataDirectory, OpenDiskError};
pub use error::WriteError;
pub use metadata::DiskMetadata;
pub use open::{Disk, open};
pub use options::{CompactionOptions, DiskOptions, Durability, UnknownDurability};
pub use recovery::{Label, RecoveryReport};
pub use store::DiskStore;

/// Called when durability is lost for good: the process must end, with this as the reason.
pub type Fatal = Arc<dyn Fn(&StorageFailure) + Send + Sync>;
