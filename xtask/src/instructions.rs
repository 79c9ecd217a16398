//! `cargo xtask instructions`: what parts of the data path cost in instructions of the processor, beside
//! what they cost when that was last looked at.
//!
//! The parts are functions of `crates/storage-disk/benches/instructions.rs`, run under callgrind, which
//! counts only what happens below them: the same on a busy machine as on a quiet one. The counts
//! that are agreed on stand in `instructions.txt` beside it. A part that costs more fails; one that
//! costs much less fails too, so that the gain is written down. Where the processor is of another kind
//! than the one they were counted on, other code runs: the counts are shown and not judged.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::conformance::install;
use crate::conformance::process::succeed;

const USAGE: &str = "usage: cargo xtask instructions [--write]

  --write   write the counts down as those that are agreed on
";

/// The part by which a count may differ from the one that is agreed on.
const DRIFT_MOST: f64 = 0.05;
const AGREED: &str = "crates/storage-disk/benches/instructions.txt";
const HEAD: &str = "\
# Instructions of a thousand runs of each part, counted by callgrind: cargo xtask instructions --write.
# The checksum's code depends on the processor; on another kind the counts are shown and not judged.
";
/// Begins the line with the kind of processor.
const COUNTED_ON: &str = "# counted on: ";

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let write = match arguments {
        [] => false,
        [flag] if flag == "--write" => true,
        _ => return Err(USAGE.to_owned()),
    };
    install::valgrind()?;
    let file = crate::root().join(AGREED);
    let said = |error: std::io::Error| format!("{AGREED}: {error}");
    let text = std::fs::read_to_string(&file).map_err(said)?;
    let agreed = parse(&text)?;
    let counted_on = text.lines().find_map(|line| line.strip_prefix(COUNTED_ON));
    let here = processor();
    let program = build()?;
    let mut counted = Vec::new();
    println!("| part | instructions | agreed on | drift |");
    println!("|---|--:|--:|--:|");
    for (part, before) in &agreed {
        let now = count(&program, part)?;
        let drift = drift(*before, now) * 100.0;
        println!("| {part} | {now} | {before} | {drift:+.1} % |");
        counted.push((part.clone(), now));
    }
    if write {
        return replace(&file, &here, &counted).map_err(said);
    }
    if counted_on != Some(here.as_str()) {
        println!("not judged: agreed on for {counted_on:?}, and this is {here:?}");
        return Ok(());
    }
    match drifted(&agreed, &counted) {
        parts if parts.is_empty() => Ok(()),
        parts => Err(format!(
            "these cost other than agreed on: {}\nif that is meant: cargo xtask instructions --write, and say why in the commit",
            parts.join(", ")
        )),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a committed file of the developers"
)]
fn replace(file: &Path, processor: &str, counted: &[(String, u64)]) -> std::io::Result<()> {
    let mut text = format!("{HEAD}{COUNTED_ON}{processor}\n");
    for (part, count) in counted {
        writeln!(text, "{part} {count}").expect("a String takes every write");
    }
    std::fs::write(file, text)
}

/// What the processor calls itself.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|rest| rest.split_once(':'));
    model.map_or("unknown", |(_, name)| name.trim()).to_owned()
}

/// Part and count on each line.
fn parse(text: &str) -> Result<Vec<(String, u64)>, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parts = lines.map(|line| {
        let (part, count) = line.split_once(' ')?;
        Some((part.to_owned(), count.parse().ok()?))
    });
    let parts: Option<Vec<_>> = parts.collect();
    parts.ok_or_else(|| format!("{AGREED}: a line is not PART COUNT"))
}

#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn drift(before: u64, now: u64) -> f64 {
    now as f64 / before.max(1) as f64 - 1.0
}

fn drifted(agreed: &[(String, u64)], counted: &[(String, u64)]) -> Vec<String> {
    let pairs = agreed.iter().zip(counted);
    let drifted = pairs.filter(|((_, before), (_, now))| drift(*before, *now).abs() > DRIFT_MOST);
    drifted.map(|((part, _), _)| part.clone()).collect()
}

/// Builds the program as releases are built.
fn build() -> Result<PathBuf, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--locked", "--quiet"]);
    cargo.args(["--package", "storage-disk", "--bench", "instructions"]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    cargo.current_dir(crate::root());
    let messages = succeed(cargo)?;
    let mut programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    programs
        .next_back()
        .ok_or_else(|| "cargo built no program".to_owned())
}

/// Runs one part under callgrind.
fn count(program: &Path, part: &str) -> Result<u64, String> {
    let folder = tempfile::TempDir::with_prefix("instructions-").map_err(|e| e.to_string())?;
    let output = folder.path().join("counts");
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--tool=callgrind");
    valgrind.arg(format!("--callgrind-out-file={}", output.display()));
    valgrind.arg(format!("--toggle-collect=instructions::{part}"));
    valgrind.arg(program).arg(part);
    succeed(valgrind)?;
    let counts = std::fs::read_to_string(&output).map_err(|error| error.to_string())?;
    let total = counts
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    match total.and_then(|total| total.trim().parse().ok()) {
        None | Some(0) => Err(format!("callgrind saw no function instructions::{part}")),
        Some(total) => Ok(total),
    }
}

#[cfg(test)]
mod tests {
    //! The file, and what counts as drift.

    use super::{drifted, parse};

    #[test]
    fn lines_of_the_file() {
        let parts = parse("# head\na 1\nb 200\n").unwrap();
        assert_eq!(parts, [("a".to_owned(), 1), ("b".to_owned(), 200)]);
        for wrong in ["a", "a b", "a -1", ""] {
            assert_eq!(parse(wrong).is_ok(), wrong.is_empty(), "{wrong:?}");
        }
    }

    #[test]
    fn more_and_less_than_a_twentieth_is_drift() {
        let of = |counts: [u64; 4]| {
            let parts = ["a", "b", "c", "d"].into_iter().map(str::to_owned);
            parts.zip(counts).collect::<Vec<_>>()
        };
        let agreed = of([1000, 1000, 1000, 1000]);
        assert_eq!(drifted(&agreed, &of([1049, 951, 1000, 1000])), [""; 0]);
        assert_eq!(
            drifted(&agreed, &of([1051, 949, 1000, 2000])),
            ["a", "b", "d"]
        );
    }
}
