//! [`DiskMetadata`]: the metadata table in memory and in two mirrored append-only files.
//!
//! Guarantees: a commit is in both copies and synced before it is answered or visible; damage to
//! one copy loses nothing; a version is never given out twice, over restarts too; after a failed
//! sync nothing is accepted any more and the process is told to end. Every start reads the newest
//! complete generation, and writes what it read as a new one before it serves: that repairs bad
//! copies, drops a torn tail, and makes durable what an earlier process may have left in the
//! memory of the system only. Knows nothing of what keys and values mean.

mod committer;
mod entries;
mod load;
mod pair;
mod queue;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use storage::memory::Table;
use storage::{
    BoxFuture, CommitError, Entry, Key, MetaError, Metadata, StorageFailure, Version, Versioned,
    Write,
};
use tokio::sync::oneshot;
use vfs::Vfs;

use crate::Fatal;
use crate::directory::{OpenDiskError, at, io_error};
use crate::error::WriteError;
use crate::frames::check_room;
use committer::{Committer, Request, RollRule, after, encoded_bytes};
use pair::Pair;
use queue::CommitThread;

pub use load::{BadCopy, MetadataReport};

/// One commit may write this much.
const COMMIT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Added to the names of files in which commits were lost: kept for a person to look at.
const DAMAGED_SUFFIX: &str = ".damaged";

/// See the head of the module.
pub struct DiskMetadata {
    table: Arc<RwLock<Table>>,
    report: MetadataReport,
    thread: CommitThread,
}

impl DiskMetadata {
    /// Reads the metadata in the directory `@ottla` and starts the commit thread. The caller holds
    /// the lock of the data directory. `fatal` is called at most once.
    pub fn open(vfs: &Arc<dyn Vfs>, own_dir: &Path, fatal: Fatal) -> Result<Self, OpenDiskError> {
        Self::open_with(vfs, own_dir, fatal, RollRule::default())
    }

    fn open_with(
        vfs: &Arc<dyn Vfs>,
        own_dir: &Path,
        fatal: Fatal,
        rule: RollRule,
    ) -> Result<Self, OpenDiskError> {
        let (committer, table, report) = start(vfs, own_dir, rule)?;
        let thread = CommitThread::start(committer, fatal)
            .map_err(at("start the thread that commits to", own_dir))?;
        Ok(Self {
            table,
            report,
            thread,
        })
    }

    /// What the start found.
    pub fn report(&self) -> &MetadataReport {
        &self.report
    }

    /// The value of a key, without a future.
    pub fn get_now(&self, key: &Key) -> Option<Versioned> {
        self.table.read().get(key).cloned()
    }

    /// [`Metadata::commit`] for a thread that may block, as at a start.
    pub fn commit_blocking(
        &self,
        checks: &[(Key, Version)],
        writes: &[Write],
    ) -> Result<Version, CommitError> {
        commit_bytes(writes)?;
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let answer = Box::new(move |answer| {
            // Nobody listens any more: fine.
            let _ = sender.send(answer);
        });
        let (checks, writes) = (checks.to_vec(), writes.to_vec());
        self.thread.push_blocking(Request {
            checks,
            writes,
            answer,
        });
        receiver
            .recv()
            .unwrap_or_else(|_closed| Err(self.thread.lost_answer()))
    }

    /// Finishes the commits that wait, and stops; later ones are refused.
    pub fn close(&self) {
        self.thread.close();
    }
}

/// The value of a key in the metadata of the directory `@ottla`, for who does not own it.
pub(crate) fn look(vfs: &dyn Vfs, own_dir: &Path, key: &Key) -> Option<Versioned> {
    let loaded = load::load(vfs, own_dir).ok()?;
    loaded.table.get(key).cloned()
}

