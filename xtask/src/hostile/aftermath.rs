//! What must be true when the storm is over: alive, small, no panic, nothing left open, the logs as
//! they were, nothing written outside of the data directory.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::conformance::process;

/// The most memory that may ever have been resident.
pub(super) const RESIDENT_KIB_MAX: u64 = 64 * 1024;
/// Longest name of a topic.
const NAME_BYTES_MAX: usize = 249;
const INTERNAL: &str = "@ottla";

/// A figure of `/metrics`.
pub(super) fn metric(address: &str, name: &str) -> Result<u64, String> {
    let page = get(address, "/metrics")?;
    let line = page.lines().find(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(' '))
    });
    let text = line.and_then(|line| line.rsplit(' ').next());
    let text = text.ok_or_else(|| format!("/metrics has no {name}"))?;
    text.parse()
        .map_err(|error| format!("{name} {text}: {error}"))
}

/// A page of the broker.
fn get(address: &str, path: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| format!("{path}: {error}"))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut page = String::new();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .and_then(|()| stream.read_to_string(&mut page))
        .map_err(|error| format!("{path}: {error}"))?;
    if page.starts_with("HTTP/1.1 200") {
        Ok(page)
    } else {
        Err(format!(
            "{path}: {}",
            page.lines().next().unwrap_or("no answer")
        ))
    }
}

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
