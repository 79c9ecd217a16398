//! DescribeGroups: state, members and what they were assigned (KIP-1043 tells a missing group).

use std::collections::BTreeSet;

use broker::{GroupDescription, MemberDescription};
use kafka_wire::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use kafka_wire::{ErrorCode, WireString};

use crate::Context;
use crate::error::error_message;
use crate::metadata::OPERATIONS_NOT_ASKED;

/// First version that tells a missing group by an error.
const MISSING_FROM: i16 = 6;
/// The state of a group that is not there.
const DEAD: &str = "Dead";
/// What may be done with a group where nobody forbids it: read, delete, describe, describe its
/// configs, alter them; a bit for each of Kafka's operations.
pub(crate) const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

pub(crate) async fn handle(
    context: Context,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    // A group that is named twice is answered once: its answer may be large.
    let mut named = BTreeSet::new();
    let mut groups = Vec::new();
    for group in request.groups {
        tokio::task::consume_budget().await;
        if !named.insert(group.clone()) {
            continue;
        }
        let mut described = describe(&context, group);
        if request.include_authorized_operations && described.error_code == 0 {
            described.authorized_operations = GROUP_OPERATIONS;
        }
        groups.push(described);
    }
    DescribeGroupsResponse {
        groups,
        ..Default::default()
    }
}

fn describe(context: &Context, group: WireString) -> DescribedGroup {
    let Some(found) = context.broker().groups().describe(&group) else {
        let tells = context.version >= MISSING_FROM;
        let code = if tells {
            ErrorCode::GroupIdNotFound
        } else {
            ErrorCode::None
        };
        let message = format!("there is no classic group {:?}", group.as_str());
        return DescribedGroup {
            error_code: code.code(),
            error_message: tells.then(|| error_message(&message)),
            group_id: group,
            group_state: DEAD.into(),
            authorized_operations: OPERATIONS_NOT_ASKED,
            ..Default::default()
        };
    };
    let GroupDescription {
        state,
        protocol_type,
        protocol,
        members,
    } = found;
    DescribedGroup {
        group_id: group,
        group_state: state.name().into(),
        protocol_type: protocol_type.into(),
        protocol_data: protocol.into(),
        members: members.into_iter().map(member).collect(),
        authorized_operations: OPERATIONS_NOT_ASKED,
        ..Default::default()
    }
}

fn member(member: MemberDescription) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: member.member_id.into(),
        group_instance_id: member.instance_id.map(Into::into),
        client_id: member.client_id.into(),
        client_host: member.client_host.into(),
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    }
}
