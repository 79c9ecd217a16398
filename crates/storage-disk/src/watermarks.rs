//! The watermark journal, `@ottla/watermarks.{n}`: how far each partition is known to be durable.
//!
//! An entry is written after the sync of the data it speaks of, never on the way to an
//! acknowledgement, so whatever entry can be read is true, and a lost one only lets recovery look
//! at more of the log. A clean frame says that everything was synced when the process ended; it
//! counts only while it is the last thing in the newest file, and an open frame revokes it before
//! the first append. Knows no log files: recovery decides what the entries mean.

mod entry;
mod run;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::Clock;
use sabotage::{Safeguard, skips};
use storage::{PartitionId, StorageFailure};
use vfs::{EntryKind, Vfs};

use crate::directory::{OpenDiskError, at};
use crate::error::{WriteError, failure};
use crate::files::is_too_many;
use crate::frames::{FrameWriter, Piece, Pieces, check_room, read_tolerant};
use entry::{BOOT_ID_BYTES, CLEAN, ENTRIES, OPEN, TIME, TIME_BYTES};

pub use entry::{ENTRY_BYTES, Watermark};
pub use run::{RUN_BYTES, Run};

const PREFIX: &str = "watermarks.";
/// A file is rewritten when it is larger than this, and than [`LIVE_FACTOR`] times its entries.
const ROLL_BYTES_MIN: u64 = 1024 * 1024;
const LIVE_FACTOR: u64 = 4;
/// Files kept: a new one may be torn before its first entries are durable.
const FILES_KEPT: usize = 2;
/// Entries of one frame, but for a clean one.
const FRAME_ENTRIES_MAX: usize = 16 * 1024;
/// Entries that a clean frame can hold.
const CLEAN_ENTRIES_MAX: usize = crate::frames::BODY_BYTES_MAX / ENTRY_BYTES;

/// What the journal of the last process says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalState {
    /// The newest entry of each partition.
    pub watermarks: BTreeMap<PartitionId, Watermark>,
    /// When the last process was last known to run, by its wall clock.
    pub last_seen_ms: Option<i64>,
    /// Whether the last process ended cleanly: `watermarks` is then complete, and nothing was
    /// appended since.
    pub is_clean: bool,
    /// The boot in which the last process that is known of began.
    pub boot_id: Option<[u8; BOOT_ID_BYTES]>,
    /// That process itself; `None` also where an older build began it, which named the boot only.
    pub run: Option<Run>,
    /// Places where frames are bad, with good ones behind them, and single entries that are bad.
    pub bad_frames: u64,
    /// Whether the newest file ends in bytes that are no frame: an interrupted write.
    pub is_torn: bool,
    /// Whether there is any file.
    pub exists: bool,
}

/// The journal of this process. Its first frame goes to a new file, so that nothing is appended
/// behind what a crash left.
#[derive(Debug)]
pub struct Journal {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    writer: Option<FrameWriter>,
    /// Of the files that exist, oldest first.
    generations: Vec<u32>,
    next_generation: u32,
    watermarks: BTreeMap<PartitionId, Watermark>,
    /// Once this process is open: every later file says it too, because the first one goes.
    run: Option<Run>,
    roll_bytes_min: u64,
    /// Tells when something was written; `None`: nobody asks.
    clock: Option<Arc<dyn Clock>>,
    failure: Option<StorageFailure>,
}

impl Journal {
    /// Reads the journal in the directory `@ottla`. Writes nothing.
    pub fn open(vfs: &Arc<dyn Vfs>, own_dir: &Path) -> Result<(Self, JournalState), OpenDiskError> {
        let generations = generations_in(&**vfs, own_dir).map_err(at("read", own_dir))?;
        if let Some(&newest) = generations.last() {
            check_room(own_dir, newest, &format!("{PREFIX}{newest}"))?;
        }
        let state = read_files(&**vfs, own_dir, &generations);
        let next_generation = after(generations.last().copied().unwrap_or(0));
        let journal = Self {
            next_generation,
            vfs: Arc::clone(vfs),
            dir: own_dir.to_path_buf(),
            writer: None,
            generations,
            watermarks: state.watermarks.clone(),
            run: None,
            roll_bytes_min: ROLL_BYTES_MIN,
            clock: None,
            failure: None,
        };
        Ok((journal, state))
    }

