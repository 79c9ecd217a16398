//! Looking at logs without owning the data directory: `ottla log inspect` and `ottla log verify`.
//!
//! Opens files for reading only, takes no lock, and writes nothing; a broker may run meanwhile, and
//! then the end of a log is a moving target. Only `repair` writes, and whoever calls it holds the
//! lock.

mod repair;
mod unreplayed;
mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use records::{BatchHeader, Offset};
use storage::PartitionId;
use vfs::{EntryKind, File, OpenMode, Vfs};

use crate::compact::Swap;
use crate::directory::partition_of;
use crate::listing;
use crate::mend::{Head, Mender, Verdict};
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::spans::{Stored, Stretch, owner_of};
use crate::topic_meta::StoredTopic;
use crate::walk::{EpochRange, Step, Walk, behind};
use crate::window::{Access, Fault, fill};

pub use repair::{Loss, RepairPlan, data_dir_above, plan_repair};
pub use verify::{Problem, VerifyReport, verify};

/// No file beside a log is larger.
pub(super) const SMALL_FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// There is no such file or directory.
    #[error("{} does not exist", .0.display())]
    NotFound(PathBuf),
    /// It is neither a segment, nor a partition, topic or data directory.
    #[error("{} holds no log: name a .log file, or the directory of a partition, topic or broker", .0.display())]
    NoLog(PathBuf),
    /// No data directory is at or above it, so nothing can be locked.
    #[error("{} is not in a data directory of ottla", .0.display())]
    NoDataDirectory(PathBuf),
    /// A start would write records into logs, whose loss nobody may accept.
    #[error("{}: the commit file holds records that are not in their logs yet; start the broker once, which writes them, stop it, and try again", .0.display())]
    Unreplayed(PathBuf),
    /// The disk did not answer.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// One frame of a segment: `[offset][length][crc][payload]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameLine {
    /// The segment file.
    pub path: PathBuf,
    /// Where the frame begins in it.
    pub position: u64,
    /// Bytes of the whole frame.
    pub size_bytes: usize,
    /// CRC-32C of the bytes, which [`FrameLine::crc_ok`] compares with the header's.
    pub crc: u32,
    /// Whether the bytes are what was written.
    pub crc_ok: bool,
    /// The rest of the frame's head: offset, length, what the payload is.
    pub header: BatchHeader,
}

/// A range of a segment that holds no good frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment file.
    pub path: PathBuf,
    /// Where it begins.
    pub position: u64,
    /// Where good frames go on, or the file ends.
    pub end: u64,
    /// The first offset that it should hold.
    pub first: Offset,
    /// The offset that good frames go on with; `None`: there are none in this segment.
    pub next: Option<Offset>,
    /// What is wrong at its begin.
    pub reason: String,
}

/// What [`inspect`] saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InspectReport {
    /// Segments.
    pub segments: usize,
    /// Good frames.
    pub frames: u64,
    /// Where there are none.
    pub damaged: Vec<Damage>,
}

/// Calls `each` for every frame of a `.log` file, or of all segments of a partition's directory.
/// A frame whose head makes sense but whose checksum does not match is shown too.
pub fn inspect(
    vfs: &dyn Vfs,
    path: &Path,
    each: &mut dyn FnMut(&FrameLine),
) -> Result<InspectReport, OfflineError> {
    let mut report = InspectReport::default();
    for segment in segments_of(vfs, path)? {
        report.segments = report.segments.saturating_add(1);
        segment.walk(&mut |seen| match seen {
            Seen::Frame(frame) => {
                if frame.crc_ok {
                    report.frames = report.frames.saturating_add(1);
                }
                each(&frame);
            }
            Seen::Damage(damage) => report.damaged.push(damage),
        })?;
    }
    Ok(report)
}

/// A segment to be looked at.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) base: Offset,
    pub(super) size: Position,
    pub(super) file: Arc<dyn File>,
    /// A compaction put it in the place of others and was interrupted: what stands beside speaks of
    /// them.
    pub(super) is_swap: bool,
}

pub(super) enum Seen {
    Frame(FrameLine),
    Damage(Damage),
}

