//! One page of a `.spans` file, 4,096 bytes. docs/formats.md draws it.
//!
//! Each page says where its first span begins, so that a lost or an old page takes nothing from
//! its neighbours.

use bytes::{Buf, BufMut};
use records::checksum::crc32c;

use super::Span;
use crate::position::Position;

pub(super) const PAGE_BYTES: usize = 4096;
const MAGIC: &[u8; 4] = b"OSP1";
const HEAD_BYTES: usize = 16;
const ENTRY_BYTES: usize = 8;
const START_AT: usize = 4088;
const CRC_AT: usize = 4092;
/// Spans of a full page.
pub(super) const PAGE_ENTRIES: usize = (START_AT - HEAD_BYTES) / ENTRY_BYTES;
const IS_END: u16 = 1;

const _: () = assert!(PAGE_ENTRIES == 509);
const _: () = assert!(CRC_AT + size_of::<u32>() == PAGE_BYTES);

/// The spans of one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// Which page of the file it is.
    pub(super) number: u32,
    /// Which segment the file belongs to.
    pub(super) owner: u32,
    /// Where the first span begins.
    pub(super) start: Position,
    /// The segment is sealed, and ends with the last span.
    pub(super) is_end: bool,
    pub(super) spans: Vec<Span>,
}

/// Appends the page to `bytes`.
pub(super) fn encode(page: &Page, bytes: &mut Vec<u8>) {
    assert!(
        page.spans.len() <= PAGE_ENTRIES,
        "a page holds no more spans than fit"
    );
    let from = bytes.len();
    bytes.put_slice(MAGIC);
    bytes.put_u16(u16::try_from(page.spans.len()).expect("they fit a page"));
    bytes.put_u16(if page.is_end { IS_END } else { 0 });
    bytes.put_u32(page.number);
    bytes.put_u32(page.owner);
    for span in &page.spans {
        bytes.put_u32(span.end.get());
        bytes.put_u32(span.crc);
    }
    bytes.resize(from.saturating_add(START_AT), 0);
    bytes.put_u32(page.start.get());
    let crc = crc32c(bytes.get(from..).expect("starts within"));
    bytes.put_u32(crc);
    assert!(
        bytes.len() == from.saturating_add(PAGE_BYTES),
        "a page has its size"
    );
}

/// The page in exactly these bytes, if they are what was written.
pub(super) fn decode(bytes: &[u8]) -> Option<Page> {
    let (checked, mut crc) = bytes.split_at_checked(CRC_AT)?;
    if bytes.len() != PAGE_BYTES || crc.get_u32() != crc32c(checked) {
        return None;
    }
    let (mut head, rest) = checked.split_at_checked(HEAD_BYTES)?;
    if head.copy_to_bytes(MAGIC.len()) != MAGIC.as_slice() {
        return None;
    }
    let count = usize::from(head.get_u16());
    let flags = head.get_u16();
    let (number, owner) = (head.get_u32(), head.get_u32());
    let (mut entries, mut start) = rest.split_at_checked(START_AT.checked_sub(HEAD_BYTES)?)?;
    if count > PAGE_ENTRIES {
        return None;
    }
    let start = Position::new(start.get_u32());
    let mut spans: Vec<Span> = Vec::with_capacity(count);
    let mut end = start;
    for _ in 0..count {
        let span = Span {
            end: Position::new(entries.get_u32()),
            crc: entries.get_u32(),
        };
        if span.end <= end {
            return None;
        }
        end = span.end;
        spans.push(span);
    }
    Some(Page {
        number,
        owner,
        start,
        is_end: flags & IS_END != 0,
        spans,
    })
}
