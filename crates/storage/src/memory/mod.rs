//! A store in memory: a real implementation under the same suite as the others, for tests of what
//! stands above the seam and as the reference of what a store does.
//!
//! Everything is durable at once, unless the store was made with
//! [`MemoryStore::with_manual_commit`]: then nothing is until [`MemoryStore::commit_all`], so that
//! a test can look between the two steps of an append. Never used by a running broker: it gives
//! memory back only with a topic.

mod log;
mod metadata;
mod table;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::log::{Log, StorageFailure};
use crate::store::{Findings, LogStore, OpenError, StoreError, Volume};
use crate::topic::{TopicMeta, TopicName};
use crate::{BoxFuture, memory::log::Origin};

pub use log::MemoryLog;
pub use metadata::MemoryMetadata;
pub use table::Table;

/// See the head of the module.
#[derive(Debug)]
pub struct MemoryStore {
    leader_epoch: i32,
    switches: Arc<Switches>,
    /// Locked before any log is.
    topics: Mutex<BTreeMap<TopicName, Topic>>,
}

#[derive(Debug)]
struct Topic {
    meta: TopicMeta,
    logs: BTreeMap<u32, Arc<MemoryLog>>,
}

/// What a test may switch while the store is in use.
#[derive(Debug)]
struct Switches {
    manual_commit: bool,
    no_space: Mutex<Option<StorageFailure>>,
    failure: Mutex<Option<StorageFailure>>,
}

impl Switches {
    fn new(manual_commit: bool) -> Arc<Self> {
        Arc::new(Self {
            manual_commit,
            no_space: Mutex::default(),
            failure: Mutex::default(),
        })
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store in which all that is written is durable at once. Its leader epoch is 0.
    pub fn new() -> Self {
        Self::with(0, false)
    }

    /// An empty store in which nothing becomes durable before [`MemoryStore::commit_all`].
    pub fn with_manual_commit() -> Self {
        Self::with(0, true)
    }

    fn with(leader_epoch: i32, manual_commit: bool) -> Self {
        let switches = Switches::new(manual_commit);
        Self {
            leader_epoch,
            switches,
            topics: Mutex::default(),
        }
    }

    /// Makes all that was written durable, and wakes those who wait for it.
    pub fn commit_all(&self) {
        self.logs().iter().for_each(|log| log.commit());
    }

    /// Durability is lost, as after a failed sync: nothing is accepted any more, pending tickets
    /// get `failure`. What is visible stays readable.
    pub fn fail_all(&self, failure: &StorageFailure) {
        self.switches
            .failure
            .lock()
            .get_or_insert_with(|| failure.clone());
        self.logs().iter().for_each(|log| log.fail(failure));
    }

    /// With a failure: appends and creations are refused for want of room. With `None`: there is
    /// room again.
    pub fn set_no_space(&self, failure: Option<StorageFailure>) {
        *self.switches.no_space.lock() = failure;
    }

    /// What a restart would find: a new store under the next leader epoch with what was durable in
    /// this one. The logs of this one answer with an error from here on.
    #[must_use]
    pub fn restart(&self) -> Self {
        let store = Self::with(self.leader_epoch + 1, self.switches.manual_commit);
        let ended = StorageFailure::new("the store was restarted");
        for (name, topic) in &*self.topics.lock() {
            let logs = topic.logs.iter().map(|(&partition, log)| {
                log.close(&ended);
                let (batches, ends) = log.durable_batches();
                let log = MemoryLog::restored(store.origin(&topic.meta), batches, ends);
                (partition, Arc::new(log))
            });
            let topic = Topic {
                meta: topic.meta.clone(),
                logs: logs.collect(),
            };
            store.topics.lock().insert(name.clone(), topic);
        }
        store
    }

    fn origin(&self, topic: &TopicMeta) -> Origin {
        Origin {
            leader_epoch: self.leader_epoch,
            segment_bytes: topic.log_config.segment_bytes,
            switches: Arc::clone(&self.switches),
        }
    }

    fn logs(&self) -> Vec<Arc<MemoryLog>> {
        self.topics
            .lock()
            .values()
            .flat_map(|topic| topic.logs.values().cloned())
            .collect()
    }

    fn create_now(&self, wanted: &TopicMeta, partitions: Range<u32>) -> Result<(), StoreError> {
        if let Some(failure) = &*self.switches.failure.lock() {
            return Err(failure.clone().into());
        }
        if let Some(failure) = &*self.switches.no_space.lock() {
            return Err(StoreError::NoSpace(failure.clone()));
        }
        let mut topics = self.topics.lock();
        let topic = topics.entry(wanted.name.clone()).or_insert_with(|| Topic {
            meta: wanted.clone(),
            logs: BTreeMap::new(),
        });
        if topic.meta.id != wanted.id {
            return Err(StoreError::Occupied {
                topic: wanted.name.clone(),
                path: wanted.name.as_str().to_owned(),
                reason: format!("it has the id {}, not {}", topic.meta.id, wanted.id),
            });
        }
        topic.meta = wanted.clone();
        for partition in partitions {
            let new = || Arc::new(MemoryLog::empty(self.origin(wanted)));
            topic.logs.entry(partition).or_insert_with(new);
        }
        Ok(())
    }

    fn open_now(&self, wanted: &TopicMeta, partition: u32) -> Result<Arc<dyn Log>, OpenError> {
        let missing = |reason: String| OpenError::Missing {
            topic: wanted.name.clone(),
            partition,
            reason,
        };
        let topics = self.topics.lock();
        let topic = topics
            .get(&wanted.name)
            .ok_or_else(|| missing("there is no topic of this name".to_owned()))?;
        if topic.meta.id != wanted.id {
            let (found, asked) = (topic.meta.id, wanted.id);
            return Err(missing(format!(
                "the topic has the id {found}, not {asked}"
            )));
        }
        match topic.logs.get(&partition) {
            Some(log) => Ok(Arc::clone(log) as Arc<dyn Log>),
            None => Err(missing("the topic has no such partition".to_owned())),
        }
    }

    fn remove_now(&self, wanted: &TopicMeta) {
        let removed = {
            let mut topics = self.topics.lock();
            if topics
                .get(&wanted.name)
                .is_none_or(|topic| topic.meta.id != wanted.id)
            {
                return;
            }
            topics.remove(&wanted.name)
        };
        let failure = StorageFailure::new(format!("topic removed: {}", wanted.name));
        for log in removed
            .into_iter()
            .flat_map(|topic| topic.logs.into_values())
        {
            log.close(&failure);
        }
    }
}

impl LogStore for MemoryStore {
    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicMeta>, StoreError>> {
        Box::pin(async {
            Ok(self
                .topics
                .lock()
                .values()
                .map(|topic| topic.meta.clone())
                .collect())
        })
    }

    fn create(
        &self,
        topic: &TopicMeta,
        partitions: Range<u32>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let topic = topic.clone();
        Box::pin(async move { self.create_now(&topic, partitions) })
    }

    fn open(&self, topic: &TopicMeta, partition: u32) -> Result<Arc<dyn Log>, OpenError> {
        self.open_now(topic, partition)
    }

    fn remove(&self, topic: &TopicMeta) -> BoxFuture<'_, Result<(), StoreError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.remove_now(&topic);
            Ok(())
        })
    }

    fn volume(&self) -> Volume {
        Volume {
            directory: "memory".to_owned(),
            total_bytes: None,
            free_bytes: None,
        }
    }

    fn findings(&self) -> Findings {
        Findings::default()
    }
}

#[cfg(test)]
mod tests;
