//! The state machine of one group of the classic protocol. No I/O; time and ids are arguments.
//!
//! ```text
//!   Empty ──join──► PreparingRebalance ──all joined, or time over──► CompletingRebalance
//!     ▲                  │    ▲                                            │
//!     └──nobody joined───┘    └──join, leave, death──── Stable ◄──leader brings assignments
//! ```
//!
//! Guarantees: a generation counts up at each completed join; an answer that shows a generation
//! or an assignment comes with [`Effects::store`] before it, so that the caller can make the state
//! durable first; every wait has a deadline ([`Group::next_deadline`]). This file holds the state
//! and its questions; `join`, `sync` and `rebalance` are the moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::GroupError;
use super::consumer::Assignor;
use super::member::{JoinedMember, Member, MemberId, Reply};
use super::subscription;
use crate::config::{duration_ms, narrow};

/// The protocol type whose metadata names topics.
pub(super) const CONSUMER: &str = "consumer";
/// A member that was not told its generation within this time has gone.
pub(super) const NEW_MEMBER_JOIN_MAX: Duration = Duration::from_mins(5);

const MINUTE_MS: i64 = 60_000;
/// What an id counts beside its text while it is pending.
const PENDING_BYTES: usize = 128;
/// Ids that are pending may take this part of the bytes of a group, so that those who only ask
/// leave room for those who come.
const PENDING_SHARE: usize = 4;

pub(super) fn pending_bytes(id: &MemberId) -> usize {
    PENDING_BYTES + id.len()
}

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// Without members; there may be committed offsets.
    Empty,
    /// Waits for the members to join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    /// New protocol: a target is to be made.
    Assigning,
    /// New protocol: members are on their way to the target.
    Reconciling,
    /// Every member has, or can have, its assignment.
    Stable,
}

impl GroupState {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::PreparingRebalance,
        Self::CompletingRebalance,
        Self::Assigning,
        Self::Reconciling,
        Self::Stable,
    ];

    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// What holds for all groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`.
    pub session_min_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub session_max_ms: i32,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members.
    pub initial_delay: Duration,
    /// `group.max.size`: the most members of one group.
    pub size_max: usize,
    /// The most bytes of metadata and assignments of one group.
    pub bytes_max: usize,
    /// `offsets.retention.minutes`, in ms.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_check_interval: Duration,
    /// What holds for members of the new protocol.
    pub consumer: ConsumerConfig,
}

/// What holds for members of the new protocol (KIP-848).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// `group.consumer.session.timeout.ms`.
    pub session_timeout: Duration,
    /// `group.consumer.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: i32,
    /// `group.consumer.min.session.timeout.ms`: of a group that has its own.
    pub session_timeout_min_ms: i32,
    /// `group.consumer.max.session.timeout.ms`: of a group that has its own.
    pub session_timeout_max_ms: i32,
    /// `group.consumer.min.heartbeat.interval.ms`: of a group that has its own.
    pub heartbeat_interval_min_ms: i32,
    /// `group.consumer.max.heartbeat.interval.ms`: of a group that has its own.
    pub heartbeat_interval_max_ms: i32,
    /// `group.consumer.max.size`: the most members of one group.
    pub size_max: usize,
    /// `group.consumer.assignors`, the default first.
    pub assignors: Vec<Assignor>,
    /// `group.consumer.migration.policy`.
    pub migration: Migration,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(45),
            heartbeat_interval_ms: 5_000,
            session_timeout_min_ms: 45_000,
            session_timeout_max_ms: 60_000,
            heartbeat_interval_min_ms: 5_000,
            heartbeat_interval_max_ms: 15_000,
            size_max: i32::MAX as usize,
            assignors: Assignor::ALL.to_vec(),
            migration: Migration::Bidirectional,
        }
    }
}

/// Whether a group with members may change its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migration {
    /// Both ways.
    Bidirectional,
    /// To the new protocol.
    Upgrade,
    /// To the classic protocol.
    Downgrade,
    /// Not at all.
    Disabled,
}

impl Migration {
    const ALL: [Self; 4] = [
        Self::Bidirectional,
        Self::Upgrade,
        Self::Downgrade,
        Self::Disabled,
    ];

    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bidirectional => "bidirectional",
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Disabled => "disabled",
        }
    }

    /// The one of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|policy| policy.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn allows_upgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    pub(crate) fn allows_downgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            session_min_ms: 6_000,
            session_max_ms: 1_800_000,
            initial_delay: Duration::ZERO,
            size_max: i32::MAX as usize,
            bytes_max: 16 * 1024 * 1024,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_check_interval: Duration::from_mins(10),
            consumer: ConsumerConfig::default(),
        }
    }
}

