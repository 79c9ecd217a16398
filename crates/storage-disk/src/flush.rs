//! Group commit: one thread syncs what many appends wrote, in rounds.
//!
//! Commits that arrive during a round form the next one; there is no timer in the durable mode.
//! A round takes the files and directories that its logs wrote to, syncs them all, and only then
//! moves the durable ends. The first sync that fails ends everything ([`Health::fail`]): it is not
//! repeated. Knows nothing of records.
//!
//! [`Health::fail`]: crate::health::Health::fail

use std::io;
use std::path::PathBuf;
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
use crate::pool::Pool;

/// In the modes that do not wait for the disk: sync when this much was written.
const UNSYNCED_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// In mode `os`: sync this long after the first write that is not synced.
const BACKGROUND_PAUSE: Duration = Duration::from_secs(1);
/// How many syncs of one round run at a time.
const PARALLEL_SYNCS: usize = 4;

/// The queue of logs that have something to sync.
#[derive(Debug)]
pub(crate) struct Flusher {
    queue: Mutex<Queue>,
    ready: Condvar,
    unsynced_bytes: AtomicU64,
    pause: Option<Duration>,
    logs_max: usize,
    helpers: Pool,
}

#[derive(Debug, Default)]
struct Queue {
    logs: Vec<Arc<DiskLog>>,
    stop: bool,
}

impl Flusher {
    /// `logs_max`: begin a round when this many logs wait, so that their files can be closed.
    pub(crate) fn new(durability: Durability, logs_max: usize, threads: bool) -> Self {
        let pause = match durability {
            Durability::Fsync => None,
            Durability::Interval(interval) => Some(interval),
            Durability::Os => Some(BACKGROUND_PAUSE),
        };
        Self {
            queue: Mutex::default(),
            ready: Condvar::new(),
            unsynced_bytes: AtomicU64::new(0),
            pause,
            logs_max,
            helpers: Pool::new("ottla-sync-help", if threads { PARALLEL_SYNCS } else { 0 }),
        }
    }

    /// A log that was not in the queue has something to sync.
    pub(crate) fn submit(&self, log: Arc<DiskLog>) {
        let mut queue = self.queue.lock();
        queue.logs.push(log);
        let wakes = queue.logs.len() == 1 || queue.logs.len() >= self.logs_max;
        drop(queue);
        if wakes {
            self.ready.notify_one();
        }
    }

    /// So many bytes were written that nobody waits for.
    pub(crate) fn note_unsynced(&self, size_bytes: usize) {
        let added = u64::try_from(size_bytes).expect("a usize fits 64 bits");
        let before = self.unsynced_bytes.fetch_add(added, Ordering::AcqRel);
        if before < UNSYNCED_BYTES_MAX && before.saturating_add(added) >= UNSYNCED_BYTES_MAX {
            // Under the lock, or the thread that just looked at the number would sleep on.
            let _queue = self.queue.lock();
            self.ready.notify_one();
        }
    }

    /// Runs rounds until [`Flusher::stop`].
    pub(crate) fn run(&self, context: &Context) {
        while let Some(logs) = self.next_round() {
            self.round(context, logs);
        }
    }

    /// Runs one round with these logs, whatever was queued.
    pub(crate) fn sync_now(&self, context: &Context, logs: Vec<Arc<DiskLog>>) {
        self.round(context, logs);
    }

    /// Runs one round with what is queued. `false` if nothing was.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn run_pending(&self, context: &Context) -> bool {
        let logs = std::mem::take(&mut self.queue.lock().logs);
        let any = !logs.is_empty();
        if any {
            self.round(context, logs);
        }
        any
    }

    /// Ends [`Flusher::run`] after the round under way, if any; what is queued is let go.
    pub(crate) fn stop(&self) {
        let mut queue = self.queue.lock();
        queue.stop = true;
        let logs = std::mem::take(&mut queue.logs);
        drop(queue);
        self.ready.notify_all();
        drop(logs);
    }

    fn next_round(&self) -> Option<Vec<Arc<DiskLog>>> {
        let mut queue = self.queue.lock();
        let mut waited = false;
        loop {
            if queue.stop {
                return None;
            }
            if queue.logs.is_empty() {
                waited = false;
                self.ready.wait(&mut queue);
                continue;
            }
            let full = queue.logs.len() >= self.logs_max
                || self.unsynced_bytes.load(Ordering::Acquire) >= UNSYNCED_BYTES_MAX;
            match self.pause {
                Some(pause) if !waited && !full => {
                    waited = self.ready.wait_for(&mut queue, pause).timed_out();
                }
                _ => return Some(std::mem::take(&mut queue.logs)),
            }
        }
    }

    fn round(&self, context: &Context, logs: Vec<Arc<DiskLog>>) {
        let _guard = context.health.guard("a commit round");
        if context.health.check().is_err() {
            return;
        }
        self.unsynced_bytes.store(0, Ordering::Release);
        let works: Vec<(Arc<DiskLog>, RoundWork)> = logs
            .into_iter()
            .filter_map(|log| log.begin_round().map(|work| (log, work)))
            .collect();
        let tasks = works
            .iter()
            .flat_map(|(log, work)| tasks_of(log, work))
            .collect();
        if let Err(failure) = self.sync_all(context, tasks)
            && !skips(Safeguard::FailedSyncFatal)
        {
            // IMPORTANT: nothing of this round is acknowledged, not even what did sync: which
            // bytes a failed sync lost is not known.
            context.health.fail(&failure);
            return;
        }
        for (log, work) in works {
            log.finish_round(work.mark);
        }
    }

    fn sync_all(&self, context: &Context, mut tasks: Vec<SyncTask>) -> Result<(), StorageFailure> {
        if tasks.len() <= 1 {
            return tasks.pop().map_or(Ok(()), |task| task.run(&*context.vfs));
        }
        let share = Arc::new(Share::new(tasks, Arc::clone(&context.vfs)));
        let helpers = PARALLEL_SYNCS.min(share.len()).saturating_sub(1);
        for _ in 0..helpers {
            let share = Arc::clone(&share);
            self.helpers.submit(Box::new(move || share.work()));
        }
        share.work();
        share.wait()
    }
}

