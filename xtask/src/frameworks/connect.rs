//! Kafka Connect: a worker copies the lines of a file through a topic into another file.
//!
//! The broker is killed while lines come, then the worker. Delivery is at least once, so at the end
//! every line is there; those that came twice are counted.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::mirror::write;
use super::{World, jvm, rest};
use crate::conformance::process;

const LINES: usize = 30_000;
/// Lines come in so many at once, with a rest between them: what is killed is in the middle of them.
const LINES_AT_ONCE: usize = 100;
const REST: Duration = Duration::from_millis(40);
const BROKER_KILLED_AT: usize = 5_000;
const WORKER_KILLED_AT: usize = 15_000;
const LIMIT: Duration = Duration::from_mins(3);
const WORKER: &str = "org.apache.kafka.connect.cli.ConnectDistributed";

struct Copy<'a> {
    world: &'a World,
    url: String,
    settings: PathBuf,
    input: PathBuf,
    output: PathBuf,
}

/// Copies all lines.
pub(super) fn run(world: &World) -> Result<String, String> {
    let folder = TempDir::with_prefix("connect-").map_err(|error| error.to_string())?;
    let mut broker = world.broker()?;
    let port = rest::free_port()?;
    let copy = Copy {
        world,
        url: format!("http://127.0.0.1:{port}"),
        settings: folder.path().join("worker.properties"),
        input: folder.path().join("in.txt"),
        output: folder.path().join("out.txt"),
    };
    write(&copy.settings, &settings(&broker.address, port))?;
    let mut worker = copy.worker()?;
    copy.connectors()?;
    let feeder = feed(&copy.input);
    copy.arrived(&mut worker, BROKER_KILLED_AT)?;
    broker = broker.kill_and_restart()?;
    copy.arrived(&mut worker, WORKER_KILLED_AT)?;
    worker.kill();
    let mut worker = copy.worker()?;
    copy.arrived(&mut worker, LINES)?;
    feeder
        .join()
        .unwrap_or_else(|_| Err("the lines could not be written".to_owned()))?;
    copy.healthy()?;
    let written = lines(&copy.output).len();
    broker.stop();
    Ok(format!(
        "{LINES} lines through a source and a sink, kill -9 of the broker at {BROKER_KILLED_AT} and of the worker \
         at {WORKER_KILLED_AT}: every line arrived, {} came again",
        written.saturating_sub(LINES)
    ))
}

impl Copy<'_> {
    /// Starts the worker and waits until it answers.
    fn worker(&self) -> Result<jvm::Program, String> {
        let mut java = jvm::java(&self.world.places, "512m", WORKER);
        java.arg(&self.settings);
        let log = self.world.places.cache.join("connect.log");
        let mut worker = jvm::Program::start(java, &log)?;
        let connectors = format!("{}/connectors", self.url);
        worker.until("the worker answers", LIMIT, || {
            rest::call("GET", &connectors, None).is_ok()
        })?;
        Ok(worker)
    }

    fn connectors(&self) -> Result<(), String> {
        let file = "org.apache.kafka.connect.file.FileStream";
        let source = json!({"name": "source", "config": {
            "connector.class": format!("{file}SourceConnector"), "tasks.max": "1",
            "file": self.input, "topic": "lines",
            "topic.creation.default.partitions": "3", "topic.creation.default.replication.factor": "1",
        }});
        let sink = json!({"name": "sink", "config": {
            "connector.class": format!("{file}SinkConnector"), "tasks.max": "2",
            "file": self.output, "topics": "lines",
        }});
        for connector in [source, sink] {
            rest::call(
                "POST",
                &format!("{}/connectors", self.url),
                Some(&connector),
            )?;
        }
        Ok(())
    }

    /// Waits until so many different lines have arrived.
    fn arrived(&self, worker: &mut jvm::Program, count: usize) -> Result<(), String> {
        worker.until(&format!("{count} lines"), LIMIT, || {
            let lines = lines(&self.output);
            let known = |line: &&String| line.starts_with("line ");
            lines.iter().filter(known).collect::<HashSet<_>>().len() >= count
        })
    }

    /// Both connectors and their tasks run.
    fn healthy(&self) -> Result<(), String> {
        for name in ["source", "sink"] {
            let status = rest::call(
                "GET",
                &format!("{}/connectors/{name}/status", self.url),
                None,
            )?;
            let tasks = status["tasks"]
                .as_array()
                .map_or(&[] as &[Value], Vec::as_slice);
            let running = |one: &Value| one["state"] == "RUNNING";
            if !running(&status["connector"]) || tasks.is_empty() || !tasks.iter().all(running) {
                return Err(format!("the connector is not well: {status}"));
            }
        }
        Ok(())
    }
}

/// Writes the lines bit by bit.
#[expect(
    clippy::disallowed_methods,
    reason = "a temporary file of a developer's tool"
)]
fn feed(input: &Path) -> thread::JoinHandle<Result<(), String>> {
    let input = input.to_path_buf();
    thread::spawn(move || {
        let mut file = File::create(&input).map_err(|error| error.to_string())?;
        for first in (0..LINES).step_by(LINES_AT_ONCE) {
            let several: Vec<String> = (first..first + LINES_AT_ONCE)
                .map(|number| format!("line {number} {}\n", "x".repeat(number % 50)))
                .collect();
            file.write_all(several.concat().as_bytes())
                .map_err(|error| error.to_string())?;
            process::pause(REST);
        }
        Ok(())
    })
}

fn lines(output: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(output).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn settings(bootstrap: &str, port: u16) -> String {
    format!(
        "bootstrap.servers={bootstrap}
group.id=connect
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
config.storage.topic=connect-configs
config.storage.replication.factor=1
offset.storage.topic=connect-offsets
offset.storage.replication.factor=1
offset.storage.partitions=5
status.storage.topic=connect-status
status.storage.replication.factor=1
status.storage.partitions=2
offset.flush.interval.ms=500
listeners=http://127.0.0.1:{port}
plugin.discovery=service_load
session.timeout.ms=6000
heartbeat.interval.ms=1000
scheduled.rebalance.max.delay.ms=0
consumer.metadata.max.age.ms=1000
"
    )
}
