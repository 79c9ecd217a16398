//! DeleteTopics, by name and by id (KIP-4, KIP-516).

use kafka_wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use kafka_wire::{ErrorCode, Uuid, WireString};
use storage::TopicId;

use crate::Context;
use crate::error::Coded;

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
    let mut responses: Vec<DeletableTopicResult> = Vec::new();
    for (index, topic) in asked.iter().enumerate() {
        let twice = asked
            .iter()
            .enumerate()
            .any(|(other, same)| other != index && same == topic);
        let outcome = if twice {
            let message = "the topic is named more than once in one request";
            Err((ErrorCode::InvalidRequest, message.to_owned()))
        } else {
            delete(&context, topic).await
        };
        let (code, message) = match outcome {
            Ok(name) => {
                responses.push(result(Some(name.0), name.1, ErrorCode::None, None));
                continue;
            }
            Err(failed) => failed,
        };
        if !(twice
            && responses
                .iter()
                .any(|told| told.name == topic.name && told.topic_id == topic.topic_id))
        {
            responses.push(result(
                topic.name.clone(),
                topic.topic_id,
                code,
                Some(message),
            ));
        }
    }
    DeleteTopicsResponse {
        responses,
        ..Default::default()
    }
}

async fn delete(
    context: &Context,
    asked: &DeleteTopicState,
) -> Result<(WireString, Uuid), (ErrorCode, String)> {
    let broker = context.broker();
    let topic = match (&asked.name, asked.topic_id.is_zero()) {
        (Some(_), false) => {
            let message = "a topic is named by its name or by its id, not by both";
            return Err((ErrorCode::InvalidRequest, message.to_owned()));
        }
        (None, true) => {
            let message = "neither the name nor the id of a topic is given";
            return Err((ErrorCode::InvalidRequest, message.to_owned()));
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
    }?;
    let deleted = broker.delete_topic(&topic).await;
    deleted.map_err(|error| (error.code(), error.to_string()))?;
    Ok((topic.name().as_str().into(), Uuid(topic.id().0)))
}

fn result(
    name: Option<WireString>,
    topic_id: Uuid,
    code: ErrorCode,
    message: Option<String>,
) -> DeletableTopicResult {
    DeletableTopicResult {
        name,
        topic_id,
        error_code: code.code(),
        error_message: message.map(Into::into),
    }
}
