//! How figures grow with the number of partitions, connections, readers, and with the size of batches.

use super::{PARTITIONS, on_fresh, warm};
use crate::compare::Plan;
use crate::compare::bench::bench;
use crate::compare::broker::{Broker, Kind};
use crate::compare::figures::Figure;

fn at(place: u32, values: &[(&str, f64)]) -> Vec<Figure> {
    let figures = values.iter().map(|(name, value)| Figure {
        name: (*name).to_owned(),
        at: Some(place),
        value: *value,
    });
    figures.collect()
}

/// Measures at each place in turn, on one broker.
fn curve(
    (kind, plan): (Kind, &Plan),
    places: &[u32],
    measured: impl Fn(&Broker, u32) -> Result<Vec<Figure>, String>,
) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        warm(broker, plan)?;
        let mut figures = Vec::new();
        for &place in places {
            let of_place = measured(broker, place);
            figures.extend(of_place.map_err(|error| format!("at {place}: {error}"))?);
        }
        Ok(figures)
    })
}

/// One load that writes; throughput, latency and cost.
fn writes(broker: &Broker, plan: &Plan, place: u32, words: &str) -> Result<Vec<Figure>, String> {
    let seconds = plan.seconds(4);
    let words = format!("produce --duration {seconds}s {words}");
    let (told, cpu) = broker.cpu_seconds(|| bench(plan, broker, &words))?;
    let mebibytes = told.gib() * 1024.0;
    Ok(at(
        place,
        &[
            ("MiB/s (more is better)", mebibytes / told.seconds()),
            ("ack p99, ms", told.ms("acknowledged", "p99")),
            ("CPU-s/GiB", cpu / told.gib()),
        ],
    ))
}

pub(super) fn partitions(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    curve(
        (kind, plan),
        &[1, 10, 100, 1000, 10_000],
        |broker, place| {
            let partitions = i32::try_from(place).unwrap_or(i32::MAX);
            let topic = format!("partitions-{place}");
            broker.topic(&topic, partitions, &[])?;
            let words = format!("--topic {topic} --clients 6 --in-flight 64");
            writes(broker, plan, place, &words)
        },
    )
}

pub(super) fn connections(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    curve((kind, plan), &[1, 10, 100, 1000], |broker, place| {
        let topic = format!("connections-{place}");
        broker.topic(&topic, PARTITIONS, &[])?;
        let words = format!("--topic {topic} --clients {place} --in-flight 1000");
        writes(broker, plan, place, &words)
    })
}

pub(super) fn batches(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    // KiB.
    curve(
        (kind, plan),
        &[1, 16, 100, 1024, 4096, 10_240],
        |broker, place| {
            let shape = if place == 1 {
                String::new()
            } else {
                format!("--batch-size {place}KiB")
            };
            writes(broker, plan, place, &format!("--in-flight 8 {shape}"))
        },
    )
}

pub(super) fn fan_out(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    curve((kind, plan), &[1, 2, 5, 10, 20], |broker, place| {
        let seconds = plan.seconds(4);
        let read = format!("consume --clients {place} --duration {seconds}s --fill 128MiB");
        let read = bench(plan, broker, &read)?;
        let single = format!("e2e --rate 1000 --consumers {place} --duration {seconds}s");
        let (single, cpu) = broker.cpu_seconds(|| bench(plan, broker, &single))?;
        let mebibytes = read.gib() * 1024.0;
        Ok(at(
            place,
            &[
                (
                    "out, MiB/s of all readers (more is better)",
                    mebibytes / read.seconds(),
                ),
                (
                    "1,000 records/s, end to end p99, ms",
                    single.ms("end_to_end", "p99"),
                ),
                (
                    "1,000 records/s, CPU µs a record and reader",
                    cpu * 1e6 / single.records() / f64::from(place),
                ),
            ],
        ))
    })
}
