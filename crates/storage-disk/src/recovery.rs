//! From the files of one partition, as a crash or a hand left them, to a log that can be used.
//!
//! The journal says up to where the log was durable; what lies behind is read batch by batch, and
//! [`table`] says what to do where that ends. Nothing below the watermark is ever cut, no offset
//! below it is ever given again, and the same bytes give the same result twice. No state of the
//! files makes a start fail; only an error of the disk does.

mod report;
mod scan;
mod settle;
mod table;

use std::io;
use std::path::Path;
use std::sync::Arc;

use records::Offset;
use vfs::{File, OpenMode, Vfs};

use crate::index::OffsetIndex;
use crate::listing::{self, Listing, LogFile};
use crate::log::{Mark, Place};
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::rewrite;
use crate::walk::{EpochRange, Step, Walk};
use crate::window::{Access, Fault};

pub use report::RecoveryReport;
pub use table::Label;

use scan::Scan;
use table::{Decision, Facts, Rest, decide};

/// Ends the name of a segment that holds offsets which another one holds too.
const ASIDE_SUFFIX: &str = ".overlap";

/// Up to where a log is known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floor {
    /// As the journal says. A partition that a whole journal does not name is durable up to its
    /// start.
    Known { end: Mark, epoch: i32 },
    /// There is no journal.
    Unknown,
}

/// What is known from outside the partition's directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) floor: Floor,
    pub(crate) log_start: Option<Offset>,
    /// The system did not restart since the last process began.
    pub(crate) same_boot: bool,
    /// No batch has a higher leader epoch than this.
    pub(crate) epoch_max: i32,
}

/// Brings the files in `directory` into order and says where the log is. `None`: there is no such
/// directory.
pub(crate) fn recover(
    vfs: &dyn Vfs,
    directory: &Path,
    circumstances: Circumstances,
    report: &mut RecoveryReport,
) -> Result<Option<Place>, Fault> {
    let Some(listing) = listing::list(vfs, directory)? else {
        return Ok(None);
    };
    report.partitions_scanned = report.partitions_scanned.saturating_add(1);
    let mut recovery = Recovery {
        vfs,
        directory,
        circumstances,
        report,
        changed: false,
    };
    recovery.run(listing).map(Some)
}

struct Recovery<'a> {
    vfs: &'a dyn Vfs,
    directory: &'a Path,
    circumstances: Circumstances,
    report: &'a mut RecoveryReport,
    /// Names were made or removed, and the directory must be synced.
    changed: bool,
}

/// Where a scan goes on.
#[derive(Debug, Clone, Copy)]
struct Front {
    /// Which segment.
    place: usize,
    position: Position,
    expected: Offset,
    epoch: i32,
}

/// What the scan of all segments past the watermark came to.
struct Scanned {
    /// The segments that belong to the log, in order.
    kept: Vec<LogFile>,
    next: Offset,
    epochs: Vec<(i32, Offset)>,
}

