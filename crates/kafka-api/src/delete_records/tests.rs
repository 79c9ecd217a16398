//! What goes, and what is refused with Kafka's codes.

use kafka_wire::messages::delete_records::DeleteRecordsTopic;

use super::*;
use crate::harness::Harness;

async fn told(
    harness: &Harness,
    version: i16,
    asked: &[(&str, i32, i64)],
) -> Vec<(String, i32, i64, ErrorCode)> {
    let topic = |(name, partition_index, offset): &(&str, i32, i64)| DeleteRecordsTopic {
        name: (*name).into(),
        partitions: vec![DeleteRecordsPartition {
            partition_index: *partition_index,
            offset: *offset,
        }],
    };
    let request = DeleteRecordsRequest {
        topics: asked.iter().map(topic).collect(),
        timeout_ms: 30_000,
    };
    let response = harness.ask(version, &request).await;
    let rows = response.topics.into_iter().flat_map(|topic| {
        let name = topic.name.to_string();
        topic
            .partitions
            .into_iter()
            .map(move |row| (name.clone(), row))
    });
    rows.map(|(name, row)| {
        let code = ErrorCode::from_code(row.error_code).expect("a code of Kafka");
        (name, row.partition_index, row.low_watermark, code)
    })
    .collect()
}

#[tokio::test]
async fn every_partition_is_answered_by_itself() {
    for version in 0..=2 {
        let harness = Harness::new().await;
        let topic = harness.topic("t", 2).await;
        harness.append(&topic, 0, &["a", "b", "c"]);
        harness.append(&topic, 1, &["a"]);
        let range = ErrorCode::OffsetOutOfRange;
        let unknown = ErrorCode::UnknownTopicOrPartition;
        for (name, partition, offset, low_watermark, code) in [
            ("t", 0, 0, 0, ErrorCode::None),
            ("t", 0, 2, 2, ErrorCode::None),
            ("t", 0, 1, 2, ErrorCode::None),
            ("t", 0, 4, -1, range),
            ("t", 0, -2, -1, range),
            ("t", 0, i64::MAX, -1, range),
            ("t", 0, i64::MIN, -1, range),
            ("t", 0, -1, 3, ErrorCode::None),
            ("t", 1, -1, 1, ErrorCode::None),
            ("t", 2, 0, -1, unknown),
            ("t", -1, 0, -1, unknown),
            ("absent", 0, 0, -1, unknown),
        ] {
            let told = told(&harness, version, &[(name, partition, offset)]).await;
            let expected = (name.to_owned(), partition, low_watermark, code);
            assert_eq!(told, [expected], "version {version}, {offset}");
        }
    }
}

#[tokio::test]
async fn a_refusal_does_not_keep_others() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 2).await;
    harness.append(&topic, 1, &["a"]);
    let asked = [("absent", 0, 0), ("t", 0, 1), ("t", 1, 1)];
    let told = told(&harness, 2, &asked).await;
    let codes: Vec<_> = told.into_iter().map(|row| (row.2, row.3)).collect();
    let expected = [
        (-1, ErrorCode::UnknownTopicOrPartition),
        (-1, ErrorCode::OffsetOutOfRange),
        (1, ErrorCode::None),
    ];
    assert_eq!(codes, expected);
}
