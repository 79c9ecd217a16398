//! The commit file, `@ottla/commit.{a,b}`: where the small appends of many logs become durable
//! with one sync.
//!
//! Two files of a fixed size, made once and full of zeros behind a head, so that a sync of one writes no inode.
//! They are used in turn. Using one begins a **generation**: a head that names this run, then
//! **rounds**, each one write and one sync. A round holds, for each log that waited, the bytes that
//! stand behind its durable end; only its sync moves that end. The files of the logs are synced
//! later, each by itself, and a generation is **live** until all logs in it are: then its head is
//! wiped, durably, and only then is the file used again. Where no file is free, logs sync by
//! themselves and nobody waits.
//!
//! A start after a crash writes the entries of live generations into their logs again
//! ([`replay`]), before anything is judged by what the logs hold. So:
//!
//! IMPORTANT: what lies below the durable end of a log does not change while this process runs, but
//! for a head that is put back as it was. Compaction, which changes that, leaves alone the first
//! segment of which a live generation has anything, and those behind it. A segment may be removed once the journal says durably
//! that the log starts behind it: a replay leaves alone what it finds missing there.
//!
//! A failed write or sync ends everything, as with any other file; only a full disk (a file system
//! that writes to new places) ends nothing but the use of the commit file. Knows nothing of
//! records: they are bytes with a checksum.
//!
//! - `layout`: the bytes of heads and entries
//! - `contents`: what a file holds
//! - `pair`: generations and rounds
//! - `replay`: at a start

mod contents;
mod layout;
mod pair;
mod replay;

use std::path::{Path, PathBuf};

pub(crate) use pair::{Added, Closed, CommitFile, Pair, Round, Sizes, Unprepared, Written};
pub(crate) use replay::{Promises, Replay, ReplayError, survey};

/// The two files.
const NAMES: [&str; 2] = ["commit.a", "commit.b"];

fn paths(own_dir: &Path) -> [PathBuf; 2] {
    NAMES.map(|name| own_dir.join(name))
}

/// Whether a file in `@ottla` is one of them, or what a crash left of making one.
pub(crate) fn is_file_name(name: &str) -> bool {
    let name = name
        .strip_suffix(crate::paths::TEMPORARY_SUFFIX)
        .unwrap_or(name);
    NAMES.contains(&name)
}

#[cfg(fuzzing)]
mod fuzzing;
#[cfg(fuzzing)]
pub(crate) use fuzzing::{fuzz_piece, fuzz_read};

#[cfg(test)]
mod tests;
