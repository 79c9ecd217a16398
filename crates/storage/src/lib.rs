//! The seam between the broker and whatever keeps its state.
//!
//! Three small traits: [`Log`] holds the records of one partition, [`LogStore`] makes and removes
//! logs, [`Metadata`] is a small key-value table with compare-and-set. The broker knows no other
//! door; a store knows nothing of Kafka, gRPC, topics' meaning or groups.
//!
//! Rules that live here because every store must obey the same ones: the sequence and epoch checks
//! of idempotent producers ([`producer_state`]), durable-before-visible ([`Progress`]), and the
//! waking of readers ([`WaitList`]). [`memory`] is a real store under the same suite as the others;
//! with the feature `conformance`, the module of that name is the suite.

#![forbid(unsafe_code)]

pub mod budget;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod epochs;
pub mod log;
pub mod memory;
pub mod metadata;
pub mod producer_state;
pub mod progress;
pub mod store;
pub mod time_lookup;
pub mod topic;
pub mod wait;

pub use budget::{BytesBudget, BytesPermit};
pub use epochs::{EpochStart, EpochTextError, LeaderEpochs};
pub use log::{
    AppendError, AppendTicket, Chunk, Ends, EpochEnd, Fence, Footprint, Isolation, Log, OffsetAt,
    ReadError, ReadLimit, ReadSlice, StorageFailure, TimeQuery, TrimError,
};
pub use metadata::{
    CommitError, Entry, Key, MetaError, Metadata, Space, Version, Versioned, Write,
};
pub use producer_state::{ProducedBatch, ProducerEntry, ProducerTable, Verdict};
pub use progress::Progress;
pub use store::{Compaction, Deleted, Findings, LogStore, OpenError, StoreError, Volume};
pub use topic::{
    CompactionConfig, InvalidTopicName, LogConfig, PartitionId, TopicId, TopicMeta, TopicName,
};
pub use wait::{WaitList, Waiter};

/// A boxed future, as the traits return them: one allocation for each call that may wait.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
