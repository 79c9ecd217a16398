//! `cargo xtask flights`: a real data set goes in through kcat and through the gRPC stream, and must
//! come out of every reader with the same SHA-256.
//!
//! With `--kill` the broker is killed with signal 9 in the middle of each way in and started again:
//! the producers go on, and afterwards every line must be there once, in order. Must not know how
//! any of the programs works.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Places;
use super::broker::{self, Broker};
use super::options::Target;
use super::{install, process};
use crate::Outcome;

const USAGE: &str = "usage: cargo xtask flights [--kill] [--kafka]

  --kill    kill -9 the broker in the middle of each way in, and start it again
  --kafka   on Apache Kafka, without what only ottla has: to check the check
";

const KCAT_TOPIC: &str = "flights-kcat";
const GRPC_TOPIC: &str = "flights-grpc";
/// The broker is killed when the log has this many of the 336,776 lines.
const KILL_AT: u64 = 60_000;
const LIMIT: Duration = Duration::from_mins(5);

/// One way out of the broker: a name and a shell pipeline that prints lines.
struct Reader {
    name: &'static str,
    pipeline: String,
}

struct Flights {
    places: Places,
    broker: Option<Broker>,
    on_ottla: bool,
    kill: bool,
}

/// Runs the flights through a broker.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut target = Target::Ottla;
    let mut kill = false;
    for argument in arguments {
        match argument.as_str() {
            "--kill" => kill = true,
            "--kafka" => target = Target::Kafka,
            other => return Err(format!("unknown option '{other}'\n\n{USAGE}")),
        }
    }
    let places = Places::find()?;
    install::kcat(&places)?;
    install::java(&places)?;
    install::flights(&places)?;
    let on_ottla = target == Target::Ottla;
    if on_ottla {
        broker::build_ottla(&places)?;
    } else {
        install::kafka(&places)?;
    }
    let broker = Broker::start(&places, &target)?;
    let mut flights = Flights {
        places,
        broker: Some(broker),
        on_ottla,
        kill,
    };
    flights.check()
}

impl Flights {
    fn check(&mut self) -> Outcome {
        let wanted = sum(&format!("cat '{}'", self.data().display()))?;
        eprintln!("the data set: {wanted}");
        let mut wrong = Vec::new();
        let mut ways_in = vec![(KCAT_TOPIC, self.kcat_in())];
        if self.on_ottla {
            ways_in.push((GRPC_TOPIC, self.grpc_in()));
        }
        for (topic, command) in ways_in {
            self.create(topic)?;
            self.push(topic, command)?;
            for reader in self.readers(topic) {
                let found = sum(&reader.pipeline).unwrap_or_else(|failure| failure);
                let verdict = if found == wanted {
                    "equal"
                } else {
                    found.as_str()
                };
                eprintln!("{topic} by {}: {verdict}", reader.name);
                if found != wanted {
                    wrong.push(format!("{topic} by {}", reader.name));
                }
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("not equal: {}", wrong.join(", ")))
        }
    }

    fn address(&self) -> &str {
        self.broker.as_ref().map_or("", |broker| &broker.address)
    }

    fn data(&self) -> PathBuf {
        self.places.cache.join("flights.jsonl")
    }

    fn program(&self, name: &str) -> String {
        self.places
            .cache
            .join("bin")
            .join(name)
            .display()
            .to_string()
    }

