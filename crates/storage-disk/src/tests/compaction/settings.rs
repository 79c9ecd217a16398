//! When a log is compacted, what of it, and what is left alone.

use std::time::Duration;

use records::{Codec, Offset};
use vfs::{DiskError, Fault, OpenMode, Operation, SimVfs, Vfs};

use super::super::harness::{START_MS, file, partition_dir, read_from};
use super::*;
use crate::compact::checkpoint;

const HOUR_MS: i64 = 3_600_000;

fn record(key: &str, bytes: usize, timestamp_ms: i64) -> Sent {
    Sent {
        key: Some(key.as_bytes().to_vec()),
        value: (bytes > 0).then(|| vec![7; bytes]),
        timestamp_ms,
    }
}

/// Appends batches of one record, each durable and in the journal.
fn fill(life: &Life, meta: &TopicMeta, sent: &[Sent]) -> Arc<dyn Log> {
    let log = life.open(meta, 0);
    for sent in sent {
        place(&*log, build(Codec::None, None, std::slice::from_ref(sent)));
        life.sync();
    }
    settle(life);
    log
}

/// A log of one batch a segment, one key.
fn narrow(vfs: &SimVfs, batches: i64) -> (Life, TopicMeta) {
    let meta = compacted(500);
    let life = start(vfs, Durability::Fsync);
    life.create(&meta);
    let sent: Vec<Sent> = (0..batches)
        .map(|number| record("a", 400, START_MS + number))
        .collect();
    fill(&life, &meta, &sent);
    (life, meta)
}

fn offsets(log: &dyn Log) -> Vec<i64> {
    let seen = model::read(log, 1 << 20, "a read");
    seen.into_iter().map(|(offset, ..)| offset).collect()
}

fn logs(vfs: &SimVfs) -> Vec<String> {
    let entries = vfs.read_dir(&partition_dir()).expect("it is there");
    let names = entries.into_iter().map(|entry| entry.name);
    let names = names.filter(|name| !name.ends_with(".snapshot"));
    names
        .filter(|name| name.contains(".log") || name.contains(".swap"))
        .collect()
}

#[test]
fn the_segment_that_is_written_to_is_left_alone() {
    let vfs = SimVfs::new();
    let (life, meta) = narrow(&vfs, 4);
    let log = life.open(&meta, 0);
    assert!(life.compact());
    // The newest that is not in the active segment, and what is in there.
    assert_eq!(offsets(&*log), [2, 3]);
    assert_eq!(end_of(&*log), Offset::new(4));
    assert!(!life.compact(), "nothing is new");
    // Two that are small become one.
    assert_eq!(log.footprint().segments, 4);
    fill(&life, &meta, &[record("b", 400, START_MS)]);
    assert!(life.compact());
    assert_eq!(offsets(&*log), [3, 4]);
    let names = [
        "00000000000000000000.log",
        "00000000000000000002.log",
        "00000000000000000003.log",
        "00000000000000000004.log",
    ];
    assert_eq!(logs(&vfs), names);
    assert_eq!(log.footprint().segments, 4);
    // A read that begins among what went gets the next that is there.
    let seen = read_from(&*log, Offset::new(1), 1 << 20).expect("readable");
    assert_eq!(seen.first().map(|(offset, _)| *offset), Some(3));
}

#[test]
fn a_share_of_the_log_must_be_new() {
    let vfs = SimVfs::new();
    let (life, mut meta) = narrow(&vfs, 4);
    meta.log_config.compaction.dirty_ratio_min_ppm = 1_000_000;
    life.open(&meta, 0);
    let found = cleanable(&life).expect("all of it is new");
    assert_eq!(found.dirty_bytes, found.total_bytes);
    assert!(!found.is_due, "never more than all");
    meta.log_config.compaction.dirty_ratio_min_ppm = 999_999;
    life.open(&meta, 0);
    assert!(life.compact());
    // One of two segments is new now.
    fill(&life, &meta, &[record("b", 400, START_MS)]);
    let found = cleanable(&life).expect("one is new");
    // Beside two batches without records and one with.
    let one = found.dirty_bytes;
    assert_eq!(found.total_bytes, 2 * one + 2 * 61);
    for (ppm, is_due) in [(500_000, false), (400_000, true)] {
        meta.log_config.compaction.dirty_ratio_min_ppm = ppm;
        life.open(&meta, 0);
        assert_eq!(cleanable(&life).map(|it| it.is_due), Some(is_due), "{ppm}");
    }
}

