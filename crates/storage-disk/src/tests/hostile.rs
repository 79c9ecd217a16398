//! What a hostile reading of the store found: errors that met the wrong listener, steps that met
//! the wrong directory, damage that a header could hide.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clock::SimClock;
use parking_lot::Mutex;
use records::Offset;
use storage::{AppendError, Isolation, LogStore, ReadLimit};
use vfs::{
    CutPolicy, DirEntry, DirLock, DiskError, FailedSync, Fault, File, FileSystem, LockError,
    OpenMode, Operation, SimOptions, SimVfs, Stat, Vfs,
};

use super::harness::{
    START_MS, append, batch, file, now, options, partition_dir, place, plain_topic, produced,
    read_all, read_from, start, topic,
};
use crate::Durability;
use crate::context::Workers;
use crate::open::open_with;
use crate::paths::EPOCH_FILE;

#[test]
fn upkeep_does_not_swallow_the_error_of_a_directory() {
    // It syncs the directory for the epochs, then for the indexes of the sealed segment.
    for nth in [1, 2] {
        let vfs = SimVfs::new();
        let life = start(&vfs, Durability::Fsync);
        let topic = topic("events", 7, 1, 200);
        let log = life.create(&topic);
        place(&*log, batch(&[&[1; 80]]));
        life.sync();
        // Rolls: the name of the new segment waits for the next round.
        let ticket = append(&*log, batch(&[&[2; 80]]));
        let fault = Fault::fail(Operation::SyncDir, DiskError::Io);
        vfs.inject(fault.on_path_suffix("partition0").nth(nth));
        life.maintain();
        assert_eq!(vfs.faults_fired(), 1, "sync {nth}");
        life.sync();
        assert!(
            now(ticket.durable()).is_err(),
            "sync {nth}: the name of its segment may be lost"
        );
        assert_eq!(life.fatals.load(Ordering::SeqCst), 1, "sync {nth}");
    }
}

#[test]
fn a_removal_that_fails_leaves_a_log_offline() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"before"]));
    life.sync();
    vfs.inject(
        Fault::fail(Operation::Write, DiskError::Io)
            .on_path_suffix(".log")
            .nth(1),
    );
    assert!(append(&*log, batch(&[b"refused"])).placed().is_err());
    vfs.inject(Fault::fail(Operation::Rename, DiskError::Io).nth(1));
    assert!(now(life.disk.store.remove(&plain_topic())).is_err());
    let refused = append(&*log, batch(&[b"refused"])).placed();
    assert!(
        matches!(refused, Err(AppendError::Storage(_))),
        "offline until the next start: {refused:?}"
    );
    assert_eq!(read_all(&*log), [(0, b"before".to_vec())], "reads go on");
}

/// A sealed segment and an active one, written by a process that is gone.
fn indexed(index_interval_bytes: u32) -> (SimVfs, storage::TopicMeta) {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let mut topic = topic("events", 7, 1, 4000);
    topic.log_config.index_interval_bytes = index_interval_bytes;
    let log = life.create(&topic);
    for number in 0..40_u8 {
        place(&*log, batch(&[&[number; 100]]));
    }
    life.sync();
    life.maintain();
    drop(log);
    life.disk.close().expect("a clean end");
    (vfs, topic)
}

fn starts(vfs: &SimVfs, base: i64) -> Vec<u64> {
    let bytes = vfs::read_whole(vfs, &file(base, "log"), u64::MAX).expect("there");
    let mut at = 0;
    let mut found = Vec::new();
    while at < bytes.len() {
        found.push(at as u64);
        at += 12 + u32::from_be_bytes(bytes[at + 8..at + 12].try_into().expect("4")) as usize;
    }
    found
}

#[test]
fn an_epoch_that_cannot_be_costs_one_batch_and_no_memory() {
    for index_interval_bytes in [200, 1 << 20] {
        for has_spans in [false, true] {
            check_epochs(index_interval_bytes, has_spans);
        }
    }
}

