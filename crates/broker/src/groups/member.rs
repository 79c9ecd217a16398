//! One member of a group, and what it waits for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::GroupError;
use super::consumer::{BeatAnswer, BeatWaiter};

/// The id that the coordinator gave to a member.
pub(crate) type MemberId = Arc<str>;

/// A request to join.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinGroup {
    /// The id of the member; empty if it has none yet.
    pub member_id: String,
    /// The name under which a static member comes back.
    pub instance_id: Option<String>,
    /// What the client calls itself.
    pub client_id: String,
    /// The address of the client, as it is shown.
    pub client_host: String,
    /// Without a sign of life for this long the member is out.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for the member.
    pub rebalance_timeout_ms: i32,
    /// What kind of group it is; opaque.
    pub protocol_type: String,
    /// The protocols it supports, the preferred first, each with its metadata.
    pub protocols: Vec<(String, Bytes)>,
    /// Whether a member without id is told one and joins again (KIP-394).
    pub requires_member_id: bool,
    /// Whether a returning leader can be told that the assignment stands (KIP-814).
    pub skips_assignment: bool,
}

impl JoinGroup {
    /// Bytes of it that are kept while it is a member.
    pub(super) fn bytes(&self) -> usize {
        let names = self.instance_id.as_ref().map_or(0, String::len) + self.client_id.len();
        names + MEMBER_BYTES + protocol_bytes(&self.protocols)
    }
}

/// What a member counts beside its texts.
const MEMBER_BYTES: usize = 512;

pub(super) fn protocol_bytes(protocols: &[(String, Bytes)]) -> usize {
    let sizes = protocols.iter().map(|(name, data)| name.len() + data.len());
    sizes.sum()
}

/// The generation that a member has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Its number.
    pub generation: i32,
    /// The kind of group.
    pub protocol_type: String,
    /// The protocol that was chosen.
    pub protocol: String,
    /// The member that assigns.
    pub leader: String,
    /// Whether the leader is to keep the assignment as it is.
    pub skip_assignment: bool,
    /// For the leader: all members.
    pub members: Vec<JoinedMember>,
}

/// A member, as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// What it said with the chosen protocol.
    pub metadata: Bytes,
}

/// The answer to a [`JoinGroup`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAnswer {
    /// The id of the member, where it has one.
    pub member_id: String,
    /// The generation, or why not.
    pub outcome: Result<Joined, GroupError>,
}

impl JoinAnswer {
    pub(super) fn refused(member_id: &str, error: GroupError) -> Self {
        Self {
            member_id: member_id.to_owned(),
            outcome: Err(error),
        }
    }
}

/// A request for the assignment; the leader brings all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncGroup {
    /// Who asks.
    pub member: Membership,
    /// What the member takes the group for, where it says so.
    pub protocol_type: Option<String>,
    /// The same for the protocol.
    pub protocol: Option<String>,
    /// From the leader: who gets what.
    pub assignments: Vec<(String, Bytes)>,
}

impl SyncGroup {
    pub(super) fn bytes(&self) -> usize {
        self.assignments.iter().map(|(_, data)| data.len()).sum()
    }
}

/// What a member got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The kind of group.
    pub protocol_type: String,
    /// The protocol of the generation.
    pub protocol: String,
    /// The assignment; empty if the leader gave none.
    pub assignment: Bytes,
}

/// The answer to a [`SyncGroup`].
pub(crate) type SyncAnswer = Result<Synced, GroupError>;

/// Who a request says it is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The generation that it joined; negative for none.
    pub generation: i32,
    /// The id of the member.
    pub member_id: String,
    /// The name of a static member.
    pub instance_id: Option<String>,
}

impl Membership {
    /// Nobody in particular: an administrator, or a consumer that does not balance.
    pub fn none() -> Self {
        Self {
            generation: -1,
            ..Self::default()
        }
    }
}

/// A member that leaves, or is made to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaving {
    /// Its id; empty if only the instance is named.
    pub member_id: String,
    /// The name of a static member.
    pub instance_id: Option<String>,
}

pub(crate) type JoinWaiter = oneshot::Sender<JoinAnswer>;
pub(crate) type SyncWaiter = oneshot::Sender<SyncAnswer>;

/// See the head of the module.
#[derive(Debug)]
pub(crate) struct Member {
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) rebalance_timeout: Duration,
    pub(super) session_timeout: Duration,
    pub(super) protocols: Vec<(String, Bytes)>,
    pub(super) assignment: Bytes,
    /// Counts up with each member of the group; the lowest is the oldest.
    pub(super) order: u64,
    /// It has not been told its generation yet, and cannot give a sign of life.
    pub(super) is_new: bool,
    /// It was told the generation and has not asked for its assignment yet.
    pub(super) syncs: bool,
    /// When it is out, on the monotonic clock.
    pub(super) session_end: Duration,
    pub(super) join: Option<JoinWaiter>,
    pub(super) sync: Option<SyncWaiter>,
}

impl Member {
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let named = self.protocols.iter().find(|(name, _)| name == protocol);
        named
            .map(|(_, metadata)| metadata.clone())
            .unwrap_or_default()
    }

    /// Bytes that count against the limit of a group.
    pub(super) fn bytes(&self) -> usize {
        let names = self.instance_id.as_ref().map_or(0, |name| name.len()) + self.client_id.len();
        names + MEMBER_BYTES + protocol_bytes(&self.protocols) + self.assignment.len()
    }
}

/// An answer on its way to who waits for it.
#[derive(Debug)]
pub(crate) enum Reply {
    Join(JoinWaiter, JoinAnswer),
    Sync(SyncWaiter, SyncAnswer),
    Beat(BeatWaiter, Result<BeatAnswer, GroupError>),
}

impl Reply {
    /// Who has gone away meanwhile gets none.
    pub(super) fn send(self) {
        match self {
            Self::Join(waiter, answer) => drop(waiter.send(answer)),
            Self::Sync(waiter, answer) => drop(waiter.send(answer)),
            Self::Beat(waiter, answer) => drop(waiter.send(answer)),
        }
    }

    /// The same with an error in the place of a generation that could not be stored.
    pub(super) fn failed(self, error: &GroupError) -> Self {
        match self {
            Self::Join(waiter, answer) => {
                let refused = JoinAnswer::refused(&answer.member_id, error.clone());
                let kept = answer.outcome.is_err();
                Self::Join(waiter, if kept { answer } else { refused })
            }
            Self::Sync(waiter, answer) => {
                Self::Sync(waiter, answer.and_then(|_| Err(error.clone())))
            }
            Self::Beat(waiter, answer) => {
                Self::Beat(waiter, answer.and_then(|_| Err(error.clone())))
            }
        }
    }
}
