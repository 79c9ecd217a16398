//! The well-behaved client: writes records under acks=all and reads each back, all the while.
//!
//! None of its calls may fail, and what it reads must be what it wrote. Every now and then it comes
//! back over a new connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use kafka_wire::messages::{FetchRequest, ProduceRequest};
use records::{Batches, Codec, DecodeBudget};

use super::batches;
use crate::conformance::process::now;
use crate::wire::{FETCH_VERSION, Wire, fetch, produce};

/// The topic that is its own.
pub(super) const TOPIC: &str = "witness";
/// An answer that takes longer is a failure.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const ROUNDS_A_CONNECTION: u64 = 50;

/// What it saw.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) rounds: u64,
    /// From the produce to the record read back, in µs.
    pub(super) micros: Histogram<u64>,
    pub(super) failure: Option<String>,
}

/// Writes and reads until it is told to stop, or something fails.
pub(super) fn run(address: &str, now_ms: i64, stop: &AtomicBool) -> Result<Report, String> {
    let micros = Histogram::new_with_bounds(1, 60_000_000, 3).map_err(|e| e.to_string())?;
    let mut report = Report {
        rounds: 0,
        micros,
        failure: None,
    };
    while report.failure.is_none() && !stop.load(Ordering::Acquire) {
        let went = one_connection(address, now_ms, stop, &mut report);
        report.failure = went
            .err()
            .map(|what| format!("the well-behaved client, round {}: {what}", report.rounds));
    }
    Ok(report)
}

fn one_connection(
    address: &str,
    now_ms: i64,
    stop: &AtomicBool,
    report: &mut Report,
) -> Result<(), String> {
    let mut wire = Wire::connect(address)?;
    let limit = Some(ANSWER_LIMIT);
    wire.stream
        .set_read_timeout(limit)
        .map_err(|error| error.to_string())?;
    for _ in 0..ROUNDS_A_CONNECTION {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let started = now();
        let value = format!("record {}", report.rounds);
        let offset = write(&mut wire, now_ms, value.as_bytes())?;
        if u64::try_from(offset) != Ok(report.rounds) {
            return Err(format!("the record was given offset {offset}"));
        }
        read(&mut wire, offset, value.as_bytes())?;
        let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        report.micros.saturating_record(took.max(1));
        report.rounds += 1;
    }
    Ok(())
}

/// Writes one record; gives its offset.
fn write(wire: &mut Wire, now_ms: i64, value: &[u8]) -> Result<i64, String> {
    let batch = batches::good(Codec::None, 1, now_ms, value).map_err(|e| e.to_string())?;
    let request: ProduceRequest = produce(TOPIC, 0, Bytes::from(batch));
    wire.produced(&request)
}

/// Reads the record at an offset, which must be there and hold `value`.
fn read(wire: &mut Wire, offset: i64, value: &[u8]) -> Result<(), String> {
    let found = fetched(wire, TOPIC, offset)?;
    let (_, header, bytes) = Batches::new(&found)
        .next()
        .ok_or("an acknowledged record is not visible")?
        .map_err(|error| error.to_string())?;
    if header.base_offset.get() != offset {
        return Err(format!(
            "asked for {offset}, got {}",
            header.base_offset.get()
        ));
    }
    let bytes = Bytes::copy_from_slice(bytes);
    let mut budget = DecodeBudget::new(1 << 20);
    let mut opened = records::records(&bytes, &mut budget).map_err(|error| error.to_string())?;
    let record = opened
        .next()
        .ok_or("an empty batch")?
        .map_err(|error| error.to_string())?;
    if record.value.as_deref() != Some(value) {
        return Err(format!("the record at {offset} is another"));
    }
    Ok(())
}

/// What is in partition 0 of a topic from an offset on.
pub(super) fn fetched(wire: &mut Wire, topic: &str, offset: i64) -> Result<Bytes, String> {
    let request: FetchRequest = fetch(topic, &[offset], 1 << 20, 100);
    let response = wire.call(&request, FETCH_VERSION)?;
    let mut topics = response.responses.into_iter();
    let first = topics.find_map(|topic| topic.partitions.into_iter().next());
    let partition = first.ok_or("no partition in the answer")?;
    if partition.error_code != 0 {
        return Err(format!("fetch gave error {}", partition.error_code));
    }
    Ok(partition.records.unwrap_or_default())
}
