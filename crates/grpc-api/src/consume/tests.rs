//! Streams of records, polled by hand: what the transport asks for is what the test asks for.

use futures_util::StreamExt;
use futures_util::future::poll_immediate;
use records::{BatchBuilder, CheckedBatch, Codec};
use storage::BytesPermit;
use tonic::Code;

use super::*;
use crate::harness::{Harness, NOW_MS, create, position};
use storage::memory::MemoryStore;

struct Case {
    harness: Harness,
    broker: Arc<Broker>,
    topic: Arc<Topic>,
    stop: watch::Sender<bool>,
}

impl Case {
    async fn new() -> Self {
        Self::on(Harness::new()).await
    }

    async fn on(harness: Harness) -> Self {
        let broker = harness.broker().await;
        let topic = match broker.topic("orders") {
            Some(topic) => topic,
            None => create(&broker, "orders", 1, &[]).await,
        };
        let stop = watch::channel(false).0;
        Self {
            harness,
            broker,
            topic,
            stop,
        }
    }

    /// Appends one batch; with a store that is durable at once, it is visible then.
    fn append(&self, codec: Codec, values: &[&[u8]]) {
        let batch = batch(codec, values);
        let placed = self
            .broker
            .append_checked(&self.topic, 0, batch, BytesPermit::free());
        placed.expect("accepted").placed().expect("placed");
    }

    async fn stream(&self, request: ConsumeRequest) -> ConsumeStream {
        let stream = self.try_stream(request).await;
        stream.expect("the request is good")
    }

    async fn try_stream(&self, request: ConsumeRequest) -> Result<ConsumeStream, Status> {
        consume(&self.broker, request, self.stop.subscribe()).await
    }

    async fn position(&self) -> Option<i64> {
        position(&self.broker, &self.topic, "billing").await
    }
}

fn batch(codec: Codec, values: &[&[u8]]) -> CheckedBatch {
    let mut builder = BatchBuilder::new(codec);
    for value in values {
        let added = builder.append(NOW_MS, None, Some(value), &[]);
        added.expect("a small record");
    }
    builder.build().expect("records were added")
}

fn from_start() -> ConsumeRequest {
    ConsumeRequest {
        topic: "orders".into(),
        offset: Some(0),
        ..ConsumeRequest::default()
    }
}

fn as_billing() -> ConsumeRequest {
    ConsumeRequest {
        consumer: "billing".into(),
        offset: None,
        ..from_start()
    }
}

/// A stream that should go on and does not must fail its test, not hang it.
async fn soon<F: Future>(waiting: F) -> F::Output {
    let limit = Duration::from_secs(20);
    let in_time = tokio::time::timeout(limit, waiting).await;
    in_time.expect("it comes soon")
}

async fn next(stream: &mut ConsumeStream) -> i64 {
    let record = soon(stream.next()).await;
    let record = record.expect("a record").expect("no error");
    record.offset.expect("always set")
}

async fn rest(mut stream: ConsumeStream) -> (Vec<i64>, Option<Status>) {
    let mut offsets = Vec::new();
    while let Some(record) = soon(stream.next()).await {
        match record {
            Ok(record) => offsets.push(record.offset.expect("always set")),
            Err(status) => {
                assert!(stream.next().await.is_none(), "an error ends the stream");
                return (offsets, Some(status));
            }
        }
    }
    assert!(stream.next().await.is_none(), "the end stays the end");
    (offsets, None)
}

/// Waits until the stored position is this: storing runs in the background.
async fn until_position(case: &Case, expected: i64) {
    let stored = async {
        while case.position().await != Some(expected) {
            tokio::task::yield_now().await;
        }
    };
    soon(stored).await;
}

#[tokio::test]
async fn a_stream_follows_the_log() {
    let case = Case::new().await;
    let mut stream = case.stream(from_start()).await;
    assert!(
        poll_immediate(stream.next()).await.is_none(),
        "waits at the end"
    );
    case.append(Codec::None, &[b"a"]);
    assert_eq!(next(&mut stream).await, 0);
    assert!(poll_immediate(stream.next()).await.is_none(), "waits again");
    case.append(Codec::Zstd, &[b"b", b"c"]);
    assert_eq!(next(&mut stream).await, 1);
    assert_eq!(next(&mut stream).await, 2);
}

#[tokio::test]
async fn a_stream_begins_inside_a_batch() {
    let case = Case::new().await;
    case.append(Codec::Gzip, &[b"a", b"b", b"c"]);
    let request = ConsumeRequest {
        offset: Some(1),
        until_end: true,
        ..from_start()
    };
    assert_eq!(rest(case.stream(request).await).await.0, [1, 2]);
}

