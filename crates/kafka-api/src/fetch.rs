//! Fetch: reads, waits, and names the places of the records; their bytes are never copied here.

use std::sync::Arc;
use std::time::Duration;

use broker::{Fetch, FetchError, FetchPartition, PartitionError, PartitionRead};
use kafka_wire::messages::FetchRequest;
use kafka_wire::messages::fetch::{EpochEndOffset, FetchResponse, PartitionData};
use kafka_wire::views::FetchView;
use kafka_wire::{ErrorCode, FetchResponseWriter, Message, Response, ResponseHeader, Uuid};
use storage::{Chunk, Isolation, TopicId};

use crate::Context;
use crate::dispatch::{Begun, Call, Close, check_count, encode};
use crate::error::Coded;
use crate::fetch_session::{Asked, FINAL_EPOCH, PartitionKey, Resolved, Told, TopicKey, Wanted};
use crate::list_offsets::{isolation, known_epoch};

/// First version with sessions.
const SESSIONS_FROM: i16 = 7;
/// First version that names topics by id.
const TOPIC_IDS_FROM: i16 = 13;
/// "Unknown", in offsets.
const NONE: i64 = -1;

/// The limits of one fetch.
#[derive(Debug, Clone, Copy)]
struct Limits {
    bytes_min: usize,
    bytes_max: usize,
    wait: Duration,
    isolation: Isolation,
}

/// Starts a fetch; its answer may take as long as the client is ready to wait.
pub(crate) fn handle(call: Call) -> Result<Begun, Close> {
    let version = call.context.version;
    let malformed = |error| Close::Malformed {
        name: FetchRequest::NAME,
        version,
        error,
    };
    let view = FetchView::parse(&call.frame, call.body_at, version).map_err(malformed)?;
    let named = view.topics().map(|topic| topic.partitions().len());
    let forgotten = view.forgotten_topics();
    let forgotten = forgotten.map(|topic| topic.partitions().len());
    check_count(&call, FetchRequest::NAME, named.chain(forgotten).sum())?;
    let count = |number: i32| usize::try_from(number).unwrap_or(0);
    let limits = Limits {
        bytes_min: count(view.min_bytes),
        bytes_max: count(view.max_bytes),
        wait: Duration::from_millis(u64::try_from(view.max_wait_ms).unwrap_or(0)),
        isolation: isolation(view.isolation_level),
    };
    let asked = asked(&view, version);
    // The wait below holds nothing of the request.
    let Call {
        context,
        correlation_id,
        ..
    } = call;
    let now = context.broker().clock().monotonic();
    let resolved = context.api.sessions.resolve(asked, now);
    Ok(Begun::alone(Box::pin(async move {
        match resolved {
            Ok(resolved) => serve(context, correlation_id, resolved, limits)
                .await
                .map(Some),
            Err(code) => {
                let response = FetchResponse {
                    error_code: code.code(),
                    ..Default::default()
                };
                encode(&response, FetchRequest::KEY, version, correlation_id).map(Some)
            }
        }
    })))
}

fn asked(view: &FetchView<'_>, version: i16) -> Asked {
    let uses_ids = version >= TOPIC_IDS_FROM;
    let key = |name: &str, id: Uuid| {
        if uses_ids {
            TopicKey::Id(id)
        } else {
            TopicKey::Name(name.into())
        }
    };
    let mut wanted = Vec::new();
    for topic in view.topics() {
        let topic_key = key(topic.topic, topic.topic_id);
        wanted.extend(topic.partitions().map(|partition| Wanted {
            key: PartitionKey {
                topic: topic_key.clone(),
                partition: partition.partition,
            },
            from: partition.fetch_offset,
            bytes_max: partition.partition_max_bytes,
            current_leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
        }));
    }
    let mut forgotten = Vec::new();
    for topic in view.forgotten_topics() {
        let topic_key = key(topic.topic, topic.topic_id);
        let keys = topic.partitions();
        forgotten.extend(keys.map(|partition| PartitionKey {
            topic: topic_key.clone(),
            partition,
        }));
    }
    let has_sessions = version >= SESSIONS_FROM;
    Asked {
        session_id: if has_sessions { view.session_id } else { 0 },
        epoch: if has_sessions {
            view.session_epoch
        } else {
            FINAL_EPOCH
        },
        uses_ids,
        wanted,
        forgotten,
    }
}

/// What is known of one partition before and after the read.
enum Found {
    /// At this place among the partitions that are read.
    Read(usize),
    /// There is nothing to read from.
    Unknown(ErrorCode),
}

