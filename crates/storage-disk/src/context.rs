//! What all logs of one data directory share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clock::{Clock, Rng, SystemRng};
use parking_lot::Mutex;
use storage::StorageFailure;
use vfs::Vfs;

use crate::commit_file::{CommitFile, Sizes};
use crate::compact::{Cleaner, HashKey};
use crate::files::OpenFiles;
use crate::flush::{Flusher, PARALLEL_SYNCS};
use crate::health::Health;
use crate::index_cache::IndexCache;
use crate::maintenance::Upkeep;
use crate::options::{DiskOptions, Durability};
use crate::pool::Pool;
use crate::retention::Retention;
use crate::scrub::Scrub;
use crate::space::Space;
use crate::tally::Tally;
use crate::watermarks::Journal;

/// Threads that read what is not in memory.
const COLD_READERS: usize = 4;
/// A pause ends when this share of the open files waits for a sync.
const DIRTY_SHARE: usize = 4;

/// Shared by everything below one data directory.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) durability: Durability,
    /// The epoch of this start of the node: every append carries it.
    pub(crate) leader_epoch: i32,
    pub(crate) health: Arc<Health>,
    pub(crate) space: Space,
    pub(crate) files: OpenFiles,
    pub(crate) indexes: IndexCache,
    pub(crate) flusher: Flusher,
    pub(crate) commit_file: CommitFile,
    pub(crate) upkeep: Upkeep,
    pub(crate) cold: Pool,
    pub(crate) journal: Arc<Mutex<Journal>>,
    pub(crate) tally: Tally,
    pub(crate) scrub: Scrub,
    pub(crate) retention: Retention,
    pub(crate) cleaner: Cleaner,
    log_numbers: AtomicU64,
    closed: AtomicBool,
}

/// Whether work runs on threads of its own, or where a test asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workers {
    Threads,
    #[cfg(any(test, fuzzing))]
    Manual,
}

/// Chance, so that nobody can know which keys are taken for one; the same in every test.
fn hash_key(workers: Workers) -> HashKey {
    match workers {
        Workers::Threads => HashKey(SystemRng.next_u64(), SystemRng.next_u64()),
        #[cfg(any(test, fuzzing))]
        Workers::Manual => HashKey(1, 2),
    }
}

impl Context {
    pub(crate) fn new(
        vfs: Arc<dyn Vfs>,
        clock: Arc<dyn Clock>,
        options: &DiskOptions,
        (leader_epoch, workers): (i32, Workers),
        (health, journal): (Arc<Health>, Arc<Mutex<Journal>>),
        last_seen_ms: Option<i64>,
    ) -> Self {
        assert!(
            leader_epoch > 0,
            "the epochs of a node begin at 1, not at {leader_epoch}"
        );
        let threads = workers == Workers::Threads;
        let data_dir = options.data_dir.clone();
        let dirty_max = options.open_files_max.div_ceil(DIRTY_SHARE).max(1);
        let sizes = match workers {
            Workers::Threads => Sizes::production(dirty_max),
            #[cfg(any(test, fuzzing))]
            Workers::Manual => Sizes::small(dirty_max),
        };
        Self {
            space: Space::new(Arc::clone(&vfs), data_dir, options.min_free_bytes),
            vfs,
            clock,
            durability: options.durability,
            leader_epoch,
            health,
            files: OpenFiles::new(options.open_files_max),
            indexes: IndexCache::default(),
            flusher: Flusher::new(
                options.durability,
                dirty_max,
                if threads { PARALLEL_SYNCS } else { 0 },
            ),
            commit_file: CommitFile::new(sizes),
            upkeep: Upkeep::default(),
            cold: Pool::new("ottla-read", if threads { COLD_READERS } else { 0 }),
            journal,
            log_numbers: AtomicU64::new(0),
            tally: Tally::default(),
            retention: Retention::new(options.retention_check_interval, last_seen_ms),
            scrub: Scrub::new(options.scrub_bytes_per_second),
            cleaner: Cleaner::new(options.compaction, hash_key(workers), last_seen_ms),
            closed: AtomicBool::new(false),
        }
    }

    /// A number that no other log of this process has.
    pub(crate) fn next_log_number(&self) -> u64 {
        self.log_numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// From here on nothing is accepted.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether appends can be accepted at all.
    pub(crate) fn accepts(&self) -> Result<(), StorageFailure> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageFailure::new("the data directory was closed"));
        }
        self.health.check()
    }

    /// Whether records are visible only once they are synced.
    pub(crate) fn syncs_first(&self) -> bool {
        self.durability == Durability::Fsync
    }
}
