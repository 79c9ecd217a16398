//! What can go wrong with a group.

use storage::StorageFailure;

use super::consumer::Assignor;
use crate::error::{Trouble, UnreadableValue};

/// Why a request about a group was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The name is empty where it must not be, or too long.
    #[error("a group's name has 1 to {limit_bytes} bytes, this one has {size_bytes}")]
    InvalidName {
        /// Length of the name.
        size_bytes: usize,
        /// The longest allowed.
        limit_bytes: usize,
    },
    /// There is no such group.
    #[error("group {group:?} does not exist")]
    NotFound {
        /// The name asked for.
        group: String,
    },
    /// The group has members.
    #[error("group {group:?} has members; only an empty group can be changed from outside")]
    NotEmpty {
        /// The group.
        group: String,
    },
    /// No member of that id, or not any more.
    #[error("the group has no member {member:?}")]
    UnknownMember {
        /// The id given.
        member: String,
    },
    /// Another process has joined with the same instance id.
    #[error("another member has taken over the instance id {instance:?}")]
    FencedInstance {
        /// The instance id.
        instance: String,
    },
    /// The member is of a generation that has passed.
    #[error("the group is in generation {current}, not {asked}")]
    IllegalGeneration {
        /// The generation given.
        asked: i32,
        /// The generation of the group.
        current: i32,
    },
    /// New protocol: the member is not in the epoch that it says, and has to join anew.
    #[error(
        "the member is in epoch {current}, not {asked}; it must let go of all partitions and join \
         again"
    )]
    FencedMemberEpoch {
        /// The epoch given.
        asked: i32,
        /// The epoch of the member.
        current: i32,
    },
    /// New protocol: the offsets are of an epoch that has passed.
    #[error("the member is in epoch {current}, not {asked}")]
    StaleMemberEpoch {
        /// The epoch given.
        asked: i32,
        /// The epoch of the member.
        current: i32,
    },
    /// New protocol: another member has the instance id and has not left.
    #[error("the instance id {instance:?} is still in use by another member")]
    UnreleasedInstance {
        /// The instance id.
        instance: String,
    },
    /// New protocol: no assignor of that name may be used.
    #[error(
        "ServerAssignor {assignor} is not supported. Supported assignors: {}.",
        names(supported)
    )]
    UnsupportedAssignor {
        /// The name given.
        assignor: String,
        /// Those that may be.
        supported: Vec<Assignor>,
    },
    /// New protocol: the regular expression cannot be read, or is too large.
    #[error("SubscribedTopicRegex is not valid: {reason}")]
    InvalidRegex {
        /// Why.
        reason: String,
    },
    /// The members of the group have more regular expressions than are kept.
    #[error("the members of a group have at most {limit} different regular expressions")]
    TooManyRegexes {
        /// The most that are kept.
        limit: usize,
    },
    /// New protocol: the request contradicts itself.
    #[error("{what}")]
    InvalidRequest {
        /// What is wrong, in Kafka's words.
        what: &'static str,
    },
    /// The group is of the other protocol and does not change it.
    #[error("the group is not one of this protocol")]
    OtherProtocol,
    /// Members of the new protocol commit with OffsetCommit 9 or above.
    #[error(
        "OffsetCommit version 9 or above must be used by members using the modern group protocol"
    )]
    VersionTooOld,
    /// The members are asked to join again.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// The protocols do not fit those of the other members.
    #[error("the protocol type or protocols do not fit those of the group")]
    InconsistentProtocol,
    /// The member got an id and is to join again with it.
    #[error("join again with the member id of this answer")]
    MemberIdRequired,
    /// The session timeout is outside the bounds.
    #[error(
        "a session timeout is {min_ms} to {max_ms} ms, not {asked_ms} \
         (group.min.session.timeout.ms, group.max.session.timeout.ms)"
    )]
    InvalidSessionTimeout {
        /// The timeout given.
        asked_ms: i32,
        /// The shortest allowed.
        min_ms: i32,
        /// The longest allowed.
        max_ms: i32,
    },
    /// The group has as many members as it may have.
    #[error("the group has {limit} members, as many as it may (group.max.size)")]
    Full {
        /// The most that are allowed.
        limit: usize,
    },
    /// Names, members and their assignments are more than is kept, of the group or of all.
    #[error("names, members and assignments of groups have at most {limit_bytes} bytes")]
    TooLarge {
        /// The most that is kept.
        limit_bytes: usize,
    },
    /// What was asked for does not fit one answer.
    #[error("an answer has at most {limit_bytes} bytes of committed offsets; name fewer of them")]
    AnswerTooLarge {
        /// The most that was left for it.
        limit_bytes: usize,
    },
    /// The broker stops; the next one goes on with the group.
    #[error("the broker is stopping")]
    Stopping,
    /// A stored value cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableValue),
    /// The disk is full.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// The store failed.
    #[error("{0}")]
    Storage(StorageFailure),
}

fn names(assignors: &[Assignor]) -> String {
    let names: Vec<_> = assignors.iter().map(|assignor| assignor.name()).collect();
    names.join(", ")
}

impl From<Trouble> for GroupError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoSpace(failure) => Self::NoSpace(failure),
            Trouble::Storage(failure) => Self::Storage(failure),
        }
    }
}
