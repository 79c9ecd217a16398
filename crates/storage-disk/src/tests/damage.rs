//! Files that a crash or a hand changed between two lives of a process.

use std::path::Path;

use records::Offset;
use storage::{LogStore, ReadError};
use vfs::{OpenMode, SimVfs, Vfs};

use super::harness::{
    DATA_DIR, Seen, append, batch, file, now, partition_dir, place, plain_topic, produced,
    read_all, read_from, start, topic,
};
use crate::{Durability, Label};

const BATCHES: i64 = 12;

fn value_of(offset: i64) -> Vec<u8> {
    format!("value {offset} {}", "y".repeat(60)).into_bytes()
}

fn expected(offsets: std::ops::Range<i64>) -> Vec<Seen> {
    offsets.map(|offset| (offset, value_of(offset))).collect()
}

/// A log of one-record batches in one segment, or in many small ones. Killed, so that the next
/// start looks at the files; the journal knows nothing of the records yet.
fn written(segment_bytes: u32, maintained: bool) -> SimVfs {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&topic("events", 7, 1, segment_bytes));
    for offset in 0..BATCHES {
        assert_eq!(
            place(&*log, batch(&[&value_of(offset)])),
            Offset::new(offset)
        );
    }
    life.sync();
    // What is damaged later is in the log alone.
    life.turn();
    if maintained {
        life.maintain();
    }
    drop((log, life));
    vfs.process_kill();
    vfs
}

const BIG: u32 = 1 << 20;
const SMALL: u32 = 450;

/// Where each batch begins.
fn starts_of(bytes: &[u8]) -> Vec<usize> {
    records::Batches::new(bytes)
        .map(|batch| batch.expect("a good log").0)
        .collect()
}

fn bytes_of(vfs: &SimVfs, path: &Path) -> Vec<u8> {
    vfs::read_whole(vfs, path, 1 << 24).expect("the file can be read")
}

