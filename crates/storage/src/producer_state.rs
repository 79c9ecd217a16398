//! What idempotent producers wrote to one log, and whether a batch follows from it.
//!
//! The rules are those of Kafka's `ProducerAppendInfo`. They are pure: no clock, no I/O, so that
//! every store applies the same ones below its own lock, atomically with giving out offsets.
//! [`ProducerTable::check`] changes nothing; a refused batch therefore moves nothing.
//! Must not know: where the log is kept, what a transaction is.

use std::collections::BTreeMap;
use std::time::Duration;

use records::{BatchHeader, Offset};

use crate::log::AppendError;
use sabotage::{Safeguard, skips};

/// How many batches of a producer are remembered: what a client may have in flight at once.
pub const BATCHES_KEPT: usize = 5;

/// Sequences run from 0 to this, then begin again.
const SEQUENCE_MAX: i32 = i32::MAX;

/// One batch of an idempotent producer, as placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducedBatch {
    /// Sequence of its first record.
    pub first_sequence: i32,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its first record.
    pub base: Offset,
    /// Its largest timestamp, in ms since the epoch.
    pub timestamp_ms: i64,
}

impl ProducedBatch {
    const NONE: Self = Self {
        first_sequence: -1,
        last_sequence: -1,
        base: Offset::ZERO,
        timestamp_ms: -1,
    };

    /// Offset of its last record: offsets of a batch run as its sequences do.
    pub fn last(&self) -> Offset {
        let span = i64::from(SEQUENCE_MAX) + 1;
        let delta =
            (i64::from(self.last_sequence) - i64::from(self.first_sequence)).rem_euclid(span);
        self.base.plus(delta)
    }
}

/// What is known of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerEntry {
    producer_id: i64,
    epoch: i16,
    last_timestamp_ms: i64,
    kept: usize,
    batches: [ProducedBatch; BATCHES_KEPT],
}

impl ProducerEntry {
    fn new(producer_id: i64, epoch: i16) -> Self {
        Self {
            producer_id,
            epoch,
            last_timestamp_ms: -1,
            kept: 0,
            batches: [ProducedBatch::NONE; BATCHES_KEPT],
        }
    }

    /// Its id.
    pub fn producer_id(&self) -> i64 {
        self.producer_id
    }

    /// The newest epoch that wrote.
    pub fn epoch(&self) -> i16 {
        self.epoch
    }

    /// The timestamp of the newest batch, in ms since the epoch; expiry counts from it.
    pub fn last_timestamp_ms(&self) -> i64 {
        self.last_timestamp_ms
    }

    /// The newest batches of the current epoch, oldest first.
    pub fn batches(&self) -> &[ProducedBatch] {
        self.batches
            .get(..self.kept)
            .expect("at most BATCHES_KEPT are kept")
    }

    /// The sequence that the next new batch of this epoch must begin with.
    pub fn next_sequence(&self) -> i32 {
        match self.batches().last() {
            Some(batch) if batch.last_sequence == SEQUENCE_MAX => 0,
            Some(batch) => batch.last_sequence + 1,
            None => 0,
        }
    }

    fn push(&mut self, batch: ProducedBatch) {
        if self.kept == BATCHES_KEPT {
            self.batches.rotate_left(1);
            self.kept -= 1;
        }
        self.batches[self.kept] = batch;
        self.kept += 1;
        self.last_timestamp_ms = batch.timestamp_ms;
    }

    fn begin_epoch(&mut self, epoch: i16) {
        assert!(
            epoch > self.epoch,
            "producer epoch {epoch} does not follow {}",
            self.epoch
        );
        self.epoch = epoch;
        self.kept = 0;
    }
}

/// What [`ProducerTable::check`] says of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is new and follows: write it, then [`ProducerTable::record`] it.
    Accept,
    /// It was written before, at these offsets: answer with them, write nothing.
    Duplicate {
        /// Offset of its first record.
        base: Offset,
        /// Offset of its last record.
        last: Offset,
    },
    /// It must not be written.
    Refused(AppendError),
}

/// All idempotent producers of one log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProducerTable {
    /// Boxed, so that the table of the many logs with one producer stays small.
    entries: BTreeMap<i64, Box<ProducerEntry>>,
}

