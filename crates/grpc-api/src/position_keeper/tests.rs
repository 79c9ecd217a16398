//! When positions are stored. Time stands still, and moves only when all wait.

use super::*;
use crate::harness::{Harness, create, position};
use storage::{CommitError, StorageFailure};

async fn kept(harness: &Harness) -> Kept {
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1, &[]).await;
    Kept {
        broker,
        consumer: "billing".into(),
        topic,
        partition: 0,
    }
}

async fn stored(kept: &Kept) -> Option<i64> {
    position(&kept.broker, &kept.topic, "billing").await
}

/// Lets the task run as far as it can without time.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_is_stored_after_the_interval_and_not_before() {
    let kept = kept(&Harness::new()).await;
    let keeper = PositionKeeper::start(kept.clone(), Offset::new(3));
    settle().await;
    keeper.move_to(Offset::new(4));
    settle().await;
    tokio::time::advance(STORE_INTERVAL / 2).await;
    keeper.move_to(Offset::new(5));
    settle().await;
    assert_eq!(stored(&kept).await, None);
    tokio::time::advance(STORE_INTERVAL / 2).await;
    settle().await;
    assert_eq!(stored(&kept).await, Some(5));
    keeper.move_to(Offset::new(6));
    settle().await;
    tokio::time::advance(STORE_INTERVAL).await;
    settle().await;
    assert_eq!(stored(&kept).await, Some(6));
}

#[tokio::test(start_paused = true)]
async fn the_end_stores_at_once() {
    let kept = kept(&Harness::new()).await;
    let keeper = PositionKeeper::start(kept.clone(), Offset::ZERO);
    keeper.move_to(Offset::new(2));
    keeper.finish().await.expect("memory stores");
    assert_eq!(stored(&kept).await, Some(2));
    let keeper = PositionKeeper::start(kept.clone(), Offset::new(2));
    settle().await;
    keeper.move_to(Offset::new(7));
    drop(keeper);
    settle().await;
    assert_eq!(stored(&kept).await, Some(7));
}

#[tokio::test(start_paused = true)]
async fn a_position_that_did_not_move_is_not_stored() {
    let kept = kept(&Harness::new()).await;
    let keeper = PositionKeeper::start(kept.clone(), Offset::new(3));
    keeper.move_to(Offset::new(3));
    settle().await;
    tokio::time::advance(STORE_INTERVAL * 3).await;
    settle().await;
    keeper.finish().await.expect("nothing to store");
    assert_eq!(stored(&kept).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_and_told_at_the_end() {
    let harness = Harness::new();
    let kept = kept(&harness).await;
    let refusal = || Some(CommitError::NoSpace(StorageFailure::new("disk full")));
    harness.metadata.refuse_commits(refusal());
    let keeper = PositionKeeper::start(kept.clone(), Offset::ZERO);
    keeper.move_to(Offset::new(1));
    settle().await;
    tokio::time::advance(STORE_INTERVAL).await;
    settle().await;
    assert_eq!(stored(&kept).await, None);
    harness.metadata.refuse_commits(None);
    settle().await;
    tokio::time::advance(STORE_INTERVAL).await;
    settle().await;
    assert_eq!(stored(&kept).await, Some(1));
    harness.metadata.refuse_commits(refusal());
    keeper.move_to(Offset::new(2));
    let outcome = keeper.finish().await;
    assert!(
        matches!(outcome, Err(PositionError::NoSpace(_))),
        "{outcome:?}"
    );
}