fn set(vfs: &SimVfs, path: &Path, bytes: &[u8]) {
    let file = vfs
        .open(path, OpenMode::ReadWriteCreate)
        .expect("the file opens");
    file.set_size(0).expect("it is cut");
    vfs::write_all_at(&*file, bytes, 0).expect("it is written");
    file.sync_data().expect("it is synced");
    vfs.sync_dir(path.parent().expect("it is in a directory"))
        .expect("it is synced");
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_its_offset_given_again() {
    let original = written(BIG, false);
    let log_file = file(0, "log");
    let whole = bytes_of(&original, &log_file);
    let starts = starts_of(&whole);
    let last_start = starts[starts.len() - 2];
    for torn_at in last_start..whole.len() {
        let vfs = original.fork();
        set(&vfs, &log_file, &whole[..torn_at]);
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        let kept = read_all(&*log);
        let first_torn = i64::try_from(kept.len()).expect("few");
        assert_eq!(kept, expected(0..first_torn), "torn at {torn_at}");
        assert!(
            first_torn >= BATCHES - 2,
            "only the torn batch is gone, at {torn_at}"
        );
        let kept_bytes = bytes_of(&vfs, &log_file).len();
        assert!(
            starts.contains(&kept_bytes),
            "cut at a batch, not at {kept_bytes}"
        );
        assert_eq!(place(&*log, batch(&[b"again"])), Offset::new(first_torn));
        life.sync();
        let seen = read_all(&*log);
        assert_eq!(
            seen.last(),
            Some(&(first_torn, b"again".to_vec())),
            "torn at {torn_at}"
        );
    }
}

#[test]
fn zeros_at_the_end_are_cut() {
    let vfs = written(BIG, false);
    let mut bytes = bytes_of(&vfs, &file(0, "log"));
    let size = bytes.len();
    bytes.resize(size + 5000, 0);
    set(&vfs, &file(0, "log"), &bytes);
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(life.disk.recovery().labels.get(&Label::E), Some(&1));
    assert_eq!(life.disk.recovery().cut_bytes, 5000);
    assert_eq!(
        read_all(&*life.open(&plain_topic(), 0)),
        expected(0..BATCHES)
    );
    assert_eq!(bytes_of(&vfs, &file(0, "log")).len(), size);
}

#[test]
fn an_index_in_any_state_costs_nothing_but_a_walk() {
    let original = written(SMALL * 4, true);
    let index_file = file(0, "index");
    let time_file = file(0, "timeindex");
    let good = bytes_of(&original, &index_file);
    assert!(good.len() >= 16, "the log has an index");
    let mut flipped = good.clone();
    flipped[7] ^= 1;
    let mut swapped = good.clone();
    swapped.rotate_left(8);
    // The batch of the second entry ends one offset later than the entry says.
    let mut too_low = good.clone();
    too_low[11] -= 1;
    let mut too_high = good.clone();
    too_high[good.len() - 6] ^= 0x40;
    let states: [(&str, Vec<u8>); 8] = [
        ("an offset too low", too_low),
        ("an offset too high", too_high),
        ("empty", Vec::new()),
        ("short", good[..8].to_vec()),
        ("odd", good[..good.len() - 3].to_vec()),
        ("flipped", flipped),
        ("out of order", swapped),
        ("garbage", vec![0xA5; 4096]),
    ];
    for (what, bytes) in states {
        for (clean, both) in [(false, false), (true, false), (false, true), (true, true)] {
            let vfs = original.fork();
            if clean {
                start(&vfs, Durability::Fsync)
                    .disk
                    .close()
                    .expect("a clean end");
            }
            set(&vfs, &index_file, &bytes);
            if both {
                set(&vfs, &time_file, &bytes);
            }
            let life = start(&vfs, Durability::Fsync);
            let log = life.open(&plain_topic(), 0);
            for from in 0..BATCHES {
                let seen = read_from(&*log, Offset::new(from), 200).expect("all can be read");
                assert_eq!(seen, expected(from..BATCHES), "{what}, from {from}");
            }
            drop((log, life));
            check_growth(&original, &index_file, &bytes, what);
        }
    }
    let vfs = original.fork();
    vfs.remove_file(&index_file).expect("it is there");
    vfs.remove_file(&time_file).expect("it is there");
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(
        read_all(&*life.open(&plain_topic(), 0)),
        expected(0..BATCHES),
        "missing"
    );
}

/// The index is gone on with before anybody reads through it.
fn check_growth(original: &SimVfs, index_file: &Path, bytes: &[u8], what: &str) {
    let vfs = original.fork();
    start(&vfs, Durability::Fsync)
        .disk
        .close()
        .expect("a clean end");
    set(&vfs, index_file, bytes);
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&topic("events", 7, 1, BIG), 0);
    for offset in BATCHES..BATCHES + 8 {
        assert_eq!(
            place(&*log, batch(&[&value_of(offset)])),
            Offset::new(offset),
            "{what}"
        );
    }
    life.sync();
    assert_eq!(read_all(&*log), expected(0..BATCHES + 8), "{what}");
    assert_eq!(
        life.fatals.load(std::sync::atomic::Ordering::SeqCst),
        0,
        "{what}"
    );
}

#[test]
fn damage_in_the_middle_costs_one_batch() {
    let original = written(BIG, false);
    let log_file = file(0, "log");
    let whole = bytes_of(&original, &log_file);
    let damaged = starts_of(&whole)[5];
    // In the records, in the length, in the base offset, in the magic, in the epoch.
    for at in [70, 9, 3, 16, 12] {
        // With the journal of a process on the same boot, and without any journal.
        for journal in [true, false] {
            let vfs = original.fork();
            if !journal {
                remove_journal(&vfs);
            }
            let mut bytes = whole.clone();
            bytes[damaged + at] ^= 0x41;
            set(&vfs, &log_file, &bytes);
            let mut ends = Vec::new();
            for _ in 0..2 {
                let life = start(&vfs, Durability::Fsync);
                let log = life.open(&plain_topic(), 0);
                let what = format!("byte {at}, journal {journal}");
                assert_eq!(log.ends().log_end, Offset::new(BATCHES), "{what}");
                check_around_damage(&*log, &what);
                ends.push(log.ends());
                assert_eq!(
                    bytes_of(&vfs, &log_file),
                    bytes,
                    "{what}: nothing is deleted"
                );
                life.disk.close().expect("a clean end");
            }
            assert_eq!(ends[0], ends[1], "the same bytes give the same result");
        }
    }
}

