//! DescribeProducers: the idempotent producers that a partition knows (KIP-664).

use std::collections::BTreeSet;
use std::sync::Arc;

use broker::Broker;
use kafka_wire::messages::describe_producers::{
    PartitionResponse, ProducerState, TopicRequest, TopicResponse,
};
use kafka_wire::messages::{DescribeProducersRequest, DescribeProducersResponse};
use kafka_wire::{ErrorCode, WireString};
use storage::{ProducerEntry, TopicName};

use crate::Context;
use crate::error::{Coded, Refusal, error_message};

/// Stands for a number that there is not: no transaction is open, no coordinator has written.
const NONE: i32 = -1;

pub(crate) async fn handle(
    context: Context,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let broker = Arc::clone(context.broker());
    // What is known of a log that nobody used yet is read from the disk.
    let described = broker.offload({
        let broker = Arc::clone(&broker);
        move || {
            request
                .topics
                .iter()
                .map(|topic| describe(&broker, topic))
                .collect()
        }
    });
    DescribeProducersResponse {
        topics: described.await,
        ..Default::default()
    }
}

/// A partition is answered once, however often it is named: an answer may be large.
fn describe(broker: &Broker, asked: &TopicRequest) -> TopicResponse {
    let partitions: BTreeSet<i32> = asked.partition_indexes.iter().copied().collect();
    let answer = |partition_index| {
        let (active_producers, refusal) = match producers(broker, &asked.name, partition_index) {
            Ok(known) => (known.iter().map(state).collect(), None),
            Err(refusal) => (Vec::new(), Some(refusal)),
        };
        let (code, message) = refusal.unzip();
        PartitionResponse {
            partition_index,
            error_code: code.unwrap_or(ErrorCode::None).code(),
            error_message: message.as_deref().map(error_message),
            active_producers,
        }
    };
    TopicResponse {
        name: asked.name.clone(),
        partitions: partitions.into_iter().map(answer).collect(),
    }
}

fn producers(
    broker: &Broker,
    name: &WireString,
    partition: i32,
) -> Result<Vec<ProducerEntry>, Refusal> {
    if let Err(reason) = TopicName::parse(name) {
        return Err((ErrorCode::InvalidTopicException, reason.to_string()));
    }
    let Some(topic) = broker.topic(name) else {
        let message = format!("topic {name:?} does not exist");
        return Err((ErrorCode::UnknownTopicOrPartition, message));
    };
    let log = topic.log(partition);
    let log = log.map_err(|error| (error.code(), error.to_string()))?;
    let known = log.producers();
    known.map_err(|failure| (ErrorCode::KafkaStorageError, failure.to_string()))
}

fn state(entry: &ProducerEntry) -> ProducerState {
    let last = entry.batches().last();
    ProducerState {
        producer_id: entry.producer_id(),
        producer_epoch: entry.epoch().into(),
        last_sequence: last.map_or(NONE, |batch| batch.last_sequence),
        last_timestamp: entry.last_timestamp_ms(),
        coordinator_epoch: NONE,
        current_txn_start_offset: NONE.into(),
    }
}

#[cfg(test)]
mod tests;
