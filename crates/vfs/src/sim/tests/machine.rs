//! The machine around the disk: lives and boots, stalls, stops, traces, copies.

use std::thread;

use super::*;

#[test]
fn a_power_cut_kills_handles_and_locks_and_names_another_boot() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, "/log", b"1");
    let file_system = vfs.open_file_system(Path::new("/")).expect("open");
    let held = vfs.lock(Path::new("/lock")).expect("a lock");
    let boot = vfs.boot_id();
    assert_eq!(vfs.open_handles(), 2);
    vfs.power_cut(1);

    assert_ne!(vfs.boot_id(), boot);
    assert_eq!(vfs.open_handles(), 0);
    assert_eq!(errno(file.read_at(&mut [0; 1], 0)), EIO);
    assert_eq!(errno(file.write_at(b"2", 0)), EIO);
    assert_eq!(errno(file.size_bytes()), EIO);
    assert_eq!(errno(file.set_size(0)), EIO);
    assert_eq!(errno(file.sync_data()), EIO);
    assert_eq!(errno(file_system.sync()), EIO);
    let again = vfs.lock(Path::new("/lock")).expect("nobody holds it");
    drop((held, file));
    assert!(
        vfs.lock(Path::new("/lock")).is_err(),
        "a dead guard lets nothing go"
    );
    assert_eq!(vfs.open_handles(), 1, "a dead handle closes nothing");
    drop(again);
    assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_killed_process_loses_nothing_written_and_everything_held() {
    let vfs = SimVfs::new();
    let file = create(&vfs, "/log");
    file.write_at(b"1", 0).expect("a write");
    let removed = create(&vfs, "/removed");
    removed.write_at(b"12345", 0).expect("a write");
    vfs.remove_file(Path::new("/removed")).expect("removed");
    let held = vfs.lock(Path::new("/lock")).expect("a lock");
    let (boot, pending) = (vfs.boot_id(), vfs.pending_items());
    let owner = bytes_of(&vfs, "/lock");
    vfs.process_kill();

    assert_eq!(vfs.boot_id(), boot);
    assert_eq!(errno(file.sync_data()), EIO);
    assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b"1"[..]));
    assert_eq!(
        vfs.pending_items(),
        pending - 1,
        "only the removed file's write is gone"
    );
    let _again = vfs.lock(Path::new("/lock")).expect("nobody holds it");
    assert_ne!(
        bytes_of(&vfs, "/lock"),
        owner,
        "another process, another id"
    );
    drop(held);
    vfs.lock(Path::new("/lock"))
        .expect_err("a dead guard lets nothing go");
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(bytes_of(&vfs, "/log"), None, "it was in memory only");
}

#[test]
fn a_fork_shares_nothing() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, "/log", b"1");
    let _held = vfs.lock(Path::new("/lock")).expect("a lock");
    file.write_at(b"2", 0).expect("a write");
    let copy = vfs.fork();
    assert_eq!((copy.open_handles(), copy.boot_id()), (0, vfs.boot_id()));
    assert_eq!(copy.describe_pending(), vfs.describe_pending());
    copy.lock(Path::new("/lock")).expect("nobody runs there");
    copy.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(bytes_of(&copy, "/log").as_deref(), Some(&b"1"[..]));
    assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b"2"[..]));
    file.sync_data().expect("the original lives on");
}

#[test]
fn a_stalled_sync_waits_and_covers_only_what_came_before_it() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, "/log", b"");
    file.write_at(b"before", 0).expect("a write");
    vfs.stall_syncs();
    thread::scope(|scope| {
        let sync = scope.spawn(|| file.sync_data());
        vfs.wait_for_stalled_syncs(1);
        file.write_at(b"after", 6).expect("others go on");
        assert_eq!(vfs.durable_bytes(Path::new("/log")).expect("durable"), b"");
        vfs.release_syncs();
        sync.join().expect("joined").expect("a sync");
    });
    assert_eq!(
        vfs.durable_bytes(Path::new("/log")).expect("durable"),
        b"before"
    );
    file.sync_data().expect("no stall any more");
    assert_eq!(
        vfs.durable_bytes(Path::new("/log")).expect("durable"),
        b"beforeafter"
    );
}

