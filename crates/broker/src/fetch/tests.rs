//! Fetch: limits, errors, epochs, and the wait without polling.

#![allow(clippy::disallowed_methods, reason = "tests")]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use records::Offset;
use storage::memory::MemoryStore;
use storage::{BytesPermit, EpochEnd};
use tokio::time::Instant;

use super::*;
use crate::error::{LeaderEpochError, PartitionError};
use crate::harness::{
    Harness, NOW_MS, append, batch_at, create, failure, fetch_of, partition_of, produce,
    topic_name, values_of,
};

fn only(result: FetchResult) -> Result<PartitionRead, FetchError> {
    let mut partitions = result.partitions;
    assert_eq!(partitions.len(), 1, "one partition was asked for");
    partitions.remove(0)
}

/// Bytes of each of the batches that these tests write: one record of one letter.
fn batch_bytes() -> usize {
    batch_at(NOW_MS, &["a"]).len()
}

#[tokio::test]
async fn reads_from_the_batch_that_contains_the_offset() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    produce(&broker, &topic, &["a", "b"]).await;
    produce(&broker, &topic, &["c"]).await;

    let cases: [(i64, &[&str]); 4] = [
        (0, &["a", "b", "c"]),
        (1, &["a", "b", "c"]),
        (2, &["c"]),
        (3, &[]),
    ];
    for (from, expected) in cases {
        let read = only(broker.fetch(fetch_of(&topic, from)).await).expect("in range");
        assert_eq!(values_of(&read.slice), expected, "from {from}");
        assert_eq!(read.slice.ends.high_watermark, Offset::new(3));
        assert_eq!(read.diverging, None);
    }
}

#[tokio::test]
async fn names_what_is_wrong_with_a_partition() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 2).await;
    produce(&broker, &topic, &["a"]).await;
    let name = topic_name("orders");

    for asked in [-1, 2, 4_000_000_000, i64::MAX] {
        let read = only(broker.fetch(fetch_of(&topic, asked)).await);
        let error = read.expect_err("outside the log");
        assert!(
            matches!(&error, FetchError::OutOfRange { asked: named, .. } if named.get() == asked)
        );
        let text = error.to_string();
        assert!(
            text.contains("orders-0") && text.contains("0 to 1"),
            "{text}"
        );
    }
    for partition in [-1, 2, i32::MIN, i32::MAX] {
        let mut fetch = fetch_of(&topic, 0);
        fetch.partitions = vec![partition_of(&topic, partition, 0)];
        let unknown = PartitionError::Unknown {
            topic: name.clone(),
            partition,
            count: 2,
        };
        let error = only(broker.fetch(fetch).await).expect_err("no such partition");
        assert_eq!(error, FetchError::Partition(unknown));
    }
    let failures = broker.counters().fetch_failures.get();
    assert_eq!((failures, broker.counters().fetch_requests.get()), (8, 8));

    broker.delete_topic(&topic).await.expect("deleted");
    let gone = PartitionError::Deleted { topic: name };
    let error = only(broker.fetch(fetch_of(&topic, 0)).await).expect_err("deleted");
    assert_eq!(error, FetchError::Partition(gone));
}

#[tokio::test]
async fn leader_epochs_must_match() {
    let harness = Harness::on(MemoryStore::new().restart().restart());
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    produce(&broker, &topic, &["a"]).await;
    let with = |epoch| {
        let mut fetch = fetch_of(&topic, 0);
        fetch.partitions[0].current_leader_epoch = Some(epoch);
        broker.fetch(fetch)
    };
    only(with(2).await).expect("the current epoch");
    let older = only(with(1).await).expect_err("an older epoch");
    let newer = only(with(3).await).expect_err("a newer epoch");
    let (topic, partition, current) = (topic_name("orders"), 0, 2);
    let fenced = LeaderEpochError::Fenced {
        topic: topic.clone(),
        partition,
        current,
        asked: 1,
    };
    assert_eq!(older, FetchError::LeaderEpoch(fenced));
    let unknown = LeaderEpochError::Unknown {
        topic,
        partition,
        current,
        asked: 3,
    };
    assert_eq!(newer, FetchError::LeaderEpoch(unknown));
}

