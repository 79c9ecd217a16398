//! Compaction against a model, by random scripts and by crashes at every change it makes to the disk.
//!
//! `OTTLA_RUNS` says how many scripts there are, `OTTLA_SEED` which; both are printed.

mod model;
mod settings;
mod swaps;

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock as _, Rng, SeededRng};
use records::{Codec, Offset};
use storage::{Log, LogStore as _, TopicMeta};
use vfs::{CutPolicy, NameRule, SimOptions, SimVfs};

use super::harness::{DATA_DIR, Life, append, now, place, start, topic};
use super::power_cuts::setting;
use crate::log::{Cleanable, DiskLog};
use crate::{Durability, offline};
use model::{Model, Pass, Sent, build};

const KEYS: u64 = 6;
const PRODUCERS: u64 = 3;
const STEPS: u64 = 60;
/// Moments of one compaction at which the machine stops, and what may become of it at each.
const MOMENTS: u64 = 3;
const OUTCOMES: u64 = 3;

/// A topic that is compacted whenever something of it is new.
fn compacted(segment_bytes: u32) -> TopicMeta {
    let mut meta = topic("events", 7, 1, segment_bytes);
    meta.log_config.compacts = true;
    meta.log_config.deletes = false;
    meta.log_config.compaction.dirty_ratio_min_ppm = 0;
    meta.log_config.compaction.delete_retention = Duration::from_hours(2);
    meta
}

/// The only log.
fn disk_log(life: &Life) -> Arc<DiskLog> {
    let logs = life.disk.shared.logs();
    let [log] = logs.as_slice() else {
        panic!("{} logs", logs.len())
    };
    Arc::clone(log)
}

fn cleanable(life: &Life) -> Option<Cleanable> {
    let context = &life.disk.shared.context;
    let now_ms = context.cleaner.now_ms(context);
    disk_log(life).cleanable(now_ms).expect("it can be asked")
}

/// What a compaction would go by now, if one is due.
fn due(life: &Life, meta: &TopicMeta) -> Option<Pass> {
    let found = cleanable(life).filter(|found| found.is_due)?;
    let retention = meta.log_config.compaction.delete_retention;
    Some(Pass {
        first_dirty: found.first_dirty.get(),
        end: found.end.get(),
        now_ms: life
            .disk
            .shared
            .context
            .cleaner
            .now_ms(&life.disk.shared.context),
        delete_retention_ms: i64::try_from(retention.as_millis()).expect("hours"),
    })
}

/// All that was written is durable in its own files, and the journal says so.
fn settle(life: &Life) {
    life.sync();
    life.turn();
    life.maintain();
}

/// Nothing is lost or damaged, as somebody sees who does not own the directory.
fn check_files(vfs: &SimVfs, what: &str) {
    let report = offline::verify(vfs, DATA_DIR.as_ref()).expect("it can be read");
    let lost: Vec<_> = report.problems.iter().filter(|it| it.is_loss).collect();
    assert!(lost.is_empty(), "{what}: {lost:?}");
}

/// A script on its way. The same seed gives the same steps.
struct Script {
    vfs: SimVfs,
    rng: SeededRng,
    life: Option<Life>,
    meta: TopicMeta,
    model: Model,
    what: String,
    compactions: u64,
}

impl Script {
    fn new(seed: u64) -> Self {
        let rng = SeededRng::new(seed);
        let rules = [NameRule::EachDirectory, NameRule::JournalOrder];
        let names = rules[usize::try_from(rng.next_below(2)).expect("small")];
        let vfs = SimVfs::with_options(SimOptions {
            names,
            ..SimOptions::default()
        });
        let segment_bytes = 700 + u32::try_from(rng.next_below(1500)).expect("small");
        let meta = compacted(segment_bytes);
        let life = start(&vfs, Durability::Fsync);
        life.create(&meta);
        Self {
            vfs,
            rng,
            life: Some(life),
            meta,
            model: Model::default(),
            what: format!("seed {seed}"),
            compactions: 0,
        }
    }

    fn life(&self) -> &Life {
        self.life.as_ref().expect("between two steps it lives")
    }

    fn log(&self) -> Arc<dyn Log> {
        self.life().open(&self.meta, 0)
    }

    fn one_in(&self, times: u64) -> bool {
        self.rng.next_below(times) == 0
    }

