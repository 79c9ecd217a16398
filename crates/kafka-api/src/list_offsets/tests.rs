//! Special values by version, times, epochs, and what is refused, as recorded from Kafka.

use broker::Origin;
use kafka_wire::messages::list_offsets::ListOffsetsTopic;
use records::{BatchBuilder, Codec};
use storage::BytesPermit;

use super::*;
use crate::harness::{Harness, NOW_MS, batch_of};

const VERSIONS: std::ops::RangeInclusive<i16> = 1..=11;
/// Before it there is no leader epoch in the answer.
const EPOCHS_FROM: i16 = 4;

fn ask_for(name: &str, partitions: Vec<(i32, i64)>) -> ListOffsetsRequest {
    let rows = partitions.into_iter();
    let rows = rows.map(|(partition_index, timestamp)| ListOffsetsPartition {
        partition_index,
        timestamp,
        ..Default::default()
    });
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: name.into(),
            partitions: rows.collect(),
        }],
        ..Default::default()
    }
}

/// Code, timestamp, offset and leader epoch.
type Told = (ErrorCode, i64, i64, i32);

async fn told(harness: &Harness, version: i16, request: &ListOffsetsRequest) -> Vec<Told> {
    let response = harness.ask(version, request).await;
    let rows = response
        .topics
        .into_iter()
        .flat_map(|topic| topic.partitions);
    rows.map(|row| {
        let code = ErrorCode::from_code(row.error_code).expect("a code of Kafka");
        (code, row.timestamp, row.offset, row.leader_epoch)
    })
    .collect()
}

const fn failed(code: ErrorCode) -> Told {
    (code, -1, -1, -1)
}

/// Times 0, 10, 500, 510 after [`NOW_MS`] in two batches, then an older compressed one.
async fn timed() -> Harness {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 2).await;
    let batches: [(Codec, &[i64]); 3] = [
        (Codec::None, &[0, 10]),
        (Codec::None, &[500, 510]),
        (Codec::Zstd, &[100, 110, 120]),
    ];
    for (codec, times) in batches {
        let mut builder = BatchBuilder::new(codec);
        let (last, before) = times.split_last().expect("not empty");
        for after in before {
            let appended = builder.append(NOW_MS + after, None, Some(b"v"), &[]);
            appended.expect("a small record");
        }
        let bytes = batch_of(builder, NOW_MS + last, &["v"]);
        let (origin, permit) = (Origin::default(), BytesPermit::free());
        let ticket = harness.broker().append(&topic, 0, bytes, origin, permit);
        ticket.expect("accepted").placed().expect("placed");
    }
    harness
}

#[tokio::test]
async fn special_values_by_version() {
    let harness = timed().await;
    let none = failed(ErrorCode::None);
    // (value, first version, partition 0, partition 1 which is empty)
    let cases = [
        (
            -1,
            1,
            (ErrorCode::None, -1, 7, 0),
            (ErrorCode::None, -1, 0, 0),
        ),
        (
            -2,
            1,
            (ErrorCode::None, -1, 0, 0),
            (ErrorCode::None, -1, 0, 0),
        ),
        (-3, 7, (ErrorCode::None, NOW_MS + 510, 3, 0), none),
        (
            -4,
            8,
            (ErrorCode::None, -1, 0, 0),
            (ErrorCode::None, -1, 0, 0),
        ),
        (-5, 9, none, none),
        (-6, 11, none, none),
        (-7, 12, none, none),
        (-100, 12, none, none),
        (i64::MIN, 12, none, none),
    ];
    for (value, since, full, empty) in cases {
        for version in VERSIONS {
            let request = ask_for("t", vec![(0, value), (1, value)]);
            let got = told(&harness, version, &request).await;
            let expected = [full, empty].map(|row| match version {
                _ if version < since => failed(ErrorCode::UnsupportedVersion),
                ..EPOCHS_FROM => (row.0, row.1, row.2, -1),
                _ => row,
            });
            assert_eq!(got, expected, "{value} v{version}");
        }
    }
}