fn check_around_damage(log: &dyn storage::Log, what: &str) {
    let damaged = read_from(log, Offset::new(5), 1 << 20);
    assert!(
        matches!(damaged, Err(ReadError::Corrupt(_))),
        "{what}: {damaged:?}"
    );
    let after = read_from(log, Offset::new(6), 1 << 20).expect("later ones can be read");
    assert_eq!(after, expected(6..BATCHES), "{what}");
    let limit = storage::ReadLimit {
        bytes_max: 1 << 20,
        at_least_one_batch: true,
    };
    let isolation = storage::Isolation::ReadUncommitted;
    let before = now(log.read(Offset::ZERO, limit, isolation)).expect("earlier ones can be read");
    let bytes = storage::conformance::bytes_of(&before);
    let good = records::Batches::new(&bytes).filter(|batch| {
        batch
            .as_ref()
            .is_ok_and(|(_, _, bytes)| records::crc_ok(bytes))
    });
    assert_eq!(good.count(), 5, "{what}: the read ends before the damage");
}

fn remove_journal(vfs: &SimVfs) {
    let own = Path::new(DATA_DIR).join("@ottla");
    for entry in vfs.read_dir(&own).expect("it is there") {
        if entry.name.starts_with("watermarks") {
            vfs.remove_file(&own.join(entry.name))
                .expect("it is removed");
        }
    }
}

#[test]
fn an_epoch_without_a_next_one_costs_its_batch_and_no_start() {
    let vfs = written(BIG, false);
    // Nothing tells the node's epoch, and the checksum of a batch does not cover its own.
    remove_journal(&vfs);
    let own = Path::new(DATA_DIR).join("@ottla");
    for entry in vfs.read_dir(&own).expect("it is there") {
        if entry.name.starts_with("metadata") {
            let removed = vfs.remove_file(&own.join(entry.name));
            removed.expect("it is removed");
        }
    }
    let bytes = bytes_of(&vfs, &file(0, "log"));
    let at = u64::try_from(starts_of(&bytes)[5]).expect("small");
    vfs.damage(&file(0, "log"), at + 12, &i32::MAX.to_be_bytes())
        .expect("it is in the file");
    for round in 0..3 {
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        assert_eq!(log.ends().log_end, Offset::new(BATCHES), "round {round}");
        check_around_damage(&*log, &format!("round {round}"));
        drop((log, life));
        vfs.process_kill();
    }
}

#[test]
fn a_segment_that_begins_inside_another_gives_no_offset_twice() {
    let inside = BATCHES - 1;
    for journal in [true, false] {
        for junk in [&b""[..], b"junk"] {
            let vfs = written(BIG, false);
            if !journal {
                remove_journal(&vfs);
            }
            set(&vfs, &file(inside, "log"), junk);
            let life = start(&vfs, Durability::Fsync);
            let log = life.open(&plain_topic(), 0);
            assert_eq!(read_all(&*log), expected(0..BATCHES));
            assert_eq!(place(&*log, batch(&[b"new"])), Offset::new(BATCHES));
            life.sync();
            let seen = read_all(&*log);
            let mut all = expected(0..BATCHES);
            all.push((BATCHES, b"new".to_vec()));
            assert_eq!(seen, all, "journal {journal}, {junk:?}");
        }
    }
}

#[test]
fn a_record_that_holds_a_batch_is_no_place_to_go_on() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    let mut inner = batch(&[b"not a record of this log"]);
    inner.place(Offset::new(2), 1);
    for value in [&b"first"[..], inner.as_bytes(), b"third"] {
        place(&*log, batch(&[value]));
    }
    life.sync();
    drop((log, life));
    vfs.process_kill();
    let mut bytes = bytes_of(&vfs, &file(0, "log"));
    let mut batches = records::Batches::new(&bytes).map(|batch| batch.expect("whole").0);
    let second = batches.nth(1).expect("there are three");
    bytes[second + 17] ^= 1;
    set(&vfs, &file(0, "log"), &bytes);
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&plain_topic(), 0);
    assert_eq!(log.ends().log_end, Offset::new(3));
    let third = read_from(&*log, Offset::new(2), 1 << 20).expect("the third can be read");
    assert_eq!(third, [(2, b"third".to_vec())]);
}

