//! Records on their way into batches: one open batch per partition, sequence numbers, and the
//! choice of a partition. Knows nothing of requests.

use std::collections::BTreeMap;

use bytes::Bytes;
use records::{BatchBuilder, BatchError, partition_for_key};

use super::{Identity, NewRecord, ProducerOptions};

/// What a record takes beside its key, value and headers, at most: seven numbers.
const RECORD_OVERHEAD_BYTES: usize = 40;
/// What a header takes beside its key and value, at most.
const HEADER_OVERHEAD_BYTES: usize = 10;

/// A batch that is ready to go.
#[derive(Debug, Clone)]
pub(super) struct SealedBatch {
    pub(super) partition: i32,
    pub(super) records: usize,
    pub(super) bytes: Bytes,
}

/// The open batches of a producer.
#[derive(Debug)]
pub(super) struct OpenBatches {
    partitions: Vec<i32>,
    identity: Option<Identity>,
    options: ProducerOptions,
    open: BTreeMap<i32, BatchBuilder>,
    next_sequences: BTreeMap<i32, i32>,
    /// Which partition gets records without a key, until its batch is full.
    sticky: usize,
    buffered_bytes: usize,
}

impl OpenBatches {
    pub(super) fn new(
        partitions: Vec<i32>,
        identity: Option<Identity>,
        options: ProducerOptions,
    ) -> Self {
        assert!(!partitions.is_empty(), "a topic has at least one partition");
        Self {
            partitions,
            identity,
            options,
            open: BTreeMap::new(),
            next_sequences: BTreeMap::new(),
            sticky: 0,
            buffered_bytes: 0,
        }
    }

    /// Bytes of all open batches.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffered_bytes
    }

    /// Takes a record; gives the batches that had no room for it.
    pub(super) fn append(
        &mut self,
        partition: Option<i32>,
        record: NewRecord<'_>,
    ) -> Result<Vec<SealedBatch>, BatchError> {
        let mut full = Vec::new();
        let size_bytes = estimate(&record);
        let target = loop {
            let target = partition.unwrap_or_else(|| self.choose(record.key));
            let Some(batch) = self.seal_if_full(target, size_bytes)? else {
                break target;
            };
            full.push(batch);
            // Only a record that may go anywhere goes elsewhere now; the others find room here.
            self.sticky = (self.sticky + 1) % self.partitions.len();
        };
        let builder = match self.open.remove(&target) {
            Some(builder) => builder,
            None => self.begin(target),
        };
        let builder = self.open.entry(target).or_insert(builder);
        let before = builder.len_bytes();
        builder.append(
            record.timestamp_ms,
            record.key,
            record.value,
            record.headers,
        )?;
        self.buffered_bytes += builder.len_bytes() - before;
        Ok(full)
    }

    fn choose(&self, key: Option<&[u8]>) -> i32 {
        let at = match key {
            None => self.sticky,
            Some(key) => {
                let count = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX);
                usize::try_from(partition_for_key(key, count)).expect("below the count")
            }
        };
        self.partitions[at]
    }

    fn begin(&self, partition: i32) -> BatchBuilder {
        let builder = BatchBuilder::new(self.options.codec);
        match self.identity {
            None => builder,
            Some(Identity { id, epoch }) => {
                let sequence = self.next_sequences.get(&partition).copied().unwrap_or(0);
                builder.producer(id, epoch, sequence)
            }
        }
    }

    fn seal_if_full(
        &mut self,
        partition: i32,
        size_bytes: usize,
    ) -> Result<Option<SealedBatch>, BatchError> {
        let full = self.open.get(&partition).is_some_and(|builder| {
            !builder.is_empty() && builder.len_bytes() + size_bytes > self.options.batch_bytes
        });
        if full { self.seal(partition) } else { Ok(None) }
    }

    /// Ends all open batches.
    pub(super) fn seal_all(&mut self) -> Result<Vec<SealedBatch>, BatchError> {
        let partitions: Vec<i32> = self.open.keys().copied().collect();
        let mut sealed = Vec::with_capacity(partitions.len());
        for partition in partitions {
            sealed.extend(self.seal(partition)?);
        }
        Ok(sealed)
    }

    fn seal(&mut self, partition: i32) -> Result<Option<SealedBatch>, BatchError> {
        let Some(builder) = self.open.remove(&partition).filter(|open| !open.is_empty()) else {
            return Ok(None);
        };
        self.buffered_bytes = self.buffered_bytes.saturating_sub(builder.len_bytes());
        let records = builder.record_count();
        let batch = builder.build()?;
        let sequence = batch.header().last_sequence();
        if sequence >= 0 {
            // After 2³¹−1 comes 0.
            self.next_sequences
                .insert(partition, sequence.wrapping_add(1) & i32::MAX);
        }
        Ok(Some(SealedBatch {
            partition,
            records,
            bytes: batch.into_bytes(),
        }))
    }
}

/// Never below what the record takes in a batch.
fn estimate(record: &NewRecord<'_>) -> usize {
    let headers = record.headers.iter().map(|header| {
        let value = header.value.as_ref().map_or(0, |value| value.len());
        HEADER_OVERHEAD_BYTES + header.key.len() + value
    });
    let headers: usize = headers.sum();
    let length = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len);
    RECORD_OVERHEAD_BYTES + length(record.key) + length(record.value) + headers
}

#[cfg(test)]
impl OpenBatches {
    /// Pretends that a partition has had many records.
    pub(super) fn next_sequences_for_test(&mut self, partition: i32, sequence: i32) {
        self.next_sequences.insert(partition, sequence);
    }
}
