//! States of a directory that a crash, a hand or a disk may leave, by the thousand: truncated,
//! longer, missing, stale and doubled files, over a clean end, a kill or a power cut. A start is
//! never refused, nothing panics, and no record is lost or changed in silence.
//!
//! `OTTLA_STATES` sets how many states are tried, `OTTLA_SEED` the first, alone if nothing else is
//! said; the seed is in every message.

use std::path::{Path, PathBuf};

use clock::{Rng, SeededRng};
use records::Offset;
use storage::{Isolation, Log, LogStore as _, ReadError, ReadLimit, TopicMeta};
use vfs::{OpenMode, SimVfs, Vfs};

use super::harness::{
    DATA_DIR, batch, now, options, partition_dir, place, start, topic, try_start,
};
use crate::offline::plan_repair;
use crate::{Durability, RecoveryReport};

const STATES: u64 = 600;
/// Each base is changed in so many ways.
const STATES_PER_BASE: u64 = 100;

/// A log as it was, and what is known of it.
struct Base {
    vfs: SimVfs,
    meta: TopicMeta,
    values: Vec<Vec<u8>>,
    /// Offsets below this are in the journal.
    watermark: usize,
}

struct Chance(SeededRng);

impl Chance {
    fn below(&self, limit: usize) -> usize {
        usize::try_from(self.0.next_below(limit as u64)).expect("small")
    }

    fn of(&self, limit: usize) -> bool {
        self.below(limit) == 0
    }
}

fn base(seed: u64) -> Base {
    let chance = Chance(SeededRng::new(seed));
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let segment_bytes = [300, 450, 900, 1 << 20][chance.below(4)];
    let meta = topic("events", 7, 1, segment_bytes);
    let log = life.create(&meta);
    let mut values = Vec::new();
    let count = 1 + chance.below(20);
    let known = chance.below(count + 1);
    for offset in 0..count {
        let mut value = format!("value {offset} {}", "v".repeat(chance.below(60))).into_bytes();
        if chance.of(6) {
            // A record that holds a batch.
            value.extend_from_slice(batch(&[b"inner"]).as_bytes());
        }
        place(&*log, batch(&[&value]));
        values.push(value);
        if offset + 1 == known {
            life.sync();
            life.maintain();
        }
    }
    life.sync();
    let mut watermark = known;
    drop(log);
    match chance.below(3) {
        0 => {
            life.disk.close().expect("a clean end");
            watermark = count;
        }
        1 => {
            drop(life);
            vfs.process_kill();
        }
        _ => {
            drop(life);
            vfs.power_cut(seed);
        }
    }
    Base {
        vfs,
        meta,
        values,
        watermark,
    }
}

fn names(vfs: &SimVfs, ending: &str) -> Vec<PathBuf> {
    let entries = vfs.read_dir(&partition_dir()).expect("listed");
    entries
        .into_iter()
        .filter(|entry| entry.name.ends_with(ending))
        .map(|entry| partition_dir().join(entry.name))
        .collect()
}

fn read(vfs: &SimVfs, path: &Path) -> Vec<u8> {
    vfs::read_whole(vfs, path, 1 << 24).expect("read")
}

fn set(vfs: &SimVfs, path: &Path, bytes: &[u8]) {
    let file = vfs.open(path, OpenMode::ReadWriteCreate).expect("opened");
    file.set_size(0).expect("cut");
    vfs::write_all_at(&*file, bytes, 0).expect("written");
    file.sync_data().expect("synced");
    vfs.sync_dir(&partition_dir()).expect("synced");
}

