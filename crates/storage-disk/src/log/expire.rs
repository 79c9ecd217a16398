//! Which segments of a log are too old or too many, by the configs of its topic, and their removal.
//!
//! The rules are Kafka's (`UnifiedLog.deleteOldSegments`): whole segments from the oldest on, by size
//! first, then by the largest timestamp in them; the active one is rolled when it goes too. No index
//! decides that records are old: before a segment goes by its age, the heads of all its batches are
//! looked at. Decides by the time it is given; with none, only by size.

use std::ops::ControlFlow;

use records::Offset;
use sabotage::{Safeguard, skips};
use storage::{Isolation, LogConfig, StorageFailure, TrimError};

use super::DiskLog;
use super::state::{Loaded, State};
use crate::position::Position;
use crate::tally::Removal;
use crate::window::{Access, Fault};

/// A segment, as retention sees it.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    base: Offset,
    size_bytes: u64,
    /// Where the next one begins, or the log ends.
    next: Offset,
    /// All of it is.
    is_visible: bool,
}

impl DiskLog {
    /// Deletes what its configs do not keep. Without a time, nothing is too old.
    pub(crate) fn expire(&self, now_ms: Option<i64>) -> Result<(), StorageFailure> {
        let config = self.config();
        let Some(candidates) = self.candidates(&config)? else {
            return Ok(());
        };
        let too_many = too_many(&candidates, &config);
        let (by_size, rest) = candidates.split_at(too_many);
        let too_old = self.too_old(rest, &config, now_ms)?;
        let by_age = rest.get(..too_old).unwrap_or_default();
        for (gone, reason) in [(by_size, Removal::Size), (by_age, Removal::Age)] {
            if let Some(last) = gone.last() {
                self.remove_up_to(last.next, reason)?;
            }
        }
        Ok(())
    }

    /// The segments that may go, oldest first; `None` where there is nothing to do.
    fn candidates(&self, config: &LogConfig) -> Result<Option<Vec<Candidate>>, StorageFailure> {
        let mut state = self.state.lock();
        let start = self.start();
        let is_idle = state.loaded.is_none() && start == state.end.offset;
        if is_idle || state.accepts().is_err() {
            return Ok(None);
        }
        self.load(&mut state)?;
        let loaded = state.loaded.as_mut().expect("loaded above");
        // What an earlier upkeep could not remove.
        if self.has_old_segments(loaded) && !std::mem::replace(&mut loaded.in_upkeep, true) {
            self.context.upkeep.submit(self.me());
        }
        if !config.deletes {
            return Ok(None);
        }
        let mut candidates = candidates_of(&state);
        candidates.retain(|it| it.next > start);
        Ok(Some(candidates))
    }

