//! What a start does before anything is served: every partition that the journal does not vouch
//! for is recovered, and the node gets an epoch above all that were ever used.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use records::Offset;
use sabotage::{Safeguard, skips};
use storage::{CommitError, Key, LogConfig, PartitionId, Space, Version, Versioned, Write};
use vfs::Vfs;

use crate::commit_file::{Promises, Replay, ReplayError};
use crate::context::{Context, Workers};
use crate::directory::{OpenDiskError, at, io_error};
use crate::flush::PARALLEL_SYNCS;
use crate::log::{DiskLog, Mark, Place, TopicPlace};
use crate::metadata::{self, DiskMetadata};
use crate::paths::partition_dir;
use crate::position::Position;
use crate::recovery::{Circumstances, Floor, Label, RecoveryReport, recover};
use crate::store::{FoundTopic, Partition, Topic};
use crate::watermarks::{JournalState, Watermark};
use crate::window::Fault;

/// No node has a higher epoch: there is room for 2^16 more starts.
const EPOCH_MAX: i32 = i32::MAX - (1 << 16);

/// The key of the node's epoch.
const EPOCH_PART: &[u8] = b"epoch";

/// What a start knows while it recovers.
pub(super) struct Start<'a> {
    pub(super) vfs: &'a dyn Vfs,
    pub(super) epoch: Option<(i32, Version)>,
    pub(super) same_boot: bool,
    pub(super) state: &'a JournalState,
    /// What the commit file had durable.
    pub(super) promises: Promises,
    pub(super) report: RecoveryReport,
}

/// A topic whose partitions are in order.
pub(super) struct Recovered {
    found: FoundTopic,
    places: BTreeMap<u32, Result<Place, Arc<str>>>,
}

