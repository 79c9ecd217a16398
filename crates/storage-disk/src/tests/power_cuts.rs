//! The power is cut at every change that a script makes to the disk, with every outcome, and what
//! was promised must still be there after it: by the stories of [`scenarios`] and by random ones.
//!
//! An outcome is applied to a copy of the disk, so a script runs once for each moment and not for
//! each outcome. Some cuts hit the recovery after a cut, and life goes on after some. `OTTLA_CUTS`
//! says how many cuts there are, `OTTLA_SEED` which; both are printed. With enough of them, rare
//! things must have happened, or the test is not worth its name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use clock::{Rng, SeededRng};
use vfs::{CutPolicy, NameRule, SimVfs};

use super::harness::{options, try_start};
use super::oracle::Oracle;
use super::scenarios::{SCENARIOS, random};
use super::script::{Run, Step};
use crate::Durability;

/// Moments of all scenarios under both rules, about.
const MOMENTS: u64 = 8000;
/// From here on every outcome is tried at every moment.
const CUTS_FOR_ALL: u64 = 400_000;
/// From here on rare things must have happened.
const CUTS_FOR_RARE: u64 = 20_000;
const RANDOM_OUTCOMES: usize = 32;
/// Moments of a random script, and outcomes at each.
const RANDOM_MOMENTS: u64 = 10;
const OUTCOMES_EACH: usize = 8;

/// What must have happened at least once.
const RARE: [&str; 15] = [
    "label B",
    "label C",
    "label E",
    "label G",
    "label N",
    "label R",
    "a cut in a recovery",
    "a cut with a new segment that has no name yet",
    "a cut with a removal that is not durable",
    "a tail that nobody waited for was kept",
    "a tail that nobody waited for was lost",
    "a clean start",
    "an unclean start",
    "the journal had a second file",
    "the metadata files were rewritten",
];

/// How the machine ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Kill,
    Cut(CutPolicy),
}

/// What is counted.
#[derive(Debug, Default)]
struct Tally {
    cuts: u64,
    seen: BTreeMap<String, u64>,
}

impl Tally {
    fn see(&mut self, what: &str) {
        *self.seen.entry(what.to_owned()).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.cuts += other.cuts;
        for (what, count) in other.seen {
            *self.seen.entry(what).or_default() += count;
        }
    }
}

/// A script, cut short.
struct Exploration<'a> {
    script: &'a [Step],
    names: NameRule,
    durability: Durability,
    what: String,
    rng: SeededRng,
    tally: Tally,
}

