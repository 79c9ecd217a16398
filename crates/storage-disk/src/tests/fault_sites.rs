//! Each call that a script makes to the disk fails once, in turn: in the life that writes, and in
//! the start after it. Whatever fails, nothing that was promised is lost; and a sync that fails
//! ends the process, is not repeated, and acknowledges nothing.
//!
//! `OTTLA_FAULTS` says how many faults there are, `OTTLA_SEED` which; both are printed.

use std::sync::atomic::Ordering;

use clock::{Rng, SeededRng};
use vfs::{CutPolicy, DiskError, FailedSync, Fault, NameRule, Operation, SimOptions, SimVfs};

use super::harness::{DATA_DIR, options, try_start};
use super::oracle::Oracle;
use super::power_cuts::setting;
use super::scenarios::{SCENARIOS, random};
use super::script::{Run, Step};
use crate::Durability;

/// What can fail, and how.
const SITES: [(Operation, DiskError); 19] = [
    (Operation::SyncData, DiskError::Io),
    (Operation::SyncDir, DiskError::Io),
    (Operation::SyncFileSystem, DiskError::Io),
    (Operation::Write, DiskError::Io),
    (Operation::Write, DiskError::NoSpace),
    (Operation::Open, DiskError::Io),
    (Operation::Open, DiskError::NoSpace),
    (Operation::Open, DiskError::TooManyFiles),
    (Operation::Rename, DiskError::Io),
    (Operation::Rename, DiskError::NoSpace),
    (Operation::CreateDir, DiskError::Io),
    (Operation::CreateDir, DiskError::NoSpace),
    (Operation::SetSize, DiskError::Io),
    (Operation::SetSize, DiskError::NoSpace),
    (Operation::Remove, DiskError::Io),
    (Operation::Read, DiskError::Io),
    (Operation::ReadDir, DiskError::Io),
    (Operation::Stat, DiskError::Io),
    (Operation::Lock, DiskError::Io),
];
const VARIANTS: [FailedSync; 3] = [
    FailedSync::KeepPages,
    FailedSync::RevertPages,
    FailedSync::ShutDown,
];

fn is_sync(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::SyncData | Operation::SyncDir | Operation::SyncFileSystem
    )
}

/// One script on one kind of disk.
struct Trial<'a> {
    script: &'a [Step],
    options: SimOptions,
    what: String,
    rng: &'a SeededRng,
}

impl Trial<'_> {
    fn run(&self, fault: Option<Fault>) -> Run {
        let vfs = SimVfs::with_options(self.options);
        vfs.start_trace();
        let mut run = Run::on(vfs, Durability::Fsync, self.what.clone());
        if let Some(fault) = fault {
            run.vfs.inject(fault);
            run.tolerant = true;
        }
        run.execute(self.script);
        run
    }

    /// The number of calls of each kind in the life that writes, and in the start after it.
    fn count(&self) -> [Vec<String>; 2] {
        let run = self.run(None);
        let (vfs, _) = end(run);
        let life = vfs.take_trace();
        vfs.process_kill();
        vfs.start_trace();
        drop(try_start(&vfs, &options(Durability::Fsync)));
        [life, vfs.take_trace()]
    }

    /// One call of the life fails.
    fn fail_life(&self, operation: Operation, error: DiskError, nth: u64) {
        let what = format!(
            "{}, {operation:?} {nth} of the life fails: {error:?}",
            self.what
        );
        let mut run = self.run(Some(Fault::fail(operation, error).nth(nth)));
        run.what.clone_from(&what);
        let fired = run.vfs.faults_fired() > 0;
        let trace = run.vfs.take_trace();
        if let Some(life) = run.life.as_ref().filter(|_| fired) {
            // The thread that commits rows answers first, and tells of a failure then.
            life.disk.metadata.close();
            let fatals = life.fatals.load(Ordering::SeqCst);
            assert!(fatals <= 1, "{what}: told once");
            assert!(
                fatals == 0 || is_sync(operation) || error == DiskError::Io,
                "{what}: fatal"
            );
            if failed_sync(&trace).is_some_and(|(_, path)| is_final(path)) {
                assert_eq!(fatals, 1, "{what}: the process goes on");
            }
        }
        assert_no_sync_again(&trace, &what);
        let (vfs, oracle) = end(run);
        self.recover((vfs, oracle), operation, &what);
    }

    /// One call of the start after the life fails.
    fn fail_start(&self, operation: Operation, error: DiskError, nth: u64) {
        let what = format!(
            "{}, {operation:?} {nth} of the start fails: {error:?}",
            self.what
        );
        let (vfs, oracle) = end(self.run(None));
        self.crash(&vfs, None);
        vfs.start_trace();
        vfs.inject(Fault::fail(operation, error).nth(nth));
        drop(try_start(&vfs, &options(Durability::Fsync)));
        let trace = vfs.take_trace();
        assert_no_sync_again(&trace, &what);
        // Then a tail that nobody waited for is listed, not cut: damage.rs looks at that.
        if !is_watermark_unread(&trace) {
            self.recover((vfs, oracle), operation, &what);
        }
    }

    fn crash(&self, vfs: &SimVfs, failed: Option<Operation>) {
        // A file system that gave up comes back with the machine only; and none is known that goes
        // on after the sync of a directory failed: ext4, XFS and Btrfs all stop.
        let names = matches!(failed, Some(Operation::SyncDir | Operation::SyncFileSystem));
        // Pages that went back to what the disk has leave a hole on the same boot, which a start
        // lists and does not cut.
        let hole = failed == Some(Operation::SyncData)
            && self.options.failed_sync == FailedSync::RevertPages;
        let stopped = self.options.failed_sync == FailedSync::ShutDown;
        let can_kill = !stopped && !names && !hole;
        match self.rng.next_below(3) {
            0 if can_kill => vfs.process_kill(),
            1 => vfs.power_cut_with(&CutPolicy::DropAll),
            _ => vfs.power_cut(self.rng.next_u64()),
        }
    }

    /// Then everything is well again.
    fn recover(&self, (vfs, oracle): (SimVfs, Oracle), failed: Operation, what: &str) {
        self.crash(&vfs, Some(failed));
        vfs.clear_faults();
        vfs.set_space_limit(None);
        let mut run = Run::on(vfs, Durability::Fsync, what.to_owned());
        run.oracle = oracle;
        run.begin();
        // What was found is visible: so it stays.
        let (vfs, oracle) = end(run);
        vfs.power_cut_with(&CutPolicy::DropAll);
        let mut run = Run::on(vfs, Durability::Fsync, format!("{what}, then a cut"));
        run.oracle = oracle;
        run.begin();
    }
}

