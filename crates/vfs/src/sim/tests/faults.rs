//! Errors on request, and above all what a failed sync leaves behind.

use super::*;

fn write(file: &Arc<dyn File>, bytes: &[u8], at: u64) {
    write_all_at(&**file, bytes, at).expect("a write");
}

#[test]
fn every_kind_of_call_can_fail_and_then_changes_nothing() {
    type Attempt = fn(&SimVfs, &Arc<dyn File>) -> io::Result<()>;
    let attempts: [(Operation, Attempt); 13] = [
        (Operation::Open, |vfs, _| {
            vfs.open(Path::new("/d/new"), OpenMode::CreateNew).map(drop)
        }),
        (Operation::Open, |vfs, _| {
            vfs.open_file_system(Path::new("/d")).map(drop)
        }),
        (Operation::CreateDir, |vfs, _| {
            vfs.create_dir(Path::new("/d/new"))
        }),
        (Operation::ReadDir, |vfs, _| {
            vfs.read_dir(Path::new("/d")).map(drop)
        }),
        (Operation::Stat, |vfs, _| {
            vfs.stat(Path::new("/d/new")).map(drop)
        }),
        (Operation::Rename, |vfs, _| {
            vfs.rename(Path::new("/d/file"), Path::new("/d/new"))
        }),
        (Operation::Remove, |vfs, _| {
            vfs.remove_file(Path::new("/d/file"))
        }),
        (Operation::Remove, |vfs, _| {
            vfs.remove_dir(Path::new("/d/empty"))
        }),
        (Operation::Lock, |vfs, _| {
            match vfs.lock(Path::new("/d/new")) {
                Ok(_) => Ok(()),
                Err(LockError::Io(error)) => Err(error),
                Err(LockError::Held { .. }) => panic!("nobody holds it"),
            }
        }),
        (Operation::Read, |_, file| {
            file.read_at(&mut [0; 1], 0).map(drop)
        }),
        (Operation::Read, |_, file| {
            file.read_cached_at(&mut [0; 1], 0).map(drop)
        }),
        (Operation::Write, |_, file| file.write_at(b"x", 0).map(drop)),
        (Operation::SetSize, |_, file| file.set_size(0)),
    ];
    for (operation, attempt) in attempts {
        for (error, expected) in [
            (DiskError::Io, EIO),
            (DiskError::NoSpace, ENOSPC),
            (DiskError::TooManyFiles, EMFILE),
            (DiskError::ReadOnly, Some(30)),
        ] {
            let vfs = SimVfs::new();
            vfs.create_dir(Path::new("/d")).expect("a directory");
            vfs.create_dir(Path::new("/d/empty")).expect("a directory");
            vfs.sync_dir(Path::new("/")).expect("a directory sync");
            let file = plant(&vfs, "/d/file", b"file");
            let names = |vfs: &SimVfs| vfs.read_dir(Path::new("/d")).expect("a listing");
            let before = names(&vfs);

            vfs.inject(Fault::fail(operation, error));
            assert_eq!(errno(attempt(&vfs, &file)), expected, "{operation:?}");
            assert_eq!(vfs.faults_fired(), 1, "{operation:?}");
            vfs.clear_faults();
            assert_eq!(names(&vfs), before, "{operation:?}");
            assert_eq!(
                bytes_of(&vfs, "/d/file").as_deref(),
                Some(&b"file"[..]),
                "{operation:?}"
            );
            assert_eq!(vfs.open_handles(), 1, "{operation:?}");
            attempt(&vfs, &file).expect("and then it works");
        }
    }
}

#[test]
fn faults_choose_by_count_and_by_path() {
    let vfs = SimVfs::new();
    let (log, index) = (create(&vfs, "/0.log"), create(&vfs, "/0.index"));
    vfs.inject(
        Fault::fail(Operation::Write, DiskError::Io)
            .on_path_suffix(".log")
            .nth(2),
    );
    vfs.inject(Fault::fail(Operation::Write, DiskError::NoSpace).on_path_suffix(".index"));
    vfs.inject(Fault::fail(Operation::Write, DiskError::NoSpace).nth_and_later(6));
    write(&log, b"1", 0);
    assert_eq!(errno(index.write_at(b"1", 0)), ENOSPC);
    assert_eq!(errno(log.write_at(b"2", 0)), EIO);
    write(&log, b"3", 0);
    write(&log, b"4", 0);
    assert_eq!(errno(log.write_at(b"5", 0)), ENOSPC, "the sixth of all");
    assert_eq!(errno(log.write_at(b"6", 0)), ENOSPC);
    assert_eq!(vfs.faults_fired(), 4);

    vfs.inject(Fault::fail(Operation::Rename, DiskError::Io).on_path_suffix("target"));
    let rename = |source: &str, target: &str| vfs.rename(Path::new(source), Path::new(target));
    assert_eq!(errno(rename("/0.log", "/target")), EIO);
    rename("/0.log", "/other").expect("another name");
}

