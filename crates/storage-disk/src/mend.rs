//! Holding the heads of a segment against its spans, and building a damaged head anew.
//!
//! What stands in a head follows from what lies around it: the base offset from the batches before
//! and behind, the length from where the next batch begins, the CRC from the body, the leader epoch
//! from its neighbours. What was built is believed only if the span says that it was written. Looks
//! at bytes and writes none: who asks does, and says so.

mod rebuild;

use records::{BatchHeader, HEADER_BYTES, Offset};
use vfs::File;

use crate::position::Position;
use crate::spans::{HEAD_BYTES, Stretch, add_head};
use crate::walk::{EpochRange, Found, HEADER_CHUNK_BYTES, Step, Walk};
use crate::window::{Access, Fault, Window, fill};
use rebuild::{Neighbour, Neighbours, rebuild};

/// A span with more bytes than this is not built anew: no batch is larger.
const STRETCH_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes that belong in front of a batch and do not stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) position: Position,
    pub(crate) bytes: [u8; HEAD_BYTES],
}

/// What a span says of the heads that stand there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are what was written.
    Good,
    /// They are not, and these are what was.
    Mend(Vec<Head>),
    /// They are not, and what was cannot be told.
    Lost,
}

/// A segment whose spans are looked at, up to `limit`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mender<'a> {
    pub(crate) file: &'a dyn File,
    pub(crate) base: Offset,
    pub(crate) limit: Position,
    pub(crate) epochs: EpochRange,
}

impl Mender<'_> {
    /// Holds the heads of a span against it.
    pub(crate) fn judge(&self, stretch: Stretch) -> Result<Verdict, Fault> {
        assert!(
            stretch.is_known() && stretch.end <= self.limit,
            "only a known span inside the segment is judged"
        );
        let (start, end) = (stretch.start, stretch.end);
        if self.crc_of_heads((start, end))? == Some(stretch.crc) {
            return Ok(Verdict::Good);
        }
        let size_bytes = end.since(start);
        if size_bytes > STRETCH_BYTES_MAX {
            return Ok(Verdict::Lost);
        }
        let mut bytes = vec![0; size_bytes];
        if fill(self.file, &mut bytes, start, Access::Blocking)? < size_bytes {
            return Ok(Verdict::Lost);
        }
        let neighbours = Neighbours {
            before: self.before(stretch)?,
            after: self.after(end)?,
            epoch_max: self.epochs.highest,
        };
        let Some(heads) = rebuild(&bytes, stretch.crc, neighbours) else {
            return Ok(Verdict::Lost);
        };
        let mend = heads.into_iter().map(|(at, bytes)| Head {
            position: start.plus(at),
            bytes,
        });
        Ok(Verdict::Mend(mend.collect()))
    }

    /// The offsets that the heads of a span say, from the first to behind the last.
    pub(crate) fn offsets(&self, stretch: Stretch) -> Result<Option<(Offset, Offset)>, Fault> {
        let range = (stretch.start, stretch.end);
        let mut walk = Walk::headers(self.file, Access::Blocking, range, None);
        let mut offsets = None;
        while let Step::Batch(found) = walk.step()? {
            let first = offsets.map_or(found.header.base_offset, |(first, _)| first);
            offsets = Some((first, found.header.next_offset()));
        }
        Ok(offsets)
    }

    /// The CRC of all heads of a range; `None` if it does not end with a batch. What the bodies say
    /// does not matter.
    fn crc_of_heads(&self, (start, end): (Position, Position)) -> Result<Option<u32>, Fault> {
        let mut window = Window::new(self.file, Access::Blocking, HEADER_CHUNK_BYTES);
        let (mut at, mut crc) = (start, 0);
        while at < end {
            let head = window.bytes(at, HEADER_BYTES.min(end.since(at)))?;
            let Ok(header) = BatchHeader::parse(head) else {
                return Ok(None);
            };
            if header.size_bytes() > end.since(at) {
                return Ok(None);
            }
            crc = add_head(crc, &header);
            at = at.plus(header.size_bytes());
        }
        Ok(Some(crc))
    }

    /// The batch before the span, as far as it can be told.
    fn before(&self, stretch: Stretch) -> Result<Option<Neighbour>, Fault> {
        if stretch.start == Position::ZERO {
            return Ok(Some(Neighbour {
                offset: self.base,
                epoch: None,
            }));
        }
        let range = (stretch.before, stretch.start);
        let mut walk = Walk::headers(self.file, Access::Blocking, range, None);
        let mut last: Option<Found> = None;
        while let Step::Batch(found) = walk.step()? {
            last = Some(found);
        }
        Ok(last
            .filter(|last| last.end() == stretch.start)
            .map(|last| Neighbour {
                offset: last.header.next_offset(),
                epoch: Some(last.header.leader_epoch),
            }))
    }

    /// The batch behind it.
    fn after(&self, end: Position) -> Result<Option<Neighbour>, Fault> {
        let mut head = [0; HEADER_BYTES];
        if self.limit.since(end) < head.len()
            || fill(self.file, &mut head, end, Access::Blocking)? < head.len()
        {
            return Ok(None);
        }
        Ok(BatchHeader::parse(&head).ok().map(|header| Neighbour {
            offset: header.base_offset,
            epoch: Some(header.leader_epoch),
        }))
    }
}

/// Puts what was written back into its place; the file is to be synced then.
pub(crate) fn put_back(file: &dyn File, heads: &[Head]) -> std::io::Result<()> {
    heads
        .iter()
        .try_for_each(|head| vfs::write_all_at(file, &head.bytes, head.position.bytes()))
}

#[cfg(test)]
mod tests;
