//! Committed offsets: fencing against a rebalance, expiry, and directories of the last release.

use std::sync::Arc;

use parking_lot::Mutex;
use records::Offset;
use storage::memory::MemoryMetadata;
use storage::{
    BoxFuture, CommitError, Entry, Key, MetaError, Metadata, Space, Version, Versioned, Write,
};

use super::super::{Commit, GroupError, GroupState};
use super::durable::{alone, leave};
use super::*;
use crate::harness::{Harness, NOW_MS, create};
use crate::values::Position;
use crate::{Broker, Parts, Topic, keys};

fn commit_of(topic: &Arc<Topic>, offset: i64) -> Commit {
    Commit {
        topic: Arc::clone(topic),
        partition: 0,
        offset: Offset::new(offset),
        leader_epoch: None,
        metadata: String::new(),
        retention_ms: None,
    }
}

async fn offset(broker: &Broker, group: &str, topic: &Topic) -> Option<i64> {
    let found = broker.groups().offset(group, topic.id(), 0).await;
    found
        .expect("readable")
        .map(|position| position.offset.get())
}

type Hook = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// Lets something happen between a commit's checks and the commit.
struct Interleaved {
    inner: Arc<MemoryMetadata>,
    before_commit: Mutex<Option<Hook>>,
}

impl std::fmt::Debug for Interleaved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interleaved")
    }
}

impl Metadata for Interleaved {
    fn get(&self, key: &Key) -> BoxFuture<'_, Result<Option<Versioned>, MetaError>> {
        self.inner.get(key)
    }

    fn list(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, MetaError>> {
        self.inner.list(prefix, after, limit)
    }

    fn commit(
        &self,
        checks: &[(Key, Version)],
        writes: &[Write],
    ) -> BoxFuture<'_, Result<Version, CommitError>> {
        let (checks, writes) = (checks.to_vec(), writes.to_vec());
        Box::pin(async move {
            let hook = self.before_commit.lock().take();
            if let Some(hook) = hook {
                hook().await;
            }
            self.inner.commit(&checks, &writes).await
        })
    }
}

#[tokio::test]
async fn a_commit_of_a_generation_that_passes_meanwhile_is_refused() {
    let harness = Harness::new();
    let metadata = Arc::new(Interleaved {
        inner: Arc::clone(&harness.metadata),
        before_commit: Mutex::default(),
    });
    let parts = Parts {
        store: harness.store.clone(),
        metadata: metadata.clone(),
        clock: Arc::new(harness.clock.clone()),
        rng: harness.rng.clone(),
        config: harness.config.clone(),
    };
    let broker = Broker::open(parts).await.expect("opens");
    let topic = create(&broker, "t", 1).await;
    let id = alone(&broker, "g", join_request("", &["x"])).await;
    let from = member(&id, 1);
    let committed = broker
        .groups()
        .commit_offsets("g", &from, vec![commit_of(&topic, 5)]);
    assert_eq!(committed.await, Ok(vec![Ok(())]));
    let (other, own_id) = (Arc::clone(&broker), id.clone());
    *metadata.before_commit.lock() = Some(Box::new(move || {
        Box::pin(async move {
            leave(&other, "g", &own_id).await;
        })
    }));
    let late = broker
        .groups()
        .commit_offsets("g", &from, vec![commit_of(&topic, 4)]);
    assert_eq!(late.await, Err(GroupError::UnknownMember { member: id }));
    assert_eq!(
        offset(&broker, "g", &topic).await,
        Some(5),
        "it does not go back"
    );
}

#[tokio::test]
async fn outcomes_are_of_each_partition() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "t", 1).await;
    let gone = create(&broker, "gone", 1).await;
    broker.delete_topic(&gone).await.expect("deleted");
    let long = Commit {
        metadata: "m".repeat(4097),
        ..commit_of(&topic, 2)
    };
    let absent = Commit {
        partition: 7,
        ..commit_of(&topic, 2)
    };
    let all = vec![commit_of(&gone, 1), commit_of(&topic, 8), long, absent];
    let nobody = Membership::none();
    let outcomes = broker.groups().commit_offsets("g", &nobody, all).await;
    let are_ok: Vec<bool> = outcomes
        .expect("an empty group")
        .iter()
        .map(Result::is_ok)
        .collect();
    assert_eq!(are_ok, [false, true, false, false]);
    assert_eq!(offset(&broker, "g", &topic).await, Some(8));
    let stranger = member("m", 3);
    let absent = broker
        .groups()
        .commit_offsets("new", &stranger, vec![commit_of(&topic, 1)]);
    let missing = GroupError::NotFound {
        group: "new".to_owned(),
    };
    assert_eq!(absent.await, Err(missing));
}

/// The subscription of a consumer to one topic.
fn subscriber(topic: &str) -> JoinGroup {
    let mut metadata = vec![
        0,
        0,
        0,
        0,
        0,
        1,
        0,
        u8::try_from(topic.len()).expect("short"),
    ];
    metadata.extend_from_slice(topic.as_bytes());
    JoinGroup {
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), metadata.into())],
        session_timeout_ms: 1_800_000,
        ..join_request("", &[])
    }
}

const DAY_MS: i64 = 24 * 3_600_000;