/// The segments that a path means, in order.
pub(super) fn segments_of(vfs: &dyn Vfs, path: &Path) -> Result<Vec<Segment>, OfflineError> {
    let stat = vfs.stat(path).map_err(at(path))?;
    match stat.map(|stat| stat.kind) {
        None => Err(OfflineError::NotFound(path.to_owned())),
        Some(EntryKind::File) => Ok(vec![Segment::open(vfs, path)?]),
        Some(_) => {
            let listing = listing::list(vfs, path)
                .map_err(at(path))?
                .unwrap_or_default();
            if listing.logs.is_empty() {
                return Err(OfflineError::NoLog(path.to_owned()));
            }
            // What a compaction put in the place of others counts, though it was interrupted.
            let is_replaced = |base| listing.swaps.iter().any(|swap| swap.replaces(base));
            let logs = listing.logs.iter().map(|log| log.base);
            let logs = logs.filter(|base| !is_replaced(*base));
            let paths = logs.map(|base| (base, SegmentFile::Log.path(path, base)));
            let swaps = listing
                .swaps
                .iter()
                .map(|swap| (swap.base, swap.path(path)));
            let mut paths: Vec<(Offset, PathBuf)> = paths.chain(swaps).collect();
            paths.sort_unstable();
            paths
                .iter()
                .map(|(_, path)| Segment::open(vfs, path))
                .collect()
        }
    }
}

/// What the spans of a segment say against its frames.
#[derive(Debug, Default)]
pub(super) struct AgainstSpans {
    /// Frames whose heads are damaged, and what was written is proven.
    pub(super) mended: Vec<(Stretch, Vec<Head>)>,
    /// Frames that may be good by themselves and are not those that were written.
    pub(super) lost: Vec<Stretch>,
}

impl AgainstSpans {
    /// Whether a broker puts right all of it.
    pub(super) fn mends(&self, damage: &Damage) -> bool {
        let holds = |(span, _): &(Stretch, _)| {
            span.start.bytes() <= damage.position && damage.end <= span.end.bytes()
        };
        self.mended.iter().any(holds)
    }

    /// What is lost, but for spans with a damaged range inside: there the neighbours speak for the
    /// rest.
    pub(super) fn lost_beside<'a>(
        &'a self,
        damaged: &'a [Damage],
    ) -> impl Iterator<Item = &'a Stretch> {
        self.lost.iter().filter(move |span| {
            let (start, end) = (span.start.bytes(), span.end.bytes());
            let is_inside = |it: &Damage| it.position < end && start < it.end;
            !damaged.iter().any(is_inside)
        })
    }
}

impl Segment {
    /// Holds the heads of the frames against the good pages of spans.
    pub(super) fn against_spans(&self, stored: &Stored) -> Result<AgainstSpans, OfflineError> {
        let mender = self.mender();
        let mut against = AgainstSpans::default();
        let inside = stored.stretches.iter().filter(|it| it.end <= self.size);
        for span in inside.filter(|span| span.is_known()) {
            match mender.judge(*span).map_err(|fault| self.failed(fault))? {
                Verdict::Good => {}
                Verdict::Mend(heads) => against.mended.push((*span, heads)),
                Verdict::Lost => against.lost.push(*span),
            }
        }
        Ok(against)
    }

