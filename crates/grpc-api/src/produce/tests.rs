//! The two steps of a Produce, polled by hand.

use futures_util::FutureExt;
use futures_util::future::poll_immediate;
use storage::StorageFailure;
use tonic::Code;

use super::*;
use crate::harness::{Harness, NOW_MS, create};
use storage::memory::MemoryStore;

fn request(payload: &str) -> ProduceRequest {
    ProduceRequest {
        topic: "orders".into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        ..ProduceRequest::default()
    }
}

#[tokio::test]
async fn the_answer_waits_until_the_record_is_durable() {
    let harness = Harness::on(MemoryStore::with_manual_commit());
    let broker = harness.broker().await;
    create(&broker, "orders", 1, &[]).await;
    let mut call = produce(&broker, request("a")).boxed();
    assert!(
        poll_immediate(&mut call).await.is_none(),
        "written, not durable"
    );
    let topic = broker.topic("orders").expect("made");
    assert_eq!(topic.log(0).expect("opens").ends().log_end.get(), 1);
    harness.store.commit_all();
    let answer = call.await.expect("durable");
    assert_eq!(answer.offset, Some(0));
    assert_eq!(answer.timestamp_ms, Some(NOW_MS));
}

#[tokio::test]
async fn a_failed_sync_is_not_an_answer() {
    let harness = Harness::on(MemoryStore::with_manual_commit());
    let broker = harness.broker().await;
    create(&broker, "orders", 1, &[]).await;
    let mut call = produce(&broker, request("a")).boxed();
    assert!(poll_immediate(&mut call).await.is_none());
    harness
        .store
        .fail_all(&StorageFailure::new("fsync: I/O error"));
    let status = call.await.expect_err("not durable");
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("fsync"), "{}", status.message());
}

#[tokio::test]
async fn the_budget_is_waited_for_and_given_back() {
    let mut harness = Harness::new();
    harness.config.request_bytes_in_flight = 4096;
    let broker = harness.broker().await;
    create(&broker, "orders", 1, &[]).await;
    let all = broker.budget().take(4096).await;
    let mut call = produce(&broker, request("a")).boxed();
    assert!(poll_immediate(&mut call).await.is_none(), "no budget");
    let topic = broker.topic("orders").expect("made");
    assert_eq!(topic.log(0).expect("opens").ends().log_end.get(), 0);
    drop(all);
    assert_eq!(call.await.expect("budget").offset, Some(0));
}

static LONG: [u8; 20_000] = [7; 20_000];

#[tokio::test]
async fn the_size_of_a_record_is_never_guessed_too_small() {
    let broker = Harness::new().broker().await;
    create(&broker, "orders", 1, &[]).await;
    let header = |key: &str, value: Option<&'static [u8]>| crate::proto::Header {
        key: key.into(),
        value: value.map(Bytes::from_static),
    };
    for (payload, key, headers) in [
        (0, None, vec![]),
        (0, Some(0), vec![]),
        (
            127,
            Some(300),
            vec![header("", None), header("k", Some(b"v"))],
        ),
        (
            70_000,
            Some(70_000),
            vec![header("key", Some(LONG.as_slice())); 50],
        ),
    ] {
        let request = ProduceRequest {
            key: key.map(|length| vec![1; length].into()),
            payload: vec![2; payload].into(),
            headers,
            timestamp_ms: Some(i64::MAX),
            ..request("")
        };
        let outgoing = Outgoing::new(&broker, request).expect("a good request");
        let guess_bytes = outgoing.size_bytes_max();
        let packing = Packing::new(outgoing).expect("it fits an i32");
        let size_bytes = packing.builder.len_bytes() - HEADER_BYTES;
        assert!(size_bytes <= guess_bytes, "{size_bytes} of {guess_bytes}");
    }
}
