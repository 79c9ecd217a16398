//! The first step of an append: the place of a batch, and its bytes in the operating system.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use records::{BatchHeader, CheckedBatch, Offset};
use sabotage::{Safeguard, skips};
use storage::{AppendError, Fence, LogConfig, StorageFailure, Verdict};
use vfs::{File, OpenMode};

use super::state::{Condition, Loaded, Mark, State};
use super::{DiskLog, shown};
use crate::error::is_no_space;
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::producer_snapshot;
use crate::quarantine::{Entry, List};
use crate::segment::ActiveSegment;

impl DiskLog {
    /// Writes the batch at the end of the log: its base offset, and the first offset after it. A
    /// duplicate gets those of the original. A refused batch moves nothing.
    pub(super) fn place(
        &self,
        batch: CheckedBatch,
        fence: Fence,
    ) -> Result<(Offset, Offset), AppendError> {
        let size_bytes = batch.len();
        let placed = {
            let mut state = self.state.lock();
            // Dropped before the lock: after a panic nobody gets to the half changed log.
            let _guard = self.context.health.guard("an append");
            self.place_locked(&mut state, batch, fence)?
        };
        if skips(Safeguard::AcknowledgeAfterSync) {
            self.announce(placed.1);
        }
        if !self.context.syncs_first() {
            self.announce(placed.1);
            self.context.flusher.note_unsynced(size_bytes);
        }
        Ok(placed)
    }

    fn place_locked(
        &self,
        state: &mut State,
        mut batch: CheckedBatch,
        fence: Fence,
    ) -> Result<(Offset, Offset), AppendError> {
        state.accepts()?;
        self.context.accepts()?;
        let current = self.context.leader_epoch;
        if let Some(asked) = fence.leader_epoch.filter(|&asked| asked != current) {
            return Err(AppendError::Fenced { current, asked });
        }
        let config = self.config();
        check_size(batch.len(), &config)?;
        self.load(state)?;
        match self.check_producer(state, batch.header())? {
            Verdict::Accept => {}
            Verdict::Duplicate { base, last } => return Ok((base, last.plus(1))),
            Verdict::Refused(error) => return Err(error),
        }
        self.context
            .space
            .take(batch.len())
            .map_err(AppendError::NoSpace)?;
        if self.must_roll(state, batch.header(), &config) {
            self.roll(state)?;
        }
        batch.place(state.end.offset, current);
        self.write(state, &batch)?;
        let loaded = state.loaded.as_mut().expect("loaded above");
        self.account(loaded, batch.header(), &config);
        let header = batch.header();
        let offset = header.next_offset();
        state.end = Mark {
            offset,
            base: loaded.active.base,
            position: loaded.active.size,
        };
        assert!(
            header.base_offset < offset,
            "a batch moves the end, not from {offset}"
        );
        self.log_end.store(offset.get(), Ordering::Release);
        if !self.context.syncs_first() || skips(Safeguard::PublishAfterSync) {
            state.visible = state.end;
            self.raise_high_watermark(offset);
        }
        if !std::mem::replace(&mut loaded.dirty.queued, true) {
            let joins = self.may_join(state);
            self.context.flusher.submit(self.me(), joins);
        }
        Ok((header.base_offset, offset))
    }

    fn check_producer(
        &self,
        state: &mut State,
        header: &BatchHeader,
    ) -> Result<Verdict, StorageFailure> {
        if !header.is_idempotent() {
            return Ok(Verdict::Accept);
        }
        if !skips(Safeguard::ProducerRestore) {
            self.load_producers(state)?;
        }
        let loaded = state.loaded.as_ref().expect("loaded before");
        Ok(loaded
            .producers
            .as_ref()
            .map_or(Verdict::Accept, |table| table.check(header)))
    }

