//! Waking those who wait for more.

use std::sync::Arc;

use records::Offset;

use super::Fixture;
use super::samples::{append, batch};
use crate::log::Fence;
use crate::{BytesPermit, Waiter};

/// Everybody who waits learns of an append, from whichever thread.
pub async fn an_append_wakes_all_waiters(fixture: Fixture) {
    let log = fixture.log().await;
    let waiters: Vec<Arc<Waiter>> = (0..10).map(|_| Waiter::new()).collect();
    for waiter in &waiters {
        log.wait(Arc::clone(waiter));
    }
    assert!(waiters.iter().all(|waiter| !waiter.is_done()));
    let writer = Arc::clone(&log);
    let ticket =
        std::thread::spawn(move || writer.append(batch(1), Fence::default(), BytesPermit::free()));
    for waiter in &waiters {
        waiter.woken().await;
        assert_eq!(
            log.ends().high_watermark,
            Offset::new(1),
            "woken when it can be read"
        );
    }
    let ticket = ticket.join().expect("the writer does not panic");
    assert_eq!(ticket.durable().await, Ok(Offset::ZERO));
}

/// Reads, refused appends and other logs wake nobody.
pub async fn a_quiet_log_wakes_nobody(fixture: Fixture) {
    let log = fixture.log().await;
    append(&*log, batch(1)).await.expect("accepted");
    log.settled().await.expect("all is visible");
    let other = super::samples::topic("other", 1);
    fixture
        .store
        .create(&other, 0..1)
        .await
        .expect("a topic is created");
    let other = fixture.store.open(&other, 0).expect("its log opens");

    let (waiter, noise) = (Waiter::new(), Waiter::new());
    log.wait(Arc::clone(&waiter));
    other.wait(Arc::clone(&noise));
    let stale = Fence {
        leader_epoch: Some(log.leader_epoch() - 1),
    };
    assert!(
        log.append(batch(1), stale, BytesPermit::free())
            .placed()
            .is_err()
    );
    super::samples::read(&*log, 0, super::samples::NO_LIMIT).await;
    append(&*other, batch(1)).await.expect("accepted");
    noise.woken().await;
    assert!(!waiter.is_done());
}

/// A waiter is forgotten when it was woken: the next move needs a new one.
pub async fn a_waiter_wakes_once_for_each_registration(fixture: Fixture) {
    let log = fixture.log().await;
    for base in 0..20 {
        let waiter = Waiter::new();
        log.wait(Arc::clone(&waiter));
        let ticket = log.append(batch(1), Fence::default(), BytesPermit::free());
        waiter.woken().await;
        assert_eq!(log.ends().high_watermark, Offset::new(base + 1));
        assert_eq!(ticket.durable().await, Ok(Offset::new(base)));
        // A log lets go of whom it woke, perhaps a moment later and on another thread.
        let forgotten = (0..1_000_000).any(|_| {
            std::thread::yield_now();
            Arc::strong_count(&waiter) == 1
        });
        assert!(forgotten, "the log still holds a waiter that it woke");
    }
}

/// Who waits for the log to settle sees all that was written before, tickets awaited or not.
pub async fn settled_covers_what_was_written(fixture: Fixture) {
    let log = fixture.log().await;
    for round in 1..=10 {
        for _ in 0..5 {
            log.append(batch(2), Fence::default(), BytesPermit::free())
                .placed()
                .expect("accepted");
        }
        let ends = log.settled().await.expect("the log settles");
        ends.assert_ordered();
        assert!(ends.high_watermark >= Offset::new(round * 10), "{ends:?}");
        assert!(log.ends().high_watermark >= Offset::new(round * 10));
    }
}
