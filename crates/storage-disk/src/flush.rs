//! Group commit: a few threads sync what many appends wrote, one log at a time each.
//!
//! Commits of a log that arrive while it is synced form its next round; there is no timer in the
//! durable mode, and no log waits for another's sync. A round takes the files and the directory
//! that its log wrote to, syncs them, and only then moves the durable end. A log has one round at a
//! time, and a repair of its files waits for that: a lost writeback is reported once, and two syncs
//! of one file could not tell which of them it concerns. The first sync that fails ends everything ([`Health::fail`]): it
//! is not repeated. Knows nothing of records.
//!
//! [`Health::fail`]: crate::health::Health::fail

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use sabotage::{Safeguard, skips};
use storage::StorageFailure;
use vfs::{File, Vfs};

use crate::context::Context;
use crate::log::{DiskLog, RoundWork};
use crate::options::Durability;

/// In the modes that do not wait for the disk: sync when this much was written.
const UNSYNCED_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// In mode `os`: sync this long after the first write that is not synced.
const BACKGROUND_PAUSE: Duration = Duration::from_secs(1);
/// How many logs are synced at a time. The threads wait for the disk, not for a processor.
pub(crate) const PARALLEL_SYNCS: usize = 8;

/// The queue of logs that have something to sync.
#[derive(Debug)]
pub(crate) struct Flusher {
    queue: Mutex<Queue>,
    /// A log is due.
    due: Condvar,
    /// Enough was gathered, or something for the first time.
    gathered: Condvar,
    unsynced_bytes: AtomicU64,
    pause: Option<Duration>,
    logs_max: usize,
    threads: usize,
}

#[derive(Debug, Default)]
struct Queue {
    due: VecDeque<Arc<DiskLog>>,
    /// In the modes that do not wait for the disk: what the next pause ends for.
    gathered: Vec<Arc<DiskLog>>,
    stop: bool,
}

impl Flusher {
    /// `logs_max`: end the pause when this many logs wait, so that their files can be closed.
    /// `threads`: how many may sync at a time; 0: only who calls.
    pub(crate) fn new(durability: Durability, logs_max: usize, threads: usize) -> Self {
        let pause = match durability {
            Durability::Fsync => None,
            Durability::Interval(interval) => Some(interval),
            Durability::Os => Some(BACKGROUND_PAUSE),
        };
        Self {
            queue: Mutex::default(),
            due: Condvar::new(),
            gathered: Condvar::new(),
            unsynced_bytes: AtomicU64::new(0),
            pause,
            logs_max,
            threads,
        }
    }

    /// Whether there is anything for [`Flusher::gather`] to do.
    pub(crate) fn has_pauses(&self) -> bool {
        self.pause.is_some()
    }

    /// How many may sync at a time; 0: only who calls.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// A log that was not in the queue has something to sync.
    pub(crate) fn submit(&self, log: Arc<DiskLog>) {
        let mut queue = self.queue.lock();
        if self.pause.is_none() {
            queue.due.push_back(log);
            drop(queue);
            self.due.notify_one();
            return;
        }
        queue.gathered.push(log);
        let wakes = queue.gathered.len() == 1 || queue.gathered.len() >= self.logs_max;
        drop(queue);
        if wakes {
            self.gathered.notify_one();
        }
    }

    /// So many bytes were written that nobody waits for.
    pub(crate) fn note_unsynced(&self, size_bytes: usize) {
        let added = u64::try_from(size_bytes).expect("a usize fits 64 bits");
        let before = self.unsynced_bytes.fetch_add(added, Ordering::AcqRel);
        if before < UNSYNCED_BYTES_MAX && before.saturating_add(added) >= UNSYNCED_BYTES_MAX {
            // Under the lock, or the thread that just looked at the number would sleep on.
            let _queue = self.queue.lock();
            self.gathered.notify_one();
        }
    }

    /// Syncs logs that are due until [`Flusher::stop`]; [`PARALLEL_SYNCS`] threads do this.
    pub(crate) fn run(&self, context: &Context) {
        while let Some(log) = self.next_due() {
            if round(context, &log) {
                self.submit_again(log);
            }
        }
    }

