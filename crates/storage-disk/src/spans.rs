//! What was written in front of the batches of one segment: a checksum for every few of their
//! heads, the 21 bytes that the CRC of a batch does not cover.
//!
//! A span is a row of whole batches; its CRC covers their heads, one behind the other. The CRC of
//! the body is one of the fields of a head, so a good span vouches for the bodies too. Spans follow
//! each other from the start of the segment; where nobody vouches for anything, one of
//! [`Span::UNKNOWN_CRC`] stands. Grown on append, written without being waited for, and rebuilt
//! from the log where the file is missing or wrong. Says nothing about where a log ends.

mod load;
mod page;

use std::io;
use std::path::Path;

use records::checksum::crc32c_append;
use records::{BatchHeader, CRC_START, Offset};
use storage::PartitionId;
use vfs::{OpenMode, Vfs};

use crate::names;
use crate::paths::SegmentFile;
use crate::position::Position;

pub(crate) use load::{Stored, trim};
use page::{PAGE_BYTES, PAGE_ENTRIES};

/// The bytes of a batch that its own CRC does not cover, and that CRC.
pub(crate) const HEAD_BYTES: usize = CRC_START;

/// One row of batches, from the end of the span before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) end: Position,
    pub(crate) crc: u32,
}

impl Span {
    /// The CRC of a span that nobody vouches for. One in 2³² good ones has it too, and is then not
    /// checked.
    pub(crate) const UNKNOWN_CRC: u32 = 0;
}

/// A span with the place where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) start: Position,
    pub(crate) end: Position,
    pub(crate) crc: u32,
    /// Where the span before it begins; its own start if it is the first.
    pub(crate) before: Position,
}

impl Stretch {
    /// Whether anything is known of it.
    pub(crate) fn is_known(self) -> bool {
        self.crc != Span::UNKNOWN_CRC
    }
}

/// The spans of one segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SegmentSpans {
    closed: Vec<Span>,
    /// CRC and end of the heads behind the last closed span.
    open: Option<Span>,
    is_sealed: bool,
    /// Closed spans that are in the file for good.
    written: usize,
    /// Up to where the file speaks, the open span included, and whether it says that this is all.
    written_end: (Position, bool),
}

/// Adds the head of a batch to the CRC of those before it.
pub(crate) fn add_head(crc: u32, header: &BatchHeader) -> u32 {
    let head = header.encode();
    crc32c_append(crc, head.get(..HEAD_BYTES).expect("a header is longer"))
}

impl SegmentSpans {
    /// Takes note of a batch that was written at `position`.
    pub(crate) fn note(&mut self, header: &BatchHeader, position: Position, interval_bytes: u32) {
        assert!(!self.is_sealed, "a sealed segment does not grow");
        self.skip_to(position);
        let crc = add_head(self.open.map_or(0, |open| open.crc), header);
        let end = position.plus(header.size_bytes());
        assert!(end > position, "a batch takes room at {position}");
        self.open = Some(Span { end, crc });
        let interval_bytes = usize::try_from(interval_bytes).expect("32 bits fit a usize");
        if end.since(self.closed_end()) > interval_bytes {
            self.close();
        }
    }

    /// Goes on at `position`: what lies before it and is in no span is of unknown content.
    fn skip_to(&mut self, position: Position) {
        assert!(
            position >= self.end(),
            "spans go forward, not from {} to {position}",
            self.end()
        );
        if position > self.end() {
            self.close();
            self.closed.push(Span {
                end: position,
                crc: Span::UNKNOWN_CRC,
            });
        }
    }

    fn close(&mut self) {
        self.closed.extend(self.open.take());
    }

    /// No more batches come.
    pub(crate) fn seal(&mut self) {
        self.close();
        self.is_sealed = true;
    }

    fn closed_end(&self) -> Position {
        self.closed.last().map_or(Position::ZERO, |span| span.end)
    }

    /// Where the last batch that was noted ends.
    pub(crate) fn end(&self) -> Position {
        self.open.map_or_else(|| self.closed_end(), |open| open.end)
    }

