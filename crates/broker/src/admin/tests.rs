//! Creating, growing and deleting: each refusal, each failure half-way, and races.

#![allow(clippy::disallowed_methods, reason = "tests")]

use std::sync::Arc;

use records::Offset;
use storage::{InvalidTopicName, LogStore, Space, StoreError};

use super::*;
use crate::harness::{
    Harness, create, create_with, failure, fetch_of, produce, topic_name, values_of,
};

fn named(name: &str) -> NewTopic {
    NewTopic::named(name)
}

async fn refused(broker: &Broker, new: NewTopic) -> CreateTopicError {
    let before = broker.topics().len();
    let error = broker.create_topic(new).await.expect_err("refused");
    assert_eq!(broker.topics().len(), before, "nothing was made: {error}");
    assert!(!error.to_string().is_empty());
    error
}

#[tokio::test]
async fn a_topic_has_what_was_asked_for() {
    let mut harness = Harness::new();
    harness.config.num_partitions = 4;
    let broker = harness.broker().await;
    let topic = broker.create_topic(named("defaults")).await.expect("made");
    assert_eq!(
        (topic.partition_count(), topic.name().as_str()),
        (4, "defaults")
    );
    assert_ne!(topic.id(), TopicId::ZERO);
    let one = NewTopic {
        partitions: Some(1),
        replication_factor: Some(1),
        configs: vec![
            ("segment.bytes".into(), Some("2000000".into())),
            ("segment.bytes".into(), Some(" 3000000 ".into())),
        ],
        ..named("one")
    };
    let topic = broker.create_topic(one).await.expect("made");
    assert_eq!(topic.partition_count(), 1);
    let configs: Vec<_> = topic.configs().iter().collect();
    assert_eq!(
        configs,
        [(&"segment.bytes".to_owned(), &"3000000".to_owned())],
        "the last counts"
    );
    let assigned = NewTopic {
        assignments: Some(vec![(1, vec![1]), (0, vec![1]), (2, vec![1])]),
        ..named("assigned")
    };
    let topic = broker.create_topic(assigned).await.expect("made");
    assert_eq!(topic.partition_count(), 3);
    let stored = harness.memory.topics().await.expect("memory lists");
    assert_eq!(stored.len(), 3);
    assert!(stored.contains(topic.meta()));
}

