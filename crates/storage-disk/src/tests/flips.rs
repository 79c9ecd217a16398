//! Every bit of every file of a partition, flipped one at a time: a start is never refused, what is
//! served is what was written to the last byte, and no more than the damaged batch is missing.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use records::Batches;
use storage::conformance::bytes_of;
use storage::{Isolation, Log, LogStore as _, ReadError, ReadLimit, TopicMeta};
use vfs::{SimVfs, Vfs};

use super::harness::{
    batch, now, options, partition_dir, place, produced, start, topic, try_start,
};
use crate::Durability;

/// About so many KiB of files are flipped, for each way to end.
const SMALL_KIB: usize = 16;
/// Asks for another size, and for every bit of it: 64 makes 524,288 flips.
const SIZE_VARIABLE: &str = "OTTLA_FLIPS_KIB";
/// Without that, one bit in so many is flipped: of heads and small files, and of bodies and pages.
const THINNED: usize = 8;
const THINNED_MORE: usize = 64;
const THREADS: usize = 2;
const SEGMENT_BYTES: u32 = 3600;

/// How the last process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    Killed,
}

/// A log whose batches are known to the byte.
struct Written {
    vfs: SimVfs,
    /// By base offset.
    batches: BTreeMap<i64, Vec<u8>>,
    end: i64,
    /// Below this the journal vouches for it.
    watermark: i64,
}

/// What one flip came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// All batches are served; nothing had to be done about the log.
    Harmless,
    /// All are served, and the log is again what it was.
    Repaired,
    /// The damaged batch cannot be read.
    OneMissing,
    /// The damaged batch was the last, not vouched for, and is cut.
    LastCut,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Tally(BTreeMap<(&'static str, Outcome), u64>);

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((kind, outcome), count) in &self.0 {
            writeln!(f, "{kind:>12} {outcome:?}: {count}")?;
        }
        Ok(())
    }
}

/// Four lives of a process, each with an epoch of its own, and segments with batches of one and of
/// many records.
fn written(kib: usize, end: End) -> Written {
    // Each segment has a page of spans, and about as much of batches.
    let batches = i32::try_from(kib * 1024 / 2 / 150).expect("few");
    let topic = topic("events", 7, 1, SEGMENT_BYTES);
    let vfs = SimVfs::new();
    let mut sequence = 0;
    for life_number in 0..4 {
        let life = start(&vfs, Durability::Fsync);
        let log = match life.disk.store.open(&topic, 0) {
            Ok(log) => log,
            Err(_) => life.create(&topic),
        };
        for number in 0..batches / 4 {
            let length = usize::try_from(20 + number * 7 % 90).expect("small");
            let value = vec![u8::try_from(number % 251).expect("a byte"); length];
            if number % 3 == 0 {
                place(
                    &*log,
                    produced(4000, 1, sequence, &[&value, b"two", b"three"]),
                );
                sequence += 3;
            } else {
                place(&*log, batch(&[&value]));
            }
        }
        life.sync();
        life.maintain();
        let last = life_number == 3;
        if last && end == End::Killed {
            // Past the watermark, and in no file but the log.
            for value in [&b"past the watermark"[..], b"and one more"] {
                place(&*log, batch(&[value]));
            }
            life.sync();
        }
        drop(log);
        if life_number % 2 == 0 || last && end == End::Killed {
            drop(life);
            vfs.process_kill();
        } else {
            life.disk.close().expect("a clean end");
        }
    }
    known(vfs, &topic, end)
}

/// Reads a good log.
fn known(vfs: SimVfs, topic: &TopicMeta, end: End) -> Written {
    let copy = vfs.fork();
    let life = start(&copy, Durability::Fsync);
    let log = life.open(topic, 0);
    let (batches, missing) = read_batches(&*log);
    assert_eq!(missing, [], "nothing is damaged yet");
    let log_end = log.ends().log_end.get();
    let past = if end == End::Killed { 2 } else { 0 };
    Written {
        vfs,
        batches,
        end: log_end,
        watermark: log_end - past,
    }
}

/// All batches that can be read, and the offsets that cannot.
fn read_batches(log: &dyn Log) -> (BTreeMap<i64, Vec<u8>>, Vec<i64>) {
    let limit = ReadLimit {
        bytes_max: 1 << 20,
        at_least_one_batch: true,
    };
    let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
    let mut next = log.ends().log_start;
    while next < log.ends().high_watermark {
        match now(log.read(next, limit, Isolation::ReadUncommitted)) {
            Ok(slice) => {
                let bytes = bytes_of(&slice);
                let mut seen = Batches::new(&bytes);
                for one in seen.by_ref() {
                    let (_, header, bytes) = one.expect("a read gives whole batches");
                    found.insert(header.base_offset.get(), bytes.to_vec());
                    next = header.next_offset();
                }
                assert_eq!(seen.rest(), bytes.len(), "a read ends with a batch");
            }
            Err(ReadError::Corrupt(_)) => {
                missing.push(next.get());
                next = next.plus(1);
            }
            Err(error) => panic!("a read at {next}: {error}"),
        }
    }
    (found, missing)
}

/// One bit of one file.
#[derive(Debug, Clone)]
struct Flip<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
    bit: u32,
}

