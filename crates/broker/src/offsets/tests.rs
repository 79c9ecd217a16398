//! Offsets by name, by time and by epoch.

use std::cell::Cell;

use storage::BytesPermit;
use storage::memory::MemoryStore;

use super::*;
use crate::harness::{Harness, NOW_MS, append, batch_at, create, failure, produce, topic_name};

const NEITHER: FoundOffset = FoundOffset {
    offset: None,
    timestamp_ms: None,
    leader_epoch: None,
};

fn found(offset: i64, timestamp_ms: Option<i64>, leader_epoch: i32) -> FoundOffset {
    FoundOffset {
        offset: Some(Offset::new(offset)),
        timestamp_ms,
        leader_epoch: Some(leader_epoch),
    }
}

async fn find(broker: &Broker, topic: &Topic, query: OffsetQuery) -> FoundOffset {
    let isolation = Isolation::ReadUncommitted;
    broker
        .find_offset(topic, 0, query, isolation, None)
        .await
        .expect("no error")
}

fn append_at(broker: &Broker, topic: &Topic, timestamp_ms: i64, values: &[&str]) {
    let batch = batch_at(timestamp_ms, values);
    let ticket = broker.append_checked(topic, 0, batch, BytesPermit::free());
    ticket.expect("accepted").placed().expect("placed");
}

#[tokio::test]
async fn finds_by_name_and_by_time() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    let empty = [
        (OffsetQuery::Earliest, found(0, None, 0)),
        (OffsetQuery::EarliestLocal, found(0, None, 0)),
        (OffsetQuery::Latest, found(0, None, 0)),
        (OffsetQuery::LatestTiered, NEITHER),
        (OffsetQuery::EarliestPendingUpload, NEITHER),
        (OffsetQuery::MaxTimestamp, NEITHER),
        (OffsetQuery::Timestamp(0), NEITHER),
    ];
    for (query, expected) in empty {
        assert_eq!(
            find(&broker, &topic, query).await,
            expected,
            "{query:?} of nothing"
        );
    }
    append_at(&broker, &topic, 1000, &["a", "b"]);
    append_at(&broker, &topic, 3000, &["c"]);
    append_at(&broker, &topic, 2000, &["d"]);
    let cases = [
        (OffsetQuery::Earliest, found(0, None, 0)),
        (OffsetQuery::Latest, found(4, None, 0)),
        (OffsetQuery::LatestTiered, NEITHER),
        (OffsetQuery::MaxTimestamp, found(2, Some(3000), 0)),
        (OffsetQuery::Timestamp(0), found(0, Some(1000), 0)),
        (OffsetQuery::Timestamp(1001), found(2, Some(3000), 0)),
        (OffsetQuery::Timestamp(3000), found(2, Some(3000), 0)),
        (OffsetQuery::Timestamp(3001), NEITHER),
    ];
    for (query, expected) in cases {
        assert_eq!(find(&broker, &topic, query).await, expected, "{query:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_covers_everything_written_before_the_question() {
    let harness = Harness::on(MemoryStore::with_manual_commit());
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    append(&broker, &topic, 0, &["a", "b"]).expect("accepted");
    let durable = Cell::new(false);
    let sync = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        durable.set(true);
        harness.memory.commit_all();
    };
    let ask = async {
        let end = find(&broker, &topic, OffsetQuery::Latest).await;
        assert!(durable.get(), "answered before the sync");
        let described = broker.describe_topic(&topic).await;
        (end, described)
    };
    let ((end, described), ()) = tokio::join!(ask, sync);
    assert_eq!(end, found(2, None, 0));
    let expected = PartitionDescription {
        start: Offset::ZERO,
        end: Offset::new(2),
        size_bytes: batch_at(0, &["a", "b"]).len() as u64,
        segments: 1,
        // Seven days.
        oldest_expires_ms: Some(NOW_MS + 604_800_000),
    };
    assert_eq!(described, [Ok(expected)]);
}

