//! One exhaustive match for each error of the broker: a new variant does not compile before it is
//! decided here what a client is told.

#![deny(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants
)]

use broker::{
    AddPartitionsError, CreateTopicError, DeleteRecordsError, DeleteTopicError, FetchError,
    FindOffsetError, GroupError, LeaderEpochError, PartitionError, PositionError, ProduceError,
    Topic,
};
use records::BatchError;
use storage::{AppendError, StorageFailure, TopicName};
use tonic::{Code, Status};

use super::{Hint, Refusal};
use crate::lookup::Range;

/// Why a partition cannot be used.
pub(crate) fn partition(error: &PartitionError, topic: &Topic, partition: i32) -> Status {
    of_partition(error, topic, partition).into()
}

fn of_partition(error: &PartitionError, topic: &Topic, partition: i32) -> Refusal {
    let name = topic.name().as_str();
    let refusal = match error {
        PartitionError::Unknown { count, .. } => {
            Refusal::new(Code::NotFound, "UNKNOWN_PARTITION", error.to_string())
                .fact("partitions", count)
                .hint(Hint::Resource("partition", format!("{name}-{partition}")))
        }
        PartitionError::Deleted { .. } => deleted(name),
        PartitionError::Offline(failure) => Refusal::unavailable(
            "PARTITION_OFFLINE",
            format!("{name}-{partition} is offline: {failure}"),
        ),
    };
    refusal.at(name, partition)
}

fn deleted(topic: &str) -> Refusal {
    let message = format!("topic {topic:?} was deleted");
    Refusal::new(Code::NotFound, "UNKNOWN_TOPIC", message)
        .hint(Hint::Resource("topic", topic.to_owned()))
}

/// The store failed, or the topic was deleted meanwhile.
pub(crate) fn storage(failure: &StorageFailure, topic: &Topic, partition: i32) -> Status {
    of_storage(failure, topic, partition).into()
}

fn of_storage(failure: &StorageFailure, topic: &Topic, partition: i32) -> Refusal {
    let name = topic.name().as_str();
    let refusal = if topic.is_deleted() {
        deleted(name)
    } else {
        storage_failure(&format!("{name}-{partition}"), failure)
    };
    refusal.at(name, partition)
}

fn storage_failure(what: &str, failure: &StorageFailure) -> Refusal {
    Refusal::unavailable(
        "STORAGE_FAILURE",
        format!("storage failed for {what}: {failure}"),
    )
}

fn no_space(what: &str, failure: &StorageFailure) -> Refusal {
    Refusal::unavailable(
        "DISK_FULL",
        format!("there is no space for {what}: {failure}"),
    )
}

/// What this front door never asks for.
fn impossible(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(Code::Internal, "INTERNAL", error.to_string())
}

pub(crate) fn create_topic(error: &CreateTopicError, name: &str) -> Status {
    let invalid = |field, reason| Refusal::invalid(field, reason, error.to_string());
    let refusal = match error {
        CreateTopicError::InvalidName { name, source } => {
            return super::invalid_topic_name(name, source);
        }
        CreateTopicError::Exists { .. } => Refusal::new(
            Code::AlreadyExists,
            "TOPIC_ALREADY_EXISTS",
            error.to_string(),
        )
        .hint(Hint::Resource("topic", name.to_owned())),
        CreateTopicError::Collides { with, .. } => {
            invalid("topic", "TOPIC_COLLIDES").fact("existing_topic", with)
        }
        CreateTopicError::NameNotFree { .. } => {
            Refusal::unavailable("TOPIC_NAME_NOT_FREE", error.to_string())
        }
        CreateTopicError::InvalidPartitions { asked } => {
            invalid("partitions", "INVALID_PARTITIONS").fact("partitions", asked)
        }
        CreateTopicError::TooManyPartitions { asked, limit } => {
            invalid("partitions", "INVALID_PARTITIONS")
                .fact("partitions", asked)
                .fact("limit", limit)
        }
        CreateTopicError::LimitReached { held, limit, .. } => Refusal::new(
            Code::ResourceExhausted,
            "PARTITION_LIMIT",
            error.to_string(),
        )
        .fact("held", held)
        .fact("limit", limit),
        CreateTopicError::InvalidConfig { key, .. } => {
            invalid("configs", "INVALID_CONFIG").fact("config", key)
        }
        CreateTopicError::InvalidReplicationFactor { .. } => impossible(error),
        CreateTopicError::AssignmentsAndCounts => impossible(error),
        CreateTopicError::InvalidAssignment { .. } => impossible(error),
        CreateTopicError::NoSpace(failure) => no_space(&format!("topic {name:?}"), failure),
        CreateTopicError::Storage(failure) => storage_failure(&format!("topic {name:?}"), failure),
    };
    refusal.fact("topic", name).into()
}

