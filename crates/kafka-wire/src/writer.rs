//! Writes Kafka's primitive types into one growing buffer.
//!
//! Writing what does not fit the format is an error, never a wrong length on the wire. It must not
//! know messages.

use crate::cursor::STRING_BYTES_MAX;
use crate::error::{EncodeError, EncodeFault};
use crate::uuid::Uuid;
use bytes::{BufMut, BytesMut};

/// The longest bytes, records or array.
pub(crate) const LENGTH_MAX: usize = 0x7fff_ffff;

/// A buffer that grows while a message is written.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: BytesMut,
}

impl Writer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes behind what a buffer already holds.
    pub fn over(buffer: BytesMut) -> Self {
        Self { buffer }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The buffer with all that was written.
    pub fn into_inner(self) -> BytesMut {
        self.buffer
    }

    /// Raw bytes without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// Kafka's `bool`.
    pub fn boolean(&mut self, value: bool) {
        self.buffer.put_u8(u8::from(value));
    }

    /// Kafka's `int8`.
    pub fn int8(&mut self, value: i8) {
        self.buffer.put_i8(value);
    }

    /// Kafka's `int16`.
    pub fn int16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    /// Kafka's `int32`.
    pub fn int32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    /// Kafka's `int64`.
    pub fn int64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    /// Kafka's `uint16`.
    pub fn uint16(&mut self, value: u16) {
        self.buffer.put_u16(value);
    }

    /// Kafka's `uint32`.
    pub fn uint32(&mut self, value: u32) {
        self.buffer.put_u32(value);
    }

    /// Kafka's `uuid`.
    pub fn uuid(&mut self, value: Uuid) {
        self.buffer.put_slice(&value.0);
    }

    /// Kafka's unsigned varint.
    pub fn uvarint(&mut self, mut value: u32) {
        while value > 0x7f {
            let [.., low] = value.to_be_bytes();
            self.buffer.put_u8(low | 0x80);
            value >>= 7;
        }
        let [.., low] = value.to_be_bytes();
        self.buffer.put_u8(low);
    }

    /// A 32-bit length where `None` is null, or its compact form.
    fn length(&mut self, flexible: bool, length: Option<usize>) -> Result<(), EncodeError> {
        let Some(length) = length else {
            if flexible {
                self.uvarint(0);
            } else {
                self.int32(-1);
            }
            return Ok(());
        };
        let too_long = EncodeError::new(EncodeFault::TooLong {
            length,
            limit: LENGTH_MAX,
        });
        let length = i32::try_from(length).map_err(|_too_wide| too_long)?;
        if flexible {
            self.uvarint(length.unsigned_abs().saturating_add(1));
        } else {
            self.int32(length);
        }
        Ok(())
    }

    /// A string that may be null.
    pub fn nullable_string(
        &mut self,
        flexible: bool,
        value: Option<&str>,
    ) -> Result<(), EncodeError> {
        let Some(value) = value else {
            if flexible {
                self.uvarint(0);
            } else {
                self.int16(-1);
            }
            return Ok(());
        };
        let (length, limit) = (
            value.len(),
            usize::try_from(STRING_BYTES_MAX).unwrap_or_default(),
        );
        let too_long = EncodeError::new(EncodeFault::TooLong { length, limit });
        let short = i16::try_from(length).map_err(|_too_wide| too_long)?;
        if flexible {
            self.uvarint(u32::from(short.unsigned_abs()).saturating_add(1));
        } else {
            self.int16(short);
        }
        self.raw(value.as_bytes());
        Ok(())
    }

    /// A string.
    pub fn string(&mut self, flexible: bool, value: &str) -> Result<(), EncodeError> {
        self.nullable_string(flexible, Some(value))
    }

    /// The length of bytes or records; the content follows by other means.
    pub fn bytes_length(
        &mut self,
        flexible: bool,
        length: Option<usize>,
    ) -> Result<(), EncodeError> {
        self.length(flexible, length)
    }

    /// Bytes or records that may be null.
    pub fn nullable_bytes(
        &mut self,
        flexible: bool,
        value: Option<&[u8]>,
    ) -> Result<(), EncodeError> {
        self.length(flexible, value.map(<[u8]>::len))?;
        self.raw(value.unwrap_or_default());
        Ok(())
    }

    /// Bytes or records.
    pub fn bytes(&mut self, flexible: bool, value: &[u8]) -> Result<(), EncodeError> {
        self.nullable_bytes(flexible, Some(value))
    }

    /// The count of an array; the elements follow by other means.
    pub fn array_count(&mut self, flexible: bool, count: Option<usize>) -> Result<(), EncodeError> {
        self.length(flexible, count)
    }

    /// An array that may be null.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        elements: Option<&[T]>,
        mut encode: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.length(flexible, elements.map(<[T]>::len))?;
        elements
            .unwrap_or_default()
            .iter()
            .try_for_each(|element| encode(self, element))
    }

    /// An array.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        elements: &[T],
        encode: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.nullable_array(flexible, Some(elements), encode)
    }

    /// A struct that may be null.
    pub fn nullable_struct<T>(
        &mut self,
        value: Option<&T>,
        encode: impl FnOnce(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match value {
            None => {
                self.int8(-1);
                Ok(())
            }
            Some(value) => {
                self.int8(1);
                encode(self, value)
            }
        }
    }

    /// The end of a struct without tagged fields.
    pub fn no_tagged_fields(&mut self) {
        self.uvarint(0);
    }

    /// The tagged fields at the end of a struct.
    pub fn tagged_fields(&mut self, fields: TaggedFields) {
        self.uvarint(fields.count);
        self.raw(&fields.content.buffer);
    }
}

/// Tagged fields that are collected before they are written, in ascending order of tags.
#[derive(Debug, Default)]
pub struct TaggedFields {
    count: u32,
    content: Writer,
}

impl TaggedFields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    pub fn add(
        &mut self,
        tag: u32,
        encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut field = Writer::new();
        encode(&mut field)?;
        let length = field.len();
        let too_long = EncodeError::new(EncodeFault::TooLong {
            length,
            limit: LENGTH_MAX,
        });
        let size = i32::try_from(length).map_err(|_too_wide| too_long)?;
        self.content.uvarint(tag);
        self.content.uvarint(size.unsigned_abs());
        self.content.raw(&field.buffer);
        self.count = self.count.saturating_add(1);
        Ok(())
    }
}
