//! [`LogStore`]: makes, opens and removes the logs of topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::log::{Log, StorageFailure};
use crate::topic::TopicMeta;
use crate::{BoxFuture, TopicName};

/// Where the logs of all partitions are.
///
/// Which topics exist is decided by [`crate::Metadata`]; a store only says what it found, so that
/// the broker can adopt or finish what a crash left behind.
pub trait LogStore: Send + Sync + std::fmt::Debug {
    /// The topics that have storage here, from what stands beside the logs, sorted by name.
    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicMeta>, StoreError>>;

    /// Makes the logs of `partitions`, durably. Those that exist for the same topic id are kept;
    /// called again after a crash it finishes the work.
    fn create(
        &self,
        topic: &TopicMeta,
        partitions: std::ops::Range<u32>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The log of one partition; the same object each time.
    fn open(&self, topic: &TopicMeta, partition: u32) -> Result<Arc<dyn Log>, OpenError>;

    /// Takes the topic's logs out of the way, durably, so that its name can be used again; the
    /// space comes back later. A topic that is not there, or is there under another id, is left
    /// alone without error. Open logs answer with an error from here on.
    fn remove(&self, topic: &TopicMeta) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Where the logs are, and the room there. May wait for the disk.
    fn volume(&self) -> Volume;

    /// What was found wrong since the store was opened. Waits for nothing.
    fn findings(&self) -> Findings;
}

/// What a store found wrong with what it keeps, what it did about it, and what it deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Ranges of offsets that cannot be read and that nobody accepted, of the logs that were
    /// recovered or used.
    pub quarantined_ranges: u64,
    /// Offsets in them.
    pub quarantined_records: u64,
    /// Heads of batches that were damaged and that a read repaired.
    pub repaired_heads: u64,
    /// Bytes of records that the scrub read.
    pub scrubbed_bytes: u64,
    /// Ranges that cannot be read and that the scrub was the first to find.
    pub scrub_found_ranges: u64,
    /// When the scrub last came to the end of all logs, by the wall clock; `None`: not yet.
    pub scrub_passed_at_ms: Option<i64>,
    /// Bytes of records that recoveries read.
    pub scanned_bytes: u64,
    /// Bytes that recoveries cut.
    pub cut_bytes: u64,
    /// How often recoveries met each case, by its label: all labels that the store knows.
    pub recovered: BTreeMap<char, u64>,
    /// What lies before the start of its log since the store was opened, by the reason: all reasons
    /// that the store knows.
    pub deleted: BTreeMap<&'static str, Deleted>,
    /// What compaction did.
    pub compaction: Compaction,
    /// The wall clock jumped: until it is believed again, nothing is deleted by its age.
    pub clock_jumped: bool,
}

/// What compaction did since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compaction {
    /// How often a log was compacted.
    pub passes: u64,
    /// Bytes of records that were read for it.
    pub read_bytes: u64,
    /// Bytes of records that were written anew.
    pub written_bytes: u64,
    /// Records that went: another of their key is newer, or they were old tombstones.
    pub removed_records: u64,
    /// How often something could not be written anew and was left as it is.
    pub failures: u64,
}

/// What was deleted for one reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Files of records.
    pub segments: u64,
    /// Bytes of records.
    pub size_bytes: u64,
}

/// Where a store keeps its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The directory, or what stands for it.
    pub directory: String,
    /// Bytes of the file system; `None`: not known.
    pub total_bytes: Option<u64>,
    /// Bytes that can still be written there; `None`: not known.
    pub free_bytes: Option<u64>,
}

/// Why a store could not create or remove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room; nothing is half-made.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// Something that is not this topic's stands where it would go; it was not touched.
    #[error("{path} exists and is not topic {topic}'s: {reason}")]
    Occupied {
        /// The topic.
        topic: TopicName,
        /// What stands there.
        path: String,
        /// How it differs.
        reason: String,
    },
    /// The store failed.
    #[error("{0}")]
    Storage(#[from] StorageFailure),
}

/// Why a log could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The partition has no storage here though it should: offline, never silently empty.
    #[error("{topic}-{partition} has no storage: {reason}")]
    Missing {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
        /// What was looked for and not found.
        reason: String,
    },
    /// The store failed.
    #[error("{0}")]
    Storage(#[from] StorageFailure),
}
