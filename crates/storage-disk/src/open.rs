//! Opening and closing one data directory: the order of a start, and of a clean end.
//!
//! Start: lock, metadata, journal, what only the commit file has, recovery of every partition the
//! journal does not vouch for, a new node epoch, the journal's word about what was recovered, the
//! revocation of a clean mark; only then can anything be appended. The commit file is made ready
//! beside that. End: sync everything, wipe the commit file, write what the next start wants to find,
//! and the clean mark last.

mod start;

use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;

use clock::Clock;
use parking_lot::Mutex;
use sabotage::{Safeguard, skips};
use storage::StorageFailure;
use vfs::Vfs;

use crate::Fatal;
use crate::commit_file::Promises;
use crate::context::{Context, Workers};
use crate::directory::{DataDirectory, OpenDiskError, at, io_error};
use crate::error::WriteError;
use crate::flush::PARALLEL_SYNCS;
use crate::health::Health;
use crate::log::DiskLog;
use crate::maintenance::{watermark, write_journal};
use crate::metadata::DiskMetadata;
use crate::options::DiskOptions;
use crate::recovery::RecoveryReport;
use crate::store::{DiskStore, Shared, find_topics};
use crate::watermarks::{Journal, JournalState, Run, Watermark};
pub(crate) use start::look_epoch;
use start::{Start, raise_epoch, read_epoch, secure_names};

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
    let epoch = read_epoch(&metadata);
    let (journal, state) = open_journal(&vfs, &directory, &clock, epoch.map(|(epoch, _)| epoch))?;
    let mut start = Start {
        vfs: &*vfs,
        epoch,
        same_boot: state.boot_id == Some(vfs.boot_id()) || skips(Safeguard::BootCompared),
        state: &state,
        promises: Promises::new(),
        report: RecoveryReport {
            was_clean: state.is_clean,
            ..RecoveryReport::default()
        },
    };
    start.note_journal();
    let found = find_topics(&*vfs, directory.path(), clock.wall_ms())
        .map_err(at("read", directory.path()))?;
    // A new directory has nothing that a wrong clock could delete.
    let is_new = !state.exists && found.is_empty();
    let last_seen_ms = state
        .last_seen_ms
        .or_else(|| is_new.then(|| clock.wall_ms()));
    start.replay(&directory.own_dir(), &found, workers)?;
    let recovered = start.recover_all(found)?;
    if !state.is_clean && !skips(Safeguard::RecoveredNamesSync) {
        secure_names(&*vfs, directory.path(), &recovered)?;
    }
    let (old_epoch, mut report) = (start.epoch, start.report);
    let epoch = raise_epoch(&metadata, old_epoch, report.epoch_max, directory.path())?;
    let context = Arc::new(Context::new(
        Arc::clone(&vfs),
        clock,
        options,
        (epoch, workers),
        (health, Arc::new(Mutex::new(journal))),
        last_seen_ms,
    ));
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
    note_findings(&shared, &report);
    known_store.get_or_init(|| Arc::downgrade(&shared));
    let mut disk = Disk {
        store: Arc::new(DiskStore::new(Arc::clone(&shared))),
        metadata: Arc::new(metadata),
        shared,
        journal: Arc::clone(&context.journal),
        report,
        threads: Vec::new(),
        directory,
    };
    disk.start(state.is_clean, workers)?;
    Ok(disk)
}

fn open_journal(
    vfs: &Arc<dyn Vfs>,
    directory: &DataDirectory,
    clock: &Arc<dyn Clock>,
    epoch: Option<i32>,
) -> Result<(Journal, JournalState), OpenDiskError> {
    let (mut journal, mut state) = Journal::open(vfs, &directory.own_dir())?;
    journal.set_clock(Arc::clone(clock));
    // The clean end of an earlier process says nothing of what a later one wrote.
    state.is_clean &= !state.is_before(epoch);
    Ok((journal, state))
}

