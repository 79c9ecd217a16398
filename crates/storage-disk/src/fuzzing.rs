//! Doors for the fuzz targets, built with `--cfg fuzzing` only: parsers that nobody else may call,
//! and a data directory without threads, so that an input always does the same.

use std::path::Path;
use std::sync::Arc;

use clock::Clock;
use records::Offset;
use vfs::Vfs;

use crate::context::Workers;
use crate::index::OffsetIndex;
use crate::open::open_with;
use crate::position::Position;
use crate::time_index::TimeIndex;
use crate::{Disk, DiskOptions, Fatal, OpenDiskError, commit_file, epoch_file, producer_snapshot};

/// Like [`crate::open`], with nobody in the background.
pub fn open(
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    options: &DiskOptions,
    fatal: Fatal,
) -> Result<Disk, OpenDiskError> {
    open_with(vfs, clock, options, fatal, Workers::Manual)
}

/// One commit round, and one round of upkeep.
pub fn work(disk: &Disk) {
    let context = &disk.shared.context;
    context.flusher.run_pending(context);
    context.upkeep.run_pending(context, &disk.journal);
}

/// What is accepted of an index is written back as it was read, and finds what it holds.
pub fn offset_index(bytes: &[u8], log_end: u32) {
    let (index, is_whole) = OffsetIndex::decode(bytes, Position::new(log_end));
    let again = index.encode_from(0);
    assert!(bytes.starts_with(&again), "a good prefix");
    assert!(!is_whole || again.len() == bytes.len(), "whole");
    for entry in index.entries() {
        assert_eq!(index.floor(entry.relative_last), Some(*entry));
        assert_eq!(index.floor_position(entry.position), Some(*entry));
    }
}

/// What is accepted of a time index is written back as it was read, and finds what it holds.
pub fn time_index(bytes: &[u8]) {
    let (index, is_whole) = TimeIndex::decode(bytes);
    let again = index.encode_from(0);
    assert!(bytes.starts_with(&again), "a good prefix");
    assert!(!is_whole || again.len() == bytes.len(), "whole");
    if let Some(last) = index.last() {
        let before = index.below(last.timestamp_ms);
        assert!(before.is_none_or(|before| before.timestamp_ms < last.timestamp_ms));
        assert_eq!(before, index.before_offset(last.relative_last));
    }
}

/// What is accepted as a snapshot of producers is the same after it is written and read again.
pub fn producer_snapshot(bytes: &[u8], offset: Offset) {
    let Ok(table) = producer_snapshot::decode(bytes, offset) else {
        return;
    };
    let written = producer_snapshot::encode(&table, offset);
    let again = producer_snapshot::decode(&written, offset).expect("what was written can be read");
    assert_eq!(producer_snapshot::encode(&again, offset), written);
}

/// A piece of a commit file, in good form.
#[derive(Debug)]
pub enum CommitPiece<'a> {
    /// The head of a generation.
    Head(u64),
    /// An entry of that generation: its number, that of its round, and its records.
    Entry(u64, u32, u32, &'a [u8]),
}

/// The bytes of a piece, under a good checksum.
pub fn commit_piece(piece: &CommitPiece<'_>) -> Vec<u8> {
    commit_file::fuzz_piece(piece)
}

/// Reads the commit files in the directory `@ottla`: how many entries count, each of them whole.
pub fn commit_file(vfs: &dyn Vfs, own_dir: &Path) -> usize {
    commit_file::fuzz_read(vfs, own_dir)
}

/// Reads the history of epochs in a partition's directory.
pub fn epoch_file(vfs: &dyn Vfs, directory: &Path) -> Option<storage::LeaderEpochs> {
    epoch_file::read(vfs, directory)
}