impl Start<'_> {
    pub(super) fn note_journal(&mut self) {
        let epochs = self
            .state
            .watermarks
            .values()
            .map(|known| known.leader_epoch);
        // A run that was cut off before its first entries is named by its open frame alone.
        let epochs = epochs.chain(self.state.run.map(|run| run.epoch));
        let newest = epochs.filter(|epoch| *epoch <= EPOCH_MAX).max();
        self.report.epoch_max = self.report.epoch_max.max(newest.unwrap_or(0));
        if self.state.bad_frames > 0 {
            let what = format!(
                "{} bad frames in the watermark journal",
                self.state.bad_frames
            );
            if self.same_boot {
                self.report.alarm(Label::P, what);
            } else {
                self.report.count(Label::P);
                tracing::warn!("{}: {what}", Label::P);
            }
        }
    }

    /// Writes into the logs what only the commit file has, before anybody judges them.
    pub(super) fn replay(
        &mut self,
        own_dir: &Path,
        found: &[FoundTopic],
        workers: Workers,
    ) -> Result<(), OpenDiskError> {
        let threads = match workers {
            Workers::Threads => PARALLEL_SYNCS,
            #[cfg(any(test, fuzzing))]
            Workers::Manual => 0,
        };
        let replay = Replay {
            vfs: self.vfs,
            own_dir,
            state: self.state,
            epoch: self.epoch.map(|(epoch, _)| epoch),
            found,
            threads,
        };
        let promises = replay.run(&mut self.report);
        self.promises = promises.map_err(|error| match error {
            ReplayError::Read { path, source } => OpenDiskError::CommitFile { path, source },
            ReplayError::Write { path, source } => {
                io_error("write what the commit file holds into", &path, source)
            }
        })?;
        Ok(())
    }

    pub(super) fn recover_all(
        &mut self,
        found: Vec<FoundTopic>,
    ) -> Result<Vec<Recovered>, OpenDiskError> {
        // A new directory has neither, and nothing to say.
        if !self.state.exists && !found.is_empty() {
            self.report.count(Label::Q);
            tracing::warn!(
                "{}: there is no watermark journal, logs are read in full",
                Label::Q
            );
        }
        found
            .into_iter()
            .map(|topic| self.recover_topic(topic))
            .collect()
    }

    fn recover_topic(&mut self, found: FoundTopic) -> Result<Recovered, OpenDiskError> {
        if found.unlabelled {
            let name = &found.stored.name;
            self.report
                .alarm(Label::T, format!("topic {name} has no good topic.meta"));
        }
        let count = found.stored.partitions;
        let beyond = found.partitions.range(count..).copied();
        let numbers: Vec<u32> = (0..count).chain(beyond).collect();
        let mut places = BTreeMap::new();
        for partition in numbers {
            let id = PartitionId {
                topic: found.stored.id,
                partition,
            };
            let known = self
                .state
                .watermarks
                .get(&id)
                .filter(|_| !found.unlabelled)
                .copied();
            let directory = partition_dir(&found.directory, partition);
            let place = match known.filter(|_| self.state.is_clean) {
                // Nothing is looked at before the first use, which checks it again.
                Some(known) if found.partitions.contains(&partition) => Some(place_of(&known)),
                _ => self.recover_partition(&directory, (id, known), found.unlabelled)?,
            };
            match place {
                Some(place) => {
                    places.insert(partition, Ok(place));
                }
                // A creation that a crash interrupted: whoever calls it again finishes it.
                None if self.never_written(known.as_ref()) => {}
                None => {
                    let reason = offline(known.as_ref(), &directory);
                    let name = &found.stored.name;
                    let what = format!("{name}-{partition} is offline: {reason}");
                    self.report.alarm(Label::U, what);
                    places.insert(partition, Err(reason));
                }
            }
        }
        Ok(Recovered { found, places })
    }

    /// Whether nothing can be lost where a partition has no directory.
    fn never_written(&self, known: Option<&Watermark>) -> bool {
        match known {
            Some(known) => known.durable_end == Offset::ZERO,
            None => self.state.exists,
        }
    }

    /// `None`: the directory is gone, and there may have been records in it.
    fn recover_partition(
        &mut self,
        directory: &Path,
        (partition, known): (PartitionId, Option<Watermark>),
        unlabelled: bool,
    ) -> Result<Option<Place>, OpenDiskError> {
        let floor = match known {
            Some(known) => Floor::Known {
                end: place_of(&known).end,
                epoch: known.leader_epoch,
            },
            // A clean journal names every partition: this one came from elsewhere.
            None if self.state.is_clean || unlabelled => Floor::Unknown,
            None if self.state.is_whole() => start_floor(),
            None => Floor::Unknown,
        };
        let promises = self.promises.get(directory);
        let circumstances = Circumstances {
            partition,
            floor,
            promises: promises.map_or(&[], Vec::as_slice),
            // What a whole journal does not name begins at its start.
            log_start: known
                .map(|known| known.log_start)
                .or_else(|| (floor == start_floor()).then_some(Offset::ZERO)),
            same_boot: self.same_boot,
            // Metadata that lost its last commits must not make good batches incredible.
            epoch_max: self
                .epoch
                .map_or(EPOCH_MAX, |(epoch, _)| epoch.max(self.report.epoch_max)),
        };
        let recovered = recover(self.vfs, directory, circumstances, &mut self.report);
        recovered.map_err(|fault| {
            let source = match fault {
                Fault::Io(error) => error,
                Fault::NotCached | Fault::Read(_) => std::io::Error::other("a read failed"),
            };
            io_error("recover", directory, source)
        })
    }
}

fn offline(known: Option<&Watermark>, directory: &Path) -> Arc<str> {
    let directory = directory.display();
    match known.map(|known| known.durable_end) {
        Some(end) => format!("{directory} is gone, though offsets below {end} were durable"),
        None => format!("{directory} is gone"),
    }
    .into()
}

/// Durable up to its start, which is what a journal says by not naming a partition.
fn start_floor() -> Floor {
    let end = Mark {
        offset: Offset::ZERO,
        base: Offset::ZERO,
        position: Position::ZERO,
    };
    Floor::Known {
        end,
        epoch: i32::MIN,
    }
}

fn place_of(known: &Watermark) -> Place {
    let end = Mark {
        offset: known.durable_end,
        base: known.segment_base,
        position: Position::new(known.position),
    };
    Place {
        log_start: known.log_start,
        end,
        epoch: known.leader_epoch,
    }
}

