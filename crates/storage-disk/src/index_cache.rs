//! The indexes of sealed segments that were read lately, bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::files::FileKey;
use crate::segment_index::SegmentIndex;

/// What all held indexes may take together.
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Shared by all logs of a store.
#[derive(Debug, Default)]
pub(crate) struct IndexCache {
    held: Mutex<Held>,
}

/// Newest use last. There are few: a full segment's index takes hundreds of KiB.
#[derive(Debug, Default)]
struct Held {
    indexes: VecDeque<(FileKey, Arc<SegmentIndex>)>,
    size_bytes: usize,
}

impl Held {
    fn remove(&mut self, key: FileKey) -> Option<Arc<SegmentIndex>> {
        let place = self.indexes.iter().position(|(held, _)| *held == key)?;
        let (_, index) = self.indexes.remove(place)?;
        self.size_bytes = self.size_bytes.saturating_sub(index.size_bytes());
        Some(index)
    }

    fn push(&mut self, key: FileKey, index: Arc<SegmentIndex>) {
        self.size_bytes = self.size_bytes.saturating_add(index.size_bytes());
        self.indexes.push_back((key, index));
    }
}

impl IndexCache {
    pub(crate) fn get(&self, key: FileKey) -> Option<Arc<SegmentIndex>> {
        let mut held = self.held.lock();
        let index = held.remove(key)?;
        held.push(key, Arc::clone(&index));
        Some(index)
    }

    /// Lets go of the index of a segment that is no more.
    pub(crate) fn forget(&self, key: FileKey) {
        self.held.lock().remove(key);
    }

    /// Lets go of all indexes of a log by its old number.
    pub(crate) fn forget_log(&self, log: u64) {
        let mut held = self.held.lock();
        let (gone, kept) = std::mem::take(&mut held.indexes)
            .into_iter()
            .partition(|(key, _)| key.log == log);
        held.indexes = kept;
        let gone: VecDeque<(FileKey, Arc<SegmentIndex>)> = gone;
        let freed = gone.iter().map(|(_, index)| index.size_bytes()).sum();
        held.size_bytes = held.size_bytes.saturating_sub(freed);
    }

    /// As if others had taken all the room.
    #[cfg(test)]
    pub(crate) fn clear(&self) {
        *self.held.lock() = Held::default();
    }

    pub(crate) fn insert(&self, key: FileKey, index: Arc<SegmentIndex>) {
        let mut held = self.held.lock();
        held.remove(key);
        held.push(key, index);
        while held.size_bytes > HELD_BYTES_MAX && held.indexes.len() > 1 {
            let Some((oldest, _)) = held.indexes.front() else {
                return;
            };
            let oldest = *oldest;
            assert!(held.remove(oldest).is_some(), "what is in front is held");
        }
    }
}
