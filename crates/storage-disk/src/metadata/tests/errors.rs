//! A disk that is full goes on when it has room again; a disk that fails ends the process.

use storage::{CommitError, Version};
use vfs::{CutPolicy, DiskError, FailedSync, Fault, Operation, SimOptions, SimVfs};

use super::super::committer::{Request, RollRule};
use super::*;
use crate::directory::OpenDiskError;

/// Commits of several sizes, so that the files are rewritten in between.
fn writes(n: usize) -> Vec<Write> {
    vec![
        put(&format!("key-{}", n % 3), &"x".repeat(n * 7 % 50)),
        put("count", &n.to_string()),
    ]
}

/// What a cut leaves must be what was answered, whatever of the unsynced is kept.
fn assert_survives(disk: &SimVfs, expected: &Rows) {
    for policy in [
        CutPolicy::DropAll,
        CutPolicy::KeepAll,
        CutPolicy::Seed(1),
        CutPolicy::Seed(2),
    ] {
        let disk = disk.fork();
        disk.power_cut_with(&policy);
        assert_eq!(rows(&open(&disk)), *expected, "{policy:?}");
    }
}

fn run_with_no_space(disk: &SimVfs, plan: impl FnOnce(&SimVfs)) -> (u64, usize) {
    let fatals = Fatals::default();
    let metadata = open_on(disk, &fatals, EAGER);
    plan(disk);
    let mut model = Rows::new();
    let (mut refused, mut since_fault) = (0, 0);
    for n in 0..25 {
        let writes = writes(n);
        match commit(&metadata, &writes) {
            Ok(version) => apply(&mut model, version, &writes),
            Err(CommitError::NoSpace(_)) => refused += 1,
            Err(other) => panic!("commit {n}: {other:?}"),
        }
        assert_eq!(rows(&metadata), model);
        // Looked at right after the fault, and once the next commit has written over it.
        since_fault += usize::from(disk.faults_fired() > 0);
        if (1..=3).contains(&since_fault) {
            assert_survives(disk, &model);
        }
    }
    metadata.close();
    assert_eq!(fatals.count(), 0);
    disk.clear_faults();
    assert_survives(disk, &model);
    (disk.faults_fired(), refused)
}

#[test]
fn no_space_at_any_write_refuses_that_commit_only() {
    let mut refused_sometimes = 0;
    let mut abandoned_sometimes = 0;
    for nth in 1.. {
        println!("write {nth}");
        let (fired, refused) = run_with_no_space(&disk(), |disk| {
            disk.inject(Fault::fail(Operation::Write, DiskError::NoSpace).nth(nth));
        });
        if fired == 0 {
            break;
        }
        refused_sometimes += usize::from(refused == 1);
        abandoned_sometimes += usize::from(refused == 0);
        assert!(refused <= 1);
    }
    assert!(refused_sometimes > 10, "{refused_sometimes}");
    assert!(
        abandoned_sometimes > 1,
        "rewrites met it too: {abandoned_sometimes}"
    );
}

#[test]
fn a_generation_that_was_given_up_never_comes_back() {
    let mut given_up = 0;
    for nth in 1.. {
        let disk = disk();
        let metadata = open_on(&disk, &Fatals::default(), EAGER);
        disk.inject(Fault::fail(Operation::Write, DiskError::NoSpace).nth(nth));
        let (mut n, mut refused) = (0, false);
        while disk.faults_fired() == 0 && n < 12 {
            refused |= commit(&metadata, &writes(n)).is_err();
            n += 1;
        }
        // The fault may have met the rewrite behind the last answer: this commit comes after it.
        refused |= commit(&metadata, &[put("after", "")]).is_err();
        metadata.close();
        if disk.faults_fired() == 0 {
            break;
        }
        given_up += usize::from(!refused);
        let expected = rows(&metadata);
        for seed in 0..40 {
            println!("write {nth} seed {seed}");
            let disk = disk.fork();
            disk.clear_faults();
            disk.power_cut(seed);
            assert_eq!(rows(&open(&disk)), expected);
        }
    }
    assert!(given_up > 3, "rewrites met the fault: {given_up}");
}

#[test]
fn a_torn_write_that_finds_no_space_is_taken_back() {
    for nth in 1..30 {
        for bytes in [1, 23, 24, 40] {
            println!("write {nth} of {bytes} bytes");
            run_with_no_space(&disk(), |disk| {
                disk.inject(Fault::short(Operation::Write, bytes).nth(nth));
                disk.inject(Fault::fail(Operation::Write, DiskError::NoSpace).nth(nth + 1));
            });
        }
    }
}

