//! What can go wrong, one enum for each operation, one variant for each fact, with the numbers.
//!
//! Guarantee: the text of every error can be shown to a user as it stands. It names topic,
//! partition and the allowed range. Must not know: error codes of any protocol; each front door
//! has one exhaustive match.

use records::{BatchError, Codec, Offset};
use storage::{
    CommitError, Ends, InvalidTopicName, MetaError, OpenError, StorageFailure, StoreError,
    TopicName,
};

use crate::config_keys::InvalidConfig;

/// Why a partition cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// The topic has no partition of that number.
    #[error("topic {topic} has no partition {partition}; it has {count}, counted from 0")]
    Unknown {
        /// The topic.
        topic: TopicName,
        /// The number asked for.
        partition: i32,
        /// How many partitions the topic has.
        count: u32,
    },
    /// The topic was deleted while the caller held it.
    #[error("topic {topic} was deleted")]
    Deleted {
        /// The topic.
        topic: TopicName,
    },
    /// The partition exists and its storage cannot be used now.
    #[error("offline: {0}")]
    Offline(StorageFailure),
}

impl PartitionError {
    pub(crate) fn from_open(error: OpenError) -> Self {
        match error {
            OpenError::Missing { .. } => Self::Offline(StorageFailure::new(error.to_string())),
            OpenError::Storage(failure) => Self::Offline(failure),
        }
    }
}

/// Why the leader epoch that a client names does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaderEpochError {
    /// The client's metadata is older than the broker's.
    #[error("{topic}-{partition} has leader epoch {current}, the request names the older {asked}")]
    Fenced {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// The epoch of the partition.
        current: i32,
        /// The epoch that the client named.
        asked: i32,
    },
    /// The client names an epoch that does not exist yet.
    #[error(
        "{topic}-{partition} has leader epoch {current}, the request names {asked}, unknown here"
    )]
    Unknown {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// The epoch of the partition.
        current: i32,
        /// The epoch that the client named.
        asked: i32,
    },
}

/// Why the broker did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenBrokerError {
    /// A value of the metadata cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableValue),
    /// A broker setting makes no sense.
    #[error("{key}: {reason}")]
    InvalidConfig {
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk is full.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// The store failed.
    #[error("{0}")]
    Storage(#[from] StorageFailure),
}

/// A value of the metadata that this build cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableValue {
    /// Written by a newer build.
    #[error("{what} has format version {version}; this build reads up to {newest}")]
    Newer {
        /// Which value.
        what: &'static str,
        /// The version found.
        version: u16,
        /// The newest version that this build reads.
        newest: u16,
    },
    /// Not what any build writes.
    #[error("{what} cannot be read: {reason}")]
    Damaged {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a topic was not created. Nothing of it is left behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateTopicError {
    /// The name breaks the rule for names.
    #[error("topic name {name:?} is not valid: {source}")]
    InvalidName {
        /// The name asked for.
        name: String,
        /// The rule that it breaks.
        source: InvalidTopicName,
    },
    /// There is a topic of that name.
    #[error("topic {topic} exists already")]
    Exists {
        /// The topic.
        topic: TopicName,
    },
    /// There is a topic whose name differs only in `.` and `_`.
    #[error("topic {topic} collides with topic {with}: '.' and '_' are the same in metric names")]
    Collides {
        /// The name asked for.
        topic: TopicName,
        /// The topic that exists.
        with: TopicName,
    },
    /// A topic of that name was deleted and its storage could not be moved away yet.
    #[error("the deleted topic {topic} still holds its storage: {reason}")]
    NameNotFree {
        /// The topic.
        topic: TopicName,
        /// What keeps it.
        reason: StorageFailure,
    },
    /// Zero or fewer partitions.
    #[error("a topic has at least 1 partition, not {asked}")]
    InvalidPartitions {
        /// The number asked for.
        asked: i32,
    },
    /// More partitions than one topic may have.
    #[error("a topic has at most {limit} partitions, not {asked}")]
    TooManyPartitions {
        /// The number asked for.
        asked: i32,
        /// The most that a topic may have.
        limit: u32,
    },
    /// More partitions than all topics together may have.
    #[error(
        "all topics have {held} partitions; with {asked} more they exceed the limit of {limit}"
    )]
    LimitReached {
        /// How many partitions exist.
        held: u64,
        /// How many were asked for.
        asked: u32,
        /// The most that may exist.
        limit: u32,
    },
    /// More copies than there are nodes, or fewer than one.
    #[error("replication factor {asked} is not possible: there are {nodes} nodes")]
    InvalidReplicationFactor {
        /// The factor asked for.
        asked: i16,
        /// How many nodes there are.
        nodes: usize,
    },
    /// Assignments and counts were both given; one decides the other.
    #[error("with explicit assignments, partitions and replication factor must be left out")]
    AssignmentsAndCounts,
    /// The assignments are not possible here.
    #[error("invalid assignment: {reason}")]
    InvalidAssignment {
        /// What is wrong.
        reason: String,
    },
    /// A config is unknown, out of range, or not built yet.
    #[error("{reason}")]
    InvalidConfig {
        /// The config.
        key: String,
        /// What is wrong with it, in a whole sentence.
        reason: String,
    },
    /// The disk is full.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// The store failed.
    #[error("{0}")]
    Storage(StorageFailure),
}

