//! Moving the start of a log, and removing the segments that lie before it.
//!
//! The order is what makes it safe: everything before the new start is synced, the journal says
//! durably where the log begins, only then does the start move; and files go later, on the
//! maintenance thread, the log of a segment last. So a crash leaves the old start with all its
//! files, or the new one with files that nobody reads, and those go at the next upkeep.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use records::Offset;
use sabotage::{Safeguard, skips};
use storage::{Log as _, TrimError};

use super::DiskLog;
use super::state::{Loaded, Place, State};
use crate::error::WriteError;
use crate::maintenance::watermark;
use crate::names;
use crate::paths::{DELETED_SUFFIX, SegmentFile};
use crate::tally::Removal;

impl DiskLog {
    /// See [`storage::Log::trim`].
    pub(super) fn trim_to(&self, new_start: Offset) -> Result<Offset, TrimError> {
        self.move_start_durably(new_start, Removal::Request)
    }

    /// Moves the start, for that reason, and gives the one that holds then.
    pub(super) fn move_start_durably(
        &self,
        new_start: Offset,
        reason: Removal,
    ) -> Result<Offset, TrimError> {
        {
            let mut state = self.state.lock();
            state.accepts()?;
            let ends = self.ends();
            if new_start < Offset::ZERO || new_start > ends.high_watermark {
                let asked = new_start;
                return Err(TrimError::OutOfRange { asked, ends });
            }
            if new_start <= ends.log_start {
                return Ok(ends.log_start);
            }
            self.load(&mut state)?;
        }
        // In the modes that do not wait for the disk, more is visible than is durable.
        if self.durable_place().end.offset < new_start {
            self.context.flusher.sync_log(&self.context, &self.me());
        }
        self.context.accepts()?;
        let place = self.run_upkeep(false);
        if !skips(Safeguard::StartAfterJournal) {
            self.write_start(place, new_start)?;
        }
        Ok(self.move_start(new_start, reason))
    }

    /// Says in the journal, durably, where the log begins. `place` is where it is durable; without
    /// it, as on a full disk, what the journal says of that must do.
    fn write_start(&self, place: Option<Place>, new_start: Offset) -> Result<(), TrimError> {
        let mut journal = self.context.journal.lock();
        // Under its lock: whoever closes the journal, or lets go of a removed log there, comes
        // before this or after it.
        self.context.accepts()?;
        self.state.lock().serves()?;
        let known = journal.known(&[self.id()]).pop();
        let entry = place.map(|place| watermark(&self.context, self, place));
        let entry = entry
            .or(known)
            .filter(|entry| entry.durable_end >= new_start);
        let Some(mut entry) = entry else {
            let failure = self.failure("its start stays", &"upkeep cannot be written");
            return Err(TrimError::NoSpace(failure));
        };
        entry.log_start = entry.log_start.max(new_start);
        journal
            .append_entries(&[entry])
            .map_err(|error| match error {
                WriteError::NoSpace(failure) => TrimError::NoSpace(failure),
                WriteError::Failed(failure) => {
                    self.context.health.fail(&failure);
                    failure.into()
                }
            })
    }

    fn move_start(&self, new_start: Offset, reason: Removal) -> Offset {
        let needs_upkeep = {
            let mut state = self.state.lock();
            let _guard = self.context.health.guard("a trim");
            let before = self.start();
            self.log_start.fetch_max(new_start.get(), Ordering::AcqRel);
            if let Some(loaded) = &state.loaded {
                let gone = segments_between(loaded, (before, self.start()));
                self.context.tally.add_removed(reason, gone);
            }
            self.ends().assert_ordered();
            let start = self.start();
            state.loaded.as_mut().is_some_and(|loaded| {
                loaded.epochs.truncate_from_start(start);
                loaded.epochs_unsaved = true;
                !std::mem::replace(&mut loaded.in_upkeep, true)
            })
        };
        if needs_upkeep {
            self.context.upkeep.submit(self.me());
        }
        self.start()
    }

