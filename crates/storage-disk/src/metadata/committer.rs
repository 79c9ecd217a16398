//! Group commit: many commits, one frame, one sync of each copy.
//!
//! [`Committer::round`] checks its requests in their order against the table as it will be after
//! those before them, writes all that hold as one frame to both copies, syncs both, and only then
//! changes the table and answers. When there is no room nothing has happened. When a write or a
//! sync fails otherwise, nothing is promised any more: the round returns the failure, after it
//! told its callers what is known. Runs on one thread; knows no queue.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use sabotage::{Safeguard, skips};
use storage::memory::Table;
use storage::{CommitError, Key, StorageFailure, Version, Write};
use vfs::Vfs;

use super::entries;
use super::pair::{self, Pair};
use crate::error::{WriteError, failure};
use crate::names;

/// Small in tests, so that their few commits get there.
const ROLL_BYTES_MIN: u64 = if cfg!(test) { 4096 } else { 1024 * 1024 };

/// How a caller is told.
pub(super) type Answer = Box<dyn FnOnce(Result<Version, CommitError>) + Send>;

/// Keys, and the versions that they must be at.
type Checks = Vec<(Key, Version)>;

/// A commit that waits for its round.
pub(super) struct Request {
    pub(super) checks: Checks,
    pub(super) writes: Vec<Write>,
    pub(super) answer: Answer,
}

impl Request {
    /// Bytes that its writes take in a frame.
    pub(super) fn encoded_bytes(&self) -> usize {
        encoded_bytes(&self.writes)
    }
}

/// Bytes that the writes of one commit take in a frame.
pub(super) fn encoded_bytes(writes: &[Write]) -> usize {
    writes
        .iter()
        .map(entries::encoded_bytes)
        .fold(0, usize::saturating_add)
}

/// When the files are rewritten.
#[derive(Debug, Clone, Copy)]
pub(super) struct RollRule {
    /// A copy that is not larger is never rewritten.
    pub(super) bytes_min: u64,
    /// It is rewritten when it has more than this many times the bytes of its rows.
    pub(super) live_factor: u64,
}

impl Default for RollRule {
    fn default() -> Self {
        Self {
            bytes_min: ROLL_BYTES_MIN,
            live_factor: 4,
        }
    }
}

/// Owns the files and is the only one to change the table.
pub(super) struct Committer {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    pair: Pair,
    table: Arc<RwLock<Table>>,
    next_generation: u32,
    rule: RollRule,
    /// Size of a copy from which on the rule is looked at again.
    roll_at_bytes: u64,
}

/// A round's commits, checked but not yet written.
#[derive(Default)]
struct Staged {
    body: Vec<u8>,
    entry_count: u32,
    accepted: Vec<(Version, Vec<Write>, Answer)>,
    /// The caller and the first key that was not at its version.
    refused: Vec<(Checks, Key, Answer)>,
}

impl Committer {
    /// Commits to `pair`, which has begun with a snapshot of `table`.
    pub(super) fn new(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        pair: Pair,
        table: Arc<RwLock<Table>>,
        rule: RollRule,
    ) -> Self {
        let next_generation = after(pair.generation());
        let dir = dir.to_path_buf();
        let mut committer = Self {
            vfs,
            dir,
            pair,
            table,
            next_generation,
            rule,
            roll_at_bytes: 0,
        };
        committer.begin_generation();
        committer
    }

    /// Versions of this generation begin above those of every earlier one, whatever became of the
    /// frames that held them: a frame that was lost unacknowledged took its versions with it, and
    /// no file tells of them. A generation gives out versions only when its files and their names
    /// are durable, so the next start finds its number, and takes a higher one.
    fn begin_generation(&mut self) {
        let floor = Version(u64::from(self.pair.generation()) << 32);
        let mut table = self.table.write();
        if !skips(Safeguard::MetadataVersionFloor) {
            table.skip_versions(floor);
        }
        self.roll_at_bytes = self.roll_size_bytes(&table);
    }

    fn roll_size_bytes(&self, table: &Table) -> u64 {
        let rows = table
            .iter()
            .map(|(key, row)| entries::row_bytes(key, row.value.len()));
        let live_bytes = u64::try_from(rows.fold(0, usize::saturating_add)).unwrap_or(u64::MAX);
        live_bytes
            .saturating_mul(self.rule.live_factor)
            .max(self.rule.bytes_min)
    }

    /// Commits what holds, and answers every request. An error is final.
    pub(super) fn round(&mut self, requests: Vec<Request>) -> Result<(), StorageFailure> {
        let staged = self.stage(requests);
        let written = match staged.entry_count {
            0 => Ok(()),
            count => self.pair.append_commits(count, &staged.body),
        };
        match written {
            Err(WriteError::Failed(_)) if skips(Safeguard::MetadataFailureFinal) => {
                self.publish(staged);
                Ok(())
            }
            Ok(()) => {
                self.publish(staged);
                Ok(())
            }
            Err(WriteError::NoSpace(failure)) => {
                self.refuse(staged, &failure);
                Ok(())
            }
            Err(WriteError::Failed(failure)) => {
                for (_, _, answer) in staged.accepted {
                    answer(Err(CommitError::Unknown(failure.clone())));
                }
                for (_, _, answer) in staged.refused {
                    answer(Err(CommitError::Storage(failure.clone())));
                }
                Err(failure)
            }
        }
    }

