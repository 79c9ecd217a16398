//! Records over the wire, from the log.

use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use storage::BytesPermit;
use tonic::Code;

use crate::produce::{read_all, request};
use crate::server::proto::{ConsumeRequest, Header, Record};
use crate::server::{Client, Server, check};
use crate::topics::create;

fn from(offset: i64) -> ConsumeRequest {
    ConsumeRequest {
        topic: "orders".into(),
        offset: Some(offset),
        ..ConsumeRequest::default()
    }
}

async fn produce(client: &mut Client, payloads: &[&str]) {
    let requests: Vec<_> = payloads
        .iter()
        .map(|payload| request("orders", payload))
        .collect();
    let answers = client.produce_stream(stream::iter(requests)).await;
    let answers = answers.expect("it begins").into_inner();
    let count = answers.map(|answer| answer.expect("durable")).count().await;
    assert_eq!(count, payloads.len());
}

async fn next(records: &mut tonic::Streaming<Record>) -> i64 {
    let record = records.message().await.expect("it goes on");
    let record = record.expect("it does not end");
    record.offset.expect("always set")
}

#[tokio::test]
async fn a_stream_follows_until_the_client_ends_it() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 1).await;
    produce(&mut client, &["a", "b"]).await;
    let stream = client.consume(from(0)).await.expect("it begins");
    let mut stream = stream.into_inner();
    assert_eq!((next(&mut stream).await, next(&mut stream).await), (0, 1));
    produce(&mut client, &["c"]).await;
    assert_eq!(next(&mut stream).await, 2);
    // At the end it waits for the next record.
    let waiting = client.consume(from(3)).await.expect("it begins");
    produce(&mut client, &["d"]).await;
    assert_eq!(next(&mut waiting.into_inner()).await, 3);
    assert_eq!(next(&mut stream).await, 3);
}

#[tokio::test]
async fn bounds_end_a_stream() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 1).await;
    produce(&mut client, &["a", "b", "c", "d"]).await;
    let until_end = ConsumeRequest {
        until_end: true,
        ..from(1)
    };
    let max_messages = ConsumeRequest {
        max_messages: Some(2),
        ..from(1)
    };
    let max_wait = ConsumeRequest {
        max_wait_ms: Some(1),
        ..from(3)
    };
    for (request, expected) in [(until_end, 3), (max_messages, 2), (max_wait, 1)] {
        let stream = client.consume(request).await.expect("it begins");
        let records = stream.into_inner().map(|record| record.expect("good"));
        assert_eq!(records.count().await, expected);
    }
}

/// The batches that Kafka's Java client wrote; see the folder for what they hold.
const OF_KAFKA: [(&str, &str); 5] = [
    (
        "none",
        include_str!("../../../records/tests/golden/java-4.4.0-none.hex"),
    ),
    (
        "gzip",
        include_str!("../../../records/tests/golden/java-4.4.0-gzip.hex"),
    ),
    (
        "snappy",
        include_str!("../../../records/tests/golden/java-4.4.0-snappy.hex"),
    ),
    (
        "lz4",
        include_str!("../../../records/tests/golden/java-4.4.0-lz4.hex"),
    ),
    (
        "zstd",
        include_str!("../../../records/tests/golden/java-4.4.0-zstd.hex"),
    ),
];

fn from_hex(text: &str) -> BytesMut {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |digit: u8| char::from(digit).to_digit(16).expect("a hex digit");
    let byte = |pair: &[u8]| u8::try_from(value(pair[0]) * 16 + value(pair[1])).expect("a byte");
    digits
        .chunks(2)
        .map(byte)
        .collect::<Vec<u8>>()
        .as_slice()
        .into()
}

/// Time, key, payload and headers of a record.
type Fields<'a> = (i64, Option<&'a [u8]>, Option<&'a [u8]>, Vec<Header>);

