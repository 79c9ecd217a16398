//! CreateTopics (KIP-4, KIP-464, KIP-525).

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::{NewTopic, Topic};
use kafka_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use kafka_wire::{ErrorCode, Uuid};

use crate::Context;
use crate::describe_configs::source_number;
use crate::error::{Coded, error_message};

/// "The broker's default", in counts.
const DEFAULT_COUNT: i32 = -1;
/// Copies of each partition: one node keeps one.
const REPLICATION_FACTOR: i16 = 1;

pub(crate) async fn handle(context: Context, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut asked: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in &request.topics {
        *asked.entry(topic.name.as_str()).or_default() += 1;
    }
    let mut topics = Vec::with_capacity(asked.len());
    for topic in &request.topics {
        // A name that comes more than once is refused, once.
        match asked.remove(topic.name.as_str()) {
            None => {}
            Some(1) => topics.push(create(&context, topic, request.validate_only).await),
            Some(_) => {
                let message = "the topic is named more than once in one request";
                topics.push(failed(topic, ErrorCode::InvalidRequest, message));
            }
        }
        tokio::task::consume_budget().await;
    }
    CreateTopicsResponse {
        topics,
        ..Default::default()
    }
}

async fn create(
    context: &Context,
    topic: &CreatableTopic,
    validate_only: bool,
) -> CreatableTopicResult {
    let assignments = topic.assignments.iter();
    let assignments: Vec<_> = assignments
        .map(|a| (a.partition_index, a.broker_ids.clone()))
        .collect();
    let configs = topic.configs.iter();
    let new = NewTopic {
        name: topic.name.to_string(),
        partitions: (topic.num_partitions != DEFAULT_COUNT).then_some(topic.num_partitions),
        replication_factor: (i32::from(topic.replication_factor) != DEFAULT_COUNT)
            .then_some(topic.replication_factor),
        assignments: (!assignments.is_empty()).then_some(assignments),
        configs: configs
            .map(|config| {
                (
                    config.name.to_string(),
                    config.value.as_ref().map(ToString::to_string),
                )
            })
            .collect(),
        validate_only,
    };
    match context.broker().create_topic(new).await {
        Ok(created) => done(context, topic, &created),
        Err(error) => failed(topic, error.code(), &error.to_string()),
    }
}

fn done(context: &Context, topic: &CreatableTopic, created: &Arc<Topic>) -> CreatableTopicResult {
    let configs = context.broker().describe_topic_configs(created);
    let configs = configs.into_iter().map(|config| CreatableTopicConfigs {
        name: config.key.name.into(),
        value: config.value.map(Into::into),
        read_only: config.key.read_only(),
        config_source: source_number(config.source),
        is_sensitive: config.key.sensitive,
    });
    CreatableTopicResult {
        name: topic.name.clone(),
        topic_id: Uuid(created.id().0),
        num_partitions: i32::try_from(created.partition_count()).unwrap_or(i32::MAX),
        replication_factor: REPLICATION_FACTOR,
        error_message: None,
        configs: Some(configs.collect()),
        ..Default::default()
    }
}

fn failed(topic: &CreatableTopic, code: ErrorCode, message: &str) -> CreatableTopicResult {
    CreatableTopicResult {
        name: topic.name.clone(),
        error_code: code.code(),
        error_message: Some(error_message(message)),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
