//! Waking, cancelling, and that a quiet log collects nothing.

use futures_util::FutureExt;

use super::*;
use crate::conformance::run;

#[test]
fn waking_resolves_before_and_after_it_is_awaited() {
    let waiter = Waiter::new();
    assert!(waiter.woken().now_or_never().is_none());
    waiter.wake();
    assert!(waiter.is_done());
    assert!(waiter.woken().now_or_never().is_some());
    std::thread::scope(|scope| {
        let waiter = Waiter::new();
        let waker = Arc::clone(&waiter);
        scope.spawn(move || waker.wake());
        run(waiter.woken());
    });
}

#[test]
fn a_list_wakes_and_forgets_all() {
    let list = WaitList::default();
    assert!(list.is_empty());
    let waiters: Vec<Arc<Waiter>> = (0..20).map(|_| Waiter::new()).collect();
    for waiter in &waiters {
        list.register(Arc::clone(waiter));
    }
    assert_eq!(list.len(), 20);
    list.wake_all();
    assert!(waiters.iter().all(|waiter| waiter.is_done()));
    assert!(list.is_empty());
    assert!(waiters.iter().all(|waiter| Arc::strong_count(waiter) == 1));
}

#[test]
fn one_waiter_on_many_lists_is_woken_by_the_first() {
    let (first, second) = (WaitList::default(), WaitList::default());
    let waiter = Waiter::new();
    first.register(Arc::clone(&waiter));
    second.register(Arc::clone(&waiter));
    second.wake_all();
    assert!(waiter.is_done());
    first.wake_all();
    assert_eq!(Arc::strong_count(&waiter), 1);
}

#[test]
fn waiters_that_timed_out_do_not_accumulate() {
    let list = WaitList::default();
    let mut longest = 0;
    for _ in 0..10_000 {
        let waiter = Waiter::new();
        list.register(Arc::clone(&waiter));
        waiter.cancel();
        longest = longest.max(list.len());
    }
    assert!(longest <= SWEEP_AT_LEAST, "{longest} were kept");
}

#[test]
fn sweeping_keeps_those_who_still_wait() {
    let list = WaitList::default();
    let mut waiting = Vec::new();
    for number in 0..10_000 {
        let waiter = Waiter::new();
        list.register(Arc::clone(&waiter));
        if number % 100 == 0 {
            waiting.push(waiter);
        } else {
            waiter.cancel();
        }
    }
    assert!(
        list.len() <= 2 * waiting.len() + SWEEP_AT_LEAST,
        "{} are kept",
        list.len()
    );
    list.wake_all();
    assert!(waiting.iter().all(|waiter| waiter.is_done()));
}

#[test]
fn a_cancelled_waiter_does_not_wait_and_is_not_woken() {
    let waiter = Waiter::new();
    let mut woken = Box::pin(waiter.woken());
    assert!((&mut woken).now_or_never().is_none());
    waiter.cancel();
    assert!(waiter.is_done());
    waiter.wake();
    assert!(woken.now_or_never().is_some());
}
