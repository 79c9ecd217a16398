//! Making, growing and deleting topics, one at a time for the whole broker.
//!
//! Order, so that a crash anywhere leaves a state that the next start finishes (`open`):
//! create = commit the record, make the storage, commit that it was made, publish;
//! delete = commit the deletion and the removal of the record together, unpublish, take the
//! storage away, forget the positions, clear the deletion. A creation that fails is undone by the
//! same deletion.
//!
//! A caller may go away in the middle (its future is dropped): `unsettled` stays set then, and the
//! next operation first brings topics and metadata together as a start does.

use std::collections::BTreeMap;
use std::sync::Arc;

use storage::{CommitError, Key, StorageFailure, TopicId, TopicMeta, TopicName, Version, Write};
use tokio::sync::MutexGuard;

use crate::config_keys::TopicSettings;
use crate::error::{AddPartitionsError, CreateTopicError, DeleteTopicError, Trouble};
use crate::topics::{Topic, Topics};
use crate::values::{DeletionRecord, TopicRecord};
use crate::{Broker, keys};

/// What the operations share, under their lock.
#[derive(Debug, Default)]
pub(crate) struct Admin {
    /// An operation began and did not come to its end.
    pub(crate) unsettled: bool,
    /// Deleted topics whose storage could not be taken away yet, and why.
    pub(crate) blocked: BTreeMap<TopicName, (TopicId, StorageFailure)>,
}

impl Admin {
    /// A deletion is committed and cannot be finished now.
    pub(crate) fn note_blocked(&mut self, meta: &TopicMeta, trouble: Trouble) {
        let reason = trouble.into_failure();
        tracing::error!(topic = %meta.name, id = %meta.id, %reason, "a deletion cannot be finished yet");
        self.unsettled = true;
        self.blocked.insert(meta.name.clone(), (meta.id, reason));
    }
}

/// What a topic is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; `None`: as many as `num.partitions` says.
    pub partitions: Option<i32>,
    /// How many copies; `None`: the default.
    pub replication_factor: Option<i16>,
    /// Which brokers hold each partition: (partition, brokers). Decides the counts.
    pub assignments: Option<Vec<(i32, Vec<i32>)>>,
    /// Configs by Kafka's names; of two with one name the last counts.
    pub configs: Vec<(String, Option<String>)>,
    /// Only say whether it could be made.
    pub validate_only: bool,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

impl Broker {
    /// Makes a topic. With `validate_only` the topic returned exists nowhere and has no id.
    pub async fn create_topic(&self, new: NewTopic) -> Result<Arc<Topic>, CreateTopicError> {
        let name = parse_name(&new.name)?;
        let mut admin = self.admin().await.map_err(Trouble::from)?;
        if let Some((_, reason)) = admin.blocked.get(&name) {
            return Err(CreateTopicError::NameNotFree {
                topic: name,
                reason: reason.clone(),
            });
        }
        let mut record = self.plan_topic(&name, &new)?;
        if new.validate_only {
            let topic = self.topic_of(&name, &record, Version::ABSENT, None);
            return Ok(Arc::new(topic));
        }
        record.id = self.new_topic_id();
        self.make_topic(&mut admin, name, record).await
    }

    /// The topic of that name, made with the broker's defaults if there is none. Of two callers at
    /// once one makes it and both get it.
    pub async fn ensure_topic(&self, name: &str) -> Result<Arc<Topic>, CreateTopicError> {
        if let Some(topic) = self.topic(name) {
            return Ok(topic);
        }
        match self.create_topic(NewTopic::named(name)).await {
            Err(CreateTopicError::Exists { topic }) => {
                let exists = self.topic(topic.as_str());
                exists.ok_or(CreateTopicError::Exists { topic })
            }
            outcome => outcome,
        }
    }