    /// gRPC producers create no topic; kcat's is created by producing to it.
    fn create(&self, topic: &str) -> Result<(), String> {
        if topic != GRPC_TOPIC {
            return Ok(());
        }
        let mut grpcurl = Command::new(self.program("grpcurl"));
        let question = format!(r#"{{"topic":"{topic}","partitions":1}}"#);
        grpcurl.args([
            "-plaintext",
            "-d",
            &question,
            self.address(),
            "broker.Broker/CreateTopic",
        ]);
        process::succeed(grpcurl).map(drop)
    }

    fn kcat_in(&self) -> Command {
        let mut kcat = Command::new("kcat");
        // -E: a broker that is away for a moment is no reason to end.
        kcat.args([
            "-E",
            "-b",
            self.address(),
            "-P",
            "-t",
            KCAT_TOPIC,
            "-p",
            "0",
        ]);
        for setting in [
            "log_level=0",
            "enable.idempotence=true",
            "reconnect.backoff.max.ms=500",
        ] {
            kcat.args(["-X", setting]);
        }
        kcat.arg("-l");
        kcat.arg(self.data());
        kcat
    }

    fn grpc_in(&self) -> Command {
        let mut flights = Command::new(self.program("flights"));
        flights
            .args(["produce", self.address(), GRPC_TOPIC])
            .arg(self.data());
        flights
    }

    /// Runs a producer to its end, with the broker killed in the middle of it if that is asked for.
    fn push(&mut self, topic: &str, mut producer: Command) -> Result<(), String> {
        let shown = format!("{producer:?}");
        let mut child = producer
            .stdin(Stdio::null())
            .spawn()
            .map_err(|e| format!("cannot run {shown}: {e}"))?;
        let killed = if self.kill {
            self.kill_in_the_middle(topic, &mut child)
        } else {
            Ok(())
        };
        let ended = process::wait(&mut child, LIMIT);
        killed?;
        match ended {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("{shown} failed ({status})")),
            None => Err(format!("{shown} did not end within {} s", LIMIT.as_secs())),
        }
    }

    fn kill_in_the_middle(&mut self, topic: &str, producer: &mut Child) -> Result<(), String> {
        let reached = process::until(LIMIT, || {
            self.log_end(topic).is_some_and(|end| end >= KILL_AT)
                || !matches!(producer.try_wait(), Ok(None))
        });
        if !reached || !matches!(producer.try_wait(), Ok(None)) {
            return Err(format!(
                "{topic} was filled before the broker could be killed"
            ));
        }
        let broker = self.broker.take().ok_or("the broker is gone")?;
        let restarted = broker.kill_and_restart()?;
        self.broker = Some(restarted);
        let found = self.log_end(topic).unwrap_or_default();
        eprintln!("{topic}: killed and started again with {found} records");
        Ok(())
    }

    /// The end of partition 0, as kcat's query prints it: `topic [0] offset 7`.
    fn log_end(&self, topic: &str) -> Option<u64> {
        let mut kcat = Command::new("kcat");
        let place = format!("{topic}:0:-1");
        kcat.args([
            "-b",
            self.address(),
            "-Q",
            "-t",
            &place,
            "-X",
            "log_level=0",
        ]);
        let said = process::succeed(kcat).ok()?;
        said.trim().rsplit(' ').next()?.parse().ok()
    }

    fn readers(&self, topic: &str) -> Vec<Reader> {
        let address = self.address();
        let java = self.places.cache.join("java");
        let (flights, grpcurl) = (self.program("flights"), self.program("grpcurl"));
        let mut all = vec![
            Reader {
                name: "kcat",
                pipeline: format!("kcat -b {address} -C -t {topic} -p 0 -o beginning -e -q"),
            },
            Reader {
                name: "Java",
                pipeline: format!(
                    "java -Xmx256m -cp '{0}/classes:{0}/jars/*' Lines {address} {topic}",
                    java.display()
                ),
            },
        ];
        if self.on_ottla {
            let question = format!(r#"{{"topic":"{topic}","offset":0,"until_end":true}}"#);
            let ottla = broker::ottla_binary(&self.places);
            all.push(Reader {
                name: "the generated Go client",
                pipeline: format!("'{flights}' consume {address} {topic}"),
            });
            all.push(Reader {
                name: "grpcurl",
                pipeline: format!(
                    "'{grpcurl}' -plaintext -d '{question}' {address} broker.Broker/Consume \
                     | '{flights}' decode"
                ),
            });
            all.push(Reader {
                name: "ottla consume",
                pipeline: format!(
                    "'{}' consume {topic} -b {address} -p 0 --from start -e -f '%v\\n'",
                    ottla.display()
                ),
            });
        }
        all
    }
}

/// The SHA-256 of what a pipeline prints; every part of it has to succeed.
fn sum(pipeline: &str) -> Result<String, String> {
    let mut bash = Command::new("bash");
    bash.args(["-o", "pipefail", "-c", &format!("{pipeline} | sha256sum")]);
    process::succeed(bash).map(|sum| sum.trim_end_matches(['-', ' ', '\n']).to_owned())
}
