//! Offsets by name, by time and by leader epoch, and what a topic holds.
//!
//! The end that is answered is never older than the last acknowledgement: it waits for the sync
//! that covers everything written when the question came.

use records::Offset;
use storage::{EpochEnd, Isolation, Log, ReadError, StorageFailure, TimeQuery};

use crate::Broker;
use crate::error::{EpochEndError, FindOffsetError, LeaderEpochError, PartitionError};
use crate::topics::Topic;

/// Which offset is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetQuery {
    /// The end, as the isolation sees it.
    Latest,
    /// The first offset kept.
    Earliest,
    /// The first offset kept on the local disk: there is no other place.
    EarliestLocal,
    /// The last offset in a remote store: there is none.
    LatestTiered,
    /// The first offset that waits for upload to a remote store: there is none.
    EarliestPendingUpload,
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// The first record whose timestamp is at or after this, in ms since the epoch.
    Timestamp(i64),
}

/// An offset, as far as there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset; `None` if no record fits.
    pub offset: Option<Offset>,
    /// The timestamp of the record, where the question was about time.
    pub timestamp_ms: Option<i64>,
    /// The leader epoch that goes with the offset.
    pub leader_epoch: Option<i32>,
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionDescription {
    /// The first offset kept.
    pub start: Offset,
    /// The offset that the next record to become visible gets.
    pub end: Offset,
    /// Bytes of records.
    pub size_bytes: u64,
    /// Files of records.
    pub segments: usize,
    /// When the oldest of these files goes because of its age, in ms since the epoch; `None`: never,
    /// or there is nothing in it.
    pub oldest_expires_ms: Option<i64>,
}

impl Broker {
    /// Finds an offset. `current_leader_epoch` is what the client believes, where it says so.
    pub async fn find_offset(
        &self,
        topic: &Topic,
        partition: i32,
        query: OffsetQuery,
        isolation: Isolation,
        current_leader_epoch: Option<i32>,
    ) -> Result<FoundOffset, FindOffsetError> {
        let log = topic.log(partition)?;
        check_leader_epoch(topic, partition, &*log, current_leader_epoch)?;
        match query {
            OffsetQuery::Latest => {
                let settled = log.settled().await;
                let ends = settled.map_err(|failure| topic.offline(failure))?;
                let leader_epoch = Some(log.leader_epoch());
                let offset = Some(ends.visible_end(isolation));
                Ok(FoundOffset {
                    offset,
                    timestamp_ms: None,
                    leader_epoch,
                })
            }
            OffsetQuery::Earliest | OffsetQuery::EarliestLocal => {
                let start = log.ends().log_start;
                let leader_epoch = Some(epoch_of(&*log, start));
                Ok(FoundOffset {
                    offset: Some(start),
                    timestamp_ms: None,
                    leader_epoch,
                })
            }
            OffsetQuery::LatestTiered | OffsetQuery::EarliestPendingUpload => {
                Ok(FoundOffset::default())
            }
            OffsetQuery::MaxTimestamp => {
                by_time(topic, partition, &*log, TimeQuery::Largest, isolation).await
            }
            OffsetQuery::Timestamp(ms) => {
                by_time(topic, partition, &*log, TimeQuery::AtOrAfter(ms), isolation).await
            }
        }
    }

