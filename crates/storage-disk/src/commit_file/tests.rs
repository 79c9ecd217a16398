//! What is in the commit file only is as durable as promised, and nothing else comes out of it.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use records::Offset;
use storage::{PartitionId, TopicId};
use vfs::{CutPolicy, DiskError, FailedSync, Fault, Operation, SimOptions, SimVfs, Vfs};

use super::layout::{BLOCK_BYTES, ENTRY_HEAD_BYTES, Entry, HEADS_BYTES, Head, are_good};
use crate::Durability;
use crate::offline::{self, OfflineError};
use crate::position::Position;
use crate::recovery::Label;
use crate::tests::harness::{
    DATA_DIR, Life, append, batch, file, options, place, plain_topic, read_all, start, topic,
    try_start,
};
use crate::watermarks::Run;

mod damage;

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/commit-1.bin");

fn path(name: &str) -> PathBuf {
    PathBuf::from(DATA_DIR).join("@ottla").join(name)
}

fn bytes(vfs: &SimVfs, name: &str) -> Vec<u8> {
    vfs::read_whole(vfs, &path(name), 1 << 20).expect("it is there")
}

/// A life with two partitions, each with one record that only the commit file has durable: in one
/// round, or in two.
fn two_partitions(vfs: &SimVfs, rounds: u32) -> Life {
    let life = start(vfs, Durability::Fsync);
    let topic = topic("events", 7, 2, 1 << 20);
    life.create(&topic);
    place(&*life.open(&topic, 0), batch(&[b"zero"]));
    if rounds > 1 {
        life.sync();
    }
    place(&*life.open(&topic, 1), batch(&[b"one"]));
    life.sync();
    life
}

/// The records of both after a start.
fn both(life: &Life) -> [usize; 2] {
    let topic = topic("events", 7, 2, 1 << 20);
    [0, 1].map(|partition| read_all(&*life.open(&topic, partition)).len())
}

fn count(life: &Life, label: Label) -> u64 {
    let labels = &life.disk.recovery().labels;
    labels.get(&label).copied().unwrap_or(0)
}

#[test]
fn one_sync_makes_the_small_appends_of_all_logs_durable() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let topic = topic("events", 7, 2, 1 << 20);
    life.create(&topic);
    let logs = [0, 1].map(|partition| life.open(&topic, partition));
    let tickets = [0, 1, 0, 1].map(|of| append(&*logs[of], batch(&[b"value"])));
    vfs.start_trace();
    life.sync();
    let trace = vfs.take_trace();
    let syncs: Vec<&String> = trace.iter().filter(|line| line.contains("Sync")).collect();
    assert_eq!(syncs.len(), 1, "{trace:?}");
    assert!(syncs[0].contains("commit."), "{syncs:?}");
    assert!(tickets.iter().all(storage::AppendTicket::is_durable));
    drop((logs, life));
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(
        vfs.stat(&file(0, "log"))
            .expect("asked")
            .map(|stat| stat.size_bytes),
        Some(0),
        "the log alone has nothing"
    );
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(both(&life), [2, 2]);
    assert_eq!(count(&life, Label::W), 2);
    assert!(life.disk.recovery().restored_bytes > 0);
}

#[test]
fn what_the_journal_speaks_of_is_there_after_a_replay() {
    let vfs = SimVfs::new();
    let life = two_partitions(&vfs, 2);
    life.maintain();
    drop(life);
    vfs.power_cut_with(&CutPolicy::DropAll);
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(both(&life), [1, 1]);
    assert!(life.disk.recovery().alarms.is_empty());
}

#[test]
fn a_log_for_which_much_waited_comes_back_when_it_has_little() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    let synced = |size: usize| {
        let ticket = append(&*log, batch(&[&vec![1; size]]));
        vfs.start_trace();
        life.sync();
        assert!(ticket.is_durable());
        let trace = vfs.take_trace();
        let sync = trace.iter().find(|line| line.starts_with("SyncData"));
        sync.expect("it is synced").contains("partition0")
    };
    assert_eq!([50, 9000, 50, 50].map(synced), [false, true, true, false]);
}