    /// Runs to the end, or to just before the compaction of this number.
    fn run(&mut self, until: Option<u64>) {
        for _ in 0..STEPS {
            if self.one_in(6) {
                self.settle();
                if until == Some(self.compactions) {
                    return;
                }
                self.compact();
            } else {
                self.step();
            }
        }
        self.settle();
        if until != Some(self.compactions) {
            self.compact();
        }
    }

    fn step(&mut self) {
        match self.rng.next_below(12) {
            0 => self.life().sync(),
            1 => self.settle(),
            2 => self
                .life()
                .clock
                .advance(Duration::from_mins(self.rng.next_below(180))),
            3 => self.trim(),
            4 => self.reconfigure(),
            5 if self.one_in(2) => self.restart(),
            _ => self.append(),
        }
    }

    /// See [`settle`].
    fn settle(&self) {
        settle(self.life());
    }

    fn append(&mut self) {
        let count = 1 + self.rng.next_below(4);
        let wall_ms = i64::try_from(self.rng.next_below(5000)).expect("small");
        let timestamp_ms = self.life().clock.wall_ms() - wall_ms;
        let sent: Vec<Sent> = (0..count).map(|_| self.record(timestamp_ms)).collect();
        let codec = Codec::ALL[usize::try_from(self.rng.next_below(5)).expect("small")];
        let producer = self.one_in(2).then(|| self.rng.next_below(PRODUCERS));
        let producer = producer.map(|id| i64::try_from(id).expect("small"));
        let sequence = producer.map(|id| (id, self.model.next_sequence(id)));
        let log = self.log();
        let base = place(&*log, build(codec, sequence, &sent));
        assert_eq!(base.get(), self.model.end(), "{}", self.what);
        self.model.append(producer, &sent);
        if sequence.is_some() && self.one_in(3) {
            let again = append(&*log, build(codec, sequence, &sent)).placed();
            assert_eq!(again, Ok(base), "{}: a retry", self.what);
        }
    }

    fn record(&self, timestamp_ms: i64) -> Sent {
        let key = self.rng.next_below(KEYS);
        let bytes = usize::try_from(self.rng.next_below(90)).expect("small");
        let value = vec![u8::try_from(key).expect("small"); bytes];
        Sent {
            key: (!self.one_in(12)).then(|| format!("key-{key}").into_bytes()),
            value: (!self.one_in(5)).then_some(value),
            timestamp_ms: timestamp_ms + i64::try_from(self.rng.next_below(50)).expect("small"),
        }
    }

    fn trim(&mut self) {
        if !self.one_in(3) {
            return;
        }
        self.settle();
        let log = self.log();
        let ends = log.ends();
        let room = ends.high_watermark.since(ends.log_start);
        let room = u64::try_from(room).expect("it is ordered");
        let further = i64::try_from(self.rng.next_below(room / 2 + 1)).expect("small");
        let wanted = ends.log_start.plus(further);
        let trimmed = now(log.trim(wanted));
        assert_eq!(trimmed, Ok(wanted), "{}", self.what);
        self.model.start = wanted.get();
    }

    fn reconfigure(&mut self) {
        let config = &mut self.meta.log_config;
        config.compacts = self.rng.next_below(4) > 0;
        config.deletes = self.rng.next_below(2) == 0;
        config.segment_bytes = 700 + u32::try_from(self.rng.next_below(1500)).expect("small");
        let compaction = &mut config.compaction;
        compaction.delete_retention = Duration::from_mins(self.rng.next_below(200));
        let ratios = [0, 10_000, 500_000];
        let ratio = usize::try_from(self.rng.next_below(3)).expect("small");
        compaction.dirty_ratio_min_ppm = ratios[ratio];
        let lags = [Duration::ZERO, Duration::from_mins(30)];
        compaction.lag_min = lags[usize::try_from(self.rng.next_below(2)).expect("small")];
        self.log();
    }

    fn restart(&mut self) {
        self.settle();
        let life = self.life.take().expect("between two steps it lives");
        if self.one_in(2) {
            life.disk.close().expect("a clean end");
        } else {
            drop(life);
            self.vfs.power_cut(self.rng.next_u64());
        }
        self.life = Some(start(&self.vfs, Durability::Fsync));
        self.check();
    }

