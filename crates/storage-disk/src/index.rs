//! `.index`: from offsets to byte positions, sparse, in Kafka's format.
//!
//! An entry is 8 bytes: the offset of the **last** record of a batch relative to the segment's base
//! (u32), and the position where that batch begins (u32). Both rise strictly. The index is derived:
//! it is checked at use, rebuilt when in doubt, and never says where a log ends.

use bytes::Buf;

use crate::position::Position;

/// Size of one entry.
pub(crate) const ENTRY_BYTES: usize = size_of::<u32>() + size_of::<u32>();

const _: () = assert!(ENTRY_BYTES == 8);

/// One entry: the batch at `position` ends with the record at the segment's base + `relative_last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) relative_last: u32,
    pub(crate) position: Position,
}

impl IndexEntry {
    fn encode(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let (offset, position) = bytes.split_at_mut(size_of::<u32>());
        offset.copy_from_slice(&self.relative_last.to_be_bytes());
        position.copy_from_slice(&self.position.get().to_be_bytes());
        bytes
    }

    /// The mirror of `encode`.
    fn decode(mut bytes: &[u8]) -> Self {
        Self {
            relative_last: bytes.get_u32(),
            position: Position::new(bytes.get_u32()),
        }
    }
}

/// The entries of one segment, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OffsetIndex {
    entries: Vec<IndexEntry>,
}

impl OffsetIndex {
    /// The longest good prefix of what a file holds: whole entries that rise and lie inside a log
    /// of `log_end` bytes. `false` if that is not all of it.
    pub(crate) fn decode(bytes: &[u8], log_end: Position) -> (Self, bool) {
        let (chunks, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        let mut index = Self::default();
        for entry in chunks.iter().map(|entry| IndexEntry::decode(entry)) {
            if !index.accepts(entry) || entry.position >= log_end {
                return (index, false);
            }
            index.entries.push(entry);
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

    /// The first batch of a segment needs no entry, so position 0 never has one.
    pub(crate) fn accepts(&self, entry: IndexEntry) -> bool {
        let above = |last: &IndexEntry| {
            entry.relative_last > last.relative_last && entry.position > last.position
        };
        entry.position > Position::ZERO && self.entries.last().is_none_or(above)
    }

    pub(crate) fn push(&mut self, entry: IndexEntry) {
        assert!(
            self.accepts(entry),
            "{entry:?} does not rise above {:?}",
            self.entries.last()
        );
        self.entries.push(entry);
    }

    pub(crate) fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn last(&self) -> Option<IndexEntry> {
        self.entries.last().copied()
    }

    /// The last entry whose batch does not end after `relative`: a batch that holds it begins there
    /// or later.
    pub(crate) fn floor(&self, relative: u32) -> Option<IndexEntry> {
        let above = self
            .entries
            .partition_point(|entry| entry.relative_last <= relative);
        self.entries.get(above.checked_sub(1)?).copied()
    }

    /// The last entry that lies at or before `position`.
    pub(crate) fn floor_position(&self, position: Position) -> Option<IndexEntry> {
        let above = self
            .entries
            .partition_point(|entry| entry.position <= position);
        self.entries.get(above.checked_sub(1)?).copied()
    }

    /// The first entry that lies after `position`.
    pub(crate) fn after_position(&self, position: Position) -> Option<IndexEntry> {
        let above = self
            .entries
            .partition_point(|entry| entry.position <= position);
        self.entries.get(above).copied()
    }

    /// Bytes of memory that the entries take.
    pub(crate) fn size_bytes(&self) -> usize {
        self.entries
            .capacity()
            .saturating_mul(size_of::<IndexEntry>())
    }
}

#[cfg(test)]
mod tests;
