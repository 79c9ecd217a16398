//! Random work, an end at a random moment, and what must then still be there.
//!
//! In mode `fsync` after a power cut, and in mode `os` after a kill: nothing acknowledged is lost,
//! nothing that was visible vanishes, what is there is a prefix of what was appended, a retry of a
//! producer is recognised, and a start is never refused.

use std::collections::BTreeMap;

use clock::{Rng, SeededRng};
use records::Offset;
use storage::{AppendTicket, LogStore, TopicMeta};
use vfs::{NameRule, SimOptions, SimVfs};

use super::harness::{
    Life, append, batch, now, options, produced, read_all, read_from, topic, try_start,
};
use crate::{DiskOptions, Durability};

const LIVES: usize = 4;
const STEPS: u64 = 30;
const PARTITIONS: u32 = 2;

/// One append, as the test remembers it.
struct Sent {
    base: i64,
    value: Vec<u8>,
    /// Producer id and sequence.
    producer: Option<(i64, i32)>,
    ticket: Option<AppendTicket>,
    acknowledged: bool,
}

/// One partition, as it must be.
#[derive(Default)]
struct Model {
    sent: Vec<Sent>,
    /// Appends that failed with the machine: they may be there, behind what was sent.
    uncertain: Vec<Vec<u8>>,
    /// The high watermark that was seen.
    visible: i64,
    sequences: BTreeMap<i64, i32>,
}

/// What is known of a topic.
enum Existence {
    Yes,
    /// The machine stopped while it was made or removed.
    Perhaps,
}

struct TopicModel {
    meta: TopicMeta,
    existence: Existence,
    partitions: Vec<Model>,
}

struct World {
    seed: u64,
    vfs: SimVfs,
    rng: SeededRng,
    durability: Durability,
    topics: BTreeMap<String, TopicModel>,
    removed: Vec<TopicMeta>,
    next_value: u64,
    next_id: u8,
    cuts: u64,
}

impl World {
    fn new(seed: u64, durability: Durability) -> Self {
        let rng = SeededRng::new(seed);
        let names = if rng.next_below(2) == 0 {
            NameRule::EachDirectory
        } else {
            NameRule::JournalOrder
        };
        let vfs = SimVfs::with_options(SimOptions {
            names,
            ..SimOptions::default()
        });
        let (topics, removed) = (BTreeMap::new(), Vec::new());
        Self {
            seed,
            vfs,
            rng,
            durability,
            topics,
            removed,
            next_value: 0,
            next_id: 1,
            cuts: 0,
        }
    }

    fn options(&self) -> DiskOptions {
        options(self.durability)
    }

    fn chance(&self, of: u64) -> bool {
        self.rng.next_below(of) == 0
    }

    fn run(&mut self) {
        for _ in 0..LIVES {
            // Some lives end while they start.
            let stop_after = match self.rng.next_below(3) {
                0 => self.rng.next_below(60),
                _ => self.rng.next_below(400),
            };
            self.vfs.stop_after(stop_after);
            if let Ok(life) = try_start(&self.vfs, &self.options()) {
                self.live(life);
            } else {
                assert!(
                    self.vfs.is_stopped(),
                    "seed {}: a start was refused",
                    self.seed
                );
            }
            self.end();
            self.check_after();
        }
    }

    /// Works until the machine stops, or to the end.
    fn live(&mut self, life: Life) {
        self.settle_topics(&life);
        for _ in 0..STEPS {
            if self.vfs.is_stopped() {
                break;
            }
            match self.rng.next_below(20) {
                0 => self.create(&life),
                1 => self.remove(&life),
                2..=4 => life.maintain(),
                5..=8 => {
                    life.sync();
                    self.note_acknowledged(&life);
                }
                9 => self.read_something(&life),
                _ => self.append(&life),
            }
        }
        self.note_acknowledged(&life);
        if self.chance(4) {
            let closed = life.disk.close();
            assert!(
                closed.is_ok() || self.vfs.is_stopped(),
                "seed {}: a clean end failed: {closed:?}",
                self.seed
            );
        } else {
            drop(life);
        }
    }

