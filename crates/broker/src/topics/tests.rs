//! Snapshots: look-ups, collisions, logs that open at their first use.

use storage::{StorageFailure, TopicId};

use super::*;
use crate::harness::{Harness, create, failure, topic_name};

#[tokio::test]
async fn a_snapshot_finds_by_name_and_id_and_does_not_change() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let before = broker.topics();
    assert!(before.is_empty() && before.by_name("a").is_none());
    for name in ["m", "z", "a", "a.b"] {
        create(&broker, name, 2).await;
    }
    assert!(before.is_empty(), "a snapshot is a moment");
    let topics = broker.topics();
    let names: Vec<_> = topics.iter().map(|topic| topic.name().as_str()).collect();
    assert_eq!(names, ["a", "a.b", "m", "z"]);
    assert_eq!((topics.len(), topics.partition_count()), (4, 8));
    for topic in &*topics {
        let by_name = topics.by_name(topic.name().as_str()).expect("found");
        let by_id = topics.by_id(topic.id()).expect("found");
        assert!(Arc::ptr_eq(topic, by_name) && Arc::ptr_eq(topic, by_id));
    }
    assert!(topics.by_name("b").is_none());
    assert!(topics.by_id(TopicId::ZERO).is_none());
}

#[tokio::test]
async fn dots_and_underscores_collide() {
    let broker = Harness::new().broker().await;
    create(&broker, "a.b_c", 1).await;
    let topics = broker.topics();
    for (name, collides) in [
        ("a.b.c", true),
        ("a_b_c", true),
        ("a.bc", false),
        ("a.b-c", false),
    ] {
        assert_eq!(
            topics.colliding(&topic_name(name)).is_some(),
            collides,
            "{name}"
        );
    }
}

#[tokio::test]
async fn logs_open_at_their_first_use_and_once() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 10_000).await;
    assert_eq!(harness.store.faults.lock().opened, 0, "nobody used one");
    let first = topic.log(9_999).expect("there");
    let again = topic.log(9_999).expect("there");
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(harness.store.faults.lock().opened, 1);
    let grown = broker
        .add_partitions("orders", 10_001, None, false)
        .await
        .expect("grown");
    assert!(Arc::ptr_eq(&grown.log(9_999).expect("there"), &first));
    assert_eq!(
        harness.store.faults.lock().opened,
        1,
        "a grown topic keeps its open logs"
    );
}

#[tokio::test]
async fn a_partition_without_storage_is_offline_not_empty() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    harness
        .memory
        .remove(topic.meta())
        .await
        .expect("the directory is lost");
    let error = topic.log(0).expect_err("no storage");
    assert!(matches!(&error, PartitionError::Offline(_)), "{error}");
    assert!(error.to_string().contains("orders-0"), "{error}");
    // Nothing is remembered of the failure: storage may come back.
    harness
        .memory
        .create(topic.meta(), 0..1)
        .await
        .expect("it comes back");
    topic.log(0).expect("there again");
}

#[tokio::test]
async fn a_deleted_topic_says_so_whoever_holds_it() {
    let broker = Harness::new().broker().await;
    let old = create(&broker, "orders", 1).await;
    let grown = broker
        .add_partitions("orders", 2, None, false)
        .await
        .expect("grown");
    assert!(!old.is_deleted() && !grown.is_deleted());
    broker.delete_topic(&old).await.expect("deleted");
    for topic in [&old, &grown] {
        let gone = PartitionError::Deleted {
            topic: topic_name("orders"),
        };
        assert_eq!(topic.log(0).expect_err("deleted"), gone);
        assert_eq!(topic.offline(failure("removed")), gone);
    }
    let new = create(&broker, "orders", 1).await;
    assert_ne!(new.id(), old.id());
    let offline = PartitionError::Offline(StorageFailure::new("x"));
    assert_eq!(new.offline(failure("x")), offline);
}

#[tokio::test]
async fn effective_values_are_the_topics_or_the_brokers() {
    let mut harness = Harness::new();
    harness.config.set("log.roll.ms", "77").expect("good");
    let broker = harness.broker().await;
    let configs = [("segment.bytes", "1048576")];
    let topic = crate::harness::create_with(&broker, "orders", &configs).await;
    assert_eq!(topic.effective("segment.bytes").as_deref(), Some("1048576"));
    assert_eq!(topic.effective("segment.ms").as_deref(), Some("77"));
    assert_eq!(
        topic.effective("retention.ms").as_deref(),
        Some("604800000")
    );
    assert_eq!(topic.effective("no.such.key"), None);
    assert_eq!(topic.meta().log_config.segment_bytes, 1_048_576);
    assert_eq!(topic.meta().log_config.segment_ms.as_millis(), 77);
}
