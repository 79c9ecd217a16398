//! The thread that deletes old records: it asks every log, again and again, which of its segments are
//! too old or too many by the configs of their topic.
//!
//! Age is told by the wall clock, and only while that is to be believed (`trusted_time`). A log that
//! was not used since the start and holds nothing costs nothing. Knows nothing of segments:
//! `log/expire.rs` does.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::store::Shared;
use crate::trusted_time::{TrustedTime, Verdict};

/// See the head of the module.
#[derive(Debug)]
pub(crate) struct Retention {
    check_interval: Duration,
    time: Mutex<TrustedTime>,
    stop: Mutex<bool>,
    stopped: Condvar,
}

impl Retention {
    /// `last_seen_ms` is when the last process was last known to run, if it said so.
    pub(crate) fn new(check_interval: Duration, last_seen_ms: Option<i64>) -> Self {
        Self {
            check_interval,
            time: Mutex::new(TrustedTime::new(last_seen_ms)),
            stop: Mutex::default(),
            stopped: Condvar::new(),
        }
    }

    /// Works until [`Retention::stop`].
    pub(crate) fn run(&self, shared: &Shared) {
        while self.rest() && self.pass(shared) {}
    }

    /// Ends [`Retention::run`].
    pub(crate) fn stop(&self) {
        *self.stop.lock() = true;
        self.stopped.notify_all();
    }

    /// Asks all logs once; `false` if it was stopped.
    pub(crate) fn pass(&self, shared: &Shared) -> bool {
        let _guard = shared.context.health.guard("retention");
        let now_ms = self.now_ms(shared);
        for log in shared.logs() {
            if *self.stop.lock() || shared.context.accepts().is_err() {
                return false;
            }
            if let Err(failure) = log.expire(now_ms)
                && !log.is_removed()
            {
                let directory = log.directory();
                tracing::warn!(directory = %directory.display(), %failure, "old records stay");
            }
        }
        true
    }

    /// The time, unless the clock jumped.
    fn now_ms(&self, shared: &Shared) -> Option<i64> {
        let clock = &shared.context.clock;
        let verdict = self.time.lock().look(clock.wall_ms(), clock.monotonic());
        shared
            .context
            .tally
            .set_time_trusted(matches!(verdict, Verdict::Now(_)));
        match verdict {
            Verdict::Now(now_ms) => Some(now_ms),
            Verdict::Waiting => None,
            Verdict::Jumped(by_ms) => {
                tracing::warn!(
                    by_ms,
                    "the clock is not where it was expected: no record is deleted by its age until \
                     it is back, or has stayed there for an hour"
                );
                None
            }
        }
    }

    /// Waits; `false` if it was stopped.
    fn rest(&self) -> bool {
        let mut stop = self.stop.lock();
        if !*stop {
            let pause = self.check_interval;
            self.stopped.wait_while_for(&mut stop, |stop| !*stop, pause);
        }
        !*stop
    }
}
