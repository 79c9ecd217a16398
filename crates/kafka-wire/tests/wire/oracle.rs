//! A second opinion: the crate kafka-protocol reads and writes the same bytes.
//!
//! It is an oracle for tests only, because it allocates by the untrusted count.

use crate::codecs;
use crate::schema::{self, Builder};
use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message, VersionRange};
use std::fmt::Debug;

struct Oracle {
    message: &'static str,
    versions: VersionRange,
    recode: fn(Bytes, i16) -> Result<Bytes, String>,
}

fn oracle<M: Message + Decodable + Encodable + Debug>(message: &'static str) -> Oracle {
    Oracle {
        message,
        versions: M::VERSIONS,
        recode: recode::<M>,
    }
}

fn recode<M: Decodable + Encodable + Debug>(bytes: Bytes, version: i16) -> Result<Bytes, String> {
    let mut rest = bytes;
    let message = M::decode(&mut rest, version).map_err(|error| format!("decode: {error}"))?;
    if !rest.is_empty() {
        return Err(format!("{} bytes left of {message:?}", rest.len()));
    }
    let mut encoded = BytesMut::new();
    message
        .encode(&mut encoded, version)
        .map_err(|error| format!("encode: {error}: {message:?}"))?;
    Ok(encoded.freeze())
}

macro_rules! oracles {
    ($($message:ident)*) => {
        vec![$(oracle::<kafka_protocol::messages::$message>(stringify!($message)),)*]
    };
}

fn oracles() -> Vec<Oracle> {
    oracles! {
        ProduceRequest ProduceResponse
        FetchRequest FetchResponse
        ListOffsetsRequest ListOffsetsResponse
        MetadataRequest MetadataResponse
        OffsetCommitRequest OffsetCommitResponse
        OffsetFetchRequest OffsetFetchResponse
        FindCoordinatorRequest FindCoordinatorResponse
        JoinGroupRequest JoinGroupResponse
        HeartbeatRequest HeartbeatResponse
        LeaveGroupRequest LeaveGroupResponse
        SyncGroupRequest SyncGroupResponse
        DescribeGroupsRequest DescribeGroupsResponse
        ListGroupsRequest ListGroupsResponse
        ApiVersionsRequest ApiVersionsResponse
        CreateTopicsRequest CreateTopicsResponse
        DeleteTopicsRequest DeleteTopicsResponse
        DeleteRecordsRequest DeleteRecordsResponse
        InitProducerIdRequest InitProducerIdResponse
        OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse
        DescribeAclsRequest DescribeAclsResponse
        CreateAclsRequest CreateAclsResponse
        DeleteAclsRequest DeleteAclsResponse
        DescribeConfigsRequest DescribeConfigsResponse
        AlterConfigsRequest AlterConfigsResponse
        DescribeLogDirsRequest DescribeLogDirsResponse
        CreatePartitionsRequest CreatePartitionsResponse
        DeleteGroupsRequest DeleteGroupsResponse
        ElectLeadersRequest ElectLeadersResponse
        IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse
        AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse
        ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse
        OffsetDeleteRequest OffsetDeleteResponse
        DescribeQuorumRequest DescribeQuorumResponse
        UpdateFeaturesRequest UpdateFeaturesResponse
        DescribeClusterRequest DescribeClusterResponse
        DescribeProducersRequest DescribeProducersResponse
        ListConfigResourcesRequest ListConfigResourcesResponse
        DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse
        ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse
        ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse
    }
}

#[test]
fn kafka_protocol_reads_and_writes_the_same_bytes() {
    let apis = schema::apis();
    let oracles = oracles();
    let mut failures = Vec::new();
    let mut beyond = Vec::new();
    for codec in codecs::all() {
        let name = match codec.side {
            "request" => format!("{}Request", codec.api),
            _ => format!("{}Response", codec.api),
        };
        let oracle = oracles
            .iter()
            .find(|oracle| oracle.message == name)
            .expect(&name);
        let message = schema::message(&apis, codec.api, codec.side);
        for version in codec.versions.clone() {
            if !(oracle.versions.min..=oracle.versions.max).contains(&version) {
                beyond.push((name.clone(), version));
                continue;
            }
            for seed in 0..30 {
                let built = Bytes::from(Builder::new(message, version, seed).build().bytes);
                let ours = (codec.recode)(built.clone(), version).expect("well formed");
                match (oracle.recode)(built, version) {
                    Ok(theirs) if theirs == ours => {}
                    other => failures.push(format!("{name} {version} seed {seed}: {other:?}")),
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures: {:#?}",
        failures.len(),
        &failures[..1]
    );
    // Newer than the oracle; the bytes of the Java client cover these.
    let newer = [
        ("ListOffsetsRequest", 11),
        ("ListOffsetsResponse", 11),
        ("OffsetCommitRequest", 10),
        ("OffsetFetchRequest", 10),
        ("ApiVersionsRequest", 5),
        ("ApiVersionsResponse", 5),
        ("DescribeLogDirsRequest", 5),
        ("DescribeLogDirsResponse", 5),
        ("DeleteGroupsRequest", 3),
        ("DeleteGroupsResponse", 3),
    ];
    let newer = newer.map(|(name, version)| (name.to_owned(), version));
    assert_eq!(beyond, newer, "versions the oracle does not know");
}
