//! The call Consume: the records of a partition from an offset on, and then as they come.
//!
//! A record is given when the transport asks for it; the asking also says that the one before it
//! went out, which is what moves a consumer's position. One read of [`READ_BYTES`] is held at a
//! time (or one batch, where that is larger), so a slow reader costs no more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use broker::{Broker, Fetch, FetchPartition, Topic};
use bytes::Bytes;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use records::{Offset, Record};
use storage::Isolation;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

use crate::position_keeper::{Kept, PositionKeeper};
use crate::proto::{ConsumeRequest, Header};
use crate::read_ahead::{ReadAhead, load};
use crate::{error, lookup, proto};

/// How much of the log is read at a time.
const READ_BYTES: usize = 256 * 1024;

/// Begins to consume. What is wrong with the request is said before the stream begins.
pub(crate) async fn consume(
    broker: &Arc<Broker>,
    request: ConsumeRequest,
    stop: watch::Receiver<bool>,
) -> Result<ConsumeStream, Status> {
    let topic = lookup::topic(broker, &request.topic)?;
    let partition = lookup::partition(&topic, request.partition)?;
    let bounds = Bounds::new(&request, &topic, partition)?;
    let range = lookup::range(&topic, partition).await?;
    let start = start_offset(broker, &request, &topic, range).await?;
    let is_kept = !request.consumer.is_empty() && request.auto_advance.unwrap_or(true);
    let kept = is_kept.then(|| Kept {
        broker: Arc::clone(broker),
        consumer: request.consumer,
        topic: Arc::clone(&topic),
        partition,
    });
    Ok(ConsumeStream {
        source: Source {
            broker: Arc::clone(broker),
            topic,
            partition,
        },
        end: request.until_end.then_some(range.end),
        bounds,
        stop,
        keeper: kept.map(|kept| PositionKeeper::start(kept, start)),
        ahead: ReadAhead::starting_at(start),
        idle_until: None,
        step: Step::Reading,
    })
}

/// Where the stream begins: the offset of the request, the stored position, or the log's start.
async fn start_offset(
    broker: &Broker,
    request: &ConsumeRequest,
    topic: &Topic,
    range: lookup::Range,
) -> Result<Offset, Status> {
    let partition = request.partition;
    let stored = if request.consumer.is_empty() {
        None
    } else {
        let positions = broker.positions();
        let stored = positions.get(&request.consumer, topic, partition).await;
        stored.map_err(|reason| error::position(&reason, topic, partition))?
    };
    let within = |offset: Offset| range.start <= offset && offset <= range.end;
    match (request.offset, stored) {
        (Some(offset), _) => {
            let offset = lookup::offset(topic, partition, offset)?;
            if within(offset) {
                return Ok(offset);
            }
            Err(error::out_of_range(topic, partition, offset, range))
        }
        (None, Some(stored)) if within(stored.offset) => Ok(stored.offset),
        (None, Some(stored)) => {
            let (consumer, offset) = (&request.consumer, stored.offset);
            Err(error::position_out_of_range(
                consumer, topic, partition, offset, range,
            ))
        }
        (None, None) => Ok(range.start),
    }
}

/// What ends a stream, beside its end offset.
#[derive(Debug)]
struct Bounds {
    messages_left: Option<u64>,
    /// The longest wait for a record.
    wait_max: Option<Duration>,
}

impl Bounds {
    fn new(request: &ConsumeRequest, topic: &Topic, partition: i32) -> Result<Self, Status> {
        let unsigned = |field: &'static str, value: Option<i64>| {
            let convert = |value: i64| {
                let negative = |_| error::negative_bound(field, value, topic, partition);
                u64::try_from(value).map_err(negative)
            };
            value.map(convert).transpose()
        };
        let messages_left = unsigned("max_messages", request.max_messages)?;
        let wait_max_ms = unsigned("max_wait_ms", request.max_wait_ms)?;
        Ok(Self {
            messages_left: messages_left.filter(|count| *count > 0),
            wait_max: wait_max_ms.map(Duration::from_millis),
        })
    }
}

/// The answers to a Consume; polling it does the work.
pub(crate) struct ConsumeStream {
    source: Source,
    /// The stream ends here.
    end: Option<Offset>,
    bounds: Bounds,
    stop: watch::Receiver<bool>,
    keeper: Option<PositionKeeper>,
    ahead: ReadAhead,
    /// When to give up waiting for the next record.
    idle_until: Option<Instant>,
    step: Step,
}

