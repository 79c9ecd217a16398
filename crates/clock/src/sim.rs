//! A clock that moves only when a test says so. Clones show the same time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::Clock;

/// A settable clock; every clone is a handle to the same time.
#[derive(Debug, Clone)]
pub struct SimClock {
    now: Arc<Mutex<Now>>,
}

#[derive(Debug)]
struct Now {
    monotonic: Duration,
    /// What the wall clock showed when it was last set…
    wall_set_to_ms: i64,
    /// …and how much time has passed on it since.
    wall_run: Duration,
}

impl SimClock {
    /// A clock whose wall shows `wall_ms` and whose monotonic time is zero.
    pub fn starting_at(wall_ms: i64) -> Self {
        let now = Now {
            monotonic: Duration::ZERO,
            wall_set_to_ms: wall_ms,
            wall_run: Duration::ZERO,
        };
        Self {
            now: Arc::new(Mutex::new(now)),
        }
    }

    /// Lets `passed` go by on both clocks.
    pub fn advance(&self, passed: Duration) {
        let mut now = self.now.lock();
        now.monotonic += passed;
        now.wall_run += passed;
    }

    /// Lets `passed` go by while the wall clock stands still.
    pub fn advance_frozen_wall(&self, passed: Duration) {
        self.now.lock().monotonic += passed;
    }

    /// Sets the wall clock, as an operator or NTP would. Monotonic time does not notice.
    pub fn set_wall_ms(&self, wall_ms: i64) {
        let mut now = self.now.lock();
        now.wall_set_to_ms = wall_ms;
        now.wall_run = Duration::ZERO;
    }
}

impl Clock for SimClock {
    fn wall_ms(&self) -> i64 {
        let now = self.now.lock();
        let run_ms = i64::try_from(now.wall_run.as_millis()).unwrap_or(i64::MAX);
        now.wall_set_to_ms.saturating_add(run_ms)
    }

    fn monotonic(&self) -> Duration {
        self.now.lock().monotonic
    }
}
