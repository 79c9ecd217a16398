//! Bits that flip, files that vanish: one copy is enough, and damage is never silent.

use std::ops::Range;

use vfs::{Fault, Operation, SimVfs, Vfs};

use super::*;
use crate::directory::OpenDiskError;
use crate::frames::{Frame, FrameNumber};

/// A disk with a snapshot of two rows and three commits behind it, closed.
fn sample() -> (SimVfs, Rows) {
    let disk = disk();
    let metadata = open(&disk);
    commit(&metadata, &[put("a", "1"), put("b", "1")]).expect("room");
    drop(metadata);
    let metadata = open(&disk);
    for n in 0..3 {
        commit(
            &metadata,
            &[put("a", &n.to_string()), put(&format!("c{n}"), "")],
        )
        .expect("room");
    }
    let rows = rows(&metadata);
    drop(metadata);
    assert_eq!(names(&disk), ["metadata.a.2", "metadata.b.2"]);
    (disk, rows)
}

#[test]
fn every_flip_in_one_copy_is_reported_and_loses_nothing() {
    let (disk, expected) = sample();
    for name in ["metadata.a.2", "metadata.b.2"] {
        let bytes = content(&disk, name);
        for (at, byte) in bytes.iter().enumerate() {
            for bit in 0..8 {
                let disk = disk.fork();
                disk.damage(&own_dir().join(name), at as u64, &[byte ^ (1 << bit)])
                    .expect("the byte is there");
                let metadata = open(&disk);
                let report = metadata.report().clone();
                assert_eq!(rows(&metadata), expected, "{name} byte {at} bit {bit}");
                assert_eq!(report.mirrored.len(), 1, "{name} byte {at} bit {bit}");
                assert_eq!(report.mirrored[0].file, name);
                assert!(report.is_damaged() && report.lost.is_empty() && report.torn_bytes == 0);
                drop(metadata);
                assert!(
                    !open(&disk).report().is_damaged(),
                    "both copies were written again"
                );
            }
        }
    }
}

#[test]
fn flips_in_both_copies_never_refuse_a_start_and_never_pass_silently() {
    let (disk, expected) = sample();
    let bytes = content(&disk, "metadata.a.2");
    for (at, byte) in bytes.iter().enumerate() {
        for bit in [0, 3, 7] {
            let disk = disk.fork();
            for name in ["metadata.a.2", "metadata.b.2"] {
                disk.damage(&own_dir().join(name), at as u64, &[byte ^ (1 << bit)])
                    .expect("the byte is there");
            }
            let metadata = open(&disk);
            let report = metadata.report();
            let reported = !report.lost.is_empty() || report.torn_bytes > 0;
            assert!(reported, "byte {at} bit {bit}: {report:?}");
            for (key, (value, version)) in rows(&metadata) {
                let (expected, newest) = &expected[&key];
                assert!(version < *newest || (version == *newest && value == *expected));
            }
        }
    }
}

#[test]
fn a_frame_lost_in_the_middle_takes_nothing_else_along() {
    let (disk, _) = sample();
    let bytes = content(&disk, "metadata.a.2");
    let frame_at = |wanted| {
        crate::frames::Pieces::new(2, &[&bytes])
            .nth(wanted)
            .map(|piece| match piece {
                crate::frames::Piece::Frame { at, .. } => at,
                gap @ crate::frames::Piece::Gap { .. } => panic!("{gap:?}"),
            })
    };
    // Frame 0 is the snapshot, 1 its end, 2 to 4 the commits. In the length, then in the body.
    let at = frame_at(3).expect("there are five frames");
    for damaged_at in [at + 3, at + 30] {
        let disk = disk.fork();
        for name in ["metadata.a.2", "metadata.b.2"] {
            disk.damage(&own_dir().join(name), damaged_at as u64, &[0xff])
                .expect("inside");
        }
        let metadata = open(&disk);
        let found = rows(&metadata);
        assert!(!found.contains_key(&key("c1")), "its commit is lost");
        assert_eq!(found[&key("a")].0, "2", "later commits are not");
        let end = frame_at(4).expect("there are five frames");
        assert_eq!(
            metadata.report().lost,
            vec![Range {
                start: at as u64,
                end: end as u64
            }]
        );
        drop(metadata);
        let files = names(&disk);
        assert!(
            files.contains(&"metadata.a.2.damaged".to_owned()),
            "kept: {files:?}"
        );
        assert!(!open(&disk).report().is_damaged());
        assert!(names(&disk).contains(&"metadata.b.2.damaged".to_owned()));
    }
}

#[test]
fn one_copy_is_enough() {
    let (disk, expected) = sample();
    for name in ["metadata.a.2", "metadata.b.2"] {
        let path = own_dir().join(name);
        let gone = disk.fork();
        vfs::remove_durable(&gone, &path).expect("it is there");
        let metadata = open(&gone);
        assert_eq!(rows(&metadata), expected);
        assert!(metadata.report().is_damaged(), "reported");

        let empty = disk.fork();
        overwrite(&empty, name, b"");
        assert_eq!(rows(&open(&empty)), expected);

        let garbage = disk.fork();
        overwrite(&garbage, name, &[0xa5; 5000]);
        assert_eq!(rows(&open(&garbage)), expected);

        for operation in [Operation::Open, Operation::Read] {
            let unreadable = disk.fork();
            unreadable.inject(Fault::fail(operation, vfs::DiskError::Io).on_path_suffix(name));
            let metadata = open(&unreadable);
            assert_eq!(rows(&metadata), expected, "{operation:?}");
            assert!(metadata.report().is_damaged(), "{operation:?}: reported");
        }
    }
}

