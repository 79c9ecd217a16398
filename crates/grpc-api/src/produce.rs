//! Records from requests into batches, and batches into a log.
//!
//! A request becomes bytes of a batch before anything is waited for, so that a decoded message,
//! which can be many times its size on the wire, lives for one moment only. An answer is made when
//! the batch is durable.

use std::sync::Arc;

use broker::{AppendTicket, Broker, Topic};
use bytes::Bytes;
use records::{BatchBuilder, CheckedBatch, Codec, HEADER_BYTES, Header};
use tonic::Status;

use crate::proto::{ProduceRequest, ProduceResponse};
use crate::{error, lookup};

/// Let the broker choose the partition.
const ANY_PARTITION: i32 = -1;
/// A batch of a stream takes no more records once it is this large.
const PACK_BYTES_MAX: usize = 256 * 1024;
/// How far the broker's clock may move between packing a record and placing its batch.
const TIME_SLACK_MS: i64 = 10_000;
/// The most that the numbers of a record and of each of its headers take: five varints and one
/// varlong, and two varints.
const RECORD_OVERHEAD_BYTES: usize = 40;
const HEADER_OVERHEAD_BYTES: usize = 10;

/// The call Produce.
pub(crate) async fn produce(
    broker: &Arc<Broker>,
    request: ProduceRequest,
) -> Result<ProduceResponse, Status> {
    let sealed = {
        let outgoing = Outgoing::new(broker, request)?;
        Packing::new(outgoing)?.seal()?
    };
    let mut answers = sealed.place(broker).await?.durable().await?;
    Ok(answers.next().expect("one record was packed"))
}

/// A checked request, not yet in a batch.
#[derive(Debug)]
pub(crate) struct Outgoing {
    topic: Arc<Topic>,
    partition: i32,
    key: Option<Bytes>,
    payload: Bytes,
    headers: Vec<Header>,
    timestamp_ms: i64,
    /// The broker may refuse the record for its time, so it must not take others with it.
    travels_alone: bool,
}

impl Outgoing {
    pub(crate) fn new(broker: &Broker, request: ProduceRequest) -> Result<Self, Status> {
        let topic = lookup::topic(broker, &request.topic)?;
        let partition = if request.partition == ANY_PARTITION {
            broker
                .choose_partition(&topic, request.key.as_deref())
                .cast_signed()
        } else {
            lookup::partition(&topic, request.partition)?
        };
        let now_ms = broker.clock().wall_ms();
        let timestamp_ms = request.timestamp_ms.unwrap_or(now_ms);
        if timestamp_ms < 0 {
            return Err(error::negative_timestamp(&topic, partition, timestamp_ms));
        }
        let header = |header: crate::proto::Header| Header {
            key: header.key.into(),
            value: header.value,
        };
        Ok(Self {
            partition,
            key: request.key,
            payload: request.payload,
            headers: request.headers.into_iter().map(header).collect(),
            timestamp_ms,
            travels_alone: request.timestamp_ms.is_some()
                && may_be_refused(&topic, timestamp_ms, now_ms),
            topic,
        })
    }

    /// The most that the record can take in a batch.
    fn size_bytes_max(&self) -> usize {
        let headers = self.headers.iter().map(|header| {
            let value = header.value.as_ref().map_or(0, Bytes::len);
            header.key.len() + value + HEADER_OVERHEAD_BYTES
        });
        let key = self.key.as_ref().map_or(0, Bytes::len);
        RECORD_OVERHEAD_BYTES + key + self.payload.len() + headers.sum::<usize>()
    }
}

/// Whether the time of a record is outside what the topic allows, or so near that it may be
/// outside when the batch is placed.
fn may_be_refused(topic: &Topic, timestamp_ms: i64, now_ms: i64) -> bool {
    let settings = topic.settings();
    let earliest_ms = now_ms.saturating_sub(settings.timestamp_before_max_ms);
    let latest_ms = now_ms.saturating_add(settings.timestamp_after_max_ms);
    timestamp_ms < earliest_ms.saturating_add(TIME_SLACK_MS)
        || timestamp_ms > latest_ms.saturating_sub(TIME_SLACK_MS)
}

/// A batch that still takes records, all for one partition.
#[derive(Debug)]
pub(crate) struct Packing {
    topic: Arc<Topic>,
    partition: i32,
    builder: BatchBuilder,
    timestamps_ms: Vec<i64>,
    travels_alone: bool,
}

