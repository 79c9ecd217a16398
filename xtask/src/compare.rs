//! `cargo xtask compare kafka`: ottla and Apache Kafka under the same load, in turn, in one run.
//! `cargo xtask compare durability` ([`durability`]): ottla with itself.
//!
//! The load is made by one client for both: pre-encoded batches over the Kafka protocol, latency
//! counted from the intended send. Broker CPU and memory come from `/proc`, so they do not depend
//! on the client. Each pair starts both brokers afresh; the table gives the median of the ratios
//! and their spread. Kafka's CPU is warmed before it is measured.

#![expect(
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a measurement reads the clock, waits for its moment and divides"
)]

mod broker;
mod closed;
mod durability;
mod figures;
mod load;

use std::path::PathBuf;

use broker::Kind;
use figures::Figures;

/// What a run is told.
#[derive(Debug, Clone)]
struct Plan {
    pairs: usize,
    /// Bytes of records that the throughput loads write.
    volume_bytes: u64,
    /// Single records a second, and how many seconds.
    rate: u32,
    seconds: u32,
    durability: String,
    ottla: PathBuf,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            pairs: 5,
            volume_bytes: 1 << 30,
            rate: 10_000,
            seconds: 10,
            durability: "fsync".to_owned(),
            ottla: crate::root().join("target/release/ottla"),
        }
    }
}

const USAGE: &str = "usage: cargo xtask compare kafka [--pairs N] [--gib N] [--rate N] [--seconds N] [--durability MODE]
       cargo xtask compare durability [--pairs N] [--ms N] [--only TEXT] [VARIANT ...]
       cargo xtask compare load HOST:PORT BATCH_BYTES GIB   the produce load alone, for a profiler";

/// The produce load on a broker that runs already.
fn load_alone(arguments: &[String]) -> Result<(), String> {
    let [address, batch_bytes, gib] = arguments else {
        return Err(USAGE.to_owned());
    };
    let number = |text: &String| {
        text.parse::<u32>()
            .map_err(|error| format!("{text}: {error}"))
    };
    let batch_bytes = number(batch_bytes)? as usize;
    load::produce(address, "load", batch_bytes, u64::from(number(gib)?) << 30)?;
    Ok(())
}

/// Runs the comparison and prints a table; `--pairs N`, `--gib N`, `--rate N`, `--seconds N`,
/// `--durability MODE`.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let mut words = arguments.iter();
    match words.next().map(String::as_str) {
        Some("kafka") => {}
        Some("durability") => return durability::run(&arguments[1..]),
        Some("load") => return load_alone(&arguments[1..]),
        _ => return Err(USAGE.to_owned()),
    }
    let mut plan = Plan::default();
    while let Some(flag) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{flag} wants a value"))?;
        let number = || {
            value
                .parse::<u32>()
                .map_err(|error| format!("{flag} {value}: {error}"))
        };
        match flag.as_str() {
            "--pairs" => plan.pairs = number()?.max(1) as usize,
            "--gib" => plan.volume_bytes = u64::from(number()?.max(1)) << 30,
            "--rate" => plan.rate = number()?.max(1),
            "--seconds" => plan.seconds = number()?.max(1),
            "--durability" => plan.durability.clone_from(value),
            other => return Err(format!("unknown flag {other}")),
        }
    }
    broker::prepare(&plan)?;
    println!(
        "{}",
        figures::heading(&plan.ottla, Some(broker::KAFKA_VERSION))?
    );
    println!(
        "pairs {} · {} GiB a load · {} single records/s for {} s · ottla durability {}\n",
        plan.pairs,
        plan.volume_bytes >> 30,
        plan.rate,
        plan.seconds,
        plan.durability
    );
    let mut pairs: Vec<(Figures, Figures)> = Vec::new();
    for pair in 1..=plan.pairs {
        // The order alternates, so that whatever drifts hits both.
        let (first, second) = if pair % 2 == 1 {
            (Kind::Ottla, Kind::Kafka)
        } else {
            (Kind::Kafka, Kind::Ottla)
        };
        let named = |kind: Kind| measure(kind, &plan).map_err(|error| format!("{kind:?}: {error}"));
        let (a, b) = (named(first)?, named(second)?);
        let (ottla, kafka) = if pair % 2 == 1 { (a, b) } else { (b, a) };
        eprintln!("pair {pair}\n  ottla {ottla:?}\n  kafka {kafka:?}");
        pairs.push((ottla, kafka));
    }
    println!("{}", figures::table(&pairs));
    Ok(())
}

/// One broker, fresh, through all loads.
fn measure(kind: Kind, plan: &Plan) -> Result<Figures, String> {
    let broker = broker::start(kind, plan)?;
    let address = broker.address.clone();
    let mut figures = Figures {
        start_ms: broker.first_ack_ms,
        memory_start_mib: broker.memory_mib()?,
        ..Figures::default()
    };
    if kind == Kind::Kafka {
        // The JVM's first GiB costs about half again as much as the second.
        load::produce(&address, "warm", 1 << 20, plan.volume_bytes)?;
        load::produce(&address, "warm", 16 << 10, plan.volume_bytes / 4)?;
        load::single(&address, "warm-single", plan.rate / 2, plan.seconds)?;
    }
    figures.produce_1m =
        broker.cpu_per_gib(|| load::produce(&address, "large", 1 << 20, plan.volume_bytes))?;
    figures.produce_16k =
        broker.cpu_per_gib(|| load::produce(&address, "small", 16 << 10, plan.volume_bytes / 4))?;
    figures.fetch = broker.cpu_per_gib(|| load::fetch(&address, "large", plan.volume_bytes))?;
    let (latency, cpu) =
        broker.cpu_seconds(|| load::single(&address, "single", plan.rate, plan.seconds))?;
    (figures.ack_p50_ms, figures.ack_p99_ms) = latency.ack;
    (figures.end_to_end_p50_ms, figures.end_to_end_p99_ms) = latency.end_to_end;
    figures.cpu_us_record = cpu * 1e6 / f64::from(plan.rate) / f64::from(plan.seconds);
    figures.memory_load_mib = broker.memory_peak_mib()?;
    broker.stop();
    Ok(figures)
}
