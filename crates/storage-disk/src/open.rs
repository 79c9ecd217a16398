//! Opening and closing one data directory: the order of a start, and of a clean end.
//!
//! Start: lock, metadata, journal, recovery of every partition the journal does not vouch for, a
//! new node epoch, the journal's word about what was recovered, the revocation of a clean mark;
//! only then can anything be appended. End: sync everything, write what the next start wants to
//! find, and the clean mark last.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;

use bytes::Bytes;
use clock::Clock;
use parking_lot::{Mutex, RwLock};
use records::Offset;
use storage::{CommitError, Key, LogConfig, PartitionId, Space, StorageFailure, Version, Write};
use vfs::Vfs;

use crate::Fatal;
use crate::context::{Context, Workers};
use crate::directory::{DataDirectory, OpenDiskError, at, io_error};
use crate::error::WriteError;
use crate::health::Health;
use crate::log::{DiskLog, Mark, Place, TopicPlace};
use crate::maintenance::{watermark, write_journal};
use crate::metadata::DiskMetadata;
use crate::options::DiskOptions;
use crate::paths::partition_dir;
use crate::position::Position;
use crate::recovery::{Circumstances, Floor, Label, RecoveryReport, recover};
use crate::store::{DiskStore, FoundTopic, Partition, Shared, Topic, find_topics};
use crate::watermarks::{Journal, JournalState, Watermark};
use crate::window::Fault;

/// The key of the node's epoch.
const EPOCH_PART: &[u8] = b"epoch";

/// An open data directory.
#[derive(Debug)]
pub struct Disk {
    /// The records.
    pub store: Arc<DiskStore>,
    /// The metadata.
    pub metadata: Arc<DiskMetadata>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) journal: Arc<Mutex<Journal>>,
    report: RecoveryReport,
    threads: Vec<JoinHandle<()>>,
    /// Held to the end.
    directory: DataDirectory,
}

/// Opens a data directory, recovers what a crash left, and starts the threads that serve it.
/// `fatal` is called once if durability is lost: the process must end then.
pub fn open(
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    options: DiskOptions,
    fatal: Fatal,
) -> Result<Disk, OpenDiskError> {
    open_with(vfs, clock, &options, fatal, Workers::Threads)
}

/// Like [`open`], with a choice of who does the work in the background.
pub(crate) fn open_with(
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    options: &DiskOptions,
    fatal: Fatal,
    workers: Workers,
) -> Result<Disk, OpenDiskError> {
    let directory = DataDirectory::open(&vfs, &options.data_dir)?;
    let known_store = Arc::new(OnceLock::new());
    let health = Arc::new(Health::new(failing_all(&known_store, fatal)));
    let for_metadata = Arc::clone(&health);
    let metadata = DiskMetadata::open(
        &vfs,
        &directory.own_dir(),
        Arc::new(move |failure: &StorageFailure| for_metadata.fail(failure)),
    )?;
    let (journal, state) = Journal::open(&vfs, &directory.own_dir())?;
    let mut start = Start {
        vfs: &*vfs,
        epoch: read_epoch(&metadata),
        same_boot: state.boot_id == Some(vfs.boot_id()),
        state: &state,
        report: RecoveryReport {
            was_clean: state.is_clean,
            ..RecoveryReport::default()
        },
    };
    start.note_journal();
    let found = find_topics(&*vfs, directory.path(), clock.wall_ms())
        .map_err(at("read", directory.path()))?;
    let recovered = start.recover_all(found)?;
    if !state.is_clean {
        secure_names(&*vfs, directory.path(), &recovered)?;
    }
    let (old_epoch, mut report) = (start.epoch, start.report);
    let epoch = raise_epoch(&metadata, old_epoch, report.epoch_max, directory.path())?;
    let context = Context::new(Arc::clone(&vfs), clock, options, (epoch, workers), health);
    let context = Arc::new(context);
    let topics = recovered
        .into_iter()
        .map(|topic| topic.build(&context))
        .collect();
    let (data_dir, trash_dir) = (directory.path().to_owned(), directory.trash_dir());
    let shared = Arc::new(Shared::new(
        Arc::clone(&context),
        data_dir,
        trash_dir,
        topics,
    ));
    report.partitions = shared.logs().len();
    known_store.get_or_init(|| Arc::downgrade(&shared));
    let mut disk = Disk {
        store: Arc::new(DiskStore::new(Arc::clone(&shared))),
        metadata: Arc::new(metadata),
        shared,
        journal: Arc::new(Mutex::new(journal)),
        report,
        threads: Vec::new(),
        directory,
    };
    disk.begin(state.is_clean)?;
    if workers == Workers::Threads {
        disk.start_threads()?;
    }
    Ok(disk)
}

