//! From received bytes to a place in a log.
//!
//! Everything that can be known from the batch's header is checked before the log is touched; the
//! records are opened only to name the culprits of a refusal, and where the topic wants them under
//! another codec. Order of producers is the log's matter (`storage`).

use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};
use records::{
    BatchError, BatchHeader, CheckLimits, CheckedBatch, Codec, DecodeBudget, Offset, TimestampType,
    check,
};
use storage::time_lookup::DECODED_BYTES_MAX;
use storage::{AppendError, BytesPermit, Fence};

use crate::Broker;
use crate::error::ProduceError;
use crate::topics::Topic;

/// What the request that brings a batch allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Whether batches may be compressed with zstd (Kafka: Produce 7 and later).
    pub zstd_allowed: bool,
}

impl Default for Origin {
    fn default() -> Self {
        Self { zstd_allowed: true }
    }
}

/// A place in a log, and the promise of its durability; or the log's refusal.
#[derive(Debug)]
pub struct AppendTicket {
    ticket: storage::AppendTicket,
    log_append_time_ms: Option<i64>,
}

impl AppendTicket {
    /// The base offset, known at once.
    pub fn placed(&self) -> Result<Offset, AppendError> {
        self.ticket.placed()
    }

    /// The first offset of the log when the batch was placed.
    pub fn log_start(&self) -> Option<Offset> {
        self.ticket.log_start()
    }

    /// The time that the broker stamped on the batch; `None` where records keep the producer's.
    pub fn log_append_time_ms(&self) -> Option<i64> {
        self.log_append_time_ms
    }

    /// The base offset, once the batch is durable. If the topic is deleted meanwhile this is the
    /// store's failure; [`Topic::is_deleted`] tells why.
    pub async fn durable(self) -> Result<Offset, AppendError> {
        self.ticket.durable().await
    }

    /// Whether [`AppendTicket::durable`] would resolve at once.
    pub fn is_durable(&self) -> bool {
        self.ticket.is_durable()
    }
}

/// What every check needs to name.
#[derive(Clone, Copy)]
struct Target<'a> {
    topic: &'a Topic,
    partition: i32,
}

impl Topic {
    /// Whether appending the batch with this header means to pack its records anew.
    pub fn recodes(&self, header: &BatchHeader) -> bool {
        let codec = header.attributes.codec();
        codec.is_ok_and(|codec| self.settings().compression.target(codec).is_some())
    }
}

impl Broker {
    /// Checks `bytes`, which must be exactly one batch, and gives it a place. When this returns a
    /// later append goes behind it; the ticket tells when it is durable. Where [`Topic::recodes`]
    /// the batch this takes long, see [`Broker::offload`].
    pub fn append(
        &self,
        topic: &Topic,
        partition: i32,
        bytes: BytesMut,
        origin: Origin,
        permit: BytesPermit,
    ) -> Result<AppendTicket, ProduceError> {
        let target = Target { topic, partition };
        self.counted(|| {
            topic.partition(partition)?;
            let limits = CheckLimits {
                max_message_bytes: topic.settings().message_bytes_max,
            };
            let batch = check(bytes, &limits).map_err(|source| target.batch_error(source))?;
            target.check_codec(batch.header(), origin)?;
            target.check_transaction(batch.header())?;
            self.place(target, target.recoded(batch)?, permit)
        })
    }

    /// As [`Broker::append`], for a batch that was made here.
    pub fn append_checked(
        &self,
        topic: &Topic,
        partition: i32,
        batch: CheckedBatch,
        permit: BytesPermit,
    ) -> Result<AppendTicket, ProduceError> {
        let target = Target { topic, partition };
        self.counted(|| {
            let number = topic.partition(partition)?;
            let (size_bytes, limit_bytes) = (batch.len(), topic.settings().message_bytes_max);
            if size_bytes > limit_bytes {
                return Err(target.batch_error(BatchError::TooLarge {
                    size_bytes,
                    limit_bytes,
                }));
            }
            let ticket = self.place(target, target.recoded(batch)?, permit)?;
            topic.sticky().note(number, size_bytes);
            Ok(ticket)
        })
    }

    fn counted(
        &self,
        append: impl FnOnce() -> Result<AppendTicket, ProduceError>,
    ) -> Result<AppendTicket, ProduceError> {
        self.counters.produce_requests.increment();
        let outcome = append();
        if !outcome.as_ref().is_ok_and(|ticket| ticket.placed().is_ok()) {
            self.counters.produce_failures.increment();
        }
        outcome
    }

    fn place(
        &self,
        target: Target<'_>,
        mut batch: CheckedBatch,
        permit: BytesPermit,
    ) -> Result<AppendTicket, ProduceError> {
        let now_ms = self.clock.wall_ms();
        target.check_time(&batch, now_ms)?;
        target.check_keys(&batch)?;
        let stamped = target.topic.settings().timestamp_type == TimestampType::LogAppendTime;
        if stamped {
            batch.stamp_log_append_time(now_ms);
        }
        let log = target.topic.log(target.partition)?;
        let records = u64::from(batch.header().record_count.unsigned_abs());
        let size_bytes = batch.len() as u64;
        let ticket = log.append(batch, Fence::default(), permit);
        if ticket.placed().is_ok() {
            self.counters.messages_in.add(records);
            self.counters.bytes_in.add(size_bytes);
        }
        Ok(AppendTicket {
            ticket,
            log_append_time_ms: stamped.then_some(now_ms),
        })
    }
}

