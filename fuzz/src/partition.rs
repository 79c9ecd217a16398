//! A data directory whose files were changed by anybody: it opens, twice with the same result, and
//! whatever can be read is a batch that was written whole.
//!
//! An input is a row of changes to a directory that a real store left, on a simulated disk. Each
//! begins with what to do and with which file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use clock::SimClock;
use futures_util::FutureExt;
use records::checksum::crc32c;
use records::{BatchBuilder, Batches, CheckedBatch, Codec, DecodeBudget, Offset, crc_of, crc_ok};
use storage::{
    BytesPermit, Chunk, Ends, Fence, Isolation, Log, LogConfig, LogStore, PartitionId, ReadError,
    ReadLimit, TimeQuery, TopicId, TopicMeta, TopicName,
};
use storage_disk::frames::{Frame, FrameNumber};
use storage_disk::watermarks::{Journal, Watermark};
use storage_disk::{Disk, DiskOptions, Durability, fuzzing, offline};
use vfs::{CutPolicy, OpenMode, SimVfs, Vfs};

use crate::input::Input;

const DATA_DIR: &str = "/data";
const START_MS: i64 = 1_700_000_000_000;
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Reads of one log.
const READS_MAX: usize = 64;

/// The topic that every image has.
fn topic() -> TopicMeta {
    TopicMeta {
        id: TopicId([7; 16]),
        name: TopicName::parse("events").expect("a valid name"),
        partitions: 1,
        configs: BTreeMap::new(),
        log_config: LogConfig {
            segment_bytes: 700,
            segment_ms: Duration::from_hours(1000),
            index_interval_bytes: 100,
            ..LogConfig::default()
        },
    }
}

fn directory() -> PathBuf {
    Path::new(DATA_DIR).join("events/partition0")
}

/// How the process ended that wrote the files: it was killed, killed after upkeep, or it ended in
/// order.
static IMAGES: LazyLock<[SimVfs; 3]> = LazyLock::new(|| [0, 1, 2].map(image));

fn image(how: u8) -> SimVfs {
    let vfs = SimVfs::new();
    let disk = start(&vfs);
    let topic = topic();
    now(disk.store.create(&topic, 0..1)).expect("a topic is made");
    let log = disk.store.open(&topic, 0).expect("it opens");
    for number in 0..10_u8 {
        append(&*log, batch(number, number.is_multiple_of(3)));
        fuzzing::work(&disk);
    }
    if how == 0 {
        append(&*log, batch(10, true));
    }
    drop(log);
    if how == 2 {
        disk.close().expect("a clean end");
    } else {
        drop(disk);
    }
    vfs.process_kill();
    vfs
}

fn batch(number: u8, is_idempotent: bool) -> CheckedBatch {
    let mut builder = BatchBuilder::new(Codec::None);
    if is_idempotent {
        builder = builder.producer(4000 + i64::from(number), 1, 0);
    }
    for record in 0..=number % 3 {
        let at = START_MS + 1000 * i64::from(number);
        let value = [number ^ record; 40];
        builder.append(at, None, Some(&value), &[]).expect("small");
    }
    builder.build().expect("small")
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future
        .now_or_never()
        .expect("without threads nothing waits")
}

fn start(vfs: &SimVfs) -> Disk {
    let options = DiskOptions {
        data_dir: PathBuf::from(DATA_DIR),
        durability: Durability::Fsync,
        min_free_bytes: 0,
        scrub_bytes_per_second: 0,
        compaction: storage_disk::CompactionOptions::default(),
        retention_check_interval: std::time::Duration::from_secs(10),
        open_files_max: 8,
    };
    let clock = Arc::new(SimClock::starting_at(START_MS));
    let fatal = Arc::new(|failure: &storage::StorageFailure| {
        panic!("the disk is good, and still: {failure}");
    });
    fuzzing::open(Arc::new(vfs.clone()), clock, &options, fatal)
        .unwrap_or_else(|error| panic!("a start is refused: {error}: {}", error.why()))
}

/// Files of a partition, changed at will.
pub fn partition(data: &[u8]) {
    let mut input = Input::new(data);
    let vfs = IMAGES[usize::from(input.u8()) % IMAGES.len()].fork();
    let cut = input.u8();
    // What a batch says of its offsets under a good checksum is believed.
    let mut is_honest = true;
    for _ in 0..32 {
        if input.is_empty() {
            break;
        }
        is_honest &= !matches!(input.clone().u8() % 16, 9 | 10);
        // What cannot be done to a file, as to one that is gone, is not done.
        let _ = change(&vfs, &mut input);
    }
    if cut & 1 != 0 {
        vfs.power_cut_with(&CutPolicy::Seed(u64::from(cut >> 1)));
    } else {
        vfs.process_kill();
    }
    look(&vfs);
    let twin = vfs.fork();
    let first = opened(&vfs, false, is_honest);
    let same = opened(&twin, false, is_honest);
    assert_eq!(same, first, "the same files open the same way");
    let was_clean = first.was_clean;
    twin.process_kill();
    // Now every file is read, and a start may be found to be gone.
    let again = opened(&twin, true, is_honest);
    assert_eq!(again.ends.len(), first.ends.len(), "no log comes or goes");
    for (again, first) in again.ends.iter().zip(&first.ends) {
        assert!(again.log_start >= first.log_start, "{again:?} {first:?}");
        // Behind the end of a clean stop the two looks may differ: the first does not know the epoch.
        assert!(
            was_clean || again.log_end == first.log_end,
            "opening moved an end: {again:?} {first:?}"
        );
    }
}