    /// Where the largest leader epoch that is not above `asked_epoch` ends; `None` when
    /// `asked_epoch` is above all that are known.
    #[expect(
        clippy::unused_self,
        reason = "front doors ask the broker, whatever it needs for it"
    )]
    pub fn epoch_end(
        &self,
        topic: &Topic,
        partition: i32,
        asked_epoch: i32,
        current_leader_epoch: Option<i32>,
    ) -> Result<Option<EpochEnd>, EpochEndError> {
        let log = topic.log(partition)?;
        check_leader_epoch(topic, partition, &*log, current_leader_epoch)?;
        Ok(log.epoch_end(asked_epoch))
    }

    /// The leader epoch of a partition.
    #[expect(
        clippy::unused_self,
        reason = "front doors ask the broker, whatever it needs for it"
    )]
    pub fn leader_epoch(&self, topic: &Topic, partition: i32) -> Result<i32, PartitionError> {
        Ok(topic.log(partition)?.leader_epoch())
    }

    /// What each partition of a topic holds, in the order of their numbers.
    pub async fn describe_topic(
        &self,
        topic: &Topic,
    ) -> Vec<Result<PartitionDescription, PartitionError>> {
        let mut partitions = Vec::with_capacity(topic.partition_count() as usize);
        for partition in 0..topic.partition_count() {
            partitions.push(describe_partition(topic, partition.cast_signed()).await);
        }
        partitions
    }
}

async fn describe_partition(
    topic: &Topic,
    partition: i32,
) -> Result<PartitionDescription, PartitionError> {
    let log = topic.log(partition)?;
    let ends = log
        .settled()
        .await
        .map_err(|failure| topic.offline(failure))?;
    let footprint = log.footprint();
    Ok(PartitionDescription {
        start: ends.log_start,
        end: ends.high_watermark,
        size_bytes: footprint.size_bytes,
        segments: footprint.segments,
        oldest_expires_ms: footprint.oldest_ms.and_then(|ms| expires_ms(topic, ms)),
    })
}

/// When records with this largest timestamp go.
fn expires_ms(topic: &Topic, largest_ms: i64) -> Option<i64> {
    let log = &topic.settings().log;
    let retention = log.retention.filter(|_| log.deletes)?;
    let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    Some(largest_ms.saturating_add(retention_ms))
}

async fn by_time(
    topic: &Topic,
    partition: i32,
    log: &dyn Log,
    query: TimeQuery,
    isolation: Isolation,
) -> Result<FoundOffset, FindOffsetError> {
    match log.offset_at(query, isolation).await {
        Ok(None) => Ok(FoundOffset::default()),
        Ok(Some(found)) => Ok(FoundOffset {
            offset: Some(found.offset),
            timestamp_ms: Some(found.timestamp_ms),
            leader_epoch: Some(found.leader_epoch),
        }),
        Err(ReadError::Corrupt(reason)) => Err(FindOffsetError::Corrupt {
            topic: topic.name().clone(),
            partition,
            reason,
        }),
        // No offset was asked for, so this can only come from the store.
        Err(error @ ReadError::OutOfRange { .. }) => {
            Err(topic.offline(StorageFailure::new(error.to_string())).into())
        }
        Err(ReadError::Storage(failure)) => Err(topic.offline(failure).into()),
    }
}

/// A client that names an epoch must name the current one.
pub(crate) fn check_leader_epoch(
    topic: &Topic,
    partition: i32,
    log: &dyn Log,
    named: Option<i32>,
) -> Result<(), LeaderEpochError> {
    let Some(asked) = named else { return Ok(()) };
    let (topic, current) = (topic.name().clone(), log.leader_epoch());
    match asked.cmp(&current) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(LeaderEpochError::Fenced {
            topic,
            partition,
            current,
            asked,
        }),
        std::cmp::Ordering::Greater => Err(LeaderEpochError::Unknown {
            topic,
            partition,
            current,
            asked,
        }),
    }
}

/// The leader epoch of the record at `offset`: the smallest one that ends above it, or the current
/// one at the end of the log. Ends rise with the epochs, so it is found by halving.
fn epoch_of(log: &dyn Log, offset: Offset) -> i32 {
    let (mut least, mut most) = (0, log.leader_epoch());
    while least < most {
        let middle = least + (most - least) / 2;
        if log.epoch_end(middle).is_none_or(|epoch| epoch.end > offset) {
            most = middle;
        } else {
            least = middle + 1;
        }
    }
    most
}

#[cfg(test)]
mod tests;
