//! What is read when a log is used for the first time: the list of its segments, the index of the
//! active one, the epochs; and the producers, when a batch of one comes.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use records::Offset;
use storage::{Footprint, LeaderEpochs, ProducerEntry, ProducerTable, StorageFailure};
use vfs::{File, OpenMode};

use super::reader::SegmentReader;
use super::state::{Compaction, Cursors, Dirty, Loaded, SnapshotState, State};
use super::{DiskLog, shown};
use crate::files::FileKey;
use crate::listing::{self, Listing};
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::quarantine::Quarantine;
use crate::recovery::{Circumstances, Floor, RecoveryReport, recover};
use crate::segment::{ActiveSegment, SealedSegment, Verified};
use crate::segment_index::{IndexSource, SegmentIndex};
use crate::walk::{EpochRange, Found, Step, Walk};
use crate::window::{Access, Fault};
use crate::{epoch_file, names, producer_snapshot};

impl DiskLog {
    /// Loads what appends and reads need. The files were recovered before the log was made.
    pub(super) fn load(&self, state: &mut State) -> Result<(), StorageFailure> {
        if state.loaded.is_some() {
            return Ok(());
        }
        let checked = self
            .check_place(state)
            .and_then(|()| self.load_files(state));
        let loaded =
            checked.map_err(|fault| self.failure("cannot be loaded", &self.read_error(fault)))?;
        // What a crash, or the end of the last process, left of a trim.
        let mut loaded = Box::new(loaded);
        loaded.in_upkeep = self.has_old_segments(&loaded);
        if loaded.in_upkeep {
            self.context.upkeep.submit(self.me());
        }
        state.loaded = Some(loaded);
        self.count_lost(state);
        Ok(())
    }

    /// Whether the files end where the journal of a clean end says. If not, somebody changed them
    /// since, and they are recovered now; the ends only move up.
    fn check_place(&self, state: &mut State) -> Result<(), Fault> {
        let (vfs, directory) = (&*self.context.vfs, self.directory());
        let end = state.end;
        let newest = listing::list(vfs, &directory)?.and_then(|found| found.logs.last().copied());
        if newest.is_some_and(|log| log.base == end.base && log.size == end.position) {
            return Ok(());
        }
        // Of what failed once nothing is believed, and no sync is made again.
        self.context.health.check()?;
        let circumstances = Circumstances {
            partition: self.id(),
            floor: Floor::Known {
                end,
                epoch: state.found_epoch,
            },
            // A clean end left the commit file empty.
            promises: &[],
            log_start: Some(self.start()),
            // Nothing is cut that has good batches behind it.
            same_boot: true,
            epoch_max: self.context.leader_epoch,
        };
        let mut report = RecoveryReport::default();
        let place = recover(vfs, &directory, circumstances, &mut report)
            .inspect_err(|fault| self.end_if_unsynced(fault))?;
        let Some(place) = place else {
            return Err(self
                .failure("its directory is gone", &shown(&directory))
                .into());
        };
        tracing::warn!(
            directory = %directory.display(), ?report,
            "the files are not as they were left; recovered"
        );
        self.context.tally.add_recovery(&report);
        state.quarantine = None;
        assert!(
            place.end.offset >= end.offset,
            "the end of a log does not fall below {end:?}"
        );
        state.end = place.end;
        state.visible = place.end;
        state.durable = place.end;
        self.log_end
            .store(place.end.offset.get(), Ordering::Release);
        self.found_end
            .store(place.end.offset.get(), Ordering::Release);
        self.raise_high_watermark(place.end.offset);
        self.announce(place.end.offset);
        Ok(())
    }

    /// IMPORTANT: the next use would recover again, and a sync that is repeated says yes without the
    /// bytes.
    fn end_if_unsynced(&self, fault: &Fault) {
        if let Fault::Io(error) = fault
            && names::is_failed_sync(error)
        {
            let failure = self.failure("a recovery could not be synced", error);
            self.context.health.fail(&failure);
        }
    }

