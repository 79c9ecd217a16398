//! Which records go by age and size, when, and that no clock deletes what it should not.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock as _;
use records::{BatchBuilder, CheckedBatch, Codec, Offset};
use storage::{Log, LogStore as _, TopicMeta};
use vfs::{CutPolicy, OpenMode, SimVfs, Vfs};

use super::harness::{Life, START_MS, file, partition_dir, place, read_all, start, topic};
use crate::Durability;

const DAY: Duration = Duration::from_hours(24);
const YEARS: Duration = Duration::from_hours(10 * 365 * 24);

/// A log of one batch a segment.
fn meta(retention: Option<Duration>, retention_bytes: Option<u64>) -> TopicMeta {
    let mut meta = topic("events", 7, 1, 500);
    meta.log_config.retention = retention;
    meta.log_config.retention_bytes = retention_bytes;
    meta
}

fn at(timestamp_ms: i64) -> CheckedBatch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .append(timestamp_ms, None, Some(&[7; 400]), &[])
        .expect("a small record");
    builder.build().expect("a small batch")
}

/// A batch for each of so many days before the clock of the test begins.
fn filled(life: &Life, meta: &TopicMeta, days_ago: &[i64]) -> Arc<dyn Log> {
    let log = life.create(meta);
    for days in days_ago {
        place(&*log, at(START_MS - days * 86_400_000));
    }
    life.sync();
    life.maintain();
    log
}

fn started(vfs: &SimVfs) -> Life {
    let life = start(vfs, Durability::Fsync);
    // Nobody knows yet what time it is: an hour has to pass.
    life.retain();
    life.clock.advance(Duration::from_hours(1));
    life
}

fn check(days_ago: &[i64], retention_days: u64, expected: i64) {
    let vfs = SimVfs::new();
    let life = started(&vfs);
    let meta = meta(
        Some(DAY * u32::try_from(retention_days).expect("few")),
        None,
    );
    let log = filled(&life, &meta, days_ago);
    life.retain();
    assert_eq!(log.ends().log_start.get(), expected, "{days_ago:?}");
    life.sync();
    life.maintain();
    life.maintain();
    let kept = usize::try_from(log.ends().log_end.get() - expected).expect("few");
    assert_eq!(log.footprint().segments, kept.max(1), "{days_ago:?}");
    assert_eq!(read_all(&*log).len(), kept);
}

#[test]
fn segments_go_by_the_largest_timestamp_in_them() {
    check(&[9, 8, 7, 6], 10, 0);
    check(&[9, 8, 7, 6], 8, 2);
    check(&[9, 8, 7, 6], 7, 3);
    // The first that is young enough keeps all behind it, as in Kafka.
    check(&[9, 1, 9, 6], 5, 1);
    check(&[1, 9, 9, 9], 5, 0);
}

#[test]
fn the_segment_that_is_written_to_is_rolled_when_it_is_too_old() {
    check(&[9, 8, 7, 6], 5, 4);
    check(&[9], 5, 1);
    let vfs = SimVfs::new();
    let life = started(&vfs);
    let log = filled(&life, &meta(Some(DAY), None), &[9]);
    life.retain();
    assert_eq!(place(&*log, at(START_MS)), Offset::new(1));
    life.sync();
    life.maintain();
    assert_eq!(vfs.stat(&file(0, "log")).expect("a look"), None);
    life.retain();
    assert_eq!(log.ends().log_start, Offset::new(1));
}

#[test]
fn a_timestamp_of_tomorrow_keeps_its_segment() {
    check(&[-1, 9], 5, 0);
}

#[test]
fn records_without_a_timestamp_stay() {
    let vfs = SimVfs::new();
    let life = started(&vfs);
    let log = life.create(&meta(Some(DAY), None));
    place(&*log, at(-1));
    place(&*log, at(START_MS));
    life.sync();
    life.clock.advance(DAY * 9);
    life.retain();
    assert_eq!(log.ends().log_start, Offset::ZERO);
}

