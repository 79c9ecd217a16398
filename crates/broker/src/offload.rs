//! Work that takes the processor for long, kept away from the threads that serve connections.

use std::num::NonZero;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::Broker;

/// As many pieces of such work at one time as there are processors, so that its memory has a limit.
#[derive(Debug)]
pub(crate) struct Workshop(Arc<Semaphore>);

impl Default for Workshop {
    fn default() -> Self {
        let places = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new(places)))
    }
}

impl Broker {
    /// Does `work` on a thread of its own, when it is its turn. It is done even if the caller goes
    /// away once it has begun.
    pub async fn offload<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let places = Arc::clone(&self.workshop.0);
        let place = places.acquire_owned().await;
        let place = place.expect("the workshop is never closed");
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        match done.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(outcome) => outcome,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // Only a runtime that is going away gives up on work, and then nobody waits for it.
            Err(Err(_gone)) => std::future::pending().await,
        }
    }
}