#[test]
fn short_reads_and_writes_handle_a_part() {
    let vfs = SimVfs::new();
    let file = create(&vfs, "/log");
    vfs.inject(Fault::short(Operation::Write, 3).nth(1));
    assert_eq!(file.write_at(b"12345", 0).expect("a short write"), 3);
    assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b"123"[..]));
    vfs.inject(Fault::short(Operation::Read, 2).nth(1));
    let mut buf = [0; 3];
    assert_eq!(file.read_at(&mut buf, 0).expect("a short read"), 2);
    assert_eq!(&buf, b"12\0");

    // The helpers finish the job.
    vfs.inject(Fault::short(Operation::Write, 1));
    vfs.inject(Fault::short(Operation::Read, 1));
    write(&file, b"abcdef", 0);
    assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b"abcdef"[..]));
    vfs.clear_faults();
    vfs.inject(Fault::short(Operation::Write, 0));
    let error = write_all_at(&*file, b"x", 0).expect_err("no progress");
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}

#[test]
#[should_panic(expected = "only reads and writes can be short")]
fn a_short_sync_makes_no_sense() {
    Fault::short(Operation::SyncData, 1);
}

#[test]
fn a_retried_sync_claims_success_and_has_written_nothing() {
    for failed_sync in [FailedSync::KeepPages, FailedSync::RevertPages] {
        let vfs = failing(failed_sync);
        let file = plant(&vfs, "/log", b"old");
        write(&file, b"new", 3);
        vfs.inject(Fault::fail(Operation::SyncData, DiskError::Io).nth(1));
        assert_eq!(errno(file.sync_data()), EIO);
        file.sync_data().expect("the lie");
        assert_eq!(vfs.pending_items(), 0, "nothing will ever be written");

        let seen = bytes_of(&vfs, "/log").expect("it is there");
        let expected: &[u8] = if failed_sync == FailedSync::KeepPages {
            b"oldnew"
        } else {
            b"old"
        };
        assert_eq!(seen, expected, "{failed_sync:?}");
        vfs.power_cut_with(&CutPolicy::KeepAll);
        assert_eq!(
            bytes_of(&vfs, "/log").as_deref(),
            Some(&b"old"[..]),
            "{failed_sync:?}"
        );
    }
}

#[test]
fn bytes_written_again_after_a_failed_sync_do_arrive() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, "/log", b"old");
    write(&file, b"new", 3);
    vfs.inject(Fault::fail(Operation::SyncData, DiskError::Io).nth(1));
    assert_eq!(errno(file.sync_data()), EIO);
    write(&file, b"new", 3);
    file.sync_data().expect("a sync");
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b"oldnew"[..]));
}

#[test]
fn pages_lost_by_a_failed_sync_leave_a_hole_behind_later_ones() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, "/log", &[b'o'; 4_096]);
    write(&file, &[b'l'; 4_096], 4_096);
    vfs.inject(Fault::fail(Operation::SyncData, DiskError::Io).nth(1));
    assert_eq!(errno(file.sync_data()), EIO);
    write(&file, &[b'n'; 4_096], 8_192);
    file.sync_data().expect("the second page is written");
    vfs.power_cut_with(&CutPolicy::DropAll);
    let found = bytes_of(&vfs, "/log").expect("it is there");
    let runs: Vec<(u8, usize)> = found
        .chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len()))
        .collect();
    assert_eq!(runs, [(b'o', 4_096), (0, 4_096), (b'n', 4_096)]);
}

#[test]
fn a_shut_down_file_system_answers_nothing_until_the_next_boot() {
    let vfs = failing(FailedSync::ShutDown);
    let file = plant(&vfs, "/log", b"old");
    write(&file, b"new", 3);
    vfs.inject(Fault::fail(Operation::SyncData, DiskError::Io).nth(1));
    assert_eq!(errno(file.sync_data()), EIO);
    assert_eq!(errno(file.sync_data()), EIO);
    assert_eq!(errno(file.read_at(&mut [0; 1], 0)), EIO);
    assert_eq!(errno(vfs.stat(Path::new("/log"))), EIO);
    vfs.process_kill();
    assert_eq!(
        errno(vfs.stat(Path::new("/log"))),
        EIO,
        "a new process finds it so"
    );
    assert_eq!(
        errno(vfs.fork().stat(Path::new("/log"))),
        EIO,
        "so does a copy"
    );
    vfs.power_cut_with(&CutPolicy::KeepAll);
    assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b"old"[..]));
}

