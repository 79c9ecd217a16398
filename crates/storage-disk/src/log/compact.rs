//! Compaction, as a log sees it: which of its segments may be written anew, how they are read for it,
//! and the change from the old ones to the new one. What stays of the records is decided in
//! `compact`.
//!
//! Only sealed segments change, and only those that a recovery would not look at: they lie before the
//! segment that the journal names durably. What producers wrote in them is known from a snapshot.
//! The order in which files change is that of [`Swap`]; between its steps readers have the new file
//! by its descriptor, and those who began before go on with the old one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use records::{Batches, Offset};
use sabotage::{Safeguard, skips};
use storage::{CompactionConfig, Isolation, ReadError, ReadLimit, StorageFailure};

use super::DiskLog;
use super::state::{Cursors, Loaded, State};
use super::trim::producers_are_kept;
use crate::compact::{Source, Swap, Written, checkpoint};
use crate::names;
use crate::position::Position;
use crate::segment::{SealedSegment, Verified};
use crate::window::{Access, Fault};

/// About so much is read at a time.
const PIECE_BYTES: usize = 1024 * 1024;

/// What of a log can be compacted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cleanable {
    /// Records before it were compacted already.
    pub(crate) first_dirty: Offset,
    /// Where it ends: a segment begins there.
    pub(crate) end: Offset,
    /// Bytes of the segments with new records, as far as they can be compacted.
    pub(crate) dirty_bytes: u64,
    /// Bytes of those and of the ones before.
    pub(crate) total_bytes: u64,
    /// Enough of it is new, or has been for long enough.
    pub(crate) is_due: bool,
}

/// Some bytes of a log, to be compacted.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Whole batches, from the one with the offset that was asked for, and where they end.
    Batches(Bytes, Offset),
    /// Nobody can read what is there, up to this offset.
    Damaged(Offset),
    /// The log begins later now.
    Trimmed,
}

/// What a change of segments came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swapped {
    Done,
    /// The old segments are not what they were, or may not change yet.
    Not,
}

/// What files besides the log say of it to a start after a crash.
struct Outside {
    /// The segment in which the journal says that the log is durable.
    journaled: Offset,
    /// Generations of the commit file whose entries would be written into their segments.
    generations: Vec<u64>,
}

impl DiskLog {
    /// `None`: the journal does not name the log. Asked before the lock of the log is taken.
    fn outside(&self) -> Option<Outside> {
        let known = self.context.journal.lock().known(&[self.id()]).pop();
        Some(Outside {
            journaled: known?.segment_base,
            generations: self.context.commit_file.live(),
        })
    }

    /// What can be compacted by the configs of the topic; `None`: nothing. Without a time, nothing
    /// that depends on one.
    pub(crate) fn cleanable(
        &self,
        now_ms: Option<i64>,
    ) -> Result<Option<Cleanable>, StorageFailure> {
        let config = self.config();
        let (Some(outside), true) = (self.outside(), config.compacts) else {
            return Ok(None);
        };
        let (first_dirty, sources) = {
            let mut state = self.state.lock();
            let is_idle = state.loaded.is_none() && self.start() == state.end.offset;
            if is_idle || state.accepts().is_err() {
                return Ok(None);
            }
            self.load(&mut state)?;
            let first_dirty = self.first_dirty(&mut state);
            let loaded = state.loaded.as_ref().expect("loaded above");
            if loaded.compaction.left_at == Some(loaded.active.base) {
                return Ok(None);
            }
            let settled = Self::settled_to(&state, loaded, &outside);
            (first_dirty, self.sources(&state, loaded, settled))
        };
        let failed = |fault| self.failure("it cannot be compacted", &self.read_error(fault));
        let young = self
            .first_young(&sources, first_dirty, (&config.compaction, now_ms))
            .map_err(failed)?;
        let cleanable = |source: &&Source| young.is_none_or(|young| source.next <= young);
        let sources: Vec<Source> = sources.iter().take_while(cleanable).copied().collect();
        let end = sources.last().map_or(first_dirty, |last| last.next);
        let bytes = |wanted: &dyn Fn(&Source) -> bool| {
            let sizes = sources.iter().filter(|source| wanted(source));
            sizes.fold(0_u64, |sum, source| sum.saturating_add(source.size.bytes()))
        };
        let dirty_bytes = bytes(&|source| source.next > first_dirty);
        let clean_bytes = bytes(&|source| source.base < first_dirty);
        let total_bytes = clean_bytes.saturating_add(dirty_bytes);
        if end <= first_dirty || dirty_bytes == 0 {
            return Ok(None);
        }
        let ratio = u128::from(config.compaction.dirty_ratio_min_ppm);
        let is_filthy = u128::from(dirty_bytes).saturating_mul(1_000_000)
            > u128::from(total_bytes).saturating_mul(ratio);
        let is_due = is_filthy
            || self
                .is_late(&sources, first_dirty, (&config.compaction, now_ms))
                .map_err(failed)?;
        Ok(Some(Cleanable {
            first_dirty,
            end,
            dirty_bytes,
            total_bytes,
            is_due,
        }))
    }

