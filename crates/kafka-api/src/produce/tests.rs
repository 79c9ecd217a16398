//! Produce: every error row, every version, several partitions, and what acks means.

use broker::BrokerConfig;
use bytes::Bytes;
use kafka_wire::messages::produce::{PartitionProduceData, TopicProduceData};
use records::{BatchBuilder, Codec};
use storage::StorageFailure;
use storage::memory::MemoryStore;

use super::*;
use crate::harness::{Harness, NOW_MS, batch, batch_of, id_of};

const VERSIONS: std::ops::RangeInclusive<i16> = 3..=13;

/// A request to partitions of one topic, by name or by id as the version wants.
fn request(
    version: i16,
    (name, id): (&str, Uuid),
    acks: i16,
    partitions: Vec<(i32, Option<Bytes>)>,
) -> ProduceRequest {
    let by_id = version >= TOPIC_IDS_FROM;
    let rows = partitions.into_iter();
    let rows = rows.map(|(index, records)| PartitionProduceData { index, records });
    ProduceRequest {
        acks,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: if by_id { "".into() } else { name.into() },
            topic_id: if by_id { id } else { Uuid::ZERO },
            partition_data: rows.collect(),
        }],
        ..Default::default()
    }
}

async fn rows(
    harness: &Harness,
    version: i16,
    request: &ProduceRequest,
) -> Vec<PartitionProduceResponse> {
    let response = harness.ask(version, request).await;
    assert_eq!(response.throttle_time_ms, 0);
    let mut topics = response.responses;
    let topic = topics.pop().expect("one topic");
    assert!(topics.is_empty());
    assert_eq!(topic.name, request.topic_data[0].name);
    assert_eq!(topic.topic_id, request.topic_data[0].topic_id);
    topic.partition_responses
}

fn code(row: &PartitionProduceResponse) -> ErrorCode {
    ErrorCode::from_code(row.error_code).expect("a code of Kafka")
}

fn end_of(topic: &broker::Topic, partition: i32) -> i64 {
    topic.log(partition).expect("opens").ends().log_end.get()
}

#[tokio::test]
async fn is_accepted_in_every_version() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 1).await;
    let to = ("t", id_of(&topic));
    for (offset, version) in (0..).zip(VERSIONS) {
        for (acks, offset) in [(-1, 2 * offset), (1, 2 * offset + 1)] {
            let records = vec![(0, Some(batch(&["v"]).freeze()))];
            let rows = rows(&harness, version, &request(version, to, acks, records)).await;
            let expected = PartitionProduceResponse {
                index: 0,
                base_offset: offset,
                log_append_time_ms: -1,
                log_start_offset: if version >= 5 { 0 } else { -1 },
                ..Default::default()
            };
            assert_eq!(rows, [expected], "v{version} acks={acks}");
        }
    }
}

fn with_byte(at: usize, value: u8) -> Bytes {
    let mut bytes = batch(&["x", "y"]);
    bytes[at] = value;
    bytes.freeze()
}