    fn compact(&mut self) {
        self.compactions += 1;
        let due = due(self.life(), &self.meta);
        let compacted = self.life().compact();
        assert_eq!(compacted, due.is_some(), "{}: {due:?}", self.what);
        let failures = self.life().disk.store.findings().compaction.failures;
        assert_eq!(failures, 0, "{}: {due:?}", self.what);
        if let Some(pass) = due {
            self.model.compact(pass);
            if self.one_in(2) {
                self.life().maintain();
            }
            self.check();
        }
    }

    fn check(&self) {
        self.model.check(&*self.log(), &self.what);
        let alarms = &self.life().disk.recovery().alarms;
        assert!(alarms.is_empty(), "{}: {alarms:?}", self.what);
        check_files(&self.vfs, &self.what);
    }
}

/// How a machine ends.
fn outcome(rng: &SeededRng, pending: usize) -> Option<CutPolicy> {
    let at = || {
        let pending = u64::try_from(pending).expect("few");
        usize::try_from(rng.next_below(pending.max(1))).expect("few")
    };
    match rng.next_below(6) {
        0 => None,
        1 => Some(CutPolicy::DropAll),
        2 => Some(CutPolicy::KeepAll),
        3 if pending > 0 => Some(CutPolicy::DropOne(at())),
        4 if pending > 0 => Some(CutPolicy::KeepOne(at())),
        _ => Some(CutPolicy::Seed(rng.next_u64())),
    }
}

/// The machine ended in the middle of a compaction: each segment is the old one or the new one, and
/// life goes on.
fn aftermath(vfs: SimVfs, meta: &TopicMeta, (before, after): (&Model, &Model), what: &str) {
    let life = start(&vfs, Durability::Fsync);
    let alarms = &life.disk.recovery().alarms;
    assert!(alarms.is_empty(), "{what}: {alarms:?}");
    let mut meta = meta.clone();
    meta.log_config.segment_bytes = 900;
    let (log, meta) = (life.open(&meta, 0), &meta);
    let seen = model::read(&*log, 3000, what);
    let mixed = before.between(after, &seen);
    let mut model = mixed.unwrap_or_else(|| panic!("{what}: neither the old nor the new"));
    model.check(&*log, what);
    check_files(&vfs, what);
    let sent = Sent {
        key: Some(b"key-1".to_vec()),
        value: Some(vec![8; 300]),
        timestamp_ms: life.clock.wall_ms(),
    };
    for _ in 0..8 {
        place(&*log, build(Codec::None, None, std::slice::from_ref(&sent)));
        model.append(None, std::slice::from_ref(&sent));
        life.sync();
    }
    settle(&life);
    while let Some(pass) = due(&life, meta) {
        assert!(life.compact(), "{what}: it is due");
        model.compact(pass);
        model.check(&*log, what);
    }
    let left = offline::verify(&vfs, DATA_DIR.as_ref()).expect("it can be read");
    assert!(
        left.problems.iter().all(|it| !it.is_loss),
        "{what}: {left:?}"
    );
}

/// How often a compaction of this script changes the disk, from the state before it.
fn changes_of(script: &Script) -> u64 {
    let before = script.vfs.changes();
    script.life().compact();
    script.vfs.changes() - before
}

fn one_run(seed: u64) -> u64 {
    let mut whole = Script::new(seed);
    whole.run(None);
    let rng = SeededRng::new(seed ^ 0x5eed);
    let number = rng.next_below(whole.compactions.max(1));
    let prepared = || {
        let mut script = Script::new(seed);
        script.run(Some(number));
        script
    };
    let script = prepared();
    let Some(pass) = due(script.life(), &script.meta) else {
        return 0;
    };
    let changes = changes_of(&script);
    let mut crashes = 0;
    for _ in 0..MOMENTS {
        let change = rng.next_below(changes + 1);
        let mut script = prepared();
        let before = script.model.clone();
        script.model.compact(pass);
        script.vfs.stop_after(change);
        script.life().compact();
        drop(script.life.take());
        for _ in 0..OUTCOMES {
            let fork = script.vfs.fork();
            let outcome = outcome(&rng, fork.pending_items());
            let what = format!("seed {seed}, before change {change} of {changes}, {outcome:?}");
            match outcome {
                None => fork.process_kill(),
                Some(policy) => fork.power_cut_with(&policy),
            }
            aftermath(fork, &script.meta, (&before, &script.model), &what);
            crashes += 1;
        }
    }
    crashes
}

