//! A load in closed loop: so many requests in flight, each answered one replaced by the next.
//!
//! One connection a partition, each with its share of the requests in flight. Answers that came
//! together are replaced by one write, as a client does that is busy; the client so costs little
//! beside the broker. Latency is from the write of a request to the read of its answer.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use hdrhistogram::Histogram;

use super::load::{self, PARTITIONS};
use crate::wire::{PRODUCE_VERSION, Wire, frame, produce as produce_request};

const READ_BYTES: usize = 16 * 1024;

/// What a load is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// `None`: one record of 1 KiB a request.
    pub(super) batch_bytes: Option<usize>,
    pub(super) in_flight: usize,
    /// Where segments end; `None`: the broker's default.
    pub(super) segment_bytes: Option<u32>,
    pub(super) duration: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) requests: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    pub(super) latency: Histogram<u64>,
}

/// Makes the topic, sends one request through every partition, and runs `measured` around the load.
pub(super) fn prepare(address: &str, load: Load) -> Result<Prepared, String> {
    let topic = "load";
    let mut first = Wire::connect(address)?;
    let segment_bytes = load.segment_bytes.map(|bytes| bytes.to_string());
    let configs = segment_bytes
        .as_deref()
        .map(|value| ("segment.bytes", value));
    first.create_topic_with(topic, PARTITIONS, configs.as_slice())?;
    let batch = load::batch(load.batch_bytes.unwrap_or(1))?;
    let mut frames = Vec::new();
    for partition in 0..PARTITIONS {
        let request = produce_request(topic, partition, batch.clone());
        frames.push(frame(&request, PRODUCE_VERSION, partition)?);
    }
    load::lead_all(&mut first, &frames)?;
    let connections = load.in_flight.min(frames.len());
    let lanes = (0..connections).map(|number| {
        let share =
            load.in_flight / connections + usize::from(number < load.in_flight % connections);
        Ok(Lane {
            wire: Wire::connect(address)?,
            frame: frames[number].clone(),
            share,
        })
    });
    Ok(Prepared {
        lanes: lanes.collect::<Result<_, String>>()?,
        batch_bytes: batch.len() as u64,
        duration: load.duration,
    })
}

/// A load that can begin at once.
#[derive(Debug)]
pub(super) struct Prepared {
    lanes: Vec<Lane>,
    batch_bytes: u64,
    duration: Duration,
}

/// One connection and its requests.
#[derive(Debug)]
struct Lane {
    wire: Wire,
    frame: Bytes,
    share: usize,
}

impl Prepared {
    pub(super) fn run(self) -> Result<Outcome, String> {
        let began = Instant::now();
        let until = began + self.duration;
        let mut latency = load::histogram()?;
        std::thread::scope(|scope| {
            let lanes: Vec<_> = self
                .lanes
                .into_iter()
                .map(|lane| scope.spawn(move || lane.run(until)))
                .collect();
            for lane in lanes {
                let of_one = lane.join().map_err(|_panic| "a lane panicked")??;
                latency.add(of_one).map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        })?;
        let requests = latency.len();
        Ok(Outcome {
            requests,
            bytes: requests * self.batch_bytes,
            seconds: began.elapsed().as_secs_f64(),
            latency,
        })
    }
}

impl Lane {
    fn run(mut self, until: Instant) -> Result<Histogram<u64>, String> {
        let burst = self.frame.repeat(self.share);
        let mut latency = load::histogram()?;
        let mut sent = VecDeque::with_capacity(self.share);
        let mut received = BytesMut::with_capacity(READ_BYTES);
        let mut due = self.share;
        loop {
            let now = Instant::now();
            if now < until {
                sent.extend(std::iter::repeat_n(now, due));
                let bytes = &burst[..due * self.frame.len()];
                let stream = &mut self.wire.stream;
                stream
                    .write_all(bytes)
                    .map_err(|error| format!("send: {error}"))?;
            } else if sent.is_empty() {
                return Ok(latency);
            }
            due = self.receive(&mut received, &mut sent, &mut latency)?;
        }
    }

    /// Waits for at least one answer and takes all that came with it.
    fn receive(
        &mut self,
        received: &mut BytesMut,
        sent: &mut VecDeque<Instant>,
        latency: &mut Histogram<u64>,
    ) -> Result<usize, String> {
        let mut chunk = vec![0; READ_BYTES];
        let mut answers = 0;
        while answers == 0 {
            let count = self
                .wire
                .stream
                .read(&mut chunk)
                .map_err(|error| format!("receive: {error}"))?;
            if count == 0 {
                return Err("the broker closed the connection".to_owned());
            }
            received.extend_from_slice(&chunk[..count]);
            let now = Instant::now();
            while let Some(length) = received.first_chunk::<4>().copied() {
                let length = u32::from_be_bytes(length) as usize;
                if received.len() < 4 + length {
                    break;
                }
                received.advance(4);
                load::check_produced(&received.split_to(length).freeze())?;
                let since = sent.pop_front().ok_or("an answer to nothing")?;
                let micros = u64::try_from((now - since).as_micros()).unwrap_or(u64::MAX);
                latency.saturating_record(micros.max(1));
                answers += 1;
            }
        }
        Ok(answers)
    }
}
