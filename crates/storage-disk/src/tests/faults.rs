//! A disk that is full, or fails.

use std::sync::atomic::Ordering;

use records::Offset;
use storage::{AppendError, LogStore, StoreError};
use vfs::{DiskError, FailedSync, Fault, Operation, SimOptions, SimVfs, Vfs};

use super::harness::{
    append, batch, file, now, options, place, plain_topic, read_all, start, topic, try_start,
};
use crate::Durability;

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"before"]));
    for short in [false, true] {
        if short {
            vfs.inject(
                Fault::short(Operation::Write, 30)
                    .on_path_suffix(".log")
                    .nth(1),
            );
            vfs.inject(
                Fault::fail(Operation::Write, DiskError::NoSpace)
                    .on_path_suffix(".log")
                    .nth(2),
            );
        } else {
            vfs.inject(
                Fault::fail(Operation::Write, DiskError::NoSpace)
                    .on_path_suffix(".log")
                    .nth(1),
            );
        }
        let refused = append(&*log, batch(&[b"refused"])).placed();
        assert!(
            matches!(refused, Err(AppendError::NoSpace(_))),
            "{refused:?}"
        );
        vfs.clear_faults();
        let size = vfs
            .stat(&file(0, "log"))
            .expect("asked")
            .expect("it is there")
            .size_bytes;
        assert_eq!(
            size,
            batch(&[b"before"]).len() as u64,
            "nothing is left of the write"
        );
        life.sync();
        assert!(!read_all(&*log).is_empty(), "reads go on");
    }
    assert_eq!(
        place(&*log, batch(&[b"after"])),
        Offset::new(1),
        "nothing moved"
    );
    life.sync();
    let expected = [(0, b"before".to_vec()), (1, b"after".to_vec())];
    assert_eq!(read_all(&*log), expected);
    assert_eq!(life.fatals.load(Ordering::SeqCst), 0);
    drop((log, life));
    vfs.power_cut(1);
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(read_all(&*life.open(&plain_topic(), 0)), expected);
}

#[test]
fn a_roll_that_finds_no_room_is_repeated() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&topic("events", 7, 1, 200));
    place(&*log, batch(&[&[1; 80]]));
    vfs.inject(
        Fault::fail(Operation::Open, DiskError::NoSpace)
            .on_path_suffix("1.index")
            .nth(1),
    );
    let refused = append(&*log, batch(&[&[2; 80]])).placed();
    assert!(
        matches!(refused, Err(AppendError::NoSpace(_))),
        "{refused:?}"
    );
    assert_eq!(place(&*log, batch(&[&[3; 80]])), Offset::new(1));
    life.sync();
    assert_eq!(read_all(&*log), [(0, vec![1; 80]), (1, vec![3; 80])]);
    assert_eq!(log.footprint().segments, 2);
}

#[test]
fn the_reserve_is_kept() {
    let vfs = SimVfs::new();
    vfs.set_space_limit(Some(1 << 20));
    let options = crate::DiskOptions {
        min_free_bytes: 600 << 10,
        ..options(Durability::Os)
    };
    let life = try_start(&vfs, &options).expect("it starts");
    let log = life.create(&plain_topic());
    let mut written = 0;
    let refused = loop {
        match append(&*log, batch(&[&[9; 10_000]])).placed() {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 60, "the reserve is written to");
    };
    assert!(matches!(refused, AppendError::NoSpace(_)), "{refused:?}");
    assert!(
        written > 20,
        "half of the disk may be used, {written} written"
    );
    assert!(
        refused.to_string().contains("/data"),
        "it names the disk: {refused}"
    );
    vfs.set_space_limit(Some(2 << 20));
    place(&*log, batch(&[b"room again"]));
}

#[test]
fn a_failed_sync_is_fatal_once_and_acknowledges_nothing() {
    for failed_sync in [
        FailedSync::KeepPages,
        FailedSync::RevertPages,
        FailedSync::ShutDown,
    ] {
        for operation in [Operation::SyncData, Operation::SyncDir] {
            check_failed_sync(failed_sync, operation);
        }
    }
}