    /// How many of the segments are too old.
    fn too_old(
        &self,
        candidates: &[Candidate],
        config: &LogConfig,
        now_ms: Option<i64>,
    ) -> Result<usize, StorageFailure> {
        let (Some(retention), Some(now_ms)) = (config.retention, now_ms) else {
            return Ok(0);
        };
        let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let is_old = |largest_ms: i64| now_ms.saturating_sub(largest_ms) > retention_ms;
        let mut count = 0_usize;
        for candidate in candidates.iter().take_while(|it| it.is_visible) {
            let failed = |fault| self.failure("its age is not known", &self.read_error(fault));
            let known = self.known_largest(candidate.base).map_err(failed)?;
            if known.is_some_and(|largest_ms| !is_old(largest_ms)) {
                break;
            }
            let read = self.read_largest(candidate).map_err(failed)?;
            // Without any timestamp nobody knows its age, as far as it is not there at all. One without
            // records is as old as what compaction took out of it.
            let goes = match known {
                Some(_) => read.is_none_or(is_old) || skips(Safeguard::AgeByHeads),
                None => read.filter(|ms| *ms >= 0).is_some_and(is_old),
            };
            if !goes {
                break;
            }
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    /// The largest timestamp of a segment, by its index.
    pub(super) fn known_largest(&self, base: Offset) -> Result<Option<i64>, Fault> {
        if let Some(loaded) = &self.state.lock().loaded
            && loaded.active.base == base
        {
            let largest = loaded.active.index.largest();
            return Ok(largest.map(|(largest_ms, _)| largest_ms));
        }
        let from = base.max(self.start());
        match self.plan(from, Isolation::ReadUncommitted, Access::Blocking)? {
            (Some(plan), _) if plan.base == base && !plan.is_active => self.sealed_largest(&plan),
            _ => Ok(None),
        }
    }

    /// The largest timestamp of a segment, by the heads of its batches.
    fn read_largest(&self, candidate: &Candidate) -> Result<Option<i64>, Fault> {
        let from = candidate.base.max(self.start());
        let isolation = Isolation::ReadUncommitted;
        let (Some(plan), _) = self.plan(from, isolation, Access::Blocking)? else {
            return Ok(None);
        };
        let mut largest: Option<i64> = None;
        let walked = self.in_segment(&plan, |reader, index| {
            reader.each_batch(index, plan.base, &mut |found| {
                largest = largest.max(Some(found.header.max_timestamp_ms));
                ControlFlow::Continue(())
            })?;
            Ok(Some(()))
        })?;
        Ok(walked.and(largest))
    }

    /// The records below `new_start` go, with the files of whole segments.
    fn remove_up_to(&self, new_start: Offset, reason: Removal) -> Result<(), StorageFailure> {
        self.move_start_durably(new_start, reason)
            .map_err(|error| match error {
                TrimError::Storage(failure) | TrimError::NoSpace(failure) => failure,
                TrimError::OutOfRange { .. } => self.failure("it cannot expire", &error),
            })?;
        self.roll_old(new_start)
    }

    /// Rolls the active segment, if all of it lies before the start: there is always one to write to.
    fn roll_old(&self, new_start: Offset) -> Result<(), StorageFailure> {
        let mut state = self.state.lock();
        let _guard = self.context.health.guard("retention");
        state.accepts()?;
        let Some(loaded) = &state.loaded else {
            return Ok(());
        };
        if loaded.active.size == Position::ZERO || state.end.offset != new_start {
            return Ok(());
        }
        self.roll(&mut state)
            .map_err(|error| self.failure("it cannot roll", &error))?;
        let loaded = state.loaded.as_mut().expect("it was just rolled");
        if !std::mem::replace(&mut loaded.dirty.queued, true) {
            self.context.flusher.submit(self.me(), false);
        }
        if !std::mem::replace(&mut loaded.in_upkeep, true) {
            self.context.upkeep.submit(self.me());
        }
        Ok(())
    }
}

fn candidates_of(state: &State) -> Vec<Candidate> {
    let loaded: &Loaded = state.loaded.as_ref().expect("loaded by the caller");
    // Nothing that is not visible goes, as in Kafka.
    let is_visible = |next: Offset| next <= state.visible.offset;
    let active = Candidate {
        base: loaded.active.base,
        size_bytes: loaded.active.size.bytes(),
        next: state.end.offset,
        is_visible: is_visible(state.end.offset),
    };
    let later = loaded.sealed.iter().skip(1).map(|sealed| sealed.base);
    let nexts = later.chain([loaded.active.base]);
    let sealed = loaded
        .sealed
        .iter()
        .zip(nexts)
        .map(|(sealed, next)| Candidate {
            base: sealed.base,
            size_bytes: sealed.size.bytes(),
            next,
            is_visible: is_visible(next),
        });
    let is_filled = |it: &Candidate| it.size_bytes > 0;
    sealed
        .chain([active].into_iter().filter(is_filled))
        .collect()
}

/// How many of the segments are more than may be kept: what is left is never below the limit.
fn too_many(candidates: &[Candidate], config: &LogConfig) -> usize {
    let total = candidates
        .iter()
        .fold(0, |sum: u64, it| sum.saturating_add(it.size_bytes));
    let Some(mut over) = config
        .retention_bytes
        .and_then(|most| total.checked_sub(most))
    else {
        return 0;
    };
    let goes = |candidate: &&Candidate| match over.checked_sub(candidate.size_bytes) {
        Some(left) => {
            over = left;
            true
        }
        None => false,
    };
    let visible = candidates.iter().take_while(|it| it.is_visible);
    visible.take_while(goes).count()
}
