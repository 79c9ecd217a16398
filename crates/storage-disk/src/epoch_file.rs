//! `leader-epoch-checkpoint`: which leader epoch began where, in Kafka's text format.
//!
//! Saved before the watermark journal says that the log is durable past the start of a new epoch;
//! the epochs of what lies behind that are in the headers that a recovery reads anyway.

use std::io;
use std::path::Path;

use storage::LeaderEpochs;
use vfs::Vfs;

use crate::paths::EPOCH_FILE;

/// More than any number of starts of a broker.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What the file holds; `None` if it is not there, not good or not readable: the headers of the
/// log tell the same.
pub(crate) fn read(vfs: &dyn Vfs, directory: &Path) -> Option<LeaderEpochs> {
    let path = directory.join(EPOCH_FILE);
    let read = match vfs::read_whole(vfs, &path, FILE_BYTES_MAX) {
        Ok(bytes) => LeaderEpochs::decode(&String::from_utf8_lossy(&bytes))
            .map_err(|error| error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => Err(error.to_string()),
    };
    read.inspect_err(|error| {
        tracing::warn!(path = %path.display(), error, "the history of epochs is read anew");
    })
    .ok()
}

/// Puts the history into the directory of a partition, whose names are to be synced then.
pub(crate) fn put(vfs: &dyn Vfs, directory: &Path, text: &str) -> io::Result<()> {
    vfs::replace(vfs, &directory.join(EPOCH_FILE), text.as_bytes())
}
