//! What is deleted, what is refused, and what readers see of it.

use storage::StorageFailure;
use storage::memory::MemoryStore;

use super::*;
use crate::harness::{Harness, create, create_with, failure, fetch_of, produce, values_of};
use crate::{FetchError, OffsetQuery, PartitionError};
use storage::Isolation;

async fn delete(
    broker: &Broker,
    topic: &Topic,
    before: Option<i64>,
) -> Result<i64, DeleteRecordsError> {
    let before = before.map(Offset::new);
    let deleted = broker.delete_records(topic, 0, before).await;
    deleted.map(Offset::get)
}

#[tokio::test]
async fn records_go_up_to_an_offset_or_to_the_high_watermark() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    for values in [&["a", "b"][..], &["c"], &["d", "e"]] {
        produce(&broker, &topic, values).await;
    }
    for (before, start, kept) in [
        (Some(0), 0, &["a", "b", "c", "d", "e"][..]),
        (Some(2), 2, &["c", "d", "e"]),
        (Some(1), 2, &["c", "d", "e"]),
        (None, 5, &[]),
        (Some(5), 5, &[]),
    ] {
        assert_eq!(delete(&broker, &topic, before).await, Ok(start));
        let query = OffsetQuery::Earliest;
        let found = broker.find_offset(&topic, 0, query, Isolation::ReadUncommitted, None);
        let found = found.await.expect("the start is known");
        assert_eq!(found.offset, Some(Offset::new(start)));
        let read = broker
            .fetch(fetch_of(&topic, start))
            .await
            .partitions
            .remove(0);
        assert_eq!(values_of(&read.expect("readable").slice), kept);
        if start > 0 {
            let read = broker
                .fetch(fetch_of(&topic, start - 1))
                .await
                .partitions
                .remove(0);
            assert!(matches!(read, Err(FetchError::OutOfRange { .. })));
        }
    }
}

#[tokio::test]
async fn a_compacted_topic_keeps_its_records_unless_it_deletes_too() {
    let broker = Harness::new().broker().await;
    for (name, policy, is_refused) in [
        ("compacted", "compact", true),
        ("both", "delete,compact", false),
    ] {
        let topic = create_with(&broker, name, &[("cleanup.policy", policy)]).await;
        let deleted = delete(&broker, &topic, Some(0)).await;
        let refused = matches!(deleted, Err(DeleteRecordsError::NotByPolicy { .. }));
        assert_eq!(refused, is_refused, "{deleted:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_deleted_is_refused() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    produce(&broker, &topic, &["a", "b"]).await;
    for before in [-1, -2, 3, i64::MAX, i64::MIN] {
        let refused = delete(&broker, &topic, Some(before)).await;
        let error = refused.expect_err("refused");
        assert!(matches!(error, DeleteRecordsError::OutOfRange { .. }));
        let text = error.to_string();
        let expected = format!("orders-0 cannot start at {before}: it has 0 to 2");
        assert_eq!(text, expected);
    }
    for partition in [-1, 1] {
        let refused = broker.delete_records(&topic, partition, None).await;
        assert!(matches!(
            refused,
            Err(DeleteRecordsError::Partition(
                PartitionError::Unknown { .. }
            ))
        ));
    }
    broker.delete_topic(&topic).await.expect("deleted");
    let refused = delete(&broker, &topic, None).await;
    assert!(matches!(
        refused,
        Err(DeleteRecordsError::Partition(
            PartitionError::Deleted { .. }
        ))
    ));
}

#[tokio::test]
async fn a_store_that_failed_is_offline() {
    let memory = MemoryStore::new();
    let harness = Harness::on(memory);
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    produce(&broker, &topic, &["a"]).await;
    let lost: StorageFailure = failure("the disk is gone");
    harness.memory.fail_all(&lost);
    let refused = delete(&broker, &topic, None).await;
    let offline = DeleteRecordsError::Partition(PartitionError::Offline(lost));
    assert_eq!(refused, Err(offline));
}
