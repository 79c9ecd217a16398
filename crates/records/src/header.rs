//! The 61 bytes in front of every batch.
//!
//! | At | Bytes | Field |
//! |--:|--:|---|
//! | 0 | 8 | base offset |
//! | 8 | 4 | batch length: bytes after this field |
//! | 12 | 4 | partition leader epoch |
//! | 16 | 1 | magic = 2 |
//! | 17 | 4 | CRC-32C over bytes 21 to the end |
//! | 21 | 2 | attributes |
//! | 23 | 4 | last offset delta |
//! | 27 | 8 | base timestamp |
//! | 35 | 8 | max timestamp |
//! | 43 | 8 | producer id |
//! | 51 | 2 | producer epoch |
//! | 53 | 4 | base sequence |
//! | 57 | 4 | record count |
//!
//! Parsing checks only what is needed to walk: length and magic. Whether the other fields make
//! sense is asked after the CRC is known to be good, so that damage is called damage.

use bytes::{Buf, BufMut};

use crate::codec::Codec;
use crate::error::BatchError;
use crate::offset::Offset;

pub(crate) const BASE_OFFSET_AT: usize = 0;
pub(crate) const BATCH_LENGTH_AT: usize = BASE_OFFSET_AT + size_of::<i64>();
pub(crate) const LEADER_EPOCH_AT: usize = BATCH_LENGTH_AT + size_of::<i32>();
pub(crate) const MAGIC_AT: usize = LEADER_EPOCH_AT + size_of::<i32>();
pub(crate) const CRC_AT: usize = MAGIC_AT + size_of::<i8>();
/// Where the bytes covered by the CRC begin.
pub const CRC_START: usize = CRC_AT + size_of::<u32>();
pub(crate) const ATTRIBUTES_AT: usize = CRC_START;
pub(crate) const LAST_OFFSET_DELTA_AT: usize = ATTRIBUTES_AT + size_of::<i16>();
pub(crate) const BASE_TIMESTAMP_AT: usize = LAST_OFFSET_DELTA_AT + size_of::<i32>();
pub(crate) const MAX_TIMESTAMP_AT: usize = BASE_TIMESTAMP_AT + size_of::<i64>();
const PRODUCER_ID_AT: usize = MAX_TIMESTAMP_AT + size_of::<i64>();
const PRODUCER_EPOCH_AT: usize = PRODUCER_ID_AT + size_of::<i64>();
const BASE_SEQUENCE_AT: usize = PRODUCER_EPOCH_AT + size_of::<i16>();
const RECORD_COUNT_AT: usize = BASE_SEQUENCE_AT + size_of::<i32>();

/// Bytes of a batch header: everything before the records.
pub const HEADER_BYTES: usize = RECORD_COUNT_AT + size_of::<i32>();
/// Bytes in front of what the length field counts: base offset and the length itself.
pub const LOG_OVERHEAD_BYTES: usize = LEADER_EPOCH_AT;
/// The message format this crate reads and writes.
pub const MAGIC: i8 = 2;
/// Producer id of a batch from a producer without one.
pub const NO_PRODUCER_ID: i64 = -1;
/// Producer epoch of a batch from a producer without one.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// Base sequence of a batch from a producer without one.
pub const NO_SEQUENCE: i32 = -1;

const _: () = assert!(HEADER_BYTES == 61);
const _: () = assert!(LOG_OVERHEAD_BYTES == 12);
const _: () = assert!(CRC_START == 21);

const MIN_BATCH_LENGTH: usize = HEADER_BYTES - LOG_OVERHEAD_BYTES;

/// Who stamped the records of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer, record by record.
    CreateTime,
    /// The broker, when it appended: all records have the batch's max timestamp.
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(i16);

impl Attributes {
    const CODEC: i16 = 0b0000_0111;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    const DELETE_HORIZON: i16 = 1 << 6;

    /// Attributes from their 16 bits. Bits without a meaning are kept.
    #[must_use]
    pub const fn new(bits: i16) -> Self {
        Self(bits)
    }

    /// The 16 bits.
    #[must_use]
    pub const fn bits(self) -> i16 {
        self.0
    }

    /// How the records are compressed.
    pub fn codec(self) -> Result<Codec, BatchError> {
        let id = u8::try_from(self.0 & Self::CODEC).expect("three bits fit a byte");
        Codec::from_id(id).ok_or(BatchError::UnknownCodec { id })
    }

    /// Who stamped the records.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.has(Self::LOG_APPEND_TIME) {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.has(Self::TRANSACTIONAL)
    }

    /// Whether the batch holds a control record (a transaction marker).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.has(Self::CONTROL)
    }

    /// Whether the base timestamp is the delete horizon of a compacted batch.
    #[must_use]
    pub const fn has_delete_horizon(self) -> bool {
        self.has(Self::DELETE_HORIZON)
    }

    const fn has(self, bit: i16) -> bool {
        self.0 & bit != 0
    }

    pub(crate) const fn with_codec(self, codec: Codec) -> Self {
        Self((self.0 & !Self::CODEC) | codec.id() as i16)
    }

    pub(crate) const fn with_log_append_time(self) -> Self {
        Self(self.0 | Self::LOG_APPEND_TIME)
    }

    pub(crate) const fn with_transactional(self) -> Self {
        Self(self.0 | Self::TRANSACTIONAL)
    }

    pub(crate) const fn with_delete_horizon(self) -> Self {
        Self(self.0 | Self::DELETE_HORIZON)
    }

    /// What still holds of a batch that lost its records.
    pub(crate) const fn of_empty(self) -> Self {
        Self(self.0 & (Self::LOG_APPEND_TIME | Self::TRANSACTIONAL | Self::CONTROL))
    }
}