#[tokio::test]
async fn names_are_checked() {
    let broker = Harness::new().broker().await;
    for (name, source) in [
        ("", InvalidTopicName::Empty),
        ("..", InvalidTopicName::Dots),
        ("a/b", InvalidTopicName::Character('/')),
        ("Straße", InvalidTopicName::Character('ß')),
        ("@ottla", InvalidTopicName::Character('@')),
        ("a\0", InvalidTopicName::Character('\0')),
        (&"a".repeat(250), InvalidTopicName::TooLong(250)),
    ] {
        let expected = CreateTopicError::InvalidName {
            name: name.to_owned(),
            source,
        };
        assert_eq!(refused(&broker, named(name)).await, expected);
        assert_eq!(
            broker.ensure_topic(name).await.expect_err("refused"),
            expected
        );
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let broker = Harness::new().broker().await;
    create(&broker, "a.b", 1).await;
    let topic = topic_name("a.b");
    assert_eq!(
        refused(&broker, named("a.b")).await,
        CreateTopicError::Exists { topic }
    );
    let collides = CreateTopicError::Collides {
        topic: topic_name("a_b"),
        with: topic_name("a.b"),
    };
    assert_eq!(refused(&broker, named("a_b")).await, collides);
}

#[tokio::test]
async fn counts_and_assignments_are_checked() {
    let mut harness = Harness::new();
    harness.config.partitions_max_per_topic = 5;
    harness.config.partitions_max = 8;
    let broker = harness.broker().await;
    create(&broker, "taken", 4).await;
    let partitions = |asked| NewTopic {
        partitions: Some(asked),
        ..named("t")
    };
    for asked in [0, -1, i32::MIN] {
        let expected = CreateTopicError::InvalidPartitions { asked };
        assert_eq!(refused(&broker, partitions(asked)).await, expected);
    }
    let expected = CreateTopicError::TooManyPartitions { asked: 6, limit: 5 };
    assert_eq!(refused(&broker, partitions(6)).await, expected);
    let expected = CreateTopicError::LimitReached {
        held: 4,
        asked: 5,
        limit: 8,
    };
    assert_eq!(refused(&broker, partitions(5)).await, expected);
    for asked in [0, -1, 2, i16::MAX] {
        let new = NewTopic {
            replication_factor: Some(asked),
            ..named("t")
        };
        let expected = CreateTopicError::InvalidReplicationFactor { asked, nodes: 1 };
        assert_eq!(refused(&broker, new).await, expected);
    }
    let bad: [&[(i32, &[i32])]; 6] = [
        &[],
        &[(1, &[1])],
        &[(0, &[1]), (0, &[1])],
        &[(0, &[2])],
        &[(0, &[1, 2])],
        &[(0, &[])],
    ];
    for assignments in bad {
        let own = assignments
            .iter()
            .map(|(partition, brokers)| (*partition, brokers.to_vec()));
        let new = NewTopic {
            assignments: Some(own.collect()),
            ..named("t")
        };
        let error = refused(&broker, new).await;
        assert!(
            matches!(error, CreateTopicError::InvalidAssignment { .. }),
            "{assignments:?}"
        );
    }
    let both = NewTopic {
        partitions: Some(1),
        assignments: Some(vec![(0, vec![1])]),
        ..named("t")
    };
    assert_eq!(
        refused(&broker, both).await,
        CreateTopicError::AssignmentsAndCounts
    );
}

#[tokio::test]
async fn configs_are_checked() {
    let broker = Harness::new().broker().await;
    for (key, value, says) in [
        ("no.such", Some("1"), "Unknown topic config name: no.such"),
        ("segment.bytes", Some("x"), "Not a number of type INT"),
        ("segment.bytes", None, "has no value"),
        (
            "compression.type",
            Some("none"),
            "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
        ),
        (
            "cleanup.policy",
            Some("squash"),
            "it must be a list of these, each once",
        ),
    ] {
        let new = NewTopic {
            configs: vec![(key.to_owned(), value.map(str::to_owned))],
            ..named("t")
        };
        let error = refused(&broker, new).await;
        let CreateTopicError::InvalidConfig {
            key: refused,
            reason,
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!(refused, key);
        assert!(reason.contains(says), "{reason}");
    }
}

#[tokio::test]
async fn validating_makes_nothing() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let new = NewTopic {
        partitions: Some(3),
        validate_only: true,
        ..named("t")
    };
    let topic = broker
        .create_topic(new.clone())
        .await
        .expect("it could be made");
    assert_eq!(topic.partition_count(), 3);
    assert_ne!(
        topic.id(),
        TopicId::ZERO,
        "as in Kafka, though nothing is made"
    );
    assert!(broker.topics().is_empty());
    assert_eq!(harness.count(Space::Topic).await, 0);
    assert!(harness.store.faults.lock().created.is_empty());
    create(&broker, "t", 1).await;
    let topic = topic_name("t");
    assert_eq!(
        refused(&broker, new).await,
        CreateTopicError::Exists { topic }
    );
    let same = broker
        .add_partitions("t", 5, None, true)
        .await
        .expect("it could grow");
    assert_eq!(same.partition_count(), 1);
}

#[tokio::test]
async fn a_topic_made_again_is_another() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let old = create(&broker, "orders", 1).await;
    produce(&broker, &old, &["a"]).await;
    broker.delete_topic(&old).await.expect("deleted");
    assert!(broker.topic("orders").is_none() && broker.topic_by_id(old.id()).is_none());
    assert_eq!(harness.count(Space::Topic).await, 0);
    assert_eq!(harness.count(Space::Deletion).await, 0);
    let unknown = DeleteTopicError::Unknown {
        topic: topic_name("orders"),
    };
    assert_eq!(broker.delete_topic(&old).await, Err(unknown.clone()));
    let new = create(&broker, "orders", 1).await;
    assert_ne!(new.id(), old.id());
    assert_eq!(
        broker.delete_topic(&old).await,
        Err(unknown),
        "the old one, not its namesake"
    );
    assert_eq!(produce(&broker, &new, &["b"]).await, Offset::ZERO);
    crate::harness::append(&broker, &old, 0, &["c"]).expect_err("deleted");
}

