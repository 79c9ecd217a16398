//! Writing: the two files of this run, their generations, and one round after the other.
//!
//! One thread writes rounds, under a lock that nobody else waits for. Whoever synced the last log of
//! a closed generation lets go of it. No file is written to while its generation is closed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use records::checksum::crc32c;
use sabotage::{Safeguard, skips};
use storage::StorageFailure;
use vfs::{File, OpenMode, Vfs};

use super::layout::{BLOCK_BYTES, ENTRY_BYTES_MAX, ENTRY_HEAD_BYTES, Entry, Head};
use super::paths;
use crate::error::{WriteError, failure, is_no_space};
use crate::log::{DiskLog, Piece};
use crate::names;
use crate::paths::TEMPORARY_SUFFIX;
use crate::space::Space;
use crate::watermarks::Run;

/// Zeros are written in pieces of this size.
const ZERO_BYTES: usize = 256 * 1024;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Of each of the two files.
    pub(crate) file_bytes: u64,
    /// A round takes no more logs once it has this much.
    pub(crate) round_bytes: usize,
    /// A log for which more waits is synced by itself.
    pub(crate) entry_bytes: usize,
    /// Logs in a generation: their files are held open until they are synced.
    pub(crate) logs_max: usize,
}

impl Sizes {
    pub(crate) fn production(logs_max: usize) -> Self {
        Self {
            file_bytes: 16 * 1024 * 1024,
            round_bytes: 1024 * 1024,
            entry_bytes: 32 * 1024,
            logs_max,
        }
    }

    /// So small that a short script goes round and round.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn small(logs_max: usize) -> Self {
        Self {
            file_bytes: 28 * 1024,
            round_bytes: 10 * 1024,
            entry_bytes: 2 * 1024,
            logs_max,
        }
    }
}

/// See the head of the module.
#[derive(Debug)]
pub(crate) struct CommitFile {
    sizes: Sizes,
    pair: Mutex<Option<Pair>>,
}

/// The two files, once they are there.
#[derive(Debug)]
pub(crate) struct Pair {
    sizes: Sizes,
    run: Run,
    slots: [Arc<Slot>; 2],
    open: Option<Open>,
    /// The number of the next generation.
    next: u64,
    /// Something did not fit into the open one.
    is_full: bool,
    /// The buffer of the last round, to be used again.
    buffer: Vec<u8>,
}

/// One of the files.
#[derive(Debug)]
struct Slot {
    path: PathBuf,
    file: Arc<dyn File>,
    /// No live generation is in it.
    free: AtomicBool,
    /// The last that was begun in it.
    generation: AtomicU64,
}

/// The generation that rounds go to.
#[derive(Debug)]
struct Open {
    slot: Arc<Slot>,
    head: Head,
    seed: u32,
    used_bytes: u64,
    sequence: u32,
    logs: Vec<Arc<DiskLog>>,
    began_at: Duration,
}

/// A generation that gets no more rounds; live until every log in it is synced by itself.
#[derive(Debug)]
pub(crate) struct Closed {
    slot: Arc<Slot>,
    logs_left: AtomicUsize,
}

/// A round that is gathered.
#[derive(Debug)]
pub(crate) struct Round {
    generation: u64,
    buffer: Vec<u8>,
    first: u32,
    sequence: u32,
    bytes_max: usize,
    room_bytes: usize,
    logs_left: usize,
    new_logs: Vec<Arc<DiskLog>>,
    is_empty: bool,
}

/// What became of a log's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// They are part of the round.
    In,
    /// This round has enough, or its generation; another one may take them.
    Full,
    /// What the log's file holds is not what was written, or cannot be read.
    Unreadable,
}

/// How a round ended.
#[derive(Debug)]
pub(crate) enum Written {
    /// Everything in it is durable.
    Durable,
    /// There was no room for it, and nothing in it counts.
    NoSpace(io::Error),
    Failed(StorageFailure),
}

/// Why there is no commit file.
#[derive(Debug)]
pub(crate) enum Unprepared {
    /// It cannot be made; logs can do without.
    Without(StorageFailure),
    /// A sync failed.
    Failed(StorageFailure),
}