/// The header of a batch, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; 0 until the broker places the batch.
    pub base_offset: Offset,
    /// Bytes after this field, so the whole batch has 12 more.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch.
    pub leader_epoch: i32,
    /// Message format, always 2 in a parsed header.
    pub magic: i8,
    /// CRC-32C of the bytes from 21 to the end.
    pub crc: u32,
    /// Codec, timestamp type and other bits.
    pub attributes: Attributes,
    /// Offset of the last record, counted from the base offset.
    pub last_offset_delta: i32,
    /// What the timestamps of the records are counted from.
    pub base_timestamp_ms: i64,
    /// Largest timestamp of the records.
    pub max_timestamp_ms: i64,
    /// Idempotent producer, or −1.
    pub producer_id: i64,
    /// Its epoch, or −1.
    pub producer_epoch: i16,
    /// Sequence of the first record, or −1.
    pub base_sequence: i32,
    /// Records in the batch. Compaction may leave fewer than the offsets span.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which may go on after it.
    ///
    /// Checked: enough bytes, magic 2, a length that holds at least the header. Not checked: the
    /// CRC, and what the CRC covers.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let too_short = BatchError::TooShort {
            got_bytes: bytes.len(),
            needed_bytes: HEADER_BYTES,
        };
        // The magic comes first: a message of format 0 or 1 can be shorter than a header of ours.
        let Some(magic) = bytes.get(MAGIC_AT).map(|byte| byte.cast_signed()) else {
            return Err(too_short);
        };
        if magic != MAGIC {
            return Err(BatchError::WrongMagic { got: magic });
        }
        let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(too_short);
        };
        let header = Self::decode(head);
        match usize::try_from(header.batch_length) {
            Ok(length) if length >= MIN_BATCH_LENGTH => Ok(header),
            _ => Err(BatchError::LengthTooSmall {
                batch_length: header.batch_length,
            }),
        }
    }

    fn decode(head: &[u8; HEADER_BYTES]) -> Self {
        let mut fields = head.as_slice();
        Self {
            base_offset: Offset::new(fields.get_i64()),
            batch_length: fields.get_i32(),
            leader_epoch: fields.get_i32(),
            magic: fields.get_i8(),
            crc: fields.get_u32(),
            attributes: Attributes::new(fields.get_i16()),
            last_offset_delta: fields.get_i32(),
            base_timestamp_ms: fields.get_i64(),
            max_timestamp_ms: fields.get_i64(),
            producer_id: fields.get_i64(),
            producer_epoch: fields.get_i16(),
            base_sequence: fields.get_i32(),
            record_count: fields.get_i32(),
        }
    }

    /// The header as its 61 bytes: the mirror of [`BatchHeader::parse`].
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut head = [0; HEADER_BYTES];
        let mut fields = head.as_mut_slice();
        fields.put_i64(self.base_offset.get());
        fields.put_i32(self.batch_length);
        fields.put_i32(self.leader_epoch);
        fields.put_i8(self.magic);
        fields.put_u32(self.crc);
        fields.put_i16(self.attributes.bits());
        fields.put_i32(self.last_offset_delta);
        fields.put_i64(self.base_timestamp_ms);
        fields.put_i64(self.max_timestamp_ms);
        fields.put_i64(self.producer_id);
        fields.put_i16(self.producer_epoch);
        fields.put_i32(self.base_sequence);
        fields.put_i32(self.record_count);
        assert!(fields.is_empty(), "the fields fill the header");
        head
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// Offset that the batch behind this one gets.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// Bytes of the whole batch.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        usize::try_from(self.batch_length)
            .unwrap_or(0)
            .saturating_add(LOG_OVERHEAD_BYTES)
    }

    /// Sequence of the last record: after 2³¹−1 comes 0. −1 for a producer without sequences.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return NO_SEQUENCE;
        }
        let last = self.base_sequence.wrapping_add(self.last_offset_delta);
        // Clearing the sign bit takes 2³¹ off, which is the wrap.
        last & i32::MAX
    }

    /// Whether the batch comes from an idempotent or transactional producer.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// Whether a stored batch can hold this many records: compaction takes records out, but the
    /// offsets stay.
    pub(crate) fn check_count(&self) -> Result<(), BatchError> {
        let most = i64::from(self.last_offset_delta).saturating_add(1);
        if self.last_offset_delta < 0 || !(0..=most).contains(&i64::from(self.record_count)) {
            return Err(self.count_mismatch());
        }
        Ok(())
    }

    pub(crate) const fn count_mismatch(&self) -> BatchError {
        BatchError::CountMismatch {
            record_count: self.record_count,
            last_offset_delta: self.last_offset_delta,
        }
    }
}

#[cfg(test)]
mod tests;
