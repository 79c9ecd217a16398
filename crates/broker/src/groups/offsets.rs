//! Committed offsets: one store for Kafka's groups and for gRPC's consumers.
//!
//! Guarantees: a commit is durable when it is answered; one of a generation that has passed never
//! lands behind a later one, because it holds only while the group's record is the one it was
//! checked against; an offset belongs to a topic's id, so that a topic made again starts anew, and
//! none outlives its topic. Commits that come during a sync share the next one (group commit of
//! the metadata).

use std::collections::BTreeMap;
use std::sync::Arc;

use records::Offset;
use storage::{CommitError, Key, Space, TopicId, Version, Write};

use super::any_group::{AnyGroup, Committing};
use super::group::Effects;
use super::member::Membership;
use super::table::Slot;
use super::{GroupError, Groups, check_length};
use crate::error::{PartitionError, PositionError, Trouble};
use crate::keys;
use crate::open::PAGE;
use crate::topics::Topic;
use crate::values::{Position, TopicRecord};

/// The most bytes that the rows of one commit make. Each row repeats the name of the group, so a
/// small request could make them many.
const COMMIT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What a row of a commit counts beside its texts.
const ROW_BYTES: usize = 64;

/// How many offsets one commit deletes.
const DELETION_ROWS: usize = 256;

/// How often a commit starts over because a record changed under it. Each change is a rebalance
/// or an administrator's, so more in one commit cannot be.
const ATTEMPTS_MAX: usize = 16;

/// One offset to commit.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The topic.
    pub topic: Arc<Topic>,
    /// The partition.
    pub partition: i32,
    /// The offset of the record that is read next. May lie outside the log, as Kafka allows.
    pub offset: Offset,
    /// The leader epoch of the record before it, where the consumer told.
    pub leader_epoch: Option<i32>,
    /// A text that the consumer keeps beside it.
    pub metadata: String,
    /// For how long to keep it, in ms; `None`: as the broker is set.
    pub retention_ms: Option<i64>,
}

/// One offset that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The id of the topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: u32,
    /// What was committed.
    pub position: Position,
}

/// The outcome for each offset of a commit.
pub(super) type Outcomes = Vec<Result<(), PositionError>>;

/// A commit under way.
struct Batch {
    group: String,
    outcomes: Outcomes,
    /// Index of the row, topic and write.
    rows: Vec<(usize, Arc<Topic>, Write)>,
    /// The versions of the topics' records.
    versions: BTreeMap<TopicId, Version>,
    /// Bytes of the writes.
    bytes: usize,
}

impl Groups {
    /// Commits offsets for a group. Refused as a whole if the group does not take commits from
    /// `from`; otherwise each offset has an outcome of its own.
    pub async fn commit_offsets(
        &self,
        group: &str,
        from: &Membership,
        commits: Vec<Commit>,
    ) -> Result<Vec<Result<(), PositionError>>, GroupError> {
        self.commit_member_offsets(group, from, true, commits).await
    }

    /// The same; with `epochs_known` false the request is of a version that was made before there
    /// were epochs of members, and members of the new protocol are refused.
    pub async fn commit_member_offsets(
        &self,
        group: &str,
        from: &Membership,
        epochs_known: bool,
        commits: Vec<Commit>,
    ) -> Result<Vec<Result<(), PositionError>>, GroupError> {
        check_length(group)?;
        let partition = |commit: &Commit| {
            let number = commit.partition.cast_unsigned();
            (commit.topic.id(), number)
        };
        let partitions: Vec<_> = commits.iter().map(partition).collect();
        let committing = Committing {
            from,
            epochs_known,
            partitions: &partitions,
        };
        let mut batch = self.batch_of(group, commits);
        let group_key = keys::group(group);
        let mut attempts_left = ATTEMPTS_MAX;
        loop {
            // IMPORTANT: read before the check. A generation that begins after the check changes
            // the version, and one that was stored before has failed the check.
            let stored = self.metadata.get(&group_key).await;
            let stored = stored.map_err(|error| GroupError::from(Trouble::from(error)))?;
            let version = stored.map_or(Version::ABSENT, |stored| stored.version);
            self.check_commit(group, &committing)?;
            if batch.rows.is_empty() {
                return Ok(batch.outcomes);
            }
            let (checks, writes) = batch.commit(&group_key, version);
            let outcome = self.metadata.commit(&checks, &writes).await;
            attempts_left -= 1;
            match outcome {
                Ok(_) => {
                    self.note_offsets(group);
                    return Ok(batch.outcomes);
                }
                Err(CommitError::Conflict { key }) if attempts_left > 0 => {
                    if key != group_key {
                        self.look_again(&mut batch).await?;
                    }
                }
                Err(error) => return Err(Trouble::from(error).into()),
            }
        }
    }

