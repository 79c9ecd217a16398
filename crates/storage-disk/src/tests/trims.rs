//! Moving the start of a log: which files go, when, and what is still known of what went.

use std::path::Path;
use std::time::Duration;

use records::Offset;
use storage::{Isolation, Log, LogStore, ReadError, ReadLimit, TrimError};
use vfs::{CutPolicy, OpenMode, SimVfs, Vfs};

use super::harness::{
    DATA_DIR, Life, append, batch, now, options, partition_dir, place, plain_topic, produced,
    read_all, start, topic, try_start,
};
use crate::Durability;

const VALUE: [u8; 400] = [7; 400];

/// Names in the directory of the partition, sorted.
fn names(vfs: &SimVfs) -> Vec<String> {
    let entries = vfs.read_dir(&partition_dir()).expect("it is there");
    let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

/// Base offsets of segments, by their logs.
fn bases(vfs: &SimVfs) -> Vec<i64> {
    let logs = names(vfs).into_iter();
    let logs = logs.filter_map(|name| name.strip_suffix(".log").map(str::to_owned));
    logs.map(|digits| digits.parse().expect("digits")).collect()
}

fn trim(log: &dyn Log, new_start: i64) -> Result<i64, TrimError> {
    now(log.trim(Offset::new(new_start))).map(Offset::get)
}

/// A log of one batch a segment.
fn narrow() -> storage::TopicMeta {
    topic("events", 7, 1, 500)
}

fn filled(life: &Life, batches: usize) -> std::sync::Arc<dyn Log> {
    let log = life.create(&narrow());
    for _ in 0..batches {
        place(&*log, batch(&[&VALUE]));
    }
    life.sync();
    life.maintain();
    log
}

#[test]
fn whole_segments_before_the_start_go_with_all_their_files() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = filled(&life, 6);
    assert_eq!(bases(&vfs), [0, 1, 2, 3, 4, 5]);
    assert_eq!(trim(&*log, 3), Ok(3));
    assert_eq!(bases(&vfs), [0, 1, 2, 3, 4, 5], "files go at the upkeep");
    life.maintain();
    assert_eq!(bases(&vfs), [3, 4, 5]);
    let old = |name: &String| {
        let base = name
            .split('.')
            .next()
            .and_then(|digits| digits.parse().ok());
        base.is_some_and(|base: i64| base < 3) && !name.ends_with(".snapshot")
    };
    assert_eq!(names(&vfs).iter().find(|name| old(name)), None);
    assert_eq!(log.footprint().segments, 3);
    assert_eq!(read_all(&*log).len(), 3);
}

#[test]
fn the_segment_that_is_written_to_stays() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = filled(&life, 3);
    assert_eq!(trim(&*log, 3), Ok(3));
    life.maintain();
    assert_eq!(bases(&vfs), [2]);
    assert_eq!(place(&*log, batch(&[&VALUE])), Offset::new(3));
}

#[test]
fn removed_files_wait_for_their_delay() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = filled(&life, 3);
    let mut meta = narrow();
    meta.log_config.file_delete_delay = Duration::from_mins(2);
    life.open(&meta, 0);
    assert_eq!(trim(&*log, 2), Ok(2));
    life.maintain();
    let gone = |vfs: &SimVfs| {
        let names = names(vfs).into_iter();
        names.filter(|name| name.ends_with(".log.deleted")).count()
    };
    assert_eq!((bases(&vfs), gone(&vfs)), (vec![2], 2));
    life.clock.advance(Duration::from_secs(119));
    life.maintain();
    assert_eq!(gone(&vfs), 2);
    life.clock.advance(Duration::from_secs(1));
    life.maintain();
    assert_eq!(gone(&vfs), 0);
}

#[test]
fn a_clean_end_leaves_nothing_that_goes() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = filled(&life, 3);
    let mut meta = narrow();
    meta.log_config.file_delete_delay = Duration::from_hours(1);
    life.open(&meta, 0);
    assert_eq!(trim(&*log, 2), Ok(2));
    drop(log);
    life.disk.close().expect("a clean end");
    let left = names(&vfs)
        .into_iter()
        .filter(|name| name.ends_with(".deleted"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(bases(&vfs), [2]);
}

/// A reader that has a range of a file goes on after the file has gone.
#[test]
fn a_reader_inside_a_segment_is_not_broken() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    let value = vec![3; 300 * 1024];
    for _ in 0..2 {
        place(&*log, batch(&[&value]));
    }
    life.sync();
    let limit = ReadLimit {
        bytes_max: 1 << 20,
        at_least_one_batch: true,
    };
    let slice = now(log.read(Offset::ZERO, limit, Isolation::ReadUncommitted)).expect("readable");
    assert!(matches!(slice.chunks[..], [storage::Chunk::File { .. }]));
    let before = storage::conformance::bytes_of(&slice);
    let mut meta = plain_topic();
    meta.log_config.segment_bytes = 500_000;
    life.open(&meta, 0);
    place(&*log, batch(&[b"in the next segment"]));
    life.sync();
    assert_eq!(trim(&*log, 3), Ok(3));
    life.maintain();
    assert_eq!(bases(&vfs), [2]);
    assert_eq!(storage::conformance::bytes_of(&slice), before);
}