fn check_epochs(index_interval_bytes: u32, has_spans: bool) {
    let (original, topic) = indexed(index_interval_bytes);
    if !has_spans {
        original
            .remove_file(&file(0, "spans"))
            .expect("it was there");
    }
    let count = starts(&original, 0).len();
    assert!(count > 8, "the first segment has {count} batches");
    for bad in 0..count {
        let vfs = original.fork();
        let at = starts(&vfs, 0)[bad];
        vfs.damage(&file(0, "log"), at + 12, &[0x40])
            .expect("damaged");
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&topic, 0);
        for round in 0..3 {
            for from in 0..i64::try_from(count).expect("few") {
                let limit = ReadLimit {
                    bytes_max: 350,
                    at_least_one_batch: true,
                };
                let read = now(log.read(Offset::new(from), limit, Isolation::ReadUncommitted));
                // Where a span proves what was written, it is repaired.
                let is_bad = !has_spans && from == i64::try_from(bad).expect("few");
                assert_eq!(
                    read.is_err(),
                    is_bad,
                    "batch {bad} is damaged, offset {from}, round {round}: {read:?}"
                );
            }
        }
        let shared = &life.disk.shared;
        let unwritten = shared.logs()[0].unwritten_indexes();
        assert!(unwritten <= 1, "batch {bad}: {unwritten} indexes are held");
    }
}

#[test]
fn a_boot_is_known_however_long_the_process_ran() {
    let vfs = SimVfs::with_options(SimOptions {
        failed_sync: FailedSync::KeepPages,
        ..SimOptions::default()
    });
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    // As many entries as a night of work writes.
    let places = vec![
        crate::maintenance::watermark(
            &life.disk.shared.context,
            &life.disk.shared.logs()[0],
            life.disk.shared.logs()[0].durable_place(),
        );
        15_000
    ];
    for _ in 0..4 {
        life.disk
            .journal
            .lock()
            .append_entries(&places)
            .expect("room");
    }
    append(&*log, batch(&[b"in memory only"]));
    vfs.inject(
        Fault::fail(Operation::SyncData, DiskError::Io)
            .on_path_suffix(".log")
            .nth(1),
    );
    life.sync();
    drop((log, life));
    vfs.process_kill();
    vfs.clear_faults();
    let life = start(&vfs, Durability::Fsync);
    let seen = read_all(&*life.open(&plain_topic(), 0));
    assert_eq!(seen.len(), 1, "it is visible now");
    drop(life);
    vfs.power_cut_with(&CutPolicy::DropAll);
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(read_all(&*life.open(&plain_topic(), 0)), seen, "it stays");
}

#[test]
fn a_journal_that_lost_its_frames_vouches_for_nothing() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let topic = topic("events", 7, 1, 700);
    let log = life.create(&topic);
    for number in 0..12_u8 {
        place(&*log, batch(&[&[number; 100]]));
        life.sync();
    }
    life.maintain();
    drop((log, life));
    vfs.power_cut_with(&CutPolicy::DropAll);
    // The journal is unreadable, and one batch in the first segment is bad.
    for entry in vfs.read_dir(Path::new("/data/@ottla")).expect("there") {
        if entry.name.starts_with("watermarks.") {
            let path = Path::new("/data/@ottla").join(&entry.name);
            let size = vfs.stat(&path).expect("there").expect("there").size_bytes;
            vfs.damage(&path, 0, &vec![0xff; usize::try_from(size).expect("small")])
                .expect("damaged");
        }
    }
    let second = starts(&vfs, 0)[1];
    vfs.damage(&file(0, "log"), second + 70, &[0xff; 4])
        .expect("damaged");
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&topic, 0);
    assert_eq!(
        log.ends().high_watermark,
        Offset::new(12),
        "nothing behind the damage is cut"
    );
    let seen = read_from(&*log, Offset::new(2), 100).expect("readable");
    assert_eq!(seen.len(), 10);
}

/// A disk that does something else right after a name was replaced.
#[derive(Debug)]
struct Hooked {
    disk: SimVfs,
    hook: Mutex<Option<Hook>>,
}

