//! A connection from the outside: order, framing, patience, limits, the stop.

#![allow(clippy::disallowed_methods, reason = "tests")]

use broker::BrokerConfig;
use bytes::Bytes;
use kafka_wire::messages::fetch::{FetchPartition, FetchTopic};
use kafka_wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_wire::messages::produce::{PartitionProduceData, TopicProduceData};
use kafka_wire::messages::{
    ApiVersionsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest,
};
use storage::memory::MemoryStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::harness::{Harness, batch, decode, frame, framed, values_of};

fn produce(acks: i16, topic: &str, value: &str) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(batch(&[value]).freeze()),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn fetch(topic: &str, from: i64, max_wait_ms: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: topic.into(),
            partitions: vec![FetchPartition {
                fetch_offset: from,
                partition_max_bytes: i32::MAX,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn latest(topic: &str) -> ListOffsetsRequest {
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: topic.into(),
            partitions: vec![ListOffsetsPartition {
                timestamp: -1,
                ..Default::default()
            }],
        }],
        ..Default::default()
    }
}

fn versions() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
}

/// Lets the other tasks run until they have nothing to do but wait.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

fn end_of(harness: &Harness, topic: &str) -> i64 {
    let topic = harness.broker().topic(topic).expect("exists");
    topic.log(0).expect("opens").ends().log_end.get()
}

#[tokio::test]
async fn produces_overlap_and_answers_leave_in_order() {
    let harness = Harness::with_manual_commit().await;
    harness.topic("t", 1).await;
    let mut client = harness.connect().await;
    for id in 0..5 {
        client.send(9, id, &produce(-1, "t", "v")).await;
    }
    // acks=1 is answered when it has its place, but not before those in front of it.
    client.send(9, 5, &produce(1, "t", "v")).await;
    client.send(0, 6, &versions()).await;
    while end_of(&harness, "t") < 6 {
        tokio::task::yield_now().await;
    }
    let mut byte = [0];
    settle().await;
    let early = client.stream.try_read(&mut byte);
    assert!(
        early.is_err(),
        "all six are placed, none is answered: {early:?}"
    );
    harness.memory.commit_all();
    for expected in 0..6 {
        let (id, response) = client.expect::<ProduceRequest>(9).await;
        let row = &response.responses[0].partition_responses[0];
        assert_eq!(
            (id, row.error_code, row.base_offset),
            (expected, 0, i64::from(expected))
        );
    }
    assert_eq!(client.expect::<ApiVersionsRequest>(0).await.0, 6);
}

/// Packing takes place on another thread, and what comes behind it waits for its turn.
#[tokio::test]
async fn a_batch_that_is_packed_anew_keeps_its_place() {
    let harness = Harness::new().await;
    harness.topic("plain", 1).await;
    let zstd = [("compression.type", "zstd")];
    harness.topic_with("t", 1, &zstd).await;
    let mut client = harness.connect().await;
    for id in 0..40 {
        let topic = if id % 3 == 0 { "plain" } else { "t" };
        client
            .send(9, id, &produce(-1, topic, &format!("v{id}")))
            .await;
    }
    let mut ends = std::collections::BTreeMap::from([("plain", 0), ("t", 0)]);
    for id in 0..40 {
        let (answered, response) = client.expect::<ProduceRequest>(9).await;
        let row = &response.responses[0].partition_responses[0];
        let end = ends
            .get_mut(&*response.responses[0].name)
            .expect("asked for");
        assert_eq!((answered, row.error_code, row.base_offset), (id, 0, *end));
        *end += 1;
    }
}

#[tokio::test]
async fn what_comes_behind_a_produce_sees_it() {
    let harness = Harness::with_manual_commit().await;
    harness.topic("t", 1).await;
    let mut client = harness.connect().await;
    client.send(9, 1, &produce(-1, "t", "v")).await;
    client.send(4, 2, &fetch("t", 0, 0)).await;
    while end_of(&harness, "t") < 1 {
        tokio::task::yield_now().await;
    }
    settle().await;
    harness.memory.commit_all();
    assert_eq!(client.expect::<ProduceRequest>(9).await.0, 1);
    let (id, response) = client.expect::<FetchRequest>(4).await;
    let row = &response.responses[0].partitions[0];
    assert_eq!((id, row.high_watermark), (2, 1));
    assert_eq!(values_of(row.records.as_ref().expect("records")), ["v"]);
}