#[tokio::test]
async fn a_client_whose_log_went_another_way_is_told_where() {
    let mut harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    produce(&broker, &topic, &["a", "b"]).await;
    harness = harness.restarted();
    let broker = harness.broker().await;
    let topic = broker.topic("orders").expect("kept");
    produce(&broker, &topic, &["c"]).await;

    // (from, last fetched epoch, what is answered)
    let diverged = |leader_epoch, end| {
        Some(EpochEnd {
            leader_epoch,
            end: Offset::new(end),
        })
    };
    let cases = [
        (2, 0, None),
        (3, 1, None),
        (1, 0, None),
        (3, 0, diverged(0, 2)),
    ];
    for (from, epoch, expected) in cases {
        let mut fetch = fetch_of(&topic, from);
        fetch.partitions[0].last_fetched_epoch = Some(epoch);
        // It is told at once, not after the wait.
        fetch.wait = if expected.is_some() {
            Duration::MAX
        } else {
            Duration::ZERO
        };
        let read = only(broker.fetch(fetch).await).expect("no error");
        assert_eq!(read.diverging, expected, "from {from}, epoch {epoch}");
        assert_eq!(
            read.slice.chunks.is_empty(),
            expected.is_some() || from == 3
        );
    }
    let mut fetch = fetch_of(&topic, 0);
    fetch.partitions[0].last_fetched_epoch = Some(9);
    let error = only(broker.fetch(fetch).await).expect_err("an epoch that never was");
    assert!(matches!(error, FetchError::OutOfRange { .. }), "{error}");
}

#[tokio::test]
async fn bytes_are_limited_over_all_partitions_but_the_first_batch_always_comes() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 4).await;
    for partition in [1, 2, 3] {
        for value in ["a", "b"] {
            append(&broker, &topic, partition, &[value]).expect("accepted");
        }
    }
    let batch = batch_bytes();
    // (limit of all, limit of each, batches of partitions 0 to 3)
    let cases = [
        (usize::MAX, usize::MAX, [0, 2, 2, 2]),
        (usize::MAX, batch, [0, 1, 1, 1]),
        (usize::MAX, 0, [0, 1, 0, 0]),
        (batch * 3, usize::MAX, [0, 2, 1, 0]),
        (batch * 3 - 1, usize::MAX, [0, 2, 0, 0]),
        (batch, usize::MAX, [0, 1, 0, 0]),
        (1, usize::MAX, [0, 1, 0, 0]),
        (0, 0, [0, 1, 0, 0]),
        // What the first does not use is there for the others.
        (batch * 4, batch, [0, 1, 1, 1]),
    ];
    for (all, each, expected) in cases {
        let mut fetch = fetch_of(&topic, 0);
        fetch.bytes_max = all;
        fetch.partitions = (0..4)
            .map(|number| partition_of(&topic, number, 0))
            .collect();
        for partition in &mut fetch.partitions {
            partition.bytes_max = each;
        }
        let result = broker.fetch(fetch).await;
        let reads = result
            .partitions
            .iter()
            .map(|read| read.as_ref().expect("in range"));
        let batches: Vec<_> = reads.map(|read| read.slice.size_bytes() / batch).collect();
        assert_eq!(batches, expected, "{all} in all, {each} each");
    }
}

#[tokio::test]
async fn the_brokers_own_limit_holds_too() {
    let mut harness = Harness::new();
    harness.config.fetch_max_bytes = batch_bytes() * 2;
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    for _ in 0..3 {
        produce(&broker, &topic, &["a"]).await;
    }
    let mut fetch = fetch_of(&topic, 0);
    fetch.bytes_max = usize::MAX;
    // More than can ever come is not waited for.
    fetch.bytes_min = usize::MAX;
    fetch.wait = Duration::MAX;
    let result = broker.fetch(fetch).await;
    assert_eq!(result.size_bytes(), batch_bytes() * 2);
    assert_eq!(
        broker.counters().bytes_out.get(),
        result.size_bytes() as u64
    );
}

