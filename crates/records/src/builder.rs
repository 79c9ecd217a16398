//! Makes batches: for gRPC, the command line and tests.

use bytes::{BufMut, BytesMut};

use crate::check::CheckedBatch;
use crate::checksum::crc_of;
use crate::codec::{Codec, Compression, Limited, compress};
use crate::error::{BatchError, RecordError};
use crate::header::{
    Attributes, BatchHeader, HEADER_BYTES, LOG_OVERHEAD_BYTES, MAGIC, NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID, NO_SEQUENCE,
};
use crate::offset::Offset;
use crate::record::{Header, Record};
use crate::varint::{put_varint, put_varlong, varint_size, varlong_size};

/// Leader epoch of a batch that no broker has placed yet.
const NO_LEADER_EPOCH: i32 = -1;
/// Null, as a length.
const NULL: i32 = -1;

/// Collects records and makes one batch of them.
#[derive(Debug)]
pub struct BatchBuilder {
    codec: Codec,
    attributes: Attributes,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    record_count: i32,
    /// Room for the header, then the records as they are before compression.
    bytes: BytesMut,
}

impl BatchBuilder {
    /// An empty batch that will be compressed with `codec`.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            attributes: Attributes::default().with_codec(codec),
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            base_timestamp_ms: 0,
            max_timestamp_ms: i64::MIN,
            record_count: 0,
            bytes: BytesMut::zeroed(HEADER_BYTES),
        }
    }

    /// Makes it a batch of an idempotent producer.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// Makes it part of a transaction; needs a producer.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes = self.attributes.with_transactional();
        self
    }

    /// Adds a record. The builder is unchanged if it is refused.
    pub fn append(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BatchError> {
        let base_timestamp_ms = if self.is_empty() {
            timestamp_ms
        } else {
            self.base_timestamp_ms
        };
        let timestamp_delta = timestamp_ms.checked_sub(base_timestamp_ms).ok_or_else(|| {
            let delta = timestamp_ms.saturating_sub(base_timestamp_ms);
            self.fault(RecordError::TimestampOverflow {
                base_timestamp_ms,
                delta,
            })
        })?;
        let deltas = (timestamp_delta, self.record_count);
        put_fields(&mut self.bytes, deltas, (key, value), headers)?;
        self.base_timestamp_ms = base_timestamp_ms;
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        self.record_count = self.record_count.saturating_add(1);
        Ok(())
    }

    /// Bytes of the batch as it stands, before compression.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Records so far.
    #[must_use]
    pub fn record_count(&self) -> usize {
        usize::try_from(self.record_count).expect("records are counted up from 0")
    }

    /// Whether there is no record yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Makes the batch: at base offset 0, as a producer sends it.
    pub fn build(self) -> Result<CheckedBatch, BatchError> {
        if self.is_empty() {
            return Err(BatchError::NoRecords);
        }
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            batch_length: 0,
            leader_epoch: NO_LEADER_EPOCH,
            magic: MAGIC,
            crc: 0,
            attributes: self.attributes,
            last_offset_delta: self.record_count.saturating_sub(1),
            base_timestamp_ms: self.base_timestamp_ms,
            max_timestamp_ms: self.max_timestamp_ms,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.record_count,
        };
        let mut bytes = self.bytes;
        if self.codec != Codec::None {
            let body = bytes.split_off(HEADER_BYTES);
            let limited = Limited {
                out: &mut bytes,
                limit_bytes: usize::MAX,
            };
            compress(Compression::of(self.codec), &body, limited)?;
        }
        seal(header, bytes)
    }

    fn fault(&self, source: RecordError) -> BatchError {
        BatchError::BadRecord {
            index: self.record_count,
            source,
        }
    }
}

/// Adds a record to a body.
pub(crate) fn put_record(
    body: &mut BytesMut,
    deltas: (i64, i32),
    record: &Record,
) -> Result<(), BatchError> {
    let fields = (record.key.as_deref(), record.value.as_deref());
    put_fields(body, deltas, fields, &record.headers)
}

/// Adds a record with these deltas of timestamp and offset. `body` is unchanged if it is refused.
fn put_fields(
    body: &mut BytesMut,
    (timestamp_delta, offset_delta): (i64, i32),
    (key, value): (Option<&[u8]>, Option<&[u8]>),
    headers: &[Header],
) -> Result<(), BatchError> {
    let size = record_size(timestamp_delta, offset_delta, (key, value), headers);
    let total_bytes = body
        .len()
        .saturating_add(varint_size(i32::MAX))
        .saturating_add(size);
    // A batch's length, and so every length in it, is an i32.
    let length = int(total_bytes).and_then(|_| int(size))?;
    put_varint(body, length);
    body.put_i8(0);
    put_varlong(body, timestamp_delta);
    put_varint(body, offset_delta);
    put_nullable(body, key)?;
    put_nullable(body, value)?;
    put_varint(body, int(headers.len())?);
    for header in headers {
        put_varint(body, int(header.key.len())?);
        body.put_slice(&header.key);
        put_nullable(body, header.value.as_deref())?;
    }
    Ok(())
}

fn put_nullable(body: &mut BytesMut, field: Option<&[u8]>) -> Result<(), BatchError> {
    let Some(bytes) = field else {
        put_varint(body, NULL);
        return Ok(());
    };
    put_varint(body, int(bytes.len())?);
    body.put_slice(bytes);
    Ok(())
}

/// Makes `bytes`, room for a header and then the records, the batch with this header. Its length and
/// its checksum come from the bytes.
pub(crate) fn seal(
    mut header: BatchHeader,
    mut bytes: BytesMut,
) -> Result<CheckedBatch, BatchError> {
    header.batch_length = int(bytes.len().saturating_sub(LOG_OVERHEAD_BYTES))?;
    put_header(&mut bytes, &header);
    header.crc = crc_of(&bytes);
    put_header(&mut bytes, &header);
    Ok(CheckedBatch::trusted(header, bytes))
}

fn put_header(bytes: &mut BytesMut, header: &BatchHeader) {
    let head = bytes
        .first_chunk_mut()
        .expect("room for the header was made first");
    *head = header.encode();
}

/// Bytes of a record after its length field. Saturates, so that nothing huge passes for small.
fn record_size(
    timestamp_delta: i64,
    offset_delta: i32,
    (key, value): (Option<&[u8]>, Option<&[u8]>),
    headers: &[Header],
) -> usize {
    let fixed = size_of::<i8>()
        .saturating_add(varlong_size(timestamp_delta))
        .saturating_add(varint_size(offset_delta))
        .saturating_add(field_size(key))
        .saturating_add(field_size(value))
        .saturating_add(length_size(headers.len()));
    headers.iter().fold(fixed, |size, header| {
        size.saturating_add(field_size(Some(&header.key)))
            .saturating_add(field_size(header.value.as_deref()))
    })
}

fn field_size(field: Option<&[u8]>) -> usize {
    match field {
        None => varint_size(NULL),
        Some(bytes) => length_size(bytes.len()).saturating_add(bytes.len()),
    }
}

fn length_size(length: usize) -> usize {
    varint_size(i32::try_from(length).unwrap_or(i32::MAX))
}

pub(crate) fn int(size_bytes: usize) -> Result<i32, BatchError> {
    const LIMIT: i32 = i32::MAX;
    i32::try_from(size_bytes)
        .ok()
        .ok_or_else(|| BatchError::TooLarge {
            size_bytes,
            limit_bytes: usize::try_from(LIMIT).expect("positive"),
        })
}
