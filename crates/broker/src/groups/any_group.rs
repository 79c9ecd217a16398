//! A group of either protocol, and how one becomes the other.
//!
//! A group takes the protocol of who joins it. With nobody in it, it begins anew, and its epochs
//! and generations go on from where they were. With members, a group of the classic `consumer`
//! protocol becomes one of the new protocol when the first member of that joins, and goes back when
//! the last of them has gone (`group.consumer.migration.policy`).

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::consumer::{Beat, BeatWaiter, Beating, ConsumerGroup, TopicView};
use super::group::{CONSUMER, Effects, Group, GroupConfig, GroupState, Now, OffsetsAge};
use super::join::{Joining, refuse};
use super::member::{JoinGroup, Leaving, Membership, Reply, SyncGroup, SyncWaiter};
use super::{GroupError, GroupKind};
use crate::error::UnreadableValue;
use crate::values::Reader;

/// See the head of the file.
#[derive(Debug)]
pub(crate) enum AnyGroup {
    Classic(Box<Group>),
    Consumer(Box<ConsumerGroup>),
}

/// Where a commit comes from, and what it is about.
pub(crate) struct Committing<'a> {
    pub(crate) from: &'a Membership,
    /// The request is of a version that was made for member epochs.
    pub(crate) epochs_known: bool,
    pub(crate) partitions: &'a [(storage::TopicId, u32)],
}

impl AnyGroup {
    /// A group that nobody was ever in.
    pub(crate) fn new(now: Now) -> Self {
        Self::Classic(Box::new(Group::new(now)))
    }

    pub(crate) fn kind(&self) -> GroupKind {
        match self {
            Self::Classic(_) => GroupKind::Classic,
            Self::Consumer(_) => GroupKind::Consumer,
        }
    }

    pub(crate) fn decode(
        value: &Bytes,
        config: &GroupConfig,
        now: Now,
    ) -> Result<Self, UnreadableValue> {
        let newest = super::consumer::VERSION;
        let (reader, version) = Reader::open_up_to(newest, "a group record", value)?;
        if version == newest {
            let group = ConsumerGroup::decode(reader, config, now)?;
            return Ok(Self::Consumer(Box::new(group)));
        }
        Ok(Self::Classic(Box::new(Group::decode(value, now)?)))
    }

    /// The record; `None` in a state that is not stored.
    pub(crate) fn encode(&self) -> Option<Bytes> {
        match self {
            Self::Classic(group) => group.encode(),
            Self::Consumer(group) => Some(group.encode()),
        }
    }

    pub(crate) fn state(&self) -> GroupState {
        match self {
            Self::Classic(group) => group.state(),
            Self::Consumer(group) => group.state(),
        }
    }

    pub(crate) fn protocol_type(&self) -> &str {
        match self {
            Self::Classic(group) => group.protocol_type(),
            Self::Consumer(_) => CONSUMER,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_empty(),
            Self::Consumer(group) => group.is_empty(),
        }
    }

