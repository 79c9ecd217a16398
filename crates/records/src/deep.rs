//! Deep validation: every record of a batch is looked at, none is kept.
//!
//! Memory does not grow with the batch: a compressed body passes through one block of its codec.

use std::borrow::Cow;

use crate::budget::DecodeBudget;
use crate::codec::{Decompress, decompress};
use crate::error::BatchError;
use crate::parse::{Fields, HeaderSink, Parser, Source};
use crate::record::whole_batch;

/// Opens one whole batch and checks each record: lengths are exact, offsets rise within the batch
/// (so they are 0 … n−1 where the header counts n records for n offsets), timestamps fit, and no
/// bytes are left. Says yes exactly when [`records`](crate::records()) would give every record,
/// if the budget lets both.
///
/// The CRC is not looked at.
pub fn validate_records_deep(batch: &[u8], budget: &mut DecodeBudget) -> Result<(), BatchError> {
    opened(batch, budget).map(drop)
}

/// As [`validate_records_deep`], and says which records have no key, counted from 0.
pub fn records_without_key(
    batch: &[u8],
    budget: &mut DecodeBudget,
) -> Result<Vec<i32>, BatchError> {
    let (mut found, mut index) = (Vec::new(), 0_i32);
    walk(batch, budget, |fields| {
        if fields.key.is_none() {
            found.push(index);
        }
        index = index.saturating_add(1);
    })?;
    Ok(found)
}

/// What opening a whole batch shows of it.
pub(crate) struct Opened {
    /// The largest timestamp of its records; `None` where it has none.
    pub(crate) max_timestamp_ms: Option<i64>,
    /// How long its records are, not compressed.
    pub(crate) body_bytes: usize,
}

/// As [`validate_records_deep`], and what was seen.
pub(crate) fn opened(batch: &[u8], budget: &mut DecodeBudget) -> Result<Opened, BatchError> {
    walk(batch, budget, |_| {})
}

fn walk(
    batch: &[u8],
    budget: &mut DecodeBudget,
    mut look_at: impl FnMut(&Fields<()>),
) -> Result<Opened, BatchError> {
    let (header, body) = whole_batch(batch)?;
    let before_bytes = budget.remaining_bytes();
    let decompressor = decompress(header.attributes.codec()?, body)?;
    let is_compressed = decompressor.is_some();
    let chunk = if is_compressed {
        Cow::Owned(Vec::new())
    } else {
        Cow::Borrowed(body)
    };
    let stream = Stream {
        chunk,
        at: 0,
        decompressor,
        budget,
    };
    let mut parser = Parser::new(&header, stream)?;
    let mut max_timestamp_ms = None;
    while let Some(fields) = parser.next(&mut Uncounted)? {
        max_timestamp_ms = max_timestamp_ms.max(Some(fields.timestamp_ms));
        look_at(&fields);
    }
    drop(parser);
    let body_bytes = if is_compressed {
        before_bytes.saturating_sub(budget.remaining_bytes())
    } else {
        body.len()
    };
    Ok(Opened {
        max_timestamp_ms,
        body_bytes,
    })
}

/// A body that is read once, block by block.
struct Stream<'a> {
    chunk: Cow<'a, [u8]>,
    at: usize,
    decompressor: Option<Box<dyn Decompress + 'a>>,
    budget: &'a mut DecodeBudget,
}

impl Stream<'_> {
    /// Whether there are bytes at `at`, after getting more if there are not.
    fn ready(&mut self) -> Result<bool, BatchError> {
        while self.at >= self.chunk.len() {
            let Some(decompressor) = &mut self.decompressor else {
                return Ok(false);
            };
            let chunk = self.chunk.to_mut();
            chunk.clear();
            self.at = 0;
            if !decompressor.fill(chunk, self.budget)? {
                self.decompressor = None;
            }
        }
        Ok(true)
    }
}

impl Source for Stream<'_> {
    type Slice = ();

    fn byte(&mut self) -> Result<Option<u8>, BatchError> {
        if !self.ready()? {
            return Ok(None);
        }
        let byte = self.chunk.get(self.at).copied();
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    fn slice(&mut self, length: usize) -> Result<Option<()>, BatchError> {
        let mut wanted = length;
        while wanted > 0 {
            if !self.ready()? {
                return Ok(None);
            }
            let step = wanted.min(self.chunk.len().saturating_sub(self.at));
            self.at = self.at.saturating_add(step);
            wanted = wanted.saturating_sub(step);
        }
        Ok(Some(()))
    }
}

/// Headers are checked by the parser and dropped.
struct Uncounted;

impl HeaderSink<()> for Uncounted {
    fn expect(&mut self, _count: usize) -> Result<(), BatchError> {
        Ok(())
    }

    fn take(&mut self, _key: (), _value: Option<()>) {}
}
