//! Topics and batches that the cases use, and how they look at what is stored.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use records::{BatchBuilder, BatchHeader, Batches, CheckedBatch, Codec, DecodeBudget, Offset};

use crate::BytesPermit;
use crate::log::{AppendError, Chunk, Fence, Isolation, Log, ReadLimit, ReadSlice};
use crate::topic::{LogConfig, TopicId, TopicMeta, TopicName};

/// More than any case writes.
pub(super) const NO_LIMIT: ReadLimit = ReadLimit {
    bytes_max: 64 * 1024 * 1024,
    at_least_one_batch: true,
};

/// Every codec.
pub(super) const CODECS: [Codec; 5] = [
    Codec::None,
    Codec::Gzip,
    Codec::Snappy,
    Codec::Lz4,
    Codec::Zstd,
];

/// A topic with an id of its own for each name.
pub(super) fn topic(name: &str, partitions: u32) -> TopicMeta {
    let mut id = [7; 16];
    for (byte, letter) in id.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    TopicMeta {
        id: TopicId(id),
        name: TopicName::parse(name).expect("a valid name"),
        partitions,
        configs: BTreeMap::from([("segment.bytes".to_owned(), "134217728".to_owned())]),
        log_config: LogConfig::default(),
    }
}

/// A topic whose logs roll and are indexed every few batches.
pub(super) fn topic_of_small_segments(name: &str) -> TopicMeta {
    let log_config = LogConfig {
        segment_bytes: 2048,
        index_interval_bytes: 256,
        ..LogConfig::default()
    };
    TopicMeta {
        log_config,
        ..topic(name, 1)
    }
}

/// A batch of `count` records, uncompressed, without a producer.
pub(super) fn batch(count: usize) -> CheckedBatch {
    build(BatchBuilder::new(Codec::None), &vec![1_000; count])
}

/// A batch of an idempotent producer.
pub(super) fn produced(id: i64, epoch: i16, base_sequence: i32, count: usize) -> CheckedBatch {
    let builder = BatchBuilder::new(Codec::None).producer(id, epoch, base_sequence);
    build(builder, &vec![1_000; count])
}

/// A batch with one record for each timestamp.
pub(super) fn timed(codec: Codec, timestamps_ms: &[i64]) -> CheckedBatch {
    build(BatchBuilder::new(codec), timestamps_ms)
}

fn build(mut builder: BatchBuilder, timestamps_ms: &[i64]) -> CheckedBatch {
    for (index, timestamp_ms) in timestamps_ms.iter().enumerate() {
        let value = format!("value {index} at {timestamp_ms}");
        let value = Some(value.as_bytes());
        builder
            .append(*timestamp_ms, Some(b"key"), value, &[])
            .expect("a small record");
    }
    builder.build().expect("a small batch")
}

/// A batch with one record whose value is `value`.
pub(super) fn valued(value: &str) -> CheckedBatch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .append(1_000, None, Some(value.as_bytes()), &[])
        .expect("a small record");
    builder.build().expect("a small batch")
}

/// Appends and waits until the batch is durable.
pub(super) async fn append(log: &dyn Log, batch: CheckedBatch) -> Result<i64, AppendError> {
    let ticket = log.append(batch, Fence::default(), BytesPermit::free());
    ticket.durable().await.map(Offset::get)
}

/// Appends `batch` and expects its place.
pub(super) async fn append_at(log: &dyn Log, batch: CheckedBatch, expected: i64) {
    assert_eq!(append(log, batch).await, Ok(expected));
}

/// What a read from `from` returns, as bytes.
pub(super) async fn read(log: &dyn Log, from: i64, limit: ReadLimit) -> Bytes {
    let slice = log
        .read(Offset::new(from), limit, Isolation::ReadUncommitted)
        .await;
    bytes_of(&slice.expect("the offset is in the log"))
}

/// All visible batches from `from` on, checked: whole, CRC good, offsets dense.
pub(super) async fn stored(log: &dyn Log, from: i64) -> Vec<(BatchHeader, Bytes)> {
    let end = log.ends().high_watermark;
    let mut found: Vec<(BatchHeader, Bytes)> = Vec::new();
    let mut next = Offset::new(from);
    while next < end {
        let bytes = read(log, next.get(), NO_LIMIT).await;
        assert!(
            !bytes.is_empty(),
            "{next} is below {end} and must be readable"
        );
        for (header, batch) in batches_in(&bytes) {
            if let Some((before, _)) = found.last() {
                assert_eq!(
                    header.base_offset,
                    before.next_offset(),
                    "offsets are dense"
                );
            }
            assert!(
                records::crc_ok(&batch),
                "the CRC at {} is good",
                header.base_offset
            );
            next = header.next_offset();
            found.push((header, batch));
        }
    }
    found
}

/// The batches of a row of batches, which must be whole.
pub(super) fn batches_in(bytes: &Bytes) -> Vec<(BatchHeader, Bytes)> {
    let mut walk = Batches::new(bytes);
    let mut found = Vec::new();
    for step in walk.by_ref() {
        let (position, header, batch) = step.expect("a batch that can be walked");
        found.push((header, bytes.slice(position..position + batch.len())));
    }
    assert_eq!(walk.rest(), bytes.len(), "only whole batches are returned");
    found
}

/// Offset and value of all visible records.
pub(super) async fn values(log: &dyn Log) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    for (_, batch) in stored(log, log.ends().log_start.get()).await {
        let mut budget = DecodeBudget::new(1024 * 1024);
        for record in records::records(&batch, &mut budget).expect("the batch opens") {
            let record = record.expect("a good record");
            let value = record.value.expect("samples have values");
            found.push((
                record.offset.get(),
                String::from_utf8_lossy(&value).into_owned(),
            ));
        }
    }
    found
}

/// The bytes of a slice, files read in.
///
/// # Panics
/// If a file range cannot be read whole.
pub fn bytes_of(slice: &ReadSlice) -> Bytes {
    let mut bytes = BytesMut::new();
    for chunk in &slice.chunks {
        match chunk {
            Chunk::Memory(memory) => bytes.extend_from_slice(memory),
            Chunk::File {
                file,
                at,
                size_bytes,
            } => {
                let start = bytes.len();
                bytes.resize(start + size_bytes, 0);
                let (mut target, mut at) = (&mut bytes[start..], *at);
                while !target.is_empty() {
                    let read = file
                        .read_at(target, at)
                        .expect("the file range is readable");
                    assert!(read > 0, "the file ends inside the range");
                    target = &mut target[read..];
                    at += read as u64;
                }
            }
        }
    }
    bytes.freeze()
}
