//! What is derived from the batches of one segment, both indexes and the spans: grown batch by
//! batch, loaded, or built anew.
//!
//! The rule when an entry is due is Kafka's: a batch gets one when more than the interval was
//! written since the last entry. The files are written without being synced before anything is
//! acknowledged; a wrong, short or missing file costs a walk over the headers and nothing else.

use std::io;
use std::path::Path;

use records::{BatchHeader, Offset};
use sabotage::{Safeguard, skips};
use storage::PartitionId;
use vfs::{File, OpenMode, Vfs};

use crate::index::{self, IndexEntry, OffsetIndex};
use crate::names;
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::spans::{PendingSpans, SegmentSpans, owner_of};
use crate::time_index::{self, TimeEntry, TimeIndex};
use crate::walk::{EpochRange, Step, Walk, resync};
use crate::window::{Access, Fault};

/// An index larger than this is not ours: a segment of 2 GiB at one entry a batch has fewer.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The indexes of the segment at `base`.
#[derive(Debug, Clone)]
pub(crate) struct SegmentIndex {
    base: Offset,
    offsets: OffsetIndex,
    times: TimeIndex,
    largest: Option<TimeEntry>,
    bytes_since_entry: usize,
    /// Entries that the files hold already.
    written: (usize, usize),
    /// Not believed less because an index is wrong, nor the other way round.
    spans: SegmentSpans,
}

/// Where the files of a segment are and how its index is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IndexSource<'a> {
    pub(crate) vfs: &'a dyn Vfs,
    pub(crate) directory: &'a Path,
    pub(crate) partition: PartitionId,
    pub(crate) base: Offset,
    pub(crate) interval_bytes: u32,
    /// As readers use it: what they do not take for a batch gets no entry.
    pub(crate) epochs: EpochRange,
}

impl IndexSource<'_> {
    /// What the pages of this segment's spans are marked with.
    pub(crate) fn owner(self) -> u32 {
        owner_of(self.partition, self.base)
    }
}

impl SegmentIndex {
    pub(crate) fn new(base: Offset) -> Self {
        Self {
            base,
            offsets: OffsetIndex::default(),
            times: TimeIndex::default(),
            largest: None,
            bytes_since_entry: 0,
            written: (0, 0),
            spans: SegmentSpans::default(),
        }
    }

    /// A batch was appended at `position`.
    pub(crate) fn append(&mut self, header: &BatchHeader, position: Position, interval_bytes: u32) {
        self.note(header, position, interval_bytes);
        self.spans.note(header, position, interval_bytes);
    }

    /// The segment ends here: the last entries are due.
    pub(crate) fn seal(&mut self) {
        self.push_largest();
        self.spans.seal();
    }

    /// What vouches for the heads of the batches.
    pub(crate) fn spans(&self) -> &SegmentSpans {
        &self.spans
    }

    /// The spans of a sealed segment's index that was loaded: they end with the segment. Whether
    /// the file must be told.
    pub(crate) fn seal_spans(&mut self, source: IndexSource<'_>) -> bool {
        self.spans.seal();
        self.spans.pending(source.owner()).is_some()
    }

    /// An index that was built anew, with the spans of the one before.
    #[must_use]
    pub(crate) fn with_spans_of(self, old: &Self) -> Self {
        Self {
            spans: old.spans.clone(),
            ..self
        }
    }

    /// The base offset of the segment.
    pub(crate) fn base(&self) -> Offset {
        self.base
    }

