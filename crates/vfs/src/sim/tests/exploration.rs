//! A small store explored systematically: a cut after every change, every policy. It shows that
//! the disk is sharp enough (each missing safeguard is caught) and repeatable (a seed is a trace).

use clock::{Rng, SeededRng};

use super::*;

const NEXT: &str = "/data/value.next";
const VALUE: &str = "/data/value";

/// What the store under test leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sabotage {
    Nothing,
    SkipDataSync,
    SkipDirectorySync,
    SkipParentSync,
    WriteInPlace,
}

/// Replaces a value and acknowledges each after it is durable. Returns those acknowledged.
fn run(vfs: &SimVfs, values: &[Vec<u8>], sabotage: Sabotage) -> usize {
    let mut acknowledged = 0;
    let attempt = |value: &[u8]| -> io::Result<()> {
        if vfs.stat(Path::new("/data"))?.is_none() {
            vfs.create_dir(Path::new("/data"))?;
            if sabotage != Sabotage::SkipParentSync {
                vfs.sync_dir(Path::new("/"))?;
            }
        }
        let path = Path::new(if sabotage == Sabotage::WriteInPlace {
            VALUE
        } else {
            NEXT
        });
        let file = vfs.open(path, OpenMode::ReadWriteCreate)?;
        file.set_size(0)?;
        write_all_at(&*file, value, 0)?;
        if sabotage != Sabotage::SkipDataSync {
            file.sync_data()?;
        }
        if sabotage != Sabotage::WriteInPlace {
            vfs.rename(path, Path::new(VALUE))?;
        }
        if sabotage != Sabotage::SkipDirectorySync {
            vfs.sync_dir(Path::new("/data"))?;
        }
        Ok(())
    };
    for value in values {
        match attempt(value) {
            Ok(()) => acknowledged += 1,
            Err(_) => break,
        }
    }
    acknowledged
}

fn policies(items: usize) -> impl Iterator<Item = CutPolicy> {
    [CutPolicy::DropAll, CutPolicy::KeepAll]
        .into_iter()
        .chain((0..items).map(CutPolicy::DropOne))
        .chain((0..items).map(CutPolicy::KeepOne))
        .chain((0..32).map(CutPolicy::Seed))
}

/// The first state after a cut that breaks the promise, and how many cuts were tried.
fn explore(names: NameRule, sabotage: Sabotage) -> (Option<String>, usize) {
    let values: Vec<Vec<u8>> = (1..=3).map(|value| vec![value; 1_500]).collect();
    let whole = disk(names);
    assert_eq!(run(&whole, &values, sabotage), values.len());
    let mut cuts = 0;
    for stop in 0..=whole.changes() {
        let vfs = disk(names);
        vfs.stop_after(stop);
        let acknowledged = run(&vfs, &values, sabotage);
        for policy in policies(vfs.pending_items()) {
            let copy = vfs.fork();
            copy.power_cut_with(&policy);
            cuts += 1;
            let found = bytes_of(&copy, VALUE);
            // The last acknowledged value, or the one under way.
            let allowed = |index: usize| match index {
                0 => found.is_none(),
                _ => found.as_ref() == values.get(index - 1),
            };
            if !allowed(acknowledged) && !allowed(acknowledged + 1) {
                let seen = found.map(|bytes| (bytes.len(), bytes.first().copied()));
                let state = format!("{acknowledged} acknowledged, found {seen:?}");
                return (Some(format!("stop {stop}, {policy:?}: {state}")), cuts);
            }
        }
    }
    (None, cuts)
}

#[test]
fn a_correct_store_survives_every_cut() {
    for names in RULES {
        let (broken, cuts) = explore(names, Sabotage::Nothing);
        assert_eq!(broken, None, "{names:?}");
        assert!(cuts > 600, "{cuts} cuts were tried");
    }
}