    /// Where the records begin that were not compacted yet.
    fn first_dirty(&self, state: &mut State) -> Offset {
        let (start, end) = (self.start(), state.end.offset);
        let loaded = state.loaded.as_mut().expect("loaded by the caller");
        let known = *loaded.compaction.first_dirty.get_or_insert_with(|| {
            let (vfs, directory) = (&*self.context.vfs, self.directory());
            checkpoint::read(vfs, &directory, self.id()).unwrap_or(Offset::ZERO)
        });
        if known > end { start } else { known.max(start) }
    }

    /// Segments that end up to here may be written anew.
    fn settled_to(state: &State, loaded: &Loaded, outside: &Outside) -> Offset {
        let mentioned = loaded.compaction.mentioned_from(&outside.generations);
        let mentioned = mentioned.filter(|_| !skips(Safeguard::CompactionBehindCommitFile));
        let kept = loaded.snapshot.offset.unwrap_or(Offset::ZERO);
        let ends = [
            state.visible.offset,
            state.durable.offset,
            outside.journaled,
            kept,
        ];
        let ends = ends.into_iter().chain(mentioned);
        ends.min().expect("there are four")
    }

    /// The sealed segments that end up to there, without those that lie before the start.
    fn sources(&self, state: &State, loaded: &Loaded, settled: Offset) -> Vec<Source> {
        let later = loaded.sealed.iter().skip(1).map(|sealed| sealed.base);
        let nexts = later.chain([loaded.active.base]);
        let is_listed = |base| {
            let known = state.quarantine.as_ref();
            known.is_none_or(|known| !known.of(base).is_empty())
        };
        let sources = loaded
            .sealed
            .iter()
            .zip(nexts)
            .map(|(sealed, next)| Source {
                base: sealed.base,
                next,
                size: sealed.size,
                is_damaged: is_listed(sealed.base),
            });
        let sources = sources.skip_while(|source| source.next <= self.start());
        sources
            .take_while(|source| source.next <= settled)
            .collect()
    }

    /// The segments to be written anew by a compaction up to `end`, as they are now.
    pub(crate) fn sources_to(&self, end: Offset) -> Vec<Source> {
        let state = self.state.lock();
        let loaded = state.loaded.as_ref();
        loaded.map_or_else(Vec::new, |loaded| self.sources(&state, loaded, end))
    }

    /// The first segment with new records that are too young yet; Kafka's
    /// `LogCleanerManager.cleanableOffsets`.
    fn first_young(
        &self,
        sources: &[Source],
        first_dirty: Offset,
        (config, now_ms): (&CompactionConfig, Option<i64>),
    ) -> Result<Option<Offset>, Fault> {
        let lag_ms = i64::try_from(config.lag_min.as_millis()).unwrap_or(i64::MAX);
        if lag_ms == 0 {
            return Ok(None);
        }
        for source in sources.iter().filter(|source| source.next > first_dirty) {
            let Some(now_ms) = now_ms else {
                return Ok(Some(source.base));
            };
            let largest_ms = self.known_largest(source.base)?;
            if largest_ms.is_some_and(|ms| ms > now_ms.saturating_sub(lag_ms)) {
                return Ok(Some(source.base));
            }
        }
        Ok(None)
    }

