//! Where each gRPC consumer goes on in each partition.
//!
//! A consumer is a group: its positions are the group's committed offsets, and Kafka's tools see
//! them. It takes no part in balancing, so it commits as Kafka's simple consumers do: only while
//! the group has no members. What seeking means is decided by the front door.

use std::sync::Arc;

use records::Offset;
use storage::StorageFailure;

use crate::Broker;
use crate::error::PositionError;
use crate::groups::{Commit, GroupError, Groups, Membership};
use crate::keys::CONSUMER_BYTES_MAX;
use crate::topics::Topic;
use crate::values::Position;

/// The positions of all consumers.
#[derive(Debug, Clone, Copy)]
pub struct Positions<'a> {
    groups: &'a Groups,
}

impl Broker {
    /// The positions of consumers.
    pub fn positions(&self) -> Positions<'_> {
        Positions {
            groups: &self.groups,
        }
    }
}

impl Positions<'_> {
    /// Where `consumer` goes on in a partition; `None` if it never committed there.
    pub async fn get(
        &self,
        consumer: &str,
        topic: &Topic,
        partition: i32,
    ) -> Result<Option<Position>, PositionError> {
        check_name(consumer)?;
        let partition = topic.partition(partition)?;
        let found = self.groups.offset(consumer, topic.id(), partition).await;
        found.map_err(|error| refusal(consumer, error))
    }

    /// Stores where `consumer` goes on in a partition: the offset of the record it reads next.
    /// Durable when this returns. The offset may lie outside the log, as Kafka allows.
    pub async fn commit(
        &self,
        consumer: &str,
        topic: &Arc<Topic>,
        partition: i32,
        offset: Offset,
        metadata: &str,
    ) -> Result<(), PositionError> {
        check_name(consumer)?;
        topic.partition(partition)?;
        if offset < Offset::ZERO {
            return Err(PositionError::NegativeOffset { offset });
        }
        let commit = Commit {
            topic: Arc::clone(topic),
            partition,
            offset,
            leader_epoch: None,
            metadata: metadata.to_owned(),
            retention_ms: None,
        };
        let nobody = Membership::none();
        let committed = self.groups.commit_offsets(consumer, &nobody, vec![commit]);
        let outcomes = committed.await.map_err(|error| refusal(consumer, error))?;
        outcomes.into_iter().collect()
    }
}

fn check_name(consumer: &str) -> Result<(), PositionError> {
    let size_bytes = consumer.len();
    if size_bytes == 0 || size_bytes > CONSUMER_BYTES_MAX {
        let limit_bytes = CONSUMER_BYTES_MAX;
        return Err(PositionError::InvalidConsumer {
            size_bytes,
            limit_bytes,
        });
    }
    Ok(())
}

/// A commit by nobody in particular is refused only where there are members.
fn refusal(consumer: &str, error: GroupError) -> PositionError {
    match error {
        GroupError::Unreadable(error) => PositionError::Unreadable(error),
        GroupError::NoSpace(failure) => PositionError::NoSpace(failure),
        GroupError::Storage(failure) => PositionError::Storage(failure),
        error @ GroupError::TooLarge { .. } => {
            PositionError::NoSpace(StorageFailure::new(error.to_string()))
        }
        GroupError::InvalidName {
            size_bytes,
            limit_bytes,
        } => PositionError::InvalidConsumer {
            size_bytes,
            limit_bytes,
        },
        GroupError::NotFound { .. }
        | GroupError::NotEmpty { .. }
        | GroupError::UnknownMember { .. }
        | GroupError::FencedInstance { .. }
        | GroupError::IllegalGeneration { .. }
        | GroupError::RebalanceInProgress
        | GroupError::InconsistentProtocol
        | GroupError::MemberIdRequired
        | GroupError::InvalidSessionTimeout { .. }
        | GroupError::Full { .. }
        | GroupError::AnswerTooLarge { .. }
        | GroupError::Stopping => PositionError::HasMembers {
            consumer: consumer.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