fn check_failed_sync(failed_sync: FailedSync, operation: Operation) {
    let what = format!("{failed_sync:?}, {operation:?}");
    let vfs = SimVfs::with_options(SimOptions {
        failed_sync,
        ..SimOptions::default()
    });
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&topic("events", 7, 1, 200));
    let quiet = life.create(&topic("quiet", 8, 1, 200));
    place(&*log, batch(&[&[1; 80]]));
    place(&*quiet, batch(&[&[1; 80]]));
    life.sync();
    // Rolls, so that two files and a directory are in the round.
    let first = append(&*log, batch(&[&[2; 80]]));
    let other = append(&*quiet, batch(&[&[2; 20]]));
    vfs.inject(
        Fault::fail(operation, DiskError::Io)
            .on_path_suffix_of(operation)
            .nth(1),
    );
    life.sync();
    assert_eq!(vfs.faults_fired(), 1, "{what}");
    assert!(now(first.durable()).is_err(), "{what}: not acknowledged");
    assert!(
        now(other.durable()).is_err(),
        "{what}: nor any other of the round"
    );
    assert_eq!(
        log.ends().high_watermark,
        Offset::new(1),
        "{what}: not visible"
    );
    assert_eq!(life.fatals.load(Ordering::SeqCst), 1, "{what}");
    for log in [&log, &quiet] {
        let refused = append(&**log, batch(&[b"more"])).placed();
        assert!(
            matches!(refused, Err(AppendError::Storage(_))),
            "{what}: {refused:?}"
        );
        assert!(now(log.settled()).is_err(), "{what}");
    }
    life.sync();
    life.maintain();
    let made = now(life.disk.store.create(&topic("late", 9, 1, 200), 0..1));
    assert!(
        matches!(made, Err(StoreError::Storage(_))),
        "{what}: {made:?}"
    );
    assert_eq!(life.fatals.load(Ordering::SeqCst), 1, "{what}: told once");
    drop((log, quiet));
    assert!(life.disk.close().is_err(), "{what}: no clean end");
    vfs.power_cut(3);
    let life = start(&vfs, Durability::Fsync);
    assert!(!life.disk.recovery().was_clean, "{what}");
    let seen = read_all(&*life.open(&topic("events", 7, 1, 200), 0));
    assert_eq!(
        seen.first(),
        Some(&(0, vec![1; 80])),
        "{what}: what was acknowledged is there"
    );
}

/// Syncs of logs only: the journal and the metadata have their own tests.
trait OfLogs {
    fn on_path_suffix_of(self, operation: Operation) -> Self;
}

impl OfLogs for Fault {
    fn on_path_suffix_of(self, operation: Operation) -> Self {
        let suffix = if operation == Operation::SyncDir {
            "partition0"
        } else {
            ".log"
        };
        self.on_path_suffix(suffix)
    }
}

#[test]
fn a_failed_write_takes_only_its_partition_offline() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    let other = life.create(&topic("other", 8, 1, 1 << 20));
    place(&*log, batch(&[b"before"]));
    vfs.inject(
        Fault::fail(Operation::Write, DiskError::Io)
            .on_path_suffix(".log")
            .nth(1),
    );
    let refused = append(&*log, batch(&[b"refused"])).placed();
    assert!(
        matches!(refused, Err(AppendError::Storage(_))),
        "{refused:?}"
    );
    let refused = append(&*log, batch(&[b"refused"])).placed();
    assert!(
        matches!(refused, Err(AppendError::Storage(_))),
        "{refused:?}"
    );
    place(&*other, batch(&[b"fine"]));
    life.sync();
    assert_eq!(read_all(&*log), [(0, b"before".to_vec())], "reads go on");
    assert_eq!(read_all(&*other).len(), 1);
    assert_eq!(life.fatals.load(Ordering::SeqCst), 0);
    drop((log, other));
    life.disk.close().expect("it ends");
    let life = start(&vfs, Durability::Fsync);
    assert!(
        !life.disk.recovery().was_clean,
        "the files are looked at again"
    );
    let log = life.open(&plain_topic(), 0);
    assert_eq!(place(&*log, batch(&[b"again"])), Offset::new(1));
}