    /// From here on it also says when something was written.
    pub fn set_clock(&mut self, clock: Arc<dyn Clock>) {
        self.clock = Some(clock);
    }

    /// Revokes a clean mark: before the first append of this process.
    pub fn mark_open(&mut self, run: Run) -> Result<(), WriteError> {
        self.write(|journal| journal.append_and_sync(OPEN, 0, &run.encode()))?;
        self.run = Some(run);
        Ok(())
    }

    /// Writes what became durable, or was trimmed, since the last call. An entry that was made
    /// before one that is written already takes nothing back.
    pub fn append_entries(&mut self, watermarks: &[Watermark]) -> Result<(), WriteError> {
        if watermarks.is_empty() {
            return Ok(());
        }
        self.write(|journal| {
            // First: where it finds no room, nothing was said that the caller takes for unsaid.
            journal.append_time()?;
            for chunk in watermarks.chunks(FRAME_ENTRIES_MAX) {
                let newest = |entry: &Watermark| match journal.watermarks.get(&entry.partition) {
                    Some(known) => known.or_newer(entry),
                    None => *entry,
                };
                let chunk: Vec<Watermark> = chunk.iter().map(newest).collect();
                journal.append(ENTRIES, count_of(chunk.len()), &encode_all(chunk.iter()))?;
                // Only now: a rewrite before would hold them, and then the frame again.
                journal
                    .watermarks
                    .extend(chunk.into_iter().map(|entry| (entry.partition, entry)));
            }
            journal.sync()
        })
    }

    /// Ends the journal of this process: `watermarks` are those of all partitions, and everything
    /// they speak of was synced without error.
    pub fn mark_clean(&mut self, watermarks: &[Watermark]) -> Result<(), WriteError> {
        self.write(|journal| {
            if watermarks.len() > CLEAN_ENTRIES_MAX {
                let count = watermarks.len();
                return Err(WriteError::NoSpace(StorageFailure::new(format!(
                    "a clean mark holds {CLEAN_ENTRIES_MAX} partitions at most, not {count}"
                ))));
            }
            // IMPORTANT: a trim at the stop may be written already and not be in `watermarks`.
            let known = std::mem::take(&mut journal.watermarks);
            let newest = |entry: &Watermark| match known.get(&entry.partition) {
                Some(known) => (entry.partition, known.or_newer(entry)),
                None => (entry.partition, *entry),
            };
            journal.watermarks = watermarks.iter().map(newest).collect();
            journal.append_time()?;
            let count = count_of(journal.watermarks.len());
            let body = encode_all(journal.watermarks.values());
            if skips(Safeguard::CleanMarkSync) {
                return journal.append(CLEAN, count, &body);
            }
            journal.append_and_sync(CLEAN, count, &body)
        })
    }

    /// Lets go of partitions that are no more: the next rewrite leaves them out.
    pub fn retain(&mut self, mut keep: impl FnMut(PartitionId) -> bool) {
        self.watermarks.retain(|partition, _| keep(*partition));
    }

    /// What it says of these partitions.
    pub(crate) fn known(&self, partitions: &[PartitionId]) -> Vec<Watermark> {
        let known = partitions.iter().map(|id| self.watermarks.get(id).copied());
        known.flatten().collect()
    }

    /// Begins a new file at this size, not at that of production.
    #[cfg(test)]
    pub(crate) fn roll_above(&mut self, bytes: u64) {
        self.roll_bytes_min = bytes;
    }

