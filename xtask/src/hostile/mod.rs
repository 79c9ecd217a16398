//! `cargo xtask hostile`: at least 10,000 malformed connections to one ottla, while a well-behaved
//! client writes and reads.
//!
//! The seed is printed and repeats the run. The broker must stay up, serve, stay small, and have
//! written nothing that it refused; any violation makes the command fail. What is sent is made in
//! [`lies`], [`batches`], [`names`], [`fronts`],
//! [`http2`] and [`held`]; what must be true afterwards is in
//! [`aftermath`].

#![expect(
    clippy::disallowed_methods,
    reason = "it reads the clock, and a directory that a broker wrote"
)]

mod aftermath;
mod attack;
mod batches;
mod forms;
mod fronts;
mod held;
mod http2;
mod lies;
mod names;
mod witness;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kafka_wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use records::Codec;
use tempfile::TempDir;

use crate::Outcome;
use crate::chance::{Chance, fresh_seed};
use crate::codegen;
use crate::codegen::facts::Api;
use crate::conformance::Places;
use crate::conformance::broker::{self, Broker, Launch};
use crate::conformance::process::now;
use crate::wire::{self, Wire};

use attack::Attack;
use forms::{Filling, Form};

const USAGE: &str = "usage: cargo xtask hostile [--connections N] [--seed N] [--keep]

  --connections N  at least this many malformed connections (10000)
  --seed N         repeat a run
  --only WORDS     nothing but this family of the table, or attacks whose names have these words
  --keep           leave the data directory where it is

OTTLA_BIN names a binary to test; without it `cargo build --release` makes one.
";

/// Filled into every request that names a topic: it may change.
const LIES_TOPIC: &str = "hostile-lies";
/// Written to only by batches that must be refused: it may not change.
const BATCHES_TOPIC: &str = "hostile-batches";
/// Holds junk under good checksums.
const JUNK_TOPIC: &str = "hostile-junk";

const WORKERS: usize = 16;
/// Violations of one family that are told in full.
const EXAMPLES_MAX: usize = 10;
const METADATA_VERSION: i16 = 12;

struct Options {
    connections: usize,
    seed: u64,
    only: Option<String>,
    keep: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            connections: 10_000,
            seed: fresh_seed(),
            only: None,
            keep: false,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || {
                rest.next()
                    .ok_or_else(|| format!("{argument} wants a value"))
            };
            let mut number = || -> Result<u64, String> {
                let value = value()?;
                value
                    .parse()
                    .map_err(|error| format!("{argument} {value}: {error}"))
            };
            match argument.as_str() {
                "--connections" => {
                    options.connections = usize::try_from(number()?).map_err(|e| e.to_string())?;
                }
                "--seed" => options.seed = number()?,
                "--only" => options.only = Some(value()?.clone()),
                "--keep" => options.keep = true,
                other => return Err(format!("unknown option '{other}'\n\n{USAGE}")),
            }
        }
        Ok(options)
    }
}

/// The broker under attack and what is around it.
struct Stage {
    broker: Broker,
    address: SocketAddr,
    data: PathBuf,
    working_directory: TempDir,
    /// A path that topics are called; nothing may appear there.
    outside: PathBuf,
    now_ms: i64,
    filling: Filling,
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let options = Options::parse(arguments)?;
    println!("seed {}", options.seed);
    let places = Places::find()?;
    broker::build_ottla(&places)?;
    let mut chance = Chance::new(options.seed);
    let mut stage = stage(&places, options.seed)?;
    let before = aftermath::log_bytes(&stage.data, BATCHES_TOPIC)?;
    let junk = store_junk(&stage, &mut chance)?;
    let attacks = attacks(&stage, &options, &junk, &mut chance)?;
    println!(
        "{} on {}, {} connections",
        broker::ottla_binary(&places).display(),
        stage.address,
        attacks.len()
    );
    let held = match options.only.as_deref() {
        None | Some("held open") => options.connections / 10,
        Some(_) => 0,
    };
    let storm = storm(&stage, &attacks, held, &mut chance)?;
    print_table(&storm);
    let mut violations = storm.violations();
    violations.extend(aftermath(&mut stage, &before)?);
    if options.keep
        && let Some(folder) = stage.broker.keep_data()
    {
        println!("kept {}", folder.display());
    }
    stage.broker.stop();
    if violations.is_empty() {
        println!("\nno violation");
        return Ok(());
    }
    Err(format!(
        "{}\nviolations, see above; seed {}",
        violations.join("\n"),
        options.seed
    ))
}

