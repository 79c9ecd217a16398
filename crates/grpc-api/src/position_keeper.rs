//! Stores how far a consumer's stream has come: every [`STORE_INTERVAL`] while it moves, and once
//! more when the stream ends, be it that the client went away.
//!
//! The stream only sets a number, so a record costs no store call. One small task for each stream
//! with a consumer does the storing; it ends with the stream.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use broker::{Broker, PositionError, Topic};
use futures_util::future::{Either, select};
use records::Offset;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// At most this much is read again after a crash of the broker.
const STORE_INTERVAL: Duration = Duration::from_millis(100);

/// Whose position is kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) broker: Arc<Broker>,
    pub(crate) consumer: String,
    pub(crate) topic: Arc<Topic>,
    pub(crate) partition: i32,
}

/// The stream's end of it. Dropped, it stores the position in the background.
#[derive(Debug)]
pub(crate) struct PositionKeeper {
    moved: Arc<Moved>,
    end: oneshot::Sender<()>,
    task: JoinHandle<Result<(), PositionError>>,
}

#[derive(Debug)]
struct Moved {
    offset: AtomicI64,
    /// The task sleeps until the next move.
    waits: AtomicBool,
    wake: Notify,
}

impl PositionKeeper {
    /// Keeps a position that is `start` until it moves; `start` itself is not stored.
    pub(crate) fn start(kept: Kept, start: Offset) -> Self {
        let moved = Arc::new(Moved {
            offset: AtomicI64::new(start.get()),
            waits: AtomicBool::new(false),
            wake: Notify::new(),
        });
        let (end, ended) = oneshot::channel();
        let task = keep(kept, Arc::clone(&moved), start, ended);
        #[expect(
            clippy::disallowed_methods,
            reason = "the position must be stored after the stream was dropped; the task ends then"
        )]
        let task = tokio::spawn(task);
        Self { moved, end, task }
    }

    /// The consumer goes on at `offset`.
    pub(crate) fn move_to(&self, offset: Offset) {
        self.moved.offset.store(offset.get(), Ordering::SeqCst);
        if self.moved.waits.load(Ordering::SeqCst) {
            self.moved.wake.notify_one();
        }
    }

    /// Stores the last position, and tells whether that went well.
    pub(crate) async fn finish(self) -> Result<(), PositionError> {
        // Nobody to receive it means that the task has panicked; then there is no outcome.
        let _ = self.end.send(());
        self.task.await.unwrap_or(Ok(()))
    }
}

async fn keep(
    kept: Kept,
    moved: Arc<Moved>,
    start: Offset,
    mut ended: oneshot::Receiver<()>,
) -> Result<(), PositionError> {
    let mut stored = start;
    loop {
        let movement = pin!(moved.away_from(stored));
        let end = match select(&mut ended, movement).await {
            Either::Left((end, _)) => Some(end),
            Either::Right(_) => tokio::time::timeout(STORE_INTERVAL, &mut ended).await.ok(),
        };
        // What fails while the stream runs is tried again at the next interval.
        let outcome = kept.store(&moved, &mut stored).await;
        let Some(end) = end else { continue };
        if let (Err(_), Err(reason)) = (end, &outcome) {
            let Kept {
                consumer,
                topic,
                partition,
                ..
            } = &kept;
            let topic = topic.name();
            tracing::warn!(%consumer, %topic, partition, %reason, "a position was not stored");
        }
        return outcome;
    }
}

impl Kept {
    async fn store(&self, moved: &Moved, stored: &mut Offset) -> Result<(), PositionError> {
        let offset = moved.offset();
        if offset == *stored {
            return Ok(());
        }
        let positions = self.broker.positions();
        let (consumer, topic) = (&self.consumer, &self.topic);
        positions
            .commit(consumer, topic, self.partition, offset, "")
            .await?;
        *stored = offset;
        Ok(())
    }
}

impl Moved {
    fn offset(&self) -> Offset {
        Offset::new(self.offset.load(Ordering::SeqCst))
    }

    /// Resolves once the position is not `stored`.
    async fn away_from(&self, stored: Offset) {
        loop {
            self.waits.store(true, Ordering::SeqCst);
            // A move between these two lines finds `waits` set, and the wake-up is kept.
            if self.offset() != stored {
                self.waits.store(false, Ordering::SeqCst);
                return;
            }
            self.wake.notified().await;
        }
    }
}

#[cfg(test)]
mod tests;
