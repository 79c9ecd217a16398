//! How far a log is durable, and who waits for it to get further.
//!
//! A store calls [`Progress::advance`] after the sync that covers the bytes returned without error,
//! or [`Progress::fail`] when a sync failed; there is no other way for a ticket to resolve. After
//! `fail` nothing resolves well again, whatever is called.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use records::Offset;

use crate::log::StorageFailure;

/// The durable end of one log.
#[derive(Debug)]
pub struct Progress {
    durable_end: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failure: Option<StorageFailure>,
    next_id: u64,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    end: Offset,
    waker: Waker,
}

impl Progress {
    /// Everything below `durable_end` is durable already.
    pub fn new(durable_end: Offset) -> Arc<Self> {
        Arc::new(Self {
            durable_end: AtomicI64::new(durable_end.get()),
            state: Mutex::default(),
        })
    }

    /// Everything below this offset is durable.
    pub fn durable_end(&self) -> Offset {
        Offset::new(self.durable_end.load(Ordering::Acquire))
    }

    /// Everything below `end` became durable. Never moves back.
    pub fn advance(&self, end: Offset) {
        let mut ready = Vec::new();
        {
            let mut state = self.state.lock();
            if state.failure.is_some() {
                return;
            }
            self.durable_end.fetch_max(end.get(), Ordering::AcqRel);
            let mut index = 0;
            while let Some(waiting) = state.waiting.get(index) {
                if waiting.end <= end {
                    ready.push(state.waiting.swap_remove(index).waker);
                } else {
                    index += 1;
                }
            }
        }
        ready.into_iter().for_each(Waker::wake);
    }

    /// Durability is lost for good: all who wait, now and later, get `failure`.
    pub fn fail(&self, failure: &StorageFailure) {
        let waiting = {
            let mut state = self.state.lock();
            state.failure.get_or_insert_with(|| failure.clone());
            std::mem::take(&mut state.waiting)
        };
        for waiting in waiting {
            waiting.waker.wake();
        }
    }

    /// Resolves when everything below `end` is durable, or when that can no longer happen.
    pub fn reached(self: &Arc<Self>, end: Offset) -> Reached {
        Reached {
            progress: Arc::clone(self),
            end,
            registered: None,
        }
    }

    fn poll_reached(
        &self,
        end: Offset,
        registered: &mut Option<u64>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), StorageFailure>> {
        if self.durable_end() >= end {
            return Poll::Ready(Ok(()));
        }
        let mut state = self.state.lock();
        if self.durable_end() >= end {
            return Poll::Ready(Ok(()));
        }
        if let Some(failure) = &state.failure {
            return Poll::Ready(Err(failure.clone()));
        }
        let known = registered.and_then(|id| state.waiting.iter_mut().find(|w| w.id == id));
        if let Some(waiting) = known {
            waiting.waker.clone_from(context.waker());
        } else {
            let id = state.next_id;
            state.next_id = id.wrapping_add(1);
            *registered = Some(id);
            state.waiting.push(Waiting {
                id,
                end,
                waker: context.waker().clone(),
            });
        }
        Poll::Pending
    }
}

/// See [`Progress::reached`]. Dropping it leaves no trace in the log.
#[derive(Debug)]
pub struct Reached {
    progress: Arc<Progress>,
    end: Offset,
    registered: Option<u64>,
}

impl Future for Reached {
    type Output = Result<(), StorageFailure>;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let poll = this
            .progress
            .poll_reached(this.end, &mut this.registered, context);
        if poll.is_ready() {
            this.registered = None;
        }
        poll
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        if let Some(id) = self.registered {
            self.progress
                .state
                .lock()
                .waiting
                .retain(|waiting| waiting.id != id);
        }
    }
}

#[cfg(test)]
mod tests;
