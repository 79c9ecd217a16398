//! The walk over a row of batches, as a segment or a Fetch answer holds them.
//!
//! Headers are parsed, nothing else is checked: a caller that needs the CRC asks [`crc_ok`] for
//! the slice it gets.
//!
//! [`crc_ok`]: crate::crc_ok

use crate::error::BatchError;
use crate::header::BatchHeader;

/// Iterator over the whole batches in a byte slice: position, header and bytes of each.
///
/// Ends at a trailing part of a batch, and after the first error; [`Batches::rest`] then tells
/// where.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    bytes: &'a [u8],
    position: usize,
    failed: bool,
}

/// Position, header and bytes of a batch.
type Found<'a> = (usize, BatchHeader, &'a [u8]);

impl<'a> Batches<'a> {
    /// Walks over `bytes` from their start.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            failed: false,
        }
    }

    /// Position of the first byte that belongs to no batch returned so far.
    #[must_use]
    pub const fn rest(&self) -> usize {
        self.position
    }

    fn step(&mut self) -> Result<Option<Found<'a>>, BatchError> {
        let tail = self.bytes.get(self.position..).unwrap_or_default();
        let header = match BatchHeader::parse(tail) {
            Ok(header) => header,
            Err(BatchError::TooShort { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(batch) = tail.get(..header.size_bytes()) else {
            return Ok(None);
        };
        let position = self.position;
        self.position = position.saturating_add(batch.len());
        Ok(Some((position, header, batch)))
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Found<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}