impl GroupConfig {
    /// Sets one of Kafka's broker configs by name; false if it is none of these. The rule of the
    /// key was checked.
    pub(crate) fn set(&mut self, name: &str, number: i64) -> bool {
        match name {
            "group.min.session.timeout.ms" => self.session_min_ms = narrow(number),
            "group.max.session.timeout.ms" => self.session_max_ms = narrow(number),
            "group.initial.rebalance.delay.ms" => self.initial_delay = duration_ms(number),
            "group.max.size" => self.size_max = narrow(number),
            "offsets.retention.minutes" => {
                self.offsets_retention_ms = number.saturating_mul(MINUTE_MS);
            }
            "offsets.retention.check.interval.ms" => {
                self.offsets_check_interval = duration_ms(number);
            }
            "group.consumer.session.timeout.ms" => {
                self.consumer.session_timeout = duration_ms(number);
            }
            "group.consumer.heartbeat.interval.ms" => {
                self.consumer.heartbeat_interval_ms = narrow(number);
            }
            "group.consumer.max.size" => self.consumer.size_max = narrow(number),
            "group.consumer.min.session.timeout.ms" => {
                self.consumer.session_timeout_min_ms = narrow(number);
            }
            "group.consumer.max.session.timeout.ms" => {
                self.consumer.session_timeout_max_ms = narrow(number);
            }
            "group.consumer.min.heartbeat.interval.ms" => {
                self.consumer.heartbeat_interval_min_ms = narrow(number);
            }
            "group.consumer.max.heartbeat.interval.ms" => {
                self.consumer.heartbeat_interval_max_ms = narrow(number);
            }
            _ => return false,
        }
        true
    }

    /// Sets one whose value is text; false if it is none of these. The rule of the key was checked.
    pub(crate) fn set_texts(&mut self, name: &str, texts: &[String]) -> bool {
        match (name, texts) {
            ("group.consumer.assignors", names) => {
                let assignors = names.iter().filter_map(|name| Assignor::of_name(name));
                self.consumer.assignors = assignors.collect();
            }
            ("group.consumer.migration.policy", [policy]) => {
                if let Some(policy) = Migration::of_name(policy) {
                    self.consumer.migration = policy;
                }
            }
            _ => return false,
        }
        true
    }

    /// The value of one of those, as text.
    pub(crate) fn text_of(&self, name: &str) -> Option<String> {
        match name {
            "group.consumer.assignors" => {
                let names: Vec<_> = self.consumer.assignors.iter().map(|a| a.name()).collect();
                Some(names.join(","))
            }
            "group.consumer.migration.policy" => Some(self.consumer.migration.name().to_owned()),
            _ => None,
        }
    }

    /// The value of one of Kafka's broker configs.
    pub(crate) fn value_of(&self, name: &str) -> Option<i64> {
        let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Some(match name {
            "group.min.session.timeout.ms" => self.session_min_ms.into(),
            "group.max.session.timeout.ms" => self.session_max_ms.into(),
            "group.initial.rebalance.delay.ms" => ms(self.initial_delay),
            "group.max.size" => i64::try_from(self.size_max).unwrap_or(i64::MAX),
            "offsets.retention.minutes" => self.offsets_retention_ms / MINUTE_MS,
            "offsets.retention.check.interval.ms" => ms(self.offsets_check_interval),
            "group.consumer.session.timeout.ms" => ms(self.consumer.session_timeout),
            "group.consumer.heartbeat.interval.ms" => self.consumer.heartbeat_interval_ms.into(),
            "group.consumer.max.size" => i64::try_from(self.consumer.size_max).unwrap_or(i64::MAX),
            "group.consumer.min.session.timeout.ms" => self.consumer.session_timeout_min_ms.into(),
            "group.consumer.max.session.timeout.ms" => self.consumer.session_timeout_max_ms.into(),
            "group.consumer.min.heartbeat.interval.ms" => {
                self.consumer.heartbeat_interval_min_ms.into()
            }
            "group.consumer.max.heartbeat.interval.ms" => {
                self.consumer.heartbeat_interval_max_ms.into()
            }
            _ => return None,
        })
    }
}

/// The time, as arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) monotonic: Duration,
    pub(crate) wall_ms: i64,
}

/// What a move leads to, outside the group.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Answers; with `store` only after the state is durable.
    pub(crate) replies: Vec<Reply>,
    /// The state is to be made durable.
    pub(crate) store: bool,
}

/// When the join phase ends at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JoinEnd {
    pub(super) at: Duration,
    /// A group that was empty: what may be waited for more members, and the step of it under way.
    pub(super) initial: Option<InitialDelay>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InitialDelay {
    pub(super) step: Duration,
    pub(super) left: Duration,
}

