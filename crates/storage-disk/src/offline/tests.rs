//! Looking from outside at what a broker left.

use std::path::Path;
use std::sync::Arc;

use clock::SimClock;
use records::{BatchBuilder, Codec};
use storage::conformance::run;
use storage::{BytesPermit, Fence, LogConfig, LogStore, TopicId, TopicMeta, TopicName};
use vfs::{OpenMode, SimVfs, Vfs};

use super::{FrameLine, OfflineError, data_dir_above, inspect, plan_repair, verify};
use crate::recovery::Label;
use crate::{DiskOptions, Durability, open};

/// A data directory with one topic of two partitions; all records are in the first, in segments.
fn data_directory() -> SimVfs {
    let vfs = SimVfs::new();
    let options = DiskOptions {
        data_dir: "/data".into(),
        durability: Durability::Fsync,
        min_free_bytes: 0,
        scrub_bytes_per_second: 0,
        compaction: crate::CompactionOptions::default(),
        retention_check_interval: std::time::Duration::from_secs(10),
        open_files_max: 8,
    };
    let clock = Arc::new(SimClock::starting_at(1_700_000_000_000));
    let disk = open(Arc::new(vfs.clone()), clock, options, Arc::new(|_| {})).expect("it opens");
    let topic = TopicMeta {
        id: TopicId([1; 16]),
        name: TopicName::parse("events").expect("a name"),
        partitions: 2,
        configs: std::collections::BTreeMap::new(),
        log_config: LogConfig {
            segment_bytes: 500,
            index_interval_bytes: 100,
            ..LogConfig::default()
        },
    };
    run(async { disk.store.create(&topic, 0..2).await.expect("made") });
    let log = disk.store.open(&topic, 0).expect("it opens");
    for codec in [
        Codec::None,
        Codec::Lz4,
        Codec::None,
        Codec::Zstd,
        Codec::None,
        Codec::Snappy,
    ] {
        let mut builder = BatchBuilder::new(codec).producer(5, 0, -1);
        builder = if codec == Codec::None {
            BatchBuilder::new(codec)
        } else {
            builder
        };
        for _ in 0..4 {
            builder
                .append(1000, Some(b"key"), Some(&[7; 30]), &[])
                .expect("a record");
        }
        let batch = builder.build().expect("a batch");
        log.append(batch, Fence::default(), BytesPermit::free())
            .placed()
            .expect("placed");
    }
    drop(log);
    disk.close().expect("a clean end");
    vfs
}

fn partition() -> &'static Path {
    Path::new("/data/events/partition0")
}

fn frames(vfs: &SimVfs, path: &Path) -> Vec<FrameLine> {
    let mut frames = Vec::new();
    inspect(vfs, path, &mut |frame| frames.push(frame.clone())).expect("it can be read");
    frames
}

fn damage(vfs: &SimVfs, path: &Path, at: u64) {
    let file = vfs.open(path, OpenMode::ReadWrite).expect("it opens");
    let mut byte = [0];
    vfs::read_exact_at(&*file, &mut byte, at).expect("read");
    vfs::write_all_at(&*file, &[byte[0] ^ 1], at).expect("written");
}

#[test]
fn every_frame_is_shown_in_its_order() {
    let vfs = data_directory();
    let frames = frames(&vfs, partition());
    let offsets: Vec<i64> = frames
        .iter()
        .map(|frame| frame.header.base_offset.get())
        .collect();
    assert_eq!(offsets, [0, 4, 8, 12, 16, 20]);
    assert!(
        frames
            .iter()
            .all(|frame| frame.crc_ok && frame.header.record_count == 4)
    );
    let first = &frames[0];
    assert_eq!(first.position, 0);
    assert_eq!(first.size_bytes, first.header.size_bytes());
    assert!(
        frames.iter().any(|frame| frame.path != first.path),
        "there are segments"
    );
    let one = frames
        .iter()
        .filter(|frame| frame.path == first.path)
        .count();
    assert_eq!(
        self::frames(&vfs, &first.path).len(),
        one,
        "a file alone can be named"
    );
}