impl Recovered {
    pub(super) fn build(self, context: &Arc<Context>) -> Arc<Topic> {
        let FoundTopic {
            directory,
            stored,
            unlabelled,
            ..
        } = self.found;
        let place = Arc::new(TopicPlace {
            id: stored.id,
            name: stored.name.clone(),
            directory,
            config: RwLock::new(LogConfig::default()),
        });
        let build = |(partition, recovered): (u32, Result<Place, Arc<str>>)| {
            let built = match recovered {
                Ok(at) => {
                    let (context, place) = (Arc::clone(context), Arc::clone(&place));
                    Partition::Here(DiskLog::new(context, place, partition, at))
                }
                Err(reason) => Partition::Missing(reason),
            };
            (partition, built)
        };
        let partitions = self.places.into_iter().map(build).collect();
        Arc::new(Topic::new(
            Arc::clone(&place),
            stored,
            unlabelled,
            partitions,
        ))
    }
}

/// A process that was killed may have left names that are in memory only, and this one will take
/// them for durable.
pub(super) fn secure_names(
    vfs: &dyn Vfs,
    data_dir: &Path,
    topics: &[Recovered],
) -> Result<(), OpenDiskError> {
    // Where there is no topic, the file system may still hold much that is not ours.
    if !topics.is_empty()
        && let Ok(file_system) = vfs.open_file_system(data_dir)
    {
        return file_system
            .sync()
            .map_err(at("sync the file system of", data_dir));
    }
    let sync = |path: &Path| vfs.sync_dir(path).map_err(at("sync", path));
    for topic in topics {
        for (partition, _) in topic.places.iter().filter(|(_, place)| place.is_ok()) {
            sync(&partition_dir(&topic.found.directory, *partition))?;
        }
        sync(&topic.found.directory)?;
    }
    sync(data_dir)
}

fn epoch_key() -> Key {
    Key::space(Space::Node).part(EPOCH_PART)
}

/// The epoch of the last start, and the version of its row.
pub(super) fn read_epoch(metadata: &DiskMetadata) -> Option<(i32, Version)> {
    epoch_in(&metadata.get_now(&epoch_key())?)
}

/// The epoch of the last start, for who does not own the directory `@ottla`.
pub(crate) fn look_epoch(vfs: &dyn Vfs, own_dir: &Path) -> Option<i32> {
    let row = metadata::look(vfs, own_dir, &epoch_key())?;
    epoch_in(&row).map(|(epoch, _)| epoch)
}

fn epoch_in(row: &Versioned) -> Option<(i32, Version)> {
    let epoch = i32::from_be_bytes((*row.value).try_into().ok()?);
    (epoch <= EPOCH_MAX).then_some((epoch, row.version))
}

/// Gives this start an epoch above all that were ever used, durably.
pub(super) fn raise_epoch(
    metadata: &DiskMetadata,
    old: Option<(i32, Version)>,
    found_max: i32,
    path: &Path,
) -> Result<i32, OpenDiskError> {
    let version = metadata
        .get_now(&epoch_key())
        .map_or(Version::ABSENT, |row| row.version);
    let highest = old.map_or(found_max, |(epoch, _)| epoch.max(found_max));
    let step = i32::from(!skips(Safeguard::EpochRaised) || highest == 0);
    let epoch = highest
        .checked_add(step)
        .expect("a node does not start 2^31 times");
    assert!(epoch > 0, "the epochs of a node begin at 1, not at {epoch}");
    let value = Some(Bytes::copy_from_slice(&epoch.to_be_bytes()));
    let write = Write {
        key: epoch_key(),
        value,
    };
    metadata
        .commit_blocking(&[(epoch_key(), version)], &[write])
        .map_err(|error| {
            let kind = match &error {
                CommitError::NoSpace(_) => std::io::ErrorKind::StorageFull,
                _ => std::io::ErrorKind::Other,
            };
            io_error("raise the epoch of", path, std::io::Error::new(kind, error))
        })?;
    Ok(epoch)
}
