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

    /// Stores where `consumer` goes on in partitions of a topic: all of them or, with an error and
    /// the partition that it is about, none. Durable when this returns.
    pub async fn commit_all(
        &self,
        consumer: &str,
        topic: &Arc<Topic>,
        moves: &[(i32, Offset)],
    ) -> Result<(), (i32, PositionError)> {
        let first = moves.first().map_or(0, |(partition, _)| *partition);
        check_name(consumer).map_err(|error| (first, error))?;
        for &(partition, _) in moves {
            let checked = topic.partition(partition).map_err(PositionError::from);
            checked.map_err(|error| (partition, error))?;
        }
        let commit = |&(partition, offset): &(i32, Offset)| Commit {
            topic: Arc::clone(topic),
            partition,
            offset,
            leader_epoch: None,
            metadata: String::new(),
            retention_ms: None,
        };
        let commits = moves.iter().map(commit).collect();
        let nobody = Membership::none();
        let committed = self.groups.commit_offsets(consumer, &nobody, commits).await;
        let outcomes = committed.map_err(|error| (first, refusal(consumer, error)))?;
        for (&(partition, _), outcome) in moves.iter().zip(outcomes) {
            outcome.map_err(|error| (partition, error))?;
        }
        Ok(())
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
        | GroupError::FencedMemberEpoch { .. }
        | GroupError::StaleMemberEpoch { .. }
        | GroupError::UnreleasedInstance { .. }
        | GroupError::UnsupportedAssignor { .. }
        | GroupError::InvalidRegex { .. }
        | GroupError::TooManyRegexes { .. }
        | GroupError::InvalidRequest { .. }
        | GroupError::OtherProtocol
        | GroupError::VersionTooOld
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
