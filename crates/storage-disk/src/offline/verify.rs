//! Checking everything below a path: every byte of every batch, the records inside, the indexes
//! and spans against their logs, snapshots, epochs and labels.

use std::path::{Path, PathBuf};

use records::{DecodeBudget, HEADER_BYTES, Offset, validate_records_deep};
use storage::LeaderEpochs;
use vfs::{EntryKind, Vfs};

use super::unreplayed::Unreplayed;
use super::{
    AgainstSpans, Damage, Loss, OfflineError, SMALL_FILE_BYTES_MAX, Seen, Segment, at,
    read_optional, segments_of,
};
use crate::directory::{OWN_DIR, partition_of};
use crate::index::OffsetIndex;
use crate::listing;
use crate::paths::{EPOCH_FILE, SegmentFile, partition_dir};
use crate::position::Position;
use crate::producer_snapshot;
use crate::quarantine::Quarantine;
use crate::spans::Stored;
use crate::time_index::TimeIndex;
use crate::topic_meta::StoredTopic;
use crate::window::{Access, fill};

/// What opening one batch may take.
const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file or directory.
    pub path: PathBuf,
    /// Where in the file, if that matters.
    pub position: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// Records are affected; otherwise a start puts it right by itself.
    pub is_loss: bool,
}

/// What [`verify`] saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Partitions.
    pub partitions: usize,
    /// Segments.
    pub segments: usize,
    /// Good batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of segments.
    pub size_bytes: u64,
    /// Everything that is not as it should be.
    pub problems: Vec<Problem>,
    /// What quarantine lists say.
    pub quarantined: Vec<Loss>,
}

impl VerifyReport {
    pub(super) fn problem(
        &mut self,
        path: &Path,
        position: Option<u64>,
        what: String,
        is_loss: bool,
    ) {
        self.problems.push(Problem {
            path: path.to_owned(),
            position,
            what,
            is_loss,
        });
    }

