//! Damage that nobody asks for is found, repaired or listed as a read would, and nothing else is
//! read, held up or said.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use clock::SimClock;
use records::Offset;
use storage::{LogStore, ReadError};
use vfs::SimVfs;

use super::harness::{
    Life, START_MS, batch, file, options, partition_dir, place, plain_topic, read_all, read_from,
    start, topic,
};
use super::quarantine::{BATCHES, RECORD, damage, lost, written};
use crate::quarantine::List;
use crate::{DiskOptions, Durability, open};

const SEGMENT_BYTES: u32 = 450;

/// A pass over all logs, the first or a later one.
fn pass(life: &Life, is_first: bool) -> bool {
    let shared = &life.disk.shared;
    shared.context.scrub.pass(shared, is_first)
}

fn scrubbed(life: &Life) -> (u64, u64) {
    let findings = life.disk.store.findings();
    (findings.scrubbed_bytes, findings.scrub_found_ranges)
}

/// Bytes of all segments.
fn log_bytes(vfs: &SimVfs) -> u64 {
    let listing = crate::listing::list(vfs, &partition_dir());
    let logs = listing.expect("listed").expect("there").logs;
    logs.iter().map(|log| log.size.bytes()).sum()
}

#[test]
fn damage_that_nobody_asks_for_is_found_and_listed() {
    for (segment_bytes, damaged) in [(SEGMENT_BYTES, &[4, 9][..]), (1 << 20, &[4])] {
        let vfs = written(segment_bytes);
        for at in damaged {
            damage(&vfs, *at, RECORD);
        }
        let count = damaged.len() as u64;
        let life = start(&vfs, Durability::Fsync);
        assert_eq!(lost(&life), (0, 0), "nobody looked yet");
        assert!(pass(&life, true), "it came to the end");
        assert_eq!(lost(&life), (count, count), "as a read counts it");
        let bases = (0..BATCHES).map(Offset::new);
        let listed: Vec<i64> = bases
            .flat_map(|base| List::read(&vfs, &partition_dir(), base).entries())
            .map(|entry| entry.first.get())
            .collect();
        assert_eq!(listed, damaged, "on the disk");
        assert_eq!(scrubbed(&life).1, count);
        let findings = life.disk.store.findings();
        assert_eq!(findings.scrub_passed_at_ms, Some(START_MS));
        pass(&life, false);
        assert_eq!(scrubbed(&life).1, count, "known damage is no news");
        let log = life.open(&plain_topic(), 0);
        let read = read_from(&*log, Offset::new(4), 200);
        assert!(matches!(read, Err(ReadError::Corrupt(_))), "{read:?}");
        let seen = read_from(&*log, Offset::new(10), 200).expect("good behind it");
        assert_eq!(seen.len(), 2);
    }
}

#[test]
fn a_head_that_is_proven_is_repaired() {
    let vfs = written(1 << 20);
    let path = file(0, "log");
    let bytes = vfs::read_whole(&vfs, &path, 1 << 20).expect("read");
    let mut batches = records::Batches::new(&bytes);
    let (position, ..) = batches.nth(4).expect("it is there").expect("good");
    let epoch_at = position + 15;
    vfs.damage(&path, epoch_at as u64, &[bytes[epoch_at] ^ 1])
        .expect("damaged");
    let life = start(&vfs, Durability::Fsync);
    pass(&life, true);
    assert_eq!(life.disk.repaired_heads(), 1);
    assert_eq!(lost(&life), (0, 0));
    let after = vfs::read_whole(&vfs, &path, 1 << 20).expect("read");
    assert_eq!(after, bytes, "the file is as it was");
}

#[test]
fn the_first_pass_leaves_out_what_this_process_knows() {
    let vfs = written(SEGMENT_BYTES);
    let found_bytes = log_bytes(&vfs);
    let life = start(&vfs, Durability::Fsync);
    let fresh = topic("fresh", 8, 1, SEGMENT_BYTES);
    let log = life.create(&fresh);
    place(&*log, batch(&[b"appended here"]));
    let old = life.open(&plain_topic(), 0);
    place(&*old, batch(&[b"appended here"]));
    life.sync();
    pass(&life, true);
    let first_bytes = scrubbed(&life).0;
    let appended_bytes = log_bytes(&vfs) - found_bytes;
    assert!(
        (found_bytes..=found_bytes + appended_bytes).contains(&first_bytes),
        "{first_bytes} of what was found, and of the batch in the same segment"
    );
    pass(&life, true);
    assert_eq!(scrubbed(&life).0, first_bytes, "nothing is left");
    pass(&life, false);
    let fresh_bytes = log.footprint().size_bytes;
    let all_bytes = log_bytes(&vfs) + fresh_bytes;
    assert_eq!(scrubbed(&life).0, first_bytes + all_bytes, "all of it");
}

#[test]
fn damage_to_what_was_verified_before_is_found_by_a_later_pass() {
    let vfs = written(SEGMENT_BYTES);
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&plain_topic(), 0);
    assert_eq!(read_all(&*log).len(), 12, "all is good");
    damage(&vfs, 4, RECORD);
    assert!(pass(&life, true));
    assert_eq!(scrubbed(&life).1, 0, "it was verified in this process");
    assert!(pass(&life, false));
    assert_eq!(scrubbed(&life).1, 1);
    let read = read_from(&*log, Offset::new(4), 200);
    assert!(
        matches!(read, Err(ReadError::Corrupt(_))),
        "it is not served any more: {read:?}"
    );
    assert_eq!(lost(&life), (1, 1));
}

#[test]
fn a_log_without_records_is_not_opened() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    drop(life.create(&plain_topic()));
    life.disk.close().expect("a clean end");
    let life = start(&vfs, Durability::Fsync);
    vfs.start_trace();
    pass(&life, true);
    let opened = vfs.take_trace();
    assert_eq!(opened, Vec::<String>::new());
}

/// A store with its threads.
fn with_threads(vfs: &SimVfs, scrub_bytes_per_second: u64) -> crate::Disk {
    let options = DiskOptions {
        scrub_bytes_per_second,
        ..options(Durability::Fsync)
    };
    let fatals = Arc::new(AtomicUsize::new(0));
    let fatal: crate::Fatal = Arc::new(move |_| {
        fatals.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    });
    let clock = Arc::new(SimClock::starting_at(START_MS));
    open(Arc::new(vfs.clone()), clock, options, fatal).expect("it starts")
}

#[test]
fn the_thread_ends_at_once_in_the_middle_of_a_pass_or_behind_it() {
    let vfs = written(SEGMENT_BYTES);
    damage(&vfs, 4, RECORD);
    let disk = with_threads(&vfs.fork(), u64::MAX);
    while disk.store.findings().scrub_passed_at_ms.is_none() {
        std::thread::yield_now();
    }
    assert_eq!(disk.store.findings().scrub_found_ranges, 1);
    disk.close().expect("a clean end, and not in a week");
    // At a byte a second a step takes most of a day.
    let disk = with_threads(&vfs, 1);
    while disk.store.findings().scrubbed_bytes == 0 {
        std::thread::yield_now();
    }
    assert_eq!(disk.store.findings().scrub_passed_at_ms, None);
    disk.close().expect("a clean end, and not tomorrow");
}