#[tokio::test]
async fn a_fetch_of_nothing_answers_at_once() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    let mut fetch = fetch_of(&topic, 0);
    fetch.partitions.clear();
    fetch.wait = Duration::MAX;
    assert!(broker.fetch(fetch).await.partitions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn waits_no_longer_than_asked() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    let began = Instant::now();
    let mut fetch = fetch_of(&topic, 0);
    fetch.wait = Duration::from_millis(500);
    let read = only(broker.fetch(fetch).await).expect("no error");
    assert!(read.slice.chunks.is_empty());
    assert_eq!(began.elapsed().as_millis(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_fetch_wakes_when_another_task_appends_to_any_of_its_partitions() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 3).await;
    let began = Instant::now();
    let mut fetch = fetch_of(&topic, 0);
    fetch.partitions = (0..3)
        .map(|number| partition_of(&topic, number, 0))
        .collect();
    fetch.wait = Duration::from_hours(1);
    let reader = tokio::spawn({
        let broker = Arc::clone(&broker);
        async move { broker.fetch(fetch).await }
    });
    // Time is paused: it passes only when every task waits, so the reader waits by then.
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!reader.is_finished());
    append(&broker, &topic, 2, &["a"]).expect("accepted");
    let result = reader.await.expect("the reader ends");
    let last = result.partitions[2].as_ref().expect("no error");
    assert_eq!(values_of(&last.slice), ["a"]);
    assert_eq!(began.elapsed().as_secs(), 1, "not at the end of the wait");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_fetch_wakes_only_for_enough_bytes() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    let mut fetch = fetch_of(&topic, 0);
    fetch.bytes_min = batch_bytes() * 2;
    fetch.wait = Duration::from_hours(1);
    let appended = Cell::new(0);
    let write = async {
        for value in ["a", "b"] {
            // The reader has its turn between any two appends.
            tokio::time::sleep(Duration::from_secs(1)).await;
            appended.set(appended.get() + 1);
            produce(&broker, &topic, &[value]).await;
        }
    };
    let read = async {
        let result = broker.fetch(fetch).await;
        assert_eq!(appended.get(), 2, "one batch is not enough");
        values_of(&only(result).expect("no error").slice)
    };
    let (values, ()) = tokio::join!(read, write);
    assert_eq!(values, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_seen_before_it_is_durable() {
    let harness = Harness::on(MemoryStore::with_manual_commit());
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    let mut fetch = fetch_of(&topic, 0);
    fetch.wait = Duration::from_hours(1);
    let durable = Cell::new(false);
    let write = async {
        append(&broker, &topic, 0, &["a"]).expect("accepted");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = only(broker.fetch(fetch_of(&topic, 0)).await).expect("in range");
        assert!(now.slice.chunks.is_empty(), "written, not yet durable");
        durable.set(true);
        harness.memory.commit_all();
    };
    let read = async {
        let result = broker.fetch(fetch).await;
        assert!(durable.get(), "woken before the sync");
        values_of(&only(result).expect("no error").slice)
    };
    let (values, ()) = tokio::join!(read, write);
    assert_eq!(values, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_fetch_learns_of_a_deletion_at_once() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    let mut fetch = fetch_of(&topic, 0);
    fetch.wait = Duration::from_hours(1);
    let began = Instant::now();
    let (result, deleted) = tokio::join!(broker.fetch(fetch), broker.delete_topic(&topic));
    deleted.expect("deleted");
    let gone = PartitionError::Deleted {
        topic: topic_name("orders"),
    };
    assert_eq!(only(result).expect_err("gone"), FetchError::Partition(gone));
    assert_eq!(began.elapsed().as_secs(), 0);
}

#[tokio::test]
async fn one_bad_partition_does_not_hide_the_others_nor_make_them_wait() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 2).await;
    append(&broker, &topic, 1, &["a"]).expect("accepted");
    let mut fetch = fetch_of(&topic, 0);
    fetch.partitions = vec![partition_of(&topic, 7, 0), partition_of(&topic, 1, 0)];
    fetch.bytes_min = usize::MAX;
    fetch.wait = Duration::MAX;
    let result = broker.fetch(fetch).await;
    assert!(result.partitions[0].is_err());
    let good = result.partitions[1].as_ref().expect("no error");
    assert_eq!(values_of(&good.slice), ["a"]);
}

#[tokio::test]
async fn after_a_failed_sync_what_was_visible_can_be_read() {
    let harness = Harness::on(MemoryStore::with_manual_commit());
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    let first = append(&broker, &topic, 0, &["a"]).expect("accepted");
    harness.memory.commit_all();
    first.durable().await.expect("durable");
    let second = append(&broker, &topic, 0, &["b"]).expect("accepted");
    harness.memory.fail_all(&failure("sync failed"));
    second.durable().await.expect_err("never durable");
    let read = only(broker.fetch(fetch_of(&topic, 0)).await).expect("in range");
    assert_eq!(values_of(&read.slice), ["a"]);
}

#[tokio::test]
async fn a_fetch_that_is_given_up_leaves_no_waiter() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    let log = topic.log(0).expect("there");
    let waiter = Waiter::new();
    log.wait(Arc::clone(&waiter));
    let registration = register(&fetch_of(&topic, 0));
    let registered = Arc::clone(&registration.0);
    drop(registration);
    assert!(registered.is_done(), "the log may sweep it out");
    assert!(!waiter.is_done());
    let permit = BytesPermit::free();
    let ticket = broker.append_checked(&topic, 0, batch_at(NOW_MS, &["a"]), permit);
    ticket.expect("accepted").durable().await.expect("durable");
    assert!(waiter.is_done());
}