#[tokio::test]
async fn acks_0_gets_no_answer() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    let mut client = harness.connect().await;
    for version in 3..=12 {
        client.send(version, 1, &produce(0, "t", "v")).await;
    }
    client.send(1, 2, &latest("t")).await;
    let (id, response) = client.expect::<ListOffsetsRequest>(1).await;
    assert_eq!((id, response.topics[0].partitions[0].offset), (2, 10));
}

#[tokio::test]
async fn acks_0_that_fails_closes_behind_the_answers_before_it() {
    let harness = Harness::with_manual_commit().await;
    harness.topic("t", 1).await;
    let mut client = harness.connect().await;
    client.send(9, 1, &produce(-1, "t", "v")).await;
    client.send(9, 2, &produce(0, "absent", "v")).await;
    client.send(9, 3, &produce(-1, "t", "never")).await;
    while end_of(&harness, "t") < 1 {
        tokio::task::yield_now().await;
    }
    settle().await;
    harness.memory.commit_all();
    assert_eq!(client.expect::<ProduceRequest>(9).await.0, 1);
    assert_eq!(client.receive().await, None);
    assert_eq!(
        end_of(&harness, "t"),
        1,
        "nothing behind the failure is taken"
    );
}

#[tokio::test]
async fn a_broken_frame_closes_behind_the_answers_before_it() {
    let bad: [&[u8]; 6] = [
        &(-1_i32).to_be_bytes(),
        &i32::MIN.to_be_bytes(),
        &0x0640_0001_i32.to_be_bytes(),
        &i32::MAX.to_be_bytes(),
        // Empty, and a header cut.
        &0_i32.to_be_bytes(),
        &[0, 0, 0, 3, 0, 3, 0],
    ];
    for bad in bad {
        let harness = Harness::new().await;
        let mut client = harness.connect().await;
        let good = framed(&frame(0, 7, &versions()));
        client.send_bytes(&[&good[..], bad, &good].concat()).await;
        assert_eq!(client.expect::<ApiVersionsRequest>(0).await.0, 7, "{bad:?}");
        assert_eq!(client.receive().await, None, "{bad:?}");
        client.served.await.expect("ends without a panic");
    }
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_answered() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    let mut client = harness.connect().await;
    client.stream.set_nodelay(true).expect("a socket");
    for (id, version) in [(1, 3), (2, 9)] {
        for byte in framed(&frame(version, id, &produce(1, "t", "v"))) {
            client.send_bytes(&[byte]).await;
            tokio::task::yield_now().await;
        }
        let (got, response) = client.expect::<ProduceRequest>(version).await;
        assert_eq!(got, id);
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
}

#[tokio::test]
async fn bytes_read_before_and_large_frames_are_whole() {
    let harness = Harness::new().await;
    let limit = [("max.message.bytes", "20000000")];
    harness.topic_with("t", 1, &limit).await;
    let value = "x".repeat(9_000_000);
    let bytes = framed(&frame(9, 5, &produce(-1, "t", &value)));
    for first in [1, 3, 4, 9, 100_000] {
        let mut client = harness.connect_with(&bytes[..first]).await;
        client.send_bytes(&bytes[first..]).await;
        let (id, response) = client.expect::<ProduceRequest>(9).await;
        let row = &response.responses[0].partition_responses[0];
        assert_eq!((id, row.error_code), (5, 0), "{:?}", row.error_message);
    }
    assert_eq!(end_of(&harness, "t"), 5);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let harness = Harness::new().await;
    let client = harness.connect().await;
    let start = Instant::now();
    client.served.await.expect("ends");
    assert_eq!(start.elapsed(), IDLE_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_stops_is_given_up() {
    let whole = framed(&frame(0, 7, &versions()));
    // A part of the length, a length, all but the last byte.
    for part in [2, 4, whole.len() - 1] {
        let harness = Harness::new().await;
        let client = harness.connect_with(&whole[..part]).await;
        let start = Instant::now();
        client.served.await.expect("ends");
        assert_eq!(start.elapsed(), FRAME_STALL_MAX, "{part} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_drips_is_given_up_too() {
    let harness = Harness::new().await;
    let mut client = harness.connect_with(&[0, 0, 1, 0]).await;
    let start = Instant::now();
    while !client.served.is_finished() {
        tokio::time::sleep(Duration::from_secs(7)).await;
        // The peer may be gone by now.
        let _ = client.stream.write_all(&[0]).await;
    }
    assert!(start.elapsed() >= FRAME_STALL_MAX);
    assert!(
        start.elapsed() <= FRAME_STALL_MAX * 2,
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_sender_that_goes_on_is_served() {
    let harness = Harness::new().await;
    let limit = [("max.message.bytes", "20000000")];
    harness.topic_with("t", 1, &limit).await;
    let value = "x".repeat(4 * PACE_BYTES);
    let bytes = framed(&frame(9, 5, &produce(-1, "t", &value)));
    let start = Instant::now();
    let (first, rest) = bytes.split_at(10);
    let mut client = harness.connect_with(first).await;
    for piece in rest.chunks(PACE_BYTES) {
        tokio::time::sleep(Duration::from_secs(20)).await;
        client.send_bytes(piece).await;
    }
    assert_eq!(client.expect::<ProduceRequest>(9).await.0, 5);
    assert!(start.elapsed() > FRAME_STALL_MAX * 2);
}

#[tokio::test]
async fn a_claimed_length_takes_no_share_of_the_budget() {
    let config = BrokerConfig {
        request_bytes_in_flight: 8 * 1024 * 1024,
        ..BrokerConfig::default()
    };
    let harness = Harness::on(MemoryStore::new(), config).await;
    let claim = 0x0600_0000_i32.to_be_bytes();
    let mut liars = Vec::new();
    for _ in 0..10 {
        liars.push(harness.connect_with(&claim).await);
    }
    settle().await;
    let mut client = harness.connect().await;
    client.send(0, 1, &versions()).await;
    assert_eq!(client.expect::<ApiVersionsRequest>(0).await.0, 1);
    for liar in liars {
        assert!(!liar.served.is_finished(), "the frame may still come");
    }
}

#[tokio::test]
async fn large_frames_that_come_slowly_keep_nobody_waiting() {
    let config = BrokerConfig {
        request_bytes_in_flight: 1024 * 1024,
        ..BrokerConfig::default()
    };
    let harness = Harness::on(MemoryStore::new(), config).await;
    let mut start = vec![0; 100_000];
    start[..4].copy_from_slice(&0x0600_0000_i32.to_be_bytes());
    let mut slow = Vec::new();
    for _ in 0..60 {
        slow.push(harness.connect_with(&start).await);
    }
    settle().await;
    let mut client = harness.connect().await;
    client.send(0, 1, &versions()).await;
    assert_eq!(client.expect::<ApiVersionsRequest>(0).await.0, 1);
    for slow in slow {
        assert!(!slow.served.is_finished(), "the frame may still come");
    }
}

#[tokio::test]
async fn a_name_as_long_as_a_string_can_be_is_answered() {
    let harness = Harness::new().await;
    let mut client = harness.connect().await;
    let name = "a".repeat(32_767);
    client.send(9, 1, &produce(-1, &name, "v")).await;
    let (_, response) = client.expect::<ProduceRequest>(9).await;
    let told = &response.responses[0].partition_responses[0];
    assert_eq!(
        told.error_code,
        kafka_wire::ErrorCode::UnknownTopicOrPartition.code()
    );
    assert!(
        told.error_message
            .as_ref()
            .is_some_and(|text| text.len() < 1100)
    );
    client.send(7, 2, &produce(-1, &name, "v")).await;
    assert_eq!(client.expect::<ProduceRequest>(7).await.0, 2);
}

#[tokio::test]
async fn a_full_budget_stops_the_reading_and_goes_on() {
    let config = BrokerConfig {
        request_bytes_in_flight: 1024 * 1024,
        ..BrokerConfig::default()
    };
    let harness = Harness::on(MemoryStore::new(), config).await;
    let all = harness.broker().budget().take(1024 * 1024).await;
    let mut client = harness.connect().await;
    client.send(0, 1, &versions()).await;
    settle().await;
    let early = client.stream.try_read(&mut [0]);
    assert!(early.is_err(), "no share, no answer: {early:?}");
    drop(all);
    assert_eq!(client.expect::<ApiVersionsRequest>(0).await.0, 1);
    // The share is given back with the answer.
    harness.broker().budget().take(1024 * 1024).await;
}

#[tokio::test]
async fn a_peer_that_leaves_while_its_fetch_waits_is_noticed() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    let mut client = harness.connect().await;
    client.send(4, 1, &fetch("t", 0, i32::MAX)).await;
    settle().await;
    assert!(!client.served.is_finished());
    drop(client.stream);
    let served = tokio::time::timeout(Duration::from_secs(20), client.served).await;
    served
        .expect("long before the fetch would end")
        .expect("no panic");
}

#[tokio::test]
async fn a_peer_that_only_ended_its_own_side_gets_its_answers() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    let mut client = harness.connect().await;
    let sent = [
        framed(&frame(9, 1, &MetadataRequest::default())),
        framed(&frame(9, 2, &produce(-1, "t", "v"))),
        framed(&frame(0, 3, &versions())),
    ];
    client.send_bytes(&sent.concat()).await;
    client.stream.shutdown().await.expect("half closed");
    assert_eq!(client.expect::<MetadataRequest>(9).await.0, 1);
    assert_eq!(client.expect::<ProduceRequest>(9).await.0, 2);
    assert_eq!(client.expect::<ApiVersionsRequest>(0).await.0, 3);
    assert_eq!(client.receive().await, None);
}

#[tokio::test(start_paused = true)]
async fn the_last_answers_are_waited_for() {
    let harness = Harness::with_manual_commit().await;
    harness.topic("t", 1).await;
    let mut client = harness.connect().await;
    client.send(9, 1, &produce(-1, "t", "v")).await;
    client.stream.shutdown().await.expect("half closed");
    while end_of(&harness, "t") < 1 {
        tokio::task::yield_now().await;
    }
    settle().await;
    tokio::time::sleep(LAST_ANSWERS_MAX / 2).await;
    harness.memory.commit_all();
    assert_eq!(client.expect::<ProduceRequest>(9).await.0, 1);
    assert_eq!(client.receive().await, None);
}

#[tokio::test]
async fn little_is_read_ahead_of_a_request_that_waits() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    let mut client = harness.connect().await;
    client.send(4, 1, &fetch("t", 0, i32::MAX)).await;
    let pipelined = framed(&frame(0, 2, &versions())).repeat(5000);
    let (mut sent, mut refused) = (0, 0);
    while refused < 20 && sent < 64 * 1024 * 1024 {
        match client.stream.try_write(&pipelined) {
            Ok(count) => (sent, refused) = (sent + count, 0),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => refused += 1,
            Err(error) => panic!("{error}"),
        }
        settle().await;
    }
    assert!(refused > 0, "{sent} bytes were taken");
}

#[tokio::test]
async fn the_stop_finishes_what_is_in_flight_and_takes_no_more() {
    let harness = Harness::with_manual_commit().await;
    harness.topic("t", 1).await;
    let mut client = harness.connect().await;
    client.send(9, 1, &produce(-1, "t", "v")).await;
    while end_of(&harness, "t") < 1 {
        tokio::task::yield_now().await;
    }
    client.stop.send_replace(true);
    settle().await;
    client.send(9, 2, &produce(-1, "t", "late")).await;
    settle().await;
    assert!(!client.served.is_finished(), "an answer is due");
    assert_eq!(end_of(&harness, "t"), 1);
    harness.memory.commit_all();
    assert_eq!(client.expect::<ProduceRequest>(9).await.0, 1);
    client.served.await.expect("ends");
}

#[tokio::test]
async fn the_stop_ends_an_idle_connection_and_a_half_sent_frame() {
    for first in [&[][..], &[0, 0, 1], &[0, 0, 1, 0, 9, 9]] {
        let harness = Harness::new().await;
        let client = harness.connect_with(first).await;
        settle().await;
        client.stop.send_replace(true);
        client.served.await.expect("ends");
    }
    // Nobody is left who could announce it.
    let harness = Harness::new().await;
    let client = harness.connect().await;
    settle().await;
    drop(client.stop);
    client.served.await.expect("ends");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_stops_the_work() {
    let harness = Harness::new().await;
    let limit = [("max.message.bytes", "20000000")];
    let topic = harness.topic_with("t", 1, &limit).await;
    harness.append(&topic, 0, &["x".repeat(1_000_000).as_str()]);
    let mut client = harness.connect().await;
    let asked = 2000;
    let request = framed(&frame(4, 1, &fetch("t", 0, 0)));
    let all = request.repeat(asked);
    // Ends with an error when the front door gives up.
    let (_, served) = tokio::join!(client.stream.write_all(&all), &mut client.served);
    served.expect("ends");
    // What the sockets' buffers take, and little more: not 2 GB.
    let begun = harness.broker().counters().fetch_requests.get();
    assert!(begun < 100, "{begun} fetches of 1 MB were prepared");
}

#[tokio::test]
async fn requests_in_flight_are_limited() {
    let harness = Harness::with_manual_commit().await;
    harness.topic("t", 1).await;
    let mut client = harness.connect().await;
    let total = i32::try_from(IN_FLIGHT_MAX).expect("fits") + 50;
    for id in 0..total {
        client.send(9, id, &produce(-1, "t", "v")).await;
    }
    let limit = i64::try_from(IN_FLIGHT_MAX).expect("fits");
    while end_of(&harness, "t") < limit {
        tokio::task::yield_now().await;
    }
    settle().await;
    assert_eq!(
        end_of(&harness, "t"),
        limit,
        "the others wait in the socket"
    );
    for expected in 0..total {
        harness.memory.commit_all();
        // Those that were let in by this answer become durable with the next commit.
        let bytes: Bytes = loop {
            tokio::select! {
                bytes = client.receive() => break bytes.expect("an answer"),
                () = tokio::task::yield_now() => harness.memory.commit_all(),
            }
        };
        assert_eq!(decode::<ProduceRequest>(&bytes, 9).0, expected);
    }
}

#[tokio::test]
async fn many_answers_at_once_are_whole() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 1).await;
    let value = "y".repeat(300_000);
    harness.append(&topic, 0, &[value.as_str()]);
    let mut client = harness.connect().await;
    let (mut read_half, mut write_half) = client.stream.split();
    let request = framed(&frame(4, 1, &fetch("t", 0, 0)));
    let sending = async {
        for _ in 0..50 {
            write_half.write_all(&request).await.expect("is read");
        }
    };
    let receiving = async {
        for _ in 0..50 {
            let length = read_half.read_i32().await.expect("an answer");
            let mut body = vec![0; usize::try_from(length).expect("a length")];
            read_half.read_exact(&mut body).await.expect("all of it");
            let whole: Bytes = [&length.to_be_bytes()[..], &body].concat().into();
            let (_, response) = decode::<FetchRequest>(&whole, 4);
            let records = response.responses[0].partitions[0].records.clone();
            assert_eq!(values_of(&records.expect("records")), [value.as_str()]);
        }
    };
    tokio::join!(sending, receiving);
}
