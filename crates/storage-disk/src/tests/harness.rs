//! A data directory on a simulated disk, without threads: a test says when a commit round and when
//! maintenance happens, so the same seed gives the same calls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clock::SimClock;
use records::{BatchBuilder, Batches, CheckedBatch, Codec, DecodeBudget, Offset};
use storage::conformance::{bytes_of, run};
use storage::{
    AppendTicket, BytesPermit, Fence, Isolation, Log, LogConfig, LogStore, ReadError, ReadLimit,
    TopicId, TopicMeta, TopicName,
};
use vfs::{SimVfs, Vfs};

use crate::context::Workers;
use crate::open::open_with;
use crate::{Disk, DiskOptions, Durability, Fatal, OpenDiskError};

pub(crate) const DATA_DIR: &str = "/data";
pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// Runs the future of a step that has nothing to wait for.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut answer = None;
    run(async { answer = Some(future.await) });
    answer.expect("the future ended")
}

/// One life of a process on a simulated disk.
pub(crate) struct Life {
    pub(crate) disk: Disk,
    pub(crate) fatals: Arc<AtomicUsize>,
    pub(crate) clock: Arc<SimClock>,
}

pub(crate) fn options(durability: Durability) -> DiskOptions {
    let data_dir = PathBuf::from(DATA_DIR);
    DiskOptions {
        data_dir,
        durability,
        min_free_bytes: 0,
        retention_check_interval: Duration::from_secs(10),
        scrub_bytes_per_second: 0,
        compaction: crate::CompactionOptions::default(),
        open_files_max: 8,
    }
}

pub(crate) fn try_start(vfs: &SimVfs, options: &DiskOptions) -> Result<Life, OpenDiskError> {
    let fatals = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fatals);
    let fatal: Fatal = Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let clock = Arc::new(SimClock::starting_at(START_MS));
    let vfs: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let for_disk: Arc<dyn clock::Clock> = clock.clone();
    let disk = open_with(vfs, for_disk, options, fatal, Workers::Manual)?;
    Ok(Life {
        disk,
        fatals,
        clock,
    })
}

pub(crate) fn start(vfs: &SimVfs, durability: Durability) -> Life {
    try_start(vfs, &options(durability)).expect("a start is never refused")
}

impl Life {
    /// One commit round.
    pub(crate) fn sync(&self) {
        let context = &self.disk.shared.context;
        context.flusher.run_pending(context);
    }

    /// The commit file turns to its other half, and what is behind is synced.
    pub(crate) fn turn(&self) {
        let context = &self.disk.shared.context;
        context.flusher.run_behind(context);
    }

    /// One round of maintenance.
    pub(crate) fn maintain(&self) {
        let context = &self.disk.shared.context;
        context.upkeep.run_pending(context, &self.disk.journal);
    }

    /// One look at what is too old or too many.
    pub(super) fn retain(&self) {
        let shared = &self.disk.shared;
        shared.context.retention.pass(shared);
    }

    /// One look at what is to be compacted. Whether something was.
    pub(crate) fn compact(&self) -> bool {
        let shared = &self.disk.shared;
        shared.context.cleaner.pass(shared) == Some(true)
    }

    pub(crate) fn open(&self, topic: &TopicMeta, partition: u32) -> Arc<dyn Log> {
        self.disk
            .store
            .open(topic, partition)
            .expect("a log that was made opens")
    }

    pub(crate) fn create(&self, topic: &TopicMeta) -> Arc<dyn Log> {
        now(self.disk.store.create(topic, 0..topic.partitions)).expect("a topic is made");
        self.open(topic, 0)
    }
}

pub(crate) fn topic(name: &str, id: u8, partitions: u32, segment_bytes: u32) -> TopicMeta {
    TopicMeta {
        id: TopicId([id; 16]),
        name: TopicName::parse(name).expect("a valid name"),
        partitions,
        configs: BTreeMap::new(),
        log_config: LogConfig {
            segment_bytes,
            segment_ms: Duration::from_hours(1000),
            index_interval_bytes: 200,
            file_delete_delay: Duration::ZERO,
            ..LogConfig::default()
        },
    }
}

/// A topic of one partition with the default configuration.
pub(crate) fn plain_topic() -> TopicMeta {
    topic("events", 7, 1, 128 * 1024 * 1024)
}

/// Where the only partition of [`plain_topic`] is.
pub(crate) fn partition_dir() -> PathBuf {
    Path::new(DATA_DIR).join("events/partition0")
}

pub(crate) fn file(base: i64, extension: &str) -> PathBuf {
    partition_dir().join(format!("{base:020}.{extension}"))
}

/// A batch with one record for each value.
pub(crate) fn batch(values: &[&[u8]]) -> CheckedBatch {
    build(BatchBuilder::new(Codec::None), values)
}

pub(crate) fn produced(id: i64, epoch: i16, sequence: i32, values: &[&[u8]]) -> CheckedBatch {
    build(
        BatchBuilder::new(Codec::None).producer(id, epoch, sequence),
        values,
    )
}

fn build(mut builder: BatchBuilder, values: &[&[u8]]) -> CheckedBatch {
    for value in values {
        builder
            .append(START_MS, None, Some(value), &[])
            .expect("a small record");
    }
    builder.build().expect("a small batch")
}

pub(crate) fn append(log: &dyn Log, batch: CheckedBatch) -> AppendTicket {
    log.append(batch, Fence::default(), BytesPermit::free())
}

/// Appends and expects a place.
pub(crate) fn place(log: &dyn Log, batch: CheckedBatch) -> Offset {
    append(log, batch).placed().expect("the append is placed")
}

/// A record as a reader sees it.
pub(crate) type Seen = (i64, Vec<u8>);

/// The records from `from` to the end of what is visible.
pub(crate) fn read_from(
    log: &dyn Log,
    from: Offset,
    bytes_max: usize,
) -> Result<Vec<Seen>, ReadError> {
    let limit = ReadLimit {
        bytes_max,
        at_least_one_batch: true,
    };
    let mut seen = Vec::new();
    let mut next = from;
    while next < log.ends().high_watermark {
        let slice = now(log.read(next, limit, Isolation::ReadUncommitted))?;
        assert!(!slice.chunks.is_empty(), "something is visible at {next}");
        next = take_records(&bytes_of(&slice), from, &mut seen);
    }
    Ok(seen)
}

fn take_records(bytes: &Bytes, from: Offset, seen: &mut Vec<Seen>) -> Offset {
    let mut next = from;
    let mut batches = Batches::new(bytes);
    for batch in batches.by_ref() {
        let (position, header, batch) = batch.expect("a read gives whole good batches");
        assert!(
            records::crc_ok(batch),
            "the batch at {position} is what was written"
        );
        let batch = bytes.slice_ref(batch);
        let mut budget = DecodeBudget::new(1 << 20);
        for record in records::records(&batch, &mut budget).expect("the batch opens") {
            let record = record.expect("the record is good");
            if record.offset >= from {
                seen.push((record.offset.get(), record.value.expect("a value").to_vec()));
            }
        }
        next = header.next_offset();
    }
    assert_eq!(
        batches.rest(),
        bytes.len(),
        "a read ends with a whole batch"
    );
    next
}

/// All visible records.
pub(crate) fn read_all(log: &dyn Log) -> Vec<Seen> {
    read_from(log, log.ends().log_start, 1 << 20).expect("the log can be read")
}