/// Recovery read or wrote the quarantine lists of some partitions: what they say counts from now on.
fn note_findings(shared: &Shared, report: &RecoveryReport) {
    shared.context.tally.add_recovery(report);
    let listed = |log: &Arc<DiskLog>| report.listed.contains(&log.id());
    for log in shared.logs().iter().filter(|log| listed(log)) {
        if log.load_quarantine().is_err() {
            let directory = log.directory();
            tracing::warn!(directory = %directory.display(), "quarantine lists are read later");
        }
    }
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

impl Disk {
    /// What the start found.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.report
    }

    /// The epoch of this start: that of every log's leader.
    pub fn node_epoch(&self) -> i32 {
        self.shared.context.leader_epoch
    }

    /// How many damaged heads of batches reads repaired since the start; see docs/formats.md.
    pub fn repaired_heads(&self) -> u64 {
        self.shared.context.tally.findings().repaired_heads
    }

    fn places(&self) -> Vec<Watermark> {
        let context = &self.shared.context;
        self.shared
            .logs()
            .iter()
            .map(|log| watermark(context, log, log.durable_place()))
            .collect()
    }

    /// This life of the process, for files that must not be taken for another's.
    fn run(&self) -> Run {
        let context = &self.shared.context;
        Run {
            boot_id: context.vfs.boot_id(),
            epoch: context.leader_epoch,
            started_ms: context.clock.wall_ms(),
        }
    }

    fn start(&mut self, was_clean: bool, workers: Workers) -> Result<(), OpenDiskError> {
        let run = self.run();
        self.begin(was_clean, run)?;
        self.start_work(workers, run)
    }

    /// IMPORTANT: before the first append. First what was recovered, so that no later start looks
    /// below it, then the word that this process may have written more.
    fn begin(&mut self, was_clean: bool, run: Run) -> Result<(), OpenDiskError> {
        let places = self.places();
        let written = {
            let mut journal = self.journal.lock();
            let recovered = if was_clean { &[] } else { places.as_slice() };
            journal.append_entries(recovered).and_then(|()| {
                if was_clean && skips(Safeguard::CleanMarkRevoked) {
                    return Ok(());
                }
                journal.mark_open(run)
            })
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

    fn start_work(&mut self, workers: Workers, run: Run) -> Result<(), OpenDiskError> {
        match workers {
            Workers::Threads => self.start_threads(run),
            #[cfg(any(test, fuzzing))]
            Workers::Manual => {
                let context = &self.shared.context;
                if context.syncs_first() {
                    let own_dir = self.directory.own_dir();
                    context.flusher.prepare_common(context, &own_dir, run);
                }
                Ok(())
            }
        }
    }

    fn start_threads(&mut self, run: Run) -> Result<(), OpenDiskError> {
        let path = self.directory.path().to_owned();
        let mut spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let spawned = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(work);
            self.threads
                .push(spawned.map_err(at("start the threads of", &path))?);
            Ok::<(), OpenDiskError>(())
        };
        for number in 0..PARALLEL_SYNCS {
            let context = Arc::clone(&self.shared.context);
            let sync = move || context.flusher.run(&context, number == 0);
            spawn("ottla-sync", Box::new(sync))?;
        }
        let context = Arc::clone(&self.shared.context);
        if context.syncs_first() {
            let (context, own_dir) = (Arc::clone(&context), self.directory.own_dir());
            let commit = move || {
                if context.flusher.wait_to_make(&context, &own_dir) {
                    context.flusher.prepare_common(&context, &own_dir, run);
                    context.flusher.run_common(&context);
                }
            };
            spawn("ottla-commit", Box::new(commit))?;
        }
        if context.flusher.has_pauses() {
            let gather = move || context.flusher.gather();
            spawn("ottla-gather", Box::new(gather))?;
        }
        let context = Arc::clone(&self.shared.context);
        let journal = Arc::clone(&self.journal);
        spawn(
            "ottla-upkeep",
            Box::new(move || context.upkeep.run(&context, &journal)),
        )?;
        let shared = Arc::clone(&self.shared);
        let run = move || shared.context.retention.run(&shared);
        spawn("ottla-retention", Box::new(run))?;
        let shared = Arc::clone(&self.shared);
        if shared.context.cleaner.is_wanted() {
            let run = move || shared.context.cleaner.run(&shared);
            spawn("ottla-compact", Box::new(run))?;
        }
        let shared = Arc::clone(&self.shared);
        if shared.context.scrub.is_wanted() {
            let run = move || shared.context.scrub.run(&shared);
            spawn("ottla-scrub", Box::new(run))?;
        }
        Ok(())
    }

    fn stop_threads(&mut self) {
        self.shared.context.flusher.stop();
        self.shared.context.upkeep.stop();
        self.shared.context.scrub.stop();
        self.shared.context.cleaner.stop();
        self.shared.context.retention.stop();
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
        if !skips(Safeguard::CleanMarkAfterSync) {
            context.flusher.sync_now(&context, self.shared.logs());
        }
        context.health.check()?;
        if let Err(failure) = context.commit_file.end() {
            context.health.fail(&failure);
            return Err(failure);
        }
        let context = &*context;
        let mut complete = true;
        for log in self.shared.logs() {
            complete &= log.end_in_order();
        }
        // So that a start which believes the mark finds nothing that goes.
        context.upkeep.remove_deleted(context, None);
        let mut places = self.places();
        // What is missing stays known, so that it is missed at every start.
        let missing = self.shared.missing();
        places.extend(self.journal.lock().known(&missing));
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
        self.shared.context.commit_file.release();
        self.metadata.close();
    }
}
