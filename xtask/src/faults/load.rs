//! Writers, one for each partition, that go on whatever happens, and the proof that what was
//! acknowledged is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use records::{BatchBuilder, Codec};

use crate::conformance::process::{now, pause, until};
use crate::damage::{connect, opened, undamaged};
use crate::wire::{Wire, produce};

pub(super) const TOPIC: &str = "faults";
pub(super) const PARTITIONS: i32 = 4;
/// Small, so that faults hit rolls.
const CONFIGS: [(&str, &str); 1] = [("segment.bytes", "1048576")];

/// An answer to one produce.
#[derive(Debug)]
pub(super) enum Answer {
    Acknowledged {
        offset: i64,
        sequence: u64,
    },
    /// An error of the broker, or of the connection.
    Refused(String),
}

/// What one writer saw, in order.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) partition: i32,
    pub(super) answers: Vec<(Instant, Answer)>,
}

#[derive(Debug, Default)]
struct Counters {
    acknowledged: AtomicU64,
    refused: AtomicU64,
}

/// The writers while they run.
#[derive(Debug)]
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    counters: Vec<Arc<Counters>>,
    writers: Vec<JoinHandle<Written>>,
}

impl Load {
    /// Makes the topic and starts a writer for each partition; each waits `gap` between two records.
    pub(super) fn start(address: &str, value_bytes: usize, gap: Duration) -> Result<Self, String> {
        Wire::connect(address)?.create_topic_with(TOPIC, PARTITIONS, &CONFIGS)?;
        let mut load = Self {
            stop: Arc::default(),
            counters: Vec::new(),
            writers: Vec::new(),
        };
        for partition in 0..PARTITIONS {
            let counters = Arc::<Counters>::default();
            load.counters.push(Arc::clone(&counters));
            let stop = Arc::clone(&load.stop);
            let address = address.to_owned();
            load.writers.push(std::thread::spawn(move || {
                let mut written = Written {
                    partition,
                    ..Written::default()
                };
                while !stop.load(Ordering::Acquire) {
                    one_connection(&address, (value_bytes, gap), &counters, &stop, &mut written);
                    pause(Duration::from_millis(5));
                }
                written
            }));
        }
        Ok(load)
    }

    fn counts(&self, of: impl Fn(&Counters) -> &AtomicU64) -> Vec<u64> {
        let counters = self.counters.iter();
        counters
            .map(|one| of(one).load(Ordering::Acquire))
            .collect()
    }

    /// Waits until every writer has so many more acknowledgements.
    pub(super) fn acknowledged(&self, more: u64, limit: Duration) -> bool {
        let before = self.counts(|one| &one.acknowledged);
        until(limit, || {
            let counts = self.counts(|one| &one.acknowledged);
            counts
                .iter()
                .zip(&before)
                .all(|(now, then)| *now >= then + more)
        })
    }

    /// Waits until every writer was refused at least once more.
    pub(super) fn refused(&self, limit: Duration) -> bool {
        let before = self.counts(|one| &one.refused);
        until(limit, || {
            let counts = self.counts(|one| &one.refused);
            counts.iter().zip(&before).all(|(now, then)| now > then)
        })
    }

    /// Ends the writers; what each saw.
    pub(super) fn finish(self) -> Result<Vec<Written>, String> {
        self.stop.store(true, Ordering::Release);
        let ends = self.writers.into_iter().map(JoinHandle::join);
        ends.map(|end| end.map_err(|_panic| "a writer panicked".to_owned()))
            .collect()
    }
}

fn one_connection(
    address: &str,
    (value_bytes, gap): (usize, Duration),
    counters: &Counters,
    stop: &AtomicBool,
    written: &mut Written,
) {
    let Ok(mut wire) = Wire::connect(address) else {
        return;
    };
    // Longer than any stall that is made here.
    let limit = Some(Duration::from_mins(1));
    if wire.stream.set_read_timeout(limit).is_err() {
        return;
    }
    while !stop.load(Ordering::Acquire) {
        let sequence = written.answers.len() as u64;
        let sent = batch(written.partition, sequence, value_bytes)
            .and_then(|batch| wire.produced(&produce(TOPIC, written.partition, batch)));
        let is_broken = sent
            .as_ref()
            .is_err_and(|error| !error.starts_with("produce gave"));
        let (counter, answer) = match sent {
            Ok(offset) => {
                let answer = Answer::Acknowledged { offset, sequence };
                (&counters.acknowledged, answer)
            }
            Err(error) => (&counters.refused, Answer::Refused(error)),
        };
        written.answers.push((now(), answer));
        counter.fetch_add(1, Ordering::AcqRel);
        if is_broken {
            return;
        }
        pause(gap);
    }
}

fn value(partition: i32, sequence: u64, size_bytes: usize) -> Vec<u8> {
    let mut value = format!("{partition} {sequence} ").into_bytes();
    value.resize(size_bytes.max(value.len()), b'.');
    value
}

pub(super) fn batch(partition: i32, sequence: u64, value_bytes: usize) -> Result<Bytes, String> {
    let value = value(partition, sequence, value_bytes);
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .append(1, None, Some(&value), &[])
        .map_err(|error| error.to_string())?;
    let batch = builder.build().map_err(|error| error.to_string())?;
    Ok(batch.into_bytes())
}

/// How many records were acknowledged; an error if one of them is not where it was said to be.
pub(super) fn verify(address: &str, all: &[Written]) -> Result<usize, String> {
    let mut wire = connect(address)?;
    let mut count = 0;
    for written in all {
        let partition = written.partition;
        let end = wire.end_offset(TOPIC, partition)?;
        let mut found = Vec::new();
        for batch in undamaged(&mut wire, (TOPIC, partition), end)? {
            found.extend(opened(&batch.bytes)?);
        }
        for (_, answer) in &written.answers {
            let Answer::Acknowledged { offset, sequence } = answer else {
                continue;
            };
            count += 1;
            let place = found.binary_search_by_key(offset, |record| record.offset.get());
            let value = place.ok().and_then(|at| found[at].value.as_deref());
            let wanted = format!("{partition} {sequence} ");
            if !value.is_some_and(|value| value.starts_with(wanted.as_bytes())) {
                return Err(format!(
                    "LOST: record {sequence} of partition {partition}, acknowledged at {offset}; the log ends at {end}"
                ));
            }
        }
    }
    Ok(count)
}