#[tokio::test]
async fn times() {
    let harness = timed().await;
    let cases = [
        (-1000, Some((0, 0))),
        (0, Some((0, 0))),
        (1, Some((10, 1))),
        (10, Some((10, 1))),
        (11, Some((500, 2))),
        (100, Some((500, 2))),
        (500, Some((500, 2))),
        (505, Some((510, 3))),
        (510, Some((510, 3))),
        (511, None),
        (100_000, None),
    ];
    for (after, expected) in cases {
        for version in VERSIONS {
            let request = ask_for("t", vec![(0, NOW_MS + after), (1, NOW_MS + after)]);
            let got = told(&harness, version, &request).await;
            let epoch = if version >= EPOCHS_FROM { 0 } else { -1 };
            let found = expected.map_or(failed(ErrorCode::None), |(after, offset)| {
                (ErrorCode::None, NOW_MS + after, offset, epoch)
            });
            assert_eq!(got, [found, failed(ErrorCode::None)], "+{after} v{version}");
        }
    }
    let zero = told(&harness, 1, &ask_for("t", vec![(0, 0)])).await;
    assert_eq!(zero, [(ErrorCode::None, NOW_MS, 0, -1)]);
}

#[tokio::test]
async fn what_does_not_exist_and_what_comes_twice() {
    let harness = timed().await;
    let unknown = failed(ErrorCode::UnknownTopicOrPartition);
    let cases = [
        ("t", vec![(99, -1)], vec![unknown]),
        ("t", vec![(-1, -1)], vec![unknown]),
        ("absent", vec![(0, -1)], vec![unknown]),
        ("..", vec![(0, -1)], vec![unknown]),
        (
            "t",
            vec![(0, -1), (0, -2)],
            vec![failed(ErrorCode::InvalidRequest)],
        ),
        (
            "t",
            vec![(0, -1), (99, -1), (0, -1)],
            vec![failed(ErrorCode::InvalidRequest), unknown],
        ),
        ("t", Vec::new(), Vec::new()),
    ];
    for (name, asked, expected) in cases {
        for version in VERSIONS {
            let got = told(&harness, version, &ask_for(name, asked.clone())).await;
            assert_eq!(got, expected, "{name} {asked:?} v{version}");
        }
    }
}

#[tokio::test]
async fn leader_epochs_are_compared() {
    let first = timed().await;
    let harness = first.restarted().await;
    let cases = [
        (-1, ErrorCode::None),
        (1, ErrorCode::None),
        (0, ErrorCode::FencedLeaderEpoch),
        (2, ErrorCode::UnknownLeaderEpoch),
    ];
    for (epoch, expected) in cases {
        for version in EPOCHS_FROM..=11 {
            for isolation_level in [0, 1] {
                let mut request = ask_for("t", vec![(0, -1)]);
                request.topics[0].partitions[0].current_leader_epoch = epoch;
                request.isolation_level = isolation_level;
                let got = told(&harness, version, &request).await;
                let found = match expected {
                    ErrorCode::None => (ErrorCode::None, -1, 7, 1),
                    code => failed(code),
                };
                assert_eq!(got, [found], "epoch {epoch} v{version}");
            }
        }
    }
    // The epoch of the record, not of the partition.
    let got = told(&harness, 4, &ask_for("t", vec![(0, -2), (1, -2)])).await;
    let expected = [(ErrorCode::None, -1, 0, 0), (ErrorCode::None, -1, 0, 1)];
    assert_eq!(got, expected);
}

#[tokio::test]
async fn the_end_covers_what_was_acknowledged() {
    let harness = Harness::with_manual_commit().await;
    let topic = harness.topic("t", 1).await;
    harness.append(&topic, 0, &["a"]);
    let request = ask_for("t", vec![(0, -1)]);
    let asked = told(&harness, 1, &request);
    let committed = async {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        harness.memory.commit_all();
    };
    let (got, ()) = tokio::join!(asked, committed);
    assert_eq!(got, [(ErrorCode::None, -1, 1, -1)], "waits for the sync");
}
