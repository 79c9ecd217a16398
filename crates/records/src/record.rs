//! The records inside a batch.
//!
//! Keys, values and headers are slices of the batch, or of the buffer it was decompressed into:
//! nothing is copied. The CRC is not looked at here.

use std::borrow::Cow;

use bytes::{Buf, Bytes};

use crate::budget::DecodeBudget;
use crate::codec::{Codec, decompress};
use crate::error::BatchError;
use crate::header::{BatchHeader, HEADER_BYTES};
use crate::offset::Offset;
use crate::parse::{HeaderSink, Parser, Source};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: Offset,
    /// When it was made, or appended (see [`TimestampType`](crate::TimestampType)).
    pub timestamp_ms: i64,
    /// What it is about, if anything.
    pub key: Option<Bytes>,
    /// What it says; absent in a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order. A key may occur more than once.
    pub headers: Vec<Header>,
}

/// One header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The key: UTF-8 by convention, which nothing enforces.
    pub key: Bytes,
    /// The value.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a value.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// The key as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn key_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.key)
    }
}

/// Iterator over the records of one batch. Ends after the first error.
#[derive(Debug)]
pub struct Records {
    parser: Option<Parser<Body>>,
    header: BatchHeader,
    header_budget: DecodeBudget,
}

/// Opens one whole batch.
///
/// A compressed batch is decompressed into one buffer, charged to `budget`. What is then left of
/// the budget bounds the memory that the `headers` of all its records take, because a header of
/// two bytes becomes one of many; that part is not charged to `budget`.
pub fn records(batch: &Bytes, budget: &mut DecodeBudget) -> Result<Records, BatchError> {
    let (header, body) = whole_batch(batch)?;
    let body = match open(header.attributes.codec()?, body, budget)? {
        Some(opened) => opened,
        None => batch.slice(HEADER_BYTES..),
    };
    let header_budget = budget.clone();
    Ok(Records {
        parser: Some(Parser::new(&header, Body(body))?),
        header,
        header_budget,
    })
}

/// The header and the body of bytes that are one whole batch.
pub(crate) fn whole_batch(batch: &[u8]) -> Result<(BatchHeader, &[u8]), BatchError> {
    if batch.is_empty() {
        return Err(BatchError::NoBatch);
    }
    let header = BatchHeader::parse(batch)?;
    if header.size_bytes() != batch.len() {
        let declared_bytes = header.size_bytes();
        return Err(BatchError::LengthMismatch {
            declared_bytes,
            got_bytes: batch.len(),
        });
    }
    Ok((header, batch.get(HEADER_BYTES..).unwrap_or_default()))
}

fn open(codec: Codec, body: &[u8], budget: &mut DecodeBudget) -> Result<Option<Bytes>, BatchError> {
    let Some(mut decompressor) = decompress(codec, body)? else {
        return Ok(None);
    };
    let mut opened = Vec::new();
    while decompressor.fill(&mut opened, budget)? {}
    Ok(Some(Bytes::from(opened)))
}

impl Records {
    fn step(&mut self, parser: &mut Parser<Body>) -> Result<Option<Record>, BatchError> {
        let mut headers = Headers {
            list: Vec::new(),
            budget: &mut self.header_budget,
        };
        let Some(fields) = parser.next(&mut headers)? else {
            return Ok(None);
        };
        let headers = headers.list;
        Ok(Some(Record {
            offset: self.header.base_offset.plus(i64::from(fields.offset_delta)),
            timestamp_ms: fields.timestamp_ms,
            key: fields.key,
            value: fields.value,
            headers,
        }))
    }
}

impl Iterator for Records {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut parser = self.parser.take()?;
        let step = self.step(&mut parser).transpose();
        if matches!(step, Some(Ok(_))) {
            self.parser = Some(parser);
        }
        step
    }
}

/// The body of a batch in memory.
#[derive(Debug)]
struct Body(Bytes);

impl Source for Body {
    type Slice = Bytes;

    fn byte(&mut self) -> Result<Option<u8>, BatchError> {
        Ok(self.0.try_get_u8().ok())
    }

    fn slice(&mut self, length: usize) -> Result<Option<Bytes>, BatchError> {
        Ok((length <= self.0.len()).then(|| self.0.split_to(length)))
    }
}

struct Headers<'a> {
    list: Vec<Header>,
    budget: &'a mut DecodeBudget,
}

impl HeaderSink<Bytes> for Headers<'_> {
    fn expect(&mut self, count: usize) -> Result<(), BatchError> {
        self.budget
            .take(count.saturating_mul(size_of::<Header>()))?;
        self.list.reserve_exact(count);
        Ok(())
    }

    fn take(&mut self, key: Bytes, value: Option<Bytes>) {
        self.list.push(Header { key, value });
    }
}