/// A log to which somebody appends in the moment before a waiter is registered.
#[derive(Debug)]
struct Racing {
    log: Arc<dyn Log>,
    raced: std::sync::atomic::AtomicBool,
}

impl Log for Racing {
    fn append(
        &self,
        batch: records::CheckedBatch,
        fence: storage::Fence,
        permit: BytesPermit,
    ) -> storage::AppendTicket {
        self.log.append(batch, fence, permit)
    }

    fn read(
        &self,
        from: Offset,
        limit: ReadLimit,
        isolation: Isolation,
    ) -> storage::BoxFuture<'_, Result<ReadSlice, ReadError>> {
        self.log.read(from, limit, isolation)
    }

    fn offset_at(
        &self,
        query: storage::TimeQuery,
        isolation: Isolation,
    ) -> storage::BoxFuture<'_, Result<Option<storage::OffsetAt>, ReadError>> {
        self.log.offset_at(query, isolation)
    }

    fn trim(
        &self,
        new_start: Offset,
    ) -> storage::BoxFuture<'_, Result<Offset, storage::TrimError>> {
        self.log.trim(new_start)
    }

    fn ends(&self) -> Ends {
        self.log.ends()
    }

    fn settled(&self) -> storage::BoxFuture<'_, Result<Ends, storage::StorageFailure>> {
        self.log.settled()
    }

    fn epoch_end(&self, epoch: i32) -> Option<EpochEnd> {
        self.log.epoch_end(epoch)
    }

    fn leader_epoch(&self) -> i32 {
        self.log.leader_epoch()
    }

    fn footprint(&self) -> storage::Footprint {
        self.log.footprint()
    }

    fn producers(
        &self,
    ) -> Result<Vec<storage::producer_state::ProducerEntry>, storage::StorageFailure> {
        self.log.producers()
    }

    fn wait(&self, waiter: Arc<Waiter>) {
        if !self.raced.swap(true, std::sync::atomic::Ordering::AcqRel) {
            let batch = batch_at(NOW_MS, &["a"]);
            let ticket = self
                .log
                .append(batch, storage::Fence::default(), BytesPermit::free());
            ticket.placed().expect("placed");
        }
        self.log.wait(waiter);
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_just_before_the_registration_is_not_missed() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    harness.store.faults.lock().wrap = Some(|log| {
        let raced = std::sync::atomic::AtomicBool::default();
        Arc::new(Racing { log, raced })
    });
    let topic = create(&broker, "orders", 1).await;
    let began = Instant::now();
    let mut fetch = fetch_of(&topic, 0);
    fetch.wait = Duration::from_hours(1);
    let read = only(broker.fetch(fetch).await).expect("no error");
    assert_eq!(values_of(&read.slice), ["a"]);
    assert_eq!(began.elapsed().as_secs(), 0);
}
