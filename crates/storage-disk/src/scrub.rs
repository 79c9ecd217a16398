//! The thread that looks for damage before anybody asks for the records: it reads all logs slowly, and
//! holds every byte against what was written.
//!
//! The first pass of a process leaves out what the process appended or verified itself; later ones
//! read everything again. Between two passes it sleeps; no log has a timer. At the stop it ends
//! after the step under way. Knows nothing of how bytes are verified: `log/scrub.rs` does.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use sabotage::{Safeguard, skips};
use storage::{Log as _, ReadError};

use crate::log::DiskLog;
use crate::store::Shared;
use crate::window::Fault;

/// From the end of a pass to the begin of the next.
const RESCAN_PAUSE: Duration = Duration::from_hours(7 * 24);
/// What a step costs at least, so that many small logs are not opened in one go.
const STEP_BYTES_MIN: usize = 64 * 1024;
const NANOS: u64 = 1_000_000_000;

/// See the head of the module.
#[derive(Debug)]
pub(crate) struct Scrub {
    bytes_per_second: u64,
    stop: Mutex<bool>,
    stopped: Condvar,
}

impl Scrub {
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            stop: Mutex::default(),
            stopped: Condvar::new(),
        }
    }

    /// Whether there is anything to do for a thread.
    pub(crate) fn is_wanted(&self) -> bool {
        self.bytes_per_second > 0
    }

    /// Works until [`Scrub::stop`].
    pub(crate) fn run(&self, shared: &Shared) {
        let mut skips_verified = true;
        while self.pass(shared, skips_verified) && self.rest(RESCAN_PAUSE) {
            skips_verified = false;
        }
    }

    /// Ends [`Scrub::run`].
    pub(crate) fn stop(&self) {
        *self.stop.lock() = true;
        self.stopped.notify_all();
    }

    /// Looks at all logs once; `false` if it was stopped.
    pub(crate) fn pass(&self, shared: &Shared, skips_verified: bool) -> bool {
        let _guard = shared.context.health.guard("a scrub");
        for log in shared.logs() {
            if !self.scrub_log(shared, &log, skips_verified) {
                return false;
            }
        }
        let now_ms = shared.context.clock.wall_ms();
        shared.context.tally.end_scrub_pass(now_ms);
        true
    }

    fn scrub_log(&self, shared: &Shared, log: &DiskLog, skips_verified: bool) -> bool {
        if skips(Safeguard::Scrub) {
            return true;
        }
        let mut from = log.ends().log_start;
        loop {
            if shared.context.health.check().is_err() {
                return false;
            }
            let step = match log.scrub(from, skips_verified) {
                Ok(step) => step,
                // Its start moved meanwhile.
                Err(Fault::Read(ReadError::OutOfRange { ends, .. })) if ends.log_start > from => {
                    from = ends.log_start;
                    continue;
                }
                Err(fault) => {
                    // Or it was removed meanwhile, which is no news.
                    if !log.is_removed() {
                        log.note_unscrubbed(from, fault);
                    }
                    return true;
                }
            };
            shared.context.tally.add_scrub(step.size_bytes, step.found);
            if step.size_bytes > 0 && !self.rest(self.due(step.size_bytes)) {
                return false;
            }
            match step.next {
                Some(next) => from = next,
                None => return true,
            }
        }
    }

    /// How long reading so much is to take.
    fn due(&self, size_bytes: usize) -> Duration {
        let size_bytes = u64::try_from(size_bytes.max(STEP_BYTES_MIN)).unwrap_or(u64::MAX);
        let nanos = size_bytes.saturating_mul(NANOS);
        Duration::from_nanos(nanos.checked_div(self.bytes_per_second).unwrap_or(0))
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
