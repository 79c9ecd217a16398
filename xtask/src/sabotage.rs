//! `cargo xtask sabotage`: proves that the tests of the store would notice the loss of a safeguard.
//!
//! The tests are built once with the switches of crate `sabotage`. With no switch thrown all of
//! them must pass; then each switch in turn is thrown, and a test must fail: first those that the
//! table names, then any. A switch that no test notices fails the command.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use sabotage::{SWITCHES, Switch};

use crate::Outcome;
use crate::conformance::process::now;

const USAGE: &str = "usage: cargo xtask sabotage [NAME...]

  NAME   only these switches; without, all of crates/sabotage/src/table.rs
";

/// The crates with switches in them, and so the tests that must notice.
const PACKAGES: [&str; 3] = ["storage", "storage-disk", "vfs"];
/// A test that takes longer hangs, which a safeguard may well prevent.
const LIMIT: Duration = Duration::from_mins(5);
/// Test programs at a time.
const WORKERS: usize = 2;

/// A program of tests.
struct Program {
    package: String,
    path: PathBuf,
}

/// How a run of tests ended.
enum Ended {
    Green,
    /// Why not: the name of a test, or what happened to its program.
    Red(String),
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let wanted = wanted(arguments)?;
    let programs = build()?;
    if let Ended::Red(what) = run_all(&programs, None, "")? {
        return Err(format!("without a switch the tests fail: {what}"));
    }
    println!("no switch thrown: green");
    println!("| switch | what the process does without | caught by | s |");
    println!("|---|---|---|--:|");
    let next = AtomicUsize::new(0);
    let survivors = std::thread::scope(|scope| {
        let work = || -> Result<Vec<&str>, String> {
            let mut survivors = Vec::new();
            while let Some(switch) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                if !is_caught(&programs, switch)? {
                    survivors.push(switch.name);
                }
            }
            Ok(survivors)
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined
            .map(|found| found.unwrap_or_else(|_| Err("a worker panicked".to_owned())))
            .collect::<Result<Vec<_>, _>>()
    })?
    .concat();
    let (count, survived) = (wanted.len(), survivors.len());
    println!("sabotage: {count} switches, {} caught", count - survived);
    if survivors.is_empty() {
        return Ok(());
    }
    Err(format!("no test notices: {}", survivors.join(", ")))
}

fn wanted(names: &[String]) -> Result<Vec<&'static Switch>, String> {
    if names.is_empty() {
        return Ok(SWITCHES.iter().collect());
    }
    let find = |name: &String| {
        let found = SWITCHES.iter().find(|switch| switch.name == name);
        found.ok_or_else(|| format!("there is no switch '{name}'\n\n{USAGE}"))
    };
    names.iter().map(find).collect()
}

/// Builds the tests with the switches in them.
fn build() -> Result<Vec<Program>, String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["test", "--no-run", "--locked", "--quiet"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(["--features", "storage-disk/sabotage"])
        .args(PACKAGES.iter().flat_map(|package| ["-p", package]))
        .current_dir(crate::root())
        .stderr(Stdio::inherit());
    let built = command
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !built.status.success() {
        return Err("the tests with switches do not build".to_owned());
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let programs: Vec<Program> = messages.lines().filter_map(program).collect();
    if programs.is_empty() {
        return Err("cargo built no tests".to_owned());
    }
    Ok(programs)
}

/// The program of tests that a message of cargo tells of.
fn program(message: &str) -> Option<Program> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let path = PathBuf::from(message["executable"].as_str()?);
    let id = message["package_id"].as_str()?;
    let is_of = |package: &&&str| id.contains(&format!("/{package}#"));
    let package = PACKAGES.iter().find(is_of)?;
    let package = (*package).to_owned();
    message["profile"]["test"]
        .as_bool()?
        .then_some(Program { package, path })
}

/// Throws one switch; whether a test fails then. Prints its row.
fn is_caught(programs: &[Program], switch: &Switch) -> Result<bool, String> {
    let began = now();
    let (package, filter) = switch.caught_by;
    let likely: Vec<&Program> = programs.iter().filter(|it| it.package == package).collect();
    let mut ended = run_each(&likely, Some(switch.name), filter)?;
    let mut mark = "";
    if matches!(ended, Ended::Green) {
        mark = " (not among the likely)";
        ended = run_all(programs, Some(switch.name), "")?;
    }
    let seconds = now().duration_since(began).as_secs_f64();
    let (caught, by) = match ended {
        Ended::Green => (false, "NOTHING".to_owned()),
        Ended::Red(what) => (true, what + mark),
    };
    let (name, removes) = (switch.name, switch.removes);
    println!("| {name} | {removes} | {by} | {seconds:.1} |");
    Ok(caught)
}

fn run_all(programs: &[Program], switch: Option<&str>, filter: &str) -> Result<Ended, String> {
    run_each(&programs.iter().collect::<Vec<_>>(), switch, filter)
}

/// Runs the tests whose names contain `filter` until one fails.
fn run_each(programs: &[&Program], switch: Option<&str>, filter: &str) -> Result<Ended, String> {
    for program in programs {
        let ended = run_program(program, switch, filter)?;
        if matches!(ended, Ended::Red(_)) {
            return Ok(ended);
        }
    }
    Ok(Ended::Green)
}

fn run_program(program: &Program, switch: Option<&str>, filter: &str) -> Result<Ended, String> {
    let mut command = Command::new(&program.path);
    command
        .arg(filter)
        .current_dir(crate::root().join("crates").join(&program.package))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(switch) = switch {
        command.env("SABOTAGE", switch);
    }
    let shown = program.path.display();
    let mut child = command
        .spawn()
        .map_err(|error| format!("cannot run {shown}: {error}"))?;
    let lines = lines_of(&mut child);
    let failed = first_failure(&lines);
    if failed.is_some() {
        // One is enough, and what hangs does not end by itself.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("{shown}: {error}"))?;
    Ok(match failed {
        Some(what) => Ended::Red(what),
        None if status.success() => Ended::Green,
        None => Ended::Red(format!("{} ended with {status}", program.package)),
    })
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let (sender, receiver) = sync_channel(64);
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            // Nobody listens once a test has failed.
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The first test that fails, as soon as it does; `None` if the program ends without.
fn first_failure(lines: &Receiver<String>) -> Option<String> {
    let began = now();
    loop {
        let left = LIMIT.saturating_sub(now().duration_since(began));
        match lines.recv_timeout(left) {
            Ok(line) => {
                let test = line.strip_prefix("test ").unwrap_or_default();
                if let Some((name, _)) = test.split_once(" ... FAILED") {
                    return Some(name.to_owned());
                }
            }
            Err(RecvTimeoutError::Timeout) => return Some("a test that hangs".to_owned()),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}
