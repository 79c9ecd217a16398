//! Rounds of syncs, with the real threads on a disk that stands still.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use clock::{Clock, SimClock};
use records::{BatchBuilder, CheckedBatch, Codec};
use storage::conformance::run;
use storage::{
    AppendTicket, BytesPermit, Fence, Log, LogConfig, LogStore, TopicId, TopicMeta, TopicName,
};
use vfs::{DiskError, Fault, Operation, SimVfs, Vfs};

use crate::{Disk, DiskOptions, Durability, open};

fn start(vfs: &SimVfs, durability: Durability) -> Disk {
    let options = DiskOptions {
        data_dir: PathBuf::from("/data"),
        durability,
        min_free_bytes: 0,
        open_files_max: 64,
    };
    let clock: Arc<dyn Clock> = Arc::new(SimClock::starting_at(0));
    let vfs: Arc<dyn Vfs> = Arc::new(vfs.clone());
    open(vfs, clock, options, Arc::new(|_| {})).expect("it opens")
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

fn syncs(vfs: &SimVfs) -> usize {
    let is_sync = |line: &&String| line.contains("SyncData") && line.contains(".log");
    vfs.take_trace().iter().filter(is_sync).count()
}

#[test]
fn commits_during_a_sync_form_the_next() {
    let vfs = SimVfs::new();
    let disk = start(&vfs, Durability::Fsync);
    let log = logs(&disk, 1).remove(0);
    vfs.start_trace();
    vfs.stall_syncs();
    let first = append(&log);
    vfs.wait_for_stalled_syncs(1);
    let others: Vec<AppendTicket> = (0..50).map(|_| append(&log)).collect();
    assert!(!first.is_durable());
    assert!(others.iter().all(|ticket| !ticket.is_durable()));
    vfs.release_syncs();
    run(async {
        first.durable().await.expect("durable");
        for ticket in others {
            ticket.durable().await.expect("durable");
        }
    });
    assert_eq!(
        syncs(&vfs),
        2,
        "one for the first, one for all that came meanwhile"
    );
}

#[test]
fn files_of_one_round_are_synced_side_by_side() {
    let vfs = SimVfs::new();
    // The pause gathers all appends in one round.
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
    vfs.wait_for_stalled_syncs(4);
    vfs.release_syncs();
}

#[test]
fn a_failed_sync_answers_everybody() {
    let vfs = SimVfs::new();
    let disk = start(&vfs, Durability::Fsync);
    let logs = logs(&disk, 3);
    vfs.inject(
        Fault::fail(Operation::SyncData, DiskError::Io)
            .on_path_suffix(".log")
            .nth(1),
    );
    let tickets: Vec<AppendTicket> = logs.iter().map(append).collect();
    run(async {
        for ticket in tickets {
            assert!(ticket.durable().await.is_err(), "nothing is acknowledged");
        }
    });
    assert!(append(&logs[0]).placed().is_err(), "nothing is accepted");
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
