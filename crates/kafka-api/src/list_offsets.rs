//! ListOffsets: offsets by time and by name (KIP-79, KIP-734, KIP-405, KIP-1005, KIP-1023).

use std::collections::BTreeMap;

use broker::OffsetQuery;
use kafka_wire::ErrorCode;
use kafka_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use storage::Isolation;

use crate::Context;
use crate::error::Coded;

/// First version that tells the leader epoch.
const EPOCH_FROM: i16 = 4;
/// "Unknown", in offsets, times and epochs.
const NONE: i64 = -1;

pub(crate) async fn handle(context: Context, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let isolation = isolation(request.isolation_level);
    let mut times: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            *times
                .entry((topic.name.as_str(), partition.partition_index))
                .or_default() += 1;
        }
    }
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            // A partition that comes more than once is refused, once.
            let place = (topic.name.as_str(), partition.partition_index);
            let answer = match times.remove(&place) {
                None => continue,
                Some(1) => find(&context, &topic.name, partition, isolation).await,
                Some(_) => Err(ErrorCode::InvalidRequest),
            };
            tokio::task::consume_budget().await;
            partitions.push(answer.unwrap_or_else(|code| failed(partition, code)));
        }
        topics.push(ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions,
        });
    }
    ListOffsetsResponse {
        topics,
        ..Default::default()
    }
}

/// Kafka's `IsolationLevel`; a number that means nothing reads as the weaker one, as in Kafka's
/// ListOffsets of old.
pub(crate) fn isolation(level: i8) -> Isolation {
    if level == 1 {
        Isolation::ReadCommitted
    } else {
        Isolation::ReadUncommitted
    }
}

/// An epoch that the client may leave out.
pub(crate) fn known_epoch(epoch: i32) -> Option<i32> {
    (epoch >= 0).then_some(epoch)
}

async fn find(
    context: &Context,
    name: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    let broker = context.broker();
    let topic = broker
        .topic(name)
        .ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let query = query(asked.timestamp, context.version).ok_or(ErrorCode::UnsupportedVersion)?;
    let epoch = known_epoch(asked.current_leader_epoch);
    let found = broker
        .find_offset(&topic, asked.partition_index, query, isolation, epoch)
        .await;
    let found = found.map_err(|error| error.code())?;
    Ok(ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: ErrorCode::None.code(),
        timestamp: found.timestamp_ms.unwrap_or(NONE),
        offset: found.offset.map_or(NONE, records::Offset::get),
        leader_epoch: found
            .leader_epoch
            .filter(|_| context.version >= EPOCH_FROM)
            .unwrap_or(-1),
    })
}

/// What a timestamp asks for; `None`: a special value that this version does not have yet.
fn query(timestamp: i64, version: i16) -> Option<OffsetQuery> {
    let special = |since: i16, query| (version >= since).then_some(query);
    match timestamp {
        -1 => Some(OffsetQuery::Latest),
        -2 => Some(OffsetQuery::Earliest),
        -3 => special(7, OffsetQuery::MaxTimestamp),
        -4 => special(8, OffsetQuery::EarliestLocal),
        -5 => special(9, OffsetQuery::LatestTiered),
        -6 => special(11, OffsetQuery::EarliestPendingUpload),
        ..=-7 => None,
        ms => Some(OffsetQuery::Timestamp(ms)),
    }
}

fn failed(asked: &ListOffsetsPartition, code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: code.code(),
        timestamp: NONE,
        offset: NONE,
        leader_epoch: -1,
    }
}

#[cfg(test)]
mod tests;
