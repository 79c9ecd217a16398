//! Telling a failed sync beside a log's segments from every other error: the disk reports it once, and
//! the names of segments are lost with it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

use vfs::{File, Vfs};

/// A sync failed: what was written, made or renamed may be gone after a power cut, and the next
/// sync would not say so.
#[derive(Debug)]
struct FailedSync(io::Error);

impl fmt::Display for FailedSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a sync failed: {}", self.0)
    }
}

impl Error for FailedSync {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Whether durability is lost by it, whatever its kind.
pub(crate) fn is_failed_sync(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<FailedSync>())
}

/// Makes the bytes of a file beside a log's segments durable. See [`is_failed_sync`].
pub(crate) fn sync_data(file: &dyn File) -> io::Result<()> {
    file.sync_data()
        .map_err(|error| io::Error::new(error.kind(), FailedSync(error)))
}

/// Makes the names beside a log's segments durable. See [`is_failed_sync`].
pub(crate) fn sync_dir(vfs: &dyn Vfs, directory: &Path) -> io::Result<()> {
    vfs.sync_dir(directory)
        .map_err(|error| io::Error::new(error.kind(), FailedSync(error)))
}
