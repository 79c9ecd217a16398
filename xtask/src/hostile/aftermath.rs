//! What must be true when the storm is over: alive, small, no panic, nothing left open, the logs as
//! they were, nothing written outside of the data directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::conformance::process;
use crate::page::metric;

/// The most memory that may ever have been resident.
pub(super) const RESIDENT_KIB_MAX: u64 = 64 * 1024;
/// Longest name of a topic.
const NAME_BYTES_MAX: usize = 249;
const INTERNAL: &str = "@ottla";

/// Waits until only this question itself is an open connection; gives what is still open.
pub(super) fn open_connections(address: &str) -> Result<u64, String> {
    let mut open = Err("never asked".to_owned());
    process::until(Duration::from_secs(20), || {
        open = metric(address, "ottla_connections");
        matches!(open, Ok(0 | 1))
    });
    open
}

/// The most memory that was ever resident, in KiB, and what is resident now.
pub(super) fn resident_kib(process_id: u32) -> Result<(u64, u64), String> {
    let path = format!("/proc/{process_id}/status");
    let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let peak = figure("VmHWM:").ok_or("no VmHWM")?;
    let current = figure("VmRSS:").ok_or("no VmRSS")?;
    Ok((peak, current))
}

/// The bytes of every `.log` file of a topic.
pub(super) fn log_bytes(data: &Path, topic: &str) -> Result<BTreeMap<PathBuf, Vec<u8>>, String> {
    let mut logs = BTreeMap::new();
    for file in files(&data.join(topic))? {
        if file.extension().is_some_and(|extension| extension == "log") {
            let bytes =
                std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            logs.insert(file, bytes);
        }
    }
    Ok(logs)
}

/// Every file below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for entry in entries(folder)? {
        if entry.is_dir() {
            found.extend(files(&entry)?);
        } else {
            found.push(entry);
        }
    }
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let listed =
        std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(listed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect())
}

/// What is not where it should be: beside the data directory, in the working directory, at the
/// path that some topics were called, or under a name that no topic may have.
pub(super) fn misplaced(data: &Path, working_directory: &Path, outside: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    let beside = data.parent().unwrap_or(data);
    for entry in entries(beside).unwrap_or_default() {
        if entry != data {
            wrong.push(format!("{} beside the data directory", entry.display()));
        }
    }
    for entry in entries(working_directory).unwrap_or_default() {
        wrong.push(format!("{} in the working directory", entry.display()));
    }
    let escaped = beside.parent().map(|parent| parent.join("escaped"));
    for path in escaped.iter().map(PathBuf::as_path).chain([outside]) {
        if path.exists() {
            wrong.push(format!("{} exists", path.display()));
        }
    }
    for entry in entries(data).unwrap_or_default() {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if name != INTERNAL && !is_topic_name(&name) {
            wrong.push(format!("{} in the data directory", entry.display()));
        }
    }
    wrong
}

fn is_topic_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !matches!(name, "" | "." | "..") && name.len() <= NAME_BYTES_MAX && name.bytes().all(fits)
}
