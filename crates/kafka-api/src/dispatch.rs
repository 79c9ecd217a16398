//! THE table: which APIs exist, in which versions, and who answers them.
//!
//! Dispatch and the ApiVersions response come from it, so nothing can be advertised that has no
//! handler. An API is added by one line.
//!
//! Bytes behind the end of a request are ignored, as in Kafka: librdkafka leaves three of them in a
//! Metadata request for all topics.

use bytes::BytesMut;
use futures_util::future::BoxFuture;
use kafka_wire::messages::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, ApiVersionsRequest,
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, CreateAclsRequest,
    CreatePartitionsRequest, CreateTopicsRequest, DeleteAclsRequest, DeleteGroupsRequest,
    DeleteRecordsRequest, DeleteTopicsRequest, DescribeAclsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeGroupsRequest, DescribeLogDirsRequest,
    DescribeProducersRequest, DescribeQuorumRequest, DescribeTopicPartitionsRequest,
    ElectLeadersRequest, FetchRequest, FindCoordinatorRequest, HeartbeatRequest,
    IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
    ListConfigResourcesRequest, ListGroupsRequest, ListOffsetsRequest,
    ListPartitionReassignmentsRequest, MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest, SyncGroupRequest,
    UpdateFeaturesRequest,
};
use kafka_wire::{
    DecodeError, EncodeError, HeaderError, Message, Reader, Request, RequestHeader, Response,
    ResponseHeader, ResponseWriter,
};
use storage::{BytesPermit, Chunk};

use crate::{
    Context, acls, alter_configs, api_versions, consumer_group_describe, consumer_group_heartbeat,
    create_partitions, create_topics, delete_groups, delete_records, delete_topics,
    describe_cluster, describe_configs, describe_groups, describe_log_dirs, describe_producers,
    describe_quorum, describe_topic_partitions, fetch, find_coordinator, heartbeat,
    init_producer_id, join_group, leave_group, list_groups, list_offsets, metadata, offset_commit,
    offset_delete, offset_fetch, offset_for_leader_epoch, produce, replicas, resources, sync_group,
    update_features,
};

/// One API.
pub(crate) struct Entry {
    pub(crate) key: i16,
    pub(crate) name: &'static str,
    /// The oldest version that is advertised; below `min` every request is refused all the same.
    pub(crate) advertised_min: i16,
    pub(crate) min: i16,
    pub(crate) max: i16,
    /// Whether the next request may begin before this one is answered, as far as the API goes. Kafka
    /// answers one after the other; a produce that has its place in the log cannot be told apart
    /// from one answered.
    pub(crate) overlaps: bool,
    handler: fn(Call) -> Result<Begun, Close>,
}

