//! Power cuts: nothing answered is lost, nothing is half there, no version comes twice.

use clock::{Rng, SeededRng};
use storage::{CommitError, Version, Write};
use vfs::{CutPolicy, NameRule, SimOptions, SimVfs};

use super::*;

/// What the callers of one process know when the power goes.
#[derive(Default, Clone)]
struct Known {
    rows: Rows,
    newest: Version,
    /// The commit whose outcome is not known.
    unknown: Option<Vec<Write>>,
}

fn random_writes(rng: &SeededRng) -> Vec<Write> {
    let count = 1 + rng.next_below(4);
    let write = |_| {
        let name = format!("key-{}", rng.next_below(6));
        match rng.next_below(4) {
            0 => removal(&name),
            _ => put(
                &name,
                &format!("{:x}", rng.next_u64() >> (rng.next_below(8) * 8)),
            ),
        }
    };
    (0..count).map(write).collect()
}

/// Commits until the disk stands still or `commits` are done. The disk may stand still in a rewrite
/// after the last answer too.
fn run(disk: &SimVfs, rng: &SeededRng, commits: u64, known: &mut Known) -> usize {
    let fatals = Fatals::default();
    let opened = DiskMetadata::open_with(&as_vfs(disk), &own_dir(), fatals.callback(), EAGER);
    let Ok(metadata) = opened else {
        assert!(disk.is_stopped(), "a start is refused: {opened:?}");
        return 0;
    };
    known.check(&rows(&metadata));
    for _ in 0..commits {
        let writes = random_writes(rng);
        match commit(&metadata, &writes) {
            Ok(version) => {
                assert!(
                    version > known.newest,
                    "{version:?} after {:?}",
                    known.newest
                );
                known.newest = version;
                apply(&mut known.rows, version, &writes);
            }
            Err(CommitError::Unknown(_)) => {
                known.unknown = Some(writes);
                break;
            }
            Err(CommitError::Storage(_)) => break,
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(rows(&metadata), known.rows);
    }
    metadata.close();
    fatals.count()
}

impl Known {
    /// Compares with what a start found, and takes that as known from here on.
    fn check(&mut self, found: &Rows) {
        let mut possible = vec![self.rows.clone()];
        if let Some(writes) = self.unknown.take() {
            let changed = found.values().map(|(_, version)| *version).max();
            let version = changed.unwrap_or_default().max(Version(self.newest.0 + 1));
            let mut with = self.rows.clone();
            apply(&mut with, version, &writes);
            possible.push(with);
            self.newest = version;
        }
        assert!(
            possible.contains(found),
            "found {found:#?}\npossible {possible:#?}"
        );
        self.rows = found.clone();
    }
}

#[test]
fn nothing_answered_is_lost_by_power_cuts() {
    let mut fatal_sometimes = 0;
    for seed in 0..600 {
        println!("seed {seed}");
        let rng = SeededRng::new(seed);
        let names = match rng.next_below(2) {
            0 => NameRule::EachDirectory,
            _ => NameRule::JournalOrder,
        };
        let disk = disk_with(SimOptions {
            names,
            ..SimOptions::default()
        });
        let mut known = Known::default();
        for _ in 0..6 {
            disk.stop_after(rng.next_below(60));
            fatal_sometimes += run(&disk, &rng, 12, &mut known);
            match rng.next_below(4) {
                0 => disk.process_kill(),
                1 => disk.power_cut_with(&CutPolicy::DropAll),
                2 => disk.power_cut_with(&CutPolicy::KeepAll),
                _ => disk.power_cut(rng.next_u64()),
            }
        }
        run(&disk, &rng, 0, &mut known);
    }
    assert!(
        fatal_sometimes > 100,
        "the cuts meet commits: {fatal_sometimes}"
    );
}

/// A cut after every change that a run with several rewrites makes, each with many outcomes.
#[test]
fn a_cut_after_every_change_loses_nothing() {
    let changes = {
        let disk = disk();
        let before = disk.changes();
        run(&disk, &SeededRng::new(7), 30, &mut Known::default());
        let generation: u32 = names(&disk)[0]
            .rsplit('.')
            .next()
            .expect("a number")
            .parse()
            .expect("a number");
        assert!(
            generation > 2,
            "the files are rewritten in the run: {generation}"
        );
        disk.changes() - before
    };
    for stop in 0..changes {
        let disk = disk();
        disk.stop_after(stop);
        let mut known = Known::default();
        run(&disk, &SeededRng::new(7), 30, &mut known);
        assert!(
            disk.is_stopped() || stop + 1 >= changes,
            "the runs are alike"
        );
        let items = disk.pending_items();
        let mut policies = vec![CutPolicy::DropAll, CutPolicy::KeepAll];
        policies.extend((0..items).map(CutPolicy::DropOne));
        policies.extend((0..items).map(CutPolicy::KeepOne));
        policies.extend((0..8).map(CutPolicy::Seed));
        for policy in policies {
            println!("stop {stop} policy {policy:?}");
            let disk = disk.fork();
            disk.power_cut_with(&policy);
            run(&disk, &SeededRng::new(8), 2, &mut known.clone());
        }
    }
}

#[test]
fn versions_of_lost_frames_are_not_given_out_again() {
    let disk = disk();
    let fatals = Fatals::default();
    let metadata = open_on(&disk, &fatals, EAGER);
    let answered = commit(&metadata, &[put("a", "1")]).expect("room");
    disk.stall_syncs();
    std::thread::scope(|scope| {
        let lost: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| commit(&metadata, &[put("a", "2")])))
            .collect();
        disk.wait_for_stalled_syncs(1);
        // The frame is written, its versions are in memory and perhaps on the disk; then the power
        // goes before the sync ends.
        disk.power_cut_with(&CutPolicy::DropAll);
        disk.release_syncs();
        for commit in lost {
            assert!(commit.join().expect("no panic").is_err());
        }
    });
    drop(metadata);
    let metadata = open(&disk);
    assert_eq!(rows(&metadata)[&key("a")].1, answered);
    let next = commit(&metadata, &[put("b", "")]).expect("room");
    assert!(
        next.0 > answered.0 + 20,
        "{next:?} may have been in the lost frame"
    );
}

