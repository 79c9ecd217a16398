//! What the data path costs in instructions of the processor: decode of a Produce, check and placement
//! of its batch, the plan of a Fetch.
//!
//! Not run by hand: `cargo xtask instructions` runs each part under callgrind, counts only what
//! happens below the function of the part's name, and compares with `instructions.txt`. Counts do
//! not depend on how busy the machine is. Every part does its work so often that a start does not
//! matter. callgrind counts a repeated string instruction once for each byte, so a buffer that is
//! zeroed weighs more here than it does for the processor: what is seen is change, not time.

#![expect(clippy::print_stderr, reason = "a program of a developer's command")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use clock::{Clock, SystemClock};
use futures_util::FutureExt;
use kafka_wire::messages::ProduceRequest;
use kafka_wire::messages::produce::{PartitionProduceData, TopicProduceData};
use kafka_wire::views::{ProduceView, split_frame};
use kafka_wire::{Message, Writer};
use records::{BatchBuilder, CheckLimits, CheckedBatch, Codec, Offset, check};
use storage::{
    BytesPermit, Fence, Isolation, Log, LogConfig, LogStore, ReadLimit, TopicId, TopicMeta,
    TopicName,
};
use storage_disk::{DiskOptions, Durability, open};

const TIMES: usize = 1000;
const PARTITIONS: i32 = 6;
const PRODUCE_VERSION: i16 = 13;
/// Batches of the log that fetches are planned on.
const BATCHES: i64 = 4000;
/// More than is copied into memory, so that a plan is a range of the file.
const FETCH_BYTES: usize = 1 << 20;

fn main() -> ExitCode {
    let part = std::env::args().nth(1).unwrap_or_default();
    match part.as_str() {
        "decode_produce" => decode_produce(produce_requests()),
        "check_and_place_1k" => check_and_place_1k(batches(1)),
        "check_and_place_16k" => check_and_place_16k(batches(15)),
        "plan_at_tail" => with_log(plan_at_tail),
        "plan_by_index" => with_log(plan_by_index),
        other => {
            eprintln!("there is no part {other:?}; cargo xtask instructions names them");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn batch(records: usize) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    for number in 0..records {
        let value = [u8::try_from(number % 251).unwrap_or(0); 1024];
        let appended = builder.append(1_700_000_000_000, None, Some(&value), &[]);
        appended.expect("a small record");
    }
    builder.build().expect("a small batch").into_bytes()
}

fn batches(records: usize) -> Vec<BytesMut> {
    let batch = batch(records);
    (0..TIMES).map(|_| BytesMut::from(&batch[..])).collect()
}

fn produce_requests() -> Vec<BytesMut> {
    let batch = batch(1);
    let data = (0..PARTITIONS).map(|index| PartitionProduceData {
        index,
        records: Some(batch.clone()),
    });
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            partition_data: data.collect(),
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    let mut writer = Writer::new();
    let encoded = request.encode(&mut writer, PRODUCE_VERSION);
    encoded.expect("a request of this version");
    let body = writer.into_inner();
    (0..TIMES).map(|_| BytesMut::from(&body[..])).collect()
}

/// A Produce of one batch to each of six partitions, cut into its batches.
#[inline(never)]
fn decode_produce(requests: Vec<BytesMut>) {
    for frame in requests {
        let view = ProduceView::parse(&frame, 0, PRODUCE_VERSION).expect("it is well-formed");
        let partitions = view.topics().flat_map(|topic| topic.partitions());
        let places: Vec<_> = partitions
            .filter_map(|partition| partition.records)
            .collect();
        let pieces = split_frame(frame, &places);
        assert_eq!(pieces.len(), 6, "a batch for each partition");
    }
}

fn check_and_place(batches: Vec<BytesMut>, least_bytes: usize) {
    for (offset, bytes) in (0..).zip(batches) {
        let mut batch = check(bytes, &CheckLimits::default()).expect("a good batch");
        batch.place(Offset::new(offset), 7);
        assert!(batch.as_bytes().len() >= least_bytes, "all of it");
    }
}

/// The check and the placement of a batch with one record of 1 KiB.
#[inline(never)]
fn check_and_place_1k(batches: Vec<BytesMut>) {
    check_and_place(batches, 1024);
}

/// The same with fifteen: what grows is the checksum.
#[inline(never)]
fn check_and_place_16k(batches: Vec<BytesMut>) {
    check_and_place(batches, 15 * 1024);
}

fn with_log(part: fn(&dyn Log)) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let options = DiskOptions {
        data_dir: directory.path().join("data"),
        durability: Durability::Os,
        min_free_bytes: 0,
        scrub_bytes_per_second: 0,
        compaction: storage_disk::CompactionOptions::default(),
        retention_check_interval: std::time::Duration::from_secs(10),
        open_files_max: 64,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let fatal: storage_disk::Fatal = Arc::new(|failure| eprintln!("{failure:?}"));
    let disk = open(Arc::new(vfs::RealVfs::new()), clock, options, fatal).expect("it opens");
    let topic = TopicMeta {
        id: TopicId([7; 16]),
        name: TopicName::parse("events").expect("a valid name"),
        partitions: 1,
        configs: BTreeMap::new(),
        log_config: LogConfig::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let made = runtime.block_on(disk.store.create(&topic, 0..1));
    made.expect("a topic is made");
    let log = disk.store.open(&topic, 0).expect("the log opens");
    let bytes = batch(1);
    for _ in 0..BATCHES {
        let batch = check(BytesMut::from(&bytes[..]), &CheckLimits::default());
        let batch: CheckedBatch = batch.expect("a good batch");
        let ticket = log.append(batch, Fence::default(), BytesPermit::free());
        ticket.placed().expect("it is placed");
    }
    part(&*log);
    drop(log);
    disk.close().expect("a clean end");
}

fn plan(log: &dyn Log, from: i64, bytes_max: usize) {
    let limit = ReadLimit {
        bytes_max,
        at_least_one_batch: true,
    };
    let read = log.read(Offset::new(from), limit, Isolation::ReadUncommitted);
    let slice = read.now_or_never().expect("nothing has to be waited for");
    let slice = slice.expect("it can be read");
    assert!(slice.size_bytes() > 0, "something is there");
}

/// Small reads that follow each other, as those of a reader near the end.
#[inline(never)]
fn plan_at_tail(log: &dyn Log) {
    for from in (0..).take(TIMES) {
        plan(log, from, 1);
    }
}

/// Large reads that begin anywhere, so that the index is asked.
#[inline(never)]
fn plan_by_index(log: &dyn Log) {
    let mut from = 0;
    for _ in 0..TIMES {
        plan(log, from, FETCH_BYTES);
        from = (from + 1237) % (BATCHES - 1024);
    }
}
