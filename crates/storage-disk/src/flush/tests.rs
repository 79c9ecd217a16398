//! Rounds of syncs, with the real threads on a disk that stands still.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use clock::{Clock, SimClock};
use records::{BatchBuilder, CheckedBatch, Codec};
use storage::conformance::run;
use storage::{
    AppendTicket, BytesPermit, Fence, Isolation, Log, LogConfig, LogStore, ReadLimit, TopicId,
    TopicMeta, TopicName,
};
use vfs::{DiskError, Fault, Operation, SimVfs, Vfs};

use super::PARALLEL_SYNCS;
use crate::{Disk, DiskOptions, Durability, open};

fn start(vfs: &SimVfs, durability: Durability) -> Disk {
    let options = DiskOptions {
        data_dir: PathBuf::from("/data"),
        durability,
        min_free_bytes: 0,
        scrub_bytes_per_second: 0,
        compaction: crate::CompactionOptions::default(),
        retention_check_interval: std::time::Duration::from_secs(10),
        open_files_max: 64,
    };
    let clock: Arc<dyn Clock> = Arc::new(SimClock::starting_at(0));
    let vfs: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let disk = open(vfs, clock, options, Arc::new(|_| {})).expect("it opens");
    disk.shared.context.flusher.wait_for_common();
    disk
}

/// Without a commit file: each log is synced by itself.
fn start_alone(vfs: &SimVfs) -> Disk {
    let fault = Fault::fail(Operation::Open, DiskError::NoSpace).on_path_suffix("commit.a.tmp");
    vfs.inject(fault.nth(1));
    start(vfs, Durability::Fsync)
}

fn logs(disk: &Disk, partitions: u32) -> Vec<Arc<dyn Log>> {
    let topic = TopicMeta {
        id: TopicId([1; 16]),
        name: TopicName::parse("events").expect("a name"),
        partitions,
        configs: std::collections::BTreeMap::new(),
        log_config: LogConfig::default(),
    };
    run(async {
        disk.store
            .create(&topic, 0..partitions)
            .await
            .expect("made");
    });
    (0..partitions)
        .map(|number| disk.store.open(&topic, number).expect("opens"))
        .collect()
}

fn batch() -> CheckedBatch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .append(0, None, Some(&Bytes::from_static(b"value")), &[])
        .expect("a record");
    builder.build().expect("a batch")
}

fn append(log: &Arc<dyn Log>) -> AppendTicket {
    log.append(batch(), Fence::default(), BytesPermit::free())
}

/// The syncs of log files since the trace was taken last, a line each.
fn syncs(vfs: &SimVfs) -> Vec<String> {
    let is_sync = |line: &String| line.contains("SyncData") && line.contains(".log");
    vfs.take_trace().into_iter().filter(is_sync).collect()
}

#[test]
fn commits_during_a_sync_form_the_next() {
    for (alone, path) in [(false, "commit.a"), (true, ".log")] {
        let vfs = SimVfs::new();
        let disk = if alone {
            start_alone(&vfs)
        } else {
            start(&vfs, Durability::Fsync)
        };
        let logs = logs(&disk, 2);
        vfs.start_trace();
        vfs.stall_syncs();
        let first = append(&logs[0]);
        vfs.wait_for_stalled_syncs(1);
        let others: Vec<AppendTicket> = (0..50).map(|_| append(&logs[0])).collect();
        assert!(!first.is_durable());
        assert!(others.iter().all(|ticket| !ticket.is_durable()));
        vfs.release_syncs();
        run(async {
            first.durable().await.expect("durable");
            for ticket in others {
                ticket.durable().await.expect("durable");
            }
        });
        let of_path = |line: &&String| line.contains("SyncData") && line.contains(path);
        let syncs = vfs.take_trace().iter().filter(of_path).count();
        assert_eq!(
            syncs, 2,
            "{path}: one for the first, one for all that came meanwhile"
        );
    }
}

#[test]
fn a_log_waits_for_no_other_and_is_synced_once_at_a_time() {
    let vfs = SimVfs::new();
    let disk = start_alone(&vfs);
    let count = u32::try_from(PARALLEL_SYNCS).expect("few");
    let logs = logs(&disk, count);
    vfs.start_trace();
    vfs.stall_syncs();
    let first = append(&logs[0]);
    vfs.wait_for_stalled_syncs(1);
    // Were it synced a second time at once, that would take the thread of the last log.
    let second = append(&logs[0]);
    let others: Vec<AppendTicket> = logs[1..].iter().map(append).collect();
    vfs.wait_for_stalled_syncs(PARALLEL_SYNCS);
    let last = logs.last().expect("one for each thread");
    let late = append(last);
    vfs.release_syncs();
    run(async {
        for ticket in others.into_iter().chain([first, second, late]) {
            ticket.durable().await.expect("durable");
        }
    });
    let syncs = syncs(&vfs);
    let of_last = format!("partition{}/", count - 1);
    let syncs_of_last = syncs.iter().filter(|line| line.contains(&of_last)).count();
    assert_eq!(syncs_of_last, 2, "its first had begun: {syncs:?}");
    assert_eq!(syncs.len(), PARALLEL_SYNCS + 2);
}

