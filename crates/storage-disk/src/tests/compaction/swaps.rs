//! What a start makes of an interrupted compaction, and what readers see during one.

use std::sync::atomic::{AtomicBool, Ordering};

use records::{Codec, Offset};
use storage::{Isolation, ReadLimit};
use vfs::{OpenMode, SimVfs, Vfs};

use super::super::harness::{START_MS, file, partition_dir};
use super::*;
use crate::Label;

const SWAP: &str = "00000000000000000000-00000000000000000012.swap";

/// A disk on which a compaction was killed right after the new segment began to count, and what is to
/// be read.
fn interrupted() -> (SimVfs, TopicMeta, Model) {
    for change in 0.. {
        let vfs = SimVfs::new();
        let (life, meta, mut model) = three_segments(&vfs);
        let pass = due(&life, &meta).expect("nearly all of it is new");
        vfs.stop_after(change);
        life.compact();
        drop(life);
        let path = partition_dir().join(SWAP);
        vfs.process_kill();
        if vfs.stat(&path).expect("it can be asked").is_some() {
            model.compact(pass);
            return (vfs, meta, model);
        }
        assert!(change < 100, "it begins to count at some change");
    }
    unreachable!("the loop has no end");
}

fn swap_path() -> std::path::PathBuf {
    partition_dir().join(SWAP)
}

#[test]
fn a_start_finishes_what_counts() {
    let (vfs, meta, model) = interrupted();
    // Whoever looks before a start sees the new segment too.
    check_files(&vfs, "before the start");
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(life.disk.recovery().labels.get(&Label::R), Some(&1));
    assert_eq!(vfs.stat(&swap_path()).expect("asked"), None);
    model.check(&*life.open(&meta, 0), "after it");
}

#[test]
fn a_damaged_one_replaces_nothing() {
    let (vfs, meta, model) = interrupted();
    let damaged = vfs
        .open(&swap_path(), OpenMode::ReadWrite)
        .expect("it is there");
    damaged.write_at(&[0xff; 3], 100).expect("written");
    let life = start(&vfs, Durability::Fsync);
    let alarms = &life.disk.recovery().alarms;
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!(vfs.stat(&swap_path()).expect("asked"), None);
    let seen = model::read(&*life.open(&meta, 0), 1 << 20, "the old segments");
    assert_eq!(seen.len(), usize::try_from(model.end()).expect("few"));
}

#[test]
fn one_that_nobody_could_have_made_replaces_nothing() {
    // (its name, its bytes)
    let empty: (&str, &[u8]) = (SWAP, &[]);
    let past_the_journal = ("00000000000000000000-00000000000000000014.swap", &[][..]);
    for (name, bytes) in [empty, past_the_journal] {
        let vfs = SimVfs::new();
        let (life, meta, model) = three_segments(&vfs);
        drop(life);
        let path = partition_dir().join(name);
        let made = vfs.open(&path, OpenMode::ReadWriteCreate).expect("made");
        vfs::write_all_at(&*made, bytes, 0).expect("written");
        vfs.process_kill();
        let life = start(&vfs, Durability::Fsync);
        assert_eq!(life.disk.recovery().alarms.len(), 1);
        model.check(&*life.open(&meta, 0), name);
    }
}

/// A good row of batches that reaches into what a recovery reads: somebody copied it there.
#[test]
fn one_that_reaches_past_what_the_journal_says_replaces_nothing() {
    let vfs = SimVfs::new();
    let meta = compacted(100_000);
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&meta);
    let sent = Sent {
        key: Some(b"a".to_vec()),
        value: Some(vec![1; 100]),
        timestamp_ms: START_MS,
    };
    let mut model = Model::default();
    for _ in 0..4 {
        place(&*log, build(Codec::None, None, std::slice::from_ref(&sent)));
        model.append(None, std::slice::from_ref(&sent));
    }
    settle(&life);
    drop((log, life));
    let bytes = vfs::read_whole(&vfs, &file(0, "log"), 1 << 20).expect("readable");
    let half = bytes.len() / 2;
    let path = partition_dir().join("00000000000000000000-00000000000000000002.swap");
    let made = vfs.open(&path, OpenMode::ReadWriteCreate).expect("made");
    vfs::write_all_at(&*made, &bytes[..half], 0).expect("written");
    vfs.process_kill();
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(life.disk.recovery().alarms.len(), 1);
    model.check(&*life.open(&meta, 0), "all of it is there");
}

