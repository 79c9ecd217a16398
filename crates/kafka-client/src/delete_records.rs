//! Deleting the oldest records of partitions.

use std::collections::BTreeMap;

use kafka_wire::ErrorCode;
use kafka_wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};

use crate::client::Client;
use crate::error::ClientError;

impl Client {
    /// Deletes the records of a topic below an offset for each partition; -1 stands for all. Gives
    /// the first offset kept of each; a partition may be refused by itself.
    pub async fn delete_records(
        &mut self,
        topic: &str,
        before: &BTreeMap<i32, i64>,
    ) -> Result<BTreeMap<i32, Result<i64, ErrorCode>>, ClientError> {
        let partitions = before.iter();
        let partitions = partitions.map(|(&partition_index, &offset)| DeleteRecordsPartition {
            partition_index,
            offset,
        });
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: topic.into(),
                partitions: partitions.collect(),
            }],
            timeout_ms: self.timeout_ms(),
        };
        let answer = self.call(&request).await?;
        let rows = answer.topics.into_iter().flat_map(|topic| topic.partitions);
        let told = rows.map(|row| {
            let code = ErrorCode::from_code(row.error_code);
            let start = match code.unwrap_or(ErrorCode::UnknownServerError) {
                ErrorCode::None => Ok(row.low_watermark),
                refused => Err(refused),
            };
            (row.partition_index, start)
        });
        let told: BTreeMap<_, _> = told.collect();
        if before.keys().any(|partition| !told.contains_key(partition)) {
            return Err(self.unanswered(topic));
        }
        Ok(told)
    }
}
