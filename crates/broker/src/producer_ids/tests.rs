//! Producer ids: never given out twice.

use std::collections::HashSet;
use std::sync::Arc;

use storage::{CommitError, Metadata};

use super::*;
use crate::harness::{Harness, NOW_MS, failure};

async fn ids(broker: &Broker, count: usize) -> Vec<i64> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let identity = broker.new_producer_id().await.expect("an id");
        assert_eq!(identity.epoch, 0);
        ids.push(identity.id);
    }
    ids
}

#[tokio::test]
async fn ids_are_unique_within_blocks_and_over_them() {
    let broker = Harness::new().broker().await;
    let ids = ids(&broker, 2500).await;
    assert_eq!(ids, (0..2500).collect::<Vec<_>>());
}

#[tokio::test]
async fn ids_are_not_repeated_after_a_restart() {
    let mut harness = Harness::new();
    let mut seen = HashSet::new();
    for round in 0..5 {
        let broker = harness.broker().await;
        for id in ids(&broker, 700).await {
            assert!(seen.insert(id), "id {id} again in round {round}");
        }
        drop(broker);
        harness = harness.restarted();
    }
}

#[tokio::test]
async fn a_block_is_durable_before_its_first_id_is_given_out() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let refusal = CommitError::Storage(failure("sync failed"));
    harness.metadata.refuse_commits(Some(refusal));
    let error = broker.new_producer_id().await.expect_err("no block");
    assert_eq!(error, InitProducerIdError::Storage(failure("sync failed")));
    harness
        .metadata
        .refuse_commits(Some(CommitError::NoSpace(failure("full"))));
    let error = broker.new_producer_id().await.expect_err("no block");
    assert_eq!(error, InitProducerIdError::NoSpace(failure("full")));
    harness.metadata.refuse_commits(None);
    assert_eq!(ids(&broker, 1).await, [0]);
}

#[tokio::test]
async fn a_block_whose_commit_is_in_doubt_is_not_used() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    harness.metadata.lose_next_answer(failure("who knows"));
    broker.new_producer_id().await.expect_err("in doubt");
    assert_eq!(
        ids(&broker, 1).await,
        [1000],
        "the block in doubt may be somebody's"
    );
}

#[tokio::test]
async fn two_nodes_on_one_table_never_share_a_block() {
    let harness = Harness::new();
    let metadata = Arc::clone(&harness.metadata) as Arc<dyn Metadata>;
    let (one, other) = (
        ProducerIds::new(Arc::clone(&metadata)),
        ProducerIds::new(metadata),
    );
    let mut seen = HashSet::new();
    for _ in 0..1500 {
        for node in [&one, &other] {
            let id = node.next().await.expect("an id");
            assert!(seen.insert(id), "id {id} twice");
        }
    }
}

#[tokio::test]
async fn ids_end_before_they_overflow() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    broker
        .producer_ids
        .skip_to(i64::MAX - 1500)
        .await
        .expect("skipped");
    let last = ids(&broker, 1000).await;
    assert_eq!(last.last(), Some(&(i64::MAX - 501)));
    let error = broker.new_producer_id().await.expect_err("used up");
    assert_eq!(error, InitProducerIdError::Exhausted);
}

#[tokio::test]
async fn skipping_goes_forward_only() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    assert_eq!(ids(&broker, 2).await, [0, 1]);
    broker.producer_ids.skip_to(NOW_MS).await.expect("skipped");
    assert_eq!(ids(&broker, 1).await, [NOW_MS]);
    broker.producer_ids.skip_to(5).await.expect("nothing to do");
    assert_eq!(ids(&broker, 1).await, [NOW_MS + 1000]);
}
