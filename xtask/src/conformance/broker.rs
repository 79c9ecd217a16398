//! Brokers to test: Apache Kafka on one node, ottla, or one that runs already.
//!
//! A broker that was started here has a fresh data directory and is killed when dropped.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::Places;
use super::options::Target;
use super::process;

const START_LIMIT: Duration = Duration::from_secs(90);

/// What ottla is told beside its data directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Launch {
    /// 0 lets it choose.
    pub(crate) port: u16,
    pub(crate) arguments: Vec<String>,
    /// Where it writes its log; nowhere if absent.
    pub(crate) log: Option<PathBuf>,
    /// Words in front of its name: a program that starts it.
    pub(crate) before: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// The directory it runs in; ours if absent.
    pub(crate) working_directory: Option<PathBuf>,
}

/// A broker and how to reach it.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) address: String,
    process: Option<Child>,
    /// Starts it once more, on the same port and data.
    again: Option<Command>,
    /// Removed with the broker.
    data: Option<TempDir>,
}

impl Broker {
    pub(crate) fn start(places: &Places, target: &Target) -> Result<Self, String> {
        match target {
            Target::Ottla => {
                // As Kafka is told below: members hear soon of what changes.
                let soon = [
                    "--set",
                    "group.consumer.min.heartbeat.interval.ms=100",
                    "--set",
                    "group.consumer.heartbeat.interval.ms=200",
                ];
                let launch = Launch {
                    arguments: soon.map(str::to_owned).to_vec(),
                    ..Launch::default()
                };
                Self::start_ottla(places, &launch)
            }
            Target::Kafka => {
                let data = temporary_folder()?;
                let mut broker = Self::kafka_in(places, data.path())?;
                broker.data = Some(data);
                Ok(broker)
            }
            Target::Running(address) => Ok(Self {
                address: address.clone(),
                process: None,
                again: None,
                data: None,
            }),
        }
    }

    /// Starts ottla on a fresh directory.
    pub(crate) fn start_ottla(places: &Places, launch: &Launch) -> Result<Self, String> {
        let data = temporary_folder()?;
        let mut broker = Self::ottla_in(places, launch, data.path())?;
        broker.data = Some(data);
        Ok(broker)
    }

    /// Starts ottla on `folder/data`, which the caller keeps or removes.
    pub(crate) fn ottla_in(
        places: &Places,
        launch: &Launch,
        folder: &Path,
    ) -> Result<Self, String> {
        start_ottla(places, launch, folder)
    }

    /// Starts Apache Kafka on `folder/data`, which is formatted if it is not there.
    pub(crate) fn kafka_in(places: &Places, folder: &Path) -> Result<Self, String> {
        start_kafka(places, folder)
    }

    /// Ends the process as a service manager does, and waits for it.
    pub(crate) fn stop_cleanly(mut self, limit: Duration) -> Result<(), String> {
        let process = self.process.as_mut().ok_or("it was not started here")?;
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &process.id().to_string()]);
        process::succeed(kill)?;
        process::wait(process, limit)
            .map(drop)
            .ok_or_else(|| format!("it did not stop within {limit:?}"))
    }

    /// Kills the process as `kill -9` does, and leaves it so.
    pub(crate) fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            process::kill(process);
        }
    }

    /// Starts the killed process once more, on the same port and data, and does not wait for it.
    pub(crate) fn start_again(&mut self) -> Result<(), String> {
        let again = self.again.as_mut().ok_or("it was not started here")?;
        self.process = Some(spawn(again)?);
        Ok(())
    }

    /// The process, unless the broker was not started here.
    pub(crate) fn process(&mut self) -> Option<&mut Child> {
        self.process.as_mut()
    }

    /// Keeps the data directory when the broker is dropped; says where its parent is.
    pub(crate) fn keep_data(&mut self) -> Option<PathBuf> {
        self.data.take().map(TempDir::keep)
    }

    /// The data directory, unless the broker was not started here.
    pub(crate) fn data_folder(&self) -> Option<PathBuf> {
        self.data.as_ref().map(|folder| folder.path().join("data"))
    }

    /// Kills the process as `kill -9` does and starts it again where it was.
    pub(crate) fn kill_and_restart(mut self) -> Result<Self, String> {
        let (Some(process), Some(again)) = (&mut self.process, &mut self.again) else {
            return Err("a broker that was not started here is not killed".to_owned());
        };
        process::kill(process);
        self.process = Some(spawn(again)?);
        await_answer(self)
    }

    /// Ends the broker; the same as dropping it.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            process::kill(process);
        }
    }
}