impl Flip<'_> {
    fn kind(&self) -> &'static str {
        let name = self.path.file_name().expect("a file").to_string_lossy();
        let kinds = ["log", "timeindex", "index", "spans", "snapshot"];
        let found = kinds
            .into_iter()
            .find(|kind| name.ends_with(&format!(".{kind}")));
        found.unwrap_or("epochs")
    }

    /// Whether a short run has it.
    fn is_in_thinned(&self) -> bool {
        let bit = usize::try_from(self.bit).expect("small");
        let is_large = match self.kind() {
            "log" => self.batch().is_some_and(|(_, in_head)| !in_head),
            "spans" => true,
            _ => false,
        };
        let one_in = if is_large { THINNED_MORE } else { THINNED };
        (self.at + 13 * bit).is_multiple_of(one_in)
    }

    fn make(&self, vfs: &SimVfs) {
        let at = u64::try_from(self.at).expect("small");
        let flipped = self.bytes[self.at] ^ (1 << self.bit);
        vfs.damage(self.path, at, &[flipped]).expect("damaged");
    }

    /// The batch that it hits, if it hits one: offsets, and whether its head.
    fn batch(&self) -> Option<(std::ops::Range<i64>, bool)> {
        if self.kind() != "log" {
            return None;
        }
        let batches = Batches::new(self.bytes).map(|batch| batch.expect("a good log"));
        let hit = batches.filter(|(start, _, _)| *start <= self.at).last();
        let (start, header, _) = hit.expect("a log begins with a batch");
        let offsets = header.base_offset.get()..header.next_offset().get();
        Some((offsets, self.at - start < records::CRC_START))
    }

    fn check(&self, written: &Written) -> Outcome {
        let vfs = written.vfs.fork();
        self.make(&vfs);
        let life = match try_start(&vfs, &options(Durability::Fsync)) {
            Ok(life) => life,
            Err(error) => panic!("{self}: a start was refused: {error}"),
        };
        let log = life.open(&topic("events", 7, 1, SEGMENT_BYTES), 0);
        let (found, missing) = read_batches(&*log);
        for (base, bytes) in &found {
            assert_eq!(
                Some(bytes),
                written.batches.get(base),
                "{self}: at offset {base}"
            );
        }
        let hit = self.batch();
        let end = log.ends().log_end.get();
        let lost: Vec<i64> = (end..written.end).chain(missing.iter().copied()).collect();
        let offsets = hit.as_ref().map_or(0..0, |(offsets, _)| offsets.clone());
        assert!(
            lost.iter().all(|offset| offsets.contains(offset)),
            "{self}: lost {lost:?} where {hit:?} is damaged"
        );
        assert!(end <= written.end, "{self}: the end moved to {end}");
        let outcome = if end < written.end {
            Outcome::LastCut
        } else if !missing.is_empty() {
            Outcome::OneMissing
        } else if hit.is_some() {
            Outcome::Repaired
        } else {
            Outcome::Harmless
        };
        if outcome == Outcome::Repaired {
            let bytes = vfs::read_whole(&vfs, self.path, 1 << 20).expect("read");
            assert_eq!(bytes, self.bytes, "{self}: the file is as it was");
        }
        if let Some((offsets, true)) = hit {
            let is_covered = offsets.end <= written.watermark;
            assert!(
                !is_covered || outcome == Outcome::Repaired,
                "{self}: a head below the watermark is repaired, not {outcome:?}"
            );
        }
        outcome
    }
}

impl fmt::Display for Flip<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.path.file_name().expect("a file").to_string_lossy();
        write!(f, "bit {} of byte {} of {name}", self.bit, self.at)
    }
}

fn flip_all(written: &Written, is_thinned: bool) -> Tally {
    let entries = written.vfs.read_dir(&partition_dir()).expect("listed");
    let files: Vec<(PathBuf, Vec<u8>)> = entries
        .iter()
        .map(|entry| partition_dir().join(&entry.name))
        .map(|path| {
            let bytes = vfs::read_whole(&written.vfs, &path, 1 << 20).expect("read");
            (path, bytes)
        })
        .collect();
    let flips: Vec<Flip<'_>> = files
        .iter()
        .flat_map(|(path, bytes)| {
            (0..bytes.len()).flat_map(move |at| {
                (0..8).map(move |bit| Flip {
                    path,
                    bytes,
                    at,
                    bit,
                })
            })
        })
        .filter(|flip| !is_thinned || flip.is_in_thinned())
        .collect();
    let work = |thread: usize| {
        let mut tally = Tally::default();
        for flip in flips.iter().skip(thread).step_by(THREADS) {
            let outcome = catch_unwind(AssertUnwindSafe(|| flip.check(written)));
            let outcome = outcome.unwrap_or_else(|_| panic!("{flip}"));
            *tally.0.entry((flip.kind(), outcome)).or_default() += 1;
        }
        tally
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        let mut sum = Tally::default();
        for thread in threads {
            for (key, count) in thread.join().expect("no flip fails").0 {
                *sum.0.entry(key).or_default() += count;
            }
        }
        sum
    })
}

fn asked_kib() -> Option<usize> {
    let asked = std::env::var(SIZE_VARIABLE).ok();
    asked.map(|kib| kib.parse().expect("a number of KiB"))
}

#[test]
fn no_flipped_bit_is_served_after_a_clean_end() {
    run(End::Clean);
}

#[test]
fn no_flipped_bit_is_served_after_a_kill() {
    run(End::Killed);
}

fn run(end: End) {
    let written = written(asked_kib().unwrap_or(SMALL_KIB), end);
    let tally = flip_all(&written, asked_kib().is_none());
    let flips: u64 = tally.0.values().sum();
    println!("{flips} flips after an end that was {end:?}\n{tally}");
    let of = |outcome| tally.0.contains_key(&("log", outcome));
    assert!(
        of(Outcome::Repaired) && of(Outcome::OneMissing),
        "both occur"
    );
    assert!(
        tally.0.contains_key(&("spans", Outcome::Harmless)),
        "they are flipped too"
    );
}