/// A batch whose header says something else, under a good CRC.
fn resealed(change: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = batch(&["x", "y"]);
    change(&mut bytes);
    let crc = records::crc_of(&bytes);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

fn cut(by: usize) -> Bytes {
    let mut bytes = batch(&["x", "y"]);
    bytes.truncate(bytes.len() - by);
    bytes.freeze()
}

fn two_batches() -> Bytes {
    [batch(&["x"]), batch(&["y"])].concat().into()
}

fn refusals() -> Vec<(&'static str, Option<Bytes>, ErrorCode)> {
    use ErrorCode::{CorruptMessage, InvalidRecord};
    let noise = "this is no record batch at all, only a sentence that is long enough to be one";
    let plain = |value: &str| batch(&[value]).freeze();
    let trailing: Bytes = [&plain("x")[..], b"rest"].concat().into();
    let last_delta =
        |delta: i32| move |b: &mut BytesMut| b[23..27].copy_from_slice(&delta.to_be_bytes());
    let count =
        |count: i32| move |b: &mut BytesMut| b[57..61].copy_from_slice(&count.to_be_bytes());
    let transactional = BatchBuilder::new(Codec::None)
        .producer(4711, 0, 0)
        .transactional();
    let transactional = batch_of(transactional, NOW_MS, &["x"]).freeze();
    vec![
        ("null", None, InvalidRecord),
        ("empty", Some(Bytes::new()), InvalidRecord),
        ("one byte", Some(Bytes::from_static(b"x")), InvalidRecord),
        (
            "cut in the header",
            Some(batch(&["x"]).freeze().slice(..40)),
            InvalidRecord,
        ),
        ("cut by 3", Some(cut(3)), InvalidRecord),
        ("noise", Some(noise.into()), CorruptMessage),
        ("two batches", Some(two_batches()), InvalidRecord),
        ("trailing bytes", Some(trailing), CorruptMessage),
        ("magic 0", Some(with_byte(16, 0)), InvalidRecord),
        ("magic 1", Some(with_byte(16, 1)), InvalidRecord),
        ("magic 3", Some(with_byte(16, 3)), CorruptMessage),
        ("magic -1", Some(with_byte(16, 255)), CorruptMessage),
        ("crc", Some(with_byte(17, 0x55)), CorruptMessage),
        (
            "a flipped record",
            Some(with_byte(70, 0x55)),
            CorruptMessage,
        ),
        ("length 0", Some(with_byte(11, 0)), CorruptMessage),
        ("length more", Some(with_byte(11, 250)), InvalidRecord),
        ("base offset 77", Some(with_byte(7, 77)), InvalidRecord),
        ("count more", Some(resealed(count(3))), InvalidRecord),
        ("count less", Some(resealed(count(1))), InvalidRecord),
        ("count negative", Some(resealed(count(-7))), InvalidRecord),
        (
            "last delta more",
            Some(resealed(last_delta(2))),
            InvalidRecord,
        ),
        ("control", Some(resealed(|b| b[22] = 0x20)), InvalidRecord),
        (
            "unknown codec",
            Some(resealed(|b| b[22] = 7)),
            InvalidRecord,
        ),
        (
            "stamped by the client",
            Some(resealed(|b| b[22] = 8)),
            ErrorCode::InvalidTimestamp,
        ),
        (
            "transactional",
            Some(transactional),
            ErrorCode::TransactionalIdAuthorizationFailed,
        ),
    ]
}

#[tokio::test]
async fn bad_batches_get_their_code_and_leave_the_log_as_it_is() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 1).await;
    let to = ("t", id_of(&topic));
    for (what, records, expected) in refusals() {
        for version in VERSIONS {
            let partitions = vec![(0, records.clone())];
            let rows = rows(&harness, version, &request(version, to, -1, partitions)).await;
            assert_eq!(rows.len(), 1);
            let row = &rows[0];
            assert_eq!(
                code(row),
                expected,
                "{what} v{version}: {:?}",
                row.error_message
            );
            assert_eq!(
                (row.base_offset, row.log_append_time_ms),
                (-1, -1),
                "{what}"
            );
            assert_eq!(
                row.error_message.is_some(),
                version >= 8,
                "{what} v{version}"
            );
            assert_eq!(end_of(&topic, 0), 0, "{what}");
        }
    }
}

#[tokio::test]
async fn wrong_targets_get_their_code() {
    use ErrorCode::{InvalidRequiredAcks, UnknownTopicId, UnknownTopicOrPartition};
    let harness = Harness::new().await;
    let topic = harness.topic("t", 1).await;
    let known = ("t", id_of(&topic));
    let stranger = ("absent", Uuid([9; 16]));
    let unknown = (UnknownTopicOrPartition, UnknownTopicOrPartition);
    let absent = (UnknownTopicOrPartition, UnknownTopicId);
    let wrong_acks = (InvalidRequiredAcks, InvalidRequiredAcks);
    // (topic, partition, acks, (code by name, code by id))
    let cases = [
        (stranger, 0, -1, absent),
        (("..", Uuid::ZERO), 0, -1, absent),
        (known, 99, -1, unknown),
        (known, 1, -1, unknown),
        (known, -1, -1, unknown),
        (known, 0, 2, wrong_acks),
        (known, 0, -2, wrong_acks),
        (known, 0, i16::MAX, wrong_acks),
        // What does not exist is told first.
        (known, 99, 2, unknown),
        (stranger, 0, 2, absent),
    ];
    for (to, partition, acks, (by_name, by_id)) in cases {
        for version in VERSIONS {
            let partitions = vec![(partition, Some(batch(&["x"]).freeze()))];
            let rows = rows(&harness, version, &request(version, to, acks, partitions)).await;
            let expected = if version >= TOPIC_IDS_FROM {
                by_id
            } else {
                by_name
            };
            assert_eq!(
                code(&rows[0]),
                expected,
                "{to:?}-{partition} acks={acks} v{version}"
            );
            assert_eq!(rows[0].index, partition);
        }
    }
    assert_eq!(end_of(&topic, 0), 0);
    let none = ProduceRequest {
        acks: -1,
        ..Default::default()
    };
    assert!(harness.ask(13, &none).await.responses.is_empty());
}

