//! `cargo xtask frameworks`: Connect, MirrorMaker 2, Streams and a schema registry do their work on a
//! broker that is killed in the middle.
//!
//! Each scenario says what must be true at the end whatever the broker is: with `--kafka` it is Apache
//! Kafka, which shows that the scenario asks for the right thing. The programs stand in
//! `conformance/frameworks`, the frameworks come by name from Maven. Must not know: any client's protocol.

mod connect;
mod jvm;
mod mirror;
mod registry;
mod rest;
mod streams;

use crate::Outcome;
use crate::conformance::broker::{self, Broker};
use crate::conformance::options::Target;
use crate::conformance::{Places, install, process};

const USAGE: &str = "usage: cargo xtask frameworks [--only NAME]... [--kafka]

  (nothing)     every framework on ottla
  --only NAME   only connect, schemas, apicurio, mirror or streams
  --kafka       on Apache Kafka, to check the scenarios
";

/// What a scenario has to work with.
#[derive(Debug)]
pub(crate) struct World {
    places: Places,
    target: Target,
}

/// A framework at work; what it did, in one sentence.
struct Scenario {
    name: &'static str,
    install: fn(&Places) -> Result<(), String>,
    /// Whether Apache Kafka is needed beside the broker under test.
    beside_kafka: bool,
    run: fn(&World) -> Result<String, String>,
}

static ALL: [Scenario; 5] = [
    Scenario {
        name: "connect",
        install: install::frameworks,
        beside_kafka: false,
        run: connect::run,
    },
    Scenario {
        name: "schemas",
        install: install::frameworks,
        beside_kafka: false,
        run: registry::schemas,
    },
    Scenario {
        name: "apicurio",
        install: install::apicurio,
        beside_kafka: false,
        run: registry::apicurio,
    },
    Scenario {
        name: "streams",
        install: install::frameworks,
        beside_kafka: false,
        run: streams::run,
    },
    Scenario {
        name: "mirror",
        install: install::frameworks,
        beside_kafka: true,
        run: mirror::run,
    },
];

/// Runs the scenarios that the arguments name, or all.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let (chosen, target) = parse(arguments)?;
    let world = World {
        places: Places::find()?,
        target,
    };
    let on_kafka = world.target == Target::Kafka;
    if on_kafka || chosen.iter().any(|scenario| scenario.beside_kafka) {
        install::kafka(&world.places)?;
    }
    install::kcat(&world.places)?;
    // Its command line makes the topics on either broker.
    broker::build_ottla(&world.places)?;
    let mut failed = Vec::new();
    for scenario in chosen {
        (scenario.install)(&world.places)?;
        let began = process::now();
        let said = (scenario.run)(&world);
        let seconds = process::now().duration_since(began).as_secs();
        let place = world.target.name();
        match said {
            Ok(said) => println!("{} on {place}, {seconds} s: {said}", scenario.name),
            Err(reason) => {
                println!("{} on {place}, {seconds} s: FAILED", scenario.name);
                failed.push(format!("{}: {reason}", scenario.name));
            }
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

fn parse(arguments: &[String]) -> Result<(Vec<&'static Scenario>, Target), String> {
    let mut target = Target::Ottla;
    let mut chosen = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--kafka" => target = Target::Kafka,
            "--only" => {
                let name = rest.next().map_or("", String::as_str);
                let found = ALL.iter().find(|scenario| scenario.name == name);
                chosen.push(
                    found.ok_or_else(|| format!("no framework is called '{name}'\n\n{USAGE}"))?,
                );
            }
            other => return Err(format!("unknown option '{other}'\n\n{USAGE}")),
        }
    }
    if chosen.is_empty() {
        chosen.extend(&ALL);
    }
    Ok((chosen, target))
}

impl World {
    /// A fresh broker of the kind under test.
    fn broker(&self) -> Result<Broker, String> {
        Broker::start(&self.places, &self.target)
    }

    /// Makes a topic.
    fn create(&self, broker: &Broker, topic: &str, partitions: u32) -> Result<(), String> {
        let mut ottla = std::process::Command::new(broker::ottla_binary(&self.places));
        ottla.args(["topic", "create", topic, "-b", &broker.address, "-p"]);
        ottla.arg(partitions.to_string());
        process::succeed(ottla).map(drop)
    }
}

#[cfg(test)]
mod tests;
