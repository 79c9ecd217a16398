//! `cargo xtask fuzz`: every parser under coverage-guided fuzzing, for a while.
//!
//! Installs cargo-fuzz and a nightly toolchain where they are missing, builds all targets of `fuzz/`
//! once, writes the seeds and runs each target. A crash, a hang or too much memory makes the command
//! fail, with the command that repeats it. What is found becomes a test of the crate that it is
//! about. It must not know what a target does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::conformance::process::{present, succeed};
use crate::{Outcome, root};

const USAGE: &str = "usage: cargo xtask fuzz [--seconds N] [--seed N] [--jobs N] [TARGET...]

  --seconds N  how long each target runs (45)
  --seed N     begins another walk through the inputs (1)
  --jobs N     targets at a time (2)
  TARGET       nothing but these; see fuzz/targets
";

const CARGO_FUZZ_VERSION: &str = "0.13.2";
const TOOLCHAIN: &str = "nightly";
/// An input that takes longer is a hang.
const INPUT_SECONDS_MAX: u32 = 25;
const RSS_MB_MAX: u32 = 1024;
/// No input is worth one allocation of this size.
const ALLOCATION_MB_MAX: u32 = 256;
const INPUT_BYTES_MAX: u32 = 16 * 1024;
/// Freed memory is kept from being used again for a while; more of it finds little and costs much.
const SANITIZER: &str = "detect_odr_violation=0:quarantine_size_mb=16";

#[derive(Debug, PartialEq, Eq)]
struct Options {
    seconds: u32,
    seed: u32,
    jobs: u32,
    targets: Vec<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            seconds: 45,
            seed: 1,
            jobs: 2,
            targets: Vec::new(),
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut number = || {
                let value = rest.next().map_or("", String::as_str);
                let number = value.parse().ok().filter(|number: &u32| *number > 0);
                number.ok_or_else(|| format!("{argument} wants a number above 0, not '{value}'"))
            };
            match argument.as_str() {
                "--seconds" => options.seconds = number()?,
                "--seed" => options.seed = number()?,
                "--jobs" => options.jobs = number()?,
                target if !target.starts_with('-') => options.targets.push(target.to_owned()),
                other => return Err(format!("unknown option '{other}'\n\n{USAGE}")),
            }
        }
        Ok(options)
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let options = Options::parse(arguments)?;
    let folder = root().join("fuzz");
    let targets = chosen(targets_in(&folder)?, &options.targets)?;
    install()?;
    println!("building {} targets", targets.len());
    let mut build = nightly(&["cargo", "fuzz", "build"]);
    build.current_dir(root());
    succeed(build)?;
    let binaries = folder.join("target").join(host()?).join("release");
    let mut seeds = Command::new(binaries.join("seeds"));
    seeds.arg(folder.join("corpus"));
    succeed(seeds)?;
    println!(
        "{:<14} {:>10} {:>8} {:>9} {:>7} {:>5}",
        "target", "runs", "runs/s", "coverage", "corpus", "MB"
    );
    let failures = run_all(&folder, &binaries, &targets, &options);
    if failures.is_empty() {
        return Ok(());
    }
    Err(failures.join("\n"))
}

fn targets_in(folder: &Path) -> Result<Vec<String>, String> {
    let folder = folder.join("targets");
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut targets = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let stem = path.file_stem().unwrap_or_default();
        targets.push(stem.to_string_lossy().into_owned());
    }
    targets.sort();
    Ok(targets)
}

fn chosen(all: Vec<String>, named: &[String]) -> Result<Vec<String>, String> {
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        let known = all.join(", ");
        return Err(format!("there is no target '{unknown}'; there are {known}"));
    }
    let wanted = |name: &String| named.is_empty() || named.contains(name);
    Ok(all.into_iter().filter(wanted).collect())
}

fn nightly(words: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", TOOLCHAIN]).args(words);
    command
}

