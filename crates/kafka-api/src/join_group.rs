//! JoinGroup (KIP-62, KIP-345, KIP-394, KIP-559, KIP-814).

use broker::{GroupError, JoinGroup, Joined, JoinedMember};
use bytes::Bytes;
use kafka_wire::messages::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};

use crate::Context;
use crate::error::Coded;

/// First version that is told its member id and joins again.
const MEMBER_ID_FROM: i16 = 4;
/// First version in which the protocol can be null.
const NULL_PROTOCOL_FROM: i16 = 7;
/// First version that can be told to skip the assignment.
const SKIPS_FROM: i16 = 9;

pub(crate) async fn handle(context: Context, request: JoinGroupRequest) -> JoinGroupResponse {
    let version = context.version;
    let group = request.group_id.to_string();
    let join = joining(&context, request);
    let answer = context.broker().groups().join(&group, join).await;
    let member_id = answer.member_id.into();
    match answer.outcome {
        Ok(joined) => JoinGroupResponse {
            member_id,
            ..joined_response(joined, version)
        },
        Err(error) => {
            log(&context, &group, &error);
            JoinGroupResponse {
                error_code: error.code().code(),
                protocol_name: (version < NULL_PROTOCOL_FROM).then(Default::default),
                member_id,
                ..Default::default()
            }
        }
    }
}

/// Copies: a part of the frame would keep the whole of it for as long as the member lives.
fn joining(context: &Context, request: JoinGroupRequest) -> JoinGroup {
    let rebalance_timeout_ms = match request.rebalance_timeout_ms {
        -1 => request.session_timeout_ms,
        ms => ms,
    };
    let protocols = request.protocols.iter().map(|protocol| {
        let metadata = Bytes::copy_from_slice(&protocol.metadata);
        (protocol.name.to_string(), metadata)
    });
    JoinGroup {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
        client_id: context.client_id.as_deref().unwrap_or_default().to_owned(),
        client_host: format!("/{}", context.ends.peer.ip().to_canonical()),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.collect(),
        requires_member_id: context.version >= MEMBER_ID_FROM,
        skips_assignment: context.version >= SKIPS_FROM,
    }
}

fn joined_response(joined: Joined, version: i16) -> JoinGroupResponse {
    let member = |member: JoinedMember| JoinGroupResponseMember {
        member_id: member.member_id.into(),
        group_instance_id: member.instance_id.map(Into::into),
        metadata: member.metadata,
    };
    JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: Some(joined.protocol_type.into()),
        protocol_name: Some(joined.protocol.into()),
        leader: joined.leader.into(),
        skip_assignment: joined.skip_assignment && version >= SKIPS_FROM,
        members: joined.members.into_iter().map(member).collect(),
        ..Default::default()
    }
}

/// What a client does in the course of a rebalance is no news.
fn log(context: &Context, group: &str, error: &GroupError) {
    let client = context.client_id.as_deref();
    tracing::debug!(client, group, %error, "a member did not join");
}

#[cfg(test)]
mod tests;