/// Why a topic was not deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeleteTopicError {
    /// There is no such topic (any more).
    #[error("topic {topic} does not exist")]
    Unknown {
        /// The topic.
        topic: TopicName,
    },
    /// The disk is full.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// The store failed.
    #[error("{0}")]
    Storage(StorageFailure),
}

/// Why records were not deleted. All are as they were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeleteRecordsError {
    /// The partition cannot be used.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The topic is compacted and nothing else: its records go by their keys.
    #[error(
        "Records of partition {topic}-{partition} can not be deleted due to the configured policy \
         (cleanup.policy=compact)"
    )]
    NotByPolicy {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
    },
    /// The offset is below 0 or above what is visible.
    #[error(
        "{topic}-{partition} cannot start at {asked}: it has {} to {}",
        ends.log_start, ends.high_watermark
    )]
    OutOfRange {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// The offset asked for.
        asked: Offset,
        /// The ends at that time.
        ends: Ends,
    },
    /// The disk is full.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
}

/// Why configs were not altered. All are as they were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlterConfigsError {
    /// There is no such topic.
    #[error("The topic '{topic}' does not exist.")]
    UnknownTopic {
        /// The name asked for.
        topic: String,
    },
    /// A name or a value that is not allowed, or not built yet.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
    /// Only lists can be appended to and subtracted from.
    #[error("Can't {operation} to key {key} because its type is not LIST.")]
    NotAList {
        /// APPEND or SUBTRACT.
        operation: &'static str,
        /// The name given.
        key: String,
    },
    /// The name of the group cannot be one.
    #[error("a group has a name of 1 to {limit_bytes} bytes, not of {size_bytes}")]
    InvalidGroup {
        /// Bytes of the name.
        size_bytes: usize,
        /// The most.
        limit_bytes: usize,
    },
    /// The configs of all groups together may not be larger.
    #[error("the configs of all groups may take {limit_bytes} bytes, which this would exceed")]
    TooLarge {
        /// The most.
        limit_bytes: usize,
    },
    /// The disk is full.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// The store failed.
    #[error("{0}")]
    Storage(StorageFailure),
}

/// Why partitions were not added. The topic is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddPartitionsError {
    /// There is no such topic.
    #[error("topic {topic:?} does not exist")]
    Unknown {
        /// The name asked for.
        topic: String,
    },
    /// A topic never has fewer partitions than before.
    #[error("topic {topic} has {current} partitions; the new total must be larger, not {asked}")]
    TotalNotLarger {
        /// The topic.
        topic: TopicName,
        /// How many it has.
        current: u32,
        /// The total asked for.
        asked: i32,
    },
    /// More partitions than one topic may have.
    #[error("a topic has at most {limit} partitions, not {asked}")]
    TooManyPartitions {
        /// The total asked for.
        asked: i32,
        /// The most that a topic may have.
        limit: u32,
    },
    /// More partitions than all topics together may have.
    #[error(
        "all topics have {held} partitions; with {asked} more they exceed the limit of {limit}"
    )]
    LimitReached {
        /// How many partitions exist.
        held: u64,
        /// How many were asked for.
        asked: u32,
        /// The most that may exist.
        limit: u32,
    },
    /// The assignments are not possible here.
    #[error("invalid assignment: {reason}")]
    InvalidAssignment {
        /// What is wrong.
        reason: String,
    },
    /// The disk is full.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// The store failed.
    #[error("{0}")]
    Storage(StorageFailure),
}

