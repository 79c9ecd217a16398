//! The metadata table in memory, durable at once.

use parking_lot::Mutex;

use super::Table;
use crate::BoxFuture;
use crate::log::StorageFailure;
use crate::metadata::{CommitError, Entry, Key, MetaError, Metadata, Version, Versioned, Write};

/// [`Metadata`] in memory.
#[derive(Debug, Default)]
pub struct MemoryMetadata {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    refusal: Option<CommitError>,
    lost_answer: Option<StorageFailure>,
}

impl MemoryMetadata {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// With an error: commits answer it and nothing is written. With `None`: they work again.
    pub fn refuse_commits(&self, error: Option<CommitError>) {
        self.state.lock().refusal = error;
    }

    /// The next commit is written, but its answer is [`CommitError::Unknown`].
    pub fn lose_next_answer(&self, failure: StorageFailure) {
        self.state.lock().lost_answer = Some(failure);
    }

    fn commit_now(
        &self,
        checks: &[(Key, Version)],
        writes: &[Write],
    ) -> Result<Version, CommitError> {
        let mut state = self.state.lock();
        if let Some(error) = &state.refusal {
            return Err(error.clone());
        }
        let version = state.table.apply(checks, writes)?;
        match state.lost_answer.take() {
            Some(failure) => Err(CommitError::Unknown(failure)),
            None => Ok(version),
        }
    }
}

impl Metadata for MemoryMetadata {
    fn get(&self, key: &Key) -> BoxFuture<'_, Result<Option<Versioned>, MetaError>> {
        let key = key.clone();
        Box::pin(async move { Ok(self.state.lock().table.get(&key).cloned()) })
    }

    fn list(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, MetaError>> {
        let (prefix, after) = (prefix.clone(), after.cloned());
        Box::pin(async move { Ok(self.state.lock().table.list(&prefix, after.as_ref(), limit)) })
    }

    fn commit(
        &self,
        checks: &[(Key, Version)],
        writes: &[Write],
    ) -> BoxFuture<'_, Result<Version, CommitError>> {
        let (checks, writes) = (checks.to_vec(), writes.to_vec());
        Box::pin(async move { self.commit_now(&checks, &writes) })
    }
}
