//! One directory, recovered: the same bytes give the same result twice.

use std::path::Path;

use records::{BatchBuilder, Codec, Offset};
use storage::{PartitionId, TopicId};
use vfs::{OpenMode, SimVfs, Vfs};

use super::{Circumstances, Floor, Label, RecoveryReport, recover};
use crate::log::{Mark, Place};
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::quarantine::List;

const DIRECTORY: &str = "/partition0";
const PARTITION: PartitionId = PartitionId {
    topic: TopicId([7; 16]),
    partition: 0,
};

fn batch(base: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .append(0, None, Some(b"some value"), &[])
        .expect("a record");
    let mut batch = builder.build().expect("a batch");
    batch.place(Offset::new(base), 1);
    batch.as_bytes().to_vec()
}

fn batches(bases: std::ops::Range<i64>) -> Vec<u8> {
    bases.flat_map(batch).collect()
}

/// A directory with these segments.
fn directory(segments: &[(i64, Vec<u8>)]) -> SimVfs {
    let vfs = SimVfs::new();
    vfs.create_dir(Path::new(DIRECTORY)).expect("made");
    for (base, bytes) in segments {
        let path = SegmentFile::Log.path(Path::new(DIRECTORY), Offset::new(*base));
        let file = vfs.open(&path, OpenMode::CreateNew).expect("made");
        vfs::write_all_at(&*file, bytes, 0).expect("written");
    }
    vfs
}

fn known(offset: i64, base: i64, position: usize) -> Floor {
    let end = Mark {
        offset: Offset::new(offset),
        base: Offset::new(base),
        position: Position::ZERO.plus(position),
    };
    Floor::Known { end, epoch: 1 }
}

fn run(vfs: &SimVfs, floor: Floor, same_boot: bool) -> (Option<Place>, RecoveryReport) {
    let circumstances = Circumstances {
        partition: PARTITION,
        floor,
        promises: &[],
        log_start: None,
        same_boot,
        epoch_max: 1,
    };
    let mut report = RecoveryReport::default();
    let place = recover(vfs, Path::new(DIRECTORY), circumstances, &mut report);
    (place.expect("the disk works"), report)
}

fn bytes_below(vfs: &SimVfs) -> Vec<(String, Vec<u8>)> {
    let path = Path::new(DIRECTORY);
    let read = |name: &str| vfs::read_whole(vfs, &path.join(name), 1 << 20).expect("read");
    let entries = vfs.read_dir(path).expect("listed");
    entries
        .into_iter()
        .map(|entry| (entry.name.clone(), read(&entry.name)))
        .collect()
}

struct Case {
    what: &'static str,
    segments: Vec<(i64, Vec<u8>)>,
    floor: Floor,
    same_boot: bool,
    /// Log end and base of the segment with it.
    end: (i64, i64),
    label: Label,
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let size = batch(0).len();
    let torn = |bases: std::ops::Range<i64>| {
        let mut bytes = batches(bases);
        bytes.truncate(bytes.len() - 3);
        bytes
    };
    let case = |what, segments, floor, same_boot, end, label| Case {
        what,
        segments,
        floor,
        same_boot,
        end,
        label,
    };
    vec![
        case(
            "whole",
            vec![(0, batches(0..4))],
            known(2, 0, 2 * size),
            true,
            (4, 0),
            Label::G,
        ),
        case(
            "torn",
            vec![(0, torn(0..4))],
            known(2, 0, 2 * size),
            false,
            (3, 0),
            Label::C,
        ),
        case(
            "no journal",
            vec![(0, batches(0..4))],
            Floor::Unknown,
            true,
            (4, 0),
            Label::Q,
        ),
        case(
            "a new segment behind a lost tail, after a power cut",
            vec![(0, torn(0..4)), (4, batches(4..6))],
            known(2, 0, 2 * size),
            false,
            (3, 0),
            Label::C,
        ),
        case(
            "damage at the end of a segment, on the same boot",
            vec![(0, torn(0..4)), (4, batches(4..6))],
            known(2, 0, 2 * size),
            true,
            (6, 4),
            Label::D,
        ),
        case(
            "a missing segment, on the same boot",
            vec![(0, batches(0..4)), (6, batches(6..8))],
            known(2, 0, 2 * size),
            true,
            (8, 6),
            Label::K,
        ),
        case(
            "a missing segment, after a power cut",
            vec![(0, batches(0..4)), (6, batches(6..8))],
            known(2, 0, 2 * size),
            false,
            (4, 0),
            Label::C,
        ),
        case(
            "two segments with the same offsets",
            vec![(0, batches(0..4)), (2, batches(2..4))],
            known(0, 0, 0),
            true,
            (4, 0),
            Label::M,
        ),
        case(
            "junk in two segments, on the same boot",
            vec![(0, torn(0..4)), (4, vec![0xA5; 300])],
            known(2, 0, 2 * size),
            true,
            (3, 0),
            Label::C,
        ),
        case(
            "an empty directory",
            vec![],
            known(0, 0, 0),
            true,
            (0, 0),
            Label::R,
        ),
        case(
            "all is gone",
            vec![],
            known(7, 4, 100),
            true,
            (7, 7),
            Label::H,
        ),
        case(
            "the segment of the watermark is gone",
            vec![(0, batches(0..4))],
            known(7, 4, 3 * size),
            true,
            (7, 7),
            Label::H,
        ),
        case(
            "an empty newest segment",
            vec![(0, batches(0..4)), (4, vec![])],
            known(0, 0, 0),
            true,
            (4, 4),
            Label::G,
        ),
    ]
}

