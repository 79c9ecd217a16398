//! [`TrustedTime`]: whether the wall clock may say how old records are.
//!
//! A clock that jumps must not delete what was promised, so a jump is waited out: in the process it
//! is one of the wall clock against the monotonic one, at a start one against the time that the last
//! process wrote down. A clock that stays where it jumped to is believed after a while; somebody has
//! been told by then. Reads no clock.

use std::time::Duration;

use sabotage::{Safeguard, skips};

/// A wall clock that goes off by more than this has jumped.
const JUMP_MS: i64 = 60 * 60 * 1000;
/// A jump over the end of the process by more than this is looked at with suspicion.
const JUMP_AT_START_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// A clock that stays where it jumped to is believed after this.
const WAIT: Duration = Duration::from_hours(1);

/// See the head of the module.
#[derive(Debug)]
pub(crate) struct TrustedTime {
    /// What the last process wrote down last, if it did.
    last_seen_ms: Option<i64>,
    /// Somebody has looked at the clocks.
    is_started: bool,
    /// The wall clock less the monotonic one, as it is believed.
    trusted_ms: Option<i64>,
    /// Where the wall clock is instead, and since when.
    suspect: Option<(i64, Duration)>,
}

/// What a look at the clocks came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is so late.
    Now(i64),
    /// The clock jumped by about so much, as far as somebody knows; it is not believed for a while.
    /// Said once for each jump.
    Jumped(Option<i64>),
    /// It is still not believed.
    Waiting,
}

impl TrustedTime {
    /// `last_seen_ms` is when the last process was last known to run, if it said so.
    pub(crate) fn new(last_seen_ms: Option<i64>) -> Self {
        Self {
            last_seen_ms,
            is_started: false,
            trusted_ms: None,
            suspect: None,
        }
    }

    /// Looks at both clocks.
    pub(crate) fn look(&mut self, wall_ms: i64, monotonic: Duration) -> Verdict {
        if skips(Safeguard::ClockJumps) {
            return Verdict::Now(wall_ms);
        }
        let monotonic_ms = i64::try_from(monotonic.as_millis()).unwrap_or(i64::MAX);
        let skew_ms = wall_ms.saturating_sub(monotonic_ms);
        if !std::mem::replace(&mut self.is_started, true) {
            // Where nobody wrote it down, any time may have passed.
            let passed_ms = self.last_seen_ms.map(|seen| wall_ms.saturating_sub(seen));
            if passed_ms.is_none_or(|passed| passed > JUMP_AT_START_MS) {
                self.suspect = Some((skew_ms, monotonic));
                return Verdict::Jumped(passed_ms);
            }
            self.trusted_ms = Some(skew_ms);
        }
        let near = |other_ms: i64| skew_ms.saturating_sub(other_ms).saturating_abs() <= JUMP_MS;
        if self.trusted_ms.is_some_and(near) {
            self.trusted_ms = Some(skew_ms);
            self.suspect = None;
            return Verdict::Now(wall_ms);
        }
        match self.suspect.filter(|(suspect_ms, _)| near(*suspect_ms)) {
            Some((_, since)) if monotonic.saturating_sub(since) >= WAIT => {
                self.trusted_ms = Some(skew_ms);
                self.suspect = None;
                Verdict::Now(wall_ms)
            }
            Some(_) => Verdict::Waiting,
            None => {
                self.suspect = Some((skew_ms, monotonic));
                let before_ms = self.trusted_ms;
                Verdict::Jumped(before_ms.map(|before| skew_ms.saturating_sub(before)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
