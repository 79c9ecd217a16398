//! The two mirrored files of one generation: `metadata.a.{n}` and `metadata.b.{n}`.
//!
//! Both hold the same bytes. They begin with a snapshot of the table and its end mark; commits
//! follow. A generation counts as soon as its snapshot can be read whole from its copies, so the old
//! one takes no commit from the writing of the end mark on; if that finds no room it is cut off,
//! durably, from both.

use std::io;
use std::path::{Path, PathBuf};

use sabotage::{Safeguard, skips};
use storage::memory::Table;
use vfs::Vfs;

use super::entries::{self, COMMITS, SNAPSHOT, SNAPSHOT_END, SnapshotEnd};
use crate::error::{WriteError, failure};
use crate::frames::{Frame, FrameWriter};
use crate::names;

/// The copies, by the letter in their names.
pub(super) const COPIES: [&str; 2] = ["a", "b"];
/// A frame of a snapshot is closed when it holds this much.
const SNAPSHOT_BODY_BYTES: usize = 1024 * 1024;

/// The path of one copy.
pub(super) fn path_of(dir: &Path, copy: &str, generation: u32) -> PathBuf {
    dir.join(format!("metadata.{copy}.{generation}"))
}

/// Copy and generation from the name of a file.
pub(super) fn parse_name(name: &str) -> Option<(usize, u32)> {
    let (letter, number) = name.strip_prefix("metadata.")?.split_once('.')?;
    let copy = COPIES.iter().position(|copy| *copy == letter)?;
    let generation: u32 = number.parse().ok()?;
    (generation > 0 && generation.to_string() == number).then_some((copy, generation))
}

/// Both copies, open for appending.
#[derive(Debug)]
pub(super) struct Pair {
    generation: u32,
    copies: [FrameWriter; COPIES.len()],
}

impl Pair {
    /// Makes the files of a generation, empty: they do not count yet.
    pub(super) fn create(vfs: &dyn Vfs, dir: &Path, generation: u32) -> io::Result<Self> {
        let create =
            |copy: &str| FrameWriter::create(vfs, &path_of(dir, copy, generation), generation);
        let [a, b] = COPIES;
        Ok(Self {
            generation,
            copies: [create(a)?, create(b)?],
        })
    }

    /// Begins both with a snapshot of `table`, durable with their names. After an error some of it
    /// may be there, and may count: see [`remove`].
    pub(super) fn begin(
        &mut self,
        vfs: &dyn Vfs,
        dir: &Path,
        table: &Table,
    ) -> Result<(), WriteError> {
        self.write_snapshot(table)?;
        self.sync()?;
        if skips(Safeguard::MetadataDirectorySync) {
            return Ok(());
        }
        vfs.sync_dir(dir)
            .map_err(|error| WriteError::Failed(failure("sync", dir, &error)))
    }

    fn write_snapshot(&mut self, table: &Table) -> Result<(), WriteError> {
        let mut body = Vec::new();
        let mut count = 0_u32;
        for (key, row) in table.iter() {
            let full = body
                .len()
                .saturating_add(entries::row_bytes(key, row.value.len()));
            if full > SNAPSHOT_BODY_BYTES && count > 0 {
                self.append(SNAPSHOT, count, &body)?;
                body.clear();
                count = 0;
            }
            entries::encode(&mut body, row.version, key, Some(&row.value));
            count = count
                .checked_add(1)
                .expect("a body of 1 MiB has few entries");
        }
        if count > 0 {
            self.append(SNAPSHOT, count, &body)?;
        }
        let rows = u64::try_from(table.len()).expect("a length fits 64 bits");
        let end = SnapshotEnd {
            rows,
            last_version: table.last_version(),
        };
        self.append(SNAPSHOT_END, 0, &end.encode())
    }

    /// The number in the names of the files.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// Bytes in each copy.
    pub(super) fn size_bytes(&self) -> u64 {
        let [a, b] = &self.copies;
        assert_eq!(
            a.size_bytes(),
            b.size_bytes(),
            "the copies have the same bytes"
        );
        a.size_bytes()
    }

    /// Appends the commits of one round to both copies and makes them durable. If there is no
    /// room, both are as before, durably.
    pub(super) fn append_commits(&mut self, count: u32, body: &[u8]) -> Result<(), WriteError> {
        self.append(COMMITS, count, body)?;
        self.sync()
    }

    fn append(&mut self, kind: u8, entry_count: u32, body: &[u8]) -> Result<(), WriteError> {
        let end = self.size_bytes();
        let [a, b] = &mut self.copies;
        let number = a.next_number();
        assert_eq!(number, b.next_number(), "the copies have the same frames");
        let frame = Frame {
            number,
            kind,
            entry_count,
            body,
        }
        .encode();
        a.append_encoded(&frame)?;
        let frame = if skips(Safeguard::MetadataMirror) {
            vec![0; frame.len()]
        } else {
            frame
        };
        if let Err(error) = b.append_encoded(&frame) {
            if matches!(error, WriteError::NoSpace(_)) {
                // IMPORTANT: or the frame could be found in this copy after a power cut, though
                // its commits were refused.
                a.cut_to(end, number)?;
            }
            return Err(error);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), WriteError> {
        if skips(Safeguard::MetadataSync) {
            return Ok(());
        }
        self.copies.iter().try_for_each(FrameWriter::sync)
    }
}

/// Removes what there is of a generation, durably. See [`names::is_failed_sync`].
pub(super) fn remove(vfs: &dyn Vfs, dir: &Path, generation: u32) -> io::Result<()> {
    for copy in COPIES {
        match vfs.remove_file(&path_of(dir, copy, generation)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    names::sync_dir(vfs, dir)
}