    fn stage(&self, requests: Vec<Request>) -> Staged {
        let table = self.table.read();
        let mut staged = Staged::default();
        let mut changed: HashMap<Key, Version> = HashMap::new();
        let mut version = table.last_version();
        for Request {
            checks,
            writes,
            answer,
        } in requests
        {
            let is_at = |(key, version): &&(Key, Version)| {
                changed
                    .get(key)
                    .copied()
                    .unwrap_or_else(|| table.version_of(key))
                    == *version
            };
            if let Some((key, _)) = checks.iter().find(|check| !is_at(check)) {
                let key = key.clone();
                staged.refused.push((checks, key, answer));
                continue;
            }
            version = Version(
                version
                    .0
                    .checked_add(1)
                    .expect("2^64 commits take centuries"),
            );
            for Write { key, value } in &writes {
                entries::encode(&mut staged.body, version, key, value.as_deref());
                let at = if value.is_some() {
                    version
                } else {
                    Version::ABSENT
                };
                changed.insert(key.clone(), at);
            }
            let count = u32::try_from(writes.len()).expect("the bytes of a commit are bounded");
            staged.entry_count = staged
                .entry_count
                .checked_add(count)
                .expect("the bytes of a round are bounded");
            staged.accepted.push((version, writes, answer));
        }
        let generation = u64::from(self.pair.generation());
        assert!(
            version.0 >> 32 == generation || skips(Safeguard::MetadataVersionFloor),
            "versions belong to the generation of their files"
        );
        staged
    }

    /// Everything staged is durable: now it is visible, and answered.
    fn publish(&mut self, staged: Staged) {
        let mut answers = Vec::with_capacity(staged.accepted.len());
        {
            let mut table = self.table.write();
            for (version, writes, answer) in staged.accepted {
                table.write(version, &writes);
                answers.push((version, answer));
            }
        }
        for (version, answer) in answers {
            answer(Ok(version));
        }
        for (_, key, answer) in staged.refused {
            answer(Err(CommitError::Conflict { key }));
        }
    }

    /// Nothing staged was written.
    fn refuse(&self, staged: Staged, failure: &StorageFailure) {
        for (_, _, answer) in staged.accepted {
            answer(Err(CommitError::NoSpace(failure.clone())));
        }
        for (checks, _, answer) in staged.refused {
            // It may have been refused for a commit that now did not happen.
            let conflict = self.table.read().check(&checks).err();
            answer(Err(
                conflict.unwrap_or_else(|| CommitError::NoSpace(failure.clone()))
            ));
        }
    }

    /// Rewrites the files as the snapshot of a new generation if they have grown enough. With no
    /// room, or no descriptor, for it everything stays as it is. An error is final.
    pub(super) fn roll_if_due(&mut self) -> Result<(), StorageFailure> {
        let size_bytes = self.pair.size_bytes();
        if size_bytes <= self.roll_at_bytes {
            return Ok(());
        }
        self.roll_at_bytes = self.roll_size_bytes(&self.table.read());
        if size_bytes <= self.roll_at_bytes {
            return Ok(());
        }
        let (old, new) = (self.pair.generation(), self.next_generation);
        self.next_generation = after(new);
        let mut pair = match Pair::create(&*self.vfs, &self.dir, new) {
            Ok(pair) => pair,
            Err(error) => {
                return self.abandon(new, &failure("create files in", &self.dir, &error));
            }
        };
        let begun = pair.begin(&*self.vfs, &self.dir, &self.table.read());
        match begun {
            Ok(()) => self.pair = pair,
            Err(WriteError::NoSpace(reason)) => return self.abandon(new, &reason),
            Err(WriteError::Failed(failure)) => return Err(failure),
        }
        self.begin_generation();
        // The new one is durable and counts; an old one that stays is only wasted space.
        self.remove(old)
    }

    /// Goes on with the old generation. The new one does not count, now or after a power cut: the
    /// write that was refused is cut off durably, so no copy of it has an end mark.
    fn abandon(&mut self, new: u32, reason: &StorageFailure) -> Result<(), StorageFailure> {
        tracing::warn!(%reason, "the metadata files are not rewritten for now");
        self.roll_at_bytes = self.pair.size_bytes().saturating_add(self.rule.bytes_min);
        self.remove(new)
    }

    /// Removes files that do not count. Ones that stay are only wasted space.
    fn remove(&self, generation: u32) -> Result<(), StorageFailure> {
        match pair::remove(&*self.vfs, &self.dir, generation) {
            // IMPORTANT: the journal's names are in the same directory. One that was lost with this
            // sync would not be reported to the journal's own.
            Err(error) if names::is_failed_sync(&error) => {
                Err(failure("remove files in", &self.dir, &error))
            }
            Err(error) => {
                tracing::warn!(generation, %error, "cannot remove metadata files");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// The generation after this one.
pub(super) fn after(generation: u32) -> u32 {
    generation
        .checked_add(1)
        .expect("2^32 starts take centuries")
}
