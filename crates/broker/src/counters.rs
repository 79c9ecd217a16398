//! What the broker counts about itself, for the metrics page.
//!
//! Plain atomics without order between them. There is no series for each partition: 10,000
//! partitions must not make 10,000 lines.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// `amount` more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Counts one until the guard is dropped, a panic included.
    pub fn hold(&self) -> GaugeGuard<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        GaugeGuard(self)
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Takes its one off when dropped.
#[derive(Debug)]
pub struct GaugeGuard<'a>(&'a Gauge);

impl Drop for GaugeGuard<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All counters of one broker. Requests are counted once for each partition in them, as Kafka's
/// `BrokerTopicMetrics` does.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records that got a place in a log.
    pub messages_in: Counter,
    /// Bytes of the batches that got a place in a log.
    pub bytes_in: Counter,
    /// Bytes of batches handed to readers.
    pub bytes_out: Counter,
    /// Appends asked for.
    pub produce_requests: Counter,
    /// Appends refused.
    pub produce_failures: Counter,
    /// Partitions that fetches asked for.
    pub fetch_requests: Counter,
    /// Partitions that fetches answered with an error.
    pub fetch_failures: Counter,
    /// Connections open now; the front doors hold it.
    pub connections: Gauge,
    /// Connections accepted since the start.
    pub connections_accepted: Counter,
    /// Panics caught: each ended one connection.
    pub panics: Counter,
}
