//! ConsumerGroupDescribe: state, epochs, members and where they are on their way (KIP-848).

use std::collections::BTreeSet;

use broker::{ConsumerDescription, ConsumerMemberDescription};
use kafka_wire::messages::consumer_group_describe::{
    Assignment, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup,
    Member, TopicPartitions,
};
use kafka_wire::{ErrorCode, Uuid, WireString};

use crate::Context;
use crate::describe_groups::GROUP_OPERATIONS;
use crate::error::error_message;
use crate::metadata::OPERATIONS_NOT_ASKED;

/// First version that tells which protocol a member speaks.
const MEMBER_TYPES_FROM: i16 = 1;
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;
const NOT_TOLD: i8 = -1;

pub(crate) async fn handle(
    context: Context,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    // A group that is named twice is answered once: its answer may be large.
    let mut named = BTreeSet::new();
    let mut groups = Vec::new();
    for group in request.group_ids {
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
    ConsumerGroupDescribeResponse {
        groups,
        ..Default::default()
    }
}

fn describe(context: &Context, group: WireString) -> DescribedGroup {
    let refused = |code: ErrorCode, message: &str| DescribedGroup {
        error_code: code.code(),
        error_message: Some(error_message(message)),
        authorized_operations: OPERATIONS_NOT_ASKED,
        ..Default::default()
    };
    if group.is_empty() {
        return DescribedGroup {
            group_id: group,
            ..refused(ErrorCode::InvalidGroupId, "a group has a name")
        };
    }
    let Some(found) = context.broker().groups().describe_consumer(&group) else {
        let message = format!(
            "there is no group {:?} of the consumer protocol",
            group.as_str()
        );
        return DescribedGroup {
            group_id: group,
            ..refused(ErrorCode::GroupIdNotFound, &message)
        };
    };
    let ConsumerDescription {
        state,
        epoch,
        target_epoch,
        assignor,
        members,
    } = found;
    let tells = context.version >= MEMBER_TYPES_FROM;
    DescribedGroup {
        group_id: group,
        group_state: state.name().into(),
        group_epoch: epoch,
        assignment_epoch: target_epoch,
        assignor_name: assignor.into(),
        members: members.into_iter().map(|one| member(one, tells)).collect(),
        authorized_operations: OPERATIONS_NOT_ASKED,
        ..Default::default()
    }
}

fn member(member: ConsumerMemberDescription, tells_type: bool) -> Member {
    let member_type = match (tells_type, member.is_classic) {
        (false, _) => NOT_TOLD,
        (true, true) => CLASSIC,
        (true, false) => CONSUMER,
    };
    Member {
        member_id: member.member_id.into(),
        instance_id: member.instance_id.map(Into::into),
        rack_id: member.rack_id.map(Into::into),
        member_epoch: member.epoch,
        client_id: member.client_id.into(),
        client_host: member.client_host.into(),
        subscribed_topic_names: member.names.into_iter().map(Into::into).collect(),
        // As in Kafka, nobody has none.
        subscribed_topic_regex: Some(member.regex.unwrap_or_default().into()),
        assignment: assignment(member.assigned),
        target_assignment: assignment(member.target),
        member_type,
    }
}

fn assignment(of: Vec<broker::TopicPartitions>) -> Assignment {
    let topic_partitions = of.into_iter().map(|of| TopicPartitions {
        topic_id: Uuid(of.id.0),
        topic_name: of.name.into(),
        partitions: of.partitions.into_iter().map(u32::cast_signed).collect(),
    });
    Assignment {
        topic_partitions: topic_partitions.collect(),
    }
}
