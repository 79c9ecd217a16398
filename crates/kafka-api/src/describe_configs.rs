//! DescribeConfigs: every key of a topic or of this broker, with value and source (KIP-133, 226).

use broker::config_keys::ConfigKind;
use broker::{ConfigEntry, ConfigSource};
use kafka_wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_wire::{ErrorCode, WireString};
use storage::TopicName;

use crate::Context;

/// Kafka's `ConfigResource.Type`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

pub(crate) async fn handle(
    context: Context,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let (code, message, entries) = match entries(&context, resource) {
            Ok(entries) => (ErrorCode::None, None, entries),
            Err((code, message)) => (code, Some(message), Vec::new()),
        };
        // Null and empty both mean all keys.
        let keys = resource
            .configuration_keys
            .as_ref()
            .filter(|keys| !keys.is_empty());
        let wanted = |entry: &ConfigEntry| {
            keys.is_none_or(|keys| keys.iter().any(|key| key.as_str() == entry.key.name))
        };
        let configs = entries.into_iter().filter(wanted);
        DescribeConfigsResult {
            error_code: code.code(),
            error_message: message.map(Into::into),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs: configs.map(|entry| describe(&request, entry)).collect(),
        }
    });
    DescribeConfigsResponse {
        results: results.collect(),
        ..Default::default()
    }
}

fn entries(
    context: &Context,
    resource: &DescribeConfigsResource,
) -> Result<Vec<ConfigEntry>, (ErrorCode, String)> {
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
        // The empty name is the default of all brokers: nothing is set there.
        BROKER if name.is_empty() => Ok(Vec::new()),
        BROKER => {
            let node = broker.config().node_id;
            if name.parse() == Ok(node) {
                return Ok(broker.describe_broker_configs());
            }
            let message = format!(
                "Unexpected broker id, expected {node} or empty string, but received {name}"
            );
            Err((ErrorCode::InvalidRequest, message))
        }
        other => {
            let message = format!("configs of resource type {other} are not supported");
            Err((ErrorCode::InvalidRequest, message))
        }
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
        read_only: entry.key.read_only,
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
        ConfigSource::StaticBroker => 4,
        ConfigSource::Default => 5,
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
