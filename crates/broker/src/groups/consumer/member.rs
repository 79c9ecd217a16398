//! One member of a group of the new protocol: what it says of itself, and how far it is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use storage::TopicId;

use super::super::member::protocol_bytes;
use super::{Assignor, Owned, Partitions, Timer};

/// What a member counts beside its texts.
const MEMBER_BYTES: usize = 512;
/// What a name of a topic counts beside its text.
const NAME_BYTES: usize = 32;

/// The epoch of a static member that is away for a while.
pub(super) const AWAY: i32 = -2;

/// How far a member is on its way to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberState {
    /// It has all of it, if it is in the epoch of the target.
    Stable,
    /// It was told to let go of partitions and has not said yet that it did.
    Unrevoked,
    /// Others have not let go yet of what it is to get.
    Unreleased,
}

/// What is kept of a member that speaks the classic protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClassicPart {
    pub(super) session_timeout: Duration,
    /// The protocols it supports, the preferred first, each with its metadata.
    pub(super) protocols: Vec<(String, Bytes)>,
}

/// See the head of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConsumerMember {
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) rack_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) rebalance_timeout: Duration,
    pub(super) names: BTreeSet<String>,
    pub(super) regex: Option<String>,
    pub(super) assignor: Option<Assignor>,
    pub(super) epoch: i32,
    pub(super) previous_epoch: i32,
    pub(super) state: MemberState,
    /// What it has, or is told to take.
    pub(super) assigned: Owned,
    /// What it is told to let go of.
    pub(super) revoking: Owned,
    /// What it is to have in the end.
    pub(super) target: Partitions,
    pub(super) classic: Option<ClassicPart>,
    /// What it subscribes to, of the topics that there are.
    pub(super) topics: BTreeSet<TopicId>,
    pub(super) timers: [Option<Duration>; 4],
}

impl ConsumerMember {
    /// A member that nobody knows yet.
    pub(super) fn new() -> Self {
        Self {
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            rebalance_timeout: Duration::ZERO,
            names: BTreeSet::new(),
            regex: None,
            assignor: None,
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            assigned: Owned::new(),
            revoking: Owned::new(),
            target: Partitions::new(),
            classic: None,
            topics: BTreeSet::new(),
            timers: [None; 4],
        }
    }

    pub(super) fn timer_at(&self, timer: Timer) -> Option<Duration> {
        let [session, rebalance, join, sync] = self.timers;
        match timer {
            Timer::Session => session,
            Timer::Rebalance => rebalance,
            Timer::Join => join,
            Timer::Sync => sync,
        }
    }

    pub(super) fn timer(&mut self, timer: Timer) -> &mut Option<Duration> {
        let [session, rebalance, join, sync] = &mut self.timers;
        match timer {
            Timer::Session => session,
            Timer::Rebalance => rebalance,
            Timer::Join => join,
            Timer::Sync => sync,
        }
    }

    /// All that nobody else may have.
    pub(super) fn owned_partitions(&self) -> impl Iterator<Item = (TopicId, u32)> + '_ {
        let all = self.assigned.iter().chain(&self.revoking);
        all.flat_map(|(topic, of)| of.keys().map(|partition| (*topic, *partition)))
    }

    pub(super) fn enter_epoch(&mut self, epoch: i32) {
        if self.epoch != epoch {
            self.previous_epoch = std::mem::replace(&mut self.epoch, epoch);
        }
    }

    /// Bytes that count against the limit of a group.
    pub(super) fn bytes(&self) -> usize {
        let texts = [
            self.instance_id.as_deref(),
            self.rack_id.as_deref(),
            self.regex.as_deref(),
            Some(&*self.client_id),
        ];
        let texts: usize = texts.into_iter().flatten().map(str::len).sum();
        let names: usize = self.names.iter().map(|name| NAME_BYTES + name.len()).sum();
        let classic = self.classic.as_ref();
        let classic = classic.map_or(0, |classic| protocol_bytes(&classic.protocols));
        MEMBER_BYTES + texts + names + classic
    }
}

/// The partitions without their epochs.
pub(super) fn without_epochs(owned: &Owned) -> Partitions {
    let keys = |of: &std::collections::BTreeMap<u32, i32>| of.keys().copied().collect();
    owned.iter().map(|(topic, of)| (*topic, keys(of))).collect()
}
