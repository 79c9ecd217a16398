//! What can go wrong with a group.

use storage::StorageFailure;

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

impl From<Trouble> for GroupError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoSpace(failure) => Self::NoSpace(failure),
            Trouble::Storage(failure) => Self::Storage(failure),
        }
    }
}
