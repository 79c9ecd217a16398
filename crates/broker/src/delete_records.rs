//! Deleting the oldest records of a partition, by asking for it.
//!
//! The rules are those of Kafka's `Partition.deleteRecordsOnLeader`. Must not know: how a log moves
//! its start, any wire format.

use records::Offset;
use storage::TrimError;

use crate::Broker;
use crate::error::DeleteRecordsError;
use crate::topics::Topic;

impl Broker {
    /// Deletes the records below `before`; with `None`, all that are visible. Gives the first offset
    /// that is kept: above `before` where more was deleted already. Durable when this returns.
    pub async fn delete_records(
        &self,
        topic: &Topic,
        partition: i32,
        before: Option<Offset>,
    ) -> Result<Offset, DeleteRecordsError> {
        let log = topic.log(partition)?;
        let config = &topic.settings().log;
        if config.compacts && !config.deletes {
            return Err(DeleteRecordsError::NotByPolicy {
                topic: topic.name().clone(),
                partition,
            });
        }
        let before = before.unwrap_or_else(|| log.ends().high_watermark);
        let trimmed = log.trim(before).await;
        trimmed.map_err(|error| match error {
            TrimError::OutOfRange { asked, ends } => DeleteRecordsError::OutOfRange {
                topic: topic.name().clone(),
                partition,
                asked,
                ends,
            },
            TrimError::NoSpace(failure) => DeleteRecordsError::NoSpace(failure),
            TrimError::Storage(failure) => topic.offline(failure).into(),
        })
    }
}

#[cfg(test)]
mod tests;
