//! `cargo xtask compare durability`: what the sync before the acknowledgement costs.
//!
//! The same load on brokers that differ in `--durability` (or in the binary), in turn, each on a
//! fresh data directory. The first variant is the one in question: the table gives the median of
//! its ratios to each other variant, pair by pair, and their spread.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::Plan;
use super::bench::bench;
use super::broker::{self, Broker, Kind};
use super::figures::{self, median, sorted};

pub(super) const USAGE: &str =
    "usage: cargo xtask compare durability [--pairs N] [--ms N] [--only TEXT] [VARIANT ...]

  --pairs N    how often each load runs on each variant (5)
  --ms N       how long a load runs (1500)
  --only TEXT  only loads whose name contains it
  VARIANT      MODE or MODE@BINARY, as `ottla --durability MODE` (fsync os)";

/// A broker under measurement.
#[derive(Debug, Clone)]
struct Variant {
    name: String,
    plan: Plan,
}

/// What one load on one variant showed.
#[derive(Debug, Clone, Copy)]
struct Figures {
    requests_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_us_request: f64,
    cpu_s_gib: f64,
}

/// Records a second of the load that has a fixed rate.
const RATE: u32 = 10_000;

const PARTITIONS: i32 = 6;
const IN_FLIGHT: [usize; 4] = [1, 8, 64, 256];

/// What a load in closed loop is.
#[derive(Debug, Clone, Copy)]
struct Load {
    /// `None`: one record of 1 KiB a request.
    batch_bytes: Option<usize>,
    in_flight: usize,
    /// Where segments end; `None`: the broker's default.
    segment_bytes: Option<u32>,
    duration: Duration,
}

/// `None`: open loop, single records at [`RATE`].
type Row = (String, Option<Load>);

fn rows(duration: Duration) -> Vec<Row> {
    let load = |batch_bytes, in_flight| Load {
        batch_bytes,
        in_flight,
        segment_bytes: None,
        duration,
    };
    let mut rows: Vec<Row> = Vec::new();
    for in_flight in IN_FLIGHT {
        rows.push((
            format!("1 KiB records, {in_flight} in flight"),
            Some(load(None, in_flight)),
        ));
    }
    for in_flight in IN_FLIGHT {
        let batches = load(Some(16 << 10), in_flight);
        rows.push((
            format!("16 KiB batches, {in_flight} in flight"),
            Some(batches),
        ));
    }
    let rolling = Load {
        segment_bytes: Some(1 << 20),
        ..load(None, 64)
    };
    rows.push((
        "1 KiB records, 64 in flight, segments of 1 MiB".to_owned(),
        Some(rolling),
    ));
    rows.push((format!("{RATE} records/s of 1 KiB, in and out"), None));
    rows
}

pub(super) fn run(arguments: &[String]) -> Result<(), String> {
    let base = Plan::default();
    let (mut pairs, mut duration, mut only) = (5, Duration::from_millis(1500), String::new());
    let mut variants = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        let number = |text: &String| {
            text.parse::<u32>()
                .map_err(|error| format!("{text}: {error}"))
        };
        match word.as_str() {
            "--pairs" => pairs = number(value()?)?.max(1) as usize,
            "--ms" => duration = Duration::from_millis(u64::from(number(value()?)?.max(1))),
            "--only" => only.clone_from(value()?),
            flag if flag.starts_with('-') => return Err(USAGE.to_owned()),
            name => variants.push(variant(name, &base)),
        }
    }
    if variants.is_empty() {
        variants.extend(["fsync", "os"].map(|name| variant(name, &base)));
    }
    // It makes the load too, whatever the variants are.
    broker::prepare_ottla()?;
    println!("{}", figures::heading(&variants[0].plan.ottla, None)?);
    println!("pairs {pairs} · {} ms a load\n", duration.as_millis());
    println!("{}", heading(&variants));
    for (name, load) in rows(duration)
        .into_iter()
        .filter(|row| row.0.contains(&only))
    {
        let mut measured: Vec<Vec<Figures>> = vec![Vec::new(); variants.len()];
        for pair in 0..pairs {
            // The order turns, so that whatever drifts hits all.
            for turn in 0..variants.len() {
                let number = if pair % 2 == 0 {
                    turn
                } else {
                    variants.len() - 1 - turn
                };
                let figures = measure(&variants[number].plan, load)
                    .map_err(|error| format!("{name}, {}: {error}", variants[number].name))?;
                measured[number].push(figures);
            }
        }
        print!("{}", lines(&name, &variants, &measured));
    }
    Ok(())
}

