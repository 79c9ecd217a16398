//! Topics as everybody sees them: immutable snapshots, replaced whole.
//!
//! A reader takes a snapshot and needs no lock. Logs open at their first use, so 10,000 partitions
//! cost 10,000 empty cells. Must not know: how topics come and go (`admin`).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Memory};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use storage::{
    Log, LogConfig, LogStore, OpenError, StorageFailure, TopicId, TopicMeta, TopicName, Version,
};

use crate::config_keys::{self, ConfigScope, InvalidConfig, Layers, TopicSettings};
use crate::error::PartitionError;
use crate::partitioner::Sticky;
use crate::values::TopicRecord;

/// One topic, as it is at one moment.
#[derive(Debug)]
pub struct Topic {
    meta: TopicMeta,
    /// Of its record in the metadata.
    version: Version,
    /// As in its record.
    partitions_made: u32,
    settings: TopicSettings,
    layers: Arc<Layers>,
    store: Arc<dyn LogStore>,
    /// What the newest state of the topic cuts its logs by. Held while a log is opened, so that
    /// an older state that somebody still holds cannot take the store back to its own.
    log_config: Arc<Mutex<LogConfig>>,
    logs: Box<[OnceLock<Arc<dyn Log>>]>,
    /// Shared with the later states of the same topic.
    deleted: Arc<AtomicBool>,
    sticky: Sticky,
}

/// What every topic of a broker is made from.
#[derive(Debug, Clone)]
pub(crate) struct TopicSource {
    pub(crate) layers: Arc<Layers>,
    pub(crate) store: Arc<dyn LogStore>,
}

impl TopicSource {
    /// What a store must know of the topic.
    pub(crate) fn meta(
        &self,
        name: &TopicName,
        record: &TopicRecord,
    ) -> Result<TopicMeta, InvalidConfig> {
        Ok(TopicMeta {
            id: record.id,
            name: name.clone(),
            partitions: record.partitions,
            configs: record.configs.clone(),
            log_config: TopicSettings::new(self.layers.effective(), &record.configs)?.log,
        })
    }

    /// The topic, with the logs that `before`, an earlier state of it, has open. The store cuts
    /// them by the new configs from here on.
    pub(crate) fn topic(
        &self,
        name: &TopicName,
        record: &TopicRecord,
        version: Version,
        before: Option<&Topic>,
    ) -> Result<Topic, InvalidConfig> {
        let before = before.filter(|before| before.id() == record.id);
        let opened = before
            .map(|before| before.logs.iter())
            .into_iter()
            .flatten()
            .cloned();
        let cells = opened.chain(std::iter::repeat_with(OnceLock::new));
        let meta = self.meta(name, record)?;
        let log_config = match before {
            Some(before) => self.reconfigure(before, &meta),
            None => Arc::new(Mutex::new(meta.log_config)),
        };
        Ok(Topic {
            meta,
            version,
            partitions_made: record.partitions_made,
            settings: TopicSettings::new(self.layers.effective(), &record.configs)?,
            layers: Arc::clone(&self.layers),
            store: Arc::clone(&self.store),
            log_config,
            logs: cells.take(record.partitions as usize).collect(),
            deleted: before
                .map(|before| Arc::clone(&before.deleted))
                .unwrap_or_default(),
            sticky: Sticky::default(),
        })
    }
}

impl TopicSource {
    /// Hands the log config of a later state of `before` to the store.
    fn reconfigure(&self, before: &Topic, meta: &TopicMeta) -> Arc<Mutex<LogConfig>> {
        let shared = Arc::clone(&before.log_config);
        let mut log_config = shared.lock();
        if *log_config != meta.log_config {
            *log_config = meta.log_config;
            // Opening is how a store learns it; what cannot be opened has nothing to cut.
            let _ = self.store.open(meta, 0);
        }
        drop(log_config);
        shared
    }
}

impl Topic {
    /// Its name.
    pub fn name(&self) -> &TopicName {
        &self.meta.name
    }

    /// Its id.
    pub fn id(&self) -> TopicId {
        self.meta.id
    }

    /// How many partitions it has.
    pub fn partition_count(&self) -> u32 {
        self.meta.partitions
    }

    /// The topic as a store sees it.
    pub fn meta(&self) -> &TopicMeta {
        &self.meta
    }

    /// The configs that were set on it.
    pub fn configs(&self) -> &BTreeMap<String, String> {
        &self.meta.configs
    }

    /// What it is served by: its configs over the broker's defaults.
    pub fn settings(&self) -> &TopicSettings {
        &self.settings
    }

    /// The value that a config has for it, set or not; `None` when the key is unknown or null.
    pub fn effective(&self, key: &str) -> Option<String> {
        let key = config_keys::find(ConfigScope::Topic, key)?;
        config_keys::effective(&self.layers, &self.meta.configs, key)
    }

