//! What members do between two joins: fetch their assignment, give signs of life, leave, commit.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::GroupError;
use super::group::{Effects, Group, GroupConfig, GroupState, Now};
use super::member::{Leaving, MemberId, Membership, Reply, SyncGroup, SyncWaiter, Synced};

impl Group {
    /// A request for the assignment of the generation.
    pub(crate) fn sync(
        &mut self,
        request: SyncGroup,
        waiter: SyncWaiter,
        config: &GroupConfig,
        now: Now,
    ) -> Effects {
        let mut effects = Effects::default();
        if let Err(error) = self.validate_sync(&request) {
            effects.replies.push(Reply::Sync(waiter, Err(error)));
            return effects;
        }
        let id = request.member.member_id;
        if self.state == GroupState::Stable {
            self.has_synced(&id);
            let answer = Ok(self.synced(&id));
            effects.replies.push(Reply::Sync(waiter, answer));
            return effects;
        }
        let leads = self.is_leader(&id);
        let sizes = request.assignments.iter().map(|(_, bytes)| bytes.len());
        if leads && self.bytes.saturating_add(sizes.sum()) > config.bytes_max {
            let limit_bytes = config.bytes_max;
            let error = GroupError::TooLarge { limit_bytes };
            effects.replies.push(Reply::Sync(waiter, Err(error)));
            return effects;
        }
        self.has_synced(&id);
        let member = self.members.get_mut(&*id).expect("validated");
        if let Some(earlier) = member.sync.replace(waiter) {
            let error = GroupError::RebalanceInProgress;
            effects.replies.push(Reply::Sync(earlier, Err(error)));
        }
        if leads {
            self.assign(request.assignments, now, &mut effects);
        }
        effects
    }

    fn validate_sync(&self, request: &SyncGroup) -> Result<(), GroupError> {
        let member = &request.member;
        let instance_id = member.instance_id.as_deref();
        self.validate_generation(&member.member_id, instance_id, member.generation)?;
        let differs = |said: &Option<String>, is: &Option<String>| said.is_some() && said != is;
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol, &self.protocol)
        {
            return Err(GroupError::InconsistentProtocol);
        }
        match self.state {
            GroupState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            GroupState::Empty
            | GroupState::CompletingRebalance
            | GroupState::Assigning
            | GroupState::Reconciling
            | GroupState::Stable => Ok(()),
        }
    }

    fn has_synced(&mut self, id: &str) {
        let member = self.members.get_mut(id).expect("validated");
        member.syncs = false;
        if self.members.values().all(|member| !member.syncs) {
            // While the leader is awaited there is somebody who has to come.
            if self.state == GroupState::Stable || self.is_leader(id) {
                self.sync_end = None;
            }
        }
    }

    fn synced(&self, id: &str) -> Synced {
        let assignment = self.members.get(id).map(|member| member.assignment.clone());
        Synced {
            protocol_type: self.protocol_type().to_owned(),
            protocol: self.protocol.clone().unwrap_or_default(),
            assignment: assignment.unwrap_or_default(),
        }
    }

    /// The leader has spoken: whom it left out gets nothing, whom it made up is nobody.
    fn assign(&mut self, assignments: Vec<(String, Bytes)>, now: Now, effects: &mut Effects) {
        let mut given: HashMap<String, Bytes> = assignments.into_iter().collect();
        self.clear_assignments();
        for (id, member) in &mut self.members {
            member.assignment = given.remove(&**id).unwrap_or_default();
            self.bytes += member.assignment.len();
        }
        self.enter(GroupState::Stable, now);
        if self.members.values().all(|member| !member.syncs) {
            self.sync_end = None;
        }
        effects.store = true;
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for id in ids {
            let answer = self.synced(&id);
            let member = self.members.get_mut(&id).expect("of the list");
            if let Some(waiter) = member.sync.take() {
                effects.replies.push(Reply::Sync(waiter, Ok(answer)));
                self.is_alive(&id, now);
            }
        }
    }

    /// A sign of life.
    pub(crate) fn heartbeat(&mut self, from: &Membership, now: Now) -> Result<(), GroupError> {
        let instance_id = from.instance_id.as_deref();
        self.validate_generation(&from.member_id, instance_id, from.generation)?;
        self.is_alive(&from.member_id, now);
        match self.state {
            GroupState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            GroupState::CompletingRebalance
            | GroupState::Assigning
            | GroupState::Reconciling
            | GroupState::Stable
            | GroupState::Empty => Ok(()),
        }
    }

    pub(super) fn is_alive(&mut self, id: &str, now: Now) {
        self.extend_session(id, |member| now.monotonic + member.session_timeout);
    }

    /// Members leave, or are made to; one outcome for each.
    pub(crate) fn leave(
        &mut self,
        leaving: &[Leaving],
        config: &GroupConfig,
        now: Now,
    ) -> (Vec<Result<(), GroupError>>, Effects) {
        let mut effects = Effects::default();
        let outcomes: Vec<_> = leaving
            .iter()
            .map(|one| {
                let id = self.leaving_id(one)?;
                self.remove(&id, &mut effects);
                Ok(())
            })
            .collect();
        if outcomes.iter().any(Result::is_ok) {
            self.after_removal(config, now, &mut effects);
        }
        (outcomes, effects)
    }

    fn leaving_id(&self, leaving: &Leaving) -> Result<MemberId, GroupError> {
        let id = leaving.member_id.as_str();
        let instance_id = leaving.instance_id.as_deref();
        if id.is_empty() {
            let holder = instance_id.and_then(|name| self.statics.get(name));
            return holder.cloned().ok_or_else(|| GroupError::UnknownMember {
                member: id.to_owned(),
            });
        }
        if let Some((pending, _)) = self.pending.get_key_value(id) {
            return Ok(Arc::clone(pending));
        }
        self.validate(id, instance_id)?;
        Ok(id.into())
    }

    /// Whether offsets may be committed by who says to be `from`; it is a sign of life.
    pub(crate) fn commits(&mut self, from: &Membership, now: Now) -> Result<(), GroupError> {
        if from.generation < 0 && self.is_empty() {
            return Ok(());
        }
        let nobody = from.member_id.is_empty() && from.instance_id.is_none();
        if from.generation < 0 && nobody {
            let member = String::new();
            return Err(GroupError::UnknownMember { member });
        }
        let instance_id = from.instance_id.as_deref();
        self.validate_generation(&from.member_id, instance_id, from.generation)?;
        if self.state == GroupState::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        self.is_alive(&from.member_id, now);
        Ok(())
    }
}
