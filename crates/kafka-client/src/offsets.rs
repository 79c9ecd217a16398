//! Offsets by time and by name, of any number of partitions in one question.

use std::collections::BTreeMap;

use kafka_wire::ErrorCode;
use kafka_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

use crate::client::Client;
use crate::error::ClientError;

/// Kafka's special timestamps.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// "None", in offsets and times.
const NONE: i64 = -1;

/// Which offset is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first record that is still there.
    Earliest,
    /// The end: the offset that the next record gets.
    Latest,
    /// The first record that is not older than this, in milliseconds since 1970.
    Timestamp(i64),
}

/// What was found in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetFound {
    /// The offset; `None` if no record is young enough.
    pub offset: Option<i64>,
    /// The time of the record there, if it was looked for by time.
    pub timestamp_ms: Option<i64>,
}

/// What was found, by topic and partition. A partition may be refused by itself.
pub type Found = BTreeMap<(String, i32), Result<OffsetFound, ErrorCode>>;

impl Client {
    /// Looks for one kind of offset in partitions of one topic; the first refusal is the error.
    pub async fn offsets(
        &mut self,
        topic: &str,
        partitions: &[i32],
        spec: OffsetSpec,
    ) -> Result<BTreeMap<i32, OffsetFound>, ClientError> {
        let found = self.all_offsets(&[(topic, partitions)], spec).await?;
        let mut offsets = BTreeMap::new();
        for &partition in partitions {
            let answer = found.get(&(topic.to_owned(), partition));
            let answer = answer.ok_or_else(|| self.unanswered(topic))?;
            let offset = answer.map_err(|code| ClientError::Refused {
                code,
                message: None,
            })?;
            offsets.insert(partition, offset);
        }
        Ok(offsets)
    }

    /// Looks for one kind of offset in partitions of any topics.
    pub async fn all_offsets(
        &mut self,
        topics: &[(&str, &[i32])],
        spec: OffsetSpec,
    ) -> Result<Found, ClientError> {
        let timestamp = match spec {
            OffsetSpec::Earliest => EARLIEST,
            OffsetSpec::Latest => LATEST,
            OffsetSpec::Timestamp(ms) => ms.max(0),
        };
        let topics = topics.iter().map(|(name, partitions)| ListOffsetsTopic {
            name: (*name).into(),
            partitions: partitions
                .iter()
                .map(|&partition_index| ListOffsetsPartition {
                    partition_index,
                    timestamp,
                    ..Default::default()
                })
                .collect(),
        });
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: topics.collect(),
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        let answer = self.call(&request).await?;
        let mut found = Found::new();
        for topic in answer.topics {
            for partition in topic.partitions {
                let code = ErrorCode::from_code(partition.error_code);
                let outcome = match code.unwrap_or(ErrorCode::UnknownServerError) {
                    ErrorCode::None => Ok(OffsetFound {
                        offset: (partition.offset != NONE).then_some(partition.offset),
                        timestamp_ms: (partition.timestamp != NONE).then_some(partition.timestamp),
                    }),
                    refused => Err(refused),
                };
                found.insert((topic.name.to_string(), partition.partition_index), outcome);
            }
        }
        Ok(found)
    }
}
