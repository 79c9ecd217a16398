//! A roll between the plan of a read and its proof.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clock::SimClock;
use records::{BatchBuilder, CheckedBatch, Codec, Offset};
use storage::conformance::run;
use storage::{
    BytesPermit, Fence, Isolation, Log as _, LogConfig, LogStore as _, TopicId, TopicMeta,
    TopicName,
};
use vfs::SimVfs;

use super::Proven;
use crate::context::Workers;
use crate::log::DiskLog;
use crate::log::reader::Care;
use crate::open::open_with;
use crate::window::Access;
use crate::{Disk, DiskOptions, Durability};

const BATCHES: usize = 12;
/// This one is replaced.
const PLACE: usize = 5;

fn batch(value: u8) -> CheckedBatch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .append(0, None, Some(&Bytes::from(vec![value; 70])), &[])
        .expect("a record");
    builder.build().expect("a batch")
}

fn start(vfs: &SimVfs) -> Disk {
    let options = DiskOptions {
        data_dir: "/data".into(),
        durability: Durability::Fsync,
        min_free_bytes: 0,
        scrub_bytes_per_second: 0,
        compaction: crate::CompactionOptions::default(),
        retention_check_interval: Duration::from_secs(10),
        open_files_max: 8,
    };
    let (vfs, clock) = (Arc::new(vfs.clone()), Arc::new(SimClock::starting_at(0)));
    open_with(vfs, clock, &options, Arc::new(|_| {}), Workers::Manual).expect("it opens")
}

/// Segments of [`BATCHES`] batches.
fn make(disk: &Disk) -> Arc<DiskLog> {
    let segment_bytes = batch(b'a').len() * BATCHES;
    let topic = TopicMeta {
        id: TopicId([7; 16]),
        name: TopicName::parse("events").expect("a name"),
        partitions: 1,
        configs: std::collections::BTreeMap::new(),
        log_config: LogConfig {
            segment_bytes: u32::try_from(segment_bytes).expect("small"),
            segment_ms: Duration::from_hours(1000),
            index_interval_bytes: 200,
            ..LogConfig::default()
        },
    };
    run(async { disk.store.create(&topic, 0..1).await.expect("made") });
    let _opened = disk.store.open(&topic, 0).expect("opens");
    disk.shared.logs().remove(0)
}

fn append(log: &DiskLog) {
    let ticket = log.append(batch(b'a'), Fence::default(), BytesPermit::free());
    ticket.placed().expect("placed");
}

/// A full segment in which one batch is another than was written, and good by itself.
fn strange() -> SimVfs {
    let vfs = SimVfs::new();
    let disk = start(&vfs);
    let log = make(&disk);
    for _ in 0..BATCHES {
        append(&log);
    }
    let context = &disk.shared.context;
    context.flusher.run_pending(context);
    drop(log);
    disk.close().expect("a clean end");
    let mut other = batch(b'x');
    other.place(Offset::new(5), 1);
    let path = Path::new("/data/events/partition0/00000000000000000000.log");
    let at = u64::try_from(PLACE * other.len()).expect("small");
    vfs.damage(path, at, other.as_bytes()).expect("replaced");
    vfs
}

#[test]
fn a_segment_that_is_sealed_during_a_read_is_held_against_its_spans() {
    for lets_go in [false, true] {
        let vfs = strange();
        let disk = start(&vfs);
        let log = make(&disk);
        let (from, access) = (Offset::new(5), Access::Blocking);
        let planned = log.plan(from, Isolation::ReadUncommitted, access);
        let plan = planned.expect("a plan").0.expect("something is visible");
        let file = log.plan_file(&plan, access).expect("a file");
        let index = log.lookup(&plan, &*file, access).expect("an index");
        append(&log);
        if lets_go {
            let loaded = &mut log.state.lock().loaded;
            loaded.as_mut().expect("it was read").unwritten.clear();
            log.context.indexes.clear();
        }
        let reader = log.reader(&*file, access, (plan.base, plan.limit));
        let sought = (from, Care::Headers);
        let first = log.first_batch(&reader, &plan, &index, sought);
        let first = first.expect("it can be read").expect("it is found");
        let proven = log.prove(&reader, &plan, &index, (&first, first.end()));
        let proven = proven.expect("it can be read");
        let is_right = match &proven {
            Proven::Again => lets_go,
            Proven::Damaged(_) => !lets_go,
            Proven::UpTo(_) => false,
        };
        assert!(is_right, "lets go: {lets_go}, {proven:?}");
        let state = log.state.lock();
        let sealed = &state.loaded.as_ref().expect("loaded").sealed;
        assert_eq!(sealed.len(), 1, "the append rolled");
        assert!(!sealed[0].verified.covers((first.position, first.end())));
    }
}
