//! From the files in `@ottla` back to the table: which generation counts, and what it says.
//!
//! The highest generation that was completed counts. It was if its snapshot can be read whole, up
//! to the end mark, or if it holds a commit; if neither, the one before it says the same. A frame
//! that is bad in one copy is read from the other. A frame that is bad in both, with good ones
//! behind it, is lost: the rest is used, and the damage is reported and kept. Bad bytes at the end
//! of both are the write that a crash interrupted: nobody was told of it. Reads only.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use storage::memory::Table;
use storage::{Version, Write};
use vfs::{EntryKind, Vfs};

use super::entries::{self, COMMITS, SNAPSHOT, SNAPSHOT_END, SNAPSHOT_END_BYTES, SnapshotEnd};
use super::pair::{COPIES, parse_name, path_of};
use crate::directory::{OpenDiskError, at, io_error};
use crate::frames::{Frame, HEAD_BYTES, Piece, Pieces, read_tolerant};

/// What a start found in the metadata files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataReport {
    /// The generation that was read; 0 if there was none: a first start, or all files are gone.
    pub generation: u32,
    /// Frames read.
    pub frames: u64,
    /// Frames that were bad in one copy and read from the other. Nothing was lost by them.
    pub mirrored: Vec<BadCopy>,
    /// Ranges that were bad in both copies though good frames follow, or frames that cannot be:
    /// commits are lost.
    pub lost: Vec<Range<u64>>,
    /// Bytes at the end of both copies that are no frame: an interrupted write.
    pub torn_bytes: u64,
}

/// A frame that is bad in one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCopy {
    /// The name of the file.
    pub file: String,
    /// Where the frame is.
    pub position: u64,
}

impl MetadataReport {
    /// Whether anything but the traces of a crash was found.
    pub fn is_damaged(&self) -> bool {
        !self.mirrored.is_empty() || !self.lost.is_empty()
    }
}

/// What [`load`] found.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) table: Table,
    pub(super) report: MetadataReport,
    /// All generations of which there are files, in order.
    pub(super) generations: Vec<u32>,
}

pub(super) fn load(vfs: &dyn Vfs, dir: &Path) -> Result<Loaded, OpenDiskError> {
    let found = generations(vfs, dir)?;
    let mut best: Option<Replay> = None;
    for (&generation, present) in found.iter().rev() {
        let replay = read_generation(vfs, dir, generation, *present)?;
        if replay.is_complete {
            best = Some(replay);
            break;
        }
        // Nothing complete so far: better a part than nothing.
        let is_better = best
            .as_ref()
            .is_none_or(|best| replay.report.frames > best.report.frames);
        if replay.is_damage() && is_better {
            best = Some(replay);
        }
    }
    let (table, report) = best.map(Replay::finish).unwrap_or_default();
    Ok(Loaded {
        table,
        report,
        generations: found.into_keys().collect(),
    })
}

type Present = [bool; COPIES.len()];

fn generations(vfs: &dyn Vfs, dir: &Path) -> Result<BTreeMap<u32, Present>, OpenDiskError> {
    let mut found: BTreeMap<u32, Present> = BTreeMap::new();
    for entry in vfs.read_dir(dir).map_err(at("read", dir))? {
        if let Some((copy, generation)) = parse_name(&entry.name)
            && entry.kind == EntryKind::File
        {
            let present = found.entry(generation).or_default();
            *present
                .get_mut(copy)
                .expect("a name has one of the letters") = true;
        }
    }
    Ok(found)
}

fn read_generation(
    vfs: &dyn Vfs,
    dir: &Path,
    generation: u32,
    present: Present,
) -> Result<Replay, OpenDiskError> {
    let mut copies = Vec::new();
    let mut unopened = None;
    for (letter, _) in COPIES
        .into_iter()
        .zip(present)
        .filter(|(_, present)| *present)
    {
        let path = path_of(dir, letter, generation);
        match read_tolerant(vfs, &path) {
            Ok((bytes, unreadable_bytes)) => {
                if unreadable_bytes > 0 {
                    tracing::error!(file = %path.display(), unreadable_bytes, "disk error");
                }
                copies.push((letter, bytes));
            }
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "cannot open");
                unopened = Some(io_error("read", &path, error));
            }
        }
    }
    // One copy is enough. None, though there are files, is not the same as an empty table.
    if let (true, Some(error)) = (copies.is_empty(), unopened) {
        return Err(error);
    }
    let of = |letter: &str| copies.iter().find(|(copy, _)| *copy == letter);
    let bytes = COPIES.map(|letter| of(letter).map_or(&[][..], |(_, bytes)| bytes.as_slice()));
    Ok(Replay::run(generation, &bytes))
}

