//! What a commit file holds: the entries that count.
//!
//! A good entry counts, whatever lies before it: a log has one in a round, and its checksum proves
//! what was written. A round is written only after the one before it was synced. So an entry that is
//! missing below the last round was damaged later; in the last round it may never have been synced.
//!
//! The file is read to its end: nothing else tells where rounds end from a hole in them. Keeps the
//! places of entries, not their bytes. An error of the disk is one here too: what it hides may be
//! there at the next try.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sabotage::{Safeguard, skips};
use vfs::{File, OpenMode, Vfs};

use super::layout::{
    ALIGN_BYTES, BLOCK_BYTES, ENTRY_HEAD_BYTES, Entry, HEADS_BYTES, Head, are_good,
};
use super::paths;
use crate::position::Position;
use crate::watermarks::Run;
use crate::window::{Access, Fault, Window};

const CHUNK_BYTES: usize = 256 * 1024;

/// One generation, as it was found.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(super) head: Head,
    /// In the order in which they were written, each with where its records are in the file.
    pub(crate) entries: Vec<(Entry, Position)>,
    /// Entries that were synced, and whose records are damaged.
    pub(super) lost: Vec<Entry>,
    /// How many entries were synced and are damaged, those of which nothing is left too.
    pub(crate) damaged: u32,
    /// Entries that are missing in the last round: damaged, or never written.
    pub(crate) uncertain: u32,
    /// The file is shorter than it was made.
    pub(super) is_short: bool,
    pub(super) file: Arc<dyn File>,
}

impl Contents {
    /// The records of an entry.
    pub(crate) fn records(&self, entry: &Entry, at: Position) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; entry.size_bytes];
        vfs::read_exact_at(&*self.file, &mut bytes, at.bytes())?;
        Ok(bytes)
    }
}

/// The generations that were found, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) generations: Vec<Contents>,
    /// Files with a head that is damaged in both its places, or cut off.
    pub(crate) headless: Vec<PathBuf>,
}

/// Reads the generations of the newest run among those that `counts` says yes to.
pub(crate) fn read_live(
    vfs: &dyn Vfs,
    own_dir: &Path,
    counts: impl Fn(&Run) -> bool,
) -> Result<Live, (PathBuf, io::Error)> {
    let mut live = Live::default();
    for path in paths(own_dir) {
        let file = match vfs.open(&path, OpenMode::Read) {
            Ok(file) => file,
            // One that is no file was never ours.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
                ) =>
            {
                continue;
            }
            Err(error) => return Err((path, error)),
        };
        match read(file, &counts) {
            Ok(Found::Nothing) => {}
            Ok(Found::Headless) => live.headless.push(path),
            Ok(Found::Generation(contents)) => live.generations.push(contents),
            Err(Fault::Io(error)) => return Err((path, error)),
            Err(Fault::NotCached | Fault::Read(_)) => {
                return Err((path, io::Error::other("a read failed")));
            }
        }
    }
    // IMPORTANT: a run that wrote rounds began after all that the one before left was in its logs.
    let newest = live.generations.iter().map(|found| found.head.run.epoch);
    let newest = newest.max();
    live.generations
        .retain(|found| Some(found.head.run.epoch) == newest || skips(Safeguard::CommitNewestRun));
    live.generations
        .sort_by_key(|contents| contents.head.generation);
    Ok(live)
}

/// What a file holds.
enum Found {
    Nothing,
    Headless,
    Generation(Contents),
}

