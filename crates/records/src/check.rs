//! From received bytes to one batch that may be stored.
//!
//! [`check()`] reads the header and the CRC and never opens the records. What it returns is placed
//! by patching the bytes in front of the CRC'd region, so that a batch is stored as it came.

use bytes::{Bytes, BytesMut};

use crate::checksum::crc_of;
use crate::error::BatchError;
use crate::header::{
    ATTRIBUTES_AT, BASE_OFFSET_AT, BatchHeader, CRC_AT, LEADER_EPOCH_AT, MAX_TIMESTAMP_AT,
    NO_PRODUCER_ID,
};
use crate::offset::Offset;

/// What a batch from a client may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckLimits {
    /// Largest batch, header included (`max.message.bytes`).
    pub max_message_bytes: usize,
}

impl Default for CheckLimits {
    /// Kafka's default: 1 MiB of records and the 12 bytes in front.
    fn default() -> Self {
        Self {
            max_message_bytes: 1_048_588,
        }
    }
}

/// Exactly one well-formed batch whose CRC is good.
#[derive(Debug)]
pub struct CheckedBatch {
    header: BatchHeader,
    bytes: BytesMut,
}

/// Takes `bytes` as one batch from a client.
///
/// Exactly one batch of format 2 at base offset 0, as long as it says and not too long, with a
/// good CRC, a known codec, as many records as offsets, no control bit, and a producer id that
/// comes with an epoch and a sequence.
pub fn check(bytes: BytesMut, limits: &CheckLimits) -> Result<CheckedBatch, BatchError> {
    if bytes.is_empty() {
        return Err(BatchError::NoBatch);
    }
    let header = BatchHeader::parse(&bytes)?;
    check_frame(&header, &bytes, limits)?;
    let got = crc_of(&bytes);
    if got != header.crc {
        return Err(BatchError::CrcMismatch {
            got,
            expected: header.crc,
        });
    }
    check_fields(&header)?;
    Ok(CheckedBatch::trusted(header, bytes))
}

/// What lies outside the CRC, and the size.
fn check_frame(header: &BatchHeader, bytes: &[u8], limits: &CheckLimits) -> Result<(), BatchError> {
    let size_bytes = header.size_bytes();
    if size_bytes != bytes.len() {
        let second = bytes.get(size_bytes..).map(BatchHeader::parse);
        return Err(match second {
            Some(Ok(_)) => BatchError::MoreThanOneBatch {
                first_bytes: size_bytes,
                total_bytes: bytes.len(),
            },
            _ => BatchError::LengthMismatch {
                declared_bytes: size_bytes,
                got_bytes: bytes.len(),
            },
        });
    }
    if header.base_offset != Offset::ZERO {
        return Err(BatchError::BaseOffsetNotZero {
            got: header.base_offset.get(),
        });
    }
    if size_bytes > limits.max_message_bytes {
        return Err(BatchError::TooLarge {
            size_bytes,
            limit_bytes: limits.max_message_bytes,
        });
    }
    Ok(())
}

/// What the CRC covers: wrong here means the sender meant it.
fn check_fields(header: &BatchHeader) -> Result<(), BatchError> {
    header.attributes.codec()?;
    if header.last_offset_delta < 0
        || header.last_offset_delta.checked_add(1) != Some(header.record_count)
    {
        return Err(header.count_mismatch());
    }
    if header.attributes.is_control() {
        return Err(BatchError::ControlFromClient);
    }
    if header.producer_id < NO_PRODUCER_ID
        || header.is_idempotent() && (header.producer_epoch < 0 || header.base_sequence < 0)
    {
        return Err(BatchError::BadProducer {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        });
    }
    if header.attributes.is_transactional() && !header.is_idempotent() {
        return Err(BatchError::TransactionalWithoutProducer);
    }
    Ok(())
}

impl CheckedBatch {
    /// For the checks above and for the builder, which makes nothing else.
    pub(crate) fn trusted(header: BatchHeader, bytes: BytesMut) -> Self {
        assert_eq!(
            header.size_bytes(),
            bytes.len(),
            "a batch is as long as it says"
        );
        Self { header, bytes }
    }

    /// The header as numbers, always equal to the bytes.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of the whole batch.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Gives the batch its place in a partition. Touches bytes 0–7 and 12–15 only, which the CRC
    /// does not cover.
    pub fn place(&mut self, base: Offset, leader_epoch: i32) {
        assert!(base >= Offset::ZERO, "offsets start at 0, not at {base}");
        assert!(
            base.checked_plus(i64::from(self.header.last_offset_delta))
                .is_some(),
            "the offsets of a batch at {base} fit 64 bits"
        );
        self.header.base_offset = base;
        self.header.leader_epoch = leader_epoch;
        self.patch(BASE_OFFSET_AT, base.get().to_be_bytes());
        self.patch(LEADER_EPOCH_AT, leader_epoch.to_be_bytes());
    }

    /// Stamps all records with the time of the append: the max timestamp, the timestamp type and
    /// with them the CRC. The records stay as they are.
    pub fn stamp_log_append_time(&mut self, timestamp_ms: i64) {
        self.header.attributes = self.header.attributes.with_log_append_time();
        self.header.max_timestamp_ms = timestamp_ms;
        self.patch(ATTRIBUTES_AT, self.header.attributes.bits().to_be_bytes());
        self.patch(MAX_TIMESTAMP_AT, timestamp_ms.to_be_bytes());
        self.header.crc = crc_of(&self.bytes);
        self.patch(CRC_AT, self.header.crc.to_be_bytes());
    }

    /// The whole batch, frozen.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }

    fn patch<const N: usize>(&mut self, at: usize, field: [u8; N]) {
        self.bytes
            .get_mut(at..)
            .and_then(|tail| tail.first_chunk_mut::<N>())
            .expect("every field lies inside the header, which every batch has")
            .copy_from_slice(&field);
    }
}

#[cfg(test)]
mod tests;
