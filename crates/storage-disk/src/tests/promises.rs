//! What the store promises beside surviving: order of durability and visibility, few open files,
//! small idle logs, names that can be used again.

use std::path::Path;
use std::time::Duration;

use records::Offset;
use storage::{Chunk, Isolation, LogStore, ReadLimit};
use vfs::{SimVfs, Vfs};

use super::harness::{
    DATA_DIR, append, batch, file, now, place, plain_topic, produced, read_all, start, topic,
};
use crate::Durability;

#[test]
fn nothing_is_visible_or_acknowledged_before_its_sync() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    let ticket = append(&*log, batch(&[b"one"]));
    assert_eq!(ticket.placed(), Ok(Offset::ZERO));
    assert!(!ticket.is_durable());
    assert_eq!(log.ends().high_watermark, Offset::ZERO);
    assert_eq!(read_all(&*log), []);
    assert!(vfs.durable_bytes(&file(0, "log")).expect("made").is_empty());
    life.sync();
    assert!(ticket.is_durable());
    assert_eq!(read_all(&*log).len(), 1);
    life.turn();
    assert!(
        !vfs.durable_bytes(&file(0, "log")).expect("made").is_empty(),
        "it is on the disk"
    );
}

#[test]
fn what_is_too_much_for_the_commit_file_waits_for_its_own_sync() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    let ticket = append(&*log, batch(&[&[1; 9000]]));
    assert!(!ticket.is_durable());
    assert!(vfs.durable_bytes(&file(0, "log")).expect("made").is_empty());
    life.sync();
    assert!(ticket.is_durable());
    assert!(
        !vfs.durable_bytes(&file(0, "log")).expect("made").is_empty(),
        "it is on the disk"
    );
}

#[test]
fn weaker_modes_show_at_once_and_sync_behind() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Os);
    let log = life.create(&plain_topic());
    let ticket = append(&*log, batch(&[b"one"]));
    assert!(ticket.is_durable(), "as durable as this mode promises");
    assert_eq!(read_all(&*log).len(), 1);
    assert!(vfs.durable_bytes(&file(0, "log")).expect("made").is_empty());
    life.sync();
    assert!(!vfs.durable_bytes(&file(0, "log")).expect("made").is_empty());
}

#[test]
fn a_read_ends_where_nothing_more_is_synced() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"synced"]));
    life.sync();
    place(&*log, batch(&[b"written"]));
    assert_eq!(read_all(&*log), [(0, b"synced".to_vec())]);
    life.sync();
    assert_eq!(read_all(&*log).len(), 2);
}

#[test]
fn what_was_written_during_a_sync_waits_for_the_next() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    let before = append(&*log, batch(&[b"before"]));
    vfs.stall_syncs();
    let during = std::thread::scope(|scope| {
        scope.spawn(|| life.sync());
        vfs.wait_for_stalled_syncs(1);
        let during = append(&*log, batch(&[b"during"]));
        vfs.release_syncs();
        during
    });
    assert!(before.is_durable());
    assert!(!during.is_durable(), "the sync began before it was written");
    assert_eq!(log.ends().high_watermark, Offset::new(1));
    life.sync();
    assert!(during.is_durable());
}

#[test]
fn a_creation_is_durable_before_it_is_answered() {
    for partitions in [1, 3, 40] {
        let vfs = SimVfs::new();
        let life = start(&vfs, Durability::Fsync);
        let topic = topic("events", 7, partitions, 200);
        life.create(&topic);
        drop(life);
        vfs.power_cut_with(&vfs::CutPolicy::DropAll);
        let directory = Path::new(DATA_DIR).join("events");
        assert!(
            vfs.stat(&directory.join("topic.meta"))
                .expect("asked")
                .is_some()
        );
        for partition in 0..partitions {
            for name in ["log", "index"] {
                let path = format!("partition{partition}/00000000000000000000.{name}");
                let stat = vfs.stat(&directory.join(path)).expect("asked");
                assert_eq!(
                    stat.map(|stat| stat.size_bytes),
                    Some(0),
                    "{partition} {name}"
                );
            }
        }
        let life = start(&vfs, Durability::Fsync);
        let listed = now(life.disk.store.topics()).expect("listed");
        assert_eq!(
            listed.first().map(|topic| topic.partitions),
            Some(partitions)
        );
        life.open(&topic, partitions - 1);
    }
}