    fn batch_of(&self, group: &str, commits: Vec<Commit>) -> Batch {
        let mut batch = Batch {
            group: group.to_owned(),
            outcomes: Vec::with_capacity(commits.len()),
            rows: Vec::new(),
            versions: BTreeMap::new(),
            bytes: 0,
        };
        let committed_ms = self.clock.wall_ms();
        let limit_bytes = self.config.offset_metadata_max_bytes;
        for (index, commit) in commits.into_iter().enumerate() {
            let outcome = batch.add(index, commit, committed_ms, limit_bytes);
            batch.outcomes.push(outcome);
        }
        batch
    }

    fn check_commit(&self, group: &str, commit: &Committing<'_>) -> Result<(), GroupError> {
        let mut table = self.table.lock();
        let now = self.now();
        match table.slots.get_mut(group) {
            Some(slot) => slot.group.commits(commit, now),
            None if commit.from.generation < 0 => table.has_room(group, 0),
            None => Err(GroupError::NotFound {
                group: group.to_owned(),
            }),
        }
    }

    /// A group that nobody knew has offsets now.
    fn note_offsets(&self, group: &str) {
        let mut table = self.table.lock();
        if let Some(slot) = table.slots.get_mut(group) {
            slot.is_kept = true;
            return;
        }
        let name: Arc<str> = group.into();
        let slot = Slot::kept(AnyGroup::new(self.now()));
        table.slots.insert(Arc::clone(&name), slot);
        let nothing = self.settle(&mut table, &name, Effects::default());
        assert!(nothing.is_empty(), "nobody waits yet");
    }

    /// The topics' records have changed: which topics are still there?
    async fn look_again(&self, batch: &mut Batch) -> Result<(), GroupError> {
        let mut deleted = Vec::new();
        let topics: BTreeMap<TopicId, Arc<Topic>> = batch
            .rows
            .iter()
            .map(|(_, topic, _)| (topic.id(), Arc::clone(topic)))
            .collect();
        for (id, topic) in topics {
            let key = keys::topic(topic.name());
            let stored = self.metadata.get(&key).await.map_err(Trouble::from)?;
            match stored {
                Some(stored) if TopicRecord::decode(&stored.value)?.id == id => {
                    batch.versions.insert(id, stored.version);
                }
                Some(_) | None => deleted.push(id),
            }
        }
        batch.drop_deleted(&deleted);
        Ok(())
    }

    /// Whether a member in this epoch may read what its group has committed.
    pub fn check_fetch(&self, group: &str, member_id: &str, epoch: i32) -> Result<(), GroupError> {
        let table = self.table.lock();
        let slot = table.slots.get(group);
        let slot = slot.ok_or_else(|| GroupError::NotFound {
            group: group.to_owned(),
        })?;
        slot.group.fetches(member_id, epoch)
    }

    /// What a group has committed in a partition.
    pub async fn offset(
        &self,
        group: &str,
        topic: TopicId,
        partition: u32,
    ) -> Result<Option<Position>, GroupError> {
        check_length(group)?;
        let key = keys::position(group, topic, partition);
        let stored = self.metadata.get(&key).await.map_err(Trouble::from)?;
        let position = stored.map(|stored| Position::decode(&stored.value));
        Ok(position.transpose()?)
    }

    /// All that a group has committed, by topic id and partition; an error if the texts beside
    /// the offsets have more than `limit_bytes`.
    pub async fn offsets(
        &self,
        group: &str,
        limit_bytes: usize,
    ) -> Result<Vec<CommittedOffset>, GroupError> {
        check_length(group)?;
        let all = Key::space(Space::Offset).part(group.as_bytes());
        let mut offsets = Vec::new();
        let mut left_bytes = limit_bytes;
        let mut after = None;
        loop {
            let listed = self.metadata.list(&all, after.as_ref(), PAGE).await;
            let page = listed.map_err(Trouble::from)?;
            for row in &page {
                let (topic, partition) = keys::partition_of_position(&row.key)?;
                let position = Position::decode(&row.value)?;
                let left = left_bytes.checked_sub(position.metadata.len());
                left_bytes = left.ok_or(GroupError::AnswerTooLarge { limit_bytes })?;
                offsets.push(CommittedOffset {
                    topic,
                    partition,
                    position,
                });
            }
            tokio::task::consume_budget().await;
            if page.len() < PAGE {
                return Ok(offsets);
            }
            after = page.last().map(|row| row.key.clone());
        }
    }

