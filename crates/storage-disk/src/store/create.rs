//! Making the directories of a topic, so that a crash in between leaves something that the next
//! call, or the next start, finishes.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use records::Offset;
use sabotage::{Safeguard, skips};
use storage::{StorageFailure, StoreError, TopicMeta};
use vfs::OpenMode;

use super::{Partition, Shared, Topic};
use crate::directory::partition_of;
use crate::error::is_no_space;
use crate::log::{DiskLog, Mark, Place, TopicPlace};
use crate::paths::{SegmentFile, TEMPORARY_SUFFIX, partition_dir};
use crate::position::Position;
use crate::topic_meta::{FILE_NAME, StoredTopic};

/// An I/O error and whether it came from a sync, after which nothing may be promised.
struct StepError {
    doing: String,
    error: io::Error,
    in_sync: bool,
}

impl Shared {
    /// See [`storage::LogStore::create`].
    pub(super) fn create(
        &self,
        meta: &TopicMeta,
        partitions: Range<u32>,
    ) -> Result<(), StoreError> {
        let _one_at_a_time = self.changes.lock();
        self.context.health.check()?;
        let topic = match self.topic(&meta.name) {
            Some(topic) if topic.is_unlabelled() => {
                self.label_locked(&topic, meta)?;
                self.topic(&meta.name)
            }
            known => known,
        };
        if let Some(topic) = &topic
            && topic.id() != meta.id
        {
            let reason = format!("it belongs to topic id {}", topic.id());
            return Err(self.occupied(meta, reason));
        }
        let is_new = topic.is_none();
        let made = match &topic {
            Some(topic) => self.write_meta(topic, meta),
            None => self.create_directory(meta)?,
        };
        let made = made.and_then(|()| self.create_partitions(topic.as_deref(), meta, partitions));
        match made {
            Ok(logs) => {
                self.register(topic, meta, logs);
                Ok(())
            }
            Err(error) => Err(self.undo(error, is_new, meta)),
        }
    }

    fn occupied(&self, meta: &TopicMeta, reason: String) -> StoreError {
        let path = self.directory_of(meta).display().to_string();
        StoreError::Occupied {
            topic: meta.name.clone(),
            path,
            reason,
        }
    }

    fn directory_of(&self, meta: &TopicMeta) -> std::path::PathBuf {
        self.data_dir.join(meta.name.as_str())
    }

