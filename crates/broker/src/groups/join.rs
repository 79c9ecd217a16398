//! Joining: new members, returning ones, static ones that take a place over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::GroupError;
use super::group::{
    Effects, Group, GroupConfig, GroupState, NEW_MEMBER_JOIN_MAX, Now, pending_bytes,
};
use super::member::{
    JoinAnswer, JoinGroup, JoinWaiter, Joined, Member, MemberId, Reply, protocol_bytes,
};

/// What a join needs beside the request.
#[derive(Debug)]
pub(crate) struct Joining<'a> {
    pub(crate) config: &'a GroupConfig,
    pub(crate) now: Now,
    /// An id that no member ever had.
    pub(crate) fresh_id: MemberId,
    pub(crate) waiter: JoinWaiter,
}

/// A length in ms as a client says it; below zero it is none.
fn span(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

impl Group {
    /// A request to join. The session timeout was checked.
    pub(crate) fn join(&mut self, mut request: JoinGroup, joining: Joining<'_>) -> Effects {
        let mut effects = Effects::default();
        // A protocol named twice would count for two members.
        let mut named = BTreeSet::new();
        request
            .protocols
            .retain(|(name, _)| named.insert(name.clone()));
        let member_id = request.member_id.clone();
        if !self.has_room_for(&member_id, joining.config) {
            self.remove(&member_id, &mut effects);
            let limit = joining.config.size_max;
            refuse(&mut effects, joining.waiter, "", GroupError::Full { limit });
            return effects;
        }
        let refusal = if !self.supports(&request.protocol_type, &request.protocols) {
            Some(GroupError::InconsistentProtocol)
        } else if !self.has_bytes_for(&request, joining.config) {
            let limit_bytes = joining.config.bytes_max;
            Some(GroupError::TooLarge { limit_bytes })
        } else {
            None
        };
        if let Some(error) = refusal {
            refuse(&mut effects, joining.waiter, &member_id, error);
        } else if member_id.is_empty() {
            self.join_new(request, joining, &mut effects);
        } else if self.pending.contains_key(&*member_id) {
            self.add(member_id.into(), request, joining, &mut effects);
        } else {
            self.join_known(request, joining, &mut effects);
        }
        effects
    }

    fn has_room_for(&self, member_id: &str, config: &GroupConfig) -> bool {
        match self.state {
            GroupState::Empty => true,
            _ if self.members.len() < config.size_max => true,
            GroupState::PreparingRebalance => {
                let awaiting = |member: &Member| member.join.is_some();
                let count = self.members.values().filter(|m| awaiting(m)).count();
                self.members.get(member_id).is_some_and(awaiting) || count < config.size_max
            }
            GroupState::CompletingRebalance
            | GroupState::Stable
            | GroupState::Assigning
            | GroupState::Reconciling => self.members.contains_key(member_id),
        }
    }

    fn has_bytes_for(&self, request: &JoinGroup, config: &GroupConfig) -> bool {
        let known = self
            .members
            .get(&*request.member_id)
            .map_or(0, Member::bytes);
        let pending = self.pending.get_key_value(&*request.member_id);
        let pending = pending.map_or(0, |(id, _)| pending_bytes(id));
        self.bytes() - known - pending + request.bytes() <= config.bytes_max
    }

    fn join_new(&mut self, request: JoinGroup, joining: Joining<'_>, effects: &mut Effects) {
        let fresh_id = Arc::clone(&joining.fresh_id);
        let instance_id = request.instance_id.as_deref();
        if let Some(old) = instance_id.and_then(|name| self.statics.get(name)) {
            let old = Arc::clone(old);
            return self.take_over(&old, request, joining, effects);
        }
        if instance_id.is_none() && request.requires_member_id {
            let until = joining.now.monotonic + span(request.session_timeout_ms);
            let limit_bytes = joining.config.bytes_max;
            if self.give_out(Arc::clone(&fresh_id), until, limit_bytes) {
                let error = GroupError::MemberIdRequired;
                return refuse(effects, joining.waiter, &fresh_id, error);
            }
            let error = GroupError::TooLarge { limit_bytes };
            return refuse(effects, joining.waiter, "", error);
        }
        self.add(fresh_id, request, joining, effects);
    }

    fn join_known(&mut self, request: JoinGroup, joining: Joining<'_>, effects: &mut Effects) {
        let member_id = request.member_id.clone();
        if let Err(error) = self.validate(&member_id, request.instance_id.as_deref()) {
            return refuse(effects, joining.waiter, &member_id, error);
        }
        let member = self.members.get(&*member_id).expect("validated");
        let same = member.protocols == request.protocols;
        let told_again = match self.state {
            // It may have missed the answer.
            GroupState::CompletingRebalance => same,
            // A leader joins again to have the group assigned anew.
            GroupState::Stable => same && !self.is_leader(&member_id),
            GroupState::Empty
            | GroupState::PreparingRebalance
            | GroupState::Assigning
            | GroupState::Reconciling => false,
        };
        if told_again {
            let members = if self.is_leader(&member_id) {
                self.joined_members()
            } else {
                Vec::new()
            };
            let answer = self.joined_answer(&member_id, members);
            effects.replies.push(Reply::Join(joining.waiter, answer));
            return;
        }
        self.update(&member_id, request, Some(joining.waiter), effects);
        self.prepare_or_complete(joining.config, joining.now, effects);
    }

    fn add(
        &mut self,
        id: MemberId,
        request: JoinGroup,
        joining: Joining<'_>,
        effects: &mut Effects,
    ) {
        let instance_id: Option<Arc<str>> = request.instance_id.map(Into::into);
        if self.state == GroupState::PreparingRebalance && self.previous == GroupState::Empty {
            self.new_member_added = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type);
        }
        self.take_back(&id);
        if let Some(instance_id) = &instance_id {
            let before = self
                .statics
                .insert(Arc::clone(instance_id), Arc::clone(&id));
            assert!(before.is_none(), "an instance id has one member");
        }
        self.leader.get_or_insert_with(|| Arc::clone(&id));
        let member = Member {
            instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout: span(request.rebalance_timeout_ms),
            session_timeout: span(request.session_timeout_ms),
            protocols: request.protocols,
            assignment: Bytes::new(),
            order: self.next_order,
            is_new: true,
            syncs: false,
            session_end: joining.now.monotonic + NEW_MEMBER_JOIN_MAX,
            join: Some(joining.waiter),
            sync: None,
        };
        self.next_order += 1;
        self.bytes += member.bytes();
        self.count_protocols(&member.protocols);
        self.deadlines.insert((member.session_end, Arc::clone(&id)));
        let before = self.members.insert(id, member);
        assert!(before.is_none(), "an id is given once");
        self.prepare_or_complete(joining.config, joining.now, effects);
    }

    /// What a member says of itself now. Who waited with its id before is told to find out.
    fn update(
        &mut self,
        id: &str,
        request: JoinGroup,
        waiter: Option<JoinWaiter>,
        effects: &mut Effects,
    ) {
        let member = self.members.get_mut(id).expect("validated");
        let before = std::mem::replace(&mut member.protocols, request.protocols);
        member.rebalance_timeout = span(request.rebalance_timeout_ms);
        member.session_timeout = span(request.session_timeout_ms);
        if let Some(earlier) = std::mem::replace(&mut member.join, waiter) {
            let error = GroupError::RebalanceInProgress;
            refuse(effects, earlier, id, error);
        }
        let protocols = member.protocols.clone();
        self.bytes = self.bytes + protocol_bytes(&protocols) - protocol_bytes(&before);
        self.discount_protocols(&before);
        self.count_protocols(&protocols);
    }

    /// A static member comes back without its id: it gets a new one, and the old one is fenced.
    fn take_over(
        &mut self,
        old: &str,
        request: JoinGroup,
        joining: Joining<'_>,
        effects: &mut Effects,
    ) {
        let old_leader = self.leader.clone();
        let id = Arc::clone(&joining.fresh_id);
        self.rename(old, &id, effects);
        let (skips, now) = (request.skips_assignment, joining.now);
        let session = span(request.session_timeout_ms);
        self.extend_session(&id, |_| now.monotonic + session);
        match self.state {
            GroupState::Stable => {
                self.update(&id, request, None, effects);
                if Some(self.select_protocol()) != self.protocol {
                    let member = self.members.get_mut(&id).expect("renamed");
                    member.join = Some(joining.waiter);
                    return self.prepare_or_complete(joining.config, now, effects);
                }
                // The new id must outlive a crash, or its owner would be unknown.
                effects.store = true;
                let leads = self.is_leader(&id);
                let members = if leads && skips {
                    self.joined_members()
                } else {
                    Vec::new()
                };
                let mut answer = self.joined_answer(&id, members);
                if let Ok(joined) = &mut answer.outcome {
                    joined.skip_assignment = leads && skips;
                    if leads && !skips {
                        // It would assign anew with a list of one: let it take itself for a
                        // follower.
                        old_leader
                            .as_deref()
                            .unwrap_or_default()
                            .clone_into(&mut joined.leader);
                    }
                }
                effects.replies.push(Reply::Join(joining.waiter, answer));
            }
            // The leader may be assigning to the old id right now.
            GroupState::CompletingRebalance
            | GroupState::PreparingRebalance
            | GroupState::Assigning
            | GroupState::Reconciling
            | GroupState::Empty => {
                self.update(&id, request, Some(joining.waiter), effects);
                self.prepare_or_complete(joining.config, now, effects);
            }
        }
    }

    fn rename(&mut self, old: &str, id: &MemberId, effects: &mut Effects) {
        let mut member = self
            .members
            .remove(old)
            .expect("a static member is a member");
        let instance = member.instance_id.clone().expect("only static ones return");
        let fenced = || GroupError::FencedInstance {
            instance: instance.to_string(),
        };
        member.is_new = false;
        if let Some(waiter) = member.join.take() {
            refuse(effects, waiter, old, fenced());
        }
        if let Some(waiter) = member.sync.take() {
            effects.replies.push(Reply::Sync(waiter, Err(fenced())));
        }
        if self.is_leader(old) {
            self.leader = Some(Arc::clone(id));
        }
        self.statics.insert(instance, Arc::clone(id));
        self.deadlines.remove(&(member.session_end, Arc::from(old)));
        self.deadlines.insert((member.session_end, Arc::clone(id)));
        self.members.insert(Arc::clone(id), member);
    }

    /// The generation, as a member sees it.
    pub(super) fn joined_answer(
        &self,
        member_id: &str,
        members: Vec<super::member::JoinedMember>,
    ) -> JoinAnswer {
        JoinAnswer {
            member_id: member_id.to_owned(),
            outcome: Ok(Joined {
                generation: self.generation,
                protocol_type: self.protocol_type().to_owned(),
                protocol: self.protocol.clone().unwrap_or_default(),
                leader: self.leader.as_deref().unwrap_or_default().to_owned(),
                skip_assignment: false,
                members,
            }),
        }
    }
}

pub(super) fn refuse(effects: &mut Effects, waiter: JoinWaiter, id: &str, error: GroupError) {
    let answer = JoinAnswer::refused(id, error);
    effects.replies.push(Reply::Join(waiter, answer));
}