#[test]
fn a_full_disk_refuses_commits_until_there_is_room() {
    let disk = disk();
    let fatals = Fatals::default();
    let metadata = open_on(&disk, &fatals, EAGER);
    commit(&metadata, &[put("a", "1")]).expect("room");
    let mut model = rows(&metadata);
    disk.set_space_limit(Some(500));
    let mut refused = 0;
    for n in 0..40 {
        let writes = writes(n);
        match commit(&metadata, &writes) {
            Ok(version) => apply(&mut model, version, &writes),
            Err(CommitError::NoSpace(failure)) => {
                assert!(failure.0.contains("metadata."), "names the file: {failure}");
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        assert_survives_with_room(&disk, &model);
    }
    assert!(refused > 10, "{refused}");
    disk.set_space_limit(None);
    let version = commit(&metadata, &[put("b", "1")]).expect("there is room again");
    apply(&mut model, version, &[put("b", "1")]);
    assert_eq!(fatals.count(), 0);
    drop(metadata);
    assert_eq!(rows(&open(&disk)), model);
}

fn assert_survives_with_room(disk: &SimVfs, expected: &Rows) {
    let disk = disk.fork();
    disk.set_space_limit(None);
    assert_survives(&disk, expected);
}

#[test]
fn a_refusal_for_a_commit_that_did_not_happen_is_no_conflict() {
    let disk = disk();
    let metadata = open(&disk);
    let version = commit(&metadata, &[put("taken", "")]).expect("room");
    let absent = |name| [(key(name), Version::ABSENT)];
    let (new, taken) = (absent("new"), absent("taken"));
    disk.stall_syncs();
    std::thread::scope(|scope| {
        let blocker = scope.spawn(|| commit(&metadata, &[put("blocker", "")]));
        disk.wait_for_stalled_syncs(1);
        disk.inject(Fault::fail(Operation::Write, DiskError::NoSpace).nth(1));
        let waiting = |count| wait_for_waiting(&metadata, count);
        let first = scope.spawn(|| metadata.commit_blocking(&new, &[put("new", "1")]));
        waiting(1);
        let second = scope.spawn(|| metadata.commit_blocking(&new, &[put("new", "2")]));
        waiting(2);
        let third = scope.spawn(|| metadata.commit_blocking(&taken, &[put("new", "3")]));
        waiting(3);
        disk.release_syncs();
        blocker.join().expect("no panic").expect("room");
        let no_space = |answer: &Result<Version, CommitError>| {
            assert!(matches!(answer, Err(CommitError::NoSpace(_))), "{answer:?}");
        };
        no_space(&first.join().expect("no panic"));
        no_space(&second.join().expect("no panic"));
        let conflict = CommitError::Conflict { key: key("taken") };
        assert_eq!(
            third.join().expect("no panic"),
            Err(conflict),
            "this one is true"
        );
    });
    assert_eq!(rows(&metadata).len(), 2);
    assert_eq!(
        metadata.get_now(&key("taken")).map(|row| row.version),
        Some(version)
    );
}

/// Fails the `nth` call of a kind and checks that nothing is acknowledged from there on.
fn run_with_failure(options: SimOptions, operation: Operation, nth: u64) -> bool {
    println!("{options:?} {operation:?} {nth}");
    let disk = disk_with(options);
    let fatals = Fatals::default();
    let metadata = open_on(&disk, &fatals, EAGER);
    disk.inject(Fault::fail(operation, DiskError::Io).nth(nth));
    let mut model = Rows::new();
    let mut unknown = None;
    for n in 0..25 {
        let writes = writes(n);
        match commit(&metadata, &writes) {
            Ok(version) => {
                assert!(unknown.is_none(), "acknowledged after a failure");
                apply(&mut model, version, &writes);
            }
            Err(CommitError::Unknown(failure)) => {
                assert!(unknown.is_none(), "only one round was under way");
                assert!(
                    failure.0.contains("/data/@ottla"),
                    "names the file: {failure}"
                );
                unknown = Some(writes);
            }
            Err(CommitError::Storage(_)) => {
                assert!(fatals.count() == 1, "refused without a failure");
                unknown = unknown.or(Some(Vec::new()));
            }
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(rows(&metadata), model, "what is visible is durable");
    }
    metadata.close();
    let fired = disk.faults_fired() > 0;
    // The removal of old files syncs names too, and the journal's are among them.
    assert_eq!(fatals.count(), usize::from(fired));
    drop(metadata);
    for policy in [CutPolicy::DropAll, CutPolicy::KeepAll, CutPolicy::Seed(nth)] {
        let disk = disk.fork();
        disk.power_cut_with(&policy);
        let metadata = open(&disk);
        let found = rows(&metadata);
        if found != model {
            let newest = found.values().map(|(_, version)| *version).max();
            let writes = unknown.clone().expect("only an unknown commit may differ");
            let mut with = model.clone();
            apply(&mut with, newest.expect("it wrote"), &writes);
            assert_eq!(found, with, "{policy:?}");
        }
    }
    fired
}

#[test]
fn a_failed_sync_is_fatal_once_and_never_acknowledged() {
    for failed_sync in [
        FailedSync::KeepPages,
        FailedSync::RevertPages,
        FailedSync::ShutDown,
    ] {
        let options = SimOptions {
            failed_sync,
            ..SimOptions::default()
        };
        let met = (1..).take_while(|nth| run_with_failure(options, Operation::SyncData, *nth));
        assert!(met.count() > 40, "every sync was met");
    }
}

#[test]
fn a_failed_write_or_directory_sync_is_fatal_too() {
    for operation in [Operation::Write, Operation::SyncDir] {
        let options = SimOptions::default();
        let met = (1..).take_while(|nth| run_with_failure(options, operation, *nth));
        assert!(met.count() > 3, "{operation:?}");
    }
}

#[test]
fn a_sync_is_never_repeated() {
    let disk = disk();
    let fatals = Fatals::default();
    let metadata = open_on(&disk, &fatals, RollRule::default());
    disk.inject(Fault::fail(Operation::SyncData, DiskError::Io).nth(1));
    assert!(commit(&metadata, &[put("a", "1")]).is_err());
    disk.start_trace();
    for _ in 0..3 {
        let refused = commit(&metadata, &[put("a", "1")]);
        assert!(
            matches!(refused, Err(CommitError::Storage(_))),
            "{refused:?}"
        );
    }
    metadata.close();
    assert_eq!(
        disk.take_trace(),
        Vec::<String>::new(),
        "the disk is left alone"
    );
}

#[test]
fn a_rewrite_without_descriptors_waits() {
    let disk = disk();
    let fatals = Fatals::default();
    let metadata = open_on(&disk, &fatals, EAGER);
    disk.inject(Fault::fail(Operation::Open, DiskError::TooManyFiles));
    let mut model = Rows::new();
    for n in 0..30 {
        let version = commit(&metadata, &writes(n)).expect("commits need no new descriptor");
        apply(&mut model, version, &writes(n));
    }
    metadata.close();
    assert_eq!(fatals.count(), 0);
    assert!(disk.faults_fired() > 0);
    disk.clear_faults();
    drop(metadata);
    assert_eq!(rows(&open(&disk)), model);
}

#[test]
fn a_start_on_a_full_disk_is_refused_and_loses_nothing() {
    let disk = disk();
    let metadata = open(&disk);
    commit(&metadata, &[put("a", "1")]).expect("room");
    let expected = rows(&metadata);
    drop(metadata);
    let full = disk.fork();
    full.set_space_limit(Some(230));
    let refused = DiskMetadata::open(&as_vfs(&full), &own_dir(), Fatals::default().callback());
    assert!(
        matches!(refused, Err(OpenDiskError::NoSpace { .. })),
        "{refused:?}"
    );
    assert_eq!(
        names(&full),
        ["metadata.a.1", "metadata.b.1"],
        "gives back what it took"
    );
    full.set_space_limit(None);
    assert_eq!(rows(&open(&full)), expected);
}

#[test]
fn a_panic_of_the_commit_thread_is_fatal() {
    let disk = disk();
    let fatals = Fatals::default();
    let metadata = open_on(&disk, &fatals, RollRule::default());
    metadata.thread.push_blocking(Request {
        checks: Vec::new(),
        writes: Vec::new(),
        answer: Box::new(|_| panic!("what a bug would do")),
    });
    metadata.close();
    assert_eq!(fatals.count(), 1);
    let refused = commit(&metadata, &[put("a", "1")]);
    assert!(
        matches!(refused, Err(CommitError::Storage(_))),
        "{refused:?}"
    );
}
