//! A sync that takes many seconds: whoever does not wait for it is answered at once, and memory
//! stays bounded however much is sent meanwhile.

use std::process::Command;
use std::time::Duration;

use hdrhistogram::Histogram;
use kafka_wire::messages::{ApiVersionsRequest, FetchRequest, MetadataRequest};
use tempfile::TempDir;

use super::Setup;
use super::inject::{Fault, Injection};
use super::load::{Load, TOPIC, verify};
use crate::conformance::install;
use crate::conformance::process::{self, now, pause};
use crate::damage::connect;
use crate::wire::{FETCH_VERSION, Wire, fetch};

const GOING_LIMIT: Duration = Duration::from_secs(20);
const ANSWER_P99_MAX_US: u64 = 50_000;
/// What writers may have handed over at the most, and the process beside it.
const RESIDENT_MIB_MAX: u64 = 512;
const VALUE_BYTES: usize = 512 << 10;
/// Writers beside the load, each with requests that nobody has answered.
const FLOOD: usize = 16;
const FLOOD_REQUESTS: usize = 64;
const API_VERSIONS_VERSION: i16 = 3;
const METADATA_VERSION: i16 = 12;

/// One stall of so long.
pub(super) fn run(setup: &Setup, stall: Duration) -> Result<(), String> {
    install::grpcurl(&setup.places)?;
    let folder = TempDir::with_prefix("faults-").map_err(|error| error.to_string())?;
    let mut broker = setup.start(folder.path())?;
    let load = Load::start(&broker.address, 1000, Duration::from_millis(1))?;
    if !load.acknowledged(20, GOING_LIMIT) {
        return Err("the load does not get going".to_owned());
    }
    let address = broker.address.clone();
    let process = broker.process().ok_or("no process")?;
    let micros = stall.as_micros();
    let fault = Fault {
        calls: "fdatasync,syncfs",
        path: None,
        what: &format!("delay_enter={micros}"),
    };
    let id = process.id();
    let injection = Injection::attach(id, &fault, folder.path())?;
    // A traced call is written down when it has ended; that it hangs is seen by what does not come.
    pause(Duration::from_millis(200));
    let until = now() + stall.saturating_sub(Duration::from_millis(500));
    let flood = flood(&address)?;
    let mut micros =
        Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).map_err(|e| e.to_string())?;
    let mut wire = connect(&address)?;
    let mut health = 0;
    while now() < until {
        for ask in [versions, metadata, cached] {
            let began = now();
            ask(&mut wire)?;
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            micros.saturating_record(took.max(1));
        }
        if micros.len() % 300 == 0 {
            serving(&setup.places.cache.join("bin/grpcurl"), &address)?;
            health += 1;
        }
    }
    let resident = process::figure(id, "status", "VmHWM:")? >> 10;
    drop(injection);
    drop(flood);
    if !load.acknowledged(1, stall + GOING_LIMIT) {
        return Err("nothing is acknowledged after the stall".to_owned());
    }
    let written = load.finish()?;
    broker.kill();
    broker.start_again()?;
    super::await_broker(&broker)?;
    let count = verify(&broker.address, &written)?;
    let p99 = micros.value_at_quantile(0.99);
    println!(
        "syncs of {stall:?}: {} other answers meanwhile, p50 {} µs, p99 {p99} µs; {health} gRPC health checks; \
         memory {resident} MiB with {} MiB pushed at it; {count} acknowledged, none lost",
        micros.len(),
        micros.value_at_quantile(0.5),
        (FLOOD * FLOOD_REQUESTS * VALUE_BYTES) >> 20,
    );
    broker.stop();
    if p99 > ANSWER_P99_MAX_US {
        return Err(format!("others wait for a slow disk: p99 {p99} µs"));
    }
    if resident > RESIDENT_MIB_MAX {
        return Err(format!(
            "memory grows while the disk is slow: {resident} MiB"
        ));
    }
    Ok(())
}

/// Connections that send and send, and read no answer; a thread each, because a full socket blocks.
fn flood(address: &str) -> Result<Vec<Wire>, String> {
    let mut wires = Vec::new();
    for number in 0..FLOOD {
        let wire = Wire::connect(address)?;
        let mut sender = wire.reader()?;
        let partition = i32::try_from(number).unwrap_or(0) % super::load::PARTITIONS;
        let batch = super::load::batch(partition, 0, VALUE_BYTES)?;
        let request = crate::wire::produce(TOPIC, partition, batch);
        let frame = crate::wire::frame(&request, crate::wire::PRODUCE_VERSION, 1)?;
        std::thread::spawn(move || {
            for _ in 0..FLOOD_REQUESTS {
                if sender.send(&frame).is_err() {
                    return;
                }
            }
        });
        wires.push(wire);
    }
    Ok(wires)
}

fn versions(wire: &mut Wire) -> Result<(), String> {
    let request = ApiVersionsRequest {
        client_software_name: "xtask".into(),
        client_software_version: "1".into(),
        ..ApiVersionsRequest::default()
    };
    wire.call(&request, API_VERSIONS_VERSION).map(drop)
}

fn metadata(wire: &mut Wire) -> Result<(), String> {
    wire.call(&MetadataRequest::default(), METADATA_VERSION)
        .map(drop)
}

fn cached(wire: &mut Wire) -> Result<(), String> {
    let request: FetchRequest = fetch(TOPIC, &[0], 10_000, 0);
    wire.call(&request, FETCH_VERSION).map(drop)
}

fn serving(grpcurl: &std::path::Path, address: &str) -> Result<(), String> {
    let mut grpcurl = Command::new(grpcurl);
    grpcurl.args(["-plaintext", "-max-time", "2", address]);
    grpcurl.arg("grpc.health.v1.Health/Check");
    let said = process::succeed(grpcurl)?;
    if said.contains("SERVING") && !said.contains("NOT_SERVING") {
        return Ok(());
    }
    Err(format!("health says {said}"))
}