#[test]
fn open_files_are_bounded_and_idle_logs_have_none() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let before = vfs.open_handles();
    let topic = topic("events", 7, 40, 1 << 20);
    life.create(&topic);
    let logs: Vec<_> = (0..40)
        .map(|partition| life.open(&topic, partition))
        .collect();
    assert_eq!(
        vfs.open_handles(),
        before,
        "no file is open for an idle log"
    );
    for round in 0..3 {
        for log in &logs {
            assert_eq!(place(&**log, batch(&[b"value"])), Offset::new(round));
        }
        life.sync();
        life.turn();
        life.maintain();
        let held = life.disk.shared.context.files.len();
        assert!(held <= 8, "{held} files are held open");
        // The journal's file comes to those that are open anyway.
        assert!(
            vfs.open_handles() <= before + 9,
            "{} handles",
            vfs.open_handles()
        );
    }
    for log in &logs {
        assert_eq!(read_all(&**log).len(), 3);
    }
}

#[test]
fn a_clean_start_touches_no_log() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let topic = topic("events", 7, 20, 1 << 20);
    life.create(&topic);
    for partition in 0..20 {
        place(&*life.open(&topic, partition), batch(&[b"value"]));
    }
    life.disk.close().expect("a clean end");
    vfs.start_trace();
    let life = start(&vfs, Durability::Fsync);
    assert!(life.disk.recovery().was_clean);
    let touched: Vec<String> = vfs
        .take_trace()
        .into_iter()
        .filter(|line| line.contains("/partition"))
        .collect();
    assert_eq!(touched, Vec::<String>::new());
    assert_eq!(life.open(&topic, 7).ends().log_end, Offset::new(1));
    assert_eq!(read_all(&*life.open(&topic, 7)).len(), 1);
}

#[test]
fn an_unclean_start_reads_only_past_the_watermark() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    for _ in 0..50 {
        place(&*log, batch(&[&[7; 1000]]));
    }
    life.sync();
    life.maintain();
    place(&*log, batch(&[&[8; 1000]]));
    life.sync();
    drop((log, life));
    vfs.process_kill();
    let life = start(&vfs, Durability::Fsync);
    let scanned = life.disk.recovery().scanned_bytes;
    assert!(
        (1000..2000).contains(&scanned),
        "{scanned} bytes were read for one batch"
    );
    assert_eq!(life.open(&plain_topic(), 0).ends().log_end, Offset::new(51));
}

#[test]
fn the_epoch_rises_at_every_start() {
    let vfs = SimVfs::new();
    let mut last = 0;
    for round in 0..4 {
        let life = start(&vfs, Durability::Fsync);
        let epoch = life.disk.node_epoch();
        assert!(epoch > last, "start {round}: {epoch} after {last}");
        last = epoch;
        if round % 2 == 0 {
            life.disk.close().expect("a clean end");
        } else {
            drop(life);
            vfs.power_cut(round);
        }
    }
}

#[test]
fn a_recreated_topic_shares_nothing_with_the_removed_one() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let old = life.create(&plain_topic());
    place(&*old, batch(&[b"old"]));
    life.sync();
    assert_eq!(read_all(&*old).len(), 1);
    now(life.disk.store.remove(&plain_topic())).expect("removed");
    let new = life.create(&topic("events", 9, 1, 1 << 20));
    place(&*new, batch(&[b"new"]));
    life.sync();
    assert_eq!(read_all(&*new), [(0, b"new".to_vec())]);
    let limit = ReadLimit {
        bytes_max: 1 << 20,
        at_least_one_batch: true,
    };
    assert!(now(old.read(Offset::ZERO, limit, Isolation::ReadUncommitted)).is_err());
    assert!(append(&*old, batch(&[b"late"])).placed().is_err());
    let trash = Path::new(DATA_DIR).join("@ottla/trash");
    assert_eq!(vfs.read_dir(&trash).expect("listed").len(), 1);
    life.maintain();
    assert_eq!(
        vfs.read_dir(&trash).expect("listed").len(),
        0,
        "its space comes back"
    );
    assert_eq!(read_all(&*new), [(0, b"new".to_vec())]);
}