/// A reader that got a range of a file before goes on with it.
#[test]
fn a_reader_inside_a_segment_is_not_broken() {
    let vfs = SimVfs::new();
    let meta = compacted(1_000_000);
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&meta);
    let sent = |value: u8| Sent {
        key: Some(b"a".to_vec()),
        value: Some(vec![value; 400_000]),
        timestamp_ms: START_MS,
    };
    for value in 0..4 {
        place(&*log, build(Codec::None, None, &[sent(value)]));
        life.sync();
    }
    settle(&life);
    let limit = ReadLimit {
        bytes_max: 1 << 20,
        at_least_one_batch: true,
    };
    let slice = now(log.read(Offset::ZERO, limit, Isolation::ReadUncommitted)).expect("readable");
    assert!(matches!(slice.chunks[..], [storage::Chunk::File { .. }]));
    let before = storage::conformance::bytes_of(&slice);
    assert!(life.compact());
    assert_eq!(storage::conformance::bytes_of(&slice), before);
    let seen = model::read(&*log, 1 << 20, "after it");
    let offsets: Vec<i64> = seen.iter().map(|(offset, ..)| *offset).collect();
    assert_eq!(offsets, [1, 2, 3]);
}

/// Readers on threads of their own, with hardly any file or index held open, so that they open them in
/// the middle of a change.
#[test]
fn readers_never_see_a_mix() {
    let vfs = SimVfs::new();
    let mut options = super::super::harness::options(Durability::Fsync);
    options.open_files_max = 1;
    let life =
        super::super::harness::try_start(&vfs, &options).unwrap_or_else(|_| panic!("a start"));
    let mut meta = compacted(1500);
    meta.log_config.compaction.delete_retention = Duration::from_hours(1000);
    let log = life.create(&meta);
    let done = AtomicBool::new(false);
    let rounds = setting("OTTLA_RUNS", 12).clamp(12, 200) * 4;
    std::thread::scope(|scope| {
        for reader in 0..2_u64 {
            let (log, done, life) = (&log, &done, &life);
            scope.spawn(move || {
                let rng = SeededRng::new(reader);
                while !done.load(Ordering::Acquire) {
                    life.disk.shared.context.indexes.clear();
                    life.disk.shared.context.files.sweep();
                    life.disk.shared.context.files.sweep();
                    let end = log.ends().high_watermark.get();
                    let end = u64::try_from(end).expect("offsets begin at 0");
                    if end == 0 {
                        continue;
                    }
                    let from = Offset::new(i64::try_from(rng.next_below(end)).expect("few"));
                    check_read(&**log, from);
                }
            });
        }
        for round in 0..rounds {
            for number in 0..6_u64 {
                let sent = Sent {
                    key: Some(format!("key-{}", (round + number) % 9).into_bytes()),
                    value: Some(vec![u8::try_from(number).expect("small"); 200]),
                    timestamp_ms: START_MS,
                };
                place(&*log, build(Codec::None, None, &[sent]));
            }
            settle(&life);
            life.compact();
        }
        done.store(true, Ordering::Release);
    });
    let findings = life.disk.shared.context.tally.findings();
    assert_eq!(
        (findings.quarantined_ranges, findings.repaired_heads),
        (0, 0)
    );
    assert_eq!(findings.compaction.failures, 0);
    assert!(findings.compaction.passes > rounds / 4, "{findings:?}");
    life.maintain();
    drop(log);
    drop(life);
    vfs.process_kill();
    check_files(&vfs, "at the end");
}

/// Good batches, one behind the other, from the one that holds the offset.
fn check_read(log: &dyn Log, from: Offset) {
    let limit = ReadLimit {
        bytes_max: 2000,
        at_least_one_batch: true,
    };
    let slice = now(log.read(from, limit, Isolation::ReadUncommitted));
    let slice = slice.unwrap_or_else(|error| panic!("at {from}: {error}"));
    let bytes = storage::conformance::bytes_of(&slice);
    let mut next = None;
    for batch in records::Batches::new(&bytes) {
        let (_, header, batch) = batch.expect("whole batches");
        assert!(records::crc_ok(batch), "at {from}");
        let base = header.base_offset;
        assert!(next.is_none_or(|next| next == base), "at {from}: {base}");
        assert!(next.is_some() || base <= from, "at {from}: {base}");
        next = Some(header.next_offset());
    }
    assert!(next.is_some_and(|next| next > from), "at {from}");
}