#[test]
fn bytes_lost_below_the_watermark_are_missed_and_not_given_again() {
    let vfs = written(BIG, true);
    let bytes = bytes_of(&vfs, &file(0, "log"));
    set(&vfs, &file(0, "log"), &bytes[..bytes.len() / 12 * 8]);
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(life.disk.recovery().labels.get(&Label::H), Some(&1));
    let log = life.open(&plain_topic(), 0);
    assert_eq!(
        log.ends().log_end,
        Offset::new(BATCHES),
        "no offset is given twice"
    );
    let early = read_from(&*log, Offset::new(8), 1 << 20);
    assert!(matches!(early, Err(ReadError::Corrupt(_))), "{early:?}");
    assert_eq!(place(&*log, batch(&[b"next"])), Offset::new(BATCHES));
    life.sync();
    let next = read_from(&*log, Offset::new(BATCHES), 1 << 20).expect("it can be read");
    assert_eq!(next, [(BATCHES, b"next".to_vec())]);
}

#[test]
fn a_directory_that_is_gone_is_offline_and_not_empty() {
    let vfs = written(BIG, true);
    crate::maintenance::remove_tree(&vfs, &partition_dir()).expect("it is removed");
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(life.disk.recovery().labels.get(&Label::U), Some(&1));
    let opened = life.disk.store.open(&plain_topic(), 0);
    assert!(
        matches!(opened, Err(storage::OpenError::Missing { .. })),
        "{opened:?}"
    );
    now(life.disk.store.create(&plain_topic(), 0..1)).expect("nothing to make");
    let opened = life.disk.store.open(&plain_topic(), 0);
    assert!(
        matches!(opened, Err(storage::OpenError::Missing { .. })),
        "{opened:?}"
    );
}

#[test]
fn a_clean_mark_is_believed_only_for_files_as_they_were() {
    let original = written(SMALL, true);
    start(&original, Durability::Fsync)
        .disk
        .close()
        .expect("a clean end");
    let listing = crate::listing::list(&original, &partition_dir()).expect("listed");
    let last = listing
        .expect("it is there")
        .logs
        .last()
        .copied()
        .expect("a segment");
    let newest = file(last.base.get(), "log");
    let whole = bytes_of(&original, &newest);
    for bytes in [
        &whole[..whole.len() - 7],
        &[],
        &[&whole[..], b"tail"].concat(),
    ] {
        let vfs = original.fork();
        set(&vfs, &newest, bytes);
        let life = start(&vfs, Durability::Fsync);
        assert!(life.disk.recovery().was_clean, "the mark is there");
        let log = life.open(&plain_topic(), 0);
        assert_eq!(
            place(&*log, batch(&[b"next"])),
            Offset::new(BATCHES),
            "{}",
            bytes.len()
        );
        life.sync();
        let next = read_from(&*log, Offset::new(BATCHES), 1 << 20).expect("it can be read");
        assert_eq!(next, [(BATCHES, b"next".to_vec())]);
        if bytes.len() < whole.len() {
            assert_eq!(
                bytes_of(&vfs, &newest),
                bytes,
                "nothing is written behind a hole"
            );
        }
    }
}

