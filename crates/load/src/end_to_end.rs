//! Writing and reading at once: how long it takes until a reader has what was sent.
//!
//! The n-th batch of a partition behind the offset at which the readers began is the n-th one that
//! was sent there. So nobody else may write to the topic, and a partition belongs to one connection.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::{try_join, try_join_all};
use hdrhistogram::Histogram;
use kafka_client::{Client, ClientOptions, OffsetSpec, Topic};
use tokio::time::Instant;

use crate::Stop;
use crate::error::LoadError;
use crate::fetches::{Fetched, Fetches};
use crate::outcome::{Outcome, histogram, record};
use crate::produce::{Produce, ProduceLoad, offsets};

const PARTITION_BYTES: i32 = 1 << 20;
const WAIT_MS: i32 = 100;

/// When the requests were due that a reader has not seen, by partition.
type Unseen = Vec<RefCell<VecDeque<Instant>>>;

/// What was sent, for each reader.
#[derive(Debug)]
pub(crate) struct Sightings(Vec<Unseen>);

impl Sightings {
    fn new(readers: usize, partitions: usize) -> Self {
        let of_one = || (0..partitions).map(|_| RefCell::default()).collect();
        Self((0..readers).map(|_| of_one()).collect())
    }

    /// A request was sent to a partition; they are told in their order.
    pub(crate) fn sent(&self, place: usize, due: Instant) {
        for reader in &self.0 {
            reader[place].borrow_mut().push_back(due);
        }
    }
}

/// A load that can begin at once.
#[derive(Debug)]
pub struct EndToEnd {
    produce: Produce,
    readers: Vec<Fetches>,
    partitions: usize,
    patience: Duration,
}

impl EndToEnd {
    /// Prepares a load on a topic that nobody else writes to, with so many readers of everything.
    pub async fn prepare(
        options: &ClientOptions,
        topic: &Topic,
        load: ProduceLoad,
        readers: usize,
    ) -> Result<Self, LoadError> {
        let partitions = topic.partitions.len();
        let connections = load.connections;
        if connections > partitions {
            return Err(LoadError::SharedPartitions {
                connections,
                partitions,
            });
        }
        let produce = Produce::prepare(options, topic, load).await?;
        let mut client = Client::connect(options.clone()).await?;
        let ends = offsets(&mut client, topic, OffsetSpec::Latest).await?;
        let limits = (PARTITION_BYTES, WAIT_MS);
        let mut fetches = Vec::new();
        for _ in 0..readers {
            fetches.push(Fetches::open(options, topic, ends.clone(), limits).await?);
        }
        Ok(Self {
            produce,
            readers: fetches,
            partitions,
            patience: options.timeout,
        })
    }

    /// Runs the load until every reader has everything: what the writers saw, and microseconds from
    /// a request to each reader's having it.
    pub async fn run(self, stop: &Stop) -> Result<(Outcome, Histogram<u64>), LoadError> {
        let sightings = Sightings::new(self.readers.len(), self.partitions);
        let all_sent = Cell::new(None::<Instant>);
        let seen = RefCell::new(histogram());
        let patience = self.patience;
        let write = async {
            let outcome = self.produce.run_seen(Some(&sightings), stop).await;
            all_sent.set(Some(Instant::now()));
            outcome
        };
        let readers = self.readers.into_iter().zip(&sightings.0);
        let read = readers.map(async |(mut fetches, unseen)| {
            loop {
                let missing: usize = unseen.iter().map(|queue| queue.borrow().len()).sum();
                if let Some(sent) = all_sent.get() {
                    if missing == 0 {
                        return Ok(());
                    }
                    if sent.elapsed() > patience {
                        return Err(LoadError::Unseen { missing });
                    }
                }
                let batches = RefCell::new(Vec::new());
                fetches
                    .next(|batch: Fetched| batches.borrow_mut().push(batch.place))
                    .await?;
                let now = Instant::now();
                for place in batches.into_inner() {
                    if let Some(due) = unseen[place].borrow_mut().pop_front() {
                        record(&mut seen.borrow_mut(), due, now);
                    }
                }
            }
        });
        let (outcome, _) = try_join(write, try_join_all(read)).await?;
        Ok((outcome, seen.into_inner()))
    }
}
