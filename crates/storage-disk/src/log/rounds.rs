//! What the sync thread and the maintenance thread ask of a log.
//!
//! A round takes what is dirty and the end of the log at that moment under one lock, so whatever
//! was written before that end is in files that the round syncs.

use std::io;
use std::sync::Arc;

use records::Offset;
use sabotage::{Safeguard, skips};
use vfs::File;

use super::DiskLog;
use super::state::{Condition, Loaded, Mark, Place};
use crate::error::is_no_space;
use crate::position::Position;
use crate::segment_index::{self, PendingIndex, SegmentIndex};
use crate::spans::owner_of;
use crate::{epoch_file, names, producer_snapshot};

/// A producer snapshot is due when this much was appended since the last.
const SNAPSHOT_BYTES: usize = 8 * 1024 * 1024;

/// What one round does for one log.
#[derive(Debug)]
pub(crate) struct RoundWork {
    pub(crate) files: Vec<Arc<dyn File>>,
    pub(crate) directory: bool,
    /// Durable once all of it is synced.
    pub(crate) mark: Mark,
}

/// What the maintenance of one log writes.
#[derive(Debug, Default)]
struct UpkeepWork {
    epochs: Option<String>,
    sealed: Vec<Arc<SegmentIndex>>,
    active: Option<PendingIndex>,
    snapshot: Option<(Offset, Vec<u8>)>,
}

impl DiskLog {
    /// Takes what is to be synced; `None` if the log is gone. It counts as queued until
    /// [`DiskLog::finish_round`], so that no second round begins beside this one.
    pub(crate) fn begin_round(&self) -> Option<RoundWork> {
        let mut state = self.state.lock();
        let mark = state.end;
        assert!(
            mark.offset >= state.durable.offset,
            "the end lies behind what is durable"
        );
        let dirty = &mut state.loaded.as_mut()?.dirty;
        let mut files = std::mem::take(&mut dirty.files);
        if skips(Safeguard::RolledFileSync) {
            files.drain(..files.len().saturating_sub(1));
        }
        let files = files.into_iter().map(|(_, file)| file).collect();
        let directory = std::mem::take(&mut dirty.directory);
        Some(RoundWork {
            files,
            directory,
            mark,
        })
    }

    /// Everything up to `mark` is durable. Whether something waits again.
    pub(crate) fn finish_round(&self, mark: Mark) -> bool {
        let (mark, news, needs_upkeep, again) = {
            let mut state = self.state.lock();
            let _guard = self.context.health.guard("the end of a commit round");
            let mark = if skips(Safeguard::MarkBeforeSync) {
                state.end
            } else {
                mark
            };
            assert!(
                state.durable.offset <= mark.offset && mark.offset <= state.end.offset,
                "the durable end {:?} moves forward to {mark:?}, not past {:?}",
                state.durable,
                state.end
            );
            let news = mark.offset > state.durable.offset;
            let is_same = mark.base == state.durable.base;
            let start = if is_same {
                state.durable.position
            } else {
                Position::ZERO
            };
            state.durable = mark;
            if self.context.syncs_first() {
                state.visible = mark;
                self.raise_high_watermark(mark.offset);
            }
            let has_more = state.end.offset > mark.offset;
            let (mut asleep, mut again) = (false, false);
            if let Some(loaded) = &mut state.loaded {
                asleep = !std::mem::replace(&mut loaded.in_upkeep, true);
                again = has_more || loaded.dirty.directory;
                loaded.dirty.last_round_bytes = mark.position.since(start);
                loaded.dirty.queued = again;
            }
            (mark, news, asleep, again)
        };
        if news && self.context.syncs_first() {
            self.announce(mark.offset);
        }
        if needs_upkeep {
            self.context.upkeep.submit(self.me());
        }
        again
    }

    /// Puts the bytes of a log to the disk that nobody waits for: indexes, snapshots, epochs. Says
    /// up to where a recovery may begin to read, if all that it then needs is there.
    pub(crate) fn run_upkeep(&self, closing: bool) -> Option<Place> {
        // What failed is not tried again, and the process ends.
        self.context.health.check().ok()?;
        // IMPORTANT: files are written by path below. A removal waits for that, and after it the
        // directory may be another topic's.
        let _names = self.names.lock();
        let (work, durable) = {
            let mut state = self.state.lock();
            let durable = if skips(Safeguard::JournalAfterSync) {
                state.end
            } else {
                state.durable
            };
            let end = state.end.offset;
            let is_removed = state.is_removed();
            let loaded = state.loaded.as_mut()?;
            loaded.in_upkeep = false;
            if is_removed {
                return None;
            }
            if closing {
                loaded.active.index.push_largest();
            }
            let wanted = closing || self.has_old_segments(loaded);
            if wanted && let Err(failure) = self.load_producers(&mut state) {
                tracing::warn!(%failure, "a snapshot waits");
            }
            let loaded = state.loaded.as_mut()?;
            take_snapshot(loaded, end, wanted);
            (self.take_work(loaded, durable.offset), durable)
        };
        let written = self.write_work(work);
        match written.and_then(|()| self.remove_old_segments()) {
            // What was durable when the work was taken: all that a recovery from there needs was
            // part of it.
            Ok(()) => Some(Place {
                log_start: self.start(),
                end: durable,
                epoch: self.context.leader_epoch,
            }),
            Err(error) if names::is_failed_sync(&error) && !skips(Safeguard::UpkeepSyncFatal) => {
                // IMPORTANT: the name of a new segment, or what a recovery will believe, may have been
                // lost with it, and the next sync would not say so.
                let failure = self.failure("names or indexes may be lost", &error);
                self.context.health.fail(&failure);
                None
            }
            Err(error) => {
                let failure = self.failure("upkeep failed, and is done again", &error);
                if !is_no_space(&error) {
                    tracing::warn!(%failure, "indexes, snapshot or epochs are not written");
                }
                None
            }
        }
    }

