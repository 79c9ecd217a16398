//! Produce: batches are cut out of the request without a copy, placed, and then awaited together.
//!
//! When [`handle`] returns, every batch of the request has its place in its log, so the next
//! request of the connection may begin; the answer waits as acks asks for.

use std::time::Duration;

use broker::{AppendTicket, Origin};
use bytes::BytesMut;
use kafka_wire::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use kafka_wire::views::{ProduceView, split_frame};
use kafka_wire::{ErrorCode, Message, Uuid, WireString};
use storage::{BytesPermit, TopicId};

use crate::Context;
use crate::dispatch::{Answer, Call, Close, encode};
use crate::error::Coded;

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

/// A code and, for people, why.
struct Refusal(ErrorCode, String);

impl<E: Coded + ToString> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.code(), error.to_string())
    }
}

/// Places all batches; the answer comes when they are as durable as acks asks for.
pub(crate) fn handle(call: Call) -> Result<Answer, Close> {
    let Call {
        context,
        correlation_id,
        frame,
        body_at,
        permit,
    } = call;
    let version = context.version;
    let malformed = |error| Close::Malformed {
        name: ProduceRequest::NAME,
        version,
        error,
    };
    let view = ProduceView::parse(&frame, body_at, version).map_err(malformed)?;
    let acks = match view.acks {
        -1 => Some(Acks::All),
        1 => Some(Acks::Leader),
        0 => Some(Acks::None),
        _ => None,
    };
    let refusal = request_refusal(&view, acks);
    let timeout = Duration::from_millis(u64::try_from(view.timeout_ms).unwrap_or(0));
    let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
    let mut named = Vec::new();
    for topic in view.topics() {
        let mut indexes = Vec::new();
        for partition in topic.partitions() {
            indexes.push((partition.index, partition.records.is_some()));
            ranges.extend(partition.records);
        }
        named.push((WireString::from(topic.name), topic.topic_id, indexes));
    }
    let mut batches = split_frame(frame, &ranges).into_iter();
    let mut topics = Vec::with_capacity(named.len());
    for (name, id, indexes) in named {
        let found = find_topic(&context, &name, id);
        let partitions = indexes.into_iter().map(|(index, has_records)| {
            let batch = if has_records { batches.next() } else { None };
            let outcome = match (&refusal, &found) {
                (Some((code, message)), _) => Err(Refusal(*code, (*message).to_owned())),
                (None, Err(code)) => Err(Refusal(*code, unknown_topic(&name, id))),
                (None, Ok(topic)) => place(&context, topic, index, batch.unwrap_or_default()),
            };
            (index, outcome)
        });
        let partitions = partitions.collect();
        topics.push(Topic {
            name,
            id,
            partitions,
        });
    }
    answer(
        topics,
        (acks.unwrap_or(Acks::Leader), timeout),
        (version, correlation_id),
        permit,
    )
}

/// What makes the whole request wrong.
fn request_refusal(
    view: &ProduceView<'_>,
    acks: Option<Acks>,
) -> Option<(ErrorCode, &'static str)> {
    if acks.is_none() {
        return Some((ErrorCode::InvalidRequiredAcks, "acks must be -1, 0 or 1"));
    }
    view.transactional_id.map(|_| {
        let message = "transactions are not built yet; write without a transactional id";
        (ErrorCode::TransactionalIdAuthorizationFailed, message)
    })
}

fn find_topic(
    context: &Context,
    name: &str,
    id: Uuid,
) -> Result<std::sync::Arc<broker::Topic>, ErrorCode> {
    if context.version >= TOPIC_IDS_FROM {
        return context
            .broker()
            .topic_by_id(TopicId(id.0))
            .ok_or(ErrorCode::UnknownTopicId);
    }
    context
        .broker()
        .topic(name)
        .ok_or(ErrorCode::UnknownTopicOrPartition)
}

fn unknown_topic(name: &str, id: Uuid) -> String {
    if name.is_empty() {
        format!("there is no topic with id {id}")
    } else {
        format!("topic {name:?} does not exist")
    }
}

fn place(context: &Context, topic: &broker::Topic, index: i32, batch: BytesMut) -> Outcome {
    let origin = Origin {
        zstd_allowed: context.version >= ZSTD_FROM,
    };
    // The share of the budget belongs to the frame, of which this batch is a piece.
    let permit = BytesPermit::free();
    let ticket = context
        .broker()
        .append(topic, index, batch, origin, permit)?;
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
        let outcomes = topics.into_iter().flat_map(|topic| topic.partitions);
        return match outcomes.filter_map(|(_, outcome)| outcome.err()).next() {
            Some(Refusal(_, message)) => Err(Close::UnacknowledgedFailure(message)),
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
                    Err(Refusal(ErrorCode::RequestTimedOut, message.to_owned()))
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

fn failed(index: i32, Refusal(code, message): Refusal) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: code.code(),
        base_offset: -1,
        error_message: Some(message.into()),
        ..Default::default()
    }
}
