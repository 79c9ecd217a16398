//! Records that cannot be read: they are said to be lost, listed, and stepped over once somebody
//! accepted that. No list hides a good record.

use std::path::Path;

use records::Offset;
use storage::{LogStore, ReadError};
use vfs::{OpenMode, SimVfs, Vfs};

use super::harness::{
    Life, Seen, batch, file, partition_dir, place, plain_topic, read_all, read_from, start, topic,
};
use crate::Durability;
use crate::position::Position;
use crate::quarantine::{Entry, List};
use crate::recovery::Label;

pub(super) const BATCHES: i64 = 12;

fn value_of(offset: i64) -> Vec<u8> {
    format!("value {offset} {}", "z".repeat(60)).into_bytes()
}

fn expected(offsets: impl Iterator<Item = i64>) -> Vec<Seen> {
    offsets.map(|offset| (offset, value_of(offset))).collect()
}

/// A log of one-record batches that ended cleanly.
pub(super) fn written(segment_bytes: u32) -> SimVfs {
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
    drop(log);
    life.disk.close().expect("a clean end");
    vfs
}

/// Changes a byte of the records at an offset, or of the head.
pub(super) fn damage(vfs: &SimVfs, offset: i64, byte: usize) {
    let mut base = 0;
    for candidate in 0..=offset {
        if vfs.stat(&file(candidate, "log")).expect("asked").is_some() {
            base = candidate;
        }
    }
    // Or a head would be repaired.
    vfs.remove_file(&file(base, "spans")).expect("it was there");
    let path = file(base, "log");
    let bytes = vfs::read_whole(vfs, &path, 1 << 20).expect("read");
    let mut at = 0;
    for batch in records::Batches::new(&bytes) {
        let (position, header, _) = batch.expect("good so far");
        if header.base_offset.get() == offset {
            at = position;
            break;
        }
    }
    let value = bytes[at + byte] ^ 0x10;
    vfs.damage(&path, (at + byte) as u64, &[value])
        .expect("damaged");
}

/// What `ottla log repair` does.
pub(super) fn accept(vfs: &SimVfs, base: i64) {
    let mut list = List::read(vfs, &partition_dir(), Offset::new(base));
    assert!(!list.entries().is_empty(), "something is listed");
    list.update(|entry| {
        entry.accepted = true;
        true
    });
    list.write(vfs, &partition_dir(), Offset::new(base))
        .expect("written");
}

fn ranges(vfs: &SimVfs, base: i64) -> Vec<(i64, i64, Label)> {
    let list = List::read(vfs, &partition_dir(), Offset::new(base));
    let entries = list.entries();
    entries
        .iter()
        .map(|entry| (entry.first.get(), entry.last.get(), entry.label))
        .collect()
}

pub(super) const RECORD: usize = 70;
const BASE_OFFSET: usize = 7;
const LENGTH: usize = 9;

#[test]
fn damage_found_by_a_read_is_listed_and_stepped_over_once_accepted() {
    for (what, segment_bytes, byte) in [
        ("a record", 1 << 20, RECORD),
        ("a record, in small segments", 450, RECORD),
        ("a base offset", 1 << 20, BASE_OFFSET),
        ("a length", 1 << 20, LENGTH),
    ] {
        let vfs = written(segment_bytes);
        damage(&vfs, 4, byte);
        let base = if segment_bytes == 450 {
            let below = |base: &i64| vfs.stat(&file(*base, "log")).expect("asked").is_some();
            (0..=4).rev().find(below).expect("a segment")
        } else {
            0
        };
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        for _ in 0..2 {
            match read_from(&*log, Offset::new(4), 200) {
                Err(ReadError::Corrupt(failure)) => {
                    let said = failure.to_string();
                    assert!(
                        said.contains("offsets 4 to 4") && said.contains("(J)"),
                        "{what}: {said}"
                    );
                    assert!(said.contains(".log"), "{what}: {said}");
                }
                read => panic!("{what}: {read:?}"),
            }
        }
        assert_eq!(ranges(&vfs, base), [(4, 4, Label::J)], "{what}");
        assert_eq!(lost(&life), (1, 1), "{what}");
        for from in 5..BATCHES {
            let seen = read_from(&*log, Offset::new(from), 200).expect("good behind it");
            assert_eq!(seen, expected(from..BATCHES), "{what}");
        }
        drop((log, life));
        vfs.process_kill();
        accept(&vfs, base);
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        let rest: Vec<Seen> = expected((0..BATCHES).filter(|offset| *offset != 4));
        assert_eq!(read_all(&*log), rest, "{what}");
        assert_eq!(
            read_from(&*log, Offset::new(4), 200).expect("accepted"),
            expected(5..BATCHES),
            "{what}"
        );
        assert_eq!(lost(&life), (0, 0), "{what}");
    }
}