impl Closed {
    /// One log of a closed generation is synced by itself. The last one frees the file, if its head can
    /// be wiped; on a full disk that may fail, and the file is not used again.
    pub(crate) fn log_synced(&self) -> Result<(), StorageFailure> {
        if self.logs_left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        match wipe(&self.slot) {
            Ok(()) => {}
            Err(WriteError::NoSpace(failure)) => {
                tracing::warn!(%failure, "half of the commit file is not used any more");
                return Ok(());
            }
            Err(WriteError::Failed(failure)) => return Err(failure),
        }
        self.slot.free.store(true, Ordering::Release);
        Ok(())
    }
}

impl Round {
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }
}

impl CommitFile {
    pub(crate) fn new(sizes: Sizes) -> Self {
        Self {
            sizes,
            pair: Mutex::new(None),
        }
    }

    pub(crate) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Whether the files are there, so that [`CommitFile::prepare`] takes no time.
    pub(crate) fn is_made(&self, vfs: &dyn Vfs, own_dir: &Path) -> bool {
        let is_whole = |path: PathBuf| {
            let stat = vfs.stat(&path).ok().flatten();
            stat.is_some_and(|stat| stat.size_bytes == self.sizes.file_bytes)
        };
        paths(own_dir).into_iter().all(is_whole)
    }

    /// Opens the two files, or makes them, if that leaves the reserve of the disk. Nothing in them
    /// counts for this run: what the last one left was written into its logs, and the journal names
    /// this run now.
    pub(crate) fn prepare(
        &self,
        vfs: &dyn Vfs,
        own_dir: &Path,
        run: Run,
        space: &Space,
    ) -> Result<(), Unprepared> {
        let failed = |path: &Path, error: io::Error| {
            let failure = failure("make", path, &error);
            if names::is_failed_sync(&error) {
                Unprepared::Failed(failure)
            } else {
                Unprepared::Without(failure)
            }
        };
        let mut found = Vec::new();
        for path in paths(own_dir) {
            let file = self.look(vfs, &path);
            let file = file.map_err(|error| failed(&path, error))?;
            found.push((path, file));
        }
        let missing = found.iter().filter(|(_, file)| file.is_none()).count();
        let missing_bytes = self.sizes.file_bytes.saturating_mul(bytes_of(missing));
        space.has(missing_bytes).map_err(Unprepared::Without)?;
        let mut slots = Vec::new();
        for (path, file) in found {
            let file = match file {
                Some(file) => file,
                None => self
                    .make(vfs, &path)
                    .map_err(|error| failed(&path, error))?,
            };
            slots.push(Arc::new(Slot {
                path,
                file,
                free: AtomicBool::new(true),
                generation: AtomicU64::new(0),
            }));
        }
        // IMPORTANT: before the first round. Also where they were there before: whoever made them may
        // have died in between.
        vfs.sync_dir(own_dir)
            .map_err(|error| Unprepared::Failed(failure("sync", own_dir, &error)))?;
        let slots = <[Arc<Slot>; 2]>::try_from(slots).expect("there are two names");
        *self.pair.lock() = Some(Pair {
            sizes: self.sizes,
            run,
            slots,
            open: None,
            next: 1,
            is_full: false,
            buffer: Vec::new(),
        });
        Ok(())
    }