    /// The closed spans that have bytes of a range, in order.
    pub(crate) fn covering(&self, (start, end): (Position, Position)) -> Vec<Stretch> {
        let first = self.closed.partition_point(|span| span.end <= start);
        let end_of = |place: Option<usize>| {
            place
                .and_then(|place| self.closed.get(place))
                .map_or(Position::ZERO, |span| span.end)
        };
        let places = (first..).zip(self.closed.iter().skip(first));
        places
            .map(|(place, span)| Stretch {
                start: end_of(place.checked_sub(1)),
                end: span.end,
                crc: span.crc,
                before: end_of(place.checked_sub(2)),
            })
            .take_while(|stretch| stretch.start < end)
            .collect()
    }

    /// Bytes of memory that they take.
    pub(crate) fn size_bytes(&self) -> usize {
        self.closed.capacity().saturating_mul(size_of::<Span>())
    }

    /// What the file does not hold yet; `None` if it holds all. The open span is written as it is,
    /// and written over when there is more of it.
    pub(crate) fn pending(&self, owner: u32) -> Option<PendingSpans> {
        let end = (self.end(), self.is_sealed);
        if end == self.written_end || self.end() == Position::ZERO {
            return None;
        }
        let spans = self.closed.len().saturating_add(self.open.iter().len());
        // The last page once more, if all that is new is that it is the last.
        let first_new = self.written.min(spans.saturating_sub(1));
        let first_page = first_new.checked_div(PAGE_ENTRIES).unwrap_or(0);
        let first = first_page.saturating_mul(PAGE_ENTRIES);
        let mut start = match first.checked_sub(1) {
            Some(before) => self.closed.get(before)?.end,
            None => Position::ZERO,
        };
        let spans: Vec<Span> = self
            .closed
            .iter()
            .skip(first)
            .copied()
            .chain(self.open)
            .collect();
        let pages = spans.chunks(PAGE_ENTRIES).count();
        let mut bytes = Vec::with_capacity(pages.saturating_mul(PAGE_BYTES));
        for (number, entries) in (first_page..).zip(spans.chunks(PAGE_ENTRIES)) {
            let is_last = number.saturating_add(1) == first_page.saturating_add(pages);
            page::encode(
                &page::Page {
                    number: u32::try_from(number).expect("a file of spans is below 2^44 bytes"),
                    owner,
                    start,
                    is_end: is_last && self.is_sealed,
                    spans: entries.to_vec(),
                },
                &mut bytes,
            );
            start = entries.last().map_or(start, |span| span.end);
        }
        let at = first_page.saturating_mul(PAGE_BYTES);
        Some(PendingSpans {
            at: u64::try_from(at).expect("a usize fits 64 bits"),
            bytes,
            written: self.closed.len(),
            end,
        })
    }

    /// The file holds what `pending` was.
    pub(crate) fn mark_written(&mut self, pending: &PendingSpans) {
        // What was rebuilt meanwhile may be shorter; its next write says it all.
        if pending.written <= self.closed.len() && pending.end.0 <= self.end() {
            self.written = pending.written;
            self.written_end = pending.end;
        }
    }
}

/// Which segment a page belongs to, as a number that another segment hardly has.
pub(crate) fn owner_of(partition: PartitionId, base: Offset) -> u32 {
    let crc = crc32c_append(0, &partition.topic.0);
    let crc = crc32c_append(crc, &partition.partition.to_be_bytes());
    crc32c_append(crc, &base.get().to_be_bytes())
}

/// Pages on their way to the file.
#[derive(Debug)]
pub(crate) struct PendingSpans {
    at: u64,
    bytes: Vec<u8>,
    written: usize,
    end: (Position, bool),
}

impl PendingSpans {
    pub(crate) fn write(
        &self,
        vfs: &dyn Vfs,
        (directory, base): (&Path, Offset),
        sync: bool,
    ) -> io::Result<()> {
        assert!(
            !self.bytes.is_empty() && self.bytes.len().is_multiple_of(PAGE_BYTES),
            "only whole pages are written"
        );
        let path = SegmentFile::Spans.path(directory, base);
        let file = vfs.open(&path, OpenMode::ReadWriteCreate)?;
        let length = u64::try_from(self.bytes.len()).expect("a usize fits 64 bits");
        let end = self.at.saturating_add(length);
        if file.size_bytes()? > end {
            file.set_size(end)?;
        }
        vfs::write_all_at(&*file, &self.bytes, self.at)?;
        if sync {
            names::sync_data(&*file)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