pub(crate) fn delete_topic(error: &DeleteTopicError, name: &str) -> Status {
    let refusal = match error {
        DeleteTopicError::Unknown { .. } => deleted(name),
        DeleteTopicError::NoSpace(failure) => {
            no_space(&format!("the deletion of topic {name:?}"), failure)
        }
        DeleteTopicError::Storage(failure) => {
            storage_failure(&format!("the deletion of topic {name:?}"), failure)
        }
    };
    refusal.fact("topic", name).into()
}

pub(crate) fn delete_records(error: &DeleteRecordsError, topic: &Topic, partition: i32) -> Status {
    let name = topic.name().as_str();
    let refusal = match error {
        DeleteRecordsError::Partition(error) => of_partition(error, topic, partition),
        DeleteRecordsError::OutOfRange { asked, ends, .. } => {
            let range = Range {
                start: ends.log_start,
                end: ends.high_watermark,
            };
            return super::out_of_range(topic, partition, *asked, range);
        }
        DeleteRecordsError::NotByPolicy { .. } => Refusal::new(
            Code::FailedPrecondition,
            "COMPACTED_TOPIC",
            error.to_string(),
        ),
        DeleteRecordsError::NoSpace(failure) => {
            no_space(&format!("the new start of {name}-{partition}"), failure)
        }
    };
    refusal.at(name, partition).into()
}

pub(crate) fn add_partitions(error: &AddPartitionsError, name: &str) -> Status {
    let invalid = || Refusal::invalid("partitions", "INVALID_PARTITIONS", error.to_string());
    let refusal = match error {
        AddPartitionsError::Unknown { .. } => deleted(name),
        AddPartitionsError::TotalNotLarger { current, asked, .. } => invalid()
            .fact("current_partitions", current)
            .fact("partitions", asked),
        AddPartitionsError::TooManyPartitions { asked, limit } => {
            invalid().fact("partitions", asked).fact("limit", limit)
        }
        AddPartitionsError::LimitReached { held, limit, .. } => Refusal::new(
            Code::ResourceExhausted,
            "PARTITION_LIMIT",
            error.to_string(),
        )
        .fact("held", held)
        .fact("limit", limit),
        AddPartitionsError::InvalidAssignment { .. } => impossible(error),
        AddPartitionsError::NoSpace(failure) => no_space(&format!("topic {name:?}"), failure),
        AddPartitionsError::Storage(failure) => {
            storage_failure(&format!("topic {name:?}"), failure)
        }
    };
    refusal.fact("topic", name).into()
}

/// Why a batch got no place.
pub(crate) fn produce(error: &ProduceError, topic: &Topic, partition: i32) -> Status {
    let refusal = match error {
        ProduceError::Partition(error) => of_partition(error, topic, partition),
        ProduceError::Batch { source, .. } => return batch(source, topic.name(), partition),
        ProduceError::InvalidTimestamp {
            timestamp_ms,
            earliest_ms,
            latest_ms,
            ..
        } => Refusal::invalid("timestamp_ms", "INVALID_TIMESTAMP", error.to_string())
            .fact("timestamp_ms", timestamp_ms)
            .fact("earliest_ms", earliest_ms)
            .fact("latest_ms", latest_ms),
        ProduceError::WithoutKey { .. } => {
            Refusal::invalid("key", "KEY_REQUIRED", error.to_string())
        }
        ProduceError::UnsupportedCodec { .. } => impossible(error),
        ProduceError::InvalidTimestampType { .. } => impossible(error),
        ProduceError::TransactionsNotSupported { .. } => impossible(error),
    };
    refusal.at(topic.name().as_str(), partition).into()
}

