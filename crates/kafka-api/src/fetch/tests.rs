//! Fetch in every version: what is read, what is waited for, sessions, epochs, and what is refused.

use kafka_wire::WireString;
use kafka_wire::messages::fetch::{
    FetchPartition as Row, FetchTopic, FetchableTopicResponse, ForgottenTopic,
};
use storage::memory::MemoryStore;
use tokio::time::Instant;

use super::*;
use crate::harness::{Harness, id_of, values_of};

const VERSIONS: std::ops::RangeInclusive<i16> = 4..=18;

fn row(partition: i32, fetch_offset: i64) -> Row {
    Row {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    }
}

/// A topic as the version names it.
fn named(version: i16, topic: &broker::Topic) -> (WireString, Uuid) {
    if version >= TOPIC_IDS_FROM {
        ("".into(), id_of(topic))
    } else {
        (topic.name().as_str().into(), Uuid::ZERO)
    }
}

fn topic_of(version: i16, topic: &broker::Topic, partitions: Vec<Row>) -> FetchTopic {
    let (topic, topic_id) = named(version, topic);
    FetchTopic {
        topic,
        topic_id,
        partitions,
    }
}

fn request(version: i16, topic: &broker::Topic, partitions: Vec<Row>) -> FetchRequest {
    FetchRequest {
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![topic_of(version, topic, partitions)],
        ..Default::default()
    }
}

/// Partition, code, high watermark and values.
type Told = (i32, ErrorCode, i64, Vec<String>);

fn told(response: &FetchResponse) -> Vec<Told> {
    let rows = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions);
    rows.map(|row| {
        let code = ErrorCode::from_code(row.error_code).expect("a code of Kafka");
        let values = row.records.as_ref().map(values_of).unwrap_or_default();
        (row.partition_index, code, row.high_watermark, values)
    })
    .collect()
}

fn good(partition: i32, high_watermark: i64, values: &[&str]) -> Told {
    let values = values.iter().map(|value| (*value).to_owned());
    (partition, ErrorCode::None, high_watermark, values.collect())
}

fn bad(partition: i32, code: ErrorCode) -> Told {
    (partition, code, -1, Vec::new())
}

/// Batches at 0..1, 2, 3..5 and 6 in the first partition, one record in the second.
async fn filled() -> (Harness, Arc<broker::Topic>) {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 2).await;
    for values in [&["a", "b"][..], &["c"], &["d", "e", "f"], &["g"]] {
        harness.append(&topic, 0, values);
    }
    harness.append(&topic, 1, &["other"]);
    (harness, topic)
}

#[tokio::test]
async fn whole_batches_from_any_offset() {
    let (harness, topic) = filled().await;
    let out_of_range = bad(0, ErrorCode::OffsetOutOfRange);
    let cases = [
        (0, good(0, 7, &["a", "b", "c", "d", "e", "f", "g"])),
        (1, good(0, 7, &["a", "b", "c", "d", "e", "f", "g"])),
        (4, good(0, 7, &["d", "e", "f", "g"])),
        (6, good(0, 7, &["g"])),
        (7, good(0, 7, &[])),
        (8, out_of_range.clone()),
        (i64::MAX, out_of_range.clone()),
        (-1, out_of_range.clone()),
        (i64::MIN, out_of_range),
    ];
    for (from, expected) in cases {
        for version in VERSIONS {
            for isolation_level in [0, 1] {
                let request = FetchRequest {
                    isolation_level,
                    ..request(version, &topic, vec![row(0, from)])
                };
                let response = harness.ask(version, &request).await;
                assert_eq!((response.error_code, response.session_id), (0, 0));
                assert_eq!(
                    told(&response),
                    *std::slice::from_ref(&expected),
                    "{from} v{version}"
                );
                let FetchableTopicResponse {
                    topic: name,
                    topic_id,
                    partitions,
                } = &response.responses[0];
                assert_eq!((name.clone(), *topic_id), named(version, &topic));
                let data = &partitions[0];
                let failed = data.error_code != 0;
                let ends = if failed { (-1, -1) } else { (7, 0) };
                let log_start = if version >= 5 { ends.1 } else { -1 };
                assert_eq!(
                    (data.last_stable_offset, data.log_start_offset),
                    (ends.0, log_start)
                );
                let asked = isolation_level == 1 && !failed;
                assert_eq!(
                    data.aborted_transactions,
                    asked.then(Vec::new),
                    "v{version}"
                );
                assert_eq!(data.preferred_read_replica, -1);
            }
        }
    }
}