    fn account(&self, loaded: &mut Loaded, header: &BatchHeader, config: &LogConfig) {
        let now_ms = self.context.clock.wall_ms();
        loaded
            .active
            .grow(header, config.index_interval_bytes, now_ms);
        // The epoch of this start is in the history since the log was loaded; it is saved once
        // something was written in it.
        if loaded
            .epochs
            .starts()
            .last()
            .is_some_and(|last| last.start == header.base_offset)
        {
            loaded.epochs_unsaved = true;
        }
        if let Some(producers) = &mut loaded.producers {
            producers.record(header);
        }
        loaded.snapshot.bytes_since = loaded
            .snapshot
            .bytes_since
            .saturating_add(header.size_bytes());
    }

    /// One write at the end of the active segment; whatever goes wrong, the end stays.
    fn write(&self, state: &mut State, batch: &CheckedBatch) -> Result<(), AppendError> {
        let Mark { base, position, .. } = state.end;
        let file = self.active_file(state, base)?;
        if let Err(error) = vfs::write_all_at(&*file, batch.as_bytes(), position.bytes()) {
            return Err(self.undo_write(state, &*file, error));
        }
        let loaded = state.loaded.as_mut().expect("loaded before");
        assert_eq!(
            loaded.active.size, position,
            "the end of the log is that of its segment"
        );
        loaded.mark_dirty(base, &file);
        Ok(())
    }

    /// Takes back what a failed write left behind the end.
    fn undo_write(&self, state: &mut State, file: &dyn File, error: std::io::Error) -> AppendError {
        let cut = if skips(Safeguard::UndoWrite) {
            Ok(())
        } else {
            file.set_size(state.end.position.bytes())
        };
        if let (true, Ok(())) = (is_no_space(&error), &cut) {
            let failure = self.context.space.full(&error);
            return AppendError::NoSpace(
                failure.unwrap_or_else(|| self.failure("a write failed", &error)),
            );
        }
        let failure = match cut {
            Ok(()) => self.failure("a write failed; offline until the next start", &error),
            Err(cut) => {
                let doing = format!("a write failed ({error}) and could not be taken back");
                self.failure(&doing, &cut)
            }
        };
        tracing::error!(%failure, "the partition is offline for writing");
        state.condition = Condition::Offline(failure.clone());
        AppendError::Storage(failure)
    }

    /// The file of the active segment, opened for writing.
    pub(super) fn active_file(
        &self,
        state: &State,
        base: Offset,
    ) -> Result<Arc<dyn File>, StorageFailure> {
        let key = self.key(base);
        if let Some(file) = self.context.files.get(key) {
            return Ok(file);
        }
        // Or every append during a long sync could open one more.
        let dirty = state.loaded.as_ref().map(|loaded| &loaded.dirty);
        if let Some(file) = dirty.and_then(|dirty| dirty.file(base)) {
            self.context.files.insert(key, file);
            return Ok(Arc::clone(file));
        }
        let path = SegmentFile::Log.path(&self.directory(), base);
        let open = || self.context.vfs.open(&path, OpenMode::ReadWrite);
        let file = self
            .context
            .files
            .open(open)
            .map_err(|error| self.failure(&format!("cannot open {}", shown(&path)), &error))?;
        self.context.files.insert(key, &file);
        Ok(file)
    }

    fn must_roll(&self, state: &State, header: &BatchHeader, config: &LogConfig) -> bool {
        let Some(active) = state.loaded.as_ref().map(|loaded| &loaded.active) else {
            return false;
        };
        if active.size == Position::ZERO {
            return false;
        }
        let limit = Position::new(config.segment_bytes).min(Position::MAX);
        let last = state.end.offset.plus(i64::from(header.last_offset_delta));
        let full = active.size.plus(header.size_bytes()) > limit;
        let far = last.since(active.base) > i64::from(i32::MAX);
        let now_ms = self.context.clock.wall_ms();
        let age_ms = active
            .first_append_ms
            .map_or(0, |first| now_ms.saturating_sub(first));
        let segment_ms = i64::try_from(config.segment_age_max().as_millis()).unwrap_or(i64::MAX);
        full || far || age_ms >= segment_ms.max(1)
    }