/// Starts ottla and makes the topics.
fn stage(places: &Places, seed: u64) -> Result<Stage, String> {
    let working_directory = TempDir::with_prefix("hostile-").map_err(|error| error.to_string())?;
    let launch = Launch {
        working_directory: Some(working_directory.path().to_path_buf()),
        ..Launch::default()
    };
    let broker = Broker::start_ottla(places, &launch)?;
    let data = broker.data_folder().ok_or("ottla has no data directory")?;
    let address = broker
        .address
        .parse()
        .map_err(|error| format!("{}: {error}", broker.address))?;
    let mut wire = Wire::connect(&broker.address)?;
    for topic in [LIES_TOPIC, BATCHES_TOPIC, JUNK_TOPIC, witness::TOPIC] {
        wire.create_topic(topic, 1)?;
    }
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|e| e.to_string())?;
    let now_ms = i64::try_from(since.as_millis()).map_err(|e| e.to_string())?;
    let batch =
        batches::good(Codec::None, 3, now_ms, b"before the storm").map_err(|e| e.to_string())?;
    for topic in [LIES_TOPIC, BATCHES_TOPIC] {
        let request = wire::produce(topic, 0, Bytes::from(batch.clone()));
        wire.produced(&request)?;
    }
    let filling = Filling {
        topic: LIES_TOPIC.into(),
        topic_id: topic_id(&mut wire)?,
        records: batch,
    };
    let outside = std::env::temp_dir().join(format!("ottla-escaped-{seed}"));
    Ok(Stage {
        broker,
        address,
        data,
        working_directory,
        outside,
        now_ms,
        filling,
    })
}

fn topic_id(wire: &mut Wire) -> Result<[u8; 16], String> {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(LIES_TOPIC.into()),
            ..MetadataRequestTopic::default()
        }]),
        ..MetadataRequest::default()
    };
    let response = wire.call(&request, METADATA_VERSION)?;
    let topic = response.topics.first().ok_or("no topic in the metadata")?;
    Ok(topic.topic_id.0)
}

/// Writes the junk that a broker may keep; gives the offsets of what was kept.
fn store_junk(stage: &Stage, chance: &mut Chance) -> Result<Vec<i64>, String> {
    let mut wire = Wire::connect(&stage.broker.address)?;
    let mut kept = Vec::new();
    let all = batches::stored(stage.now_ms, chance)?;
    let count = all.len();
    for (name, batch) in all {
        let request = wire::produce(JUNK_TOPIC, 0, Bytes::from(batch));
        match wire.produced(&request) {
            Ok(offset) => kept.push(offset),
            Err(refusal) => println!("junk refused, {name}: {refusal}"),
        }
    }
    println!("junk batches: {} of {count} kept", kept.len());
    Ok(kept)
}

/// All that will be sent, in random order.
fn attacks(
    stage: &Stage,
    options: &Options,
    junk: &[i64],
    chance: &mut Chance,
) -> Result<Vec<Attack>, String> {
    let apis = apis()?;
    let mut all_forms: Vec<Form> = Vec::new();
    for api in &apis {
        for version in api.request.valid.first..=api.request.valid.last {
            all_forms.push(forms::form(api, version, &stage.filling));
        }
    }
    let aim = batches::Aim {
        topic: BATCHES_TOPIC,
        now_ms: stage.now_ms,
    };
    let mut attacks = lies::counts(&all_forms);
    attacks.extend(lies::frame_lengths());
    attacks.extend(lies::versions(&all_forms));
    attacks.extend(aim.refused(chance)?);
    attacks.extend(names::attacks(
        &apis,
        &stage.filling,
        &stage.outside.to_string_lossy(),
    ));
    attacks.extend(fronts::http(chance));
    attacks.extend(http2::attacks(chance));
    attacks.extend(fronts::tls(chance));
    attacks.extend(
        junk.iter()
            .map(|offset| http2::consume(JUNK_TOPIC, *offset)),
    );
    let at_least_random = options.connections / 10;
    let missing = options.connections.saturating_sub(attacks.len());
    for number in 0..missing.max(at_least_random) {
        attacks.push(match number % 3 {
            0 => lies::noise(chance),
            1 => lies::half_handshake(chance),
            _ => lies::damaged(&all_forms, chance),
        });
    }
    if let Some(only) = &options.only {
        attacks.retain(|attack| attack.family == only || attack.name.contains(only.as_str()));
    }
    for place in (1..attacks.len()).rev() {
        attacks.swap(place, chance.below(place + 1));
    }
    Ok(attacks)
}

fn apis() -> Result<Vec<Api>, String> {
    let path = codegen::facts_path(&crate::root());
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    codegen::facts::parse(&text)
}

/// Everything that was seen while it lasted.
struct Storm {
    outcomes: Vec<attack::Outcome>,
    held: held::Report,
    witness: witness::Report,
    took: Duration,
}

impl Storm {
    /// What went wrong; of each family only the first few.
    fn violations(&self) -> Vec<String> {
        let mut all: Vec<String> = self.witness.failure.iter().cloned().collect();
        let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
        let attacks = self.outcomes.iter().filter_map(|outcome| {
            let violation = outcome.violation.as_ref()?;
            Some((outcome.family, violation))
        });
        let held = self
            .held
            .violations
            .iter()
            .map(|violation| ("held open", violation));
        for (family, violation) in attacks.chain(held) {
            let count = shown.entry(family).or_default();
            *count += 1;
            if *count <= EXAMPLES_MAX {
                all.push(violation.clone());
            }
        }
        all
    }
}

