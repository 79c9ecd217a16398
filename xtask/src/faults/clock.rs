//! The wall clock jumps by ten years, both ways, while the broker runs and while it is stopped:
//! nothing is deleted, and it serves on.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::Setup;
use super::load::{Load, TOPIC, Written, verify};
use crate::conformance::broker::Launch;

/// Debian's package faketime.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
const GOING_LIMIT: Duration = Duration::from_secs(20);
/// In turn, each for a while; the last is the true time.
const OFFSETS: [&str; 5] = ["+3650d", "+0", "-3650d", "+3650d", "+0"];

/// One journey.
pub(super) fn run(setup: &Setup) -> Result<(), String> {
    if !Path::new(LIBRARY).is_file() {
        println!("clocks: left out, there is no libfaketime (Debian: apt-get install faketime)");
        return Ok(());
    }
    let folder = TempDir::with_prefix("faults-").map_err(|error| error.to_string())?;
    let offset = folder.path().join("offset");
    set(&offset, "+0")?;
    let environment = vec![
        ("LD_PRELOAD", LIBRARY.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", offset.display().to_string()),
        // The file is looked at in every call, and timers keep the true time.
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let launch = Launch {
        environment,
        ..Launch::default()
    };
    let mut broker = setup.start_with(folder.path(), launch)?;
    let load = Load::start(&broker.address, 20_000, Duration::from_millis(2))?;
    let mut restarts = 0;
    let mut segments = 0;
    for to in OFFSETS {
        if !load.acknowledged(100, GOING_LIMIT) {
            return Err(format!("no record is taken before {to}"));
        }
        set(&offset, to)?;
        if !load.acknowledged(100, GOING_LIMIT) {
            return Err(format!("no record is taken at {to}"));
        }
        broker.kill();
        broker.start_again()?;
        super::await_broker(&broker)?;
        restarts += 1;
        let now = logs(folder.path())?;
        if now < segments {
            return Err(format!("{segments} segments became {now} at {to}"));
        }
        segments = now;
    }
    let written: Vec<Written> = load.finish()?;
    let count = verify(&broker.address, &written)?;
    println!(
        "clocks: {} jumps of ten years, {restarts} restarts; {count} acknowledged, none lost, {segments} segments, \
         none deleted",
        OFFSETS.len()
    );
    broker.stop();
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a file of a developer's tool")]
fn set(path: &Path, offset: &str) -> Result<(), String> {
    std::fs::write(path, offset).map_err(|error| format!("{}: {error}", path.display()))
}

fn logs(folder: &Path) -> Result<usize, String> {
    let mut count = 0;
    for partition in 0..super::load::PARTITIONS {
        let folder = folder.join(format!("data/{TOPIC}/partition{partition}"));
        let listed =
            std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let files = listed.flatten().map(|entry| entry.path());
        count += files
            .filter(|path| path.extension().is_some_and(|found| found == "log"))
            .count();
    }
    Ok(count)
}