    /// The file, if it is there as it should be. What a crash left of making it goes.
    fn look(&self, vfs: &dyn Vfs, path: &Path) -> io::Result<Option<Arc<dyn File>>> {
        // One that stays is overwritten.
        let _ = vfs.remove_file(&temporary(path));
        match vfs.open(path, OpenMode::ReadWrite) {
            Ok(file) => {
                let is_whole = file.size_bytes()? == self.sizes.file_bytes;
                Ok(is_whole.then_some(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make(&self, vfs: &dyn Vfs, path: &Path) -> io::Result<Arc<dyn File>> {
        let temporary = temporary(path);
        let made = self
            .fill(vfs, &temporary)
            .and_then(|()| vfs.rename(&temporary, path))
            .and_then(|()| vfs.open(path, OpenMode::ReadWrite));
        if made.is_err() {
            // Gives a full disk its space back.
            let _ = vfs.remove_file(&temporary);
        }
        made
    }

    /// IMPORTANT: zeros, not a size: blocks that were never written cost a sync of the inode each
    /// time one is, and may not be there when they are needed.
    fn fill(&self, vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
        let file = vfs.open(path, OpenMode::ReadWriteCreate)?;
        file.set_size(0)?;
        let zeros = vec![0; ZERO_BYTES];
        let mut at = 0;
        while at < self.sizes.file_bytes {
            let left = usize::try_from(self.sizes.file_bytes.saturating_sub(at));
            let piece = zeros.get(..left.unwrap_or(ZERO_BYTES)).unwrap_or(&zeros);
            vfs::write_all_at(&*file, piece, at)?;
            at = at.saturating_add(bytes_of(piece.len()));
        }
        vfs::write_all_at(&*file, &Head::wiped().encode(), 0)?;
        names::sync_data(&*file)
    }

    /// The files, where they are in use.
    pub(crate) fn pair(&self) -> Option<MutexGuard<'_, Option<Pair>>> {
        let pair = self.pair.lock();
        pair.is_some().then_some(pair)
    }

    /// Whether a generation is open that has something in it.
    pub(crate) fn is_begun(&self) -> bool {
        let pair = self.pair.lock();
        pair.as_ref().is_some_and(|pair| pair.began_at().is_some())
    }

    /// The generations that a start after a crash would write into the logs.
    pub(crate) fn live(&self) -> Vec<u64> {
        let pair = self.pair.lock();
        let slots = pair.iter().flat_map(|pair| &pair.slots);
        let in_use = slots.filter(|slot| !slot.free.load(Ordering::Acquire));
        in_use
            .map(|slot| slot.generation.load(Ordering::Acquire))
            .collect()
    }

    /// Lets go of the logs, which hold it in turn. The files stay as they are, for the next start.
    pub(crate) fn release(&self) {
        self.pair.lock().take();
    }

    /// Every log is synced by itself and nothing is written any more: nothing in the files counts.
    pub(crate) fn end(&self) -> Result<(), StorageFailure> {
        let Some(pair) = self.pair.lock().take() else {
            return Ok(());
        };
        let in_use = |slot: &&Arc<Slot>| !slot.free.load(Ordering::Acquire);
        for slot in pair.slots.iter().filter(in_use) {
            match wipe(slot) {
                // The clean mark says that nothing in it counts.
                Ok(()) | Err(WriteError::NoSpace(_)) => {}
                Err(WriteError::Failed(failure)) => return Err(failure),
            }
        }
        Ok(())
    }
}

impl Slot {
    fn is_free(&self) -> bool {
        self.free.load(Ordering::Acquire) || skips(Safeguard::CommitReuse)
    }
}

/// Makes the generation in a file one that no start looks at.
fn wipe(slot: &Slot) -> Result<(), WriteError> {
    vfs::write_all_at(&*slot.file, &Head::wiped().encode(), 0)
        .map_err(|error| WriteError::sort("wipe", &slot.path, &error))?;
    slot.file
        .sync_data()
        .map_err(|error| WriteError::Failed(failure("sync", &slot.path, &error)))
}

impl Pair {
    /// When the generation that is open began, if it has anything in it.
    pub(crate) fn began_at(&self) -> Option<Duration> {
        let open = self.open.as_ref().filter(|open| !open.logs.is_empty());
        open.map(|open| open.began_at)
    }

    /// Whether something did not fit into the open generation.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Ends the open generation, if the other file is free to follow it. Its logs are to be synced.
    pub(crate) fn turn(&mut self) -> Option<(Arc<Closed>, Vec<Arc<DiskLog>>)> {
        let other_is_free = self.slots.iter().any(|slot| slot.is_free());
        self.open
            .take_if(|open| !open.logs.is_empty() && other_is_free)
            .map(close)
    }

    /// Ends the open generation whether or not another can follow.
    pub(crate) fn give_up(&mut self) -> Option<(Arc<Closed>, Vec<Arc<DiskLog>>)> {
        self.open
            .take()
            .filter(|open| !open.logs.is_empty())
            .map(close)
    }

    /// Begins a round; `None` if there is no file to write it to.
    pub(crate) fn begin(&mut self, now: Duration) -> Option<Round> {
        if self.open.is_none() {
            let slot = self.slots.iter().find(|slot| slot.is_free())?;
            slot.free.store(false, Ordering::Release);
            let generation = self.next;
            slot.generation.store(generation, Ordering::Release);
            let head = Head {
                run: self.run,
                file_bytes: u32::try_from(self.sizes.file_bytes).expect("a file is small"),
                generation,
            };
            self.next = generation.saturating_add(1);
            self.is_full = false;
            self.open = Some(Open {
                slot: Arc::clone(slot),
                head,
                seed: head.seed(),
                used_bytes: 0,
                sequence: 0,
                logs: Vec::new(),
                began_at: now,
            });
        }
        let open = self.open.as_mut()?;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        if open.used_bytes == 0 {
            buffer.extend_from_slice(&open.head.encode());
        }
        let room_bytes = self.sizes.file_bytes.saturating_sub(open.used_bytes);
        Some(Round {
            generation: open.head.generation,
            buffer,
            first: open.sequence,
            sequence: open.sequence,
            bytes_max: self.sizes.round_bytes,
            room_bytes: usize::try_from(room_bytes).unwrap_or(usize::MAX),
            logs_left: self.sizes.logs_max.saturating_sub(open.logs.len()),
            new_logs: Vec::new(),
            is_empty: true,
        })
    }

    /// Adds what waits in a log.
    pub(crate) fn add(&mut self, round: &mut Round, log: &Arc<DiskLog>, piece: &Piece) -> Added {
        let open = self.open.as_ref().expect("a round belongs to a generation");
        let size_bytes = piece.size_bytes();
        assert!(
            size_bytes > 0 && size_bytes <= ENTRY_BYTES_MAX,
            "an entry of {size_bytes} bytes"
        );
        let start = round.buffer.len();
        let end = start.saturating_add(Entry::total_bytes(size_bytes));
        let is_full = end.next_multiple_of(BLOCK_BYTES) > round.room_bytes
            || piece.is_new && round.new_logs.len() >= round.logs_left;
        self.is_full |= is_full;
        if is_full || !round.is_empty && end > round.bytes_max {
            return Added::Full;
        }
        round.buffer.resize(end, 0);
        let whole = round.buffer.get_mut(start..).expect("made above");
        let records = whole
            .get_mut(ENTRY_HEAD_BYTES..ENTRY_HEAD_BYTES.saturating_add(size_bytes))
            .expect("made above");
        if !piece.read_into(records) {
            round.buffer.truncate(start);
            return Added::Unreadable;
        }
        let entry = Entry {
            partition: log.id(),
            name_crc: crc32c(log.topic_name().as_str().as_bytes()),
            base: piece.mark.base,
            next: piece.mark.offset,
            position: piece.start,
            size_bytes,
            sequence: round.sequence,
            round: round.first,
        };
        entry.seal(open.seed, whole);
        round.sequence = round.sequence.saturating_add(1);
        round.is_empty = false;
        if piece.is_new {
            log.note_generation(round.generation);
            round.new_logs.push(Arc::clone(log));
        }
        Added::In
    }

    pub(crate) fn entry_bytes(&self) -> usize {
        self.sizes.entry_bytes
    }

    /// A round with nothing in it is not written.
    pub(crate) fn keep(&mut self, round: Round) {
        assert!(round.is_empty(), "a round with entries is written");
        self.buffer = round.buffer;
    }

    /// Writes a round and makes it durable.
    pub(crate) fn write(&mut self, mut round: Round) -> Written {
        let open = self.open.as_mut().expect("a round belongs to a generation");
        open.logs.append(&mut round.new_logs);
        let size_bytes = round.buffer.len().next_multiple_of(BLOCK_BYTES);
        round.buffer.resize(size_bytes, 0);
        let (file, path) = (&open.slot.file, &open.slot.path);
        let written = vfs::write_all_at(&**file, &round.buffer, open.used_bytes);
        open.used_bytes = open.used_bytes.saturating_add(bytes_of(size_bytes));
        open.sequence = round.sequence;
        assert!(
            open.used_bytes <= self.sizes.file_bytes,
            "a commit file does not grow to {}",
            open.used_bytes
        );
        self.buffer = round.buffer;
        match written {
            Ok(()) => {}
            Err(error) if is_no_space(&error) => return Written::NoSpace(error),
            Err(error) => return Written::Failed(failure("write", path, &error)),
        }
        if skips(Safeguard::CommitSync) {
            return Written::Durable;
        }
        match file.sync_data() {
            Ok(()) => Written::Durable,
            Err(error) => Written::Failed(failure("sync", path, &error)),
        }
    }
}

fn close(open: Open) -> (Arc<Closed>, Vec<Arc<DiskLog>>) {
    let closed = Closed {
        slot: open.slot,
        logs_left: AtomicUsize::new(open.logs.len()),
    };
    (Arc::new(closed), open.logs)
}

fn temporary(path: &Path) -> PathBuf {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(TEMPORARY_SUFFIX);
    PathBuf::from(temporary)
}

fn bytes_of(size: usize) -> u64 {
    u64::try_from(size).expect("a usize fits 64 bits")
}