    fn load_files(&self, state: &mut State) -> Result<Loaded, Fault> {
        let directory = self.directory();
        let listing = listing::list(&*self.context.vfs, &directory)?.unwrap_or_default();
        state.quarantine.get_or_insert_with(|| {
            Quarantine::of_segments((&*self.context.vfs, &directory), &listing.quarantines)
        });
        let base = state.end.base;
        let active = self.load_active(state)?;
        let sealed = listing
            .logs
            .iter()
            .filter(|log| log.base < base)
            .map(|log| SealedSegment {
                base: log.base,
                size: log.size,
                verified: Verified::default(),
                largest_ms: None,
                held: None,
            });
        let mut loaded = Loaded {
            sealed: sealed.collect(),
            active,
            unwritten: Vec::new(),
            retired: Vec::new(),
            epochs: LeaderEpochs::new(),
            epochs_unsaved: false,
            producers: None,
            snapshot: SnapshotState {
                offset: None,
                pending: None,
                bytes_since: 0,
            },
            dirty: Dirty::default(),
            in_upkeep: false,
            cursors: Cursors::default(),
            compaction: Compaction::default(),
        };
        loaded.epochs = self.load_epochs(&loaded)?;
        loaded
            .epochs
            .on_append(self.context.leader_epoch, state.end.offset);
        self.load_fresh_snapshot(&mut loaded, &listing, state.end.offset);
        Ok(loaded)
    }

    fn load_active(&self, state: &State) -> Result<ActiveSegment, Fault> {
        let (base, size) = (state.end.base, state.end.position);
        if size == Position::ZERO {
            return Ok(ActiveSegment::new(base));
        }
        let file = self.open_segment(self.key(base))?;
        let index = self.load_index(base, &*file, size)?;
        let mut first = Walk::headers(&*file, Access::Blocking, (Position::ZERO, size), Some(base));
        let first_ms = match first.step()? {
            Step::Batch(found) => found
                .header
                .max_timestamp_ms
                .min(self.context.clock.wall_ms()),
            _ => self.context.clock.wall_ms(),
        };
        Ok(ActiveSegment::loaded(index, base, size, Some(first_ms)))
    }

    pub(super) fn load_index(
        &self,
        base: Offset,
        file: &dyn File,
        size: Position,
    ) -> Result<SegmentIndex, Fault> {
        let directory = self.directory();
        SegmentIndex::load(
            self.index_source(&directory, base),
            file,
            size,
            Access::Blocking,
        )
    }

    pub(super) fn index_source<'a>(&'a self, directory: &'a Path, base: Offset) -> IndexSource<'a> {
        let interval_bytes = self.config().index_interval_bytes;
        IndexSource {
            vfs: &*self.context.vfs,
            directory,
            partition: self.id(),
            base,
            interval_bytes,
            epochs: self.epochs(),
        }
    }

    /// Opens a file of records by its path. The caller holds the lock, or looks afterwards whether
    /// the log was removed meanwhile: then the path may be another topic's.
    pub(super) fn open_segment(&self, key: FileKey) -> Result<Arc<dyn File>, Fault> {
        let base = key.base;
        if let Some(file) = self.context.files.get(key) {
            return Ok(file);
        }
        let path = SegmentFile::Log.path(&self.directory(), base);
        let open = || self.context.vfs.open(&path, OpenMode::ReadWrite);
        let file = self.context.files.open(open).map_err(|error| {
            Fault::from(self.failure(&format!("cannot open {}", shown(&path)), &error))
        })?;
        self.context.files.insert(key, &file);
        Ok(file)
    }

    fn load_epochs(&self, loaded: &Loaded) -> Result<LeaderEpochs, Fault> {
        if let Some(epochs) = epoch_file::read(&*self.context.vfs, &self.directory()) {
            return Ok(epochs);
        }
        self.epochs_of_batches(loaded)
    }

    /// The history as the heads of all batches tell it.
    pub(super) fn epochs_of_batches(&self, loaded: &Loaded) -> Result<LeaderEpochs, Fault> {
        let mut epochs = LeaderEpochs::new();
        self.each_batch(loaded, self.start(), &mut |found| {
            epochs.on_append(found.header.leader_epoch, found.header.base_offset);
        })?;
        Ok(epochs)
    }

    /// Takes the producers from a snapshot that needs no walk: a new log's, or a clean stop's.
    fn load_fresh_snapshot(&self, loaded: &mut Loaded, listing: &Listing, end: Offset) {
        let usable = |offset: &&Offset| **offset <= end;
        loaded.snapshot.offset = listing.snapshots.iter().rfind(usable).copied();
        if loaded.snapshot.offset == Some(end) {
            loaded.producers = producer_snapshot::read(&*self.context.vfs, &self.directory(), end);
        } else if end == Offset::ZERO {
            loaded.producers = Some(ProducerTable::new());
        }
    }

    /// Restores the producers: the newest good snapshot, and the headers from there on.
    pub(super) fn load_producers(&self, state: &mut State) -> Result<(), StorageFailure> {
        let loaded = state.loaded.as_mut().expect("loaded before");
        if loaded.producers.is_some() {
            return Ok(());
        }
        let table = self
            .replay_producers(loaded, state.end.offset)
            .map_err(|fault| {
                self.failure("the producers cannot be restored", &self.read_error(fault))
            })?;
        loaded.producers = Some(table);
        Ok(())
    }

