//! Positions: what is kept, what is refused, and what goes with a topic.

use std::sync::Arc;

use records::Offset;
use storage::{CommitError, Metadata, Space, Write};

use super::*;
use crate::error::PartitionError;
use crate::harness::{Harness, NOW_MS, create, failure, topic_name};
use crate::keys;
use crate::open::PAGE;

#[tokio::test]
async fn a_position_survives_a_restart() {
    let mut harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 2).await;
    let positions = broker.positions();
    assert_eq!(positions.get("billing", &topic, 0).await, Ok(None));
    harness.clock.set_wall_ms(NOW_MS + 9);
    let offset = Offset::new(41);
    positions
        .commit("billing", &topic, 0, offset, "é")
        .await
        .expect("stored");
    positions
        .commit("billing", &topic, 0, Offset::new(42), "é")
        .await
        .expect("stored");
    positions
        .commit("billing", &topic, 1, Offset::new(7), "")
        .await
        .expect("stored");
    drop(broker);
    harness = harness.restarted();
    let broker = harness.broker().await;
    let topic = broker.topic("orders").expect("kept");
    let kept = broker
        .positions()
        .get("billing", &topic, 0)
        .await
        .expect("readable");
    let expected = Position {
        offset: Offset::new(42),
        leader_epoch: None,
        committed_ms: NOW_MS + 9,
        expires_ms: None,
        metadata: "é".to_owned(),
    };
    assert_eq!(kept, Some(expected));
    let other = broker
        .positions()
        .get("billing", &topic, 1)
        .await
        .expect("readable");
    assert_eq!(other.map(|position| position.offset), Some(Offset::new(7)));
}

#[tokio::test]
async fn consumers_do_not_see_each_other() {
    let broker = Harness::new().broker().await;
    let (a, ab) = (
        create(&broker, "a", 2).await,
        create(&broker, "ab", 2).await,
    );
    let positions = broker.positions();
    let names = ["g", "g/a", "ga", "\0", "../g", "Gruß", "g\0\u{1}"];
    let mut due = Vec::new();
    for (index, consumer) in names.iter().enumerate() {
        for (topic_index, topic) in [&a, &ab].into_iter().enumerate() {
            for partition in [0, 1] {
                let place = (index * 2 + topic_index) * 2 + partition;
                let offset = Offset::new(i64::try_from(place).expect("small"));
                let partition = i32::try_from(partition).expect("small");
                positions
                    .commit(consumer, topic, partition, offset, "")
                    .await
                    .expect("stored");
                due.push((consumer, Arc::clone(topic), partition, offset));
            }
        }
    }
    for (consumer, topic, partition, offset) in due {
        let kept = positions
            .get(consumer, &topic, partition)
            .await
            .expect("readable");
        assert_eq!(
            kept.map(|position| position.offset),
            Some(offset),
            "{consumer:?}"
        );
    }
}

#[tokio::test]
async fn bad_positions_are_refused_with_the_limit() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 2).await;
    let positions = broker.positions();
    let zero = Offset::ZERO;
    let longest = "n".repeat(CONSUMER_BYTES_MAX);
    let longer = "n".repeat(CONSUMER_BYTES_MAX + 1);
    positions
        .commit(&longest, &topic, 0, zero, "")
        .await
        .expect("just fits");
    for name in ["", &longer] {
        let error = PositionError::InvalidConsumer {
            size_bytes: name.len(),
            limit_bytes: CONSUMER_BYTES_MAX,
        };
        assert_eq!(
            positions.commit(name, &topic, 0, zero, "").await,
            Err(error.clone())
        );
        assert_eq!(positions.get(name, &topic, 0).await, Err(error));
    }
    let offset = Offset::new(-1);
    let refused = positions.commit("c", &topic, 0, offset, "").await;
    assert_eq!(refused, Err(PositionError::NegativeOffset { offset }));
    let text = "m".repeat(4096);
    positions
        .commit("c", &topic, 0, zero, &text)
        .await
        .expect("just fits");
    let refused = positions
        .commit("c", &topic, 0, zero, &format!("{text}m"))
        .await;
    let error = PositionError::MetadataTooLarge {
        size_bytes: 4097,
        limit_bytes: 4096,
    };
    assert_eq!(refused, Err(error));
    let refused = positions.commit("c", &topic, 2, zero, "").await;
    let unknown = PartitionError::Unknown {
        topic: topic_name("orders"),
        partition: 2,
        count: 2,
    };
    assert_eq!(refused, Err(unknown.into()));
}