#[tokio::test]
async fn limits_hold_but_the_first_batch_always_comes() {
    let (harness, topic) = filled().await;
    let small = |partition, bytes| Row {
        partition_max_bytes: bytes,
        ..row(partition, 0)
    };
    let two = ["a", "b"];
    let other = ["other"];
    // (whole limit, rows, answer)
    let cases = [
        (1 << 20, vec![small(0, 1)], vec![good(0, 7, &two)]),
        (1 << 20, vec![small(0, 0)], vec![good(0, 7, &two)]),
        (1 << 20, vec![small(0, -1)], vec![good(0, 7, &two)]),
        (1, vec![row(0, 0)], vec![good(0, 7, &two)]),
        (0, vec![row(0, 0)], vec![good(0, 7, &two)]),
        (-1, vec![row(0, 0)], vec![good(0, 7, &two)]),
        (
            1,
            vec![row(0, 0), row(1, 0)],
            vec![good(0, 7, &two), good(1, 1, &[])],
        ),
        // The exception is for the first that has records.
        (
            1,
            vec![row(0, 7), row(1, 0)],
            vec![good(0, 7, &[]), good(1, 1, &other)],
        ),
        (
            1 << 20,
            vec![row(1, 0), small(0, 1)],
            vec![good(1, 1, &other), good(0, 7, &[])],
        ),
        (
            1 << 20,
            vec![row(0, 6), row(1, 0)],
            vec![good(0, 7, &["g"]), good(1, 1, &other)],
        ),
    ];
    for (max_bytes, rows, expected) in cases {
        for version in VERSIONS {
            let request = FetchRequest {
                max_bytes,
                ..request(version, &topic, rows.clone())
            };
            let response = harness.ask(version, &request).await;
            assert_eq!(told(&response), expected, "{max_bytes} {rows:?} v{version}");
        }
    }
}

#[tokio::test]
async fn what_does_not_exist() {
    let (harness, topic) = filled().await;
    let unknown = ErrorCode::UnknownTopicOrPartition;
    for version in VERSIONS {
        let by_id = version >= TOPIC_IDS_FROM;
        let stranger = FetchTopic {
            topic: if by_id { "".into() } else { "absent".into() },
            topic_id: if by_id { Uuid([9; 16]) } else { Uuid::ZERO },
            partitions: vec![row(0, 0)],
        };
        let absent = if by_id {
            ErrorCode::UnknownTopicId
        } else {
            unknown
        };
        let alone = FetchRequest {
            max_wait_ms: i32::MAX,
            min_bytes: 1,
            topics: vec![stranger.clone(), topic_of(version, &topic, vec![row(0, 7)])],
            ..Default::default()
        };
        let response = harness.ask(version, &alone).await;
        assert_eq!(
            told(&response),
            [bad(0, absent), good(0, 7, &[])],
            "v{version}"
        );
        let known = topic_of(version, &topic, vec![row(99, 0), row(-1, 0), row(1, 0)]);
        let request = FetchRequest {
            // An error is told at once, whatever the client would wait for.
            max_wait_ms: i32::MAX,
            min_bytes: i32::MAX,
            topics: vec![stranger, known],
            ..Default::default()
        };
        let response = harness.ask(version, &request).await;
        let expected = [
            bad(0, absent),
            bad(99, unknown),
            bad(-1, unknown),
            good(1, 1, &["other"]),
        ];
        assert_eq!(told(&response), expected, "v{version}");
        for row in response
            .responses
            .iter()
            .flat_map(|topic| &topic.partitions)
        {
            let expected = (row.error_code != 0).then(Vec::new);
            assert_eq!(row.aborted_transactions, expected, "v{version}");
        }
        // Nothing asked is nothing to wait for.
        let nothing = FetchRequest {
            max_wait_ms: i32::MAX,
            min_bytes: 1,
            ..Default::default()
        };
        assert!(harness.ask(version, &nothing).await.responses.is_empty());
    }
}

