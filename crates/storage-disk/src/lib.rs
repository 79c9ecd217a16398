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

pub mod directory;
mod error;
pub mod frames;
#[cfg(test)]
mod golden;
pub mod metadata;
pub mod topic_meta;
pub mod watermarks;

pub use directory::{DataDirectory, OpenDiskError};
pub use error::WriteError;
pub use metadata::DiskMetadata;

/// Called when durability is lost for good: the process must end, with this as the reason.
pub type Fatal = Arc<dyn Fn(&StorageFailure) + Send + Sync>;
