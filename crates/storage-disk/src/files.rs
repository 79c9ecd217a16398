//! The files of records that are held open: a bounded set, the least used go first, and those that
//! nobody used for a while go too, so that an idle partition holds no descriptor.
//!
//! A file with bytes that are not synced is also held by the flusher, so closing one here never
//! loses the descriptor that a failed writeback would be reported to. A file is named by the
//! number of its log, never by a path: a topic that takes a removed one's name gets new numbers.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use records::Offset;
use vfs::File;

/// One file of records: the number of its log, and the base offset of its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileKey {
    pub(crate) log: u64,
    pub(crate) base: Offset,
}

/// Open files, up to a number of them.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    held: Mutex<Held>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Held {
    places: HashMap<FileKey, usize>,
    slots: Vec<Slot>,
    /// Where the search for a file to close goes on: each used file gets a second chance.
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    key: FileKey,
    file: Arc<dyn File>,
    used: bool,
}

impl OpenFiles {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            held: Mutex::default(),
            capacity: capacity.max(1),
        }
    }

    /// The file, if it is open.
    pub(crate) fn get(&self, key: FileKey) -> Option<Arc<dyn File>> {
        let mut held = self.held.lock();
        let place = *held.places.get(&key)?;
        let slot = held.slots.get_mut(place)?;
        slot.used = true;
        Some(Arc::clone(&slot.file))
    }

    /// Keeps a file that was just opened.
    pub(crate) fn insert(&self, key: FileKey, file: &Arc<dyn File>) {
        let mut held = self.held.lock();
        let slot = Slot {
            key,
            file: Arc::clone(file),
            used: false,
        };
        let closed = held.insert(slot, self.capacity);
        assert!(
            held.slots.len() <= self.capacity,
            "no more files are held than allowed"
        );
        drop(held);
        // Closing a file may take a while, and others need not wait for it.
        drop(closed);
    }

    /// Opens a file. Where the process holds too many, closes one that nobody uses and tries again,
    /// once, so that the partition that is written to now is not the one that pays.
    pub(crate) fn open(
        &self,
        open: impl Fn() -> io::Result<Arc<dyn File>>,
    ) -> io::Result<Arc<dyn File>> {
        match open() {
            Err(error) if is_too_many(&error) && self.close_idle() => open(),
            opened => opened,
        }
    }

    /// Closes one file that nobody else holds; whether there was one.
    fn close_idle(&self) -> bool {
        let mut closed = false;
        self.close(|slot| {
            let closes = !closed && Arc::strong_count(&slot.file) == 1;
            closed |= closes;
            closes
        });
        closed
    }

    /// Closes all files of a log.
    pub(crate) fn forget(&self, log: u64) {
        self.close(|slot| slot.key.log == log);
    }

    /// Closes the file of one segment.
    pub(crate) fn forget_segment(&self, key: FileKey) {
        self.close(|slot| slot.key == key);
    }

    /// Closes the files that nobody used since the last sweep.
    pub(crate) fn sweep(&self) {
        self.close(|slot| !std::mem::replace(&mut slot.used, false));
    }

    fn close(&self, mut gone: impl FnMut(&mut Slot) -> bool) {
        let mut held = self.held.lock();
        let (closed, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut held.slots)
            .into_iter()
            .map(|mut slot| (gone(&mut slot), slot))
            .partition(|(gone, _)| *gone);
        held.slots = kept.into_iter().map(|(_, slot)| slot).collect();
        let keys = held.slots.iter().map(|slot| slot.key);
        held.places = keys.zip(0..).collect();
        held.hand = 0;
        drop(held);
        // Closing a file may take a while, and others need not wait for it.
        drop(closed);
    }

    /// How many files are held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.held.lock().slots.len()
    }
}

impl Held {
    /// Says which slot was given up for it.
    fn insert(&mut self, slot: Slot, capacity: usize) -> Option<Slot> {
        let place = match self.places.get(&slot.key) {
            Some(&place) => place,
            None if self.slots.len() < capacity => {
                self.places.insert(slot.key, self.slots.len());
                self.slots.push(slot);
                return None;
            }
            None => self.find_unused(),
        };
        let key = slot.key;
        let taken = self.slots.get_mut(place).expect("a place names a slot");
        let closed = std::mem::replace(taken, slot);
        self.places.remove(&closed.key);
        self.places.insert(key, place);
        assert_eq!(
            self.places.len(),
            self.slots.len(),
            "every slot has one place"
        );
        Some(closed)
    }

    fn find_unused(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = self.hand.saturating_add(1);
            match self.slots.get_mut(place) {
                Some(slot) if slot.used => slot.used = false,
                Some(_) => return place,
                None => self.hand = 0,
            }
        }
    }
}

/// Whether this process, or the system, has no descriptor left.
pub(crate) fn is_too_many(error: &io::Error) -> bool {
    // On Linux, macOS and the BSDs; no `ErrorKind` tells them apart.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

#[cfg(test)]
mod tests;