#[test]
fn each_state_has_its_outcome_twice() {
    for case in cases() {
        let vfs = directory(&case.segments);
        let what = case.what;
        let (place, report) = run(&vfs, case.floor, case.same_boot);
        let end = place.expect("the directory is there").end;
        assert_eq!(
            (end.offset.get(), end.base.get()),
            case.end,
            "{what}: {report:?}"
        );
        assert!(
            report.labels.contains_key(&case.label),
            "{what}: {report:?}"
        );
        let after = bytes_below(&vfs);
        let (again, _) = run(&vfs, case.floor, case.same_boot);
        assert_eq!(
            again.map(|place| place.end),
            Some(end),
            "{what}: the same result twice"
        );
        assert_eq!(
            bytes_below(&vfs),
            after,
            "{what}: the second time changes nothing"
        );
        vfs.power_cut_with(&vfs::CutPolicy::DropAll);
    }
}

/// A batch whose records are not what was written.
fn damaged(base: i64) -> Vec<u8> {
    let mut bytes = batch(base);
    *bytes.last_mut().expect("a batch has bytes") ^= 1;
    bytes
}

/// First and last offset and label of each range, and bytes kept of cuts.
type Noted = (Vec<(i64, i64, Label)>, Vec<Vec<u8>>);

fn noted(vfs: &SimVfs) -> Noted {
    let directory = Path::new(DIRECTORY);
    let listing = crate::listing::list(vfs, directory)
        .expect("listed")
        .expect("it is there");
    let (mut ranges, mut kept) = (Vec::new(), Vec::new());
    for base in listing.quarantines {
        let list = List::read(vfs, directory, base);
        for entry in list.entries() {
            ranges.push((entry.first.get(), entry.last.get(), entry.label));
        }
        kept.extend(list.cuts().iter().map(|(_, bytes)| bytes.clone()));
    }
    (ranges, kept)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_cannot_be_read_is_listed_and_what_is_cut_is_kept() {
    let size = batch(0).len();
    let torn = &batch(3)[..size - 3];
    let junk = vec![0xA5; 300];
    let at = |count: usize| known(2, 0, count * size);
    let all = |parts: &[&[u8]]| parts.concat();
    // What; segments; floor; same boot; log end; alarms; ranges; kept.
    type Row = (
        &'static str,
        Vec<(i64, Vec<u8>)>,
        Floor,
        bool,
        i64,
        usize,
        Noted,
    );
    let rows: Vec<Row> = vec![
        (
            "a kill in the middle of a write",
            vec![(0, all(&[&batches(0..3), torn]))],
            at(2),
            true,
            3,
            0,
            (vec![], vec![torn.to_vec()]),
        ),
        (
            "a kill in the middle of a head",
            vec![(0, all(&[&batches(0..3), &torn[..9]]))],
            at(2),
            true,
            3,
            0,
            (vec![], vec![torn[..9].to_vec()]),
        ),
        (
            "a whole batch of wrong bytes, on the same boot: it may have been acknowledged",
            vec![(0, all(&[&batches(0..3), &damaged(3)]))],
            at(2),
            true,
            4,
            1,
            (vec![(3, 3, Label::D)], vec![]),
        ),
        (
            "two of them",
            vec![(0, all(&[&batches(0..3), &damaged(3), &damaged(4)]))],
            at(2),
            true,
            5,
            1,
            (vec![(3, 3, Label::D), (4, 4, Label::D)], vec![]),
        ),
        (
            "the same after a power cut: it was not synced",
            vec![(0, all(&[&batches(0..3), &damaged(3)]))],
            at(2),
            false,
            3,
            0,
            (vec![], vec![damaged(3)]),
        ),
        (
            "junk, on the same boot: a kill does not leave that",
            vec![(0, all(&[&batches(0..3), &junk]))],
            at(2),
            true,
            3,
            1,
            (vec![], vec![junk.clone()]),
        ),
        (
            "damage and good batches behind it, after a power cut",
            vec![(0, all(&[&batches(0..3), &damaged(3), &batches(4..6)]))],
            at(2),
            false,
            3,
            1,
            (vec![], vec![all(&[&damaged(3), &batches(4..6)])]),
        ),
        (
            "two damaged places and a torn end, on the same boot",
            vec![(
                0,
                all(&[
                    &batches(0..3),
                    &damaged(3),
                    &batches(4..6),
                    &damaged(6),
                    &batch(7),
                    &batch(8)[..40],
                ]),
            )],
            at(2),
            true,
            8,
            1,
            (
                vec![(3, 3, Label::D), (6, 6, Label::D)],
                vec![batch(8)[..40].to_vec()],
            ),
        ),
        (
            "a head that leads nowhere, on the same boot",
            vec![(0, all(&[&batches(0..3), &vec![1; size], &batches(4..6)]))],
            at(2),
            true,
            6,
            1,
            (vec![(3, 3, Label::D)], vec![]),
        ),
        (
            "damage at the end of a segment, and the next goes on",
            vec![(0, all(&[&batches(0..3), torn])), (4, batches(4..6))],
            at(2),
            true,
            6,
            1,
            (vec![(3, 3, Label::D)], vec![]),
        ),
        (
            "a segment behind a cut",
            vec![(0, all(&[&batches(0..3), torn])), (4, batches(4..6))],
            at(2),
            false,
            3,
            2,
            (vec![], vec![torn.to_vec(), batches(4..6)]),
        ),
        (
            "the end of the file before the watermark",
            vec![(0, batches(0..2))],
            known(4, 0, 4 * size),
            true,
            4,
            1,
            (vec![(2, 3, Label::H)], vec![]),
        ),
        (
            "damage before the watermark up to the end of the file",
            vec![(0, all(&[&batches(0..2), &junk[..size]]))],
            known(4, 0, 4 * size),
            true,
            4,
            2,
            (vec![(2, 3, Label::J)], vec![]),
        ),
        (
            "all is gone",
            vec![],
            known(7, 4, 100),
            false,
            7,
            1,
            (vec![(0, 6, Label::H)], vec![]),
        ),
        (
            "offsets between two segments are gone",
            vec![(0, batches(0..4)), (6, batches(6..8))],
            at(2),
            true,
            8,
            1,
            (vec![(4, 5, Label::K)], vec![]),
        ),
        (
            "the same below the watermark, after a power cut",
            vec![(0, batches(0..2)), (6, batches(6..8))],
            known(5, 4, size),
            false,
            8,
            1,
            (vec![(2, 5, Label::K)], vec![]),
        ),
        (
            "two segments, the earlier reaches as far",
            vec![(0, batches(0..4)), (2, batches(2..4))],
            known(0, 0, 0),
            true,
            4,
            1,
            (vec![], vec![]),
        ),
        (
            "two segments, the later reaches further",
            vec![(0, batches(0..4)), (2, batches(2..6))],
            known(0, 0, 0),
            true,
            6,
            1,
            (vec![], vec![batches(2..4)]),
        ),
        (
            "two segments, the later is not good",
            vec![(0, batches(0..4)), (2, junk.clone())],
            known(0, 0, 0),
            true,
            4,
            1,
            (vec![], vec![]),
        ),
    ];
    for (what, segments, floor, same_boot, end, alarms, expected) in rows {
        let vfs = directory(&segments);
        let (place, report) = run(&vfs, floor, same_boot);
        let place = place.expect("the directory is there");
        assert_eq!(place.end.offset.get(), end, "{what}: {report:?}");
        assert_eq!(report.alarms.len(), alarms, "{what}: {report:?}");
        assert_eq!(noted(&vfs), expected, "{what}");
        let after = bytes_below(&vfs);
        run(&vfs, floor, same_boot);
        assert_eq!(bytes_below(&vfs), after, "{what}: nothing changes twice");
    }
}

#[test]
fn a_first_segment_that_is_gone_is_missed() {
    let size = batch(0).len();
    let vfs = directory(&[(4, batches(4..6))]);
    let circumstances = Circumstances {
        partition: PARTITION,
        floor: known(6, 4, 2 * size),
        promises: &[],
        log_start: Some(Offset::new(1)),
        same_boot: true,
        epoch_max: 1,
    };
    let mut report = RecoveryReport::default();
    let place = recover(&vfs, Path::new(DIRECTORY), circumstances, &mut report);
    let place = place.expect("the disk works").expect("it is there");
    assert_eq!(place.log_start, Offset::new(1), "the loss is not hidden");
    assert_eq!(noted(&vfs).0, [(1, 3, Label::K)]);
    assert_eq!(report.alarms.len(), 1, "{report:?}");
}

#[test]
fn what_is_cut_was_kept_before() {
    let size = batch(0).len();
    let original = directory(&[(0, [batches(0..3), vec![0xA5; 300]].concat())]);
    original.sync_dir(Path::new("/")).expect("synced");
    original.sync_dir(Path::new(DIRECTORY)).expect("synced");
    let log = SegmentFile::Log.path(Path::new(DIRECTORY), Offset::ZERO);
    let file = original.open(&log, OpenMode::Read).expect("it is there");
    file.sync_data().expect("synced");
    drop(file);
    for changes in 0..20 {
        let vfs = original.fork();
        let circumstances = Circumstances {
            partition: PARTITION,
            floor: known(2, 0, 2 * size),
            promises: &[],
            log_start: None,
            same_boot: false,
            epoch_max: 1,
        };
        vfs.stop_after(changes);
        let mut report = RecoveryReport::default();
        let _ = recover(&vfs, Path::new(DIRECTORY), circumstances, &mut report);
        vfs.power_cut_with(&vfs::CutPolicy::DropAll);
        let left = vfs.stat(&log).expect("asked").expect("it is there");
        let is_cut = left.size_bytes == batches(0..3).len() as u64;
        let kept = noted(&vfs).1 == [vec![0xA5; 300]];
        assert!(kept || !is_cut, "after {changes} changes");
    }
}

#[test]
fn what_is_accepted_is_durable_afterwards() {
    let vfs = directory(&[(0, batches(0..4))]);
    vfs.sync_dir(Path::new("/")).expect("synced");
    vfs.sync_dir(Path::new(DIRECTORY)).expect("synced");
    let path = SegmentFile::Log.path(Path::new(DIRECTORY), Offset::ZERO);
    assert!(
        vfs.durable_bytes(&path).expect("it is there").is_empty(),
        "only in memory yet"
    );
    run(&vfs, known(0, 0, 0), true);
    assert_eq!(
        vfs.durable_bytes(&path).expect("it is there"),
        batches(0..4)
    );
}

#[test]
fn names_that_were_made_are_durable_afterwards() {
    // The second has no list of what is lost, whose writing syncs the directory too.
    for (floor, base) in [(known(7, 4, 100), 7), (known(0, 0, 0), 0)] {
        let vfs = directory(&[]);
        vfs.sync_dir(Path::new("/")).expect("synced");
        run(&vfs, floor, true);
        vfs.power_cut_with(&vfs::CutPolicy::DropAll);
        let path = SegmentFile::Log.path(Path::new(DIRECTORY), Offset::new(base));
        assert!(vfs.stat(&path).expect("asked").is_some(), "{base}");
    }
}

#[test]
fn batches_of_impossible_epochs_are_not_the_logs() {
    let size = batch(0).len();
    for (epoch, accepted) in [(0, false), (1, true), (2, true), (3, false)] {
        let mut last = batch(2);
        last[12..16].copy_from_slice(&i32::to_be_bytes(epoch));
        let vfs = directory(&[(0, [batches(0..2), last].concat())]);
        let circumstances = Circumstances {
            partition: PARTITION,
            floor: known(2, 0, 2 * size),
            promises: &[],
            log_start: None,
            same_boot: false,
            epoch_max: 2,
        };
        let mut report = RecoveryReport::default();
        let place = recover(&vfs, Path::new(DIRECTORY), circumstances, &mut report);
        let end = place
            .expect("the disk works")
            .expect("it is there")
            .end
            .offset;
        assert_eq!(
            end,
            Offset::new(if accepted { 3 } else { 2 }),
            "epoch {epoch}"
        );
    }
}

#[test]
fn no_directory_is_told() {
    assert_eq!(run(&SimVfs::new(), Floor::Unknown, true).0, None);
}

#[test]
fn snapshots_past_the_end_are_removed() {
    let vfs = directory(&[(0, batches(0..4))]);
    for offset in [2, 4, 5, 9] {
        let path = SegmentFile::Snapshot.path(Path::new(DIRECTORY), Offset::new(offset));
        vfs.open(&path, OpenMode::CreateNew).expect("made");
    }
    let (_, report) = run(&vfs, known(0, 0, 0), true);
    let listing = crate::listing::list(&vfs, Path::new(DIRECTORY)).expect("listed");
    let left = listing.expect("it is there").snapshots;
    assert_eq!(left, [Offset::new(2), Offset::new(4)], "{report:?}");
    assert_eq!(report.labels.get(&Label::O), Some(&2));
}
