//! Failing once and for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use storage::StorageFailure;

use super::Health;

fn health() -> (Health, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let health = Health::new(Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    }));
    (health, calls)
}

#[test]
fn the_first_failure_stays_and_is_told_once() {
    let (health, calls) = health();
    assert_eq!(health.check(), Ok(()));
    for text in ["first", "second"] {
        health.fail(&StorageFailure::new(text));
    }
    assert_eq!(health.check(), Err(StorageFailure::new("first")));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_guard_minds_panics_only() {
    let (health, calls) = health();
    drop(health.guard("nothing"));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = health.guard("a test");
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
