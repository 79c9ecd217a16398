//! ElectLeaders, AlterPartitionReassignments and ListPartitionReassignments (KIP-460, KIP-455), as
//! a single healthy broker answers them: each partition has one copy, which leads and stays.

use kafka_wire::ErrorCode;
use kafka_wire::messages::alter_partition_reassignments::{
    ReassignablePartition, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_wire::messages::elect_leaders::{PartitionResult, ReplicaElectionResult};
use kafka_wire::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ElectLeadersRequest,
    ElectLeadersResponse, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use crate::Context;
use crate::error::{Refusal, error_message};

pub(crate) async fn elect(context: Context, request: ElectLeadersRequest) -> ElectLeadersResponse {
    if !(0..=1).contains(&request.election_type) {
        return ElectLeadersResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            ..Default::default()
        };
    }
    let Some(topics) = request.topic_partitions else {
        // Asked for all, only partitions whose leader changes are told: none.
        let all = context.broker().topics();
        let results = all.iter().map(|topic| ReplicaElectionResult {
            topic: topic.name().as_str().into(),
            partition_result: Vec::new(),
        });
        return ElectLeadersResponse {
            replica_election_results: results.collect(),
            ..Default::default()
        };
    };
    let mut replica_election_results = Vec::with_capacity(topics.len());
    for topic in topics {
        let elected = |partition_id: &i32| {
            let (code, message) = match find(&context, &topic.topic, *partition_id) {
                Ok(()) => (
                    ErrorCode::ElectionNotNeeded,
                    "Leader election not needed for topic partition.".to_owned(),
                ),
                Err(refusal) => refusal,
            };
            PartitionResult {
                partition_id: *partition_id,
                error_code: code.code(),
                error_message: Some(error_message(&message)),
            }
        };
        let partition_result = topic.partitions.iter().map(elected).collect();
        replica_election_results.push(ReplicaElectionResult {
            topic: topic.topic.clone(),
            partition_result,
        });
        tokio::task::consume_budget().await;
    }
    ElectLeadersResponse {
        replica_election_results,
        ..Default::default()
    }
}

pub(crate) async fn reassign(
    context: Context,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let mut responses = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let answer = |partition: &ReassignablePartition| {
            let placed = find(&context, &topic.name, partition.partition_index)
                .and_then(|()| check_replicas(&context, partition.replicas.as_deref()));
            let (code, message) = placed.err().unzip();
            ReassignablePartitionResponse {
                partition_index: partition.partition_index,
                error_code: code.unwrap_or(ErrorCode::None).code(),
                error_message: message.as_deref().map(error_message),
            }
        };
        responses.push(ReassignableTopicResponse {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(answer).collect(),
        });
        tokio::task::consume_budget().await;
    }
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses,
        ..Default::default()
    }
}

/// Nothing ever moves, so nothing is on its way.
pub(crate) async fn list_reassignments(
    _context: Context,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}

/// Where a partition may be: here. `None` takes back a move.
fn check_replicas(context: &Context, replicas: Option<&[i32]>) -> Result<(), Refusal> {
    let node = context.broker().config().node_id;
    let refuse = |message: String| Err((ErrorCode::InvalidReplicaAssignment, message));
    match replicas {
        None => Err((
            ErrorCode::NoReassignmentInProgress,
            "No partition reassignment is in progress.".to_owned(),
        )),
        Some([]) => {
            refuse("The manual partition assignment includes an empty replica list.".into())
        }
        Some(replicas) => {
            if let Some(stranger) = replicas.iter().find(|replica| **replica != node) {
                return refuse(format!(
                    "The manual partition assignment includes broker {stranger}, but no such \
                     broker is registered."
                ));
            }
            if replicas.len() > 1 {
                return refuse(format!(
                    "The manual partition assignment includes the broker {node} more than once."
                ));
            }
            Ok(())
        }
    }
}

fn find(context: &Context, topic: &str, partition: i32) -> Result<(), Refusal> {
    let unknown = |message| Err((ErrorCode::UnknownTopicOrPartition, message));
    match context.broker().topic(topic) {
        None => unknown(format!("No such topic as {topic}")),
        Some(found) if found.partition(partition).is_err() => {
            unknown(format!("No such partition as {topic}-{partition}"))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
