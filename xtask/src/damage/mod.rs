//! `cargo xtask damage`: one file of a data directory is spoilt, the broker is started on it, and a
//! client reads everything back; again and again.
//!
//! Required of ottla: what is served is what was written, batches whose bytes were not touched are
//! served, what is refused is refused aloud, topics, configs and positions stay, no offset is given
//! again, and the start is never refused. With `--kafka` Apache Kafka goes through the same rounds;
//! what it does is printed and judged by nobody. The seed repeats directory and damage.

mod aftermath;
mod hurt;
mod kcat;
mod model;
mod reading;
mod subject;
mod tally;
mod world;

pub(crate) use model::opened;
pub(crate) use reading::{connect, undamaged};

use std::time::Duration;

use crate::Outcome as Ended;
use crate::chance::{Chance, fresh_seed};
use crate::conformance::broker::{self, Broker};
use crate::conformance::{Places, install, process};

use hurt::Kind;
use subject::Subject;
use tally::{Outcome, Tally};
use world::{State, World};

const USAGE: &str = "usage: cargo xtask damage [--flips N] [--truncations N] [--removals N] [--stales N] [--zeros N]
                          [--misdirections N] [--kafka N] [--round N] [--seed N] [--keep-going]

  --flips N …      rounds with each kind of damage (60, and 10 of each other kind)
  --kafka N        at most so many rounds of each kind on Apache Kafka too (0)
  --round N        only this one, as it was printed
  --seed N         the directory and the damage of another run
  --keep-going     only count what is wrong, and end well

OTTLA_BIN names a binary to test; without it `cargo build --release` makes one.
";

/// In one of so many rounds kcat reads too, if all is as it was.
const KCAT_EVERY: usize = 10;