fn variant(name: &str, base: &Plan) -> Variant {
    let (durability, ottla) = match name.split_once('@') {
        Some((mode, binary)) => (mode, PathBuf::from(binary)),
        None => (name, base.ottla.clone()),
    };
    Variant {
        name: name.to_owned(),
        plan: Plan {
            durability: durability.to_owned(),
            ottla,
            ..base.clone()
        },
    }
}

fn measure(plan: &Plan, load: Option<Load>) -> Result<Figures, String> {
    let broker = broker::start(Kind::Ottla, plan)?;
    let figures = measure_on(&broker, plan, load);
    broker.stop();
    figures
}

fn measure_on(broker: &Broker, plan: &Plan, load: Option<Load>) -> Result<Figures, String> {
    let words = if let Some(load) = load {
        let segment_bytes = load.segment_bytes.map(|bytes| bytes.to_string());
        let configs = segment_bytes
            .as_deref()
            .map(|value| ("segment.bytes", value));
        broker.topic("load", PARTITIONS, configs.as_slice())?;
        let batch = load.batch_bytes;
        format!(
            "produce --topic load --in-flight {} --clients {} --duration {}ms{}",
            load.in_flight,
            load.in_flight.min(6),
            load.duration.as_millis(),
            batch.map_or_else(String::new, |bytes| format!(" --batch-size {bytes}")),
        )
    } else {
        format!("e2e --rate {RATE} --duration 3s")
    };
    let (told, cpu_s) = broker.cpu_seconds(|| bench(plan, broker, &words))?;
    Ok(Figures {
        requests_s: told.requests() / told.seconds(),
        p50_ms: told.ms("acknowledged", "p50"),
        p99_ms: told.ms("acknowledged", "p99"),
        cpu_us_request: cpu_s * 1e6 / told.requests(),
        cpu_s_gib: cpu_s / told.gib(),
    })
}

type Column = (&'static str, fn(&Figures) -> f64);

const COLUMNS: [Column; 5] = [
    ("requests/s", |f| f.requests_s),
    ("ack p50 ms", |f| f.p50_ms),
    ("ack p99 ms", |f| f.p99_ms),
    ("CPU µs/request", |f| f.cpu_us_request),
    ("CPU-s/GiB", |f| f.cpu_s_gib),
];

fn heading(variants: &[Variant]) -> String {
    let mut text = String::from("| Load | Variant |");
    let mut rule = String::from("|---|---|");
    for (name, _) in COLUMNS {
        write!(text, " {name} |").expect("a String takes every write");
        rule.push_str("--:|");
    }
    let first = &variants[0].name;
    write!(
        text,
        " requests/s, {first} to this (min–max) | CPU the same |\n{rule}---|---|"
    )
    .expect("a String takes every write");
    text
}

/// A line for each variant: medians, and the ratios of the first variant to it.
fn lines(name: &str, variants: &[Variant], measured: &[Vec<Figures>]) -> String {
    let mut text = String::new();
    for (number, (variant, figures)) in variants.iter().zip(measured).enumerate() {
        write!(text, "| {name} | {} |", variant.name).expect("a String takes every write");
        for (_, figure) in COLUMNS {
            let value = median(&sorted(figures.iter().map(figure)));
            let places = if value >= 100.0 { 0 } else { 2 };
            write!(text, " {value:.places$} |").expect("a String takes every write");
        }
        let ratio = |figure: fn(&Figures) -> f64| {
            let pairs = measured[0].iter().zip(figures);
            let ratios = sorted(pairs.map(|(first, this)| figure(first) / figure(this)));
            let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
            format!(" {:.2} ({least:.2}–{most:.2}) |", median(&ratios))
        };
        match number {
            0 => text.push_str(" – | – |\n"),
            _ => {
                let (rate, cpu) = (ratio(|f| f.requests_s), ratio(|f| f.cpu_us_request));
                writeln!(text, "{rate}{cpu}").expect("a String takes every write");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