/// Changes one thing; says what.
#[expect(clippy::too_many_lines, reason = "a table")]
fn change(vfs: &SimVfs, chance: &Chance, what: &mut Vec<String>) {
    let logs = names(vfs, ".log");
    let all = names(vfs, "");
    if logs.is_empty() || all.is_empty() {
        return;
    }
    let log = &logs[chance.below(logs.len())];
    let mut bytes = read(vfs, log);
    let name = |path: &Path| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    match chance.below(12) {
        0 | 1 => {
            bytes.truncate(chance.below(bytes.len() + 1));
            what.push(format!("{} cut to {}", name(log), bytes.len()));
            set(vfs, log, &bytes);
        }
        2 => {
            let extra = 1 + chance.below(400);
            what.push(format!("{} and {extra} of junk", name(log)));
            bytes.extend((0..extra).map(|_| u8::try_from(chance.below(256)).expect("a byte")));
            set(vfs, log, &bytes);
        }
        3 => {
            let extra = 1 + chance.below(5000);
            what.push(format!("{} and {extra} zeros", name(log)));
            bytes.resize(bytes.len() + extra, 0);
            set(vfs, log, &bytes);
        }
        4 => {
            // Batches that are good, at a place where they do not belong.
            let from = &logs[chance.below(logs.len())];
            let copy = read(vfs, from);
            what.push(format!("{} and a copy of {}", name(log), name(from)));
            bytes.extend_from_slice(&copy[..copy.len().min(400)]);
            set(vfs, log, &bytes);
        }
        5 if !bytes.is_empty() => {
            let at = chance.below(bytes.len());
            let run = (1 + chance.below(64)).min(bytes.len() - at);
            what.push(format!("{} zeros at {at} of {}", run, name(log)));
            bytes[at..at + run].fill(0);
            set(vfs, log, &bytes);
        }
        6 | 7 if !bytes.is_empty() => {
            let bit = chance.below(bytes.len() * 8);
            what.push(format!("bit {bit} of {}", name(log)));
            bytes[bit / 8] ^= 1 << (bit % 8);
            set(vfs, log, &bytes);
        }
        8 => {
            let path = &all[chance.below(all.len())];
            what.push(format!("{} removed", name(path)));
            vfs.remove_file(path).expect("it is there");
        }
        9 => {
            // Another file of the same kind in its place.
            let path = &all[chance.below(all.len())];
            let kind = path
                .extension()
                .map(|kind| kind.to_string_lossy().into_owned());
            let same = names(vfs, &kind.unwrap_or_default());
            let source = &same[chance.below(same.len())];
            what.push(format!("{} is {}", name(path), name(source)));
            let copy = read(vfs, source);
            set(vfs, path, &copy);
        }
        10 => {
            // A segment under one more name.
            let offset = chance.below(25);
            let target = partition_dir().join(format!("{offset:020}.log"));
            what.push(format!("{} doubled as {offset}", name(log)));
            set(vfs, &target, &bytes);
        }
        _ => {
            let journal = vfs
                .read_dir(&Path::new(DATA_DIR).join("@ottla"))
                .expect("listed")
                .into_iter()
                .find(|entry| entry.name.starts_with("watermarks."));
            if let Some(journal) = journal {
                what.push(format!("{} removed", journal.name));
                let path = Path::new(DATA_DIR).join("@ottla").join(journal.name);
                vfs.remove_file(&path).expect("it is there");
            }
        }
    }
}

/// An offset, and the value there or an error.
type Found = (i64, Result<Vec<u8>, String>);

/// What a reader finds.
fn find(log: &dyn Log, from: i64, to: i64) -> Vec<Found> {
    let mut found = Vec::new();
    let mut next = from;
    while next < to {
        let limit = ReadLimit {
            bytes_max: 1,
            at_least_one_batch: true,
        };
        match now(log.read(Offset::new(next), limit, Isolation::ReadUncommitted)) {
            Ok(slice) => {
                let bytes = storage::conformance::bytes_of(&slice);
                let mut reached = next;
                for read in records::Batches::new(&bytes) {
                    let (_, header, read) = read.expect("whole batches");
                    assert!(records::crc_ok(read), "served as it was written");
                    let read = bytes.slice_ref(read);
                    let mut budget = records::DecodeBudget::new(1 << 20);
                    for record in records::records(&read, &mut budget).expect("it opens") {
                        let record = record.expect("good");
                        let value = record.value.expect("a value").to_vec();
                        if record.offset.get() >= next {
                            found.push((record.offset.get(), Ok(value)));
                        }
                    }
                    reached = header.next_offset().get();
                }
                if reached == next {
                    break;
                }
                next = reached;
            }
            Err(ReadError::Corrupt(failure)) => {
                found.push((next, Err(failure.to_string())));
                next += 1;
            }
            Err(error) => panic!("a read at {next}: {error}"),
        }
    }
    found
}

/// Whether the start said that something is lost or strange.
fn spoke(report: &RecoveryReport) -> bool {
    !report.alarms.is_empty()
}