fn install() -> Outcome {
    if !present("rustup") {
        return Err("fuzzing needs rustup, which has the nightly toolchain".to_owned());
    }
    if succeed(nightly(&["rustc", "--version"])).is_err() {
        println!("installing the {TOOLCHAIN} toolchain");
        let mut install = Command::new("rustup");
        install.args(["toolchain", "install", TOOLCHAIN, "--profile", "minimal"]);
        succeed(install).map_err(|error| {
            format!("fuzzing needs the {TOOLCHAIN} toolchain, which cannot be installed: {error}")
        })?;
    }
    let version = succeed(nightly(&["cargo", "fuzz", "--version"])).unwrap_or_default();
    if version.trim() == format!("cargo-fuzz {CARGO_FUZZ_VERSION}") {
        return Ok(());
    }
    println!("installing cargo-fuzz {CARGO_FUZZ_VERSION}");
    let words = ["cargo", "install", "cargo-fuzz", "--locked", "--version"];
    let mut install = nightly(&words);
    install.arg(CARGO_FUZZ_VERSION);
    succeed(install).map(drop)
}

/// What the compiler calls this machine.
fn host() -> Result<String, String> {
    let said = succeed(nightly(&["rustc", "-vV"]))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| format!("rustc does not say its host: {said}"))
}

/// Runs the targets, so many at a time; what is wrong with those that failed.
fn run_all(folder: &Path, binaries: &Path, targets: &[String], options: &Options) -> Vec<String> {
    let started = AtomicUsize::new(0);
    let work = || {
        let mut failures = Vec::new();
        while let Some(target) = targets.get(started.fetch_add(1, Ordering::Relaxed)) {
            failures.extend(run_one(folder, &binaries.join(target), target, options).err());
        }
        failures
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.jobs).map(|_| scope.spawn(work)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<String>>| {
            worker
                .join()
                .unwrap_or_else(|_panic| vec!["a worker panicked".to_owned()])
        };
        workers.into_iter().flat_map(join).collect()
    })
}

fn run_one(folder: &Path, binary: &Path, target: &str, options: &Options) -> Outcome {
    let corpus = folder.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    for folder in [&corpus, &artifacts] {
        make(folder)?;
    }
    let done = Command::new(binary)
        .arg(corpus)
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-max_total_time={}", options.seconds))
        .arg(format!("-seed={}", options.seed))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={RSS_MB_MAX}"))
        .arg(format!("-malloc_limit_mb={ALLOCATION_MB_MAX}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg("-print_final_stats=1")
        .env("ASAN_OPTIONS", SANITIZER)
        .output()
        .map_err(|error| format!("{}: {error}", binary.display()))?;
    let said = String::from_utf8_lossy(&done.stderr);
    println!("{}", row(target, &said));
    if done.status.success() {
        return Ok(());
    }
    Err(complaint(target, &said))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a folder of the fuzzer, not a data directory"
)]
fn make(folder: &Path) -> Outcome {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// The figures at the end of what libFuzzer said.
fn row(target: &str, said: &str) -> String {
    let stat = |name: &str| {
        let mark = format!("stat::{name}:");
        let line = said.lines().rev().find_map(|line| line.strip_prefix(&mark));
        line.map_or("-", str::trim)
    };
    let progress = |name: &str| {
        let line = said.lines().rev().find(|line| line.contains(" cov: "));
        let mut words = line.unwrap_or_default().split_whitespace();
        words.find(|word| *word == name);
        words.next().unwrap_or("-")
    };
    let corpus = progress("corp:").split('/').next().unwrap_or("-");
    format!(
        "{target:<14} {:>10} {:>8} {:>9} {corpus:>7} {:>5}",
        stat("number_of_executed_units"),
        stat("average_exec_per_sec"),
        progress("cov:"),
        stat("peak_rss_mb"),
    )
}

/// What went wrong, and how to see it again.
fn complaint(target: &str, said: &str) -> String {
    let of_interest = |line: &&str| line.contains("panicked at") || line.contains("ERROR: ");
    let mut lines = said.lines().skip_while(|line| !of_interest(line)).take(3);
    let what: Vec<&str> = lines.by_ref().collect();
    let artifact = said
        .lines()
        .find_map(|line| Some(line.split_once("Test unit written to ")?.1));
    let again = match artifact {
        Some(path) => format!("cargo +{TOOLCHAIN} fuzz run {target} {}", shown(path)),
        None => format!("cargo +{TOOLCHAIN} fuzz run {target}"),
    };
    format!("{target} failed:\n{}\nagain: {again}", what.join("\n"))
}

/// A path as seen from the top of the repository.
fn shown(path: &str) -> String {
    let path = PathBuf::from(path);
    let relative = path.strip_prefix(root()).unwrap_or(&path);
    relative.display().to_string()
}

#[cfg(test)]
mod tests;
