//! Group commit: what many appends wrote becomes durable with few syncs.
//!
//! In mode `fsync` the small shares of all logs that wait are one **common round** of the commit
//! file, which one thread writes and syncs ([`joint`]); a log for which much waits, or whose
//! segment is new, has a round **by itself**: a few threads take the files and the directory that it
//! wrote to and sync them. Either moves the durable end only then, and a log has one of them at a
//! time. Appends that arrive meanwhile form its next round; nobody waits for a timer. What the
//! commit file made durable is synced by itself **behind** that, without moving anything.
//!
//! One sync of a log's files at a time, a repair's included: a lost writeback is reported once, and
//! two syncs of one file could not tell which of them it concerns. The first sync that fails ends
//! everything ([`Health::fail`]): it is not repeated. Knows nothing of records.
//!
//! [`Health::fail`]: crate::health::Health::fail

mod joint;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use sabotage::{Safeguard, skips};
use storage::StorageFailure;
use vfs::{File, Vfs};

use crate::commit_file::Closed;
use crate::context::Context;
use crate::log::{DiskLog, RoundWork};
use crate::options::Durability;

/// In the modes that do not wait for the disk: sync when this much was written.
const UNSYNCED_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// In mode `os`: sync this long after the first write that is not synced.
const BACKGROUND_PAUSE: Duration = Duration::from_secs(1);
/// How many logs are synced at a time. The threads wait for the disk, not for a processor.
pub(crate) const PARALLEL_SYNCS: usize = 8;

/// What a thread does next.
enum Work {
    Round(Arc<DiskLog>),
    Behind(Arc<DiskLog>, Arc<Closed>),
}

/// The queue of logs that have something to sync.
#[derive(Debug)]
pub(crate) struct Flusher {
    queue: Mutex<Queue>,
    /// Something waits for a common round.
    joined: Condvar,
    /// Somebody takes what waits for a common round.
    has_common: AtomicBool,
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
    /// Waiting for a common round.
    joining: VecDeque<Arc<DiskLog>>,
    /// Waiting for rounds by themselves.
    due: VecDeque<Arc<DiskLog>>,
    /// To be synced behind a generation of the commit file.
    behind: VecDeque<(Arc<DiskLog>, Arc<Closed>)>,
    /// In the modes that do not wait for the disk: what the next pause ends for.
    gathered: Vec<Arc<DiskLog>>,
    /// It is known whether there are common rounds.
    #[cfg(test)]
    is_prepared: bool,
    /// Somebody waits for that: the commit file is made at once.
    is_awaited: bool,
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
            joined: Condvar::new(),
            has_common: AtomicBool::new(false),
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