#[test]
fn every_state_of_an_interrupted_roll_is_one_log() {
    let original = written(SMALL, false);
    let listing = crate::listing::list(&original, &partition_dir()).expect("listed");
    let logs = listing.expect("it is there").logs;
    assert!(logs.len() > 3, "the log rolled");
    let last = logs.last().copied().expect("a segment");
    type Edit = fn(&SimVfs, i64);
    let states: [(&str, Edit, i64); 5] = [
        (
            "the new segment is empty",
            |vfs, base| set(vfs, &file(base, "log"), &[]),
            0,
        ),
        (
            "its index is missing",
            |vfs, base| vfs.remove_file(&file(base, "index")).expect("removed"),
            1,
        ),
        (
            "its log is missing",
            |vfs, base| vfs.remove_file(&file(base, "log")).expect("removed"),
            0,
        ),
        (
            "a replacement was not finished",
            |vfs, base| set(vfs, &file(base, "snapshot.tmp"), b"half"),
            1,
        ),
        (
            "an old file is to go",
            |vfs, base| set(vfs, &file(base, "log.deleted"), b"old"),
            1,
        ),
    ];
    for (what, edit, keeps_last) in states {
        let vfs = original.fork();
        edit(&vfs, last.base.get());
        let end = if keeps_last == 1 {
            BATCHES
        } else {
            last.base.get()
        };
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        assert_eq!(read_all(&*log), expected(0..end), "{what}");
        assert_eq!(place(&*log, batch(&[b"next"])), Offset::new(end), "{what}");
        life.sync();
        assert_eq!(
            read_all(&*log).last(),
            Some(&(end, b"next".to_vec())),
            "{what}"
        );
        let names = vfs.read_dir(&partition_dir()).expect("listed");
        let leftover = names.iter().find(|entry| {
            [".tmp", ".deleted"]
                .iter()
                .any(|suffix| entry.name.ends_with(suffix))
        });
        assert_eq!(leftover, None, "{what}");
    }
}

#[test]
fn a_time_index_that_lost_entries_misleads_nobody() {
    let original = SimVfs::new();
    let life = start(&original, Durability::Fsync);
    let log = life.create(&plain_topic());
    // The largest timestamp comes in the middle.
    for (place_of, timestamp_ms) in (0..).zip([5, 6, 7, 8, 900, 10, 11, 12, 13, 14, 15, 16]) {
        let mut builder = records::BatchBuilder::new(records::Codec::None);
        builder
            .append(timestamp_ms, None, Some(&[1; 80]), &[])
            .expect("a record");
        assert_eq!(
            place(&*log, builder.build().expect("a batch")),
            Offset::new(place_of)
        );
    }
    life.sync();
    life.maintain();
    drop(log);
    life.disk.close().expect("a clean end");
    let time_file = file(0, "timeindex");
    let good = bytes_of(&original, &time_file);
    assert!(good.len() >= 24, "there are entries");
    // After a power cut the journal's word covers the log only; otherwise a hand was at work.
    for (power_cut, kept_bytes) in [(true, 0), (true, 12), (false, 0)] {
        let vfs = original.fork();
        if power_cut {
            drop(start(&vfs, Durability::Fsync));
            vfs.power_cut_with(&vfs::CutPolicy::KeepAll);
        }
        set(&vfs, &time_file, &good[..kept_bytes]);
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        let what = format!("power cut {power_cut}, {kept_bytes} bytes kept");
        let isolation = storage::Isolation::ReadUncommitted;
        let largest = now(log.offset_at(storage::TimeQuery::Largest, isolation));
        let largest = largest.expect("found").map(|found| found.offset);
        assert_eq!(largest, Some(Offset::new(4)), "{what}");
        for (wanted_ms, expected) in [(7, 2), (9, 4), (900, 4)] {
            let query = storage::TimeQuery::AtOrAfter(wanted_ms);
            let found = now(log.offset_at(query, isolation)).expect("found");
            let offset = found.map(|found| found.offset);
            assert_eq!(offset, Some(Offset::new(expected)), "{what}: {wanted_ms}");
        }
    }
}

#[test]
fn after_a_power_cut_no_index_past_the_watermark_is_believed() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let topic = topic("events", 7, 1, 1600);
    let log = life.create(&topic);
    let timed = |timestamp_ms| {
        let mut builder = records::BatchBuilder::new(records::Codec::None);
        builder
            .append(timestamp_ms, None, Some(&[1; 80]), &[])
            .expect("a record");
        builder.build().expect("a batch")
    };
    for timestamp_ms in [5, 6, 7, 8, 900, 10, 11, 12] {
        place(&*log, timed(timestamp_ms));
    }
    life.sync();
    // The journal's word and the indexes so far, which are not synced while the segment grows.
    life.maintain();
    for timestamp_ms in [13, 14, 15, 16] {
        place(&*log, timed(timestamp_ms));
    }
    assert_eq!(log.footprint().segments, 2, "it rolled");
    life.sync();
    drop((log, life));
    vfs.power_cut_with(&vfs::CutPolicy::KeepAll);
    let times = bytes_of(&vfs, &file(0, "timeindex"));
    assert!(times.len() >= 24, "there are entries");
    set(&vfs, &file(0, "timeindex"), &times[..12]);
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&topic, 0);
    let isolation = storage::Isolation::ReadUncommitted;
    let largest = now(log.offset_at(storage::TimeQuery::Largest, isolation));
    let offset = largest.expect("found").map(|found| found.offset);
    assert_eq!(offset, Some(Offset::new(4)));
}