#[tokio::test]
async fn a_topic_that_is_deleted_while_it_is_waited_for() {
    for version in [12, 13] {
        let (harness, topic) = filled().await;
        let request = FetchRequest {
            max_wait_ms: i32::MAX,
            ..request(version, &topic, vec![row(0, 7)])
        };
        let waiting = harness.ask(version, &request);
        let deleting = async {
            tokio::task::yield_now().await;
            harness
                .broker()
                .delete_topic(&topic)
                .await
                .expect("deleted");
        };
        let (response, ()) = tokio::join!(waiting, deleting);
        let expected = if version >= TOPIC_IDS_FROM {
            ErrorCode::UnknownTopicId
        } else {
            ErrorCode::UnknownTopicOrPartition
        };
        assert_eq!(told(&response), [bad(0, expected)]);
    }
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_asked_and_no_longer() {
    let (harness, topic) = filled().await;
    // (from, least bytes, wait in ms, what it takes)
    let cases = [
        (7, 1, 60, 60),
        (6, 10_000, 60, 60),
        (6, 1, 60, 0),
        (7, 0, 60, 0),
        (7, 1, 0, 0),
        (7, 1, -1, 0),
        (8, 10_000, 60, 0),
    ];
    for (from, min_bytes, max_wait_ms, expected_ms) in cases {
        let request = FetchRequest {
            max_wait_ms,
            min_bytes,
            ..request(12, &topic, vec![row(0, from)])
        };
        let start = Instant::now();
        harness.ask(12, &request).await;
        let took = start.elapsed();
        assert_eq!(
            took.as_millis(),
            expected_ms,
            "{from} {min_bytes} {max_wait_ms}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn is_woken_by_what_becomes_visible() {
    let harness = Harness::on(
        MemoryStore::with_manual_commit(),
        broker::BrokerConfig::default(),
    );
    let harness = harness.await;
    let topic = harness.topic("t", 2).await;
    for (end, version) in (1..).zip(VERSIONS) {
        let request = FetchRequest {
            max_wait_ms: 60_000,
            ..request(version, &topic, vec![row(0, 0), row(1, end - 1)])
        };
        let start = Instant::now();
        let waiting = harness.ask(version, &request);
        let producing = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            harness.append(&topic, 1, &["new"]);
            tokio::time::sleep(Duration::from_secs(1)).await;
            harness.memory.commit_all();
        };
        let (response, ()) = tokio::join!(waiting, producing);
        // Not when it was written: when it could be seen.
        assert_eq!(start.elapsed(), Duration::from_secs(2), "v{version}");
        assert_eq!(told(&response), [good(0, 0, &[]), good(1, end, &["new"])]);
    }
}

#[tokio::test]
async fn leader_epochs() {
    let (first, topic) = filled().await;
    let second = first.restarted().await;
    second.append(&second.broker().topic("t").expect("is kept"), 0, &["h"]);
    let harness = second.restarted().await;
    // Epoch 0 has 0 to 6, epoch 1 has 7, epoch 2 is current and empty.
    let current = |epoch| Row {
        current_leader_epoch: epoch,
        ..row(0, 7)
    };
    let last = |epoch, from| Row {
        last_fetched_epoch: epoch,
        ..row(0, from)
    };
    let none = EpochEndOffset::default();
    let diverging = |epoch, end_offset| EpochEndOffset { epoch, end_offset };
    let cases = [
        (9, current(2), good(0, 8, &["h"]), none.clone()),
        (9, current(-1), good(0, 8, &["h"]), none.clone()),
        (
            9,
            current(1),
            bad(0, ErrorCode::FencedLeaderEpoch),
            none.clone(),
        ),
        (
            9,
            current(3),
            bad(0, ErrorCode::UnknownLeaderEpoch),
            none.clone(),
        ),
        (12, last(0, 7), good(0, 8, &["h"]), none.clone()),
        (12, last(1, 8), good(0, 8, &[]), none.clone()),
        // The client has a record at 7 that is not ours.
        (12, last(0, 8), good(0, 8, &[]), diverging(0, 7)),
    ];
    for (since, row, expected, diverging) in cases {
        for version in since..=18 {
            let request = FetchRequest {
                max_wait_ms: i32::MAX,
                // Divergence and errors are told at once; the end of the log is no news.
                min_bytes: i32::from(row != last(1, 8)),
                ..request(version, &topic, vec![row.clone()])
            };
            let response = harness.ask(version, &request).await;
            assert_eq!(
                told(&response),
                *std::slice::from_ref(&expected),
                "{row:?} v{version}"
            );
            let data = &response.responses[0].partitions[0];
            assert_eq!(data.diverging_epoch, diverging, "{row:?} v{version}");
            if row.current_leader_epoch >= 0 && data.error_code != 0 {
                assert_eq!(data.aborted_transactions, None);
            }
        }
    }
}

/// A client that keeps a session.
struct Client<'a> {
    harness: &'a Harness,
    version: i16,
    session_id: i32,
    epoch: i32,
}

impl<'a> Client<'a> {
    async fn open(
        harness: &'a Harness,
        version: i16,
        topic: &broker::Topic,
        rows: Vec<Row>,
    ) -> (Self, Vec<Told>) {
        let request = FetchRequest {
            session_epoch: 0,
            ..request(version, topic, rows)
        };
        let response = harness.ask(version, &request).await;
        assert!(response.session_id > 0, "v{version}");
        let client = Self {
            harness,
            version,
            session_id: response.session_id,
            epoch: 0,
        };
        (client, told(&response))
    }

    async fn next(&mut self, topics: Vec<FetchTopic>, forgotten: Vec<ForgottenTopic>) -> Vec<Told> {
        self.epoch += 1;
        let request = FetchRequest {
            session_id: self.session_id,
            session_epoch: self.epoch,
            topics,
            forgotten_topics_data: forgotten,
            ..Default::default()
        };
        let response = self.harness.ask(self.version, &request).await;
        assert_eq!(
            (response.error_code, response.session_id),
            (0, self.session_id)
        );
        told(&response)
    }

    async fn error(&self, version: i16, epoch: i32) -> ErrorCode {
        let request = FetchRequest {
            session_id: self.session_id,
            session_epoch: epoch,
            ..Default::default()
        };
        let response = self.harness.ask(version, &request).await;
        assert!(response.responses.is_empty());
        assert_eq!(response.session_id, 0);
        ErrorCode::from_code(response.error_code).expect("a code of Kafka")
    }
}

#[tokio::test]
async fn a_session_tells_what_is_new() {
    for version in SESSIONS_FROM..=18 {
        let harness = Harness::new().await;
        let topic = harness.topic("t", 3).await;
        let rows = (0..3).map(|partition| row(partition, 0)).collect();
        let (mut client, all) = Client::open(&harness, version, &topic, rows).await;
        assert_eq!(all, [0, 1, 2].map(|partition| good(partition, 0, &[])));
        assert!(client.next(Vec::new(), Vec::new()).await.is_empty());
        harness.append(&topic, 1, &["one"]);
        let one = [good(1, 1, &["one"])];
        assert_eq!(client.next(Vec::new(), Vec::new()).await, one);
        // It was not moved on: the records come again.
        assert_eq!(client.next(Vec::new(), Vec::new()).await, one);
        let moved = vec![topic_of(version, &topic, vec![row(1, 1)])];
        assert!(client.next(moved, Vec::new()).await.is_empty());
        harness.append(&topic, 2, &["two"]);
        let changed = vec![topic_of(version, &topic, vec![row(0, 0)])];
        assert_eq!(
            client.next(changed, Vec::new()).await,
            [good(2, 1, &["two"])]
        );
        let (name, topic_id) = named(version, &topic);
        let forgotten = ForgottenTopic {
            topic: name,
            topic_id,
            partitions: vec![2],
        };
        assert!(client.next(Vec::new(), vec![forgotten]).await.is_empty());
        let again = vec![topic_of(version, &topic, vec![row(2, 0)])];
        assert_eq!(client.next(again, Vec::new()).await, [good(2, 1, &["two"])]);
    }
}

#[tokio::test]
async fn errors_in_a_session_come_every_time() {
    for version in SESSIONS_FROM..=18 {
        let (harness, topic) = filled().await;
        let (mut client, _) = Client::open(&harness, version, &topic, vec![row(0, 7)]).await;
        let wrong = vec![topic_of(version, &topic, vec![row(99, 0), row(0, 100)])];
        let mut expected = vec![
            bad(0, ErrorCode::OffsetOutOfRange),
            bad(99, ErrorCode::UnknownTopicOrPartition),
        ];
        expected.sort();
        for changes in [wrong, Vec::new()] {
            let mut got = client.next(changes, Vec::new()).await;
            got.sort();
            assert_eq!(got, expected, "v{version}");
        }
    }
}

#[tokio::test]
async fn wrong_sessions() {
    let (harness, topic) = filled().await;
    for version in SESSIONS_FROM..=18 {
        let rows = vec![row(0, 7)];
        let (mut client, _) = Client::open(&harness, version, &topic, rows).await;
        assert_eq!(
            client.error(version, 6).await,
            ErrorCode::InvalidFetchSessionEpoch
        );
        let crossing = match version {
            12 => 13,
            13.. => 12,
            _ => 18,
        };
        let crossed = client.error(crossing, 1).await;
        assert_eq!(
            crossed,
            ErrorCode::FetchSessionTopicIdError,
            "v{version} to v{crossing}"
        );
        client.next(Vec::new(), Vec::new()).await;
        // Closed, and fetched without a session.
        let closing = FetchRequest {
            session_id: client.session_id,
            session_epoch: -1,
            ..request(version, &topic, vec![row(0, 6)])
        };
        let response = harness.ask(version, &closing).await;
        assert_eq!(
            (response.session_id, told(&response)),
            (0, vec![good(0, 7, &["g"])])
        );
        assert_eq!(
            client.error(version, 2).await,
            ErrorCode::FetchSessionIdNotFound
        );
        client.session_id = 999_999;
        assert_eq!(
            client.error(version, 1).await,
            ErrorCode::FetchSessionIdNotFound
        );
        // Closing what is not there is a full fetch.
        let closing = FetchRequest {
            session_id: 999_999,
            ..closing
        };
        let response = harness.ask(version, &closing).await;
        assert_eq!(
            (response.error_code, told(&response)),
            (0, vec![good(0, 7, &["g"])])
        );
    }
}

#[tokio::test]
async fn a_session_waits_for_all_its_partitions() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 3).await;
    let rows = (0..3).map(|partition| row(partition, 0)).collect();
    let (client, _) = Client::open(&harness, 13, &topic, rows).await;
    let request = FetchRequest {
        session_id: client.session_id,
        session_epoch: 1,
        max_wait_ms: i32::MAX,
        min_bytes: 1,
        ..Default::default()
    };
    let waiting = harness.ask(13, &request);
    let producing = async {
        tokio::task::yield_now().await;
        harness.append(&topic, 2, &["new"]);
    };
    let (response, ()) = tokio::join!(waiting, producing);
    assert_eq!(told(&response), [good(2, 1, &["new"])]);
}

