//! Loads of other programs: a second client, gRPC, and the floor.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::throughput::write;
use super::{PARTITIONS, on_fresh, warm};
use crate::compare::Plan;
use crate::compare::bench::bench;
use crate::compare::broker::{Broker, Kind};
use crate::compare::figures::{Figure, figure};
use crate::conformance::{Places, install};

/// Builds the Go program in conformance/load.
pub(super) fn build_load() -> Result<PathBuf, String> {
    let places = Places::find()?;
    install::grpc_client(&places)?;
    install::go(&places, "load")?;
    Ok(places.cache.join("bin/load"))
}

pub(super) fn told(command: &mut Command) -> Result<Value, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}", said.trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{command:?}: {error}"))
}

/// Runs the Go program: what it told and the broker's CPU seconds.
pub(super) fn load(
    broker: &Broker,
    load: &str,
    topic: &str,
    numbers: &[u64],
) -> Result<(Value, f64), String> {
    let program = build_load()?;
    broker.cpu_seconds(|| {
        let numbers = numbers.iter().map(u64::to_string);
        let mut command = Command::new(&program);
        told(command.args([load, &broker.address, topic]).args(numbers))
    })
}

pub(super) fn number(told: &Value, pointer: &str) -> f64 {
    let found = told.pointer(pointer);
    found.and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// GiB of so many records of 1 KiB.
fn gib(records: f64) -> f64 {
    records / f64::from(1 << 20)
}

pub(super) fn second_client(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        warm(broker, plan)?;
        let rate = 5000;
        let seconds = plan.seconds(10);
        let words = format!("e2e --rate {rate} --duration {seconds}s");
        let (ours, our_cpu) = broker.cpu_seconds(|| bench(plan, broker, &words))?;
        broker.topic("franz-single", PARTITIONS, &[])?;
        let numbers = [rate, u64::from(seconds)];
        let (theirs, their_cpu) = load(broker, "franz-single", "franz-single", &numbers)?;
        let mut figures = Vec::new();
        for of in ["acknowledged", "end_to_end"] {
            for quantile in ["p50", "p99"] {
                let name = of.replace('_', " ");
                let our = ours.ms(of, quantile);
                let their = number(&theirs, &format!("/{of}/{quantile}"));
                figures.push(figure(format!("ottla bench, {name} {quantile}, ms"), our));
                figures.push(figure(format!("franz-go, {name} {quantile}, ms"), their));
            }
        }
        let each = |cpu: f64, records: f64| cpu * 1e6 / records;
        let our_each = each(our_cpu, ours.records());
        let their_each = each(their_cpu, number(&theirs, "/records"));
        figures.push(figure("ottla bench, broker CPU µs a record", our_each));
        figures.push(figure("franz-go, broker CPU µs a record", their_each));
        figures.extend(second_volume(broker, plan)?);
        Ok(figures)
    })
}

/// The same GiB in and out by both clients.
fn second_volume(broker: &Broker, plan: &Plan) -> Result<Vec<Figure>, String> {
    let mebibytes = plan.volume(512) >> 20;
    let (ours, cpu_in) = write(broker, plan, "ours", (512, "--batch-size 1MiB"))?;
    let volume = plan.volume(512);
    let words = format!("consume --topic ours --duration 1h --volume {volume}");
    let (_, cpu_out) = broker.cpu_seconds(|| bench(plan, broker, &words))?;
    broker.topic("theirs", PARTITIONS, &[])?;
    let (theirs, cpu) = load(broker, "franz-volume", "theirs", &[mebibytes])?;
    let their_gib = gib(number(&theirs, "/records"));
    let ours = (cpu_in + cpu_out) / ours.gib();
    Ok(vec![
        figure("ottla bench, large batches in and out, CPU-s/GiB", ours),
        figure(
            "franz-go, large batches in and out, CPU-s/GiB",
            cpu / their_gib,
        ),
    ])
}

pub(super) fn grpc(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        let (large, large_cpu) = write(broker, plan, "large", (512, "--batch-size 1MiB"))?;
        let (small, small_cpu) = write(broker, plan, "small", (256, "--batch-size 16KiB"))?;
        let volume = plan.volume(512);
        let words = format!("consume --topic large --duration 1h --volume {volume}");
        let (read, read_cpu) = broker.cpu_seconds(|| bench(plan, broker, &words))?;
        broker.topic("grpc", PARTITIONS, &[])?;
        let (sent, in_cpu) = load(broker, "grpc-in", "grpc", &[plan.volume(256) >> 20])?;
        let (got, out_cpu) = load(broker, "grpc-out", "grpc", &[])?;
        let grpc_in = in_cpu / gib(number(&sent, "/records"));
        let grpc_out = out_cpu / gib(number(&got, "/records"));
        let (kafka_in, kafka_out) = (large_cpu / large.gib(), read_cpu / read.gib());
        let kafka_small = small_cpu / small.gib();
        Ok(vec![
            figure("Kafka path in, 1 MiB batches, CPU-s/GiB", kafka_in),
            figure("Kafka path in, 16 KiB batches, CPU-s/GiB", kafka_small),
            figure("ProduceStream, CPU-s/GiB", grpc_in),
            figure("ProduceStream to 1 MiB batches", grpc_in / kafka_in),
            figure("ProduceStream to 16 KiB batches", grpc_in / kafka_small),
            figure("Kafka path out, CPU-s/GiB", kafka_out),
            figure("Consume, CPU-s/GiB", grpc_out),
            figure("Consume to the Kafka path", grpc_out / kafka_out),
        ])
    })
}
