//! Produce: batches are cut out of the request without a copy, placed, and then awaited together.
//!
//! When [`handle`] returns, every batch of the request has its place in its log, so the next
//! request of the connection may begin; the answer waits as acks asks for. Batches that have to be
//! packed anew are placed on a thread of their own, and the next request waits for the answer.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use broker::{AppendTicket, Broker, Origin, ProduceError};
use bytes::BytesMut;
use kafka_wire::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceResponse,
};
use kafka_wire::views::{ProduceView, split_frame};
use kafka_wire::{ErrorCode, Message, Uuid, WireString};
use records::BatchHeader;
use storage::{AppendError, BytesPermit, TopicId};

use crate::Context;
use crate::dispatch::{Answer, Begun, Call, Close, check_count, encode};
use crate::error::{Coded, error_message};

/// First version that names topics by id.
const TOPIC_IDS_FROM: i16 = 13;
/// First version that may carry zstd (KIP-110).
const ZSTD_FROM: i16 = 7;
/// A client's timeout below this is raised to it: a sync may take that long on a busy disk, and a
/// timeout says nothing about the outcome.
const TIMEOUT_LEAST: Duration = Duration::from_secs(1);

/// `acks`, as far as it means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acks {
    All,
    Leader,
    None,
}

/// One topic of the request, without its records.
struct Topic {
    name: WireString,
    id: Uuid,
    partitions: Vec<(i32, Outcome)>,
}

/// What became of one partition's batch.
type Outcome = Result<AppendTicket, Refusal>;

/// Why a batch is not in the log.
struct Refusal {
    code: ErrorCode,
    /// For people.
    message: String,
    /// The records that are to blame, counted from 0, where that is known.
    records: Vec<i32>,
    /// What is wrong with each of them, if not only the message says so.
    blame: Option<String>,
}

impl Refusal {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            records: Vec::new(),
            blame: None,
        }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<ProduceError> for Refusal {
    fn from(error: ProduceError) -> Self {
        let (code, message) = (error.code(), error.to_string());
        let (records, blame) = match error {
            ProduceError::InvalidTimestamp { records, .. } => (records, None),
            ProduceError::WithoutKey {
                topic,
                partition,
                records,
            } => {
                let blame = broker::without_key(&topic, partition);
                (records, Some(blame))
            }
            _ => (Vec::new(), None),
        };
        Self {
            code,
            message,
            records,
            blame,
        }
    }
}

/// One topic of the request, with its batches.
struct Unplaced {
    name: WireString,
    id: Uuid,
    found: Result<Arc<broker::Topic>, Missing>,
    /// Each with its batch; no bytes where there is none.
    partitions: Vec<(i32, BytesMut)>,
}

/// What holds for all batches of a request.
#[derive(Clone, Copy)]
struct Terms {
    is_transactional: bool,
    acks: Option<Acks>,
    origin: Origin,
}

/// Places all batches; the answer comes when they are as durable as acks asks for.
pub(crate) fn handle(call: Call) -> Result<Begun, Close> {
    let version = call.context.version;
    let malformed = |error| Close::Malformed {
        name: ProduceRequest::NAME,
        version,
        error,
    };
    let view = ProduceView::parse(&call.frame, call.body_at, version).map_err(malformed)?;
    let count = view.topics().map(|topic| topic.partitions().len()).sum();
    check_count(&call, ProduceRequest::NAME, count)?;
    let terms = Terms {
        is_transactional: view.transactional_id.is_some(),
        acks: match view.acks {
            -1 => Some(Acks::All),
            1 => Some(Acks::Leader),
            0 => Some(Acks::None),
            _ => None,
        },
        origin: Origin {
            zstd_allowed: version >= ZSTD_FROM,
        },
    };
    let timeout = Duration::from_millis(u64::try_from(view.timeout_ms).unwrap_or(0));
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut named = Vec::new();
    for topic in view.topics() {
        let mut indexes = Vec::new();
        for partition in topic.partitions() {
            indexes.push((partition.index, partition.records.is_some()));
            ranges.extend(partition.records);
        }
        named.push((WireString::from(topic.name), topic.topic_id, indexes));
    }
    let Call {
        context,
        correlation_id,
        frame,
        permit,
        ..
    } = call;
    let mut batches = split_frame(frame, &ranges).into_iter();
    let unplaced = named.into_iter().map(|(name, id, indexes)| {
        let mut batch = |has_records: bool| has_records.then(|| batches.next()).flatten();
        let partitions = indexes
            .into_iter()
            .map(|(index, has_records)| (index, batch(has_records).unwrap_or_default()));
        Unplaced {
            partitions: partitions.collect(),
            found: find_topic(&context, &name, id),
            name,
            id,
        }
    });
    let unplaced: Vec<Unplaced> = unplaced.collect();
    let waits = (terms.acks.unwrap_or(Acks::Leader), timeout);
    let response = (version, correlation_id);
    let broker = Arc::clone(context.broker());
    if !unplaced.iter().any(Unplaced::recodes) {
        let topics = place_all(&broker, unplaced, terms);
        return answer(topics, waits, response, permit).map(Begun::overlapping);
    }
    Ok(Begun::alone(Box::pin(async move {
        let store = Arc::clone(&broker);
        let placing = broker.offload(move || place_all(&store, unplaced, terms));
        answer(placing.await, waits, response, permit)?.await
    })))
}

impl Unplaced {
    /// Whether a batch has to be packed anew.
    fn recodes(&self) -> bool {
        let recodes = |topic: &Arc<broker::Topic>| {
            let mut batches = self.partitions.iter().map(|(_, batch)| batch);
            batches
                .any(|batch| BatchHeader::parse(batch).is_ok_and(|header| topic.recodes(&header)))
        };
        self.found.as_ref().is_ok_and(recodes)
    }
}

