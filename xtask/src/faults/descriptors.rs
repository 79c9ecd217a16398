//! Few descriptors under many partitions and a flood of connections: accepting pauses and goes on
//! by itself, and those who are connected notice nothing.

use std::net::TcpStream;
use std::time::Duration;

use tempfile::TempDir;

use super::Setup;
use super::load::{Answer, Load, verify};
use crate::conformance::broker::Launch;
use crate::conformance::process::{self, now};
use crate::wire::Wire;

const DESCRIPTORS: u32 = 700;
/// More than there are descriptors for sockets.
const CONNECTIONS: usize = 600;
/// More than there are descriptors for files.
const OTHER_PARTITIONS: i32 = 400;
const OTHERS: &str = "others";
const GOING_LIMIT: Duration = Duration::from_secs(20);
const RESUME_LIMIT: Duration = Duration::from_secs(1);

/// So many floods.
pub(super) fn run(setup: &Setup, floods: u64) -> Result<(), String> {
    let folder = TempDir::with_prefix("faults-").map_err(|error| error.to_string())?;
    let limit = format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}");
    let launch = Launch {
        before: vec!["prlimit".to_owned(), limit],
        ..Launch::default()
    };
    let mut broker = setup.start_with(folder.path(), launch)?;
    let mut wire = Wire::connect(&broker.address)?;
    wire.create_topic(OTHERS, OTHER_PARTITIONS)?;
    let load = Load::start(&broker.address, 200, Duration::from_millis(1))?;
    if !load.acknowledged(5, GOING_LIMIT) {
        return Err("the load does not get going".to_owned());
    }
    let mut slowest = Duration::ZERO;
    for flood in 1..=floods {
        // The kernel takes them whether the broker accepts or not.
        let connect = |_| TcpStream::connect(&broker.address).map_err(|error| error.to_string());
        let held = (0..CONNECTIONS)
            .map(connect)
            .collect::<Result<Vec<_>, _>>()?;
        let is_full = !process::answers_kafka(&broker.address);
        // Files are opened and closed meanwhile: more partitions than may be open.
        let untouched = touch_others(&mut wire);
        if !load.acknowledged(20, GOING_LIMIT) {
            return Err(format!(
                "flood {flood}: those who are connected are held up"
            ));
        }
        untouched.map_err(|error| format!("flood {flood}, on an old connection: {error}"))?;
        drop(held);
        let freed = now();
        if !process::until(RESUME_LIMIT, || process::answers_kafka(&broker.address)) {
            return Err(format!(
                "flood {flood}: nobody is accepted {RESUME_LIMIT:?} after it"
            ));
        }
        slowest = slowest.max(freed.elapsed());
        if !is_full {
            return Err(format!(
                "flood {flood}: there was room for more, nothing was shown"
            ));
        }
    }
    let written = load.finish()?;
    let mut answers = written.iter().flat_map(|written| &written.answers);
    if let Some((_, Answer::Refused(error))) =
        answers.find(|(_, answer)| matches!(answer, Answer::Refused(_)))
    {
        return Err(format!(
            "a writer that was connected before was refused: {error}"
        ));
    }
    broker.kill();
    broker.start_again()?;
    super::await_broker(&broker)?;
    let count = verify(&broker.address, &written)?;
    println!(
        "{DESCRIPTORS} descriptors: {floods} floods of {CONNECTIONS} connections; {count} acknowledged, none lost, \
         none refused; accepted again after at most {slowest:.1?}"
    );
    broker.stop();
    Ok(())
}

/// One record into each of the many partitions.
fn touch_others(wire: &mut Wire) -> Result<(), String> {
    for partition in 0..OTHER_PARTITIONS {
        let batch = super::load::batch(partition, 0, 100)?;
        wire.produced(&crate::wire::produce(OTHERS, partition, batch))?;
    }
    Ok(())
}
