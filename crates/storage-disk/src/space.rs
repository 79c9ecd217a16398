//! Whether there is room for more records: below a reserve appends are refused, and go on by
//! themselves when space returns.
//!
//! The file system is asked again after every few MiB, and at each append while it is full.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sabotage::{Safeguard, skips};
use storage::StorageFailure;
use vfs::Vfs;

use crate::error::is_no_space;

/// How much may be written before the file system is asked again.
const CREDIT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The room on the disk of one data directory.
#[derive(Debug)]
pub(crate) struct Space {
    vfs: Arc<dyn Vfs>,
    data_dir: PathBuf,
    min_free_bytes: u64,
    credit_bytes: AtomicI64,
}

impl Space {
    pub(crate) fn new(vfs: Arc<dyn Vfs>, data_dir: PathBuf, min_free_bytes: u64) -> Self {
        Self {
            vfs,
            data_dir,
            min_free_bytes,
            credit_bytes: AtomicI64::new(0),
        }
    }

    /// Takes room for `size_bytes`, or says that the disk is full.
    pub(crate) fn take(&self, size_bytes: usize) -> Result<(), StorageFailure> {
        if self.min_free_bytes == 0 || skips(Safeguard::SpaceReserve) {
            return Ok(());
        }
        let size_bytes = i64::try_from(size_bytes).unwrap_or(i64::MAX);
        if self.credit_bytes.fetch_sub(size_bytes, Ordering::AcqRel) >= size_bytes {
            return Ok(());
        }
        let wanted = u64::try_from(size_bytes).unwrap_or(u64::MAX);
        let room = match self.room_for(wanted) {
            Ok(room) => room,
            Err(full) => {
                self.credit_bytes.store(0, Ordering::Release);
                return Err(full);
            }
        };
        let Some(room) = room else {
            return Ok(());
        };
        let credit = i64::try_from(room.min(CREDIT_BYTES_MAX)).unwrap_or(0);
        self.credit_bytes
            .store(credit.saturating_sub(size_bytes).max(0), Ordering::Release);
        Ok(())
    }

    /// Whether so many bytes can be taken and the reserve stays.
    pub(crate) fn has(&self, size_bytes: u64) -> Result<(), StorageFailure> {
        if self.min_free_bytes == 0 || size_bytes == 0 {
            return Ok(());
        }
        self.room_for(size_bytes).map(|_room| ())
    }

    /// What is left above the reserve, or why that is not enough; `None` if it is not known.
    fn room_for(&self, size_bytes: u64) -> Result<Option<u64>, StorageFailure> {
        let free_bytes = match self.vfs.free_bytes(&self.data_dir) {
            Ok(free_bytes) => free_bytes,
            Err(error) => {
                // Not knowing is no reason to refuse: a full disk refuses by itself.
                tracing::warn!(%error, data_dir = %self.data_dir.display(), "free space unknown");
                return Ok(None);
            }
        };
        let room = free_bytes.saturating_sub(self.min_free_bytes);
        if room < size_bytes {
            return Err(StorageFailure::new(format!(
                "the disk of {} has {free_bytes} bytes left, {} are kept in reserve; free some space",
                self.data_dir.display(),
                self.min_free_bytes,
            )));
        }
        Ok(Some(room))
    }

    /// What a write that found no room comes to; `None` if the error is another one.
    pub(crate) fn full(&self, error: &io::Error) -> Option<StorageFailure> {
        is_no_space(error).then(|| {
            StorageFailure::new(format!(
                "the disk of {} is full: {error}",
                self.data_dir.display()
            ))
        })
    }
}
