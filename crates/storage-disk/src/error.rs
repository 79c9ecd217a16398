//! From an I/O error to what the caller can do about it.
//!
//! Two cases matter: a full disk, after which everything is as before and a later try may succeed,
//! and everything else, after which nothing more is promised. Texts name operation, path and cause.

use std::io;
use std::path::Path;

use storage::StorageFailure;

/// Why a write to a small file of ours did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// No room; the file is as it was before, durably.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// What the file holds is not known: nothing may be promised on it any more.
    #[error("{0}")]
    Failed(StorageFailure),
}

impl WriteError {
    /// Sorts an I/O error into the two cases.
    pub(crate) fn sort(doing: &str, path: &Path, cause: &io::Error) -> Self {
        let failure = failure(doing, path, cause);
        if is_no_space(cause) {
            Self::NoSpace(failure)
        } else {
            Self::Failed(failure)
        }
    }
}

/// Whether the disk, a quota or a limit on file sizes is exhausted: it may have room again later.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::WriteZero
    )
}

/// "cannot {doing} {path}: {cause}".
pub(crate) fn failure(doing: &str, path: &Path, cause: &io::Error) -> StorageFailure {
    StorageFailure::new(format!("cannot {doing} {}: {cause}", path.display()))
}
