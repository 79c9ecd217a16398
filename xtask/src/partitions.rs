//! `cargo xtask partitions`: ten thousand partitions, kill -9, and how long until a record is served
//! again; the work of that start grows with what was written last, not with what is there.
//!
//! Each step writes more than the last one and leaves more behind the last note of what is durable.
//! Bytes read are those of `/proc/PID/io`, from page cache or disk alike.

use std::time::Duration;

use bytes::Bytes;
use records::{BatchBuilder, Codec};
use tempfile::TempDir;

use crate::Outcome;
use crate::conformance::Places;
use crate::conformance::broker::{self, Broker, Launch};
use crate::conformance::process::{figure, now, pause};
use crate::wire::{FETCH_VERSION, PRODUCE_VERSION, Wire, fetch, frame, produce};

const USAGE: &str = "usage: cargo xtask partitions [--topics N] [--partitions N] [--written N]

  --topics N      topics (10)
  --partitions N  of each topic (1000)
  --written N     partitions that are written to (500)

OTTLA_BIN names a binary to test; without it `cargo build --release` makes one.
";

/// MiB that are written and have time to become durable, and MiB that are written just before the
/// kill.
const STEPS: [(usize, usize); 5] = [(0, 0), (64, 0), (64, 1), (64, 4), (256, 4)];
const BATCH_BYTES: usize = 16 << 10;
const IN_FLIGHT: usize = 64;
/// Longer than the broker lets a note of what is durable wait.
const SETTLE: Duration = Duration::from_millis(2_500);
const SERVED_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let [topics, partitions, written] = numbers(arguments)?;
    let places = Places::find()?;
    broker::build_ottla(&places)?;
    let folder = TempDir::with_prefix("partitions-").map_err(|error| error.to_string())?;
    let launch = Launch {
        log: Some(folder.path().join("broker.log")),
        ..Launch::default()
    };
    let mut broker = Broker::ottla_in(&places, &launch, folder.path())?;
    let began = now();
    let mut wire = Wire::connect(&broker.address)?;
    for topic in 0..topics {
        wire.create_topic(&name(topic), partitions)?;
    }
    println!("{}", broker::ottla_binary(&places).display());
    println!(
        "{} partitions made in {:.1} s, {written} of them written to\n",
        topics * partitions,
        began.elapsed().as_secs_f64()
    );
    println!(
        "| MiB in the logs | MiB written last | s to a record | MiB read | memory, MiB | descriptors |"
    );
    println!("|--:|--:|--:|--:|--:|--:|");
    let mut total = 0;
    let mut slowest = Duration::ZERO;
    for (settled, last) in STEPS {
        let mut wire = Wire::connect(&broker.address)?;
        load(&mut wire, partitions, written, settled.max(1))?;
        pause(SETTLE);
        load(&mut wire, partitions, written, last)?;
        total += settled.max(1) + last;
        broker.kill();
        let began = now();
        broker.start_again()?;
        first_record(&broker.address)?;
        let took = began.elapsed();
        slowest = slowest.max(took);
        let id = broker.process().ok_or("no process")?.id();
        println!(
            "| {total} | {last} | {:.2} | {:.1} | {} | {} |",
            took.as_secs_f64(),
            mebibytes(figure(id, "io", "rchar:")?),
            figure(id, "status", "VmRSS:")? >> 10,
            descriptors(id)?,
        );
    }
    if slowest > SERVED_LIMIT {
        return Err(format!(
            "a record took {slowest:.1?}, more than {SERVED_LIMIT:?}"
        ));
    }
    Ok(())
}

fn numbers(arguments: &[String]) -> Result<[i32; 3], String> {
    let mut values = [10, 1000, 500];
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let flags = ["--topics", "--partitions", "--written"];
        let at = flags.iter().position(|known| known == flag);
        let (Some(at), Some(value)) = (at, rest.next()) else {
            return Err(USAGE.to_owned());
        };
        let number: i32 = value
            .parse()
            .map_err(|error| format!("{flag} {value}: {error}"))?;
        values[at] = number.max(1);
    }
    Ok(values)
}

fn name(topic: i32) -> String {
    format!("topic-{topic}")
}

fn batch() -> Result<Bytes, String> {
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .append(1, None, Some(&vec![b'.'; BATCH_BYTES]), &[])
        .map_err(|error| error.to_string())?;
    let batch = builder.build().map_err(|error| error.to_string())?;
    Ok(batch.into_bytes())
}

/// Writes so many MiB, spread over the first `written` partitions of all; all are acknowledged.
fn load(wire: &mut Wire, partitions: i32, written: i32, mebibytes: usize) -> Result<(), String> {
    let batch = batch()?;
    let count = (mebibytes << 20) / BATCH_BYTES;
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        if sent < count && sent - answered < IN_FLIGHT {
            let at = i32::try_from(sent).map_err(|error| error.to_string())? % written;
            let request = produce(&name(at / partitions), at % partitions, batch.clone());
            wire.send(&frame(&request, PRODUCE_VERSION, at)?)?;
            sent += 1;
        } else {
            // That it was taken is seen when it is read; an answer that never comes ends the run.
            wire.receive()?;
            answered += 1;
        }
    }
    Ok(())
}

/// Waits until the first record of all is served.
fn first_record(address: &str) -> Result<(), String> {
    let began = now();
    while began.elapsed() < ANSWER_LIMIT {
        let served = Wire::connect(address).and_then(|mut wire| {
            let response = wire.call(&fetch(&name(0), &[0], 1 << 20, 0), FETCH_VERSION)?;
            let mut partitions = response
                .responses
                .iter()
                .flat_map(|topic| &topic.partitions);
            Ok(partitions.any(|partition| {
                let records = partition.records.as_ref();
                records.is_some_and(|records| !records.is_empty())
            }))
        });
        if served == Ok(true) {
            return Ok(());
        }
        pause(Duration::from_millis(2));
    }
    Err(format!("no record is served within {ANSWER_LIMIT:?}"))
}

fn descriptors(process_id: u32) -> Result<usize, String> {
    let path = format!("/proc/{process_id}/fd");
    let listed = std::fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(listed.count())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
