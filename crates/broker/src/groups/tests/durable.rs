//! What is on disk when a member hears of it, and what a restart brings back.

use std::sync::Arc;

use storage::{CommitError, Space};

use super::super::{GroupError, GroupState, Leaving};
use super::*;
use crate::Broker;
use crate::harness::{Harness, failure};

/// Polls a future once more after the keeper has stored what waited.
pub(super) async fn stored<T>(broker: &Broker, future: impl Future<Output = T>) -> T {
    let keeper = async {
        loop {
            broker.groups().fire_timers();
            if !broker.groups().work_off().await {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::select! {
        outcome = future => outcome,
        () = keeper => unreachable!("the keeper does not end"),
    }
}

/// A stable group of one; its member id.
pub(super) async fn alone(broker: &Broker, group: &str, request: JoinGroup) -> String {
    let joined = stored(broker, broker.groups().join(group, request)).await;
    let generation = joined.outcome.expect("joined").generation;
    let id = joined.member_id;
    let request = SyncGroup {
        member: member(&id, generation),
        assignments: vec![(id.clone(), Bytes::from_static(b"all"))],
        ..SyncGroup::default()
    };
    let synced = stored(broker, broker.groups().sync(group, request)).await;
    assert_eq!(synced.expect("assigned").assignment, "all");
    id
}

pub(super) async fn leave(broker: &Broker, group: &str, id: &str) {
    let leaving = Leaving {
        member_id: id.to_owned(),
        instance_id: None,
    };
    let left = broker.groups().leave(group, &[leaving]);
    assert_eq!(left, Ok(vec![Ok(())]));
    while broker.groups().work_off().await {}
}

#[tokio::test]
async fn no_generation_is_shown_before_it_is_stored() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let groups = broker.groups();
    let mut join = Box::pin(groups.join("g", join_request("", &["x"])));
    let at_once = tokio::time::timeout(Duration::from_millis(20), &mut join).await;
    assert!(
        at_once.is_err(),
        "the keeper does not run: nothing is stored"
    );
    assert_eq!(harness.count(Space::Group).await, 0);
    assert!(groups.work_off().await);
    assert_eq!(harness.count(Space::Group).await, 1);
    assert!(join.await.outcome.is_ok());
}

#[tokio::test]
async fn members_go_on_after_a_restart() {
    let mut harness = Harness::new();
    let broker = harness.broker().await;
    let id = alone(&broker, "a/b", join_request("", &["x"])).await;
    drop(broker);
    harness = harness.restarted();
    let broker = harness.broker().await;
    let groups = broker.groups();
    assert_eq!(groups.heartbeat("a/b", &member(&id, 1)), Ok(()));
    assert!(
        groups.heartbeat("a", &member(&id, 1)).is_err(),
        "no name imitates another"
    );
    let request = SyncGroup {
        member: member(&id, 1),
        ..SyncGroup::default()
    };
    let synced = groups.sync("a/b", request).await.expect("still assigned");
    assert_eq!(synced.assignment, "all");
    leave(&broker, "a/b", &id).await;
    drop(broker);
    let broker = harness.restarted().broker().await;
    let listed = broker.groups().list();
    assert_eq!(listed[0].state, GroupState::Empty);
    assert_eq!(listed[0].protocol_type, "test");
}

#[tokio::test]
async fn a_state_that_cannot_be_stored_is_not_given_out() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let full = CommitError::NoSpace(failure("full"));
    harness.metadata.refuse_commits(Some(full));
    let join = broker.groups().join("g", join_request("", &["x"]));
    let refused = stored(&broker, join).await;
    assert_eq!(refused.outcome, Err(GroupError::NoSpace(failure("full"))));
    harness.metadata.refuse_commits(None);
    // The member that was not told of it is waited for, and given up.
    harness.clock.advance(Duration::from_secs(400));
    broker.groups().fire_timers();
    alone(&broker, "g", join_request("", &["x"])).await;
}

#[tokio::test]
async fn a_group_goes_with_its_offsets_and_can_come_again() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let groups = broker.groups();
    let missing = GroupError::NotFound {
        group: "g".to_owned(),
    };
    assert_eq!(groups.delete("g").await, Err(missing));
    let id = alone(&broker, "g", join_request("", &["x"])).await;
    let live = GroupError::NotEmpty {
        group: "g".to_owned(),
    };
    assert_eq!(groups.delete("g").await, Err(live));
    leave(&broker, "g", &id).await;
    let topic = crate::harness::create(&broker, "t", 1).await;
    let positions = broker.positions();
    positions
        .commit("g", &topic, 0, records::Offset::new(3), "")
        .await
        .expect("empty");
    assert_eq!(stored(&broker, groups.delete("g")).await, Ok(()));
    assert_eq!(harness.count(Space::Group).await, 0);
    assert_eq!(harness.count(Space::Offset).await, 0);
    assert_eq!(groups.describe("g"), None);
    alone(&broker, "g", join_request("", &["x"])).await;
    assert_eq!(harness.count(Space::Group).await, 1);
}

#[tokio::test]
async fn who_waits_is_answered_when_the_broker_stops() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let _first = alone(&broker, "g", join_request("", &["x"])).await;
    let waiting = Arc::clone(&broker);
    let join = async move { waiting.groups().join("g", join_request("", &["x"])).await };
    let (answer, ()) = tokio::join!(join, async {
        tokio::task::yield_now().await;
        broker.groups().refuse_waiting();
    });
    assert_eq!(answer.outcome, Err(GroupError::Stopping));
    let late = broker.groups().join("g", join_request("", &["x"])).await;
    assert_eq!(late.outcome, Err(GroupError::Stopping));
}

#[tokio::test]
async fn nothing_is_left_of_a_group_that_nobody_came_to() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let groups = broker.groups();
    let refused = JoinGroup {
        protocols: Vec::new(),
        ..join_request("", &[])
    };
    for index in 0..100 {
        let name = format!("{index}{}", "x".repeat(1000));
        let answer = groups.join(&name, refused.clone()).await;
        assert_eq!(answer.outcome, Err(GroupError::InconsistentProtocol));
    }
    let asks = JoinGroup {
        requires_member_id: true,
        ..join_request("", &["x"])
    };
    for (name, leaves) in [("left", true), ("forgotten", false)] {
        let answer = groups.join(name, asks.clone()).await;
        assert_eq!(answer.outcome, Err(GroupError::MemberIdRequired));
        assert_eq!(groups.list().len(), 1, "{name}");
        let counted = groups.table.lock().bytes;
        assert!(counted > name.len() + answer.member_id.len(), "{counted}");
        if leaves {
            leave(&broker, name, &answer.member_id).await;
        } else {
            harness.clock.advance(Duration::from_secs(11));
            groups.fire_timers();
        }
        let table = groups.table.lock();
        assert_eq!((table.slots.len(), table.bytes), (0, 0), "{name}");
        assert!(table.timers.is_empty() && table.queue.is_empty(), "{name}");
    }
    assert_eq!(harness.count(Space::Group).await, 0);
}

#[tokio::test]
async fn what_is_counted_of_a_group_goes_with_it() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let id = alone(&broker, "g", join_request("", &["x"])).await;
    leave(&broker, "g", &id).await;
    let deleted = stored(&broker, broker.groups().delete("g")).await;
    assert_eq!(deleted, Ok(()));
    let table = broker.groups().table.lock();
    assert_eq!((table.bytes, table.timers.len()), (0, 0));
}
