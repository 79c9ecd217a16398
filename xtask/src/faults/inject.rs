//! strace attached to a running broker: system calls that fail or take long.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::conformance::process;

const ATTACH_LIMIT: Duration = Duration::from_secs(20);

/// While this lives the broker is traced.
#[derive(Debug)]
pub(super) struct Injection {
    strace: Child,
    seen: PathBuf,
}

/// Which calls, on which file, and what becomes of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault<'a> {
    pub(super) calls: &'a str,
    pub(super) path: Option<&'a Path>,
    /// As in `strace -e inject=CALLS:WHAT`.
    pub(super) what: &'a str,
}

impl Injection {
    /// Attaches to all threads of a process; what strace writes goes into `folder`.
    #[expect(clippy::disallowed_methods, reason = "a file of a developer's tool")]
    pub(super) fn attach(
        process_id: u32,
        fault: &Fault<'_>,
        folder: &Path,
    ) -> Result<Self, String> {
        let Fault { calls, path, what } = fault;
        let seen = folder.join("strace");
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq", "-p", &process_id.to_string(), "-o"])
            .arg(&seen)
            .args(["-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:{what}")]);
        if let Some(path) = path {
            strace.arg("-P").arg(path);
        }
        let said = folder.join("strace.err");
        let errors = File::create(&said).map_err(|error| format!("{}: {error}", said.display()))?;
        strace
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        let strace = strace.spawn().map_err(|error| format!("strace: {error}"))?;
        let injection = Self { strace, seen };
        // The first call may fail, and end the process, before anybody looks.
        if process::until(ATTACH_LIMIT, || {
            injection.hits() > 0 || is_traced(process_id)
        }) {
            return Ok(injection);
        }
        let why = std::fs::read_to_string(&said).unwrap_or_default();
        Err(format!("strace cannot attach: {}", why.trim()))
    }

    /// How often a call was tampered with until now.
    pub(super) fn hits(&self) -> usize {
        let seen = std::fs::read_to_string(&self.seen).unwrap_or_default();
        let marks = ["(INJECTED)", "(DELAYED)"];
        marks.iter().map(|mark| seen.matches(mark).count()).sum()
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // It detaches when it is asked to end; killed, it would leave calls half done.
        let id = self.strace.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = process::wait(&mut self.strace, ATTACH_LIMIT);
    }
}

/// Whether every thread has a tracer.
fn is_traced(process_id: u32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{process_id}/task")) else {
        return false;
    };
    tasks.flatten().all(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        !status.contains("TracerPid:\t0\n")
    })
}
