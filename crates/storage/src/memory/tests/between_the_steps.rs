//! What can be seen between the place and the durability of an append, and when durability or room
//! is lost.

use bytes::Bytes;
use futures_util::FutureExt;
use records::{BatchBuilder, CheckedBatch, Codec, Offset};

use super::*;
use crate::conformance::run;
use crate::log::{AppendError, AppendTicket, Ends, Fence, Isolation, ReadLimit, TimeQuery};
use crate::metadata::{CommitError, Key, Space, Version, Write};
use crate::topic::{LogConfig, TopicId};
use crate::{BytesBudget, BytesPermit, Waiter};

const LIMIT: ReadLimit = ReadLimit {
    bytes_max: 1 << 20,
    at_least_one_batch: true,
};

fn topic() -> TopicMeta {
    TopicMeta {
        id: TopicId([1; 16]),
        name: TopicName::parse("events").expect("a valid name"),
        partitions: 1,
        configs: BTreeMap::new(),
        log_config: LogConfig::default(),
    }
}

fn manual() -> (MemoryStore, Arc<dyn Log>) {
    let store = MemoryStore::with_manual_commit();
    run(store.create(&topic(), 0..1)).expect("a topic is created");
    let log = store.open(&topic(), 0).expect("its log opens");
    (store, log)
}

fn batch(base_sequence: i32) -> CheckedBatch {
    let mut builder = BatchBuilder::new(Codec::None).producer(7, 0, base_sequence);
    builder
        .append(1_000, None, Some(b"value"), &[])
        .expect("a small record");
    builder.build().expect("a small batch")
}

fn append(log: &Arc<dyn Log>, base_sequence: i32) -> AppendTicket {
    log.append(batch(base_sequence), Fence::default(), BytesPermit::free())
}

fn visible(log: &Arc<dyn Log>) -> usize {
    let slice = run(log.read(Offset::ZERO, LIMIT, Isolation::ReadUncommitted));
    slice.expect("in range").chunks.len()
}

fn lost() -> StorageFailure {
    StorageFailure::new("the sync failed")
}

#[test]
fn nothing_shows_before_it_is_durable() {
    let (store, log) = manual();
    let waiter = Waiter::new();
    log.wait(Arc::clone(&waiter));
    let ticket = append(&log, 0);
    assert_eq!(ticket.placed(), Ok(Offset::ZERO));
    let ends = Ends {
        log_end: Offset::new(1),
        ..Ends::empty_at(Offset::ZERO)
    };
    assert_eq!(log.ends(), ends);
    assert!(!ticket.is_durable() && !waiter.is_done());
    assert_eq!(visible(&log), 0);
    let found = run(log.offset_at(TimeQuery::Largest, Isolation::ReadUncommitted));
    assert_eq!(found, Ok(None));
    let mut settled = log.settled();
    let mut durable = Box::pin(ticket.durable());
    assert!((&mut settled).now_or_never().is_none());
    assert!((&mut durable).now_or_never().is_none());

    store.commit_all();
    assert!(waiter.is_done());
    assert_eq!(durable.now_or_never(), Some(Ok(Offset::ZERO)));
    assert_eq!(settled.now_or_never(), Some(Ok(log.ends())));
    assert_eq!(
        (visible(&log), log.ends().high_watermark),
        (1, Offset::new(1))
    );
}

#[test]
fn settled_does_not_wait_for_what_comes_later() {
    let (store, log) = manual();
    append(&log, 0);
    let mut settled = log.settled();
    store.commit_all();
    append(&log, 1);
    assert!((&mut settled).now_or_never().is_some());
    assert!(log.settled().now_or_never().is_none());
}

#[test]
fn a_duplicate_is_durable_with_the_original() {
    let (store, log) = manual();
    append(&log, 0);
    let retry = append(&log, 0);
    assert_eq!(retry.placed(), Ok(Offset::ZERO));
    let mut durable = Box::pin(retry.durable());
    assert!(
        (&mut durable).now_or_never().is_none(),
        "the original is not durable yet"
    );
    store.commit_all();
    assert_eq!(durable.now_or_never(), Some(Ok(Offset::ZERO)));
    assert_eq!(visible(&log), 1);
}

