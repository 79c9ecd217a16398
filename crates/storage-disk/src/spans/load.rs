//! From a `.spans` file and its log to the spans of a segment. Pages that are not what was written,
//! or belong elsewhere, are left out, and what they spoke of is read from the log.

use std::io;
use std::path::Path;

use records::Offset;
use vfs::{File, OpenMode, Vfs};

use super::page::{self, PAGE_BYTES, PAGE_ENTRIES};
use super::{SegmentSpans, Span, Stretch};
use crate::names;
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::segment_index::IndexSource;
use crate::walk::{Step, Walk, resync};
use crate::window::{Access, Fault};

/// Larger than the spans of 2 GiB in batches of the least size.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// What the good pages of a file say.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// In order; there may be gaps between them.
    pub(crate) stretches: Vec<Stretch>,
    /// Where the segment ended when it was sealed.
    pub(crate) sealed_end: Option<Position>,
    /// Every page is good, full but for the last one, and goes on where the one before it ends.
    pub(crate) is_whole: bool,
}

impl Stored {
    /// Reads the pages of one owner; of any if it is not known.
    pub(crate) fn decode(bytes: &[u8], owner: Option<u32>) -> Self {
        let mut stored = Self {
            is_whole: bytes.len().is_multiple_of(PAGE_BYTES),
            ..Self::default()
        };
        let (mut before, mut end) = (Position::ZERO, Position::ZERO);
        let mut is_full = true;
        for (number, bytes) in (0..).zip(bytes.chunks(PAGE_BYTES)) {
            let belongs = |page: &page::Page| {
                page.number == number && owner.is_none_or(|owner| page.owner == owner)
            };
            let page = page::decode(bytes).filter(belongs);
            let Some(page) = page.filter(|page| page.start >= end) else {
                stored.is_whole = false;
                continue;
            };
            stored.is_whole &= page.start == end && is_full;
            is_full = page.spans.len() == PAGE_ENTRIES;
            if page.start > end {
                before = page.start;
            }
            end = page.start;
            for span in page.spans {
                stored.stretches.push(Stretch {
                    start: end,
                    end: span.end,
                    crc: span.crc,
                    before,
                });
                before = end;
                end = span.end;
            }
            stored.sealed_end = page.is_end.then_some(end);
        }
        stored
    }

    /// Reads a file; one that is missing or cannot be read says nothing.
    pub(crate) fn read(
        vfs: &dyn Vfs,
        (directory, base): (&Path, Offset),
        owner: Option<u32>,
    ) -> Self {
        let path = SegmentFile::Spans.path(directory, base);
        match vfs::read_whole(vfs, &path, FILE_BYTES_MAX) {
            Ok(bytes) => {
                let stored = Self::decode(&bytes, owner);
                if !stored.is_whole {
                    tracing::warn!(
                        path = %path.display(),
                        "N: pages that are not this segment's are built anew from its log"
                    );
                }
                stored
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "N: spans cannot be read");
                Self::default()
            }
        }
    }
}

impl SegmentSpans {
    /// The spans of a segment that ends at `log_end`: what its file says, and for the rest what the
    /// batches say now.
    pub(crate) fn load(
        source: IndexSource<'_>,
        log: &dyn File,
        log_end: Position,
        access: Access,
    ) -> Result<Self, Fault> {
        if access == Access::Cached {
            return Err(Fault::NotCached);
        }
        let place = (source.directory, source.base);
        let stored = Stored::read(source.vfs, place, Some(source.owner()));
        let mut spans = Self::default();
        let known = stored.stretches.iter();
        for stretch in known.take_while(|stretch| stretch.end <= log_end) {
            spans.fill(source, log, stretch.start)?;
            spans.close();
            spans.closed.push(Span {
                end: stretch.end,
                crc: stretch.crc,
            });
        }
        if stored.is_whole && spans.closed.len() == stored.stretches.len() {
            spans.written = spans.closed.len();
            spans.written_end = (spans.end(), stored.sealed_end.is_some());
        }
        spans.fill(source, log, log_end)?;
        Ok(spans)
    }

    /// Notes the heads from the end of what is known to `end`. Only batches that are good by
    /// themselves are vouched for: the head of another may say where nothing begins.
    fn fill(
        &mut self,
        source: IndexSource<'_>,
        log: &dyn File,
        end: Position,
    ) -> Result<(), Fault> {
        let start = self.end();
        let expected = (start == Position::ZERO).then_some(source.base);
        let access = Access::Blocking;
        let mut walk = Walk::checked(log, access, (start, end), expected, source.epochs);
        loop {
            match walk.step()? {
                Step::Batch(found) => {
                    self.note(&found.header, found.position, source.interval_bytes);
                }
                Step::End => return Ok(()),
                Step::Damaged { position, .. } => {
                    let expected = walk.expected().unwrap_or(source.base);
                    let Some(found) = resync(log, access, (position, end), expected)? else {
                        self.skip_to(end);
                        return Ok(());
                    };
                    walk.jump(found.position);
                }
            }
        }
    }
}

/// Takes from a file what it says of bytes past `end`, durably: other batches will stand there.
pub(crate) fn trim(
    vfs: &dyn Vfs,
    (directory, base): (&Path, Offset),
    end: Position,
) -> io::Result<()> {
    let stored = Stored::read(vfs, (directory, base), None);
    let is_past = |stretch: &Stretch| stretch.end > end;
    if stored.sealed_end.is_none() && !stored.stretches.iter().any(is_past) {
        return Ok(());
    }
    let path = SegmentFile::Spans.path(directory, base);
    let mut bytes = vfs::read_whole(vfs, &path, FILE_BYTES_MAX)?;
    let mut kept = Vec::with_capacity(bytes.len());
    for bytes in bytes.chunks_mut(PAGE_BYTES) {
        let Some(mut page) = page::decode(bytes) else {
            kept.extend_from_slice(bytes);
            continue;
        };
        page.spans.retain(|span| span.end <= end);
        page.is_end = false;
        page::encode(&page, &mut kept);
    }
    let file = vfs.open(&path, OpenMode::ReadWrite)?;
    vfs::write_all_at(&*file, &kept, 0)?;
    names::sync_data(&*file)
}
