//! `cargo xtask compare kafka`: ottla and Apache Kafka under the same load, in turn, in one run.
//! `cargo xtask compare durability` ([`durability`]): ottla with itself.
//!
//! The load is `ottla bench` for both. Broker CPU and memory come from `/proc`, so they do not depend
//! on the client. Each pair starts both brokers afresh on the same file system, in an order that
//! alternates, so that whatever drifts hits both; the tables give the median of the ratios and their
//! spread. Kafka is warmed before it is measured. A comparison is a row of scenarios
//! ([`scenarios`]); each can be run alone.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a measurement reads the clock, waits for its moment and divides"
)]

mod bench;
mod broker;
mod durability;
mod figures;
mod page;
mod scenarios;
mod svg;

use std::path::PathBuf;

use broker::Kind;
use figures::Figure;
use scenarios::{SCENARIOS, Scenario};

/// What a run is told.
#[derive(Debug, Clone)]
struct Plan {
    pairs: usize,
    durability: String,
    /// A scenario moves a fraction of what it should: only to see that it runs.
    short: bool,
    /// The broker.
    ottla: PathBuf,
    /// Who makes the load.
    client: PathBuf,
}

impl Default for Plan {
    fn default() -> Self {
        let binary = crate::root().join("target/release/ottla");
        Self {
            pairs: 5,
            durability: "fsync".to_owned(),
            short: false,
            ottla: binary.clone(),
            client: binary,
        }
    }
}

impl Plan {
    /// So many bytes, or few.
    fn volume(&self, mebibytes: u64) -> u64 {
        (if self.short {
            mebibytes.div_ceil(16)
        } else {
            mebibytes
        }) << 20
    }

    /// So many seconds, or one.
    fn seconds(&self, seconds: u32) -> u32 {
        if self.short { 1 } else { seconds }
    }
}

const USAGE: &str =
    "usage: cargo xtask compare kafka [--only NAME,NAME] [--pairs N] [--durability MODE] [--keep FILE] [--short]
       cargo xtask compare durability [--pairs N] [--ms N] [--only TEXT] [VARIANT ...]

  --only NAMES       only these scenarios (all that compare)
  --pairs N          how often each broker is measured (5)
  --durability MODE  of ottla: fsync, interval=10ms, os (fsync)
  --keep FILE        write tables, pictures and raw figures to a page, for docs/measurements
  --short            little of everything: only to see that it runs; its figures mean nothing

scenarios:";

fn usage() -> String {
    let lines = SCENARIOS.iter().map(|scenario| {
        let whom = if scenario.kafka { "" } else { " (ottla alone)" };
        format!("\n  {:<18} {}{whom}", scenario.name, scenario.about)
    });
    format!("{USAGE}{}", lines.collect::<String>())
}

/// Runs one of the comparisons.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    match arguments.first().map(String::as_str) {
        Some("kafka") => kafka(arguments),
        Some("durability") => durability::run(&arguments[1..]),
        _ => Err(usage()),
    }
}

fn kafka(arguments: &[String]) -> Result<(), String> {
    let mut plan = Plan::default();
    let mut chosen: Vec<&Scenario> = SCENARIOS.iter().collect();
    let mut keep = None;
    let mut words = arguments[1..].iter();
    while let Some(flag) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{flag} wants a value"));
        match flag.as_str() {
            "--pairs" => {
                let value = value()?;
                let pairs = value.parse::<usize>();
                plan.pairs = pairs
                    .map_err(|error| format!("{flag} {value}: {error}"))?
                    .max(1);
            }
            "--durability" => plan.durability.clone_from(value()?),
            "--keep" => keep = Some(PathBuf::from(value()?)),
            "--short" => plan.short = true,
            "--only" => chosen = value()?.split(',').map(named).collect::<Result<_, _>>()?,
            _ => return Err(usage()),
        }
    }
    broker::prepare_ottla()?;
    if chosen.iter().any(|scenario| scenario.kafka) {
        broker::prepare_kafka()?;
    }
    let mut page = page::Page::begin(&plan, arguments)?;
    for scenario in chosen {
        let (pairs, disturbed) = measure_all(scenario, &plan)?;
        page.scenario(scenario, &pairs, &disturbed);
    }
    match keep {
        Some(file) => page.keep(&file),
        None => Ok(()),
    }
}

fn named(name: &str) -> Result<&'static Scenario, String> {
    let mut all = SCENARIOS.iter();
    all.find(|scenario| scenario.name == name)
        .ok_or_else(|| format!("there is no scenario {name}\n\n{}", usage()))
}

/// The figures of one pair; without Kafka where it is not measured.
type Pair = (Vec<Figure>, Option<Vec<Figure>>);

/// All pairs, and which runs something else disturbed.
fn measure_all(scenario: &Scenario, plan: &Plan) -> Result<(Vec<Pair>, Vec<String>), String> {
    let mut disturbed = Vec::new();
    let mut measure = |kind: Kind| {
        let before = stolen()?;
        let figures = (scenario.measure)(kind, plan);
        let figures = figures.map_err(|error| format!("{}, {kind:?}: {error}", scenario.name))?;
        eprintln!("{} {kind:?}: {}", scenario.name, figures::raw(&figures));
        let after = stolen()?;
        let part = (after.0 - before.0) / (after.1 - before.1).max(1.0);
        if part > STOLEN_MOST {
            let percent = part * 100.0;
            disturbed.push(format!(
                "{kind:?}: {percent:.1} % of the machine's time was stolen"
            ));
        }
        Ok::<_, String>(figures)
    };
    let mut pairs = Vec::new();
    for pair in 0..plan.pairs {
        pairs.push(match (scenario.kafka, pair % 2) {
            (false, _) => (measure(Kind::Ottla)?, None),
            (true, 0) => {
                let ottla = measure(Kind::Ottla)?;
                (ottla, Some(measure(Kind::Kafka)?))
            }
            (true, _) => {
                let kafka = measure(Kind::Kafka)?;
                (measure(Kind::Ottla)?, Some(kafka))
            }
        });
    }
    Ok((pairs, disturbed))
}

/// The part of its time that a machine may lose to others while something is measured.
const STOLEN_MOST: f64 = 0.01;

/// Ticks of all cores that the hypervisor gave to others, and all ticks (proc(5), `cpu` in stat).
fn stolen() -> Result<(f64, f64), String> {
    let stat = std::fs::read_to_string("/proc/stat").map_err(|error| error.to_string())?;
    let line = stat.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).take(8);
    let ticks: Vec<f64> = ticks.filter_map(|word| word.parse().ok()).collect();
    Ok((ticks.get(7).copied().unwrap_or(0.0), ticks.iter().sum()))
}
