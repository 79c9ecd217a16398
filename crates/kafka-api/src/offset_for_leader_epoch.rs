//! OffsetForLeaderEpoch: how clients find out that a log was cut (KIP-101, KIP-320).

use kafka_wire::ErrorCode;
use kafka_wire::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};

use crate::Context;
use crate::error::Coded;
use crate::list_offsets::known_epoch;

pub(crate) async fn handle(
    context: Context,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|asked| end_of(&context, &topic.topic, asked));
        OffsetForLeaderTopicResult {
            topic: topic.topic.clone(),
            partitions: partitions.collect(),
        }
    });
    OffsetForLeaderEpochResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

fn end_of(context: &Context, name: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let broker = context.broker();
    let current = known_epoch(asked.current_leader_epoch);
    let found = broker
        .topic(name)
        .ok_or(ErrorCode::UnknownTopicOrPartition)
        .and_then(|topic| {
            let end = broker.epoch_end(&topic, asked.partition, asked.leader_epoch, current);
            end.map_err(|error| error.code())
        });
    // The defaults of the message stand for "not known".
    let unknown = EpochEndOffset {
        partition: asked.partition,
        ..Default::default()
    };
    match found {
        Ok(Some(end)) => EpochEndOffset {
            leader_epoch: end.leader_epoch,
            end_offset: end.end.get(),
            ..unknown
        },
        Ok(None) => unknown,
        Err(code) => EpochEndOffset {
            error_code: code.code(),
            ..unknown
        },
    }
}

#[cfg(test)]
mod tests;
