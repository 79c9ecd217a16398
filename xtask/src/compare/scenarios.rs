//! The scenarios of a comparison, each by its name.

mod latency;
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
    /// Starts a broker, measures it, stops it.
    pub(super) measure: fn(Kind, &Plan) -> Result<Vec<Figure>, String>,
}

/// All of them, in the order in which they run.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "start",
        about: "exec to the first acknowledged record on an empty directory, and memory then",
        kafka: true,
        measure: throughput::start,
    },
    Scenario {
        name: "throughput",
        about: "1 KiB records in batches of 1 MiB and of 16 KiB in, and out from the page cache",
        kafka: true,
        measure: throughput::throughput,
    },
    Scenario {
        name: "latency",
        about: "10,000 single records of 1 KiB a second over 6 partitions, in and out",
        kafka: true,
        measure: latency::latency,
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