fn start(
    vfs: &Arc<dyn Vfs>,
    own_dir: &Path,
    rule: RollRule,
) -> Result<(Committer, Arc<RwLock<Table>>, MetadataReport), OpenDiskError> {
    let loaded = load::load(&**vfs, own_dir)?;
    if let Some(&newest) = loaded.generations.last() {
        check_room(own_dir, newest, &format!("metadata.*.{newest}"))?;
    }
    log_damage(own_dir, &loaded.report);
    let report = loaded.report;
    let table = Arc::new(RwLock::new(loaded.table));
    let generation = after(loaded.generations.last().copied().unwrap_or(0));
    let vfs_ref = &**vfs;
    let begun = Pair::create(vfs_ref, own_dir, generation)
        .map_err(at("create metadata files in", own_dir))
        .and_then(|mut pair| {
            let begun = pair.begin(vfs_ref, own_dir, &table.read());
            begun
                .map(|()| pair)
                .map_err(|error| open_error(own_dir, error))
        });
    let pair = begun.inspect_err(|_| {
        // Gives a full disk its space back. Nothing was committed, so either generation serves.
        let _ = pair::remove(vfs_ref, own_dir, generation);
    })?;
    for old in loaded.generations {
        let is_whole = report.lost.is_empty();
        let retire = if is_whole { pair::remove } else { set_aside };
        let retired = retire(vfs_ref, own_dir, old);
        // The new one is durable and counts; one that stays is only wasted space.
        if let Err(error) = retired {
            tracing::warn!(generation = old, %error, "cannot remove metadata files of the past");
        }
    }
    let committer = Committer::new(Arc::clone(vfs), own_dir, pair, Arc::clone(&table), rule);
    Ok((committer, table, report))
}

fn open_error(own_dir: &Path, error: WriteError) -> OpenDiskError {
    let (kind, failure) = match error {
        WriteError::NoSpace(failure) => (std::io::ErrorKind::StorageFull, failure),
        WriteError::Failed(failure) => (std::io::ErrorKind::Other, failure),
    };
    io_error(
        "write metadata in",
        own_dir,
        std::io::Error::new(kind, failure),
    )
}

fn set_aside(vfs: &dyn Vfs, own_dir: &Path, generation: u32) -> std::io::Result<()> {
    for copy in pair::COPIES {
        let source = pair::path_of(own_dir, copy, generation);
        let mut target = source.clone().into_os_string();
        target.push(DAMAGED_SUFFIX);
        match vfs.rename(&source, Path::new(&target)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
    }
    vfs.sync_dir(own_dir)
}

fn log_damage(own_dir: &Path, report: &MetadataReport) {
    for bad in &report.mirrored {
        tracing::warn!(
            file = %own_dir.join(&bad.file).display(),
            position = bad.position,
            "a frame is bad here; it was read from the other copy, and both are written again"
        );
    }
    for lost in &report.lost {
        tracing::error!(
            dir = %own_dir.display(),
            generation = report.generation,
            start = lost.start,
            end = lost.end,
            "metadata is bad in both copies: commits are lost; the files are kept as {DAMAGED_SUFFIX}"
        );
    }
    if report.torn_bytes > 0 {
        tracing::info!(
            bytes = report.torn_bytes,
            "dropped a commit that a crash interrupted"
        );
    }
}

/// Whether a file in `@ottla` belongs to the metadata.
pub(crate) fn is_file_name(name: &str) -> bool {
    pair::parse_name(name.strip_suffix(DAMAGED_SUFFIX).unwrap_or(name)).is_some()
}

fn commit_bytes(writes: &[Write]) -> Result<usize, CommitError> {
    match encoded_bytes(writes) {
        bytes if bytes <= COMMIT_BYTES_MAX => Ok(bytes),
        bytes => Err(CommitError::Storage(StorageFailure::new(format!(
            "a commit of {bytes} bytes is larger than {COMMIT_BYTES_MAX}"
        )))),
    }
}

impl Metadata for DiskMetadata {
    fn get(&self, key: &Key) -> BoxFuture<'_, Result<Option<Versioned>, MetaError>> {
        let found = self.get_now(key);
        Box::pin(async move { Ok(found) })
    }

    fn list(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, MetaError>> {
        let found = self.table.read().list(prefix, after, limit);
        Box::pin(async move { Ok(found) })
    }

    fn commit(
        &self,
        checks: &[(Key, Version)],
        writes: &[Write],
    ) -> BoxFuture<'_, Result<Version, CommitError>> {
        let (checks, writes) = (checks.to_vec(), writes.to_vec());
        Box::pin(async move {
            let bytes = commit_bytes(&writes)?;
            let (sender, receiver) = oneshot::channel();
            let answer = Box::new(move |answer| {
                // The caller went away: the commit happened all the same.
                let _ = sender.send(answer);
            });
            self.thread.push(bytes, checks, writes, answer).await;
            receiver
                .await
                .unwrap_or_else(|_closed| Err(self.thread.lost_answer()))
        })
    }
}

impl fmt::Debug for DiskMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskMetadata")
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
