//! What configs belong to: Kafka's `ConfigResource`, and ListConfigResources (KIP-1142).

use kafka_wire::ErrorCode;
use kafka_wire::messages::list_config_resources::ConfigResource;
use kafka_wire::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use crate::Context;
use crate::error::Refusal;

/// Kafka's `ConfigResource.Type`.
pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
pub(crate) const GROUP: i8 = 32;
/// Types that Kafka lists and that have no configs here: loggers, client metrics.
const WITHOUT_CONFIGS: [i8; 2] = [8, 16];
/// Before, the request was about client metrics alone.
const TYPES_FROM: i16 = 1;

/// The broker that a resource names must be this one.
pub(crate) fn check_broker(context: &Context, name: &str) -> Result<(), Refusal> {
    let node = context.broker().config().node_id;
    if name.parse() == Ok(node) {
        return Ok(());
    }
    let message =
        format!("Unexpected broker id, expected {node} or empty string, but received {name}");
    Err((ErrorCode::InvalidRequest, message))
}

/// The answer to a type without configs.
pub(crate) fn unsupported(kind: i8) -> Refusal {
    let message = format!("configs of resource type {kind} are not supported");
    (ErrorCode::InvalidRequest, message)
}

pub(crate) async fn handle(
    context: Context,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let types = &request.resource_types;
    let known = |kind: &i8| [TOPIC, BROKER, GROUP].contains(kind) || WITHOUT_CONFIGS.contains(kind);
    if !types.iter().all(known) {
        return ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..Default::default()
        };
    }
    let asked = |kind| context.version >= TYPES_FROM && (types.is_empty() || types.contains(&kind));
    let mut config_resources = Vec::new();
    if asked(TOPIC) {
        let topics = context.broker().topics();
        config_resources.extend(topics.iter().map(|topic| ConfigResource {
            resource_name: topic.name().as_str().into(),
            resource_type: TOPIC,
        }));
    }
    if asked(BROKER) {
        config_resources.push(ConfigResource {
            resource_name: context.broker().config().node_id.to_string().into(),
            resource_type: BROKER,
        });
    }
    if asked(GROUP) {
        let groups = context.broker().groups().with_own_configs();
        config_resources.extend(groups.iter().map(|group| ConfigResource {
            resource_name: (&**group).into(),
            resource_type: GROUP,
        }));
    }
    ListConfigResourcesResponse {
        config_resources,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