impl Exploration<'_> {
    fn run_to(&self, change: Option<u64>) -> Run {
        let what = match change {
            Some(change) => format!("{}, before change {change}", self.what),
            None => self.what.clone(),
        };
        let mut run = Run::new(self.names, self.durability, what);
        if let Some(change) = change {
            run.stop_at(change);
        }
        run.execute(self.script);
        run
    }

    /// All that can become of what is pending.
    fn outcomes(&self, pending: usize) -> Vec<Outcome> {
        if self.durability != Durability::Fsync {
            return vec![Outcome::Kill];
        }
        let one_by_one =
            (0..pending).flat_map(|at| [CutPolicy::DropOne(at), CutPolicy::KeepOne(at)]);
        let seeds = (0..RANDOM_OUTCOMES).map(|_| CutPolicy::Seed(self.rng.next_u64()));
        let mut policies = vec![CutPolicy::DropAll, CutPolicy::KeepAll];
        policies.extend(one_by_one);
        policies.extend(seeds);
        let cuts = policies.into_iter().map(Outcome::Cut);
        std::iter::once(Outcome::Kill).chain(cuts).collect()
    }

    /// Tries outcomes at one moment: all of them, or so many.
    fn moment(&mut self, change: u64, count: Option<usize>) {
        let run = self.run_to(Some(change));
        let (vfs, oracle, what) = (run.vfs.clone(), run.oracle.clone(), run.what.clone());
        drop(run);
        self.see_pending(&vfs);
        let mut outcomes = self.outcomes(vfs.pending_items());
        if let Some(count) = count {
            for place in 0..count.min(outcomes.len()) {
                let left = u64::try_from(outcomes.len() - place).expect("few");
                let other = usize::try_from(self.rng.next_below(left)).expect("few");
                outcomes.swap(place, place + other);
            }
            outcomes.truncate(count);
        }
        for outcome in outcomes {
            let what = format!("{what}, {outcome:?}");
            self.aftermath(vfs.fork(), oracle.clone(), &outcome, &what);
        }
    }

    fn see_pending(&mut self, vfs: &SimVfs) {
        for line in vfs.describe_pending() {
            let is_new_log = line.starts_with("create ") && line.contains(".log in ");
            if is_new_log && !line.contains(" 00000000000000000000.log") {
                self.tally
                    .see("a cut with a new segment that has no name yet");
            }
            if line.starts_with("rename topic-") {
                self.tally.see("a cut with a removal that is not durable");
            }
        }
    }

    fn cut(&mut self, vfs: &SimVfs, outcome: &Outcome) {
        match outcome {
            Outcome::Kill => vfs.process_kill(),
            Outcome::Cut(policy) => vfs.power_cut_with(policy),
        }
        self.tally.cuts += 1;
    }

    fn one_in(&self, times: u64) -> bool {
        self.rng.next_below(times) == 0
    }

    /// The machine ends, perhaps again while it recovers; then everything must be there, and after
    /// some more life too.
    fn aftermath(&mut self, vfs: SimVfs, oracle: Oracle, outcome: &Outcome, what: &str) {
        self.cut(&vfs, outcome);
        if self.one_in(3) {
            vfs.stop_after(self.rng.next_below(40));
            drop(try_start(&vfs, &options(self.durability)));
            if vfs.is_stopped() {
                self.tally.see("a cut in a recovery");
            }
            let outcomes = self.outcomes(0);
            let other = self
                .rng
                .next_below(u64::try_from(outcomes.len()).expect("few"));
            self.cut(&vfs, &outcomes[usize::try_from(other).expect("few")]);
        }
        let mut run = self.start(vfs, oracle, what);
        if self.one_in(2) {
            self.live_on(&mut run);
            let (vfs, oracle) = (run.vfs.clone(), run.oracle.clone());
            drop(run);
            let outcome = match self.durability {
                Durability::Fsync => Outcome::Cut(CutPolicy::DropAll),
                _ => Outcome::Kill,
            };
            self.cut(&vfs, &outcome);
            self.start(vfs, oracle, &format!("{what}, then some life"));
        }
    }

    /// Starts in peace and looks at everything.
    fn start(&mut self, vfs: SimVfs, oracle: Oracle, what: &str) -> Run {
        vfs.set_space_limit(None);
        let before = oracle.records();
        let mut run = Run::on(vfs, self.durability, what.to_owned());
        run.oracle = oracle;
        run.begin();
        let (promised, sent) = before;
        let (kept, _) = run.oracle.records();
        if kept > promised {
            self.tally.see("a tail that nobody waited for was kept");
        }
        if kept < sent {
            self.tally.see("a tail that nobody waited for was lost");
        }
        let report = run.life.as_ref().expect("it started").disk.recovery();
        for (label, count) in &report.labels {
            *self.tally.seen.entry(format!("label {label}")).or_default() += count;
        }
        let start = if report.was_clean {
            "a clean start"
        } else {
            "an unclean start"
        };
        self.tally.see(start);
        run
    }

    /// A record more for each partition.
    fn live_on(&mut self, run: &mut Run) {
        let topics = run.oracle.topics.iter();
        let places: Vec<(u8, usize)> = topics
            .map(|(number, topic)| (*number, topic.partitions.len()))
            .collect();
        for (topic, partitions) in places {
            for partition in 0..u32::try_from(partitions).expect("few") {
                run.step(Step::Append(topic, partition, 1, 60));
            }
        }
        run.step(Step::Sync);
        if self.one_in(2) {
            run.step(Step::Maintain);
        }
        if self.one_in(4) {
            run.step(Step::Close);
        }
    }
}

/// A number from the environment: `cargo xtask long` sets larger ones.
pub(super) fn setting(name: &str, without: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(without, |value| value.parse().expect("a number"))
}

/// What one worker after the other takes: first every scenario under both rules, then random
/// scripts until there were enough cuts.
struct Plan {
    seed: u64,
    wanted: u64,
    next: AtomicUsize,
    cuts: AtomicU64,
}