#[test]
fn logs_beyond_the_threads_have_their_turn() {
    let vfs = SimVfs::new();
    let disk = start(&vfs, Durability::Fsync);
    let logs = logs(&disk, 40);
    let tickets: Vec<AppendTicket> = (0..5).flat_map(|_| logs.iter().map(append)).collect();
    run(async {
        for ticket in tickets {
            ticket.durable().await.expect("durable");
        }
    });
}

#[test]
fn the_end_of_a_pause_is_synced_side_by_side() {
    let vfs = SimVfs::new();
    // The pause gathers all appends.
    let disk = start(
        &vfs,
        Durability::Interval(std::time::Duration::from_millis(50)),
    );
    let logs = logs(&disk, 17);
    vfs.stall_syncs();
    for log in &logs {
        append(log).placed().expect("placed");
    }
    // One after the other would never get past the first.
    vfs.wait_for_stalled_syncs(PARALLEL_SYNCS);
    vfs.release_syncs();
}

#[test]
fn a_failed_sync_answers_everybody() {
    let vfs = SimVfs::new();
    let disk = start_alone(&vfs);
    let logs = logs(&disk, 3);
    vfs.inject(
        Fault::fail(Operation::SyncData, DiskError::Io)
            .on_path_suffix("partition0/00000000000000000000.log")
            .nth(1),
    );
    vfs.stall_syncs();
    let first = append(&logs[0]);
    vfs.wait_for_stalled_syncs(1);
    let second = append(&logs[0]);
    vfs.release_syncs();
    run(async {
        for ticket in [first, second] {
            assert!(ticket.durable().await.is_err(), "nothing is acknowledged");
        }
    });
    for log in &logs {
        assert!(append(log).placed().is_err(), "nothing is accepted");
    }
}

#[test]
fn an_interval_passes_before_the_sync_behind() {
    let vfs = SimVfs::new();
    let disk = start(
        &vfs,
        Durability::Interval(std::time::Duration::from_millis(1)),
    );
    let log = logs(&disk, 1).remove(0);
    vfs.stall_syncs();
    let ticket = append(&log);
    assert!(ticket.is_durable(), "as durable as this mode promises");
    // Nobody asks for it: the thread does it by itself.
    vfs.wait_for_stalled_syncs(1);
    vfs.release_syncs();
}

#[test]
fn a_repair_and_a_round_sync_a_log_one_after_the_other() {
    let vfs = SimVfs::new();
    let disk = start_alone(&vfs);
    let log = logs(&disk, 1).remove(0);
    for _ in 0..8 {
        run(async { append(&log).durable().await.expect("durable") });
    }
    drop(log);
    disk.close().expect("a clean end");
    let path = Path::new("/data/events/partition0/00000000000000000000.log");
    // The leader epoch in the head of the fifth.
    let at = u64::try_from(4 * batch().len() + 15).expect("small");
    vfs.damage(path, at, &[7]).expect("damaged");

    let disk = start_alone(&vfs);
    let log = logs(&disk, 1).remove(0);
    let inner = disk.shared.logs().remove(0);
    let limit = ReadLimit {
        bytes_max: 1 << 20,
        at_least_one_batch: true,
    };
    // The sync of the repair is the one that hears of what the disk lost.
    vfs.inject(
        Fault::fail(Operation::SyncData, DiskError::Io)
            .on_path_suffix("partition0/00000000000000000000.log")
            .nth(1),
    );
    vfs.stall_syncs();
    std::thread::scope(|scope| {
        let read = || {
            run(async {
                log.read(log.ends().log_start, limit, Isolation::ReadUncommitted)
                    .await
                    .is_err()
            })
        };
        let reader = scope.spawn(read);
        vfs.wait_for_stalled_syncs(1);
        // Asserted once nothing is stalled, or a failure would not end.
        let is_alone = inner.is_synced_now();
        let ticket = append(&log);
        vfs.release_syncs();
        run(async { assert!(ticket.durable().await.is_err(), "nothing is acknowledged") });
        assert!(reader.join().is_ok());
        assert!(is_alone, "a repair lets no round begin");
    });
}

#[test]
fn a_round_lets_no_repair_begin() {
    let vfs = SimVfs::new();
    let disk = start_alone(&vfs);
    let log = logs(&disk, 1).remove(0);
    let inner = disk.shared.logs().remove(0);
    vfs.stall_syncs();
    let ticket = append(&log);
    vfs.wait_for_stalled_syncs(1);
    let is_alone = inner.is_synced_now();
    vfs.release_syncs();
    assert!(is_alone, "a round lets no repair begin");
    run(async { ticket.durable().await.expect("durable") });
}

#[test]
fn a_new_topic_is_synced_directory_by_directory() {
    let vfs = SimVfs::new();
    let disk = start(&vfs, Durability::Fsync);
    vfs.start_trace();
    let logs = logs(&disk, 40);
    let trace = vfs.take_trace();
    // It would write records of other logs too, and nobody would hear of it.
    let whole = |line: &&String| line.contains("SyncFileSystem");
    assert_eq!(trace.iter().find(whole), None);
    for number in 0..logs.len() {
        let directory = format!("/partition{number} ");
        let synced =
            |line: &String| line.contains("SyncDir") && format!("{line} ").contains(&directory);
        assert!(trace.iter().any(synced), "{directory}: {trace:?}");
    }
}
