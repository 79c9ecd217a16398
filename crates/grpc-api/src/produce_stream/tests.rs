//! Packing, order, bounds and errors of a stream, polled by hand on a store that makes records
//! durable when told to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_immediate;
use futures_util::stream::{self, BoxStream};
use records::{Batches, Offset};
use storage::{Chunk, Isolation, ReadLimit, StorageFailure};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Code;

use super::*;
use crate::harness::{Harness, NOW_MS, create};
use storage::memory::MemoryStore;

type Requests = BoxStream<'static, Result<ProduceRequest, Status>>;

fn request(payload: &[u8]) -> ProduceRequest {
    ProduceRequest {
        topic: "orders".into(),
        payload: Bytes::copy_from_slice(payload),
        ..ProduceRequest::default()
    }
}

struct Case {
    harness: Harness,
    broker: Arc<Broker>,
    stop: watch::Sender<bool>,
}

impl Case {
    async fn new(harness: Harness) -> Self {
        let broker = harness.broker().await;
        create(&broker, "orders", 2, &[]).await;
        let stop = watch::channel(false).0;
        Self {
            harness,
            broker,
            stop,
        }
    }

    fn stream(&self, requests: Requests) -> ProduceStream<Requests> {
        ProduceStream::new(Arc::clone(&self.broker), requests, self.stop.subscribe())
    }

    /// A stream with a sender for its requests.
    fn fed(&self) -> (mpsc::Sender<ProduceRequest>, ProduceStream<Requests>) {
        let (sender, receiver) = mpsc::channel(10_000);
        let requests = stream::unfold(receiver, |mut receiver| async move {
            let request: Option<ProduceRequest> = receiver.recv().await;
            request.map(|request| (Ok(request), receiver))
        });
        (sender, self.stream(requests.boxed()))
    }

    /// How many records each batch of a partition has, durable or not.
    async fn batches(&self, partition: i32) -> Vec<i32> {
        self.harness.store.commit_all();
        let topic = self.broker.topic("orders").expect("made");
        let limit = ReadLimit {
            bytes_max: usize::MAX,
            at_least_one_batch: true,
        };
        let log = topic.log(partition).expect("opens");
        let read = log
            .read(Offset::ZERO, limit, Isolation::ReadUncommitted)
            .await;
        let chunks = read.expect("readable").chunks;
        let counts = chunks.iter().flat_map(|chunk| {
            let Chunk::Memory(bytes) = chunk else {
                panic!("the memory store reads from memory")
            };
            let batches = Batches::new(bytes);
            let count = |batch| match batch {
                Ok((_, records::BatchHeader { record_count, .. }, _)) => record_count,
                Err(error) => panic!("{error}"),
            };
            batches.map(count).collect::<Vec<_>>()
        });
        counts.collect()
    }
}

async fn all<S>(stream: S) -> (Vec<i64>, Option<Status>)
where
    S: Stream<Item = Result<ProduceResponse, Status>>,
{
    let mut stream = std::pin::pin!(stream);
    let mut offsets = Vec::new();
    // A stream that should end and does not must fail its test, not hang it.
    let limit = Duration::from_secs(20);
    while let Some(answer) = timeout(limit, stream.next()).await.expect("in time") {
        match answer {
            Ok(answer) => offsets.push(answer.offset.expect("always set")),
            Err(status) => {
                assert!(stream.next().await.is_none(), "an error ends the stream");
                return (offsets, Some(status));
            }
        }
    }
    assert!(stream.next().await.is_none(), "the end stays the end");
    (offsets, None)
}

fn good(payloads: &[&str]) -> Vec<Result<ProduceRequest, Status>> {
    let request = |payload: &&str| Ok(request(payload.as_bytes()));
    payloads.iter().map(request).collect()
}

#[tokio::test]
async fn what_is_there_goes_into_one_batch() {
    let case = Case::new(Harness::new()).await;
    let payloads = vec!["x"; 1000];
    let requests = stream::iter(good(&payloads)).boxed();
    let (offsets, end) = all(case.stream(requests)).await;
    assert_eq!(offsets, (0..1000).collect::<Vec<_>>());
    assert!(end.is_none(), "{end:?}");
    assert_eq!(case.batches(0).await, [1000]);
}

#[tokio::test]
async fn another_partition_begins_another_batch() {
    let case = Case::new(Harness::new()).await;
    let to = |partition| {
        Ok(ProduceRequest {
            partition,
            ..request(b"x")
        })
    };
    let requests = [0, 0, 1, 1, 1, 0].map(to);
    let (offsets, end) = all(case.stream(stream::iter(requests).boxed())).await;
    assert_eq!(offsets, [0, 1, 0, 1, 2, 2]);
    assert!(end.is_none(), "{end:?}");
    assert_eq!(case.batches(0).await, [2, 1]);
    assert_eq!(case.batches(1).await, [3]);
}