impl Packing {
    pub(crate) fn new(first: Outgoing) -> Result<Self, Status> {
        let mut packing = Self {
            topic: Arc::clone(&first.topic),
            partition: first.partition,
            builder: BatchBuilder::new(Codec::None),
            timestamps_ms: Vec::new(),
            travels_alone: first.travels_alone,
        };
        packing.push(first)?;
        Ok(packing)
    }

    /// Whether the record may go into this batch: the same partition, and not too large together.
    pub(crate) fn fits(&self, next: &Outgoing) -> bool {
        let limit_bytes = self.topic.settings().message_bytes_max.min(PACK_BYTES_MAX);
        let size_bytes = self.builder.len_bytes().max(HEADER_BYTES) + next.size_bytes_max();
        let same_topic = Arc::ptr_eq(&self.topic, &next.topic);
        let may_mix = !self.travels_alone && !next.travels_alone;
        same_topic && self.partition == next.partition && may_mix && size_bytes <= limit_bytes
    }

    pub(crate) fn push(&mut self, next: Outgoing) -> Result<(), Status> {
        let (key, payload) = (next.key.as_deref(), Some(&*next.payload));
        let added = self
            .builder
            .append(next.timestamp_ms, key, payload, &next.headers);
        added.map_err(|reason| error::batch(&reason, self.topic.name(), self.partition))?;
        self.timestamps_ms.push(next.timestamp_ms);
        Ok(())
    }

    pub(crate) fn seal(self) -> Result<Sealed, Status> {
        let built = self.builder.build();
        let built =
            built.map_err(|reason| error::batch(&reason, self.topic.name(), self.partition))?;
        Ok(Sealed {
            topic: self.topic,
            partition: self.partition,
            batch: built,
            timestamps_ms: self.timestamps_ms,
        })
    }
}

/// A batch that is ready for the log.
#[derive(Debug)]
pub(crate) struct Sealed {
    topic: Arc<Topic>,
    partition: i32,
    batch: CheckedBatch,
    timestamps_ms: Vec<i64>,
}

impl Sealed {
    /// Waits for a share of the byte budget and gives the batch its place in the log.
    pub(crate) async fn place(self, broker: &Arc<Broker>) -> Result<Placed, Status> {
        let (topic, partition, batch) = (self.topic, self.partition, self.batch);
        let permit = broker.budget().take(batch.len()).await;
        let ticket = if topic.recodes(batch.header()) {
            let (keeper, kept) = (Arc::clone(broker), Arc::clone(&topic));
            let append = move || keeper.append_checked(&kept, partition, batch, permit);
            broker.offload(append).await
        } else {
            broker.append_checked(&topic, partition, batch, permit)
        };
        let ticket = ticket.map_err(|reason| error::produce(&reason, &topic, partition))?;
        let placed = ticket.placed();
        placed.map_err(|reason| error::append(&reason, &topic, partition))?;
        Ok(Placed {
            topic,
            partition,
            ticket,
            timestamps_ms: self.timestamps_ms,
        })
    }
}

/// A batch in the log, perhaps not durable yet.
#[derive(Debug)]
pub(crate) struct Placed {
    topic: Arc<Topic>,
    partition: i32,
    ticket: AppendTicket,
    timestamps_ms: Vec<i64>,
}

impl Placed {
    /// The answers, once the batch is durable.
    pub(crate) async fn durable(self) -> Result<Answers, Status> {
        let stamped_ms = self.ticket.log_append_time_ms();
        match self.ticket.durable().await {
            Ok(base) => Ok(Answers {
                topic: self.topic,
                partition: self.partition,
                next_offset: base.get(),
                timestamps_ms: self.timestamps_ms.into_iter(),
                stamped_ms,
            }),
            Err(reason) => Err(error::append(&reason, &self.topic, self.partition)),
        }
    }
}

/// The answers to the records of one durable batch, in order.
#[derive(Debug)]
pub(crate) struct Answers {
    topic: Arc<Topic>,
    partition: i32,
    next_offset: i64,
    timestamps_ms: std::vec::IntoIter<i64>,
    /// The time of all records, where the broker stamps it.
    stamped_ms: Option<i64>,
}

impl Iterator for Answers {
    type Item = ProduceResponse;

    fn next(&mut self) -> Option<ProduceResponse> {
        let timestamp_ms = self.timestamps_ms.next()?;
        let offset = self.next_offset;
        self.next_offset += 1;
        Some(ProduceResponse {
            topic: self.topic.name().as_str().to_owned(),
            partition: Some(self.partition),
            offset: Some(offset),
            timestamp_ms: Some(self.stamped_ms.unwrap_or(timestamp_ms)),
        })
    }
}

#[cfg(test)]
mod tests;
