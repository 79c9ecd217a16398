//! The steps under power cuts and errors: each sync they make is missed when it is gone.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::{CutPolicy, DiskError, Fault, Operation, RealVfs, SimVfs};

const LIMIT_BYTES: u64 = 1 << 20;

fn read(vfs: &SimVfs, path: &str) -> Option<Vec<u8>> {
    read_whole(vfs, Path::new(path), LIMIT_BYTES).ok()
}

/// Runs `step` on copies of `start` that stop after every change and then lose power in many ways;
/// gives what `look` sees: while it was under way, and after it had returned.
fn cuts<T: Ord>(
    start: &SimVfs,
    step: impl Fn(&dyn Vfs) -> io::Result<()>,
    look: impl Fn(&SimVfs) -> T,
) -> (BTreeSet<T>, BTreeSet<T>) {
    let (mut during, mut after) = (BTreeSet::new(), BTreeSet::new());
    for stop in 0.. {
        let vfs = start.fork();
        vfs.stop_after(stop);
        let finished = step(&vfs).is_ok();
        let seeds = (0..64).map(CutPolicy::Seed);
        for policy in [CutPolicy::DropAll, CutPolicy::KeepAll]
            .into_iter()
            .chain(seeds)
        {
            let copy = vfs.fork();
            copy.power_cut_with(&policy);
            if finished { &mut after } else { &mut during }.insert(look(&copy));
        }
        if finished {
            break;
        }
    }
    (during, after)
}

#[test]
fn replace_shows_old_or_new_and_then_new() {
    let path = Path::new("/file");
    let start = SimVfs::new();
    replace_durable(&start, path, b"old").expect("the first");
    let step = |vfs: &dyn Vfs| replace_durable(vfs, path, &[b'n'; 2_000]);
    let (during, after) = cuts(&start, step, |vfs| read(vfs, "/file"));
    let new = Some(vec![b'n'; 2_000]);
    assert_eq!(during, BTreeSet::from([Some(b"old".to_vec()), new.clone()]));
    assert_eq!(after, BTreeSet::from([new]));
}

#[test]
fn replace_overwrites_a_leftover_and_leaves_none() {
    let vfs = SimVfs::new();
    let left = vfs
        .open(Path::new("/file.tmp"), OpenMode::CreateNew)
        .expect("a leftover");
    write_all_at(&*left, b"longer than the new bytes", 0).expect("a write");
    replace_durable(&vfs, Path::new("/file"), b"new").expect("replaced");
    assert_eq!(read(&vfs, "/file").as_deref(), Some(&b"new"[..]));
    assert_eq!(vfs.stat(Path::new("/file.tmp")).expect("stat"), None);
}

#[test]
fn a_failed_replace_keeps_the_old_file_and_gives_back_its_space() {
    for operation in [
        Operation::Open,
        Operation::Write,
        Operation::SyncData,
        Operation::Rename,
    ] {
        let vfs = SimVfs::new();
        replace_durable(&vfs, Path::new("/file"), b"old").expect("the first");
        vfs.inject(Fault::fail(operation, DiskError::NoSpace).nth(1));
        let error = replace_durable(&vfs, Path::new("/file"), b"new").expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{operation:?}");
        vfs.clear_faults();
        assert_eq!(
            read(&vfs, "/file").as_deref(),
            Some(&b"old"[..]),
            "{operation:?}"
        );
        assert_eq!(
            vfs.stat(Path::new("/file.tmp")).expect("stat"),
            None,
            "{operation:?}"
        );
    }
    let vfs = SimVfs::new();
    vfs.inject(Fault::fail(Operation::SyncDir, DiskError::Io).nth(1));
    replace_durable(&vfs, Path::new("/file"), b"new").expect_err("the directory was not synced");
}

#[test]
fn no_step_retries_a_sync() {
    type Step = fn(&SimVfs) -> io::Result<()>;
    let steps: [(&str, Operation, Step); 5] = [
        ("replace", Operation::SyncData, |it| {
            replace_durable(it, Path::new("/new"), b"new")
        }),
        ("replace", Operation::SyncDir, |it| {
            replace_durable(it, Path::new("/new"), b"new")
        }),
        ("rename", Operation::SyncDir, |it| {
            rename_durable(it, Path::new("/old"), Path::new("/new"))
        }),
        ("remove", Operation::SyncDir, |it| {
            remove_durable(it, Path::new("/old"))
        }),
        ("create", Operation::SyncDir, |it| {
            create_dir_durable(it, Path::new("/new"))
        }),
    ];
    for (name, operation, step) in steps {
        let vfs = SimVfs::new();
        replace_durable(&vfs, Path::new("/old"), b"old").expect("the first");
        vfs.inject(Fault::fail(operation, DiskError::Io).nth(1));
        vfs.start_trace();
        step(&vfs).expect_err("the sync failed");
        let syncs = vfs.take_trace().into_iter();
        let syncs = syncs
            .filter(|line| line.starts_with(&format!("{operation:?}")))
            .count();
        assert_eq!(syncs, 1, "{name}");
    }
}

