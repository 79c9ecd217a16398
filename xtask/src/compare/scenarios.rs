//! The scenarios of a comparison, each by its name.

mod beside;
mod curves;
mod floor;
mod groups;
mod latency;
mod many;
mod others;
mod throughput;

use super::Plan;
use super::bench::bench;
use super::broker::{Broker, Kind};
use super::figures::Figure;

/// One thing to be measured.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// What is measured, in a sentence.
    pub(super) about: &'static str,
    /// Whether Kafka is measured too.
    pub(super) kafka: bool,
    /// For a curve: what its places are.
    pub(super) axis: Option<&'static str>,
    /// Starts a broker, measures it, stops it.
    pub(super) measure: fn(Kind, &Plan) -> Result<Vec<Figure>, String>,
}

/// All of them, in the order in which they run.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "start",
        about: "exec to the first acknowledged record on an empty directory, and memory then",
        kafka: true,
        axis: None,
        measure: throughput::start,
    },
    Scenario {
        name: "throughput",
        about: "1 KiB records in batches of 1 MiB and of 16 KiB in, and out from the page cache",
        kafka: true,
        axis: None,
        measure: throughput::throughput,
    },
    Scenario {
        name: "small-records",
        about: "records of 100 bytes in batches of 1 MiB, beside those of 1 KiB",
        kafka: true,
        axis: None,
        measure: throughput::small_records,
    },
    Scenario {
        name: "compressed",
        about: "batches of 1 MiB as lz4 and zstd: CPU for what is on the wire, and for the records in it",
        kafka: true,
        axis: None,
        measure: throughput::compressed,
    },
    Scenario {
        name: "latency",
        about: "10,000 single records of 1 KiB a second over 6 partitions, in and out",
        kafka: true,
        axis: None,
        measure: latency::latency,
    },
    Scenario {
        name: "floor",
        about: "the same load, beside a program in C that only receives, writes, answers and hands out",
        kafka: false,
        axis: None,
        measure: floor::compare,
    },
    Scenario {
        name: "second-client",
        about: "single records and large batches by franz-go: does `ottla bench` flatter?",
        kafka: true,
        axis: None,
        measure: others::second_client,
    },
    Scenario {
        name: "grpc",
        about: "1 KiB records by ProduceStream and Consume, beside the Kafka protocol",
        kafka: false,
        axis: None,
        measure: others::grpc,
    },
    Scenario {
        name: "cold-reader",
        about: "5,000 records/s, quiet and beside a reader of segments that the page cache does not hold",
        kafka: true,
        axis: None,
        measure: beside::cold_reader,
    },
    Scenario {
        name: "rolls",
        about: "5,000 records/s, with large segments and with segments of 1 MiB",
        kafka: true,
        axis: None,
        measure: beside::rolls,
    },
    Scenario {
        name: "many-partitions",
        about: "10,000 partitions: memory, and a clean restart",
        kafka: true,
        axis: None,
        measure: many::partitions,
    },
    Scenario {
        name: "idle-connections",
        about: "10,000 connections that asked once: memory of the process",
        kafka: true,
        axis: None,
        measure: many::connections,
    },
    Scenario {
        name: "groups",
        about: "offsets of 256 groups at once, joins, and the memory of 10,000 groups",
        kafka: true,
        axis: None,
        measure: groups::groups,
    },
    Scenario {
        name: "curve-partitions",
        about: "single records, 64 in flight, over 1 to 10,000 partitions",
        kafka: true,
        axis: Some("partitions"),
        measure: curves::partitions,
    },
    Scenario {
        name: "curve-connections",
        about: "single records, 1,000 in flight, over 1 to 1,000 connections",
        kafka: true,
        axis: Some("connections"),
        measure: curves::connections,
    },
    Scenario {
        name: "curve-batches",
        about: "8 requests in flight, with batches of 1 KiB to 10 MiB",
        kafka: true,
        axis: Some("KiB a batch"),
        measure: curves::batches,
    },
    Scenario {
        name: "curve-fan-out",
        about: "1 to 20 readers of everything",
        kafka: true,
        axis: Some("readers"),
        measure: curves::fan_out,
    },
];

/// Partitions of topics, unless a scenario is about their number.
const PARTITIONS: i32 = 6;

/// Runs `measured` on a fresh broker, and stops it whatever comes of it.
fn on_fresh(
    kind: Kind,
    plan: &Plan,
    measured: impl FnOnce(&Broker) -> Result<Vec<Figure>, String>,
) -> Result<Vec<Figure>, String> {
    let broker = super::broker::start(kind, plan)?;
    let figures = measured(&broker);
    broker.stop();
    figures
}

/// Kafka's first GiB costs about half again as much as its second: both kinds of load warm it.
fn warm(broker: &Broker, plan: &Plan) -> Result<(), String> {
    if broker.kind() == Kind::Kafka {
        let volume = plan.volume(1024);
        let batches = "produce --topic warm --in-flight 8 --duration 1h --batch-size";
        bench(plan, broker, &format!("{batches} 1MiB --volume {volume}"))?;
        let volume = volume / 4;
        bench(plan, broker, &format!("{batches} 16KiB --volume {volume}"))?;
        let seconds = plan.seconds(5);
        let single = format!("e2e --rate 5000 --duration {seconds}s");
        bench(plan, broker, &single)?;
    }
    Ok(())
}