#[test]
fn a_lost_writeback_is_told_once_to_each_descriptor_that_was_open() {
    let vfs = SimVfs::new();
    let writer = plant(&vfs, "/log", b"old");
    let reader = vfs.open(Path::new("/log"), OpenMode::Read).expect("open");
    let file_system = vfs.open_file_system(Path::new("/")).expect("open");
    let other = plant(&vfs, "/other", b"");
    write(&writer, b"new", 3);
    vfs.lose_writeback(Path::new("/log")).expect("it is there");
    assert_eq!(vfs.pending_items(), 0, "lost");

    let late = vfs
        .open(Path::new("/log"), OpenMode::ReadWrite)
        .expect("open");
    let late_file_system = vfs.open_file_system(Path::new("/")).expect("open");
    late.sync_data().expect("opened after the loss: never told");
    late_file_system
        .sync()
        .expect("opened after the loss: never told");
    other.sync_data().expect("another file");
    assert_eq!(errno(writer.sync_data()), EIO);
    assert_eq!(errno(reader.sync_data()), EIO);
    assert_eq!(errno(file_system.sync()), EIO);
    writer.sync_data().expect("told once");
    reader.sync_data().expect("told once");
    file_system.sync().expect("told once");
    vfs.power_cut_with(&CutPolicy::KeepAll);
    assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b"old"[..]));
}

#[test]
fn a_failed_sync_is_told_to_the_other_descriptors_too() {
    let vfs = SimVfs::new();
    let first = plant(&vfs, "/log", b"");
    let second = vfs
        .open(Path::new("/log"), OpenMode::ReadWrite)
        .expect("open");
    write(&first, b"1", 0);
    vfs.inject(Fault::fail(Operation::SyncData, DiskError::NoSpace).nth(1));
    assert_eq!(errno(first.sync_data()), ENOSPC);
    assert_eq!(errno(second.sync_data()), EIO);
    second.sync_data().expect("told once");
    first.sync_data().expect("told already");
}

#[test]
fn a_failed_sync_of_the_file_system_loses_everything_pending() {
    let vfs = SimVfs::new();
    let file_system = vfs.open_file_system(Path::new("/")).expect("open");
    let file = plant(&vfs, "/log", b"old");
    write(&file, b"new", 0);
    create(&vfs, "/name");
    vfs.inject(Fault::fail(Operation::SyncFileSystem, DiskError::Io).nth(1));
    assert_eq!(errno(file_system.sync()), EIO);
    file_system.sync().expect("the lie");
    assert_eq!(errno(file.sync_data()), EIO, "the descriptor is told too");
    vfs.power_cut_with(&CutPolicy::KeepAll);
    assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b"old"[..]));
    assert_eq!(bytes_of(&vfs, "/name"), None);
}

#[test]
fn a_full_disk_takes_what_fits_and_then_refuses() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, "/log", b"1234");
    vfs.set_space_limit(Some(10));
    assert_eq!(vfs.free_bytes(Path::new("/")).expect("free bytes"), 6);
    assert_eq!(file.write_at(b"abcdefgh", 4).expect("a short write"), 6);
    assert_eq!(errno(file.write_at(b"gh", 10)), ENOSPC);
    assert_eq!(errno(file.set_size(11)), ENOSPC);
    assert_eq!(
        file.write_at(b"ABCD", 6)
            .expect("an overwrite needs no space"),
        4
    );
    assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b"1234abABCD"[..]));

    file.set_size(4).expect("cut");
    assert_eq!(vfs.free_bytes(Path::new("/")).expect("free bytes"), 6);
    let other = create(&vfs, "/other");
    write(&other, b"123456", 0);
    vfs.remove_file(Path::new("/other")).expect("removed");
    assert_eq!(
        vfs.free_bytes(Path::new("/")).expect("free bytes"),
        0,
        "still open"
    );
    drop(other);
    assert_eq!(vfs.free_bytes(Path::new("/")).expect("free bytes"), 6);

    let other = create(&vfs, "/other");
    write(&other, b"123456", 0);
    vfs.sync_dir(Path::new("/")).expect("a directory sync");
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(
        vfs.free_bytes(Path::new("/")).expect("free bytes"),
        6,
        "the write was lost"
    );
    vfs.set_space_limit(None);
    assert!(vfs.free_bytes(Path::new("/")).expect("free bytes") > 1 << 30);
}

#[test]
fn a_lock_is_granted_on_a_full_disk() {
    let vfs = SimVfs::new();
    vfs.set_space_limit(Some(0));
    let held = vfs.lock(Path::new("/lock")).expect("the pid only informs");
    match vfs.lock(Path::new("/lock")) {
        Err(LockError::Held { owner_pid }) => assert_eq!(owner_pid, None),
        other => panic!("{other:?}"),
    }
    drop(held);
}

#[test]
fn absurd_positions_are_refused() {
    let vfs = SimVfs::new();
    let file = create(&vfs, "/log");
    assert!(file.write_at(b"x", u64::MAX).is_err());
    assert!(file.set_size(u64::MAX).is_err());
    assert_eq!(file.size_bytes().expect("size"), 0);
}