fn any_base(input: &mut Input<'_>) -> i64 {
    input.of(&[
        0,
        3,
        6,
        9,
        12,
        15,
        18,
        19,
        21,
        1 << 31,
        1 << 40,
        i64::MAX - (1 << 32),
    ])
}

fn any_file(input: &mut Input<'_>) -> PathBuf {
    let kind = input.u8();
    let own = Path::new(DATA_DIR).join("@ottla");
    let extension = match kind % 16 {
        0..=4 => "log",
        5 | 6 => "index",
        7 | 8 => "timeindex",
        9 => "snapshot",
        10 => "spans",
        11 => "quarantine",
        12 => return directory().join("leader-epoch-checkpoint"),
        13 => return own.join(format!("watermarks.{}", input.of(&[1, 2, 3]))),
        14 => return own.join(input.of(&["metadata.a.1", "metadata.b.1", "metadata.a.2"])),
        _ => {
            let names = ["events/topic.meta", "@ottla/commit.a", "@ottla/commit.b"];
            return Path::new(DATA_DIR).join(input.of(&names));
        }
    };
    directory().join(format!("{:020}.{extension}", any_base(input)))
}

fn read(vfs: &SimVfs, path: &Path) -> std::io::Result<Vec<u8>> {
    vfs::read_whole(vfs, path, FILE_BYTES_MAX)
}

/// A file with this content, synced or not.
fn write(vfs: &SimVfs, path: &Path, bytes: &[u8], is_synced: bool) -> std::io::Result<()> {
    let file = vfs.open(path, OpenMode::ReadWriteCreate)?;
    file.set_size(0)?;
    vfs::write_all_at(&*file, bytes, 0)?;
    if is_synced {
        file.sync_data()?;
        vfs.sync_dir(path.parent().expect("it is in a directory"))?;
    }
    Ok(())
}

fn change(vfs: &SimVfs, input: &mut Input<'_>) -> std::io::Result<()> {
    let what = input.u8();
    let is_synced = what & 0x80 != 0;
    if what % 16 >= 14 {
        return journal(vfs, input, what % 16 == 15);
    }
    if what & 0x4f == 0x4d {
        return quarantine(vfs, input, is_synced);
    }
    let path = any_file(input);
    let bytes = || read(vfs, &path).unwrap_or_default();
    let changed = match what % 16 {
        0 => {
            let mut bytes = bytes();
            let at = usize::from(input.u16()).min(bytes.len());
            let patch = {
                let length = usize::from(input.u8()) % 32;
                input.bytes(length)
            };
            let end = (at + patch.len()).min(bytes.len());
            bytes.splice(at..end, patch.iter().copied());
            bytes
        }
        1 => {
            let mut bytes = bytes();
            bytes.truncate(usize::from(input.u16()));
            bytes
        }
        2 => [&bytes()[..], input.string()].concat(),
        3 => {
            let mut bytes = bytes();
            let (at, flip) = (usize::from(input.u16()), input.u8());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= flip;
            }
            bytes
        }
        4 => return vfs.remove_file(&path),
        5 | 6 => {
            let mut batch = batch(input.u8(), input.u8() & 1 != 0);
            let base = input.of(&[0, 9, 12, 19, 20, 21, 22, 23, 24, 30, 1 << 33]);
            batch.place(Offset::new(base), input.of(&[0, 1, 2, 3, -1, i32::MAX]));
            [&bytes()[..], batch.as_bytes()].concat()
        }
        7 => input.string().to_vec(),
        8 => read(vfs, &any_file(input))?,
        9 | 10 => resealed(bytes(), input),
        11 => {
            let mut bytes = bytes();
            bytes.resize(bytes.len() + 16 * usize::from(input.u8()), 0);
            bytes
        }
        12 => return vfs.rename(&path, &any_file(input)),
        _ => {
            let (mut bytes, at) = (bytes(), usize::from(input.u16()));
            let count = usize::from(input.u8());
            let at = at.min(bytes.len());
            let end = (at + count).min(bytes.len());
            bytes.drain(at..end);
            bytes
        }
    };
    write(vfs, &path, &changed, is_synced)
}