/// All of them, by key.
pub(crate) static TABLE: &[Entry] = &[
    // The answers of versions 0 to 2 are refused; without them in the list, librdkafka before
    // 2.11.1 takes the broker for one that knows no compression (KAFKA-18659).
    Entry {
        advertised_min: 0,
        overlaps: true,
        ..entry::<ProduceRequest>(produce::handle)
    },
    entry::<FetchRequest>(fetch::handle),
    entry::<ListOffsetsRequest>(|call| ordinary(call, list_offsets::handle)),
    entry::<MetadataRequest>(|call| ordinary(call, metadata::handle)),
    entry::<OffsetCommitRequest>(|call| ordinary(call, offset_commit::handle)),
    entry::<OffsetFetchRequest>(|call| ordinary(call, offset_fetch::handle)),
    entry::<FindCoordinatorRequest>(|call| ordinary(call, find_coordinator::handle)),
    entry::<JoinGroupRequest>(|call| ordinary(call.parked(), join_group::handle)),
    entry::<HeartbeatRequest>(|call| ordinary(call, heartbeat::handle)),
    entry::<LeaveGroupRequest>(|call| ordinary(call, leave_group::handle)),
    entry::<SyncGroupRequest>(|call| ordinary(call.parked(), sync_group::handle)),
    entry::<DescribeGroupsRequest>(|call| ordinary(call, describe_groups::handle)),
    entry::<ListGroupsRequest>(|call| ordinary(call, list_groups::handle)),
    entry::<ApiVersionsRequest>(|call| ordinary(call, api_versions::handle)),
    entry::<CreateTopicsRequest>(|call| ordinary(call, create_topics::handle)),
    entry::<DeleteTopicsRequest>(|call| ordinary(call, delete_topics::handle)),
    entry::<DeleteRecordsRequest>(|call| ordinary(call, delete_records::handle)),
    entry::<InitProducerIdRequest>(|call| ordinary(call, init_producer_id::handle)),
    entry::<OffsetForLeaderEpochRequest>(|call| ordinary(call, offset_for_leader_epoch::handle)),
    entry::<DescribeAclsRequest>(|call| ordinary(call, acls::describe)),
    entry::<CreateAclsRequest>(|call| ordinary(call, acls::create)),
    entry::<DeleteAclsRequest>(|call| ordinary(call, acls::delete)),
    entry::<DescribeConfigsRequest>(|call| ordinary(call, describe_configs::handle)),
    entry::<AlterConfigsRequest>(|call| ordinary(call, alter_configs::whole)),
    entry::<DescribeLogDirsRequest>(|call| ordinary(call, describe_log_dirs::handle)),
    entry::<CreatePartitionsRequest>(|call| ordinary(call, create_partitions::handle)),
    entry::<DeleteGroupsRequest>(|call| ordinary(call, delete_groups::handle)),
    entry::<ElectLeadersRequest>(|call| ordinary(call, replicas::elect)),
    entry::<IncrementalAlterConfigsRequest>(|call| ordinary(call, alter_configs::incremental)),
    entry::<AlterPartitionReassignmentsRequest>(|call| ordinary(call, replicas::reassign)),
    entry::<ListPartitionReassignmentsRequest>(|call| ordinary(call, replicas::list_reassignments)),
    entry::<OffsetDeleteRequest>(|call| ordinary(call, offset_delete::handle)),
    entry::<DescribeQuorumRequest>(|call| ordinary(call, describe_quorum::handle)),
    entry::<UpdateFeaturesRequest>(|call| ordinary(call, update_features::handle)),
    entry::<DescribeClusterRequest>(|call| ordinary(call, describe_cluster::handle)),
    entry::<DescribeProducersRequest>(|call| ordinary(call, describe_producers::handle)),
    entry::<ConsumerGroupHeartbeatRequest>(|call| {
        ordinary(call.parked(), consumer_group_heartbeat::handle)
    }),
    entry::<ConsumerGroupDescribeRequest>(|call| ordinary(call, consumer_group_describe::handle)),
    entry::<ListConfigResourcesRequest>(|call| ordinary(call, resources::handle)),
    entry::<DescribeTopicPartitionsRequest>(|call| {
        ordinary(call, describe_topic_partitions::handle)
    }),
];

/// A request on its way to a handler.
pub(crate) struct Call {
    pub(crate) context: Context,
    pub(crate) correlation_id: i32,
    /// The whole frame without its length.
    pub(crate) frame: BytesMut,
    /// Where the body begins.
    pub(crate) body_at: usize,
    /// The share of the byte budget that the frame holds.
    pub(crate) permit: BytesPermit,
}

impl Call {
    /// Gives the share of the budget back: a member may wait for minutes, and what it brought
    /// counts against the limits of the groups.
    fn parked(self) -> Self {
        Self {
            permit: BytesPermit::free(),
            ..self
        }
    }
}

/// A request whose handler has begun.
pub(crate) struct Begun {
    pub(crate) answer: Answer,
    /// Whether the next request may begin before this one is answered.
    pub(crate) overlaps: bool,
}

impl Begun {
    /// A request that the next one waits for.
    pub(crate) fn alone(answer: Answer) -> Self {
        Self {
            answer,
            overlaps: false,
        }
    }

    /// A request that has done all that the next one could notice.
    pub(crate) fn overlapping(answer: Answer) -> Self {
        Self {
            answer,
            overlaps: true,
        }
    }
}

/// An answer that may take a while; `None`: the request gets no response.
pub(crate) type Answer = BoxFuture<'static, Result<Option<Response<Chunk>>, Close>>;

