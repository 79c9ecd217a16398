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

/// What the file holds; `None` if it is not there or not good.
pub(crate) fn read(vfs: &dyn Vfs, directory: &Path) -> io::Result<Option<LeaderEpochs>> {
    let path = directory.join(EPOCH_FILE);
    let bytes = match vfs::read_whole(vfs, &path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&bytes);
    match LeaderEpochs::decode(&text) {
        Ok(epochs) => Ok(Some(epochs)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the history of epochs is read anew");
            Ok(None)
        }
    }
}

/// Puts the history into the directory of a partition, durably.
pub(crate) fn write(vfs: &dyn Vfs, directory: &Path, text: &str) -> io::Result<()> {
    vfs::replace_durable(vfs, &directory.join(EPOCH_FILE), text.as_bytes())
}
