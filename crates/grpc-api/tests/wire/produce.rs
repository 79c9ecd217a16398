//! Records over the wire, to the log.

use futures_util::stream;
use storage::StorageFailure;
use tonic::Code;

use crate::harness::{NOW_MS, create as create_topic};
use crate::server::proto::{ConsumeRequest, Header, ProduceRequest, Record};
use crate::server::{Client, Server, check};
use crate::topics::create;

pub(crate) fn request(topic: &str, payload: &str) -> ProduceRequest {
    ProduceRequest {
        topic: topic.into(),
        payload: payload.into(),
        ..ProduceRequest::default()
    }
}

/// All records of a partition.
pub(crate) async fn read_all(client: &mut Client, topic: &str, partition: i32) -> Vec<Record> {
    let request = ConsumeRequest {
        topic: topic.into(),
        partition,
        until_end: true,
        ..ConsumeRequest::default()
    };
    let mut stream = client
        .consume(request)
        .await
        .expect("it begins")
        .into_inner();
    let mut records = Vec::new();
    while let Some(record) = stream.message().await.expect("it goes on") {
        records.push(record);
    }
    records
}

#[tokio::test]
async fn all_fields_of_an_answer_are_set() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 1).await;
    let answer = client
        .produce(request("orders", "a"))
        .await
        .expect("durable");
    let answer = answer.into_inner();
    assert_eq!(answer.topic, "orders");
    assert_eq!(answer.partition, Some(0));
    assert_eq!(answer.offset, Some(0), "an offset of 0 shows");
    assert_eq!(answer.timestamp_ms, Some(NOW_MS));
}

#[tokio::test]
async fn a_record_comes_back_as_it_was() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 1).await;
    let header = |key: &str, value: Option<&[u8]>| Header {
        key: key.into(),
        value: value.map(<[u8]>::to_vec),
    };
    let headers = vec![
        header("trace", Some(b"abc")),
        header("trace", Some(b"")),
        header("größe", None),
    ];
    let full = ProduceRequest {
        key: Some(b"key".to_vec()),
        headers: headers.clone(),
        timestamp_ms: Some(1_700_000_000_000),
        ..request("orders", "value")
    };
    let empty = ProduceRequest {
        key: Some(Vec::new()),
        timestamp_ms: Some(0),
        ..request("orders", "")
    };
    for request in [full, empty, request("orders", "plain")] {
        client.produce(request).await.expect("durable");
    }
    let record = |offset, timestamp_ms, key: Option<&[u8]>, headers, payload: &[u8]| Record {
        topic: "orders".into(),
        partition: Some(0),
        offset: Some(offset),
        timestamp_ms: Some(timestamp_ms),
        key: key.map(<[u8]>::to_vec),
        headers,
        payload: Some(payload.to_vec()),
    };
    let expected = [
        record(0, 1_700_000_000_000, Some(b"key"), headers, b"value"),
        record(1, 0, Some(b""), vec![], b""),
        record(2, NOW_MS, None, vec![], b"plain"),
    ];
    assert_eq!(read_all(&mut client, "orders", 0).await, expected);
}

#[tokio::test]
async fn the_broker_stamps_where_the_topic_says_so() {
    let server = Server::start().await;
    let configs = [("message.timestamp.type", "LogAppendTime")];
    create_topic(&server.broker, "stamped", 1, &configs).await;
    let mut client = server.client();
    let request = ProduceRequest {
        timestamp_ms: Some(5),
        ..request("stamped", "a")
    };
    let answer = client.produce(request.clone()).await.expect("durable");
    assert_eq!(answer.into_inner().timestamp_ms, Some(NOW_MS));
    let requests = stream::iter([request]);
    let answers = client.produce_stream(requests).await.expect("it begins");
    let answer = answers.into_inner().message().await.expect("durable");
    assert_eq!(answer.expect("an answer").timestamp_ms, Some(NOW_MS));
    let records = read_all(&mut client, "stamped", 0).await;
    assert!(
        records
            .iter()
            .all(|record| record.timestamp_ms == Some(NOW_MS))
    );
}

