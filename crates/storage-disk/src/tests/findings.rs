//! What a store says about damage: to whom it counts, from when on, and until when.

use std::collections::BTreeMap;

use records::Offset;
use storage::{Findings, LogStore, ReadError};
use vfs::{OpenMode, SimVfs, Vfs};

use super::harness::{Life, batch, file, now, place, plain_topic, read_from, start};
use super::quarantine::{BATCHES, RECORD, accept, damage, lost, written};
use crate::Durability;
use crate::position::Position;
use crate::quarantine::{Entry, List, Quarantine};
use crate::recovery::Label;

const ZEROS: usize = 5000;

fn add_zeros(vfs: &SimVfs) {
    let path = file(0, "log");
    let size = vfs.stat(&path).expect("asked").expect("there").size_bytes;
    let log = vfs.open(&path, OpenMode::ReadWrite).expect("opened");
    vfs::write_all_at(&*log, &[0; ZEROS], size).expect("written");
}

fn read(life: &Life, from: i64) -> Result<usize, ReadError> {
    let log = life.open(&plain_topic(), 0);
    read_from(&*log, Offset::new(from), 200).map(|seen| seen.len())
}

/// The labels that occurred.
fn met(findings: &Findings) -> BTreeMap<char, u64> {
    let mut met = findings.recovered.clone();
    met.retain(|_, count| *count > 0);
    met
}

#[test]
fn what_is_lost_counts_from_the_first_use_until_it_is_accepted_or_removed() {
    let vfs = written(1 << 20);
    damage(&vfs, 4, RECORD);
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(lost(&life), (0, 0), "nobody looked yet");
    read(&life, 4).expect_err("damaged");
    assert_eq!(lost(&life), (1, 1), "a read found it");
    read(&life, 4).expect_err("damaged");
    assert_eq!(lost(&life), (1, 1), "it counts once");
    life.disk.close().expect("a clean end");

    let life = start(&vfs, Durability::Fsync);
    assert_eq!(lost(&life), (0, 0), "after a clean end nothing is opened");
    read(&life, 5).expect("good behind it");
    assert_eq!(lost(&life), (1, 1), "the first use reads the list");
    drop(life);
    vfs.process_kill();

    let accepted = vfs.fork();
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(lost(&life), (1, 1), "a recovery reads the list");
    now(life.disk.store.remove(&plain_topic())).expect("removed");
    assert_eq!(lost(&life), (0, 0), "its topic is removed");

    accept(&accepted, 0);
    let life = start(&accepted, Durability::Fsync);
    read(&life, 4).expect("accepted");
    assert_eq!(lost(&life), (0, 0), "accepted");
}

#[test]
fn a_recovery_counts_at_the_start_and_at_a_first_use() {
    for (what, clean) in [("a start", false), ("a first use", true)] {
        let vfs = written(1 << 20);
        if !clean {
            drop(start(&vfs, Durability::Fsync));
            vfs.process_kill();
        }
        add_zeros(&vfs);
        let life = start(&vfs, Durability::Fsync);
        let labels = || life.disk.store.findings().recovered;
        assert_eq!(labels().len(), Label::ALL.len(), "{what}: all labels");
        assert_eq!(labels().get(&'E'), Some(&u64::from(!clean)), "{what}");
        let seen = read(&life, 0).expect("all is good");
        assert_eq!(i64::try_from(seen), Ok(BATCHES), "{what}");
        let findings = life.disk.store.findings();
        assert_eq!(findings.cut_bytes, ZEROS as u64, "{what}");
        assert_eq!(met(&findings), BTreeMap::from([('E', 1)]), "{what}");
        assert_eq!(lost(&life), (0, 0), "{what}");
    }
}

#[test]
fn damage_that_a_recovery_finds_counts_at_once() {
    let vfs = written(1 << 20);
    drop(start(&vfs, Durability::Fsync));
    vfs.process_kill();
    // The second half of what was durable is gone.
    let path = file(0, "log");
    let bytes = vfs::read_whole(&vfs, &path, 1 << 20).expect("read");
    let half = vfs.open(&path, OpenMode::ReadWrite).expect("opened");
    let half_size = bytes.len().div_ceil(2);
    half.set_size(half_size as u64).expect("cut");
    let life = start(&vfs, Durability::Fsync);
    let report = life.disk.recovery();
    assert!(!report.alarms.is_empty(), "{report:?}");
    let (ranges, records) = lost(&life);
    assert!(ranges == 1 && records > 1, "{ranges} {records} {report:?}");
    let findings = life.disk.store.findings();
    assert_eq!(findings.recovered.get(&'H'), Some(&1));
    let labels = report.labels.iter();
    let labels = labels.map(|(label, count)| (char::from(label.letter()), *count));
    assert_eq!(met(&findings), labels.collect());
}

#[test]
fn bytes_that_a_recovery_reads_count() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    place(&*life.create(&plain_topic()), batch(&[b"a value"]));
    life.sync();
    drop(life);
    vfs.process_kill();
    let size = vfs.stat(&file(0, "log")).expect("asked").expect("there");
    let findings = start(&vfs, Durability::Fsync).disk.store.findings();
    assert_eq!(findings.scanned_bytes, size.size_bytes);
    assert_eq!(met(&findings).get(&'B'), Some(&1), "{findings:?}");
}

#[test]
fn ranges_that_overlap_count_each_offset_once() {
    let entry = |first, last, accepted| Entry {
        first: Offset::new(first),
        last: Offset::new(last),
        position: Position::ZERO,
        end: Position::ZERO,
        label: Label::J,
        accepted,
    };
    for (what, entries, expected) in [
        ("none", Vec::new(), (0, 0)),
        ("one", vec![entry(5, 9, false)], (1, 5)),
        (
            "apart",
            vec![entry(1, 2, false), entry(5, 9, false)],
            (2, 7),
        ),
        (
            "overlapping",
            vec![entry(1, 6, false), entry(5, 9, false)],
            (2, 9),
        ),
        ("accepted", vec![entry(5, 9, true)], (0, 0)),
        (
            "accepted in part",
            vec![entry(5, 6, true), entry(1, 9, false)],
            (1, 7),
        ),
    ] {
        let mut list = List::default();
        for entry in entries {
            list.add(entry);
        }
        let mut known = Quarantine::default();
        known.set(Offset::ZERO, &list.entries());
        assert_eq!(known.open(), expected, "{what}");
    }
}
