//! Schema registries, which keep what they know in a topic.
//!
//! The registries that read `_schemas`, a compacted topic, are in no package registry; their calls are
//! made by `conformance/frameworks/src/SchemasTopic.java`. Apicurio's is the program itself; its
//! journal is not compacted. Broker and registry are killed, and the next life must know what the last
//! one knew.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{World, jvm, rest};
use crate::conformance::broker::Broker;

const LIMIT: Duration = Duration::from_mins(3);
const SUBJECTS: usize = 20;
const VERSIONS: usize = 5;

/// Three lives of a registry on `_schemas`, the broker killed between them.
pub(super) fn schemas(world: &World) -> Result<String, String> {
    let mut broker = world.broker()?;
    let mut known: Option<String> = None;
    for (from, to) in [("0", "400"), ("400", "600"), ("600", "600")] {
        if known.is_some() {
            broker = broker.kill_and_restart()?;
        }
        let mut registry = jvm::java(&world.places, "256m", "SchemasTopic");
        registry.args([&broker.address, from, to]);
        let said = jvm::finish(registry, LIMIT)?;
        let after = |words: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(words));
            line.map(str::to_owned)
                .ok_or_else(|| format!("no '{words}' in: {said}"))
        };
        let (came_up, ended) = (after("came up: ")?, after("ended: ")?);
        if let Some(known) = &known
            && *known != came_up
        {
            return Err(format!("it ended with {known} and came up with {came_up}"));
        }
        known = Some(ended);
    }
    Ok(format!(
        "600 schemas in three lives of a registry, kill -9 of the broker between them: {}",
        known.unwrap_or_default()
    ))
}

/// Two lives of Apicurio Registry, it and the broker killed between them.
pub(super) fn apicurio(world: &World) -> Result<String, String> {
    let folder = TempDir::with_prefix("apicurio-").map_err(|error| error.to_string())?;
    let mut broker = world.broker()?;
    let port = rest::free_port()?;
    let subjects = format!("http://127.0.0.1:{port}/apis/ccompat/v7/subjects");
    let mut registry = start(world, &broker, port, &subjects, &folder)?;
    for subject in 0..SUBJECTS {
        for version in 0..VERSIONS {
            let url = format!("{subjects}/subject-{subject}/versions");
            rest::call("POST", &url, Some(&schema(version)))
                .map_err(|reason| format!("{reason}\n{}", registry.said()))?;
        }
    }
    let known = everything(&subjects)?;
    registry.kill();
    broker = broker.kill_and_restart()?;
    registry = start(world, &broker, port, &subjects, &folder)?;
    let found = everything(&subjects)?;
    registry.kill();
    broker.stop();
    if found != known {
        return Err(format!("it knew {known:?} and came up with {found:?}"));
    }
    let count = SUBJECTS * VERSIONS;
    Ok(format!(
        "{count} schemas known again after kill -9 of the registry and of the broker"
    ))
}

fn start(
    world: &World,
    broker: &Broker,
    port: u16,
    subjects: &str,
    folder: &TempDir,
) -> Result<jvm::Program, String> {
    let mut java = Command::new(jvm::newer_java()?);
    java.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    for (key, value) in [
        ("quarkus.http.host", "127.0.0.1"),
        ("quarkus.http.port", &port.to_string()),
        ("apicurio.storage.kind", "kafkasql"),
        ("apicurio.kafkasql.bootstrap.servers", &broker.address),
        ("apicurio.kafkasql.consumer.poll.timeout", "200"),
    ] {
        java.arg(format!("-D{key}={value}"));
    }
    java.arg("-jar");
    java.arg(world.places.cache.join("apicurio/quarkus-run.jar"));
    java.current_dir(folder.path());
    let log = world.places.cache.join("apicurio.log");
    let mut registry = jvm::Program::start(java, &log)?;
    registry.until("the registry answers", LIMIT, || {
        rest::call("GET", subjects, None).is_ok()
    })?;
    Ok(registry)
}

/// A record with one field more in each version, which older readers can do without.
fn schema(version: usize) -> Value {
    let field = |number: usize| json!({"name": format!("f{number}"), "type": "int", "default": 0});
    let fields: Vec<Value> = (0..=version).map(field).collect();
    let record = json!({"type": "record", "name": "R", "fields": fields});
    json!({"schema": record.to_string()})
}

/// Every version of every subject.
fn everything(subjects: &str) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    for subject in 0..SUBJECTS {
        for version in 1..=VERSIONS {
            let url = format!("{subjects}/subject-{subject}/versions/{version}");
            all.push(rest::call("GET", &url, None)?);
        }
    }
    Ok(all)
}
