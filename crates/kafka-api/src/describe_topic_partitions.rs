//! DescribeTopicPartitions: topics page by page (KIP-966).

use std::collections::BTreeSet;

use broker::Topic;
use kafka_wire::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic, TopicRequest,
};
use kafka_wire::{ErrorCode, Uuid};
use storage::TopicName;

use crate::Context;
use crate::metadata::TOPIC_OPERATIONS;

/// `max.request.partition.size.limit`: partitions of one page.
const PAGE_PARTITIONS_MAX: usize = 2000;

pub(crate) async fn handle(
    context: Context,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let topics = context.broker().topics();
    let all = request.topics.is_empty();
    let asked = request.topics.iter().map(|topic| topic.name.as_str());
    let mut names: BTreeSet<&str> = if all {
        topics.iter().map(|topic| topic.name().as_str()).collect()
    } else {
        asked.collect()
    };
    let mut from = 0;
    if let Some(cursor) = &request.cursor {
        let is_asked = all || names.contains(cursor.topic_name.as_str());
        let Some(partition) = u32::try_from(cursor.partition_index)
            .ok()
            .filter(|_| is_asked)
        else {
            return invalid_cursor(&request);
        };
        names = names.split_off(cursor.topic_name.as_str());
        if names.first() == Some(&cursor.topic_name.as_str()) {
            from = partition;
        }
    }
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut left = limit.clamp(1, PAGE_PARTITIONS_MAX);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names {
        if left == 0 {
            response.next_cursor = Some(cursor(name, from));
            break;
        }
        tokio::task::consume_budget().await;
        let Some(topic) = topics.by_name(name) else {
            response.topics.push(unknown(name));
            from = 0;
            continue;
        };
        let page = describe(&context, topic, from, left);
        let told = page.partitions.len();
        response.topics.push(page);
        left -= told;
        let next = from.saturating_add(u32::try_from(told).unwrap_or(u32::MAX));
        if next < topic.partition_count() {
            response.next_cursor = Some(cursor(name, next));
            break;
        }
        from = 0;
    }
    response
}

/// The cursor names no partition, or a topic that is not asked for.
fn invalid_cursor(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let refused = |topic: &TopicRequest| DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::InvalidRequest.code(),
        name: Some(topic.name.clone()),
        ..Default::default()
    };
    DescribeTopicPartitionsResponse {
        topics: request.topics.iter().map(refused).collect(),
        ..Default::default()
    }
}

fn cursor(name: &str, partition: u32) -> Cursor {
    Cursor {
        topic_name: name.into(),
        partition_index: i32::try_from(partition).unwrap_or(i32::MAX),
    }
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let code = match TopicName::parse(name) {
        Ok(_) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: code.code(),
        name: Some(name.into()),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

fn describe(
    context: &Context,
    topic: &Topic,
    from: u32,
    limit: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let node = context.broker().config().node_id;
    let partitions = (from..topic.partition_count())
        .take(limit)
        .map(|partition| {
            let partition = i32::try_from(partition).unwrap_or(i32::MAX);
            let epoch = context.broker().leader_epoch(topic, partition);
            let (online, offline) = if epoch.is_ok() {
                (vec![node], Vec::new())
            } else {
                (Vec::new(), vec![node])
            };
            DescribeTopicPartitionsResponsePartition {
                error_code: if epoch.is_ok() {
                    0
                } else {
                    ErrorCode::LeaderNotAvailable.code()
                },
                partition_index: partition,
                leader_id: if epoch.is_ok() { node } else { -1 },
                leader_epoch: epoch.unwrap_or(-1),
                replica_nodes: vec![node],
                isr_nodes: online,
                eligible_leader_replicas: Some(Vec::new()),
                last_known_elr: Some(Vec::new()),
                offline_replicas: offline,
            }
        });
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name().as_str().into()),
        topic_id: Uuid(topic.id().0),
        partitions: partitions.collect(),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