#[test]
fn a_file_is_used_again_only_when_its_logs_are_synced() {
    let vfs = SimVfs::new();
    let life = two_partitions(&vfs, 1);
    let other = life.open(&topic("events", 7, 2, 1 << 20), 1);
    for _ in 0..30 {
        // Nobody syncs what is behind: both files fill, and the log goes on by itself.
        let ticket = append(&*other, batch(&[&[5; 1500]]));
        life.sync();
        assert!(ticket.is_durable());
    }
    drop((other, life));
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(both(&start(&vfs, Durability::Fsync)), [1, 31]);
}

#[test]
fn a_sync_behind_holds_up_no_round() {
    let vfs = SimVfs::new();
    let life = two_partitions(&vfs, 1);
    let log = life.open(&topic("events", 7, 2, 1 << 20), 0);
    vfs.stall_syncs();
    let ticket = std::thread::scope(|scope| {
        scope.spawn(|| life.turn());
        vfs.wait_for_stalled_syncs(1);
        let ticket = append(&*log, batch(&[b"meanwhile"]));
        scope.spawn(|| life.sync());
        // It would never get there behind the other.
        vfs.wait_for_stalled_syncs(2);
        vfs.release_syncs();
        ticket
    });
    assert!(ticket.is_durable());
    drop((log, life));
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(both(&start(&vfs, Durability::Fsync)), [2, 1]);
}

#[test]
fn a_generation_ends_when_its_logs_are_synced() {
    let vfs = SimVfs::new();
    let life = two_partitions(&vfs, 1);
    assert!(bytes(&vfs, "commit.a").starts_with(b"OCF1"));
    life.turn();
    let head = Head::find(&bytes(&vfs, "commit.a"));
    assert_eq!(head, Some(Head::wiped()));
    drop(life);
    vfs.power_cut_with(&CutPolicy::DropAll);
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(both(&life), [1, 1]);
    assert_eq!(count(&life, Label::W), 0, "the logs have it themselves");
}

#[test]
fn a_clean_end_leaves_nothing_to_read() {
    let vfs = SimVfs::new();
    two_partitions(&vfs, 1).disk.close().expect("a clean end");
    for name in ["commit.a", "commit.b"] {
        let head = Head::find(&bytes(&vfs, name));
        assert_eq!(head, Some(Head::wiped()), "{name}");
    }
    vfs.start_trace();
    let life = start(&vfs, Durability::Fsync);
    let trace = vfs.take_trace();
    let read = |line: &&String| line.starts_with("Read ") && line.contains("commit.");
    assert_eq!(trace.iter().find(read), None);
    assert_eq!(both(&life), [1, 1]);
}

#[test]
fn the_file_of_another_run_counts_for_nothing() {
    let vfs = SimVfs::new();
    drop(two_partitions(&vfs, 1));
    let stale = bytes(&vfs, "commit.a");
    // Another directory, with the same topic and the next run.
    let vfs = SimVfs::new();
    start(&vfs, Durability::Fsync)
        .disk
        .close()
        .expect("a clean end");
    let life = start(&vfs, Durability::Fsync);
    life.create(&topic("events", 7, 2, 1 << 20));
    drop(life);
    vfs.damage(&path("commit.a"), 0, &stale).expect("put there");
    vfs.process_kill();
    assert_eq!(both(&start(&vfs, Durability::Fsync)), [0, 0]);
}

#[test]
fn the_last_run_is_known_without_a_journal() {
    let vfs = SimVfs::new();
    drop(two_partitions(&vfs, 1));
    vfs.power_cut_with(&CutPolicy::DropAll);
    for number in 1..4 {
        let _ = vfs.remove_file(&path(&format!("watermarks.{number}")));
    }
    assert_eq!(both(&start(&vfs, Durability::Fsync)), [1, 1]);
}

#[test]
fn another_good_batch_is_left_where_it_stands() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"first"]));
    life.sync();
    let epoch = life.disk.node_epoch();
    drop((log, life));
    vfs.process_kill();
    let mut other = batch(&[b"other"]);
    other.place(Offset::ZERO, epoch);
    vfs.damage(&file(0, "log"), 0, other.as_bytes())
        .expect("put there");
    let life = start(&vfs, Durability::Fsync);
    let log = life.open(&plain_topic(), 0);
    assert_eq!(read_all(&*log), [(0, b"other".to_vec())]);
    assert_eq!(count(&life, Label::X), 1);
    assert_eq!(life.disk.recovery().alarms.len(), 1);
}

