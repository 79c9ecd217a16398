//! EIO from the disk: a failed sync ends the process with its reason, a failed write takes one
//! partition offline, and nothing that was acknowledged is lost in either.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::Setup;
use super::inject::{Fault, Injection};
use super::load::{Answer, Load, PARTITIONS, TOPIC, Written, verify};
use crate::chance::Chance;
use crate::conformance::process;

/// What must become of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It ends with code 1 and the error in its last words.
    Ends,
    /// It goes on, and one partition takes no more records until the next start.
    OneOffline,
    /// The first or neither: what matters is that nothing is lost.
    Either,
}

/// Calls, whether only those on a log of the load, the error, and what must follow.
const CASES: [(&str, bool, &str, Then); 7] = [
    ("fdatasync,syncfs", false, "EIO", Then::Ends),
    ("fsync", false, "EIO", Then::Ends),
    ("pwrite64,pwritev,pwritev2", true, "EIO", Then::OneOffline),
    ("pwrite64,pwritev,pwritev2", false, "EIO", Then::Either),
    ("rename,renameat,renameat2", false, "EIO", Then::Either),
    ("ftruncate", false, "EIO", Then::Either),
    ("openat", false, "EIO", Then::Either),
];

const HIT_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(15);
/// How many of the calls pass before one fails, at most.
const PASSED_MAX: usize = 5;
/// Each log of the load fills a segment in 128 records.
const VALUE_BYTES: usize = 8 << 10;

/// Every case once.
pub(super) fn round(setup: &Setup, chance: &mut Chance) -> Result<(), String> {
    for case in CASES {
        one(setup, case, 1 + chance.below(PASSED_MAX))
            .map_err(|error| format!("{} {}: {error}", case.0, case.2))?;
    }
    Ok(())
}

fn one(
    setup: &Setup,
    (calls, only_a_log, error, then): (&str, bool, &str, Then),
    when: usize,
) -> Result<(), String> {
    let folder = TempDir::with_prefix("faults-").map_err(|error| error.to_string())?;
    let mut broker = setup.start(folder.path())?;
    let load = Load::start(&broker.address, VALUE_BYTES, Duration::ZERO)?;
    if !load.acknowledged(5, HIT_LIMIT) {
        return Err("the load does not get going".to_owned());
    }
    let log = folder.path().join(format!("data/{TOPIC}/partition0"));
    let log = log.join("00000000000000000000.log");
    let what = format!("error={error}:when={when}");
    let fault = Fault {
        calls,
        path: only_a_log.then_some(&*log),
        what: &what,
    };
    let process = broker.process().ok_or("no process")?;
    let injection = Injection::attach(process.id(), &fault, folder.path())?;
    let is_hit = process::until(HIT_LIMIT, || injection.hits() > 0);
    let limit = match then {
        Then::Ends => END_LIMIT,
        Then::OneOffline | Then::Either => Duration::from_secs(1),
    };
    let mut ended = None;
    process::until(limit, || {
        ended = process.try_wait().ok().flatten();
        ended.is_some()
    });
    drop(injection);
    broker.kill();
    let written = load.finish()?;
    let said = last_words(folder.path());
    let judged = match (is_hit, then, ended) {
        (false, ..) => Err(format!("no such call in {HIT_LIMIT:?}")),
        (_, Then::Ends, None) => Err("it goes on after a failed sync".to_owned()),
        (_, Then::OneOffline, Some(status)) => Err(format!("it ended ({status}): {said}")),
        (_, Then::OneOffline, None) => one_offline(&written),
        (_, _, Some(status)) if status.code() != Some(1) => Err(format!("{status}: {said}")),
        (_, _, Some(_)) if !said.contains("os error 5") => Err(format!("no reason: {said}")),
        _ => Ok(()),
    };
    judged?;
    broker.start_again()?;
    super::await_broker(&broker)?;
    let count = verify(&broker.address, &written)?;
    let end = ended.map_or_else(|| "goes on".to_owned(), |status| status.to_string());
    println!("  {calls:<27} {error} at call {when}: {end}; {count} acknowledged, none lost");
    Ok(())
}

/// One partition refuses to the end, the others were not hurt.
fn one_offline(all: &[Written]) -> Result<(), String> {
    let mut offline = 0;
    for written in all {
        let refused = |answer: &Answer| matches!(answer, Answer::Refused(error) if error.starts_with("produce gave error 56"));
        let Some(first) = written
            .answers
            .iter()
            .position(|(_, answer)| refused(answer))
        else {
            continue;
        };
        offline += 1;
        let later = written.answers.get(first..).unwrap_or_default();
        let is_taken = |answer: &Answer| matches!(answer, Answer::Acknowledged { .. });
        if later.iter().any(|(_, answer)| is_taken(answer)) {
            return Err("a record was taken after a write had failed".to_owned());
        }
    }
    match offline {
        1 => Ok(()),
        other => Err(format!(
            "{other} of {PARTITIONS} partitions are offline, not one"
        )),
    }
}

fn last_words(folder: &Path) -> String {
    let log = std::fs::read_to_string(super::log(folder)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}
