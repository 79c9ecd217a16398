//! What a commit promises while nothing goes wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use storage::{CommitError, Metadata, Version};
use vfs::Vfs;

use super::super::committer::RollRule;
use super::*;

#[test]
fn rows_survive_a_start_with_their_versions() {
    let disk = disk();
    let metadata = open(&disk);
    assert_eq!(metadata.report().generation, 0, "nothing was there");
    let first = commit(&metadata, &[put("a", "1"), put("b", "2")]).expect("room");
    let second = commit(&metadata, &[put("a", "3"), removal("b"), put("c", "")]).expect("room");
    assert!(second > first);
    let before = rows(&metadata);
    drop(metadata);

    let metadata = open(&disk);
    assert_eq!(rows(&metadata), before);
    assert_eq!(metadata.report().generation, 1);
    assert!(!metadata.report().is_damaged());
    assert_eq!(names(&disk), ["metadata.a.2", "metadata.b.2"]);
    let third = commit(&metadata, &[put("d", "")]).expect("room");
    assert!(third > second, "{third:?} after {second:?}");
}

#[test]
fn a_commit_is_on_the_disk_in_both_copies() {
    let disk = disk();
    let metadata = open(&disk);
    for n in 0..3 {
        commit(&metadata, &[put("a", &n.to_string())]).expect("room");
        let durable = |name| {
            disk.durable_bytes(&own_dir().join(name))
                .expect("it has a name")
        };
        let (first, second) = (durable("metadata.a.1"), durable("metadata.b.1"));
        assert_eq!(first, content(&disk, "metadata.a.1"));
        assert_eq!(first, second, "the copies hold the same bytes");
    }
}

#[test]
fn a_commit_is_neither_answered_nor_visible_before_both_syncs() {
    let disk = disk();
    let metadata = Arc::new(open(&disk));
    disk.stall_syncs();
    let committing = Arc::clone(&metadata);
    let thread = std::thread::spawn(move || commit(&committing, &[put("a", "1")]));
    disk.wait_for_stalled_syncs(1);
    assert_eq!(metadata.get_now(&key("a")), None);
    assert!(!thread.is_finished());
    disk.release_syncs();
    let version = thread.join().expect("no panic").expect("room");
    assert_eq!(
        metadata.get_now(&key("a")).map(|row| row.version),
        Some(version)
    );
    disk.power_cut_with(&vfs::CutPolicy::DropAll);
    drop(metadata);
    assert_eq!(
        rows(&open(&disk)).len(),
        1,
        "it was durable when it was answered"
    );
}

#[test]
fn commits_that_arrive_during_a_sync_share_the_next() {
    const LATER: usize = 20;
    let disk = disk();
    let metadata = open(&disk);
    disk.stall_syncs();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| commit(&metadata, &[put("first", "")]));
        disk.wait_for_stalled_syncs(1);
        let later = |n: usize| {
            let metadata = &metadata;
            move || commit(metadata, &[put(&format!("later-{n}"), "")])
        };
        let later: Vec<_> = (0..LATER).map(|n| scope.spawn(later(n))).collect();
        wait_for_waiting(&metadata, LATER);
        disk.release_syncs();
        let all = std::iter::once(first).chain(later);
        let versions = all.map(|commit| commit.join().expect("no panic").expect("room"));
        let versions: BTreeSet<Version> = versions.collect();
        assert_eq!(
            versions.len(),
            LATER + 1,
            "each commit has a version of its own"
        );
    });
    drop(metadata);
    let frames = open(&disk).report().frames;
    assert_eq!(
        frames, 3,
        "the end of the snapshot, the first commit, all others"
    );
}

#[test]
fn checks_see_the_commits_before_them_in_the_round() {
    const CLAIMS: usize = 5;
    let disk = disk();
    let metadata = open(&disk);
    let absent = [(key("a"), Version::ABSENT)];
    disk.stall_syncs();
    std::thread::scope(|scope| {
        let blocker = scope.spawn(|| commit(&metadata, &[put("blocker", "")]));
        disk.wait_for_stalled_syncs(1);
        let claim = || metadata.commit_blocking(&absent, &[put("a", "")]);
        let claims: Vec<_> = (0..CLAIMS).map(|_| scope.spawn(claim)).collect();
        wait_for_waiting(&metadata, CLAIMS);
        disk.release_syncs();
        blocker.join().expect("no panic").expect("room");
        let claims = claims
            .into_iter()
            .map(|claim| claim.join().expect("no panic"));
        let (won, lost): (Vec<_>, Vec<_>) = claims.partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        let conflict = Err(CommitError::Conflict { key: key("a") });
        assert!(lost.iter().all(|claim| *claim == conflict), "{lost:?}");
        let row = metadata.get_now(&key("a")).expect("one claim won");
        assert_eq!(Ok(row.version), won[0]);
    });
}

#[test]
fn futures_commit_and_read() {
    let disk = disk();
    let metadata: Arc<dyn Metadata> = Arc::new(open(&disk));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without drivers").block_on(async {
        let names: Vec<String> = (0..50).map(|n| format!("key-{n:02}")).collect();
        let writes: Vec<_> = names.iter().map(|name| [put(name, name)]).collect();
        let commits = writes.iter().map(|writes| metadata.commit(&[], writes));
        for answer in futures_util::future::join_all(commits).await {
            answer.expect("room");
        }
        let all = metadata
            .list(&Key::space(Space::Topic), None, 100)
            .await
            .expect("readable");
        assert_eq!(all.len(), 50);
        let after = metadata
            .list(&Key::space(Space::Topic), Some(&all[7].key), 2)
            .await;
        assert_eq!(after.expect("readable"), all[8..10]);
        let row = metadata
            .get(&key("key-07"))
            .await
            .expect("readable")
            .expect("committed");
        assert_eq!(row.value, "key-07");
    });
}

