//! Damage to the commit file costs what it hits, is told, and is never taken for an end.

use records::Offset;
use vfs::{CutPolicy, DiskError, Fault, Operation, SimVfs, Vfs};

use super::super::contents::read_live;
use super::super::layout::{BLOCK_BYTES, ENTRY_HEAD_BYTES, Entry, HEADS_BYTES, Head};
use super::{an_entry, both, count, path, two_partitions};
use crate::offline::{self, OfflineError};
use crate::recovery::Label;
use crate::tests::harness::{
    DATA_DIR, batch, file, options, place, plain_topic, read_all, read_from, start, topic,
    try_start,
};
use crate::{Durability, OpenDiskError};

#[test]
fn what_stands_behind_a_damaged_entry_is_kept() {
    for (is_in_journal, junk) in [(false, &[][..]), (true, &[]), (false, &[0xa5; 200])] {
        let vfs = SimVfs::new();
        let life = start(&vfs, Durability::Fsync);
        let log = life.create(&plain_topic());
        for value in [b"zero", b"one_", b"two_"] {
            place(&*log, batch(&[value]));
            life.sync();
            if is_in_journal {
                life.maintain();
            }
        }
        drop((log, life));
        vfs.power_cut_with(&CutPolicy::DropAll);
        vfs.damage(
            &path("commit.a"),
            (HEADS_BYTES + ENTRY_HEAD_BYTES + 70) as u64,
            &[9],
        )
        .expect("damaged");
        // What was written behind and never acknowledged.
        let size = batch(&[b"zero"]).len() as u64;
        let written = vfs.open(&file(0, "log"), vfs::OpenMode::ReadWrite);
        let written = written.expect("opens");
        vfs::write_all_at(&*written, junk, 3 * size).expect("room");
        written.sync_data().expect("synced");
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        assert_eq!(log.ends().high_watermark, Offset::new(3), "{junk:?}");
        let rest = read_from(&*log, Offset::new(1), 1 << 20).expect("they are good");
        assert_eq!(rest, [(1, b"one_".to_vec()), (2, b"two_".to_vec())]);
        assert!(read_from(&*log, Offset::ZERO, 1 << 20).is_err(), "lost");
        assert_eq!(place(&*log, batch(&[b"more"])), Offset::new(3));
        assert!(count(&life, Label::X) > 0 && !life.disk.recovery().alarms.is_empty());
    }
}

#[test]
fn the_offset_of_a_damaged_entry_is_not_given_again() {
    let vfs = SimVfs::new();
    let life = two_partitions(&vfs, 2);
    let first = life.open(&topic("events", 7, 2, 1 << 20), 0);
    place(&*first, batch(&[b"more"]));
    life.sync();
    drop((first, life));
    vfs.power_cut_with(&CutPolicy::DropAll);
    // The only record of the second partition, which a later round shows to have been durable.
    let at = HEADS_BYTES + BLOCK_BYTES + ENTRY_HEAD_BYTES;
    vfs.damage(&path("commit.a"), at as u64, &[99])
        .expect("damaged");
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&topic("events", 7, 2, 1 << 20), 1);
    assert_eq!(place(&*log, batch(&[b"next"])), Offset::new(1));
    assert_eq!(count(&life, Label::H), 1, "{:?}", life.disk.recovery());
}

#[test]
fn a_damaged_head_costs_the_others_of_its_round_nothing() {
    let vfs = SimVfs::new();
    let life = two_partitions(&vfs, 1);
    let first = life.open(&topic("events", 7, 2, 1 << 20), 0);
    place(&*first, batch(&[b"more"]));
    life.sync();
    drop((first, life));
    vfs.power_cut_with(&CutPolicy::DropAll);
    vfs.damage(&path("commit.a"), HEADS_BYTES as u64, &[99])
        .expect("damaged");
    let life = start(&vfs, Durability::Fsync);
    let other = life.open(&topic("events", 7, 2, 1 << 20), 1);
    assert_eq!(read_all(&*other), [(0, b"one".to_vec())]);
    let first = life.open(&topic("events", 7, 2, 1 << 20), 0);
    let rest = read_from(&*first, Offset::new(1), 1 << 20).expect("it is good");
    assert_eq!(rest, [(1, b"more".to_vec())]);
}

