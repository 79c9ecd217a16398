//! [`DiskStore`]: the directories of all topics, and the one [`Log`] object of each partition.
//!
//! The metadata decides which topics exist; the store makes what it is told to make, moves away
//! what it is told to remove, and says what it found. Every step survives a crash between any two
//! of its operations. Steps that change names run one at a time, on a thread that may block.

mod create;
mod remove;
mod scan;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use sabotage::{Safeguard, skips};
use storage::{
    BoxFuture, Findings, Log, LogConfig, LogStore, OpenError, PartitionId, StorageFailure,
    StoreError, TopicId, TopicMeta, TopicName, Volume,
};
use tokio::sync::oneshot;

use crate::context::Context;
use crate::log::{DiskLog, TopicPlace};
use crate::topic_meta::StoredTopic;

pub(crate) use scan::{FoundTopic, find_topics};

/// See the head of the module.
pub struct DiskStore {
    shared: Arc<Shared>,
}

/// What the store's own threads hold too.
pub(crate) struct Shared {
    pub(crate) context: Arc<Context>,
    data_dir: PathBuf,
    trash_dir: PathBuf,
    topics: RwLock<BTreeMap<TopicName, Arc<Topic>>>,
    /// Held over a step that changes names.
    changes: Mutex<()>,
}

/// A topic that has a directory.
#[derive(Debug)]
pub(crate) struct Topic {
    place: Arc<TopicPlace>,
    /// As in `topic.meta`.
    stored: Mutex<StoredTopic>,
    /// `topic.meta` is missing or bad: the first who opens the topic says what it is.
    unlabelled: Mutex<bool>,
    partitions: RwLock<BTreeMap<u32, Partition>>,
}

/// One partition of a topic.
#[derive(Debug, Clone)]
pub(crate) enum Partition {
    Here(Arc<DiskLog>),
    /// It should be here and is not.
    Missing(Arc<str>),
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore")
            .field("data_dir", &self.shared.data_dir)
            .finish_non_exhaustive()
    }
}

impl DiskStore {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Runs a step that blocks where it may.
    fn blocking<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let (sender, receiver) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        self.shared.context.cold.submit(Box::new(move || {
            // Whoever asked may have gone; the step is done all the same.
            let _ = sender.send(step(&shared));
        }));
        Box::pin(async move {
            let lost = |_closed| StorageFailure::new("the thread of a step ended");
            receiver.await.map_err(lost)?
        })
    }
}

impl Shared {
    pub(crate) fn new(
        context: Arc<Context>,
        data_dir: PathBuf,
        trash_dir: PathBuf,
        topics: Vec<Arc<Topic>>,
    ) -> Self {
        let named = topics
            .into_iter()
            .map(|topic| (topic.place.name.clone(), topic));
        Self {
            context,
            data_dir,
            trash_dir,
            topics: RwLock::new(named.collect()),
            changes: Mutex::new(()),
        }
    }

    /// All logs that are here.
    pub(crate) fn logs(&self) -> Vec<Arc<DiskLog>> {
        let topics: Vec<Arc<Topic>> = self.topics.read().values().cloned().collect();
        topics.iter().flat_map(|topic| topic.logs()).collect()
    }

    /// All partitions that should be here and are not.
    pub(crate) fn missing(&self) -> Vec<PartitionId> {
        let topics: Vec<Arc<Topic>> = self.topics.read().values().cloned().collect();
        topics.iter().flat_map(|topic| topic.missing()).collect()
    }

    /// Durability is lost: nobody gets a good answer any more.
    pub(crate) fn fail_all(&self, failure: &StorageFailure) {
        for log in self.logs() {
            log.fail(failure);
        }
    }

    fn topic(&self, name: &TopicName) -> Option<Arc<Topic>> {
        self.topics.read().get(name).cloned()
    }

