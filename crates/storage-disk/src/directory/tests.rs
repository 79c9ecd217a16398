//! Whose directory is it: ours, empty, somebody else's, a newer version's, in use.

use std::collections::BTreeMap;

use clock::{Rng, SeededRng};
use vfs::{CutPolicy, DiskError, Fault, Operation, RealVfs, SimVfs};

use super::*;

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/format-2.bin");
const OLD: &[u8] = include_bytes!("../../tests/golden/format-1.bin");
const DATA: &str = "/data";

fn open(disk: &SimVfs) -> Result<DataDirectory, OpenDiskError> {
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    DataDirectory::open(&vfs, Path::new(DATA))
}

/// Makes files (`a/b`) and directories (`a/`).
fn disk_with(paths: &[&str]) -> SimVfs {
    let disk = SimVfs::new();
    vfs::create_dirs(&disk, Path::new(DATA)).expect("room");
    for path in paths {
        add(&disk, path);
    }
    disk
}

fn add(disk: &SimVfs, path: &str) {
    let full = Path::new(DATA).join(path.trim_end_matches('/'));
    if path.ends_with('/') {
        vfs::create_dirs(disk, &full).expect("room");
    } else {
        vfs::create_dirs(disk, full.parent().expect("below the root")).expect("room");
        vfs::replace_durable(disk, &full, b"content").expect("room");
    }
}

/// Every path below the data directory with what it holds.
fn tree(disk: &SimVfs) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut tree = BTreeMap::new();
    let mut open = vec![PathBuf::from(DATA)];
    while let Some(dir) = open.pop() {
        for entry in disk.read_dir(&dir).expect("a directory") {
            let path = dir.join(&entry.name);
            if entry.kind == EntryKind::Directory {
                open.push(path.clone());
                tree.insert(path, Vec::new());
            } else {
                let bytes = vfs::read_whole(disk, &path, u64::MAX).expect("a file");
                tree.insert(path, bytes);
            }
        }
    }
    tree
}

#[test]
fn a_first_start_makes_what_is_missing() {
    for disk in [SimVfs::new(), disk_with(&[]), disk_with(&["lost+found/"])] {
        let directory = open(&disk).expect("nobody's directory");
        assert_eq!(directory.path(), Path::new(DATA));
        assert!(directory.strangers().is_empty());
        assert!(!directory.format_repaired());
        drop(directory);
        disk.power_cut_with(&CutPolicy::DropAll);
        assert_eq!(tree(&disk)[Path::new("/data/@ottla/format")], GOLDEN);
        assert!(tree(&disk).contains_key(Path::new("/data/@ottla/trash")));
        open(&disk).expect("it is ours now");
    }
}

#[test]
fn what_is_written_is_the_golden_file() {
    crate::golden::check("format-2.bin", GOLDEN, &format::encode(2));
    crate::golden::check("format-1.bin", OLD, &format::encode(1));
    for (bytes, version) in [(OLD, 1), (GOLDEN, 2)] {
        let expected = Format::Known {
            version,
            whole: true,
        };
        assert_eq!(format::decode(bytes), expected);
    }
}

#[test]
fn an_older_directory_gets_the_version_of_this_build() {
    let disk = disk_with(&[]);
    drop(open(&disk).expect("nobody's directory"));
    vfs::replace_durable(&disk, Path::new("/data/@ottla/format"), OLD).expect("room");
    let directory = open(&disk).expect("it is ours");
    assert!(!directory.format_repaired(), "it was not damaged");
    drop(directory);
    disk.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(tree(&disk)[Path::new("/data/@ottla/format")], GOLDEN);
}