/// As in Kafka, what is left is never smaller than the limit.
#[test]
fn segments_go_by_the_size_of_the_log() {
    let size = u64::try_from(at(START_MS).len()).expect("small");
    for (most, expected) in [
        (0, 4),
        (1, 3),
        (size - 1, 3),
        (size, 3),
        (size + 1, 2),
        (2 * size, 2),
        (4 * size - 1, 0),
        (4 * size, 0),
        (u64::MAX, 0),
    ] {
        let vfs = SimVfs::new();
        let life = start(&vfs, Durability::Fsync);
        let log = filled(&life, &meta(None, Some(most)), &[1, 1, 1, 1]);
        // Size needs no clock.
        life.retain();
        assert_eq!(log.ends().log_start.get(), expected, "{most} bytes");
    }
}

#[test]
fn a_policy_without_deletion_keeps_everything() {
    let vfs = SimVfs::new();
    let life = started(&vfs);
    let mut meta = meta(Some(DAY), Some(0));
    meta.log_config.deletes = false;
    let log = filled(&life, &meta, &[9, 8]);
    life.retain();
    assert_eq!(log.ends().log_start, Offset::ZERO);
}

#[test]
fn what_is_not_visible_does_not_go() {
    let vfs = SimVfs::new();
    let life = started(&vfs);
    let log = life.create(&meta(Some(DAY), Some(0)));
    place(&*log, at(0));
    life.retain();
    assert_eq!(log.ends().log_start, Offset::ZERO);
    life.sync();
    life.retain();
    assert_eq!(log.ends().log_start, Offset::new(1));
}

#[test]
fn a_config_that_changes_holds_at_the_next_look() {
    let vfs = SimVfs::new();
    let life = started(&vfs);
    let log = filled(&life, &meta(None, None), &[9, 8, 1]);
    life.retain();
    assert_eq!(log.ends().log_start, Offset::ZERO);
    life.open(&meta(Some(DAY * 5), None), 0);
    life.retain();
    assert_eq!(log.ends().log_start, Offset::new(2));
}

/// A log that nobody uses is looked at too; one that is empty is not even opened.
#[test]
fn idle_logs_expire() {
    let vfs = SimVfs::new();
    let life = started(&vfs);
    drop(filled(&life, &meta(Some(DAY), None), &[9, 8]));
    life.disk.close().expect("a clean end");
    let life = start(&vfs, Durability::Fsync);
    life.open(&meta(Some(DAY), None), 0);
    life.retain();
    let log = life.open(&meta(Some(DAY), None), 0);
    assert_eq!(log.ends().log_start, Offset::new(2));
    life.sync();
    life.maintain();
    life.maintain();
    assert_eq!(log.footprint().segments, 1);
}

#[test]
fn a_clock_that_jumps_deletes_nothing() {
    for back in [false, true] {
        let vfs = SimVfs::new();
        let life = started(&vfs);
        let log = filled(&life, &meta(Some(DAY * 5), None), &[4, 3]);
        life.retain();
        let jump = i64::try_from(YEARS.as_millis()).expect("a few years");
        let jump = if back { -jump } else { jump };
        life.clock.set_wall_ms(life.clock.wall_ms() + jump);
        for _ in 0..59 {
            life.clock.advance(Duration::from_mins(1));
            life.retain();
            assert_eq!(log.ends().log_start, Offset::ZERO);
            assert!(life.disk.store.findings().clock_jumped);
        }
        // Somebody sets it right.
        life.clock.set_wall_ms(life.clock.wall_ms() - jump);
        life.retain();
        assert!(!life.disk.store.findings().clock_jumped);
        assert_eq!(log.ends().log_start, Offset::ZERO);
        // And what is really old goes.
        life.clock.advance(DAY);
        life.retain();
        assert_eq!(log.ends().log_start, Offset::new(1));
    }
}