#[test]
fn too_many_open_files_pass() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    vfs.inject(
        Fault::fail(Operation::Open, DiskError::TooManyFiles)
            .on_path_suffix(".log")
            .nth(1),
    );
    let refused = append(&*log, batch(&[b"refused"])).placed();
    assert!(
        matches!(refused, Err(AppendError::Storage(_))),
        "{refused:?}"
    );
    assert_eq!(place(&*log, batch(&[b"fine"])), Offset::ZERO);
}

#[test]
fn a_partition_that_needs_a_file_takes_the_place_of_an_idle_one() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let idle = life.create(&topic("idle", 8, 1, 1 << 20));
    let log = life.create(&topic("events", 7, 1, 200));
    place(&*idle, batch(&[b"value"]));
    let too_many = |path: &str| {
        let fault = Fault::fail(Operation::Open, DiskError::TooManyFiles);
        vfs.inject(fault.on_path_suffix(path).nth(1));
    };
    too_many("events/partition0/00000000000000000000.log");
    let refused = append(&*log, batch(&[b"value"])).placed();
    assert!(refused.is_err(), "what is not synced stays open");
    life.sync();
    life.turn();
    vfs.clear_faults();
    too_many("events/partition0/00000000000000000000.log");
    let open = vfs.open_handles();
    assert_eq!(place(&*log, batch(&[&[1; 80]])), Offset::ZERO);
    assert_eq!(vfs.open_handles(), open, "one was closed, one opened");
    assert_eq!(read_all(&*idle).len(), 1, "and opens again when it is read");
    life.sync();
    too_many("events/partition0/00000000000000000001.log");
    assert_eq!(place(&*log, batch(&[&[2; 80]])), Offset::new(1), "a roll");
}

#[test]
fn a_disk_that_fills_up_again_and_again_harms_nobody() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let topic = topic("events", 7, 1, 2000);
    let log = life.create(&topic);
    let mut written = 0;
    for cycle in 0..100 {
        vfs.set_space_limit(Some(vfs.used_bytes() + 700 + cycle * 13 % 900));
        let refused = loop {
            match append(&*log, batch(&[&[9; 250]])).placed() {
                Ok(_) => written += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, AppendError::NoSpace(_)), "{refused:?}");
        assert!(
            refused.to_string().contains("/data"),
            "names the disk: {refused}"
        );
        life.sync();
        life.maintain();
        assert_eq!(read_all(&*log).len(), written, "cycle {cycle}: reads go on");
        let made = now(life
            .disk
            .store
            .create(&super::harness::topic("more", 9, 1, 200), 0..1));
        if made.is_ok() {
            now(life
                .disk
                .store
                .remove(&super::harness::topic("more", 9, 1, 200)))
            .expect("removals go on");
        }
        vfs.set_space_limit(None);
        place(&*log, batch(&[b"room"]));
        written += 1;
        life.sync();
        life.maintain();
    }
    assert_eq!(life.fatals.load(Ordering::SeqCst), 0);
    drop((log, life));
    vfs.power_cut(4);
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(read_all(&*life.open(&topic, 0)).len(), written);
}

#[test]
fn a_disk_that_stands_still_keeps_its_own_waiting() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    let other = life.create(&topic("other", 8, 1, 1 << 20));
    place(&*other, batch(&[b"before"]));
    life.sync();
    append(&*log, batch(&[b"first"]));
    vfs.stall_syncs();
    std::thread::scope(|scope| {
        let round = scope.spawn(|| life.sync());
        vfs.wait_for_stalled_syncs(1);
        let handles = vfs.open_handles();
        let waiting: Vec<_> = (0..200)
            .map(|_| append(&*log, batch(&[&[1; 1000]])))
            .collect();
        assert!(
            waiting
                .iter()
                .all(|it| it.placed().is_ok() && !it.is_durable())
        );
        assert_eq!(
            vfs.open_handles(),
            handles,
            "what waits takes no descriptors"
        );
        assert_eq!(read_all(&*other).len(), 1, "reads go on");
        assert_eq!(log.ends().high_watermark, Offset::ZERO);
        assert_eq!(now(life.disk.store.topics()).expect("listed").len(), 2);
        vfs.release_syncs();
        round.join().expect("the round ends");
        life.sync();
        assert!(waiting.iter().all(storage::AppendTicket::is_durable));
    });
}

