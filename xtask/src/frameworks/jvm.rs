//! Java programs: the frameworks themselves, and ours on top of them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::conformance::{Places, process};

/// How much of a program's log is shown when it did not do its work.
const LOG_LINES_SHOWN: usize = 25;

/// How often it is looked at whether a program has come so far.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A program on the frameworks' jars.
pub(super) fn java(places: &Places, heap: &str, class: &str) -> Command {
    let home = places.cache.join("frameworks");
    let mut java = Command::new("java");
    java.arg(format!("-Xmx{heap}"));
    java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    java.args([
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        "-cp",
    ]);
    java.arg(format!(
        "{}:{}/*",
        home.join("classes").display(),
        home.join("jars").display()
    ));
    java.arg(class);
    java
}

/// A Java that Apicurio runs on; the others make do with 17.
pub(super) fn newer_java() -> Result<PathBuf, String> {
    const VERSION_MIN: u32 = 21;
    let homes = std::fs::read_dir("/usr/lib/jvm").map_err(|error| error.to_string())?;
    let is_newer = |home: &PathBuf| {
        let release = std::fs::read_to_string(home.join("release")).unwrap_or_default();
        let (_, version) = release.split_once("JAVA_VERSION=\"").unwrap_or_default();
        let major = version.split(['.', '"', '-']).next().unwrap_or_default();
        major.parse::<u32>().is_ok_and(|major| major >= VERSION_MIN)
    };
    homes
        .filter_map(|home| home.ok().map(|home| home.path()))
        .find(is_newer)
        .map(|home| home.join("bin/java"))
        .ok_or_else(|| format!("no Java {VERSION_MIN} or newer in /usr/lib/jvm"))
}

/// Runs a program of ours to its end; what it printed.
pub(super) fn finish(command: Command, limit: Duration) -> Result<String, String> {
    let shown = format!("{command:?}");
    let run = process::capture(command, limit)?;
    match run.complaint {
        None => Ok(run.stdout),
        Some(complaint) => Err(format!("{shown}\n{complaint}\n{}", tail(&run.stdout))),
    }
}

/// A program that runs until it is killed, at the latest when this is dropped.
#[derive(Debug)]
pub(super) struct Program {
    process: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it; what it says goes behind what is in the log.
    pub(super) fn start(mut command: Command, log: &Path) -> Result<Self, String> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = file.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let process = command
            .spawn()
            .map_err(|error| format!("cannot run {command:?}: {error}"))?;
        Ok(Self {
            process,
            log: log.to_path_buf(),
        })
    }

    /// Ends it as `kill -9` does.
    pub(super) fn kill(mut self) {
        process::kill(&mut self.process);
    }

    /// Waits until it is so; ends early where the program has ended.
    pub(super) fn until(
        &mut self,
        what: &str,
        limit: Duration,
        so: impl Fn() -> bool,
    ) -> Result<(), String> {
        let began = process::now();
        while !so() {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("{what}: it ended ({status})\n{}", self.said()));
            }
            if process::now().duration_since(began) > limit {
                return Err(format!("{what}: not within {limit:?}\n{}", self.said()));
            }
            process::pause(LOOK_EVERY);
        }
        Ok(())
    }

    /// The end of its log.
    pub(super) fn said(&self) -> String {
        tail(&std::fs::read_to_string(&self.log).unwrap_or_default())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        process::kill(&mut self.process);
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
    lines.get(from..).unwrap_or_default().join("\n")
}
