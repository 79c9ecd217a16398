//! LeaveGroup, of one member or of several (KIP-345).

use broker::{GroupError, Leaving};
use kafka_wire::ErrorCode;
use kafka_wire::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};

use crate::Context;
use crate::error::Coded;

/// First version that names several members.
const BATCHED_FROM: i16 = 3;

pub(crate) async fn handle(context: Context, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let members = if context.version >= BATCHED_FROM {
        request.members
    } else {
        vec![MemberIdentity {
            member_id: request.member_id,
            ..Default::default()
        }]
    };
    let leaving: Vec<Leaving> = members.iter().map(leaving).collect();
    let groups = context.broker().groups();
    let outcomes = match groups.leave(&request.group_id, &leaving) {
        Ok(outcomes) => outcomes,
        // Without a group nobody is a member of it.
        Err(error @ GroupError::UnknownMember { .. }) if context.version >= BATCHED_FROM => {
            vec![Err(error); members.len()]
        }
        Err(error) => return refused(error.code()),
    };
    let codes = outcomes.iter().map(code);
    if context.version < BATCHED_FROM {
        return refused(codes.into_iter().next().unwrap_or(ErrorCode::None));
    }
    let answer = |(member, code): (MemberIdentity, ErrorCode)| MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code: code.code(),
    };
    LeaveGroupResponse {
        members: members.into_iter().zip(codes).map(answer).collect(),
        ..Default::default()
    }
}

fn leaving(member: &MemberIdentity) -> Leaving {
    Leaving {
        member_id: member.member_id.to_string(),
        instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
    }
}

fn code(outcome: &Result<(), GroupError>) -> ErrorCode {
    outcome
        .as_ref()
        .map_or_else(Coded::code, |()| ErrorCode::None)
}

fn refused(code: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse {
        error_code: code.code(),
        ..Default::default()
    }
}