#[test]
fn young_records_are_left_alone_and_late_ones_are_not() {
    let vfs = SimVfs::new();
    let mut meta = compacted(500);
    meta.log_config.compaction.lag_min = Duration::from_hours(1);
    let life = start(&vfs, Durability::Fsync);
    life.create(&meta);
    let times = [START_MS - 2 * HOUR_MS, START_MS - 30, START_MS, START_MS];
    let sent: Vec<Sent> = times.iter().map(|ms| record("a", 400, *ms)).collect();
    let log = fill(&life, &meta, &sent);
    assert_eq!(cleanable(&life).map(|it| it.end.get()), Some(1));
    // Without a time nobody knows what is young.
    let unknown = disk_log(&life).cleanable(None).expect("it can be asked");
    assert_eq!(unknown, None);
    life.clock.advance(Duration::from_mins(61));
    assert_eq!(cleanable(&life).map(|it| it.end.get()), Some(3));
    // Not enough of it is new, but some has been for too long.
    meta.log_config.compaction.dirty_ratio_min_ppm = 1_000_000;
    meta.log_config.compaction.lag_max = Duration::from_hours(4);
    life.open(&meta, 0);
    assert_eq!(cleanable(&life).map(|it| it.is_due), Some(false));
    life.clock.advance(Duration::from_hours(1));
    assert_eq!(cleanable(&life).map(|it| it.is_due), Some(true));
    assert!(life.compact());
    assert_eq!(offsets(&*log), [2, 3]);
}

#[test]
fn the_active_segment_rolls_once_its_records_may_not_wait_longer() {
    let vfs = SimVfs::new();
    let mut meta = compacted(100_000);
    meta.log_config.compaction.lag_max = Duration::from_hours(1);
    let life = start(&vfs, Durability::Fsync);
    life.create(&meta);
    let log = fill(&life, &meta, &[record("a", 10, START_MS)]);
    life.clock.advance(Duration::from_mins(61));
    fill(&life, &meta, &[record("a", 10, START_MS)]);
    assert_eq!(log.footprint().segments, 2);
}

#[test]
fn nothing_is_compacted_before_the_journal_names_a_later_segment() {
    let vfs = SimVfs::new();
    let meta = compacted(500);
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&meta);
    for number in 0..4 {
        let sent = record("a", 400, START_MS + number);
        place(&*log, build(Codec::None, None, &[sent]));
    }
    life.sync();
    life.turn();
    assert_eq!(cleanable(&life), None);
    life.maintain();
    assert_eq!(cleanable(&life).map(|it| it.end.get()), Some(3));
}

/// A start after a crash would write the old batches over the new ones.
#[test]
fn nothing_is_compacted_that_the_commit_file_would_write_to() {
    let vfs = SimVfs::new();
    let meta = compacted(500);
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&meta);
    for number in 0..4 {
        let sent = record("a", 400, START_MS + number);
        place(&*log, build(Codec::None, None, &[sent]));
        life.sync();
        if number == 1 {
            let sent = record("b", 20, START_MS);
            place(&*log, build(Codec::None, None, &[sent]));
            life.sync();
        }
    }
    life.maintain();
    let named = cleanable(&life).map_or(0, |it| it.end.get());
    life.compact();
    drop((log, life));
    vfs.power_cut_with(&CutPolicy::DropAll);
    let life = start(&vfs, Durability::Fsync);
    let report = life.disk.recovery();
    assert!(report.alarms.is_empty(), "{:?}", report.alarms);
    life.open(&meta, 0);
    settle(&life);
    let free = cleanable(&life).map_or(0, |it| it.end.get());
    assert!(named < free, "{named} of {free} with the commit file");
}