fn place_all(broker: &Broker, unplaced: Vec<Unplaced>, terms: Terms) -> Vec<Topic> {
    let place_topic = |unplaced: Unplaced| {
        let Unplaced {
            name,
            id,
            found,
            partitions,
        } = unplaced;
        let partitions = partitions.into_iter().map(|(index, batch)| {
            let allowed = check_request(terms, &found, index);
            let placed = allowed.and_then(|topic| place(broker, topic, index, batch, terms));
            (index, placed)
        });
        Topic {
            partitions: partitions.collect(),
            name,
            id,
        }
    };
    unplaced.into_iter().map(place_topic).collect()
}

/// What can be said of a batch without a look at it, in Kafka's order: a transaction, then whether
/// the partition exists, then acks.
fn check_request(
    terms: Terms,
    found: &Result<Arc<broker::Topic>, Missing>,
    index: i32,
) -> Result<&broker::Topic, Refusal> {
    if terms.is_transactional {
        let code = ErrorCode::TransactionalIdAuthorizationFailed;
        let message = "transactions are not built yet; write without a transactional id";
        return Err(Refusal::new(code, message));
    }
    let topic = match found {
        Ok(topic) => topic,
        Err(missing) => return Err(Refusal::new(missing.code, &*missing.message)),
    };
    if terms.acks.is_none() {
        topic.partition(index).map_err(ProduceError::from)?;
        let code = ErrorCode::InvalidRequiredAcks;
        return Err(Refusal::new(code, "acks must be -1, 0 or 1"));
    }
    Ok(topic)
}

/// A topic that is not there.
struct Missing {
    code: ErrorCode,
    message: String,
}

fn find_topic(context: &Context, name: &str, id: Uuid) -> Result<Arc<broker::Topic>, Missing> {
    if context.version >= TOPIC_IDS_FROM {
        let topic = context.broker().topic_by_id(TopicId(id.0));
        return topic.ok_or_else(|| Missing {
            code: ErrorCode::UnknownTopicId,
            message: format!("there is no topic with id {id}"),
        });
    }
    context.broker().topic(name).ok_or_else(|| Missing {
        code: ErrorCode::UnknownTopicOrPartition,
        message: format!("topic {name:?} does not exist"),
    })
}

fn place(
    broker: &Broker,
    topic: &broker::Topic,
    index: i32,
    batch: BytesMut,
    terms: Terms,
) -> Outcome {
    // The share of the budget belongs to the frame, of which this batch is a piece.
    let permit = BytesPermit::free();
    let ticket = broker.append(topic, index, batch, terms.origin, permit)?;
    ticket.placed()?;
    Ok(ticket)
}

fn answer(
    topics: Vec<Topic>,
    (acks, timeout): (Acks, Duration),
    (version, correlation_id): (i16, i32),
    permit: BytesPermit,
) -> Result<Answer, Close> {
    if acks == Acks::None {
        let mut outcomes = topics.into_iter().flat_map(|topic| topic.partitions);
        return match outcomes.find_map(|(_, outcome)| outcome.err()) {
            Some(refusal) => Err(Close::UnacknowledgedFailure(refusal.message)),
            None => Ok(Box::pin(std::future::ready(Ok(None)))),
        };
    }
    // The bytes are with the operating system now; what waits below holds none of them.
    drop(permit);
    Ok(Box::pin(async move {
        let deadline = tokio::time::Instant::now() + timeout.max(TIMEOUT_LEAST);
        let mut responses = Vec::with_capacity(topics.len());
        for topic in topics {
            let mut partition_responses = Vec::with_capacity(topic.partitions.len());
            for (index, outcome) in topic.partitions {
                let response = match outcome {
                    Ok(ticket) => settle(index, ticket, acks, deadline).await,
                    Err(refusal) => failed(index, refusal),
                };
                partition_responses.push(response);
            }
            let Topic {
                name, id: topic_id, ..
            } = topic;
            responses.push(TopicProduceResponse {
                name,
                topic_id,
                partition_responses,
            });
        }
        let response = ProduceResponse {
            responses,
            ..Default::default()
        };
        encode(&response, ProduceRequest::KEY, version, correlation_id).map(Some)
    }))
}

async fn settle(
    index: i32,
    ticket: AppendTicket,
    acks: Acks,
    deadline: tokio::time::Instant,
) -> PartitionProduceResponse {
    let log_append_time_ms = ticket.log_append_time_ms().unwrap_or(-1);
    let log_start_offset = ticket.log_start().map_or(-1, records::Offset::get);
    let placed = match acks {
        Acks::All if !ticket.is_durable() => {
            match tokio::time::timeout_at(deadline, ticket.durable()).await {
                Ok(durable) => durable.map_err(Refusal::from),
                Err(_elapsed) => {
                    let message = "written, but not known to be on disk within the timeout";
                    Err(Refusal::new(ErrorCode::RequestTimedOut, message))
                }
            }
        }
        Acks::All | Acks::Leader | Acks::None => ticket.placed().map_err(Refusal::from),
    };
    match placed {
        Ok(base) => PartitionProduceResponse {
            index,
            base_offset: base.get(),
            log_append_time_ms,
            log_start_offset,
            ..Default::default()
        },
        Err(refusal) => failed(index, refusal),
    }
}

fn failed(index: i32, refusal: Refusal) -> PartitionProduceResponse {
    let text = refusal.blame.as_deref().map(error_message);
    let blame = |batch_index| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: text.clone(),
    };
    PartitionProduceResponse {
        index,
        error_code: refusal.code.code(),
        base_offset: -1,
        record_errors: refusal.records.into_iter().map(blame).collect(),
        error_message: Some(error_message(&refusal.message)),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