#[tokio::test]
async fn a_transactional_id_is_refused_for_every_partition() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 2).await;
    let to = ("t", id_of(&topic));
    for version in VERSIONS {
        let partitions = vec![
            (0, Some(batch(&["x"]).freeze())),
            (99, Some(batch(&["x"]).freeze())),
        ];
        let request = ProduceRequest {
            transactional_id: Some("tx".into()),
            ..request(version, to, -1, partitions)
        };
        let rows = rows(&harness, version, &request).await;
        assert_eq!(rows.len(), 2);
        for row in &rows {
            assert_eq!(code(row), ErrorCode::TransactionalIdAuthorizationFailed);
            if version >= 8 {
                let message = row.error_message.as_ref().expect("a message");
                assert!(
                    message.contains("transactions are not built yet"),
                    "{message}"
                );
            }
        }
    }
    assert_eq!(end_of(&topic, 0), 0);
}

#[tokio::test]
async fn partitions_fail_one_by_one() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 3).await;
    let other = harness.topic("other", 1).await;
    for version in VERSIONS {
        let to = |name, topic: &broker::Topic, rows| {
            request(version, (name, id_of(topic)), -1, rows).topic_data
        };
        let first = to(
            "t",
            &topic,
            vec![
                (2, Some(batch(&["two"]).freeze())),
                (1, Some(with_byte(17, 0x55))),
                (99, Some(batch(&["x"]).freeze())),
                (0, Some(batch(&["zero", "zero"]).freeze())),
            ],
        );
        let second = to("other", &other, vec![(0, Some(batch(&["o"]).freeze()))]);
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 1000,
            topic_data: [first, second].concat(),
            ..Default::default()
        };
        let response = harness.ask(version, &request).await;
        let told: Vec<Vec<_>> = response
            .responses
            .iter()
            .map(|topic| {
                let rows = topic.partition_responses.iter();
                rows.map(|row| (row.index, code(row), row.base_offset))
                    .collect()
            })
            .collect();
        let round = i64::from(version - 3);
        let expected = [
            vec![
                (2, ErrorCode::None, round),
                (1, ErrorCode::CorruptMessage, -1),
                (99, ErrorCode::UnknownTopicOrPartition, -1),
                (0, ErrorCode::None, 2 * round),
            ],
            vec![(0, ErrorCode::None, round)],
        ];
        assert_eq!(told, expected, "v{version}");
    }
    assert_eq!(end_of(&topic, 1), 0);
}

#[tokio::test]
async fn codecs_by_version() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 1).await;
    let to = ("t", id_of(&topic));
    for codec in [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        for version in VERSIONS {
            let records = batch_of(BatchBuilder::new(codec), NOW_MS, &["x", "y"]).freeze();
            let request = request(version, to, -1, vec![(0, Some(records))]);
            let rows = rows(&harness, version, &request).await;
            let expected = if codec == Codec::Zstd && version < ZSTD_FROM {
                ErrorCode::UnsupportedCompressionType
            } else {
                ErrorCode::None
            };
            assert_eq!(code(&rows[0]), expected, "{codec} v{version}");
        }
    }
}

#[tokio::test]
async fn untimely_records_are_named_from_version_8() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 1).await;
    let to = ("t", id_of(&topic));
    for version in VERSIONS {
        let late = batch_of(
            BatchBuilder::new(Codec::None),
            NOW_MS + 7_200_000,
            &["x", "y"],
        );
        let request = request(version, to, -1, vec![(0, Some(late.freeze()))]);
        let rows = rows(&harness, version, &request).await;
        assert_eq!(code(&rows[0]), ErrorCode::InvalidTimestamp);
        let blamed: Vec<i32> = rows[0]
            .record_errors
            .iter()
            .map(|row| row.batch_index)
            .collect();
        let expected: &[i32] = if version >= 8 { &[0, 1] } else { &[] };
        assert_eq!(blamed, expected, "v{version}");
    }
}