#[test]
fn a_start_with_a_wrong_clock_deletes_nothing() {
    let vfs = SimVfs::new();
    let life = started(&vfs);
    let log = filled(&life, &meta(Some(DAY * 5), None), &[4, 3]);
    drop(log);
    life.disk.close().expect("a clean end");
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&meta(Some(DAY * 5), None), 0);
    let right = life.clock.wall_ms();
    life.clock
        .set_wall_ms(right + i64::try_from(YEARS.as_millis()).expect("a few years"));
    for _ in 0..59 {
        life.retain();
        life.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(log.ends().log_start, Offset::ZERO);
    life.clock.set_wall_ms(right);
    life.retain();
    life.clock.advance(Duration::from_hours(1));
    life.retain();
    assert_eq!(log.ends().log_start, Offset::ZERO);
}

/// A damaged time index says that a segment is older than its records are.
#[test]
fn no_index_decides_that_records_are_old() {
    let vfs = SimVfs::new();
    let life = started(&vfs);
    let mut meta = meta(Some(DAY * 5), None);
    meta.log_config.segment_bytes = 2_000;
    // The youngest is the first of its segment.
    drop(filled(&life, &meta, &[1, 9, 9, 9, 9, 9]));
    drop(life);
    vfs.power_cut_with(&CutPolicy::KeepAll);
    let path = file(0, "timeindex");
    let index = vfs
        .open(&path, OpenMode::ReadWrite)
        .expect("it was written");
    let size = index.size_bytes().expect("a size");
    for entry in 0..size / 12 {
        let older_ms = i64::try_from(1_000 + entry).expect("few");
        let written = index.write_at(&older_ms.to_be_bytes(), entry * 12);
        written.expect("written");
    }
    let life = started(&vfs);
    let log = life.open(&meta, 0);
    life.retain();
    assert_eq!(log.ends().log_start, Offset::ZERO);
    assert_eq!(read_all(&*log).len(), 6);
}

#[test]
fn what_goes_is_counted_by_its_reason() {
    let vfs = SimVfs::new();
    let life = started(&vfs);
    let size = u64::try_from(at(START_MS).len()).expect("small");
    let log = filled(
        &life,
        &meta(Some(DAY * 5), Some(4 * size)),
        &[9, 8, 1, 1, 1],
    );
    life.retain();
    super::harness::now(log.trim(Offset::new(3))).expect("trimmed");
    let deleted = life.disk.store.findings().deleted;
    let counts: Vec<_> = deleted
        .iter()
        .map(|(reason, deleted)| (*reason, deleted.segments, deleted.size_bytes))
        .collect();
    assert_eq!(
        counts,
        [("age", 1, size), ("request", 1, size), ("size", 1, size)]
    );
    assert!(partition_dir().starts_with("/data"));
}

/// Every moment of a pass, with every outcome of a cut: what is kept is a suffix of what was.
#[test]
fn a_crash_in_a_pass_resumes() {
    for changes in 0..60 {
        let vfs = SimVfs::new();
        let life = started(&vfs);
        let meta = meta(Some(DAY * 5), None);
        drop(filled(&life, &meta, &[9, 8, 7, 6]));
        vfs.stop_after(changes);
        life.retain();
        life.sync();
        life.maintain();
        life.maintain();
        drop(life);
        let count = vfs.pending_items();
        let one = (0..count).flat_map(|at| [CutPolicy::KeepOne(at), CutPolicy::DropOne(at)]);
        for policy in one.chain([CutPolicy::KeepAll, CutPolicy::DropAll]) {
            let vfs = vfs.fork();
            vfs.power_cut_with(&policy);
            let life = started(&vfs);
            assert_eq!(
                life.disk.recovery().alarms,
                Vec::<String>::new(),
                "{changes} {policy:?}"
            );
            let log = life.open(&meta, 0);
            let ends = log.ends();
            assert_eq!(ends.log_end, Offset::new(4), "{changes} {policy:?}");
            assert!(
                [0, 4].contains(&ends.log_start.get()),
                "{changes} {policy:?}"
            );
            life.retain();
            assert_eq!(log.ends().log_start, Offset::new(4));
            assert_eq!(place(&*log, at(START_MS)), Offset::new(4));
            life.sync();
            life.maintain();
            life.maintain();
            assert_eq!(log.footprint().segments, 1);
        }
    }
}