    fn open_log(&self, meta: &TopicMeta, partition: u32) -> Result<Arc<DiskLog>, OpenError> {
        let missing = |reason: &str| OpenError::Missing {
            topic: meta.name.clone(),
            partition,
            reason: reason.to_owned(),
        };
        let topic = self
            .topic(&meta.name)
            .ok_or_else(|| missing("it has no directory"))?;
        if topic.is_unlabelled() {
            self.label(&topic, meta).map_err(OpenError::Storage)?;
        }
        // The label may have made another object of it.
        let topic = self
            .topic(&meta.name)
            .ok_or_else(|| missing("it has no directory"))?;
        if topic.id() != meta.id && !skips(Safeguard::TopicIdCheck) {
            let other = topic.id();
            return Err(missing(&format!(
                "its directory belongs to topic id {other}"
            )));
        }
        *topic.place.config.write() = meta.log_config;
        let found = topic.partitions.read().get(&partition).cloned();
        match found {
            Some(Partition::Here(log)) => Ok(log),
            Some(Partition::Missing(reason)) => Err(missing(&reason)),
            None => Err(missing("it has no directory")),
        }
    }
}

impl Topic {
    pub(crate) fn new(
        place: Arc<TopicPlace>,
        stored: StoredTopic,
        unlabelled: bool,
        partitions: BTreeMap<u32, Partition>,
    ) -> Self {
        assert_eq!(
            place.name, stored.name,
            "a topic's directory is called like the topic"
        );
        Self {
            place,
            stored: Mutex::new(stored),
            unlabelled: Mutex::new(unlabelled),
            partitions: RwLock::new(partitions),
        }
    }

    fn id(&self) -> TopicId {
        self.place.id
    }

    fn is_unlabelled(&self) -> bool {
        *self.unlabelled.lock()
    }

    fn logs(&self) -> Vec<Arc<DiskLog>> {
        let here = |partition: &Partition| match partition {
            Partition::Here(log) => Some(Arc::clone(log)),
            Partition::Missing(_) => None,
        };
        self.partitions.read().values().filter_map(here).collect()
    }

    fn missing(&self) -> Vec<PartitionId> {
        let partitions = self.partitions.read();
        let missing = partitions
            .iter()
            .filter(|(_, partition)| matches!(partition, Partition::Missing(_)));
        let id = |(&partition, _)| PartitionId {
            topic: self.id(),
            partition,
        };
        missing.map(id).collect()
    }

    fn meta(&self) -> TopicMeta {
        let stored = self.stored.lock().clone();
        TopicMeta {
            id: stored.id,
            name: stored.name,
            partitions: stored.partitions,
            configs: stored.configs,
            log_config: LogConfig::default(),
        }
    }
}

impl LogStore for DiskStore {
    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicMeta>, StoreError>> {
        let topics = self
            .shared
            .topics
            .read()
            .values()
            .map(|topic| topic.meta())
            .collect();
        Box::pin(async move { Ok(topics) })
    }

    fn create(
        &self,
        topic: &TopicMeta,
        partitions: Range<u32>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let topic = topic.clone();
        self.blocking(move |shared| shared.create(&topic, partitions))
    }

    fn open(&self, topic: &TopicMeta, partition: u32) -> Result<Arc<dyn Log>, OpenError> {
        let log = self.shared.open_log(topic, partition)?;
        Ok(log)
    }

    fn remove(&self, topic: &TopicMeta) -> BoxFuture<'_, Result<(), StoreError>> {
        let topic = topic.clone();
        self.blocking(move |shared| shared.remove(&topic))
    }

    fn volume(&self) -> Volume {
        let (vfs, data_dir) = (&self.shared.context.vfs, &self.shared.data_dir);
        Volume {
            directory: data_dir.display().to_string(),
            total_bytes: vfs.total_bytes(data_dir).ok(),
            free_bytes: vfs.free_bytes(data_dir).ok(),
        }
    }

    fn findings(&self) -> Findings {
        self.shared.context.tally.findings()
    }
}
