//! A member through all its requests, in every version.

use kafka_wire::ErrorCode;
use kafka_wire::messages::heartbeat::HeartbeatRequest;
use kafka_wire::messages::join_group::JoinGroupRequestProtocol;
use kafka_wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use kafka_wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::*;
use crate::harness::Harness;

fn request(group: &str, member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 10_000,
        member_id: member_id.into(),
        protocol_type: "connect".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "any".into(),
            metadata: Bytes::from_static(b"\xff\0opaque"),
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_member_joins_syncs_beats_and_leaves() {
    let harness = Harness::new().await;
    for version in 0..=9 {
        let group = format!("group/{version}");
        let mut joined = harness.ask(version, &request(&group, "")).await;
        if version >= MEMBER_ID_FROM {
            let required = ErrorCode::MemberIdRequired.code();
            assert_eq!((joined.error_code, joined.generation_id), (required, -1));
            joined = harness
                .ask(version, &request(&group, &joined.member_id))
                .await;
        }
        assert_eq!(
            (joined.error_code, joined.generation_id),
            (0, 1),
            "v{version}"
        );
        assert_eq!(joined.leader, joined.member_id);
        assert_eq!(joined.members[0].metadata, b"\xff\0opaque"[..]);
        let sync = SyncGroupRequest {
            group_id: group.as_str().into(),
            generation_id: 1,
            member_id: joined.member_id.clone(),
            assignments: vec![SyncGroupRequestAssignment {
                member_id: joined.member_id.clone(),
                assignment: Bytes::from_static(b"nonsense"),
            }],
            ..Default::default()
        };
        let mut sync = sync;
        if version >= 5 {
            for (protocol_type, protocol_name) in [(None, None), (Some("connect"), None)] {
                sync.protocol_type = protocol_type.map(Into::into);
                sync.protocol_name = protocol_name.map(|name: &str| name.into());
                let refused = harness.ask(5, &sync).await;
                let inconsistent = ErrorCode::InconsistentGroupProtocol.code();
                assert_eq!(refused.error_code, inconsistent);
            }
            sync.protocol_name = Some("any".into());
        }
        let synced = harness.ask(version.min(5), &sync).await;
        assert_eq!(
            (synced.error_code, &synced.assignment[..]),
            (0, &b"nonsense"[..])
        );
        let beat = HeartbeatRequest {
            group_id: group.as_str().into(),
            generation_id: 1,
            member_id: joined.member_id.clone(),
            ..Default::default()
        };
        assert_eq!(harness.ask(version.min(4), &beat).await.error_code, 0);
        let mut leave = LeaveGroupRequest {
            group_id: group.as_str().into(),
            ..Default::default()
        };
        if version >= 3 {
            leave.members = vec![MemberIdentity {
                member_id: joined.member_id.clone(),
                ..Default::default()
            }];
        } else {
            leave.member_id = joined.member_id.clone();
        }
        assert_eq!(harness.ask(version.min(5), &leave).await.error_code, 0);
        let gone = harness.ask(version.min(4), &beat).await.error_code;
        assert_eq!(gone, ErrorCode::UnknownMemberId.code());
    }
}

#[tokio::test]
async fn names_and_timeouts_are_checked() {
    let harness = Harness::new().await;
    let with_session = |ms| JoinGroupRequest {
        session_timeout_ms: ms,
        ..request("g", "")
    };
    let long = "n".repeat(32_767);
    let cases = [
        (request("", ""), ErrorCode::InvalidGroupId),
        (request(&long, ""), ErrorCode::None),
        (with_session(5_999), ErrorCode::InvalidSessionTimeout),
        (with_session(6_000), ErrorCode::None),
        (with_session(1_800_001), ErrorCode::InvalidSessionTimeout),
        (with_session(-1), ErrorCode::InvalidSessionTimeout),
        (request("none", "made up"), ErrorCode::UnknownMemberId),
    ];
    for (request, expected) in cases {
        let answer = harness.ask(0, &request).await;
        let ms = request.session_timeout_ms;
        assert_eq!(
            answer.error_code,
            expected.code(),
            "{} ms, {}",
            ms,
            request.group_id.len()
        );
    }
}
