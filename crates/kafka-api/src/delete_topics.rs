//! DeleteTopics, by name and by id (KIP-4, KIP-516).

use std::collections::HashMap;
use std::sync::Arc;

use broker::Topic;
use kafka_wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use kafka_wire::{ErrorCode, Uuid};
use storage::TopicId;

use crate::Context;
use crate::error::{Coded, Refusal, error_message};

/// First version whose request names topics by name or id.
const STATES_FROM: i16 = 6;

pub(crate) async fn handle(context: Context, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let asked: Vec<DeleteTopicState> = if context.version >= STATES_FROM {
        request.topics
    } else {
        let names = request.topic_names.into_iter();
        names
            .map(|name| DeleteTopicState {
                name: Some(name),
                topic_id: Uuid::ZERO,
            })
            .collect()
    };
    // Kafka's order: what makes no sense or comes twice is refused, then names and ids are looked
    // up, and a topic that is meant by its name and by its id is refused too.
    let mut times: HashMap<StateKey<'_>, usize> = HashMap::new();
    for topic in &asked {
        *times.entry(key(topic)).or_default() += 1;
    }
    let mut responses = Vec::with_capacity(times.len());
    let mut found: Vec<(&DeleteTopicState, Arc<Topic>)> = Vec::new();
    for topic in &asked {
        match times.remove(&key(topic)) {
            None => {}
            Some(1) => match find(&context, topic) {
                Ok(known) => found.push((topic, known)),
                Err((code, message)) => responses.push(refused(topic, code, message)),
            },
            Some(_) => {
                let message = "the topic is named more than once in one request";
                responses.push(refused(
                    topic,
                    ErrorCode::InvalidRequest,
                    message.to_owned(),
                ));
            }
        }
        tokio::task::consume_budget().await;
    }
    let mut meant: HashMap<TopicId, usize> = HashMap::new();
    for (_, topic) in &found {
        *meant.entry(topic.id()).or_default() += 1;
    }
    for (asked, topic) in found {
        let outcome = match meant.remove(&topic.id()) {
            None => continue,
            Some(1) => delete(&context, &topic).await,
            Some(_) => {
                let message = "the topic is named by its name and by its id in one request";
                let (code, message) = (ErrorCode::InvalidRequest, message.to_owned());
                responses.push(result(&topic, Some((code, message))));
                continue;
            }
        };
        responses.push(match outcome {
            Ok(()) => result(&topic, None),
            Err((code, message)) => refused(asked, code, message),
        });
    }
    DeleteTopicsResponse {
        responses,
        ..Default::default()
    }
}

type StateKey<'a> = (Option<&'a str>, Uuid);

fn key(asked: &DeleteTopicState) -> StateKey<'_> {
    (asked.name.as_deref(), asked.topic_id)
}

fn find(context: &Context, asked: &DeleteTopicState) -> Result<Arc<Topic>, Refusal> {
    let broker = context.broker();
    match (&asked.name, asked.topic_id.is_zero()) {
        (Some(_), false) => {
            let message = "a topic is named by its name or by its id, not by both";
            Err((ErrorCode::InvalidRequest, message.to_owned()))
        }
        (None, true) => {
            let message = "neither the name nor the id of a topic is given";
            Err((ErrorCode::InvalidRequest, message.to_owned()))
        }
        (Some(name), true) => broker.topic(name).ok_or_else(|| {
            let message = format!("topic {:?} does not exist", name.as_str());
            (ErrorCode::UnknownTopicOrPartition, message)
        }),
        (None, false) => broker
            .topic_by_id(TopicId(asked.topic_id.0))
            .ok_or_else(|| {
                let message = format!("there is no topic with id {}", asked.topic_id);
                (ErrorCode::UnknownTopicId, message)
            }),
    }
}

async fn delete(context: &Context, topic: &Topic) -> Result<(), Refusal> {
    let deleted = context.broker().delete_topic(topic).await;
    deleted.map_err(|error| (error.code(), error.to_string()))
}

fn refused(asked: &DeleteTopicState, code: ErrorCode, message: String) -> DeletableTopicResult {
    DeletableTopicResult {
        name: asked.name.clone(),
        topic_id: asked.topic_id,
        error_code: code.code(),
        error_message: Some(error_message(&message)),
    }
}

fn result(topic: &Topic, refusal: Option<Refusal>) -> DeletableTopicResult {
    let (code, message) = refusal.unzip();
    DeletableTopicResult {
        name: Some(topic.name().as_str().into()),
        topic_id: Uuid(topic.id().0),
        error_code: code.unwrap_or(ErrorCode::None).code(),
        error_message: message.as_deref().map(error_message),
    }
}

#[cfg(test)]
mod tests;
