//! Repeatable chance: the same seed gives the same draws on every machine, for ever. Not for secrets.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Rng;

/// The step of SplitMix64: 2^64 divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64. One atomic addition a draw, so sharing it costs no lock.
#[derive(Debug)]
pub struct SeededRng {
    seed: u64,
    state: AtomicU64,
}

impl SeededRng {
    /// Starts the sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            state: AtomicU64::new(seed),
        }
    }

    /// The seed it was made with; tests print it, so that a failure can be repeated.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl Rng for SeededRng {
    fn next_u64(&self) -> u64 {
        let mut mixed = self
            .state
            .fetch_add(STEP, Ordering::Relaxed)
            .wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
