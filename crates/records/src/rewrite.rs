//! Batches with fewer records, as compaction leaves them: offsets, sequences and epochs stay.
//!
//! The rules are those of Kafka's `MemoryRecords.filterTo`. A batch keeps its base offset, its last
//! offset and its base sequence, so that what follows from them stays true however few records are
//! left. Where a delete horizon is set (KIP-534), it takes the place of the base timestamp and the
//! timestamps of the records are counted from it.

use bytes::{Bytes, BytesMut};

use crate::builder::{int, put_record, seal};
use crate::check::CheckedBatch;
use crate::codec::{Codec, Compression, Limited, compress};
use crate::error::{BatchError, RecordError};
use crate::header::{
    Attributes, BatchHeader, HEADER_BYTES, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
    TimestampType,
};
use crate::offset::Offset;
use crate::record::Record;

/// What stands for the timestamp of a batch without records.
const NO_TIMESTAMP: i64 = -1;

/// The batch of `header` with only these of its records, which are some of its own and rise. With a
/// delete horizon, that one holds from here on.
pub fn with_records(
    header: &BatchHeader,
    records: impl IntoIterator<Item = Result<Record, BatchError>>,
    delete_horizon_ms: Option<i64>,
) -> Result<Bytes, BatchError> {
    let codec = header.attributes.codec()?;
    let known_horizon_ms = header
        .attributes
        .has_delete_horizon()
        .then_some(header.base_timestamp_ms);
    let horizon_ms = known_horizon_ms.or(delete_horizon_ms);
    let mut base_ms = horizon_ms;
    let mut bytes = BytesMut::zeroed(HEADER_BYTES);
    let mut body = BytesMut::new();
    let target = if codec == Codec::None {
        &mut bytes
    } else {
        &mut body
    };
    let (mut largest_ms, mut record_count) = (NO_TIMESTAMP, 0_usize);
    for (index, record) in (0..).zip(records) {
        let record = record?;
        let base_timestamp_ms = *base_ms.get_or_insert(record.timestamp_ms);
        let fault = |source| BatchError::BadRecord { index, source };
        let delta = record.timestamp_ms.checked_sub(base_timestamp_ms);
        let timestamp_delta = delta.ok_or_else(|| {
            fault(RecordError::TimestampOverflow {
                base_timestamp_ms,
                delta: record.timestamp_ms.saturating_sub(base_timestamp_ms),
            })
        })?;
        let offset_delta = i32::try_from(record.offset.since(header.base_offset));
        let offset_delta = offset_delta
            .ok()
            .filter(|delta| (0..=header.last_offset_delta).contains(delta));
        let offset_delta = offset_delta.ok_or_else(|| header.count_mismatch())?;
        put_record(target, (timestamp_delta, offset_delta), &record)?;
        record_count = record_count.saturating_add(1);
        largest_ms = largest_ms.max(record.timestamp_ms);
    }
    let base_timestamp_ms = base_ms
        .filter(|_| record_count > 0)
        .ok_or(BatchError::NoRecords)?;
    if codec != Codec::None {
        let limited = Limited {
            out: &mut bytes,
            limit_bytes: usize::MAX,
        };
        compress(Compression::of(codec), &body, limited)?;
    }
    let attributes = header.attributes;
    let is_stamped = attributes.timestamp_type() == TimestampType::LogAppendTime;
    let rewritten = BatchHeader {
        attributes: match horizon_ms {
            Some(_) => attributes.with_delete_horizon(),
            None => attributes,
        },
        base_timestamp_ms,
        max_timestamp_ms: if is_stamped {
            header.max_timestamp_ms
        } else {
            largest_ms
        },
        record_count: int(record_count)?,
        ..*header
    };
    seal(rewritten, bytes).map(CheckedBatch::into_bytes)
}

/// The batch of `header` without any record: what a producer wrote last stays known by it (Kafka's
/// `DefaultRecordBatch.writeEmptyHeader`).
#[must_use]
pub fn without_records(header: &BatchHeader) -> Bytes {
    let rewritten = BatchHeader {
        attributes: header.attributes.of_empty(),
        base_timestamp_ms: NO_TIMESTAMP,
        record_count: 0,
        ..*header
    };
    let sealed = seal(rewritten, BytesMut::zeroed(HEADER_BYTES));
    let sealed = sealed.expect("a header alone is not too large");
    sealed.into_bytes()
}

/// A batch without records that stands for all offsets from that of `first` up to `last`: it is of
/// nobody, and says when the newest record was that it replaces.
#[must_use]
pub fn gap(first: &BatchHeader, last: Offset, newest_ms: i64) -> Option<Bytes> {
    let delta = i32::try_from(last.since(first.base_offset)).ok()?;
    let header = BatchHeader {
        attributes: Attributes::default(),
        last_offset_delta: delta,
        max_timestamp_ms: newest_ms,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        base_sequence: NO_SEQUENCE,
        ..*first
    };
    (delta >= 0).then(|| without_records(&header))
}

#[cfg(test)]
mod tests;