#[test]
fn a_good_directory_verifies_and_is_not_touched() {
    let vfs = data_directory();
    let changes = vfs.changes();
    for path in ["/data", "/data/events", "/data/events/partition0"] {
        let report = verify(&vfs, Path::new(path)).expect("it can be read");
        assert!(report.is_good(), "{path}: {report:?}");
        assert_eq!((report.batches, report.records), (6, 24), "{path}");
        assert!(report.segments >= 3, "{path}");
    }
    inspect(&vfs, partition(), &mut |_| {}).expect("it can be read");
    assert_eq!(vfs.changes(), changes, "nothing is written");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_fault_is_named_with_its_file() {
    type Edit = fn(&SimVfs);
    let first = "/data/events/partition0/00000000000000000000";
    let cases: [(&str, Edit, &str, bool); 12] = [
        (
            "a flipped bit",
            |vfs| damage(vfs, &log(0), 70),
            ".log",
            true,
        ),
        (
            // The span proves what stood there.
            "a flipped offset",
            |vfs| damage(vfs, &log(0), 7),
            ".log",
            false,
        ),
        (
            // Only the span knows, and a broker repairs it.
            "a flipped epoch",
            |vfs| damage(vfs, &log(0), 15),
            ".log",
            false,
        ),
        (
            "a bad page of spans",
            |vfs| damage(vfs, &sibling("spans"), 20),
            ".spans",
            false,
        ),
        (
            "a segment that was cut after it was sealed",
            |vfs| cut(vfs, &log(0), 1),
            ".log",
            true,
        ),
        ("a torn tail", |vfs| cut(vfs, &newest(vfs), 9), ".log", true),
        (
            "a bad index entry",
            |vfs| damage(vfs, &sibling("index"), 3),
            ".index",
            false,
        ),
        (
            "an odd index",
            |vfs| cut(vfs, &sibling("index"), 3),
            ".index",
            false,
        ),
        (
            "a missing index",
            |vfs| vfs.remove_file(&sibling("index")).expect("it is there"),
            ".index",
            false,
        ),
        (
            "an odd time index",
            |vfs| cut(vfs, &sibling("timeindex"), 5),
            ".timeindex",
            false,
        ),
        (
            "a bad label",
            |vfs| damage(vfs, Path::new("/data/events/topic.meta"), 9),
            "events",
            false,
        ),
        (
            "a missing partition",
            |vfs| {
                let path = Path::new("/data/events/partition1");
                crate::maintenance::remove_tree(vfs, path).expect("it is there");
            },
            "partition1",
            true,
        ),
    ];
    for (what, edit, suffix, is_loss) in cases {
        let vfs = data_directory();
        edit(&vfs);
        let report = verify(&vfs, Path::new("/data")).expect("it can be read");
        let named = report.problems.iter().find(|problem| {
            problem.path.to_string_lossy().ends_with(suffix) && problem.is_loss == is_loss
        });
        assert!(named.is_some(), "{what}: {report:?} of {first}");
    }
}

#[test]
fn a_damaged_frame_is_shown_with_both_checksums() {
    let vfs = data_directory();
    damage(&vfs, &log(0), 70);
    let frames = frames(&vfs, partition());
    assert_eq!(frames.len(), 6, "the others are shown too");
    assert!(!frames[0].crc_ok && frames[0].crc != frames[0].header.crc);
    assert!(frames.iter().skip(1).all(|frame| frame.crc_ok));
}

#[test]
fn other_paths_are_refused_by_name() {
    let vfs = data_directory();
    let nothing = inspect(&vfs, Path::new("/data/nothing"), &mut |_| {});
    assert!(
        matches!(nothing, Err(OfflineError::NotFound(_))),
        "{nothing:?}"
    );
    let no_log = inspect(&vfs, Path::new("/data/events/topic.meta"), &mut |_| {});
    assert!(matches!(no_log, Err(OfflineError::NoLog(_))), "{no_log:?}");
    let no_log = inspect(&vfs, Path::new("/data"), &mut |_| {});
    assert!(matches!(no_log, Err(OfflineError::NoLog(_))), "{no_log:?}");
}

#[test]
fn each_damage_is_told_once() {
    for (at, is_loss) in [(7, false), (9, false), (15, false), (70, true)] {
        let vfs = data_directory();
        damage(&vfs, &log(0), at);
        let report = verify(&vfs, partition()).expect("it can be read");
        let told: Vec<bool> = report.problems.iter().map(|it| it.is_loss).collect();
        assert_eq!(told, [is_loss], "byte {at}: {:?}", report.problems);
        let plan = plan_repair(&vfs, partition()).expect("looked at");
        let losses = plan.losses.len() + plan.left.len();
        assert_eq!(losses, usize::from(is_loss), "byte {at}: {plan:?}");
    }
}

fn log(base: i64) -> std::path::PathBuf {
    partition().join(format!("{base:020}.log"))
}

fn sibling(extension: &str) -> std::path::PathBuf {
    log(0).with_extension(extension)
}

fn newest(vfs: &SimVfs) -> std::path::PathBuf {
    let listing = crate::listing::list(vfs, partition())
        .expect("listed")
        .expect("there");
    log(listing.logs.last().expect("a segment").base.get())
}

fn cut(vfs: &SimVfs, path: &Path, bytes: u64) {
    let file = vfs.open(path, OpenMode::ReadWrite).expect("it opens");
    let size = file.size_bytes().expect("it has a size");
    file.set_size(size - bytes).expect("it is cut");
}

#[test]
fn a_repair_accepts_what_is_lost_and_touches_no_record() {
    let vfs = data_directory();
    let directory = Path::new("/data/events/partition0");
    let names = vfs.read_dir(directory).expect("listed");
    let logs: Vec<_> = names
        .iter()
        .map(|entry| directory.join(&entry.name))
        .filter(|path| path.extension().is_some_and(|kind| kind == "log"))
        .collect();
    assert!(logs.len() >= 3, "{logs:?}");
    vfs.damage(&logs[0], 70, &[0xEE]).expect("damaged");
    vfs.remove_file(&logs[1]).expect("it is there");
    let bytes = vfs::read_whole(&vfs, &logs[0], 1 << 20).expect("read");
    assert!(plan_repair(&vfs, Path::new("/data/none")).is_err());
    assert_eq!(
        data_dir_above(&vfs, directory).expect("found"),
        Path::new("/data")
    );
    for path in ["/data", "/data/events", "/data/events/partition0"] {
        let plan = plan_repair(&vfs, Path::new(path)).expect("looked at");
        let labels: Vec<Label> = plan.open().map(|loss| loss.label).collect();
        assert_eq!(labels, [Label::J, Label::K], "{path}: {:?}", plan.losses);
        assert_eq!(plan.losses[0].first.get(), 0);
    }
    let before = verify(&vfs, directory).expect("looked at");
    assert!(before.problems.iter().any(|problem| problem.is_loss));
    assert!(before.quarantined.is_empty(), "a plan writes nothing");
    let plan = plan_repair(&vfs, Path::new("/data")).expect("looked at");
    plan.apply(&vfs).expect("accepted");
    let after = verify(&vfs, directory).expect("looked at");
    assert!(
        !after.problems.iter().any(|problem| problem.is_loss),
        "{:?}",
        after.problems
    );
    assert_eq!(after.quarantined.len(), 2);
    let again = plan_repair(&vfs, Path::new("/data")).expect("looked at");
    assert_eq!((again.open().count(), again.losses.len()), (0, 2));
    assert_eq!(
        vfs::read_whole(&vfs, &logs[0], 1 << 20).expect("read"),
        bytes,
        "no record is touched"
    );
}