/// A process that was killed may have left names that are in memory only, and this one will take
/// them for durable.
fn secure_names(vfs: &dyn Vfs, data_dir: &Path, topics: &[Recovered]) -> Result<(), OpenDiskError> {
    if let Ok(file_system) = vfs.open_file_system(data_dir) {
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

/// Tells every log, then the process.
fn failing_all(store: &Arc<OnceLock<Weak<Shared>>>, fatal: Fatal) -> Fatal {
    let store = Arc::clone(store);
    Arc::new(move |failure: &StorageFailure| {
        if let Some(shared) = store.get().and_then(Weak::upgrade) {
            shared.fail_all(failure);
        }
        fatal(failure);
    })
}

fn epoch_key() -> Key {
    Key::space(Space::Node).part(EPOCH_PART)
}

/// The epoch of the last start, and the version of its row.
fn read_epoch(metadata: &DiskMetadata) -> Option<(i32, Version)> {
    let row = metadata.get_now(&epoch_key())?;
    let bytes: [u8; 4] = (*row.value).try_into().ok()?;
    Some((i32::from_be_bytes(bytes), row.version))
}

/// Gives this start an epoch above all that were ever used, durably.
fn raise_epoch(
    metadata: &DiskMetadata,
    old: Option<(i32, Version)>,
    found_max: i32,
    path: &Path,
) -> Result<i32, OpenDiskError> {
    let version = metadata
        .get_now(&epoch_key())
        .map_or(Version::ABSENT, |row| row.version);
    let highest = old.map_or(found_max, |(epoch, _)| epoch.max(found_max));
    let epoch = highest
        .checked_add(1)
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

/// What a start knows while it recovers.
struct Start<'a> {
    vfs: &'a dyn Vfs,
    epoch: Option<(i32, Version)>,
    same_boot: bool,
    state: &'a JournalState,
    report: RecoveryReport,
}

/// A topic whose partitions are in order.
struct Recovered {
    found: FoundTopic,
    places: BTreeMap<u32, Result<Place, Arc<str>>>,
}

impl Start<'_> {
    fn note_journal(&mut self) {
        for watermark in self.state.watermarks.values() {
            self.report.epoch_max = self.report.epoch_max.max(watermark.leader_epoch);
        }
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
        if !self.state.exists {
            tracing::info!(
                "{}: there is no watermark journal, logs are read in full",
                Label::Q
            );
        }
    }

    fn recover_all(&mut self, found: Vec<FoundTopic>) -> Result<Vec<Recovered>, OpenDiskError> {
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
                _ => self.recover_partition(&directory, known, found.unlabelled)?,
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
        known: Option<Watermark>,
        unlabelled: bool,
    ) -> Result<Option<Place>, OpenDiskError> {
        let floor = match known {
            Some(known) => Floor::Known {
                end: place_of(&known).end,
                epoch: known.leader_epoch,
            },
            // A clean journal names every partition: this one came from elsewhere.
            None if !self.state.exists || self.state.is_clean || unlabelled => Floor::Unknown,
            None => start_floor(),
        };
        let circumstances = Circumstances {
            floor,
            log_start: known.map(|known| known.log_start),
            same_boot: self.same_boot,
            epoch_max: self.epoch.map_or(i32::MAX, |(epoch, _)| epoch),
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
    }
}

impl Recovered {
    fn build(self, context: &Arc<Context>) -> Arc<Topic> {
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

impl Disk {
    /// What the start found.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.report
    }

    /// The epoch of this start: that of every log's leader.
    pub fn node_epoch(&self) -> i32 {
        self.shared.context.leader_epoch
    }

    fn places(&self) -> Vec<Watermark> {
        let context = &self.shared.context;
        self.shared
            .logs()
            .iter()
            .map(|log| watermark(context, log, log.durable_place()))
            .collect()
    }

    /// IMPORTANT: before the first append. First what was recovered, so that no later start looks
    /// below it, then the word that this process may have written more.
    fn begin(&mut self, was_clean: bool) -> Result<(), OpenDiskError> {
        let places = self.places();
        let written = {
            let mut journal = self.journal.lock();
            let boot_id = self.shared.context.vfs.boot_id();
            let recovered = if was_clean { &[] } else { places.as_slice() };
            journal
                .append_entries(recovered)
                .and_then(|()| journal.mark_open(boot_id))
        };
        let own_dir = self.directory.own_dir();
        written.map_err(|error| {
            let (kind, failure) = match error {
                WriteError::NoSpace(failure) => (std::io::ErrorKind::StorageFull, failure),
                WriteError::Failed(failure) => (std::io::ErrorKind::Other, failure),
            };
            io_error(
                "write the journal in",
                &own_dir,
                std::io::Error::new(kind, failure),
            )
        })?;
        self.submit_old_trash()
    }

    fn submit_old_trash(&self) -> Result<(), OpenDiskError> {
        let trash = self.directory.trash_dir();
        let entries = self
            .shared
            .context
            .vfs
            .read_dir(&trash)
            .map_err(at("read", &trash))?;
        for entry in entries {
            self.shared
                .context
                .upkeep
                .submit_trash(trash.join(entry.name));
        }
        Ok(())
    }

    fn start_threads(&mut self) -> Result<(), OpenDiskError> {
        let path = self.directory.path().to_owned();
        let mut spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let spawned = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(work);
            self.threads
                .push(spawned.map_err(at("start the threads of", &path))?);
            Ok::<(), OpenDiskError>(())
        };
        let context = Arc::clone(&self.shared.context);
        spawn(
            "ottla-sync",
            Box::new(move || context.flusher.run(&context)),
        )?;
        let context = Arc::clone(&self.shared.context);
        let journal = Arc::clone(&self.journal);
        spawn(
            "ottla-upkeep",
            Box::new(move || context.upkeep.run(&context, &journal)),
        )
    }

    fn stop_threads(&mut self) {
        self.shared.context.flusher.stop();
        self.shared.context.upkeep.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                let failure = StorageFailure::new("a thread of the store panicked");
                self.shared.context.health.fail(&failure);
            }
        }
    }

    /// Ends in order: appends are refused, everything is synced, and the next start will take the
    /// word of this one. After a failure, or when something could not be written, the directory is
    /// left as a crash would leave it.
    pub fn close(mut self) -> Result<(), StorageFailure> {
        let context = Arc::clone(&self.shared.context);
        context.close();
        self.stop_threads();
        // A closed log accepts nothing, and an append under way ends before its log is asked.
        context.flusher.sync_now(&context, self.shared.logs());
        context.health.check()?;
        let context = &*context;
        let mut complete = true;
        for log in self.shared.logs() {
            complete &= log.end_in_order();
        }
        let places = self.places();
        if complete {
            let marked = self.journal.lock().mark_clean(&places);
            marked.map_err(|error| StorageFailure::new(error.to_string()))?;
        } else {
            write_journal(context, &self.journal, &places);
        }
        self.metadata.close();
        context.health.check()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.shared.context.close();
        self.stop_threads();
        self.metadata.close();
    }
}