async fn serve(
    context: Context,
    correlation_id: i32,
    resolved: Resolved,
    limits: Limits,
) -> Result<Response<Chunk>, Close> {
    let mut partitions = Vec::with_capacity(resolved.wanted.len());
    let mut found = Vec::with_capacity(resolved.wanted.len());
    for wanted in &resolved.wanted {
        found.push(match find_topic(&context, &wanted.key.topic) {
            Err(code) => Found::Unknown(code),
            Ok(topic) => {
                partitions.push(FetchPartition {
                    topic,
                    partition: wanted.key.partition,
                    from: records::Offset::new(wanted.from),
                    bytes_max: usize::try_from(wanted.bytes_max).unwrap_or(0),
                    current_leader_epoch: known_epoch(wanted.current_leader_epoch),
                    last_fetched_epoch: known_epoch(wanted.last_fetched_epoch),
                });
                Found::Read(partitions.len() - 1)
            }
        });
    }
    // An error is news: the client must not wait for it.
    let all_known = found.iter().all(|found| matches!(found, Found::Read(_)));
    let Limits {
        bytes_min,
        bytes_max,
        wait,
        isolation,
    } = limits;
    let wait = if all_known { wait } else { Duration::ZERO };
    let fetch = Fetch {
        partitions,
        bytes_min,
        bytes_max,
        wait,
        isolation,
    };
    let mut reads: Vec<_> = context
        .broker()
        .fetch(fetch)
        .await
        .partitions
        .into_iter()
        .map(Some)
        .collect();
    let mut told = Vec::new();
    for (wanted, found) in resolved.wanted.iter().zip(found) {
        let read = match found {
            Found::Unknown(code) => Err(code),
            Found::Read(at) => {
                let read = reads.get_mut(at).and_then(Option::take);
                read.expect("a fetch answers each partition once")
                    .map_err(|error| code_of(&error, &wanted.key.topic))
            }
        };
        let (data, chunks) = partition_data(wanted.key.partition, read, isolation);
        let numbers = Told {
            high_watermark: data.high_watermark,
            log_start: data.log_start_offset,
        };
        let news = !chunks.is_empty()
            || data.error_code != 0
            || data.diverging_epoch != EpochEndOffset::default();
        if resolved.must_tell(&wanted.key, numbers, news) {
            told.push((&wanted.key.topic, data, chunks));
        }
    }
    write(&told, resolved.session_id, context.version, correlation_id)
}

fn find_topic(context: &Context, key: &TopicKey) -> Result<Arc<broker::Topic>, ErrorCode> {
    match key {
        TopicKey::Name(name) => context
            .broker()
            .topic(name)
            .ok_or(ErrorCode::UnknownTopicOrPartition),
        TopicKey::Id(id) => context
            .broker()
            .topic_by_id(TopicId(id.0))
            .ok_or(ErrorCode::UnknownTopicId),
    }
}

/// Kafka names a topic that is gone as the client named it.
fn code_of(error: &FetchError, key: &TopicKey) -> ErrorCode {
    match (error, key) {
        (FetchError::Partition(PartitionError::Deleted { .. }), TopicKey::Id(_)) => {
            ErrorCode::UnknownTopicId
        }
        _ => error.code(),
    }
}

fn partition_data(
    partition_index: i32,
    read: Result<PartitionRead, ErrorCode>,
    isolation: Isolation,
) -> (PartitionData, Vec<(Chunk, usize)>) {
    let read = match read {
        Ok(read) => read,
        Err(code) => {
            // Kafka answers an empty list for what it does not know, null for other errors.
            let is_unknown = matches!(
                code,
                ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId
            );
            let data = PartitionData {
                partition_index,
                error_code: code.code(),
                high_watermark: NONE,
                aborted_transactions: is_unknown.then(Vec::new),
                ..Default::default()
            };
            return (data, Vec::new());
        }
    };
    let ends = read.slice.ends;
    let diverging = read.diverging.map(|end| EpochEndOffset {
        epoch: end.leader_epoch,
        end_offset: end.end.get(),
    });
    let data = PartitionData {
        partition_index,
        high_watermark: ends.high_watermark.get(),
        last_stable_offset: ends.last_stable.get(),
        log_start_offset: ends.log_start.get(),
        diverging_epoch: diverging.unwrap_or_default(),
        // Null where nobody asked; there are no transactions, so none was aborted.
        aborted_transactions: (isolation == Isolation::ReadCommitted).then(Vec::new),
        ..Default::default()
    };
    let chunks = read.slice.chunks.into_iter().map(|chunk| {
        let size_bytes = chunk.size_bytes();
        (chunk, size_bytes)
    });
    (data, chunks.collect())
}

type ToldPartition<'a> = (&'a TopicKey, PartitionData, Vec<(Chunk, usize)>);

fn write(
    told: &[ToldPartition<'_>],
    session_id: i32,
    version: i16,
    correlation_id: i32,
) -> Result<Response<Chunk>, Close> {
    let same_topic = |a: &ToldPartition<'_>, b: &ToldPartition<'_>| a.0 == b.0;
    let topics = told.chunk_by(same_topic).count();
    let head = FetchResponse {
        session_id,
        ..Default::default()
    };
    let header = ResponseHeader { correlation_id };
    let mut writer = FetchResponseWriter::new(header, version, &head, topics)?;
    for partitions in told.chunk_by(same_topic) {
        match partitions.first().map(|(key, ..)| *key) {
            Some(TopicKey::Name(name)) => writer.topic(name, Uuid::ZERO, partitions.len())?,
            Some(TopicKey::Id(id)) => writer.topic("", *id, partitions.len())?,
            None => continue,
        }
        for (_, data, chunks) in partitions {
            writer.partition(data, Some(chunks.clone()))?;
        }
    }
    Ok(writer.finish(&[])?)
}

#[cfg(test)]
mod tests;
