//! DescribeLogDirs: what partitions take on the disk, and the room on it (KIP-113, KIP-827).

use std::collections::BTreeSet;
use std::sync::Arc;

use broker::{Broker, Topic};
use kafka_wire::ErrorCode;
use kafka_wire::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_wire::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use crate::Context;

/// A topic and which of its partitions are asked for; `None`: all.
type Asked = (Arc<Topic>, Option<BTreeSet<i32>>);

pub(crate) async fn handle(
    context: Context,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let broker = Arc::clone(context.broker());
    let asked = asked(&broker, request);
    // Sizes of logs that nobody used yet are read from the disk.
    let measured = tokio::task::spawn_blocking(move || measure(&broker, &asked)).await;
    match measured {
        Ok(directory) => DescribeLogDirsResponse {
            results: vec![directory],
            ..Default::default()
        },
        Err(_ended) => DescribeLogDirsResponse {
            error_code: ErrorCode::KafkaStorageError.code(),
            ..Default::default()
        },
    }
}

/// What is not known is left out, as in Kafka.
fn asked(broker: &Broker, request: DescribeLogDirsRequest) -> Vec<Asked> {
    let Some(topics) = request.topics else {
        let all = broker.topics();
        return all.iter().map(|topic| (Arc::clone(topic), None)).collect();
    };
    let known = topics.into_iter().filter_map(|topic| {
        let found = broker.topic(&topic.topic)?;
        let has = |partition: &i32| found.partition(*partition).is_ok();
        let partitions = topic.partitions.into_iter().filter(has).collect();
        Some((found, Some(partitions)))
    });
    known.collect()
}

fn measure(broker: &Broker, asked: &[Asked]) -> DescribeLogDirsResult {
    let volume = broker.volume();
    let topic = |(topic, partitions): &Asked| {
        let all = || (0..topic.partition_count().cast_signed()).collect();
        let partitions = partitions.clone().unwrap_or_else(all);
        DescribeLogDirsTopic {
            name: topic.name().as_str().into(),
            partitions: partitions
                .into_iter()
                .filter_map(|partition| size(topic, partition))
                .collect(),
        }
    };
    let mut topics: Vec<DescribeLogDirsTopic> = asked.iter().map(topic).collect();
    topics.retain(|topic| !topic.partitions.is_empty());
    let bytes =
        |bytes: Option<u64>| bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    DescribeLogDirsResult {
        error_code: ErrorCode::None.code(),
        log_dir: volume.directory.into(),
        topics,
        total_bytes: bytes(volume.total_bytes),
        usable_bytes: bytes(volume.free_bytes),
        is_cordoned: false,
    }
}

/// A partition that is offline has no size, and is left out.
fn size(topic: &Topic, partition: i32) -> Option<DescribeLogDirsPartition> {
    let footprint = topic.log(partition).ok()?.footprint();
    Some(DescribeLogDirsPartition {
        partition_index: partition,
        partition_size: i64::try_from(footprint.size_bytes).unwrap_or(i64::MAX),
        offset_lag: 0,
        is_future_key: false,
    })
}

#[cfg(test)]
mod tests;