/// Why a connection is closed by us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Close {
    /// The header cannot be read, or names an API that nobody knows.
    #[error("{0}")]
    Header(#[from] HeaderError),
    /// The API is known but not served.
    #[error("API {name} is not supported")]
    UnsupportedApi {
        /// Its name.
        name: &'static str,
    },
    /// The version is outside the window.
    #[error("{name} version {version} is not supported, {min} to {max} are")]
    UnsupportedVersion {
        /// The API.
        name: &'static str,
        /// The version asked for.
        version: i16,
        /// The oldest that is served.
        min: i16,
        /// The newest that is served.
        max: i16,
    },
    /// The body cannot be read.
    #[error("malformed {name} version {version}: {error}")]
    Malformed {
        /// The API.
        name: &'static str,
        /// The version.
        version: i16,
        /// What is wrong.
        error: DecodeError,
    },
    /// More partitions than there may be.
    #[error("{name} with {count} partitions; all topics together have at most {limit}")]
    TooManyPartitions {
        /// The API.
        name: &'static str,
        /// How many the request names.
        count: usize,
        /// The most that may exist.
        limit: usize,
    },
    /// A response could not be written in the request's version: a fault of ours.
    #[error("cannot answer: {0}")]
    Encode(#[from] EncodeError),
    /// A produce without acknowledgement failed; there is no other way to tell.
    #[error("a produce under acks=0 failed: {0}")]
    UnacknowledgedFailure(String),
}

/// Whether the request in `frame` may begin beside others that may. Whether the next one may begin
/// beside it shows when it has begun.
pub(crate) fn overlaps(frame: &[u8]) -> bool {
    let key = frame.first_chunk::<2>().map(|key| i16::from_be_bytes(*key));
    TABLE
        .iter()
        .any(|entry| Some(entry.key) == key && entry.overlaps)
}

/// Finds the handler of a frame and starts it. What the header says of the client is kept in
/// `context`.
pub(crate) fn dispatch(
    context: &mut Context,
    frame: BytesMut,
    permit: BytesPermit,
) -> Result<Begun, Close> {
    let (header, body_at) = RequestHeader::parse(&frame)?;
    let (key, version, correlation_id) =
        (header.api_key, header.api_version, header.correlation_id);
    context.version = version;
    if context.client_id.as_deref() != header.client_id {
        context.client_id = header.client_id.map(Into::into);
    }
    let Some(entry) = TABLE.iter().find(|entry| entry.key == key) else {
        let name = kafka_wire::api(key).map_or("unknown", |api| api.name);
        return Err(Close::UnsupportedApi { name });
    };
    if !(entry.min..=entry.max).contains(&version) {
        if key == ApiVersionsRequest::KEY {
            // KIP-511: the client learns the versions from a version-0 answer and asks again.
            return Ok(Begun::alone(api_versions::unsupported_version(
                correlation_id,
            )));
        }
        let Entry { name, min, max, .. } = *entry;
        return Err(Close::UnsupportedVersion {
            name,
            version,
            min,
            max,
        });
    }
    (entry.handler)(Call {
        context: context.clone(),
        correlation_id,
        frame,
        body_at,
        permit,
    })
}

/// Refuses a request that names more partitions than all topics may have: each of them costs
/// memory far above its bytes.
pub(crate) fn check_count(call: &Call, name: &'static str, count: usize) -> Result<(), Close> {
    let limit = call.context.broker().config().partitions_max as usize;
    if count > limit {
        return Err(Close::TooManyPartitions { name, count, limit });
    }
    Ok(())
}

/// Runs an ordinary API: decode, handle, encode.
fn ordinary<R, F>(call: Call, handler: impl FnOnce(Context, R) -> F) -> Result<Begun, Close>
where
    R: Request,
    F: Future<Output = R::Response> + Send + 'static,
{
    let Call {
        context,
        correlation_id,
        frame,
        body_at,
        permit,
    } = call;
    let version = context.version;
    let malformed = |error| Close::Malformed {
        name: R::NAME,
        version,
        error,
    };
    let mut reader = Reader::at(frame.freeze(), body_at);
    let request = R::decode(&mut reader, version).map_err(malformed)?;
    let handling = handler(context, request);
    Ok(Begun::alone(Box::pin(async move {
        let response = handling.await;
        drop(permit);
        encode(&response, R::KEY, version, correlation_id).map(Some)
    })))
}

/// A response of which nothing is kept elsewhere.
pub(crate) fn encode<M: Message>(
    response: &M,
    key: i16,
    version: i16,
    correlation_id: i32,
) -> Result<Response<Chunk>, Close> {
    let mut writer = ResponseWriter::new(ResponseHeader { correlation_id }, key, version);
    response.encode(writer.writer(), version)?;
    Ok(writer.finish()?)
}

const fn entry<R: Request>(handler: fn(Call) -> Result<Begun, Close>) -> Entry {
    Entry {
        key: R::KEY,
        name: R::NAME,
        advertised_min: R::MIN_VERSION,
        min: R::MIN_VERSION,
        max: R::MAX_VERSION,
        overlaps: false,
        handler,
    }
}

#[cfg(test)]
mod tests;