#[test]
fn a_damaged_entry_costs_itself() {
    let vfs = SimVfs::new();
    let life = two_partitions(&vfs, 2);
    let first = life.open(&topic("events", 7, 2, 1 << 20), 0);
    place(&*first, batch(&[b"two"]));
    life.sync();
    drop((first, life));
    vfs.power_cut_with(&CutPolicy::DropAll);
    // The first byte of the records in the second round.
    let at = HEADS_BYTES + BLOCK_BYTES + ENTRY_HEAD_BYTES;
    vfs.damage(&path("commit.a"), at as u64, &[99])
        .expect("damaged");
    let life = start(&vfs, Durability::Fsync);
    let first = life.open(&topic("events", 7, 2, 1 << 20), 0);
    assert_eq!(read_all(&*first).len(), 2);
    assert_eq!(count(&life, Label::X), 1, "{:?}", life.disk.recovery());
}

#[test]
fn an_entry_with_a_wrong_head_goes_nowhere() {
    let vfs = SimVfs::new();
    let life = two_partitions(&vfs, 2);
    drop(life);
    vfs.power_cut_with(&CutPolicy::DropAll);
    // The second round says that it is of the other partition, behind the record that is there.
    let at = HEADS_BYTES + BLOCK_BYTES;
    vfs.damage(&path("commit.a"), at as u64 + 31, &[0])
        .expect("damaged");
    let position = u8::try_from(batch(&[b"zero"]).len()).expect("small");
    vfs.damage(&path("commit.a"), at as u64 + 27, &[position])
        .expect("damaged");
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(both(&life), [1, 0]);
    let size = vfs
        .stat(&file(0, "log"))
        .expect("asked")
        .expect("there")
        .size_bytes;
    assert_eq!(size, u64::from(position), "nothing was written there");
}

#[test]
fn a_damaged_entry_of_the_last_round_costs_itself() {
    let vfs = SimVfs::new();
    drop(two_partitions(&vfs, 1));
    vfs.power_cut_with(&CutPolicy::DropAll);
    let at = HEADS_BYTES + ENTRY_HEAD_BYTES;
    vfs.damage(&path("commit.a"), at as u64, &[99])
        .expect("damaged");
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(both(&life), [0, 1], "the other log has its record");
    assert_eq!(count(&life, Label::X), 1);
    assert!(
        life.disk.recovery().alarms.is_empty(),
        "nobody knows whether it was synced"
    );
}

#[test]
fn a_damaged_head_costs_nothing_and_two_are_reported() {
    let written = SimVfs::new();
    drop(two_partitions(&written, 1));
    written.power_cut_with(&CutPolicy::DropAll);
    for at in 0..48 {
        let vfs = written.fork();
        let flipped = bytes(&vfs, "commit.a")[at] ^ 0x10;
        vfs.damage(&path("commit.a"), at as u64, &[flipped])
            .expect("damaged");
        assert_eq!(both(&start(&vfs, Durability::Fsync)), [1, 1], "byte {at}");
    }
    // A copy made with holes has zeros where the disk could not be read.
    for damage in [&[9][..], &[0; BLOCK_BYTES]] {
        let vfs = written.fork();
        vfs.damage(&path("commit.a"), 0, damage).expect("damaged");
        let copy = vfs.fork();
        assert_eq!(both(&start(&copy, Durability::Fsync)), [1, 1]);
        vfs.damage(&path("commit.a"), BLOCK_BYTES as u64, damage)
            .expect("damaged");
        let life = start(&vfs, Durability::Fsync);
        assert_eq!(both(&life), [0, 0]);
        assert_eq!(life.disk.recovery().alarms.len(), 1, "not silently");
    }
}

#[test]
fn a_damaged_end_of_the_journal_costs_nothing() {
    let written = SimVfs::new();
    // The journal of an older run is there too.
    start(&written, Durability::Fsync)
        .disk
        .close()
        .expect("a clean end");
    drop(two_partitions(&written, 1));
    written.power_cut_with(&CutPolicy::DropAll);
    let journal = bytes(&written, "watermarks.2");
    for (at, byte) in journal.iter().enumerate() {
        let vfs = written.fork();
        vfs.damage(&path("watermarks.2"), at as u64, &[byte ^ 4])
            .expect("damaged");
        assert_eq!(both(&start(&vfs, Durability::Fsync)), [1, 1], "byte {at}");
    }
}

