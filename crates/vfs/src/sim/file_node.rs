//! The bytes of one simulated file: what a reader sees, what the disk holds, and what lies between.
//!
//! A write changes `visible` at once and waits in `pending`; a sync moves it to `durable`; a power
//! cut decides each pending change by itself (see `power`). A failed writeback leaves bytes that
//! are visible, clean and not on the disk: nothing will ever write them again.

use std::sync::Arc;

use super::FailedSync;
use super::pages::Pages;

/// A change that is in memory only.
#[derive(Debug, Clone)]
pub(super) struct PendingData {
    /// Its place among all changes of the disk.
    pub(super) sequence: u64,
    pub(super) change: DataChange,
}

#[derive(Debug, Clone)]
pub(super) enum DataChange {
    Write { at: usize, bytes: Arc<[u8]> },
    Resize { size: usize },
}

#[derive(Debug, Clone, Default)]
pub(super) struct FileNode {
    pub(super) visible: Pages,
    pub(super) durable: Pages,
    pub(super) pending: Vec<PendingData>,
    /// `visible` holds bytes that no sync will write: a writeback of them failed.
    pub(super) diverged: bool,
    /// Counts failed writebacks; a descriptor that has sampled less owes its caller an error.
    pub(super) error_sequence: u64,
}

impl FileNode {
    pub(super) fn write(&mut self, bytes: &[u8], at: usize, sequence: u64) {
        self.visible.write_at(bytes, at);
        let change = DataChange::Write {
            at,
            bytes: bytes.into(),
        };
        self.pending.push(PendingData { sequence, change });
    }

    pub(super) fn resize(&mut self, size: usize, sequence: u64) {
        self.visible.set_size(size);
        self.pending.push(PendingData {
            sequence,
            change: DataChange::Resize { size },
        });
    }

    /// Makes the changes up to `sequence_max` durable.
    pub(super) fn flush(&mut self, sequence_max: u64) {
        let covered = self
            .pending
            .partition_point(|item| item.sequence <= sequence_max);
        let whole = covered == self.pending.len();
        if covered == 0 {
            return;
        }
        for item in self.pending.drain(..covered) {
            match item.change {
                // Nothing came later: the pages in memory are what the disk gets.
                DataChange::Write { at, bytes } if whole => {
                    self.durable.share_range(&self.visible, at, bytes.len());
                }
                DataChange::Write { at, bytes } => self.durable.write_at(&bytes, at),
                DataChange::Resize { size } => self.durable.set_size(size),
            }
        }
        if whole {
            self.durable.set_size(self.visible.size());
        }
    }

    /// The writeback of everything pending failed: it will not be tried again.
    pub(super) fn lose_pending(&mut self, failed_sync: FailedSync) {
        self.error_sequence += 1;
        self.pending.clear();
        match failed_sync {
            FailedSync::KeepPages | FailedSync::ShutDown => self.diverged = true,
            FailedSync::RevertPages => self.visible = self.durable.clone(),
        }
    }

    /// Nobody can reach the file any more, so nothing will write its pages.
    pub(super) fn forget_pending(&mut self) {
        self.diverged |= !self.pending.is_empty();
        self.pending.clear();
    }

    /// Memory is gone: what the disk holds is what is there.
    pub(super) fn lose_memory(&mut self) {
        self.pending.clear();
        self.diverged = false;
        self.visible = self.durable.clone();
    }
}