impl Target<'_> {
    fn batch_error(&self, source: BatchError) -> ProduceError {
        ProduceError::Batch {
            topic: self.topic.name().clone(),
            partition: self.partition,
            source,
        }
    }

    fn check_codec(&self, header: &BatchHeader, origin: Origin) -> Result<(), ProduceError> {
        let codec = header
            .attributes
            .codec()
            .map_err(|source| self.batch_error(source))?;
        if codec == Codec::Zstd && !origin.zstd_allowed {
            let (topic, partition) = (self.topic.name().clone(), self.partition);
            return Err(ProduceError::UnsupportedCodec {
                topic,
                partition,
                codec,
            });
        }
        Ok(())
    }

    /// The batch as the topic stores it.
    fn recoded(&self, batch: CheckedBatch) -> Result<CheckedBatch, ProduceError> {
        let codec = batch.header().attributes.codec();
        let codec = codec.map_err(|source| self.batch_error(source))?;
        let settings = self.topic.settings();
        let Some(compression) = settings.compression.target(codec) else {
            return Ok(batch);
        };
        let size_bytes_max = settings.message_bytes_max;
        let opened_bytes_max = RECODED_BYTES_LEAST.max(size_bytes_max.saturating_mul(EXPANSION));
        batch
            .recoded(compression, opened_bytes_max, size_bytes_max)
            .map_err(|source| self.batch_error(source))
    }

    fn check_transaction(&self, header: &BatchHeader) -> Result<(), ProduceError> {
        if header.attributes.is_transactional() {
            let (topic, partition) = (self.topic.name().clone(), self.partition);
            return Err(ProduceError::TransactionsNotSupported { topic, partition });
        }
        Ok(())
    }

    /// Compaction keeps records by their keys, so each must have one. The records are opened for it,
    /// one block at a time.
    fn check_keys(&self, batch: &CheckedBatch) -> Result<(), ProduceError> {
        if !self.topic.settings().log.compacts {
            return Ok(());
        }
        let mut budget = DecodeBudget::new(DECODED_BYTES_MAX);
        let records = records::records_without_key(batch.as_bytes(), &mut budget)
            .map_err(|source| self.batch_error(source))?;
        if records.is_empty() {
            return Ok(());
        }
        let (topic, partition) = (self.topic.name().clone(), self.partition);
        Err(ProduceError::WithoutKey {
            topic,
            partition,
            records,
        })
    }

    /// Time is judged by the header: the largest timestamp for the future, the first one for the
    /// past. Records are opened only once the batch is refused.
    fn check_time(&self, batch: &CheckedBatch, now_ms: i64) -> Result<(), ProduceError> {
        let (topic, partition) = (self.topic.name(), self.partition);
        let header = batch.header();
        if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
            let topic = topic.clone();
            return Err(ProduceError::InvalidTimestampType { topic, partition });
        }
        let settings = self.topic.settings();
        if settings.timestamp_type == TimestampType::LogAppendTime {
            return Ok(());
        }
        // The largest distance is no limit.
        let earliest_ms = match settings.timestamp_before_max_ms {
            i64::MAX => i64::MIN,
            distance_ms => now_ms.saturating_sub(distance_ms),
        };
        let latest_ms = now_ms.saturating_add(settings.timestamp_after_max_ms);
        let timed = |timestamp_ms: &i64| *timestamp_ms != NO_TIMESTAMP;
        let late = Some(header.max_timestamp_ms)
            .filter(timed)
            .filter(|time| *time > latest_ms);
        let early = Some(header.base_timestamp_ms)
            .filter(timed)
            .filter(|time| *time < earliest_ms);
        let Some(timestamp_ms) = late.or(early) else {
            return Ok(());
        };
        Err(ProduceError::InvalidTimestamp {
            topic: topic.clone(),
            partition,
            timestamp_ms,
            earliest_ms,
            latest_ms,
            records: untimely_records(batch, earliest_ms..=latest_ms),
        })
    }
}

/// Which records have a time outside `allowed_ms`.
fn untimely_records(batch: &CheckedBatch, allowed_ms: RangeInclusive<i64>) -> Vec<i32> {
    let bytes = Bytes::copy_from_slice(batch.as_bytes());
    let mut budget = DecodeBudget::new(OPENED_BYTES_MAX);
    let Ok(opened) = records::records(&bytes, &mut budget) else {
        return Vec::new();
    };
    let untimely = |time: i64| time != NO_TIMESTAMP && !allowed_ms.contains(&time);
    let indexed = (0..).zip(opened.map_while(Result::ok));
    let found = indexed.filter(|(_, record)| untimely(record.timestamp_ms));
    found.map(|(index, _)| index).collect()
}

/// What opening the records of a refused batch may take, on every shard at once. A batch that opens
/// to more is refused all the same; only which of its records are to blame is not told.
const OPENED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What a batch may always unpack to on its way to another codec; it is never held as a whole.
const RECODED_BYTES_LEAST: usize = 256 * 1024 * 1024;
/// Where batches may be large, a batch may unpack to this many times the largest.
const EXPANSION: usize = 16;
/// What a producer writes that has no time.
const NO_TIMESTAMP: i64 = -1;

#[cfg(test)]
mod tests;
