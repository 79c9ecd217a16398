//! Child processes: run to the end, run with a time limit, and stopped for certain.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a process that should end is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a client printed.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) stdout: String,
    /// Why the run does not count, with what the client said about it.
    pub(crate) complaint: Option<String>,
    pub(crate) seconds: f64,
}

/// Runs a command to its end; an error names the command and shows what it said.
pub(crate) fn succeed(mut command: Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run {shown}: {e}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("{shown} failed ({}): {}", done.status, said.trim()))
}

/// Whether a program is on the PATH.
pub(crate) fn present(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs a client, at most for `limit`, and keeps what it printed.
pub(crate) fn capture(mut command: Command, limit: Duration) -> Result<Run, String> {
    let shown = format!("{command:?}");
    let started = now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot run {shown}: {e}"))?;
    let stdout = collect(child.stdout.take().expect("stdout was piped"));
    let stderr = collect(child.stderr.take().expect("stderr was piped"));
    let status = wait(&mut child, limit);
    let text = |reader: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    let complaint = match status {
        Some(status) if status.success() => None,
        Some(status) => Some(format!("{status}: {}", stderr.trim())),
        None => Some(format!(
            "did not end within {} s: {}",
            limit.as_secs(),
            stderr.trim()
        )),
    };
    Ok(Run {
        stdout,
        complaint,
        seconds: now().duration_since(started).as_secs_f64(),
    })
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        // A client that was killed leaves what it had printed.
        let _ = from.read_to_end(&mut all);
        all
    })
}

/// Waits for the end, at most `limit`; kills what does not end.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let started = now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if now().duration_since(started) < limit => pause(LOOK_EVERY),
            Ok(None) | Err(_) => {
                kill(child);
                return None;
            }
        }
    }
}

/// Ends a process for certain.
pub(crate) fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Asks until it is so, at most `limit`.
pub(crate) fn until(limit: Duration, mut so: impl FnMut() -> bool) -> bool {
    let started = now();
    while now().duration_since(started) < limit {
        if so() {
            return true;
        }
        pause(LOOK_EVERY);
    }
    false
}

/// Whether a Kafka broker answers at the address: it is asked for its versions.
pub(crate) fn answers_kafka(address: &str) -> bool {
    const API_VERSIONS_V0: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let Ok(mut connection) = std::net::TcpStream::connect(address) else {
        return false;
    };
    let second = Some(Duration::from_secs(1));
    let limited = connection.set_read_timeout(second).is_ok();
    let mut head = [0_u8; 8];
    limited
        && connection.write_all(&API_VERSIONS_V0).is_ok()
        && connection.read_exact(&mut head).is_ok()
        && head[4..] == [0, 0, 0, 1]
}

/// A number of a file of `/proc/PID`, by the name in front of it.
pub(crate) fn figure(process_id: u32, file: &str, name: &str) -> Result<u64, String> {
    let path = format!("/proc/{process_id}/{file}");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("no {name} in {path}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a developer's tool measures real processes"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a developer's tool waits for real processes"
)]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}