#[test]
fn a_foreign_directory_is_refused_by_name_and_untouched() {
    let cases: [(&[&str], &str); 14] = [
        (&["notes.txt"], "notes.txt"),
        (&["empty/"], "empty"),
        (&["orders/data.csv"], "orders"),
        (&["orders/partition0/", "notes.txt"], "notes.txt"),
        (&["orders/partition/"], "orders"),
        (&["orders/partition01/"], "orders"),
        (&["orders/partition-1/"], "orders"),
        (&["orders/partition4294967296/"], "orders"),
        (&["orders/partition0"], "orders"),
        (&["orders/topic.meta/"], "orders"),
        (&["with space/partition0/"], "with space"),
        (
            &["meta.properties", "test-0/00000000000000000000.log"],
            "meta.properties",
        ),
        (&["@ottla/somebody-elses"], "@ottla"),
        (&["@ottla"], "@ottla"),
    ];
    for (paths, expected) in cases {
        let disk = disk_with(paths);
        let before = tree(&disk);
        match open(&disk) {
            Err(OpenDiskError::Foreign { entry, path, .. }) => {
                assert_eq!(
                    (entry.as_str(), path.as_path()),
                    (expected, Path::new(DATA))
                );
            }
            other => panic!("{paths:?}: {other:?}"),
        }
        assert_eq!(tree(&disk), before, "{paths:?}");
    }
}

#[test]
fn topics_without_our_directory_are_ours() {
    let disk = disk_with(&[
        "a/partition0/",
        "b/topic.meta",
        "c/topic.meta.tmp",
        "lost+found/",
    ]);
    assert!(open(&disk).expect("copied topics").strangers().is_empty());
}

#[test]
fn strangers_in_our_directory_are_reported_and_left_alone() {
    let disk = disk_with(&[]);
    drop(open(&disk).expect("an empty directory"));
    for path in [
        "notes.txt",
        "with space/x",
        "half-made-topic/",
        "orders/partition0/",
    ] {
        add(&disk, path);
    }
    let directory = open(&disk).expect("it has our format file");
    assert_eq!(directory.strangers(), ["notes.txt", "with space"]);
    assert!(tree(&disk).contains_key(Path::new("/data/with space/x")));
}

#[test]
fn our_metadata_proves_it_ours_without_a_format_file() {
    let disk = disk_with(&[
        "@ottla/metadata.a.3",
        "@ottla/watermarks.1",
        "half-made-topic/",
    ]);
    let directory = open(&disk).expect("a lost format file");
    assert!(
        !directory.format_repaired(),
        "it was not damaged but absent"
    );
    assert_eq!(tree(&disk)[Path::new("/data/@ottla/format")], GOLDEN);
}

#[test]
fn a_newer_format_is_refused_and_untouched() {
    let disk = disk_with(&["@ottla/"]);
    let file = Path::new("/data/@ottla/format");
    for bytes in [
        format::encode(3),
        [format::encode(1), format::encode(7)].concat(),
    ] {
        vfs::replace_durable(&disk, file, &bytes).expect("room");
        let before = tree(&disk);
        match open(&disk) {
            Err(OpenDiskError::NewerFormat {
                found, known: 2, ..
            }) => assert!(found > 2),
            other => panic!("{other:?}"),
        }
        assert_eq!(tree(&disk), before);
    }
}

#[test]
fn damage_to_the_format_file_is_repaired_and_never_refuses_a_start() {
    let made = disk_with(&[]);
    drop(open(&made).expect("an empty directory"));
    let file = Path::new("/data/@ottla/format");
    let check = |bytes: &[u8], what: &str| {
        let disk = made.fork();
        vfs::replace_durable(&disk, file, bytes).expect("room");
        let directory = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(directory.format_repaired(), "{what}");
        assert_eq!(tree(&disk)[file], GOLDEN, "{what}");
    };
    for at in 0..GOLDEN.len() {
        for bit in 0..8 {
            let mut flipped = GOLDEN.to_vec();
            flipped[at] ^= 1 << bit;
            check(&flipped, &format!("byte {at} bit {bit}"));
        }
        check(&GOLDEN[..at], &format!("cut at {at}"));
    }
    check(&[0; 4096], "zeros");
    check(&[0xff; 100], "ones");
}

