//! Compaction: of a topic with `cleanup.policy=compact` only the newest record of each key is kept. One
//! thread takes the log that is due and has the largest share of new bytes, as Kafka's `LogCleaner`.
//!
//! It sleeps while nothing is due (`log.cleaner.backoff.ms`); no log has a timer. It takes no more
//! memory than `log.cleaner.dedupe.buffer.size` and gives it back, and reads and writes no faster than
//! `log.cleaner.io.max.bytes.per.second`. At the stop it ends after the piece under way, and what it
//! wrote is dropped.
//!
//! - `pass`: one log, once
//! - `filter`: which records stay
//! - `offset_map`, `key_hash`: for each key its newest offset
//! - `output`: the segment that is written
//! - `swap`: how it takes the place of the old ones
//! - `checkpoint`: up to where a log is compacted
//!
//! `log/compact.rs` knows which segments of a log may change, and changes them.

pub(crate) mod checkpoint;
mod filter;
mod key_hash;
mod offset_map;
mod output;
mod pass;
mod swap;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use records::Offset;
use storage::StorageFailure;

use crate::context::Context;
use crate::log::{Cleanable, DiskLog};
use crate::options::CompactionOptions;
use crate::position::Position;
use crate::store::Shared;
use crate::trusted_time::{TrustedTime, Verdict};
use crate::window::Fault;
use offset_map::OffsetMap;
use pass::{Outcome, Pass};

pub(crate) use key_hash::HashKey;
pub(crate) use output::Written;
pub(crate) use swap::{CLEANED_SUFFIX, Swap};

/// The share of the memory that the map of keys gets; the rest is for pieces of logs, and for one
/// batch that is opened and written anew.
const MAP_SHARE: (usize, usize) = (3, 4);
const NANOS: u64 = 1_000_000_000;

/// A sealed segment, as compaction sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) base: Offset,
    /// Where the next one begins.
    pub(crate) next: Offset,
    pub(crate) size: Position,
    /// A list says that something of it cannot be read.
    pub(crate) is_damaged: bool,
}

/// See the head of the module.
#[derive(Debug)]
pub(crate) struct Cleaner {
    options: CompactionOptions,
    hash_key: HashKey,
    time: Mutex<TrustedTime>,
    stop: Mutex<bool>,
    stopped: Condvar,
}

impl Cleaner {
    /// `last_seen_ms` is when the last process was last known to run, if it said so.
    pub(crate) fn new(
        options: CompactionOptions,
        hash_key: HashKey,
        last_seen_ms: Option<i64>,
    ) -> Self {
        Self {
            options,
            hash_key,
            time: Mutex::new(TrustedTime::new(last_seen_ms)),
            stop: Mutex::default(),
            stopped: Condvar::new(),
        }
    }

    /// Whether there is anything to do for a thread.
    pub(crate) fn is_wanted(&self) -> bool {
        self.options.enabled
    }