fn read(file: Arc<dyn File>, counts: impl Fn(&Run) -> bool) -> Result<Found, Fault> {
    let size = Position::end_of(file.size_bytes()?);
    let heads = first_blocks(&*file)?;
    let Some(head) = Head::find(&heads) else {
        return Ok(Found::Headless);
    };
    let is_of_another = !counts(&head.run) && !skips(Safeguard::CommitRun);
    if head.is_wiped() || is_of_another {
        return Ok(Found::Nothing);
    }
    let mut reader = Reader {
        window: Window::new(&*file, Access::Blocking, CHUNK_BYTES),
        seed: head.seed(),
        size,
    };
    let (mut entries, mut bad) = (Vec::new(), Vec::new());
    let mut at = Position::ZERO.plus(HEADS_BYTES);
    let mut expected = 0;
    while let Some((entry, place, is_good)) = reader.next(at, expected)? {
        at = place.plus(Entry::total_bytes(entry.size_bytes));
        expected = entry.sequence.saturating_add(1);
        if is_good {
            entries.push((entry, place.plus(ENTRY_HEAD_BYTES)));
        } else {
            bad.push(entry);
        }
    }
    drop(reader);
    // Somebody who does not own the directory may read while its owner goes on to the next.
    if first_blocks(&*file)? != heads {
        return Ok(Found::Nothing);
    }
    let good = entries.iter().map(|(entry, _)| *entry);
    let last = bad.iter().copied().chain(good).max_by_key(|it| it.sequence);
    let (damaged, uncertain) = last.map_or((0, 0), |last| missing(&entries, last));
    bad.retain(|entry| last.is_some_and(|last| entry.sequence < last.round));
    Ok(Found::Generation(Contents {
        head,
        entries,
        lost: bad,
        damaged,
        uncertain,
        is_short: size.bytes() < u64::from(head.file_bytes),
        file,
    }))
}

fn first_blocks(file: &dyn File) -> Result<Vec<u8>, Fault> {
    let mut window = Window::new(file, Access::Blocking, HEADS_BYTES);
    Ok(window.bytes(Position::ZERO, HEADS_BYTES)?.to_vec())
}

/// How many entries are missing before the last round, and in it before the last of which there is a
/// trace.
fn missing(entries: &[(Entry, Position)], last: Entry) -> (u32, u32) {
    let count = |is_synced: bool| {
        let of = |(entry, _): &&(Entry, Position)| (entry.sequence < last.round) == is_synced;
        u32::try_from(entries.iter().filter(of).count()).expect("no more than sequences")
    };
    let in_last = last.sequence.saturating_sub(last.round).saturating_add(1);
    (
        last.round.saturating_sub(count(true)),
        in_last.saturating_sub(count(false)),
    )
}

struct Reader<'a> {
    window: Window<'a>,
    seed: u32,
    size: Position,
}

impl Reader<'_> {
    /// The entry at `at`, or the next one behind up to the end of the file; none with a number below
    /// `expected`. And whether its records are good.
    fn next(
        &mut self,
        at: Position,
        expected: u32,
    ) -> Result<Option<(Entry, Position, bool)>, Fault> {
        if let Some((entry, is_good)) = self.entry(at, expected)? {
            return Ok(Some((entry, at, is_good)));
        }
        let mut from = at;
        while from < self.size {
            let length = BLOCK_BYTES.min(self.size.since(from));
            for place in self.candidates(from, length)? {
                if let Some((entry, is_good)) = self.entry(place, expected)? {
                    return Ok(Some((entry, place, is_good)));
                }
            }
            from = from.plus(BLOCK_BYTES);
        }
        Ok(None)
    }

    /// Where entries may begin, by their first bytes.
    fn candidates(&mut self, from: Position, length: usize) -> Result<Vec<Position>, Fault> {
        let bytes = self.window.bytes(from, length)?;
        let places = bytes.chunks(ALIGN_BYTES).enumerate();
        let begins = places.filter(|(_, bytes)| Entry::begins(bytes));
        let place = |(number, _): (usize, _)| from.plus(number.saturating_mul(ALIGN_BYTES));
        Ok(begins.map(place).collect())
    }

    fn entry(&mut self, at: Position, expected: u32) -> Result<Option<(Entry, bool)>, Fault> {
        if at.plus(ENTRY_HEAD_BYTES) > self.size {
            return Ok(None);
        }
        let head = self.window.bytes(at, ENTRY_HEAD_BYTES)?;
        let Some((entry, crc)) = Entry::parse(head, self.seed) else {
            return Ok(None);
        };
        if entry.sequence < expected {
            return Ok(None);
        }
        let records = at.plus(ENTRY_HEAD_BYTES);
        let bytes = self.window.bytes(records, entry.size_bytes)?;
        let is_good = bytes.len() == entry.size_bytes && are_good(bytes, crc);
        Ok(Some((entry, is_good)))
    }
}