#[test]
fn every_missing_safeguard_is_caught() {
    use NameRule::{EachDirectory, JournalOrder};
    for (sabotage, rules) in [
        (Sabotage::SkipDataSync, &[EachDirectory, JournalOrder][..]),
        (
            Sabotage::SkipDirectorySync,
            &[EachDirectory, JournalOrder][..],
        ),
        (Sabotage::SkipParentSync, &[EachDirectory][..]),
        (Sabotage::WriteInPlace, &[EachDirectory, JournalOrder][..]),
    ] {
        for names in rules {
            let (broken, cuts) = explore(*names, sabotage);
            println!("{sabotage:?}, {names:?}: {broken:?} after {cuts} cuts");
            assert!(broken.is_some(), "{sabotage:?} passed under {names:?}");
        }
    }
}

/// What a program did, what it saw, and the files it left.
#[derive(Debug, PartialEq, Eq)]
struct Story {
    trace: Vec<String>,
    seen: Vec<String>,
    left: Vec<(&'static str, Vec<u8>)>,
}

/// A random program on a random disk.
fn random_run(seed: u64) -> Story {
    let rng = SeededRng::new(seed);
    let names = RULES[usize::from(rng.next_below(2) == 0)];
    let vfs = disk(names);
    vfs.start_trace();
    let paths = ["/a", "/b", "/c"];
    let pick = || Path::new(paths[usize::try_from(rng.next_below(3)).expect("small")]);
    let mut seen = Vec::new();
    for _ in 0..60 {
        let result = match rng.next_below(8) {
            0 => vfs.rename(pick(), pick()),
            1 => vfs.remove_file(pick()),
            2 => vfs.sync_dir(Path::new("/")),
            3 => {
                vfs.power_cut(rng.next_u64());
                Ok(())
            }
            choice => vfs
                .open(pick(), OpenMode::ReadWriteCreate)
                .and_then(|file| {
                    let mut bytes = vec![0; usize::try_from(rng.next_below(3_000)).expect("small")];
                    rng.fill(&mut bytes);
                    write_all_at(&*file, &bytes, rng.next_below(3_000))?;
                    if choice == 4 {
                        file.set_size(rng.next_below(6_000))
                    } else {
                        Ok(())
                    }?;
                    if choice == 5 {
                        file.sync_data()
                    } else {
                        Ok(())
                    }
                }),
        };
        seen.push(format!("{result:?} {:?}", vfs.describe_pending()));
    }
    let left = paths
        .into_iter()
        .filter_map(|path| Some((path, bytes_of(&vfs, path)?)))
        .collect();
    Story {
        trace: vfs.take_trace(),
        seen,
        left,
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_disk() {
    for seed in 0..50 {
        let first = random_run(seed);
        assert_eq!(first, random_run(seed), "seed {seed}");
        let other = random_run(seed + 1_000);
        assert_ne!(
            first.trace, other.trace,
            "seed {seed}: another seed, another trace"
        );
    }
}

#[test]
fn after_a_cut_memory_and_disk_agree() {
    for seed in 0..200 {
        let rng = SeededRng::new(seed);
        let vfs = disk(RULES[usize::from(seed % 2 == 0)]);
        for step in 0..30 {
            let file = vfs
                .open(Path::new("/log"), OpenMode::ReadWriteCreate)
                .expect("open");
            let mut bytes = vec![0; usize::try_from(rng.next_below(6_000)).expect("small")];
            rng.fill(&mut bytes);
            write_all_at(&*file, &bytes, rng.next_below(9_000)).expect("a write");
            match rng.next_below(4) {
                0 => file.set_size(rng.next_below(12_000)).expect("a size"),
                1 => {
                    file.sync_data().expect("a sync");
                    vfs.sync_dir(Path::new("/")).expect("a directory sync");
                    let durable = vfs.durable_bytes(Path::new("/log")).expect("durable");
                    assert_eq!(
                        Some(durable),
                        bytes_of(&vfs, "/log"),
                        "seed {seed} step {step}"
                    );
                }
                2 => {
                    vfs.power_cut(rng.next_u64());
                    let durable = vfs.durable_bytes(Path::new("/log")).ok();
                    assert_eq!(durable, bytes_of(&vfs, "/log"), "seed {seed} step {step}");
                    assert_eq!(vfs.pending_items(), 0);
                    let used = durable.map_or(0, |bytes| bytes.len());
                    assert_eq!(vfs.shared.look().disk.used_bytes, disk::to_u64(used));
                }
                _ => {}
            }
        }
    }
}