impl ProducerTable {
    /// A table that knows nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the batch may be written now. Batches without a producer id always may.
    pub fn check(&self, header: &BatchHeader) -> Verdict {
        if !counts(header) {
            return Verdict::Accept;
        }
        let Some(entry) = self.entries.get(&header.producer_id) else {
            return Verdict::Accept;
        };
        let (got, current) = (header.producer_epoch, entry.epoch);
        if got < current && !skips(Safeguard::ProducerEpochCheck) {
            let producer_id = header.producer_id;
            return Verdict::Refused(AppendError::StaleProducerEpoch {
                producer_id,
                current,
                got,
            });
        }
        if got > current {
            return follows(header, 0);
        }
        let sequences = (header.base_sequence, header.last_sequence());
        let same = |kept: &&ProducedBatch| (kept.first_sequence, kept.last_sequence) == sequences;
        match entry.batches().iter().find(same) {
            Some(kept) if !skips(Safeguard::DuplicateCheck) => Verdict::Duplicate {
                base: kept.base,
                last: kept.last(),
            },
            Some(_) => Verdict::Accept,
            None => follows(header, entry.next_sequence()),
        }
    }

    /// Remembers a batch that was written: `placed` carries its final base offset. For a new batch
    /// after [`ProducerTable::check`] accepted it, and for each batch of a log that is read back.
    ///
    /// What is read back is believed, gaps included: retention may have taken what lay between.
    /// Only a batch of an older epoch says nothing new.
    pub fn record(&mut self, placed: &BatchHeader) {
        if !counts(placed) {
            return;
        }
        let entry = self.entries.entry(placed.producer_id).or_insert_with(|| {
            Box::new(ProducerEntry::new(
                placed.producer_id,
                placed.producer_epoch,
            ))
        });
        if placed.producer_epoch < entry.epoch {
            return;
        }
        if placed.producer_epoch > entry.epoch {
            entry.begin_epoch(placed.producer_epoch);
        }
        entry.push(ProducedBatch {
            first_sequence: placed.base_sequence,
            last_sequence: placed.last_sequence(),
            base: placed.base_offset,
            timestamp_ms: placed.max_timestamp_ms,
        });
    }

    /// Takes a producer over from a snapshot, in place of what was known of it. Of more than
    /// [`BATCHES_KEPT`] batches the newest are kept.
    pub fn insert_loaded(
        &mut self,
        producer_id: i64,
        epoch: i16,
        last_timestamp_ms: i64,
        batches: &[ProducedBatch],
    ) {
        let mut entry = ProducerEntry::new(producer_id, epoch);
        for batch in batches {
            entry.push(*batch);
        }
        entry.last_timestamp_ms = last_timestamp_ms;
        self.entries.insert(producer_id, Box::new(entry));
    }

    /// What is known of one producer.
    pub fn get(&self, producer_id: i64) -> Option<&ProducerEntry> {
        self.entries.get(&producer_id).map(|entry| &**entry)
    }

    /// All producers, by id: equal tables give equal snapshots.
    pub fn producers(&self) -> impl ExactSizeIterator<Item = &ProducerEntry> {
        self.entries.values().map(|entry| &**entry)
    }

    /// How many producers are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no producer is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets the producers whose newest batch is `after` old or older
    /// (`producer.id.expiration.ms`), and says how many. As in Kafka, the age of a batch is told by
    /// its timestamps, which producers may set.
    pub fn expire(&mut self, now_ms: i64, after: Duration) -> usize {
        let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let before = self.entries.len();
        self.entries
            .retain(|_, entry| now_ms.saturating_sub(entry.last_timestamp_ms) < after_ms);
        before - self.entries.len()
    }
}

/// Whether the rules apply: markers carry a producer id too, but no sequence.
fn counts(header: &BatchHeader) -> bool {
    header.is_idempotent() && header.base_sequence >= 0
}

fn follows(header: &BatchHeader, expected: i32) -> Verdict {
    let (producer_id, got) = (header.producer_id, header.base_sequence);
    if got == expected || skips(Safeguard::SequenceCheck) {
        return Verdict::Accept;
    }
    Verdict::Refused(AppendError::OutOfOrderSequence {
        producer_id,
        expected,
        got,
    })
}

#[cfg(test)]
mod tests;
