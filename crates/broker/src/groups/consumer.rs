//! The state machine of one group of the new protocol (KIP-848). No I/O; time, ids, topics and
//! limits are arguments.
//!
//! ```text
//!   a change of members, subscriptions or topics       the epoch of the group counts up
//!     └─► the assignor makes a target                  the epoch of the target follows
//!           └─► each member goes there by itself:      revoke ──acknowledged──► take what is free
//! ```
//!
//! Guarantees: a partition has one owner at a time, and an owner keeps it until it says that it has
//! let go of it, leaves, or is taken for dead; an answer that shows an epoch or an assignment comes
//! with [`Effects::store`] before it; every wait has a deadline. Members of the classic protocol
//! can be in the group ([`classic`]): that is how a group changes its protocol while it works.
//! Source of the rules: Kafka's `ConsumerGroup`, `CurrentAssignmentBuilder`, `GroupMetadataManager`.

mod assignor;
mod beat;
mod classic;
mod convert;
mod describe;
mod member;
mod reconcile;
mod record;
mod topics;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use storage::TopicId;

use super::GroupError;
use super::group::{Effects, GroupConfig, GroupState, Now, OffsetsAge};
use super::member::MemberId;

pub use assignor::Assignor;
pub use beat::{Beat, BeatAnswer};
pub(crate) use beat::{BeatWaiter, Beating};
pub use describe::{ConsumerDescription, ConsumerMemberDescription, TopicPartitions};
pub(crate) use record::VERSION;
pub(crate) use topics::TopicView;

use assignor::Subscriber;
use member::{ConsumerMember, MemberState};
use topics::Fact;

/// The most regular expressions of one group.
const REGEXES_MAX: usize = 64;

/// Partitions of topics.
pub(crate) type Partitions = BTreeMap<TopicId, BTreeSet<u32>>;

/// Partitions, each with the epoch at which its owner got it.
pub(super) type Owned = BTreeMap<TopicId, BTreeMap<u32, i32>>;

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A sign of life.
    Session,
    /// Letting go of partitions.
    Rebalance,
    /// A member of the classic protocol joins again.
    Join,
    /// A member of the classic protocol asks for its assignment.
    Sync,
}

impl Timer {
    const ALL: [Self; 4] = [Self::Session, Self::Rebalance, Self::Join, Self::Sync];
}

/// See the head of the module.
#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    epoch: i32,
    /// The epoch that the targets of the members are of.
    target_epoch: i32,
    /// When it became empty, or was made, in ms since the epoch.
    since_ms: i64,
    members: BTreeMap<MemberId, ConsumerMember>,
    statics: BTreeMap<Arc<str>, MemberId>,
    /// The topics that members subscribe to and that there are.
    topics: BTreeMap<TopicId, Fact>,
    /// What each regular expression matches.
    regexes: BTreeMap<String, BTreeSet<TopicId>>,
    /// Of the topics when the group looked at them last; 0 for never.
    revision: u64,
    /// Who has each partition, or has been told to let go of it.
    owners: HashMap<(TopicId, u32), MemberId>,
    deadlines: BTreeSet<(Duration, Timer, MemberId)>,
    bytes: usize,
    /// Something changed that is not on its way to the store yet.
    is_dirty: bool,
}

impl ConsumerGroup {
    /// An empty group whose epochs go on after `epoch`.
    pub(crate) fn new(now: Now, epoch: i32) -> Self {
        Self {
            epoch,
            target_epoch: epoch,
            since_ms: now.wall_ms,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            topics: BTreeMap::new(),
            regexes: BTreeMap::new(),
            revision: 0,
            owners: HashMap::new(),
            deadlines: BTreeSet::new(),
            bytes: 0,
            is_dirty: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Bytes that members brought.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(at, _, _)| *at)
    }

