//! Consumer groups: offsets that are stored, members that join, and many groups. The client is
//! franz-go for both brokers.

use super::on_fresh;
use super::others::{load, number};
use crate::compare::Plan;
use crate::compare::broker::Kind;
use crate::compare::figures::{Figure, figure};
use serde_json::Value;

const TOPIC: &str = "groups";
/// Groups that store offsets at once.
const AT_ONCE: u64 = 256;
const MANY: u64 = 10_000;
/// Consumers that join, one after the other.
const JOINS: u64 = 20;

pub(super) fn groups(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        broker.topic(TOPIC, 1, &[])?;
        let told = |words: &str, numbers: &[u64]| load(broker, words, TOPIC, numbers);
        // The first offsets make `__consumer_offsets` on Kafka, and warm it.
        told("group-commits", &[AT_ONCE, u64::from(plan.seconds(10))])?;
        let (stored, stored_cpu) = told("group-commits", &[AT_ONCE, u64::from(plan.seconds(10))])?;
        let (classic, _) = told("group-join", &[JOINS, 0])?;
        let (consumer, _) = told("group-join", &[JOINS, 1])?;
        let before = broker.memory_mib()?;
        told("group-many", &[if plan.short { MANY / 16 } else { MANY }])?;
        let more = broker.memory_mib()? - before;
        let commits = number(&stored, "/records");
        Ok(vec![
            figure("offset commits/s", commits / number(&stored, "/seconds")),
            figure("offset commits per CPU-second", commits / stored_cpu),
            figure(
                "offset commit p50, ms",
                number(&stored, "/acknowledged/p50"),
            ),
            figure(
                "offset commit p99, ms",
                number(&stored, "/acknowledged/p99"),
            ),
            figure("join to first record, classic, p50, ms", joined(&classic)),
            figure("join to first record, KIP-848, p50, ms", joined(&consumer)),
            figure("more memory with 10,000 groups of one member, MiB", more),
        ])
    })
}

fn joined(told: &Value) -> f64 {
    number(told, "/end_to_end/p50")
}
