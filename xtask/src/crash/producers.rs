//! The producers: programs on two client libraries that write until their stdin ends.
//!
//! Each writes a line for every acknowledged record. A producer that ends by itself, or reports
//! that a record failed, fails the run: it was to ride through.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::conformance::Places;
use crate::conformance::{install, process};

use super::{PARTITIONS, TOPIC};

const FINISH_LIMIT: Duration = Duration::from_mins(2);

/// One producer.
#[derive(Debug)]
pub(super) struct Producer {
    /// Also the first word of its keys.
    pub(super) name: &'static str,
    child: Child,
    acks: PathBuf,
    /// How long its list of acknowledgements was when it was last looked at.
    acks_bytes: u64,
    complaints: PathBuf,
}

/// One acknowledged record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acknowledged {
    pub(super) partition: usize,
    /// Below 0 if the broker only said that it has the record.
    pub(super) offset: i64,
    pub(super) sequence: u64,
}

/// Fetches and builds both.
pub(super) fn install(places: &Places) -> Result<(), String> {
    install::go_program(
        places,
        &places.suite.join("crash/franz-go"),
        "crash-franz-go",
    )?;
    let requirements = places.suite.join("crash/python/requirements.txt");
    install::python_environment(places, "venv-crash", &requirements)
}

/// Starts both.
pub(super) fn start(
    places: &Places,
    address: &str,
    rate: u32,
    folder: &Path,
) -> Result<Vec<Producer>, String> {
    let go = Command::new(places.cache.join("bin/crash-franz-go"));
    let mut python = Command::new(places.cache.join("venv-crash/bin/python"));
    python.arg(places.suite.join("crash/python/produce.py"));
    let programs = [("franz-go", go), ("librdkafka", python)];
    let start = |(name, mut command): (&'static str, Command)| {
        let acks = folder.join(format!("{name}.acks"));
        let complaints = folder.join(format!("{name}.err"));
        command
            .args([address, TOPIC, &PARTITIONS.to_string(), &rate.to_string()])
            .arg(&acks)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(create(&complaints)?);
        let child = command
            .spawn()
            .map_err(|error| format!("cannot run {command:?}: {error}"))?;
        Ok(Producer {
            name,
            child,
            acks,
            acks_bytes: 0,
            complaints,
        })
    };
    programs.into_iter().map(start).collect()
}

fn create(path: &Path) -> Result<File, String> {
    File::create(path).map_err(|error| format!("{}: {error}", path.display()))
}

impl Producer {
    /// An error if it has ended.
    pub(super) fn check(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("{} ended ({status}): {}", self.name, self.said())),
            Err(error) => Err(format!("{}: {error}", self.name)),
        }
    }

    /// Whether it has written down acknowledgements since the last time.
    pub(super) fn wrote_more(&mut self) -> bool {
        let size = std::fs::metadata(&self.acks).map_or(0, |about| about.len());
        size > std::mem::replace(&mut self.acks_bytes, size)
    }

    /// Asks it to end and waits until all it has is acknowledged.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        drop(self.child.stdin.take());
        match process::wait(&mut self.child, FINISH_LIMIT) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("{} failed ({status}): {}", self.name, self.said())),
            None => Err(format!("{} did not end: {}", self.name, self.said())),
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.complaints).unwrap_or_default()
    }

    /// What it has written down until now. The last line may be half there.
    pub(super) fn acknowledged(&self) -> Result<Vec<Acknowledged>, String> {
        let text = std::fs::read_to_string(&self.acks)
            .map_err(|error| format!("{}: {error}", self.acks.display()))?;
        let whole = text
            .rfind('\n')
            .map_or("", |end| text.get(..end).unwrap_or_default());
        whole.lines().map(parse).collect()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        process::kill(&mut self.child);
    }
}

/// `partition offset sequence`.
pub(super) fn parse(line: &str) -> Result<Acknowledged, String> {
    let mut words = line.split(' ');
    let mut number = || -> Option<i64> { words.next()?.parse().ok() };
    let (partition, offset, sequence) = (number(), number(), number());
    let read = || {
        Some(Acknowledged {
            partition: usize::try_from(partition?).ok()?,
            offset: offset?,
            sequence: u64::try_from(sequence?).ok()?,
        })
    };
    read().ok_or_else(|| format!("not an acknowledgement: '{line}'"))
}