#[test]
fn a_clean_end_before_the_last_process_is_not_the_last_word() {
    let vfs = SimVfs::new();
    start(&vfs, Durability::Fsync)
        .disk
        .close()
        .expect("a clean end");
    drop(two_partitions(&vfs, 1));
    vfs.power_cut_with(&CutPolicy::DropAll);
    vfs.remove_file(&path("watermarks.2"))
        .expect("it was there");
    assert_eq!(both(&start(&vfs, Durability::Fsync)), [1, 1]);
}

#[test]
fn a_topic_without_its_label_is_known_by_its_name() {
    let vfs = SimVfs::new();
    drop(two_partitions(&vfs, 1));
    vfs.power_cut_with(&CutPolicy::DropAll);
    let label = PathBuf::from(DATA_DIR).join("events/topic.meta");
    vfs.remove_file(&label).expect("it was there");
    assert_eq!(both(&start(&vfs, Durability::Fsync)), [1, 1]);
}

#[test]
fn no_state_of_the_files_refuses_a_start() {
    for name in ["commit.a", "commit.b"] {
        for content in [&b""[..], b"OCF1", &[0xff; 10_000], &[0; 4096]] {
            let vfs = SimVfs::new();
            drop(two_partitions(&vfs, 1));
            vfs.process_kill();
            let file = vfs
                .open(&path(name), vfs::OpenMode::ReadWrite)
                .expect("opens");
            file.set_size(0).expect("cut");
            vfs::write_all_at(&*file, content, 0).expect("room");
            let life = start(&vfs, Durability::Fsync);
            assert_eq!(both(&life), [1, 1], "the logs have it themselves");
            life.disk.close().expect("a clean end");
        }
    }
}

#[test]
fn a_sync_behind_that_fails_loses_nothing() {
    for failed_sync in [FailedSync::KeepPages, FailedSync::RevertPages] {
        let vfs = SimVfs::with_options(SimOptions {
            failed_sync,
            ..SimOptions::default()
        });
        let life = two_partitions(&vfs, 1);
        life.maintain();
        let fault = Fault::fail(Operation::SyncData, DiskError::Io).on_path_suffix(".log");
        vfs.inject(fault.nth(1));
        life.turn();
        assert_eq!(life.fatals.load(Ordering::SeqCst), 1, "{failed_sync:?}");
        drop(life);
        vfs.process_kill();
        let life = start(&vfs, Durability::Fsync);
        assert_eq!(both(&life), [1, 1], "{failed_sync:?}");
        drop(life);
        vfs.power_cut_with(&CutPolicy::DropAll);
        assert_eq!(
            both(&start(&vfs, Durability::Fsync)),
            [1, 1],
            "{failed_sync:?}"
        );
    }
}

#[test]
fn a_failed_round_acknowledges_nothing() {
    for operation in [Operation::Write, Operation::SyncData] {
        let vfs = SimVfs::new();
        let life = start(&vfs, Durability::Fsync);
        let log = life.create(&plain_topic());
        let ticket = append(&*log, batch(&[b"value"]));
        vfs.inject(
            Fault::fail(operation, DiskError::Io)
                .on_path_suffix("commit.a")
                .nth(1),
        );
        life.sync();
        assert!(!ticket.is_durable(), "{operation:?}");
        assert_eq!(life.fatals.load(Ordering::SeqCst), 1, "{operation:?}");
        assert!(append(&*log, batch(&[b"more"])).placed().is_err());
    }
}

