//! What the lock of a log guards. An idle log has the small part only.

use std::sync::Arc;

use records::Offset;
use storage::{LeaderEpochs, ProducerTable, StorageFailure};
use vfs::File;

use super::damage::Judged;
use crate::position::Position;
use crate::quarantine::Quarantine;
use crate::segment::{ActiveSegment, SealedSegment, Verified};
use crate::segment_index::SegmentIndex;

/// How many readers that follow the log find their place without the index.
const CURSORS: usize = 4;

/// An end of the log, as an offset and as a place in a file: the next batch would be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) offset: Offset,
    /// Base offset of the segment.
    pub(crate) base: Offset,
    pub(crate) position: Position,
}

/// Where a log begins and ends when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) log_start: Offset,
    pub(crate) end: Mark,
    /// No batch behind the end is of an earlier leader epoch.
    pub(crate) epoch: i32,
}

/// Whether the log can be used.
#[derive(Debug)]
pub(super) enum Condition {
    Serving,
    /// Reads go on; appends are refused until the next start.
    Offline(StorageFailure),
    /// The files are being moved away. If that fails, the log is again as it was: offline with
    /// this failure, or serving.
    Removing(Option<StorageFailure>),
    Removed(StorageFailure),
}

/// See the head of the module.
#[derive(Debug)]
pub(super) struct State {
    pub(super) condition: Condition,
    /// Where the next batch goes.
    pub(super) end: Mark,
    /// See [`Place::epoch`]: of the end that was given to [`State::new`].
    pub(super) found_epoch: i32,
    /// Below this, readers may look. Equals `durable` where the mode syncs first.
    pub(super) visible: Mark,
    /// Below this, everything was synced.
    pub(super) durable: Mark,
    /// What cannot be read; `None` until somebody looked.
    pub(super) quarantine: Option<Quarantine>,
    pub(super) judged: Judged,
    pub(super) loaded: Option<Box<Loaded>>,
}

/// What a log has once it was used.
#[derive(Debug)]
pub(super) struct Loaded {
    /// In order.
    pub(super) sealed: Vec<SealedSegment>,
    pub(super) active: ActiveSegment,
    /// Indexes of sealed segments that are not in their files yet.
    pub(super) unwritten: Vec<Arc<SegmentIndex>>,
    /// Base offsets of segments before the start whose files are still there.
    pub(super) retired: Vec<Offset>,
    pub(super) epochs: LeaderEpochs,
    pub(super) epochs_unsaved: bool,
    /// `None` until a batch of an idempotent producer comes, if they must be read from the log.
    pub(super) producers: Option<ProducerTable>,
    pub(super) snapshot: SnapshotState,
    pub(super) dirty: Dirty,
    pub(super) in_upkeep: bool,
    pub(super) cursors: Cursors,
    pub(super) compaction: Compaction,
}

/// How far a log is compacted.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    /// The first offset that is not; `None`: nobody has looked yet.
    pub(super) first_dirty: Option<Offset>,
    /// Where the active segment began when something could not be written anew: nobody tries again
    /// before another one begins.
    pub(super) left_at: Option<Offset>,
    /// For the two newest generations of the commit file that have something of the log, the first
    /// segment that it is of.
    mentions: [Option<(u64, Offset)>; 2],
}

impl Compaction {
    /// A generation of the commit file has bytes of the segment at `base`, and none before.
    pub(super) fn mention(&mut self, generation: u64, base: Offset) {
        let [newest, older] = &mut self.mentions;
        *older = newest.replace((generation, base));
    }

    /// The first segment that one of these generations has something of.
    pub(super) fn mentioned_from(&self, generations: &[u64]) -> Option<Offset> {
        let mentions = self.mentions.iter().flatten();
        let live = mentions.filter(|(generation, _)| generations.contains(generation));
        live.map(|(_, base)| *base).min()
    }
}

/// Snapshots of the producers, on their way to the disk.
#[derive(Debug)]
pub(super) struct SnapshotState {
    /// The newest one written.
    pub(super) offset: Option<Offset>,
    /// Taken, but not to be written before the log is durable up to there.
    pub(super) pending: Option<(Offset, Vec<u8>)>,
    pub(super) bytes_since: usize,
}

/// What is not synced by itself.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// By the base offsets of their segments, held open until they are synced. What is in them may
    /// be durable in the commit file.
    pub(super) files: Vec<(Offset, Arc<dyn File>)>,
    pub(super) directory: bool,
    /// In the flusher's queue, or in a round.
    pub(super) queued: bool,
    /// What the last round made durable in the segment that it ended in.
    pub(super) last_round_bytes: usize,
    /// The newest generation of the commit file that has anything of the log; from 1.
    pub(super) generation: u64,
}

impl Dirty {
    /// The file of a segment that waits for its sync.
    pub(super) fn file(&self, base: Offset) -> Option<&Arc<dyn File>> {
        let held = self.files.iter().rev().find(|(held, _)| *held == base);
        held.map(|(_, file)| file)
    }
}

/// Where readers stopped last.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    marks: [Option<Mark>; CURSORS],
    next: usize,
}

impl Cursors {
    pub(super) fn find(&self, offset: Offset) -> Option<Mark> {
        self.marks
            .iter()
            .flatten()
            .find(|mark| mark.offset == offset)
            .copied()
    }

    pub(super) fn remember(&mut self, mark: Mark) {
        if self.find(mark.offset).is_some() {
            return;
        }
        if let Some(place) = self.marks.get_mut(self.next) {
            *place = Some(mark);
        }
        self.next = self
            .next
            .saturating_add(1)
            .checked_rem(CURSORS)
            .unwrap_or(0);
    }
}

impl State {
    pub(super) fn new(place: Place) -> Self {
        let end = place.end;
        assert!(
            end.base <= end.offset,
            "a segment at {} holds the end {}",
            end.base,
            end.offset
        );
        Self {
            condition: Condition::Serving,
            end,
            found_epoch: place.epoch,
            visible: end,
            durable: end,
            quarantine: None,
            judged: Judged::default(),
            loaded: None,
        }
    }

    /// Whether appends are accepted.
    pub(super) fn accepts(&self) -> Result<(), StorageFailure> {
        match &self.condition {
            Condition::Offline(failure) => Err(failure.clone()),
            _ => self.serves(),
        }
    }

    /// Whether the files are being moved away, or are gone.
    pub(super) fn is_removed(&self) -> bool {
        matches!(
            self.condition,
            Condition::Removing(_) | Condition::Removed(_)
        )
    }

    /// Whether reads are served.
    pub(super) fn serves(&self) -> Result<(), StorageFailure> {
        match &self.condition {
            Condition::Serving | Condition::Offline(_) => Ok(()),
            Condition::Removing(_) => Err(StorageFailure::new("the topic is being removed")),
            Condition::Removed(failure) => Err(failure.clone()),
        }
    }
}

impl Loaded {
    /// What is verified of the segment at `base`.
    pub(super) fn verified_mut(&mut self, base: Offset) -> Option<&mut Verified> {
        if self.active.base == base {
            return Some(&mut self.active.verified);
        }
        let sealed = self.sealed.iter_mut().find(|sealed| sealed.base == base);
        sealed.map(|sealed| &mut sealed.verified)
    }

    /// Puts the file among those to be synced.
    pub(super) fn mark_dirty(&mut self, base: Offset, file: &Arc<dyn File>) {
        let known = |(_, held): &(Offset, Arc<dyn File>)| Arc::ptr_eq(held, file);
        if !self.dirty.files.last().is_some_and(known) {
            self.dirty.files.push((base, Arc::clone(file)));
        }
    }
}
