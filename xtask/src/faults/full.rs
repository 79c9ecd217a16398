//! A disk that is full and has room again, under load: produces are refused with the reason, reads
//! and deletions go on, and so do produces once there is room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kafka_wire::messages::delete_topics::DeleteTopicsRequest;

use super::Setup;
use super::load::{Answer, Load, TOPIC, Written, verify};
use crate::conformance::process::{self, now};
use crate::damage::{connect, undamaged};

/// The reserve of the broker, and room for what one cycle writes.
const DISK_MIB: u64 = 256;
const CYCLE_MIB: u64 = 40;
/// The broker looks at the disk every few MiB: they are soon written.
const VALUE_BYTES: usize = 8 << 10;
/// Less than the reserve is left: appends are refused before the disk is.
const LEFT_MIB: u64 = 32;
const FULL_LIMIT: Duration = Duration::from_secs(10);
const RESUME_LIMIT: Duration = Duration::from_secs(2);
/// KAFKA_STORAGE_ERROR, and why.
const REFUSAL: &str = "produce gave error 56: no space: the disk of";
const DELETE_TOPICS_VERSION: i16 = 5;

/// A tmpfs of its own; gone when dropped.
#[derive(Debug)]
struct Disk {
    /// Holds the mount point and, beside it, the broker's log.
    folder: tempfile::TempDir,
}

impl Disk {
    fn mount(cycles: u64) -> Result<Self, String> {
        let folder = tempfile::TempDir::with_prefix("full-").map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        let size = format!("size={}m", DISK_MIB + CYCLE_MIB * cycles);
        mount.args(["-t", "tmpfs", "-o", &size, "ottla-full"]);
        mount.arg(folder.path());
        process::succeed(mount)?;
        Ok(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Takes all room but so much, a part at a time: the broker goes on writing meanwhile.
    fn fill(&self, left_mib: u64) -> Result<(), String> {
        const PART_MIB: u64 = 128;
        let mut filled_mib = 0;
        loop {
            let part_mib = self.free_mib()?.saturating_sub(left_mib).min(PART_MIB);
            if part_mib == 0 {
                return Ok(());
            }
            let mut fallocate = Command::new("fallocate");
            let (offset, size) = (format!("{filled_mib}M"), format!("{part_mib}M"));
            fallocate.args(["-o", &offset, "-l", &size]);
            fallocate.arg(self.filler());
            process::succeed(fallocate)?;
            filled_mib += part_mib;
        }
    }

    fn free_mib(&self) -> Result<u64, String> {
        let mut df = Command::new("df");
        df.args(["--output=avail", "--block-size=1M"])
            .arg(self.path());
        let said = process::succeed(df)?;
        let free = said
            .lines()
            .last()
            .and_then(|line| line.trim().parse().ok());
        free.ok_or_else(|| format!("df says {said}"))
    }

    #[expect(clippy::disallowed_methods, reason = "the filler is ours")]
    fn free(&self) -> Result<(), String> {
        std::fs::remove_file(self.filler()).map_err(|error| format!("the filler: {error}"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
    }
}

/// So many cycles.
pub(super) fn run(setup: &Setup, cycles: u64) -> Result<(), String> {
    let disk = match Disk::mount(cycles) {
        Ok(disk) => disk,
        Err(error) => {
            println!("full disk: left out, no tmpfs can be mounted here ({error})");
            return Ok(());
        }
    };
    let mut broker = setup.start(disk.path())?;
    let load = Load::start(&broker.address, VALUE_BYTES, Duration::from_millis(1))?;
    if !load.acknowledged(5, FULL_LIMIT) {
        return Err("the load does not get going".to_owned());
    }
    let mut full = Vec::new();
    let mut slowest = Duration::ZERO;
    for cycle in 1..=cycles {
        let doomed = format!("doomed-{cycle}");
        connect(&broker.address)?.create_topic(&doomed, 1)?;
        disk.fill(LEFT_MIB)?;
        if !load.refused(FULL_LIMIT) {
            return Err(format!("cycle {cycle}: records are taken on a full disk"));
        }
        let from = now();
        others_go_on(&broker.address, &doomed)
            .map_err(|error| format!("cycle {cycle}, on a full disk: {error}"))?;
        full.push((from, now()));
        let freed = now();
        disk.free()?;
        if !load.acknowledged(1, RESUME_LIMIT) {
            return Err(format!(
                "cycle {cycle}: nothing is taken {RESUME_LIMIT:?} after there is room"
            ));
        }
        slowest = slowest.max(freed.elapsed());
        if let Some(ended) = broker
            .process()
            .and_then(|process| process.try_wait().ok()?)
        {
            return Err(format!("cycle {cycle}: it ended ({ended})"));
        }
    }
    let written = load.finish()?;
    refused_aloud(&written, &full)?;
    broker.kill();
    broker.start_again()?;
    super::await_broker(&broker)?;
    let count = verify(&broker.address, &written)?;
    println!(
        "full disk: {cycles} cycles; {count} acknowledged, none lost; taken again after at most {slowest:.1?}"
    );
    broker.stop();
    Ok(())
}

/// Reads and deletions.
fn others_go_on(address: &str, doomed: &str) -> Result<(), String> {
    let mut wire = connect(address)?;
    if undamaged(&mut wire, (TOPIC, 0), 1)?.is_empty() {
        return Err("nothing can be read".to_owned());
    }
    let request = DeleteTopicsRequest {
        topics: Vec::new(),
        topic_names: vec![doomed.into()],
        timeout_ms: 5_000,
    };
    let response = wire.call(&request, DELETE_TOPICS_VERSION)?;
    match response.responses.first().map(|topic| topic.error_code) {
        Some(0) => Ok(()),
        other => Err(format!("deleting a topic: {other:?}")),
    }
}

/// While the disk was full every answer was error 56 with the disk in its message.
fn refused_aloud(all: &[Written], full: &[(Instant, Instant)]) -> Result<(), String> {
    for written in all {
        for (at, answer) in &written.answers {
            let is_within = full.iter().any(|(from, to)| from < at && at < to);
            match answer {
                Answer::Refused(error) if !error.starts_with(REFUSAL) => {
                    return Err(format!("refused without the reason: {error}"));
                }
                Answer::Acknowledged { offset, .. } if is_within => {
                    return Err(format!("offset {offset} was acknowledged on a full disk"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
