//! Reading from many partitions at once, and waiting until there is enough to read.
//!
//! Partitions are visited in the order of the request under one budget of bytes. Only visible
//! records count. The wait has no polling: one waiter is registered with every log, then all is
//! checked again, then the task sleeps.

use std::sync::Arc;
use std::time::Duration;

use records::Offset;
use storage::{Ends, EpochEnd, Isolation, Log, ReadError, ReadLimit, ReadSlice, Waiter};
use tokio::time::Instant;

use crate::Broker;
use crate::error::FetchError;
use crate::offsets::check_leader_epoch;
use crate::topics::Topic;

/// One fetch.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// What to read, in the order in which it is served.
    pub partitions: Vec<FetchPartition>,
    /// Wait until this much is there.
    pub bytes_min: usize,
    /// Return at most this much, except that the first batch is returned whatever its size. The
    /// broker's `fetch.max.bytes` holds too.
    pub bytes_max: usize,
    /// Wait this long at most.
    pub wait: Duration,
    /// Which records may be seen.
    pub isolation: Isolation,
}

/// One partition of a fetch.
#[derive(Debug, Clone)]
pub struct FetchPartition {
    /// The topic.
    pub topic: Arc<Topic>,
    /// The partition.
    pub partition: i32,
    /// The first offset wanted; the batch that contains it is returned whole.
    pub from: Offset,
    /// Return at most this much of it.
    pub bytes_max: usize,
    /// The leader epoch that the client believes in, where it says so.
    pub current_leader_epoch: Option<i32>,
    /// The leader epoch of the last record that the client has, where it says so.
    pub last_fetched_epoch: Option<i32>,
}

/// What a fetch found.
#[derive(Debug, Clone)]
pub struct FetchResult {
    /// In the order of the request.
    pub partitions: Vec<Result<PartitionRead, FetchError>>,
}

/// What was read of one partition.
#[derive(Debug, Clone)]
pub struct PartitionRead {
    /// The batches, and the ends of the log.
    pub slice: ReadSlice,
    /// Set when the client's log went another way: it must cut its log back to this end. Then
    /// there are no batches.
    pub diverging: Option<EpochEnd>,
}

impl PartitionRead {
    fn nothing(ends: Ends) -> Self {
        Self {
            slice: ReadSlice::empty(ends),
            diverging: None,
        }
    }
}

impl FetchResult {
    /// Bytes of all batches.
    pub fn size_bytes(&self) -> usize {
        let slices = self.partitions.iter().flatten();
        slices.map(|read| read.slice.size_bytes()).sum()
    }

    /// Whether something is there that the client must learn at once.
    fn is_urgent(&self) -> bool {
        let urgent = |read: &Result<PartitionRead, FetchError>| {
            read.as_ref().map_or(true, |read| read.diverging.is_some())
        };
        self.partitions.iter().any(urgent)
    }
}

/// Says that the reader has gone, also when its future is dropped.
struct Registration(Arc<Waiter>);