/// One generation, replayed.
#[derive(Debug)]
struct Replay {
    table: Table,
    report: MetadataReport,
    is_complete: bool,
    size_bytes: usize,
}

impl Replay {
    fn run(generation: u32, copies: &[&[u8]]) -> Self {
        let mut replay = Self {
            table: Table::new(),
            report: MetadataReport {
                generation,
                ..MetadataReport::default()
            },
            is_complete: false,
            size_bytes: copies.iter().map(|copy| copy.len()).max().unwrap_or(0),
        };
        for piece in Pieces::new(generation, copies) {
            match piece {
                Piece::Frame {
                    at,
                    frame,
                    bad_copies,
                } => {
                    replay.note_bad_copies(at, &bad_copies);
                    replay.report.frames = replay.report.frames.saturating_add(1);
                    if replay.apply(&frame).is_none() {
                        // Good bytes that no version of this build wrote.
                        replay.note_lost(at, at.saturating_add(frame.size_bytes()));
                    }
                }
                Piece::Gap {
                    at,
                    end,
                    is_tail: true,
                } => {
                    replay.report.torn_bytes = to_u64(end.saturating_sub(at));
                }
                Piece::Gap {
                    at,
                    end,
                    is_tail: false,
                } => replay.note_lost(at, end),
            }
        }
        replay
    }

    fn note_bad_copies(&mut self, at: usize, bad_copies: &[usize]) {
        let generation = self.report.generation;
        let bad = bad_copies
            .iter()
            .filter_map(|&copy| COPIES.get(copy))
            .map(|letter| BadCopy {
                file: format!("metadata.{letter}.{generation}"),
                position: to_u64(at),
            });
        self.report.mirrored.extend(bad);
    }

    fn note_lost(&mut self, at: usize, end: usize) {
        self.report.lost.push(to_u64(at)..to_u64(end));
    }

    /// `None` if the frame makes no sense where it is; nothing of it is applied then.
    fn apply(&mut self, frame: &Frame<'_>) -> Option<()> {
        match frame.kind {
            SNAPSHOT => {
                let entries = entries::decode(frame.body, frame.entry_count)?;
                let rows: Option<Vec<_>> = entries.into_iter().map(|e| e.into_row()).collect();
                for (key, row) in rows? {
                    self.table.load(key, row);
                }
                Some(())
            }
            SNAPSHOT_END => {
                let end = SnapshotEnd::decode(frame.body)?;
                self.table.skip_versions(end.last_version);
                // A crash may keep the end and lose what was written before it: nothing was synced.
                let is_whole = self.report.lost.is_empty() && end.rows == to_u64(self.table.len());
                self.is_complete = is_whole;
                (is_whole || !self.report.lost.is_empty()).then_some(())
            }
            COMMITS => {
                let entries = entries::decode(frame.body, frame.entry_count)?;
                let versions = std::iter::once(self.table.last_version())
                    .chain(entries.iter().map(|entry| entry.version));
                if !versions.is_sorted() || entries.first()?.version <= self.table.last_version() {
                    return None;
                }
                for commit in entries.chunk_by(|left, right| left.version == right.version) {
                    let version = commit
                        .first()
                        .map_or(Version::ABSENT, |entry| entry.version);
                    let writes: Vec<Write> = commit.iter().map(|e| e.write.clone()).collect();
                    self.table.write(version, &writes);
                }
                // Commits begin only when all before them is durable.
                self.is_complete = true;
                Some(())
            }
            _ => None,
        }
    }

    /// Whether an incomplete generation is more than what a crash in the middle of its making
    /// leaves: then it holds all that is left of the metadata.
    fn is_damage(&self) -> bool {
        self.report.frames > 0 || self.size_bytes > HEAD_BYTES.saturating_add(SNAPSHOT_END_BYTES)
    }

    fn finish(mut self) -> (Table, MetadataReport) {
        if !self.is_complete {
            // No commit is in it; how much of the snapshot is missing cannot be told.
            self.report.lost.push(0..to_u64(self.size_bytes));
        }
        (self.table, self.report)
    }
}

fn to_u64(size: usize) -> u64 {
    u64::try_from(size).expect("a length fits 64 bits")
}