fn end(mut run: Run) -> (SimVfs, Oracle) {
    drop(run.life.take());
    (run.vfs, run.oracle)
}

/// The first sync that failed: its place in the trace, and its path.
fn failed_sync(trace: &[String]) -> Option<(usize, &str)> {
    let failed = trace.iter().enumerate().filter_map(|(at, line)| {
        let (call, _) = line.split_once(" -> errno")?;
        let (operation, path) = call.split_once(' ')?;
        operation.starts_with("Sync").then_some((at, path))
    });
    failed.into_iter().next()
}

/// Whether nothing says up to where a log was durable: a file of the journal could not be read, or the
/// label of a topic, which names it in the journal.
fn is_watermark_unread(trace: &[String]) -> bool {
    let failed = trace.iter().filter_map(|line| line.split_once(" -> errno"));
    let is_look = |call: &str| {
        ["Open", "Read", "Stat"]
            .iter()
            .any(|it| call.starts_with(it))
    };
    let mut reads = failed.filter(|(call, _)| is_look(call));
    reads.any(|(call, _)| call.contains("/watermarks.") || call.contains("/topic.meta"))
}

/// Whether promises rest on a sync of this path. A small file that is replaced is not there yet
/// when its sync fails, and the caller hears that it was not replaced.
fn is_final(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let of_a_log = name.strip_suffix(".log").is_some() || name.starts_with("partition");
    let of_own = name.starts_with("watermarks.") || name.starts_with("metadata.");
    let of_commit = ["commit.a", "commit.b"].contains(&name);
    of_a_log || of_own || of_commit || path == DATA_DIR || name == "trash"
}

/// After such a sync failed, it is not made again in that life.
fn assert_no_sync_again(trace: &[String], what: &str) {
    let Some((at, path)) = failed_sync(trace).filter(|(_, path)| is_final(path)) else {
        return;
    };
    let is_again = |line: &&String| {
        let call = line.split(" -> errno").next().unwrap_or(line);
        call.starts_with("Sync") && call.split_once(' ').is_some_and(|(_, it)| it == path)
    };
    let again = trace[at + 1..].iter().find(is_again);
    assert_eq!(again, None, "{what}: a failed sync is repeated");
}

/// A script without ends of lives: a fault belongs to one life.
fn one_life(script: &[Step]) -> Vec<Step> {
    let ends = |step: &&Step| !matches!(step, Step::Close | Step::Kill | Step::Cut(_));
    script.iter().filter(ends).copied().collect()
}

/// Injects faults at one script, each with the chance of `share` in a thousand; says how many.
fn explore(script: &[Step], name: &str, number: usize, rng: &SeededRng, share: u64) -> u64 {
    let script = one_life(script);
    let names = [NameRule::EachDirectory, NameRule::JournalOrder][number % 2];
    let failed_sync = VARIANTS[number % 3];
    let trial = Trial {
        script: &script,
        options: SimOptions { names, failed_sync },
        what: format!("{name}, {names:?}, {failed_sync:?}"),
        rng,
    };
    let [life, start] = trial.count();
    let mut done = 0;
    for (operation, error) in SITES {
        let of = |trace: &[String]| {
            let prefix = format!("{operation:?} ");
            let calls = trace.iter().filter(|line| line.starts_with(&prefix));
            u64::try_from(calls.count()).expect("few")
        };
        for nth in 1..=of(&life) {
            if rng.next_below(1000) < share {
                trial.fail_life(operation, error, nth);
                done += 1;
            }
        }
        for nth in 1..=of(&start) {
            if rng.next_below(1000) < share {
                trial.fail_start(operation, error, nth);
                done += 1;
            }
        }
    }
    done
}

#[test]
fn every_call_that_fails_costs_nothing_that_was_promised() {
    let (wanted, seed) = (setting("OTTLA_FAULTS", 500), setting("OTTLA_SEED", 0));
    // So many sites have the scenarios, about.
    let share = (wanted * 1000 / 12_000).clamp(1, 1000);
    let mut done = 0;
    for number in 0.. {
        if done >= wanted && number >= SCENARIOS.len() {
            break;
        }
        let rng = SeededRng::new(seed.wrapping_add(u64::try_from(number).expect("small")));
        done += match SCENARIOS.get(number) {
            Some((name, script)) => explore(script, name, number, &rng, share),
            None => explore(
                &random(&rng),
                &format!("random script {number}"),
                number,
                &rng,
                1000,
            ),
        };
    }
    println!("faults: {done}, seed {seed}");
}