#[test]
fn directory_and_file_system_syncs_stall_too() {
    for names in RULES {
        let vfs = disk(names);
        let file_system = vfs.open_file_system(Path::new("/")).expect("open");
        for whole in [false, true] {
            let (before, after) = (format!("/before-{whole}"), format!("/after-{whole}"));
            create(&vfs, &before);
            vfs.stall_syncs();
            thread::scope(|scope| {
                let sync = scope.spawn(|| {
                    if whole {
                        file_system.sync()
                    } else {
                        vfs.sync_dir(Path::new("/"))
                    }
                });
                vfs.wait_for_stalled_syncs(1);
                create(&vfs, &after);
                vfs.release_syncs();
                sync.join().expect("joined").expect("a sync");
            });
            vfs.durable_bytes(Path::new(&before)).expect("covered");
            vfs.durable_bytes(Path::new(&after))
                .expect_err("came later");
        }
    }
}

#[test]
fn a_stall_ends_for_those_it_holds_even_if_another_begins_at_once() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, "/log", b"");
    vfs.stall_syncs();
    thread::scope(|scope| {
        let first = scope.spawn(|| file.sync_data());
        vfs.wait_for_stalled_syncs(1);
        vfs.release_syncs();
        vfs.stall_syncs();
        first.join().expect("joined").expect("released");
        let second = scope.spawn(|| file.sync_data());
        vfs.wait_for_stalled_syncs(1);
        vfs.release_syncs();
        second.join().expect("joined").expect("released");
    });
}

#[test]
fn a_stalled_sync_dies_with_its_process() {
    for power in [false, true] {
        let vfs = SimVfs::new();
        let file = plant(&vfs, "/log", b"old");
        file.write_at(b"new", 0).expect("a write");
        vfs.stall_syncs();
        thread::scope(|scope| {
            let sync = scope.spawn(|| file.sync_data());
            vfs.wait_for_stalled_syncs(1);
            if power {
                vfs.power_cut_with(&CutPolicy::DropAll);
            } else {
                vfs.process_kill();
            }
            assert_eq!(errno(sync.join().expect("joined")), EIO);
        });
        assert_eq!(
            vfs.durable_bytes(Path::new("/log")).expect("durable"),
            b"old"
        );
    }
}

#[test]
fn a_stopped_machine_changes_nothing_more() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, "/log", b"old");
    let before = vfs.changes();
    vfs.stop_after(2);
    file.write_at(b"1", 0).expect("the first");
    file.read_at(&mut [0; 1], 0).expect("reads do not count");
    file.sync_data().expect("the second");
    assert!(!vfs.is_stopped());
    assert_eq!(errno(file.write_at(b"2", 0)), EIO);
    assert!(vfs.is_stopped());
    assert_eq!(errno(vfs.stat(Path::new("/log"))), EIO, "not even reads");
    assert_eq!(vfs.changes(), before + 2);
    vfs.power_cut_with(&CutPolicy::KeepAll);
    assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b"1ld"[..]));
    create(&vfs, "/new")
        .write_at(b"2", 0)
        .expect("it runs again");
}

#[test]
fn a_cold_disk_has_nothing_in_memory() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, "/log", b"123");
    let mut buf = [0; 2];
    assert_eq!(file.read_cached_at(&mut buf, 1).expect("hot"), Some(2));
    vfs.set_cold(true);
    assert_eq!(file.read_cached_at(&mut buf, 1).expect("cold"), None);
    assert_eq!(file.read_at(&mut buf, 0).expect("from the disk"), 2);
    assert_eq!(&buf, b"12");
}

fn without_sum(line: &str) -> String {
    match line.split_once(" sum ") {
        Some((head, _)) => format!("{head} sum (elsewhere)"),
        None => line.to_owned(),
    }
}

#[test]
fn the_trace_tells_each_call_with_its_outcome() {
    let vfs = SimVfs::new();
    assert_eq!(vfs.take_trace(), [""; 0], "off by default");
    vfs.start_trace();
    let file = create(&vfs, "/log");
    file.write_at(b"12", 7).expect("a write");
    file.set_size(3).expect("cut");
    file.sync_data().expect("a sync");
    vfs.rename(Path::new("/log"), Path::new("/new"))
        .expect("rename");
    vfs.stat(Path::new("/log")).expect("stat");
    vfs.remove_file(Path::new("/log")).expect_err("not there");
    let expected = [
        "Open /log CreateNew",
        "Write /log at 7 len 2 sum (elsewhere)",
        "SetSize /log to 3",
        "SyncData /log",
        "Rename /log /new",
        "Stat /log",
        "Remove /log -> errno 2",
    ];
    let trace: Vec<String> = vfs
        .take_trace()
        .into_iter()
        .map(|line| without_sum(&line))
        .collect();
    assert_eq!(trace, expected);
    assert_eq!(vfs.take_trace(), [""; 0], "taken");

    file.write_at(b"12", 7).expect("a write");
    file.write_at(b"13", 7).expect("a write");
    let trace = vfs.take_trace();
    assert_ne!(trace[0], trace[1], "other bytes, another line");
}
