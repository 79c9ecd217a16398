//! Elections and moves, as one healthy broker answers them.

use kafka_wire::messages::alter_partition_reassignments::ReassignableTopic;
use kafka_wire::messages::elect_leaders::TopicPartitions;

use super::*;
use crate::harness::Harness;

#[tokio::test]
async fn no_partition_needs_a_leader() {
    use ErrorCode::{ElectionNotNeeded, UnknownTopicOrPartition};
    let harness = Harness::new().await;
    harness.topic("t", 2).await;
    let cases: [(&str, i32, ErrorCode); 4] = [
        ("t", 1, ElectionNotNeeded),
        ("t", 2, UnknownTopicOrPartition),
        ("t", -1, UnknownTopicOrPartition),
        ("absent", 0, UnknownTopicOrPartition),
    ];
    for version in 0..=2 {
        for (topic, partition, code) in cases {
            let request = ElectLeadersRequest {
                topic_partitions: Some(vec![TopicPartitions {
                    topic: topic.into(),
                    partitions: vec![partition],
                }]),
                ..Default::default()
            };
            let response = harness.ask(version, &request).await;
            let row = &response.replica_election_results[0].partition_result[0];
            assert_eq!(row.error_code, code.code(), "{topic}-{partition}");
            assert!(row.error_message.is_some());
        }
        let all = ElectLeadersRequest {
            topic_partitions: None,
            ..Default::default()
        };
        let response = harness.ask(version, &all).await;
        let rows = response.replica_election_results;
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].topic.as_str(), rows[0].partition_result.len()),
            ("t", 0)
        );
    }
    let strange = ElectLeadersRequest {
        election_type: 7,
        ..Default::default()
    };
    let response = harness.ask(1, &strange).await;
    assert_eq!(response.error_code, ErrorCode::InvalidRequest.code());
}

#[tokio::test]
async fn a_partition_stays_where_it_is() {
    use ErrorCode::{InvalidReplicaAssignment, NoReassignmentInProgress, UnknownTopicOrPartition};
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    let cases: [(&str, i32, Option<&[i32]>, ErrorCode); 8] = [
        ("t", 0, Some(&[1]), ErrorCode::None),
        ("t", 0, None, NoReassignmentInProgress),
        ("t", 0, Some(&[]), InvalidReplicaAssignment),
        ("t", 0, Some(&[2]), InvalidReplicaAssignment),
        ("t", 0, Some(&[1, 2]), InvalidReplicaAssignment),
        ("t", 0, Some(&[1, 1]), InvalidReplicaAssignment),
        ("t", 1, Some(&[1]), UnknownTopicOrPartition),
        ("absent", 0, None, UnknownTopicOrPartition),
    ];
    for version in 0..=1 {
        for (topic, partition, replicas, code) in cases {
            let request = AlterPartitionReassignmentsRequest {
                topics: vec![ReassignableTopic {
                    name: topic.into(),
                    partitions: vec![ReassignablePartition {
                        partition_index: partition,
                        replicas: replicas.map(<[i32]>::to_vec),
                    }],
                }],
                ..Default::default()
            };
            let response = harness.ask(version, &request).await;
            let row = &response.responses[0].partitions[0];
            assert_eq!(
                row.error_code,
                code.code(),
                "{topic}-{partition} {replicas:?}"
            );
        }
    }
    let request = ListPartitionReassignmentsRequest::default();
    let response = harness.ask(0, &request).await;
    assert_eq!(response, ListPartitionReassignmentsResponse::default());
}
