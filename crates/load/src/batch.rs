//! The batch that a load writes again and again.
//!
//! Its text is made of words, so that compressed batches are smaller than plain ones, as those of a
//! real producer are. The same shape gives the same bytes.

use bytes::Bytes;
use records::{BatchBuilder, BatchError, Codec};

/// What a record adds to its value at most: lengths, deltas, attributes.
const RECORD_OVERHEAD_BYTES: usize = 40;
/// Words that values are made of, and the letters of each.
const WORDS: usize = 256;
const WORD_BYTES: usize = 7;

/// What records and batches look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordShape {
    /// Bytes of a value; records have no key.
    pub record_bytes: usize,
    /// Bytes that a batch reaches at most, before compression; `None`: one record a batch. A batch
    /// has one record at least.
    pub batch_bytes: Option<usize>,
    /// How batches are compressed.
    pub codec: Codec,
    /// The time that records carry, in milliseconds since 1970.
    pub timestamp_ms: i64,
}

/// A batch and how many records it has.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) bytes: Bytes,
    pub(crate) records: u64,
}

impl RecordShape {
    /// The same with one small record a batch.
    pub(crate) fn smallest(self) -> Self {
        Self {
            record_bytes: 1,
            batch_bytes: None,
            ..self
        }
    }

    pub(crate) fn batch(&self) -> Result<Batch, BatchError> {
        let mut builder = BatchBuilder::new(self.codec);
        let mut text = Text::new();
        let record_bytes = self.record_bytes.saturating_add(RECORD_OVERHEAD_BYTES);
        let limit = self.batch_bytes.unwrap_or(0);
        while builder.is_empty() || builder.len_bytes().saturating_add(record_bytes) <= limit {
            let value = text.take(self.record_bytes);
            builder.append(self.timestamp_ms, None, Some(&value), &[])?;
        }
        let records = u64::try_from(builder.record_count()).unwrap_or(u64::MAX);
        let bytes = builder.build()?.into_bytes();
        Ok(Batch { bytes, records })
    }
}

/// Words without an end, always the same.
struct Text {
    words: Vec<[u8; WORD_BYTES]>,
    state: u64,
}

impl Text {
    fn new() -> Self {
        let mut text = Self {
            words: Vec::new(),
            state: 0x9e37_79b9_7f4a_7c15,
        };
        text.words = (0..WORDS)
            .map(|_| std::array::from_fn(|_| b'a' + text.draw() % 26))
            .collect();
        text
    }

    /// Eight bits of a linear congruential generator; its upper bits are the good ones.
    fn draw(&mut self) -> u8 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.state >> 56) as u8
    }

    fn take(&mut self, size: usize) -> Vec<u8> {
        let mut value = Vec::with_capacity(size.saturating_add(WORD_BYTES));
        while value.len() < size {
            let drawn = usize::from(self.draw());
            value.extend_from_slice(&self.words[drawn]);
            value.push(b' ');
        }
        value.truncate(size);
        value
    }
}

#[cfg(test)]
mod tests {
    //! Sizes, counts, and that codecs have something to do.

    use records::Codec;

    use super::RecordShape;

    fn shape(record_bytes: usize, batch_bytes: Option<usize>, codec: Codec) -> RecordShape {
        RecordShape {
            record_bytes,
            batch_bytes,
            codec,
            timestamp_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn batches_reach_their_size_and_have_a_record_at_least() {
        let cases = [
            (1024, None, 1, 1024..1200),
            (1024, Some(16 << 10), 15, 15_000..16_385),
            (100, Some(16 << 10), 145, 15_000..16_385),
            (1024, Some(10), 1, 1024..1200),
            (0, None, 1, 61..110),
        ];
        for (record, batch, records, bytes) in cases {
            let made = shape(record, batch, Codec::None).batch().unwrap();
            assert!(
                made.records >= records,
                "{record} {batch:?}: {}",
                made.records
            );
            assert!(
                bytes.contains(&made.bytes.len()),
                "{record} {batch:?}: {}",
                made.bytes.len()
            );
        }
    }

    #[test]
    fn compressed_batches_are_smaller_and_the_same_every_time() {
        let plain = shape(1024, Some(1 << 20), Codec::None).batch().unwrap();
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let made = shape(1024, Some(1 << 20), codec).batch().unwrap();
            assert_eq!(made.records, plain.records, "{codec:?}");
            let part = made.bytes.len() * 100 / plain.bytes.len();
            assert!((5..80).contains(&part), "{codec:?}: {part} %");
            let again = shape(1024, Some(1 << 20), codec).batch().unwrap();
            assert_eq!(made.bytes, again.bytes, "{codec:?}");
        }
    }
}