impl Plan {
    fn work(&self) -> Tally {
        let mut tally = Tally::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let done = match SCENARIOS.get(number / 2) {
                Some((name, script)) => self.scenario(number, name, script),
                None if self.cuts.load(Ordering::Relaxed) < self.wanted => self.random(number),
                None => return tally,
            };
            self.cuts.fetch_add(done.cuts, Ordering::Relaxed);
            tally.add(done);
        }
    }

    fn explore<'a>(&self, number: usize, what: String, script: &'a [Step]) -> Exploration<'a> {
        let seed = self.seed ^ u64::try_from(number).expect("small").rotate_left(40);
        let rules = [NameRule::EachDirectory, NameRule::JournalOrder];
        let names = rules[number % 2];
        Exploration {
            script,
            names,
            durability: Durability::Fsync,
            what: format!("seed {}: {what}, {names:?}", self.seed),
            rng: SeededRng::new(seed),
            tally: Tally::default(),
        }
    }

    fn scenario(&self, number: usize, name: &str, script: &[Step]) -> Tally {
        let mut exploration = self.explore(number, format!("\"{name}\""), script);
        let whole = exploration.run_to(None);
        let changes = whole.vfs.changes();
        see_files(&whole.vfs, &mut exploration.tally);
        drop(whole);
        // In thousandths of a moment: two thirds of what is wanted.
        let share = self.wanted * 2 / 3 * 1000 / MOMENTS / 2;
        for change in 0..=changes {
            let more = u64::from(exploration.rng.next_below(1000) < share % 1000);
            let count = usize::try_from(share / 1000 + more).expect("small");
            if self.wanted >= CUTS_FOR_ALL {
                exploration.moment(change, None);
            } else if count > 0 {
                exploration.moment(change, Some(count));
            }
        }
        exploration.tally
    }

    fn random(&self, number: usize) -> Tally {
        let seed = self
            .seed
            .wrapping_add(u64::try_from(number).expect("small"));
        let script = random(&SeededRng::new(seed));
        let mut exploration = self.explore(number, format!("random script {seed}"), &script);
        let changes = exploration.run_to(None).vfs.changes();
        for _ in 0..RANDOM_MOMENTS {
            let change = exploration.rng.next_below(changes + 1);
            exploration.moment(change, Some(OUTCOMES_EACH));
        }
        exploration.tally
    }
}

/// Which files there are tells what was rewritten.
fn see_files(vfs: &SimVfs, tally: &mut Tally) {
    let own = std::path::Path::new(super::harness::DATA_DIR).join("@ottla");
    let entries = vfs::Vfs::read_dir(vfs, &own).expect("it is there");
    let number = |prefix: &str| {
        let of = entries.iter().filter_map(|it| it.name.strip_prefix(prefix));
        of.filter_map(|number| number.parse::<u32>().ok()).max()
    };
    if number("watermarks.") > Some(1) {
        tally.see("the journal had a second file");
    }
    if number("metadata.a.") > Some(1) {
        tally.see("the metadata files were rewritten");
    }
}

fn explore_all(seed: u64, wanted: u64) -> Tally {
    let plan = Arc::new(Plan {
        seed,
        wanted,
        next: AtomicUsize::new(0),
        cuts: AtomicU64::new(0),
    });
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let work = || plan.work();
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in running {
            match worker.join() {
                Ok(done) => tally.add(done),
                Err(panicked) => std::panic::resume_unwind(panicked),
            }
        }
    });
    tally
}

#[test]
fn what_was_promised_survives_power_cuts() {
    let (wanted, seed) = (setting("OTTLA_CUTS", 1500), setting("OTTLA_SEED", 0));
    println!("cuts wanted: {wanted}, seed {seed}");
    let tally = explore_all(seed, wanted);
    for (what, count) in &tally.seen {
        println!("{count:>9}  {what}");
    }
    println!("cuts: {}, seed {seed}", tally.cuts);
    assert!(tally.cuts >= wanted, "{} cuts", tally.cuts);
    if wanted >= CUTS_FOR_RARE {
        let never = RARE.iter().filter(|it| !tally.seen.contains_key(**it));
        assert_eq!(never.collect::<Vec<_>>(), Vec::<&&str>::new(), "never seen");
    }
}

#[test]
fn what_was_promised_survives_a_kill_in_mode_os() {
    let seed = setting("OTTLA_SEED", 0);
    let plan = Plan {
        seed,
        wanted: 0,
        next: AtomicUsize::new(0),
        cuts: AtomicU64::new(0),
    };
    for (number, (name, script)) in SCENARIOS.iter().enumerate() {
        let mut exploration = plan.explore(number, format!("\"{name}\" in mode os"), script);
        exploration.durability = Durability::Os;
        let changes = exploration.run_to(None).vfs.changes();
        let step = usize::try_from(1 + exploration.rng.next_below(20)).expect("small");
        for change in (0..=changes).step_by(step) {
            exploration.moment(change, None);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        let trace = || {
            let script = random(&SeededRng::new(seed));
            let vfs = SimVfs::new();
            vfs.start_trace();
            let mut run = Run::on(vfs, Durability::Fsync, format!("seed {seed}"));
            run.execute(&script);
            let trace = run.vfs.take_trace();
            let durable: Vec<String> = run.vfs.describe_pending();
            (script, trace, durable)
        };
        let first = trace();
        assert!(first.1.len() > 50, "seed {seed}: something happened");
        assert!(first == trace(), "seed {seed}: two runs differ");
    }
}
