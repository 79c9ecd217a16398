//! What is committed is fetched, by name and by id; the rows that cannot be are told one by one.

use kafka_wire::Uuid;
use kafka_wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
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

fn asks(names: &[&str], index: i32, times: usize) -> Vec<OffsetFetchRequestTopic> {
    let named = |name: &&str| OffsetFetchRequestTopic {
        name: (*name).into(),
        partition_indexes: vec![index; times],
    };
    names.iter().map(named).collect()
}

#[tokio::test]
async fn a_partition_that_is_named_often_is_answered_once() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    let commit = OffsetCommitRequest {
        group_id: "g".into(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".into(),
            partitions: rows(5),
            ..Default::default()
        }],
        ..Default::default()
    };
    harness.ask(9, &commit).await;
    let request = OffsetFetchRequest {
        group_id: "g".into(),
        topics: Some(asks(&["t", "u", "t"], 0, 1000)),
        ..Default::default()
    };
    let response = harness.ask(7, &request).await;
    let found: Vec<(&str, usize)> = response
        .topics
        .iter()
        .map(|topic| (&*topic.name, topic.partitions.len()))
        .collect();
    assert_eq!(found, [("t", 1), ("u", 1)]);
    assert_eq!(response.topics[0].partitions[0].committed_offset, 5);

    let delete = |index| OffsetDeleteRequestTopic {
        name: "t".into(),
        partitions: vec![
            OffsetDeleteRequestPartition {
                partition_index: index,
            };
            1000
        ],
    };
    let request = OffsetDeleteRequest {
        group_id: "g".into(),
        topics: vec![delete(0), delete(7), delete(0)],
    };
    let response = harness.ask(0, &request).await;
    let rows = response.topics.iter().map(|topic| topic.partitions.len());
    assert_eq!(rows.collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test]
async fn the_name_of_a_group_is_not_repeated_without_end() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    let row = OffsetCommitRequestPartition {
        committed_leader_epoch: -1,
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: "g".repeat(32_000).into(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![row; 2000],
            ..Default::default()
        }],
        ..Default::default()
    };
    let response = harness.ask(9, &request).await;
    let partitions = &response.topics[0].partitions;
    let codes = [&partitions[0], &partitions[1999]].map(|row| row.error_code);
    assert_eq!(codes, [0, ErrorCode::InvalidCommitOffsetSize.code()]);
}
