//! The loads: volume in, volume out, single records at a fixed rate.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use kafka_wire::messages::{FetchRequest, FetchResponse, ProduceRequest, ProduceResponse};
use kafka_wire::{Message, Reader, ResponseHeader};
use records::{BatchBuilder, Codec};

use crate::wire::{
    FETCH_VERSION, PRODUCE_VERSION, Wire, fetch as fetch_request, frame, produce as produce_request,
};

/// Partitions of every topic here.
pub(super) const PARTITIONS: i32 = 6;
const RECORD_BYTES: usize = 1024;
/// Requests in flight of the volume load.
const IN_FLIGHT: usize = 8;
const PARTITION_FETCH_BYTES: i32 = 1 << 20;

/// A batch of about `size_bytes` of 1 KiB records that do not compress.
pub(super) fn batch(size_bytes: usize) -> Result<Bytes, String> {
    let mut builder = BatchBuilder::new(Codec::None);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    // 40 bytes under the limit, for the header and the framing of the last record.
    while builder.is_empty() || builder.len_bytes() + RECORD_BYTES + 40 <= size_bytes {
        let value: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .take(RECORD_BYTES)
        .collect();
        builder
            .append(1, None, Some(&value), &[])
            .map_err(|error| error.to_string())?;
    }
    let batch = builder.build().map_err(|error| error.to_string())?;
    Ok(batch.into_bytes())
}

