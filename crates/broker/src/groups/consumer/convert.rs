//! A group that changes its protocol while its members work.
//!
//! Guarantees: every member stays a member, epochs go on where generations were and the other way
//! round, and nobody loses a partition by the change alone. Source: Kafka's
//! `ConsumerGroup.fromClassicGroup` and `ClassicGroup.fromConsumerGroup`.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::super::GroupError;
use super::super::group::{CONSUMER, Effects, Group, GroupConfig, GroupState, Now};
use super::super::member::Member;
use super::super::subscription::{self, Subscription};
use super::member::{ClassicPart, ConsumerMember};
use super::topics::Fact;
use super::{ConsumerGroup, Timer, TopicView};

impl ConsumerGroup {
    /// The group that a classic one becomes. Who waits for it is told to join again by the caller.
    pub(crate) fn from_classic(
        classic: &Group,
        topics: &dyn TopicView,
        now: Now,
    ) -> Result<Self, GroupError> {
        let mut group = Self::new(now, classic.generation);
        for (id, member) in &classic.members {
            let name = classic
                .protocol
                .as_ref()
                .or_else(|| Some(&member.protocols.first()?.0));
            let metadata = name.map(|name| member.metadata(name)).unwrap_or_default();
            let read = Subscription::read(&metadata);
            let subscription = read.ok_or(GroupError::InconsistentProtocol)?;
            let mut new = ConsumerMember::new();
            new.instance_id.clone_from(&member.instance_id);
            new.rack_id = subscription.rack;
            new.client_id.clone_from(&member.client_id);
            new.client_host.clone_from(&member.client_host);
            new.rebalance_timeout = member.rebalance_timeout;
            new.names = subscription.topics;
            new.epoch = classic.generation;
            new.previous_epoch = classic.generation;
            new.classic = Some(ClassicPart {
                session_timeout: member.session_timeout,
                protocols: member.protocols.clone(),
            });
            let assigned = subscription::read_assignment(&member.assignment).unwrap_or_default();
            for (name, partitions) in assigned {
                let Some(Fact {
                    id: topic,
                    partitions: count,
                    ..
                }) = topics.by_name(&name)
                else {
                    continue;
                };
                let numbers = partitions.into_iter().filter_map(|n| u32::try_from(n).ok());
                // A leader may have given one partition to two.
                for partition in numbers.filter(|n| *n < count) {
                    if let Entry::Vacant(free) = group.owners.entry((topic, partition)) {
                        free.insert(Arc::clone(id));
                        let of = new.assigned.entry(topic).or_default();
                        of.insert(partition, classic.generation);
                        new.target.entry(topic).or_default().insert(partition);
                    }
                }
            }
            group.insert(Arc::clone(id), new);
            let session_end = now.monotonic + member.session_timeout;
            group.set_timer(Timer::Session, id, Some(session_end));
        }
        Ok(group)
    }

    /// Whether all members that are left speak the classic protocol, and the group may follow.
    pub(crate) fn wants_classic(&self, config: &GroupConfig) -> bool {
        config.consumer.migration.allows_downgrade()
            && !self.members.is_empty()
            && self.members.len() <= config.size_max
            && self.members.values().all(|member| member.classic.is_some())
    }

    /// The classic group that it becomes; its members are asked to join again.
    pub(crate) fn to_classic(&self, config: &GroupConfig, now: Now) -> (Group, Effects) {
        let mut group = Group::new(now);
        // The epoch began when the last member of the new protocol went, and nobody has heard of it:
        // the others are in the one before, and the next generation takes its number.
        let has_members = !self.members.is_empty();
        group.generation = self.epoch - i32::from(has_members);
        group.protocol_type = Some(CONSUMER.to_owned());
        for (order, (id, member)) in (0..).zip(&self.members) {
            let part = member.classic.as_ref().expect("all are classic");
            let new = Member {
                instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                rebalance_timeout: member.rebalance_timeout,
                session_timeout: part.session_timeout,
                protocols: part.protocols.clone(),
                assignment: self.classic_assignment(member),
                order,
                is_new: false,
                syncs: false,
                session_end: now.monotonic + part.session_timeout,
                join: None,
                sync: None,
            };
            group.bytes += new.bytes();
            group.count_protocols(&new.protocols);
            if let Some(instance) = &new.instance_id {
                group.statics.insert(Arc::clone(instance), Arc::clone(id));
            }
            group.leader.get_or_insert_with(|| Arc::clone(id));
            group.deadlines.insert((new.session_end, Arc::clone(id)));
            group.members.insert(Arc::clone(id), new);
            group.next_order = order + 1;
        }
        let mut effects = Effects::default();
        if !group.members.is_empty() {
            group.protocol = Some(group.select_protocol());
            group.subscribed = group.compute_subscribed();
            group.enter(GroupState::Stable, now);
            group.prepare(config, now, &mut effects);
        }
        (group, effects)
    }
}