#[tokio::test]
async fn log_append_time_and_sizes() {
    let harness = Harness::new().await;
    let stamped = [
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", "300"),
    ];
    let topic = harness.topic_with("t", 1, &stamped).await;
    let to = ("t", id_of(&topic));
    for version in VERSIONS {
        let good = request(version, to, -1, vec![(0, Some(batch(&["fits"]).freeze()))]);
        let row = &rows(&harness, version, &good).await[0];
        assert_eq!(
            (code(row), row.log_append_time_ms),
            (ErrorCode::None, NOW_MS)
        );
        let large = batch(&["x".repeat(400).as_str()]).freeze();
        let large = request(version, to, -1, vec![(0, Some(large))]);
        let row = &rows(&harness, version, &large).await[0];
        assert_eq!(code(row), ErrorCode::MessageTooLarge, "v{version}");
    }
}

#[tokio::test]
async fn batches_are_packed_anew_where_the_topic_says_so() {
    let harness = Harness::new().await;
    let configs = [("compression.type", "gzip"), ("max.message.bytes", "3000")];
    let topic = harness.topic_with("t", 1, &configs).await;
    let to = ("t", id_of(&topic));
    for version in VERSIONS {
        let good = request(version, to, -1, vec![(0, Some(batch(&["v"]).freeze()))]);
        assert_eq!(
            code(&rows(&harness, version, &good).await[0]),
            ErrorCode::None
        );
    }
    let bad = BatchBuilder::new(Codec::None);
    let mut bad = batch_of(bad, NOW_MS, &["v"]);
    bad[22] = Codec::Zstd.id();
    let crc = records::crc_of(&bad);
    bad[17..21].copy_from_slice(&crc.to_be_bytes());
    let bad = request(9, to, 1, vec![(0, Some(bad.freeze()))]);
    let refused = &rows(&harness, 9, &bad).await[0];
    assert_eq!(code(refused), ErrorCode::InvalidRecord);
    // What acks=0 cannot be told closes the connection, after the work on another thread too.
    let large = batch_of(BatchBuilder::new(Codec::Zstd), NOW_MS, &["x"]);
    let mut cut = large.freeze().to_vec();
    cut.truncate(70);
    let unacknowledged = request(9, to, 0, vec![(0, Some(cut.into()))]);
    assert!(harness.try_ask(9, &unacknowledged).await.is_err());
    let accepted = VERSIONS.map(|_| 1_i64).sum::<i64>();
    assert_eq!(end_of(&topic, 0), accepted);
}

#[tokio::test]
async fn an_idempotent_producer_walks_its_sequences() {
    use ErrorCode::{InvalidProducerEpoch, None, OutOfOrderSequenceNumber};
    let harness = Harness::new().await;
    for version in VERSIONS {
        let name = format!("t{version}");
        let topic = harness.topic(&name, 1).await;
        // As recorded from Kafka: (epoch, sequence, records) → (code, offset).
        let steps = [
            ((0, 0, 2), (None, 0)),
            ((0, 2, 1), (None, 2)),
            ((0, 2, 1), (None, 2)),
            ((0, 0, 2), (None, 0)),
            ((0, 7, 1), (OutOfOrderSequenceNumber, -1)),
            ((0, 3, 1), (None, 3)),
            ((0, 4, 1), (None, 4)),
            ((0, 5, 1), (None, 5)),
            ((0, 6, 1), (None, 6)),
            ((0, 2, 1), (None, 2)),
            ((0, 0, 2), (OutOfOrderSequenceNumber, -1)),
            ((0, 6, 2), (OutOfOrderSequenceNumber, -1)),
            ((1, 3, 1), (OutOfOrderSequenceNumber, -1)),
            ((1, 0, 1), (None, 7)),
            ((0, 7, 1), (InvalidProducerEpoch, -1)),
            ((1, 1, 1), (None, 8)),
        ];
        for (step, ((epoch, sequence, count), expected)) in steps.into_iter().enumerate() {
            let builder = BatchBuilder::new(Codec::None).producer(77, epoch, sequence);
            let records = batch_of(builder, NOW_MS, &vec!["v"; count]).freeze();
            let to = (name.as_str(), id_of(&topic));
            let request = request(version, to, -1, vec![(0, Some(records))]);
            let row = &rows(&harness, version, &request).await[0];
            assert_eq!(
                (code(row), row.base_offset),
                expected,
                "step {step} v{version}"
            );
        }
    }
}

