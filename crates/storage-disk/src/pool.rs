//! A few threads that exist only while there is something to do.
//!
//! Used for reads that must wait for the disk. A job that panics loses its own answer and nothing
//! else.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long a thread waits for another job before it ends.
const IDLE: Duration = Duration::from_secs(5);

/// What a pool runs.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Up to a number of threads, started when needed.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    threads_max: usize,
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.shared.name)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// With `threads_max` 0 every job runs where it is submitted.
    pub(crate) fn new(name: &'static str, threads_max: usize) -> Self {
        let (queue, ready) = Default::default();
        Self {
            shared: Arc::new(Shared {
                name,
                threads_max,
                queue,
                ready,
            }),
        }
    }

    /// Runs the job soon. Its queue is as long as what waits for the answers: requests, which hold
    /// a share of the byte budget.
    pub(crate) fn submit(&self, job: Job) {
        if self.shared.threads_max == 0 {
            return job();
        }
        let mut queue = self.shared.queue.lock();
        queue.jobs.push_back(job);
        if queue.idle >= queue.jobs.len() || queue.threads >= self.shared.threads_max {
            drop(queue);
            self.shared.ready.notify_one();
            return;
        }
        queue.threads = queue.threads.saturating_add(1);
        drop(queue);
        let shared = Arc::clone(&self.shared);
        let started = std::thread::Builder::new()
            .name(self.shared.name.to_owned())
            .spawn(move || shared.work());
        if let Err(error) = started {
            self.shared.without_thread(&error);
        }
    }
}

impl Shared {
    /// No thread could be started: if there is none at all, the jobs run here.
    fn without_thread(&self, error: &std::io::Error) {
        tracing::warn!(name = self.name, %error, "no thread could be started");
        let mut queue = self.queue.lock();
        queue.threads = queue.threads.saturating_sub(1);
        while queue.threads == 0 {
            let Some(job) = queue.jobs.pop_front() else {
                return;
            };
            drop(queue);
            job();
            queue = self.queue.lock();
        }
    }

    fn work(&self) {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!(name = self.name, "a job panicked; its answer is lost");
                }
                queue = self.queue.lock();
                continue;
            }
            queue.idle = queue.idle.saturating_add(1);
            let waited = self.ready.wait_for(&mut queue, IDLE);
            queue.idle = queue.idle.saturating_sub(1);
            if waited.timed_out() && queue.jobs.is_empty() {
                // Under the lock: a submitter either sees this thread wait or sees it gone.
                queue.threads = queue.threads.saturating_sub(1);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