#[test]
fn the_byte_budget_is_held_until_durable() {
    let (store, log) = manual();
    let budget = BytesBudget::new(1024);
    let take = || budget.take(1024).now_or_never();
    let permit = take().expect("there is room");
    log.append(batch(0), Fence::default(), permit);
    assert!(take().is_none());
    store.commit_all();
    let permit = take().expect("given back");
    log.append(batch(7), Fence::default(), permit)
        .placed()
        .expect_err("out of order");
    let permit = take().expect("a refused append holds nothing");
    log.append(batch(1), Fence::default(), permit);
    store.fail_all(&lost());
    assert!(take().is_some(), "a failed log holds nothing");
}

#[test]
fn lost_durability_is_for_good() {
    let (store, log) = manual();
    append(&log, 0);
    store.commit_all();
    let ticket = append(&log, 1);
    let waiter = Waiter::new();
    log.wait(Arc::clone(&waiter));
    let mut settled = log.settled();
    assert!((&mut settled).now_or_never().is_none());

    store.fail_all(&lost());
    assert!(waiter.is_done());
    assert_eq!(settled.now_or_never(), Some(Err(lost())));
    store.commit_all();
    let failed = Err(AppendError::Storage(lost()));
    assert_eq!(ticket.durable().now_or_never(), Some(failed.clone()));
    assert_eq!(append(&log, 2).placed(), failed);
    assert_eq!(
        run(store.create(&topic(), 0..1)),
        Err(StoreError::Storage(lost()))
    );
    assert_eq!(
        (visible(&log), log.ends().high_watermark),
        (1, Offset::new(1)),
        "still readable"
    );
}

#[test]
fn removal_fails_what_is_pending() {
    let (store, log) = manual();
    let ticket = append(&log, 0);
    run(store.remove(&topic())).expect("the topic is removed");
    store.commit_all();
    let failure = StorageFailure::new("topic removed: events");
    assert_eq!(
        ticket.durable().now_or_never(),
        Some(Err(AppendError::Storage(failure)))
    );
}

#[test]
fn no_space_refuses_writes_and_passes() {
    let (store, log) = manual();
    append(&log, 0);
    let full = StorageFailure::new("/data is full");
    store.set_no_space(Some(full.clone()));
    let before = log.ends();
    assert_eq!(
        append(&log, 1).placed(),
        Err(AppendError::NoSpace(full.clone()))
    );
    assert_eq!(
        append(&log, 0).placed(),
        Ok(Offset::ZERO),
        "a retry writes nothing"
    );
    assert_eq!(
        run(store.create(&topic(), 0..1)),
        Err(StoreError::NoSpace(full))
    );
    assert_eq!(log.ends(), before);
    store.set_no_space(None);
    assert_eq!(append(&log, 1).placed(), Ok(Offset::new(1)));
}

#[test]
fn a_restart_keeps_what_was_durable_and_ends_the_old_logs() {
    let (store, log) = manual();
    append(&log, 0);
    store.commit_all();
    let pending = append(&log, 1);
    let again = store.restart();
    assert!(pending.durable().now_or_never().expect("resolved").is_err());
    assert!(append(&log, 2).placed().is_err());

    let log = again.open(&topic(), 0).expect("its log opens");
    assert_eq!(
        log.ends(),
        Ends {
            log_start: Offset::ZERO,
            ..Ends::empty_at(Offset::new(1))
        }
    );
    assert_eq!(log.leader_epoch(), 1);
    assert_eq!(
        append(&log, 1).placed(),
        Ok(Offset::new(1)),
        "the lost batch comes anew"
    );
    assert!(
        log.settled().now_or_never().is_none(),
        "commits are still manual"
    );
}

#[test]
fn refused_and_unanswered_commits() {
    let table = MemoryMetadata::new();
    let key = Key::space(Space::Topic);
    let write = [Write {
        key: key.clone(),
        value: Some(Bytes::from_static(b"value")),
    }];
    let error = CommitError::NoSpace(lost());
    table.refuse_commits(Some(error.clone()));
    assert_eq!(run(table.commit(&[], &write)), Err(error));
    assert_eq!(run(table.get(&key)), Ok(None));
    table.refuse_commits(None);

    table.lose_next_answer(lost());
    assert_eq!(
        run(table.commit(&[], &write)),
        Err(CommitError::Unknown(lost()))
    );
    let row = run(table.get(&key))
        .expect("readable")
        .expect("written all the same");
    assert_eq!(
        run(table.commit(&[(key, row.version)], &write)),
        Ok(Version(row.version.0 + 1))
    );
}
