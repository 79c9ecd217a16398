//! Why bytes are not a batch, one variant per fact, with the numbers.
//!
//! [`BatchError`] says what is wrong with a batch, [`RecordError`] what is wrong with one record
//! inside it. The front doors map these to their codes with one exhaustive match.

use crate::codec::Codec;

/// Why bytes are not the one well-formed batch that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// There are no bytes at all.
    #[error("no record batch")]
    NoBatch,
    /// The bytes end inside the header.
    #[error("{got_bytes} bytes are too short for a batch header of {needed_bytes} bytes")]
    TooShort {
        /// Bytes that are there.
        got_bytes: usize,
        /// Bytes that a header takes.
        needed_bytes: usize,
    },
    /// The header's own length is too small to hold the header.
    #[error("batch length {batch_length} is smaller than a batch header")]
    LengthTooSmall {
        /// The length field: bytes after it.
        batch_length: i32,
    },
    /// The batch is said to be longer or shorter than the bytes that are there.
    #[error("the batch says it has {declared_bytes} bytes, but {got_bytes} bytes are there")]
    LengthMismatch {
        /// Whole batch size by its header.
        declared_bytes: usize,
        /// Bytes that are there.
        got_bytes: usize,
    },
    /// Not message format 2.
    #[error("magic {got} is not supported, only 2 is")]
    WrongMagic {
        /// The magic byte.
        got: i8,
    },
    /// A second batch follows the first.
    #[error("more than one batch: the first has {first_bytes} of {total_bytes} bytes")]
    MoreThanOneBatch {
        /// Size of the first batch.
        first_bytes: usize,
        /// Bytes that are there.
        total_bytes: usize,
    },
    /// The batch is larger than allowed.
    #[error("a batch of {size_bytes} bytes is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// Size of the batch.
        size_bytes: usize,
        /// Largest size allowed.
        limit_bytes: usize,
    },
    /// The bytes do not match their checksum.
    #[error("CRC-32C of the bytes is {got:#010x}, the header says {expected:#010x}")]
    CrcMismatch {
        /// Computed over the bytes.
        got: u32,
        /// Read from the header.
        expected: u32,
    },
    /// A client's batch does not start at 0, as the offsets of an unplaced batch do.
    #[error("base offset {got} of a batch that is not placed yet must be 0")]
    BaseOffsetNotZero {
        /// The base offset field.
        got: i64,
    },
    /// The record count and the offsets do not agree.
    #[error("{record_count} records do not fit a last offset delta of {last_offset_delta}")]
    CountMismatch {
        /// The record count field.
        record_count: i32,
        /// The last offset delta field.
        last_offset_delta: i32,
    },
    /// The attributes name a codec that does not exist.
    #[error("unknown compression codec {id}")]
    UnknownCodec {
        /// Bits 0–2 of the attributes.
        id: u8,
    },
    /// Clients may not write control batches.
    #[error("clients may not write control batches")]
    ControlFromClient,
    /// Producer id, epoch and sequence do not go together.
    #[error(
        "producer id {producer_id}, epoch {producer_epoch} and base sequence {base_sequence} \
         do not go together"
    )]
    BadProducer {
        /// The producer id field.
        producer_id: i64,
        /// The producer epoch field.
        producer_epoch: i16,
        /// The base sequence field.
        base_sequence: i32,
    },
    /// A transactional batch without a producer id.
    #[error("a transactional batch needs a producer id")]
    TransactionalWithoutProducer,
    /// Opening the batch would take more memory than allowed.
    #[error("the records need more than the {limit_bytes} bytes that opening them may take")]
    BudgetExceeded {
        /// The whole budget.
        limit_bytes: usize,
    },
    /// The compressed records cannot be opened.
    #[error("{codec} data cannot be opened: {detail}")]
    BadCompression {
        /// The codec named by the attributes.
        codec: Codec,
        /// What the decoder said.
        detail: String,
    },
    /// One record is malformed.
    #[error("record {index} of the batch: {source}")]
    BadRecord {
        /// Which record, from 0.
        index: i32,
        /// What is wrong with it.
        source: RecordError,
    },
    /// Bytes follow the last record.
    #[error("bytes are left after the last of {record_count} records")]
    TrailingBytes {
        /// The record count field.
        record_count: i32,
    },
    /// A batch without records cannot be built.
    #[error("a batch needs at least one record")]
    NoRecords,
}

/// What is wrong with one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The batch ends inside the record.
    #[error("the batch ends inside it")]
    Truncated,
    /// A variable-length number does not end, or does not fit.
    #[error("a variable-length number is too long")]
    VarintTooLong,
    /// A length that is negative, other than −1 where null is allowed.
    #[error("length {got} is negative")]
    NegativeLength {
        /// The length.
        got: i32,
    },
    /// A field reaches past the end of the record.
    #[error("a field of {needed_bytes} bytes starts where {left_bytes} bytes of it are left")]
    Overrun {
        /// Bytes that the field takes.
        needed_bytes: usize,
        /// Bytes left in the record.
        left_bytes: usize,
    },
    /// The record is longer than its fields.
    #[error("{left_bytes} bytes of it belong to no field")]
    UnusedBytes {
        /// Bytes left after the last field.
        left_bytes: usize,
    },
    /// A negative number of headers, or more than fit into the record.
    #[error("{got} headers do not fit into the {left_bytes} bytes left")]
    HeaderCount {
        /// The count.
        got: i32,
        /// Bytes left in the record.
        left_bytes: usize,
    },
    /// Offsets must rise within the batch and stay inside it.
    #[error("offset delta {got} must be above {previous} and at most {last}")]
    OffsetDelta {
        /// The offset delta.
        got: i32,
        /// The record before it, or −1.
        previous: i32,
        /// The batch's last offset delta.
        last: i32,
    },
    /// The timestamp leaves the range of 64 bits.
    #[error("timestamp delta {delta} from {base_timestamp_ms} ms leaves the range")]
    TimestampOverflow {
        /// The batch's base timestamp.
        base_timestamp_ms: i64,
        /// Distance from it (held at the ends of the range when built).
        delta: i64,
    },
}