/// Ranges that cannot be read and that nobody accepted, and offsets in them.
pub(super) fn lost(life: &Life) -> (u64, u64) {
    let findings = life.disk.store.findings();
    (findings.quarantined_ranges, findings.quarantined_records)
}

#[test]
fn a_list_that_lies_hides_nothing() {
    let vfs = written(1 << 20);
    let mut list = List::default();
    list.add(Entry {
        first: Offset::new(2),
        last: Offset::new(9),
        position: Position::new(10),
        end: Position::new(900),
        label: Label::J,
        accepted: true,
    });
    list.write(&vfs, &partition_dir(), Offset::ZERO)
        .expect("written");
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&plain_topic(), 0);
    assert_eq!(read_all(&*log), expected(0..BATCHES));
}

#[test]
fn a_list_in_any_state_costs_nothing_but_the_acceptance() {
    let vfs = written(1 << 20);
    damage(&vfs, 4, RECORD);
    let life = start(&vfs, Durability::Fsync);
    read_from(&*life.open(&plain_topic(), 0), Offset::new(4), 200).expect_err("damaged");
    life.disk.close().expect("a clean end");
    accept(&vfs, 0);
    let path = file(0, "quarantine");
    let good = vfs::read_whole(&vfs, &path, 1 << 20).expect("read");
    for (what, bytes) in [
        ("gone", None),
        ("empty", Some(Vec::new())),
        ("short", Some(good[..good.len() - 1].to_vec())),
        ("zeros", Some(vec![0; good.len()])),
    ] {
        let vfs = vfs.fork();
        set(&vfs, &path, bytes.as_deref());
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        let read = read_from(&*log, Offset::ZERO, 200);
        assert!(matches!(read, Err(ReadError::Corrupt(_))), "{what}");
        assert_eq!(ranges(&vfs, 0), [(4, 4, Label::J)], "{what}: listed anew");
    }
}

fn set(vfs: &SimVfs, path: &Path, bytes: Option<&[u8]>) {
    vfs.remove_file(path).expect("it is there");
    if let Some(bytes) = bytes {
        let file = vfs.open(path, OpenMode::CreateNew).expect("made");
        vfs::write_all_at(&*file, bytes, 0).expect("written");
    }
}

#[test]
fn lost_segments_are_stepped_over_once_accepted() {
    let original = written(450);
    let bases: Vec<i64> = (0..BATCHES)
        .filter(|base| original.stat(&file(*base, "log")).expect("asked").is_some())
        .collect();
    assert!(bases.len() > 3, "{bases:?}");
    for (place, &base) in bases.iter().enumerate() {
        let vfs = original.fork();
        vfs.remove_file(&file(base, "log")).expect("it is there");
        let next = bases.get(place + 1).copied().unwrap_or(BATCHES);
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        let read = read_from(&*log, Offset::new(base), 200);
        assert!(
            matches!(read, Err(ReadError::Corrupt(_))),
            "the segment at {base}: {read:?}"
        );
        assert_eq!(log.ends().log_start, Offset::ZERO);
        assert_eq!(lost(&life).0, 1);
        drop((log, life));
        vfs.process_kill();
        let listing = crate::listing::list(&vfs, &partition_dir());
        for listed in listing.expect("listed").expect("there").quarantines {
            accept(&vfs, listed.get());
        }
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        let rest = expected((0..base).chain(next..BATCHES));
        assert_eq!(read_all_from(&*log), rest, "without the segment at {base}");
        assert_eq!(place_at(&*log), BATCHES, "no offset is given again");
    }
}

fn place_at(log: &dyn storage::Log) -> i64 {
    place(log, batch(&[b"more"])).get()
}

/// As [`read_all`], where the last offsets may be lost.
fn read_all_from(log: &dyn storage::Log) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut next = 0;
    while next < log.ends().high_watermark.get() {
        let limit = storage::ReadLimit {
            bytes_max: 200,
            at_least_one_batch: true,
        };
        let slice = super::harness::now(log.read(
            Offset::new(next),
            limit,
            storage::Isolation::ReadUncommitted,
        ))
        .expect("accepted");
        let bytes = storage::conformance::bytes_of(&slice);
        if bytes.is_empty() {
            break;
        }
        for batch in records::Batches::new(&bytes) {
            let (_, header, _) = batch.expect("whole batches");
            let base = header.base_offset.get();
            seen.push((base, value_of(base)));
            next = header.next_offset().get();
        }
    }
    seen
}
