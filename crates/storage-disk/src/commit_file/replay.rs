//! At a start: what only the commit file has durable is written into the logs, before anybody looks
//! at them.
//!
//! An entry is written where it belongs unless another good batch stands there. That holds where the
//! same bytes stand there already, too: they may be in memory only, left by a write that failed to
//! reach the disk, and of that the system tells nobody again. Then each file is synced. A second
//! replay does the same, so a crash in between costs nothing; an error of the disk refuses the start,
//! and nothing is lost by that.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use records::checksum::crc32c;
use records::{BatchHeader, Batches, Offset};
use sabotage::{Safeguard, skips};
use storage::{PartitionId, TopicId};
use vfs::{File, OpenMode, Vfs};

use super::contents::{Contents, Live, read_live};
use super::layout::Entry;
use crate::directory::OWN_DIR;
use crate::paths::{SegmentFile, partition_dir};
use crate::position::Position;
use crate::recovery::{Label, Promise, RecoveryReport};
use crate::store::{FoundTopic, find_topics};
use crate::walk::{EpochRange, Step, Walk};
use crate::watermarks::{self, JournalState, Run};
use crate::window::Access;

/// What stands where a batch of an entry belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The same bytes.
    Same,
    /// No good batch.
    Nothing,
    /// Another good batch.
    Other,
}

/// Why a replay did not happen. Nothing is lost by it: the next start does the same.
#[derive(Debug)]
pub(crate) enum ReplayError {
    /// The commit file cannot be read.
    Read { path: PathBuf, source: io::Error },
    /// A log cannot be written or synced.
    Write { path: PathBuf, source: io::Error },
}

impl ReplayError {
    fn into_parts(self) -> (PathBuf, io::Error) {
        match self {
            Self::Read { path, source } | Self::Write { path, source } => (path, source),
        }
    }
}

/// See the head of the module.
pub(crate) struct Replay<'a> {
    pub(crate) vfs: &'a dyn Vfs,
    pub(crate) own_dir: &'a Path,
    pub(crate) state: &'a JournalState,
    /// The epoch of the last start, as the metadata knows it.
    pub(crate) epoch: Option<i32>,
    pub(crate) found: &'a [FoundTopic],
    /// Files that are written and synced at a time.
    pub(crate) threads: usize,
}

/// By the CRC of a name: which topic had it last.
type Names = BTreeMap<u32, TopicId>;

/// By the directory of a partition: what its recovery has to keep.
pub(crate) type Promises = BTreeMap<PathBuf, Vec<Promise>>;

/// What belongs into a segment, oldest first, each with where the commit file has its records, if they
/// are good there.
type Pieces<'a> = Vec<(&'a Contents, Entry, Option<Position>)>;

/// A segment, and what belongs into it.
type Target<'a> = ((PartitionId, Offset), Pieces<'a>);

/// What came of one segment.
#[derive(Debug, Default)]
struct Outcome {
    directory: PathBuf,
    restored_bytes: u64,
    promises: Vec<Promise>,
    alarms: Vec<String>,
}