    /// Whether everything is as it should be.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks a `.log` file, or the directory of a partition, a topic or a broker.
pub fn verify(vfs: &dyn Vfs, path: &Path) -> Result<VerifyReport, OfflineError> {
    let mut report = VerifyReport::default();
    // Before the logs, or what a broker syncs meanwhile would be missed.
    let unreplayed = match vfs.stat(path).map_err(at(path))? {
        Some(_) => Unreplayed::read(vfs, path)?,
        None => Unreplayed::default(),
    };
    match vfs.stat(path).map_err(at(path))?.map(|stat| stat.kind) {
        None => return Err(OfflineError::NotFound(path.to_owned())),
        Some(EntryKind::File) => {
            let known = match path.parent() {
                Some(directory) => Quarantine::read(vfs, directory).map_err(at(directory))?,
                None => Quarantine::default(),
            };
            for segment in segments_of(vfs, path)? {
                check_segment(vfs, &segment, &known, &mut report)?;
            }
        }
        Some(_) => check_directory(vfs, path, &mut report)?,
    }
    unreplayed.excuse(&mut report);
    Ok(report)
}

fn check_directory(
    vfs: &dyn Vfs,
    path: &Path,
    report: &mut VerifyReport,
) -> Result<(), OfflineError> {
    let entries = vfs.read_dir(path).map_err(at(path))?;
    let is_directory = |name: &str| {
        entries
            .iter()
            .any(|entry| entry.name == name && entry.kind == EntryKind::Directory)
    };
    if is_directory(OWN_DIR) {
        for entry in &entries {
            let is_topic = entry.kind == EntryKind::Directory && entry.name != OWN_DIR;
            if is_topic && storage::TopicName::parse(&entry.name).is_ok() {
                check_topic(vfs, &path.join(&entry.name), report)?;
            }
        }
        return Ok(());
    }
    if entries
        .iter()
        .any(|entry| partition_of(&entry.name).is_some())
    {
        return check_topic(vfs, path, report);
    }
    check_partition(vfs, path, report)
}

fn check_topic(
    vfs: &dyn Vfs,
    directory: &Path,
    report: &mut VerifyReport,
) -> Result<(), OfflineError> {
    let mut count = 0;
    match StoredTopic::read(vfs, directory) {
        Ok(Some(stored)) => count = stored.partitions,
        Ok(None) => report.problem(directory, None, "topic.meta is missing".to_owned(), false),
        Err(error) => report.problem(directory, None, format!("topic.meta: {error}"), false),
    }
    let entries = vfs.read_dir(directory).map_err(at(directory))?;
    let mut found: Vec<u32> = entries
        .iter()
        .filter_map(|entry| partition_of(&entry.name))
        .collect();
    found.sort_unstable();
    for partition in (0..count).filter(|partition| found.binary_search(partition).is_err()) {
        let path = partition_dir(directory, partition);
        report.problem(
            &path,
            None,
            "the directory of a partition is missing".to_owned(),
            true,
        );
    }
    for partition in found {
        check_partition(vfs, &partition_dir(directory, partition), report)?;
    }
    Ok(())
}

fn check_partition(
    vfs: &dyn Vfs,
    directory: &Path,
    report: &mut VerifyReport,
) -> Result<(), OfflineError> {
    let segments = segments_of(vfs, directory)?;
    report.partitions = report.partitions.saturating_add(1);
    let known = Quarantine::read(vfs, directory).map_err(at(directory))?;
    let listed = known
        .entries()
        .map(|(base, entry)| Loss::of(directory, base, entry));
    report.quarantined.extend(listed);
    let start = segments.first().map_or(Offset::ZERO, |first| first.base);
    for (base, entry) in known.entries().filter(|(_, entry)| entry.last < start) {
        let what = format!(
            "offsets {} to {} are in no segment",
            entry.first, entry.last
        );
        let path = SegmentFile::Log.path(directory, base);
        report.problem(&path, None, told(what, entry.accepted), !entry.accepted);
    }
    let mut expected: Option<Offset> = None;
    for segment in &segments {
        if let Some(expected) = expected.filter(|expected| *expected != segment.base) {
            let base = segment.base;
            let what = format!("it begins at offset {base}, the one before it ends at {expected}");
            let accepted = expected < base && is_accepted(&known, (expected, Some(base)));
            report.problem(&segment.path, None, told(what, accepted), !accepted);
        }
        expected = check_segment(vfs, segment, &known, report)?;
    }
    let end = expected.unwrap_or(Offset::new(i64::MAX));
    check_small_files(vfs, directory, end, report)
}

fn check_segment(
    vfs: &dyn Vfs,
    segment: &Segment,
    known: &Quarantine,
    report: &mut VerifyReport,
) -> Result<Option<Offset>, OfflineError> {
    report.segments = report.segments.saturating_add(1);
    report.size_bytes = report.size_bytes.saturating_add(segment.size.bytes());
    let mut batches: Vec<(Position, Offset)> = Vec::new();
    let mut end = Some(segment.base);
    let mut failed = None;
    let mut damaged = Vec::new();
    let stored = segment.stored_spans(vfs)?;
    let against = match &stored {
        Some(stored) => segment.against_spans(stored)?,
        None => AgainstSpans::default(),
    };
    segment.walk(&mut |seen| match seen {
        Seen::Frame(frame) if frame.crc_ok && failed.is_none() => {
            let position = u32::try_from(frame.position).expect("a segment is below 4 GiB");
            let position = Position::new(position);
            batches.push((position, frame.header.last_offset()));
            end = Some(frame.header.next_offset());
            report.batches = report.batches.saturating_add(1);
            let records = u64::try_from(frame.header.record_count).unwrap_or(0);
            report.records = report.records.saturating_add(records);
            failed = check_records(segment, position, frame.size_bytes, report).err();
        }
        Seen::Frame(_) => {}
        Seen::Damage(damage) => {
            if against.mends(&damage) {
                // Only a good head would say where it ends.
                end = damage.next;
                return;
            }
            end = damage.next.or(end);
            let what = format!("no good frame up to byte {}: {}", damage.end, damage.reason);
            let accepted = is_accepted(known, (damage.first, damage.next));
            let at = Some(damage.position);
            report.problem(&segment.path, at, told(what, accepted), !accepted);
            damaged.push(damage);
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    check_index(vfs, segment, &batches, report)?;
    if let Some(stored) = &stored {
        check_spans(segment, (stored, &against), &damaged, report);
    }
    Ok(end)
}

/// Says where the heads of the batches are not what the spans say.
fn check_spans(
    segment: &Segment,
    (stored, against): (&Stored, &AgainstSpans),
    damaged: &[Damage],
    report: &mut VerifyReport,
) {
    if !stored.is_whole {
        let what = "it has pages that are not what was written for this segment".to_owned();
        let path = segment.path.with_extension("spans");
        report.problem(&path, None, what, false);
    }
    if let Some(end) = stored.sealed_end.filter(|end| *end != segment.size) {
        let size = segment.size;
        let what = format!("it has {size} bytes, and had {end} when it was sealed");
        report.problem(&segment.path, None, what, size < end);
    }
    for head in against.mended.iter().flat_map(|(_, heads)| heads) {
        let what = "the head of the frame is damaged; what was written is proven, and a broker puts \
                    it back";
        let position = Some(head.position.bytes());
        report.problem(&segment.path, position, what.to_owned(), false);
    }
    for span in against.lost_beside(damaged) {
        let what = format!(
            "the frames up to byte {} are not those that were written",
            span.end
        );
        let start = Some(span.start.bytes());
        report.problem(&segment.path, start, what, true);
    }
}

/// Whether somebody accepted that these offsets are lost.
fn is_accepted(known: &Quarantine, (first, next): (Offset, Option<Offset>)) -> bool {
    let accepted = known
        .find(first)
        .filter(|(_, entry)| entry.accepted)
        .map(|(_, entry)| entry.last.plus(1));
    accepted.is_some_and(|end| next.is_none_or(|next| next <= end))
}

fn told(what: String, accepted: bool) -> String {
    if accepted {
        format!("{what}; its loss was accepted")
    } else {
        what
    }
}

/// Opens the batch and looks at each record.
fn check_records(
    segment: &Segment,
    position: Position,
    size_bytes: usize,
    report: &mut VerifyReport,
) -> Result<(), OfflineError> {
    assert!(
        size_bytes >= HEADER_BYTES,
        "a frame holds at least its head"
    );
    let mut batch = vec![0; size_bytes];
    let read = fill(&*segment.file, &mut batch, position, Access::Blocking);
    if read.is_err() {
        let source = std::io::Error::other("a read failed");
        return Err(OfflineError::Io {
            path: segment.path.clone(),
            source,
        });
    }
    let mut budget = DecodeBudget::new(BATCH_BYTES_MAX);
    if let Err(error) = validate_records_deep(&batch, &mut budget) {
        let what = format!("the frame is what was written, but its records are not good: {error}");
        report.problem(&segment.path, Some(position.bytes()), what, true);
    }
    Ok(())
}

fn check_index(
    vfs: &dyn Vfs,
    segment: &Segment,
    batches: &[(Position, Offset)],
    report: &mut VerifyReport,
) -> Result<(), OfflineError> {
    if segment.is_swap {
        let what = "a compaction was interrupted; the next start finishes it".to_owned();
        report.problem(&segment.path, None, what, false);
        return Ok(());
    }
    let Some(directory) = segment.path.parent() else {
        return Ok(());
    };
    let path = SegmentFile::Index.path(directory, segment.base);
    if let Some(bytes) = read_optional(vfs, &path)? {
        let (index, whole) = OffsetIndex::decode(&bytes, segment.size);
        let wrong = index.entries().iter().find(|entry| {
            let last = segment.base.plus(i64::from(entry.relative_last));
            batches.binary_search(&(entry.position, last)).is_err()
        });
        if let Some(entry) = wrong {
            let position = entry.position;
            let what = format!("the entry for byte {position} names no batch of the log");
            report.problem(&path, None, what, false);
        } else if !whole {
            report.problem(
                &path,
                None,
                "its end is not a row of entries".to_owned(),
                false,
            );
        }
    } else {
        report.problem(&path, None, "it is missing".to_owned(), false);
    }
    let path = SegmentFile::TimeIndex.path(directory, segment.base);
    if let Some(bytes) = read_optional(vfs, &path)?
        && !TimeIndex::decode(&bytes).1
    {
        report.problem(
            &path,
            None,
            "its end is not a row of entries".to_owned(),
            false,
        );
    }
    Ok(())
}

fn check_small_files(
    vfs: &dyn Vfs,
    directory: &Path,
    end: Offset,
    report: &mut VerifyReport,
) -> Result<(), OfflineError> {
    let listing = listing::list(vfs, directory)
        .map_err(at(directory))?
        .unwrap_or_default();
    for offset in listing.snapshots {
        let path = SegmentFile::Snapshot.path(directory, offset);
        let bytes = vfs::read_whole(vfs, &path, SMALL_FILE_BYTES_MAX).map_err(at(&path))?;
        if let Err(error) = producer_snapshot::decode(&bytes, offset) {
            report.problem(&path, None, error.to_string(), false);
        } else if offset > end {
            let what = format!("it is for offset {offset}, the log ends at {end}");
            report.problem(&path, None, what, false);
        }
    }
    let path = directory.join(EPOCH_FILE);
    if let Some(bytes) = read_optional(vfs, &path)?
        && let Err(error) = LeaderEpochs::decode(&String::from_utf8_lossy(&bytes))
    {
        report.problem(&path, None, error.to_string(), false);
    }
    Ok(())
}