#[tokio::test]
async fn a_store_that_cannot_write_says_56() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 1).await;
    let to = ("t", id_of(&topic));
    let request = request(9, to, -1, vec![(0, Some(batch(&["x"]).freeze()))]);
    harness
        .memory
        .set_no_space(Some(StorageFailure::new("disk full")));
    let row = &rows(&harness, 9, &request).await[0];
    assert_eq!(code(row), ErrorCode::KafkaStorageError);
    let message = row.error_message.as_ref().expect("a message");
    assert!(message.contains("disk full"), "{message}");
    harness.memory.set_no_space(None);
    assert_eq!(code(&rows(&harness, 9, &request).await[0]), ErrorCode::None);
    harness.memory.fail_all(&StorageFailure::new("sync failed"));
    assert_eq!(
        code(&rows(&harness, 9, &request).await[0]),
        ErrorCode::KafkaStorageError
    );
}

#[tokio::test]
async fn a_batch_larger_than_a_segment_says_18() {
    let mut config = BrokerConfig::default();
    config
        .set("log.segment.bytes", "1048576")
        .expect("a good value");
    let harness = Harness::on(MemoryStore::new(), config).await;
    let limit = [("max.message.bytes", "20000000")];
    let topic = harness.topic_with("t", 1, &limit).await;
    let records = batch(&["x".repeat(2_000_000).as_str()]).freeze();
    let request = request(9, ("t", id_of(&topic)), -1, vec![(0, Some(records))]);
    let row = &rows(&harness, 9, &request).await[0];
    assert_eq!(code(row), ErrorCode::RecordListTooLarge);
}

#[tokio::test(start_paused = true)]
async fn acks_decide_what_is_waited_for() {
    let harness = Harness::with_manual_commit().await;
    let topic = harness.topic("t", 1).await;
    let to = ("t", id_of(&topic));
    let ask = |acks, timeout_ms| ProduceRequest {
        timeout_ms,
        ..request(9, to, acks, vec![(0, Some(batch(&["x"]).freeze()))])
    };
    // acks=1 is answered when it is placed.
    let row = &rows(&harness, 9, &ask(1, 1000)).await[0];
    assert_eq!((code(row), row.base_offset), (ErrorCode::None, 0));
    // acks=all is answered when it is durable, or not at all within the time.
    let start = tokio::time::Instant::now();
    let row = &rows(&harness, 9, &ask(-1, 5000)).await[0];
    assert_eq!(
        (code(row), row.base_offset),
        (ErrorCode::RequestTimedOut, -1)
    );
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    for timeout_ms in [0, -1] {
        let start = tokio::time::Instant::now();
        let row = &rows(&harness, 9, &ask(-1, timeout_ms)).await[0];
        assert_eq!(code(row), ErrorCode::RequestTimedOut);
        assert_eq!(
            start.elapsed(),
            TIMEOUT_LEAST,
            "no client is told so at once"
        );
    }
    let durable = ask(-1, 60_000);
    let asked = rows(&harness, 9, &durable);
    let committed = async {
        while end_of(&topic, 0) < 5 {
            tokio::task::yield_now().await;
        }
        harness.memory.commit_all();
    };
    let (answered, ()) = tokio::join!(asked, committed);
    assert_eq!(
        (code(&answered[0]), answered[0].base_offset),
        (ErrorCode::None, 4)
    );
    // Durability lost while it is waited for.
    let asked = rows(&harness, 9, &durable);
    let failed = async {
        while end_of(&topic, 0) < 6 {
            tokio::task::yield_now().await;
        }
        harness.memory.fail_all(&StorageFailure::new("sync failed"));
    };
    let (answered, ()) = tokio::join!(asked, failed);
    assert_eq!(code(&answered[0]), ErrorCode::KafkaStorageError);
}

#[tokio::test]
async fn acks_0_closes_on_any_failure() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 1).await;
    for version in VERSIONS {
        let to = ("t", id_of(&topic));
        let good = request(version, to, 0, vec![(0, Some(batch(&["x"]).freeze()))]);
        let silent = harness.try_ask(version, &good).await;
        assert!(matches!(silent, Ok(None)), "v{version}: {silent:?}");
        let partitions = vec![(0, Some(batch(&["x"]).freeze())), (7, None)];
        let bad = harness
            .try_ask(version, &request(version, to, 0, partitions))
            .await;
        let closed =
            matches!(&bad, Err(Close::UnacknowledgedFailure(why)) if why.contains("partition 7"));
        assert!(closed, "v{version}: {bad:?}");
    }
}