    /// Deletes a topic, its records and the positions in it. When this returns the topic is gone
    /// for everybody, over restarts too; its name is free unless the store could not move the
    /// records away, which is then tried again by the next operation.
    pub async fn delete_topic(&self, topic: &Topic) -> Result<(), DeleteTopicError> {
        let mut admin = self.admin().await.map_err(Trouble::from)?;
        let Some(topic) = self.topic_by_id(topic.id()) else {
            return Err(DeleteTopicError::Unknown {
                topic: topic.name().clone(),
            });
        };
        let record = record_of(&topic);
        let deletion = DeletionRecord {
            name: topic.name().clone(),
            topic: record,
        };
        admin.unsettled = true;
        let committed = self
            .commit_deletion(&mut admin, &deletion, topic.version())
            .await;
        let version = match committed {
            Ok(version) => version,
            Err(error) => {
                let gone = self
                    .in_doubt(&mut admin, &error)
                    .await?
                    .by_id(topic.id())
                    .is_none();
                return if gone {
                    Ok(())
                } else {
                    Err(Trouble::from(error).into())
                };
            }
        };
        topic.mark_deleted();
        self.publish(self.topics.load().without(topic.id()));
        match self.finish_deletion(topic.meta(), version).await {
            Ok(()) => admin.unsettled = false,
            Err(trouble) => admin.note_blocked(topic.meta(), trouble),
        }
        Ok(())
    }

    /// Raises the number of partitions of a topic to `total`. With `validate_only` the topic is
    /// returned as it is.
    pub async fn add_partitions(
        &self,
        name: &str,
        total: i32,
        assignments: Option<Vec<Vec<i32>>>,
        validate_only: bool,
    ) -> Result<Arc<Topic>, AddPartitionsError> {
        let mut admin = self.admin().await.map_err(Trouble::from)?;
        let Some(topic) = self.topic(name) else {
            return Err(AddPartitionsError::Unknown {
                topic: name.to_owned(),
            });
        };
        let partitions = self.plan_growth(&topic, total, assignments.as_deref())?;
        if validate_only {
            return Ok(topic);
        }
        admin.unsettled = true;
        let before = record_of(&topic);
        let mut record = TopicRecord {
            partitions,
            ..before.clone()
        };
        let committed = self
            .commit_topic(&mut admin, topic.name(), &record, topic.version())
            .await;
        let version = match committed {
            Ok(version) => version,
            Err(error) => {
                let topics = self.in_doubt(&mut admin, &error).await?;
                let grown = topics.by_id(topic.id());
                let grown = grown.filter(|topic| topic.partition_count() == partitions);
                return grown.cloned().ok_or_else(|| Trouble::from(error).into());
            }
        };
        let meta = self.meta_of(topic.name(), &record);
        if let Err(error) = self
            .store
            .create(&meta, before.partitions..partitions)
            .await
        {
            // The next start would make them; the caller was told that there are none.
            let undone = self
                .commit_topic(&mut admin, topic.name(), &before, version)
                .await;
            if let Ok(version) = undone {
                let grown = self.topic_of(topic.name(), &before, version, Some(&topic));
                self.publish(self.topics.load().with(Arc::new(grown)));
                admin.unsettled = false;
            }
            return Err(Trouble::from(error).into());
        }
        record.partitions_made = partitions;
        Ok(self
            .confirm_made(&mut admin, topic.name(), record, version, Some(&topic))
            .await)
    }

