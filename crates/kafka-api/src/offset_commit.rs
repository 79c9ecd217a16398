//! OffsetCommit, by members and by consumers that do not balance (KIP-320, KIP-848's topic ids).

use std::sync::Arc;

use broker::{Commit, GroupError, Membership, PositionError, Topic};
use kafka_wire::ErrorCode;
use kafka_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use records::Offset;
use storage::TopicId;

use crate::Context;
use crate::error::Coded;

/// First version that names topics by id.
const IDS_FROM: i16 = 10;
/// First version that members of the new protocol may use.
const EPOCHS_FROM: i16 = 9;
/// First version that tells a missing group from a wrong generation.
const MISSING_GROUP_FROM: i16 = 9;

pub(crate) async fn handle(context: Context, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let from = Membership {
        generation: request.generation_id_or_member_epoch,
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
    };
    let retention_ms = Some(request.retention_time_ms).filter(|ms| *ms >= 0);
    let mut commits = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let (topic, absent) = find(&context, &asked);
        let mut rows = Vec::with_capacity(asked.partitions.len());
        for row in asked.partitions {
            let known = topic
                .as_ref()
                .filter(|topic| topic.partition(row.partition_index).is_ok());
            let code = if topic.is_some() {
                ErrorCode::UnknownTopicOrPartition
            } else {
                absent
            };
            rows.push(OffsetCommitResponsePartition {
                partition_index: row.partition_index,
                error_code: if known.is_some() { 0 } else { code.code() },
            });
            if let Some(topic) = known {
                commits.push(commit(topic, row, retention_ms));
            }
        }
        topics.push(OffsetCommitResponseTopic {
            name: asked.name,
            topic_id: asked.topic_id,
            partitions: rows,
        });
    }
    if !commits.is_empty() {
        let groups = context.broker().groups();
        let epochs_known = context.version >= EPOCHS_FROM;
        let outcome = groups
            .commit_member_offsets(&request.group_id, &from, epochs_known, commits)
            .await;
        fill(&mut topics, outcome, context.version);
    }
    OffsetCommitResponse {
        topics,
        ..Default::default()
    }
}

/// The topic, and what its absence is called.
fn find(context: &Context, asked: &OffsetCommitRequestTopic) -> (Option<Arc<Topic>>, ErrorCode) {
    if context.version >= IDS_FROM {
        let topic = context.broker().topic_by_id(TopicId(asked.topic_id.0));
        return (topic, ErrorCode::UnknownTopicId);
    }
    let topic = context.broker().topic(&asked.name);
    (topic, ErrorCode::UnknownTopicOrPartition)
}

fn commit(
    topic: &Arc<Topic>,
    row: OffsetCommitRequestPartition,
    retention_ms: Option<i64>,
) -> Commit {
    Commit {
        topic: Arc::clone(topic),
        partition: row.partition_index,
        offset: Offset::new(row.committed_offset),
        leader_epoch: Some(row.committed_leader_epoch).filter(|epoch| *epoch >= 0),
        metadata: row
            .committed_metadata
            .map(|text| text.to_string())
            .unwrap_or_default(),
        retention_ms,
    }
}

/// The outcomes belong to the rows without an error, in their order.
fn fill(
    topics: &mut [OffsetCommitResponseTopic],
    outcome: Result<Vec<Result<(), PositionError>>, GroupError>,
    version: i16,
) {
    let committed = topics
        .iter_mut()
        .flat_map(|topic| &mut topic.partitions)
        .filter(|row| row.error_code == 0);
    match outcome {
        Ok(outcomes) => {
            for (row, outcome) in committed.zip(outcomes) {
                if let Err(error) = outcome {
                    row.error_code = error.code().code();
                }
            }
        }
        Err(error) => {
            let code = match error {
                GroupError::NotFound { .. } if version < MISSING_GROUP_FROM => {
                    ErrorCode::IllegalGeneration
                }
                error => error.code(),
            };
            committed.for_each(|row| row.error_code = code.code());
        }
    }
}

#[cfg(test)]
mod tests;
