//! Where epochs end.

use kafka_wire::messages::offset_for_leader_epoch::OffsetForLeaderTopic;

use super::*;
use crate::harness::Harness;

const VERSIONS: std::ops::RangeInclusive<i16> = 2..=4;

async fn end(
    harness: &Harness,
    version: i16,
    (topic, partition): (&str, i32),
    (current_leader_epoch, leader_epoch): (i32, i32),
) -> (ErrorCode, i32, i64) {
    let request = OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![OffsetForLeaderTopic {
            topic: topic.into(),
            partitions: vec![OffsetForLeaderPartition {
                partition,
                current_leader_epoch,
                leader_epoch,
            }],
        }],
    };
    let response = harness.ask(version, &request).await;
    assert_eq!(response.topics[0].topic, topic);
    let row = &response.topics[0].partitions[0];
    assert_eq!(row.partition, partition);
    let code = ErrorCode::from_code(row.error_code).expect("a code of Kafka");
    (code, row.leader_epoch, row.end_offset)
}

#[tokio::test]
async fn every_question_in_every_version() {
    // Epoch 0 has offsets 0 to 2, epoch 1 none, epoch 2 the rest.
    let first = Harness::new().await;
    let topic = first.topic("t", 2).await;
    first.append(&topic, 0, &["a", "b", "c"]);
    let second = first.restarted().await;
    let harness = second.restarted().await;
    let topic = harness.broker().topic("t").expect("is kept");
    harness.append(&topic, 0, &["d"]);
    let failed = |code| (code, -1, -1);
    // ((topic, partition), (current, asked), answer)
    let cases = [
        (("t", 0), (-1, 0), (ErrorCode::None, 0, 3)),
        (("t", 0), (-1, 2), (ErrorCode::None, 2, 4)),
        (("t", 0), (2, 2), (ErrorCode::None, 2, 4)),
        (("t", 0), (-1, 9), failed(ErrorCode::None)),
        (("t", 1), (-1, 2), (ErrorCode::None, 2, 0)),
        (("t", 0), (1, 0), failed(ErrorCode::FencedLeaderEpoch)),
        (("t", 0), (6, 0), failed(ErrorCode::UnknownLeaderEpoch)),
        (
            ("t", 99),
            (-1, 0),
            failed(ErrorCode::UnknownTopicOrPartition),
        ),
        (
            ("t", -1),
            (-1, 0),
            failed(ErrorCode::UnknownTopicOrPartition),
        ),
        (
            ("absent", 0),
            (-1, 0),
            failed(ErrorCode::UnknownTopicOrPartition),
        ),
        (
            ("..", 0),
            (-1, 0),
            failed(ErrorCode::UnknownTopicOrPartition),
        ),
    ];
    for (place, epochs, expected) in cases {
        for version in VERSIONS {
            let got = end(&harness, version, place, epochs).await;
            assert_eq!(got, expected, "{place:?} {epochs:?} v{version}");
        }
    }
}