#[test]
fn the_trash_is_emptied_after_a_start() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    life.create(&plain_topic());
    now(life.disk.store.remove(&plain_topic())).expect("removed");
    drop(life);
    vfs.power_cut(5);
    let trash = Path::new(DATA_DIR).join("@ottla/trash");
    assert_eq!(
        vfs.read_dir(&trash).expect("listed").len(),
        1,
        "the removal was durable"
    );
    let life = start(&vfs, Durability::Fsync);
    life.maintain();
    assert_eq!(vfs.read_dir(&trash).expect("listed").len(), 0);
    assert!(now(life.disk.store.topics()).expect("listed").is_empty());
}

#[test]
fn large_reads_are_ranges_of_files_and_small_ones_are_memory() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    for _ in 0..40 {
        place(&*log, batch(&[&[5; 10_000]]));
    }
    life.sync();
    for (bytes_max, is_file) in [(100_000, false), (300_000, true)] {
        let limit = ReadLimit {
            bytes_max,
            at_least_one_batch: true,
        };
        let slice = now(log.read(Offset::new(3), limit, Isolation::ReadUncommitted)).expect("read");
        let kinds: Vec<bool> = slice
            .chunks
            .iter()
            .map(|chunk| matches!(chunk, Chunk::File { .. }))
            .collect();
        assert_eq!(kinds, [is_file], "{bytes_max}");
        assert!(slice.size_bytes() <= bytes_max && slice.size_bytes() > bytes_max - 10_200);
    }
}

#[test]
fn what_is_not_in_memory_is_read_elsewhere() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"cold"]));
    life.sync();
    vfs.set_cold(true);
    assert_eq!(read_all(&*log), [(0, b"cold".to_vec())]);
}

#[test]
fn duplicates_are_known_after_every_kind_of_restart() {
    for clean in [true, false] {
        let vfs = SimVfs::new();
        let life = start(&vfs, Durability::Fsync);
        let topic = topic("events", 7, 1, 400);
        let log = life.create(&topic);
        for sequence in 0..20 {
            place(&*log, produced(5, 0, sequence * 2, &[b"first", b"second"]));
            life.sync();
            if sequence % 3 == 0 {
                life.maintain();
            }
        }
        assert!(log.footprint().segments > 2, "the log rolled");
        drop(log);
        if clean {
            life.disk.close().expect("a clean end");
        } else {
            drop(life);
            vfs.power_cut(9);
        }
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&topic, 0);
        for sequence in 15..20 {
            let retry = append(&*log, produced(5, 0, sequence * 2, &[b"first", b"second"]));
            assert_eq!(
                retry.placed(),
                Ok(Offset::new(i64::from(sequence) * 2)),
                "clean: {clean}"
            );
            assert!(retry.is_durable());
        }
        assert_eq!(log.ends().log_end, Offset::new(40));
        assert_eq!(
            place(&*log, produced(5, 0, 40, &[b"next"])),
            Offset::new(40)
        );
    }
}

#[test]
fn a_snapshot_waits_for_what_it_speaks_of() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&topic("events", 7, 1, 200));
    place(&*log, produced(5, 0, 0, &[&[1; 90]]));
    life.sync();
    // Rolls at offset 1, which nothing made durable yet, while the first batch is in upkeep.
    place(&*log, produced(5, 0, 1, &[&[1; 90]]));
    place(&*log, produced(5, 0, 2, &[&[1; 90]]));
    let exists = |offset| {
        vfs.stat(&file(offset, "snapshot"))
            .expect("asked")
            .is_some()
    };
    life.maintain();
    assert!(
        !exists(2),
        "nothing below offset 2 but the first batch is durable"
    );
    life.sync();
    life.maintain();
    assert!(exists(2));
}

#[test]
fn the_indexes_of_a_sealed_segment_are_durable_before_the_journal_moves_on() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&topic("events", 7, 1, 900));
    for _ in 0..10 {
        place(&*log, batch(&[&[1; 90]]));
    }
    assert!(log.footprint().segments > 1);
    life.sync();
    life.maintain();
    drop((log, life));
    vfs.power_cut_with(&vfs::CutPolicy::DropAll);
    for extension in ["index", "timeindex"] {
        let stat = vfs.stat(&file(0, extension)).expect("asked");
        assert!(
            stat.is_some_and(|stat| stat.size_bytes > 0),
            "{extension}: {stat:?}"
        );
    }
}

