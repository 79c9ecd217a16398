//! Members of the classic protocol in a group of the new one: they join, sync and heartbeat as they
//! know it, and get from the broker what else a leader would assign. Source: Kafka's
//! `GroupMetadataManager.classicGroup*ToConsumerGroup`.

use std::sync::Arc;

use super::super::GroupError;
use super::super::group::{CONSUMER, Effects, Group, Now};
use super::super::join::{Joining, refuse};
use super::super::member::{
    JoinAnswer, JoinGroup, Joined, Leaving, MemberId, Membership, Reply, SyncGroup, SyncWaiter,
    Synced,
};
use super::super::subscription::{self, Subscription};
use super::beat::span;
use super::member::{ClassicPart, ConsumerMember, MemberState};
use super::{ConsumerGroup, Partitions, Timer, TopicView};

impl ConsumerGroup {
    /// Whether a member with these protocols can be in the group.
    pub(crate) fn supports_classic(&self, request: &JoinGroup) -> bool {
        let classic = self
            .members
            .values()
            .filter_map(|member| member.classic.as_ref());
        let by_all = |name: &str| {
            let mut all = classic.clone();
            all.all(|part| part.protocols.iter().any(|(known, _)| known == name))
        };
        request.protocol_type == CONSUMER && request.protocols.iter().any(|(name, _)| by_all(name))
    }

    /// The member that a static one would take the place of, if it speaks the new protocol.
    pub(crate) fn native_holder(&self, request: &JoinGroup) -> Option<MemberId> {
        let holder = self.statics.get(request.instance_id.as_deref()?)?;
        let is_native = self.members.get(holder)?.classic.is_none();
        (is_native && request.member_id.is_empty()).then(|| Arc::clone(holder))
    }

    /// Whether nobody but this one speaks the new protocol.
    pub(crate) fn is_last_native(&self, id: &MemberId) -> bool {
        let others = self.members.iter().filter(|(other, _)| *other != id);
        others
            .into_iter()
            .all(|(_, member)| member.classic.is_some())
    }

    /// A member is put out, for one of the other protocol.
    pub(crate) fn put_out(&mut self, id: &MemberId, now: Now) {
        self.remove(std::slice::from_ref(id), now);
    }

    /// A member of the classic protocol joins.
    pub(crate) fn join_classic(
        &mut self,
        request: JoinGroup,
        joining: Joining<'_>,
        topics: &dyn TopicView,
    ) -> Effects {
        let own_id = request.member_id.clone();
        let waits = (request.member_id.is_empty(), request.instance_id.is_none());
        if waits == (true, true) && request.requires_member_id {
            let mut effects = Effects::default();
            let (fresh_id, limit) = (joining.fresh_id, joining.config.consumer.size_max);
            // What can never join is not given an id either.
            let placed = self.classic_place(&request, Arc::clone(&fresh_id), limit);
            let (id, error) = match placed {
                Ok(_) => (fresh_id, GroupError::MemberIdRequired),
                Err(error) => ("".into(), error),
            };
            refuse(&mut effects, joining.waiter, &id, error);
            return effects;
        }
        let Joining {
            config,
            now,
            fresh_id,
            waiter,
        } = joining;
        let answer = match self.classic_place(&request, fresh_id, config.consumer.size_max) {
            Ok((id, subscription)) => {
                let limit_bytes = config.bytes_max;
                if self.bytes + request.bytes() > limit_bytes {
                    JoinAnswer::refused(&own_id, GroupError::TooLarge { limit_bytes })
                } else {
                    let owned = owned(&subscription, topics);
                    let is_other = self.take_classic(&id, request, subscription, now);
                    self.move_on(&id, is_other, (config, topics));
                    self.reconcile(&id, Some(&owned), now);
                    self.joined_classic(&id)
                }
            }
            Err(error) => JoinAnswer::refused(&own_id, error),
        };
        let mut effects = self.effects();
        effects.replies.push(Reply::Join(waiter, answer));
        effects
    }