/// Why a batch was refused before it got a place. The log is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    /// The partition cannot be used.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The bytes are not one good batch, or too many.
    #[error("{topic}-{partition}: {source}")]
    Batch {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// What is wrong with the bytes.
        source: BatchError,
    },
    /// The version of the request does not allow this codec.
    #[error("{topic}-{partition}: this version of the request does not allow {codec}")]
    UnsupportedCodec {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// The codec of the batch.
        codec: Codec,
    },
    /// A timestamp is too far from the broker's clock.
    #[error(
        "{topic}-{partition}: timestamp {timestamp_ms} is outside {earliest_ms} to {latest_ms} \
         (message.timestamp.before.max.ms and message.timestamp.after.max.ms around the broker's \
         clock)"
    )]
    InvalidTimestamp {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// The timestamp of the batch, in ms since the epoch.
        timestamp_ms: i64,
        /// The earliest that is allowed now.
        earliest_ms: i64,
        /// The latest that is allowed now.
        latest_ms: i64,
        /// Which records of the batch are outside, counted from 0; none where the records cannot
        /// be opened.
        records: Vec<i32>,
    },
    /// The batch says that a broker stamped it.
    #[error("{topic}-{partition}: only a broker may mark a batch as LogAppendTime")]
    InvalidTimestampType {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
    },
    /// The topic is compacted, and records of the batch have no key.
    #[error("{}", rejected(records, &without_key(topic, *partition)))]
    WithoutKey {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// Which records of the batch, counted from 0.
        records: Vec<i32>,
    },
    /// The batch is part of a transaction.
    #[error(
        "{topic}-{partition}: transactions are not built yet; write without a transactional id"
    )]
    TransactionsNotSupported {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
    },
}

/// What is wrong with a record without key, in Kafka's words (`LogValidator.validateKey`).
pub fn without_key(topic: &TopicName, partition: i32) -> String {
    format!(
        "Compacted topic cannot accept message without key in topic partition {topic}-{partition}"
    )
}

/// What is wrong with records of a batch, in Kafka's words (`LogValidator.processRecordErrors`).
fn rejected(records: &[i32], each: &str) -> String {
    let count = records.len();
    let shown = records.iter().take(3);
    let shown = shown.map(|index| format!("RecordError(batchIndex={index}, message='{each}')"));
    let shown: Vec<String> = shown.collect();
    format!(
        "One or more records have been rejected due to {count} record errors in total, and only \
         showing the first three errors at most: [{}]",
        shown.join(", ")
    )
}

/// Why a partition of a fetch has no records to give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The partition cannot be used.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The leader epoch that the client names does not fit.
    #[error(transparent)]
    LeaderEpoch(#[from] LeaderEpochError),
    /// The offset is outside the log.
    #[error(
        "{topic}-{partition}: offset {asked} is outside the log, which has {} to {}",
        ends.log_start,
        ends.high_watermark
    )]
    OutOfRange {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// The offset asked for.
        asked: Offset,
        /// The ends at that time.
        ends: Ends,
    },
    /// The bytes on the store are not what was written.
    #[error("{topic}-{partition}: damaged records: {reason}")]
    Corrupt {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// What was found.
        reason: StorageFailure,
    },
}

/// Why an offset was not found, other than that no record fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindOffsetError {
    /// The partition cannot be used.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The leader epoch that the client names does not fit.
    #[error(transparent)]
    LeaderEpoch(#[from] LeaderEpochError),
    /// The bytes on the store are not what was written.
    #[error("{topic}-{partition}: damaged records: {reason}")]
    Corrupt {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// What was found.
        reason: StorageFailure,
    },
}

