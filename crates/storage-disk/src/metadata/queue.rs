//! The thread that commits, and the queue before it.
//!
//! Commits that arrive during a sync form the next round; there is no timer. The queue is bounded
//! in bytes: whoever finds it full waits. After a failure, and after a panic of the thread, every
//! waiting and every later commit gets an error, and `fatal` is called, once.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use parking_lot::{Condvar, Mutex};
use storage::{CommitError, Key, StorageFailure, Version, Write};
use tokio::sync::Semaphore;

use super::committer::{Answer, Committer, Request};
use crate::Fatal;

/// Bytes of commits that may wait.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A round takes no more once it has this much.
const ROUND_BYTES: usize = 4 * 1024 * 1024;
/// What a commit counts beside its writes, so that empty ones are bounded too.
const REQUEST_BYTES: usize = 256;

const _: () = assert!(super::COMMIT_BYTES_MAX + REQUEST_BYTES < QUEUE_BYTES_MAX);
const _: () = assert!(super::COMMIT_BYTES_MAX + ROUND_BYTES < crate::frames::BODY_BYTES_MAX);

/// The thread, and the way to it.
pub(super) struct CommitThread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    /// A permit for each byte that may still wait.
    room: Arc<Semaphore>,
    fatal: Fatal,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Request>,
    closing: bool,
    failure: Option<StorageFailure>,
}

impl CommitThread {
    pub(super) fn start(committer: Committer, fatal: Fatal) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            fatal,
        });
        let of_thread = Arc::clone(&shared);
        let handle = Builder::new()
            .name("metadata".to_owned())
            .spawn(move || PanicGuard(&of_thread).0.run(committer))?;
        Ok(Self {
            shared,
            handle: Mutex::new(Some(handle)),
        })
    }

    /// Queues a commit when there is room for its bytes.
    pub(super) async fn push(
        &self,
        bytes: usize,
        checks: Vec<(Key, Version)>,
        writes: Vec<Write>,
        answer: Answer,
    ) {
        let checked = checks.iter().map(|(key, _)| key.as_bytes().len());
        let bytes = checked.fold(bytes.saturating_add(REQUEST_BYTES), usize::saturating_add);
        let permits = u32::try_from(bytes.min(QUEUE_BYTES_MAX)).expect("the limit fits 32 bits");
        let permit = Arc::clone(&self.shared.room)
            .acquire_many_owned(permits)
            .await
            .expect("the semaphore is never closed");
        let answer = Box::new(move |answered| {
            drop(permit);
            answer(answered);
        });
        self.shared.push(Request {
            checks,
            writes,
            answer,
        });
    }

    /// Queues a commit of a caller that blocks until it is answered, which is its bound.
    pub(super) fn push_blocking(&self, request: Request) {
        self.shared.push(request);
    }

    /// The error of a commit whose answer was dropped: the thread is gone.
    pub(super) fn lost_answer(&self) -> CommitError {
        let failure = self.shared.state.lock().failure.clone();
        CommitError::Unknown(failure.unwrap_or_else(closed))
    }

    /// Commits in the queue.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.shared.state.lock().waiting.len()
    }

    /// Finishes what waits and ends the thread.
    pub(super) fn close(&self) {
        self.shared.state.lock().closing = true;
        self.shared.work.notify_all();
        let Some(handle) = self.handle.lock().take() else {
            return;
        };
        if handle.thread().id() != std::thread::current().id() {
            // A panic of the thread was reported by its guard.
            let _ = handle.join();
        }
    }
}

impl Drop for CommitThread {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn push(&self, request: Request) {
        let refused = {
            let mut state = self.state.lock();
            match (&state.failure, state.closing) {
                (None, false) => {
                    state.waiting.push_back(request);
                    None
                }
                (failure, _) => Some((request, failure.clone().unwrap_or_else(closed))),
            }
        };
        match refused {
            None => {
                self.work.notify_one();
            }
            Some((request, failure)) => (request.answer)(Err(CommitError::Storage(failure))),
        }
    }

    fn run(&self, mut committer: Committer) {
        while let Some(requests) = self.next_round() {
            let done = committer
                .round(requests)
                .and_then(|()| committer.roll_if_due());
            if let Err(failure) = done {
                self.fail(&failure);
                return;
            }
        }
    }

    /// Waits for commits; `None` when there will be no more.
    fn next_round(&self) -> Option<Vec<Request>> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            if state.closing {
                return None;
            }
            self.work.wait(&mut state);
        }
        let mut requests = Vec::new();
        let mut bytes = 0_usize;
        while bytes < ROUND_BYTES
            && let Some(request) = state.waiting.pop_front()
        {
            bytes = bytes.saturating_add(request.encoded_bytes());
            requests.push(request);
        }
        Some(requests)
    }

    /// Durability is lost: nothing waiting was written, nothing more is accepted.
    fn fail(&self, failure: &StorageFailure) {
        let waiting = {
            let mut state = self.state.lock();
            if state.failure.is_some() {
                return;
            }
            state.failure = Some(failure.clone());
            std::mem::take(&mut state.waiting)
        };
        (self.fatal)(failure);
        for request in waiting {
            (request.answer)(Err(CommitError::Storage(failure.clone())));
        }
    }
}

/// Reports a panic of the commit thread like a failed sync: the files may hold anything.
struct PanicGuard<'a>(&'a Shared);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&StorageFailure::new(
                "the thread that commits metadata panicked",
            ));
        }
    }
}

fn closed() -> StorageFailure {
    StorageFailure::new("the metadata is closed")
}
