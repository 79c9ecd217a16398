//! What a log gives to a round of the commit file, and what it remembers of it.
//!
//! The bytes are read back from the file that they were just written to: they are in memory, and the
//! log needs no second copy of what waits. They are held against what was appended, because memory
//! that the system failed to write back may show an older state of the file.

use std::sync::Arc;

use records::{Batches, Offset, crc_ok};
use vfs::File;

use super::DiskLog;
use super::state::{Loaded, Mark, State};
use crate::position::Position;

/// What a log has for a round.
#[derive(Debug)]
pub(crate) enum Share {
    /// The log is gone, and with it what waited.
    Gone,
    /// Nothing waits below this mark.
    Nothing(Mark),
    /// These bytes.
    Piece(Piece),
    /// Too much for it, or the name of a segment is not durable: the log is synced by itself.
    Alone,
}

/// Bytes between the durable end of a log and its end.
#[derive(Debug)]
pub(crate) struct Piece {
    file: Arc<dyn File>,
    first: Offset,
    pub(crate) start: Position,
    /// Durable once they are.
    pub(crate) mark: Mark,
    /// The generation has nothing of this log yet.
    pub(crate) is_new: bool,
}

impl Piece {
    pub(crate) fn size_bytes(&self) -> usize {
        self.mark.position.since(self.start)
    }

    /// Reads them; whether they are what was appended.
    pub(crate) fn read_into(&self, target: &mut [u8]) -> bool {
        if vfs::read_exact_at(&*self.file, target, self.start.bytes()).is_err() {
            return false;
        }
        let mut next = self.first;
        let mut batches = Batches::new(target);
        for found in batches.by_ref() {
            match found {
                Ok((_, header, batch)) if header.base_offset == next && crc_ok(batch) => {
                    next = header.next_offset();
                }
                _ => return false,
            }
        }
        batches.rest() == target.len() && next == self.mark.offset
    }
}

impl DiskLog {
    /// What waits in the log, for a round of this generation, up to so many bytes. The log counts as
    /// queued until [`DiskLog::finish_round`].
    pub(crate) fn share(&self, generation: u64, bytes_max: usize) -> Share {
        let state = self.state.lock();
        let (mark, durable) = (state.end, state.durable);
        let Some(loaded) = &state.loaded else {
            return Share::Gone;
        };
        if loaded.dirty.directory || mark.base != durable.base {
            return Share::Alone;
        }
        if mark.position == durable.position {
            return Share::Nothing(mark);
        }
        if mark.position.since(durable.position) > bytes_max {
            return Share::Alone;
        }
        let is_new = loaded.dirty.generation != generation;
        // Whoever syncs the log by itself finds the file again, or hears of what is wrong.
        let Ok(file) = self.active_file(&state, mark.base) else {
            return Share::Alone;
        };
        Share::Piece(Piece {
            file,
            first: durable.offset,
            start: durable.position,
            mark,
            is_new,
        })
    }

    /// Whether the next round may be a common one: little waits, and little waited in the round
    /// before, or more will have come until [`DiskLog::share`] is asked.
    pub(super) fn may_join(&self, state: &State) -> bool {
        let bytes_max = self.context.commit_file.sizes().entry_bytes;
        let is_small =
            |loaded: &Loaded| !loaded.dirty.directory && loaded.dirty.last_round_bytes <= bytes_max;
        state.loaded.as_deref().is_some_and(is_small)
            && state.end.base == state.durable.base
            && state.end.position.since(state.durable.position) <= bytes_max
    }

    /// Whether the next round of a queued log may be a common one.
    pub(crate) fn joins_again(&self) -> bool {
        self.may_join(&self.state.lock())
    }

    /// A round of this generation has bytes of the log.
    pub(crate) fn note_generation(&self, generation: u64) {
        let mut state = self.state.lock();
        let base = state.durable.base;
        if let Some(loaded) = &mut state.loaded {
            loaded.dirty.generation = generation;
            loaded.compaction.mention(generation, base);
        }
    }

    /// Takes the files that hold what was not synced by itself yet, to sync them behind what the
    /// commit file made durable. The name of a new segment is left to a round, which moves the
    /// durable end. `None`: the log is gone.
    pub(crate) fn take_unsynced(&self) -> Option<Vec<Arc<dyn File>>> {
        let mut state = self.state.lock();
        let files = std::mem::take(&mut state.loaded.as_mut()?.dirty.files);
        Some(files.into_iter().map(|(_, file)| file).collect())
    }
}