#[test]
fn a_reader_sees_what_the_model_says_whatever_happens() {
    let (runs, seed) = (setting("OTTLA_RUNS", 12), setting("OTTLA_SEED", 0));
    println!("runs: {runs}, seed {seed}");
    let next = std::sync::atomic::AtomicU64::new(0);
    let crashes = std::sync::atomic::AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let work = || loop {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if number >= runs {
                return;
            }
            let done = one_run(seed.wrapping_add(number));
            crashes.fetch_add(done, std::sync::atomic::Ordering::Relaxed);
        };
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in running {
            if let Err(panicked) = worker.join() {
                std::panic::resume_unwind(panicked);
            }
        }
    });
    let crashes = crashes.into_inner();
    println!("runs: {runs}, crashes in a compaction: {crashes}");
    assert!(crashes > 0, "{crashes} crashes in {runs} runs");
}

/// Three segments of batches whose records are nearly all superseded.
fn three_segments(vfs: &SimVfs) -> (Life, TopicMeta, Model) {
    let meta = compacted(900);
    let life = start(vfs, Durability::Fsync);
    let log = life.create(&meta);
    let mut model = Model::default();
    for number in 0_i64..14 {
        let sent = [Sent {
            key: Some(format!("key-{}", number % 3).into_bytes()),
            value: (number != 5).then(|| vec![7; 150]),
            timestamp_ms: life.clock.wall_ms() + number,
        }];
        let producer = (number % 4 == 1).then_some(3);
        let sequence = producer.map(|id| (id, model.next_sequence(id)));
        place(&*log, build(Codec::None, sequence, &sent));
        model.append(producer, &sent);
        life.sync();
    }
    settle(&life);
    // So that they become one.
    let mut meta = meta;
    meta.log_config.segment_bytes = 100_000;
    life.open(&meta, 0);
    (life, meta, model)
}

/// Every change that a compaction makes, with every outcome of what was pending then.
#[test]
fn a_crash_at_any_change_leaves_the_old_segments_or_the_new_one() {
    let mut crashes = 0;
    // All of them in a long run.
    let every = if setting("OTTLA_RUNS", 12) < 500 {
        9
    } else {
        1
    };
    for names in [NameRule::EachDirectory, NameRule::JournalOrder] {
        let disk = || {
            SimVfs::with_options(SimOptions {
                names,
                ..SimOptions::default()
            })
        };
        let vfs = disk();
        let (life, meta, before) = three_segments(&vfs);
        let pass = due(&life, &meta).expect("nearly all of it is new");
        let mut after = before.clone();
        after.compact(pass);
        assert!(after.view().len() < before.view().len());
        let changes = {
            let before = vfs.changes();
            assert!(life.compact());
            vfs.changes() - before
        };
        drop(life);
        assert!(changes > 15, "{changes} changes");
        for change in 0..=changes {
            let vfs = disk();
            let (life, meta, _) = three_segments(&vfs);
            vfs.stop_after(change);
            life.compact();
            drop(life);
            let pending = vfs.pending_items();
            let one_by_one =
                (0..pending).flat_map(|at| [CutPolicy::DropOne(at), CutPolicy::KeepOne(at)]);
            let seeds = (0..4).map(|seed| CutPolicy::Seed(seed + change * 4));
            let cuts = [CutPolicy::DropAll, CutPolicy::KeepAll].into_iter();
            let cuts = cuts.chain(one_by_one).chain(seeds).map(Some);
            for (number, outcome) in (change..).zip(cuts.chain([None])) {
                // What one lost change does shows in every run.
                let is_one_lost = matches!(outcome, Some(CutPolicy::DropOne(_)));
                if number % every != 0 && !is_one_lost {
                    continue;
                }
                let fork = vfs.fork();
                let what = format!("{names:?}, before change {change} of {changes}, {outcome:?}");
                match &outcome {
                    None => fork.process_kill(),
                    Some(policy) => fork.power_cut_with(policy),
                }
                aftermath(fork, &meta, (&before, &after), &what);
                crashes += 1;
            }
        }
    }
    println!("{crashes} crashes");
    assert!(crashes > 60, "{crashes} crashes");
}

/// The offset behind the last record.
fn end_of(log: &dyn Log) -> Offset {
    log.ends().log_end
}
