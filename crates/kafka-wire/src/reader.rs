//! Reads owned messages from a frame, sharing the frame's bytes.
//!
//! Strings and bytes are slices of the frame; only arrays allocate. What all arrays of one frame may
//! allocate together is bounded by [`Reader::BUDGET_FACTOR`] × the frame's length plus
//! [`SLACK_BYTES`]; the whole array is paid for before it is allocated. It must not know messages.

use crate::cursor::Cursor;
use crate::error::{DecodeError, DecodeFault};
use crate::uuid::Uuid;
use crate::wire_string::WireString;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// Memory that decoding may take beside the multiple of the frame's length. Decoded elements are
/// larger than their shortest encodings, so thousands of very short names must still pass.
pub const SLACK_BYTES: usize = 65_536;

/// What sharing the frame among its strings allocates: the frame's handle and two counters.
const SHARED_FRAME_BYTES: usize = size_of::<(Bytes, usize, usize)>();

/// A position in a frame and the memory budget of decoding it.
#[derive(Debug)]
pub struct Reader {
    frame: Bytes,
    shared: Option<Arc<Bytes>>,
    at: usize,
    budget_bytes: usize,
}

impl Reader {
    /// How much memory decoded arrays may take per byte of frame.
    pub const BUDGET_FACTOR: usize = 4;

    /// Starts at the first byte.
    pub fn new(frame: Bytes) -> Self {
        Self::at(frame, 0)
    }

    /// Starts at a position, for example behind the header.
    pub fn at(frame: Bytes, at: usize) -> Self {
        let budget = frame
            .len()
            .saturating_mul(Self::BUDGET_FACTOR)
            .saturating_add(SLACK_BYTES);
        Self {
            at: at.min(frame.len()),
            frame,
            shared: None,
            budget_bytes: budget,
        }
    }

    /// Replaces the memory budget, for a peer that is trusted.
    #[must_use]
    pub fn with_budget(self, budget_bytes: usize) -> Self {
        Self {
            budget_bytes,
            ..self
        }
    }

    /// The position of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes left.
    pub fn remaining(&self) -> usize {
        self.frame.len().saturating_sub(self.at)
    }

    /// Fails if bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        Cursor::new(&self.frame, self.at).finish()
    }

    fn fault(&self, fault: DecodeFault) -> DecodeError {
        DecodeError::new(self.at, fault)
    }

    fn with<T>(
        &mut self,
        read: impl FnOnce(&mut Cursor<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut cursor = Cursor::new(&self.frame, self.at);
        let value = read(&mut cursor)?;
        self.at = cursor.position();
        Ok(value)
    }

    /// Kafka's `bool`: any byte but 0 is true.
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        self.with(|cursor| cursor.boolean())
    }

    /// Kafka's `int8`.
    pub fn int8(&mut self) -> Result<i8, DecodeError> {
        self.with(|cursor| cursor.int8())
    }

    /// Kafka's `int16`.
    pub fn int16(&mut self) -> Result<i16, DecodeError> {
        self.with(|cursor| cursor.int16())
    }

    /// Kafka's `int32`.
    pub fn int32(&mut self) -> Result<i32, DecodeError> {
        self.with(|cursor| cursor.int32())
    }

    /// Kafka's `int64`.
    pub fn int64(&mut self) -> Result<i64, DecodeError> {
        self.with(|cursor| cursor.int64())
    }

    /// Kafka's `uint16`.
    pub fn uint16(&mut self) -> Result<u16, DecodeError> {
        self.with(|cursor| cursor.uint16())
    }

    /// Kafka's `uint32`.
    pub fn uint32(&mut self) -> Result<u32, DecodeError> {
        self.with(|cursor| cursor.uint32())
    }

    /// Kafka's `uuid`.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.with(|cursor| cursor.uuid())
    }

    /// A string that may be null.
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<WireString>, DecodeError> {
        let range = self.with(|cursor| cursor.nullable_string_range(flexible))?;
        range.map(|range| self.share(range)).transpose()
    }

    fn share(&mut self, range: Range<usize>) -> Result<WireString, DecodeError> {
        if range.is_empty() {
            return Ok(WireString::default());
        }
        let frame = match &self.shared {
            Some(frame) => frame,
            None => {
                self.charge(SHARED_FRAME_BYTES)?;
                self.shared.insert(Arc::new(self.frame.clone()))
            }
        };
        Ok(WireString::from_frame(frame, range))
    }

    /// A string.
    pub fn string(&mut self, flexible: bool) -> Result<WireString, DecodeError> {
        let null = self.fault(DecodeFault::Null);
        self.nullable_string(flexible)?.ok_or(null)
    }

    /// Bytes or records that may be null.
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        let range = self.with(|cursor| cursor.nullable_bytes_range(flexible))?;
        Ok(range.map(|range| self.frame.slice(range)))
    }

    /// Bytes or records.
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, DecodeError> {
        let null = self.fault(DecodeFault::Null);
        self.nullable_bytes(flexible)?.ok_or(null)
    }

    /// Takes memory out of the frame's budget.
    fn charge(&mut self, needed: usize) -> Result<(), DecodeError> {
        let left = self.budget_bytes;
        self.budget_bytes = left
            .checked_sub(needed)
            .ok_or_else(|| self.fault(DecodeFault::Budget { needed, left }))?;
        Ok(())
    }

    /// An array that may be null. `element_bytes_min` is the smallest encoding of one element.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        element_bytes_min: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let count = self.with(|cursor| cursor.nullable_array_count(flexible, element_bytes_min))?;
        let Some(count) = count else { return Ok(None) };
        self.charge(count.saturating_mul(size_of::<T>()))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// An array.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        element_bytes_min: usize,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let null = self.fault(DecodeFault::Null);
        self.nullable_array(flexible, element_bytes_min, element)?
            .ok_or(null)
    }

    /// A struct that may be null: a negative byte is null.
    pub fn nullable_struct<T>(
        &mut self,
        decode: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.int8()? < 0 {
            Ok(None)
        } else {
            decode(self).map(Some)
        }
    }

    /// Reads tagged fields. `known` reads a field it knows and answers true; others are skipped.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        for _ in 0..self.with(|cursor| cursor.tagged_field_count())? {
            let tag = self.with(|cursor| cursor.tag())?;
            if known(self, tag.number)? {
                tag.check_end(self.at)?;
            } else {
                self.at = tag.end;
            }
        }
        Ok(())
    }

    /// Skips all tagged fields.
    pub fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        self.with(|cursor| cursor.skip_tagged_fields())
    }
}
