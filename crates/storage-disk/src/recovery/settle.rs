//! The end of a recovery: where appends go on, and that nothing beside the log says otherwise.

use records::Offset;
use sabotage::{Safeguard, skips};
use vfs::OpenMode;

use super::{Floor, Front, Label, Recovery, Scanned};
use crate::epoch_file;
use crate::listing::{Listing, LogFile};
use crate::log::Mark;
use crate::names;
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::window::Fault;

impl Recovery<'_> {
    /// No offset below this may be given again: the journal, or the commit file, had it durable.
    pub(super) fn floor_offset(&self) -> Offset {
        let known = match self.circumstances.floor {
            Floor::Known { .. } if skips(Safeguard::WatermarkFloor) => Offset::ZERO,
            Floor::Known { end, .. } => end.offset,
            Floor::Unknown => Offset::ZERO,
        };
        let promises = self.circumstances.promises.iter();
        let promised = promises.map(|promise| promise.next).max();
        promised
            .filter(|_| !skips(Safeguard::CommitPromise))
            .map_or(known, |promised| known.max(promised))
    }

    /// Where the log begins. The journal knows; a first segment that begins later was lost. Without
    /// the journal nobody can tell, and that is said.
    pub(super) fn place_start(&mut self, first: Option<Offset>, end: Offset) -> Offset {
        let found = first.unwrap_or(Offset::ZERO);
        let Some(known) = self.circumstances.log_start else {
            if self.circumstances.floor == Floor::Unknown && found > Offset::ZERO {
                let what =
                    format!("the log begins at {found}; without a journal nobody knows since when");
                self.report.alarm(Label::K, self.describe(&what));
            }
            return found.min(end);
        };
        let start = known.min(end);
        if let Some(first) = first.filter(|first| *first > start) {
            let what = format!("offsets {start} to {first} are in no segment");
            self.report.alarm(Label::K, self.describe(&what));
            let nowhere = (Position::ZERO, Position::ZERO);
            self.quarantine(first, (start, first), nowhere, Label::K);
        }
        start
    }

    /// The segment that appends go to, made if there is none, and the offset they begin with.
    pub(super) fn place_end(&mut self, scanned: &mut Scanned) -> Result<Mark, Fault> {
        let floor = self.floor_offset();
        if floor > scanned.next {
            let next = scanned.next;
            let what = format!("offsets {next} to {floor} were durable and are gone");
            self.report.alarm(Label::H, self.describe(&what));
            if !self.end_hole(floor) {
                let before = scanned.kept.last();
                let base = before.map_or(floor, |before| before.base);
                let size = before.map_or(Position::ZERO, |before| before.size);
                self.quarantine(base, (next, floor), (size, size), Label::H);
            }
        }
        self.end_hole(scanned.next);
        let offset = scanned.next.max(floor);
        let reusable = scanned.kept.last().filter(|_| offset == scanned.next);
        if let Some(last) = reusable {
            return Ok(Mark {
                offset,
                base: last.base,
                position: last.size,
            });
        }
        for kind in [SegmentFile::Log, SegmentFile::Index] {
            let path = kind.path(self.directory, offset);
            let file = self.vfs.open(&path, OpenMode::ReadWriteCreate)?;
            file.set_size(0)?;
        }
        for kind in [SegmentFile::Spans, SegmentFile::TimeIndex] {
            self.remove(&kind.path(self.directory, offset))?;
        }
        self.forget_ranges_from(offset);
        self.changed = true;
        self.report.count(Label::R);
        scanned.kept.push(LogFile {
            base: offset,
            size: Position::ZERO,
        });
        Ok(Mark {
            offset,
            base: offset,
            position: Position::ZERO,
        })
    }

    /// After a power cut the indexes of the segments past the watermark can hold anything.
    pub(super) fn clear_indexes(&mut self, kept: &[LogFile], front: Front) -> Result<(), Fault> {
        let certain = self.circumstances.same_boot && self.circumstances.floor != Floor::Unknown;
        let certain = certain || skips(Safeguard::StaleIndexes);
        for log in kept.iter().skip(front.place).filter(|_| !certain) {
            for kind in [SegmentFile::Index, SegmentFile::TimeIndex] {
                let path = kind.path(self.directory, log.base);
                if self
                    .vfs
                    .stat(&path)?
                    .is_some_and(|stat| stat.size_bytes > 0)
                {
                    self.vfs.open(&path, OpenMode::ReadWrite)?.set_size(0)?;
                    self.report.count(Label::N);
                }
            }
        }
        // One that is missing is made, so that the files of a segment are complete.
        for log in kept.iter().skip(front.place) {
            let path = SegmentFile::Index.path(self.directory, log.base);
            if self.vfs.stat(&path)?.is_none() {
                self.vfs.open(&path, OpenMode::ReadWriteCreate)?;
                self.changed = true;
                self.report.count(Label::N);
            }
        }
        Ok(())
    }

    /// A snapshot past the end speaks of batches that are not there.
    pub(super) fn remove_future_snapshots(
        &mut self,
        listing: &Listing,
        end: Offset,
    ) -> Result<(), Fault> {
        let is_future = |offset: &&Offset| **offset > end && !skips(Safeguard::FutureSnapshots);
        for &offset in listing.snapshots.iter().filter(is_future) {
            self.remove(&SegmentFile::Snapshot.path(self.directory, offset))?;
            self.report.count(Label::O);
        }
        Ok(())
    }

    /// Brings the history of epochs up to what was found. Without a file it is read from the log
    /// when it is needed.
    pub(super) fn save_epochs(&self, scanned: &Scanned, end: Offset) -> Result<(), Fault> {
        let Some(mut epochs) = epoch_file::read(self.vfs, self.directory) else {
            return Ok(());
        };
        let before = epochs.clone();
        epochs.truncate_to(end);
        for (epoch, start) in &scanned.epochs {
            epochs.on_append(*epoch, *start);
        }
        if epochs != before {
            epoch_file::put(self.vfs, self.directory, &epochs.encode())?;
            names::sync_dir(self.vfs, self.directory)?;
        }
        Ok(())
    }
}
