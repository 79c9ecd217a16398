//! DescribeConfigs: every key of a topic, of this broker or of a group, with value and source (KIP-133,
//! 226, 848).

use std::collections::{HashMap, HashSet};

use broker::config_keys::ConfigKind;
use broker::{ConfigEntry, ConfigSource};
use kafka_wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_wire::{ErrorCode, WireString};
use storage::TopicName;

use crate::Context;
use crate::error::{Refusal, error_message};
use crate::resources::{self, BROKER, GROUP, TOPIC};

/// An answer is some hundred times as long as its question, so nobody may repeat it at will.
const REPEATS_MAX: usize = 2;

pub(crate) async fn handle(
    context: Context,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let mut told: HashMap<(i8, &str), usize> = HashMap::new();
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let name = resource.resource_name.as_str();
        let times = told.entry((resource.resource_type, name)).or_default();
        *times += 1;
        let found = if *times > REPEATS_MAX {
            let message = format!("a resource is described {REPEATS_MAX} times a request at most");
            Err((ErrorCode::InvalidRequest, message))
        } else {
            entries(&context, resource)
        };
        let (code, message, entries) = match found {
            Ok(entries) => (ErrorCode::None, None, entries),
            Err((code, message)) => (code, Some(message), Vec::new()),
        };
        // Null and empty both mean all keys.
        let keys = resource.configuration_keys.as_deref().unwrap_or_default();
        let keys: HashSet<&str> = keys.iter().map(WireString::as_str).collect();
        let wanted = |entry: &ConfigEntry| keys.is_empty() || keys.contains(entry.key.name);
        let configs = entries.into_iter().filter(wanted);
        results.push(DescribeConfigsResult {
            error_code: code.code(),
            error_message: message.as_deref().map(error_message),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs: configs.map(|entry| describe(&request, entry)).collect(),
        });
        tokio::task::consume_budget().await;
    }
    DescribeConfigsResponse {
        results,
        ..Default::default()
    }
}

fn entries(
    context: &Context,
    resource: &DescribeConfigsResource,
) -> Result<Vec<ConfigEntry>, Refusal> {
    let broker = context.broker();
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => {
            if let Err(error) = TopicName::parse(name) {
                return Err((ErrorCode::InvalidTopicException, error.to_string()));
            }
            let unknown = || {
                (
                    ErrorCode::UnknownTopicOrPartition,
                    format!("topic {name} does not exist"),
                )
            };
            let topic = broker.topic(name).ok_or_else(unknown)?;
            Ok(broker.describe_topic_configs(&topic))
        }
        // The empty name is the default of all brokers: only what was set there is listed.
        BROKER if name.is_empty() => Ok(broker.describe_every_broker_configs()),
        BROKER => {
            resources::check_broker(context, name)?;
            Ok(broker.describe_broker_configs())
        }
        GROUP if name.is_empty() => {
            let message = "Group name must not be empty";
            Err((ErrorCode::InvalidRequest, message.to_owned()))
        }
        GROUP => Ok(broker.describe_group_configs(name)),
        other => Err(resources::unsupported(other)),
    }
}

fn describe(request: &DescribeConfigsRequest, entry: ConfigEntry) -> DescribeConfigsResourceResult {
    let value = |value: Option<String>| -> Option<WireString> {
        value.filter(|_| !entry.key.sensitive).map(Into::into)
    };
    let synonyms = entry
        .synonyms
        .into_iter()
        .map(|synonym| DescribeConfigsSynonym {
            name: synonym.name.into(),
            value: value(synonym.value),
            source: source_number(synonym.source),
        });
    let synonyms: Vec<_> = if request.include_synonyms {
        synonyms.collect()
    } else {
        Vec::new()
    };
    let documentation = request
        .include_documentation
        .then(|| entry.key.documentation.into());
    DescribeConfigsResourceResult {
        name: entry.key.name.into(),
        value: value(entry.value),
        read_only: entry.key.read_only(),
        config_source: source_number(entry.source),
        is_sensitive: entry.key.sensitive,
        synonyms,
        config_type: kind_number(entry.key.kind),
        documentation,
    }
}

/// Kafka's `DescribeConfigsResponse.ConfigSource`.
pub(crate) fn source_number(source: ConfigSource) -> i8 {
    match source {
        ConfigSource::Topic => 1,
        ConfigSource::ThisBroker => 2,
        ConfigSource::EveryBroker => 3,
        ConfigSource::StaticBroker => 4,
        ConfigSource::Default => 5,
        ConfigSource::Group => 8,
    }
}

/// Kafka's `DescribeConfigsResponse.ConfigType`.
fn kind_number(kind: ConfigKind) -> i8 {
    match kind {
        ConfigKind::Boolean => 1,
        ConfigKind::String => 2,
        ConfigKind::Int => 3,
        ConfigKind::Long => 5,
        ConfigKind::Double => 6,
        ConfigKind::List => 7,
    }
}

#[cfg(test)]
mod tests;