impl Replay<'_> {
    /// Whether entries of this run belong into the logs: it is the last that the journal knows, or,
    /// where the journal lost frames, the last that was given an epoch. Where nobody knows that
    /// either, any may be.
    fn counts(&self, run: &Run) -> bool {
        let (state, epoch) = (self.state, self.epoch);
        let is_damaged = !state.is_whole() || state.is_torn || state.is_before(epoch);
        let is_last = || is_damaged && epoch.is_none_or(|epoch| epoch == run.epoch);
        state.run.as_ref() == Some(run) || is_last()
    }

    /// What is not in the logs for certain; nothing after a clean end, for then every log was synced
    /// by itself.
    fn live(&self) -> Result<Live, ReplayError> {
        let is_clean = self.state.is_clean && !self.state.is_before(self.epoch);
        if is_clean || skips(Safeguard::CommitReplay) {
            return Ok(Live::default());
        }
        let live = read_live(self.vfs, self.own_dir, |run| self.counts(run));
        live.map_err(|(path, source)| ReplayError::Read { path, source })
    }

    /// Writes what belongs into the logs, and says what their recoveries have to keep.
    pub(crate) fn run(&self, report: &mut RecoveryReport) -> Result<Promises, ReplayError> {
        let live = self.live()?;
        for what in damage_in(&live) {
            report.alarm(Label::X, what);
        }
        for contents in &live.generations {
            note_uncertain(contents, report);
        }
        let names = names_in(&live);
        let targets = Mutex::new(targets_in(&live).into_iter());
        let outcomes = Mutex::new(Ok(Vec::new()));
        let work = || {
            while outcomes.lock().is_ok() {
                let next = targets.lock().next();
                let Some(target) = next else { return };
                let outcome = self.restore(&target, &names);
                let mut outcomes = outcomes.lock();
                match (outcome, &mut *outcomes) {
                    (Ok(outcome), Ok(all)) => all.extend(outcome),
                    (Err(failed), outcomes) => *outcomes = Err(failed),
                    (Ok(_), Err(_)) => {}
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads {
                // With fewer threads it takes longer.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        let mut promises = Promises::new();
        let outcomes = outcomes.into_inner();
        for outcome in outcomes.map_err(|(path, source)| ReplayError::Write { path, source })? {
            note(&outcome, report);
            let of_log = promises.entry(outcome.directory).or_default();
            of_log.extend(outcome.promises);
        }
        Ok(promises)
    }

    /// The directory of a partition that is here. A topic without its label is known by its name,
    /// and is the one that last had it.
    fn directory(&self, partition: PartitionId, names: &Names) -> Option<PathBuf> {
        let is_it = |topic: &&FoundTopic| {
            if !topic.unlabelled {
                return topic.stored.id == partition.topic;
            }
            let name_crc = crc32c(topic.stored.name.as_str().as_bytes());
            names.get(&name_crc) == Some(&partition.topic)
        };
        let topic = self.found.iter().find(is_it)?;
        let is_here = topic.partitions.contains(&partition.partition);
        is_here.then(|| partition_dir(&topic.directory, partition.partition))
    }

    /// `None`: the topic was removed, or the partition is missing, which its recovery says.
    fn restore(
        &self,
        target: &Target<'_>,
        names: &Names,
    ) -> Result<Option<Outcome>, (PathBuf, io::Error)> {
        let ((partition, base), entries) = target;
        let Some(directory) = self.directory(*partition, names) else {
            return Ok(None);
        };
        let path = SegmentFile::Log.path(&directory, *base);
        let promise = |(_, entry, _): &(_, Entry, _)| Promise {
            base: *base,
            place: None,
            next: entry.next,
        };
        let mut outcome = Outcome {
            directory,
            promises: entries.iter().map(promise).collect(),
            ..Outcome::default()
        };
        let file = match self.vfs.open(&path, OpenMode::ReadWrite) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let known = self.state.watermarks.get(partition);
                let start = known.map_or(Offset::ZERO, |known| known.log_start);
                if *base >= start {
                    let what = "the commit file has records of a segment that is gone";
                    outcome.alarms.push(format!("{}: {what}", path.display()));
                }
                return Ok(Some(outcome));
            }
            Err(error) => return Err((path, error)),
        };
        match put_all(&*file, entries, &mut outcome, &path).and_then(|()| file.sync_data()) {
            Ok(()) => Ok(Some(outcome)),
            Err(error) => Err((path, error)),
        }
    }
}

/// Everything in these generations, by the segments.
fn targets_in(live: &Live) -> BTreeMap<(PartitionId, Offset), Pieces<'_>> {
    let mut targets: BTreeMap<_, Pieces<'_>> = BTreeMap::new();
    for contents in &live.generations {
        let good = contents
            .entries
            .iter()
            .map(|(entry, at)| (entry, Some(*at)));
        let lost = contents.lost.iter().map(|entry| (entry, None));
        for (entry, at) in good.chain(lost) {
            let target = targets.entry((entry.partition, entry.base)).or_default();
            target.push((contents, *entry, at));
        }
    }
    targets
}

fn names_in(live: &Live) -> Names {
    let entries = live.generations.iter().flat_map(|found| &found.entries);
    let names = entries.map(|(entry, _)| (entry.name_crc, entry.partition.topic));
    names.collect()
}

/// What was durable in these generations and is damaged, a sentence each.
fn damage_in(live: &Live) -> Vec<String> {
    let headless = live.headless.iter().map(|path| {
        let what = "its head is damaged; what it held for logs is lost";
        format!("{}: {what}", path.display())
    });
    let short = live.generations.iter().filter(|found| found.is_short);
    let short = short.map(|found| {
        let generation = found.head.generation;
        format!("the file of generation {generation} of the commit file lost its end")
    });
    let damaged = live.generations.iter().filter(|found| found.damaged > 0);
    let damaged = damaged.map(|found| {
        let (count, generation) = (found.damaged, found.head.generation);
        format!("{count} damaged entries in generation {generation} of the commit file")
    });
    headless.chain(short).chain(damaged).collect()
}

fn note_uncertain(contents: &Contents, report: &mut RecoveryReport) {
    if contents.uncertain > 0 {
        report.count(Label::X);
        tracing::warn!(
            missing = contents.uncertain,
            "X: entries of the last round of the commit file are not there; a power cut in the \
             middle of it leaves that"
        );
    }
}

fn note(outcome: &Outcome, report: &mut RecoveryReport) {
    if outcome.restored_bytes > 0 {
        report.count(Label::W);
        let (directory, bytes) = (outcome.directory.display(), outcome.restored_bytes);
        tracing::info!(
            "{}: {bytes} bytes of {directory} from the commit file",
            Label::W
        );
        report.restored_bytes = report.restored_bytes.saturating_add(outcome.restored_bytes);
    }
    for what in &outcome.alarms {
        report.alarm(Label::X, what.clone());
    }
}

