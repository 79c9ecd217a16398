//! Who is woken, when, and that a failure is for good.

use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use super::*;
use crate::conformance::run;

/// Counts how often a task was woken.
#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn poll(reached: &mut Reached, count: &Arc<Count>) -> Poll<Result<(), StorageFailure>> {
    let waker = Waker::from(Arc::clone(count));
    Pin::new(reached).poll(&mut Context::from_waker(&waker))
}

fn at(offset: i64) -> Offset {
    Offset::new(offset)
}

fn broken() -> StorageFailure {
    StorageFailure::new("the sync of x failed")
}

fn waiting(progress: &Progress) -> usize {
    progress.state.lock().waiting.len()
}

#[test]
fn what_is_durable_resolves_at_once() {
    let progress = Progress::new(at(5));
    assert_eq!(progress.durable_end(), at(5));
    for end in [0, 5] {
        let count = Arc::default();
        assert_eq!(
            poll(&mut progress.reached(at(end)), &count),
            Poll::Ready(Ok(()))
        );
    }
    assert_eq!(waiting(&progress), 0);
}

#[test]
fn only_those_reached_are_woken() {
    let progress = Progress::new(at(0));
    let mut tasks: Vec<_> = [3, 1, 2, 2]
        .map(|end| (progress.reached(at(end)), Arc::<Count>::default()))
        .into();
    for (reached, count) in &mut tasks {
        assert_eq!(poll(reached, count), Poll::Pending);
    }
    let woken = |tasks: &[(Reached, Arc<Count>)]| -> Vec<usize> {
        tasks.iter().map(|(_, count)| count.get()).collect()
    };
    progress.advance(at(0));
    assert_eq!(woken(&tasks), [0, 0, 0, 0]);
    progress.advance(at(2));
    assert_eq!(woken(&tasks), [0, 1, 1, 1]);
    progress.advance(at(3));
    assert_eq!(woken(&tasks), [1, 1, 1, 1]);
    for (reached, count) in &mut tasks {
        assert_eq!(poll(reached, count), Poll::Ready(Ok(())));
    }
}

#[test]
fn the_durable_end_never_moves_back() {
    let progress = Progress::new(at(4));
    progress.advance(at(9));
    progress.advance(at(7));
    assert_eq!(progress.durable_end(), at(9));
}

#[test]
fn a_failure_is_for_good() {
    let progress = Progress::new(at(2));
    let (mut early, count) = (progress.reached(at(5)), Arc::<Count>::default());
    assert_eq!(poll(&mut early, &count), Poll::Pending);
    progress.fail(&broken());
    assert_eq!(count.get(), 1, "who waits learns of it");
    progress.advance(at(10));
    progress.fail(&StorageFailure::new("another"));
    assert_eq!(progress.durable_end(), at(2), "a later sync proves nothing");
    assert_eq!(
        poll(&mut early, &count),
        Poll::Ready(Err(broken())),
        "the first reason stays"
    );
    assert_eq!(
        poll(&mut progress.reached(at(3)), &count),
        Poll::Ready(Err(broken()))
    );
    assert_eq!(
        poll(&mut progress.reached(at(2)), &count),
        Poll::Ready(Ok(())),
        "was durable"
    );
}

#[test]
fn a_dropped_future_leaves_no_trace() {
    let progress = Progress::new(at(0));
    let count = Arc::default();
    let mut kept = progress.reached(at(1));
    assert_eq!(poll(&mut kept, &count), Poll::Pending);
    for _ in 0..1_000 {
        let mut dropped = progress.reached(at(1));
        assert_eq!(poll(&mut dropped, &count), Poll::Pending);
    }
    assert_eq!(waiting(&progress), 1, "the one that is still there");
}

#[test]
fn polling_again_moves_the_wakeup_to_the_new_task() {
    let progress = Progress::new(at(0));
    let mut reached = progress.reached(at(1));
    let (first, second) = (Arc::<Count>::default(), Arc::<Count>::default());
    assert_eq!(poll(&mut reached, &first), Poll::Pending);
    assert_eq!(poll(&mut reached, &second), Poll::Pending);
    assert_eq!(waiting(&progress), 1);
    progress.advance(at(1));
    assert_eq!((first.get(), second.get()), (0, 1));
}

#[test]
fn no_wakeup_is_lost_between_threads() {
    const ENDS: i64 = 2_000;
    let progress = Progress::new(at(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for end in 1..=ENDS {
                    assert_eq!(run(progress.reached(at(end))), Ok(()));
                }
            });
        }
        scope.spawn(|| (1..=ENDS).for_each(|end| progress.advance(at(end))));
    });
    assert_eq!(waiting(&progress), 0);
}
