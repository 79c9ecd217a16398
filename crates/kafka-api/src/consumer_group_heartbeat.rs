//! ConsumerGroupHeartbeat: all of the new protocol of groups but looking at them (KIP-848).

use broker::{Beat, BeatAnswer};
use kafka_wire::Uuid;
use kafka_wire::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use storage::TopicId;

use crate::Context;
use crate::error::{Coded, error_message};

/// First version in which the client makes the id of its member.
const MAKES_ID_FROM: i16 = 1;

pub(crate) async fn handle(
    context: Context,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let group = request.group_id.to_string();
    let beat = beat(&context, request);
    let makes_id = context.version >= MAKES_ID_FROM;
    match context
        .broker()
        .groups()
        .beat(&group, &beat, makes_id)
        .await
    {
        Ok(answer) => response(answer),
        Err(error) => {
            let client = context.client_id.as_deref();
            tracing::debug!(client, group, %error, "a member was refused");
            ConsumerGroupHeartbeatResponse {
                error_code: error.code().code(),
                error_message: Some(error_message(&error.to_string())),
                ..Default::default()
            }
        }
    }
}

fn beat(context: &Context, request: ConsumerGroupHeartbeatRequest) -> Beat {
    let text = |text: Option<kafka_wire::WireString>| text.map(|text| text.to_string());
    let names = request.subscribed_topic_names;
    let owned = request.topic_partitions.map(|owned| {
        let owned = owned.into_iter();
        owned
            .map(|of| (TopicId(of.topic_id.0), of.partitions))
            .collect()
    });
    Beat {
        member_id: request.member_id.to_string(),
        epoch: request.member_epoch,
        instance_id: text(request.instance_id),
        rack_id: text(request.rack_id),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|ms| *ms != -1),
        names: names.map(|names| names.iter().map(ToString::to_string).collect()),
        regex: text(request.subscribed_topic_regex),
        assignor: text(request.server_assignor),
        owned,
        client_id: context.client_id.as_deref().unwrap_or_default().to_owned(),
        client_host: format!("/{}", context.ends.peer.ip().to_canonical()),
    }
}

fn response(answer: BeatAnswer) -> ConsumerGroupHeartbeatResponse {
    let assignment = answer.assignment.map(|assigned| {
        let of = assigned.into_iter().map(|(topic, of)| TopicPartitions {
            topic_id: Uuid(topic.0),
            partitions: of.into_iter().map(u32::cast_signed).collect(),
        });
        Assignment {
            topic_partitions: of.collect(),
        }
    });
    ConsumerGroupHeartbeatResponse {
        member_id: Some(answer.member_id.into()),
        member_epoch: answer.epoch,
        heartbeat_interval_ms: answer.interval_ms,
        assignment,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