impl Drop for Registration {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Broker {
    /// Reads, and waits as the fetch says.
    pub async fn fetch(&self, mut fetch: Fetch) -> FetchResult {
        fetch.bytes_max = fetch.bytes_max.min(self.config.fetch_max_bytes);
        fetch.bytes_min = fetch.bytes_min.min(fetch.bytes_max);
        let found = wait_for_enough(&fetch).await;
        let failures = found.partitions.iter().filter(|read| read.is_err()).count();
        self.counters
            .fetch_requests
            .add(fetch.partitions.len() as u64);
        self.counters.fetch_failures.add(failures as u64);
        self.counters.bytes_out.add(found.size_bytes() as u64);
        found
    }
}

async fn wait_for_enough(fetch: &Fetch) -> FetchResult {
    let enough = |found: &FetchResult| {
        found.partitions.is_empty() || found.is_urgent() || found.size_bytes() >= fetch.bytes_min
    };
    let mut found = collect(fetch).await;
    if enough(&found) || fetch.wait.is_zero() {
        return found;
    }
    // A deadline beyond the end of time is none.
    let deadline = Instant::now().checked_add(fetch.wait);
    loop {
        let registration = register(fetch);
        // What came between the last look and the registration woke nobody: look again.
        found = collect(fetch).await;
        if enough(&found) {
            return found;
        }
        let woken = registration.0.woken();
        match deadline {
            None => woken.await,
            Some(deadline) => {
                if tokio::time::timeout_at(deadline, woken).await.is_err() {
                    return found;
                }
            }
        }
    }
}

/// One waiter on all logs. A log that cannot be opened is an error that `collect` finds.
fn register(fetch: &Fetch) -> Registration {
    let waiter = Waiter::new();
    for wanted in &fetch.partitions {
        if let Ok(log) = wanted.topic.log(wanted.partition) {
            log.wait(Arc::clone(&waiter));
        }
    }
    Registration(waiter)
}

async fn collect(fetch: &Fetch) -> FetchResult {
    let mut partitions = Vec::with_capacity(fetch.partitions.len());
    let mut bytes_left = fetch.bytes_max;
    let mut is_first = true;
    for wanted in &fetch.partitions {
        let limit = ReadLimit {
            bytes_max: wanted.bytes_max.min(bytes_left),
            at_least_one_batch: is_first,
        };
        let read = wanted.read(limit, fetch.isolation).await;
        let size_bytes = read.as_ref().map_or(0, |read| read.slice.size_bytes());
        if size_bytes > 0 {
            is_first = false;
            bytes_left = bytes_left.saturating_sub(size_bytes);
        }
        partitions.push(read);
    }
    FetchResult { partitions }
}

impl FetchPartition {
    async fn read(
        &self,
        limit: ReadLimit,
        isolation: Isolation,
    ) -> Result<PartitionRead, FetchError> {
        let log = self.topic.log(self.partition)?;
        check_leader_epoch(
            &self.topic,
            self.partition,
            &*log,
            self.current_leader_epoch,
        )?;
        let ends = log.ends();
        if let Some(diverging) = self.diverging(&*log, ends)? {
            return Ok(PartitionRead {
                slice: ReadSlice::empty(ends),
                diverging: Some(diverging),
            });
        }
        if self.from < ends.log_start || self.from > ends.log_end {
            return Err(self.out_of_range(ends));
        }
        let nothing_allowed = limit.bytes_max == 0 && !limit.at_least_one_batch;
        if self.from >= ends.visible_end(isolation) || nothing_allowed {
            return Ok(PartitionRead::nothing(ends));
        }
        let slice = log.read(self.from, limit, isolation).await;
        let slice = slice.map_err(|error| self.read_error(error))?;
        Ok(PartitionRead {
            slice,
            diverging: None,
        })
    }

    /// Whether the records that the client has end elsewhere than here (KIP-595).
    fn diverging(&self, log: &dyn Log, ends: Ends) -> Result<Option<EpochEnd>, FetchError> {
        let Some(epoch) = self.last_fetched_epoch else {
            return Ok(None);
        };
        let Some(known) = log.epoch_end(epoch) else {
            return Err(self.out_of_range(ends));
        };
        let differs = known.leader_epoch < epoch || known.end < self.from;
        Ok(differs.then_some(known))
    }

    fn out_of_range(&self, ends: Ends) -> FetchError {
        let (topic, partition) = (self.topic.name().clone(), self.partition);
        FetchError::OutOfRange {
            topic,
            partition,
            asked: self.from,
            ends,
        }
    }

    fn read_error(&self, error: ReadError) -> FetchError {
        let (topic, partition) = (self.topic.name().clone(), self.partition);
        match error {
            ReadError::OutOfRange { asked, ends } => FetchError::OutOfRange {
                topic,
                partition,
                asked,
                ends,
            },
            ReadError::Corrupt(reason) => FetchError::Corrupt {
                topic,
                partition,
                reason,
            },
            ReadError::Storage(failure) => self.topic.offline(failure).into(),
        }
    }
}

#[cfg(test)]
mod tests;
