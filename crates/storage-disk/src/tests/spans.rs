//! What spans protect in a whole data directory, and that they never accuse what is good.

use std::path::Path;
use std::sync::atomic::Ordering;

use records::Offset;
use storage::{Isolation, ReadError, ReadLimit};
use vfs::{CutPolicy, DiskError, Fault, Operation, SimVfs, Vfs};

use super::harness::{
    DATA_DIR, Seen, batch, file, now, place, plain_topic, read_all, read_from, start, topic,
};
use crate::{Durability, Label};

const BATCHES: i64 = 12;

fn value_of(offset: i64) -> Vec<u8> {
    format!("value {offset:03} {}", "y".repeat(60)).into_bytes()
}

fn expected(offsets: std::ops::Range<i64>) -> Vec<Seen> {
    offsets.map(|offset| (offset, value_of(offset))).collect()
}

fn bytes_of(vfs: &SimVfs, base: i64, extension: &str) -> Vec<u8> {
    vfs::read_whole(vfs, &file(base, extension), 1 << 20).expect("read")
}

/// One-record batches, all of one size, in one segment, after a clean end.
fn written() -> SimVfs {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    for offset in 0..BATCHES {
        place(&*log, batch(&[&value_of(offset)]));
    }
    life.sync();
    drop(log);
    life.disk.close().expect("a clean end");
    vfs
}

fn flip(vfs: &SimVfs, base: i64, at: usize, mask: u8) {
    let byte = bytes_of(vfs, base, "log")[at] ^ mask;
    let at = u64::try_from(at).expect("small");
    vfs.damage(&file(base, "log"), at, &[byte])
        .expect("damaged");
}

fn size_of_one(vfs: &SimVfs) -> usize {
    bytes_of(vfs, 0, "log").len() / usize::try_from(BATCHES).expect("few")
}

#[test]
fn a_repaired_head_is_on_the_disk_before_it_is_served() {
    let original = written();
    let size = size_of_one(&original);
    let good = bytes_of(&original, 0, "log");
    // Base offset, length, epoch, magic, CRC.
    for byte in [7, 3, 10, 15, 12, 16, 20] {
        let vfs = original.fork();
        flip(&vfs, 0, 5 * size + byte, 0x10);
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        assert_eq!(read_all(&*log), expected(0..BATCHES), "byte {byte}");
        assert_eq!(life.disk.repaired_heads(), 1, "byte {byte}");
        drop((log, life));
        vfs.power_cut_with(&CutPolicy::DropAll);
        assert!(bytes_of(&vfs, 0, "log") == good, "byte {byte}");
    }
}

#[test]
fn a_stale_batch_that_is_good_by_itself_is_not_served() {
    let vfs = written();
    let size = size_of_one(&vfs);
    let mut stale = batch(&[&[b'x'; 70]]);
    stale.place(Offset::new(5), 1);
    assert_eq!(stale.as_bytes().len(), size, "it fits exactly");
    let at = u64::try_from(5 * size).expect("small");
    vfs.damage(&file(0, "log"), at, stale.as_bytes())
        .expect("damaged");
    for _ in 0..2 {
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        let read = read_from(&*log, Offset::new(5), 1 << 20);
        assert!(matches!(read, Err(ReadError::Corrupt(_))), "{read:?}");
        // Spans of this log hold two batches.
        let behind = read_from(&*log, Offset::new(6), 1 << 20).expect("it can be read");
        assert_eq!(behind, expected(6..BATCHES));
    }
}

#[test]
fn without_spans_neighbours_are_asked_and_spans_are_made_anew() {
    let vfs = written();
    vfs.remove_file(&file(0, "spans")).expect("it was there");
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&plain_topic(), 0);
    assert_eq!(read_all(&*log), expected(0..BATCHES));
    drop(log);
    life.disk.close().expect("a clean end");
    flip(&vfs, 0, 5 * size_of_one(&vfs) + 10, 0x10);
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&plain_topic(), 0);
    assert_eq!(read_all(&*log), expected(0..BATCHES));
    assert_eq!(life.disk.repaired_heads(), 1);
}

#[test]
fn spans_of_another_partition_accuse_nobody() {
    let vfs = written();
    let life = start(&vfs, Durability::Fsync);
    let other = topic("others", 8, 1, 1 << 20);
    let log = life.create(&other);
    for _ in 0..BATCHES {
        place(&*log, batch(&[&[b'z'; 70]]));
    }
    life.sync();
    drop(log);
    life.disk.close().expect("a clean end");
    let path = Path::new(DATA_DIR).join("others/partition0/00000000000000000000.spans");
    let alien = vfs::read_whole(&vfs, &path, 1 << 20).expect("read");
    vfs.damage(&file(0, "spans"), 0, &alien).expect("replaced");
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&plain_topic(), 0);
    assert_eq!(read_all(&*log), expected(0..BATCHES));
    assert_eq!(life.disk.repaired_heads(), 0);
}

#[test]
fn spans_of_records_that_a_power_cut_took_do_not_speak_of_those_that_follow() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    for offset in 0..4 {
        place(&*log, batch(&[&value_of(offset)]));
    }
    life.sync();
    life.maintain();
    let durable = bytes_of(&vfs, 0, "log").len();
    for _ in 4..BATCHES {
        place(&*log, batch(&[&[b'x'; 70]]));
    }
    // The spans are written before the records are synced, and only they reach the disk.
    life.disk.shared.logs()[0].run_upkeep(false);
    drop((log, life));
    vfs.power_cut_with(&CutPolicy::KeepAll);
    let path = file(0, "log");
    let log_file = vfs.open(&path, vfs::OpenMode::ReadWrite).expect("opened");
    log_file
        .set_size(u64::try_from(durable).expect("small"))
        .expect("cut");
    log_file.sync_data().expect("synced");
    drop(log_file);
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&plain_topic(), 0);
    for offset in 4..BATCHES {
        assert_eq!(
            place(&*log, batch(&[&value_of(offset)])),
            Offset::new(offset)
        );
    }
    life.sync();
    drop((log, life));
    // Before any upkeep.
    vfs.process_kill();
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&plain_topic(), 0);
    assert_eq!(read_all(&*log), expected(0..BATCHES));
    assert_eq!(life.disk.repaired_heads(), 0);
}