#[tokio::test]
async fn positions_go_with_their_topic_and_with_no_other() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let (gone, kept) = (
        create(&broker, "gone", 2).await,
        create(&broker, "kept", 1).await,
    );
    let positions = broker.positions();
    // More than a page of a listing.
    for consumer in 0..PAGE {
        let name = format!("c{consumer}");
        positions
            .commit(&name, &gone, 1, Offset::ZERO, "")
            .await
            .expect("stored");
    }
    positions
        .commit("c", &kept, 0, Offset::new(3), "")
        .await
        .expect("stored");
    positions
        .commit("zz", &gone, 0, Offset::ZERO, "")
        .await
        .expect("stored");
    broker.delete_topic(&gone).await.expect("deleted");
    assert_eq!(harness.count(Space::Offset).await, 1);
    let position = positions.get("c", &kept, 0).await.expect("readable");
    assert_eq!(
        position.map(|position| position.offset),
        Some(Offset::new(3))
    );

    let refused = positions.commit("c0", &gone, 1, Offset::ZERO, "").await;
    let deleted = PartitionError::Deleted {
        topic: topic_name("gone"),
    };
    assert_eq!(refused, Err(PositionError::Partition(deleted)));
    let again = create(&broker, "gone", 2).await;
    assert_eq!(
        positions.get("c0", &again, 1).await,
        Ok(None),
        "a new topic starts anew"
    );
}

#[tokio::test]
async fn a_commit_that_comes_after_the_deletion_leaves_nothing() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    broker.delete_topic(&topic).await.expect("deleted");
    create(&broker, "orders", 1).await;
    // The caller held the topic when it went.
    let refused = broker
        .positions()
        .commit("late", &topic, 0, Offset::ZERO, "")
        .await;
    let deleted = PartitionError::Deleted {
        topic: topic_name("orders"),
    };
    assert_eq!(refused, Err(PositionError::Partition(deleted)));
    assert_eq!(harness.count(Space::Offset).await, 0);
}

fn storage_value() -> bytes::Bytes {
    bytes::Bytes::from_static(b"position")
}

#[tokio::test]
async fn a_topic_that_grew_meanwhile_is_still_the_same() {
    let broker = Harness::new().broker().await;
    let old = create(&broker, "orders", 1).await;
    broker
        .add_partitions("orders", 2, None, false)
        .await
        .expect("grown");
    let positions = broker.positions();
    positions
        .commit("c", &old, 0, Offset::new(5), "")
        .await
        .expect("stored");
    let position = positions.get("c", &old, 0).await.expect("readable");
    assert_eq!(
        position.map(|position| position.offset),
        Some(Offset::new(5))
    );
}

#[tokio::test]
async fn a_full_disk_is_told_apart() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    harness
        .metadata
        .refuse_commits(Some(CommitError::NoSpace(failure("full"))));
    let refused = broker
        .positions()
        .commit("c", &topic, 0, Offset::ZERO, "")
        .await;
    assert_eq!(refused, Err(PositionError::NoSpace(failure("full"))));
}

#[tokio::test]
async fn a_value_that_cannot_be_read_is_an_error_not_the_start() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    let write = Write {
        key: keys::position("c", topic.id(), 0),
        value: Some(storage_value()),
    };
    harness
        .metadata
        .commit(&[], &[write])
        .await
        .expect("commits");
    let error = broker
        .positions()
        .get("c", &topic, 0)
        .await
        .expect_err("unreadable");
    assert!(matches!(error, PositionError::Unreadable(_)), "{error}");
}
