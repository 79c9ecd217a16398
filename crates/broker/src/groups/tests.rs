//! The coordinator: the machine by tables, the machine under churn, and what is durable when.

mod churn;
mod durable;
mod machine;
mod offsets;
mod own_configs;
mod scale;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::group::{Effects, Group, GroupConfig, Now};
use super::join::Joining;
use super::member::{JoinAnswer, JoinGroup, Membership, SyncAnswer, SyncGroup};

pub(super) fn at(ms: u64) -> Now {
    Now {
        monotonic: Duration::from_millis(ms),
        wall_ms: 1_800_000_000_000 + i64::try_from(ms).expect("small"),
    }
}

pub(super) fn join_request(member_id: &str, protocols: &[&str]) -> JoinGroup {
    let named = |name: &&str| ((*name).to_owned(), Bytes::copy_from_slice(name.as_bytes()));
    JoinGroup {
        member_id: member_id.to_owned(),
        client_id: "c".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        protocol_type: "test".to_owned(),
        protocols: protocols.iter().map(named).collect(),
        skips_assignment: true,
        ..JoinGroup::default()
    }
}

pub(super) type JoinReceiver = oneshot::Receiver<JoinAnswer>;
pub(super) type SyncReceiver = oneshot::Receiver<SyncAnswer>;

/// Joins; the effects are for the caller to carry out.
pub(super) fn join(
    group: &mut Group,
    config: &GroupConfig,
    now: Now,
    fresh_id: &str,
    request: JoinGroup,
) -> (JoinReceiver, Effects) {
    let (waiter, receiver) = oneshot::channel();
    let joining = Joining {
        config,
        now,
        fresh_id: fresh_id.into(),
        waiter,
    };
    let effects = group.join(request, joining);
    group.assert_whole();
    (receiver, effects)
}

pub(super) fn sync(
    group: &mut Group,
    config: &GroupConfig,
    now: Now,
    member: Membership,
    assignments: &[(&str, &[u8])],
) -> (SyncReceiver, Effects) {
    let (waiter, receiver) = oneshot::channel();
    let given = |(id, bytes): &(&str, &[u8])| ((*id).to_owned(), Bytes::copy_from_slice(bytes));
    let request = SyncGroup {
        member,
        assignments: assignments.iter().map(given).collect(),
        ..SyncGroup::default()
    };
    let effects = group.sync(request, waiter, config, now);
    group.assert_whole();
    (receiver, effects)
}

pub(super) fn member(member_id: &str, generation: i32) -> Membership {
    Membership {
        generation,
        member_id: member_id.to_owned(),
        instance_id: None,
    }
}

/// Lets all answers go.
pub(super) fn send(effects: Effects) {
    effects.replies.into_iter().for_each(super::Reply::send);
}
