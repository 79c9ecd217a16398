//! What stands in the directory of a partition, and nothing about whether it is right.

use std::io;
use std::path::Path;

use records::Offset;
use vfs::{EntryKind, Vfs};

use crate::compact::{CLEANED_SUFFIX, Swap};
use crate::paths::{DELETED_SUFFIX, SegmentFile, TEMPORARY_SUFFIX};
use crate::position::Position;

/// No segment begins so near to the last offset there is that it could not be filled.
pub(crate) const BASE_MAX: Offset = Offset::new(i64::MAX - (1 << 32));

/// One `.log` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogFile {
    pub(crate) base: Offset,
    pub(crate) size: Position,
}

/// The files of a partition.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// By base offset.
    pub(crate) logs: Vec<LogFile>,
    /// Base offsets of indexes.
    pub(crate) indexes: Vec<(Offset, SegmentFile)>,
    /// Offsets of producer snapshots, in order.
    pub(crate) snapshots: Vec<Offset>,
    /// Base offsets of segments with a quarantine list, in order.
    pub(crate) quarantines: Vec<Offset>,
    /// Segments that are to take the place of others, in order.
    pub(crate) swaps: Vec<Swap>,
    /// Names that a crash left behind.
    pub(crate) leftovers: Vec<String>,
}

/// Lists a directory; `None` if there is none.
pub(crate) fn list(vfs: &dyn Vfs, directory: &Path) -> io::Result<Option<Listing>> {
    let entries = match vfs.read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut listing = Listing::default();
    for entry in entries
        .into_iter()
        .filter(|entry| entry.kind == EntryKind::File)
    {
        if [TEMPORARY_SUFFIX, DELETED_SUFFIX, CLEANED_SUFFIX]
            .iter()
            .any(|suffix| entry.name.ends_with(suffix))
        {
            listing.leftovers.push(entry.name);
            continue;
        }
        if let Some(swap) = Swap::parse(&entry.name) {
            listing.swaps.push(swap);
            continue;
        }
        match SegmentFile::parse(&entry.name).filter(|(base, _)| *base <= BASE_MAX) {
            Some((base, SegmentFile::Log)) => {
                let stat = vfs.stat(&directory.join(&entry.name))?;
                let size = Position::end_of(stat.map_or(0, |stat| stat.size_bytes));
                listing.logs.push(LogFile { base, size });
            }
            Some((offset, SegmentFile::Snapshot)) => listing.snapshots.push(offset),
            Some((base, SegmentFile::Quarantine)) => listing.quarantines.push(base),
            Some(index) => listing.indexes.push(index),
            None => {}
        }
    }
    // Names of 20 digits sort as their numbers do, but nothing here relies on the file system.
    listing.logs.sort_unstable_by_key(|log| log.base);
    listing.snapshots.sort_unstable();
    listing.quarantines.sort_unstable();
    listing.swaps.sort_unstable();
    Ok(Some(listing))
}
