//! The one mapping from what went wrong in the broker to Kafka's error codes.
//!
//! Exhaustive: a new fact does not compile until it has a code. Nothing maps to
//! UNKNOWN_SERVER_ERROR, which makes clients repeat what may have happened. Retriable codes stand
//! only where a repeat can succeed.

#![deny(clippy::wildcard_enum_match_arm)]

use broker::{
    AddPartitionsError, AlterConfigsError, CreateTopicError, DeleteRecordsError, DeleteTopicError,
    EpochEndError, FetchError, FindOffsetError, GroupError, InitProducerIdError, LeaderEpochError,
    PartitionError, PositionError, ProduceError,
};
use kafka_wire::{ErrorCode, WireString};
use records::BatchError;
use storage::AppendError;

/// The longest text of an error. It repeats names that clients chose, and a string of the older
/// versions ends at 32,767 bytes.
const MESSAGE_BYTES_MAX: usize = 1000;

/// The text of an error as it is sent, cut where it gets too long.
pub(crate) fn error_message(text: &str) -> WireString {
    let end = text.floor_char_boundary(MESSAGE_BYTES_MAX);
    let (kept, cut) = text.split_at(end);
    if cut.is_empty() {
        kept.into()
    } else {
        format!("{kept}…").into()
    }
}

/// A code and, for people, why.
pub(crate) type Refusal = (ErrorCode, String);

/// An error of the broker as Kafka names it.
pub(crate) trait Coded {
    /// Its code.
    fn code(&self) -> ErrorCode;
}

impl Coded for PartitionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. } | Self::Deleted { .. } => ErrorCode::UnknownTopicOrPartition,
            Self::Offline(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl Coded for LeaderEpochError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Fenced { .. } => ErrorCode::FencedLeaderEpoch,
            Self::Unknown { .. } => ErrorCode::UnknownLeaderEpoch,
        }
    }
}

impl Coded for CreateTopicError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidName { .. } | Self::Collides { .. } => ErrorCode::InvalidTopicException,
            Self::Exists { .. } => ErrorCode::TopicAlreadyExists,
            Self::InvalidPartitions { .. } | Self::TooManyPartitions { .. } => {
                ErrorCode::InvalidPartitions
            }
            Self::LimitReached { .. } => ErrorCode::PolicyViolation,
            Self::InvalidReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
            Self::AssignmentsAndCounts => ErrorCode::InvalidRequest,
            Self::InvalidAssignment { .. } => ErrorCode::InvalidReplicaAssignment,
            Self::InvalidConfig { .. } => ErrorCode::InvalidConfig,
            Self::NameNotFree { .. } | Self::NoSpace(_) | Self::Storage(_) => {
                ErrorCode::KafkaStorageError
            }
        }
    }
}

impl Coded for DeleteTopicError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. } => ErrorCode::UnknownTopicOrPartition,
            Self::NoSpace(_) | Self::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl Coded for AddPartitionsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. } => ErrorCode::UnknownTopicOrPartition,
            Self::TotalNotLarger { .. } | Self::TooManyPartitions { .. } => {
                ErrorCode::InvalidPartitions
            }
            Self::LimitReached { .. } => ErrorCode::PolicyViolation,
            Self::InvalidAssignment { .. } => ErrorCode::InvalidReplicaAssignment,
            Self::NoSpace(_) | Self::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl Coded for DeleteRecordsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Partition(error) => error.code(),
            Self::NotByPolicy { .. } => ErrorCode::PolicyViolation,
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::NoSpace(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl Coded for AlterConfigsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopic { .. } => ErrorCode::UnknownTopicOrPartition,
            Self::Invalid(_) | Self::NotAList { .. } => ErrorCode::InvalidConfig,
            Self::InvalidGroup { .. } => ErrorCode::InvalidRequest,
            Self::TooLarge { .. } => ErrorCode::PolicyViolation,
            Self::NoSpace(_) | Self::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl Coded for BatchError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            // Where the batch says that it goes on behind the bytes, Kafka sees no batch at all.
            Self::LengthMismatch {
                declared_bytes,
                got_bytes,
            } if declared_bytes > got_bytes => ErrorCode::InvalidRecord,
            // The formats before 2 are real but no longer taken; any other number is noise.
            Self::WrongMagic { got: 0 | 1 } => ErrorCode::InvalidRecord,
            Self::LengthTooSmall { .. }
            | Self::LengthMismatch { .. }
            | Self::WrongMagic { .. }
            | Self::CrcMismatch { .. } => ErrorCode::CorruptMessage,
            Self::NoBatch
            | Self::TooShort { .. }
            | Self::MoreThanOneBatch { .. }
            | Self::BaseOffsetNotZero { .. }
            | Self::CountMismatch { .. }
            | Self::UnknownCodec { .. }
            | Self::ControlFromClient
            | Self::BadProducer { .. }
            | Self::TransactionalWithoutProducer
            | Self::BudgetExceeded { .. }
            | Self::BadCompression { .. }
            | Self::TrailingBytes { .. }
            | Self::BadRecord { .. }
            | Self::NoRecords => ErrorCode::InvalidRecord,
        }
    }
}