fn check(base: &Base, vfs: &SimVfs, journal_gone: bool, what: &str) {
    let life = match try_start(vfs, &options(Durability::Fsync)) {
        Ok(life) => life,
        Err(error) => panic!("{what}: refused: {error}: {}", error.why()),
    };
    let log = match life.disk.store.open(&base.meta, 0) {
        Ok(log) => log,
        Err(error) => panic!("{what}: {error}"),
    };
    let count = i64::try_from(base.values.len()).expect("few");
    // Opens the files, which a clean start does only now.
    let _ = now(log.read(
        log.ends().log_start,
        ReadLimit {
            bytes_max: 1,
            at_least_one_batch: true,
        },
        Isolation::ReadUncommitted,
    ));
    let ends = log.ends();
    let found = find(&*log, ends.log_start.get(), ends.log_end.get());
    let report = life.disk.recovery();
    let watermark = if journal_gone { 0 } else { base.watermark };
    if !journal_gone {
        assert!(
            ends.log_end.get() >= i64::try_from(base.watermark).expect("few"),
            "{what}: an offset below the watermark would be given again"
        );
    }
    for offset in 0..count {
        let value = &base.values[usize::try_from(offset).expect("few")];
        match found.iter().find(|(at, _)| *at == offset) {
            Some((_, Ok(read))) => assert_eq!(read, value, "{what}: the record at {offset}"),
            Some((_, Err(_))) => {}
            None => {
                let promised = usize::try_from(offset).expect("few") < watermark;
                let at_the_end = offset >= ends.log_end.get();
                assert!(
                    (at_the_end && !promised) || spoke(report),
                    "{what}: {offset} vanished in silence from {ends:?}: {report:?}"
                );
            }
        }
    }
    let strangers = found
        .iter()
        .filter(|(at, read)| *at >= count && read.is_ok());
    assert!(
        strangers.count() == 0 || spoke(report),
        "{what}: records that nobody wrote"
    );
    let next = place(&*log, batch(&[b"more"]));
    assert_eq!(next, ends.log_end, "{what}: offsets go on");
    life.sync();
    drop((log, life));
    vfs.process_kill();
    check_repair(base, vfs, (&found, next), what);
}

/// After a repair every reader gets to the end, and sees all that could be read before.
fn check_repair(base: &Base, vfs: &SimVfs, (before, last): (&[Found], Offset), what: &str) {
    let plan = plan_repair(vfs, &partition_dir());
    let plan = plan.unwrap_or_else(|error| panic!("{what}: {error}"));
    plan.apply(vfs)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let life = try_start(vfs, &options(Durability::Fsync))
        .unwrap_or_else(|error| panic!("{what}: refused after the repair: {error}"));
    let log = life.disk.store.open(&base.meta, 0).expect("it opens");
    let ends = log.ends();
    let after = find(&*log, ends.log_start.get(), ends.log_end.get());
    for (offset, read) in before.iter().filter(|(_, read)| read.is_ok()) {
        let same = after
            .iter()
            .any(|(at, again)| at == offset && again == read);
        assert!(
            same,
            "{what}: {offset} is gone after the repair: {:?} {after:?}",
            plan.losses
        );
    }
    assert_eq!(
        after.last(),
        Some(&(last.get(), Ok(b"more".to_vec()))),
        "{what}: a reader comes to the end"
    );
    let stuck = after.iter().find(|(_, read)| read.is_err());
    assert_eq!(stuck, None, "{what}: a reader stops after the repair");
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The state of a seed.
fn try_state(base: &Base, seed: u64) {
    let chance = Chance(SeededRng::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let vfs = base.vfs.fork();
    let mut what = Vec::new();
    for _ in 0..=chance.below(3) {
        change(&vfs, &chance, &mut what);
    }
    let journal_gone = what.iter().any(|what| what.starts_with("watermarks."));
    let what = format!("OTTLA_SEED={seed}: {}", what.join(", "));
    check(base, &vfs, journal_gone, &what);
}

#[test]
fn no_state_of_the_files_refuses_a_start_or_lies() {
    let first = number("OTTLA_SEED");
    let usual = if first.is_some() { 1 } else { STATES };
    let states = number("OTTLA_STATES").unwrap_or(usual);
    let first = first.unwrap_or(0);
    let mut current: Option<(u64, Base)> = None;
    for seed in first..first + states {
        let base_seed = seed / STATES_PER_BASE;
        if current.as_ref().is_none_or(|(held, _)| *held != base_seed) {
            current = Some((base_seed, base(base_seed)));
        }
        let (_, base) = current.as_ref().expect("made above");
        try_state(base, seed);
    }
    println!("states: {states}, the first is {first}");
}

/// A file in the place of another: its batches are good, and not those that its spans name. That is
/// listed too, and can be accepted.
#[test]
fn a_repair_accepts_batches_that_are_not_those_that_were_written() {
    try_state(&base(40), 4091);
}

/// The records of a batch are damaged, and the segment behind its own is gone: the other batch in its
/// span is proven by that, and needs no neighbour.
#[test]
fn a_proven_head_needs_no_neighbour() {
    try_state(&base(49), 4969);
}

/// Damage to the end of a batch and to the offset of the next, which says then that it is the first.
/// Only the batch behind it tells that it is not.
#[test]
fn an_offset_that_was_zeroed_with_the_batch_before_it_is_not_believed() {
    try_state(&base(50), 5069);
}

/// A cut file, a damaged batch, and behind it one with an epoch that only a broker knows to be
/// impossible: a repair has to accept all that the broker listed, not only what it sees itself.
#[test]
fn a_repair_accepts_what_only_the_broker_knows_to_be_lost() {
    try_state(&base(35), 3503);
}
