//! One member on its way from what it has to its target. Source: Kafka's
//! `CurrentAssignmentBuilder`.

use std::collections::BTreeMap;

use storage::TopicId;

use super::super::group::Now;
use super::super::member::MemberId;
use super::member::{ConsumerMember, MemberState};
use super::{ConsumerGroup, Owned, Partitions, Timer};

impl ConsumerGroup {
    /// Takes a member one step on. `owned`: what it says that it has, where it says so.
    pub(super) fn reconcile(&mut self, id: &MemberId, owned: Option<&Partitions>, now: Now) {
        let Some(member) = self.members.get(id) else {
            return;
        };
        if self.is_settled(member) {
            return;
        }
        let waits = member.state == MemberState::Unrevoked && holds(owned, &member.revoking);
        if waits {
            return;
        }
        let mut next = member.clone();
        self.step(id, &mut next, owned);
        if next == *member {
            return;
        }
        let revokes = next.state == MemberState::Unrevoked && next.classic.is_none();
        let rebalance_end = revokes.then(|| now.monotonic + next.rebalance_timeout);
        self.replace_partitions(id, next);
        self.set_timer(Timer::Rebalance, id, rebalance_end);
        self.is_dirty = true;
    }

    /// What comes next for a member that has let go of what it was told to.
    fn step(&self, id: &MemberId, member: &mut ConsumerMember, owned: Option<&Partitions>) {
        let mut kept = Owned::new();
        let mut revoked = Owned::new();
        for (topic, of) in &member.assigned {
            let target = member.target.get(topic);
            for (partition, epoch) in of {
                let stays = target.is_some_and(|target| target.contains(partition));
                let side = if stays { &mut kept } else { &mut revoked };
                side.entry(*topic).or_default().insert(*partition, *epoch);
            }
        }
        if !revoked.is_empty() && holds(owned, &revoked) {
            member.state = MemberState::Unrevoked;
            member.assigned = kept;
            member.revoking = revoked;
            return;
        }
        let mut waits = false;
        for (topic, target) in &member.target {
            let of: &mut BTreeMap<u32, i32> = kept.entry(*topic).or_default();
            for partition in target {
                if of.contains_key(partition) {
                } else if self.is_free(*topic, *partition, id) {
                    of.insert(*partition, self.target_epoch);
                } else {
                    waits = true;
                }
            }
        }
        kept.retain(|_, of| !of.is_empty());
        member.state = if waits {
            MemberState::Unreleased
        } else {
            MemberState::Stable
        };
        member.assigned = kept;
        member.revoking = Owned::new();
        member.enter_epoch(self.target_epoch);
    }

    /// Whether a member may take a partition: nobody else has it.
    pub(super) fn is_free(&self, topic: TopicId, partition: u32, id: &MemberId) -> bool {
        let owner = self.owners.get(&(topic, partition));
        owner.is_none_or(|owner| owner == id)
    }

    /// Whether a member waits for others to let go of something.
    pub(super) fn waits_for_others(&self, id: &MemberId, member: &ConsumerMember) -> bool {
        let mut wanted = member.target.iter().flat_map(|(topic, of)| {
            let has = member.assigned.get(topic);
            let lacks = of
                .iter()
                .filter(move |n| has.is_none_or(|has| !has.contains_key(n)));
            lacks.map(|partition| (*topic, *partition))
        });
        wanted.any(|(topic, partition)| !self.is_free(topic, partition, id))
    }

    /// Puts the new state of a member in the place of the old one.
    pub(super) fn replace_partitions(&mut self, id: &MemberId, next: ConsumerMember) {
        let member = self.members.get_mut(id).expect("a member is replaced");
        let before: Vec<_> = member.owned_partitions().collect();
        let after: Vec<_> = next.owned_partitions().collect();
        *member = next;
        for place in before {
            self.owners.remove(&place);
        }
        for (topic, partition) in after {
            self.own(topic, partition, id);
        }
    }
}

/// Whether a member still has any of these, as far as it is known: who says nothing has them all.
fn holds(owned: Option<&Partitions>, of: &Owned) -> bool {
    let Some(owned) = owned else {
        return true;
    };
    let has = |(topic, partitions): (&TopicId, &BTreeMap<u32, i32>)| {
        let said = owned.get(topic);
        said.is_some_and(|said| partitions.keys().any(|partition| said.contains(partition)))
    };
    of.iter().any(has)
}