#[test]
fn a_conflict_writes_nothing_of_its_commit() {
    let disk = disk();
    let metadata = open(&disk);
    let version = commit(&metadata, &[put("a", "1")]).expect("room");
    let size = content(&disk, "metadata.a.1").len();
    let checks = [(key("a"), version), (key("b"), version)];
    let refused = metadata.commit_blocking(&checks, &[put("a", "2"), put("c", "2")]);
    assert_eq!(refused, Err(CommitError::Conflict { key: key("b") }));
    assert_eq!(rows(&metadata).len(), 1);
    assert_eq!(content(&disk, "metadata.a.1").len(), size);
    let next = metadata
        .commit_blocking(&checks[..1], &[])
        .expect("its check holds");
    assert!(next > version);
    assert_eq!(
        content(&disk, "metadata.a.1").len(),
        size,
        "nothing to write"
    );
}

#[test]
fn the_files_are_rewritten_when_they_have_grown() {
    let disk = disk();
    let metadata = open_on(&disk, &Fatals::default(), EAGER);
    let mut model = Rows::new();
    for n in 0..100 {
        let writes = [put("one", &n.to_string()), put("two", "x")];
        let version = commit(&metadata, &writes).expect("room");
        apply(&mut model, version, &writes);
    }
    metadata.close();
    let files = names(&disk);
    assert_eq!(files.len(), 2, "old generations are removed: {files:?}");
    assert_ne!(files, ["metadata.a.1", "metadata.b.1"]);
    let size = content(&disk, &files[0]).len();
    assert!(size < 600, "{size} bytes for two rows");
    drop(metadata);
    assert_eq!(rows(&open(&disk)), model);
}

#[test]
fn a_large_table_is_not_rewritten_for_nothing() {
    let disk = disk();
    let rule = RollRule {
        bytes_min: 100,
        live_factor: 4,
    };
    let metadata = open_on(&disk, &Fatals::default(), rule);
    for n in 0..50 {
        commit(&metadata, &[put(&format!("key-{n}"), "value")]).expect("room");
    }
    metadata.close();
    // Every commit adds a row: never four times as many bytes as rows hold, but for the first.
    let files = names(&disk);
    let generation: u32 = files[0]
        .rsplit('.')
        .next()
        .expect("a number")
        .parse()
        .expect("a number");
    assert!(generation <= 3, "{files:?}");
}

#[test]
fn a_snapshot_larger_than_one_frame_is_read_back() {
    let disk = disk();
    let metadata = open(&disk);
    let big = "x".repeat(300 * 1024);
    let mut model = Rows::new();
    for n in 0..10 {
        let writes = [put(&format!("big-{n}"), &big)];
        let version = commit(&metadata, &writes).expect("room");
        apply(&mut model, version, &writes);
    }
    drop(metadata);
    drop(open(&disk));
    let metadata = open(&disk);
    assert!(metadata.report().frames > 3, "{:?}", metadata.report());
    assert_eq!(rows(&metadata), model);
}

#[test]
fn a_commit_that_is_too_large_is_refused() {
    let disk = disk();
    let metadata = open(&disk);
    let huge = "x".repeat(super::super::COMMIT_BYTES_MAX);
    let refused = commit(&metadata, &[put("huge", &huge)]);
    assert!(
        matches!(refused, Err(CommitError::Storage(_))),
        "{refused:?}"
    );
    commit(&metadata, &[put("small", "")]).expect("others go on");
}

#[test]
fn after_close_commits_are_refused_and_reads_go_on() {
    let disk = disk();
    let metadata = open(&disk);
    commit(&metadata, &[put("a", "1")]).expect("room");
    metadata.close();
    let refused = commit(&metadata, &[put("b", "1")]);
    assert!(
        matches!(refused, Err(CommitError::Storage(_))),
        "{refused:?}"
    );
    assert!(metadata.get_now(&key("a")).is_some());
    assert_eq!(disk.open_handles(), 0, "the thread let go of its files");
}

#[test]
fn only_our_names_are_ours() {
    let cases = [
        ("metadata.a.1", true),
        ("metadata.b.4294967295", true),
        ("metadata.a.7.damaged", true),
        ("metadata.c.1", false),
        ("metadata.a.0", false),
        ("metadata.a.01", false),
        ("metadata.a.+1", false),
        ("metadata.a.4294967296", false),
        ("metadata.a", false),
        ("metadata.a.1.tmp", false),
        ("Metadata.a.1", false),
    ];
    for (name, expected) in cases {
        assert_eq!(super::super::is_file_name(name), expected, "{name}");
    }
    let disk = disk();
    overwrite(&disk, "metadata.a.01", b"x");
    disk.create_dir(&own_dir().join("metadata.a.9"))
        .expect("room");
    drop(open(&disk));
    assert!(
        names(&disk).contains(&"metadata.a.01".to_owned()),
        "not ours: left alone"
    );
}
