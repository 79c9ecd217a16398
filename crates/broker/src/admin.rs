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

mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use storage::{CommitError, StorageFailure, TopicId, TopicMeta, TopicName, Version, Write};
use tokio::sync::MutexGuard;

use crate::error::{AddPartitionsError, CreateTopicError, DeleteTopicError, Trouble};
use crate::topics::{Topic, Topics};
use crate::values::{DeletionRecord, TopicRecord};
use crate::{Broker, keys};

/// What the operations share, under their lock.
#[derive(Debug, Default)]
pub(crate) struct Admin {
    /// An operation began and did not come to its end.
    pub(crate) unsettled: bool,
    /// Something came to its end and could not be done whole; it is tried again.
    pub(crate) leftovers: bool,
    /// Deleted topics whose storage could not be taken away yet, and why.
    pub(crate) blocked: BTreeMap<TopicName, (TopicId, StorageFailure)>,
}

impl Admin {
    /// A deletion is committed and cannot be finished now.
    pub(crate) fn note_blocked(&mut self, meta: &TopicMeta, trouble: Trouble) {
        let reason = trouble.into_failure();
        tracing::error!(topic = %meta.name, id = %meta.id, %reason, "a deletion cannot be finished yet");
        self.leftovers = true;
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
    /// Makes a topic. With `validate_only` the topic returned exists nowhere; its id is a free one.
    pub async fn create_topic(&self, new: NewTopic) -> Result<Arc<Topic>, CreateTopicError> {
        let name = plan::parse_name(&new.name)?;
        let mut admin = self.admin().await.map_err(Trouble::from)?;
        if let Some((_, reason)) = admin.blocked.get(&name) {
            return Err(CreateTopicError::NameNotFree {
                topic: name,
                reason: reason.clone(),
            });
        }
        let mut record = self.plan_topic(&name, &new)?;
        record.id = self.new_topic_id();
        if new.validate_only {
            let topic = self.topic_of(&name, &record, Version::ABSENT, None);
            return Ok(Arc::new(topic));
        }
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
        let committed = self.commit_deletion(&deletion, topic.version()).await;
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
            Ok(()) => {}
            Err(trouble) => admin.note_blocked(topic.meta(), trouble),
        }
        admin.unsettled = false;
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
            .write_topic(topic.name(), &record, topic.version())
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
            .create(&meta, before.partitions_made..partitions)
            .await
        {
            // The next start would make them; the caller was told that there are none.
            let undone = self.write_topic(topic.name(), &before, version).await;
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
    pub(crate) async fn admin(&self) -> Result<MutexGuard<'_, Admin>, StorageFailure> {
        let mut admin = self.admin.lock().await;
        if admin.unsettled || admin.leftovers {
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
        let version = match self.write_topic(&name, &record, Version::ABSENT).await {
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
        admin.leftovers |= confirmed.is_err();
        admin.unsettled = false;
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
        let undone = match self.commit_deletion(&deletion, version).await {
            Ok(version) => self.finish_deletion(&meta, version).await,
            Err(error) => Err(Trouble::from(error)),
        };
        match undone {
            Ok(()) => admin.unsettled = false,
            Err(trouble) => {
                let reason = trouble.into_failure();
                tracing::error!(topic = %name, %reason, "a failed creation could not be undone yet");
            }
        }
    }

    /// Puts a deletion in the place of a topic's record.
    async fn commit_deletion(
        &self,
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
        self.metadata.commit(&[(key, version)], &writes).await
    }

    /// The rest of a deletion that was committed at `version`.
    pub(crate) async fn finish_deletion(
        &self,
        meta: &TopicMeta,
        version: Version,
    ) -> Result<(), Trouble> {
        self.store.remove(meta).await?;
        self.groups.forget_topic(meta.id).await?;
        let key = keys::deletion(meta.id);
        let clear = Write {
            key: key.clone(),
            value: None,
        };
        self.metadata.commit(&[(key, version)], &[clear]).await?;
        Ok(())
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

    /// After the first commit of an operation failed with `error`: the topics as the metadata has
    /// them. The commit may have happened all the same, or somebody else's did.
    pub(crate) async fn in_doubt(
        &self,
        admin: &mut Admin,
        error: &CommitError,
    ) -> Result<Arc<Topics>, Trouble> {
        match error {
            CommitError::NoSpace(_) | CommitError::Storage(_) => admin.unsettled = false,
            CommitError::Conflict { .. } | CommitError::Unknown(_) => self.settle(admin).await?,
        }
        Ok(self.topics())
    }

    pub(crate) fn publish(&self, topics: Topics) {
        self.topics.store(Arc::new(topics));
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

/// The record that a published topic was made from.
pub(crate) fn record_of(topic: &Topic) -> TopicRecord {
    TopicRecord {
        id: topic.id(),
        partitions: topic.partition_count(),
        partitions_made: topic.partitions_made(),
        configs: topic.configs().clone(),
    }
}

#[cfg(test)]
mod tests;
