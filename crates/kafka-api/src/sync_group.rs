//! SyncGroup (KIP-345, KIP-559): the assignment of a member; the leader brings those of all.

use broker::{Membership, SyncGroup};
use bytes::Bytes;
use kafka_wire::ErrorCode;
use kafka_wire::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use crate::Context;
use crate::error::Coded;

/// From here on a member says what it takes the group to have agreed on (KIP-559, Kafka's
/// `SyncGroupRequest.areMandatoryProtocolTypeAndNamePresent`).
const PROTOCOL_FROM: i16 = 5;

pub(crate) async fn handle(context: Context, request: SyncGroupRequest) -> SyncGroupResponse {
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if context.version >= PROTOCOL_FROM && !names_protocol {
        return SyncGroupResponse {
            error_code: ErrorCode::InconsistentGroupProtocol.code(),
            ..Default::default()
        };
    }
    let group = request.group_id.to_string();
    let text = |text: Option<kafka_wire::WireString>| text.map(|text| text.to_string());
    let assignments = request.assignments.iter().map(|one| {
        let assignment = Bytes::copy_from_slice(&one.assignment);
        (one.member_id.to_string(), assignment)
    });
    let sync = SyncGroup {
        member: Membership {
            generation: request.generation_id,
            member_id: request.member_id.to_string(),
            instance_id: text(request.group_instance_id),
        },
        protocol_type: text(request.protocol_type),
        protocol: text(request.protocol_name),
        assignments: assignments.collect(),
    };
    match context.broker().groups().sync(&group, sync).await {
        Ok(synced) => SyncGroupResponse {
            protocol_type: Some(synced.protocol_type.into()),
            protocol_name: Some(synced.protocol.into()),
            assignment: synced.assignment,
            ..Default::default()
        },
        Err(error) => SyncGroupResponse {
            error_code: error.code().code(),
            ..Default::default()
        },
    }
}