#[test]
fn a_clock_that_jumps_deletes_nothing_and_overflows_nowhere() {
    const YEARS_MS: i64 = 10 * 365 * 24 * 3_600_000;
    let jumps = [YEARS_MS, -YEARS_MS, 0, i64::MAX, i64::MIN, 0, -1];
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let mut topic = plain_topic();
    topic.log_config.segment_ms = std::time::Duration::from_hours(1);
    let log = life.create(&topic);
    let mut records = 0;
    for (number, jump) in jumps.into_iter().enumerate() {
        life.clock
            .set_wall_ms(super::harness::START_MS.saturating_add(jump));
        for _ in 0..20 {
            place(&*log, batch(&[b"value"]));
            records += 1;
        }
        life.sync();
        life.maintain();
        assert_eq!(read_all(&*log).len(), records, "jump {jump}");
        assert!(
            log.footprint().segments <= number + 2,
            "jump {jump}: a roll for each append"
        );
    }
    assert_eq!(life.fatals.load(Ordering::SeqCst), 0);
}

#[test]
fn a_creation_without_room_leaves_nothing() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    for operation in [Operation::CreateDir, Operation::Write, Operation::Open] {
        for nth in 1..4 {
            vfs.inject(Fault::fail(operation, DiskError::NoSpace).nth(nth));
            let made = now(life.disk.store.create(&topic("events", 7, 3, 200), 0..3));
            vfs.clear_faults();
            if made.is_ok() {
                now(life.disk.store.remove(&topic("events", 7, 3, 200))).expect("removed");
                continue;
            }
            assert!(
                matches!(made, Err(StoreError::NoSpace(_))),
                "{operation:?} {nth}: {made:?}"
            );
            assert!(now(life.disk.store.topics()).expect("listed").is_empty());
            now(life.disk.store.create(&topic("events", 9, 3, 200), 0..3)).expect("room again");
            now(life.disk.store.remove(&topic("events", 9, 3, 200))).expect("removed");
        }
    }
    assert_eq!(life.fatals.load(Ordering::SeqCst), 0);
}

#[test]
fn a_creation_that_failed_does_not_come_back() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let fault = Fault::fail(Operation::Open, DiskError::NoSpace).on_path_suffix(".index");
    vfs.inject(fault.nth(1));
    let made = now(life.disk.store.create(&plain_topic(), 0..1));
    assert!(matches!(made, Err(StoreError::NoSpace(_))), "{made:?}");
    drop(life);
    vfs.power_cut_with(&vfs::CutPolicy::DropAll);
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(now(life.disk.store.topics()).expect("listed"), []);
}

#[test]
fn what_a_failed_sync_left_in_memory_is_written_again() {
    let vfs = SimVfs::with_options(SimOptions {
        failed_sync: FailedSync::KeepPages,
        ..SimOptions::default()
    });
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    append(&*log, batch(&[b"in memory only"]));
    vfs.inject(
        Fault::fail(Operation::SyncData, DiskError::Io)
            .on_path_suffix(".log")
            .nth(1),
    );
    life.sync();
    drop((log, life));
    vfs.process_kill();
    vfs.clear_faults();
    // The system has marked the bytes clean: a sync alone would say yes and do nothing.
    let life = start(&vfs, Durability::Fsync);
    let seen = read_all(&*life.open(&plain_topic(), 0));
    assert_eq!(
        seen,
        [(0, b"in memory only".to_vec())],
        "it is there, and now it is visible"
    );
    drop(life);
    vfs.power_cut_with(&vfs::CutPolicy::DropAll);
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(
        read_all(&*life.open(&plain_topic(), 0)),
        seen,
        "so it must stay"
    );
}
