//! One broker process under measurement: start, CPU and memory from `/proc`, stop.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Plan;
use crate::wire::{Wire, produce};
use records::{BatchBuilder, Codec};

/// The release that is compared with.
pub(super) const KAFKA_VERSION: &str = "4.4.0";

/// Clock ticks a second in `/proc/PID/stat` (USER_HZ, 100 on every Linux).
const TICKS_PER_SECOND: f64 = 100.0;

/// Whose process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ottla,
    Kafka,
}

/// A running broker on a fresh data directory.
#[derive(Debug)]
pub(super) struct Broker {
    kind: Kind,
    pub(super) address: String,
    pub(super) first_ack_ms: f64,
    child: Child,
    directory: PathBuf,
}

/// Fetches Kafka's jars.
pub(super) fn prepare_kafka() -> Result<(), String> {
    if !jars().exists() {
        let fetch = "dependency:copy-dependencies";
        let to = format!("-DoutputDirectory={}", jars().display());
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "-f", "conformance/kafka/pom.xml", fetch, &to]);
        succeed(maven.current_dir(crate::root()))?;
    }
    Ok(())
}

/// Builds ottla.
pub(super) fn prepare_ottla() -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--locked", "--package", "ottla"]);
    succeed(build.current_dir(crate::root()))
}

fn jars() -> PathBuf {
    crate::root().join("conformance/.cache/kafka/jars")
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}"))
    }
}

/// Starts a broker on a fresh directory and waits for its first acknowledged record; the clock runs
/// from before exec, and over the formatting that Kafka needs.
pub(super) fn start(kind: Kind, plan: &Plan) -> Result<Broker, String> {
    let directory = std::env::temp_dir().join(format!("ottla-compare-{}", std::process::id()));
    if directory.exists() {
        std::fs::remove_dir_all(&directory).map_err(|error| error.to_string())?;
    }
    std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    launch(kind, plan, directory)
}

fn launch(kind: Kind, plan: &Plan, directory: PathBuf) -> Result<Broker, String> {
    let began = Instant::now();
    let (child, address) = match kind {
        Kind::Ottla => start_ottla(plan, &directory)?,
        Kind::Kafka => start_kafka(&directory)?,
    };
    let mut broker = Broker {
        kind,
        address,
        first_ack_ms: 0.0,
        child,
        directory,
    };
    let patience = Duration::from_mins(2);
    while broker.acknowledges("first").is_err() {
        if began.elapsed() > patience {
            broker.stop();
            return Err(format!("{kind:?} acknowledged nothing within {patience:?}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    broker.first_ack_ms = began.elapsed().as_secs_f64() * 1000.0;
    Ok(broker)
}

fn start_ottla(plan: &Plan, directory: &Path) -> Result<(Child, String), String> {
    let mut child = Command::new(&plan.ottla)
        .args([
            "--port",
            "0",
            "--durability",
            &plan.durability,
            "--data-dir",
        ])
        .arg(directory.join("data"))
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", plan.ottla.display()))?;
    let output = child.stdout.take().ok_or("no standard output")?;
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| error.to_string())?;
        let words = line.split_whitespace();
        if let Some(address) = words
            .into_iter()
            .find(|word| word.starts_with("127.0.0.1:"))
        {
            return Ok((child, address.to_owned()));
        }
    }
    Err("ottla ended without saying where it listens".to_owned())
}

fn start_kafka(directory: &Path) -> Result<(Child, String), String> {
    let free = || -> std::io::Result<u16> {
        Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
            .local_addr()?
            .port())
    };
    let port = free().map_err(|error| error.to_string())?;
    let controller = free().map_err(|error| error.to_string())?;
    let file = directory.join("server.properties");
    let logs = directory.join("data");
    let properties = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
         log.dirs={}\noffsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\nlog.segment.bytes=134217728\n",
        logs.display()
    );
    std::fs::write(&file, properties).map_err(|error| error.to_string())?;
    let classpath = format!("{}/*", jars().display());
    let java = |class: &str| {
        let mut java = Command::new("java");
        // The heap and collector of Kafka's own start script.
        java.args([
            "-Xmx1G",
            "-Xms1G",
            "-server",
            "-XX:+UseG1GC",
            "-cp",
            &classpath,
            class,
        ]);
        java
    };
    if logs.exists() {
        return run_kafka(&mut java("kafka.Kafka"), &file, port);
    }
    let mut format = java("kafka.tools.StorageTool");
    format
        .args(["format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"])
        .arg(&file)
        .stdout(Stdio::null());
    succeed(&mut format)?;
    run_kafka(&mut java("kafka.Kafka"), &file, port)
}