#[tokio::test]
async fn two_who_ensure_one_topic_get_the_same() {
    let broker = Harness::new().broker().await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let broker = Arc::clone(&broker);
            tokio::spawn(async move { broker.ensure_topic("auto").await })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.expect("no panic").expect("ensured").id());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(broker.topics().len(), 1);
    let (one, other) = tokio::join!(
        broker.create_topic(named("race")),
        broker.create_topic(named("race"))
    );
    assert!(one.is_ok() != other.is_ok(), "one wins");
}

#[tokio::test]
async fn partitions_are_added() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 2).await;
    produce(&broker, &topic, &["a"]).await;
    let grown = broker
        .add_partitions("orders", 4, None, false)
        .await
        .expect("grown");
    assert_eq!((grown.partition_count(), grown.id()), (4, topic.id()));
    crate::harness::append(&broker, &grown, 3, &["b"]).expect("accepted");
    let read = broker.fetch(fetch_of(&grown, 0)).await;
    let read = read.partitions[0].as_ref().expect("in range");
    assert_eq!(values_of(&read.slice), ["a"]);
    let assigned = Some(vec![vec![1]]);
    let grown = broker
        .add_partitions("orders", 5, assigned, false)
        .await
        .expect("grown");
    assert_eq!(grown.partition_count(), 5);
    let created: Vec<_> = harness.store.faults.lock().created.clone();
    let ranges: Vec<_> = created.into_iter().map(|(_, range)| range).collect();
    assert_eq!(ranges, [0..2, 2..4, 4..5], "only what is new is made");
    let restarted = harness.restarted();
    let topic = restarted.broker().await.topic("orders").expect("kept");
    assert_eq!(topic.partition_count(), 5);
}

#[tokio::test]
async fn growth_is_checked() {
    let mut harness = Harness::new();
    harness.config.partitions_max_per_topic = 5;
    harness.config.partitions_max = 6;
    let broker = harness.broker().await;
    create(&broker, "orders", 2).await;
    create(&broker, "other", 2).await;
    let unknown = AddPartitionsError::Unknown {
        topic: "nope".to_owned(),
    };
    let outcome = broker.add_partitions("nope", 3, None, false).await;
    assert_eq!(outcome.expect_err("refused"), unknown);
    let orders = || topic_name("orders");
    let not_larger = |asked| AddPartitionsError::TotalNotLarger {
        topic: orders(),
        current: 2,
        asked,
    };
    let limit_reached = AddPartitionsError::LimitReached {
        held: 4,
        asked: 3,
        limit: 6,
    };
    for (total, expected) in [
        (2, not_larger(2)),
        (1, not_larger(1)),
        (-1, not_larger(-1)),
        (
            6,
            AddPartitionsError::TooManyPartitions { asked: 6, limit: 5 },
        ),
        (5, limit_reached),
    ] {
        let outcome = broker.add_partitions("orders", total, None, false).await;
        assert_eq!(outcome.expect_err("refused"), expected);
    }
    for assignments in [vec![], vec![vec![1], vec![1]], vec![vec![2]], vec![vec![]]] {
        let outcome = broker
            .add_partitions("orders", 3, Some(assignments), false)
            .await;
        let error = outcome.expect_err("refused");
        assert!(
            matches!(error, AddPartitionsError::InvalidAssignment { .. }),
            "{error}"
        );
    }
    assert_eq!(broker.topic("orders").expect("there").partition_count(), 2);
}