/// Builds the release binary unless OTTLA_BIN names one.
pub(crate) fn build_ottla(places: &Places) -> Result<(), String> {
    if std::env::var_os("OTTLA_BIN").is_some() {
        return Ok(());
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--release", "--bin", "ottla"])
        .current_dir(&places.root);
    process::succeed(cargo).map(drop)
}

/// The binary under test.
pub(crate) fn ottla_binary(places: &Places) -> PathBuf {
    if let Some(given) = std::env::var_os("OTTLA_BIN") {
        return PathBuf::from(given);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| places.root.join("target"), PathBuf::from);
    target.join("release").join("ottla")
}

/// Starts ottla and reads its port from its banner.
fn start_ottla(places: &Places, launch: &Launch, folder: &Path) -> Result<Broker, String> {
    let binary = ottla_binary(places);
    let log = launch.log.as_deref().map(create).transpose()?;
    let on_port = |port: u16| -> Result<Command, String> {
        let mut words = launch.before.iter();
        let mut ottla = match words.next() {
            None => Command::new(&binary),
            Some(first) => {
                let mut before = Command::new(first);
                before.args(words).arg(&binary);
                before
            }
        };
        ottla.envs(launch.environment.iter().map(|(name, value)| (name, value)));
        ottla
            .args(["--port", &port.to_string(), "--data-dir"])
            .arg(folder.join("data"))
            .args(&launch.arguments);
        ottla.stdin(Stdio::null()).stdout(Stdio::null());
        ottla.stderr(match &log {
            // One open file for every start, so that a later one writes behind an earlier one.
            Some(log) => Stdio::from(log.try_clone().map_err(|e| format!("log: {e}"))?),
            None => Stdio::null(),
        });
        if let Some(directory) = &launch.working_directory {
            ottla.current_dir(directory);
        }
        Ok(ottla)
    };
    let mut child = spawn(on_port(launch.port)?.stdout(Stdio::piped()))?;
    let (sender, receiver) = mpsc::sync_channel(1);
    listen_for_port(child.stdout.take().expect("stdout was piped"), sender);
    let Ok(port) = receiver.recv_timeout(START_LIMIT) else {
        process::kill(&mut child);
        return Err("ottla ended or printed no address".to_owned());
    };
    await_answer(Broker {
        address: format!("127.0.0.1:{port}"),
        process: Some(child),
        again: Some(on_port(port)?),
        data: None,
    })
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    command
        .spawn()
        .map_err(|e| format!("cannot run {command:?}: {e}"))
}

/// Reads a stream to its end, so that the broker never waits for us, and sends the first port in it.
fn listen_for_port(stream: impl Read + Send + 'static, sender: SyncSender<u16>) {
    thread::spawn(move || {
        let mut sender = Some(sender);
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Some(port) = port_in(&line)
                && let Some(sender) = sender.take()
            {
                // The other stream may have told it already.
                let _ = sender.try_send(port);
            }
        }
    });
}

/// The port in a line such as `ottla 0.1.0 on 127.0.0.1:9092`.
fn port_in(line: &str) -> Option<u16> {
    let (_, behind) = ["127.0.0.1:", "localhost:"]
        .iter()
        .find_map(|host| line.split_once(host))?;
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|port| *port != 0)
}

/// Formats and starts Apache Kafka, broker and controller in one process.
fn start_kafka(places: &Places, folder: &Path) -> Result<Broker, String> {
    let data = folder.join("data");
    let is_new = !data.exists();
    let (port, controller_port) = (free_port()?, free_port()?);
    let properties = folder.join("server.properties");
    write(&properties, &kafka_properties(port, controller_port, &data))?;
    let jars = format!("{}/*", places.cache.join("kafka/jars").display());
    let java = || {
        let mut java = Command::new("java");
        // One small broker beside its clients: the quick compiler, one collector thread.
        java.args([
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            &jars,
        ]);
        java
    };
    if is_new {
        let mut format = java();
        format.args([
            "kafka.tools.StorageTool",
            "format",
            "-t",
            "b3R0bGEtY29uZm9ybWFuYw",
            "-c",
        ]);
        format.arg(&properties);
        process::succeed(format)?;
    }
    let log = places.cache.join("kafka/server.log");
    let mut server = java();
    server.arg("kafka.Kafka").arg(&properties);
    server
        .stdin(Stdio::null())
        .stdout(create(&log)?)
        .stderr(Stdio::null());
    await_answer(Broker {
        address: format!("127.0.0.1:{port}"),
        process: Some(spawn(&mut server)?),
        again: Some(server),
        data: None,
    })
}

fn kafka_properties(port: u16, controller_port: u16, data: &Path) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=200
log.initial.task.delay.ms=600000
log.segment.bytes=134217728
",
        data.display()
    )
}

fn await_answer(mut broker: Broker) -> Result<Broker, String> {
    let address = broker.address.clone();
    let process = broker
        .process
        .as_mut()
        .expect("this broker was just started");
    let mut ended = None;
    let up = process::until(START_LIMIT, || {
        ended = process.try_wait().ok().flatten();
        ended.is_some() || process::answers_kafka(&address)
    });
    match ended {
        Some(status) => Err(format!("the broker ended at once ({status})")),
        None if up => Ok(broker),
        None => Err(format!("no broker answers at {address}")),
    }
}

fn temporary_folder() -> Result<TempDir, String> {
    TempDir::with_prefix("conformance-").map_err(|e| format!("cannot make a temporary folder: {e}"))
}

fn free_port() -> Result<u16, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| format!("no free port: {e}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a temporary file of a developer's tool"
)]
fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a log file of a developer's tool"
)]
fn create(path: &Path) -> Result<File, String> {
    File::create(path).map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests;