#[test]
fn a_log_is_closed_before_its_directory_moves() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"value"]));
    life.sync();
    vfs.stall_syncs();
    std::thread::scope(|scope| {
        let removal = scope.spawn(|| now(life.disk.store.remove(&plain_topic())));
        // The directory has moved and its new name is being synced.
        vfs.wait_for_stalled_syncs(1);
        let refused = append(&*log, batch(&[b"late"])).placed();
        assert!(refused.is_err(), "{refused:?}");
        let limit = ReadLimit {
            bytes_max: 1 << 20,
            at_least_one_batch: true,
        };
        let read = now(log.read(Offset::ZERO, limit, Isolation::ReadUncommitted));
        assert!(read.is_err(), "{read:?}");
        vfs.release_syncs();
        removal.join().expect("it ends").expect("removed");
    });
}

#[test]
fn a_removal_that_fails_changes_nothing() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"before"]));
    vfs.inject(vfs::Fault::fail(vfs::Operation::Rename, vfs::DiskError::NoSpace).nth(1));
    let refused = now(life.disk.store.remove(&plain_topic()));
    assert!(
        matches!(refused, Err(storage::StoreError::NoSpace(_))),
        "{refused:?}"
    );
    place(&*log, batch(&[b"after"]));
    life.sync();
    assert_eq!(read_all(&*log).len(), 2);
}

#[test]
fn a_retry_is_acknowledged_with_its_original() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    let original = append(&*log, produced(5, 0, 0, &[b"value"]));
    let retry = append(&*log, produced(5, 0, 0, &[b"value"]));
    assert_eq!(retry.placed(), original.placed());
    assert!(!retry.is_durable(), "the original is not on the disk yet");
    life.sync();
    assert!(retry.is_durable() && original.is_durable());
    assert_eq!(read_all(&*log).len(), 1);
}

#[test]
fn a_closed_directory_accepts_nothing() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"value"]));
    life.disk.close().expect("a clean end");
    let late = append(&*log, batch(&[b"late"])).placed();
    assert!(late.is_err(), "{late:?}");
    let life = start(&vfs, Durability::Fsync);
    assert!(life.disk.recovery().was_clean);
    assert_eq!(read_all(&*life.open(&plain_topic(), 0)).len(), 1);
}

#[test]
fn an_old_segment_rolls_at_the_next_append() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let mut topic = plain_topic();
    topic.log_config.segment_ms = Duration::from_hours(2);
    let log = life.create(&topic);
    for (hours, segments) in [(0, 1), (1, 1), (1, 2), (1, 2), (3, 3)] {
        life.clock.advance(Duration::from_hours(hours));
        place(&*log, batch(&[b"value"]));
        assert_eq!(log.footprint().segments, segments, "{hours} h later");
    }
    life.clock.set_wall_ms(0);
    place(&*log, batch(&[b"value"]));
    assert_eq!(
        log.footprint().segments,
        3,
        "a clock that goes back rolls nothing"
    );
}

#[test]
fn a_segment_rolls_before_it_is_too_large() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let topic = topic("events", 7, 1, 500);
    let log = life.create(&topic);
    for _ in 0..30 {
        place(&*log, batch(&[&[1; 60]]));
    }
    let listing = crate::listing::list(&vfs, &super::harness::partition_dir()).expect("listed");
    let logs = listing.expect("it is there").logs;
    assert!(logs.len() >= 8, "{logs:?}");
    assert!(logs.iter().all(|log| log.size.get() <= 500), "{logs:?}");
    let exact = batch(&[&[1; 60]]).len();
    let full = logs
        .iter()
        .rev()
        .skip(1)
        .all(|log| log.size.get() as usize + exact > 500);
    assert!(full, "no segment ends early: {logs:?}");
}

#[test]
fn a_panic_under_the_lock_ends_the_process() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let guard = std::panic::AssertUnwindSafe(&life.disk.shared.context.health);
    let panicked = std::panic::catch_unwind(|| {
        let _guard = guard.guard("a test");
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    assert_eq!(life.fatals.load(std::sync::atomic::Ordering::SeqCst), 1);
    let log = life.disk.store.create(&plain_topic(), 0..1);
    assert!(now(log).is_err(), "nothing is accepted any more");
}
