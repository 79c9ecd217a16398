//! Runs one case to its end on the calling thread, without a runtime.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A case that is not woken for this long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.woken.lock() = true;
        self.changed.notify_one();
    }
}

impl Signal {
    fn wait(&self, patience: Duration) {
        let mut woken = self.woken.lock();
        while !*woken {
            let waited = self.changed.wait_for(&mut woken, patience);
            assert!(
                *woken || !waited.timed_out(),
                "nobody woke the case for {patience:?}"
            );
        }
        *woken = false;
    }
}

/// Polls `case` until it is done; panics when it is stuck.
pub fn run<T>(case: impl Future<Output = T>) -> T {
    run_within(PATIENCE, case)
}

/// As [`run`], with its own idea of being stuck.
pub(super) fn run_within<T>(patience: Duration, case: impl Future<Output = T>) -> T {
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(Arc::clone(&signal));
    let mut context = Context::from_waker(&waker);
    let mut case = pin!(case);
    loop {
        match case.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => signal.wait(patience),
        }
    }
}
