//! Where a recovery begins to read; and without a journal, a look at what lies before.

use records::Offset;

use super::{Floor, Front, Label, Recovery};
use crate::index::OffsetIndex;
use crate::listing::LogFile;
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::walk::{Step, Walk};
use crate::window::{Access, Fault};

impl Recovery<'_> {
    /// Where to begin: at the watermark, or at the start of the segment that should hold it.
    /// Without a watermark, at `unsure`.
    pub(super) fn front(&self, logs: &[LogFile], unsure: usize) -> Front {
        let at_start = |place: usize, epoch: i32| Front {
            place,
            position: Position::ZERO,
            expected: logs.get(place).map_or(Offset::ZERO, |log| log.base),
            epoch,
        };
        let Floor::Known { end, epoch } = self.circumstances.floor else {
            return at_start(unsure, i32::MIN);
        };
        let holder = logs.iter().position(|log| log.base == end.base);
        match holder.and_then(|place| Some((place, logs.get(place)?))) {
            Some((place, log)) if log.size >= end.position => Front {
                place,
                position: end.position,
                expected: end.offset,
                epoch,
            },
            Some((place, _)) => at_start(place, i32::MIN),
            None => {
                let above = logs.partition_point(|log| log.base <= end.offset);
                at_start(above.saturating_sub(1), i32::MIN)
            }
        }
    }

    /// Without a journal: whether the segments follow each other. Where offsets may have been
    /// cleaned away is not known then, so a gap is only a warning. Gives the first segment that
    /// must be read in full: the last one, or one that holds offsets of the next one too.
    pub(super) fn check_structure(&mut self, logs: &[LogFile]) -> Result<usize, Fault> {
        let last = logs.len().saturating_sub(1);
        let mut unsure = last;
        for (place, (log, later)) in logs.iter().zip(logs.iter().skip(1)).enumerate() {
            let Some(end) = self.end_of_sealed(log)? else {
                continue;
            };
            let base = later.base;
            if base < end {
                unsure = unsure.min(place);
            } else if base > end {
                let what = format!("the segment at {base} follows one that ends at offset {end}");
                self.report.alarm(Label::K, self.describe(&what));
            }
        }
        Ok(unsure)
    }

    /// The offset behind a segment, from its last indexed batch on; `None` where headers are bad.
    fn end_of_sealed(&self, log: &LogFile) -> Result<Option<Offset>, Fault> {
        let path = SegmentFile::Index.path(self.directory, log.base);
        let bytes = vfs::read_whole(self.vfs, &path, u64::from(u32::MAX)).unwrap_or_default();
        let (entries, _) = OffsetIndex::decode(&bytes, log.size);
        let start = entries
            .last()
            .map_or(Position::ZERO, |entry| entry.position);
        let expected = entries.last().is_none().then_some(log.base);
        let file = self.open(log.base)?;
        let mut walk = Walk::headers(&*file, Access::Blocking, (start, log.size), expected);
        loop {
            match walk.step()? {
                Step::Batch(_) => {}
                Step::End => return Ok(walk.expected()),
                Step::Damaged { .. } => return Ok(None),
            }
        }
    }
}
