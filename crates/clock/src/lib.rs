//! Time and chance as arguments, so that a test can hold them.
//!
//! Code that waits, stamps or draws takes a [`Clock`] or an [`Rng`]; clippy bans the direct calls.
//! The wall clock may jump; [`Clock::monotonic`] never goes back, so every timeout uses that.

#![forbid(unsafe_code)]

mod seeded;
mod sim;
mod system;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::time::Duration;

pub use seeded::SeededRng;
pub use sim::SimClock;
pub use system::{SystemClock, SystemRng};

/// Where time comes from.
pub trait Clock: Send + Sync + Debug {
    /// Milliseconds since the Unix epoch. May jump in both directions.
    fn wall_ms(&self) -> i64;

    /// Time since an arbitrary start in this process; never goes back.
    fn monotonic(&self) -> Duration;
}

/// Where chance comes from. Shared, so an implementation locks inside.
pub trait Rng: Send + Sync + Debug {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;

    /// A number below `limit`, each equally likely. `limit` must not be 0.
    fn next_below(&self, limit: u64) -> u64 {
        assert!(limit > 0, "no number is below 0");
        // Numbers under `uneven` would make the small remainders likelier; draw again.
        let uneven = limit.wrapping_neg() % limit;
        loop {
            let drawn = self.next_u64();
            if drawn >= uneven {
                return drawn % limit;
            }
        }
    }

    /// Fills `target` with random bytes.
    fn fill(&self, target: &mut [u8]) {
        for chunk in target.chunks_mut(8) {
            let drawn = self.next_u64().to_be_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }

    /// A random UUID: version 4, variant 1 of RFC 9562.
    fn uuid_v4(&self) -> [u8; 16] {
        let mut uuid = [0; 16];
        self.fill(&mut uuid);
        uuid[6] = (uuid[6] & 0x0f) | 0x40;
        uuid[8] = (uuid[8] & 0x3f) | 0x80;
        uuid
    }
}