fn full() -> StoreError {
    StoreError::NoSpace(failure("the disk is full"))
}

#[tokio::test]
async fn a_creation_that_fails_leaves_nothing() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    harness.store.faults.lock().create = Some(full());
    let error = refused(&broker, named("orders")).await;
    assert_eq!(
        error,
        CreateTopicError::NoSpace(failure("the disk is full"))
    );
    for space in [Space::Topic, Space::Deletion] {
        assert_eq!(harness.count(space).await, 0);
    }
    harness.store.clear_faults();
    create(&broker, "orders", 1).await;
}

#[tokio::test]
async fn a_growth_that_fails_leaves_the_topic_as_it_was() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    create(&broker, "orders", 2).await;
    harness.store.faults.lock().create = Some(full());
    let outcome = broker.add_partitions("orders", 9, None, false).await;
    let error = outcome.expect_err("refused");
    assert_eq!(
        error,
        AddPartitionsError::NoSpace(failure("the disk is full"))
    );
    assert_eq!(broker.topic("orders").expect("there").partition_count(), 2);
    harness.store.clear_faults();
    // What the record says now is what the next change is checked against.
    let grown = broker
        .add_partitions("orders", 3, None, false)
        .await
        .expect("grown");
    assert_eq!(grown.partition_count(), 3);
}

#[tokio::test]
async fn a_creation_that_cannot_be_undone_is_brought_to_an_end_later() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    harness.store.faults.lock().create = Some(full());
    harness.store.faults.lock().remove = Some(full());
    refused(&broker, named("orders")).await;
    assert_eq!(
        harness.count(Space::Deletion).await,
        1,
        "the deletion is committed"
    );
    let blocked = refused(&broker, named("orders")).await;
    let expected = CreateTopicError::NameNotFree {
        topic: topic_name("orders"),
        reason: failure("the disk is full"),
    };
    assert_eq!(blocked, expected);
    // Others are not held up.
    harness.store.faults.lock().create = None;
    create(&broker, "other", 1).await;
    harness.store.clear_faults();
    create(&broker, "orders", 1).await;
    assert_eq!(harness.count(Space::Deletion).await, 0);
}

#[tokio::test]
async fn a_deletion_is_done_when_it_is_decided() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    harness.store.faults.lock().remove = Some(StoreError::Storage(failure("busy")));
    broker.delete_topic(&topic).await.expect("decided");
    assert!(broker.topic("orders").is_none());
    let error = refused(&broker, named("orders")).await;
    assert!(
        matches!(error, CreateTopicError::NameNotFree { .. }),
        "{error}"
    );
    harness.store.clear_faults();
    let again = create(&broker, "orders", 1).await;
    assert_ne!(again.id(), topic.id());
}

#[tokio::test]
async fn commits_that_fail_change_nothing() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    let full = CommitError::NoSpace(failure("full"));
    harness.metadata.refuse_commits(Some(full));
    let error = refused(&broker, named("new")).await;
    assert_eq!(error, CreateTopicError::NoSpace(failure("full")));
    let outcome = broker.delete_topic(&topic).await;
    assert_eq!(outcome, Err(DeleteTopicError::NoSpace(failure("full"))));
    let outcome = broker.add_partitions("orders", 2, None, false).await;
    assert_eq!(
        outcome.expect_err("full"),
        AddPartitionsError::NoSpace(failure("full"))
    );
    let refusal = CommitError::Storage(failure("sync failed"));
    harness.metadata.refuse_commits(Some(refusal));
    let outcome = broker.delete_topic(&topic).await;
    assert_eq!(
        outcome,
        Err(DeleteTopicError::Storage(failure("sync failed")))
    );
    harness.metadata.refuse_commits(None);
    assert_eq!(broker.topic("orders").expect("there").partition_count(), 1);
    assert!(!topic.is_deleted());
    produce(&broker, &topic, &["a"]).await;
    create(&broker, "new", 1).await;
}