    pub(super) fn mender(&self) -> Mender<'_> {
        Mender {
            file: &*self.file,
            base: self.base,
            limit: self.size,
            epochs: EpochRange::ANY,
        }
    }

    /// The pages of spans beside it that are its own; `None` if there is no such file.
    pub(super) fn stored_spans(&self, vfs: &dyn Vfs) -> Result<Option<Stored>, OfflineError> {
        let Some(directory) = self.path.parent() else {
            return Ok(None);
        };
        if self.is_swap {
            return Ok(None);
        }
        let path = SegmentFile::Spans.path(directory, self.base);
        let bytes = read_optional(vfs, &path)?;
        let owner = || owner(vfs, directory, self.base);
        Ok(bytes.map(|bytes| Stored::decode(&bytes, owner())))
    }

    fn open(vfs: &dyn Vfs, path: &Path) -> Result<Self, OfflineError> {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = name.as_deref().unwrap_or_default();
        let swap = Swap::parse(name);
        let base = match (SegmentFile::parse(name), swap) {
            (Some((base, SegmentFile::Log)), _) => base,
            (_, Some(swap)) => swap.base,
            _ => return Err(OfflineError::NoLog(path.to_owned())),
        };
        let file = vfs.open(path, OpenMode::Read).map_err(at(path))?;
        let size = Position::end_of(file.size_bytes().map_err(at(path))?);
        Ok(Self {
            path: path.to_owned(),
            base,
            size,
            file,
            is_swap: swap.is_some(),
        })
    }

    /// Shows every frame and every damaged range, in order; says where the good frames end.
    pub(super) fn walk(&self, show: &mut dyn FnMut(Seen)) -> Result<Option<Offset>, OfflineError> {
        self.walk_frames(show).map_err(|fault| self.failed(fault))
    }

    pub(super) fn failed(&self, fault: Fault) -> OfflineError {
        let source = match fault {
            Fault::Io(source) => source,
            Fault::NotCached | Fault::Read(_) => io::Error::other("a read failed"),
        };
        OfflineError::Io {
            path: self.path.clone(),
            source,
        }
    }

    fn walk_frames(&self, show: &mut dyn FnMut(Seen)) -> Result<Option<Offset>, Fault> {
        let range = (Position::ZERO, self.size);
        let (file, access) = (&*self.file, Access::Blocking);
        let epochs = EpochRange::ANY;
        let mut walk = Walk::checked(file, access, range, Some(self.base), epochs);
        let mut landed = self.base;
        loop {
            match walk.step()? {
                Step::Batch(found) => {
                    let frame = self.frame(found.position, found.header, found.header.crc);
                    show(Seen::Frame(frame));
                }
                Step::End => return Ok(Some(walk.expected().unwrap_or(landed))),
                Step::Damaged { position, reason } => {
                    let expected = walk.expected().unwrap_or(landed);
                    if let Some(frame) = self.bad_frame(position)? {
                        show(Seen::Frame(frame));
                    }
                    let next = behind((file, access, epochs), (position, self.size), expected)?;
                    let end = next.map_or(self.size, |(at, _)| at);
                    let path = self.path.clone();
                    let (position, end_bytes) = (position.bytes(), end.bytes());
                    show(Seen::Damage(Damage {
                        path,
                        position,
                        end: end_bytes,
                        first: expected,
                        next: next.map(|(_, base)| base),
                        reason,
                    }));
                    let Some((_, base)) = next else {
                        return Ok(walk.expected().or(Some(landed)));
                    };
                    landed = base;
                    walk.jump(end);
                }
            }
        }
    }

    fn frame(&self, position: Position, header: BatchHeader, crc: u32) -> FrameLine {
        FrameLine {
            path: self.path.clone(),
            position: position.bytes(),
            size_bytes: header.size_bytes(),
            crc,
            crc_ok: crc == header.crc,
            header,
        }
    }

    /// What stands at a damaged place, if its head still makes sense.
    fn bad_frame(&self, position: Position) -> Result<Option<FrameLine>, Fault> {
        let mut head = vec![0; records::HEADER_BYTES.min(self.size.since(position))];
        fill(&*self.file, &mut head, position, Access::Blocking)?;
        let Ok(header) = BatchHeader::parse(&head) else {
            return Ok(None);
        };
        if header.size_bytes() > self.size.since(position) {
            return Ok(None);
        }
        let mut batch = vec![0; header.size_bytes()];
        fill(&*self.file, &mut batch, position, Access::Blocking)?;
        Ok(Some(self.frame(position, header, records::crc_of(&batch))))
    }
}

/// What the pages of a segment are marked with; `None` if its topic is not known.
fn owner(vfs: &dyn Vfs, directory: &Path, base: Offset) -> Option<u32> {
    let name = directory.file_name()?.to_str()?;
    let stored = StoredTopic::read(vfs, directory.parent()?).ok()??;
    let partition = PartitionId {
        topic: stored.id,
        partition: partition_of(name)?,
    };
    Some(owner_of(partition, base))
}

pub(super) fn read_optional(vfs: &dyn Vfs, path: &Path) -> Result<Option<Vec<u8>>, OfflineError> {
    match vfs::read_whole(vfs, path, SMALL_FILE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> OfflineError + '_ {
    |source| OfflineError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