#[test]
fn copies_that_do_not_open_are_not_an_empty_table() {
    let (disk, expected) = sample();
    for error in [vfs::DiskError::Io, vfs::DiskError::TooManyFiles] {
        let fault = Fault::fail(Operation::Open, error);
        disk.inject(fault.clone().on_path_suffix("metadata.a.2"));
        disk.inject(fault.on_path_suffix("metadata.b.2"));
        let refused = DiskMetadata::open(&as_vfs(&disk), &own_dir(), Fatals::default().callback());
        assert!(refused.is_err(), "{error:?}");
        disk.clear_faults();
    }
    assert_eq!(rows(&open(&disk)), expected, "untouched");
}

#[test]
fn a_table_that_is_lost_wholly_is_kept_for_a_person() {
    let (disk, _) = sample();
    for name in ["metadata.a.2", "metadata.b.2"] {
        overwrite(&disk, name, &[0x5a; 700]);
    }
    let metadata = open(&disk);
    assert_eq!(rows(&metadata), Rows::new());
    assert_eq!(metadata.report().lost, vec![Range { start: 0, end: 700 }]);
    drop(metadata);
    assert_eq!(content(&disk, "metadata.a.2.damaged"), [0x5a; 700]);
}

#[test]
fn a_good_frame_from_another_place_is_not_taken() {
    let (disk, expected) = sample();
    let old = {
        let disk = disk.fork();
        drop(open(&disk));
        content(&disk, "metadata.a.3")
    };
    // A whole file under the wrong generation, as stale blocks would be.
    overwrite(&disk, "metadata.a.2", &old);
    let metadata = open(&disk);
    assert_eq!(rows(&metadata), expected, "from the other copy");
    assert!(!metadata.report().mirrored.is_empty());
}

#[test]
fn a_file_that_leaves_no_numbers_is_refused_and_not_a_panic() {
    let (sample, _) = sample();
    for generation in [u32::MAX - 1, u32::MAX] {
        let disk = sample.fork();
        overwrite(&disk, &format!("metadata.b.{generation}"), b"");
        let before = names(&disk);
        let vfs = as_vfs(&disk);
        let refused = DiskMetadata::open(&vfs, &own_dir(), Fatals::default().callback());
        let refused = refused.expect_err("there is no number left");
        let OpenDiskError::Foreign { entry, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(entry, format!("metadata.*.{generation}"));
        assert_eq!(names(&disk), before, "nothing was touched");
    }
}

#[test]
fn a_version_without_a_next_one_was_never_given_out() {
    let entry = |version: u64| {
        let mut body = version.to_be_bytes().to_vec();
        body.extend([1, 0, 0, 0, 1, 0, 0, 0, 0, b'k']);
        body
    };
    let end = |version: u64| [1_u64.to_be_bytes(), version.to_be_bytes()].concat();
    // Kinds 1, 2 and 3: a snapshot, its end, commits.
    let files = [
        vec![(1, 1, entry(u64::MAX)), (2, 0, end(7))],
        vec![(1, 1, entry(7)), (2, 0, end(u64::MAX))],
        vec![(1, 1, entry(7)), (2, 0, end(7)), (3, 1, entry(u64::MAX))],
    ];
    for (case, frames) in files.into_iter().enumerate() {
        let mut number = FrameNumber::first(1);
        let mut bytes = Vec::new();
        for (kind, entry_count, body) in frames {
            let body = &body;
            let frame = Frame {
                number,
                kind,
                entry_count,
                body,
            };
            bytes.extend(frame.encode());
            number = number.next();
        }
        let disk = disk();
        overwrite(&disk, "metadata.a.1", &bytes);
        overwrite(&disk, "metadata.b.1", &bytes);
        let metadata = open(&disk);
        assert!(metadata.report().is_damaged(), "case {case}");
        commit(&metadata, &[put("a", "1")]).expect("versions go on");
    }
}

#[test]
fn garbage_never_panics() {
    use clock::{Rng, SeededRng};
    let (disk, _) = sample();
    let bytes = content(&disk, "metadata.a.2");
    for seed in 0..500 {
        println!("seed {seed}");
        let rng = SeededRng::new(seed);
        let mut noisy = bytes.clone();
        for _ in 0..=rng.next_below(20) {
            let at = usize::try_from(rng.next_below(noisy.len() as u64)).expect("small");
            noisy[at] = rng.next_u64().to_be_bytes()[0];
        }
        noisy.truncate(usize::try_from(rng.next_below(noisy.len() as u64 + 1)).expect("small"));
        let disk = disk.fork();
        overwrite(&disk, "metadata.a.2", &noisy);
        overwrite(&disk, "metadata.b.2", &noisy);
        let first = rows(&open(&disk.fork()));
        assert_eq!(
            first,
            rows(&open(&disk)),
            "the same bytes give the same table twice"
        );
        assert_eq!(first, rows(&open(&disk)), "and it is what stays");
        assert!(disk.read_dir(&own_dir()).is_ok());
    }
}
