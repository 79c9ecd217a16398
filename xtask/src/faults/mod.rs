//! `cargo xtask faults`: the release binary on a failing, full, slow disk, without descriptors, with
//! a wrong clock; always under load, and what was acknowledged is read back after a restart.
//!
//! Needs strace; the full disk needs the right to mount a tmpfs, the clocks need libfaketime. What
//! cannot be made here is said to be left out, and is no failure.

mod clock;
mod descriptors;
mod errors;
mod full;
mod inject;
mod load;
mod stall;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Outcome;
use crate::chance::{Chance, fresh_seed};
use crate::conformance::broker::{self, Broker, Launch};
use crate::conformance::{Places, process};

const USAGE: &str = "usage: cargo xtask faults [--errors N] [--full N] [--descriptors N] [--stalls N] [--clocks N] [--seed N]

  --errors N       each system call of the disk fails so often (1)
  --full N         the disk is full and has room again (5)
  --descriptors N  no descriptor is left, and again some (3)
  --stalls N       a sync takes 5 s, then 5 s more with each (1)
  --clocks N       the clock jumps by ten years, there and back (1)
  --seed N         which call fails

OTTLA_BIN names a binary to test; without it `cargo build --release` makes one.
";

/// How to start the broker under test.
#[derive(Debug)]
struct Setup {
    places: Places,
}

impl Setup {
    fn start(&self, folder: &Path) -> Result<Broker, String> {
        self.start_with(folder, Launch::default())
    }

    fn start_with(&self, folder: &Path, launch: Launch) -> Result<Broker, String> {
        let launch = Launch {
            log: Some(log(folder)),
            ..launch
        };
        Broker::ottla_in(&self.places, &launch, folder)
    }
}

/// Where a broker of this folder writes its log.
fn log(folder: &Path) -> PathBuf {
    folder.join("broker.log")
}

/// Waits until a broker that was started again answers.
fn await_broker(broker: &Broker) -> Result<(), String> {
    let limit = Duration::from_secs(30);
    if process::until(limit, || process::answers_kafka(&broker.address)) {
        return Ok(());
    }
    Err(format!("it does not start again within {limit:?}"))
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut counts = [1, 5, 3, 1, 1];
    let mut seed = fresh_seed();
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let value = rest.next().ok_or(USAGE)?;
        let number: u64 = value
            .parse()
            .map_err(|error| format!("{flag} {value}: {error}\n\n{USAGE}"))?;
        const FLAGS: [&str; 5] = [
            "--errors",
            "--full",
            "--descriptors",
            "--stalls",
            "--clocks",
        ];
        match FLAGS.iter().position(|known| known == flag) {
            Some(at) => counts[at] = number,
            None if flag == "--seed" => seed = number,
            None => return Err(USAGE.to_owned()),
        }
    }
    println!("seed {seed}");
    if !process::present("strace") {
        return Err("strace is needed (Debian: apt-get install strace)".to_owned());
    }
    let places = Places::find()?;
    broker::build_ottla(&places)?;
    println!("{}", broker::ottla_binary(&places).display());
    let setup = Setup { places };
    let mut chance = Chance::new(seed);
    let [errors, full, descriptors, stalls, clocks] = counts;
    for round in 1..=errors {
        println!("errors, round {round}");
        errors::round(&setup, &mut chance)?;
    }
    if full > 0 {
        full::run(&setup, full)?;
    }
    if descriptors > 0 {
        descriptors::run(&setup, descriptors)?;
    }
    for stall in 1..=stalls {
        stall::run(&setup, Duration::from_secs(5 * stall))?;
    }
    for _ in 0..clocks {
        clock::run(&setup)?;
    }
    Ok(())
}