fn run_kafka(java: &mut Command, file: &Path, port: u16) -> Result<(Child, String), String> {
    let java = java.arg(file).stdout(Stdio::null()).stderr(Stdio::null());
    let child = java.spawn().map_err(|error| format!("java: {error}"))?;
    Ok((child, format!("127.0.0.1:{port}")))
}

impl Broker {
    /// Whether a record of a topic is taken; the topic is made if it is not there.
    pub(super) fn acknowledges(&self, topic: &str) -> Result<(), String> {
        let mut wire = Wire::connect(&self.address)?;
        wire.create_topic(topic, 1)?;
        let mut batch = BatchBuilder::new(Codec::None);
        let built = batch
            .append(1, None, Some(b"first"), &[])
            .and_then(|()| batch.build());
        let batch = built.map_err(|error| error.to_string())?.into_bytes();
        wire.produced(&produce(topic, 0, batch)).map(drop)
    }

    /// Makes a topic. What it costs is over when this returns, or nearly.
    pub(super) fn topic(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<(), String> {
        Wire::connect(&self.address)?.create_topic_with(name, partitions, configs)
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Ends it as its owner would, and starts it again on the same directory; `first_ack_ms` is then
    /// that of the second start.
    pub(super) fn restart(mut self, plan: &Plan) -> Result<Self, String> {
        let mut kill = Command::new("kill");
        succeed(kill.args(["-TERM", &self.child.id().to_string()]))?;
        self.child.wait().map_err(|error| error.to_string())?;
        launch(self.kind, plan, self.directory)
    }

    /// The directory of one partition.
    pub(super) fn partition_directory(&self, topic: &str, partition: i32) -> PathBuf {
        let data = self.directory.join("data");
        match self.kind {
            Kind::Ottla => data.join(topic).join(format!("partition{partition}")),
            Kind::Kafka => data.join(format!("{topic}-{partition}")),
        }
    }

    /// CPU seconds of the process while `work` runs.
    pub(super) fn cpu_seconds<T>(
        &self,
        work: impl FnOnce() -> Result<T, String>,
    ) -> Result<(T, f64), String> {
        let before = self.cpu_ticks()?;
        let outcome = work()?;
        Ok((outcome, (self.cpu_ticks()? - before) / TICKS_PER_SECOND))
    }

    /// User and system ticks of all threads, ended ones included (proc(5), fields 14 and 15).
    fn cpu_ticks(&self) -> Result<f64, String> {
        let stat = self.proc("stat")?;
        let after_name = stat.rsplit_once(") ").ok_or("no name in stat")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let field = |number: usize| {
            fields
                .get(number - 3)
                .and_then(|text| text.parse::<f64>().ok())
        };
        Ok(field(14).ok_or("no utime")? + field(15).ok_or("no stime")?)
    }

    /// Resident memory now.
    pub(super) fn memory_mib(&self) -> Result<f64, String> {
        self.status_mib("VmRSS:")
    }

    /// The most that was ever resident.
    pub(super) fn memory_peak_mib(&self) -> Result<f64, String> {
        self.status_mib("VmHWM:")
    }

    fn status_mib(&self, name: &str) -> Result<f64, String> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok(kib.ok_or_else(|| format!("no {name} in status"))? / 1024.0)
    }

    fn proc(&self, file: &str) -> Result<String, String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    }

    /// Ends the process and removes its data.
    pub(super) fn stop(mut self) {
        // It may have ended by itself; what matters is that it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