#[test]
fn renames_removals_and_directories_stay() {
    let start = SimVfs::new();
    create_dirs(&start, Path::new("/a")).expect("a directory");
    create_dirs(&start, Path::new("/b")).expect("a directory");
    replace_durable(&start, Path::new("/a/file"), b"1").expect("a file");
    let exists = |vfs: &SimVfs, path: &str| vfs.stat(Path::new(path)).expect("stat").is_some();

    for target in ["/a/moved", "/b/moved"] {
        let step = |vfs: &dyn Vfs| rename_durable(vfs, Path::new("/a/file"), Path::new(target));
        let look = |vfs: &SimVfs| (exists(vfs, "/a/file"), exists(vfs, target));
        let (during, after) = cuts(&start, step, look);
        assert_eq!(
            during,
            BTreeSet::from([(true, false), (false, true)]),
            "{target}"
        );
        assert_eq!(after, BTreeSet::from([(false, true)]), "{target}");
    }

    let step = |vfs: &dyn Vfs| remove_durable(vfs, Path::new("/a/file"));
    let (_, after) = cuts(&start, step, |vfs| exists(vfs, "/a/file"));
    assert_eq!(after, BTreeSet::from([false]));

    let step = |vfs: &dyn Vfs| create_dir_durable(vfs, Path::new("/a/new"));
    let (_, after) = cuts(&start, step, |vfs| exists(vfs, "/a/new"));
    assert_eq!(after, BTreeSet::from([true]));

    let step = |vfs: &dyn Vfs| create_dirs(vfs, Path::new("/a/b/c/d"));
    let (during, after) = cuts(&start, step, |vfs| exists(vfs, "/a/b/c/d"));
    assert_eq!((during.len(), after), (2, BTreeSet::from([true])));
}

#[test]
fn a_rename_syncs_the_target_first_and_one_directory_once() {
    let vfs = SimVfs::new();
    create_dirs(&vfs, Path::new("/a")).expect("a directory");
    create_dirs(&vfs, Path::new("/b")).expect("a directory");
    replace_durable(&vfs, Path::new("/a/file"), b"1").expect("a file");
    vfs.start_trace();
    rename_durable(&vfs, Path::new("/a/file"), Path::new("/b/file")).expect("across");
    assert_eq!(
        vfs.take_trace(),
        ["Rename /a/file /b/file", "SyncDir /b", "SyncDir /a"]
    );
    rename_durable(&vfs, Path::new("/b/file"), Path::new("/b/new")).expect("within");
    assert_eq!(vfs.take_trace(), ["Rename /b/file /b/new", "SyncDir /b"]);
}

#[test]
fn create_dirs_makes_a_directory_durable_that_a_dead_process_left() {
    for path in ["/a", "/a/b"] {
        let vfs = SimVfs::new();
        vfs.create_dir(Path::new("/a"))
            .expect("a directory, not synced");
        vfs.process_kill();
        create_dirs(&vfs, Path::new(path)).expect("again");
        vfs.power_cut_with(&CutPolicy::DropAll);
        assert!(vfs.stat(Path::new(path)).expect("stat").is_some(), "{path}");
    }
}

#[test]
fn create_dirs_passes_errors_on() {
    let vfs = SimVfs::new();
    vfs.inject(Fault::fail(Operation::Stat, DiskError::Io).nth(1));
    create_dirs(&vfs, Path::new("/a")).expect_err("no answer");
    vfs.inject(Fault::fail(Operation::CreateDir, DiskError::NoSpace).nth(1));
    let error = create_dirs(&vfs, Path::new("/a")).expect_err("full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn bare_names_belong_to_the_working_directory() {
    assert_eq!(parent_of(Path::new("file")), Path::new("."));
    assert_eq!(parent_of(Path::new("a/file")), Path::new("a"));
    assert_eq!(parent_of(Path::new("/file")), Path::new("/"));
    assert_eq!(parent_of(Path::new("/")), Path::new("/"));
    create_dirs(&RealVfs::new(), Path::new("src")).expect("relative, and there already");
}

#[test]
fn exact_reads_end_at_the_end() {
    let vfs = SimVfs::new();
    replace_durable(&vfs, Path::new("/file"), b"12345").expect("a file");
    let file = vfs.open(Path::new("/file"), OpenMode::Read).expect("open");
    vfs.inject(Fault::short(Operation::Read, 2));
    let mut buf = [0; 3];
    read_exact_at(&*file, &mut buf, 2).expect("all there");
    assert_eq!(&buf, b"345");
    let error = read_exact_at(&*file, &mut buf, 3).expect_err("one too many");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    read_exact_at(&*file, &mut [], 99).expect("nothing asked");
}