#[tokio::test]
async fn a_failed_sync_gives_no_end() {
    let harness = Harness::on(MemoryStore::with_manual_commit());
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    append(&broker, &topic, 0, &["a"]).expect("accepted");
    harness.memory.fail_all(&failure("sync failed"));
    let isolation = Isolation::ReadUncommitted;
    let asked = broker
        .find_offset(&topic, 0, OffsetQuery::Latest, isolation, None)
        .await;
    let offline = PartitionError::Offline(failure("sync failed"));
    assert_eq!(asked, Err(FindOffsetError::Partition(offline.clone())));
    assert_eq!(broker.describe_topic(&topic).await, [Err(offline)]);
}

/// A topic with records of the epochs 0 (offsets 0 and 1) and 2 (offset 2), served under epoch 3.
async fn with_epochs() -> (std::sync::Arc<Broker>, std::sync::Arc<Topic>) {
    let mut harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    produce(&broker, &topic, &["a", "b"]).await;
    harness = harness.restarted().restarted();
    let broker = harness.broker().await;
    produce(&broker, &broker.topic("orders").expect("kept"), &["c"]).await;
    harness = harness.restarted();
    let broker = harness.broker().await;
    let topic = broker.topic("orders").expect("kept");
    (broker, topic)
}

#[tokio::test]
async fn offsets_carry_the_epoch_of_their_record() {
    let (broker, topic) = with_epochs().await;
    assert_eq!(broker.leader_epoch(&topic, 0), Ok(3));
    let log = topic.log(0).expect("there");
    let epochs = [0, 1, 2, 3].map(|offset| epoch_of(&*log, Offset::new(offset)));
    assert_eq!(epochs, [0, 0, 2, 3]);
    assert_eq!(
        find(&broker, &topic, OffsetQuery::Earliest).await,
        found(0, None, 0)
    );
    assert_eq!(
        find(&broker, &topic, OffsetQuery::Latest).await,
        found(3, None, 3)
    );
}

#[tokio::test]
async fn epochs_end_where_the_next_begins() {
    let (broker, topic) = with_epochs().await;
    let end = |leader_epoch, end| {
        Ok(Some(EpochEnd {
            leader_epoch,
            end: Offset::new(end),
        }))
    };
    for (asked, expected) in [
        (-1, Ok(None)),
        (0, end(0, 2)),
        (2, end(2, 3)),
        (3, end(3, 3)),
        (4, Ok(None)),
    ] {
        assert_eq!(
            broker.epoch_end(&topic, 0, asked, None),
            expected,
            "epoch {asked}"
        );
    }
}

#[tokio::test]
async fn a_client_must_name_the_current_epoch() {
    let (broker, topic) = with_epochs().await;
    let isolation = Isolation::ReadCommitted;
    let (name, partition, current) = (topic_name("orders"), 0, 3);
    let fenced = LeaderEpochError::Fenced {
        topic: name.clone(),
        partition,
        current,
        asked: 2,
    };
    let unknown = LeaderEpochError::Unknown {
        topic: name,
        partition,
        current,
        asked: 4,
    };
    for (named, expected) in [(2, Some(fenced)), (4, Some(unknown)), (3, None)] {
        let query = OffsetQuery::Latest;
        let asked = broker
            .find_offset(&topic, 0, query, isolation, Some(named))
            .await;
        assert_eq!(
            asked.err(),
            expected.clone().map(FindOffsetError::LeaderEpoch)
        );
        let asked = broker.epoch_end(&topic, 0, 0, Some(named));
        assert_eq!(asked.err(), expected.map(EpochEndError::LeaderEpoch));
    }
}

#[tokio::test]
async fn partitions_that_do_not_exist_are_named() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 2).await;
    let unknown = PartitionError::Unknown {
        topic: topic_name("orders"),
        partition: 2,
        count: 2,
    };
    let isolation = Isolation::ReadUncommitted;
    let asked = broker
        .find_offset(&topic, 2, OffsetQuery::Latest, isolation, None)
        .await;
    assert_eq!(asked, Err(FindOffsetError::Partition(unknown.clone())));
    assert_eq!(
        broker.epoch_end(&topic, 2, 0, None),
        Err(unknown.clone().into())
    );
    assert_eq!(broker.leader_epoch(&topic, 2), Err(unknown));
    assert_eq!(broker.describe_topic(&topic).await.len(), 2);
}
