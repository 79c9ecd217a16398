//! The phases of a rebalance, and what time brings about.

use std::sync::Arc;
use std::time::Duration;

use super::GroupError;
use super::group::{Effects, Group, GroupConfig, GroupState, InitialDelay, JoinEnd, Now};
use super::join::refuse;
use super::member::{MemberId, Reply};

impl Group {
    /// Somebody came or changed: a new rebalance, or one step more of the one under way.
    pub(super) fn prepare_or_complete(
        &mut self,
        config: &GroupConfig,
        now: Now,
        effects: &mut Effects,
    ) {
        if self.state == GroupState::PreparingRebalance {
            self.complete_if_all_joined(now, effects);
        } else {
            self.prepare(config, now, effects);
        }
    }

    /// Asks all members to join again.
    pub(super) fn prepare(&mut self, config: &GroupConfig, now: Now, effects: &mut Effects) {
        if self.state == GroupState::CompletingRebalance {
            self.refuse_syncs(&GroupError::RebalanceInProgress, effects);
            self.clear_assignments();
        }
        self.sync_end = None;
        let was_empty = self.is_empty();
        self.enter(GroupState::PreparingRebalance, now);
        if !was_empty {
            let at = now.monotonic + self.rebalance_timeout();
            self.join_end = Some(JoinEnd { at, initial: None });
            return self.complete_if_all_joined(now, effects);
        }
        let step = config.initial_delay;
        let left = self.rebalance_timeout().saturating_sub(step);
        self.join_end = Some(JoinEnd {
            at: now.monotonic + step,
            initial: Some(InitialDelay { step, left }),
        });
        self.new_member_added = false;
        if step.is_zero() {
            self.complete(now, effects);
        }
    }

    /// The first members of a group are waited for as long as `join_end` says.
    pub(super) fn complete_if_all_joined(&mut self, now: Now, effects: &mut Effects) {
        let initial = self.join_end.is_some_and(|end| end.initial.is_some());
        let nobody = self.members.is_empty() && self.pending.is_empty();
        if self.state == GroupState::PreparingRebalance && self.all_joined() && (!initial || nobody)
        {
            self.complete(now, effects);
        }
    }

    /// Ends the join phase: who did not come is out, who came is told the generation.
    fn complete(&mut self, now: Now, effects: &mut Effects) {
        let late = self.members.iter();
        let late = late.filter(|(_, m)| m.join.is_none() && m.instance_id.is_none());
        let late: Vec<MemberId> = late.map(|(id, _)| Arc::clone(id)).collect();
        for id in late {
            self.remove(&id, effects);
        }
        if !self.members.is_empty() && !self.elect() {
            // Only static members are left, and none of them came: their sessions decide.
            let at = now.monotonic + self.rebalance_timeout();
            self.join_end = Some(JoinEnd { at, initial: None });
            return;
        }
        self.join_end = None;
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        effects.store = true;
        if self.members.is_empty() {
            self.protocol = None;
            self.subscribed = self.compute_subscribed();
            self.enter(GroupState::Empty, now);
            return;
        }
        self.protocol = Some(self.select_protocol());
        self.subscribed = self.compute_subscribed();
        self.clear_assignments();
        self.enter(GroupState::CompletingRebalance, now);
        self.tell_all(now, effects);
        self.sync_end = Some(now.monotonic + self.rebalance_timeout());
    }

    /// A leader among those who came.
    fn elect(&mut self) -> bool {
        let came = |id: &MemberId| self.members.get(id).is_some_and(|m| m.join.is_some());
        if self.leader.as_ref().is_some_and(came) {
            return true;
        }
        let joined = self.members.iter().filter(|(_, m)| m.join.is_some());
        let oldest = joined.min_by_key(|(_, member)| member.order);
        let oldest = oldest.map(|(id, _)| Arc::clone(id));
        let found = oldest.is_some();
        if found {
            self.leader = oldest;
        }
        found
    }

    fn tell_all(&mut self, now: Now, effects: &mut Effects) {
        let mut all = Some(self.joined_members());
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for id in ids {
            let members = if self.is_leader(&id) {
                all.take().unwrap_or_default()
            } else {
                Vec::new()
            };
            let answer = self.joined_answer(&id, members);
            let member = self.members.get_mut(&id).expect("of the list");
            member.is_new = false;
            member.syncs = true;
            if let Some(waiter) = member.join.take() {
                effects.replies.push(Reply::Join(waiter, answer));
                self.is_alive(&id, now);
            }
        }
    }

    pub(super) fn refuse_syncs(&mut self, error: &GroupError, effects: &mut Effects) {
        for member in self.members.values_mut() {
            if let Some(waiter) = member.sync.take() {
                effects
                    .replies
                    .push(Reply::Sync(waiter, Err(error.clone())));
            }
        }
    }

