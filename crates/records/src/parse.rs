//! One record after another out of the (decompressed) body of a batch.
//!
//! | Field | Form |
//! |---|---|
//! | length | varint: bytes of all that follows |
//! | attributes | i8, unused |
//! | timestamp delta | varlong, from the batch's base timestamp |
//! | offset delta | varint, from the batch's base offset |
//! | key | varint length or −1, bytes |
//! | value | varint length or −1, bytes |
//! | headers | varint count, then per header: varint key length, key, varint length or −1, value |
//!
//! One parser for both readers: [`Records`] cuts slices out of a buffer, deep validation only
//! counts. A record must use its length exactly, its offset must rise and stay within the batch.
//!
//! [`Records`]: crate::Records

use crate::error::{BatchError, RecordError};
use crate::header::{BatchHeader, TimestampType};
use crate::varint::{read_varint, read_varlong};

/// Where the bytes of records come from.
pub(crate) trait Source {
    /// What stands for a run of bytes.
    type Slice;

    /// The next byte; `None` at the end.
    fn byte(&mut self) -> Result<Option<u8>, BatchError>;

    /// The next `length` bytes; `None` if the end comes first.
    fn slice(&mut self, length: usize) -> Result<Option<Self::Slice>, BatchError>;
}

/// Who takes the headers of a record.
pub(crate) trait HeaderSink<Slice> {
    /// `count` headers follow; their bytes are known to fit into the record.
    fn expect(&mut self, count: usize) -> Result<(), BatchError>;

    /// One header.
    fn take(&mut self, key: Slice, value: Option<Slice>);
}

/// A record without its headers.
pub(crate) struct Fields<Slice> {
    pub(crate) offset_delta: i32,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<Slice>,
    pub(crate) value: Option<Slice>,
}

/// Smallest header: two lengths of zero.
const HEADER_BYTES_MIN: usize = 2;

#[derive(Debug)]
pub(crate) struct Parser<S> {
    source: S,
    header: BatchHeader,
    index: i32,
    previous_delta: i32,
    left_bytes: usize,
}

impl<S: Source> Parser<S> {
    /// A parser for the records of the batch with this header, which must hold a possible count.
    pub(crate) fn new(header: &BatchHeader, source: S) -> Result<Self, BatchError> {
        header.check_count()?;
        Ok(Self {
            source,
            header: *header,
            index: 0,
            previous_delta: -1,
            left_bytes: 0,
        })
    }

    /// The next record; `None` after the last, with nothing left behind it.
    pub(crate) fn next(
        &mut self,
        headers: &mut impl HeaderSink<S::Slice>,
    ) -> Result<Option<Fields<S::Slice>>, BatchError> {
        if self.index >= self.header.record_count {
            return match self.source.byte()? {
                None => Ok(None),
                Some(_) => Err(BatchError::TrailingBytes {
                    record_count: self.header.record_count,
                }),
            };
        }
        let fields = self.record(headers)?;
        self.previous_delta = fields.offset_delta;
        self.index = self.index.saturating_add(1);
        Ok(Some(fields))
    }

    fn fault(&self, source: RecordError) -> BatchError {
        BatchError::BadRecord {
            index: self.index,
            source,
        }
    }

    fn record(
        &mut self,
        headers: &mut impl HeaderSink<S::Slice>,
    ) -> Result<Fields<S::Slice>, BatchError> {
        self.left_bytes = usize::MAX;
        self.left_bytes = self.length()?;
        self.byte()?;
        let timestamp_ms = self.timestamp()?;
        let offset_delta = self.varint()?;
        if offset_delta <= self.previous_delta || offset_delta > self.header.last_offset_delta {
            return Err(self.fault(RecordError::OffsetDelta {
                got: offset_delta,
                previous: self.previous_delta,
                last: self.header.last_offset_delta,
            }));
        }
        let key = self.nullable()?;
        let value = self.nullable()?;
        self.headers(headers)?;
        if self.left_bytes != 0 {
            return Err(self.fault(RecordError::UnusedBytes {
                left_bytes: self.left_bytes,
            }));
        }
        Ok(Fields {
            offset_delta,
            timestamp_ms,
            key,
            value,
        })
    }

    /// The record's own time, or that of the append where the broker stamped the batch.
    fn timestamp(&mut self) -> Result<i64, BatchError> {
        let delta = self.varlong()?;
        if self.header.attributes.timestamp_type() == TimestampType::LogAppendTime {
            return Ok(self.header.max_timestamp_ms);
        }
        let base_timestamp_ms = self.header.base_timestamp_ms;
        base_timestamp_ms.checked_add(delta).ok_or_else(|| {
            self.fault(RecordError::TimestampOverflow {
                base_timestamp_ms,
                delta,
            })
        })
    }

    fn headers(&mut self, headers: &mut impl HeaderSink<S::Slice>) -> Result<(), BatchError> {
        let got = self.varint()?;
        let most = self.left_bytes.checked_div(HEADER_BYTES_MIN).unwrap_or(0);
        let count = usize::try_from(got)
            .ok()
            .filter(|count| *count <= most)
            .ok_or_else(|| {
                self.fault(RecordError::HeaderCount {
                    got,
                    left_bytes: self.left_bytes,
                })
            })?;
        headers.expect(count)?;
        for _ in 0..count {
            let length = self.length()?;
            let key = self.slice(length)?;
            let value = self.nullable()?;
            headers.take(key, value);
        }
        Ok(())
    }

    fn nullable(&mut self) -> Result<Option<S::Slice>, BatchError> {
        let length = self.varint()?;
        if length == -1 {
            return Ok(None);
        }
        let length = self.not_negative(length)?;
        self.slice(length).map(Some)
    }

    fn length(&mut self) -> Result<usize, BatchError> {
        let length = self.varint()?;
        self.not_negative(length)
    }

    fn not_negative(&self, got: i32) -> Result<usize, BatchError> {
        usize::try_from(got)
            .ok()
            .ok_or_else(|| self.fault(RecordError::NegativeLength { got }))
    }

    fn varint(&mut self) -> Result<i32, BatchError> {
        let value = read_varint(|| self.byte())?;
        value.ok_or_else(|| self.fault(RecordError::VarintTooLong))
    }

    fn varlong(&mut self) -> Result<i64, BatchError> {
        let value = read_varlong(|| self.byte())?;
        value.ok_or_else(|| self.fault(RecordError::VarintTooLong))
    }

    fn byte(&mut self) -> Result<u8, BatchError> {
        self.use_up(1)?;
        self.source
            .byte()?
            .ok_or_else(|| self.fault(RecordError::Truncated))
    }

    fn slice(&mut self, length: usize) -> Result<S::Slice, BatchError> {
        self.use_up(length)?;
        self.source
            .slice(length)?
            .ok_or_else(|| self.fault(RecordError::Truncated))
    }

    fn use_up(&mut self, needed_bytes: usize) -> Result<(), BatchError> {
        let left_bytes = self.left_bytes;
        self.left_bytes = left_bytes.checked_sub(needed_bytes).ok_or_else(|| {
            self.fault(RecordError::Overrun {
                needed_bytes,
                left_bytes,
            })
        })?;
        Ok(())
    }
}
