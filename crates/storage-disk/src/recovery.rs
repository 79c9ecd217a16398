//! From the files of one partition, as a crash or a hand left them, to a log that can be used.
//!
//! The journal says up to where the log was durable; what lies behind is read batch by batch, and
//! [`table`] says what to do where that ends. Nothing below the watermark is ever cut, no offset
//! below it is ever given again, and the same bytes give the same result twice. No state of the
//! files makes a start fail; only an error of the disk does.
//!
//! - `front`: where to begin to read
//! - `segments`: from segment to segment, and what lies between two of them
//! - `scan`: inside one segment
//! - `mend`: what is repaired before
//! - `keep`: what is noted in quarantine lists
//! - `swaps`: compactions that were interrupted
//! - `settle`: where appends go on, and the files beside the log

mod front;
mod keep;
mod mend;
mod report;
mod scan;
mod segments;
mod settle;
mod swaps;
mod table;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use records::Offset;
use sabotage::{Safeguard, skips};
use storage::PartitionId;
use vfs::{File, OpenMode, Vfs};

use crate::compact::checkpoint;
use crate::listing::{self, Listing, LogFile};
use crate::log::{Mark, Place};
use crate::names;
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::quarantine::List;
use crate::spans;
use crate::window::Fault;

pub use report::RecoveryReport;
pub use table::Label;

use keep::Hole;

/// Up to where a log is known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floor {
    /// As the journal says. A partition that a whole journal does not name is durable up to its
    /// start.
    Known { end: Mark, epoch: i32 },
    /// There is no journal.
    Unknown,
}

/// Records of a log that the commit file had durable, whatever the journal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Promise {
    /// Base offset of their segment.
    pub(crate) base: Offset,
    /// Where they stand since they were replayed, and their first offset; `None`: they are damaged in
    /// the commit file, so they are in the log already or nowhere.
    pub(crate) place: Option<(Position, Offset)>,
    /// The offset behind them.
    pub(crate) next: Offset,
}

/// What is known from outside the partition's directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    pub(crate) partition: PartitionId,
    pub(crate) floor: Floor,
    /// Nothing of it is cut, whatever stands before it, and none of its offsets is given again.
    pub(crate) promises: &'a [Promise],
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
    circumstances: Circumstances<'_>,
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
        lists: BTreeMap::new(),
        hole: None,
    };
    recovery.run(listing).map(Some)
}

struct Recovery<'a> {
    vfs: &'a dyn Vfs,
    directory: &'a Path,
    circumstances: Circumstances<'a>,
    report: &'a mut RecoveryReport,
    /// Names were made or removed, and the directory must be synced.
    changed: bool,
    /// Quarantine lists with something new, by the base offsets of their segments.
    lists: BTreeMap<Offset, List>,
    /// Damage whose last offset only what follows tells.
    hole: Option<Hole>,
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
        let listing = self.finish_swaps(listing)?;
        self.remove_leftovers(&listing)?;
        self.remove_orphans(&listing)?;
        let mut unsure = 0;
        if self.circumstances.floor == Floor::Unknown {
            self.report.count(Label::Q);
            unsure = self.check_structure(&listing.logs)?;
        }
        let front = self.front(&listing.logs, unsure);
        let mut scanned = self.scan_from(&listing.logs, front)?;
        let first = scanned.kept.first().map(|first| first.base);
        let end = self.place_end(&mut scanned)?;
        // IMPORTANT: before other batches can stand where these files say what stood.
        if !skips(Safeguard::SpanTrim) {
            spans::trim(self.vfs, (self.directory, end.base), end.position)?;
        }
        let log_start = self.place_start(first, end.offset);
        let checkpoint = (self.circumstances.partition, end.offset);
        self.changed |= checkpoint::remove_past(self.vfs, self.directory, checkpoint)?;
        self.clear_indexes(&scanned.kept, front)?;
        self.remove_future_snapshots(&listing, end.offset)?;
        self.save_epochs(&scanned, end.offset)?;
        if !listing.quarantines.is_empty() || !self.lists.is_empty() {
            self.report.listed.insert(self.circumstances.partition);
        }
        self.save_lists()?;
        if self.changed && !skips(Safeguard::RecoveredDirectorySync) {
            names::sync_dir(self.vfs, self.directory)?;
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
        let epoch = match (scanned.epochs.last(), self.circumstances.floor) {
            (Some((newest, _)), _) => *newest,
            (None, Floor::Known { epoch, .. }) => epoch,
            (None, Floor::Unknown) => i32::MIN,
        };
        Ok(Place {
            log_start,
            end,
            epoch,
        })
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

    /// What stands beside a log that is not there. A quarantine list stays, for it keeps bytes of cuts,
    /// unless it is of a segment that a trim removed.
    fn remove_orphans(&mut self, listing: &Listing) -> io::Result<()> {
        let log_start = self.circumstances.log_start.unwrap_or(Offset::ZERO);
        let lists = listing.quarantines.iter();
        let trimmed = lists.filter(|base| **base < log_start);
        let trimmed = trimmed.map(|&base| (base, SegmentFile::Quarantine));
        let beside: Vec<_> = listing.indexes.iter().copied().chain(trimmed).collect();
        for (base, kind) in beside {
            if !listing.logs.iter().any(|log| log.base == base) {
                self.remove(&kind.path(self.directory, base))?;
                self.report.count(Label::R);
            }
        }
        Ok(())
    }

    fn open(&self, base: Offset) -> io::Result<Arc<dyn File>> {
        self.vfs.open(
            &SegmentFile::Log.path(self.directory, base),
            OpenMode::ReadWrite,
        )
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