    fn create(&mut self, life: &Life) {
        let name = format!("topic-{}", self.rng.next_below(3));
        if self.topics.contains_key(&name) {
            return;
        }
        let segment_bytes = 700 + u32::try_from(self.rng.next_below(2000)).expect("small");
        let meta = topic(&name, self.next_id, PARTITIONS, segment_bytes);
        self.next_id = self.next_id.wrapping_add(1).max(1);
        let created = now(life.disk.store.create(&meta, 0..PARTITIONS));
        let existence = match created {
            Ok(()) => Existence::Yes,
            Err(error) => {
                assert!(self.vfs.is_stopped(), "seed {}: create: {error}", self.seed);
                Existence::Perhaps
            }
        };
        let partitions = (0..PARTITIONS).map(|_| Model::default()).collect();
        self.topics.insert(
            name,
            TopicModel {
                meta,
                existence,
                partitions,
            },
        );
    }

    fn pick(&self) -> Option<String> {
        let names: Vec<&String> = self.topics.keys().collect();
        if names.is_empty() {
            return None;
        }
        let count = u64::try_from(names.len()).expect("few");
        let index = usize::try_from(self.rng.next_below(count)).expect("few");
        Some(names[index].clone())
    }

    fn remove(&mut self, life: &Life) {
        let Some(name) = self.pick() else { return };
        let model = self.topics.get_mut(&name).expect("picked from it");
        match now(life.disk.store.remove(&model.meta)) {
            Ok(()) => {
                let model = self.topics.remove(&name).expect("picked from it");
                self.removed.push(model.meta);
            }
            Err(error) => {
                assert!(self.vfs.is_stopped(), "seed {}: remove: {error}", self.seed);
                model.existence = Existence::Perhaps;
            }
        }
    }

    fn append(&mut self, life: &Life) {
        let Some(name) = self.pick() else { return };
        let partition = u32::try_from(self.rng.next_below(u64::from(PARTITIONS))).expect("small");
        let size = usize::try_from(self.rng.next_below(400)).expect("small");
        self.next_value += 1;
        let value = format!("{:06}{}", self.next_value, "x".repeat(size)).into_bytes();
        let producer_id = i64::try_from(self.rng.next_below(4)).expect("small");
        let model = self.topics.get_mut(&name).expect("picked from it");
        let log = life.open(&model.meta, partition);
        let model = &mut model.partitions[partition as usize];
        let (batch, producer) = if producer_id == 0 {
            (batch(&[&value]), None)
        } else {
            let sequence = model.sequences.get(&producer_id).copied().unwrap_or(0);
            (
                produced(producer_id, 0, sequence, &[&value]),
                Some((producer_id, sequence)),
            )
        };
        let ticket = append(&*log, batch);
        match ticket.placed() {
            Ok(base) => {
                let expected = model.sent.last().map_or(0, |last| last.base + 1);
                assert_eq!(
                    base.get(),
                    expected,
                    "seed {}: offsets are dense",
                    self.seed
                );
                if let Some((id, sequence)) = producer {
                    model.sequences.insert(id, sequence + 1);
                }
                let ticket = Some(ticket);
                let base = base.get();
                model.sent.push(Sent {
                    base,
                    value,
                    producer,
                    ticket,
                    acknowledged: false,
                });
            }
            Err(error) => {
                assert!(self.vfs.is_stopped(), "seed {}: append: {error}", self.seed);
                model.uncertain.push(value);
            }
        }
    }

    /// Whoever was told that a record is durable, or could read it, must find it again.
    fn note_acknowledged(&mut self, life: &Life) {
        for model in self.topics.values_mut() {
            for (partition, state) in (0..).zip(&mut model.partitions) {
                for sent in &mut state.sent {
                    sent.acknowledged |= sent.ticket.as_ref().is_some_and(AppendTicket::is_durable);
                }
                if let Ok(log) = life.disk.store.open(&model.meta, partition) {
                    let ends = log.ends();
                    assert!(
                        state.visible <= ends.high_watermark.get(),
                        "seed {}",
                        self.seed
                    );
                    state.visible = ends.high_watermark.get();
                }
            }
        }
    }