/// Writes the entries that are good, and notes with their promises where they stand.
fn put_all(
    file: &dyn File,
    entries: &[(&Contents, Entry, Option<Position>)],
    outcome: &mut Outcome,
    path: &Path,
) -> io::Result<()> {
    for (number, (contents, entry, at)) in entries.iter().enumerate() {
        let Some(at) = at else { continue };
        let records = contents.records(entry, *at)?;
        let place = put(file, entry.position, &records, outcome, path)?;
        if let Some(promise) = outcome.promises.get_mut(number) {
            promise.place = place;
        }
    }
    Ok(())
}

/// Writes the batches of an entry up to the first in whose place another stands. Where they stand now,
/// and their first offset.
fn put(
    file: &dyn File,
    start: Position,
    records: &[u8],
    outcome: &mut Outcome,
    path: &Path,
) -> io::Result<Option<(Position, Offset)>> {
    if start > Position::end_of(file.size_bytes()?) {
        let what = format!("the bytes before byte {start} are gone, those behind are not");
        outcome.alarms.push(format!("{}: {what}", path.display()));
    }
    let (mut fitting_bytes, mut first) = (0_usize, None);
    for found in Batches::new(records) {
        let Ok((at, header, batch)) = found else {
            break;
        };
        let position = start.plus(at);
        match standing(file, position, batch) {
            Standing::Other if !skips(Safeguard::CommitOther) => {
                let offset = header.base_offset;
                let what = format!(
                    "at byte {position} another good batch stands than the commit file has, \
                     of offset {offset}; it is left"
                );
                outcome.alarms.push(format!("{}: {what}", path.display()));
                break;
            }
            Standing::Same if skips(Safeguard::CommitRewrite) => return Ok(None),
            Standing::Same => {}
            Standing::Nothing | Standing::Other => {
                let size_bytes = u64::try_from(batch.len()).expect("a usize fits 64 bits");
                outcome.restored_bytes = outcome.restored_bytes.saturating_add(size_bytes);
            }
        }
        fitting_bytes = at.saturating_add(batch.len());
        first.get_or_insert(header.base_offset);
    }
    let fitting = records.get(..fitting_bytes).expect("whole batches of it");
    vfs::write_all_at(file, fitting, start.bytes())?;
    Ok(first.map(|first| (start, first)))
}

/// Calls `each` for every entry that a start would write: the segment, the positions, and whether
/// the segment does not have it yet. `epoch`: of the last start, as the metadata knows it. Gives what
/// is damaged. Writes nothing.
pub(crate) fn survey(
    vfs: &dyn Vfs,
    (data_dir, epoch): (&Path, Option<i32>),
    each: &mut dyn FnMut(PathBuf, (u64, u64), bool),
) -> Result<Vec<String>, (PathBuf, io::Error)> {
    let own_dir = data_dir.join(OWN_DIR);
    let failed = |error| (own_dir.clone(), error);
    let state = watermarks::look(vfs, &own_dir).map_err(failed)?;
    let found = find_topics(vfs, data_dir, 0).map_err(|error| (data_dir.to_owned(), error))?;
    let replay = Replay {
        vfs,
        own_dir: &own_dir,
        state: &state,
        epoch,
        found: &found,
        threads: 0,
    };
    let live = replay.live().map_err(ReplayError::into_parts)?;
    let names = names_in(&live);
    for contents in &live.generations {
        for (entry, at) in &contents.entries {
            let Some(directory) = replay.directory(entry.partition, &names) else {
                continue;
            };
            let path = SegmentFile::Log.path(&directory, entry.base);
            let file = match vfs.open(&path, OpenMode::Read) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err((path, error)),
            };
            let records = contents.records(entry, *at);
            let records = records.map_err(|error| (path.clone(), error))?;
            let lacks = |(at, _, batch): (usize, BatchHeader, &[u8])| {
                standing(&*file, entry.position.plus(at), batch) == Standing::Nothing
            };
            let is_missing = Batches::new(&records).flatten().any(lacks);
            let end = entry.position.plus(entry.size_bytes);
            each(path, (entry.position.bytes(), end.bytes()), is_missing);
        }
    }
    Ok(damage_in(&live))
}

/// What stands at a place where this batch belongs. One with a damaged head is not another one: its
/// checksum says that it is the same. What cannot be read is nothing.
fn standing(file: &dyn File, at: Position, batch: &[u8]) -> Standing {
    let mut stands = vec![0; batch.len()];
    if vfs::read_exact_at(file, &mut stands, at.bytes()).is_ok() && stands == batch {
        return Standing::Same;
    }
    let size = file.size_bytes().map_or(Position::ZERO, Position::end_of);
    if at >= size {
        return Standing::Nothing;
    }
    let ours = BatchHeader::parse(batch).map(|header| header.crc).ok();
    let mut walk = Walk::checked(file, Access::Blocking, (at, size), None, EpochRange::ANY);
    match walk.step() {
        Ok(Step::Batch(found)) if Some(found.header.crc) != ours => Standing::Other,
        _ => Standing::Nothing,
    }
}
