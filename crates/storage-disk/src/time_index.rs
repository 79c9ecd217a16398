//! `.timeindex`: from timestamps to offsets, sparse, in Kafka's format.
//!
//! An entry is 12 bytes: the largest timestamp of the segment so far (i64, ms), and the offset of
//! the last record of the batch that has it, relative to the segment's base (u32). Both rise. The
//! last entry of a sealed segment holds the largest timestamp of all of it. Derived, like `.index`.

use bytes::Buf;

/// Size of one entry.
pub(crate) const ENTRY_BYTES: usize = size_of::<i64>() + size_of::<u32>();

const _: () = assert!(ENTRY_BYTES == 12);

/// Up to the batch that ends at `relative_last` no timestamp is larger than `timestamp_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp_ms: i64,
    pub(crate) relative_last: u32,
}

impl TimeEntry {
    fn encode(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let (timestamp, offset) = bytes.split_at_mut(size_of::<i64>());
        timestamp.copy_from_slice(&self.timestamp_ms.to_be_bytes());
        offset.copy_from_slice(&self.relative_last.to_be_bytes());
        bytes
    }

    /// The mirror of `encode`.
    fn decode(mut bytes: &[u8]) -> Self {
        Self {
            timestamp_ms: bytes.get_i64(),
            relative_last: bytes.get_u32(),
        }
    }
}

/// The entries of one segment, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TimeIndex {
    entries: Vec<TimeEntry>,
}

impl TimeIndex {
    /// The longest good prefix of what a file holds; `false` if that is not all of it.
    pub(crate) fn decode(bytes: &[u8]) -> (Self, bool) {
        let (chunks, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        let mut index = Self::default();
        for entry in chunks.iter().map(|entry| TimeEntry::decode(entry)) {
            if !index.push(entry) {
                return (index, false);
            }
        }
        (index, rest.is_empty())
    }

    /// The bytes of the entries from number `from` on.
    pub(crate) fn encode_from(&self, from: usize) -> Vec<u8> {
        self.entries
            .get(from..)
            .unwrap_or_default()
            .iter()
            .flat_map(|e| e.encode())
            .collect()
    }

    /// Adds an entry if it says something new: a larger timestamp, further on.
    pub(crate) fn push(&mut self, entry: TimeEntry) -> bool {
        let newer = self.entries.last().is_none_or(|last| {
            entry.timestamp_ms > last.timestamp_ms && entry.relative_last > last.relative_last
        });
        let counts = newer && entry.timestamp_ms >= 0;
        if counts {
            self.entries.push(entry);
        }
        counts
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn last(&self) -> Option<TimeEntry> {
        self.entries.last().copied()
    }

    /// The last entry whose timestamps are all below `timestamp_ms`: what is wanted comes after it.
    pub(crate) fn below(&self, timestamp_ms: i64) -> Option<TimeEntry> {
        let not_below = self
            .entries
            .partition_point(|entry| entry.timestamp_ms < timestamp_ms);
        self.entries.get(not_below.checked_sub(1)?).copied()
    }

    /// The last entry whose batch ends before `relative`.
    pub(crate) fn before_offset(&self, relative: u32) -> Option<TimeEntry> {
        let not_before = self
            .entries
            .partition_point(|entry| entry.relative_last < relative);
        self.entries.get(not_before.checked_sub(1)?).copied()
    }

    /// Bytes of memory that the entries take.
    pub(crate) fn size_bytes(&self) -> usize {
        self.entries
            .capacity()
            .saturating_mul(size_of::<TimeEntry>())
    }
}

#[cfg(test)]
mod tests;