struct Options {
    rounds: [(Kind, usize); 6],
    kafka: usize,
    only: Option<usize>,
    seed: u64,
    keep_going: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            rounds: Kind::ALL.map(|kind| (kind, if kind == Kind::Flip { 60 } else { 10 })),
            kafka: 0,
            only: None,
            seed: fresh_seed(),
            keep_going: false,
        };
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            if flag == "--keep-going" {
                options.keep_going = true;
                continue;
            }
            let value = rest.next().ok_or(USAGE)?;
            let number: usize = value
                .parse()
                .map_err(|error| format!("{flag} {value}: {error}\n\n{USAGE}"))?;
            let kind = match flag.as_str() {
                "--flips" => 0,
                "--truncations" => 1,
                "--removals" => 2,
                "--stales" => 3,
                "--zeros" => 4,
                "--misdirections" => 5,
                "--kafka" => {
                    options.kafka = number;
                    continue;
                }
                "--round" => {
                    options.only = Some(number);
                    continue;
                }
                "--seed" => {
                    options.seed = number as u64;
                    continue;
                }
                _ => return Err(USAGE.to_owned()),
            };
            options.rounds[kind].1 = number;
        }
        Ok(options)
    }

    /// Kind and number of every round, numbered through.
    fn plan(&self, most: usize) -> Vec<(usize, Kind)> {
        let kinds = self.rounds.iter();
        let all = kinds.flat_map(|(kind, count)| std::iter::repeat_n(*kind, (*count).min(most)));
        let numbered = (1..).zip(all);
        let chosen = |number: usize| self.only.is_none_or(|only| only == number);
        numbered.filter(|(number, _)| chosen(*number)).collect()
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Ended {
    let options = Options::parse(arguments)?;
    println!("seed {}", options.seed);
    let places = Places::find()?;
    install::grpcurl(&places)?;
    install::kcat(&places)?;
    broker::build_ottla(&places)?;
    let (table, wrong) = rounds(Subject::Ottla, &places, &options, usize::MAX)?;
    println!("\n{}\n{table}", broker::ottla_binary(&places).display());
    if options.kafka > 0 {
        install::kafka(&places)?;
        let (table, _) = rounds(Subject::Kafka, &places, &options, options.kafka)?;
        println!("{table}");
    }
    match wrong {
        0 => Ok(()),
        _ if options.keep_going => Ok(()),
        _ => Err(format!(
            "{wrong} rounds were not as they must be; seed {}",
            options.seed
        )),
    }
}

/// All rounds on one broker: their table, and how many were not as they must be.
fn rounds(
    subject: Subject,
    places: &Places,
    options: &Options,
    most: usize,
) -> Result<(String, usize), String> {
    let world = world::make(subject, places, options.seed)?;
    for state in &world.states {
        println!(
            "{}, {}: {} records in {} batches",
            subject.name(),
            state.name,
            state.model.records(),
            state.model.batches()
        );
        let (_, control) = round(subject, places, (&world, state), None)?;
        let complaints = control.complaints();
        if !complaints.is_empty() || control.served != control.records {
            return Err(format!("without damage: {}", complaints.join("; ")));
        }
    }
    let mut tally = Tally::default();
    let mut wrong = 0;
    let began = process::now();
    let plan = options.plan(most);
    for (number, kind) in &plan {
        // Two in three on the clean directory: after a kill recovery reads all, and hides less.
        let state = &world.states[usize::from(number % 3 == 0)];
        let seed = Chance::new(options.seed ^ (*number as u64) << 32).next();
        let damage = (*kind, Chance::new(seed));
        let (title, outcome) = round(subject, places, (&world, state), Some((*number, damage)))?;
        let complaints = outcome.complaints();
        if !complaints.is_empty() || options.only.is_some() {
            println!("{title}\n    {}", complaints.join("\n    "));
        }
        tally.add(*kind, &outcome);
        wrong += usize::from(!complaints.is_empty());
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{} rounds in {seconds:.1} s", plan.len());
    Ok((tally.table(subject.name()), wrong))
}

/// One round in the arena. Without damage it is the control.
fn round(
    subject: Subject,
    places: &Places,
    (world, state): (&World, &State),
    damage: Option<(usize, (Kind, Chance))>,
) -> Result<(String, Outcome), String> {
    clear(world)?;
    hurt::copy(&state.folder, &world.arena)?;
    let data = world.arena.join("data");
    let mut touched = Vec::new();
    let mut title = "without damage".to_owned();
    let asks_kcat = damage
        .as_ref()
        .is_none_or(|(number, _)| number % KCAT_EVERY == 0);
    if let Some((number, (kind, mut chance))) = damage {
        let hurt = hurt::hurt(kind, &data, &world.stale, &state.model, &mut chance)?;
        touched = state.model.touched(&data, &hurt.path);
        let path = hurt.path.display();
        title = format!("round {number}, {}: {path}: {}", state.name, hurt.what);
        if let Some((at, (name, base))) = state.model.inside(&hurt.path, hurt.at) {
            title = format!("{title} (byte {at} of the batch of {name:?} at {base})");
        }
    }
    let outcome = match subject.start(places, &world.arena) {
        Ok(broker) => read_back(subject, broker, state, &touched, asks_kcat),
        Err(error) => Outcome {
            refused_start: Some(format!("{error}: {}", last_words(world))),
            records: state.model.records(),
            ..Outcome::default()
        },
    };
    Ok((title, outcome))
}

fn read_back(
    subject: Subject,
    mut broker: Broker,
    state: &State,
    touched: &[(model::Name, i64)],
    asks_kcat: bool,
) -> Outcome {
    let model = &state.model;
    let fates = reading::all(&broker.address, model, subject.patience());
    let mut outcome = Outcome::of(model, &fates, touched);
    if outcome.served == outcome.records
        && asks_kcat
        && let Err(error) = kcat::agrees(&broker.address, model)
    {
        outcome.different.push(error);
    }
    let asked = aftermath::forgotten(
        &broker.address,
        (model, &fates),
        &outcome.cut,
        subject.patience(),
    );
    outcome.forgotten = asked.unwrap_or_else(|error| vec![error]);
    let ended = broker.process().and_then(|child| child.try_wait().ok()?);
    outcome.died = ended.map(|status| status.to_string());
    if subject == Subject::Ottla && outcome.died.is_none() {
        let panics = crate::page::metric(&broker.address, "ottla_panics_total");
        outcome.died = match panics {
            Ok(0) => None,
            Ok(panics) => Some(format!("{panics} panics")),
            Err(error) => Some(error),
        };
    }
    broker.stop();
    outcome
}

/// The end of what the broker wrote to its log.
fn last_words(world: &World) -> String {
    let log = hurt::read(&subject::log(&world.arena)).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}

fn clear(world: &World) -> Result<(), String> {
    let arena = &world.arena;
    for _ in 0..50 {
        match std::fs::remove_dir_all(arena) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                process::pause(Duration::from_millis(20));
            }
            _ => return Ok(()),
        }
    }
    Err(format!("{} cannot be removed", arena.display()))
}
