//! DeleteRecords: the oldest records of partitions go (KIP-107).

use kafka_wire::ErrorCode;
use kafka_wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use records::Offset;

use crate::Context;
use crate::error::Coded;

/// Stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;
/// The low watermark of a partition that was refused.
const NO_LOW_WATERMARK: i64 = -1;

pub(crate) async fn handle(
    context: Context,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            partitions.push(delete(&context, &topic.name, asked).await);
            tokio::task::consume_budget().await;
        }
        topics.push(DeleteRecordsTopicResult {
            name: topic.name,
            partitions,
        });
    }
    DeleteRecordsResponse {
        topics,
        ..Default::default()
    }
}

async fn delete(
    context: &Context,
    name: &str,
    asked: &DeleteRecordsPartition,
) -> DeleteRecordsPartitionResult {
    let before = (asked.offset != HIGH_WATERMARK).then(|| Offset::new(asked.offset));
    let deleted = match context.broker().topic(name) {
        None => Err(ErrorCode::UnknownTopicOrPartition),
        Some(topic) => {
            let broker = context.broker();
            let deleted = broker
                .delete_records(&topic, asked.partition_index, before)
                .await;
            deleted.map_err(|error| error.code())
        }
    };
    let (low_watermark, code) = match deleted {
        Ok(start) => (start.get(), ErrorCode::None),
        Err(code) => (NO_LOW_WATERMARK, code),
    };
    DeleteRecordsPartitionResult {
        partition_index: asked.partition_index,
        low_watermark,
        error_code: code.code(),
    }
}

#[cfg(test)]
mod tests;