    /// Forgets what a group has committed in partitions of a topic; false if its members subscribe
    /// to the topic. Nothing committed there is no error.
    pub async fn delete_offsets(
        &self,
        group: &str,
        topic: &Topic,
        partitions: &[u32],
    ) -> Result<bool, GroupError> {
        let subscribed = {
            let table = self.table.lock();
            table
                .slots
                .get(group)
                .is_some_and(|slot| slot.group.subscribes(topic.name().as_str()))
        };
        if subscribed {
            return Ok(false);
        }
        let removal = |partition: &u32| Write {
            key: keys::position(group, topic.id(), *partition),
            value: None,
        };
        // Each row repeats the name of the group, so not all at once.
        for page in partitions.chunks(DELETION_ROWS) {
            let removals: Vec<Write> = page.iter().map(removal).collect();
            let removed = self.metadata.commit(&[], &removals).await;
            removed.map_err(Trouble::from)?;
        }
        Ok(true)
    }

    /// Whether an administrator may delete offsets of a group.
    pub fn check_offset_deletion(&self, group: &str) -> Result<(), GroupError> {
        let table = self.table.lock();
        let name = || group.to_owned();
        let slot = table.slots.get(group);
        let slot = slot.ok_or_else(|| GroupError::NotFound { group: name() })?;
        if slot.group.allows_offset_deletion() {
            Ok(())
        } else {
            Err(GroupError::NotEmpty { group: name() })
        }
    }

    /// Removes all offsets in a topic that is being deleted.
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

impl Batch {
    fn add(
        &mut self,
        index: usize,
        commit: Commit,
        committed_ms: i64,
        limit_bytes: usize,
    ) -> Result<(), PositionError> {
        let topic = commit.topic;
        let partition = topic.partition(commit.partition)?;
        let size_bytes = commit.metadata.len();
        if size_bytes > limit_bytes {
            return Err(PositionError::MetadataTooLarge {
                size_bytes,
                limit_bytes,
            });
        }
        let bytes = self.bytes + self.group.len() + ROW_BYTES + size_bytes;
        if bytes > COMMIT_BYTES_MAX {
            return Err(PositionError::CommitTooLarge {
                limit_bytes: COMMIT_BYTES_MAX,
            });
        }
        self.bytes = bytes;
        let position = Position {
            offset: commit.offset,
            leader_epoch: commit.leader_epoch,
            committed_ms,
            expires_ms: commit
                .retention_ms
                .map(|ms| committed_ms.saturating_add(ms)),
            metadata: commit.metadata,
        };
        let write = Write {
            key: keys::position(&self.group, topic.id(), partition),
            value: Some(position.encode()),
        };
        self.versions
            .entry(topic.id())
            .or_insert_with(|| topic.version());
        self.rows.push((index, topic, write));
        Ok(())
    }

    /// The check on the topics' records keeps a late commit from outliving a deletion.
    fn commit(&self, group: &Key, version: Version) -> (Vec<(Key, Version)>, Vec<Write>) {
        let mut checks = vec![(group.clone(), version)];
        let mut seen = std::collections::BTreeSet::new();
        for (_, topic, _) in &self.rows {
            if seen.insert(topic.id())
                && let Some(version) = self.versions.get(&topic.id())
            {
                checks.push((keys::topic(topic.name()), *version));
            }
        }
        let writes = self.rows.iter().map(|(_, _, write)| write.clone());
        (checks, writes.collect())
    }

    fn drop_deleted(&mut self, deleted: &[TopicId]) {
        let outcomes = &mut self.outcomes;
        self.rows.retain(|(index, topic, _)| {
            let is_deleted = deleted.contains(&topic.id());
            if is_deleted && let Some(outcome) = outcomes.get_mut(*index) {
                let topic = topic.name().clone();
                *outcome = Err(PartitionError::Deleted { topic }.into());
            }
            !is_deleted
        });
    }
}