    /// How many partitions it speaks of.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.watermarks.len()
    }

    /// Runs a write; after one that failed there are no more.
    fn write(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if let Some(failure) = &self.failure {
            return Err(WriteError::Failed(failure.clone()));
        }
        let written = run(self);
        if let Err(WriteError::Failed(failure)) = &written {
            self.failure = Some(failure.clone());
        }
        written
    }

    fn append_time(&mut self) -> Result<(), WriteError> {
        match &self.clock {
            Some(clock) => {
                let now_ms = clock.wall_ms();
                self.append(TIME, 0, &now_ms.to_be_bytes())
            }
            None => Ok(()),
        }
    }

    fn append_and_sync(&mut self, kind: u8, count: u32, body: &[u8]) -> Result<(), WriteError> {
        self.append(kind, count, body)?;
        self.sync()
    }

    fn append(&mut self, kind: u8, count: u32, body: &[u8]) -> Result<(), WriteError> {
        let roll_at_bytes = self.roll_at_bytes();
        match &mut self.writer {
            Some(writer) if writer.size_bytes() <= roll_at_bytes => {
                writer.append(kind, count, body)
            }
            _ => self.roll()?.append(kind, count, body),
        }
    }

    fn sync(&self) -> Result<(), WriteError> {
        if skips(Safeguard::JournalSync) {
            return Ok(());
        }
        self.writer.as_ref().map_or(Ok(()), FrameWriter::sync)
    }

    fn roll_at_bytes(&self) -> u64 {
        let live_bytes = self.watermarks.len().saturating_mul(ENTRY_BYTES);
        let live_bytes = u64::try_from(live_bytes).expect("a length fits 64 bits");
        live_bytes
            .saturating_mul(LIVE_FACTOR)
            .max(self.roll_bytes_min)
    }

    /// Begins the next file with all that is known, and removes those that are too old.
    fn roll(&mut self) -> Result<&mut FrameWriter, WriteError> {
        let generation = self.next_generation;
        self.next_generation = after(generation);
        let path = path_of(&self.dir, generation);
        let writer = self.begin(&path, generation).inspect_err(|_| {
            // Gives a full disk its space back. What comes back of it is true, though old.
            let _ = self.vfs.remove_file(&path);
        })?;
        self.generations.push(generation);
        while self.generations.len() > FILES_KEPT {
            let old = path_of(&self.dir, self.generations.remove(0));
            // One that stays is only wasted space: what is older never overrules.
            if let Err(error) = self.vfs.remove_file(&old) {
                tracing::warn!(file = %old.display(), %error, "cannot remove");
            }
        }
        Ok(self.writer.insert(writer))
    }

    fn begin(&self, path: &Path, generation: u32) -> Result<FrameWriter, WriteError> {
        let mut writer = FrameWriter::create(&*self.vfs, path, generation).map_err(|error| {
            // Nothing was promised on it, and there are descriptors again later.
            if is_too_many(&error) {
                return WriteError::NoSpace(failure("create", path, &error));
            }
            WriteError::sort("create", path, &error)
        })?;
        if let Some(run) = &self.run {
            writer.append(OPEN, 0, &run.encode())?;
            // So that a power cut tears the end of a file only.
            writer.sync()?;
        }
        let known: Vec<&Watermark> = self.watermarks.values().collect();
        for chunk in known.chunks(FRAME_ENTRIES_MAX) {
            let body = encode_all(chunk.iter().copied());
            writer.append(ENTRIES, count_of(chunk.len()), &body)?;
        }
        writer.sync()?;
        if skips(Safeguard::JournalDirectorySync) {
            return Ok(writer);
        }
        self.vfs
            .sync_dir(&self.dir)
            .map_err(|error| WriteError::Failed(failure("sync", &self.dir, &error)))?;
        Ok(writer)
    }
}

/// The files in `@ottla`, oldest first.
fn generations_in(vfs: &dyn Vfs, own_dir: &Path) -> io::Result<Vec<u32>> {
    let entries = vfs.read_dir(own_dir)?;
    let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
    let mut generations: Vec<u32> = files
        .filter_map(|entry| generation_of(&entry.name))
        .collect();
    generations.sort_unstable();
    Ok(generations)
}

fn read_files(vfs: &dyn Vfs, own_dir: &Path, generations: &[u32]) -> JournalState {
    let mut state = JournalState::default();
    for &generation in generations {
        read_file(vfs, &path_of(own_dir, generation), generation, &mut state);
    }
    state
}

/// What the journal in the directory `@ottla` says, for who does not own it.
pub(crate) fn look(vfs: &dyn Vfs, own_dir: &Path) -> io::Result<JournalState> {
    let generations = generations_in(vfs, own_dir)?;
    Ok(read_files(vfs, own_dir, &generations))
}

