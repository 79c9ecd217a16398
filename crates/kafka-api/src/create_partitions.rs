//! CreatePartitions: more partitions for a topic that exists (KIP-195).

use std::collections::BTreeMap;

use kafka_wire::ErrorCode;
use kafka_wire::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};

use crate::Context;
use crate::error::{Coded, error_message};

pub(crate) async fn handle(
    context: Context,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut asked: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in &request.topics {
        *asked.entry(topic.name.as_str()).or_default() += 1;
    }
    let mut results = Vec::with_capacity(asked.len());
    for topic in &request.topics {
        // A name that comes more than once is refused, once.
        let outcome = match asked.remove(topic.name.as_str()) {
            None => continue,
            Some(1) => grow(&context, topic, request.validate_only).await,
            Some(_) => {
                let message = "the topic is named more than once in one request";
                Err((ErrorCode::InvalidRequest, message.to_owned()))
            }
        };
        tokio::task::consume_budget().await;
        let (code, message) = outcome.err().unzip();
        results.push(CreatePartitionsTopicResult {
            name: topic.name.clone(),
            error_code: code.unwrap_or(ErrorCode::None).code(),
            error_message: message.as_deref().map(error_message),
        });
    }
    CreatePartitionsResponse {
        results,
        ..Default::default()
    }
}

async fn grow(
    context: &Context,
    topic: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), (ErrorCode, String)> {
    let assignments = topic.assignments.as_ref();
    let assignments = assignments.map(|all| all.iter().map(|a| a.broker_ids.clone()).collect());
    let grown =
        context
            .broker()
            .add_partitions(&topic.name, topic.count, assignments, validate_only);
    grown
        .await
        .map(drop)
        .map_err(|error| (error.code(), error.to_string()))
}

#[cfg(test)]
mod tests;