/// What a producer wrote is known after a cut, though the snapshot that says it came late.
#[test]
fn no_segment_goes_before_its_producers_are_kept() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&narrow());
    place(&*log, produced(9, 0, 0, &[&VALUE]));
    place(&*log, batch(&[&VALUE]));
    place(&*log, batch(&[&VALUE]));
    life.sync();
    // Nobody wrote a snapshot yet.
    drop((log, life));
    vfs.process_kill();
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&narrow(), 0);
    assert_eq!(trim(&*log, 3), Ok(3));
    // Not synced: a snapshot behind it cannot be written.
    place(&*log, batch(&[&VALUE]));
    life.maintain();
    drop((log, life));
    vfs.power_cut_with(&CutPolicy::KeepAll);
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&narrow(), 0);
    let retry = append(&*log, produced(9, 0, 0, &[&VALUE])).placed();
    assert_eq!(retry, Ok(Offset::ZERO), "the retry is recognised");
}

/// The segment behind has a name that a power cut may take: then the log would have none at all.
#[test]
fn no_segment_goes_before_the_next_one_has_its_name() {
    let mut cuts = 0;
    for changes in 0..30 {
        let vfs = SimVfs::new();
        let life = start(&vfs, Durability::Fsync);
        let log = filled(&life, 1);
        // The roll is not synced; upkeep takes what it can.
        place(&*log, batch(&[&VALUE]));
        assert_eq!(trim(&*log, 1), Ok(1));
        vfs.stop_after(changes);
        life.maintain();
        drop((log, life));
        for (at, pending) in vfs.describe_pending().iter().enumerate() {
            let kept = vfs.fork();
            kept.power_cut_with(&CutPolicy::KeepOne(at));
            let life = start(&kept, Durability::Fsync);
            let alarms = &life.disk.recovery().alarms;
            assert_eq!(alarms, &Vec::<String>::new(), "{changes} and {pending}");
            let ends = life.open(&narrow(), 0).ends();
            assert_eq!(ends.log_start, Offset::new(1));
            cuts += 1;
        }
    }
    assert!(cuts > 30, "{cuts} cuts");
}

#[test]
fn in_the_weaker_modes_a_trim_syncs_first() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Os);
    let log = life.create(&narrow());
    for _ in 0..4 {
        place(&*log, batch(&[&VALUE]));
    }
    assert_eq!(trim(&*log, 4), Ok(4));
    life.maintain();
    drop((log, life));
    vfs.power_cut_with(&CutPolicy::DropAll);
    let life = start(&vfs, Durability::Os);
    let log = life.open(&narrow(), 0);
    let ends = log.ends();
    assert_eq!(
        (ends.log_start, ends.log_end),
        (Offset::new(4), Offset::new(4))
    );
}

#[test]
fn a_trim_without_room_for_the_journal_changes_nothing() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = filled(&life, 3);
    vfs.set_space_limit(Some(vfs.used_bytes()));
    assert!(trim(&*log, 2).is_err());
    assert_eq!(log.ends().log_start, Offset::ZERO);
    assert_eq!(read_all(&*log).len(), 3);
    vfs.set_space_limit(None);
    assert_eq!(trim(&*log, 2), Ok(2));
}

/// A power cut may keep what stood beside a segment and not the segment.
#[test]
fn what_stood_beside_a_removed_segment_goes_at_the_next_start() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = filled(&life, 3);
    assert_eq!(trim(&*log, 2), Ok(2));
    life.maintain();
    drop((log, life));
    for extension in ["index", "spans", "timeindex", "quarantine", "log.deleted"] {
        let path = partition_dir().join(format!("{:020}.{extension}", 0));
        let made = vfs.open(&path, OpenMode::ReadWriteCreate).expect("made");
        made.write_at(&[1; 8], 0).expect("written");
    }
    vfs.process_kill();
    let life = start(&vfs, Durability::Fsync);
    let label = crate::Label::R;
    assert_eq!(life.disk.recovery().labels.get(&label), Some(&5));
    assert_eq!(life.disk.recovery().alarms, Vec::<String>::new());
    let old = |name: &String| name.starts_with(&format!("{:020}.", 0));
    assert_eq!(names(&vfs).iter().find(|name| old(name)), None);
    assert_eq!(read_all(&*life.open(&narrow(), 0)).len(), 1);
}

#[test]
fn a_closed_directory_is_not_trimmed() {
    let vfs = SimVfs::new();
    let life =
        try_start(&vfs, &options(Durability::Fsync)).unwrap_or_else(|_| panic!("{DATA_DIR}"));
    let log = filled(&life, 3);
    life.disk.close().expect("a clean end");
    assert!(matches!(trim(&*log, 2), Err(TrimError::Storage(_))));
    drop(log);
    let life = start(&vfs, Durability::Fsync);
    assert!(life.disk.recovery().was_clean);
    assert_eq!(life.open(&narrow(), 0).ends().log_start, Offset::ZERO);
}

#[test]
fn a_removed_log_is_not_trimmed() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = filled(&life, 3);
    now(life.disk.store.remove(&narrow())).expect("removed");
    assert!(matches!(trim(&*log, 2), Err(TrimError::Storage(_))));
    let read = now(log.read(
        Offset::ZERO,
        ReadLimit {
            bytes_max: 1,
            at_least_one_batch: true,
        },
        Isolation::ReadUncommitted,
    ));
    assert!(matches!(read, Err(ReadError::Storage(_))));
    assert!(!Path::new(DATA_DIR).join("events").exists());
}