    /// Answers everybody who waits; they stay members.
    pub(super) fn take_waiting(&mut self, error: &GroupError) -> Vec<Reply> {
        let mut effects = Effects::default();
        self.refuse_syncs(error, &mut effects);
        for (id, member) in &mut self.members {
            if let Some(waiter) = member.join.take() {
                refuse(&mut effects, waiter, id, error.clone());
            }
        }
        effects.replies
    }

    pub(super) fn clear_assignments(&mut self) {
        for member in self.members.values_mut() {
            self.bytes -= member.assignment.len();
            member.assignment.clear();
        }
    }

    /// Takes a member or an id that was given out from the group, whoever waits with it.
    pub(super) fn remove(&mut self, id: &str, effects: &mut Effects) {
        self.take_back(id);
        let Some(member) = self.members.remove(id) else {
            return;
        };
        self.bytes -= member.bytes();
        self.deadlines.remove(&(member.session_end, Arc::from(id)));
        self.discount_protocols(&member.protocols);
        if let Some(instance) = &member.instance_id {
            self.statics.remove(instance);
        }
        let unknown = || GroupError::UnknownMember {
            member: id.to_owned(),
        };
        if let Some(waiter) = member.join {
            refuse(effects, waiter, "", unknown());
        }
        if let Some(waiter) = member.sync {
            effects.replies.push(Reply::Sync(waiter, Err(unknown())));
        }
        if self.is_leader(id) {
            let oldest = self.members.iter().min_by_key(|(_, member)| member.order);
            self.leader = oldest.map(|(id, _)| Arc::clone(id));
        }
    }

    /// After members have gone.
    pub(super) fn after_removal(&mut self, config: &GroupConfig, now: Now, effects: &mut Effects) {
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance => {
                self.prepare(config, now, effects);
            }
            GroupState::PreparingRebalance => self.complete_if_all_joined(now, effects),
            GroupState::Empty | GroupState::Assigning | GroupState::Reconciling => {}
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, config: &GroupConfig, now: Now) -> Effects {
        let mut effects = Effects::default();
        let due = |at: Duration| at <= now.monotonic;
        let over = self.deadlines.iter().take_while(|(at, _)| due(*at));
        let over: Vec<MemberId> = over.map(|(_, id)| Arc::clone(id)).collect();
        let (forgotten, silent): (Vec<_>, Vec<_>) = over
            .into_iter()
            .partition(|id| self.pending.contains_key(id));
        for id in &forgotten {
            self.take_back(id);
        }
        if !forgotten.is_empty() {
            self.complete_if_all_joined(now, &mut effects);
        }
        self.expire_sessions(silent, config, now, &mut effects);
        if self.sync_end.is_some_and(due) {
            self.sync_end = None;
            let absent = self.members.iter().filter(|(_, member)| member.syncs);
            let absent: Vec<MemberId> = absent.map(|(id, _)| Arc::clone(id)).collect();
            for id in &absent {
                self.remove(id, &mut effects);
            }
            if !absent.is_empty() {
                self.prepare(config, now, &mut effects);
            }
        }
        if let Some(end) = self.join_end.filter(|end| due(end.at)) {
            self.join_time_over(end, config, now, &mut effects);
        }
        effects
    }

    fn expire_sessions(
        &mut self,
        silent: Vec<MemberId>,
        config: &GroupConfig,
        now: Now,
        effects: &mut Effects,
    ) {
        let mut dead = Vec::new();
        for id in silent {
            let Some(member) = self.members.get(&id) else {
                continue;
            };
            // It may have been heard of meanwhile, as one that waited for those forgotten.
            if member.session_end > now.monotonic {
                continue;
            }
            let waits = member.join.is_some() || member.sync.is_some();
            if waits && !member.is_new {
                self.is_alive(&id, now);
            } else {
                dead.push(id);
            }
        }
        if dead.is_empty() {
            return;
        }
        for id in dead {
            self.remove(&id, effects);
        }
        self.after_removal(config, now, effects);
    }

    fn join_time_over(
        &mut self,
        end: JoinEnd,
        config: &GroupConfig,
        now: Now,
        effects: &mut Effects,
    ) {
        match end.initial {
            Some(InitialDelay { step, left }) if self.new_member_added && !left.is_zero() => {
                self.new_member_added = false;
                let next = config.initial_delay.min(left);
                self.join_end = Some(JoinEnd {
                    at: now.monotonic + next,
                    initial: Some(InitialDelay {
                        step: next,
                        left: left.saturating_sub(step),
                    }),
                });
            }
            _ => self.complete(now, effects),
        }
    }

    /// The state could not be made durable: what it promised is not given out, and the members
    /// are asked to join again.
    pub(crate) fn store_failed(&mut self, config: &GroupConfig, now: Now) -> Effects {
        let mut effects = Effects::default();
        if matches!(
            self.state,
            GroupState::Stable | GroupState::CompletingRebalance
        ) {
            self.prepare(config, now, &mut effects);
        }
        effects
    }
}