    /// Makes the directory of a topic and says in it whose it is. The outer error is a refusal.
    fn create_directory(&self, meta: &TopicMeta) -> Result<Result<(), StepError>, StoreError> {
        let directory = self.directory_of(meta);
        let vfs = &*self.context.vfs;
        match vfs.create_dir(&directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if let Some(reason) = self.why_not_ours(&directory, meta) {
                    return Err(self.occupied(meta, reason));
                }
            }
            Err(error) => return Ok(Err(step("create", &directory, error))),
        }
        // IMPORTANT: the label is durable before the first partition has a name, so that no crash
        // leaves partitions of which nobody knows the topic.
        let labelled = StoredTopic::from(meta)
            .write(vfs, &directory)
            .map_err(|error| step("write topic.meta in", &directory, error));
        Ok(labelled.and_then(|()| self.sync_dir(&self.data_dir)))
    }

    /// A directory that was there before: what a crash left of a creation, or somebody's.
    fn why_not_ours(&self, directory: &Path, meta: &TopicMeta) -> Option<String> {
        // A disk to which case makes no difference gives the directory of another topic.
        if let Ok(Some(stored)) = StoredTopic::read(&*self.context.vfs, directory)
            && stored.name != meta.name
        {
            return Some(format!("it belongs to topic {}", stored.name));
        }
        let entries = match self.context.vfs.read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return Some(error.to_string()),
        };
        let ours = |name: &str| {
            let name = name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or(name);
            name == FILE_NAME || partition_of(name).is_some()
        };
        let stranger = entries.into_iter().find(|entry| !ours(&entry.name))?;
        Some(format!("it contains {:?}", stranger.name))
    }

    /// Writes `topic.meta` of a topic that is there, if it says something else.
    fn write_meta(&self, topic: &Topic, meta: &TopicMeta) -> Result<(), StepError> {
        let mut stored = topic.stored.lock();
        let mut wanted = StoredTopic::from(meta);
        wanted.partitions = wanted.partitions.max(stored.partitions);
        *topic.place.config.write() = meta.log_config;
        if *stored == wanted {
            return Ok(());
        }
        let directory = &topic.place.directory;
        wanted
            .write(&*self.context.vfs, directory)
            .map_err(|error| step("write topic.meta in", directory, error))?;
        *stored = wanted;
        Ok(())
    }

    /// Makes the partitions that are not there, durably.
    fn create_partitions(
        &self,
        topic: Option<&Topic>,
        meta: &TopicMeta,
        partitions: Range<u32>,
    ) -> Result<Vec<u32>, StepError> {
        let directory = self.directory_of(meta);
        let known = |partition: &u32| {
            topic.is_some_and(|topic| topic.partitions.read().contains_key(partition))
        };
        let wanted: Vec<u32> = partitions.filter(|partition| !known(partition)).collect();
        for &partition in &wanted {
            self.create_partition(&partition_dir(&directory, partition))?;
        }
        self.sync_partitions(&directory, &wanted)?;
        Ok(wanted)
    }

    fn create_partition(&self, directory: &Path) -> Result<(), StepError> {
        let vfs = &*self.context.vfs;
        match vfs.create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(step("create", directory, error));
            }
            _ => {}
        }
        for kind in [SegmentFile::Log, SegmentFile::Index] {
            let path = kind.path(directory, Offset::ZERO);
            vfs.open(&path, OpenMode::ReadWriteCreate)
                .map_err(|error| step("create", &path, error))?;
        }
        Ok(())
    }

    fn sync_partitions(&self, directory: &Path, partitions: &[u32]) -> Result<(), StepError> {
        if partitions.is_empty() {
            return Ok(());
        }
        // IMPORTANT: each by itself. One sync of the file system would write the records of other
        // logs too, and their own syncs would not hear of what it lost (docs/adr/0007).
        let next = Mutex::new(partitions.iter());
        let failed = Mutex::new(None);
        let work = || {
            while failed.lock().is_none() {
                let taken = next.lock().next();
                let Some(&partition) = taken else { return };
                if let Err(error) = self.sync_dir(&partition_dir(directory, partition)) {
                    failed.lock().get_or_insert(error);
                }
            }
        };
        let threads = self.context.flusher.threads().min(partitions.len());
        std::thread::scope(|scope| {
            for _ in 1..threads {
                // With fewer threads it takes longer.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        failed.into_inner().map_or(Ok(()), Err)?;
        self.sync_dir(directory)
    }

    fn sync_dir(&self, directory: &Path) -> Result<(), StepError> {
        if skips(Safeguard::CreateDirectorySync) {
            return Ok(());
        }
        self.context
            .vfs
            .sync_dir(directory)
            .map_err(|error| StepError {
                doing: format!("sync {}", directory.display()),
                error,
                in_sync: true,
            })
    }

    fn register(&self, topic: Option<Arc<Topic>>, meta: &TopicMeta, partitions: Vec<u32>) {
        let is_new = topic.is_none();
        let topic = topic.unwrap_or_else(|| {
            let place = TopicPlace {
                id: meta.id,
                name: meta.name.clone(),
                directory: self.directory_of(meta),
                config: RwLock::new(meta.log_config),
            };
            let stored = StoredTopic::from(meta);
            Arc::new(Topic::new(Arc::new(place), stored, false, BTreeMap::new()))
        });
        {
            let mut known = topic.partitions.write();
            for partition in partitions {
                let (context, place) = (Arc::clone(&self.context), Arc::clone(&topic.place));
                let log = DiskLog::new(context, place, partition, empty_place());
                known.insert(partition, Partition::Here(log));
            }
        }
        if is_new {
            self.topics.write().insert(meta.name.clone(), topic);
        }
    }

    /// Takes back what a failed creation left, as far as that goes.
    fn undo(&self, error: StepError, is_new: bool, meta: &TopicMeta) -> StoreError {
        let StepError {
            doing,
            error,
            in_sync,
        } = error;
        let failure = StorageFailure::new(format!("cannot {doing}: {error}"));
        if in_sync && !is_no_space(&error) {
            self.context.health.fail(&failure);
            return failure.into();
        }
        if is_new {
            let target = self.trash_place(meta);
            if self
                .context
                .vfs
                .rename(&self.directory_of(meta), &target)
                .is_ok()
            {
                // Or a power cut could bring back what the caller was told is not there.
                let synced = self
                    .sync_dir(&self.trash_dir)
                    .and_then(|()| self.sync_dir(&self.data_dir));
                if let Err(StepError { doing, error, .. }) = synced {
                    let failure = StorageFailure::new(format!("cannot {doing}: {error}"));
                    self.context.health.fail(&failure);
                }
                self.context.upkeep.submit_trash(target);
            }
        }
        if is_no_space(&error) {
            StoreError::NoSpace(failure)
        } else {
            failure.into()
        }
    }

    /// Writes the label of a topic whose `topic.meta` is missing or bad: the metadata knows best.
    pub(super) fn label(&self, topic: &Arc<Topic>, meta: &TopicMeta) -> Result<(), StorageFailure> {
        let _one_at_a_time = self.changes.lock();
        if topic.is_unlabelled() {
            self.label_locked(topic, meta)
        } else {
            Ok(())
        }
    }

    fn label_locked(&self, topic: &Arc<Topic>, meta: &TopicMeta) -> Result<(), StorageFailure> {
        let directory = &topic.place.directory;
        StoredTopic::from(meta)
            .write(&*self.context.vfs, directory)
            .map_err(|error| {
                StorageFailure::new(format!(
                    "cannot write topic.meta in {}: {error}",
                    directory.display()
                ))
            })?;
        let place = Arc::new(TopicPlace {
            id: meta.id,
            name: meta.name.clone(),
            directory: directory.clone(),
            config: RwLock::new(meta.log_config),
        });
        let mut partitions = topic.partitions.read().clone();
        for (number, partition) in &mut partitions {
            if let Partition::Here(log) = partition {
                // Nobody has this log: a topic is labelled before its first log is opened.
                let (context, place) = (Arc::clone(&self.context), Arc::clone(&place));
                *log = DiskLog::new(context, place, *number, log.durable_place());
            }
        }
        let labelled = Topic::new(place, StoredTopic::from(meta), false, partitions);
        self.topics
            .write()
            .insert(meta.name.clone(), Arc::new(labelled));
        *topic.unlabelled.lock() = false;
        Ok(())
    }
}

fn step(doing: &str, path: &Path, error: io::Error) -> StepError {
    StepError {
        doing: format!("{doing} {}", path.display()),
        error,
        in_sync: false,
    }
}

/// A log that nothing was written to.
fn empty_place() -> Place {
    let end = Mark {
        offset: Offset::ZERO,
        base: Offset::ZERO,
        position: Position::ZERO,
    };
    Place {
        log_start: Offset::ZERO,
        end,
        epoch: i32::MIN,
    }
}