    /// Takes note of a batch that was written at `position`.
    pub(crate) fn note(&mut self, header: &BatchHeader, position: Position, interval_bytes: u32) {
        // Only damage that no neighbour contradicts can lead out of the range; it gets no entry.
        let Some(relative_last) = self.relative(header.last_offset()) else {
            return;
        };
        // What compaction left empty has no record of any time.
        if header.record_count > 0 {
            self.note_time(header.max_timestamp_ms, relative_last);
        }
        let interval_bytes = usize::try_from(interval_bytes).expect("32 bits fit a usize");
        let entry = IndexEntry {
            relative_last,
            position,
        };
        // Behind a batch that claims offsets of the next ones there is no entry before they rise.
        if self.bytes_since_entry > interval_bytes && self.offsets.accepts(entry) {
            self.offsets.push(entry);
            self.push_largest();
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry = self.bytes_since_entry.saturating_add(header.size_bytes());
    }

    /// Notes the largest timestamp, so that the last entry of the file has it.
    pub(crate) fn push_largest(&mut self) {
        if let Some(largest) = self.largest {
            self.times.push(largest);
        }
    }

    fn note_time(&mut self, timestamp_ms: i64, relative_last: u32) {
        if timestamp_ms > self.largest.map_or(-1, |largest| largest.timestamp_ms) {
            self.largest = Some(TimeEntry {
                timestamp_ms,
                relative_last,
            });
        }
    }

    fn relative(&self, offset: Offset) -> Option<u32> {
        let relative = i32::try_from(offset.since(self.base)).ok()?;
        u32::try_from(relative).ok()
    }

    /// The batch to begin at when looking for `offset`, and the last offset that it must have.
    pub(crate) fn floor(&self, offset: Offset) -> Option<(Position, Offset)> {
        self.offsets
            .floor(self.relative(offset)?)
            .map(|entry| self.resolve(entry))
    }

    /// The last indexed batch at or before `position`.
    pub(crate) fn floor_position(&self, position: Position) -> Option<(Position, Offset)> {
        self.offsets
            .floor_position(position)
            .map(|entry| self.resolve(entry))
    }

    /// The first indexed batch after `position`.
    pub(crate) fn after_position(&self, position: Position) -> Option<(Position, Offset)> {
        self.offsets
            .after_position(position)
            .map(|entry| self.resolve(entry))
    }

    fn resolve(&self, entry: IndexEntry) -> (Position, Offset) {
        (
            entry.position,
            self.base.plus(i64::from(entry.relative_last)),
        )
    }

    /// The largest timestamp of all batches noted, and the last offset of the first batch with it.
    pub(crate) fn largest(&self) -> Option<(i64, Offset)> {
        self.largest.map(|entry| self.resolve_time(entry))
    }

    /// What is known of the times before: every batch up to this offset is older than the time.
    pub(crate) fn older_than(&self, timestamp_ms: i64) -> Option<(i64, Offset)> {
        self.times
            .below(timestamp_ms)
            .map(|entry| self.resolve_time(entry))
    }

    /// The largest timestamp up to a place before `offset`, and the end of the batch with it.
    pub(crate) fn largest_before(&self, offset: Offset) -> Option<(i64, Offset)> {
        self.times
            .before_offset(self.relative(offset)?)
            .map(|entry| self.resolve_time(entry))
    }

    fn resolve_time(&self, entry: TimeEntry) -> (i64, Offset) {
        (
            entry.timestamp_ms,
            self.base.plus(i64::from(entry.relative_last)),
        )
    }

    /// Bytes of memory that it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>()
            .saturating_add(self.offsets.size_bytes())
            .saturating_add(self.times.size_bytes())
            .saturating_add(self.spans.size_bytes())
    }

    /// Loads the files and reads the headers of the batches behind the last entry, up to `log_end`.
    /// Files that do not fit the log are not believed at all.
    pub(crate) fn load(
        source: IndexSource<'_>,
        log: &dyn File,
        log_end: Position,
        access: Access,
    ) -> Result<Self, Fault> {
        let mut index = Self::read_files(source, log_end, access)?;
        if !index.extend(source, log, log_end, access)? {
            index = Self::rebuild(source, log, log_end, access)?;
        }
        index.spans = SegmentSpans::load(source, log, log_end, access)?;
        Ok(index)
    }

    /// Builds the indexes from the headers of all batches up to `log_end`; without spans.
    pub(crate) fn rebuild(
        source: IndexSource<'_>,
        log: &dyn File,
        log_end: Position,
        access: Access,
    ) -> Result<Self, Fault> {
        tracing::warn!(
            directory = %source.directory.display(), base = %source.base,
            "N: the index does not fit its log and is rebuilt"
        );
        let mut index = Self::new(source.base);
        let fits = index.extend(source, log, log_end, access)?;
        assert!(fits, "an empty index contradicts nothing");
        Ok(index)
    }

    fn read_files(
        source: IndexSource<'_>,
        log_end: Position,
        access: Access,
    ) -> Result<Self, Fault> {
        let mut index = Self::new(source.base);
        let offsets = read_index_file(source, SegmentFile::Index, access)?;
        let times = read_index_file(source, SegmentFile::TimeIndex, access)?;
        let (decoded, whole) = OffsetIndex::decode(&offsets, log_end);
        let (decoded_times, whole_times) = TimeIndex::decode(&times);
        // Each entry of the one comes with an entry of the other, as long as times rise.
        let fit = decoded.len() == 0 || decoded_times.len() > 0;
        if whole && whole_times && fit {
            index.written = (decoded.len(), decoded_times.len());
            index.largest = decoded_times.last();
            index.offsets = decoded;
            index.times = decoded_times;
        }
        Ok(index)
    }