    /// A log that was not in the queue has something to sync. `joins`: little enough for a common
    /// round.
    pub(crate) fn submit(&self, log: Arc<DiskLog>, joins: bool) {
        let mut queue = self.queue.lock();
        if self.pause.is_none() {
            let joins = joins && self.has_common.load(Ordering::Acquire);
            let (waiting, wake) = if joins {
                (&mut queue.joining, &self.joined)
            } else {
                (&mut queue.due, &self.due)
            };
            waiting.push_back(log);
            drop(queue);
            wake.notify_one();
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
    /// `behind_first`: one of them, so that what is behind is done however much is due.
    pub(crate) fn run(&self, context: &Context, behind_first: bool) {
        while let Some(work) = self.next_work(behind_first) {
            self.work(context, work);
        }
    }

    fn work(&self, context: &Context, work: Work) {
        match work {
            Work::Round(log) => {
                if round(context, &log) {
                    self.submit_again(log);
                }
            }
            Work::Behind(log, closed) => behind(context, &log, &closed),
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

    /// Runs one round of a log, for a caller that waits for it; in the modes that do not wait for
    /// the disk, where no common round can be under way for it.
    pub(crate) fn sync_log(&self, context: &Context, log: &Arc<DiskLog>) {
        assert!(self.pause.is_some(), "a log has one round at a time");
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
        let mut joining = std::mem::take(&mut self.queue.lock().joining);
        let mut any = !joining.is_empty();
        while !joining.is_empty() {
            joining = self.common_round(context, joining);
        }
        let logs: Vec<_> = {
            let mut queue = self.queue.lock();
            let Queue { due, gathered, .. } = &mut *queue;
            due.drain(..).chain(gathered.drain(..)).collect()
        };
        any |= !logs.is_empty();
        for log in logs {
            self.work(context, Work::Round(log));
        }
        any
    }

    /// Ends the generation of the commit file that is open, and syncs what is behind.
    #[cfg(test)]
    pub(crate) fn run_behind(&self, context: &Context) {
        // What is closed first, or its file would not be free for what follows the open one.
        for is_turned in [false, true] {
            if is_turned {
                self.turn(context);
            }
            loop {
                let next = self.queue.lock().behind.pop_front();
                let Some((log, closed)) = next else { break };
                self.work(context, Work::Behind(log, closed));
            }
        }
    }

    /// Waits until common rounds are made, or given up.
    #[cfg(test)]
    pub(crate) fn wait_for_common(&self) {
        let mut queue = self.queue.lock();
        queue.is_awaited = true;
        self.joined.notify_all();
        while !queue.is_prepared && self.pause.is_none() {
            self.joined.wait(&mut queue);
        }
    }

    /// Ends the threads after the rounds under way, if any; what is queued is let go.
    pub(crate) fn stop(&self) {
        let mut queue = self.queue.lock();
        queue.stop = true;
        let logs = (
            std::mem::take(&mut queue.joining),
            std::mem::take(&mut queue.due),
            std::mem::take(&mut queue.behind),
            std::mem::take(&mut queue.gathered),
        );
        drop(queue);
        self.joined.notify_all();
        self.due.notify_all();
        self.gathered.notify_all();
        drop(logs);
    }

    fn next_work(&self, behind_first: bool) -> Option<Work> {
        let mut queue = self.queue.lock();
        while !queue.stop {
            let take_due = |queue: &mut Queue| queue.due.pop_front().map(Work::Round);
            let take_behind = |queue: &mut Queue| {
                let next = queue.behind.pop_front();
                next.map(|(log, closed)| Work::Behind(log, closed))
            };
            let work = if behind_first {
                take_behind(&mut queue).or_else(|| take_due(&mut queue))
            } else {
                take_due(&mut queue).or_else(|| take_behind(&mut queue))
            };
            if work.is_some() {
                return work;
            }
            self.due.wait(&mut queue);
        }
        None
    }

    /// More was written while the log was synced: it goes behind the others.
    fn submit_again(&self, log: Arc<DiskLog>) {
        if self.pause.is_some() {
            return self.submit(log, false);
        }
        if self.has_common.load(Ordering::Acquire) && log.joins_again() {
            return self.submit(log, true);
        }
        // Wakes nobody: this thread takes the next one itself.
        let mut queue = self.queue.lock();
        if !queue.stop {
            queue.due.push_back(log);
        }
    }
}

/// Syncs a log that a closed generation of the commit file has entries of.
fn behind(context: &Context, log: &DiskLog, closed: &Closed) {
    let _alone = log.sync_alone();
    let _guard = context.health.guard("a sync behind the commit file");
    if context.health.check().is_err() {
        return;
    }
    let files = if skips(Safeguard::CommitBehind) {
        Vec::new()
    } else {
        log.take_unsynced().unwrap_or_default()
    };
    let mut files = files.iter();
    let synced = files.try_for_each(|file| sync_file(&**file).map_err(|error| failed(log, &error)));
    // What ended everything meanwhile may have been told what this sync was not.
    let freed = synced
        .and_then(|()| context.health.check())
        .and_then(|()| closed.log_synced());
    if let Err(failure) = freed {
        context.health.fail(&failure);
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
