//! Making, growing, deleting, listing and describing topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::{Broker, NewTopic, PartitionDescription, Topic};
use tonic::Status;

use crate::proto::{
    AddPartitionsRequest, AddPartitionsResponse, CreateTopicRequest, CreateTopicResponse,
    DeleteTopicRequest, DeleteTopicResponse, DescribeTopicRequest, DescribeTopicResponse,
    ListTopicsResponse, TopicSummary,
};
use crate::{error, lookup};

pub(crate) async fn create(
    broker: &Broker,
    request: CreateTopicRequest,
) -> Result<CreateTopicResponse, Status> {
    // Sorted, so that of two bad configs always the same one is named.
    let configs: BTreeMap<_, _> = request.configs.into_iter().collect();
    let new = NewTopic {
        partitions: request.partitions,
        configs: configs
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect(),
        ..NewTopic::named(&request.topic)
    };
    let created = broker.create_topic(new).await;
    let topic = created.map_err(|reason| error::create_topic(&reason, &request.topic))?;
    Ok(CreateTopicResponse {
        topic: topic.name().as_str().to_owned(),
        topic_id: topic.id().to_string(),
        partitions: Some(topic.partition_count().cast_signed()),
    })
}

pub(crate) async fn delete(
    broker: &Broker,
    request: DeleteTopicRequest,
) -> Result<DeleteTopicResponse, Status> {
    let topic = lookup::topic(broker, &request.topic)?;
    let deleted = broker.delete_topic(&topic).await;
    deleted.map_err(|reason| error::delete_topic(&reason, &request.topic))?;
    Ok(DeleteTopicResponse {
        topic: request.topic,
    })
}

pub(crate) async fn add_partitions(
    broker: &Broker,
    request: AddPartitionsRequest,
) -> Result<AddPartitionsResponse, Status> {
    let topic = lookup::topic(broker, &request.topic)?;
    let name = topic.name().as_str();
    let grown = broker
        .add_partitions(name, request.partitions, None, false)
        .await;
    let topic = grown.map_err(|reason| error::add_partitions(&reason, name))?;
    Ok(AddPartitionsResponse {
        topic: request.topic,
        partitions: Some(topic.partition_count().cast_signed()),
    })
}

pub(crate) fn list(broker: &Broker) -> ListTopicsResponse {
    let summary = |topic: &Arc<Topic>| TopicSummary {
        topic: topic.name().as_str().to_owned(),
        topic_id: topic.id().to_string(),
        partitions: Some(topic.partition_count().cast_signed()),
    };
    ListTopicsResponse {
        topics: broker.topics().iter().map(summary).collect(),
    }
}

pub(crate) async fn describe(
    broker: &Broker,
    request: DescribeTopicRequest,
) -> Result<DescribeTopicResponse, Status> {
    let topic = lookup::topic(broker, &request.topic)?;
    let mut partitions = Vec::new();
    for (partition, described) in (0..).zip(broker.describe_topic(&topic).await) {
        let described = described.map_err(|reason| error::partition(&reason, &topic, partition))?;
        partitions.push(description(partition, described));
    }
    let configs = topic.configs().clone();
    Ok(DescribeTopicResponse {
        topic: topic.name().as_str().to_owned(),
        topic_id: topic.id().to_string(),
        partitions,
        configs: configs.into_iter().collect(),
    })
}

fn description(
    partition: i32,
    described: PartitionDescription,
) -> crate::proto::PartitionDescription {
    crate::proto::PartitionDescription {
        partition: Some(partition),
        start_offset: Some(described.start.get()),
        end_offset: Some(described.end.get()),
        size_bytes: Some(i64::try_from(described.size_bytes).unwrap_or(i64::MAX)),
        segments: Some(i32::try_from(described.segments).unwrap_or(i32::MAX)),
        oldest_expires_ms: described.oldest_expires_ms,
    }
}