/// Entries of one byte each under a head, a block each, at these blocks.
fn written(head: Head, blocks: &[usize]) -> Vec<u8> {
    let (_, entry, _) = an_entry();
    let mut bytes = head.encode();
    for (number, block) in blocks.iter().enumerate() {
        let number = u32::try_from(number).expect("few");
        let entry = Entry {
            size_bytes: 1,
            sequence: number,
            round: number,
            ..entry
        };
        let mut whole = vec![0; Entry::total_bytes(1)];
        entry.seal(head.seed(), &mut whole);
        bytes.resize(block * BLOCK_BYTES, 0);
        bytes.extend_from_slice(&whole);
    }
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    bytes
}

fn disk_with(files: [(&str, &[u8]); 2]) -> SimVfs {
    let vfs = SimVfs::new();
    vfs::create_dirs(&vfs, path("").as_path()).expect("made");
    for (name, bytes) in files {
        vfs::replace_durable(&vfs, &path(name), bytes).expect("room");
    }
    vfs
}

#[test]
fn no_hole_is_taken_for_the_end() {
    let (head, ..) = an_entry();
    let vfs = disk_with([
        ("commit.a", &written(head, &[2, 3, 700])),
        ("commit.b", &[]),
    ]);
    let read = || {
        let live = read_live(&vfs, &path(""), |_| true).expect("a good disk");
        let found = &live.generations[0];
        (found.entries.len(), found.damaged, found.is_short)
    };
    assert_eq!(read(), (3, 0, true), "its head says 16 MiB");
    vfs.damage(
        &path("commit.a"),
        (HEADS_BYTES + BLOCK_BYTES) as u64,
        &[0; 8],
    )
    .expect("damaged");
    assert_eq!(read(), (2, 1, true));
}

#[test]
fn of_two_runs_the_newer_counts() {
    let (old, ..) = an_entry();
    let mut new = old;
    new.run.epoch += 1;
    new.generation = 1;
    let (old, new) = (written(old, &[2, 3]), written(new, &[2]));
    for files in [
        [("commit.a", &old[..]), ("commit.b", &new)],
        [("commit.a", &new), ("commit.b", &old)],
    ] {
        let vfs = disk_with(files);
        let live = read_live(&vfs, &path(""), |_| true).expect("a good disk");
        let entries: Vec<_> = live.generations.iter().map(|it| it.entries.len()).collect();
        assert_eq!(entries, [1]);
    }
}

#[test]
fn a_read_that_fails_refuses_the_start_and_loses_nothing() {
    let vfs = SimVfs::new();
    drop(two_partitions(&vfs, 1));
    vfs.power_cut_with(&CutPolicy::DropAll);
    for operation in [Operation::Open, Operation::Read] {
        let fault = Fault::fail(operation, DiskError::Io).on_path_suffix("commit.a");
        vfs.inject(fault.nth(1));
        let Err(refused) = try_start(&vfs, &options(Durability::Fsync)) else {
            panic!("{operation:?}: it starts without what was promised");
        };
        assert!(
            matches!(&refused, OpenDiskError::CommitFile { path, .. } if path.ends_with("commit.a")),
            "{refused:?}"
        );
        assert!(refused.fix().contains("commit.a"), "{}", refused.fix());
        vfs.clear_faults();
    }
    assert_eq!(both(&start(&vfs, Durability::Fsync)), [1, 1]);
}

#[test]
fn nobody_accepts_a_loss_that_a_damaged_journal_or_label_hides() {
    let written = SimVfs::new();
    drop(two_partitions(&written, 1));
    written.power_cut_with(&CutPolicy::DropAll);
    let data_dir = std::path::Path::new(DATA_DIR);
    for lost in ["@ottla/watermarks.1", "events/topic.meta"] {
        let vfs = written.fork();
        vfs.remove_file(&data_dir.join(lost)).expect("it was there");
        let refused = offline::plan_repair(&vfs, data_dir);
        assert!(
            matches!(refused, Err(OfflineError::Unreplayed(_))),
            "{lost}: {refused:?}"
        );
    }
}

#[test]
fn verify_names_damage_in_the_commit_file() {
    let vfs = SimVfs::new();
    drop(two_partitions(&vfs, 2));
    vfs.process_kill();
    vfs.damage(&path("commit.a"), HEADS_BYTES as u64 + 80, &[99])
        .expect("damaged");
    let report = offline::verify(&vfs, std::path::Path::new(DATA_DIR)).expect("read");
    let names = |it: &offline::Problem| it.what.contains("1 damaged entries") && !it.is_loss;
    assert!(report.problems.iter().any(names), "{report:?}");
}
