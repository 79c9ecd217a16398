//! A budget in bytes: what all requests in flight may hold together.
//!
//! A full budget makes the taker wait, so the socket is not read: memory stays bounded whatever
//! the clients send (architecture invariant 9).

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in units of this many, so that a budget above 4 GiB fits a semaphore's u32.
const UNIT_BYTES: usize = 1024;

/// Shared by everyone who takes from it.
#[derive(Debug, Clone)]
pub struct BytesBudget {
    units: Arc<Semaphore>,
    totalunits: usize,
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub struct BytesPermit {
    units: Option<OwnedSemaphorePermit>,
}

impl BytesBudget {
    /// A budget of `total_bytes`, rounded up to a KiB.
    pub fn new(total_bytes: usize) -> Self {
        let totalunits = total_bytes.div_ceil(UNIT_BYTES).max(1);
        Self {
            units: Arc::new(Semaphore::new(totalunits)),
            totalunits,
        }
    }

    /// Waits for `size_bytes`. A request larger than the whole budget takes all of it, so that it
    /// is served alone and not never.
    pub async fn take(&self, size_bytes: usize) -> BytesPermit {
        let wanted = size_bytes.div_ceil(UNIT_BYTES).min(self.totalunits);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let units = Arc::clone(&self.units).acquire_many_owned(wanted).await;
        BytesPermit {
            units: Some(units.expect("the semaphore is never closed")),
        }
    }
}

impl BytesPermit {
    /// Takes `other`, a share of the same budget, into this one.
    pub fn absorb(&mut self, other: Self) {
        match (&mut self.units, other.units) {
            (Some(units), Some(others)) => units.merge(others),
            (units @ None, others) => *units = others,
            (Some(_), None) => {}
        }
    }

    /// A share of nothing, for bytes that are accounted elsewhere (tests, internal appends).
    pub fn free() -> Self {
        Self { units: None }
    }
}

#[cfg(test)]
mod tests;
