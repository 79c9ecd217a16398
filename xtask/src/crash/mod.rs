//! `cargo xtask crash`: kill -9 at random moments, again and again, under idempotent producers of
//! two client libraries that ride through.
//!
//! Each producer writes down what was acknowledged. Now and then, and at the end, another client
//! reads everything, and [`verdict`] compares. The seed is printed; it repeats the moments, not the
//! interleaving. Any acknowledged record that is lost, moved, out of order or doubled makes the
//! command fail.

#![expect(
    clippy::disallowed_methods,
    reason = "it reads files that other processes wrote"
)]

mod probe;
mod producers;
mod verdict;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use hdrhistogram::Histogram;
use tempfile::TempDir;

use crate::Outcome;
use crate::chance::{Chance, fresh_seed};
use crate::conformance::broker::{self, Broker, Launch};
use crate::conformance::process::{now, pause};
use crate::conformance::{Places, install, process};
use crate::wire::Wire;

use probe::Probe;
use producers::Producer;
use verdict::Verdict;

const USAGE: &str = "usage: cargo xtask crash [--rounds N] [--check-every N] [--rate N] [--durability MODE] [--seed N]

  --rounds N         kills (100)
  --check-every N    rounds between two readings of everything (a tenth of all, at least 25)
  --rate N           records a second of each producer (4000)
  --durability MODE  as `ottla --durability`; kill -9 must lose nothing in any (fsync)
  --seed N           the moments of another run

OTTLA_BIN names a binary to test; without it `cargo build --release` makes one.
";

const TOPIC: &str = "crash";
const PARTITIONS: i32 = 6;
/// Small, so that kills hit rolls.
const SEGMENT_BYTES: u32 = 1 << 20;
const RESTART_LIMIT: Duration = Duration::from_secs(30);

struct Options {
    rounds: usize,
    check_every: Option<usize>,
    rate: u32,
    durability: String,
    seed: u64,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            rounds: 100,
            check_every: None,
            rate: 4_000,
            durability: "fsync".to_owned(),
            seed: fresh_seed(),
        };
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            if !flag.starts_with("--") || flag == "--help" {
                return Err(USAGE.to_owned());
            }
            let value = rest.next().ok_or_else(|| format!("{flag} wants a value"))?;
            let number = || -> Result<usize, String> {
                value
                    .parse()
                    .map_err(|error| format!("{flag} {value}: {error}"))
            };
            match flag.as_str() {
                "--rounds" => options.rounds = number()?,
                "--check-every" => options.check_every = Some(number()?.max(1)),
                "--rate" => {
                    options.rate = u32::try_from(number()?.max(1)).map_err(|e| e.to_string())?;
                }
                "--durability" => options.durability.clone_from(value),
                "--seed" => options.seed = number()? as u64,
                other => return Err(format!("unknown option '{other}'\n\n{USAGE}")),
            }
        }
        Ok(options)
    }
}

/// All that a run holds.
struct Run {
    places: Places,
    options: Options,
    broker: Broker,
    folder: TempDir,
    producers: Vec<Producer>,
    probe: Probe,
    /// From exec to the first acknowledged record, in µs.
    restarts: Histogram<u64>,
    /// Kills with records acknowledged since the last one.
    killed_under_load: usize,
    /// Kills before the broker had acknowledged anything.
    killed_at_start: usize,
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let options = Options::parse(arguments)?;
    println!("seed {}", options.seed);
    let places = Places::find()?;
    producers::install(&places)?;
    install::kcat(&places)?;
    broker::build_ottla(&places)?;
    let mut run = Run::begin(places, options)?;
    let outcome = run.rounds();
    if outcome.is_err()
        && let Some(data) = run.broker.keep_data()
    {
        println!(
            "kept {} and {}",
            data.display(),
            run.folder.path().display()
        );
        run.folder.disable_cleanup(true);
    }
    outcome
}

impl Run {
    fn begin(places: Places, options: Options) -> Result<Self, String> {
        let folder = TempDir::with_prefix("crash-").map_err(|error| error.to_string())?;
        let launch = Launch {
            port: quiet_port(&mut Chance::new(options.seed))?,
            arguments: vec![
                "--durability".to_owned(),
                options.durability.clone(),
                "--set".to_owned(),
                format!("log.segment.bytes={SEGMENT_BYTES}"),
            ],
            log: Some(folder.path().join("ottla.log")),
            ..Launch::default()
        };
        let broker = Broker::start_ottla(&places, &launch)?;
        let mut wire = Wire::connect(&broker.address)?;
        wire.create_topic(TOPIC, PARTITIONS)?;
        wire.create_topic(probe::TOPIC, 1)?;
        let producers = producers::start(&places, &broker.address, options.rate, folder.path())?;
        Ok(Self {
            places,
            options,
            broker,
            folder,
            producers,
            probe: Probe::default(),
            restarts: Histogram::new_with_bounds(1, 60_000_000, 3).map_err(|e| e.to_string())?,
            killed_under_load: 0,
            killed_at_start: 0,
        })
    }