    /// The lock of the operations, with nothing left undone by an earlier one that could be done.
    async fn admin(&self) -> Result<MutexGuard<'_, Admin>, StorageFailure> {
        let mut admin = self.admin.lock().await;
        if admin.unsettled {
            self.settle(&mut admin)
                .await
                .map_err(Trouble::into_failure)?;
        }
        Ok(admin)
    }

    async fn make_topic(
        &self,
        admin: &mut Admin,
        name: TopicName,
        mut record: TopicRecord,
    ) -> Result<Arc<Topic>, CreateTopicError> {
        admin.unsettled = true;
        let version = match self
            .commit_topic(admin, &name, &record, Version::ABSENT)
            .await
        {
            Ok(version) => version,
            Err(error) => {
                let topics = self.in_doubt(admin, &error).await?;
                return match (topics.by_id(record.id), topics.by_name(name.as_str())) {
                    (Some(made), _) => Ok(Arc::clone(made)),
                    (None, Some(_)) => Err(CreateTopicError::Exists { topic: name }),
                    (None, None) => Err(Trouble::from(error).into()),
                };
            }
        };
        let meta = self.meta_of(&name, &record);
        if let Err(error) = self.store.create(&meta, 0..record.partitions).await {
            self.undo_creation(admin, &name, &record, version).await;
            return Err(Trouble::from(error).into());
        }
        record.partitions_made = record.partitions;
        Ok(self.confirm_made(admin, &name, record, version, None).await)
    }

    /// Storage was made: notes it, so that it is never made again, and publishes the topic.
    async fn confirm_made(
        &self,
        admin: &mut Admin,
        name: &TopicName,
        record: TopicRecord,
        version: Version,
        before: Option<&Topic>,
    ) -> Arc<Topic> {
        let confirmed = self.write_topic(name, &record, version).await;
        // Without the note all is well too: making storage that exists does nothing. The next
        // operation tries again.
        admin.unsettled = confirmed.is_err();
        let topic = self.topic_of(name, &record, confirmed.unwrap_or(version), before);
        let topic = Arc::new(topic);
        self.publish(self.topics.load().with(Arc::clone(&topic)));
        topic
    }

    /// Takes back a creation whose storage could not be made, by the road of a deletion.
    async fn undo_creation(
        &self,
        admin: &mut Admin,
        name: &TopicName,
        record: &TopicRecord,
        version: Version,
    ) {
        let deletion = DeletionRecord {
            name: name.clone(),
            topic: record.clone(),
        };
        let meta = self.meta_of(name, record);
        let undone = match self.commit_deletion(admin, &deletion, version).await {
            Ok(version) => self.finish_deletion(&meta, version).await,
            Err(error) => Err(Trouble::from(error)),
        };
        match undone {
            Ok(()) => admin.unsettled = false,
            Err(trouble) => {
                admin.unsettled = true;
                let reason = trouble.into_failure();
                tracing::error!(topic = %name, %reason, "a failed creation could not be undone yet");
            }
        }
    }

    /// Puts a deletion in the place of a topic's record.
    async fn commit_deletion(
        &self,
        admin: &mut Admin,
        deletion: &DeletionRecord,
        version: Version,
    ) -> Result<Version, CommitError> {
        let key = keys::topic(&deletion.name);
        let writes = [
            Write {
                key: key.clone(),
                value: None,
            },
            Write {
                key: keys::deletion(deletion.topic.id),
                value: Some(deletion.encode()),
            },
        ];
        self.commit(admin, &[(key, version)], &writes).await
    }

    /// The rest of a deletion that was committed at `version`.
    pub(crate) async fn finish_deletion(
        &self,
        meta: &TopicMeta,
        version: Version,
    ) -> Result<(), Trouble> {
        self.store.remove(meta).await?;
        self.positions.forget_topic(meta.id).await?;
        let key = keys::deletion(meta.id);
        let clear = Write {
            key: key.clone(),
            value: None,
        };
        self.metadata.commit(&[(key, version)], &[clear]).await?;
        Ok(())
    }

    async fn commit_topic(
        &self,
        admin: &mut Admin,
        name: &TopicName,
        record: &TopicRecord,
        version: Version,
    ) -> Result<Version, CommitError> {
        let key = keys::topic(name);
        let write = Write {
            key: key.clone(),
            value: Some(record.encode()),
        };
        self.commit(admin, &[(key, version)], &[write]).await
    }

    pub(crate) async fn write_topic(
        &self,
        name: &TopicName,
        record: &TopicRecord,
        version: Version,
    ) -> Result<Version, CommitError> {
        let key = keys::topic(name);
        let write = Write {
            key: key.clone(),
            value: Some(record.encode()),
        };
        self.metadata.commit(&[(key, version)], &[write]).await
    }

    /// The first commit of an operation. Where it certainly did not happen there is nothing to
    /// settle; where it may have, the next operation finds out.
    async fn commit(
        &self,
        admin: &mut Admin,
        checks: &[(Key, Version)],
        writes: &[Write],
    ) -> Result<Version, CommitError> {
        let outcome = self.metadata.commit(checks, writes).await;
        if let Err(CommitError::NoSpace(_) | CommitError::Storage(_)) = &outcome {
            admin.unsettled = false;
        }
        outcome
    }

    /// After a commit that failed with `error`: the topics as the metadata has them. The commit
    /// may have happened all the same, or somebody else's did.
    async fn in_doubt(
        &self,
        admin: &mut Admin,
        error: &CommitError,
    ) -> Result<Arc<Topics>, Trouble> {
        match error {
            CommitError::NoSpace(_) | CommitError::Storage(_) => {}
            CommitError::Conflict { .. } | CommitError::Unknown(_) => self.settle(admin).await?,
        }
        Ok(self.topics())
    }

    pub(crate) fn publish(&self, topics: Topics) {
        self.topics.store(Arc::new(topics));
    }

    /// Everything that can be wrong with a new topic, before anything is written.
    fn plan_topic(
        &self,
        name: &TopicName,
        new: &NewTopic,
    ) -> Result<TopicRecord, CreateTopicError> {
        let topics = self.topics.load();
        if topics.by_name(name.as_str()).is_some() {
            return Err(CreateTopicError::Exists {
                topic: name.clone(),
            });
        }
        if let Some(with) = topics.colliding(name) {
            let (topic, with) = (name.clone(), with.name().clone());
            return Err(CreateTopicError::Collides { topic, with });
        }
        let configs = self.plan_configs(&new.configs)?;
        let partitions = self.plan_partitions(new)?;
        let limit = self.config.partitions_max_per_topic;
        if partitions > limit {
            let asked = i32::try_from(partitions).unwrap_or(i32::MAX);
            return Err(CreateTopicError::TooManyPartitions { asked, limit });
        }
        let (held, limit) = (topics.partition_count(), self.config.partitions_max);
        if held.saturating_add(partitions.into()) > limit.into() {
            return Err(CreateTopicError::LimitReached {
                held,
                asked: partitions,
                limit,
            });
        }
        Ok(TopicRecord {
            id: TopicId::ZERO,
            partitions,
            partitions_made: 0,
            configs,
        })
    }

    fn plan_configs(
        &self,
        configs: &[(String, Option<String>)],
    ) -> Result<BTreeMap<String, String>, CreateTopicError> {
        let mut planned = BTreeMap::new();
        for (key, value) in configs {
            let Some(value) = value else {
                let error = crate::InvalidConfig::Null { key: key.clone() };
                return Err(invalid_config(&error));
            };
            planned.insert(key.clone(), value.trim().to_owned());
        }
        TopicSettings::new(&self.config, &planned).map_err(|error| invalid_config(&error))?;
        Ok(planned)
    }

    fn plan_partitions(&self, new: &NewTopic) -> Result<u32, CreateTopicError> {
        if let Some(assignments) = &new.assignments {
            if new.partitions.is_some() || new.replication_factor.is_some() {
                return Err(CreateTopicError::AssignmentsAndCounts);
            }
            return self
                .plan_assignments(assignments)
                .map_err(|reason| CreateTopicError::InvalidAssignment { reason });
        }
        if let Some(asked) = new.replication_factor.filter(|factor| *factor != 1) {
            return Err(CreateTopicError::InvalidReplicationFactor { asked, nodes: 1 });
        }
        match new.partitions {
            None => Ok(self.config.num_partitions),
            Some(asked) => u32::try_from(asked)
                .ok()
                .filter(|count| *count > 0)
                .ok_or(CreateTopicError::InvalidPartitions { asked }),
        }
    }

    fn plan_assignments(&self, assignments: &[(i32, Vec<i32>)]) -> Result<u32, String> {
        let mut partitions: Vec<i32> = assignments.iter().map(|(number, _)| *number).collect();
        partitions.sort_unstable();
        if partitions.is_empty() || partitions.iter().zip(0..).any(|(given, due)| *given != due) {
            return Err("the partitions must be 0, 1, 2 and so on, each once".to_owned());
        }
        for (partition, brokers) in assignments {
            self.check_brokers(*partition, brokers)?;
        }
        u32::try_from(partitions.len()).map_err(|error| error.to_string())
    }

    fn check_brokers(&self, partition: i32, brokers: &[i32]) -> Result<(), String> {
        let node = self.config.node_id;
        if brokers == [node] {
            return Ok(());
        }
        Err(format!(
            "partition {partition} is given to {brokers:?}; there is only broker {node}"
        ))
    }

    fn plan_growth(
        &self,
        topic: &Topic,
        total: i32,
        assignments: Option<&[Vec<i32>]>,
    ) -> Result<u32, AddPartitionsError> {
        let current = topic.partition_count();
        let grown = u32::try_from(total).ok().filter(|total| *total > current);
        let Some(partitions) = grown else {
            let topic = topic.name().clone();
            return Err(AddPartitionsError::TotalNotLarger {
                topic,
                current,
                asked: total,
            });
        };
        let limit = self.config.partitions_max_per_topic;
        if partitions > limit {
            return Err(AddPartitionsError::TooManyPartitions {
                asked: total,
                limit,
            });
        }
        let asked = partitions.saturating_sub(current);
        let (held, limit) = (
            self.topics.load().partition_count(),
            self.config.partitions_max,
        );
        if held.saturating_add(asked.into()) > limit.into() {
            return Err(AddPartitionsError::LimitReached { held, asked, limit });
        }
        if let Some(assignments) = assignments {
            self.check_growth(current, asked, assignments)
                .map_err(|reason| AddPartitionsError::InvalidAssignment { reason })?;
        }
        Ok(partitions)
    }

    fn check_growth(&self, current: u32, asked: u32, given: &[Vec<i32>]) -> Result<(), String> {
        if given.len() != asked as usize {
            let given = given.len();
            return Err(format!(
                "{asked} partitions are added, {given} assignments are given"
            ));
        }
        for (brokers, partition) in given.iter().zip(current.cast_signed()..) {
            self.check_brokers(partition, brokers)?;
        }
        Ok(())
    }

    /// An id that no topic has.
    pub(crate) fn new_topic_id(&self) -> TopicId {
        let topics = self.topics.load();
        loop {
            let id = TopicId(crate::open::random_uuid(&*self.rng));
            if topics.by_id(id).is_none() {
                return id;
            }
        }
    }

    /// The record's configs were checked when it was made or loaded.
    pub(crate) fn meta_of(&self, name: &TopicName, record: &TopicRecord) -> TopicMeta {
        self.source()
            .meta(name, record)
            .expect("the configs of a record were checked")
    }

    /// As [`Broker::meta_of`].
    pub(crate) fn topic_of(
        &self,
        name: &TopicName,
        record: &TopicRecord,
        version: Version,
        before: Option<&Topic>,
    ) -> Topic {
        let topic = self.source().topic(name, record, version, before);
        topic.expect("the configs of a record were checked")
    }
}

/// The record of a topic that is published, whose storage therefore was made.
fn record_of(topic: &Topic) -> TopicRecord {
    let partitions = topic.partition_count();
    TopicRecord {
        id: topic.id(),
        partitions,
        partitions_made: partitions,
        configs: topic.configs().clone(),
    }
}

fn parse_name(name: &str) -> Result<TopicName, CreateTopicError> {
    TopicName::parse(name).map_err(|source| CreateTopicError::InvalidName {
        name: name.to_owned(),
        source,
    })
}

fn invalid_config(error: &crate::InvalidConfig) -> CreateTopicError {
    CreateTopicError::InvalidConfig {
        key: error.key().to_owned(),
        reason: error.to_string(),
    }
}