/// See the head of the module.
#[derive(Debug)]
pub(crate) struct Group {
    pub(super) state: GroupState,
    /// The state before this one.
    pub(super) previous: GroupState,
    /// When it came to this state, in ms since the epoch.
    pub(super) state_since_ms: i64,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<MemberId>,
    pub(super) members: BTreeMap<MemberId, Member>,
    pub(super) statics: BTreeMap<Arc<str>, MemberId>,
    /// Ids that were given out and did not come back yet, and until when they may.
    pub(super) pending: BTreeMap<MemberId, Duration>,
    pub(super) pending_bytes: usize,
    /// The ends of all sessions, and of what is pending.
    pub(super) deadlines: BTreeSet<(Duration, MemberId)>,
    /// How many members support each protocol.
    pub(super) supported: BTreeMap<String, usize>,
    /// Topics of the last completed join; `None` where that cannot be told.
    pub(super) subscribed: Option<BTreeSet<String>>,
    pub(super) join_end: Option<JoinEnd>,
    pub(super) sync_end: Option<Duration>,
    /// A member came during the initial delay.
    pub(super) new_member_added: bool,
    pub(super) next_order: u64,
    pub(super) bytes: usize,
}

impl Group {
    pub(crate) fn new(now: Now) -> Self {
        Self {
            state: GroupState::Empty,
            previous: GroupState::Empty,
            state_since_ms: now.wall_ms,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_bytes: 0,
            deadlines: BTreeSet::new(),
            supported: BTreeMap::new(),
            subscribed: None,
            join_end: None,
            sync_end: None,
            new_member_added: false,
            next_order: 0,
            bytes: 0,
        }
    }

    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state == GroupState::Empty
    }

    pub(crate) fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Nobody is in it or was told to come.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_empty() && self.pending.is_empty()
    }

    /// Kafka's name of the kind of group; empty for offsets alone.
    pub(crate) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    /// Bytes that members brought, and of the ids that are pending.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.pending_bytes
    }

    /// Gives an id out; false if so many are out that there is no room for one more.
    pub(super) fn give_out(&mut self, id: MemberId, until: Duration, bytes_max: usize) -> bool {
        let bytes = self.pending_bytes + pending_bytes(&id);
        if bytes > bytes_max / PENDING_SHARE {
            return false;
        }
        self.pending_bytes = bytes;
        self.deadlines.insert((until, Arc::clone(&id)));
        let before = self.pending.insert(id, until);
        assert!(before.is_none(), "an id is given once");
        true
    }

    /// An id is pending no more.
    pub(super) fn take_back(&mut self, id: &str) {
        if let Some((id, until)) = self.pending.remove_entry(id) {
            self.pending_bytes -= pending_bytes(&id);
            self.deadlines.remove(&(until, id));
        }
    }

    /// A member's session ends at another time now.
    pub(super) fn extend_session(&mut self, id: &str, end: impl FnOnce(&Member) -> Duration) {
        let known = self.members.get_key_value(id);
        let Some(id) = known.map(|(id, _)| Arc::clone(id)) else {
            return;
        };
        if let Some(member) = self.members.get_mut(&id) {
            let end = end(member);
            let before = std::mem::replace(&mut member.session_end, end);
            self.deadlines.remove(&(before, Arc::clone(&id)));
            self.deadlines.insert((end, id));
        }
    }

    /// The next moment at which [`Group::tick`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let first = self.deadlines.first().map(|(at, _)| *at);
        let all = [first, self.join_end.map(|end| end.at), self.sync_end];
        all.into_iter().flatten().min()
    }

    pub(super) fn enter(&mut self, state: GroupState, now: Now) {
        self.previous = self.state;
        self.state = state;
        self.state_since_ms = now.wall_ms;
    }

    /// Whether a request is from a member that is still what it says.
    pub(super) fn validate(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), GroupError> {
        let unknown = || GroupError::UnknownMember {
            member: member_id.to_owned(),
        };
        if let Some(instance) = instance_id {
            let holder = self.statics.get(instance).ok_or_else(unknown)?;
            if **holder != *member_id {
                return Err(GroupError::FencedInstance {
                    instance: instance.to_owned(),
                });
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(unknown())
        }
    }

    /// The same, and of this generation.
    pub(super) fn validate_generation(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        asked: i32,
    ) -> Result<(), GroupError> {
        self.validate(member_id, instance_id)?;
        let current = self.generation;
        if asked == current {
            Ok(())
        } else {
            Err(GroupError::IllegalGeneration { asked, current })
        }
    }

    /// Whether a member with these protocols can be in the group.
    pub(super) fn supports(
        &self,
        protocol_type: &str,
        protocols: &[(String, bytes::Bytes)],
    ) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let count = self.members.len();
        let by_all = |name: &str| self.supported.get(name).copied().unwrap_or(0) == count;
        self.protocol_type() == protocol_type && protocols.iter().any(|(name, _)| by_all(name))
    }

    pub(super) fn count_protocols(&mut self, protocols: &[(String, bytes::Bytes)]) {
        for (name, _) in protocols {
            *self.supported.entry(name.clone()).or_default() += 1;
        }
    }

    pub(super) fn discount_protocols(&mut self, protocols: &[(String, bytes::Bytes)]) {
        for (name, _) in protocols {
            let count = self.supported.get_mut(name);
            let count = count.expect("what a member supports was counted");
            *count -= 1;
            if *count == 0 {
                self.supported.remove(name);
            }
        }
    }

    /// The protocol that all support and most prefer; the leader's preference decides a tie.
    pub(super) fn select_protocol(&self) -> String {
        let count = self.members.len();
        let by_all = |name: &&String| self.supported.get(*name) == Some(&count);
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let names = member.protocols.iter().map(|(name, _)| name);
            let vote = names.filter(by_all).map(String::as_str).next();
            *votes
                .entry(vote.expect("a member shares a protocol with all others"))
                .or_default() += 1;
        }
        let most = votes.values().copied().max().expect("there are members");
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        let leader = leader.expect("a group with members has a leader");
        let names = leader.protocols.iter().map(|(name, _)| name);
        let chosen = names
            .clone()
            .find(|name| votes.get(name.as_str()) == Some(&most));
        let chosen = chosen.expect("what wins is supported by all, the leader too");
        chosen.clone()
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// All members, as the leader sees them.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let seen = |(id, member): (&MemberId, &Member)| JoinedMember {
            member_id: id.to_string(),
            instance_id: member.instance_id.as_deref().map(str::to_owned),
            metadata: member.metadata(protocol),
        };
        self.members.iter().map(seen).collect()
    }

    /// The longest that any member asks a rebalance to wait.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        let timeouts = self.members.values().map(|member| member.rebalance_timeout);
        timeouts.max().unwrap_or_default()
    }

    pub(super) fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.join.is_some())
    }

    /// The topics that the members of this generation subscribe to.
    pub(super) fn compute_subscribed(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type.as_deref() != Some(CONSUMER) {
            return None;
        }
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            all.append(&mut subscription::topics(&member.metadata(protocol))?);
        }
        Some(all)
    }

    /// Whether offsets of a topic are in use by the members.
    pub(crate) fn subscribes(&self, topic: &str) -> bool {
        let topics = self.subscribed.as_ref();
        self.protocol_type() == CONSUMER && topics.is_some_and(|topics| topics.contains(topic))
    }

    /// Whether an administrator may delete offsets of single partitions.
    pub(crate) fn allows_offset_deletion(&self) -> bool {
        self.is_empty() || self.protocol_type() == CONSUMER
    }

    /// From when on the offsets of the group grow old; `None`: not now.
    pub(crate) fn offsets_age(&self) -> Option<OffsetsAge> {
        match (self.state, &self.protocol_type) {
            (GroupState::Empty, Some(_)) => Some(OffsetsAge::Since(self.state_since_ms)),
            (_, None) => Some(OffsetsAge::SinceCommit),
            (GroupState::Stable, Some(kind)) if kind == CONSUMER && self.subscribed.is_some() => {
                Some(OffsetsAge::SinceCommit)
            }
            _ => None,
        }
    }

    /// What must be true between two moves; for tests and for debug builds.
    #[cfg(test)]
    pub(crate) fn assert_whole(&self) {
        let has_members = !self.members.is_empty();
        assert_eq!(self.leader.is_some(), has_members, "members have a leader");
        if let Some(leader) = &self.leader {
            assert!(self.members.contains_key(leader), "the leader is a member");
        }
        match self.state {
            GroupState::Empty => assert!(!has_members),
            GroupState::PreparingRebalance => assert!(self.join_end.is_some()),
            GroupState::CompletingRebalance => {
                assert!(
                    has_members && self.sync_end.is_some(),
                    "the leader must come"
                );
            }
            GroupState::Stable => assert!(has_members),
            GroupState::Assigning | GroupState::Reconciling => panic!("of the other protocol"),
        }
        let of_statics = self.members.values().filter(|m| m.instance_id.is_some());
        assert_eq!(of_statics.count(), self.statics.len());
        let bytes: usize = self.members.values().map(Member::bytes).sum();
        assert_eq!(bytes, self.bytes, "bytes are counted");
        let ends = self.members.iter().map(|(id, m)| (m.session_end, id));
        let pending = self.pending.iter().map(|(id, until)| (*until, id));
        let all = ends.chain(pending).map(|(at, id)| (at, Arc::clone(id)));
        assert_eq!(self.deadlines, all.collect(), "each id has one deadline");
        let bytes: usize = self.pending.keys().map(pending_bytes).sum();
        assert_eq!(bytes, self.pending_bytes, "bytes are counted");
    }
}

/// From when on an offset grows old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffsetsAge {
    /// From this time, in ms since the epoch.
    Since(i64),
    /// From its commit.
    SinceCommit,
}