    /// Whether it was deleted after the caller got it.
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Memory::Acquire)
    }

    /// The number of a partition, if the topic has it.
    pub fn partition(&self, partition: i32) -> Result<u32, PartitionError> {
        if self.is_deleted() {
            return Err(PartitionError::Deleted {
                topic: self.name().clone(),
            });
        }
        let count = self.partition_count();
        u32::try_from(partition)
            .ok()
            .filter(|number| *number < count)
            .ok_or_else(|| PartitionError::Unknown {
                topic: self.name().clone(),
                partition,
                count,
            })
    }

    /// The log of a partition, opened at the first call.
    pub fn log(&self, partition: i32) -> Result<Arc<dyn Log>, PartitionError> {
        let number = self.partition(partition)?;
        let cell = self
            .logs
            .get(number as usize)
            .expect("there is a cell for each partition");
        if let Some(log) = cell.get() {
            return Ok(Arc::clone(log));
        }
        let opened = self.open(number).map_err(PartitionError::from_open)?;
        // Two callers at once get the same log from the store, so it does not matter whose stays.
        Ok(Arc::clone(cell.get_or_init(|| opened)))
    }

    fn open(&self, number: u32) -> Result<Arc<dyn Log>, OpenError> {
        let newest = self.log_config.lock();
        if *newest == self.meta.log_config {
            return self.store.open(&self.meta, number);
        }
        let meta = TopicMeta {
            log_config: *newest,
            ..self.meta.clone()
        };
        self.store.open(&meta, number)
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn partitions_made(&self) -> u32 {
        self.partitions_made
    }

    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Memory::Release);
    }

    pub(crate) fn sticky(&self) -> &Sticky {
        &self.sticky
    }

    /// What a failure of the store means for a caller: the topic may have gone meanwhile.
    pub(crate) fn offline(&self, failure: StorageFailure) -> PartitionError {
        if self.is_deleted() {
            return PartitionError::Deleted {
                topic: self.name().clone(),
            };
        }
        PartitionError::Offline(failure)
    }
}

/// All topics at one moment.
#[derive(Debug, Default)]
pub struct Topics {
    sorted_by_name: Vec<Arc<Topic>>,
    sorted_by_id: Vec<Arc<Topic>>,
    revision: u64,
}

/// Counts the snapshots of this process, so that two can be told apart without a look into them.
static SNAPSHOTS: AtomicU64 = AtomicU64::new(1);

impl Topics {
    pub(crate) fn new(mut topics: Vec<Arc<Topic>>) -> Self {
        topics.sort_by(|left, right| left.name().cmp(right.name()));
        let mut sorted_by_id = topics.clone();
        sorted_by_id.sort_by_key(|topic| topic.id());
        let twice = |pair: &[Arc<Topic>]| matches!(pair, [one, other] if one.id() == other.id());
        assert!(
            !sorted_by_id.windows(2).any(twice),
            "no two topics have the same id"
        );
        Self {
            sorted_by_name: topics,
            sorted_by_id,
            revision: SNAPSHOTS.fetch_add(1, Memory::Relaxed),
        }
    }

    /// These, and `topic` in the place of one with its name.
    pub(crate) fn with(&self, topic: Arc<Topic>) -> Self {
        let others = self.iter().filter(|other| other.name() != topic.name());
        let mut topics: Vec<_> = others.cloned().collect();
        topics.push(topic);
        Self::new(topics)
    }

    /// These without the topic of that id.
    pub(crate) fn without(&self, id: TopicId) -> Self {
        Self::new(
            self.iter()
                .filter(|topic| topic.id() != id)
                .cloned()
                .collect(),
        )
    }

    /// Another number for each snapshot of this process; 0 only before there was any topic.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The topic of that name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        let place = |topic: &Arc<Topic>| -> Ordering { topic.name().as_str().cmp(name) };
        let index = self.sorted_by_name.binary_search_by(place).ok()?;
        self.sorted_by_name.get(index)
    }

    /// The topic of that id.
    pub fn by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        let index = self
            .sorted_by_id
            .binary_search_by_key(&id, |topic| topic.id())
            .ok()?;
        self.sorted_by_id.get(index)
    }

    /// All, sorted by name.
    pub fn iter(&self) -> std::slice::Iter<'_, Arc<Topic>> {
        self.sorted_by_name.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted_by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted_by_name.is_empty()
    }

    /// Partitions of all topics together.
    pub fn partition_count(&self) -> u64 {
        self.iter()
            .map(|topic| u64::from(topic.partition_count()))
            .sum()
    }

    /// The topic whose name differs from `name` only in `.` and `_`, or not at all.
    pub(crate) fn colliding(&self, name: &TopicName) -> Option<&Arc<Topic>> {
        let form = name.collision_form();
        let same_length = |topic: &&Arc<Topic>| topic.name().as_str().len() == form.len();
        self.iter()
            .filter(same_length)
            .find(|topic| topic.name().collision_form() == form)
    }
}

impl<'a> IntoIterator for &'a Topics {
    type Item = &'a Arc<Topic>;
    type IntoIter = std::slice::Iter<'a, Arc<Topic>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