#[tokio::test]
async fn until_end_means_the_end_at_the_call() {
    let case = Case::new().await;
    let request = ConsumeRequest {
        until_end: true,
        ..from_start()
    };
    let (offsets, end) = rest(case.stream(request.clone()).await).await;
    assert!(
        offsets.is_empty() && end.is_none(),
        "an empty log ends at once"
    );
    case.append(Codec::None, &[b"a", b"b"]);
    let stream = case.stream(request).await;
    case.append(Codec::None, &[b"too late"]);
    let (offsets, end) = rest(stream).await;
    assert_eq!(offsets, [0, 1]);
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn until_end_waits_for_what_is_not_visible_yet() {
    let case = Case::on(Harness::on(MemoryStore::with_manual_commit())).await;
    case.append(Codec::None, &[b"a"]);
    let request = ConsumeRequest {
        until_end: true,
        ..from_start()
    };
    let mut call = Box::pin(case.try_stream(request));
    assert!(poll_immediate(&mut call).await.is_none());
    case.harness.store.commit_all();
    assert_eq!(rest(call.await.expect("good")).await.0, [0]);
}

#[tokio::test]
async fn max_messages_bounds_a_stream() {
    let case = Case::new().await;
    case.append(Codec::None, &[b"a", b"b", b"c"]);
    for (max_messages, expected) in [(1, 1), (2, 2), (3, 3)] {
        let request = ConsumeRequest {
            max_messages: Some(max_messages),
            ..from_start()
        };
        let (offsets, end) = rest(case.stream(request).await).await;
        assert_eq!(offsets.len(), expected);
        assert!(end.is_none(), "{end:?}");
    }
    let request = ConsumeRequest {
        max_messages: Some(0),
        until_end: true,
        ..from_start()
    };
    assert_eq!(
        rest(case.stream(request).await).await.0.len(),
        3,
        "0 is no limit"
    );
}

#[tokio::test(start_paused = true)]
async fn max_wait_ends_a_stream_that_gets_nothing() {
    let case = Case::new().await;
    case.append(Codec::None, &[b"a"]);
    let request = ConsumeRequest {
        max_wait_ms: Some(500),
        ..from_start()
    };
    let mut stream = case.stream(request).await;
    assert_eq!(next(&mut stream).await, 0);
    let begun = Instant::now();
    assert!(poll_immediate(stream.next()).await.is_none(), "it waits");
    tokio::time::advance(Duration::from_millis(400)).await;
    case.append(Codec::None, &[b"b"]);
    assert_eq!(next(&mut stream).await, 1);
    // A record begins the wait anew.
    assert!(stream.next().await.is_none());
    assert_eq!(begun.elapsed(), Duration::from_millis(900));
    let request = ConsumeRequest {
        max_wait_ms: Some(0),
        ..from_start()
    };
    let (offsets, end) = rest(case.stream(request).await).await;
    assert_eq!(offsets, [0, 1]);
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn a_position_moves_past_a_record_when_the_next_is_asked_for() {
    let values: Vec<&[u8]> = vec![b"x"; 20];
    for asked in 1..=5 {
        let case = Case::new().await;
        case.append(Codec::Lz4, &values);
        let mut stream = case.stream(as_billing()).await;
        for offset in 0..asked {
            assert_eq!(next(&mut stream).await, offset);
        }
        // The last one was given, nobody asked past it: it comes again.
        drop(stream);
        if asked > 1 {
            until_position(&case, asked - 1).await;
        } else {
            tokio::task::yield_now().await;
            assert_eq!(case.position().await, None);
        }
        let mut stream = case.stream(as_billing()).await;
        assert_eq!(next(&mut stream).await, asked - 1);
    }
}

#[tokio::test]
async fn the_end_of_a_stream_comes_after_its_position_was_stored() {
    let case = Case::new().await;
    case.append(Codec::None, &[b"a", b"b", b"c"]);
    let bounded = ConsumeRequest {
        max_messages: Some(2),
        ..as_billing()
    };
    assert_eq!(rest(case.stream(bounded.clone()).await).await.0, [0, 1]);
    assert_eq!(case.position().await, Some(2));
    let to_end = ConsumeRequest {
        until_end: true,
        ..as_billing()
    };
    assert_eq!(rest(case.stream(to_end.clone()).await).await.0, [2]);
    assert_eq!(case.position().await, Some(3));
    assert!(rest(case.stream(to_end).await).await.0.is_empty());
    // It survives a restart.
    let case = Case::on(case.harness.restarted()).await;
    case.append(Codec::None, &[b"d"]);
    let mut stream = case.stream(as_billing()).await;
    assert_eq!(next(&mut stream).await, 3);
}

#[tokio::test]
async fn an_offset_wins_over_the_position_and_moves_it() {
    let case = Case::new().await;
    case.append(Codec::None, &[b"a", b"b", b"c"]);
    let stored = case.broker.positions();
    let committed = stored.commit("billing", &case.topic, 0, Offset::new(3), "");
    committed.await.expect("stored");
    let request = ConsumeRequest {
        offset: Some(0),
        max_messages: Some(1),
        ..as_billing()
    };
    assert_eq!(rest(case.stream(request).await).await.0, [0]);
    assert_eq!(case.position().await, Some(1));
}

#[tokio::test]
async fn without_auto_advance_nothing_is_stored() {
    let case = Case::new().await;
    case.append(Codec::None, &[b"a", b"b"]);
    let request = ConsumeRequest {
        auto_advance: Some(false),
        until_end: true,
        ..as_billing()
    };
    assert_eq!(rest(case.stream(request).await).await.0, [0, 1]);
    assert_eq!(case.position().await, None);
}

#[tokio::test]
async fn a_position_outside_the_log_names_the_way_out() {
    let case = Case::new().await;
    case.append(Codec::None, &[b"a", b"b"]);
    let stored = case.broker.positions();
    let committed = stored.commit("billing", &case.topic, 0, Offset::new(9), "");
    committed.await.expect("stored");
    let status = case.try_stream(as_billing()).await.err().expect("outside");
    assert_eq!(status.code(), Code::OutOfRange);
    for word in ["9", "orders-0", "0 to 1", "Seek", "billing"] {
        assert!(
            status.message().contains(word),
            "{word}: {}",
            status.message()
        );
    }
}

#[tokio::test]
async fn bad_requests_are_refused_before_the_stream() {
    let case = Case::new().await;
    case.append(Codec::None, &[b"a"]);
    for (request, code) in [
        (
            ConsumeRequest {
                topic: "nowhere".into(),
                ..from_start()
            },
            Code::NotFound,
        ),
        (
            ConsumeRequest {
                partition: 1,
                ..from_start()
            },
            Code::NotFound,
        ),
        (
            ConsumeRequest {
                partition: -1,
                ..from_start()
            },
            Code::InvalidArgument,
        ),
        (
            ConsumeRequest {
                offset: Some(-1),
                ..from_start()
            },
            Code::InvalidArgument,
        ),
        (
            ConsumeRequest {
                offset: Some(2),
                ..from_start()
            },
            Code::OutOfRange,
        ),
        (
            ConsumeRequest {
                max_messages: Some(-1),
                ..from_start()
            },
            Code::InvalidArgument,
        ),
        (
            ConsumeRequest {
                max_wait_ms: Some(-1),
                ..from_start()
            },
            Code::InvalidArgument,
        ),
        (
            ConsumeRequest {
                consumer: "n".repeat(100_000),
                ..from_start()
            },
            Code::InvalidArgument,
        ),
    ] {
        let status = case.try_stream(request).await.err().expect("refused");
        assert_eq!(status.code(), code, "{status:?}");
    }
}

#[tokio::test]
async fn the_stop_ends_a_stream_and_stores_its_position() {
    let case = Case::new().await;
    case.append(Codec::None, &[b"a"]);
    let mut stream = case.stream(as_billing()).await;
    assert_eq!(next(&mut stream).await, 0);
    assert!(poll_immediate(stream.next()).await.is_none());
    case.stop.send_replace(true);
    let (_, end) = rest(stream).await;
    assert_eq!(end.expect("stopped").code(), Code::Unavailable);
    assert_eq!(case.position().await, Some(1));
}

#[tokio::test]
async fn the_deletion_of_the_topic_ends_a_stream() {
    let case = Case::new().await;
    let mut stream = case.stream(from_start()).await;
    assert!(poll_immediate(stream.next()).await.is_none());
    case.broker
        .delete_topic(&case.topic)
        .await
        .expect("deleted");
    let (_, end) = rest(stream).await;
    assert_eq!(end.expect("deleted").code(), Code::NotFound);
}

#[tokio::test]
async fn a_slow_reader_holds_one_read_and_no_more() {
    let case = Case::new().await;
    let value = vec![7; 50 * 1024];
    for _ in 0..100 {
        case.append(Codec::None, &[&value]);
    }
    let mut stream = case.stream(from_start()).await;
    for offset in 0..100 {
        assert_eq!(next(&mut stream).await, offset);
        assert!(stream.ahead.held_bytes() <= 256 * 1024);
    }
}

#[tokio::test]
async fn a_batch_that_cannot_be_opened_is_named() {
    let case = Case::new().await;
    case.append(Codec::None, &[b"a"]);
    // 200 MiB of zeros in a batch of some kilobytes.
    let zeros = vec![0; 40 << 20];
    let bomb: Vec<&[u8]> = vec![&zeros; 5];
    case.append(Codec::Zstd, &bomb);
    case.append(Codec::None, &[b"behind"]);
    let (offsets, end) = rest(case.stream(from_start()).await).await;
    assert_eq!(offsets, [0]);
    let status = end.expect("too large to open");
    assert_eq!(status.code(), Code::DataLoss);
    assert!(
        status.message().contains("offset 1"),
        "{}",
        status.message()
    );
    assert!(
        status.message().contains("go on at offset 6"),
        "{}",
        status.message()
    );
    let behind = ConsumeRequest {
        offset: Some(6),
        until_end: true,
        ..from_start()
    };
    assert_eq!(rest(case.stream(behind).await).await.0, [6]);
}
