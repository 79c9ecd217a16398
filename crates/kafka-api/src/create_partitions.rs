//! CreatePartitions: more partitions for a topic that exists (KIP-195).

use kafka_wire::ErrorCode;
use kafka_wire::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};

use crate::Context;
use crate::error::Coded;

pub(crate) async fn handle(
    context: Context,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut results: Vec<CreatePartitionsTopicResult> = Vec::new();
    for topic in &request.topics {
        if results.iter().any(|told| told.name == topic.name) {
            continue;
        }
        let times = request
            .topics
            .iter()
            .filter(|other| other.name == topic.name)
            .count();
        let outcome = if times > 1 {
            Err((
                ErrorCode::InvalidRequest,
                "Duplicate topic in request.".to_owned(),
            ))
        } else {
            grow(&context, topic, request.validate_only).await
        };
        let (code, message) = outcome.err().unzip();
        results.push(CreatePartitionsTopicResult {
            name: topic.name.clone(),
            error_code: code.unwrap_or(ErrorCode::None).code(),
            error_message: message.map(Into::into),
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
