//! Consumers as a whole: where they are, how far they are behind, and all positions moved at once.

use std::collections::BTreeSet;

use broker::{Broker, GroupLag, PartitionLag, Topic};
use tonic::Status;

use crate::offsets::offset_at;
use crate::proto::reset_offset_request::To;
use crate::proto::{
    Consumer, ConsumerPosition, ListConsumersRequest, ListConsumersResponse, PositionReset,
    ResetOffsetRequest, ResetOffsetResponse,
};
use crate::{error, lookup};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// The most positions of one consumer in an answer.
const POSITIONS_MAX: usize = 10_000;

pub(crate) async fn list(
    broker: &Broker,
    request: ListConsumersRequest,
) -> Result<ListConsumersResponse, Status> {
    let now_ms = broker.clock().wall_ms();
    if !request.consumer.is_empty() {
        let found = broker.groups().lag_of(&request.consumer).await;
        let found = found.map_err(|reason| error::group(&reason, &request.consumer))?;
        let found = found.ok_or_else(|| error::unknown_consumer(&request.consumer))?;
        return Ok(ListConsumersResponse {
            consumers: vec![shown(&found, now_ms)],
        });
    }
    let limit = match request.limit.unwrap_or(0) {
        0 => LIMIT_DEFAULT,
        asked => usize::try_from(asked)
            .ok()
            .filter(|limit| *limit <= LIMIT_MAX)
            .ok_or_else(|| error::invalid_limit(asked, LIMIT_MAX))?,
    };
    let lags = broker.groups().lags().await;
    let lags = lags.map_err(|reason| error::group(&reason, &request.after))?;
    let from = lags
        .groups
        .partition_point(|lag| !request.after.is_empty() && *lag.group <= *request.after);
    let page = lags.groups.iter().skip(from).take(limit);
    Ok(ListConsumersResponse {
        consumers: page.map(|lag| shown(lag, lags.at_ms)).collect(),
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn shown(lag: &GroupLag, now_ms: i64) -> Consumer {
    let sum = lag.partitions.iter().map(PartitionLag::records);
    let position = |lag: &PartitionLag| ConsumerPosition {
        topic: lag.topic.name().as_str().to_owned(),
        partition: Some(lag.partition.cast_signed()),
        offset: Some(lag.position.offset.get()),
        end_offset: Some(lag.end.get()),
        lag: Some(signed(lag.records())),
        lag_ms: lag.age_ms(now_ms).map(signed),
        committed_ms: Some(lag.position.committed_ms),
        metadata: lag.position.metadata.clone(),
    };
    Consumer {
        consumer: lag.group.to_string(),
        state: lag.state.name().to_owned(),
        members: Some(i32::try_from(lag.members).unwrap_or(i32::MAX)),
        positions: lag
            .partitions
            .iter()
            .take(POSITIONS_MAX)
            .map(position)
            .collect(),
        lag: Some(signed(sum.fold(0, u64::saturating_add))),
    }
}

pub(crate) async fn reset(
    broker: &Broker,
    request: ResetOffsetRequest,
) -> Result<ResetOffsetResponse, Status> {
    let topic = lookup::topic(broker, &request.topic)?;
    let partitions = partitions(&topic, &request.partitions)?;
    let nowhere = || error::reset_to_nowhere(&topic);
    let to = request.to.ok_or_else(nowhere)?;
    let positions_of = broker.positions();
    let mut positions = Vec::with_capacity(partitions.len());
    let mut moves = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let range = lookup::range(&topic, partition).await?;
        let after = match to {
            To::Offset(offset) => {
                let offset = lookup::offset(&topic, partition, offset)?;
                offset.clamp(range.start, range.end)
            }
            To::TimestampMs(timestamp_ms) => {
                let found = offset_at(broker, &topic, partition, timestamp_ms).await?;
                found.unwrap_or(range.end)
            }
            To::Start(true) => range.start,
            To::End(true) => range.end,
            To::Start(false) | To::End(false) => return Err(nowhere()),
        };
        let before = positions_of.get(&request.consumer, &topic, partition).await;
        let before = before.map_err(|reason| error::position(&reason, &topic, partition))?;
        positions.push(PositionReset {
            partition: Some(partition),
            before: before.map(|position| position.offset.get()),
            after: Some(after.get()),
        });
        moves.push((partition, after));
    }
    if !request.dry_run {
        let consumer = &request.consumer;
        let moved = positions_of.commit_all(consumer, &topic, &moves).await;
        moved.map_err(|(partition, reason)| error::position(&reason, &topic, partition))?;
    }
    Ok(ResetOffsetResponse { positions })
}

/// The partitions that a request names, each once; all of the topic if it names none.
fn partitions(topic: &Topic, named: &[i32]) -> Result<BTreeSet<i32>, Status> {
    if named.is_empty() {
        return Ok((0..topic.partition_count().cast_signed()).collect());
    }
    let checked = named.iter().map(|number| lookup::partition(topic, *number));
    checked.collect()
}
