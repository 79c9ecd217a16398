//! Kafka RecordBatch v2 as bytes: header, check, iterate, build, compress.
//!
//! A [`CheckedBatch`] is exactly one well-formed batch whose CRC is good; only [`check()`] and
//! [`BatchBuilder`] make one, and [`CheckedBatch::recoded`] makes one of another. What is stored is
//! what was received: [`check()`] never opens the records. The few places that must look inside use
//! [`records()`] or [`validate_records_deep`], both bounded by a [`DecodeBudget`].
//!
//! Guarantees: no input panics, nothing is allocated by an untrusted count, every error names the
//! numbers. Must not know: files, clocks, sockets, topics.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod budget;
mod builder;
mod check;
pub mod checksum;
mod codec;
mod deep;
mod error;
mod header;
mod iterate;
mod murmur2;
mod offset;
mod parse;
mod recode;
mod record;
pub mod rewrite;
pub mod varint;

pub use budget::DecodeBudget;
pub use builder::BatchBuilder;
pub use check::{CheckLimits, CheckedBatch, check};
pub use checksum::{crc_of, crc_ok};
pub use codec::{Codec, Compression, UnknownCodecName};
pub use deep::{records_without_key, validate_records_deep};
pub use error::{BatchError, RecordError};
pub use header::{
    Attributes, BatchHeader, CRC_START, HEADER_BYTES, LOG_OVERHEAD_BYTES, MAGIC, NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID, NO_SEQUENCE, TimestampType,
};
pub use iterate::Batches;
pub use murmur2::{murmur2, partition_for_key};
pub use offset::Offset;
pub use record::{Header, Record, Records, records};