/// Carries all out, with the held connections and the well-behaved client beside them.
fn storm(
    stage: &Stage,
    attacks: &[Attack],
    held: usize,
    chance: &mut Chance,
) -> Result<Storm, String> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let started = now();
    let mut held_chance = Chance::new(chance.next());
    std::thread::scope(|scope| {
        let witness = scope.spawn(|| witness::run(&stage.broker.address, stage.now_ms, &stop));
        let holding = scope.spawn(|| held::run(stage.address, held, &mut held_chance));
        let work = || {
            let mut outcomes = Vec::new();
            while let Some(attack) = attacks.get(next.fetch_add(1, Ordering::Relaxed)) {
                outcomes.push(attack.carry_out(stage.address));
            }
            outcomes
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let mut outcomes = Vec::new();
        for worker in workers {
            outcomes.extend(worker.join().map_err(|_panic| "a worker panicked")?);
        }
        let held = holding.join().map_err(|_panic| "the holder panicked")?;
        stop.store(true, Ordering::Release);
        let witness = witness.join().map_err(|_panic| "the client panicked")??;
        Ok(Storm {
            outcomes,
            held,
            witness,
            took: now() - started,
        })
    })
}

fn print_table(storm: &Storm) {
    let mut families: BTreeMap<&str, (usize, usize, usize, Duration)> = BTreeMap::new();
    for outcome in &storm.outcomes {
        let (count, answered, violations, slowest) = families.entry(outcome.family).or_default();
        *count += 1;
        *answered += usize::from(outcome.answered);
        *violations += usize::from(outcome.violation.is_some());
        *slowest = outcome.took.max(*slowest);
    }
    let held = &storm.held;
    families.insert(
        "held open",
        (held.opened, 0, held.violations.len(), held.slowest),
    );
    println!(
        "\n{:<18} {:>11} {:>9} {:>14} {:>10}",
        "family", "connections", "answered", "slowest end ms", "violations"
    );
    let mut total = 0;
    for (family, (count, answered, violations, slowest)) in families {
        println!(
            "{family:<18} {count:>11} {answered:>9} {:>14} {violations:>10}",
            slowest.as_millis()
        );
        total += count;
    }
    let micros = &storm.witness.micros;
    println!(
        "{:<18} {total:>11} in {:.1} s",
        "all",
        storm.took.as_secs_f64()
    );
    println!(
        "\nthe well-behaved client: {} records written and read back, p50 {} µs, p99 {} µs, most {} µs",
        storm.witness.rounds,
        micros.value_at_quantile(0.5),
        micros.value_at_quantile(0.99),
        micros.max()
    );
}

/// Checks and prints what must be true now.
fn aftermath(
    stage: &mut Stage,
    before: &BTreeMap<PathBuf, Vec<u8>>,
) -> Result<Vec<String>, String> {
    let address = stage.broker.address.clone();
    let process = stage.broker.process().ok_or("ottla was not started here")?;
    if let Ok(Some(status)) = process.try_wait() {
        return Ok(vec![format!("the process ended: {status}")]);
    }
    let (peak_kib, current_kib) = aftermath::resident_kib(process.id())?;
    let panics = crate::page::metric(&address, "ottla_panics_total")?;
    let open = aftermath::open_connections(&address)?;
    let after = aftermath::log_bytes(&stage.data, BATCHES_TOPIC)?;
    let visible = witness::fetched(&mut Wire::connect(&address)?, BATCHES_TOPIC, 0)?;
    let misplaced =
        aftermath::misplaced(&stage.data, stage.working_directory.path(), &stage.outside);
    println!(
        "resident: {:.1} MiB at most, {:.1} MiB now",
        kib_in_mib(peak_kib),
        kib_in_mib(current_kib)
    );
    println!(
        "panics: {panics}; connections still open: {open}; files misplaced: {}",
        misplaced.len()
    );
    let mut violations = misplaced;
    let unchanged = after == *before && before.values().any(|bytes| **bytes == *visible);
    println!(
        "log of refused batches: {}",
        if unchanged { "unchanged" } else { "CHANGED" }
    );
    if peak_kib >= aftermath::RESIDENT_KIB_MAX {
        violations.push(format!(
            "{peak_kib} KiB were resident, the limit is {}",
            aftermath::RESIDENT_KIB_MAX
        ));
    }
    if panics > 0 {
        violations.push(format!("{panics} panics"));
    }
    if open > 1 {
        violations.push(format!("{open} connections are still open"));
    }
    if !unchanged {
        violations.push(format!("{BATCHES_TOPIC} changed"));
    }
    Ok(violations)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn kib_in_mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
