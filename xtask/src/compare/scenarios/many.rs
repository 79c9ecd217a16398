//! Ten thousand of something that does nothing.

use super::on_fresh;
use crate::compare::Plan;
use crate::compare::broker::{Broker, Kind, start};
use crate::compare::figures::{Figure, figure};
use crate::wire::Wire;
use kafka_wire::messages::ApiVersionsRequest;

const TOPICS: i32 = 10;
const PARTITIONS_EACH: i32 = 1000;
const CONNECTIONS: u16 = 10_000;
/// A version that every broker speaks.
const API_VERSIONS_VERSION: i16 = 0;

pub(super) fn partitions(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    let broker = start(kind, plan)?;
    let empty = broker.memory_mib()?;
    let made = make(&broker);
    let before = broker.memory_mib()?;
    if let Err(error) = made {
        broker.stop();
        return Err(error);
    }
    let broker = broker.restart(plan)?;
    let after = broker.memory_mib()?;
    let figures = vec![
        figure(
            "clean restart to an acknowledged record, ms",
            broker.first_ack_ms,
        ),
        figure("memory without them, MiB", empty),
        figure("memory when they are made, MiB", before),
        figure("memory after the restart, MiB", after),
        figure(
            "more after the restart than without them, MiB",
            after - empty,
        ),
    ];
    broker.stop();
    Ok(figures)
}

fn make(broker: &Broker) -> Result<(), String> {
    (0..TOPICS).try_for_each(|topic| broker.topic(&format!("many-{topic}"), PARTITIONS_EACH, &[]))
}

pub(super) fn connections(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        let before = broker.memory_mib()?;
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut wire = Wire::connect(&broker.address)?;
            wire.call(&ApiVersionsRequest::default(), API_VERSIONS_VERSION)?;
            held.push(wire);
        }
        let more = broker.memory_mib()? - before;
        // All of them are still there.
        for wire in held.iter_mut().step_by(1000) {
            wire.call(&ApiVersionsRequest::default(), API_VERSIONS_VERSION)?;
        }
        Ok(vec![
            figure("more memory with them, MiB", more),
            figure("a connection, KiB", more * 1024.0 / f64::from(CONNECTIONS)),
        ])
    })
}