enum Step {
    /// Records of the last read are given.
    Reading,
    /// More is read, or waited for.
    Fetching(BoxFuture<'static, Fetched>),
    /// The last position is stored.
    Ending(BoxFuture<'static, Option<Status>>),
    Ended,
}

enum Fetched {
    Batches(Vec<Bytes>),
    /// None came in time.
    Nothing,
    Failed(Status),
}

impl ConsumeStream {
    /// The next record of the last read; `None` where that is used up or the stream is at its end.
    fn read(&mut self) -> Option<proto::Record> {
        // The transport asks for more, so it is done with what it was given.
        self.move_to(self.ahead.next_offset());
        if self.is_at_end() {
            self.end_with(None);
            return None;
        }
        match self.ahead.next_record() {
            Ok(Some(record)) if self.end.is_some_and(|end| record.offset >= end) => {
                self.end_with(None);
                None
            }
            Ok(Some(record)) => {
                if let Some(left) = &mut self.bounds.messages_left {
                    *left -= 1;
                }
                self.idle_until = None;
                Some(self.source.answer(record))
            }
            Ok(None) => {
                self.move_to(self.ahead.next_offset());
                if self.is_at_end() {
                    self.end_with(None);
                } else {
                    self.fetch();
                }
                None
            }
            Err(unreadable) => {
                let status =
                    error::unreadable(&unreadable, &self.source.topic, self.source.partition);
                self.end_with(Some(status));
                None
            }
        }
    }

    fn is_at_end(&self) -> bool {
        let next = self.ahead.next_offset();
        self.bounds.messages_left == Some(0) || self.end.is_some_and(|end| next >= end)
    }

    fn move_to(&self, offset: Offset) {
        if let Some(keeper) = &self.keeper {
            keeper.move_to(offset);
        }
    }

    fn fetch(&mut self) {
        if let Some(wait_max) = self.bounds.wait_max
            && self.idle_until.is_none()
        {
            self.idle_until = Instant::now().checked_add(wait_max);
        }
        let wait = match self.idle_until {
            Some(until) => until.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        };
        let (source, mut stop) = (self.source.clone(), self.stop.clone());
        let from = self.ahead.next_offset();
        let fetching = async move {
            let stopped = std::pin::pin!(stop.wait_for(|stopped| *stopped));
            let fetched = std::pin::pin!(source.fetch(from, wait));
            match select(stopped, fetched).await {
                Either::Left(_) => Fetched::Failed(error::stopping()),
                Either::Right((fetched, _)) => fetched.unwrap_or_else(Fetched::Failed),
            }
        };
        self.step = Step::Fetching(fetching.boxed());
    }

    /// Ends the stream once the last position is stored.
    fn end_with(&mut self, status: Option<Status>) {
        let place = (Arc::clone(&self.source.topic), self.source.partition);
        let keeper = self.keeper.take();
        let ending = async move {
            let stored = match keeper {
                Some(keeper) => keeper.finish().await,
                None => Ok(()),
            };
            let stored = stored.map_err(|reason| error::position(&reason, &place.0, place.1));
            status.or_else(|| stored.err())
        };
        self.step = Step::Ending(ending.boxed());
    }
}

impl Stream for ConsumeStream {
    type Item = Result<proto::Record, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match &mut this.step {
                Step::Reading => {
                    if let Some(record) = this.read() {
                        return Poll::Ready(Some(Ok(record)));
                    }
                }
                Step::Fetching(fetching) => match ready!(fetching.poll_unpin(context)) {
                    Fetched::Batches(chunks) => {
                        this.ahead.fill(chunks);
                        this.step = Step::Reading;
                    }
                    Fetched::Nothing => this.end_with(None),
                    Fetched::Failed(status) => this.end_with(Some(status)),
                },
                Step::Ending(ending) => {
                    let status = ready!(ending.poll_unpin(context));
                    this.step = Step::Ended;
                    return Poll::Ready(status.map(Err));
                }
                Step::Ended => return Poll::Ready(None),
            }
        }
    }
}

/// The partition that is read.
#[derive(Debug, Clone)]
struct Source {
    broker: Arc<Broker>,
    topic: Arc<Topic>,
    partition: i32,
}

impl Source {
    async fn fetch(&self, from: Offset, wait: Duration) -> Result<Fetched, Status> {
        let fetch = Fetch {
            partitions: vec![FetchPartition {
                topic: Arc::clone(&self.topic),
                partition: self.partition,
                from,
                bytes_max: READ_BYTES,
                current_leader_epoch: None,
                last_fetched_epoch: None,
            }],
            bytes_min: 1,
            bytes_max: READ_BYTES,
            wait,
            isolation: Isolation::ReadUncommitted,
        };
        let found = self.broker.fetch(fetch).await.partitions;
        let read = found.into_iter().next();
        let read = read.expect("one partition was asked for");
        let read = read.map_err(|reason| error::fetch(&reason, &self.topic, self.partition))?;
        if read.slice.chunks.is_empty() {
            return Ok(Fetched::Nothing);
        }
        let mut chunks = Vec::with_capacity(read.slice.chunks.len());
        for chunk in read.slice.chunks {
            let loaded = load(chunk).await;
            let loaded = loaded
                .map_err(|reason| error::read_failed(&reason, &self.topic, self.partition))?;
            chunks.push(loaded);
        }
        Ok(Fetched::Batches(chunks))
    }

    fn answer(&self, record: Record) -> proto::Record {
        let header = |header: records::Header| Header {
            key: header.key_text().into_owned(),
            value: header.value,
        };
        proto::Record {
            topic: self.topic.name().as_str().to_owned(),
            partition: Some(self.partition),
            offset: Some(record.offset.get()),
            timestamp_ms: Some(record.timestamp_ms),
            key: record.key,
            headers: record.headers.into_iter().map(header).collect(),
            payload: record.value,
        }
    }
}

#[cfg(test)]
mod tests;
