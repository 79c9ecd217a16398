//! What stands in a directory and is not of its log, or not any more: it is removed or has no say.

use std::sync::atomic::Ordering;

use records::Offset;
use storage::{Isolation, ReadError, ReadLimit};
use vfs::{DiskError, Fault, OpenMode, Operation, SimVfs, Vfs};

use super::harness::{
    batch, file, now, partition_dir, place, plain_topic, read_from, start, topic,
};
use super::quarantine::{BATCHES, RECORD, damage, written};
use crate::Durability;
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::quarantine::{Entry, List};
use crate::recovery::Label;

const SEGMENT_BYTES: u32 = 450;

fn plant(vfs: &SimVfs, base: i64, extension: &str, bytes: &[u8]) {
    let file = vfs.open(&file(base, extension), OpenMode::CreateNew);
    vfs::write_all_at(&*file.expect("made"), bytes, 0).expect("written");
}

#[test]
fn files_beside_a_log_that_is_not_there_are_removed() {
    let vfs = written(SEGMENT_BYTES);
    drop(start(&vfs, Durability::Fsync));
    vfs.process_kill();
    for extension in ["index", "timeindex", "spans"] {
        plant(&vfs, 50, extension, &[1; 100]);
    }
    let mut list = List::default();
    let nowhere = (Position::ZERO, Position::ZERO);
    let cut = crate::quarantine::cut_at(Offset::new(50), nowhere, Label::C);
    list.keep(cut, vec![7; 10]);
    list.write(&vfs, &partition_dir(), Offset::new(50))
        .expect("written");
    let life = start(&vfs, Durability::Fsync);
    let left = vfs.read_dir(&partition_dir()).expect("listed");
    let left: Vec<&str> = left
        .iter()
        .filter(|entry| entry.name.contains("50."))
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(left, ["00000000000000000050.quarantine"], "it keeps a cut");
    assert_eq!(life.disk.recovery().labels.get(&Label::R), Some(&3));
}

/// What somebody accepted of a segment that began at the offset where the log ends now.
fn accept_what_is_to_come(vfs: &SimVfs) {
    let mut list = List::default();
    list.add(Entry {
        first: Offset::new(BATCHES),
        last: Offset::new(BATCHES + 5),
        position: Position::ZERO,
        end: Position::new(100),
        label: Label::J,
        accepted: true,
    });
    list.write(vfs, &partition_dir(), Offset::new(BATCHES))
        .expect("written");
}

#[test]
fn what_was_accepted_of_another_segment_accepts_nothing_of_a_new_one() {
    for what in ["a roll", "a recovery"] {
        let vfs = written(SEGMENT_BYTES);
        accept_what_is_to_come(&vfs);
        plant(&vfs, BATCHES, "timeindex", &[9; 24]);
        plant(&vfs, BATCHES, "index", &[9; 16]);
        if what == "a recovery" {
            let listing = crate::listing::list(&vfs, &partition_dir());
            for log in listing.expect("listed").expect("there").logs {
                let path = SegmentFile::Log.path(&partition_dir(), log.base);
                vfs.remove_file(&path).expect("it is there");
            }
        }
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&topic("events", 7, 1, SEGMENT_BYTES), 0);
        let value = vec![3; 200];
        assert_eq!(place(&*log, batch(&[&value])), Offset::new(BATCHES));
        assert!(
            vfs.stat(&file(BATCHES, "log")).expect("asked").is_some(),
            "{what}: a segment begins there"
        );
        life.sync();
        drop(log);
        life.disk.close().expect("a clean end");
        damage(&vfs, BATCHES, RECORD);
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        let read = read_from(&*log, Offset::new(BATCHES), 200);
        assert!(
            matches!(read, Err(ReadError::Corrupt(_))),
            "{what}: nobody accepted that: {read:?}"
        );
    }
}

/// The end of a log after its first use and how many records can be read; and the same after a kill
/// and another start.
fn ends_of(vfs: &SimVfs) -> [(i64, usize); 2] {
    [(); 2].map(|()| {
        let life = start(vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        let limit = ReadLimit {
            bytes_max: 1,
            at_least_one_batch: true,
        };
        let _ = now(log.read(Offset::ZERO, limit, Isolation::ReadUncommitted));
        let end = log.ends().log_end.get();
        let readable = (0..end).filter(|at| {
            let read = log.read(Offset::new(*at), limit, Isolation::ReadUncommitted);
            now(read).is_ok()
        });
        let found = (end, readable.count());
        drop((log, life));
        vfs.process_kill();
        found
    })
}

#[test]
fn a_segment_of_an_earlier_epoch_behind_a_clean_end_counts_the_same_at_every_start() {
    let vfs = SimVfs::new();
    for life_number in 0..3 {
        let life = start(&vfs, Durability::Fsync);
        let log = match life_number {
            0 => life.create(&plain_topic()),
            _ => life.open(&plain_topic(), 0),
        };
        place(&*log, batch(&[b"a record"]));
        life.sync();
        drop(log);
        life.disk.close().expect("a clean end");
    }
    // Good by itself, and goes on at the end; only its epoch says that it is not of this log.
    let mut foreign = batch(&[b"of another log"]);
    foreign.place(Offset::new(3), 1);
    plant(&vfs, 3, "log", foreign.as_bytes());
    let [first, second] = ends_of(&vfs);
    assert_eq!(first, second, "nothing comes or goes with a start");
}

#[test]
fn a_failed_sync_at_a_first_use_is_fatal_and_not_repeated() {
    for operation in [Operation::SyncDir, Operation::SyncData] {
        let vfs = written(SEGMENT_BYTES);
        // Somebody took the last segment, so the first use recovers.
        let listing = crate::listing::list(&vfs, &partition_dir());
        let logs = listing.expect("listed").expect("there").logs;
        let last = logs.last().expect("a segment").base.get();
        let torn = vfs.open(&file(last, "log"), OpenMode::ReadWrite);
        let torn = torn.expect("it is there");
        torn.set_size(torn.size_bytes().expect("asked") - 3)
            .expect("cut");
        drop(torn);
        plant(&vfs, 50, "timeindex", &[1; 12]);
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        vfs.inject(Fault::fail(operation, DiskError::Io).nth(1));
        vfs.start_trace();
        for _ in 0..3 {
            let read = read_from(&*log, Offset::ZERO, 200);
            assert!(read.is_err(), "{operation:?}: {read:?}");
        }
        assert_eq!(life.fatals.load(Ordering::SeqCst), 1, "{operation:?}");
        let trace = vfs.take_trace();
        let is_failed = |line: &String| line.starts_with("Sync") && line.contains("-> errno");
        let failed = trace.iter().position(is_failed).expect("it failed");
        let again = trace[failed + 1..]
            .iter()
            .find(|line| line.starts_with("Sync"));
        assert_eq!(again, None, "{operation:?}: no sync is made again");
    }
}