    /// Works until [`Cleaner::stop`].
    pub(crate) fn run(&self, shared: &Shared) {
        loop {
            let found = self.pass(shared);
            let goes_on = match found {
                None => false,
                Some(true) => self.rest(Duration::ZERO),
                Some(false) => self.rest(self.options.backoff),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Ends [`Cleaner::run`].
    pub(crate) fn stop(&self) {
        *self.stop.lock() = true;
        self.stopped.notify_all();
    }

    /// Compacts the log that needs it most. Whether there was one; `None` if it was stopped.
    pub(crate) fn pass(&self, shared: &Shared) -> Option<bool> {
        let _guard = shared.context.health.guard("compaction");
        let now_ms = self.now_ms(&shared.context);
        let mut filthiest: Option<(Arc<DiskLog>, Cleanable)> = None;
        for log in shared.logs() {
            if *self.stop.lock() || shared.context.accepts().is_err() {
                return None;
            }
            if !log.config().compacts {
                continue;
            }
            match log.cleanable(now_ms) {
                Ok(Some(found)) if found.is_due => {
                    let is_filthier = |(_, other): &(_, Cleanable)| found.is_filthier(other);
                    if filthiest.as_ref().is_none_or(is_filthier) {
                        filthiest = Some((log, found));
                    }
                }
                Ok(_) => {}
                Err(failure) => Self::leave(shared, &log, &failure),
            }
        }
        let Some((log, found)) = filthiest else {
            return Some(false);
        };
        self.clean(shared, &log, (found, now_ms))
    }

    /// The time, while it is believed.
    pub(crate) fn now_ms(&self, context: &Context) -> Option<i64> {
        let clock = &context.clock;
        let verdict = self.time.lock().look(clock.wall_ms(), clock.monotonic());
        match verdict {
            Verdict::Now(now_ms) => Some(now_ms),
            Verdict::Waiting | Verdict::Jumped(_) => None,
        }
    }

    fn clean(
        &self,
        shared: &Shared,
        log: &DiskLog,
        (cleanable, now_ms): (Cleanable, Option<i64>),
    ) -> Option<bool> {
        let mut pass = Pass {
            cleaner: self,
            context: &shared.context,
            log,
            config: log.config(),
            now_ms,
            cleanable,
            left_some: false,
        };
        match pass.run() {
            Ok(Outcome::Done) => {
                shared.context.tally.add_compaction_pass();
                let (directory, to) = (log.directory(), cleanable.end);
                tracing::debug!(directory = %directory.display(), %to, "compacted");
                Some(true)
            }
            Ok(Outcome::Incomplete) => {
                let what = "some segments cannot be written anew; see the lines before this one";
                Self::leave(shared, log, &StorageFailure::new(what));
                Some(true)
            }
            Ok(Outcome::Overtaken) => Some(false),
            Ok(Outcome::Stopped) => None,
            Err(fault) => {
                let failure = match fault {
                    Fault::Io(error) => StorageFailure::new(error.to_string()),
                    Fault::Read(error) => StorageFailure::new(error.to_string()),
                    Fault::NotCached => StorageFailure::new("the disk was not asked"),
                };
                Self::leave(shared, log, &failure);
                Some(true)
            }
        }
    }

    /// Nobody tries again before the log has another segment.
    fn leave(shared: &Shared, log: &DiskLog, failure: &StorageFailure) {
        log.leave_uncompacted();
        if !log.is_removed() {
            shared.context.tally.add_compaction_failure();
            let directory = log.directory();
            tracing::warn!(
                directory = %directory.display(), %failure,
                "not all of it is compacted; tried again when its next segment begins"
            );
        }
    }

    /// A map for so many keys at most.
    fn new_map(&self, keys_max: usize) -> OffsetMap {
        let (share, of) = MAP_SHARE;
        let bytes_max = self.options.dedupe_bytes.checked_div(of).unwrap_or(0);
        OffsetMap::new(bytes_max.saturating_mul(share), keys_max, self.hash_key)
    }

    /// So many bytes were read and written: waits as long as that is to take. `false` if it was
    /// stopped.
    fn spend(&self, context: &Context, read: usize, written: usize) -> bool {
        context.tally.add_compaction_bytes(read, written);
        let bytes = u64::try_from(read.saturating_add(written)).unwrap_or(u64::MAX);
        let due = match self.options.bytes_per_second {
            Some(per_second) => {
                let nanos = u128::from(bytes).saturating_mul(u128::from(NANOS));
                let nanos = nanos.checked_div(u128::from(per_second)).unwrap_or(0);
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
            None => Duration::ZERO,
        };
        self.rest(due)
    }

    /// Waits; `false` if it was stopped.
    fn rest(&self, pause: Duration) -> bool {
        let mut stop = self.stop.lock();
        if !*stop && !pause.is_zero() {
            self.stopped.wait_while_for(&mut stop, |stop| !*stop, pause);
        }
        !*stop
    }
}

impl Cleanable {
    /// Whether a larger share of it is new.
    fn is_filthier(&self, other: &Self) -> bool {
        let share = |one: &Self, two: &Self| {
            u128::from(one.dirty_bytes).saturating_mul(u128::from(two.total_bytes))
        };
        share(self, other) > share(other, self)
    }
}
