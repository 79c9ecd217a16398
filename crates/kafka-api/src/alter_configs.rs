//! IncrementalAlterConfigs and AlterConfigs: configs of topics, of this broker and of groups (KIP-133,
//! 339, 226, 848).
//!
//! The two differ in what happens to configs that are not named: the older one takes them away. The
//! order of the checks and their codes are Kafka's.

use std::collections::{HashMap, HashSet};

use broker::{AlterConfigsError, BrokerScope, ConfigChange, ConfigEdit, ConfigOperation};
use kafka_wire::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_wire::messages::{alter_configs, incremental_alter_configs};
use kafka_wire::{ErrorCode, WireString};
use storage::TopicName;

use crate::Context;
use crate::error::{Coded, Refusal, error_message};
use crate::resources::{self, BROKER, GROUP, TOPIC};

pub(crate) async fn incremental(
    context: Context,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let named = |resource: &incremental_alter_configs::AlterConfigsResource| {
        (resource.resource_type, resource.resource_name.clone())
    };
    let times = times(request.resources.iter().map(named));
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let (kind, name) = named(resource);
        let outcome = match once(&times, &(kind, name.clone())).and_then(|()| changes(resource)) {
            Ok(edit) => alter(&context, (kind, &name), &edit, request.validate_only).await,
            Err(refusal) => Err(refusal),
        };
        let (code, message) = told(outcome);
        responses.push(incremental_alter_configs::AlterConfigsResourceResponse {
            error_code: code.code(),
            error_message: message,
            resource_type: kind,
            resource_name: name,
        });
        tokio::task::consume_budget().await;
    }
    IncrementalAlterConfigsResponse {
        responses,
        ..Default::default()
    }
}

pub(crate) async fn whole(context: Context, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let named = |resource: &alter_configs::AlterConfigsResource| {
        (resource.resource_type, resource.resource_name.clone())
    };
    let times = times(request.resources.iter().map(named));
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let (kind, name) = named(resource);
        let outcome = match once(&times, &(kind, name.clone())).and_then(|()| replacement(resource))
        {
            Ok(edit) => alter(&context, (kind, &name), &edit, request.validate_only).await,
            Err(refusal) => Err(refusal),
        };
        let (code, message) = told(outcome);
        responses.push(alter_configs::AlterConfigsResourceResponse {
            error_code: code.code(),
            error_message: message,
            resource_type: kind,
            resource_name: name,
        });
        tokio::task::consume_budget().await;
    }
    AlterConfigsResponse {
        responses,
        ..Default::default()
    }
}

type Resource = (i8, WireString);

fn times(resources: impl Iterator<Item = Resource>) -> HashMap<Resource, usize> {
    let mut times = HashMap::new();
    for resource in resources {
        *times.entry(resource).or_default() += 1;
    }
    times
}

fn once(times: &HashMap<Resource, usize>, resource: &Resource) -> Result<(), Refusal> {
    if times.get(resource) == Some(&1) {
        return Ok(());
    }
    let message = "Each resource must appear at most once.";
    Err((ErrorCode::InvalidRequest, message.to_owned()))
}

fn told(outcome: Result<(), Refusal>) -> (ErrorCode, Option<WireString>) {
    match outcome {
        Ok(()) => (ErrorCode::None, None),
        Err((code, message)) => (code, Some(error_message(&message))),
    }
}

fn changes(
    resource: &incremental_alter_configs::AlterConfigsResource,
) -> Result<ConfigEdit, Refusal> {
    check_names(resource.configs.iter().map(|config| config.name.as_str()))?;
    let change = |config: &incremental_alter_configs::AlterableConfig| {
        let name = config.name.to_string();
        let value = || match &config.value {
            Some(value) => Ok(value.to_string()),
            None => Err(no_value(&config.name)),
        };
        let operation = match config.config_operation {
            0 => ConfigOperation::Set(value()?),
            1 => ConfigOperation::Delete,
            2 => ConfigOperation::Append(value()?),
            3 => ConfigOperation::Subtract(value()?),
            other => {
                let message = format!("Unknown operation {other} on the config {name}");
                return Err((ErrorCode::InvalidRequest, message));
            }
        };
        Ok(ConfigChange { name, operation })
    };
    let changes: Result<_, Refusal> = resource.configs.iter().map(change).collect();
    Ok(ConfigEdit::Changes(changes?))
}

fn replacement(resource: &alter_configs::AlterConfigsResource) -> Result<ConfigEdit, Refusal> {
    check_names(resource.configs.iter().map(|config| config.name.as_str()))?;
    let value = |config: &alter_configs::AlterableConfig| match &config.value {
        Some(value) => Ok((config.name.to_string(), value.to_string())),
        None => Err(no_value(&config.name)),
    };
    let configs: Result<_, Refusal> = resource.configs.iter().map(value).collect();
    Ok(ConfigEdit::Whole(configs?))
}

fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            let message = format!("Error due to duplicate config keys: {name}");
            return Err((ErrorCode::InvalidRequest, message));
        }
    }
    Ok(())
}

fn no_value(name: &WireString) -> Refusal {
    let message = format!("Null value not supported for : {name}");
    (ErrorCode::InvalidRequest, message)
}

async fn alter(
    context: &Context,
    (kind, name): (i8, &str),
    edit: &ConfigEdit,
    validate_only: bool,
) -> Result<(), Refusal> {
    let broker = context.broker();
    match kind {
        TOPIC if name.is_empty() => {
            let message = "Default topic resources are not allowed.";
            Err((ErrorCode::InvalidRequest, message.to_owned()))
        }
        TOPIC => {
            if let Err(error) = TopicName::parse(name) {
                return Err((ErrorCode::InvalidTopicException, error.to_string()));
            }
            let altered = broker.alter_topic_configs(name, edit, validate_only);
            altered
                .await
                .map_err(|error| (error.code(), error.to_string()))
        }
        BROKER => {
            let scope = if name.is_empty() {
                BrokerScope::Every
            } else {
                resources::check_broker(context, name)?;
                BrokerScope::This
            };
            let altered = broker.alter_broker_configs(scope, edit, validate_only);
            altered
                .await
                .map_err(|error| (broker_code(&error), error.to_string()))
        }
        GROUP if name.is_empty() => {
            let message = "Default group resources are not allowed.";
            Err((ErrorCode::InvalidRequest, message.to_owned()))
        }
        GROUP => {
            let altered = broker.alter_group_configs(name, edit, validate_only);
            altered
                .await
                .map_err(|error| (error.code(), error.to_string()))
        }
        other => Err(resources::unsupported(other)),
    }
}

/// Kafka calls the same mistake another name where it is about a broker.
fn broker_code(error: &AlterConfigsError) -> ErrorCode {
    match error {
        AlterConfigsError::Invalid(_) => ErrorCode::InvalidRequest,
        AlterConfigsError::UnknownTopic { .. }
        | AlterConfigsError::NotAList { .. }
        | AlterConfigsError::InvalidGroup { .. }
        | AlterConfigsError::TooLarge { .. }
        | AlterConfigsError::NoSpace(_)
        | AlterConfigsError::Storage(_) => error.code(),
    }
}

#[cfg(test)]
mod tests;
