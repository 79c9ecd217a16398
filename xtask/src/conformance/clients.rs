//! The table of clients: how each is installed and started.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Places, install};

/// A program that runs scenarios and prints a transcript.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) install: fn(&Places) -> Result<(), String>,
    /// Starts it with the broker's address and, if given, one scenario.
    pub(super) command: fn(&Places, &str, Option<&str>) -> Command,
    pub(super) time_limit: Duration,
}

const LIMIT: Duration = Duration::from_mins(8);

static ALL: [Client; 13] = [
    Client {
        name: "prober",
        install: |places| install::go(places, "prober"),
        command: |places, address, scenario| built(places, "prober", address, scenario),
        time_limit: LIMIT,
    },
    Client {
        name: "java",
        install: install::java,
        command: java,
        time_limit: LIMIT,
    },
    Client {
        name: "franz-go",
        install: |places| install::go(places, "franz-go"),
        command: |places, address, scenario| built(places, "franz-go", address, scenario),
        time_limit: LIMIT,
    },
    Client {
        name: "sarama",
        install: |places| install::go(places, "sarama"),
        command: |places, address, scenario| built(places, "sarama", address, scenario),
        time_limit: LIMIT,
    },
    Client {
        name: "kafka-go",
        install: |places| install::go(places, "kafka-go"),
        command: |places, address, scenario| built(places, "kafka-go", address, scenario),
        time_limit: LIMIT,
    },
    Client {
        name: "librdkafka",
        install: install::librdkafka,
        command: |places, address, scenario| built(places, "librdkafka", address, scenario),
        time_limit: LIMIT,
    },
    Client {
        name: "kcat",
        install: install::kcat,
        command: |places, address, scenario| {
            started(
                "bash",
                &places.suite.join("kcat/scenarios.sh"),
                address,
                scenario,
            )
        },
        time_limit: LIMIT,
    },
    Client {
        name: "aiokafka",
        install: install::python,
        command: |places, address, scenario| python(places, "scenarios.py", address, scenario),
        time_limit: LIMIT,
    },
    Client {
        name: "confluent",
        install: install::python,
        command: |places, address, scenario| python(places, "confluent.py", address, scenario),
        time_limit: LIMIT,
    },
    Client {
        name: "kafka-python",
        install: install::python,
        command: |places, address, scenario| python(places, "kafka_python.py", address, scenario),
        time_limit: LIMIT,
    },
    Client {
        name: "kafkajs",
        install: |places| install::npm(places, "kafkajs"),
        command: |places, address, scenario| {
            started(
                "node",
                &places.suite.join("kafkajs/scenarios.js"),
                address,
                scenario,
            )
        },
        time_limit: LIMIT,
    },
    Client {
        name: "platformatic",
        install: |places| install::npm(places, "platformatic"),
        command: |places, address, scenario| {
            started(
                "node",
                &places.suite.join("platformatic/scenarios.mjs"),
                address,
                scenario,
            )
        },
        time_limit: LIMIT,
    },
    Client {
        name: "tools",
        install: install::kafka_tools,
        command: |places, address, scenario| {
            let script = places.suite.join("kafka-tools/scenarios.sh");
            let mut command = started("bash", &script, address, scenario);
            command.env("KAFKA_TOOLS_JARS", places.cache.join("kafka-tools/jars"));
            command
        },
        time_limit: LIMIT,
    },
];

/// The clients of these names, or all.
pub(super) fn choose(names: &[String]) -> Result<Vec<&'static Client>, String> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let find = |name: &String| {
        ALL.iter()
            .find(|client| client.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = ALL.iter().map(|client| client.name).collect();
                format!(
                    "no client is called '{name}'; there are {}",
                    known.join(", ")
                )
            })
    };
    names.iter().map(find).collect()
}

fn built(places: &Places, name: &str, address: &str, scenario: Option<&str>) -> Command {
    let mut command = Command::new(places.cache.join("bin").join(name));
    command.arg(address).args(scenario);
    command
}

fn started(program: &str, script: &Path, address: &str, scenario: Option<&str>) -> Command {
    let mut command = Command::new(program);
    command.arg(script).arg(address).args(scenario);
    command
}

fn python(places: &Places, script: &str, address: &str, scenario: Option<&str>) -> Command {
    let python = places.cache.join("venv/bin/python").display().to_string();
    let script = places.suite.join("python").join(script);
    started(&python, &script, address, scenario)
}

fn java(places: &Places, address: &str, scenario: Option<&str>) -> Command {
    let mut command = Command::new("java");
    let cache = places.cache.join("java");
    command.args([
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
    ]);
    command.arg(format!(
        "{}:{}/*",
        cache.join("classes").display(),
        cache.join("jars").display()
    ));
    command.arg("Scenarios").arg(address).args(scenario);
    command
}
