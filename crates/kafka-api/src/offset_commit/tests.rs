//! What is committed is fetched, by name and by id; the rows that cannot be are told one by one.

use kafka_wire::Uuid;
use kafka_wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic,
};

use super::*;
use crate::harness::Harness;

fn rows(offset: i64) -> Vec<OffsetCommitRequestPartition> {
    [0, 7]
        .map(|partition_index| OffsetCommitRequestPartition {
            partition_index,
            committed_offset: offset,
            committed_leader_epoch: -1,
            committed_metadata: Some("note".into()),
        })
        .into()
}

#[tokio::test]
async fn every_version_commits_and_every_version_fetches() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 1).await;
    let unknown = ErrorCode::UnknownTopicOrPartition;
    for version in 2..=IDS_FROM {
        let group = format!("g{version}");
        let by_id = version >= IDS_FROM;
        let of = |name: &str, id: Uuid| OffsetCommitRequestTopic {
            name: if by_id { "".into() } else { name.into() },
            topic_id: if by_id { id } else { Uuid::ZERO },
            partitions: rows(version.into()),
        };
        let request = OffsetCommitRequest {
            group_id: group.as_str().into(),
            topics: vec![of("t", Uuid(topic.id().0)), of("absent", Uuid([9; 16]))],
            ..Default::default()
        };
        let response = harness.ask(version, &request).await;
        let all = response.topics.iter().flat_map(|topic| &topic.partitions);
        let codes: Vec<i16> = all.map(|row| row.error_code).collect();
        let absent = if by_id {
            ErrorCode::UnknownTopicId
        } else {
            unknown
        }
        .code();
        assert_eq!(codes, [0, unknown.code(), absent, absent], "v{version}");

        for fetch_version in [1, 7] {
            let request = OffsetFetchRequest {
                group_id: group.as_str().into(),
                topics: Some(vec![OffsetFetchRequestTopic {
                    name: "t".into(),
                    partition_indexes: vec![0, 7],
                }]),
                ..Default::default()
            };
            let response = harness.ask(fetch_version, &request).await;
            let partitions = &response.topics[0].partitions;
            let found: Vec<i64> = partitions.iter().map(|row| row.committed_offset).collect();
            assert_eq!(found, [version.into(), -1]);
            assert_eq!(partitions[0].metadata.as_deref(), Some("note"));
        }
        for fetch_version in [8, 10] {
            let one = OffsetFetchRequestGroup {
                group_id: group.as_str().into(),
                topics: None,
                ..Default::default()
            };
            let request = OffsetFetchRequest {
                groups: vec![one.clone(), one],
                ..Default::default()
            };
            let response = harness.ask(fetch_version, &request).await;
            assert_eq!(
                response.groups.len(),
                1,
                "a group named twice is answered once"
            );
            let topic = &response.groups[0].topics[0];
            assert_eq!(topic.topic_id.is_zero(), fetch_version < 10);
            assert_eq!(topic.partitions[0].committed_offset, version.into());
        }
    }
}