#[test]
fn the_lock_is_held_and_names_its_owner() {
    let disk = disk_with(&[]);
    let directory = open(&disk).expect("an empty directory");
    match open(&disk) {
        Err(
            error @ OpenDiskError::Locked {
                owner_pid: Some(pid),
                ..
            },
        ) => {
            assert!(
                error
                    .to_string()
                    .contains(&format!("in use by process {pid}"))
            );
            assert!(error.fix().contains(&pid.to_string()), "{}", error.fix());
        }
        other => panic!("{other:?}"),
    }
    drop(directory);
    open(&disk).expect("the lock was let go");
}

#[test]
fn what_is_no_directory_is_refused() {
    let disk = SimVfs::new();
    vfs::replace_durable(&disk, Path::new(DATA), b"a file").expect("room");
    assert!(matches!(
        open(&disk),
        Err(OpenDiskError::NotADirectory { .. })
    ));
}

#[test]
fn errors_of_the_disk_are_sorted_by_what_to_do() {
    let cases = [
        (DiskError::ReadOnly, "not writable"),
        (DiskError::NoSpace, "no space"),
        (DiskError::Io, "cannot create"),
    ];
    for (error, expected) in cases {
        let disk = disk_with(&[]);
        disk.inject(Fault::fail(Operation::CreateDir, error));
        let refused = open(&disk).expect_err("it cannot be written");
        let text = refused.to_string();
        assert!(
            text.contains(expected) && text.contains("/data/@ottla"),
            "{error:?}: {text}"
        );
        assert!(!refused.why().is_empty() && !refused.fix().is_empty());
        disk.clear_faults();
        open(&disk).expect("nothing stands in the way of the next start");
    }
}

#[test]
fn a_first_start_that_is_cut_at_any_point_is_finished_by_the_next() {
    for stop in 0..40 {
        for seed in 0..8 {
            println!("stop {stop} seed {seed}");
            let disk = SimVfs::new();
            disk.stop_after(stop);
            let finished = open(&disk).is_ok();
            assert_eq!(finished, !disk.is_stopped());
            let rng = SeededRng::new(seed);
            match seed {
                0 => disk.power_cut_with(&CutPolicy::DropAll),
                1 => disk.power_cut_with(&CutPolicy::KeepAll),
                2 => disk.process_kill(),
                _ => disk.power_cut(rng.next_u64()),
            }
            open(&disk).expect("a start is never refused");
            assert_eq!(tree(&disk)[Path::new("/data/@ottla/format")], GOLDEN);
        }
    }
}

#[test]
fn names_of_partitions_round_trip() {
    for partition in [0, 7, 10, PARTITIONS_MAX - 1] {
        assert_eq!(
            partition_of(&partition_dir_name(partition)),
            Some(partition)
        );
    }
    for name in [
        "partition",
        "partition00",
        "partition+1",
        "Partition0",
        "partition0x",
        "partition1000000",
        "partition4294967295",
    ] {
        assert_eq!(partition_of(name), None, "{name}");
    }
}

#[test]
fn a_real_directory_is_locked_and_opened_again() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let data = temp.path().join("not/there/yet");
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    let directory = DataDirectory::open(&vfs, &data).expect("it is made");
    match DataDirectory::open(&vfs, &data) {
        Err(OpenDiskError::Locked { owner_pid, .. }) => {
            assert_eq!(owner_pid, Some(std::process::id()));
        }
        other => panic!("{other:?}"),
    }
    drop(directory);
    DataDirectory::open(&vfs, &data).expect("the lock was let go");
    let occupied = temp.path().join("not");
    match DataDirectory::open(&vfs, &occupied) {
        Err(OpenDiskError::Foreign { entry, .. }) => assert_eq!(entry, "there"),
        other => panic!("{other:?}"),
    }
}
