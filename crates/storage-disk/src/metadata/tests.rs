//! The metadata on a simulated disk that loses power, flips bits, fills up and fails.

mod commits;
mod crashes;
mod damage;
mod errors;
mod formats;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use storage::{CommitError, Key, Space, Version, Write};
use vfs::{SimOptions, SimVfs, Vfs};

use super::DiskMetadata;
use super::committer::RollRule;
use crate::Fatal;

/// Rewrites after a few commits.
pub(super) const EAGER: RollRule = RollRule {
    bytes_min: 300,
    live_factor: 2,
};

pub(super) fn own_dir() -> PathBuf {
    PathBuf::from("/data/@ottla")
}

/// A disk that holds an empty `@ottla`.
pub(super) fn disk_with(options: SimOptions) -> SimVfs {
    let disk = SimVfs::with_options(options);
    vfs::create_dirs(&disk, &own_dir()).expect("an empty disk takes a directory");
    disk
}

pub(super) fn disk() -> SimVfs {
    disk_with(SimOptions::default())
}

/// How often `fatal` was called.
#[derive(Clone, Default)]
pub(super) struct Fatals(Arc<AtomicUsize>);

impl Fatals {
    pub(super) fn callback(&self) -> Fatal {
        let count = Arc::clone(&self.0);
        Arc::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        })
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

pub(super) fn as_vfs(disk: &SimVfs) -> Arc<dyn Vfs> {
    Arc::new(disk.clone())
}

pub(super) fn open_on(disk: &SimVfs, fatals: &Fatals, rule: RollRule) -> DiskMetadata {
    DiskMetadata::open_with(&as_vfs(disk), &own_dir(), fatals.callback(), rule)
        .expect("a start is never refused")
}

/// With an end of the process on any failure.
pub(super) fn open(disk: &SimVfs) -> DiskMetadata {
    open_on(disk, &Fatals::default(), RollRule::default())
}

pub(super) fn key(name: &str) -> Key {
    Key::space(Space::Topic).part(name.as_bytes())
}

pub(super) fn put(name: &str, value: &str) -> Write {
    Write {
        key: key(name),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
    }
}

pub(super) fn removal(name: &str) -> Write {
    Write {
        key: key(name),
        value: None,
    }
}

pub(super) type Rows = BTreeMap<Key, (Bytes, Version)>;

pub(super) fn rows(metadata: &DiskMetadata) -> Rows {
    let table = metadata.table.read();
    let rows = table.iter();
    rows.map(|(key, row)| (key.clone(), (row.value.clone(), row.version)))
        .collect()
}

/// What a table must hold after commits: a model without files.
pub(super) fn apply(rows: &mut Rows, version: Version, writes: &[Write]) {
    for write in writes {
        match &write.value {
            Some(value) => rows.insert(write.key.clone(), (value.clone(), version)),
            None => rows.remove(&write.key),
        };
    }
}

pub(super) fn commit(metadata: &DiskMetadata, writes: &[Write]) -> Result<Version, CommitError> {
    metadata.commit_blocking(&[], writes)
}

/// Until this many commits are in the queue.
pub(super) fn wait_for_waiting(metadata: &DiskMetadata, count: usize) {
    while metadata.thread.waiting() < count {
        std::thread::yield_now();
    }
}

/// The names in `@ottla`.
pub(super) fn names(disk: &SimVfs) -> Vec<String> {
    let entries = disk.read_dir(&own_dir()).expect("the directory is there");
    entries.into_iter().map(|entry| entry.name).collect()
}

/// What a file holds.
pub(super) fn content(disk: &SimVfs, name: &str) -> Vec<u8> {
    vfs::read_whole(disk, &own_dir().join(name), u64::MAX).expect("the file is there")
}

/// Puts bytes into a file, made if absent, and cuts it to them.
pub(super) fn overwrite(disk: &SimVfs, name: &str, bytes: &[u8]) {
    let path: &Path = &own_dir().join(name);
    vfs::replace_durable(disk, path, bytes).expect("the disk has room");
}
