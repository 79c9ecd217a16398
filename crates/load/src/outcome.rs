//! What a load showed.

use std::time::Duration;

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// Latencies are kept in microseconds, up to a minute, with three digits.
const MICROS_MAX: u64 = 60_000_000;

/// What a load showed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Requests that were answered; with acks=0, sent.
    pub requests: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of their batches, as they were on the wire.
    pub batch_bytes: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// CPU time of this process meanwhile.
    pub client_cpu: Duration,
    /// Microseconds from a request to its answer. Empty with acks=0.
    pub latency: Histogram<u64>,
}

/// A quantile in milliseconds; 0 if nothing was counted.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "microseconds of a minute")]
pub fn ms_at(latency: &Histogram<u64>, quantile: f64) -> f64 {
    latency.value_at_quantile(quantile) as f64 / 1000.0
}

pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MICROS_MAX, 3).expect("these bounds are in order")
}

pub(crate) fn record(latency: &mut Histogram<u64>, since: Instant, now: Instant) {
    let micros = now.saturating_duration_since(since).as_micros();
    latency.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX).max(1));
}

/// CPU time of this process so far.
pub(crate) fn cpu_time() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}