    /// Notes the batches from the last entry on. `false` if that entry is wrong.
    fn extend(
        &mut self,
        source: IndexSource<'_>,
        log: &dyn File,
        log_end: Position,
        access: Access,
    ) -> Result<bool, Fault> {
        let (start, expected) = match self.offsets.last() {
            Some(last) => (last.position, None),
            None => (Position::ZERO, Some(self.base)),
        };
        let mut walk =
            Walk::headers(log, access, (start, log_end), expected).with_epochs(source.epochs);
        if let Some(last) = self.offsets.last() {
            let right = self.base.plus(i64::from(last.relative_last));
            match walk.step()? {
                Step::Batch(found)
                    if found.header.last_offset() == right || skips(Safeguard::IndexCheckLoad) =>
                {
                    self.bytes_since_entry = found.header.size_bytes();
                    if found.header.record_count > 0 {
                        self.note_time(found.header.max_timestamp_ms, last.relative_last);
                    }
                }
                _ => return Ok(false),
            }
        }
        loop {
            match walk.step()? {
                Step::Batch(found) if found.header.base_offset < self.base => return Ok(true),
                Step::Batch(found) => {
                    self.note(&found.header, found.position, source.interval_bytes);
                }
                Step::End => return Ok(true),
                Step::Damaged { position, .. } => {
                    let expected = walk.expected().unwrap_or(self.base);
                    match resync(log, access, (position, log_end), expected)? {
                        Some(found) => walk.jump(found.position),
                        None => return Ok(true),
                    }
                }
            }
        }
    }

    /// What the files do not hold yet; `None` if they hold all.
    pub(crate) fn pending(&self, owner: u32) -> Option<PendingIndex> {
        let (offsets, times) = self.written;
        let spans = self.spans.pending(owner);
        if offsets == self.offsets.len() && times == self.times.len() && spans.is_none() {
            return None;
        }
        Some(PendingIndex {
            base: self.base,
            offsets_at: entry_position(offsets, index::ENTRY_BYTES),
            offsets: self.offsets.encode_from(offsets),
            times_at: entry_position(times, time_index::ENTRY_BYTES),
            times: self.times.encode_from(times),
            written: (self.offsets.len(), self.times.len()),
            spans,
        })
    }

    /// The files hold what `pending` was.
    pub(crate) fn mark_written(&mut self, pending: &PendingIndex) {
        // A rebuilt index may be shorter than what was on its way; its next write says it all.
        if pending.written.0 <= self.offsets.len() && pending.written.1 <= self.times.len() {
            self.written = pending.written;
        }
        if let Some(spans) = &pending.spans {
            self.spans.mark_written(spans);
        }
    }
}

/// Makes what was written to the files of a sealed segment durable, by whomever and whenever: a
/// recovery believes them.
pub(crate) fn sync_files(vfs: &dyn Vfs, directory: &Path, base: Offset) -> io::Result<()> {
    for kind in [
        SegmentFile::TimeIndex,
        SegmentFile::Index,
        SegmentFile::Spans,
    ] {
        match vfs.open(&kind.path(directory, base), OpenMode::ReadWrite) {
            Ok(file) => names::sync_data(&*file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn entry_position(entries: usize, entry_bytes: usize) -> u64 {
    u64::try_from(entries.saturating_mul(entry_bytes)).expect("a usize fits 64 bits")
}

fn read_index_file(
    source: IndexSource<'_>,
    kind: SegmentFile,
    access: Access,
) -> Result<Vec<u8>, Fault> {
    if access == Access::Cached {
        return Err(Fault::NotCached);
    }
    let path = kind.path(source.directory, source.base);
    match vfs::read_whole(source.vfs, &path, FILE_BYTES_MAX) {
        Ok(bytes) => Ok(bytes),
        // Derived: what cannot be read is built anew.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "N: an index cannot be read");
            Ok(Vec::new())
        }
    }
}

/// Entries on their way to the files.
#[derive(Debug)]
pub(crate) struct PendingIndex {
    base: Offset,
    offsets_at: u64,
    offsets: Vec<u8>,
    times_at: u64,
    times: Vec<u8>,
    written: (usize, usize),
    spans: Option<PendingSpans>,
}

impl PendingIndex {
    /// The base offset of the segment.
    pub(crate) fn base(&self) -> Offset {
        self.base
    }

    /// Writes the entries, and syncs them if the segment is sealed: a recovery believes the
    /// indexes of the segments before the one that holds the durable end.
    pub(crate) fn write(&self, vfs: &dyn Vfs, directory: &Path, sync: bool) -> io::Result<()> {
        assert!(
            self.offsets.len().is_multiple_of(index::ENTRY_BYTES)
                && self.times.len().is_multiple_of(time_index::ENTRY_BYTES),
            "only whole entries are written"
        );
        // NOTE: times first, so that after a kill the time index is never the shorter one.
        let files = [
            (SegmentFile::TimeIndex, self.times_at, &self.times),
            (SegmentFile::Index, self.offsets_at, &self.offsets),
        ];
        let is_due = !self.offsets.is_empty() || !self.times.is_empty();
        for (kind, at, bytes) in files.into_iter().filter(|_| is_due) {
            let file = vfs.open(&kind.path(directory, self.base), OpenMode::ReadWriteCreate)?;
            if file.size_bytes()? != at {
                file.set_size(at)?;
            }
            vfs::write_all_at(&*file, bytes, at)?;
            if sync {
                names::sync_data(&*file)?;
            }
        }
        if let Some(spans) = &self.spans {
            spans.write(vfs, (directory, self.base), sync)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