impl Recovery<'_> {
    fn run(&mut self, listing: Listing) -> Result<Place, Fault> {
        self.remove_leftovers(&listing)?;
        let front = self.front(&listing.logs);
        if self.circumstances.floor == Floor::Unknown {
            self.report.count(Label::Q);
            self.check_structure(listing.logs.get(..front.place).unwrap_or_default())?;
        }
        let mut scanned = self.scan_from(&listing.logs, front)?;
        let first = scanned
            .kept
            .first()
            .map_or(scanned.next, |first| first.base);
        let end = self.place_end(&mut scanned)?;
        self.clear_indexes(&scanned.kept, front)?;
        self.remove_future_snapshots(&listing, end.offset)?;
        self.save_epochs(&scanned, end.offset)?;
        if self.changed {
            self.vfs.sync_dir(self.directory)?;
        }
        let floor = self.floor_offset();
        assert!(
            end.offset >= floor,
            "the end {end:?} does not fall below {floor}"
        );
        let rising = scanned
            .kept
            .is_sorted_by(|earlier, later| earlier.base < later.base);
        assert!(rising, "segments follow each other: {:?}", scanned.kept);
        let log_start = self
            .circumstances
            .log_start
            .unwrap_or(first)
            .max(first)
            .min(end.offset);
        Ok(Place { log_start, end })
    }

    fn describe(&self, what: &str) -> String {
        format!("{}: {what}", self.directory.display())
    }

    fn remove_leftovers(&mut self, listing: &Listing) -> io::Result<()> {
        for name in &listing.leftovers {
            self.vfs.remove_file(&self.directory.join(name))?;
            self.changed = true;
            self.report.count(Label::R);
        }
        Ok(())
    }

    fn open(&self, base: Offset) -> io::Result<Arc<dyn File>> {
        self.vfs.open(
            &SegmentFile::Log.path(self.directory, base),
            OpenMode::ReadWrite,
        )
    }

    /// Where to begin: at the watermark, or at the start of the segment that should hold it.
    fn front(&self, logs: &[LogFile]) -> Front {
        let at_start = |place: usize, epoch: i32| Front {
            place,
            position: Position::ZERO,
            expected: logs.get(place).map_or(Offset::ZERO, |log| log.base),
            epoch,
        };
        let Floor::Known { end, epoch } = self.circumstances.floor else {
            return at_start(logs.len().saturating_sub(1), i32::MIN);
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

    /// Without a journal: whether the segments before the last follow each other.
    fn check_structure(&mut self, logs: &[LogFile]) -> Result<(), Fault> {
        let mut expected = logs.first().map(|log| log.base);
        for log in logs {
            if let Some(expected) = expected.filter(|expected| *expected != log.base) {
                let base = log.base;
                self.gap(expected, base);
            }
            expected = self.end_of_sealed(log)?;
        }
        Ok(())
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

    fn gap(&mut self, expected: Offset, base: Offset) {
        let (label, what) = if base > expected {
            (
                Label::K,
                format!("offsets {expected} to {base} are in no segment"),
            )
        } else {
            (
                Label::M,
                format!("the segment at {base} begins before offset {expected}"),
            )
        };
        self.report.alarm(label, self.describe(&what));
    }

    /// Reads everything past the watermark.
    fn scan_from(&mut self, logs: &[LogFile], front: Front) -> Result<Scanned, Fault> {
        let kept = logs.get(..front.place).unwrap_or_default().to_vec();
        let mut scanned = Scanned {
            kept,
            next: front.expected,
            epochs: Vec::new(),
        };
        if logs.is_empty() {
            scanned.next = Offset::ZERO;
            return Ok(scanned);
        }
        let mut front = front;
        while let Some(log) = logs.get(front.place) {
            if log.base > scanned.next && front.position == Position::ZERO {
                if self.is_behind_cut(logs, front.place) {
                    self.drop_from(logs, front.place)?;
                    return Ok(scanned);
                }
                self.gap(scanned.next, log.base);
                front.expected = log.base;
            } else if log.base < scanned.next
                && front.position == Position::ZERO
                && !scanned.kept.is_empty()
            {
                self.gap(scanned.next, log.base);
                self.set_aside(log.base)?;
                front.place = front.place.saturating_add(1);
                continue;
            }
            let ended = self.scan_segment(logs, front, &mut scanned)?;
            if ended {
                self.drop_from(logs, front.place.saturating_add(1))?;
                return Ok(scanned);
            }
            let epoch = scanned
                .epochs
                .last()
                .map_or(front.epoch, |(epoch, _)| *epoch);
            let place = front.place.saturating_add(1);
            front = Front {
                place,
                position: Position::ZERO,
                expected: scanned.next,
                epoch,
            };
        }
        Ok(scanned)
    }

    /// Takes a segment out of the log without deleting it.
    fn set_aside(&mut self, base: Offset) -> io::Result<()> {
        let source = SegmentFile::Log.path(self.directory, base);
        let mut target = source.clone().into_os_string();
        target.push(ASIDE_SUFFIX);
        self.changed = true;
        self.vfs.rename(&source, Path::new(&target))
    }

    /// After a power cut a segment behind lost bytes holds nothing that was promised.
    fn is_behind_cut(&self, logs: &[LogFile], place: usize) -> bool {
        let known = self.circumstances.floor != Floor::Unknown;
        place > 0 && place < logs.len() && known && !self.circumstances.same_boot
    }

    /// Scans one segment. `true` if the log ends in it whatever follows.
    fn scan_segment(
        &mut self,
        logs: &[LogFile],
        front: Front,
        scanned: &mut Scanned,
    ) -> Result<bool, Fault> {
        let log = logs
            .get(front.place)
            .copied()
            .expect("the front is at a segment");
        let file = self.open(log.base)?;
        let epochs = EpochRange {
            lowest: front.epoch,
            highest: self.circumstances.epoch_max,
        };
        let range = (front.position, log.size);
        let scan = scan::scan(&*file, range, front.expected, epochs)?;
        self.note_scan(&scan, front.position);
        scanned.epochs.extend_from_slice(&scan.epochs);
        scanned.next = scan.next;
        let facts = self.facts(logs, front.place, &scan)?;
        let case = decide(facts);
        self.note_case(case.label, case.alarm, &log, &scan);
        let mut kept = log;
        match case.decision {
            Decision::Accept => {}
            Decision::Cut => {
                let cut_bytes = log.size.since(scan.end);
                self.report.cut_bytes = self
                    .report
                    .cut_bytes
                    .saturating_add(u64::try_from(cut_bytes).expect("a usize fits 64 bits"));
                file.set_size(scan.end.bytes())?;
                kept.size = scan.end;
            }
            Decision::StepOver => {
                if let Some((position, base)) = scan.resumes {
                    let later = scan::rescan(&*file, (position, log.size), base)?;
                    scanned.epochs.extend_from_slice(&later.epochs);
                    scanned.next = later.next;
                }
            }
        }
        self.secure(&*file, (front.position, kept.size), case.decision)?;
        scanned.kept.push(kept);
        Ok(case.decision == Decision::Cut)
    }

    fn facts(&self, logs: &[LogFile], place: usize, scan: &Scan) -> Result<Facts, Fault> {
        let mut good_later = scan.resumes.is_some();
        if scan.rest != Rest::Nothing && !good_later {
            let later = logs.iter().skip(place.saturating_add(1));
            if let Some(next) = later.into_iter().find(|log| log.size > Position::ZERO) {
                let file = self.open(next.base)?;
                good_later = scan::begins_well(&*file, next.size, scan.next)?;
            }
        }
        Ok(Facts {
            below_watermark: scan.next < self.floor_offset(),
            rest: scan.rest,
            good_later,
            watermark_known: self.circumstances.floor != Floor::Unknown,
            same_boot: self.circumstances.same_boot,
        })
    }

    fn note_scan(&mut self, scan: &Scan, start: Position) {
        let size_bytes = u64::try_from(scan.end.since(start)).expect("a usize fits 64 bits");
        self.report.scanned_bytes = self.report.scanned_bytes.saturating_add(size_bytes);
        if size_bytes > 0 {
            self.report.count(Label::B);
        }
        let newest = scan.epochs.iter().map(|(epoch, _)| *epoch).max();
        self.report.epoch_max = self.report.epoch_max.max(newest.unwrap_or(0));
    }

    fn note_case(&mut self, label: Label, alarm: bool, log: &LogFile, scan: &Scan) {
        let (from, to) = (scan.end, log.size);
        let what = format!("bytes {from} to {to} of the segment at {}", log.base);
        if alarm {
            self.report.alarm(label, self.describe(&what));
        } else {
            self.report.count(label);
            if from < to {
                tracing::info!("{label}: {}", self.describe(&what));
            }
        }
    }

    /// Makes what was accepted durable. Bytes that are only in memory may have failed to reach the
    /// disk before, and the system would not say so again: writing them once more makes it try.
    fn secure(
        &self,
        file: &dyn File,
        (start, end): (Position, Position),
        decision: Decision,
    ) -> Result<(), Fault> {
        if start == end && decision == Decision::Accept {
            return Ok(());
        }
        if self.circumstances.same_boot {
            rewrite::rewrite(file, start, end)?;
        }
        file.sync_data()?;
        Ok(())
    }

    /// Removes the segments from `place` on: a cut or a lost tail lies before them.
    fn drop_from(&mut self, logs: &[LogFile], place: usize) -> Result<(), Fault> {
        for log in logs.get(place..).unwrap_or_default() {
            let what = format!(
                "the segment at {} lies behind the end and is removed",
                log.base
            );
            tracing::info!("{}: {}", Label::C, self.describe(&what));
            self.report.cut_bytes = self.report.cut_bytes.saturating_add(log.size.bytes());
            self.report.count(Label::C);
            for kind in [SegmentFile::Log, SegmentFile::Index, SegmentFile::TimeIndex] {
                self.remove(&kind.path(self.directory, log.base))?;
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        match self.vfs.remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => {
                self.changed = true;
                removed
            }
        }
    }
}

#[cfg(test)]
mod tests;