#[tokio::test]
async fn unused_sessions_give_way_by_the_brokers_clock() {
    let (harness, topic) = filled().await;
    let mut first = None;
    for _ in 0..crate::fetch_session::SLOTS {
        let (client, _) = Client::open(&harness, 12, &topic, vec![row(0, 7)]).await;
        first.get_or_insert(client);
    }
    let another = FetchRequest {
        session_epoch: 0,
        ..request(12, &topic, vec![row(0, 6)])
    };
    let response = harness.ask(12, &another).await;
    assert_eq!(
        (response.session_id, told(&response)),
        (0, vec![good(0, 7, &["g"])])
    );
    harness.clock.advance(Duration::from_mins(2));
    assert!(harness.ask(12, &another).await.session_id > 0);
    let first = first.expect("there was one");
    assert_eq!(first.error(12, 1).await, ErrorCode::FetchSessionIdNotFound);
}

#[tokio::test]
async fn a_partition_named_twice_is_answered_once() {
    let (harness, topic) = filled().await;
    for version in VERSIONS {
        let request = request(version, &topic, vec![row(0, 0), row(1, 0), row(0, 6)]);
        let response = harness.ask(version, &request).await;
        let expected = [good(0, 7, &["g"]), good(1, 1, &["other"])];
        assert_eq!(told(&response), expected, "v{version}");
    }
}
