//! Waking readers when more becomes readable, without polling.
//!
//! A reader registers one [`Waiter`] with every log it watches, then checks again, then waits. A
//! log wakes and forgets all its waiters when its high watermark or last stable offset moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

/// One reader that waits, perhaps on many logs. Woken once; register a new one to wait again.
#[derive(Debug, Default)]
pub struct Waiter {
    done: AtomicBool,
    waker: AtomicWaker,
}

impl Waiter {
    /// A waiter that nobody has woken.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Wakes the reader; later calls do nothing.
    pub fn wake(&self) {
        if !self.done.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Says that the reader has gone, so that lists may forget it.
    pub fn cancel(&self) {
        self.done.store(true, Ordering::Release);
    }

    /// Whether it was woken or cancelled.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Resolves once [`Waiter::wake`] was called. For one task at a time.
    pub async fn woken(&self) {
        std::future::poll_fn(|context| {
            if self.is_done() {
                return Poll::Ready(());
            }
            self.waker.register(context.waker());
            if self.is_done() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// The waiters of one log.
#[derive(Debug, Default)]
pub struct WaitList {
    waiters: Mutex<Registered>,
}

#[derive(Debug, Default)]
struct Registered {
    list: Vec<Arc<Waiter>>,
    /// Length at which the done ones are swept out: a log that never moves must not collect the
    /// waiters of every fetch that timed out on it.
    sweep_at: usize,
}

const SWEEP_AT_LEAST: usize = 8;

impl WaitList {
    /// Adds a waiter. The caller checks its condition again after this.
    pub fn register(&self, waiter: Arc<Waiter>) {
        let mut registered = self.waiters.lock();
        if registered.list.len() >= registered.sweep_at.max(SWEEP_AT_LEAST) {
            registered.list.retain(|waiter| !waiter.is_done());
            registered.sweep_at = registered.list.len().saturating_mul(2);
        }
        registered.list.push(waiter);
    }

    /// Wakes and forgets all.
    pub fn wake_all(&self) {
        let list = {
            let mut registered = self.waiters.lock();
            registered.sweep_at = 0;
            std::mem::take(&mut registered.list)
        };
        for waiter in list {
            waiter.wake();
        }
    }

    /// How many are registered, done ones not yet swept included.
    pub fn len(&self) -> usize {
        self.waiters.lock().list.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests;