    /// The producers, restored first where nobody needed them yet.
    pub(super) fn list_producers(&self) -> Result<Vec<ProducerEntry>, StorageFailure> {
        let mut state = self.state.lock();
        state.serves()?;
        self.load(&mut state)?;
        self.load_producers(&mut state)?;
        let producers = state
            .loaded
            .as_ref()
            .and_then(|loaded| loaded.producers.as_ref());
        Ok(producers.map_or_else(Vec::new, |table| table.producers().cloned().collect()))
    }

    fn replay_producers(&self, loaded: &Loaded, end: Offset) -> Result<ProducerTable, Fault> {
        let (vfs, directory) = (&*self.context.vfs, self.directory());
        let listing = listing::list(vfs, &directory)?.unwrap_or_default();
        let found = listing
            .snapshots
            .iter()
            .rev()
            .filter(|&&offset| offset <= end)
            .find_map(|&offset| Some((offset, producer_snapshot::read(vfs, &directory, offset)?)));
        // A segment before the start stays until a snapshot says what producers wrote there.
        let oldest = loaded.sealed.first();
        let oldest = oldest.map_or(loaded.active.base, |oldest| oldest.base);
        let (from, mut table) = found.unwrap_or_else(|| (oldest, ProducerTable::new()));
        assert!(
            from <= end,
            "a snapshot at {from} is not past the end at {end}"
        );
        if from < end {
            self.each_batch(loaded, from, &mut |found| table.record(&found.header))?;
        }
        Ok(table)
    }

    pub(super) fn reader<'a>(
        &self,
        file: &'a dyn File,
        access: Access,
        (base, limit): (Offset, Position),
    ) -> SegmentReader<'a> {
        SegmentReader {
            file,
            access,
            base,
            limit,
            epochs: self.epochs(),
        }
    }

    /// No batch is of a later epoch than this process, and none that it found is of its own.
    fn epochs(&self) -> EpochRange {
        EpochRange {
            highest_from: Offset::new(self.found_end.load(Ordering::Acquire)),
            ..EpochRange::up_to(self.context.leader_epoch)
        }
    }

    /// Reads the headers of all batches that end after `from`, damaged ones left out.
    fn each_batch(
        &self,
        loaded: &Loaded,
        from: Offset,
        take: &mut dyn FnMut(&Found),
    ) -> Result<(), Fault> {
        let first = loaded
            .sealed
            .partition_point(|sealed| sealed.base <= from)
            .saturating_sub(1);
        for sealed in loaded.sealed.iter().skip(first) {
            let file = match &sealed.held {
                Some(file) => Arc::clone(file),
                None => self.open_segment(self.key(sealed.base))?,
            };
            let mut unwritten = loaded.unwritten.iter();
            let unwritten = unwritten.rfind(|index| index.base() == sealed.base);
            let index = match unwritten {
                Some(index) => Arc::clone(index),
                None => Arc::new(self.load_index(sealed.base, &*file, sealed.size)?),
            };
            let reader = self.reader(&*file, Access::Blocking, (sealed.base, sealed.size));
            reader.each_batch(&*index, from, &mut |found| {
                take(found);
                ControlFlow::Continue(())
            })?;
        }
        let active = &loaded.active;
        if active.size > Position::ZERO {
            let file = self.open_segment(self.key(active.base))?;
            let reader = self.reader(&*file, Access::Blocking, (active.base, active.size));
            reader.each_batch(&active.index, from, &mut |found| {
                take(found);
                ControlFlow::Continue(())
            })?;
        }
        Ok(())
    }

    pub(super) fn measure(&self) -> Footprint {
        let mut state = self.state.lock();
        if let Err(failure) = state.serves().and_then(|()| self.load(&mut state)) {
            tracing::warn!(%failure, "the size of a log is not known");
            return Footprint::default();
        }
        let Some(loaded) = &state.loaded else {
            return Footprint::default();
        };
        let sealed: u64 = loaded.sealed.iter().map(|sealed| sealed.size.bytes()).sum();
        let oldest = loaded.sealed.first();
        let oldest = oldest.map_or(loaded.active.base, |oldest| oldest.base);
        let footprint = Footprint {
            size_bytes: sealed.saturating_add(loaded.active.size.bytes()),
            segments: loaded.sealed.len().saturating_add(1),
            oldest_ms: None,
        };
        drop(state);
        Footprint {
            oldest_ms: self.known_largest(oldest).ok().flatten(),
            ..footprint
        }
    }
}
