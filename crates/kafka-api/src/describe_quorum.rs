//! DescribeQuorum (KIP-595, 836, 853): who keeps the metadata. One node does, and it is its own
//! quorum.
//!
//! The metadata is a table here, not a log that others fetch, so its offsets and its epoch are 0
//! and nothing lags.

use kafka_wire::messages::describe_quorum::{
    Listener, Node, PartitionData, ReplicaState, ResponsePartitionData, ResponseTopicData,
    TopicData,
};
use kafka_wire::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use kafka_wire::{ErrorCode, Uuid};

use crate::Context;

/// Kafka's name for the log of the metadata, which has one partition.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// First version that tells where the nodes are.
const NODES_FROM: i16 = 2;

pub(crate) async fn handle(
    context: Context,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    // As in Kafka, any other question makes all of them unknown.
    let is_partition = |partition: &PartitionData| partition.partition_index == 0;
    let is_metadata = |topic: &TopicData| {
        topic.topic_name.as_str() == METADATA_TOPIC
            && matches!(topic.partitions.as_slice(), [one] if is_partition(one))
    };
    let known = matches!(request.topics.as_slice(), [one] if is_metadata(one));
    let partition = |partition: &PartitionData| {
        if known {
            quorum(&context, partition.partition_index)
        } else {
            ResponsePartitionData {
                partition_index: partition.partition_index,
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                ..Default::default()
            }
        }
    };
    let topic = |topic: &TopicData| ResponseTopicData {
        topic_name: topic.topic_name.clone(),
        partitions: topic.partitions.iter().map(partition).collect(),
    };
    DescribeQuorumResponse {
        topics: request.topics.iter().map(topic).collect(),
        nodes: if known && context.version >= NODES_FROM {
            vec![node(&context)]
        } else {
            Vec::new()
        },
        ..Default::default()
    }
}

fn quorum(context: &Context, partition_index: i32) -> ResponsePartitionData {
    let node = context.broker().config().node_id;
    let now_ms = context.broker().clock().wall_ms();
    let voter = ReplicaState {
        replica_id: node,
        replica_directory_id: Uuid::ZERO,
        log_end_offset: 0,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
    };
    ResponsePartitionData {
        partition_index,
        leader_id: node,
        leader_epoch: 0,
        high_watermark: 0,
        current_voters: vec![voter],
        ..Default::default()
    }
}

fn node(context: &Context) -> Node {
    let (host, port) = context.advertised();
    let listener = Listener {
        name: "PLAINTEXT".into(),
        host: host.into(),
        port,
    };
    Node {
        node_id: context.broker().config().node_id,
        listeners: vec![listener],
    }
}

#[cfg(test)]
mod tests;