    /// Ends pauses until [`Flusher::stop`]; one thread does this, and returns at once in the mode
    /// that has no pause.
    pub(crate) fn gather(&self) {
        let Some(pause) = self.pause else { return };
        let mut queue = self.queue.lock();
        let mut waited = false;
        while !queue.stop {
            let full = queue.gathered.len() >= self.logs_max
                || self.unsynced_bytes.load(Ordering::Acquire) >= UNSYNCED_BYTES_MAX;
            if queue.gathered.is_empty() {
                waited = false;
                self.gathered.wait(&mut queue);
            } else if waited || full {
                self.unsynced_bytes.store(0, Ordering::Release);
                let logs = std::mem::take(&mut queue.gathered);
                queue.due.extend(logs);
                waited = false;
                self.due.notify_all();
            } else {
                waited = self.gathered.wait_for(&mut queue, pause).timed_out();
            }
        }
    }

    /// Runs one round of a log, for a caller that waits for it.
    pub(crate) fn sync_log(&self, context: &Context, log: &Arc<DiskLog>) {
        if round(context, log) {
            self.submit_again(Arc::clone(log));
        }
    }

    /// Runs one round for each of these logs, after [`Flusher::stop`].
    pub(crate) fn sync_now(&self, context: &Context, logs: Vec<Arc<DiskLog>>) {
        let logs = Mutex::new(logs.into_iter());
        let work = || {
            loop {
                let next = logs.lock().next();
                let Some(log) = next else { return };
                round(context, &log);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads {
                // With fewer threads it takes longer.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }

    /// Runs one round for each log that is queued. `false` if none was.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn run_pending(&self, context: &Context) -> bool {
        let logs: Vec<_> = {
            let mut queue = self.queue.lock();
            let Queue { due, gathered, .. } = &mut *queue;
            due.drain(..).chain(gathered.drain(..)).collect()
        };
        for log in &logs {
            if round(context, log) {
                self.submit_again(Arc::clone(log));
            }
        }
        !logs.is_empty()
    }

    /// Ends the threads after the rounds under way, if any; what is queued is let go.
    pub(crate) fn stop(&self) {
        let mut queue = self.queue.lock();
        queue.stop = true;
        let logs = (
            std::mem::take(&mut queue.due),
            std::mem::take(&mut queue.gathered),
        );
        drop(queue);
        self.due.notify_all();
        self.gathered.notify_all();
        drop(logs);
    }

    fn next_due(&self) -> Option<Arc<DiskLog>> {
        let mut queue = self.queue.lock();
        while !queue.stop {
            if let Some(log) = queue.due.pop_front() {
                return Some(log);
            }
            self.due.wait(&mut queue);
        }
        None
    }

    /// More was written while the log was synced: it goes behind the others.
    fn submit_again(&self, log: Arc<DiskLog>) {
        if self.pause.is_some() {
            return self.submit(log);
        }
        // Wakes nobody: this thread takes the next one itself.
        let mut queue = self.queue.lock();
        if !queue.stop {
            queue.due.push_back(log);
        }
    }
}

/// One round of one log. Whether it has something to sync again.
fn round(context: &Context, log: &DiskLog) -> bool {
    let _alone = log.sync_alone();
    let _guard = context.health.guard("a commit round");
    if context.health.check().is_err() {
        return false;
    }
    let Some(work) = log.begin_round() else {
        return false;
    };
    if let Err(failure) = sync(&*context.vfs, log, &work)
        && !skips(Safeguard::FailedSyncFatal)
    {
        // IMPORTANT: nothing of this round is acknowledged, not even what did sync: which bytes a
        // failed sync lost is not known.
        context.health.fail(&failure);
        return false;
    }
    // What ended everything meanwhile may have been told what this round was not.
    if context.health.check().is_err() {
        return false;
    }
    log.finish_round(work.mark)
}

/// Syncs all that a log wrote to.
fn sync(vfs: &dyn Vfs, log: &DiskLog, work: &RoundWork) -> Result<(), StorageFailure> {
    for file in &work.files {
        sync_file(&**file).map_err(|error| failed(log, &error))?;
    }
    if !work.directory || skips(Safeguard::RollDirectorySync) {
        return Ok(());
    }
    match vfs.sync_dir(&log.directory()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && log.is_removed() => Ok(()),
        Err(_) if skips(Safeguard::FailedDirectorySync) => Ok(()),
        synced => synced.map_err(|error| failed(log, &error)),
    }
}

fn sync_file(file: &dyn File) -> io::Result<()> {
    if skips(Safeguard::FileSync) {
        return Ok(());
    }
    match file.sync_data() {
        Err(_) if skips(Safeguard::FailedSyncOnce) => file.sync_data(),
        synced => synced,
    }
}

fn failed(log: &DiskLog, error: &io::Error) -> StorageFailure {
    StorageFailure::new(format!(
        "a sync in {} failed: {error}; what was not acknowledged may be lost",
        log.directory().display()
    ))
}

#[cfg(test)]
mod tests;