fn tasks_of(log: &Arc<DiskLog>, work: &RoundWork) -> Vec<SyncTask> {
    let file = |file: &Arc<dyn File>| SyncTask {
        log: Arc::clone(log),
        what: Target::File(Arc::clone(file)),
    };
    let mut tasks: Vec<SyncTask> = work.files.iter().map(file).collect();
    if work.directory && !skips(Safeguard::RollDirectorySync) {
        let what = Target::Directory(log.directory());
        tasks.push(SyncTask {
            log: Arc::clone(log),
            what,
        });
    }
    tasks
}

#[derive(Debug)]
enum Target {
    File(Arc<dyn File>),
    Directory(PathBuf),
}

#[derive(Debug)]
struct SyncTask {
    log: Arc<DiskLog>,
    what: Target,
}

impl SyncTask {
    fn run(&self, vfs: &dyn Vfs) -> Result<(), StorageFailure> {
        let synced = match &self.what {
            Target::File(_) if skips(Safeguard::FileSync) => Ok(()),
            Target::File(file) if skips(Safeguard::FailedSyncOnce) => {
                file.sync_data().or_else(|_| file.sync_data())
            }
            Target::File(file) => file.sync_data(),
            Target::Directory(path) if skips(Safeguard::FailedDirectorySync) => {
                vfs.sync_dir(path).or(Ok(()))
            }
            Target::Directory(path) => vfs.sync_dir(path),
        };
        match synced {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.log.is_removed() => {
                Ok(())
            }
            Err(error) => Err(StorageFailure::new(format!(
                "a sync in {} failed: {error}; what was not acknowledged may be lost",
                self.log.directory().display()
            ))),
            Ok(()) => Ok(()),
        }
    }
}

/// The tasks of one round, shared with helpers.
#[derive(Debug)]
struct Share {
    vfs: Arc<dyn Vfs>,
    tasks: Vec<SyncTask>,
    progress: Mutex<ShareProgress>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct ShareProgress {
    taken: usize,
    finished: usize,
    failure: Option<StorageFailure>,
}

impl Share {
    fn new(tasks: Vec<SyncTask>, vfs: Arc<dyn Vfs>) -> Self {
        Self {
            vfs,
            tasks,
            progress: Mutex::default(),
            done: Condvar::new(),
        }
    }

    fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Takes tasks until none is left.
    fn work(&self) {
        loop {
            let task = {
                let mut progress = self.progress.lock();
                let Some(task) = self.tasks.get(progress.taken) else {
                    return;
                };
                progress.taken = progress.taken.saturating_add(1);
                task
            };
            // A panic must not leave the round waiting for ever, nor pass for a good sync.
            let mut outcome = Outcome {
                share: self,
                result: None,
            };
            outcome.result = Some(task.run(&*self.vfs));
        }
    }

    fn wait(&self) -> Result<(), StorageFailure> {
        let mut progress = self.progress.lock();
        while progress.finished < self.tasks.len() {
            self.done.wait(&mut progress);
        }
        assert_eq!(
            progress.finished,
            self.tasks.len(),
            "every sync of a round is awaited"
        );
        progress.failure.take().map_or(Ok(()), Err)
    }
}

struct Outcome<'a> {
    share: &'a Share,
    result: Option<Result<(), StorageFailure>>,
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        let panicked = || Err(StorageFailure::new("a sync panicked"));
        let result = self.result.take().unwrap_or_else(panicked);
        let mut progress = self.share.progress.lock();
        progress.finished = progress.finished.saturating_add(1);
        if let Err(failure) = result {
            progress.failure.get_or_insert(failure);
        }
        drop(progress);
        self.share.done.notify_all();
    }
}

#[cfg(test)]
mod tests;
