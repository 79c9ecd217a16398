//! The tasks of one runtime: named, counted, joined at shutdown; a panic in one ends that one.

use std::sync::Arc;

use broker::Broker;
use futures_util::FutureExt;
use tokio::sync::watch;

/// Spawns tasks and knows when the last has ended.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    alive: Arc<watch::Sender<usize>>,
    broker: Arc<Broker>,
}

impl Tasks {
    /// A set without tasks; panics are added to the broker's count.
    pub(crate) fn new(broker: Arc<Broker>) -> Self {
        Self {
            alive: Arc::new(watch::channel(0).0),
            broker,
        }
    }

    /// Runs `task` on the current runtime.
    ///
    /// A panic ends this task only: it is counted and logged with `name`.
    pub(crate) fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.alive.send_modify(|alive| *alive += 1);
        let alive = AliveGuard(Arc::clone(&self.alive));
        let broker = Arc::clone(&self.broker);
        let guarded = async move {
            let outcome = std::panic::AssertUnwindSafe(task).catch_unwind().await;
            if outcome.is_err() {
                broker.counters().panics.increment();
                tracing::error!(
                    task = name,
                    "a task panicked and was ended; the others go on"
                );
            }
            drop(alive);
        };
        #[expect(clippy::disallowed_methods, reason = "this is the place that spawns")]
        drop(tokio::spawn(guarded));
    }

    /// Resolves when none is running.
    pub(crate) async fn ended(&self) {
        let mut alive = self.alive.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = alive.wait_for(|alive| *alive == 0).await;
    }
}

struct AliveGuard(Arc<watch::Sender<usize>>);

impl Drop for AliveGuard {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive -= 1);
    }
}