/// Why a batch could not be made, or is not accepted.
pub(crate) fn batch(error: &BatchError, topic: &TopicName, partition: i32) -> Status {
    let refusal = match error {
        BatchError::TooLarge {
            size_bytes,
            limit_bytes,
        } => {
            let message = format!(
                "the record for {topic}-{partition} takes {size_bytes} bytes as a batch, \
                 max.message.bytes allows {limit_bytes}"
            );
            Refusal::new(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message)
                .fact("size_bytes", size_bytes)
                .fact("limit_bytes", limit_bytes)
        }
        BatchError::BadRecord { .. }
        | BatchError::NoBatch
        | BatchError::TooShort { .. }
        | BatchError::LengthTooSmall { .. }
        | BatchError::LengthMismatch { .. }
        | BatchError::WrongMagic { .. }
        | BatchError::MoreThanOneBatch { .. }
        | BatchError::CrcMismatch { .. }
        | BatchError::BaseOffsetNotZero { .. }
        | BatchError::CountMismatch { .. }
        | BatchError::UnknownCodec { .. }
        | BatchError::ControlFromClient
        | BatchError::BadProducer { .. }
        | BatchError::TransactionalWithoutProducer
        | BatchError::BudgetExceeded { .. }
        | BatchError::BadCompression { .. }
        | BatchError::TrailingBytes { .. }
        | BatchError::NoRecords => impossible(error),
    };
    refusal.at(topic.as_str(), partition).into()
}

/// Why a batch is not in the log, or not durable.
pub(crate) fn append(error: &AppendError, topic: &Topic, partition: i32) -> Status {
    let name = topic.name().as_str();
    let refusal = match error {
        AppendError::LargerThanSegment {
            size_bytes,
            segment_bytes,
        } => {
            let message = format!(
                "the record for {name}-{partition} takes {size_bytes} bytes as a batch, a segment \
                 holds {segment_bytes} at most (segment.bytes)"
            );
            Refusal::new(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message)
                .fact("size_bytes", size_bytes)
                .fact("limit_bytes", segment_bytes)
        }
        AppendError::NoSpace(failure) => no_space(&format!("{name}-{partition}"), failure),
        AppendError::Storage(failure) => of_storage(failure, topic, partition),
        AppendError::OutOfOrderSequence { .. } => impossible(error),
        AppendError::StaleProducerEpoch { .. } => impossible(error),
        AppendError::Fenced { .. } => impossible(error),
    };
    refusal.at(name, partition).into()
}

pub(crate) fn fetch(error: &FetchError, topic: &Topic, partition: i32) -> Status {
    match error {
        FetchError::Partition(error) => super::partition(error, topic, partition),
        FetchError::OutOfRange { asked, ends, .. } => {
            let range = Range {
                start: ends.log_start,
                end: ends.high_watermark,
            };
            super::out_of_range(topic, partition, *asked, range)
        }
        FetchError::Corrupt { .. } => corrupt(error, topic, partition),
        FetchError::LeaderEpoch(error) => leader_epoch(error, topic, partition),
    }
}

pub(crate) fn find_offset(error: &FindOffsetError, topic: &Topic, partition: i32) -> Status {
    match error {
        FindOffsetError::Partition(error) => super::partition(error, topic, partition),
        FindOffsetError::Corrupt { .. } => corrupt(error, topic, partition),
        FindOffsetError::LeaderEpoch(error) => leader_epoch(error, topic, partition),
    }
}