/// One batch of a segment with other bytes in its header, under a checksum that is good.
fn resealed(mut bytes: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    let places: Vec<(usize, usize)> = Batches::new(&bytes)
        .map_while(Result::ok)
        .map(|(at, _, batch)| (at, batch.len()))
        .collect();
    if places.is_empty() {
        return bytes;
    }
    let (at, size) = input.of(&places);
    let inside = 21 + usize::from(input.u8()) % (size - 21);
    let patch = {
        let length = usize::from(input.u8()) % 9;
        input.bytes(length)
    };
    let batch = &mut bytes[at..at + size];
    for (target, source) in batch[inside..].iter_mut().zip(patch) {
        *target = *source;
    }
    let crc = crc_of(batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// A list of damage that nobody found, in good form.
fn quarantine(vfs: &SimVfs, input: &mut Input<'_>, is_synced: bool) -> std::io::Result<()> {
    let base = any_base(input);
    let mut number = FrameNumber::first(crc32c(&base.to_be_bytes()));
    let mut bytes = Vec::new();
    for _ in 0..1 + input.u8() % 3 {
        let kind = 1 + input.u8() % 3;
        let mut body = Vec::new();
        for _ in 0..1 + input.u8() % 3 {
            let (first, count) = (any_base(input), i64::from(input.u8()));
            let at = u32::from(input.u16());
            let mut entry = Vec::new();
            entry.extend(first.to_be_bytes());
            entry.extend(first.saturating_add(count - 1).to_be_bytes());
            entry.extend(at.to_be_bytes());
            entry.extend((at + u32::from(input.u8())).to_be_bytes());
            entry.extend([input.of(b"ABCDEFGHIJKLMNOPQRSTU"), input.u8() & 1, 0, 0]);
            entry.extend(crc32c(&entry).to_be_bytes());
            body.extend(entry);
        }
        let entry_count = input.u8().into();
        let body = &body;
        bytes.extend(
            Frame {
                number,
                kind,
                entry_count,
                body,
            }
            .encode(),
        );
        number = number.next();
    }
    let path = directory().join(format!("{base:020}.quarantine"));
    write(vfs, &path, &bytes, is_synced)
}

/// The journal says something else, in good form.
fn journal(vfs: &SimVfs, input: &mut Input<'_>, is_clean: bool) -> std::io::Result<()> {
    let failed = |_| std::io::Error::other("the journal cannot be written");
    let own: PathBuf = Path::new(DATA_DIR).join("@ottla");
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let (mut journal, _) = Journal::open(&shared, &own).map_err(|_| failed(()))?;
    let offset = |input: &mut Input<'_>| {
        let value = match input.u8() {
            0xff => input.i64() & i64::MAX,
            small => i64::from(small),
        };
        Offset::new(value)
    };
    let watermark = Watermark {
        partition: PartitionId {
            topic: TopicId([7; 16]),
            partition: u32::from(input.u8() & 1),
        },
        leader_epoch: i32::from(input.u8()),
        durable_end: offset(input),
        log_start: offset(input),
        segment_base: offset(input),
        cleaned_to: offset(input),
        position: u32::from(input.u16()),
        span_start: u32::from(input.u16()),
        span_crc: input.u32(),
    };
    let entries = [watermark];
    if is_clean {
        journal.mark_clean(&entries).map_err(|_| failed(()))
    } else {
        journal.append_entries(&entries).map_err(|_| failed(()))
    }
}

/// The offline commands: any answer, no panic.
fn look(vfs: &SimVfs) {
    let before = vfs.changes();
    let _ = offline::verify(vfs, Path::new(DATA_DIR));
    let _ = offline::inspect(vfs, &directory(), &mut |frame| {
        assert!(frame.size_bytes > 0);
    });
    assert_eq!(vfs.changes(), before, "a look changes nothing");
}

/// What an opened directory looks like.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Whether the journal of a clean end was believed.
    was_clean: bool,
    /// Of each log.
    ends: Vec<Ends>,
    /// Where each read began, and what it gave.
    reads: Vec<(i64, usize)>,
}

fn opened(vfs: &SimVfs, is_closed: bool, is_honest: bool) -> Found {
    let disk = start(vfs);
    let mut found = Found {
        was_clean: disk.recovery().was_clean,
        ..Found::default()
    };
    for mut meta in now(disk.store.topics()).expect("they are listed") {
        meta.log_config = topic().log_config;
        for partition in 0..meta.partitions.min(4) {
            let Ok(log) = disk.store.open(&meta, partition) else {
                continue;
            };
            // What the journal of a clean end says is checked at the first use.
            let _ = log.epoch_end(0);
            let ends = log.ends();
            ends.assert_ordered();
            found.ends.push(ends);
            read_all(&*log, is_honest, &mut found.reads);
            ask(&*log);
            assert_eq!(log.ends(), ends, "reading moves no end");
            if is_closed {
                grow(&disk, &*log, is_honest);
            }
        }
    }
    if is_closed {
        disk.close().expect("the disk is good");
    }
    found
}