    /// Ends the active segment and begins the next at the end of the log. The syncs of the old
    /// file, the new one and the directory join the next round.
    pub(super) fn roll(&self, state: &mut State) -> Result<(), AppendError> {
        self.load_producers(state)?;
        let base = state.end.offset;
        let file = self.create_segment(base)?;
        self.forget_ranges(state, base)?;
        let loaded = state.loaded.as_mut().expect("loaded before");
        assert!(
            base > loaded.active.base,
            "a segment at {base} follows one before it"
        );
        let sealed = std::mem::replace(&mut loaded.active, ActiveSegment::new(base));
        let old_base = sealed.base;
        let (sealed, index) = sealed.seal();
        let key = self.key(old_base);
        self.context.indexes.insert(key, Arc::clone(&index));
        loaded.unwritten.push(index);
        loaded.sealed.push(sealed);
        if let Some(producers) = &loaded.producers {
            let bytes = producer_snapshot::encode(producers, base);
            loaded.snapshot.pending = Some((base, bytes));
            loaded.snapshot.bytes_since = 0;
        }
        // The batch that follows marks the new file; its name is what is new here.
        loaded.dirty.directory = true;
        let at_base = Mark {
            offset: base,
            base,
            position: Position::ZERO,
        };
        state.end = at_base;
        self.context.files.insert(self.key(base), &file);
        Ok(())
    }

    /// A list that is there says what was lost of another segment with this base offset. What somebody
    /// accepted of it must not be taken for a loss of this one.
    fn forget_ranges(&self, state: &mut State, base: Offset) -> Result<(), AppendError> {
        let is_of_it = |entry: &Entry| entry.last >= base && !skips(Safeguard::StaleAcceptance);
        let known = state.quarantine.as_mut();
        let Some(known) = known.filter(|known| known.of(base).iter().any(is_of_it)) else {
            return Ok(());
        };
        let (vfs, directory) = (&*self.context.vfs, self.directory());
        let mut list = List::read(vfs, &directory, base);
        list.update(|entry| entry.last < base);
        // The round that follows syncs the names.
        list.put(vfs, &directory, base)
            .map_err(|error| self.failure("an old quarantine list stays", &error))?;
        known.set(base, &list.entries());
        Ok(())
    }

    /// An empty `.log` and `.index`. An empty one that a failed roll left is taken; what speaks of
    /// batches that stood there once is removed.
    fn create_segment(&self, base: Offset) -> Result<Arc<dyn File>, AppendError> {
        let directory = self.directory();
        let create = |kind: SegmentFile| {
            let path = kind.path(&directory, base);
            let open = || self.context.vfs.open(&path, OpenMode::ReadWriteCreate);
            let made = self
                .context
                .files
                .open(open)
                .and_then(|file| Ok((file.size_bytes()?, file)));
            made.map_err(|error| match self.context.space.full(&error) {
                Some(full) => AppendError::NoSpace(full),
                None => {
                    let doing = format!("cannot create {}", shown(&path));
                    AppendError::Storage(self.failure(&doing, &error))
                }
            })
        };
        let (size_bytes, file) = create(SegmentFile::Log)?;
        if size_bytes != 0 {
            let doing = format!("cannot roll to offset {base}");
            let reason = format!("a file of {size_bytes} bytes stands there");
            return Err(self.failure(&doing, &reason).into());
        }
        let (stale_bytes, index) = create(SegmentFile::Index)?;
        if stale_bytes > 0 {
            let cut = index.set_size(0);
            cut.map_err(|error| self.failure("cannot empty an index", &error))?;
        }
        // IMPORTANT: before the first batch, or it would be held against another's span.
        for kind in [SegmentFile::Spans, SegmentFile::TimeIndex] {
            let path = kind.path(&directory, base);
            match self.context.vfs.remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    let doing = format!("cannot remove {}", shown(&path));
                    return Err(self.failure(&doing, &error).into());
                }
                _ => {}
            }
        }
        Ok(file)
    }
}

fn check_size(size_bytes: usize, config: &LogConfig) -> Result<(), AppendError> {
    let segment_bytes = config.segment_bytes.min(Position::MAX.get());
    match u32::try_from(size_bytes) {
        Ok(size) if size <= segment_bytes => Ok(()),
        _ => Err(AppendError::LargerThanSegment {
            size_bytes,
            segment_bytes,
        }),
    }
}
