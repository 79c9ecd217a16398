//! Reads Kafka's primitive types from borrowed bytes, without allocating.
//!
//! Every length is checked against what remains before it is used. A failed read leaves the position
//! anywhere: the frame is then lost. It must not know messages.

use crate::error::{DecodeError, DecodeFault};
use crate::uuid::Uuid;
use std::ops::Range;

/// Most elements in one array.
pub(crate) const ELEMENTS_MAX: u32 = 1_000_000;
/// Most tagged fields in one struct.
pub(crate) const TAGGED_FIELDS_MAX: u32 = 10_000;
/// Most bytes in one string, as in Kafka.
pub(crate) const STRING_BYTES_MAX: u32 = 32_767;

/// A position in borrowed bytes.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The head of one tagged field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag {
    pub(crate) number: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Tag {
    /// Checks that the content ended where its size says.
    pub(crate) fn check_end(self, at: usize) -> Result<(), DecodeError> {
        if at == self.end {
            return Ok(());
        }
        let size = self.end.saturating_sub(self.start);
        let used = at.saturating_sub(self.start);
        Err(DecodeError::new(
            self.start,
            DecodeFault::TagSize {
                tag: self.number,
                size,
                used,
            },
        ))
    }
}

impl<'a> Cursor<'a> {
    /// Starts at a position; one behind the end is the end.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at: at.min(bytes.len()),
        }
    }

    /// The position of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes left.
    pub fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Fails if bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            remaining => Err(self.fault(DecodeFault::Trailing { remaining })),
        }
    }

    pub(crate) fn fault(&self, fault: DecodeFault) -> DecodeError {
        DecodeError::new(self.at, fault)
    }

    /// The next `length` bytes, as their place in the frame.
    pub fn range(&mut self, length: usize) -> Result<Range<usize>, DecodeError> {
        let remaining = self.remaining();
        match self.at.checked_add(length) {
            Some(end) if length <= remaining => {
                let start = self.at;
                self.at = end;
                Ok(start..end)
            }
            _ => Err(self.fault(DecodeFault::Truncated {
                needed: length,
                remaining,
            })),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let range = self.range(length)?;
        Ok(self.bytes.get(range).unwrap_or_default())
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let remaining = self.remaining();
        let fault = self.fault(DecodeFault::Truncated {
            needed: N,
            remaining,
        });
        let bytes = self
            .bytes
            .get(self.at..)
            .and_then(<[u8]>::first_chunk::<N>)
            .ok_or(fault)?;
        self.at = self.at.saturating_add(N);
        Ok(*bytes)
    }

    /// Kafka's `bool`: any byte but 0 is true.
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        Ok(self.int8()? != 0)
    }

    /// Kafka's `int8`.
    pub fn int8(&mut self) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.array_of()?))
    }

    /// Kafka's `int16`.
    pub fn int16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array_of()?))
    }

    /// Kafka's `int32`.
    pub fn int32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array_of()?))
    }

    /// Kafka's `int64`.
    pub fn int64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array_of()?))
    }

    /// Kafka's `uint16`.
    pub fn uint16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array_of()?))
    }

    /// Kafka's `uint32`.
    pub fn uint32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array_of()?))
    }

    /// Kafka's `uuid`.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid(self.array_of()?))
    }

    /// Kafka's unsigned varint, at most 32 bits.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array_of()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_too_wide| self.fault(DecodeFault::Varint));
            }
        }
        Err(self.fault(DecodeFault::Varint))
    }

    /// A length where −1, or 0 in compact form, is null.
    fn compact_length(&mut self) -> Result<Option<u32>, DecodeError> {
        Ok(self.uvarint()?.checked_sub(1))
    }

    fn length(&mut self, length: i32) -> Result<Option<u32>, DecodeError> {
        match u32::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.fault(DecodeFault::NegativeLength { length })),
        }
    }

    fn place(&mut self, length: u32) -> Result<Range<usize>, DecodeError> {
        self.range(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// The place of a string that may be null, checked to be UTF-8.
    pub fn nullable_string_range(
        &mut self,
        flexible: bool,
    ) -> Result<Option<Range<usize>>, DecodeError> {
        let length = if flexible {
            self.compact_length()?
        } else {
            let length = i32::from(self.int16()?);
            self.length(length)?
        };
        let Some(length) = length else {
            return Ok(None);
        };
        if length > STRING_BYTES_MAX {
            let limit = STRING_BYTES_MAX;
            return Err(self.fault(DecodeFault::StringLimit { length, limit }));
        }
        let range = self.place(length)?;
        let bytes = self.bytes.get(range.clone()).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(Some(range)),
            Err(_) => Err(DecodeError::new(range.start, DecodeFault::NotUtf8)),
        }
    }

    /// A string that may be null.
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<&'a str>, DecodeError> {
        let range = self.nullable_string_range(flexible)?;
        Ok(range.and_then(|range| std::str::from_utf8(self.bytes.get(range)?).ok()))
    }

    /// A string.
    pub fn string(&mut self, flexible: bool) -> Result<&'a str, DecodeError> {
        let at = self.at;
        self.nullable_string(flexible)?
            .ok_or_else(|| DecodeError::new(at, DecodeFault::Null))
    }

    /// The place of bytes or records that may be null.
    pub fn nullable_bytes_range(
        &mut self,
        flexible: bool,
    ) -> Result<Option<Range<usize>>, DecodeError> {
        let length = if flexible {
            self.compact_length()?
        } else {
            let length = self.int32()?;
            self.length(length)?
        };
        length.map(|length| self.place(length)).transpose()
    }

    /// The count of an array that may be null, checked against the bytes that remain.
    pub fn nullable_array_count(
        &mut self,
        flexible: bool,
        element_bytes_min: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let count = if flexible {
            self.compact_length()?
        } else {
            let count = self.int32()?;
            self.length(count)?
        };
        let Some(count) = count else { return Ok(None) };
        self.checked_count(count, element_bytes_min, ELEMENTS_MAX)
            .map(Some)
    }

    /// The count of an array, checked against the bytes that remain.
    pub fn array_count(
        &mut self,
        flexible: bool,
        element_bytes_min: usize,
    ) -> Result<usize, DecodeError> {
        let at = self.at;
        let count = self.nullable_array_count(flexible, element_bytes_min)?;
        count.ok_or_else(|| DecodeError::new(at, DecodeFault::Null))
    }

    fn checked_count(
        &self,
        count: u32,
        element_bytes_min: usize,
        limit: u32,
    ) -> Result<usize, DecodeError> {
        if count > limit {
            return Err(self.fault(DecodeFault::CountLimit { count, limit }));
        }
        let remaining = self.remaining();
        let elements = usize::try_from(count).unwrap_or(usize::MAX);
        let fits = |bytes| bytes <= remaining;
        if !elements
            .checked_mul(element_bytes_min.max(1))
            .is_some_and(fits)
        {
            let fault = DecodeFault::Count {
                count,
                element_bytes_min,
                remaining,
            };
            return Err(self.fault(fault));
        }
        Ok(elements)
    }

    /// Skips bytes.
    pub fn skip(&mut self, length: usize) -> Result<(), DecodeError> {
        self.take(length).map(drop)
    }

    /// The number of tagged fields that follow.
    pub(crate) fn tagged_field_count(&mut self) -> Result<usize, DecodeError> {
        let count = self.uvarint()?;
        // A tagged field is at least its tag and its size.
        self.checked_count(count, 2, TAGGED_FIELDS_MAX)
    }

    /// The head of the next tagged field; its content is known to be there.
    pub(crate) fn tag(&mut self) -> Result<Tag, DecodeError> {
        let number = self.uvarint()?;
        let size = self.uvarint()?;
        let start = self.at;
        let end = self.clone().place(size)?.end;
        Ok(Tag { number, start, end })
    }

    /// Reads tagged fields. `known` reads a field it knows and answers true; others are skipped.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        for _ in 0..self.tagged_field_count()? {
            let tag = self.tag()?;
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
        self.tagged_fields(|_, _| Ok(false))
    }
}