struct Hook(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

impl Vfs for Hooked {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.disk.open(path, mode)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.read_dir(path)
    }
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.disk.stat(path)
    }
    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        self.disk.rename(source, target)?;
        if target.ends_with(EPOCH_FILE)
            && let Some(Hook(hook)) = self.hook.lock().take()
        {
            hook();
        }
        Ok(())
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }
    fn lock(&self, path: &Path) -> Result<Box<dyn DirLock>, LockError> {
        self.disk.lock(path)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_bytes(path)
    }
    fn total_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.total_bytes(path)
    }
    fn open_file_system(&self, path: &Path) -> io::Result<Arc<dyn FileSystem>> {
        self.disk.open_file_system(path)
    }
    fn boot_id(&self) -> [u8; 16] {
        self.disk.boot_id()
    }
}

#[test]
fn upkeep_of_a_removed_topic_does_not_write_into_its_successor() {
    let sim = SimVfs::new();
    let disk = Arc::new(Hooked {
        disk: sim.clone(),
        hook: Mutex::new(None),
    });
    let fatals = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fatals);
    let opened = open_with(
        disk.clone(),
        Arc::new(SimClock::starting_at(START_MS)),
        &options(Durability::Fsync),
        Arc::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        }),
        Workers::Manual,
    )
    .expect("it starts");
    let old = topic("events", 7, 1, 300);
    let new = topic("events", 8, 1, 300);
    now(opened.store.create(&old, 0..1)).expect("made");
    let log = opened.store.open(&old, 0).expect("there");
    for sequence in 0..6 {
        place(&*log, produced(5, 0, sequence, &[&[1; 80]]));
    }
    let context = &opened.shared.context;
    context.flusher.run_pending(context);
    let (store, successor) = (Arc::clone(&opened.store), new.clone());
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    *disk.hook.lock() = Some(Hook(Box::new(move || {
        let changing = std::thread::spawn(move || {
            now(store.remove(&topic("events", 7, 1, 300))).expect("removed");
            now(store.create(&successor, 0..1)).expect("made");
            sender.send(()).expect("somebody waits");
        });
        // Either it is done, or it waits for the upkeep to end.
        drop(changing);
        let deadline = Duration::from_millis(200);
        let _ = receiver.recv_timeout(deadline);
    })));
    context.upkeep.run_pending(context, &opened.journal);
    // The change of names has come to its end when its lock is free and the new topic is there.
    while opened.store.open(&new, 0).is_err() {
        std::thread::yield_now();
    }
    let names: Vec<String> = sim
        .read_dir(&partition_dir())
        .expect("there")
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    let empty = ["00000000000000000000.index", "00000000000000000000.log"];
    assert_eq!(names, empty, "nothing of the removed topic");
    assert_eq!(fatals.load(Ordering::SeqCst), 0);
}

#[test]
fn the_journal_lets_go_of_removed_topics() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    for id in 1..30 {
        let topic = topic("events", id, 1, 200);
        let log = life.create(&topic);
        place(&*log, batch(&[b"value"]));
        life.sync();
        life.maintain();
        assert_eq!(life.disk.journal.lock().len(), 1, "one topic is there");
        now(life.disk.store.remove(&topic)).expect("removed");
        life.maintain();
        assert_eq!(life.disk.journal.lock().len(), 0, "none is there");
    }
}

#[test]
fn an_epoch_file_that_cannot_be_read_refuses_no_start() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"one"]));
    life.sync();
    life.maintain();
    drop((log, life));
    let epochs = partition_dir().join(EPOCH_FILE);
    assert!(vfs.stat(&epochs).expect("asked").is_some());
    for faulty in [true, false] {
        let vfs = vfs.fork();
        if faulty {
            vfs.inject(Fault::fail(Operation::Read, DiskError::Io).on_path_suffix(EPOCH_FILE));
        } else {
            let file = vfs.open(&epochs, OpenMode::ReadWrite).expect("there");
            file.set_size(1 << 30).expect("sparse");
        }
        vfs.power_cut_with(&CutPolicy::KeepAll);
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        assert_eq!(read_all(&*log), [(0, b"one".to_vec())]);
        assert_eq!(place(&*log, batch(&[b"two"])), Offset::new(1));
        assert_eq!(log.epoch_end(1).map(|end| end.end), Some(Offset::new(1)));
    }
}