/// Why the end of an epoch was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EpochEndError {
    /// The partition cannot be used.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The leader epoch that the client names does not fit.
    #[error(transparent)]
    LeaderEpoch(#[from] LeaderEpochError),
}

/// Why there is no new producer id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InitProducerIdError {
    /// The stored block cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableValue),
    /// All ids of the 63 bits are given out.
    #[error("all producer ids are used up")]
    Exhausted,
    /// The disk is full.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// The store failed.
    #[error("{0}")]
    Storage(StorageFailure),
}

/// Why a position was not read or stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// The name of the consumer is empty or too long.
    #[error("a consumer's name has 1 to {limit_bytes} bytes, this one has {size_bytes}")]
    InvalidConsumer {
        /// Length of the name.
        size_bytes: usize,
        /// The longest allowed.
        limit_bytes: usize,
    },
    /// The partition cannot be used.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// Members of a Kafka group of the name decide about its positions.
    #[error("{consumer:?} is a consumer group with members; their positions are theirs")]
    HasMembers {
        /// The consumer.
        consumer: String,
    },
    /// Offsets count from 0.
    #[error("offset {offset} is negative")]
    NegativeOffset {
        /// The offset asked for.
        offset: Offset,
    },
    /// One commit holds no more.
    #[error(
        "the offsets of one commit have at most {limit_bytes} bytes, each with its group's name"
    )]
    CommitTooLarge {
        /// The most that is taken.
        limit_bytes: usize,
    },
    /// The text kept beside the position is too long.
    #[error("the metadata of a position has at most {limit_bytes} bytes, this has {size_bytes}")]
    MetadataTooLarge {
        /// Length of the text.
        size_bytes: usize,
        /// The longest allowed (`offset.metadata.max.bytes`).
        limit_bytes: usize,
    },
    /// The stored value cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableValue),
    /// The disk is full.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// The store failed.
    #[error("{0}")]
    Storage(StorageFailure),
}

/// What a commit or a store call comes to where nobody can do anything but wait or repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    NoSpace(StorageFailure),
    Storage(StorageFailure),
}

impl From<StorageFailure> for Trouble {
    fn from(failure: StorageFailure) -> Self {
        Self::Storage(failure)
    }
}

impl From<MetaError> for Trouble {
    fn from(MetaError::Storage(failure): MetaError) -> Self {
        Self::Storage(failure)
    }
}

impl From<UnreadableValue> for Trouble {
    fn from(value: UnreadableValue) -> Self {
        Self::Storage(StorageFailure::new(value.to_string()))
    }
}

impl From<CommitError> for Trouble {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NoSpace(failure) => Self::NoSpace(failure),
            CommitError::Storage(failure) => Self::Storage(failure),
            CommitError::Conflict { .. } | CommitError::Unknown(_) => {
                Self::Storage(StorageFailure::new(error.to_string()))
            }
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSpace(failure) => Self::NoSpace(failure),
            StoreError::Storage(failure) => Self::Storage(failure),
            StoreError::Occupied { .. } => Self::Storage(StorageFailure::new(error.to_string())),
        }
    }
}

impl Trouble {
    /// The failure, where the difference does not matter.
    pub(crate) fn into_failure(self) -> StorageFailure {
        match self {
            Self::NoSpace(failure) | Self::Storage(failure) => failure,
        }
    }
}

/// Every operation that writes can meet both.
macro_rules! from_trouble {
    ($($error:ident),+) => {$(
        impl From<Trouble> for $error {
            fn from(trouble: Trouble) -> Self {
                match trouble {
                    Trouble::NoSpace(failure) => Self::NoSpace(failure),
                    Trouble::Storage(failure) => Self::Storage(failure),
                }
            }
        }
    )+};
}

from_trouble!(
    OpenBrokerError,
    CreateTopicError,
    DeleteTopicError,
    AddPartitionsError,
    AlterConfigsError,
    InitProducerIdError,
    PositionError
);