fn records_of_kafka() -> Vec<Record> {
    let at_ms = 1_700_000_000_000;
    let header = |key: &str, value: Option<&[u8]>| Header {
        key: key.into(),
        value: value.map(<[u8]>::to_vec),
    };
    let headers = vec![
        header("trace", Some(b"abc")),
        header("trace", Some(b"")),
        header("grüß", None),
    ];
    let many = b"0123456789abcdef".repeat(20);
    let fields: [Fields<'_>; 5] = [
        (at_ms, Some(b"key"), Some(b"value"), headers),
        (
            at_ms - 1,
            None,
            Some(b"no key, one millisecond earlier"),
            vec![],
        ),
        (
            at_ms + 3_000_000_000,
            Some(b"tombstone, 34 days later"),
            None,
            vec![],
        ),
        (at_ms, Some(b""), Some(b""), vec![]),
        (at_ms, Some(b"many"), Some(&many), vec![]),
    ];
    let record = |(offset, (timestamp_ms, key, payload, headers)): (i64, Fields<'_>)| Record {
        topic: "orders".into(),
        partition: Some(0),
        offset: Some(offset),
        timestamp_ms: Some(timestamp_ms),
        key: key.map(<[u8]>::to_vec),
        headers,
        payload: payload.map(<[u8]>::to_vec),
    };
    (0..).zip(fields).map(record).collect()
}

#[tokio::test]
async fn what_kafka_clients_compressed_is_unpacked() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 5).await;
    let topic = server.broker.topic("orders").expect("made");
    for (partition, (codec, hex)) in (0..).zip(OF_KAFKA) {
        let (origin, permit) = (broker::Origin::default(), BytesPermit::free());
        let placed = server
            .broker
            .append(&topic, partition, from_hex(hex), origin, permit);
        placed.expect(codec).placed().expect(codec);
        let mut expected = records_of_kafka();
        for record in &mut expected {
            record.partition = Some(partition);
        }
        assert_eq!(
            read_all(&mut client, "orders", partition).await,
            expected,
            "{codec}"
        );
        let inside = ConsumeRequest {
            partition,
            until_end: true,
            ..from(3)
        };
        let stream = client.consume(inside).await.expect("it begins");
        let records = stream.into_inner().map(|record| record.expect("good"));
        assert_eq!(records.collect::<Vec<_>>().await, expected[3..], "{codec}");
    }
}

#[tokio::test]
async fn an_offset_outside_the_log_is_told_with_the_range() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 1).await;
    produce(&mut client, &["a", "b", "c"]).await;
    let status = client.consume(from(4)).await.expect_err("beyond the end");
    let facts = [
        ("topic", "orders"),
        ("partition", "0"),
        ("first_offset", "0"),
        ("last_offset", "2"),
        ("end_offset", "3"),
    ];
    check(&status, Code::OutOfRange, "OFFSET_OUT_OF_RANGE", &facts);
    let message = "offset 4 is outside orders-0, which has offsets 0 to 2; the next is 3";
    assert_eq!(status.message(), message);
    let status = client.consume(from(-1)).await.expect_err("negative");
    check(
        &status,
        Code::InvalidArgument,
        "INVALID_OFFSET",
        &[("offset", "-1")],
    );
}

#[tokio::test]
async fn the_stop_of_the_broker_ends_all_streams() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 1).await;
    produce(&mut client, &["a"]).await;
    let stream = client.consume(from(0)).await.expect("it begins");
    let mut stream = stream.into_inner();
    assert_eq!(next(&mut stream).await, 0);
    let unending = client.produce_stream(stream::pending()).await;
    let mut unending = unending.expect("it begins").into_inner();
    server.stop.send_replace(true);
    let stopped = stream.message().await.expect_err("stopped");
    check(&stopped, Code::Unavailable, "BROKER_STOPPING", &[]);
    assert_eq!(stopped.message(), "the broker is stopping");
    let stopped = unending.message().await.expect_err("stopped");
    check(&stopped, Code::Unavailable, "BROKER_STOPPING", &[]);
}