    pub(crate) fn state(&self) -> GroupState {
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.epoch > self.target_epoch {
            GroupState::Assigning
        } else if self.members.values().all(|member| self.is_settled(member)) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// Whether a member has what the target gives it.
    fn is_settled(&self, member: &ConsumerMember) -> bool {
        member.state == MemberState::Stable && member.epoch == self.target_epoch
    }

    /// Offsets grow old from their commit, but for topics that members subscribe to.
    #[expect(clippy::unused_self, reason = "the classic machine has to look")]
    pub(crate) fn offsets_age(&self) -> OffsetsAge {
        OffsetsAge::SinceCommit
    }

    /// The names of the topics that members subscribe to.
    pub(crate) fn subscribed(&self) -> BTreeSet<String> {
        let names = self.topics.values().map(|fact| fact.name.to_string());
        names.collect()
    }

    /// Whether offsets of a topic are in use by the members.
    pub(crate) fn subscribes(&self, topic: &str) -> bool {
        self.topics.values().any(|fact| &*fact.name == topic)
    }

    /// Whether offsets may be committed by who says to be `member_id`: of the epoch that it is in,
    /// or of an earlier one since which it has had all these partitions. `epochs_known`: the
    /// request is of a version that was made for epochs.
    pub(crate) fn commits(
        &self,
        (member_id, epoch): (&str, i32),
        epochs_known: bool,
        partitions: &[(TopicId, u32)],
    ) -> Result<(), GroupError> {
        if epoch < 0 && self.is_empty() {
            return Ok(());
        }
        let member = self.member(member_id)?;
        if member.classic.is_none() && !epochs_known {
            return Err(GroupError::VersionTooOld);
        }
        if epoch == member.epoch {
            return Ok(());
        }
        let (asked, current) = (epoch, member.epoch);
        if member.classic.is_some() {
            return Err(GroupError::IllegalGeneration { asked, current });
        }
        let had = |&(topic, partition): &(TopicId, u32)| {
            let since = member
                .assigned
                .get(&topic)
                .and_then(|of| of.get(&partition));
            since.is_some_and(|since| *since <= epoch)
        };
        if (0..member.epoch).contains(&epoch) && partitions.iter().all(had) {
            return Ok(());
        }
        Err(GroupError::StaleMemberEpoch { asked, current })
    }

    /// Whether the committed offsets may be read by who says to be `member_id`.
    pub(crate) fn fetches(&self, member_id: &str, epoch: i32) -> Result<(), GroupError> {
        let member = self.member(member_id)?;
        let (asked, current) = (epoch, member.epoch);
        match member.classic {
            _ if epoch == member.epoch => Ok(()),
            Some(_) => Err(GroupError::IllegalGeneration { asked, current }),
            None => Err(GroupError::StaleMemberEpoch { asked, current }),
        }
    }

    fn member(&self, member_id: &str) -> Result<&ConsumerMember, GroupError> {
        let member = self.members.get(member_id);
        member.ok_or_else(|| GroupError::UnknownMember {
            member: member_id.to_owned(),
        })
    }

    /// The member that a request is from, where an instance is named its holder.
    fn holder(&self, member_id: &str, instance: Option<&str>) -> Result<MemberId, GroupError> {
        let unknown = || GroupError::UnknownMember {
            member: member_id.to_owned(),
        };
        let id = match instance {
            Some(name) => {
                let holder = self.statics.get(name).ok_or_else(unknown)?;
                if **holder != *member_id {
                    return Err(GroupError::FencedInstance {
                        instance: name.to_owned(),
                    });
                }
                holder
            }
            None => self.members.get_key_value(member_id).ok_or_else(unknown)?.0,
        };
        Ok(Arc::clone(id))
    }

    fn set_timer(&mut self, timer: Timer, id: &MemberId, at: Option<Duration>) {
        let member = self.members.get_mut(id).expect("a timer is of a member");
        let known = member.timer(timer);
        let before = std::mem::replace(known, at);
        if let Some(before) = before {
            self.deadlines.remove(&(before, timer, Arc::clone(id)));
        }
        if let Some(at) = at {
            self.deadlines.insert((at, timer, Arc::clone(id)));
        }
    }

    /// Puts a member in; its owned partitions become its own.
    fn insert(&mut self, id: MemberId, member: ConsumerMember) {
        self.bytes += member.bytes();
        if let Some(instance) = &member.instance_id {
            self.statics.insert(Arc::clone(instance), Arc::clone(&id));
        }
        for (topic, partition) in member.owned_partitions() {
            self.own(topic, partition, &id);
        }
        for timer in Timer::ALL {
            if let Some(at) = member.timer_at(timer) {
                self.deadlines.insert((at, timer, Arc::clone(&id)));
            }
        }
        let before = self.members.insert(id, member);
        assert!(before.is_none(), "an id has one member");
        self.is_dirty = true;
    }

    fn own(&mut self, topic: TopicId, partition: u32, id: &MemberId) {
        let before = self.owners.insert((topic, partition), Arc::clone(id));
        assert!(
            before.is_none_or(|before| before == *id),
            "partition {partition} of {topic} has an owner already"
        );
    }

    /// Takes a member out, with all that is kept of it.
    fn take_out(&mut self, id: &str) -> Option<ConsumerMember> {
        let (id, member) = self.members.remove_entry(id)?;
        self.bytes -= member.bytes();
        if let Some(instance) = &member.instance_id {
            self.statics.remove(instance);
        }
        for (topic, partition) in member.owned_partitions() {
            self.owners.remove(&(topic, partition));
        }
        for timer in Timer::ALL {
            if let Some(at) = member.timer_at(timer) {
                self.deadlines.remove(&(at, timer, Arc::clone(&id)));
            }
        }
        self.is_dirty = true;
        Some(member)
    }

    /// Members are gone: what they had is for others, by a new target.
    fn remove(&mut self, ids: &[MemberId], now: Now) {
        let gone = ids.iter().filter_map(|id| self.take_out(id)).count();
        if gone > 0 {
            self.raise_epoch();
            self.forget_regexes();
            if self.members.is_empty() {
                self.since_ms = now.wall_ms;
            }
        }
    }

    fn raise_epoch(&mut self) {
        // As a generation, it begins anew in the far future.
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        if self.epoch < self.target_epoch {
            self.target_epoch = 0;
        }
        self.is_dirty = true;
    }

    /// What the members subscribe to, after a change of one of them or of the topics. True if that
    /// is not what it was.
    fn look_at_topics(&mut self, view: &dyn TopicView, changed: &MemberId) -> bool {
        let is_new = self.revision != view.revision();
        if is_new {
            self.revision = view.revision();
            for (regex, matched) in &mut self.regexes {
                // It was read once, so it can be read again.
                *matched = topics::matched(regex, view).unwrap_or_default();
            }
        }
        let mut all: BTreeMap<TopicId, Fact> = BTreeMap::new();
        for (id, member) in &mut self.members {
            if is_new || id == changed {
                let named = member.names.iter().filter_map(|name| view.by_name(name));
                member.topics = named.map(|fact| fact.id).collect();
                let regex = member.regex.as_ref();
                if let Some(matched) = regex.and_then(|regex| self.regexes.get(regex)) {
                    member.topics.extend(matched);
                }
            }
            for topic in &member.topics {
                if !all.contains_key(topic)
                    && let Some(fact) = view.by_id(*topic)
                {
                    all.insert(*topic, fact);
                }
            }
        }
        if all == self.topics {
            return false;
        }
        self.topics = all;
        self.is_dirty = true;
        true
    }

    /// Regular expressions that no member has any more.
    fn forget_regexes(&mut self) {
        let used: BTreeSet<&String> = self
            .members
            .values()
            .filter_map(|m| m.regex.as_ref())
            .collect();
        self.regexes.retain(|regex, _| used.contains(regex));
    }

    /// Makes a target of the newest epoch, if there is none yet.
    fn make_target(&mut self, config: &GroupConfig) {
        if self.target_epoch == self.epoch {
            return;
        }
        let subscribers: Vec<Subscriber<'_>> = self
            .members
            .iter()
            .map(|(id, member)| Subscriber {
                id,
                instance: member.instance_id.as_deref(),
                topics: &member.topics,
                target: &member.target,
            })
            .collect();
        let counts = self.topics.iter().map(|(id, fact)| (*id, fact.partitions));
        let assignor = self.assignor(config);
        let targets = assignor.assign(&subscribers, &counts.collect());
        assert_eq!(targets.len(), self.members.len(), "one target for each");
        for (member, target) in self.members.values_mut().zip(targets) {
            member.target = target;
        }
        self.target_epoch = self.epoch;
        self.is_dirty = true;
    }

    /// The one that most members prefer, of those that are allowed; the first of them if none does.
    pub(crate) fn assignor(&self, config: &GroupConfig) -> Assignor {
        let allowed = &config.consumer.assignors;
        let votes = |assignor: &Assignor| {
            let of = self.members.values();
            of.filter(|member| member.assignor == Some(*assignor))
                .count()
        };
        let mut best = (allowed.first().copied().unwrap_or(Assignor::Uniform), 0);
        for assignor in allowed {
            let count = votes(assignor);
            if count > best.1 {
                best = (*assignor, count);
            }
        }
        best.0
    }

    /// Does what is due: who has not given a sign of life, not let go of what it was told to, or
    /// not come back, is out.
    pub(crate) fn tick(&mut self, now: Now) -> Effects {
        let due = self
            .deadlines
            .iter()
            .take_while(|(at, _, _)| *at <= now.monotonic);
        let gone: BTreeSet<MemberId> = due.map(|(_, _, id)| Arc::clone(id)).collect();
        let gone: Vec<MemberId> = gone.into_iter().collect();
        self.remove(&gone, now);
        self.effects()
    }

    /// What a move without answers leads to.
    fn effects(&mut self) -> Effects {
        Effects {
            replies: Vec::new(),
            store: std::mem::take(&mut self.is_dirty),
        }
    }

    /// The record could not be stored: what it would have shown is not given out, and what members
    /// do next stores it again.
    pub(crate) fn store_failed(&mut self) -> Effects {
        self.is_dirty = true;
        Effects::default()
    }

    /// What must be true between two moves.
    #[cfg(test)]
    pub(crate) fn assert_whole(&self) {
        let mut owners = HashMap::new();
        for (id, member) in &self.members {
            for place in member.owned_partitions() {
                let before = owners.insert(place, Arc::clone(id));
                assert_eq!(before, None, "{place:?} has one owner");
            }
            assert!(
                member.epoch <= self.epoch,
                "no member is ahead of its group"
            );
            assert_eq!(
                member.state == MemberState::Unrevoked,
                !member.revoking.is_empty(),
                "only who revokes has something to revoke"
            );
        }
        assert_eq!(owners, self.owners);
        let of_statics = self.members.values().filter(|m| m.instance_id.is_some());
        assert_eq!(of_statics.count(), self.statics.len());
        let bytes: usize = self.members.values().map(ConsumerMember::bytes).sum();
        assert_eq!(bytes, self.bytes, "bytes are counted");
        let timers = self.members.iter().flat_map(|(id, member)| {
            let timers = Timer::ALL.into_iter();
            timers.filter_map(move |timer| Some((member.timer_at(timer)?, timer, Arc::clone(id))))
        });
        assert_eq!(
            self.deadlines,
            timers.collect(),
            "timers are where members say"
        );
        let mut targets = BTreeSet::new();
        for member in self.members.values() {
            for (topic, partitions) in &member.target {
                for partition in partitions {
                    assert!(
                        targets.insert((*topic, *partition)),
                        "one target for each partition"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
