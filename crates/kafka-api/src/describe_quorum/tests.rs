//! One node is its own quorum.

use super::*;
use crate::harness::Harness;

#[tokio::test]
async fn the_node_is_the_quorum_of_the_metadata_and_of_nothing_else() {
    let harness = Harness::new().await;
    let cases: [(&str, &[i32], bool); 5] = [
        (METADATA_TOPIC, &[0], true),
        (METADATA_TOPIC, &[1], false),
        (METADATA_TOPIC, &[0, 1], false),
        (METADATA_TOPIC, &[], false),
        ("t", &[0], false),
    ];
    for version in 0..=2 {
        for (topic, partitions, known) in cases {
            let partition = |partition_index: &i32| PartitionData {
                partition_index: *partition_index,
            };
            let request = DescribeQuorumRequest {
                topics: vec![TopicData {
                    topic_name: topic.into(),
                    partitions: partitions.iter().map(partition).collect(),
                }],
            };
            let response = harness.ask(version, &request).await;
            assert_eq!(response.nodes.len(), usize::from(known && version >= 2));
            for row in &response.topics[0].partitions {
                let unknown = ErrorCode::UnknownTopicOrPartition.code();
                assert_eq!(row.error_code, if known { 0 } else { unknown }, "{topic}");
                let voters: Vec<_> = row.current_voters.iter().map(|v| v.replica_id).collect();
                assert_eq!(voters, if known { vec![1] } else { Vec::new() });
            }
        }
    }
}