    /// The id that a member joins under, and what it subscribes to.
    fn classic_place(
        &self,
        request: &JoinGroup,
        fresh_id: MemberId,
        limit: usize,
    ) -> Result<(MemberId, Subscription), GroupError> {
        let instance = request.instance_id.as_deref();
        let knows = self.members.contains_key(&*request.member_id)
            || instance.is_some_and(|name| self.statics.contains_key(name));
        if !knows && self.members.len() >= limit {
            return Err(GroupError::Full { limit });
        }
        if !self.supports_classic(request) {
            return Err(GroupError::InconsistentProtocol);
        }
        let first = request.protocols.first().map(|(_, metadata)| metadata);
        let subscription = first.and_then(|metadata| Subscription::read(metadata));
        let subscription = subscription.ok_or(GroupError::InconsistentProtocol)?;
        let id = match (request.member_id.as_str(), instance) {
            ("", _) => fresh_id,
            (id, None) => id.into(),
            (id, Some(_)) => self.holder(id, instance)?,
        };
        Ok((id, subscription))
    }

    /// Puts the member in, or notes what it says now. True if it subscribes to something else.
    fn take_classic(
        &mut self,
        id: &MemberId,
        request: JoinGroup,
        subscription: Subscription,
        now: Now,
    ) -> bool {
        let instance = request.instance_id.as_deref();
        let holder = instance.and_then(|name| self.statics.get(name)).cloned();
        if let Some(holder) = holder.filter(|holder| holder != id) {
            self.succeed(&holder, id);
        }
        let knew = self.members.contains_key(id);
        if !knew {
            let mut member = ConsumerMember::new();
            member.instance_id = request.instance_id.map(Into::into);
            self.insert(Arc::clone(id), member);
        }
        let member = self.members.get_mut(id).expect("it has its place");
        let before = member.clone();
        member.rack_id = subscription.rack.or_else(|| before.rack_id.clone());
        member.rebalance_timeout = span(request.rebalance_timeout_ms);
        member.names = subscription.topics;
        member.regex = None;
        member.assignor = None;
        member.client_id = request.client_id;
        member.client_host = request.client_host;
        let session_timeout = span(request.session_timeout_ms);
        member.classic = Some(ClassicPart {
            session_timeout,
            protocols: request.protocols,
        });
        let sync_end = now.monotonic + member.rebalance_timeout;
        let is_other = member.names != before.names || member.regex != before.regex;
        if *member != before {
            self.bytes = self.bytes - before.bytes() + member.bytes();
            self.is_dirty = true;
        }
        self.set_timer(Timer::Session, id, Some(now.monotonic + session_timeout));
        self.set_timer(Timer::Rebalance, id, None);
        self.set_timer(Timer::Join, id, None);
        self.set_timer(Timer::Sync, id, Some(sync_end));
        is_other || !knew
    }

    fn joined_classic(&self, id: &MemberId) -> JoinAnswer {
        let member = self.members.get(id).expect("it has joined");
        JoinAnswer {
            member_id: id.to_string(),
            outcome: Ok(Joined {
                generation: member.epoch,
                protocol_type: CONSUMER.to_owned(),
                protocol: first_protocol(member).to_owned(),
                // Nobody: the broker assigns.
                leader: String::new(),
                skip_assignment: false,
                members: Vec::new(),
            }),
        }
    }

    /// The member of the classic protocol that a request is from, in its epoch.
    fn classic_member(&self, from: &Membership) -> Result<MemberId, GroupError> {
        let id = self.holder(&from.member_id, from.instance_id.as_deref())?;
        let member = self.members.get(&id).expect("held");
        if member.classic.is_none() {
            return Err(GroupError::UnknownMember {
                member: from.member_id.clone(),
            });
        }
        let (asked, current) = (from.generation, member.epoch);
        if asked == current {
            Ok(id)
        } else {
            Err(GroupError::IllegalGeneration { asked, current })
        }
    }

    fn is_alive_classic(&mut self, id: &MemberId, now: Now) {
        let member = self.members.get(id).expect("held");
        if let Some(part) = &member.classic {
            let end = now.monotonic + part.session_timeout;
            self.set_timer(Timer::Session, id, Some(end));
        }
    }

    /// It has to join again, within its rebalance timeout.
    fn awaits_join(&mut self, id: &MemberId, now: Now) {
        let member = self.members.get(id).expect("held");
        let end = now.monotonic + member.rebalance_timeout;
        if member.timer_at(Timer::Join).is_none() {
            self.set_timer(Timer::Join, id, Some(end));
        }
    }