#[test]
fn without_room_for_it_logs_sync_by_themselves() {
    for (operation, suffix) in [
        (Operation::Open, "commit.b.tmp"),
        (Operation::Write, "commit.a"),
    ] {
        let vfs = SimVfs::new();
        vfs.inject(
            Fault::fail(operation, DiskError::NoSpace)
                .on_path_suffix(suffix)
                .nth(1),
        );
        let life = two_partitions(&vfs, 1);
        assert_eq!(vfs.faults_fired(), 1, "{suffix}");
        assert_eq!(life.fatals.load(Ordering::SeqCst), 0, "{suffix}");
        assert_eq!(both(&life), [1, 1], "{suffix}: visible, so durable");
        drop(life);
        vfs.power_cut_with(&CutPolicy::DropAll);
        let life = start(&vfs, Durability::Fsync);
        assert_eq!(both(&life), [1, 1], "{suffix}");
        assert_eq!(
            count(&life, Label::W),
            0,
            "{suffix}: the logs have it themselves"
        );
    }
}

#[test]
fn a_head_that_cannot_be_wiped_keeps_its_file_out_of_use() {
    let vfs = SimVfs::new();
    let life = two_partitions(&vfs, 1);
    let fault = Fault::fail(Operation::Write, DiskError::NoSpace).on_path_suffix("commit.a");
    vfs.inject(fault.nth(1));
    life.turn();
    assert_eq!(vfs.faults_fired(), 1);
    assert_eq!(life.fatals.load(Ordering::SeqCst), 0);
    let stuck = bytes(&vfs, "commit.a");
    assert!(stuck.starts_with(b"OCF1"));
    let other = life.open(&topic("events", 7, 2, 1 << 20), 1);
    for _ in 0..20 {
        let ticket = append(&*other, batch(&[&[5; 1500]]));
        life.sync();
        life.turn();
        assert!(ticket.is_durable());
    }
    assert_eq!(bytes(&vfs, "commit.a"), stuck, "it is not written to");
    drop((other, life));
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(both(&start(&vfs, Durability::Fsync)), [1, 21]);
}

#[test]
fn bytes_that_are_not_what_was_written_are_left_to_the_sync_of_their_log() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    let ticket = append(&*log, batch(&[b"value"]));
    // What memory shows of a file whose writeback failed.
    vfs.damage(&file(0, "log"), 70, &[0; 4]).expect("damaged");
    vfs.start_trace();
    life.sync();
    let synced = |line: &String| line.contains("SyncData") && line.contains(".log");
    assert!(
        vfs.take_trace().iter().any(synced),
        "its own sync hears of it"
    );
    assert!(ticket.is_durable());
}

#[test]
fn a_run_of_another_mode_replays_too() {
    let vfs = SimVfs::new();
    drop(two_partitions(&vfs, 1));
    vfs.power_cut_with(&CutPolicy::DropAll);
    let life = start(&vfs, Durability::Os);
    assert_eq!(both(&life), [1, 1]);
}

#[test]
fn what_a_start_puts_back_is_not_reported_lost() {
    let vfs = SimVfs::new();
    let life = two_partitions(&vfs, 1);
    life.maintain();
    drop(life);
    vfs.power_cut_with(&CutPolicy::DropAll);
    // Its size got to the disk, and nothing else.
    let log = vfs
        .open(&file(0, "log"), vfs::OpenMode::ReadWrite)
        .expect("opens");
    log.set_size(50).expect("room");
    let data_dir = std::path::Path::new(DATA_DIR);
    let report = offline::verify(&vfs, data_dir).expect("read");
    assert!(!report.problems.is_empty());
    assert!(
        report.problems.iter().all(|problem| !problem.is_loss),
        "{report:?}"
    );
    let refused = offline::plan_repair(&vfs, data_dir);
    assert!(
        matches!(refused, Err(OfflineError::Unreplayed(_))),
        "{refused:?}"
    );
    let life = start(&vfs, Durability::Fsync);
    assert_eq!(both(&life), [1, 1]);
    life.disk.close().expect("a clean end");
    assert!(offline::verify(&vfs, data_dir).expect("read").is_good());
    let plan = offline::plan_repair(&vfs, data_dir).expect("read");
    assert!(plan.losses.is_empty() && plan.left.is_empty());
}

#[test]
fn a_lost_writeback_ends_the_process_and_keeps_the_commit_file() {
    let vfs = SimVfs::new();
    let life = two_partitions(&vfs, 1);
    life.maintain();
    vfs.lose_writeback(&file(0, "log")).expect("it is there");
    life.turn();
    assert_eq!(life.fatals.load(Ordering::SeqCst), 1);
    assert!(bytes(&vfs, "commit.a").starts_with(b"OCF1"), "still live");
    let log = life.open(&topic("events", 7, 2, 1 << 20), 1);
    assert!(append(&*log, batch(&[b"more"])).placed().is_err());
    drop((log, life));
    vfs.process_kill();
    assert_eq!(both(&start(&vfs, Durability::Fsync)), [1, 1]);
}

