//! Offsets of partitions, where they begin, and the stored positions of consumers.
//!
//! An end that is answered or checked against is never older than the last acknowledgement.

use broker::{Broker, OffsetQuery, Topic};
use records::Offset;
use storage::Isolation;
use tonic::Status;

use crate::proto::seek_request::To;
use crate::proto::trim_topic_request::Before;
use crate::proto::{
    CommitOffsetRequest, CommitOffsetResponse, GetOffsetsRequest, GetOffsetsResponse,
    PartitionOffsets, SeekRequest, SeekResponse, TrimTopicRequest, TrimTopicResponse,
};
use crate::{error, lookup};

pub(crate) async fn get(
    broker: &Broker,
    request: GetOffsetsRequest,
) -> Result<GetOffsetsResponse, Status> {
    let topic = lookup::topic(broker, &request.topic)?;
    let wanted = match request.partition {
        Some(partition) => {
            let partition = lookup::partition(&topic, partition)?;
            partition..partition.saturating_add(1)
        }
        None => 0..topic.partition_count().cast_signed(),
    };
    let mut partitions = Vec::new();
    for partition in wanted {
        let range = lookup::range(&topic, partition).await?;
        let offset_at_timestamp = match request.timestamp_ms {
            Some(timestamp_ms) => offset_at(broker, &topic, partition, timestamp_ms).await?,
            None => None,
        };
        partitions.push(PartitionOffsets {
            partition: Some(partition),
            start_offset: Some(range.start.get()),
            end_offset: Some(range.end.get()),
            offset_at_timestamp: offset_at_timestamp.map(Offset::get),
        });
    }
    Ok(GetOffsetsResponse { partitions })
}

pub(crate) async fn offset_at(
    broker: &Broker,
    topic: &Topic,
    partition: i32,
    timestamp_ms: i64,
) -> Result<Option<Offset>, Status> {
    if timestamp_ms < 0 {
        return Err(error::negative_timestamp(topic, partition, timestamp_ms));
    }
    let query = OffsetQuery::Timestamp(timestamp_ms);
    let isolation = Isolation::ReadUncommitted;
    let found = broker
        .find_offset(topic, partition, query, isolation, None)
        .await;
    let found = found.map_err(|reason| error::find_offset(&reason, topic, partition))?;
    Ok(found.offset)
}

pub(crate) async fn commit(
    broker: &Broker,
    request: CommitOffsetRequest,
) -> Result<CommitOffsetResponse, Status> {
    let topic = lookup::topic(broker, &request.topic)?;
    let partition = lookup::partition(&topic, request.partition)?;
    let offset = lookup::offset(&topic, partition, request.offset)?;
    let range = lookup::range(&topic, partition).await?;
    // Below the start is allowed: the record was handled, and deleted meanwhile.
    if offset > range.end {
        return Err(error::out_of_range(&topic, partition, offset, range));
    }
    let (consumer, metadata) = (&request.consumer, &request.metadata);
    let stored = broker
        .positions()
        .commit(consumer, &topic, partition, offset, metadata)
        .await;
    stored.map_err(|reason| error::position(&reason, &topic, partition))?;
    Ok(CommitOffsetResponse {
        offset: Some(offset.get()),
    })
}

pub(crate) async fn trim(
    broker: &Broker,
    request: TrimTopicRequest,
) -> Result<TrimTopicResponse, Status> {
    let topic = lookup::topic(broker, &request.topic)?;
    let partition = lookup::partition(&topic, request.partition)?;
    let range = lookup::range(&topic, partition).await?;
    let before = match request.before {
        None => return Err(error::trim_before_nothing("before", &topic, partition)),
        Some(Before::End(false)) => {
            return Err(error::trim_before_nothing("end", &topic, partition));
        }
        Some(Before::End(true)) => range.end,
        Some(Before::Offset(offset)) => lookup::offset(&topic, partition, offset)?,
        Some(Before::TimestampMs(timestamp_ms)) => {
            let found = offset_at(broker, &topic, partition, timestamp_ms).await?;
            found.unwrap_or(range.end)
        }
    };
    let trimmed = broker.delete_records(&topic, partition, Some(before)).await;
    let start = trimmed.map_err(|reason| error::delete_records(&reason, &topic, partition))?;
    Ok(TrimTopicResponse {
        topic: request.topic,
        partition: Some(partition),
        start_offset: Some(start.get()),
    })
}

pub(crate) async fn seek(broker: &Broker, request: SeekRequest) -> Result<SeekResponse, Status> {
    let topic = lookup::topic(broker, &request.topic)?;
    let partition = lookup::partition(&topic, request.partition)?;
    let range = lookup::range(&topic, partition).await?;
    let offset = match request.to {
        None => return Err(error::seek_to_nowhere("to", &topic, partition)),
        Some(To::Start(false)) => return Err(error::seek_to_nowhere("start", &topic, partition)),
        Some(To::End(false)) => return Err(error::seek_to_nowhere("end", &topic, partition)),
        Some(To::Start(true)) => range.start,
        Some(To::End(true)) => range.end,
        Some(To::Offset(offset)) => {
            let offset = lookup::offset(&topic, partition, offset)?;
            if offset < range.start || offset > range.end {
                return Err(error::out_of_range(&topic, partition, offset, range));
            }
            offset
        }
        Some(To::TimestampMs(timestamp_ms)) => {
            let found = offset_at(broker, &topic, partition, timestamp_ms).await?;
            found.unwrap_or(range.end)
        }
    };
    let stored = broker
        .positions()
        .commit(&request.consumer, &topic, partition, offset, "")
        .await;
    stored.map_err(|reason| error::position(&reason, &topic, partition))?;
    Ok(SeekResponse {
        offset: Some(offset.get()),
    })
}