fn read_file(vfs: &dyn Vfs, path: &Path, generation: u32, state: &mut JournalState) {
    state.exists = true;
    state.is_clean = false;
    state.is_torn = false;
    let bytes = match read_tolerant(vfs, path) {
        Ok((bytes, _)) => bytes,
        Err(error) => {
            tracing::error!(file = %path.display(), %error, "cannot read; recovery looks at more");
            state.bad_frames = state.bad_frames.saturating_add(1);
            return;
        }
    };
    for piece in Pieces::new(generation, &[&bytes]) {
        state.is_clean = false;
        match piece {
            Piece::Gap { is_tail: true, .. } => state.is_torn = true,
            Piece::Gap { is_tail: false, .. } => {
                state.bad_frames = state.bad_frames.saturating_add(1);
            }
            Piece::Frame { frame, .. } => match frame.kind {
                ENTRIES => {
                    state.take_entries(frame.body, frame.entry_count);
                }
                CLEAN => state.is_clean = state.take_clean(frame.body, frame.entry_count),
                TIME if frame.body.len() == TIME_BYTES => {
                    state.last_seen_ms = frame.body.try_into().ok().map(i64::from_be_bytes);
                }
                OPEN if frame.body.len() == BOOT_ID_BYTES => {
                    state.boot_id = frame.body.try_into().ok();
                    state.run = None;
                }
                OPEN if frame.body.len() == RUN_BYTES => {
                    state.run = Run::decode(frame.body);
                    state.boot_id = state.run.map(|run| run.boot_id);
                }
                _ => state.bad_frames = state.bad_frames.saturating_add(1),
            },
        }
    }
}

impl JournalState {
    /// Whether a partition that it does not name was never named. Every process says when it
    /// begins, so a journal in which none did has lost frames at its end too.
    pub(crate) fn is_whole(&self) -> bool {
        self.boot_id.is_some() && self.bad_frames == 0
    }

    /// Whether a later process than the last that it knows was given this epoch: what that one wrote
    /// here is lost, or it ended before it wrote anything.
    pub(crate) fn is_before(&self, epoch: Option<i32>) -> bool {
        let later = self
            .run
            .zip(epoch)
            .is_some_and(|(run, epoch)| run.epoch < epoch);
        later && !skips(Safeguard::JournalBehind)
    }

    /// Takes the good entries of a body; whether all are.
    fn take_entries(&mut self, body: &[u8], count: u32) -> bool {
        let bad_before = self.bad_frames;
        let mut entries = 0_u32;
        for bytes in body.chunks(ENTRY_BYTES) {
            entries = entries.saturating_add(1);
            match Watermark::decode(bytes) {
                Some(entry) => self.take(entry),
                None => self.bad_frames = self.bad_frames.saturating_add(1),
            }
        }
        entries == count && self.bad_frames == bad_before
    }

    /// A file that was given up for want of room may come back after a power cut, newer by name
    /// and older by content. Ends never move back, so the larger is the newer.
    fn take(&mut self, entry: Watermark) {
        let known = self.watermarks.entry(entry.partition).or_insert(entry);
        *known = known.or_newer(&entry);
    }

    /// Takes the entries of a clean frame; whether they are whole. They are all there are then.
    fn take_clean(&mut self, body: &[u8], count: u32) -> bool {
        let known = std::mem::take(&mut self.watermarks);
        let is_whole = self.take_entries(body, count);
        if !is_whole {
            for entry in known.into_values() {
                self.take(entry);
            }
        }
        is_whole
    }
}

/// The generation from the name of a file, `watermarks.{n}`.
pub(crate) fn generation_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix(PREFIX)?;
    let generation: u32 = number.parse().ok()?;
    (generation > 0 && generation.to_string() == number).then_some(generation)
}

fn after(generation: u32) -> u32 {
    generation
        .checked_add(1)
        .expect("2^32 rewrites take centuries")
}

fn path_of(dir: &Path, generation: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{generation}"))
}

fn count_of(entries: usize) -> u32 {
    u32::try_from(entries).expect("bounded by the size of a frame")
}

fn encode_all<'a>(entries: impl Iterator<Item = &'a Watermark>) -> Vec<u8> {
    let mut body = Vec::new();
    for entry in entries {
        entry.encode(&mut body);
    }
    body
}

#[cfg(test)]
mod tests;