/// A recovery reads from where the journal says that the log was durable, by bytes of that segment.
#[test]
fn nothing_is_compacted_that_a_recovery_would_read() {
    let vfs = SimVfs::new();
    let meta = compacted(500);
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&meta);
    for number in 0..4 {
        let sent = record("a", 400, START_MS + number);
        place(&*log, build(Codec::None, None, &[sent]));
    }
    // The journal finds no room. Where its bound was left out another one held compaction back here.
    let full = Fault::fail(Operation::Write, DiskError::NoSpace).on_path_suffix("watermarks.1");
    vfs.inject(full.nth_and_later(1));
    settle(&life);
    assert!(vfs.faults_fired() > 0);
    assert_eq!(cleanable(&life), None);
    vfs.clear_faults();
    place(
        &*log,
        build(Codec::None, None, &[record("a", 400, START_MS)]),
    );
    settle(&life);
    assert!(cleanable(&life).is_some(), "now the journal says so");
}

#[test]
fn a_policy_takes_effect_at_once_and_ends_at_once() {
    let vfs = SimVfs::new();
    let (life, mut meta) = narrow(&vfs, 4);
    meta.log_config.compacts = false;
    let log = life.open(&meta, 0);
    assert!(!life.compact());
    assert_eq!(offsets(&*log), [0, 1, 2, 3]);
    meta.log_config.compacts = true;
    life.open(&meta, 0);
    assert!(life.compact());
    assert_eq!(offsets(&*log), [2, 3]);
}

/// The largest timestamp is that of what is left, and what went still counts for the age of a segment.
#[test]
fn a_compacted_log_goes_by_its_age_too() {
    let vfs = SimVfs::new();
    let (life, mut meta) = narrow(&vfs, 4);
    assert!(life.compact());
    fill(&life, &meta, &[record("a", 400, START_MS + 4)]);
    assert!(life.compact());
    let log = life.open(&meta, 0);
    assert_eq!(offsets(&*log), [3, 4]);
    meta.log_config.deletes = true;
    meta.log_config.retention = Some(Duration::from_hours(1));
    life.open(&meta, 0);
    life.retain();
    assert_eq!(offsets(&*log), [3, 4]);
    life.clock.advance(Duration::from_hours(2));
    life.retain();
    life.maintain();
    assert_eq!(offsets(&*log), Vec::<i64>::new());
    assert_eq!(end_of(&*log), Offset::new(5));
}

/// Compaction leaves what cannot be read as it is, and does not bring back what was deleted.
#[test]
fn damage_is_not_written_anew_and_brings_nothing_back() {
    let vfs = SimVfs::new();
    let mut meta = compacted(500);
    meta.log_config.compaction.delete_retention = Duration::ZERO;
    let life = start(&vfs, Durability::Fsync);
    life.create(&meta);
    let sent = [
        record("deleted", 400, START_MS),
        record("a", 400, START_MS),
        record("deleted", 0, START_MS),
        record("a", 400, START_MS),
        record("b", 400, START_MS),
    ];
    let log = fill(&life, &meta, &sent);
    // One bit of the value that the tombstone deletes.
    let path = file(0, "log");
    let damaged = vfs.open(&path, OpenMode::ReadWrite).expect("it is there");
    let mut byte = [0];
    vfs::read_exact_at(&*damaged, &mut byte, 200).expect("it is that long");
    damaged.write_at(&[byte[0] ^ 1], 200).expect("written");
    let before = vfs::read_whole(&vfs, &path, 1 << 20).expect("readable");
    assert!(life.compact());
    assert_eq!(
        vfs::read_whole(&vfs, &path, 1 << 20).expect("readable"),
        before
    );
    let findings = life.disk.shared.context.tally.findings();
    assert_eq!(findings.compaction.failures, 1);
    assert_eq!(findings.quarantined_ranges, 1);
    assert!(!life.compact(), "it is not tried again at once");
    // The tombstone is there, however late it is.
    for number in 0..3 {
        life.clock.advance(Duration::from_hours(1));
        fill(&life, &meta, &[record("c", 400, START_MS + number)]);
        life.compact();
    }
    let tombstone = model_from(&*log, 1).into_iter();
    let tombstone = tombstone.filter(|(_, sent, _)| sent.value.is_none());
    assert_eq!(tombstone.count(), 1);
}

