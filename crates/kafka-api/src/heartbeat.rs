//! Heartbeat: a member is alive, and learns whether the group rebalances.

use broker::Membership;
use kafka_wire::ErrorCode;
use kafka_wire::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use crate::Context;
use crate::error::Coded;

pub(crate) async fn handle(context: Context, request: HeartbeatRequest) -> HeartbeatResponse {
    let from = Membership {
        generation: request.generation_id,
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
    };
    let groups = context.broker().groups();
    let outcome = groups.heartbeat(&request.group_id, &from);
    let code = outcome.map_or_else(|error| error.code(), |()| ErrorCode::None);
    HeartbeatResponse {
        error_code: code.code(),
        ..Default::default()
    }
}