#[test]
fn an_upkeep_that_met_a_removal_is_done_after_it_failed() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"one"]));
    life.sync();
    life.maintain();
    place(&*log, batch(&[b"two"]));
    life.sync();
    let inner = life.disk.shared.logs().remove(0);
    inner.begin_removal();
    life.maintain();
    assert_eq!(life.disk.journal.lock().len(), 1, "it is not gone yet");
    inner.cancel_removal();
    place(&*log, batch(&[b"three"]));
    life.sync();
    life.maintain();
    drop((log, inner, life));
    vfs.process_kill();
    let life = start(&vfs, Durability::Fsync);
    let scanned = life.disk.recovery().scanned_bytes;
    assert_eq!(scanned, 0, "the journal knows how far it was durable");
}

#[test]
fn a_stalled_disk_does_not_use_up_the_descriptors() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let before = vfs.open_handles();
    let topic = topic("events", 7, 40, 1 << 20);
    life.create(&topic);
    let logs: Vec<_> = (0..40)
        .map(|partition| life.open(&topic, partition))
        .collect();
    for round in 0..20 {
        for log in &logs {
            assert_eq!(place(&**log, batch(&[b"value"])), Offset::new(round));
        }
    }
    let opened = vfs.open_handles() - before;
    assert!(opened <= 48, "{opened} files are open for 40 logs");
    life.sync();
    assert!(logs.iter().all(|log| read_all(&**log).len() == 20));
}

#[test]
fn a_reader_of_a_store_that_failed_sleeps() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    append(&*log, batch(&[b"lost"]));
    vfs.inject(Fault::fail(Operation::SyncData, DiskError::Io).on_path_suffix("commit.a"));
    let early = storage::Waiter::new();
    log.wait(Arc::clone(&early));
    life.sync();
    assert_eq!(life.fatals.load(Ordering::SeqCst), 1);
    assert!(early.is_done(), "told once");
    let late = storage::Waiter::new();
    log.wait(Arc::clone(&late));
    assert!(
        !late.is_done(),
        "a read there is no error, so a reader that is woken asks again without end"
    );
}

#[test]
fn a_directory_that_is_gone_is_remembered_over_a_clean_end() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let topic = topic("events", 7, 2, 1 << 20);
    life.create(&topic);
    for partition in 0..2 {
        place(&*life.open(&topic, partition), batch(&[b"value"]));
    }
    life.sync();
    life.maintain();
    drop(life);
    crate::maintenance::remove_tree(&vfs, &partition_dir()).expect("removed by hand");
    for start_number in 0..4 {
        let life = start(&vfs, Durability::Fsync);
        let labels = &life.disk.recovery().labels;
        assert_eq!(
            labels.get(&crate::Label::U),
            Some(&1),
            "start {start_number}: {labels:?}"
        );
        assert!(life.disk.store.open(&topic, 0).is_err());
        assert_eq!(read_all(&*life.open(&topic, 1)).len(), 1);
        life.disk.close().expect("a clean end");
    }
}

#[test]
fn names_that_the_disk_takes_for_one_share_no_directory() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    // What the creation of "events" finds where "Events" is and case makes no difference.
    let other = topic("Events", 7, 1, 1 << 20);
    let directory = Path::new(super::harness::DATA_DIR).join("events");
    vfs::create_dirs(&vfs, &directory).expect("room");
    crate::topic_meta::StoredTopic::from(&other)
        .write(&vfs, &directory)
        .expect("room");
    let made = now(life
        .disk
        .store
        .create(&topic("events", 8, 1, 1 << 20), 0..1));
    assert!(
        matches!(made, Err(storage::StoreError::Occupied { .. })),
        "{made:?}"
    );
    let stored = crate::topic_meta::StoredTopic::read(&vfs, &directory).expect("good");
    assert_eq!(stored.map(|stored| stored.id), Some(other.id));
}

#[test]
fn a_file_named_by_the_last_offset_is_no_segment() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"one"]));
    life.sync();
    drop((log, life));
    vfs.open(&file(i64::MAX, "log"), OpenMode::CreateNew)
        .expect("room");
    vfs.process_kill();
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&plain_topic(), 0);
    assert_eq!(place(&*log, batch(&[b"two"])), Offset::new(1));
    life.sync();
    assert_eq!(read_all(&*log).len(), 2);
}