#[tokio::test]
async fn an_empty_stream_ends_well() {
    let case = Case::new(Harness::new()).await;
    let (offsets, end) = all(case.stream(stream::empty().boxed())).await;
    assert!(offsets.is_empty() && end.is_none());
}

#[tokio::test]
async fn records_gather_while_enough_batches_wait_for_durability() {
    let case = Case::new(Harness::on(MemoryStore::with_manual_commit())).await;
    let (requests, mut answers) = case.fed();
    for _ in 0..BATCHES_IN_FLIGHT_MAX + 3 {
        requests.send(request(b"x")).await.expect("read");
        assert!(
            poll_immediate(answers.next()).await.is_none(),
            "not durable"
        );
    }
    drop(requests);
    assert!(
        poll_immediate(answers.next()).await.is_none(),
        "not durable"
    );
    let topic = case.broker.topic("orders").expect("made");
    let log_end = topic.log(0).expect("opens").ends().log_end;
    assert_eq!(log_end.get(), 4, "the others gather");
    case.harness.store.commit_all();
    let mut offsets = Vec::new();
    while let Some(answer) = poll_immediate(answers.next()).await {
        match answer {
            Some(answer) => offsets.push(answer.expect("durable").offset),
            None => break,
        }
        case.harness.store.commit_all();
    }
    assert_eq!(offsets, (0..7).map(Some).collect::<Vec<_>>());
    assert_eq!(case.batches(0).await, [1, 1, 1, 1, 3]);
}

#[tokio::test]
async fn no_more_is_read_than_may_be_held() {
    let case = Case::new(Harness::on(MemoryStore::with_manual_commit())).await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let payload = vec![7; 100 * 1024];
    let requests = stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(request(&payload))
    });
    let mut answers = case.stream(requests.boxed());
    assert!(poll_immediate(answers.next()).await.is_none());
    // Two fit into a batch: four batches in flight, one that gathers, one record left over.
    assert_eq!(
        taken.load(Ordering::Relaxed),
        2 * BATCHES_IN_FLIGHT_MAX + 2 + 1
    );
    assert!(poll_immediate(answers.next()).await.is_none());
    assert_eq!(
        taken.load(Ordering::Relaxed),
        2 * BATCHES_IN_FLIGHT_MAX + 2 + 1
    );
}

#[tokio::test]
async fn no_batch_is_larger_than_the_topic_allows() {
    let case = Case::new(Harness::new()).await;
    create(&case.broker, "small", 1, &[("max.message.bytes", "1000")]).await;
    let to_small = |size: usize| {
        Ok(ProduceRequest {
            topic: "small".into(),
            ..request(&vec![7; size])
        })
    };
    let requests = [300, 300, 300, 800, 300].map(to_small);
    let (offsets, end) = all(case.stream(stream::iter(requests).boxed())).await;
    assert_eq!(offsets, [0, 1, 2, 3, 4]);
    assert!(end.is_none(), "{end:?}");
    let requests = [300, 1001, 300].map(to_small);
    let (offsets, end) = all(case.stream(stream::iter(requests).boxed())).await;
    assert_eq!(offsets, [5]);
    let status = end.expect("too large");
    assert_eq!(status.code(), Code::ResourceExhausted);
    let topic = case.broker.topic("small").expect("made");
    assert_eq!(topic.log(0).expect("opens").ends().log_end.get(), 6);
}

#[tokio::test]
async fn an_error_comes_behind_the_answers_to_all_before_it() {
    for (bad, code) in [
        (
            ProduceRequest {
                topic: "nowhere".into(),
                ..request(b"x")
            },
            Code::NotFound,
        ),
        (
            ProduceRequest {
                partition: 2,
                ..request(b"x")
            },
            Code::NotFound,
        ),
        (
            ProduceRequest {
                partition: -2,
                ..request(b"x")
            },
            Code::InvalidArgument,
        ),
        (
            ProduceRequest {
                timestamp_ms: Some(-5),
                ..request(b"x")
            },
            Code::InvalidArgument,
        ),
        (
            ProduceRequest {
                timestamp_ms: Some(i64::MAX),
                ..request(b"x")
            },
            Code::InvalidArgument,
        ),
        (request(&vec![7; 1_048_588]), Code::ResourceExhausted),
    ] {
        let case = Case::new(Harness::new()).await;
        let mut requests = good(&["a", "b"]);
        requests.push(Ok(bad));
        requests.extend(good(&["never"]));
        let (offsets, end) = all(case.stream(stream::iter(requests).boxed())).await;
        assert_eq!(offsets, [0, 1]);
        assert_eq!(end.expect("an error").code(), code);
        assert_eq!(
            case.batches(0).await,
            [2],
            "nothing behind the error is written"
        );
    }
}