#[tokio::test]
async fn the_broker_chooses_the_partition_when_asked() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 16).await;
    for key in ["a", "b", "order-17"] {
        let keyed = ProduceRequest {
            partition: -1,
            key: Some(key.into()),
            ..request("orders", "x")
        };
        let answer = client.produce(keyed).await.expect("durable").into_inner();
        let expected = records::partition_for_key(key.as_bytes(), 16);
        assert_eq!(answer.partition, Some(expected.cast_signed()), "{key}");
    }
    let keyless = ProduceRequest {
        partition: -1,
        ..request("orders", "x")
    };
    let requests = stream::iter(vec![keyless; 10]);
    let answers = client.produce_stream(requests).await.expect("it begins");
    let mut answers = answers.into_inner();
    let mut partitions = Vec::new();
    while let Some(answer) = answers.message().await.expect("durable") {
        partitions.push(answer.partition.expect("always set"));
    }
    assert_eq!(partitions.len(), 10);
    assert!((0..16).contains(&partitions[0]));
    assert!(
        partitions.iter().all(|chosen| *chosen == partitions[0]),
        "it stays for a while"
    );
}

#[tokio::test]
async fn bad_records_are_refused() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 3).await;
    let to = |partition| ProduceRequest {
        partition,
        ..request("orders", "x")
    };
    let at = |timestamp_ms| ProduceRequest {
        timestamp_ms: Some(timestamp_ms),
        ..request("orders", "x")
    };
    let large = ProduceRequest {
        payload: vec![7; 1_048_588],
        ..request("orders", "")
    };
    let facts_of = |name, value| [("topic", "orders"), (name, value)];
    for (request, code, reason, facts) in [
        (
            to(3),
            Code::NotFound,
            "UNKNOWN_PARTITION",
            facts_of("partitions", "3"),
        ),
        (
            to(-2),
            Code::InvalidArgument,
            "INVALID_PARTITION",
            facts_of("partition", "-2"),
        ),
        (
            to(i32::MIN),
            Code::InvalidArgument,
            "INVALID_PARTITION",
            facts_of("topic", "orders"),
        ),
        (
            at(-1),
            Code::InvalidArgument,
            "INVALID_TIMESTAMP",
            facts_of("timestamp_ms", "-1"),
        ),
        (
            at(i64::MAX),
            Code::InvalidArgument,
            "INVALID_TIMESTAMP",
            facts_of("partition", "0"),
        ),
        (
            large,
            Code::ResourceExhausted,
            "MESSAGE_TOO_LARGE",
            facts_of("limit_bytes", "1048588"),
        ),
    ] {
        let status = client.produce(request).await.expect_err("refused");
        check(&status, code, reason, &facts);
    }
    assert!(
        read_all(&mut client, "orders", 0).await.is_empty(),
        "nothing was written"
    );
}

#[tokio::test]
async fn produce_creates_no_topic() {
    let server = Server::start().await;
    let mut client = server.client();
    let status = client
        .produce(request("nowhere", "x"))
        .await
        .expect_err("unknown");
    check(
        &status,
        Code::NotFound,
        "UNKNOWN_TOPIC",
        &[("topic", "nowhere")],
    );
    assert!(
        server.broker.topic("nowhere").is_none(),
        "gRPC creates no topic"
    );
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_passes() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 1).await;
    client
        .produce(request("orders", "a"))
        .await
        .expect("durable");
    let full = StorageFailure::new("0 bytes free");
    server.harness.store.set_no_space(Some(full));
    let status = client
        .produce(request("orders", "b"))
        .await
        .expect_err("full");
    check(
        &status,
        Code::Unavailable,
        "DISK_FULL",
        &[("topic", "orders")],
    );
    assert_eq!(
        read_all(&mut client, "orders", 0).await.len(),
        1,
        "reads go on"
    );
    server.harness.store.set_no_space(None);
    client
        .produce(request("orders", "b"))
        .await
        .expect("there is room again");
}

#[tokio::test]
async fn a_stream_answers_in_order_and_ends_with_its_error() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 3).await;
    let to = |index: i32| ProduceRequest {
        partition: index % 3,
        ..request("orders", &index.to_string())
    };
    let mut requests: Vec<_> = (0..3000).map(to).collect();
    requests.push(ProduceRequest {
        partition: -2,
        ..request("orders", "bad")
    });
    requests.push(to(1));
    let answers = client.produce_stream(stream::iter(requests)).await;
    let mut answers = answers.expect("it begins").into_inner();
    for index in 0..3000 {
        let answer = answers
            .message()
            .await
            .expect("durable")
            .expect("an answer");
        assert_eq!(answer.partition, Some(index % 3));
        assert_eq!(answer.offset, Some(i64::from(index / 3)));
    }
    let status = answers.message().await.expect_err("a bad partition");
    let facts = [("topic", "orders"), ("partition", "-2")];
    check(&status, Code::InvalidArgument, "INVALID_PARTITION", &facts);
    let log = server.broker.topic("orders").expect("made").log(1);
    let log_end = log.expect("opens").ends().log_end.get();
    assert_eq!(log_end, 1000, "nothing behind the error is written");
}