impl Coded for ProduceError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Partition(error) => error.code(),
            Self::Batch { source, .. } => source.code(),
            Self::UnsupportedCodec { .. } => ErrorCode::UnsupportedCompressionType,
            Self::InvalidTimestamp { .. } | Self::InvalidTimestampType { .. } => {
                ErrorCode::InvalidTimestamp
            }
            Self::WithoutKey { .. } => ErrorCode::InvalidRecord,
            Self::TransactionsNotSupported { .. } => ErrorCode::TransactionalIdAuthorizationFailed,
        }
    }
}

impl Coded for AppendError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::StaleProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::Fenced { .. } => ErrorCode::FencedLeaderEpoch,
            Self::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            Self::NoSpace(_) | Self::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl Coded for FetchError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Partition(error) => error.code(),
            Self::LeaderEpoch(error) => error.code(),
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Corrupt { .. } => ErrorCode::CorruptMessage,
        }
    }
}

impl Coded for FindOffsetError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Partition(error) => error.code(),
            Self::LeaderEpoch(error) => error.code(),
            Self::Corrupt { .. } => ErrorCode::CorruptMessage,
        }
    }
}

impl Coded for EpochEndError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Partition(error) => error.code(),
            Self::LeaderEpoch(error) => error.code(),
        }
    }
}

impl Coded for InitProducerIdError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unreadable(_) | Self::NoSpace(_) | Self::Storage(_) => {
                ErrorCode::KafkaStorageError
            }
            Self::Exhausted => ErrorCode::PolicyViolation,
        }
    }
}

impl Coded for GroupError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidName { .. } => ErrorCode::InvalidGroupId,
            Self::NotFound { .. } => ErrorCode::GroupIdNotFound,
            Self::NotEmpty { .. } => ErrorCode::NonEmptyGroup,
            Self::UnknownMember { .. } => ErrorCode::UnknownMemberId,
            Self::FencedInstance { .. } => ErrorCode::FencedInstanceId,
            Self::IllegalGeneration { .. } => ErrorCode::IllegalGeneration,
            Self::FencedMemberEpoch { .. } => ErrorCode::FencedMemberEpoch,
            Self::StaleMemberEpoch { .. } => ErrorCode::StaleMemberEpoch,
            Self::UnreleasedInstance { .. } => ErrorCode::UnreleasedInstanceId,
            Self::UnsupportedAssignor { .. } => ErrorCode::UnsupportedAssignor,
            Self::InvalidRegex { .. } => ErrorCode::InvalidRegularExpression,
            Self::InvalidRequest { .. } => ErrorCode::InvalidRequest,
            Self::OtherProtocol => ErrorCode::GroupIdNotFound,
            Self::VersionTooOld => ErrorCode::UnsupportedVersion,
            Self::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            Self::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
            Self::MemberIdRequired => ErrorCode::MemberIdRequired,
            Self::InvalidSessionTimeout { .. } => ErrorCode::InvalidSessionTimeout,
            Self::Full { .. } | Self::TooLarge { .. } | Self::TooManyRegexes { .. } => {
                ErrorCode::GroupMaxSizeReached
            }
            Self::AnswerTooLarge { .. } => ErrorCode::InvalidRequest,
            // Clients look for the coordinator again, and try again.
            Self::Stopping | Self::NoSpace(_) | Self::Storage(_) => {
                ErrorCode::CoordinatorNotAvailable
            }
            Self::Unreadable(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl Coded for PositionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Partition(error) => error.code(),
            Self::MetadataTooLarge { .. } => ErrorCode::OffsetMetadataTooLarge,
            Self::InvalidConsumer { .. } => ErrorCode::InvalidGroupId,
            Self::HasMembers { .. } => ErrorCode::UnknownMemberId,
            Self::NegativeOffset { .. } | Self::CommitTooLarge { .. } => {
                ErrorCode::InvalidCommitOffsetSize
            }
            Self::NoSpace(_) | Self::Storage(_) => ErrorCode::CoordinatorNotAvailable,
            Self::Unreadable(_) => ErrorCode::KafkaStorageError,
        }
    }
}
