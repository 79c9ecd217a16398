//! Reading: every connection reads all partitions from the start, and begins again at the end.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_util::future::try_join_all;
use kafka_client::{Client, ClientOptions, OffsetSpec, Topic};
use tokio::time::Instant;

use crate::error::LoadError;
use crate::fetches::Fetches;
use crate::outcome::{Outcome, cpu_time, histogram, record};
use crate::produce::offsets;
use crate::{Length, Stop};

/// What is read, and how. One Fetch a connection is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumeLoad {
    /// Connections, not 0; each reads everything.
    pub connections: usize,
    /// Bytes of one partition that are enough for an answer.
    pub partition_bytes: i32,
    /// How long a broker may wait for records.
    pub wait: Duration,
    /// When it ends; the bytes are those of all connections.
    pub length: Length,
}

/// A load that can begin at once.
#[derive(Debug)]
pub struct Consume {
    load: ConsumeLoad,
    starts: Vec<i64>,
    readers: Vec<Fetches>,
}

impl Consume {
    /// Prepares a load on a topic that has records.
    pub async fn prepare(
        options: &ClientOptions,
        topic: &Topic,
        load: ConsumeLoad,
    ) -> Result<Self, LoadError> {
        let mut client = Client::connect(options.clone()).await?;
        let starts = offsets(&mut client, topic, OffsetSpec::Earliest).await?;
        let ends = offsets(&mut client, topic, OffsetSpec::Latest).await?;
        if starts == ends {
            let topic = topic.name.clone();
            return Err(LoadError::NoRecords { topic });
        }
        let wait_ms = i32::try_from(load.wait.as_millis()).unwrap_or(i32::MAX);
        let limits = (load.partition_bytes, wait_ms);
        let mut readers = Vec::new();
        for _ in 0..load.connections {
            readers.push(Fetches::open(options, topic, starts.clone(), limits).await?);
        }
        Ok(Self {
            load,
            starts,
            readers,
        })
    }

    /// Runs the load to its end, or until it is stopped.
    pub async fn run(self, stop: &Stop) -> Result<Outcome, LoadError> {
        let Length { duration, bytes } = self.load.length;
        let latency = RefCell::new(histogram());
        let [requests, records, read] = [const { Cell::new(0_u64) }; 3];
        let began = Instant::now();
        let cpu_before = cpu_time();
        let starts = &self.starts;
        let reads = self.readers.into_iter().map(async |mut fetches| {
            let mut at_end = Vec::new();
            while began.elapsed() < duration && read.get() < bytes && !stop.is_set() {
                let asked = Instant::now();
                let told = |batch: crate::fetches::Fetched| {
                    records.set(records.get() + batch.records);
                    read.set(read.get() + batch.bytes);
                    if batch.at_end {
                        at_end.push(batch.place);
                    }
                };
                fetches.next(told).await?;
                record(&mut latency.borrow_mut(), asked, Instant::now());
                requests.set(requests.get() + 1);
                for place in at_end.drain(..) {
                    fetches.offsets[place] = starts[place];
                }
            }
            Ok::<_, LoadError>(())
        });
        try_join_all(reads).await?;
        Ok(Outcome {
            requests: requests.get(),
            records: records.get(),
            batch_bytes: read.get(),
            elapsed: began.elapsed(),
            client_cpu: cpu_time().saturating_sub(cpu_before),
            latency: latency.into_inner(),
        })
    }
}
