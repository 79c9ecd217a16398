//! Load on a broker over the Kafka protocol, and what it took: for `ottla bench` and for the
//! comparisons of `cargo xtask compare`.
//!
//! Everything that goes out is encoded before the clock runs, so that the client costs little beside
//! the broker. In open loop ([`Pace::Open`]) requests have fixed times, and latency counts from the
//! time at which a request was meant to go out: a broker that stalls makes the requests behind it
//! late too, and all of that is counted. In closed loop ([`Pace::Closed`]) so many requests are in
//! flight, each answered one is replaced, and latency counts from the replacement.
//!
//! All connections are driven by the thread that awaits the load, with wake-ups as exact as the
//! system's timers. An answer that refuses ends the load with an error: figures of a load that half
//! failed mean nothing. It takes the broker that it was told for the leader of every partition. It
//! must not know ottla, and works on any broker that speaks the protocol.

#![forbid(unsafe_code)]

mod answers;
mod batch;
mod connect;
mod consume;
mod end_to_end;
mod error;
mod fetches;
mod frame;
mod lane;
mod outcome;
mod pacer;
mod produce;
mod topic;

use std::cell::Cell;
use std::time::Duration;

pub use batch::RecordShape;
pub use consume::{Consume, ConsumeLoad};
pub use end_to_end::EndToEnd;
pub use error::LoadError;
pub use hdrhistogram::Histogram;
pub use outcome::{Outcome, ms_at};
pub use produce::{Produce, ProduceLoad, fill_topic};
pub use topic::make_topic;

/// When requests go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At fixed times: so many records a second over all connections, whatever the broker does.
    Open {
        /// Records a second, not 0.
        records_s: u32,
    },
    /// So many requests in flight over all connections; each answered one is replaced.
    Closed {
        /// Requests, not 0. Every connection has one at least.
        in_flight: usize,
    },
}

/// When a load ends: by whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    /// After this time.
    pub duration: Duration,
    /// After so many bytes of batches.
    pub bytes: u64,
}

impl Length {
    /// A load that ends by time alone.
    #[must_use]
    pub const fn of_time(duration: Duration) -> Self {
        Self {
            duration,
            bytes: u64::MAX,
        }
    }

    /// A load that ends when so many bytes have moved, however long that takes.
    #[must_use]
    pub const fn of_bytes(bytes: u64) -> Self {
        Self {
            duration: Duration::MAX,
            bytes,
        }
    }
}

/// Ends a load early: what is in flight is still waited for, and what was measured is kept.
#[derive(Debug, Default)]
pub struct Stop(Cell<bool>);

impl Stop {
    /// Ends it.
    pub fn now(&self) {
        self.0.set(true);
    }

    fn is_set(&self) -> bool {
        self.0.get()
    }
}