    /// Whether a new record waits for longer than it may; Kafka's
    /// `LogCleanerManager.maxCompactionDelay`.
    fn is_late(
        &self,
        sources: &[Source],
        first_dirty: Offset,
        (config, now_ms): (&CompactionConfig, Option<i64>),
    ) -> Result<bool, Fault> {
        let lag_ms = i64::try_from(config.lag_max.as_millis()).unwrap_or(i64::MAX);
        let (Some(now_ms), true) = (now_ms, lag_ms < i64::MAX) else {
            return Ok(false);
        };
        let latest_ms = now_ms.saturating_sub(lag_ms);
        for source in sources.iter().filter(|source| source.next > first_dirty) {
            let first_ms = self.first_timestamp(source.base)?;
            if first_ms.is_some_and(|ms| 0 < ms && ms < latest_ms) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The timestamp of the first batch of a segment.
    fn first_timestamp(&self, base: Offset) -> Result<Option<i64>, Fault> {
        let from = base.max(self.start());
        let planned = self.plan(from, Isolation::ReadUncommitted, Access::Blocking)?;
        let Some(plan) = planned.0 else {
            return Ok(None);
        };
        let mut first_ms = None;
        self.in_segment(&plan, |reader, index| {
            reader.each_batch(index, from, &mut |found| {
                first_ms = Some(found.header.max_timestamp_ms);
                ControlFlow::Break(())
            })?;
            Ok(Some(()))
        })?;
        Ok(first_ms)
    }

    /// The last offset of what each producer wrote last.
    pub(crate) fn last_of_producers(&self) -> Result<BTreeMap<i64, Offset>, StorageFailure> {
        let mut state = self.state.lock();
        state.accepts()?;
        self.load(&mut state)?;
        self.load_producers(&mut state)?;
        let loaded = state.loaded.as_ref().expect("loaded above");
        let producers = loaded.producers.iter().flat_map(|table| table.producers());
        let last = producers.filter_map(|producer| {
            let last = producer.batches().last()?;
            Some((producer.producer_id(), last.last()))
        });
        Ok(last.collect())
    }

    /// The next batches of a log, verified against what was written, whatever was verified before.
    pub(crate) fn read_anew(&self, from: Offset) -> Result<Reading, Fault> {
        let (isolation, access) = (Isolation::ReadUncommitted, Access::Anew);
        let limit = ReadLimit {
            bytes_max: PIECE_BYTES,
            at_least_one_batch: true,
        };
        match self.find_run(from, limit, isolation, access) {
            Ok(Ok(run)) => {
                let reader = self.reader(&*run.file, access, (run.plan.base, run.plan.limit));
                let bytes = self.read_bytes(&reader, (run.first.position, run.end))?;
                let mut next = run.first.header.base_offset;
                for found in Batches::new(&bytes) {
                    let Ok((_, header, batch)) = found else { break };
                    if header.base_offset != next || !records::crc_ok(batch) {
                        let reason = "the bytes are not those that were verified";
                        return Err(self.corrupt(next, reason));
                    }
                    next = header.next_offset();
                }
                Ok(Reading::Batches(bytes, next))
            }
            Ok(Err(_nothing)) => Ok(Reading::Trimmed),
            Err(Fault::Read(ReadError::OutOfRange { ends, .. })) if ends.log_start > from => {
                Ok(Reading::Trimmed)
            }
            Err(Fault::Read(error @ ReadError::Corrupt(_))) => {
                // So that it is noted as a read would note it.
                match self.step_over(from, isolation, (Access::Blocking, error)) {
                    Ok(_) | Err(Fault::Read(ReadError::Corrupt(_))) => {}
                    Err(fault) => return Err(fault),
                }
                let measured = self.measure_damage(from, isolation)?;
                let next = measured.map(|(_, damage)| damage.last.plus(1));
                Ok(Reading::Damaged(next.unwrap_or(from).max(from.plus(1))))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Something could not be written anew: nobody tries again before the next segment begins.
    pub(crate) fn leave_uncompacted(&self) {
        if let Some(loaded) = &mut self.state.lock().loaded {
            loaded.compaction.left_at = Some(loaded.active.base);
        }
    }

    /// All records before `first_dirty` are compacted, durably.
    pub(crate) fn note_compacted(&self, first_dirty: Offset) -> std::io::Result<()> {
        // IMPORTANT: a removal waits for this; after it the path may be another topic's.
        let _names = self.names.lock();
        let loaded_here = {
            let mut state = self.state.lock();
            let serves = state.serves().is_ok();
            state.loaded.as_mut().filter(|_| serves).is_some_and(|it| {
                it.compaction.first_dirty = Some(first_dirty);
                true
            })
        };
        if !loaded_here {
            return Ok(());
        }
        checkpoint::put(
            &*self.context.vfs,
            &self.directory(),
            self.id(),
            first_dirty,
        )
    }

    /// Puts what was written in the place of the segments it was made from.
    pub(crate) fn swap_in(&self, old: &[Source], new: Written) -> Result<Swapped, Fault> {
        let swap = Swap {
            base: new.base,
            end: new.end,
        };
        // IMPORTANT: no segment is removed, and no index written, before this ends.
        let _names = self.names.lock();
        self.context.accepts()?;
        if !self.may_swap(old, swap) {
            return Ok(Swapped::Not);
        }
        let (vfs, directory) = (&*self.context.vfs, self.directory());
        let cleaned = Swap::cleaned_path(&directory, swap.base);
        vfs.rename(&cleaned, &swap.path(&directory))?;
        // From here on it may be the log for the next start, so it is for readers.
        self.show(old, new);
        if !skips(Safeguard::SwapDirectorySync) {
            self.fail_if_unsynced(self.sync_names())?;
        }
        let bases = old.iter().map(|source| source.base);
        self.fail_if_unsynced(swap.finish(vfs, &directory, bases))?;
        let needs_upkeep = self.state.lock().loaded.as_mut().is_some_and(|loaded| {
            for sealed in &mut loaded.sealed {
                sealed.held = None;
            }
            // Its index and its spans are written there.
            !std::mem::replace(&mut loaded.in_upkeep, true)
        });
        if needs_upkeep {
            self.context.upkeep.submit(self.me());
        }
        Ok(Swapped::Done)
    }

    /// Whether the old segments are still those that were read, and may change.
    fn may_swap(&self, old: &[Source], swap: Swap) -> bool {
        let outside = self.outside();
        let state = self.state.lock();
        let (Some(loaded), Some(outside)) = (&state.loaded, outside) else {
            return false;
        };
        let settled = Self::settled_to(&state, loaded, &outside);
        let now = self.sources(&state, loaded, settled);
        let is_pending = loaded.sealed.iter().any(|sealed| sealed.held.is_some());
        let is_same = now
            .windows(old.len())
            .any(|now| now == old && now.iter().all(|source| !source.is_damaged));
        let is_covered = old.first().is_some_and(|first| first.base == swap.base)
            && old.last().is_some_and(|last| last.next == swap.end);
        is_covered
            && is_same
            && !is_pending
            && state.accepts().is_ok()
            && producers_are_kept(loaded, swap.end)
    }

    /// Readers get the new segment from here on; those who began before have the old files.
    fn show(&self, old: &[Source], new: Written) {
        let index = Arc::new(new.index);
        let number = self.context.next_log_number();
        let before = {
            let mut state = self.state.lock();
            let _guard = self.context.health.guard("a change of segments");
            let before = self.number.swap(number, Ordering::AcqRel);
            state.judged = super::damage::Judged::default();
            let loaded = state
                .loaded
                .as_mut()
                .expect("asked before, under the names");
            let is_old = |base| old.iter().any(|source| source.base == base);
            let first = loaded.sealed.partition_point(|it| it.base < new.base);
            loaded.sealed.retain(|sealed| !is_old(sealed.base));
            let mut verified = Verified::default();
            verified.add((Position::ZERO, new.size));
            loaded.sealed.insert(
                first,
                SealedSegment {
                    base: new.base,
                    size: new.size,
                    verified,
                    largest_ms: None,
                    held: Some(new.file),
                },
            );
            assert!(
                loaded.sealed.is_sorted_by(|one, two| one.base < two.base),
                "segments follow each other"
            );
            loaded.unwritten.retain(|index| !is_old(index.base()));
            loaded.unwritten.push(Arc::clone(&index));
            loaded.cursors = Cursors::default();
            before
        };
        self.context.files.forget(before);
        self.context.indexes.forget_log(before);
        self.context.indexes.insert(self.key(new.base), index);
    }

    /// IMPORTANT: of names that a sync may have lost nobody may go on as if they were there.
    fn fail_if_unsynced(&self, done: std::io::Result<()>) -> Result<(), Fault> {
        done.map_err(|error| {
            if names::is_failed_sync(&error) {
                let failure = self.failure("names or records may be lost", &error);
                self.context.health.fail(&failure);
            }
            error.into()
        })
    }

    /// Whether a change of segments was begun and is not finished: the next start does that.
    pub(super) fn has_unfinished_swap(loaded: &Loaded) -> bool {
        loaded.sealed.iter().any(|sealed| sealed.held.is_some())
    }
}