#[test]
fn a_damaged_head_is_repaired_before_a_recovery_judges_it() {
    let original = written();
    let size = size_of_one(&original);
    // Without a journal all of the last segment is read, and its last batch would be cut.
    for batch_number in [0, 5, 11] {
        for byte in [7, 10, 15, 16, 20] {
            let vfs = original.fork();
            flip(&vfs, 0, batch_number * size + byte, 0x10);
            let own = Path::new(DATA_DIR).join("@ottla");
            for entry in vfs.read_dir(&own).expect("listed") {
                if entry.name.starts_with("watermarks") {
                    vfs.remove_file(&own.join(entry.name)).expect("removed");
                }
            }
            let what = format!("byte {byte} of batch {batch_number}");
            let life = start(&vfs, Durability::Fsync);
            let labels = &life.disk.recovery().labels;
            assert_eq!(labels.get(&Label::I), Some(&1), "{what}: {labels:?}");
            let log = life.open(&plain_topic(), 0);
            assert_eq!(read_all(&*log), expected(0..BATCHES), "{what}");
        }
    }
}

#[test]
fn a_batch_that_was_found_is_not_of_the_epoch_that_found_it() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    let size = {
        place(&*log, batch(&[&value_of(0)]));
        life.sync();
        life.maintain();
        bytes_of(&vfs, 0, "log").len()
    };
    // Past the watermark, where no span covers it yet.
    place(&*log, batch(&[&value_of(1)]));
    place(&*log, batch(&[&value_of(2)]));
    life.sync();
    life.turn();
    let epoch = u8::try_from(log.leader_epoch()).expect("few starts");
    drop((log, life));
    vfs.process_kill();
    flip(&vfs, 0, size + 15, epoch ^ (epoch + 1));
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&plain_topic(), 0);
    assert_eq!(log.leader_epoch(), i32::from(epoch) + 1, "the next start");
    let read = read_from(&*log, Offset::new(1), 1 << 20);
    assert!(matches!(read, Err(ReadError::Corrupt(_))), "{read:?}");
    let behind = read_from(&*log, Offset::new(2), 1 << 20).expect("it can be read");
    assert_eq!(behind, expected(2..3));
}

#[test]
fn a_body_that_says_more_than_is_true_costs_only_its_batch() {
    let original = written();
    let size = size_of_one(&original);
    // The last offset delta is part of the body: headers alone do not tell that it is wrong.
    for (byte, mask) in [(23, 0x01), (26, 0x01), (26, 0x04), (60, 0x01)] {
        for has_spans in [true, false] {
            let vfs = original.fork();
            flip(&vfs, 0, 5 * size + byte, mask);
            if !has_spans {
                vfs.remove_file(&file(0, "spans")).expect("it was there");
            }
            let life = start(&vfs, Durability::Fsync);
            let log = life.open(&plain_topic(), 0);
            for from in 0..BATCHES {
                let limit = ReadLimit {
                    bytes_max: 1,
                    at_least_one_batch: true,
                };
                let isolation = Isolation::ReadUncommitted;
                let read = now(log.read(Offset::new(from), limit, isolation));
                let what = format!("byte {byte}, from {from}, spans {has_spans}: {read:?}");
                assert_eq!(read.is_err(), from == 5, "{what}");
            }
        }
    }
}

#[test]
fn a_new_segment_begins_without_the_spans_of_an_older_one() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    // Two batches to a segment.
    let size = batch(&[&value_of(0)]).as_bytes().len();
    let two = u32::try_from(2 * size).expect("small");
    let log = life.create(&topic("events", 7, 1, two));
    for extension in ["spans", "timeindex"] {
        let path = file(2, extension);
        let stale = vfs
            .open(&path, vfs::OpenMode::ReadWriteCreate)
            .expect("made");
        vfs::write_all_at(&*stale, &[1; 64], 0).expect("written");
    }
    for offset in 0..3 {
        place(&*log, batch(&[&value_of(offset)]));
    }
    for extension in ["spans", "timeindex"] {
        let found = vfs.stat(&file(2, extension)).expect("asked");
        assert!(found.is_none(), "{extension}: {found:?}");
    }
}

#[test]
fn a_failed_sync_of_what_stands_beside_a_sealed_segment_is_not_repeated() {
    for extension in ["spans", "index", "timeindex"] {
        let vfs = SimVfs::new();
        let life = start(&vfs, Durability::Fsync);
        let size = batch(&[&value_of(0)]).as_bytes().len();
        let two = u32::try_from(2 * size).expect("small");
        let log = life.create(&topic("events", 7, 1, two));
        for offset in 0..3 {
            place(&*log, batch(&[&value_of(offset)]));
        }
        life.sync();
        let suffix = format!("{:020}.{extension}", 0);
        let fault = Fault::fail(Operation::SyncData, DiskError::Io);
        vfs.inject(fault.on_path_suffix(&suffix).nth(1));
        life.maintain();
        assert_eq!(life.fatals.load(Ordering::SeqCst), 1, "{extension}");
    }
}