    fn read_something(&mut self, life: &Life) {
        self.note_acknowledged(life);
        let Some(name) = self.pick() else { return };
        let model = &self.topics[&name];
        let log = life.open(&model.meta, 0);
        let state = &model.partitions[0];
        if state.visible == 0 {
            return;
        }
        let visible = u64::try_from(state.visible).expect("not negative");
        let from = i64::try_from(self.rng.next_below(visible)).expect("small");
        let bytes_max = usize::try_from(self.rng.next_below(1500)).expect("small");
        match read_from(&*log, Offset::new(from), bytes_max) {
            Ok(seen) => {
                let sent = state
                    .sent
                    .iter()
                    .filter(|sent| (from..state.visible).contains(&sent.base));
                let expected: Vec<_> = sent.map(|sent| (sent.base, sent.value.clone())).collect();
                assert_eq!(seen, expected, "seed {}: a read from {from}", self.seed);
            }
            Err(error) => assert!(self.vfs.is_stopped(), "seed {}: read: {error}", self.seed),
        }
    }

    /// The machine stops here.
    fn end(&mut self) {
        if self.durability == Durability::Fsync && !self.chance(4) {
            self.vfs.power_cut(self.rng.next_u64());
            self.cuts += 1;
        } else {
            self.vfs.process_kill();
        }
    }

    /// A topic that was being made is made, one that was being removed is there as before or gone.
    fn settle_topics(&mut self, life: &Life) {
        let names: Vec<String> = self.topics.keys().cloned().collect();
        for name in names {
            let model = self.topics.get_mut(&name).expect("listed before");
            if matches!(model.existence, Existence::Perhaps) {
                let listed = now(life.disk.store.topics()).expect("topics are listed");
                if listed.iter().any(|topic| topic.id == model.meta.id) {
                    model.existence = Existence::Yes;
                    if now(life.disk.store.create(&model.meta, 0..PARTITIONS)).is_err() {
                        assert!(self.vfs.is_stopped(), "seed {}: create again", self.seed);
                        model.existence = Existence::Perhaps;
                    }
                } else {
                    let model = self.topics.remove(&name).expect("listed before");
                    self.removed.push(model.meta);
                }
            }
        }
    }

    /// Starts once more, in peace, and looks at everything.
    fn check_after(&mut self) {
        let seed = self.seed;
        let life = match try_start(&self.vfs, &self.options()) {
            Ok(life) => life,
            Err(error) => panic!("seed {seed}: a start was refused: {error}: {}", error.why()),
        };
        self.settle_topics(&life);
        let listed = now(life.disk.store.topics()).expect("topics are listed");
        for gone in &self.removed {
            let back = listed.iter().any(|topic| topic.id == gone.id);
            assert!(!back, "seed {seed}: removed topic {} is back", gone.name);
        }
        for (name, model) in &mut self.topics {
            for (partition, state) in (0..).zip(&mut model.partitions) {
                let log = match life.disk.store.open(&model.meta, partition) {
                    Ok(log) => log,
                    Err(error) => panic!("seed {seed}: {error}"),
                };
                let what = format!("seed {seed}: {name}-{partition}");
                let found = read_all(&*log);
                state.check(&found, &what);
                let ends = log.ends();
                let end = found.last().map_or(0, |(offset, _)| offset + 1);
                assert_eq!(
                    ends.log_end.get(),
                    end,
                    "{what}: the log ends behind its records"
                );
                assert_eq!(
                    ends.high_watermark, ends.log_end,
                    "{what}: what is found is visible"
                );
                state.forget_lost(&found);
                state.check_retry(&*log, &what);
            }
        }
        assert_eq!(
            life.fatals.load(std::sync::atomic::Ordering::SeqCst),
            0,
            "seed {seed}"
        );
        if self.chance(2) {
            life.disk.close().expect("a clean end");
        } else {
            drop(life);
            self.vfs.process_kill();
        }
    }
}