#[tokio::test]
async fn a_commit_in_doubt_is_looked_up() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let doubt = || harness.metadata.lose_next_answer(failure("who knows"));
    doubt();
    let topic = create(&broker, "orders", 1).await;
    produce(&broker, &topic, &["a"]).await;
    doubt();
    let grown = broker
        .add_partitions("orders", 2, None, false)
        .await
        .expect("grown");
    crate::harness::append(&broker, &grown, 1, &["b"]).expect("accepted");
    doubt();
    broker.delete_topic(&grown).await.expect("deleted");
    assert!(broker.topic("orders").is_none() && topic.is_deleted());
    assert_eq!(harness.count(Space::Deletion).await, 0);
    create(&broker, "orders", 1).await;
}

#[tokio::test]
async fn another_nodes_topic_is_found_by_the_conflict() {
    let harness = Harness::new();
    let (one, other) = (harness.broker().await, harness.broker().await);
    let made = create(&one, "orders", 1).await;
    let topic = topic_name("orders");
    let error = other
        .create_topic(named("orders"))
        .await
        .expect_err("it exists");
    assert_eq!(error, CreateTopicError::Exists { topic });
    assert_eq!(other.topic("orders").expect("learnt").id(), made.id());
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_half_way_leaves_nothing_stuck() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    harness.store.faults.lock().create_hangs = true;
    let second = std::time::Duration::from_secs(1);
    let gone = tokio::time::timeout(second, broker.create_topic(named("orders"))).await;
    gone.expect_err("the caller gave up");
    assert!(broker.topic("orders").is_none());
    harness.store.clear_faults();
    let topic = topic_name("orders");
    let error = broker
        .create_topic(named("orders"))
        .await
        .expect_err("it was finished");
    assert_eq!(error, CreateTopicError::Exists { topic });
    let topic = broker.ensure_topic("orders").await.expect("there");
    produce(&broker, &topic, &["a"]).await;

    harness.store.faults.lock().create_hangs = true;
    let growth = broker.add_partitions("orders", 2, None, false);
    tokio::time::timeout(second, growth)
        .await
        .expect_err("the caller gave up");
    harness.store.clear_faults();
    create_with(&broker, "other", &[]).await;
    let grown = broker.topic("orders").expect("there");
    assert_eq!(grown.partition_count(), 2, "the growth was finished");
    let read = broker.fetch(fetch_of(&grown, 0)).await;
    let read = read.partitions[0].as_ref().expect("in range");
    assert_eq!(values_of(&read.slice), ["a"]);
}

#[tokio::test]
async fn a_creation_that_is_not_noted_as_made_is_still_made() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let record = crate::harness::record(5, 2, 0);
    let version = harness.write_topic("orders", &record).await;
    let name = topic_name("orders");
    harness
        .metadata
        .refuse_commits(Some(CommitError::NoSpace(failure("full"))));
    let mut admin = Admin::default();
    let meta = broker.meta_of(&name, &record);
    harness.memory.create(&meta, 0..2).await.expect("made");
    let whole = crate::harness::record(5, 2, 2);
    let topic = broker
        .confirm_made(&mut admin, &name, whole, version, None)
        .await;
    assert!(admin.leftovers, "the note is made up for");
    assert_eq!(broker.topic("orders").expect("published").id(), topic.id());
    harness.metadata.refuse_commits(None);
    broker.settle(&mut admin).await.expect("settled");
    assert!(!admin.leftovers && !admin.unsettled);
    assert_eq!(broker.topic("orders").expect("there").partitions_made(), 2);
}