/// Writes `volume_bytes` in batches of `batch_bytes`; returns the bytes written.
pub(super) fn produce(
    address: &str,
    topic: &str,
    batch_bytes: usize,
    volume_bytes: u64,
) -> Result<u64, String> {
    let mut wire = Wire::connect(address)?;
    wire.create_topic(topic, PARTITIONS)?;
    let batch = batch(batch_bytes)?;
    let frames = (0..PARTITIONS)
        .map(|partition| {
            frame(
                &produce_request(topic, partition, batch.clone()),
                PRODUCE_VERSION,
                partition,
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    lead_all(&mut wire, &frames)?;
    let (mut sent, mut answered, mut written) = (0, 0, 0_u64);
    while written < volume_bytes || answered < sent {
        if written < volume_bytes && sent - answered < IN_FLIGHT {
            wire.send(&frames[sent % frames.len()])?;
            sent += 1;
            written += batch.len() as u64;
        } else {
            check_produced(&wire.receive()?)?;
            answered += 1;
        }
    }
    Ok(written)
}

/// Sends each frame until it is taken: a new topic's leaders may not be known at once.
pub(super) fn lead_all(wire: &mut Wire, frames: &[Bytes]) -> Result<(), String> {
    let patience = Instant::now() + Duration::from_secs(30);
    for frame in frames {
        loop {
            wire.send(frame)?;
            match check_produced(&wire.receive()?) {
                Ok(()) => break,
                Err(error) if Instant::now() > patience => return Err(error),
                Err(_not_yet) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
    Ok(())
}

pub(super) fn check_produced(body: &Bytes) -> Result<(), String> {
    let (_, at) = ResponseHeader::parse(body, ProduceRequest::KEY, PRODUCE_VERSION)
        .map_err(|e| e.to_string())?;
    let response = ProduceResponse::decode(&mut Reader::at(body.clone(), at), PRODUCE_VERSION)
        .map_err(|error| error.to_string())?;
    let partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    match partitions
        .map(|partition| partition.error_code)
        .find(|code| *code != 0)
    {
        None => Ok(()),
        Some(code) => Err(format!("produce failed with error {code}")),
    }
}

/// Reads `volume_bytes` from the start of a topic; returns the bytes read.
pub(super) fn fetch(address: &str, topic: &str, volume_bytes: u64) -> Result<u64, String> {
    let mut wire = Wire::connect(address)?;
    let mut offsets = vec![0_i64; PARTITIONS as usize];
    let mut read = 0_u64;
    while read < volume_bytes {
        let request = fetch_request(topic, &offsets, PARTITION_FETCH_BYTES, 500);
        let response = wire.call(&request, FETCH_VERSION)?;
        let got = advance(&response, &mut offsets)?;
        if got == 0 {
            break;
        }
        read += got;
    }
    Ok(read)
}

/// Moves the offsets past what came; returns how many bytes that was.
fn advance(response: &FetchResponse, offsets: &mut [i64]) -> Result<u64, String> {
    let mut bytes = 0;
    for partition in response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
    {
        if partition.error_code != 0 {
            return Err(format!("fetch failed with error {}", partition.error_code));
        }
        let Some(found) = &partition.records else {
            continue;
        };
        bytes += found.len() as u64;
        for batch in records::Batches::new(found) {
            let (_, header, _) = batch.map_err(|error| error.to_string())?;
            let place = usize::try_from(partition.partition_index).map_err(|e| e.to_string())?;
            offsets[place] = header.next_offset().get();
        }
    }
    Ok(bytes)
}

/// What single records took, from the moment at which each was meant to be sent.
#[derive(Debug)]
pub(super) struct Latency {
    /// Until the acknowledgement: median and 99th percentile, in ms.
    pub(super) ack: (f64, f64),
    /// Until a reader has the record: the same.
    pub(super) end_to_end: (f64, f64),
}

/// Sends `rate` records of 1 KiB a second for `seconds`, one a request, in open loop over one
/// connection a partition, and reads them back as they become visible.
pub(super) fn single(
    address: &str,
    topic: &str,
    rate: u32,
    seconds: u32,
) -> Result<Latency, String> {
    let mut first = Wire::connect(address)?;
    first.create_topic(topic, PARTITIONS)?;
    let batch = batch(1)?;
    let mut frames = Vec::new();
    let mut wires = Vec::new();
    for partition in 0..PARTITIONS {
        let request = produce_request(topic, partition, batch.clone());
        frames.push(frame(&request, PRODUCE_VERSION, partition)?);
        wires.push(Wire::connect(address)?);
    }
    // One record through every partition: the load is measured, not the first use.
    lead_all(&mut first, &frames)?;
    let count = u64::from(rate) * u64::from(seconds);
    let interval = Duration::from_secs(1) / rate;
    let done = AtomicBool::new(false);
    let began = Instant::now() + Duration::from_millis(200);
    let intended = move |number: u64| began + interval * u32::try_from(number).unwrap_or(u32::MAX);
    std::thread::scope(|scope| {
        let mut acks = Vec::new();
        for (partition, wire) in (0..).zip(&wires) {
            let answers = wire.reader()?;
            acks.push(scope.spawn(move || read_acks(answers, (partition, count), intended)));
        }
        let seen = scope.spawn(|| read_records(address, topic, count, intended, &done));
        for number in 0..count {
            let wait = intended(number).saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            let partition = usize::try_from(number).unwrap_or_default() % frames.len();
            wires[partition].send(&frames[partition])?;
        }
        let mut all = histogram()?;
        for acks in acks {
            let of_one = acks
                .join()
                .map_err(|_panic| "a reader of acks panicked")??;
            all.add(of_one).map_err(|error| error.to_string())?;
        }
        done.store(true, Ordering::Release);
        let seen = seen
            .join()
            .map_err(|_panic| "the reader of records panicked")??;
        Ok(Latency {
            ack: quantiles(&all),
            end_to_end: quantiles(&seen),
        })
    })
}

pub(super) fn histogram() -> Result<Histogram<u64>, String> {
    Histogram::new_with_bounds(1, 60_000_000, 3).map_err(|error| error.to_string())
}

/// Median and 99th percentile, in ms.
fn quantiles(histogram: &Histogram<u64>) -> (f64, f64) {
    let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    (ms(0.5), ms(0.99))
}

fn record_since(histogram: &mut Histogram<u64>, intended: Instant) {
    let micros = Instant::now()
        .saturating_duration_since(intended)
        .as_micros();
    histogram.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX).max(1));
}

/// Answers come in the order of the requests: the n-th one of a partition is for its n-th record.
fn read_acks(
    mut wire: Wire,
    (partition, count): (u64, u64),
    intended: impl Fn(u64) -> Instant,
) -> Result<Histogram<u64>, String> {
    let mut histogram = histogram()?;
    for number in (partition..count).step_by(PARTITIONS as usize) {
        let body = wire.receive()?;
        record_since(&mut histogram, intended(number));
        check_produced(&body)?;
    }
    Ok(histogram)
}

/// Record `n` of the load is record `n / PARTITIONS` of partition `n % PARTITIONS`, after the one
/// that was sent there before the load.
fn read_records(
    address: &str,
    topic: &str,
    count: u64,
    intended: impl Fn(u64) -> Instant,
    done: &AtomicBool,
) -> Result<Histogram<u64>, String> {
    let mut wire = Wire::connect(address)?;
    let mut histogram = histogram()?;
    let mut offsets = vec![1_i64; PARTITIONS as usize];
    let mut seen = 0;
    while seen < count {
        let before = offsets.clone();
        let request: FetchRequest = fetch_request(topic, &offsets, PARTITION_FETCH_BYTES, 100);
        let response = wire.call(&request, FETCH_VERSION)?;
        let got = advance(&response, &mut offsets)?;
        for (partition, (from, to)) in (0_u64..).zip(before.iter().zip(&offsets)) {
            for offset in *from..*to {
                let number = u64::try_from(offset - 1).unwrap_or_default()
                    * u64::from(PARTITIONS.unsigned_abs())
                    + partition;
                record_since(&mut histogram, intended(number));
                seen += 1;
            }
        }
        if got == 0 && seen < count && done.load(Ordering::Acquire) {
            return Err(format!("{seen} of {count} records became visible"));
        }
    }
    Ok(histogram)
}
