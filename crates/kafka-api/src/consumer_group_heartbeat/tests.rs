//! A member of the new protocol through all its requests, in every version.

use kafka_wire::ErrorCode;
use kafka_wire::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use kafka_wire::messages::describe_groups::DescribeGroupsRequest;
use kafka_wire::messages::list_groups::ListGroupsRequest;
use kafka_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_wire::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};

use super::*;
use crate::harness::Harness;

fn joins(group: &str, member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec!["orders".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

fn commit(group: &str, member: &str, epoch: i32) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: epoch,
        member_id: member.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: "orders".into(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: 3,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn fetch(group: &str, member: Option<&str>, epoch: i32) -> OffsetFetchRequest {
    OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.into(),
            member_id: member.map(Into::into),
            member_epoch: epoch,
            topics: None,
        }],
        ..Default::default()
    }
}

async fn check_descriptions(harness: &Harness, version: i16, group: &str, member: &str) {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![group.into(), "absent".into(), "".into()],
        include_authorized_operations: true,
    };
    let described = harness.ask(version, &request).await.groups;
    assert_eq!(&*described[0].group_state, "Stable");
    assert_eq!(
        (described[0].group_epoch, described[0].assignment_epoch),
        (1, 1)
    );
    assert_eq!(&*described[0].assignor_name, "uniform");
    let shown = &described[0].members[0];
    assert_eq!((&*shown.member_id, shown.member_epoch), (member, 1));
    assert_eq!(shown.assignment.topic_partitions[0].partitions, [0, 1]);
    assert_eq!(shown.target_assignment, shown.assignment);
    assert_eq!(shown.member_type, if version >= 1 { 1 } else { -1 });
    assert_eq!(described[1].error_code, ErrorCode::GroupIdNotFound.code());
    assert_eq!(described[2].error_code, ErrorCode::InvalidGroupId.code());
    let classic = DescribeGroupsRequest {
        groups: vec![group.into()],
        ..Default::default()
    };
    let classic = harness.ask(6, &classic).await.groups;
    assert_eq!(classic[0].error_code, ErrorCode::GroupIdNotFound.code());
    assert_eq!(&*classic[0].group_state, "Dead");
    for (kind, expected) in [("consumer", 1), ("Consumer", 1), ("classic", 0)] {
        let request = ListGroupsRequest {
            types_filter: vec![kind.into()],
            ..Default::default()
        };
        let listed = harness.ask(5, &request).await.groups;
        let named = listed.iter().filter(|listed| listed.group_id == group);
        assert_eq!(named.count(), expected, "{kind}");
    }
}

#[tokio::test]
async fn a_member_joins_commits_is_described_and_leaves() {
    let harness = Harness::new().await;
    let topic = harness.topic("orders", 2).await;
    for version in 0..=1 {
        let group = format!("group/{version}");
        let own_id = if version >= MAKES_ID_FROM { "me" } else { "" };
        let joined = harness.ask(version, &joins(&group, own_id)).await;
        assert_eq!(
            (joined.error_code, joined.member_epoch),
            (0, 1),
            "v{version}"
        );
        let member = joined.member_id.expect("always told").to_string();
        assert_eq!(joined.heartbeat_interval_ms, 5_000);
        let assigned = joined
            .assignment
            .expect("told to who joins")
            .topic_partitions;
        assert_eq!(assigned[0].topic_id, Uuid(topic.id().0));
        assert_eq!(assigned[0].partitions, [0, 1]);

        let stale = ErrorCode::StaleMemberEpoch.code();
        let cases = [
            (9, 1, 0),
            (9, 7, stale),
            (8, 1, ErrorCode::UnsupportedVersion.code()),
        ];
        for (commit_version, epoch, expected) in cases {
            let answer = harness
                .ask(commit_version, &commit(&group, &member, epoch))
                .await;
            assert_eq!(
                answer.topics[0].partitions[0].error_code, expected,
                "{epoch}"
            );
        }
        let unknown = ErrorCode::UnknownMemberId.code();
        let cases = [
            (Some(&*member), 1, 0),
            (None, -1, 0),
            (Some(&*member), 7, stale),
            (Some("x"), 1, unknown),
        ];
        for (id, epoch, expected) in cases {
            let answer = harness.ask(9, &fetch(&group, id, epoch)).await;
            assert_eq!(answer.groups[0].error_code, expected, "{id:?} {epoch}");
            let rows = usize::from(expected == 0);
            assert_eq!(answer.groups[0].topics.len(), rows);
        }

        check_descriptions(&harness, version, &group, &member).await;
        let leaves = ConsumerGroupHeartbeatRequest {
            group_id: group.as_str().into(),
            member_id: member.as_str().into(),
            member_epoch: -1,
            ..Default::default()
        };
        let left = harness.ask(version, &leaves).await;
        assert_eq!((left.error_code, left.member_epoch), (0, -1));
        let again = harness.ask(version, &leaves).await;
        assert_eq!(again.error_code, unknown);
        assert!(again.error_message.is_some());
    }
}

#[tokio::test]
async fn refusals_have_kafkas_codes() {
    let harness = Harness::new().await;
    harness.topic("orders", 2).await;
    harness.ask(1, &joins("g", "me")).await;
    let good = joins("g", "other");
    let cases = [
        (
            ConsumerGroupHeartbeatRequest {
                group_id: "".into(),
                ..good.clone()
            },
            ErrorCode::InvalidRequest,
        ),
        (
            ConsumerGroupHeartbeatRequest {
                group_id: "  ".into(),
                ..good.clone()
            },
            ErrorCode::InvalidRequest,
        ),
        (
            ConsumerGroupHeartbeatRequest {
                member_id: "".into(),
                ..good.clone()
            },
            ErrorCode::InvalidRequest,
        ),
        (
            ConsumerGroupHeartbeatRequest {
                member_epoch: 5,
                ..good.clone()
            },
            ErrorCode::UnknownMemberId,
        ),
        (
            ConsumerGroupHeartbeatRequest {
                member_id: "me".into(),
                member_epoch: 5,
                ..good.clone()
            },
            ErrorCode::FencedMemberEpoch,
        ),
        (
            ConsumerGroupHeartbeatRequest {
                group_id: "h".into(),
                member_epoch: 5,
                ..good.clone()
            },
            ErrorCode::GroupIdNotFound,
        ),
        (
            ConsumerGroupHeartbeatRequest {
                server_assignor: Some("x".into()),
                ..good.clone()
            },
            ErrorCode::UnsupportedAssignor,
        ),
        (
            ConsumerGroupHeartbeatRequest {
                subscribed_topic_regex: Some("(".into()),
                ..good
            },
            ErrorCode::InvalidRegularExpression,
        ),
    ];
    for (request, code) in cases {
        let answer = harness.ask(1, &request).await;
        assert_eq!(answer.error_code, code.code(), "{request:?}");
    }
}