#[test]
fn a_torn_tail_is_dropped_and_reported() {
    let disk = disk();
    let metadata = open(&disk);
    commit(&metadata, &[put("a", "1")]).expect("room");
    let whole = content(&disk, "metadata.a.1");
    commit(&metadata, &[put("a", "2"), put("b", "2")]).expect("room");
    drop(metadata);
    let longer = content(&disk, "metadata.a.1");
    for end in whole.len()..longer.len() {
        for shorter in [whole.len(), end] {
            let disk = disk.fork();
            overwrite(&disk, "metadata.a.1", &longer[..end]);
            overwrite(&disk, "metadata.b.1", &longer[..shorter]);
            let metadata = open(&disk);
            let report = metadata.report();
            assert_eq!(rows(&metadata)[&key("a")].0, "1");
            assert_eq!(rows(&metadata).len(), 1);
            assert_eq!(report.torn_bytes, (end - whole.len()) as u64);
            assert!(!report.is_damaged(), "{report:?}");
        }
        // Whole in one copy: it counts.
        let disk = disk.fork();
        overwrite(&disk, "metadata.b.1", &longer[..end]);
        assert_eq!(rows(&open(&disk))[&key("a")].0, "2");
    }
}

#[test]
fn an_older_generation_that_comes_back_does_not_count() {
    let disk = disk();
    let metadata = open(&disk);
    commit(&metadata, &[put("a", "1")]).expect("room");
    drop(metadata);
    let old = content(&disk, "metadata.a.1");
    let metadata = open(&disk);
    commit(&metadata, &[removal("a")]).expect("room");
    drop(metadata);
    overwrite(&disk, "metadata.a.1", &old);
    overwrite(&disk, "metadata.b.1", &old);
    let metadata = open(&disk);
    assert_eq!(rows(&metadata), Rows::new());
    drop(metadata);
    assert_eq!(names(&disk), ["metadata.a.3", "metadata.b.3"]);
}

#[test]
fn a_generation_without_its_end_mark_does_not_count() {
    let disk = disk();
    let metadata = open(&disk);
    commit(&metadata, &[put("a", "1"), put("b", "1")]).expect("room");
    drop(metadata);
    drop(open(&disk));
    let complete = content(&disk, "metadata.a.2");
    for end in 0..complete.len() {
        let disk = disk.fork();
        overwrite(&disk, "metadata.a.3", &complete[..end]);
        overwrite(&disk, "metadata.b.3", &[]);
        let metadata = open(&disk);
        assert_eq!(metadata.report().generation, 2, "cut at {end}");
        assert!(!metadata.report().is_damaged());
        assert_eq!(rows(&metadata).len(), 2);
        drop(metadata);
        assert_eq!(
            names(&disk),
            ["metadata.a.4", "metadata.b.4"],
            "its number is not used again"
        );
    }
}
