//! The thread for what nobody waits for: indexes, snapshots and epochs of logs that moved, the
//! watermark journal, and the space of removed topics.
//!
//! It sleeps while nothing happens: no log has a timer. The journal is written after what a
//! recovery from it needs, and never before the data it speaks of was synced.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use parking_lot::{Condvar, Mutex};
use records::Offset;
use storage::PartitionId;
use vfs::{EntryKind, Vfs};

use crate::context::Context;
use crate::error::WriteError;
use crate::log::{DiskLog, Place};
use crate::watermarks::{Journal, Watermark};

/// How often the journal is written while logs move.
const JOURNAL_PAUSE: Duration = Duration::from_secs(1);
/// The journal speaks of this many logs at a time: the first upkeep of a log in a process syncs files
/// of its own, and a start reads again what the journal does not name yet.
const JOURNAL_LOGS: usize = 64;
/// Time between two looks for files that nobody uses.
const SWEEP_PAUSE: Duration = Duration::from_secs(10);

/// What waits for the maintenance thread.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    logs: Vec<Arc<DiskLog>>,
    trash: Vec<PathBuf>,
    /// Files that go, each from this time of the monotonic clock on.
    deleted: Vec<(Duration, PathBuf)>,
    stop: bool,
}

impl Upkeep {
    /// A log that is not in the queue moved.
    pub(crate) fn submit(&self, log: Arc<DiskLog>) {
        let mut queue = self.queue.lock();
        queue.logs.push(log);
        let wakes = queue.logs.len() == 1;
        drop(queue);
        if wakes {
            self.ready.notify_one();
        }
    }

    /// A directory in the trash is to be removed.
    pub(crate) fn submit_trash(&self, path: PathBuf) {
        self.queue.lock().trash.push(path);
        self.ready.notify_one();
    }

    /// Files whose names say that they go are removed after a delay.
    pub(crate) fn submit_deleted(&self, clock: &dyn Clock, delay: Duration, paths: Vec<PathBuf>) {
        let due = clock.monotonic().saturating_add(delay);
        let mut queue = self.queue.lock();
        queue
            .deleted
            .extend(paths.into_iter().map(|path| (due, path)));
    }

    /// Removes the files that were to go by then; with `None`, all of them.
    pub(crate) fn remove_deleted(&self, context: &Context, by: Option<Duration>) {
        let due: Vec<PathBuf> = {
            let mut queue = self.queue.lock();
            let is_due = |(due, _): &mut (Duration, PathBuf)| by.is_none_or(|by| *due <= by);
            queue
                .deleted
                .extract_if(.., is_due)
                .map(|(_, path)| path)
                .collect()
        };
        for path in due {
            match context.vfs.remove_file(&path) {
                // Its topic was removed before it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the space of a segment is not free yet");
                }
                Ok(()) => {}
            }
        }
    }

    /// Works until [`Upkeep::stop`].
    pub(crate) fn run(&self, context: &Context, journal: &Mutex<Journal>) {
        let mut swept_at = context.clock.monotonic();
        while let Some((logs, trash)) = self.next_work() {
            work(context, journal, logs, trash);
            let now = context.clock.monotonic();
            self.remove_deleted(context, Some(now));
            if now.saturating_sub(swept_at) >= SWEEP_PAUSE {
                context.files.sweep();
                swept_at = now;
            }
        }
    }

    /// Does what is queued, at once.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn run_pending(&self, context: &Context, journal: &Mutex<Journal>) {
        let (logs, trash) = {
            let mut queue = self.queue.lock();
            (
                std::mem::take(&mut queue.logs),
                std::mem::take(&mut queue.trash),
            )
        };
        work(context, journal, logs, trash);
        self.remove_deleted(context, Some(context.clock.monotonic()));
    }

    /// Ends [`Upkeep::run`]; what is queued is let go.
    pub(crate) fn stop(&self) {
        let logs = {
            let mut queue = self.queue.lock();
            queue.stop = true;
            std::mem::take(&mut queue.logs)
        };
        self.ready.notify_all();
        drop(logs);
    }

    /// What is queued, or nothing after a while without; `None` at the stop.
    fn next_work(&self) -> Option<(Vec<Arc<DiskLog>>, Vec<PathBuf>)> {
        let mut queue = self.queue.lock();
        let mut waited = false;
        loop {
            if queue.stop {
                return None;
            }
            if !queue.trash.is_empty() {
                return Some((Vec::new(), std::mem::take(&mut queue.trash)));
            }
            if queue.logs.is_empty() {
                waited = false;
                if self.ready.wait_for(&mut queue, SWEEP_PAUSE).timed_out() {
                    return Some((Vec::new(), Vec::new()));
                }
            } else if waited {
                return Some((std::mem::take(&mut queue.logs), Vec::new()));
            } else {
                waited = self.ready.wait_for(&mut queue, JOURNAL_PAUSE).timed_out();
            }
        }
    }
}

fn work(context: &Context, journal: &Mutex<Journal>, logs: Vec<Arc<DiskLog>>, trash: Vec<PathBuf>) {
    let _guard = context.health.guard("maintenance");
    for path in trash {
        if let Err(error) = remove_tree(&*context.vfs, &path) {
            tracing::warn!(path = %path.display(), %error, "the space of a topic is not free yet");
        }
    }
    for logs in logs.chunks(JOURNAL_LOGS) {
        let places: Vec<Watermark> = logs
            .iter()
            .filter_map(|log| {
                log.run_upkeep(false)
                    .map(|place| watermark(context, log, place))
            })
            .collect();
        if !places.is_empty() {
            write_journal(context, journal, &places);
        }
    }
    let removed: BTreeSet<PartitionId> = logs
        .iter()
        .filter(|log| log.is_gone())
        .map(|log| log.id())
        .collect();
    if !removed.is_empty() {
        journal.lock().retain(|id| !removed.contains(&id));
    }
}

/// Says in the journal how far logs are durable.
pub(crate) fn write_journal(context: &Context, journal: &Mutex<Journal>, places: &[Watermark]) {
    if context.health.check().is_err() {
        return;
    }
    match journal.lock().append_entries(places) {
        Ok(()) => {}
        // A start then reads more of the logs.
        Err(WriteError::NoSpace(failure)) => tracing::warn!(%failure, "the journal waits"),
        Err(WriteError::Failed(failure)) => context.health.fail(&failure),
    }
}

/// The journal's words for a place.
pub(crate) fn watermark(context: &Context, log: &DiskLog, place: Place) -> Watermark {
    let Place { log_start, end, .. } = place;
    assert!(
        log_start <= end.offset,
        "a log starts at {log_start}, before its end"
    );
    Watermark {
        partition: log.id(),
        leader_epoch: context.leader_epoch,
        durable_end: end.offset,
        log_start,
        segment_base: end.base,
        cleaned_to: Offset::ZERO,
        position: end.position.get(),
        span_start: end.position.get(),
        span_crc: 0,
    }
}

/// Removes a directory and all below it.
pub(crate) fn remove_tree(vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
    let mut pending = vec![path.to_owned()];
    let mut directories = Vec::new();
    while let Some(directory) = pending.pop() {
        for entry in vfs.read_dir(&directory)? {
            let inside = directory.join(&entry.name);
            match entry.kind {
                EntryKind::Directory => pending.push(inside),
                EntryKind::File | EntryKind::Other => vfs.remove_file(&inside)?,
            }
        }
        directories.push(directory);
    }
    // Parents come before their children in the list.
    for directory in directories.iter().rev() {
        vfs.remove_dir(directory)?;
    }
    Ok(())
}