#[tokio::test]
async fn offsets_expire_by_the_state_of_their_group() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let groups = broker.groups();
    let (read, other) = (
        create(&broker, "read", 1).await,
        create(&broker, "other", 1).await,
    );
    let nobody = Membership::none();
    for group in ["simple", "left", "live", "short"] {
        for topic in [&read, &other] {
            let commit = Commit {
                retention_ms: (group == "short").then_some(DAY_MS),
                ..commit_of(topic, 1)
            };
            let committed = groups.commit_offsets(group, &nobody, vec![commit]).await;
            assert_eq!(committed, Ok(vec![Ok(())]));
        }
    }
    let left = alone(&broker, "left", subscriber("read")).await;
    alone(&broker, "live", subscriber("read")).await;
    // (day, what is left in: simple, left, live, short; of the topic that is read, and the other)
    let days = [
        (1, [true, true, true, false], [true, true, true, false]),
        (5, [true, true, true, false], [true, true, true, false]),
        (7, [false, true, true, false], [false, true, false, false]),
        (11, [false, true, true, false], [false, true, false, false]),
        (
            12,
            [false, false, true, false],
            [false, false, false, false],
        ),
    ];
    for (day, of_read, of_other) in days {
        harness.clock.set_wall_ms(NOW_MS + day * DAY_MS);
        groups.expire_offsets().await;
        while groups.work_off().await {}
        for (topic, expected) in [(&read, of_read), (&other, of_other)] {
            let mut found = [false; 4];
            for (found, group) in found.iter_mut().zip(["simple", "left", "live", "short"]) {
                *found = offset(&broker, group, topic).await.is_some();
            }
            assert_eq!(found, expected, "day {day}, {}", topic.name());
        }
        if day == 5 {
            leave(&broker, "left", &left).await;
        }
    }
    let names: Vec<_> = groups.list().into_iter().map(|row| row.group).collect();
    assert_eq!(names, ["live"], "a group goes with its last offset");
    assert_eq!(harness.count(Space::Group).await, 1);
}

#[tokio::test]
async fn positions_of_the_last_release_are_groups() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    drop(broker);
    // Byte for byte what release 0.1 wrote for a gRPC consumer.
    let mut value = vec![0, 1];
    value.extend_from_slice(&42_i64.to_be_bytes());
    value.extend_from_slice(&(-1_i32).to_be_bytes());
    value.extend_from_slice(&NOW_MS.to_be_bytes());
    value.extend_from_slice(&0_u32.to_be_bytes());
    let write = Write {
        key: keys::position("billing", topic.id(), 0),
        value: Some(value.into()),
    };
    harness
        .metadata
        .commit(&[], &[write])
        .await
        .expect("commits");
    let broker = harness.broker().await;
    let listed = broker.groups().list();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].group.as_str(), listed[0].state),
        ("billing", GroupState::Empty)
    );
    let position = broker
        .positions()
        .get("billing", &topic, 0)
        .await
        .expect("readable");
    let expected = Position {
        offset: Offset::new(42),
        leader_epoch: None,
        committed_ms: NOW_MS,
        expires_ms: None,
        metadata: String::new(),
    };
    assert_eq!(position, Some(expected));
}

#[tokio::test]
async fn a_look_at_many_groups_keeps_nobody_waiting() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let groups = broker.groups();
    let topic = create(&broker, "t", 1).await;
    for index in 0..100 {
        let (name, nobody) = (format!("old{index}"), Membership::none());
        let committed = groups.commit_offsets(&name, &nobody, vec![commit_of(&topic, 1)]);
        assert_eq!(committed.await, Ok(vec![Ok(())]));
    }
    harness.clock.set_wall_ms(NOW_MS + 8 * DAY_MS);
    let mut look = groups.begin_look();
    assert!(groups.expire_some(&mut look).await);
    assert_eq!(
        harness.count(Space::Offset).await,
        99,
        "one commit, then others"
    );
    while groups.expire_some(&mut look).await {}
    assert_eq!(groups.table.lock().removals.len(), 100);
    let mut join = Box::pin(groups.join("new", join_request("", &["x"])));
    let at_once = tokio::time::timeout(Duration::from_millis(20), &mut join).await;
    assert!(at_once.is_err(), "nothing is stored yet");
    assert!(groups.work_off().await);
    assert_eq!(harness.count(Space::Group).await, 1, "before all removals");
    assert_eq!(groups.table.lock().removals.len(), 0, "in one commit");
    assert!(join.await.outcome.is_ok());
    assert!(!groups.work_off().await);
}

#[tokio::test]
async fn a_group_made_anew_is_stored_after_its_removal() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let groups = broker.groups();
    let id = alone(&broker, "g", join_request("", &["x"])).await;
    leave(&broker, "g", &id).await;
    let mut deletion = Box::pin(groups.delete("g"));
    let mut join = Box::pin(groups.join("g", join_request("", &["x"])));
    let moment = Duration::from_millis(20);
    assert!(tokio::time::timeout(moment, &mut deletion).await.is_err());
    assert!(tokio::time::timeout(moment, &mut join).await.is_err());
    while groups.work_off().await {}
    assert_eq!(deletion.await, Ok(()));
    assert!(join.await.outcome.is_ok());
    assert_eq!(harness.count(Space::Group).await, 1);
    assert!(groups.table.lock().removing.is_empty());
}
