//! The segment that a compaction writes: batches one behind the other without a gap in their
//! offsets, its index and its spans.
//!
//! Where batches go, one without records stands for all of their offsets. So a batch that is missing
//! is told from one that was compacted by the same rule as everywhere: the base offset of a batch is
//! the one behind the batch before it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use records::{BatchHeader, Offset, rewrite};
use sabotage::{Safeguard, skips};
use vfs::{File, OpenMode, Vfs};

use super::swap::Swap;
use crate::names;
use crate::position::Position;
use crate::segment_index::SegmentIndex;

/// So much is written at a time.
const BUFFER_BYTES: usize = 512 * 1024;

/// A segment on its way. See the head of the module.
#[derive(Debug)]
pub(crate) struct Output {
    file: Arc<dyn File>,
    base: Offset,
    interval_bytes: u32,
    index: SegmentIndex,
    /// Not written yet.
    buffer: Vec<u8>,
    /// Where the buffer belongs.
    written: Position,
    /// Behind what was kept or went.
    next: Offset,
    gap: Option<Gap>,
}

/// Batches that went, of one leader epoch.
#[derive(Debug)]
struct Gap {
    first: BatchHeader,
    last: Offset,
    newest_ms: i64,
}

/// A segment that is written and synced.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) file: Arc<dyn File>,
    pub(crate) base: Offset,
    pub(crate) end: Offset,
    pub(crate) size: Position,
    pub(crate) index: SegmentIndex,
}

impl Output {
    /// Begins a segment; what an earlier one left is taken.
    pub(crate) fn create(
        vfs: &dyn Vfs,
        directory: &Path,
        (base, interval_bytes): (Offset, u32),
    ) -> io::Result<Self> {
        let path = Swap::cleaned_path(directory, base);
        let file = vfs.open(&path, OpenMode::ReadWriteCreate)?;
        file.set_size(0)?;
        Ok(Self {
            file,
            base,
            interval_bytes,
            index: SegmentIndex::new(base),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            written: Position::ZERO,
            next: base,
            gap: None,
        })
    }

    /// A batch stays, as these bytes. How many were written to the file.
    pub(crate) fn keep(&mut self, batch: &Bytes) -> io::Result<usize> {
        let header = BatchHeader::parse(batch).expect("a batch that was read or made here");
        let filled = self.fill_gap()?;
        self.put(&header, batch)
            .map(|put| put.saturating_add(filled))
    }

    /// A batch goes.
    pub(crate) fn remove(&mut self, header: &BatchHeader) -> io::Result<usize> {
        assert_eq!(header.base_offset, self.next, "batches come in their order");
        let (last, newest_ms) = (header.last_offset(), header.max_timestamp_ms);
        if let Some(gap) = &mut self.gap
            && gap.first.leader_epoch == header.leader_epoch
        {
            gap.last = last;
            gap.newest_ms = gap.newest_ms.max(newest_ms);
            self.next = header.next_offset();
            return Ok(0);
        }
        let filled = self.fill_gap()?;
        self.next = header.next_offset();
        let first = *header;
        self.gap = Some(Gap {
            first,
            last,
            newest_ms,
        });
        Ok(filled)
    }

    fn fill_gap(&mut self) -> io::Result<usize> {
        let Some(gap) = self.gap.take() else {
            return Ok(0);
        };
        if skips(Safeguard::GapsFilled) {
            return Ok(0);
        }
        let batch = rewrite::gap(&gap.first, gap.last, gap.newest_ms);
        let batch = batch.expect("a segment has fewer than 2^31 offsets");
        let header = BatchHeader::parse(&batch).expect("it was just made");
        self.next = header.base_offset;
        self.put(&header, &batch)
    }

    fn put(&mut self, header: &BatchHeader, batch: &Bytes) -> io::Result<usize> {
        assert!(
            header.base_offset == self.next || skips(Safeguard::GapsFilled),
            "a batch at {} where {} was expected",
            header.base_offset,
            self.next
        );
        let position = self.written.plus(self.buffer.len());
        if position.plus(header.size_bytes()) > Position::MAX {
            let what = "the new segment would be larger than a segment can be";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        self.index.append(header, position, self.interval_bytes);
        self.buffer.extend_from_slice(batch);
        self.next = header.next_offset();
        if self.buffer.len() < BUFFER_BYTES {
            return Ok(0);
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<usize> {
        let size_bytes = self.buffer.len();
        vfs::write_all_at(&*self.file, &self.buffer, self.written.bytes())?;
        self.written = self.written.plus(size_bytes);
        self.buffer.clear();
        Ok(size_bytes)
    }

    /// Ends the segment, which goes on up to `end`. Its file is durable then, its name is not; and
    /// how many bytes were written last.
    pub(crate) fn finish(mut self, end: Offset) -> io::Result<(Written, usize)> {
        let filled = self.fill_gap()?;
        assert_eq!(
            self.next, end,
            "all offsets up to the next segment are there"
        );
        let flushed = self.flush()?;
        if !skips(Safeguard::CompactedFileSync) {
            names::sync_data(&*self.file)?;
        }
        self.index.seal();
        let written = Written {
            file: self.file,
            base: self.base,
            end,
            size: self.written,
            index: self.index,
        };
        Ok((written, filled.saturating_add(flushed)))
    }
}