    /// Whether the files of a sealed segment may go: the one place that decides it. What follows
    /// the segment begins at `next`.
    fn may_go(&self, loaded: &Loaded, next: Offset) -> bool {
        next <= self.start() && producers_are_kept(loaded, next)
    }

    /// Whether a sealed segment lies before the start.
    pub(super) fn has_old_segments(&self, loaded: &Loaded) -> bool {
        let second = loaded.sealed.get(1);
        let next = second.map_or(loaded.active.base, |second| second.base);
        !loaded.retired.is_empty() || !loaded.sealed.is_empty() && next <= self.start()
    }

    /// Takes the segments before the start out of the log, and their files out of the way. Called
    /// with the lock of `names`, after the index of a sealed segment was written: that synced the
    /// name of the one behind it.
    pub(super) fn remove_old_segments(&self) -> io::Result<()> {
        let retired = {
            let mut state = self.state.lock();
            self.retire(&mut state);
            let loaded = state.loaded.as_ref();
            loaded.map_or_else(Vec::new, |loaded| loaded.retired.clone())
        };
        if retired.is_empty() {
            return Ok(());
        }
        let mut moved = Vec::new();
        for base in &retired {
            self.move_aside(*base, &mut moved)?;
        }
        names::sync_dir(&*self.context.vfs, &self.directory())?;
        let delay = self.config().file_delete_delay;
        self.context
            .upkeep
            .submit_deleted(&*self.context.clock, delay, moved);
        let mut state = self.state.lock();
        if let Some(loaded) = &mut state.loaded {
            loaded.retired.retain(|base| !retired.contains(base));
        }
        Ok(())
    }

    fn retire(&self, state: &mut State) {
        let Some(mut loaded) = state.loaded.take() else {
            return;
        };
        while let Some(first) = loaded.sealed.first() {
            let next = loaded
                .sealed
                .get(1)
                .map_or(loaded.active.base, |next| next.base);
            if !self.may_go(&loaded, next) {
                break;
            }
            assert!(
                next <= state.durable.offset,
                "the segment at {} is synced before it goes",
                first.base
            );
            let base = loaded.sealed.remove(0).base;
            loaded.unwritten.retain(|index| index.base() != base);
            loaded.retired.push(base);
            let key = self.key(base);
            self.context.files.forget_segment(key);
            self.context.indexes.forget(key);
            if let Some(known) = &mut state.quarantine {
                known.set(base, &[]);
            }
        }
        state.loaded = Some(loaded);
        self.count_lost(state);
    }

    /// Gives the files of a segment names that say that they go. The log last: what stands beside
    /// it speaks of its batches, and must not be left for another one with the same base.
    fn move_aside(&self, base: Offset, moved: &mut Vec<PathBuf>) -> io::Result<()> {
        for kind in SegmentFile::OF_SEGMENT {
            let source = kind.path(&self.directory(), base);
            let mut target = source.clone().into_os_string();
            target.push(DELETED_SUFFIX);
            let target = PathBuf::from(target);
            match self.context.vfs.rename(&source, &target) {
                Ok(()) => moved.push(target),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether what producers wrote before `next` is known from a snapshot, which is synced.
pub(super) fn producers_are_kept(loaded: &Loaded, next: Offset) -> bool {
    loaded.snapshot.offset >= Some(next) || skips(Safeguard::SnapshotBeforeRemoval)
}

/// How many segments lie before the second start and not before the first, and their bytes.
fn segments_between(loaded: &Loaded, (before, after): (Offset, Offset)) -> (u64, u64) {
    let later = loaded.sealed.iter().skip(1).map(|sealed| sealed.base);
    let nexts = later.chain([loaded.active.base]);
    let gone = loaded.sealed.iter().zip(nexts);
    let gone = gone.filter(|(_, next)| before < *next && *next <= after);
    gone.fold((0, 0), |(count, bytes): (u64, u64), (sealed, _)| {
        let bytes = bytes.saturating_add(sealed.size.bytes());
        (count.saturating_add(1), bytes)
    })
}
