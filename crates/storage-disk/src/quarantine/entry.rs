//! One entry of a quarantine list, 32 bytes. docs/formats.md draws it.

use bytes::{Buf, BufMut};
use records::Offset;
use records::checksum::crc32c;

use crate::position::Position;
use crate::recovery::Label;

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 32;

const CHECKED_BYTES: usize = ENTRY_BYTES - size_of::<u32>();

/// A range of offsets whose records cannot be read, or the bytes of a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The first offset.
    pub(crate) first: Offset,
    /// The last offset; of a cut the one before the first, for nobody knows what it held.
    pub(crate) last: Offset,
    /// Where the range begins in the `.log`.
    pub(crate) position: Position,
    /// Where it ends; equals `position` where no bytes are left of it.
    pub(crate) end: Position,
    /// What was found.
    pub(crate) label: Label,
    /// Somebody accepted the loss: readers go on behind it.
    pub(crate) accepted: bool,
}

impl Entry {
    /// Whether the offset is in the range.
    pub(crate) fn holds(&self, offset: Offset) -> bool {
        self.first <= offset && offset <= self.last
    }

    /// Whether all of `other` is in the range.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    pub(super) fn encode(&self, body: &mut Vec<u8>) {
        let start = body.len();
        body.put_i64(self.first.get());
        body.put_i64(self.last.get());
        body.put_u32(self.position.get());
        body.put_u32(self.end.get());
        body.put_u8(self.label.letter());
        body.put_u8(u8::from(self.accepted));
        body.put_u16(0);
        let crc = crc32c(body.get(start..).expect("starts within"));
        body.put_u32(crc);
        assert_eq!(
            body.len().saturating_sub(start),
            ENTRY_BYTES,
            "an entry has its size"
        );
    }

    /// `None` if it is not what was written.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut head = bytes.get(..CHECKED_BYTES)?;
        let crc = bytes.get(CHECKED_BYTES..ENTRY_BYTES)?.get_u32();
        if crc32c(head) != crc {
            return None;
        }
        let entry = Self {
            first: Offset::new(head.get_i64()),
            last: Offset::new(head.get_i64()),
            position: Position::new(head.get_u32()),
            end: Position::new(head.get_u32()),
            label: Label::of_letter(head.get_u8())?,
            accepted: head.get_u8() != 0,
        };
        let in_order = entry.first >= Offset::ZERO
            && entry.last >= Offset::new(-1)
            && entry.last.since(entry.first) >= -1
            && entry.position <= entry.end;
        in_order.then_some(entry)
    }
}