    /// A member of the classic protocol asks for its assignment.
    pub(crate) fn sync_classic(
        &mut self,
        request: &SyncGroup,
        waiter: SyncWaiter,
        now: Now,
    ) -> Effects {
        let answer = self.synced_classic(request, now);
        let mut effects = self.effects();
        effects.replies.push(Reply::Sync(waiter, answer));
        effects
    }

    fn synced_classic(&mut self, request: &SyncGroup, now: Now) -> Result<Synced, GroupError> {
        let id = self.classic_member(&request.member)?;
        let member = self.members.get(&id).expect("held");
        let protocol = first_protocol(member).to_owned();
        let differs =
            |said: &Option<String>, is: &str| said.as_deref().is_some_and(|said| said != is);
        if differs(&request.protocol_type, CONSUMER) || differs(&request.protocol, &protocol) {
            return Err(GroupError::InconsistentProtocol);
        }
        // Who revokes has joined already: it gets what it keeps, so that it can.
        if self.epoch > member.epoch && member.state != MemberState::Unrevoked {
            self.awaits_join(&id, now);
            return Err(GroupError::RebalanceInProgress);
        }
        let assignment = self.classic_assignment(member);
        self.set_timer(Timer::Sync, &id, None);
        self.is_alive_classic(&id, now);
        Ok(Synced {
            protocol_type: CONSUMER.to_owned(),
            protocol,
            assignment,
        })
    }

    /// What a member has, as the classic protocol writes it.
    pub(super) fn classic_assignment(&self, member: &ConsumerMember) -> bytes::Bytes {
        let classic = member.classic.as_ref();
        let first = classic.and_then(|part| part.protocols.first());
        let version = first.and_then(|(_, metadata)| subscription::version(metadata));
        let assigned = member.assigned.iter().filter_map(|(topic, of)| {
            let fact = self.topics.get(topic)?;
            Some((&*fact.name, of.keys().copied().collect::<Vec<u32>>()))
        });
        subscription::write_assignment(version.unwrap_or(0), &assigned.collect::<Vec<_>>())
    }

    /// A sign of life of a member of the classic protocol. The answer tells it to join again where
    /// there is something new for it.
    pub(crate) fn heartbeat_classic(
        &mut self,
        from: &Membership,
        now: Now,
    ) -> Result<(), GroupError> {
        let id = self.classic_member(from)?;
        self.is_alive_classic(&id, now);
        let member = self.members.get(&id).expect("held");
        let can_take =
            member.state == MemberState::Unreleased && !self.waits_for_others(&id, member);
        if member.epoch < self.epoch || member.state == MemberState::Unrevoked || can_take {
            self.awaits_join(&id, now);
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    /// Members of the classic protocol leave, or are made to; one outcome for each.
    pub(crate) fn leave_classic(
        &mut self,
        leaving: &[Leaving],
        now: Now,
    ) -> (Vec<Result<(), GroupError>>, Effects) {
        let mut gone = Vec::new();
        let outcomes = leaving.iter().map(|one| {
            let unknown = || GroupError::UnknownMember {
                member: one.member_id.clone(),
            };
            let by_name = || self.statics.get(one.instance_id.as_deref()?).cloned();
            let id = if one.member_id.is_empty() {
                by_name().ok_or_else(unknown)?
            } else {
                self.holder(&one.member_id, one.instance_id.as_deref())?
            };
            let member = self.members.get(&id).expect("held");
            if member.classic.is_none() || gone.contains(&id) {
                return Err(unknown());
            }
            gone.push(id);
            Ok(())
        });
        let outcomes = outcomes.collect();
        self.remove(&gone, now);
        (outcomes, self.effects())
    }
}

fn first_protocol(member: &ConsumerMember) -> &str {
    let classic = member.classic.as_ref();
    let first = classic.and_then(|part| part.protocols.first());
    first.map_or("", |(name, _)| name)
}

/// The partitions that a subscription says its member has.
fn owned(subscription: &Subscription, topics: &dyn TopicView) -> Partitions {
    let mut owned = Partitions::new();
    for (name, of) in &subscription.owned {
        if let Some(fact) = topics.by_name(name) {
            let of = of.iter().filter_map(|number| u32::try_from(*number).ok());
            owned.entry(fact.id).or_default().extend(of);
        }
    }
    owned
}

impl Group {
    /// Whether it can become a group of the new protocol while it has members.
    pub(crate) fn can_convert(&self, size_max: usize) -> bool {
        self.protocol_type() == CONSUMER && self.members.len() <= size_max
    }
}