fn model_from(log: &dyn Log, from: i64) -> Vec<model::Seen> {
    let trimmed = now(log.trim(Offset::new(from)));
    assert_eq!(trimmed, Ok(Offset::new(from)));
    model::read(log, 1 << 20, "a read")
}

#[test]
fn more_keys_than_there_is_room_for_take_more_passes() {
    let vfs = SimVfs::new();
    let mut options = super::super::harness::options(Durability::Fsync);
    // Three quarters of it are ten slots, of which eight are filled.
    options.compaction.dedupe_bytes = 320;
    let meta = compacted(700);
    let life =
        super::super::harness::try_start(&vfs, &options).unwrap_or_else(|_| panic!("a start"));
    life.create(&meta);
    let mut model = Model::default();
    let sent: Vec<Sent> = (0_i64..60)
        .map(|number| record(&format!("key-{}", number * 7 % 20), 60, START_MS + number))
        .collect();
    for sent in &sent {
        model.append(None, std::slice::from_ref(sent));
    }
    let log = fill(&life, &meta, &sent);
    let mut passes = 0;
    while let Some(pass) = due(&life, &meta) {
        assert!(life.compact());
        let next = cleanable(&life).map_or(pass.end, |it| it.first_dirty.get());
        assert!(next > pass.first_dirty, "each goes further");
        passes += 1;
        assert!(passes < 60, "it comes to an end");
    }
    assert!(passes > 3, "{passes} passes");
    // The newest of each key is there, and each that is there is what was sent.
    let seen = model::read(&*log, 1 << 20, "a read");
    let all = model.view();
    assert!(seen.iter().all(|it| all.contains(it)));
    for number in 0..20 {
        let key = format!("key-{number}").into_bytes();
        let of_key = |it: &&model::Seen| it.1.key.as_ref() == Some(&key);
        let newest = all.iter().rev().find(of_key);
        assert_eq!(seen.iter().rev().find(of_key), newest, "{number}");
    }
    assert!(seen.len() < all.len());
}

#[test]
fn how_far_it_is_outlives_the_process() {
    let vfs = SimVfs::new();
    let (life, meta) = narrow(&vfs, 4);
    assert!(life.compact());
    let id = disk_log(&life).id();
    let known = checkpoint::read(&vfs, &partition_dir(), id);
    assert_eq!(known, Some(Offset::new(3)));
    life.disk.close().expect("a clean end");
    let life = start(&vfs, Durability::Fsync);
    life.open(&meta, 0);
    assert_eq!(cleanable(&life), None);
    fill(&life, &meta, &[record("a", 400, START_MS)]);
    assert_eq!(cleanable(&life).map(|it| it.first_dirty.get()), Some(3));
    drop(life);
    // Without it, everything is new.
    vfs.remove_file(&partition_dir().join(checkpoint::CHECKPOINT_FILE))
        .expect("it is there");
    vfs.process_kill();
    let life = start(&vfs, Durability::Fsync);
    life.open(&meta, 0);
    assert_eq!(cleanable(&life).map(|it| it.first_dirty.get()), Some(0));
}

#[test]
fn a_full_disk_leaves_everything_as_it_is() {
    let vfs = SimVfs::new();
    let (life, meta) = narrow(&vfs, 4);
    let log = life.open(&meta, 0);
    vfs.set_space_limit(Some(vfs.used_bytes()));
    life.compact();
    assert_eq!(offsets(&*log), [0, 1, 2, 3]);
    assert!(!logs(&vfs).iter().any(|name| name.ends_with(".cleaned")));
    vfs.set_space_limit(None);
    fill(&life, &meta, &[record("a", 400, START_MS)]);
    assert!(life.compact());
    assert_eq!(offsets(&*log), [3, 4]);
}