fn limit() -> ReadLimit {
    ReadLimit {
        bytes_max: 600,
        at_least_one_batch: true,
    }
}

/// Reads on behind what is damaged, in steps that grow.
fn read_all(log: &dyn Log, is_honest: bool, found: &mut Vec<(i64, usize)>) {
    let ends = log.ends();
    let mut next = ends.log_start;
    let mut step = 1;
    for _ in 0..READS_MAX {
        if next >= ends.high_watermark {
            break;
        }
        let after = match now(log.read(next, limit(), Isolation::ReadUncommitted)) {
            Ok(slice) => {
                found.push((next.get(), slice.size_bytes()));
                let visible = is_honest.then_some(ends.high_watermark);
                check(&slice.chunks, next, visible)
            }
            Err(ReadError::Corrupt(_)) => None,
            Err(error) => panic!("reading {next} of {ends:?}: {error}"),
        };
        match after {
            Some(after) => (next, step) = (after, 1),
            None => {
                let Some(after) = next.checked_plus(step) else {
                    break;
                };
                (next, step) = (after, step.saturating_mul(2));
            }
        }
    }
}

/// Whole good batches, the first of which holds `from`, none at or above `visible`; gives the offset
/// behind them.
fn check(chunks: &[Chunk], from: Offset, visible: Option<Offset>) -> Option<Offset> {
    let mut next = None;
    for chunk in chunks {
        let bytes = load(chunk);
        let mut batches = Batches::new(&bytes);
        for batch in batches.by_ref() {
            let (_, header, batch) = batch.expect("whole batches");
            assert!(crc_ok(batch), "a batch that nobody wrote, at {from}");
            assert!(
                header.last_offset() >= from,
                "a batch before what was asked for"
            );
            if let Some(visible) = visible {
                let rises = next.is_none_or(|next| header.base_offset >= next);
                assert!(rises, "offsets rise: {header:?} behind {next:?}");
                let is_visible = header.next_offset() <= visible;
                assert!(is_visible, "read from {from} of {visible}: {header:?}");
            }
            next = Some(header.next_offset());
            let batch = bytes.slice_ref(batch);
            if let Ok(records) = records::records(&batch, &mut DecodeBudget::new(1 << 20)) {
                records.for_each(drop);
            }
        }
        assert_eq!(batches.rest(), bytes.len(), "whole batches");
    }
    next
}

fn load(chunk: &Chunk) -> Bytes {
    match chunk {
        Chunk::Memory(bytes) => bytes.clone(),
        Chunk::File {
            file,
            at,
            size_bytes,
        } => {
            let mut bytes = BytesMut::zeroed(*size_bytes);
            let count = file.read_at(&mut bytes, *at).expect("the disk is good");
            assert_eq!(count, *size_bytes, "the range is in the file");
            bytes.freeze()
        }
    }
}

/// Questions by time and by epoch: any answer, no panic.
fn ask(log: &dyn Log) {
    for query in [
        TimeQuery::Largest,
        TimeQuery::AtOrAfter(0),
        TimeQuery::AtOrAfter(START_MS + 5000),
        TimeQuery::AtOrAfter(i64::MAX),
    ] {
        let _ = now(log.offset_at(query, Isolation::ReadUncommitted));
    }
    for epoch in [0, 1, 2, i32::MAX] {
        let _ = log.epoch_end(epoch);
    }
    let ends = log.ends();
    for from in [ends.log_start, ends.log_end] {
        let _ = now(log.read(from, limit(), Isolation::ReadCommitted));
    }
}

fn append(log: &dyn Log, batch: CheckedBatch) -> Option<Offset> {
    log.append(batch, Fence::default(), BytesPermit::free())
        .placed()
        .ok()
}

/// What is appended to any log that opened can be read.
fn grow(disk: &Disk, log: &dyn Log, is_honest: bool) {
    let end = log.ends().log_end;
    for number in 40..44 {
        let Some(base) = append(log, batch(number, false)) else {
            return;
        };
        assert!(base >= end, "an offset is given out again");
        fuzzing::work(disk);
        assert!(log.ends().high_watermark > base, "it is durable");
        let slice = now(log.read(base, limit(), Isolation::ReadUncommitted));
        if !is_honest {
            continue;
        }
        let slice = slice.expect("what was just written can be read");
        let after = check(&slice.chunks, base, Some(log.ends().high_watermark));
        assert!(after.is_some_and(|after| after > base), "it is there");
    }
}