    /// Nobody is in it or was told to come.
    pub(crate) fn is_idle(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_idle(),
            Self::Consumer(group) => group.is_empty(),
        }
    }

    pub(crate) fn member_count(&self) -> usize {
        match self {
            Self::Classic(group) => group.member_count(),
            Self::Consumer(group) => group.member_count(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Classic(group) => group.bytes(),
            Self::Consumer(group) => group.bytes(),
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        match self {
            Self::Classic(group) => group.next_deadline(),
            Self::Consumer(group) => group.next_deadline(),
        }
    }

    pub(crate) fn offsets_age(&self) -> Option<OffsetsAge> {
        match self {
            Self::Classic(group) => group.offsets_age(),
            Self::Consumer(group) => Some(group.offsets_age()),
        }
    }

    /// The topics whose offsets are in use by members.
    pub(crate) fn subscribed(&self) -> BTreeSet<String> {
        match self {
            Self::Classic(group) => group.subscribed.clone().unwrap_or_default(),
            Self::Consumer(group) => group.subscribed(),
        }
    }

    pub(crate) fn subscribes(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.subscribes(topic),
            Self::Consumer(group) => group.subscribes(topic),
        }
    }

    pub(crate) fn allows_offset_deletion(&self) -> bool {
        match self {
            Self::Classic(group) => group.allows_offset_deletion(),
            Self::Consumer(_) => true,
        }
    }

    /// Whether offsets may be committed; it is a sign of life of a classic member.
    pub(crate) fn commits(&mut self, commit: &Committing<'_>, now: Now) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.commits(commit.from, now),
            Self::Consumer(group) => {
                let from = (&*commit.from.member_id, commit.from.generation);
                group.commits(from, commit.epochs_known, commit.partitions)
            }
        }
    }

    /// Whether a member in this epoch may read what is committed.
    pub(crate) fn fetches(&self, member_id: &str, epoch: i32) -> Result<(), GroupError> {
        match self {
            // As in Kafka, whose classic groups do not look.
            Self::Classic(_) => Ok(()),
            Self::Consumer(group) => group.fetches(member_id, epoch),
        }
    }

    pub(crate) fn join(
        &mut self,
        request: JoinGroup,
        joining: Joining<'_>,
        topics: &dyn TopicView,
    ) -> Effects {
        let (config, now) = (joining.config, joining.now);
        if let Self::Consumer(group) = self {
            let holder = group.native_holder(&request);
            let last = holder.filter(|holder| group.is_last_native(holder));
            let replaces = last.filter(|_| config.consumer.migration.allows_downgrade());
            if let Some(last) = replaces {
                if !group.supports_classic(&request) {
                    let mut effects = Effects::default();
                    let error = GroupError::InconsistentProtocol;
                    refuse(&mut effects, joining.waiter, "", error);
                    return effects;
                }
                group.put_out(&last, now);
            }
            if group.is_empty() || group.wants_classic(config) {
                let mut before = self.become_classic(config, now);
                let Self::Classic(group) = self else {
                    unreachable!("it has become classic");
                };
                let after = group.join(request, joining);
                before.replies.extend(after.replies);
                before.store |= after.store;
                return before;
            }
        }
        match self {
            Self::Classic(group) => group.join(request, joining),
            Self::Consumer(group) => group.join_classic(request, joining, topics),
        }
    }

    fn become_classic(&mut self, config: &GroupConfig, now: Now) -> Effects {
        let Self::Consumer(group) = self else {
            return Effects::default();
        };
        let (classic, effects) = group.to_classic(config, now);
        *self = Self::Classic(Box::new(classic));
        effects
    }

    /// After members have gone: the classic protocol again, if nobody speaks the other.
    fn settle_protocol(&mut self, mut effects: Effects, config: &GroupConfig, now: Now) -> Effects {
        if let Self::Consumer(group) = self
            && group.wants_classic(config)
        {
            let after = self.become_classic(config, now);
            effects.replies.extend(after.replies);
            effects.store |= after.store;
        }
        effects
    }

    pub(crate) fn sync(
        &mut self,
        request: SyncGroup,
        waiter: SyncWaiter,
        config: &GroupConfig,
        now: Now,
    ) -> Effects {
        match self {
            Self::Classic(group) => group.sync(request, waiter, config, now),
            Self::Consumer(group) => group.sync_classic(&request, waiter, now),
        }
    }

    pub(crate) fn heartbeat(&mut self, from: &Membership, now: Now) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.heartbeat(from, now),
            Self::Consumer(group) => group.heartbeat_classic(from, now),
        }
    }

    pub(crate) fn leave(
        &mut self,
        leaving: &[Leaving],
        config: &GroupConfig,
        now: Now,
    ) -> (Vec<Result<(), GroupError>>, Effects) {
        match self {
            Self::Classic(group) => group.leave(leaving, config, now),
            Self::Consumer(group) => group.leave_classic(leaving, now),
        }
    }

    /// A sign of life in the new protocol; nothing is wrong with the request itself.
    pub(crate) fn beat(
        &mut self,
        beat: &Beat,
        beating: Beating<'_>,
        waiter: BeatWaiter,
    ) -> Effects {
        let (config, now) = (beating.config, beating.now);
        let classic = match self {
            Self::Consumer(group) => {
                let effects = group.beat(beat, beating, waiter);
                return self.settle_protocol(effects, config, now);
            }
            Self::Classic(classic) => classic,
        };
        let mut group = match converted(classic, beat, &beating) {
            Ok(group) => group,
            Err(error) => {
                let mut effects = Effects::default();
                effects.replies.push(Reply::Beat(waiter, Err(error)));
                return effects;
            }
        };
        let mut effects = group.beat(beat, beating, waiter);
        let refused = |reply: &Reply| matches!(reply, Reply::Beat(_, Err(_)));
        if effects.replies.iter().any(refused) {
            // Who is not let in changes nothing for the others.
            effects.store = false;
            return effects;
        }
        let mut replies = classic.take_waiting(&GroupError::RebalanceInProgress);
        replies.append(&mut effects.replies);
        effects.replies = replies;
        *self = Self::Consumer(Box::new(group));
        effects
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, config: &GroupConfig, now: Now) -> Effects {
        match self {
            Self::Classic(group) => group.tick(config, now),
            Self::Consumer(group) => {
                let effects = group.tick(now);
                self.settle_protocol(effects, config, now)
            }
        }
    }

    pub(crate) fn store_failed(&mut self, config: &GroupConfig, now: Now) -> Effects {
        match self {
            Self::Classic(group) => group.store_failed(config, now),
            Self::Consumer(group) => group.store_failed(),
        }
    }

    /// Answers everybody who waits; they stay members.
    pub(crate) fn take_waiting(&mut self, error: &GroupError) -> Vec<Reply> {
        match self {
            Self::Classic(group) => group.take_waiting(error),
            // Answers of the new protocol wait for the store only.
            Self::Consumer(_) => Vec::new(),
        }
    }
}

/// The group of the new protocol that a classic one becomes for a member that joins.
fn converted(
    classic: &Group,
    beat: &Beat,
    beating: &Beating<'_>,
) -> Result<ConsumerGroup, GroupError> {
    let policy = beating.config.consumer.migration;
    let can = classic.is_empty()
        || policy.allows_upgrade() && classic.can_convert(beating.config.consumer.size_max);
    if !beat.joins() || !can {
        return Err(GroupError::OtherProtocol);
    }
    let group = ConsumerGroup::from_classic(classic, beating.topics, beating.now);
    group.map_err(|_unreadable| GroupError::OtherProtocol)
}
