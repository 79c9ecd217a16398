//! Whether this data directory can still promise anything.
//!
//! After the first [`Health::fail`] nothing is accepted any more in this process, and the fatal
//! callback has been called exactly once. There is no way back: a sync that failed is never
//! repeated, because the next one would say yes without the bytes being there.

use std::fmt;
use std::sync::OnceLock;

use sabotage::{Safeguard, skips};
use storage::StorageFailure;

use crate::Fatal;

/// Shared by everything that writes below one data directory.
pub(crate) struct Health {
    failure: OnceLock<StorageFailure>,
    fatal: Fatal,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Health {
    pub(crate) fn new(fatal: Fatal) -> Self {
        Self {
            failure: OnceLock::new(),
            fatal,
        }
    }

    /// Fails once durability was lost.
    pub(crate) fn check(&self) -> Result<(), StorageFailure> {
        if skips(Safeguard::HealthCheck) {
            return Ok(());
        }
        self.failure
            .get()
            .map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Durability is lost for good.
    pub(crate) fn fail(&self, failure: &StorageFailure) {
        if self.failure.set(failure.clone()).is_ok() {
            tracing::error!(%failure, "durability is lost, nothing is accepted any more");
            (self.fatal)(failure);
        }
    }

    /// Guards a piece of work that must not be left half done: a panic inside ends the process.
    pub(crate) fn guard(&self, doing: &'static str) -> PanicGuard<'_> {
        PanicGuard {
            health: self,
            doing,
        }
    }
}

/// See [`Health::guard`].
#[derive(Debug)]
pub(crate) struct PanicGuard<'a> {
    health: &'a Health,
    doing: &'static str,
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let doing = self.doing;
            self.health
                .fail(&StorageFailure::new(format!("a panic during {doing}")));
        }
    }
}

#[cfg(test)]
mod tests;