#[tokio::test]
async fn a_refused_time_takes_no_other_record_with_it() {
    let case = Case::new(Harness::new()).await;
    let at = |timestamp_ms| {
        Ok(ProduceRequest {
            timestamp_ms: Some(timestamp_ms),
            ..request(b"x")
        })
    };
    let hour_ms = 3_600_000;
    let requests = [
        NOW_MS,
        0,
        NOW_MS + hour_ms,
        NOW_MS,
        NOW_MS + hour_ms + 1,
        NOW_MS,
    ]
    .map(at);
    let (offsets, end) = all(case.stream(stream::iter(requests).boxed())).await;
    assert_eq!(offsets, [0, 1, 2, 3]);
    assert_eq!(end.expect("too late").code(), Code::InvalidArgument);
    assert_eq!(case.batches(0).await, [2, 1, 1]);
}

#[tokio::test]
async fn lost_durability_ends_the_stream_after_what_was_durable() {
    let case = Case::new(Harness::on(MemoryStore::with_manual_commit())).await;
    let (requests, mut answers) = case.fed();
    requests.send(request(b"a")).await.expect("read");
    assert!(poll_immediate(answers.next()).await.is_none());
    case.harness.store.commit_all();
    requests.send(request(b"b")).await.expect("read");
    let first = answers.next().await.expect("an answer").expect("durable");
    assert_eq!(first.offset, Some(0));
    assert!(poll_immediate(answers.next()).await.is_none());
    requests.send(request(b"c")).await.expect("read");
    assert!(poll_immediate(answers.next()).await.is_none());
    case.harness
        .store
        .fail_all(&StorageFailure::new("fsync: I/O error"));
    let (offsets, end) = all(answers).await;
    assert!(offsets.is_empty());
    assert_eq!(end.expect("lost").code(), Code::Unavailable);
}

#[tokio::test]
async fn nothing_is_answered_behind_a_record_that_was_lost() {
    let case = Case::new(Harness::on(MemoryStore::with_manual_commit())).await;
    let lost = create(&case.broker, "lost", 1, &[]).await;
    let (requests, mut answers) = case.fed();
    let to_lost = ProduceRequest {
        topic: "lost".into(),
        ..request(b"a")
    };
    requests.send(to_lost).await.expect("read");
    assert!(poll_immediate(answers.next()).await.is_none());
    requests.send(request(b"b")).await.expect("read");
    assert!(poll_immediate(answers.next()).await.is_none());
    case.broker.delete_topic(&lost).await.expect("deleted");
    case.harness.store.commit_all();
    drop(requests);
    let (offsets, end) = all(answers).await;
    assert!(
        offsets.is_empty(),
        "the second was durable, the first was not"
    );
    assert_eq!(end.expect("lost").code(), Code::NotFound);
}

#[tokio::test]
async fn the_stop_ends_the_stream_after_what_was_taken_in() {
    let case = Case::new(Harness::on(MemoryStore::with_manual_commit())).await;
    let (requests, mut answers) = case.fed();
    requests.send(request(b"a")).await.expect("read");
    assert!(poll_immediate(answers.next()).await.is_none());
    case.stop.send_replace(true);
    requests.send(request(b"never")).await.expect("a queue");
    assert!(poll_immediate(answers.next()).await.is_none());
    case.harness.store.commit_all();
    let (offsets, end) = all(answers).await;
    assert_eq!(offsets, [0]);
    let status = end.expect("stopped");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "the broker is stopping");
}

#[tokio::test]
async fn the_byte_budget_is_waited_for() {
    let mut harness = Harness::new();
    harness.config.request_bytes_in_flight = 4096;
    let case = Case::new(harness).await;
    let all_of_it = case.broker.budget().take(4096).await;
    let mut answers = case.stream(stream::iter(good(&["a"])).boxed());
    assert!(poll_immediate(answers.next()).await.is_none());
    assert_eq!(case.batches(0).await, Vec::<i32>::new());
    drop(all_of_it);
    let (offsets, end) = all(answers).await;
    assert_eq!(offsets, [0]);
    assert!(end.is_none(), "{end:?}");
}
