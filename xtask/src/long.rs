//! `cargo xtask long TEST`: the tests of `.ci/run` with counts that take minutes to hours.
//!
//! One row and one function for each test. A row that runs tests of a crate goes through
//! [`simulation`], which is also how the short runs of `.ci/run` are started.

use std::process::{Command, Stdio};

use crate::Outcome;
use crate::chance::fresh_seed;

const USAGE: &str = "usage: cargo xtask long TEST

  power-cuts [--cuts N] [--seed N]   power cuts on the simulated disk (500000)
  flips [--kib N]                    every bit of a partition's files, one at a time (64 KiB)
  faults [--count N] [--seed N]      errors at every call to the simulated disk (100000)
  compaction [--runs N] [--seed N]   compactions against a model, with crashes (1000)
  states [--states N] [--seed N]     damaged and missing files on the simulated disk (1000000)
";

/// Runs the long form of a test.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let Some((test, rest)) = arguments.split_first() else {
        return Err(USAGE.to_owned());
    };
    match test.as_str() {
        "power-cuts" => power_cuts(rest),
        "flips" => flips(rest),
        "faults" => faults(rest),
        "compaction" => compaction(rest),
        "states" => states(rest),
        _ => Err(USAGE.to_owned()),
    }
}

fn power_cuts(arguments: &[String]) -> Outcome {
    let [cuts, seed] = numbers(arguments, [("--cuts", 500_000), ("--seed", fresh_seed())])?;
    simulation(
        "tests::power_cuts::",
        &[("OTTLA_CUTS", cuts), ("OTTLA_SEED", seed)],
    )
}

fn flips(arguments: &[String]) -> Outcome {
    let [kib] = numbers(arguments, [("--kib", 64)])?;
    simulation("no_flipped_bit", &[("OTTLA_FLIPS_KIB", kib)])
}

fn faults(arguments: &[String]) -> Outcome {
    let flags = [("--count", 100_000), ("--seed", fresh_seed())];
    let [count, seed] = numbers(arguments, flags)?;
    simulation(
        "tests::fault_sites::",
        &[("OTTLA_FAULTS", count), ("OTTLA_SEED", seed)],
    )
}

fn compaction(arguments: &[String]) -> Outcome {
    let [runs, seed] = numbers(arguments, [("--runs", 1000), ("--seed", fresh_seed())])?;
    simulation(
        "tests::compaction::",
        &[("OTTLA_RUNS", runs), ("OTTLA_SEED", seed)],
    )
}

fn states(arguments: &[String]) -> Outcome {
    let flags = [("--states", 1_000_000), ("--seed", 0)];
    let [states, seed] = numbers(arguments, flags)?;
    simulation(
        "tests::states::",
        &[("OTTLA_STATES", states), ("OTTLA_SEED", seed)],
    )
}

/// The values of flags that take a number each, or what they are without.
pub(crate) fn numbers<const N: usize>(
    arguments: &[String],
    flags: [(&str, u64); N],
) -> Result<[u64; N], String> {
    let mut values = flags.map(|(_, value)| value);
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let known = flags.iter().position(|(name, _)| name == flag);
        let (Some(at), Some(value)) = (known, rest.next()) else {
            return Err(USAGE.to_owned());
        };
        values[at] = value
            .parse()
            .map_err(|error| format!("{flag} {value}: {error}"))?;
    }
    Ok(values)
}

/// Runs the tests of the store whose names contain `filter`, optimised, with these settings.
pub(crate) fn simulation(filter: &str, settings: &[(&str, u64)]) -> Outcome {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args([
            "test",
            "--release",
            "--locked",
            "--quiet",
            "-p",
            "storage-disk",
            "--lib",
        ])
        .args(["--", "--nocapture", filter])
        .current_dir(crate::root())
        .stdin(Stdio::null());
    for (name, value) in settings {
        command.env(name, value.to_string());
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the tests named {filter} failed ({status})")),
        Err(error) => Err(format!("cannot run cargo: {error}")),
    }
}
