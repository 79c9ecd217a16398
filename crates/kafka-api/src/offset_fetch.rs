//! OffsetFetch, of one group or of several (KIP-447, KIP-709, KIP-848's topic ids).
//!
//! Nothing is pending without transactions, so `require_stable` never makes a client wait.
//!
//! Guarantees: what is named twice is answered once, in the order of the first mention, and an
//! answer has at most [`ANSWER_BYTES_MAX`] of rows: a small request buys no large answer.

use std::collections::{BTreeMap, BTreeSet};

use broker::{GroupError, Position};
use kafka_wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_wire::{ErrorCode, Uuid, WireString};
use storage::TopicId;

use crate::Context;
use crate::error::Coded;

/// First version that asks for several groups.
const BATCHED_FROM: i16 = 8;
/// First version that names topics by id.
const IDS_FROM: i16 = 10;
/// First version with an error of the whole answer.
const ERROR_FROM: i16 = 2;
/// The most bytes of rows in one answer. Clients take no response above 100 MB.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a row counts beside its text.
const ROW_BYTES: usize = 32;

pub(crate) async fn handle(context: Context, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if context.version >= BATCHED_FROM {
        // A group that is named twice is answered once: its answer may be large.
        let mut named = BTreeSet::new();
        let mut groups = Vec::new();
        let mut room = Room::default();
        for group in request.groups {
            tokio::task::consume_budget().await;
            if named.insert(group.group_id.clone()) {
                groups.push(fetch(&context, group, &mut room).await);
            }
        }
        return OffsetFetchResponse {
            groups,
            ..Default::default()
        };
    }
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            topic_id: Uuid::ZERO,
            partition_indexes: topic.partition_indexes,
        });
        topics.collect()
    });
    let group = OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics,
        member_id: None,
        member_epoch: -1,
    };
    let fetched = fetch(&context, group, &mut Room::default()).await;
    unbatched(fetched, context.version)
}

/// What is left for the rows of an answer.
struct Room {
    left_bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            left_bytes: ANSWER_BYTES_MAX,
        }
    }
}

impl Room {
    /// Counts a row; an error if it does not fit.
    fn take(&mut self, position: Option<&Position>) -> Result<(), GroupError> {
        let bytes = ROW_BYTES + position.map_or(0, |position| position.metadata.len());
        let left = self.left_bytes.checked_sub(bytes);
        self.left_bytes = left.ok_or(GroupError::AnswerTooLarge {
            limit_bytes: ANSWER_BYTES_MAX,
        })?;
        Ok(())
    }
}

async fn fetch(
    context: &Context,
    asked: OffsetFetchRequestGroup,
    room: &mut Room,
) -> OffsetFetchResponseGroup {
    let group = asked.group_id.as_str();
    let member = asked.member_id.as_ref().map(WireString::as_str);
    let checked = match (member, asked.member_epoch) {
        (None, ..0) => Ok(()),
        (member, epoch) => {
            let groups = context.broker().groups();
            groups.check_fetch(group, member.unwrap_or_default(), epoch)
        }
    };
    let topics = match (checked, asked.topics) {
        (Err(error), _) => Err(error),
        (Ok(()), Some(topics)) => named(context, group, topics, room).await,
        (Ok(()), None) => all(context, group, room).await,
    };
    let (topics, error_code) = match topics {
        Ok(topics) => (topics, 0),
        Err(error) => (Vec::new(), error.code().code()),
    };
    OffsetFetchResponseGroup {
        group_id: asked.group_id,
        topics,
        error_code,
    }
}

async fn named(
    context: &Context,
    group: &str,
    asked: Vec<OffsetFetchRequestTopics>,
    room: &mut Room,
) -> Result<Vec<OffsetFetchResponseTopics>, GroupError> {
    let mut topics = Vec::new();
    let mut answered: BTreeMap<(WireString, Uuid), BTreeSet<i32>> = BTreeMap::new();
    let broker = context.broker();
    for asked in asked {
        let (topic, absent) = if context.version >= IDS_FROM {
            let topic = broker.topic_by_id(TopicId(asked.topic_id.0));
            (topic, ErrorCode::UnknownTopicId)
        } else {
            (broker.topic(&asked.name), ErrorCode::None)
        };
        let answered = answered.entry((asked.name.clone(), asked.topic_id));
        let answered = answered.or_default();
        let names_any = !asked.partition_indexes.is_empty();
        let mut partitions = Vec::new();
        for index in asked.partition_indexes {
            tokio::task::consume_budget().await;
            if !answered.insert(index) {
                continue;
            }
            let number = topic.as_ref().and_then(|topic| topic.partition(index).ok());
            let position = match (&topic, number) {
                (Some(topic), Some(number)) => {
                    broker.groups().offset(group, topic.id(), number).await?
                }
                _ => None,
            };
            let code = if topic.is_some() {
                ErrorCode::None
            } else {
                absent
            };
            room.take(position.as_ref())?;
            partitions.push(row(index, position, code));
        }
        if names_any && partitions.is_empty() {
            continue;
        }
        topics.push(OffsetFetchResponseTopics {
            name: asked.name,
            topic_id: asked.topic_id,
            partitions,
        });
    }
    Ok(topics)
}

async fn all(
    context: &Context,
    group: &str,
    room: &mut Room,
) -> Result<Vec<OffsetFetchResponseTopics>, GroupError> {
    let mut topics: BTreeMap<TopicId, OffsetFetchResponseTopics> = BTreeMap::new();
    let groups = context.broker().groups();
    for committed in groups.offsets(group, room.left_bytes).await? {
        tokio::task::consume_budget().await;
        room.take(Some(&committed.position))?;
        // One that is being deleted has no name any more.
        let Some(topic) = context.broker().topic_by_id(committed.topic) else {
            continue;
        };
        let listed = topics.entry(committed.topic).or_insert_with(|| {
            let by_id = context.version >= IDS_FROM;
            OffsetFetchResponseTopics {
                name: topic.name().as_str().into(),
                topic_id: if by_id {
                    Uuid(topic.id().0)
                } else {
                    Uuid::ZERO
                },
                partitions: Vec::new(),
            }
        });
        let index = committed.partition.cast_signed();
        listed
            .partitions
            .push(row(index, Some(committed.position), ErrorCode::None));
    }
    Ok(topics.into_values().collect())
}

fn row(index: i32, position: Option<Position>, code: ErrorCode) -> OffsetFetchResponsePartitions {
    let (offset, epoch, metadata) = match position {
        Some(position) => {
            let epoch = position.leader_epoch.unwrap_or(-1);
            (position.offset.get(), epoch, position.metadata)
        }
        None => (-1, -1, String::new()),
    };
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: offset,
        committed_leader_epoch: epoch,
        metadata: Some(metadata.into()),
        error_code: code.code(),
    }
}

fn unbatched(group: OffsetFetchResponseGroup, version: i16) -> OffsetFetchResponse {
    let partition = |row: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: row.partition_index,
        committed_offset: row.committed_offset,
        committed_leader_epoch: row.committed_leader_epoch,
        metadata: row.metadata,
        error_code: row.error_code,
    };
    let topic = |topic: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    };
    OffsetFetchResponse {
        topics: group.topics.into_iter().map(topic).collect(),
        error_code: if version >= ERROR_FROM {
            group.error_code
        } else {
            0
        },
        ..Default::default()
    }
}