    fn rounds(&mut self) -> Outcome {
        let mut chance = Chance::new(self.options.seed);
        self.probe
            .first_acknowledged(&self.broker.address, RESTART_LIMIT)?;
        // Every reading is of all that was ever written: it must not take longer than the kills.
        let tenth = self.options.rounds / 10;
        let check_every = self.options.check_every.unwrap_or_else(|| tenth.max(25));
        for round in 1..=self.options.rounds {
            self.round(&mut chance)
                .map_err(|error| format!("round {round}: {error}"))?;
            if round % check_every == 0 && round < self.options.rounds {
                let verdict = self.verdict()?;
                println!("after {round} kills: {}", verdict.line());
                verdict.outcome()?;
            }
        }
        for producer in &mut self.producers {
            producer.finish()?;
        }
        let verdict = self.verdict()?;
        self.print(&verdict);
        verdict.outcome()?;
        self.probe.check(&self.broker.address)
    }

    /// One kill and one restart. One in eight hits the broker before it serves.
    fn round(&mut self, chance: &mut Chance) -> Result<(), String> {
        let milliseconds = |most: usize, chance: &mut Chance| {
            Duration::from_millis(u64::try_from(chance.below(most)).unwrap_or(0))
        };
        pause(Duration::from_millis(100) + milliseconds(1_200, chance));
        let mut is_loaded = false;
        for producer in &mut self.producers {
            producer.check()?;
            is_loaded |= producer.wrote_more();
        }
        self.broker.kill();
        self.killed_under_load += usize::from(is_loaded);
        while chance.one_in(8) {
            self.broker.start_again()?;
            pause(milliseconds(60, chance));
            self.broker.kill();
            self.killed_at_start += 1;
        }
        let started = now();
        self.broker.start_again()?;
        self.probe
            .first_acknowledged(&self.broker.address, RESTART_LIMIT)?;
        let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.restarts.saturating_record(took);
        Ok(())
    }

    /// What was acknowledged until now, against what can be read now.
    fn verdict(&self) -> Result<Verdict, String> {
        let mut acknowledged = Vec::new();
        for producer in &self.producers {
            acknowledged.push((producer.name, producer.acknowledged()?));
        }
        let mut kcat = Command::new("kcat");
        let address = &self.broker.address;
        kcat.args([
            "-b",
            address,
            "-C",
            "-t",
            TOPIC,
            "-o",
            "beginning",
            "-e",
            "-q",
        ]);
        // The offsets of a broker that is read while it is written to must not be mixed up with an
        // error: kcat ends at what was the end of each partition.
        kcat.args(["-X", "check.crcs=true", "-f", "%p %o %k\\n"]);
        let found = process::succeed(kcat)?;
        verdict::judge(&acknowledged, &found)
    }

    fn print(&self, verdict: &Verdict) {
        let ms = |quantile: f64| as_ms(self.restarts.value_at_quantile(quantile));
        println!("\n{}", broker::ottla_binary(&self.places).display());
        println!("{verdict}");
        println!("{:<34} {:>12}", "kill -9", self.options.rounds);
        println!(
            "{:<34} {:>12}",
            "of these under acknowledged load", self.killed_under_load
        );
        println!(
            "{:<34} {:>12}",
            "kill -9 during the start", self.killed_at_start
        );
        println!("{:<34} {:>12}", "segments", self.segments());
        println!(
            "{:<34} {:>12.1}",
            "exec to first acknowledged, p50 ms",
            ms(0.5)
        );
        println!("{:<34} {:>12.1}", "p99 ms", ms(0.99));
        println!("{:<34} {:>12.1}", "most ms", as_ms(self.restarts.max()));
        println!(
            "durability {}, seed {}",
            self.options.durability, self.options.seed
        );
    }

    fn segments(&self) -> usize {
        let topic = self.broker.data_folder().map(|data| data.join(TOPIC));
        let entries = |folder: PathBuf| {
            let listed = std::fs::read_dir(folder).into_iter().flatten();
            listed.filter_map(|entry| Some(entry.ok()?.path()))
        };
        let partitions = topic.into_iter().flat_map(entries);
        let files = partitions.filter(|path| path.is_dir()).flat_map(entries);
        files
            .filter(|file| file.extension().is_some_and(|found| found == "log"))
            .count()
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn as_ms(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// A free port that the system gives to nobody by itself: a client that asks for a dead broker
/// again and again could otherwise be given the broker's port as its own.
fn quiet_port(chance: &mut Chance) -> Result<u16, String> {
    for _ in 0..100 {
        let port = u16::try_from(15_000 + chance.below(15_000)).expect("below 30,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port below the ephemeral ones".to_owned())
}
