//! Where each consumer goes on in each partition.
//!
//! One key space for both protocols: a consumer of gRPC and a consumer group of the same name are
//! the same. Positions belong to a topic's id, so a topic made again under the name starts anew.
//! What seeking means is decided by the front doors; a position is only stored and read here.

use std::sync::Arc;

use clock::Clock;
use records::Offset;
use storage::{CommitError, Key, Metadata, Space, TopicId, Version, Write};

use crate::error::{PartitionError, PositionError, Trouble};
use crate::keys::{self, CONSUMER_BYTES_MAX};
use crate::open::PAGE;
use crate::topics::Topic;
use crate::values::{Position, TopicRecord};

/// How often a commit starts over because the topic's record changed under it. Each change is
/// made by an administrator, so more in one commit cannot be.
const ATTEMPTS_MAX: usize = 16;

/// The positions of all consumers.
#[derive(Debug)]
pub struct Positions {
    metadata: Arc<dyn Metadata>,
    clock: Arc<dyn Clock>,
    metadata_bytes_max: usize,
}

impl Positions {
    pub(crate) fn new(
        metadata: Arc<dyn Metadata>,
        clock: Arc<dyn Clock>,
        metadata_bytes_max: usize,
    ) -> Self {
        Self {
            metadata,
            clock,
            metadata_bytes_max,
        }
    }

    /// Where `consumer` goes on in a partition; `None` if it never committed there.
    pub async fn get(
        &self,
        consumer: &str,
        topic: &Topic,
        partition: i32,
    ) -> Result<Option<Position>, PositionError> {
        let key = key(consumer, topic, partition)?;
        let stored = self.metadata.get(&key).await.map_err(Trouble::from)?;
        let position = stored.map(|stored| Position::decode(&stored.value));
        Ok(position.transpose()?)
    }

    /// Stores where `consumer` goes on in a partition: the offset of the record it reads next.
    /// Durable when this returns. The offset may lie outside the log, as Kafka allows.
    pub async fn commit(
        &self,
        consumer: &str,
        topic: &Topic,
        partition: i32,
        offset: Offset,
        metadata: &str,
    ) -> Result<Position, PositionError> {
        let position = Position {
            offset,
            leader_epoch: None,
            committed_ms: self.clock.wall_ms(),
            metadata: metadata.to_owned(),
        };
        self.store(consumer, topic, partition, position).await
    }

    /// As [`Positions::commit`], with every field given.
    pub async fn store(
        &self,
        consumer: &str,
        topic: &Topic,
        partition: i32,
        position: Position,
    ) -> Result<Position, PositionError> {
        let key = key(consumer, topic, partition)?;
        if position.offset < Offset::ZERO {
            return Err(PositionError::NegativeOffset {
                offset: position.offset,
            });
        }
        let (size_bytes, limit_bytes) = (position.metadata.len(), self.metadata_bytes_max);
        if size_bytes > limit_bytes {
            return Err(PositionError::MetadataTooLarge {
                size_bytes,
                limit_bytes,
            });
        }
        let write = Write {
            key,
            value: Some(position.encode()),
        };
        self.commit_while_topic_exists(topic, write).await?;
        Ok(position)
    }

    /// The check on the topic's record keeps a late commit from outliving a deletion.
    async fn commit_while_topic_exists(
        &self,
        topic: &Topic,
        write: Write,
    ) -> Result<(), PositionError> {
        let topic_key = keys::topic(topic.name());
        let mut version = topic.version();
        let mut attempts_left = ATTEMPTS_MAX;
        loop {
            let checks = [(topic_key.clone(), version)];
            let outcome = self
                .metadata
                .commit(&checks, std::slice::from_ref(&write))
                .await;
            attempts_left -= 1;
            match outcome {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict { .. }) if attempts_left > 0 => {
                    version = self.version_of(topic, &topic_key).await?;
                }
                Err(error) => return Err(Trouble::from(error).into()),
            }
        }
    }

    /// The version that the topic's record has now.
    async fn version_of(&self, topic: &Topic, key: &Key) -> Result<Version, PositionError> {
        let stored = self.metadata.get(key).await.map_err(Trouble::from)?;
        if let Some(stored) = stored
            && TopicRecord::decode(&stored.value)?.id == topic.id()
        {
            return Ok(stored.version);
        }
        Err(PartitionError::Deleted {
            topic: topic.name().clone(),
        }
        .into())
    }

    /// Removes all positions in a topic that is being deleted.
    pub(crate) async fn forget_topic(&self, id: TopicId) -> Result<(), Trouble> {
        let all = Key::space(Space::Offset);
        let mut after = None;
        loop {
            let page = self.metadata.list(&all, after.as_ref(), PAGE).await?;
            let of_topic = page
                .iter()
                .filter(|row| keys::topic_of_position(&row.key) == Some(id));
            let removals: Vec<_> = of_topic
                .map(|row| Write {
                    key: row.key.clone(),
                    value: None,
                })
                .collect();
            if !removals.is_empty() {
                self.metadata.commit(&[], &removals).await?;
            }
            if page.len() < PAGE {
                return Ok(());
            }
            after = page.last().map(|row| row.key.clone());
        }
    }
}

fn key(consumer: &str, topic: &Topic, partition: i32) -> Result<Key, PositionError> {
    let size_bytes = consumer.len();
    if size_bytes == 0 || size_bytes > CONSUMER_BYTES_MAX {
        let limit_bytes = CONSUMER_BYTES_MAX;
        return Err(PositionError::InvalidConsumer {
            size_bytes,
            limit_bytes,
        });
    }
    Ok(keys::position(
        consumer,
        topic.id(),
        topic.partition(partition)?,
    ))
}

#[cfg(test)]
mod tests;