#[test]
fn the_reserve_of_the_disk_stays() {
    let vfs = SimVfs::new();
    // Room above the reserve for one of the two files.
    vfs.set_space_limit(Some(100_000));
    let options = crate::DiskOptions {
        min_free_bytes: 60_000,
        ..options(Durability::Fsync)
    };
    let life = try_start(&vfs, &options).expect("it starts");
    for name in ["commit.a", "commit.a.tmp", "commit.b"] {
        assert_eq!(vfs.stat(&path(name)).expect("asked"), None, "{name}");
    }
    let log = life.create(&plain_topic());
    let ticket = append(&*log, batch(&[b"value"]));
    life.sync();
    assert!(ticket.is_durable(), "the log is synced by itself");
    assert_eq!(life.fatals.load(Ordering::SeqCst), 0);
}

#[test]
fn nothing_is_made_after_the_stop() {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let context = &life.disk.shared.context;
    let own_dir = path("");
    assert!(
        context.flusher.wait_to_make(context, &own_dir),
        "it is there"
    );
    vfs.remove_file(&path("commit.b")).expect("it was there");
    context.flusher.stop();
    assert!(!context.flusher.wait_to_make(context, &own_dir));
}

fn an_entry() -> (Head, Entry, Vec<u8>) {
    let head = Head {
        run: Run {
            boot_id: *b"the boot of test",
            epoch: 3,
            started_ms: 5,
        },
        file_bytes: 16 << 20,
        generation: 4,
    };
    let entry = Entry {
        partition: PartitionId {
            topic: TopicId([7; 16]),
            partition: 2,
        },
        name_crc: 0x0102_0304,
        base: Offset::new(40),
        next: Offset::new(48),
        position: Position::new(300),
        size_bytes: 5,
        sequence: 9,
        round: 8,
    };
    let mut whole = vec![0; Entry::total_bytes(5)];
    whole[ENTRY_HEAD_BYTES..ENTRY_HEAD_BYTES + 5].copy_from_slice(b"bytes");
    entry.seal(head.seed(), &mut whole);
    (head, entry, whole)
}

#[test]
fn no_flipped_bit_of_an_entry_passes() {
    let (head, entry, whole) = an_entry();
    let good = |whole: &[u8]| {
        let parsed = Entry::parse(whole, head.seed());
        parsed.is_some_and(|(entry, crc)| {
            let records = whole.get(ENTRY_HEAD_BYTES..ENTRY_HEAD_BYTES + entry.size_bytes);
            records.is_some_and(|records| are_good(records, crc))
        })
    };
    let parsed = Entry::parse(&whole, head.seed());
    assert_eq!(parsed.map(|(entry, _)| entry), Some(entry));
    assert!(good(&whole));
    for at in 0..ENTRY_HEAD_BYTES + 5 {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            assert!(!good(&flipped), "byte {at} bit {bit}");
        }
    }
    let next = Head {
        generation: 5,
        ..head
    };
    assert_eq!(
        Entry::parse(&whole, next.seed()),
        None,
        "of another generation"
    );
}

#[test]
fn no_flipped_bit_of_a_head_passes() {
    let (head, ..) = an_entry();
    let block = head.encode();
    assert_eq!(Head::find(&block), Some(head));
    for at in 0..48 {
        for bit in 0..8 {
            let mut flipped = block.clone();
            flipped[at] ^= 1 << bit;
            assert_eq!(Head::find(&flipped), Some(head), "byte {at} bit {bit}");
            flipped[at + BLOCK_BYTES] ^= 1 << bit;
            assert_eq!(Head::find(&flipped), None, "byte {at} bit {bit}, twice");
        }
    }
}

#[test]
fn what_is_written_is_the_golden_file() {
    let (head, _, whole) = an_entry();
    let mut written = head.encode();
    written.extend_from_slice(&whole);
    crate::golden::check("commit-1.bin", GOLDEN, &written);
}