    fn take_work(&self, loaded: &mut Loaded, durable: Offset) -> UpkeepWork {
        let snapshot = loaded
            .snapshot
            .pending
            .take_if(|(offset, _)| *offset <= durable || skips(Safeguard::SnapshotAfterSync));
        let active = &loaded.active.index;
        UpkeepWork {
            epochs: loaded.epochs_unsaved.then(|| loaded.epochs.encode()),
            sealed: loaded.unwritten.clone(),
            active: active.pending(owner_of(self.id(), active.base())),
            snapshot,
        }
    }

    fn write_work(&self, work: UpkeepWork) -> io::Result<()> {
        let (vfs, directory) = (&*self.context.vfs, self.directory());
        if let Some(text) = work.epochs {
            epoch_file::put(vfs, &directory, &text)?;
            self.sync_names()?;
            self.with_loaded(|loaded| {
                loaded.epochs_unsaved = loaded.epochs.encode() != text;
            });
        }
        for index in work.sealed {
            if let Some(pending) = index.pending(owner_of(self.id(), index.base())) {
                pending.write(vfs, &directory, false)?;
            }
            // IMPORTANT: also where nothing was left to write. What the segment wrote while it was
            // active, and the name that its time index has only since it has entries, were not synced.
            if !skips(Safeguard::SealedIndexSync) {
                segment_index::sync_files(vfs, &directory, index.base())?;
            }
            self.sync_names()?;
            self.with_loaded(|loaded| {
                loaded.unwritten.retain(|held| !Arc::ptr_eq(held, &index));
            });
        }
        if let Some(pending) = work.active {
            pending.write(vfs, &directory, false)?;
            self.with_loaded(|loaded| {
                if loaded.active.base == pending.base() {
                    loaded.active.index.mark_written(&pending);
                }
            });
        }
        if let Some((offset, bytes)) = work.snapshot {
            producer_snapshot::put(vfs, &directory, offset, &bytes)?;
            self.sync_names()?;
            producer_snapshot::remove_old(vfs, &directory)?;
            self.with_loaded(|loaded| loaded.snapshot.offset = Some(offset));
        }
        Ok(())
    }

    fn with_loaded(&self, change: impl FnOnce(&mut Loaded)) {
        if let Some(loaded) = &mut self.state.lock().loaded {
            change(loaded);
        }
    }

    /// Writes what a clean start wants to find. Whether the next start may take this one's word.
    pub(crate) fn end_in_order(&self) -> bool {
        let is_loaded = {
            let state = self.state.lock();
            let is_complete =
                !matches!(state.condition, Condition::Offline(_)) && state.durable == state.end;
            if !is_complete && !skips(Safeguard::CleanMarkComplete) {
                return false;
            }
            let loaded = state.loaded.as_deref();
            if loaded.is_some_and(Self::has_unfinished_swap) {
                return false;
            }
            state.loaded.is_some()
        };
        !is_loaded || self.run_upkeep(true).is_some()
    }

    /// How many indexes wait to be written.
    #[cfg(test)]
    pub(crate) fn unwritten_indexes(&self) -> usize {
        let state = self.state.lock();
        state
            .loaded
            .as_ref()
            .map_or(0, |loaded| loaded.unwritten.len())
    }

    /// Where the log is durable, for the clean mark.
    pub(crate) fn durable_place(&self) -> Place {
        Place {
            log_start: self.start(),
            end: self.state.lock().durable,
            epoch: self.context.leader_epoch,
        }
    }
}

/// Takes a snapshot of the producers if one is due.
fn take_snapshot(loaded: &mut Loaded, end: Offset, wanted: bool) {
    let due = loaded.snapshot.bytes_since >= SNAPSHOT_BYTES
        || wanted && loaded.snapshot.offset != Some(end);
    if !due || loaded.snapshot.pending.is_some() && !wanted {
        return;
    }
    assert!(
        loaded.snapshot.offset <= Some(end),
        "no snapshot speaks of what is not there"
    );
    if let Some(producers) = &loaded.producers {
        loaded.snapshot.pending = Some((end, producer_snapshot::encode(producers, end)));
        loaded.snapshot.bytes_since = 0;
    }
}
