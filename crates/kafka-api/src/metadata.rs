//! Metadata: the node, the topics, and the creation of topics that a producer names (KIP-226, 516).

use std::collections::HashSet;
use std::sync::Arc;

use broker::{CreateTopicError, Topic};
use kafka_wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_wire::{ErrorCode, Uuid, WireString};
use storage::{TopicId, TopicName};

use crate::Context;
use crate::error::Coded;

/// "Not asked for", in the fields of authorised operations.
pub(crate) const OPERATIONS_NOT_ASKED: i32 = i32::MIN;
/// All operations that Kafka's `AclOperation` lets a topic or the cluster have, as bits: what
/// everyone may do while there is no authorisation.
pub(crate) const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// As [`TOPIC_OPERATIONS`], of the cluster.
pub(crate) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

/// First version that says whether topics may be created; before it they are.
const ASKS_CREATION_FROM: i16 = 4;
/// First version in which a topic may be asked for by its id, though the field is older.
const IDS_FROM: i16 = 12;
/// First version in which an empty list means "none" and null means "all".
const EMPTY_IS_NONE_FROM: i16 = 1;

pub(crate) async fn handle(context: Context, request: MetadataRequest) -> MetadataResponse {
    let may_create = context.version < ASKS_CREATION_FROM || request.allow_auto_topic_creation;
    let asked = request.topics.as_deref().unwrap_or_default();
    let all = match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && context.version < EMPTY_IS_NONE_FROM,
    };
    let by_id = |topic: &MetadataRequestTopic| topic.name.is_none() || !topic.topic_id.is_zero();
    if context.version < IDS_FROM && asked.iter().any(by_id) {
        return ids_too_early(asked);
    }
    let mut topics = Vec::new();
    if all {
        for topic in context.broker().topics().iter() {
            topics.push(describe(&context, topic));
            tokio::task::consume_budget().await;
        }
    } else {
        let mut seen = HashSet::new();
        for asked in asked {
            if seen.insert((asked.name.as_ref(), asked.topic_id)) {
                topics.push(one_topic(&context, asked, may_create).await);
                tokio::task::consume_budget().await;
            }
        }
    }
    if request.include_topic_authorized_operations {
        for topic in &mut topics {
            topic.topic_authorized_operations = TOPIC_OPERATIONS;
        }
    }
    let (host, port) = context.advertised();
    let config = context.broker().config();
    let node = MetadataResponseBroker {
        node_id: config.node_id,
        host: host.into(),
        port: i32::from(port),
        rack: config.rack.as_ref().map(WireString::from),
    };
    let operations = request.include_cluster_authorized_operations;
    MetadataResponse {
        brokers: vec![node],
        cluster_id: Some(context.broker().cluster_id().into()),
        controller_id: config.node_id,
        topics,
        cluster_authorized_operations: if operations {
            CLUSTER_OPERATIONS
        } else {
            OPERATIONS_NOT_ASKED
        },
        ..Default::default()
    }
}

/// Versions 10 and 11 have the field of the id but no meaning for it.
fn ids_too_early(asked: &[MetadataRequestTopic]) -> MetadataResponse {
    let refused = asked.iter().map(|topic| {
        let name = topic.name.clone().unwrap_or_default();
        failed(Some(name), topic.topic_id, ErrorCode::InvalidRequest)
    });
    MetadataResponse {
        topics: refused.collect(),
        ..Default::default()
    }
}

async fn one_topic(
    context: &Context,
    asked: &MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let (name, id) = match (&asked.name, asked.topic_id) {
        (Some(name), Uuid::ZERO) => (name, Uuid::ZERO),
        (_, id) => {
            return match context.broker().topic_by_id(TopicId(id.0)) {
                Some(topic) => describe(context, &topic),
                None => failed(None, id, ErrorCode::UnknownTopicId),
            };
        }
    };
    if let Some(topic) = context.broker().topic(name) {
        return describe(context, &topic);
    }
    let failed = |code| failed(Some(name.clone()), id, code);
    if TopicName::parse(name).is_err() {
        return failed(ErrorCode::InvalidTopicException);
    }
    if !may_create || !context.broker().config().auto_create_topics {
        return failed(ErrorCode::UnknownTopicOrPartition);
    }
    match context.broker().ensure_topic(name).await {
        // As in Kafka the client finds the topic when it asks again.
        Ok(_) => failed(ErrorCode::UnknownTopicOrPartition),
        Err(error) => {
            let client = context.client_id.as_deref();
            tracing::warn!(%error, topic = %name, client, "a topic could not be created");
            failed(creation_code(&error))
        }
    }
}

/// A client that only asked for metadata understands few codes; the others become retriable.
fn creation_code(error: &CreateTopicError) -> ErrorCode {
    match error.code() {
        code @ (ErrorCode::InvalidTopicException | ErrorCode::KafkaStorageError) => code,
        _ => ErrorCode::UnknownTopicOrPartition,
    }
}

fn failed(name: Option<WireString>, id: Uuid, code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: code.code(),
        name,
        topic_id: id,
        ..Default::default()
    }
}

fn describe(context: &Context, topic: &Arc<Topic>) -> MetadataResponseTopic {
    let node = context.broker().config().node_id;
    let partitions = (0..topic.partition_count()).map(|partition| {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let epoch = context.broker().leader_epoch(topic, partition);
        let online = epoch.is_ok();
        MetadataResponsePartition {
            error_code: if online {
                0
            } else {
                ErrorCode::LeaderNotAvailable.code()
            },
            partition_index: partition,
            leader_id: if online { node } else { -1 },
            leader_epoch: epoch.unwrap_or(-1),
            replica_nodes: vec![node],
            isr_nodes: if online { vec![node] } else { Vec::new() },
            offline_replicas: if online { Vec::new() } else { vec![node] },
        }
    });
    MetadataResponseTopic {
        name: Some(topic.name().as_str().into()),
        topic_id: Uuid(topic.id().0),
        partitions: partitions.collect(),
        topic_authorized_operations: OPERATIONS_NOT_ASKED,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
