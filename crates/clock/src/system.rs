//! The real clock and the operating system's randomness. The only readers of either.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{Clock, Rng};

/// One start for the whole process, so that readings of two [`SystemClock`]s compare.
static PROCESS_START: LazyLock<Instant> = LazyLock::new(instant_now);

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall_ms(&self) -> i64 {
        let now = system_time_now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            // A machine whose clock was never set may stand before 1970.
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }

    fn monotonic(&self) -> Duration {
        let start = *PROCESS_START;
        instant_now().saturating_duration_since(start)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "SystemClock is what the rest calls instead"
)]
fn system_time_now() -> SystemTime {
    SystemTime::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "SystemClock is what the rest calls instead"
)]
fn instant_now() -> Instant {
    Instant::now()
}

/// Randomness of the operating system, fit for secrets. Keeps no state, so a forked or restored
/// process never repeats a draw.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn next_u64(&self) -> u64 {
        getrandom::u64().expect("the operating system hands out random bytes")
    }

    fn fill(&self, target: &mut [u8]) {
        getrandom::fill(target).expect("the operating system hands out random bytes");
    }
}