impl Model {
    fn check(&self, found: &[(i64, Vec<u8>)], what: &str) {
        let sent = self.sent.iter().map(|sent| &sent.value);
        let possible: Vec<&Vec<u8>> = sent.chain(&self.uncertain).collect();
        assert!(
            found.len() <= possible.len(),
            "{what}: records that nobody sent"
        );
        for ((offset, value), (expected_offset, expected)) in found.iter().zip((0..).zip(possible))
        {
            assert_eq!(*offset, expected_offset, "{what}: no offset is missing");
            assert_eq!(value, expected, "{what}: the record at {offset}");
        }
        let kept = i64::try_from(found.len()).expect("few");
        for sent in self.sent.iter().filter(|sent| sent.acknowledged) {
            assert!(
                sent.base < kept,
                "{what}: offset {} was acknowledged, {kept} kept",
                sent.base
            );
        }
        assert!(
            self.visible <= kept,
            "{what}: {} was visible, {kept} kept",
            self.visible
        );
    }

    /// What is lost was promised to nobody: its offsets may be given again.
    fn forget_lost(&mut self, found: &[(i64, Vec<u8>)]) {
        for sent in self.sent.split_off(self.sent.len().min(found.len())) {
            if let Some((id, sequence)) = sent.producer {
                let next = self.sequences.entry(id).or_insert(sequence);
                *next = sequence.min(*next);
            }
        }
        for (base, value) in found.iter().skip(self.sent.len()) {
            let (base, value) = (*base, value.clone());
            // Which producer an uncertain record is from is not kept: no more of that one.
            self.sequences.clear();
            self.sent.push(Sent {
                base,
                value,
                producer: None,
                ticket: None,
                acknowledged: true,
            });
        }
        for sent in &mut self.sent {
            sent.acknowledged = true;
            sent.ticket = None;
        }
        self.uncertain.clear();
        self.visible = i64::try_from(found.len()).expect("few");
    }

    /// The last batch of each producer, sent again, is answered with its first offset.
    fn check_retry(&self, log: &dyn storage::Log, what: &str) {
        let before = log.ends();
        for (&id, &next) in &self.sequences {
            let last = self
                .sent
                .iter()
                .rfind(|sent| sent.producer.is_some_and(|(i, _)| i == id));
            let Some(last) = last else { continue };
            let (_, sequence) = last.producer.expect("filtered");
            assert_eq!(
                sequence + 1,
                next,
                "{what}: the model follows producer {id}"
            );
            let ticket = append(log, produced(id, 0, sequence, &[&last.value]));
            let base = ticket.placed().map(Offset::get);
            assert_eq!(
                base,
                Ok(last.base),
                "{what}: a retry of producer {id}, {sequence}"
            );
            assert!(ticket.is_durable(), "{what}: the original is durable");
        }
        assert_eq!(log.ends(), before, "{what}: a retry writes nothing");
    }
}

/// A number from the environment: `cargo xtask long` sets larger ones.
fn setting(name: &str, without: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(without, |value| value.parse().expect("a number"))
}

#[test]
fn what_was_promised_survives_power_cuts() {
    let (wanted, first) = (setting("OTTLA_CUTS", 1500), setting("OTTLA_SEED", 0));
    let (mut cuts, mut seed) = (0, first);
    while cuts < wanted {
        let mut world = World::new(seed, Durability::Fsync);
        world.run();
        (cuts, seed) = (cuts + world.cuts, seed.wrapping_add(1));
    }
    println!("cuts: {cuts}, seed {first}");
}

#[test]
fn what_was_promised_survives_a_kill() {
    let first = setting("OTTLA_SEED", 0);
    for seed in first..first + 150 {
        World::new(seed, Durability::Os).run();
    }
}