fn corrupt(error: &dyn std::fmt::Display, topic: &Topic, partition: i32) -> Status {
    Refusal::new(Code::DataLoss, "CORRUPT_MESSAGE", error.to_string())
        .at(topic.name().as_str(), partition)
        .into()
}

fn leader_epoch(error: &LeaderEpochError, topic: &Topic, partition: i32) -> Status {
    let refusal = match error {
        LeaderEpochError::Fenced { .. } => impossible(error),
        LeaderEpochError::Unknown { .. } => impossible(error),
    };
    refusal.at(topic.name().as_str(), partition).into()
}

/// Why a position was not read or stored.
pub(crate) fn position(error: &PositionError, topic: &Topic, partition: i32) -> Status {
    let name = topic.name().as_str();
    let what = || format!("the position in {name}-{partition}");
    let refusal = match error {
        PositionError::InvalidConsumer { limit_bytes, .. } => {
            Refusal::invalid("consumer", "INVALID_CONSUMER", error.to_string())
                .fact("limit_bytes", limit_bytes)
        }
        PositionError::Partition(error) => of_partition(error, topic, partition),
        PositionError::HasMembers { consumer } => Refusal::new(
            Code::FailedPrecondition,
            "GROUP_HAS_MEMBERS",
            error.to_string(),
        )
        .fact("consumer", consumer),
        PositionError::NegativeOffset { offset } => {
            Refusal::invalid("offset", "INVALID_OFFSET", error.to_string()).fact("offset", offset)
        }
        PositionError::CommitTooLarge { limit_bytes }
        | PositionError::MetadataTooLarge { limit_bytes, .. } => {
            Refusal::invalid("metadata", "OFFSET_METADATA_TOO_LARGE", error.to_string())
                .fact("limit_bytes", limit_bytes)
        }
        PositionError::Unreadable(reason) => Refusal::new(
            Code::DataLoss,
            "CORRUPT_POSITION",
            format!("{} cannot be read: {reason}", what()),
        ),
        PositionError::NoSpace(failure) => no_space(&what(), failure),
        PositionError::Storage(failure) => storage_failure(&what(), failure),
    };
    refusal.at(name, partition).into()
}

/// Why a consumer cannot be looked at.
pub(crate) fn group(error: &GroupError, consumer: &str) -> Status {
    let what = || format!("consumer {consumer:?}");
    let refusal = match error {
        GroupError::InvalidName { limit_bytes, .. } => {
            Refusal::invalid("consumer", "INVALID_CONSUMER", error.to_string())
                .fact("limit_bytes", limit_bytes)
        }
        GroupError::Unreadable(reason) => Refusal::new(
            Code::DataLoss,
            "CORRUPT_POSITION",
            format!("a position of {} cannot be read: {reason}", what()),
        ),
        GroupError::NoSpace(failure) => no_space(&what(), failure),
        GroupError::Storage(failure) => storage_failure(&what(), failure),
        GroupError::Stopping => return super::stopping(),
        GroupError::NotFound { .. }
        | GroupError::NotEmpty { .. }
        | GroupError::UnknownMember { .. }
        | GroupError::FencedInstance { .. }
        | GroupError::IllegalGeneration { .. }
        | GroupError::FencedMemberEpoch { .. }
        | GroupError::StaleMemberEpoch { .. }
        | GroupError::UnreleasedInstance { .. }
        | GroupError::UnsupportedAssignor { .. }
        | GroupError::InvalidRegex { .. }
        | GroupError::TooManyRegexes { .. }
        | GroupError::InvalidRequest { .. }
        | GroupError::OtherProtocol
        | GroupError::VersionTooOld
        | GroupError::RebalanceInProgress
        | GroupError::InconsistentProtocol
        | GroupError::MemberIdRequired
        | GroupError::InvalidSessionTimeout { .. }
        | GroupError::Full { .. }
        | GroupError::TooLarge { .. }
        | GroupError::AnswerTooLarge { .. } => impossible(error),
    };
    refusal.fact("consumer", consumer).into()
}