#[test]
fn a_bad_snapshot_is_replaced_by_the_log() {
    let original = SimVfs::new();
    let life = start(&original, Durability::Fsync);
    let log = life.create(&plain_topic());
    for sequence in 0..8 {
        place(&*log, produced(5, 1, sequence, &[b"value"]));
    }
    life.sync();
    drop(log);
    life.disk.close().expect("a clean end");
    let snapshot = file(8, "snapshot");
    let good = bytes_of(&original, &snapshot);
    for flip in [
        None,
        Some(0),
        Some(5),
        Some(10),
        Some(18),
        Some(22),
        Some(40),
        Some(good.len() - 1),
    ] {
        let vfs = original.fork();
        match flip {
            None => vfs.remove_file(&snapshot).expect("it is there"),
            Some(at) => {
                let mut bytes = good.clone();
                bytes[at] ^= 4;
                set(&vfs, &snapshot, &bytes);
            }
        }
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        let retry = append(&*log, produced(5, 1, 7, &[b"value"]));
        assert_eq!(retry.placed(), Ok(Offset::new(7)), "flipped at {flip:?}");
        let gap = append(&*log, produced(5, 1, 9, &[b"value"])).placed();
        assert!(gap.is_err(), "flipped at {flip:?}: {gap:?}");
    }
}

#[test]
fn a_topic_without_its_label_keeps_its_records() {
    for clean in [false, true] {
        let vfs = written(SMALL, true);
        if clean {
            start(&vfs, Durability::Fsync)
                .disk
                .close()
                .expect("a clean end");
        }
        let label = Path::new(DATA_DIR).join("events/topic.meta");
        set(&vfs, &label, b"not a label");
        let life = start(&vfs, Durability::Fsync);
        let listed = now(life.disk.store.topics()).expect("listed");
        assert_eq!(listed.len(), 1, "it is found by its directory");
        assert_eq!(listed[0].partitions, 1);
        let log = life.open(&plain_topic(), 0);
        assert_eq!(
            read_all(&*log),
            expected(0..BATCHES),
            "the metadata's id is taken"
        );
        let listed = now(life.disk.store.topics()).expect("listed");
        assert_eq!(listed[0].id, plain_topic().id, "and written down");
        drop((log, life));
        vfs.process_kill();
        let life = start(&vfs, Durability::Fsync);
        assert_eq!(
            read_all(&*life.open(&plain_topic(), 0)),
            expected(0..BATCHES)
        );
    }
}

#[test]
fn epochs_are_restored_from_the_file_or_from_the_log() {
    let vfs = SimVfs::new();
    let mut epochs = Vec::new();
    for _ in 0..3 {
        let life = start(&vfs, Durability::Fsync);
        let log = match life.disk.store.open(&plain_topic(), 0) {
            Ok(log) => log,
            Err(_) => life.create(&plain_topic()),
        };
        let base = place(&*log, batch(&[b"one"]));
        epochs.push((log.leader_epoch(), base));
        life.sync();
        drop((log, life));
        vfs.process_kill();
    }
    for removed in [false, true] {
        if removed {
            let path = partition_dir().join("leader-epoch-checkpoint");
            set(&vfs, &path, b"not a checkpoint");
        }
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        for pair in epochs.windows(2) {
            let (epoch, next_start) = (pair[0].0, pair[1].1);
            let end = log.epoch_end(epoch).map(|end| end.end);
            assert_eq!(end, Some(next_start), "epoch {epoch}, file bad: {removed}");
        }
        let current = log.epoch_end(log.leader_epoch()).map(|end| end.end);
        assert_eq!(current, Some(Offset::new(3)));
        assert_eq!(log.epoch_end(log.leader_epoch() + 1), None);
    }
}
