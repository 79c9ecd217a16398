//! Which records of a batch stay: the rules of Kafka's `Cleaner`, without I/O and without a clock.
//!
//! A record stays if no newer one has its key; a tombstone until its delete horizon, which the first
//! compaction that meets it sets (KIP-534). A batch whose records all go stays without them if it is
//! what its producer wrote last. What cannot be opened stays as it is, and then so do the tombstones
//! behind it, for what they delete may be in there. Markers of transactions stay.

use std::collections::BTreeMap;

use bytes::Bytes;
use records::{BatchError, BatchHeader, DecodeBudget, Offset, Record, records, rewrite};
use sabotage::{Safeguard, skips};

use super::offset_map::OffsetMap;

/// What opening a compressed batch may take. A larger one stays as it is.
const OPENED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What decides.
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    pub(crate) newest: &'a OffsetMap,
    /// The map speaks of records before this offset.
    pub(crate) mapped_to: Offset,
    /// `None`: nobody knows how late it is, and nothing that depends on it is decided.
    pub(crate) now_ms: Option<i64>,
    pub(crate) delete_retention_ms: i64,
    /// The last offset of what each producer wrote last.
    pub(crate) producers: &'a BTreeMap<i64, Offset>,
    /// Something before was not compacted: what tombstones delete may be in it.
    pub(crate) keeps_tombstones: bool,
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    Becomes(Bytes),
    Goes,
}

/// A batch that was looked at.
#[derive(Debug)]
pub(crate) struct Filtered {
    pub(crate) fate: Fate,
    /// Records that go.
    pub(crate) removed: u64,
    /// Why it was not opened.
    pub(crate) unopened: Option<BatchError>,
}

/// What a look at the records came to.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    stay: u64,
    go: u64,
    /// Tombstones that stay.
    tombstones: u64,
}

impl Filter<'_> {
    /// Says what becomes of the batch with this header, whose bytes are good.
    pub(crate) fn look_at(&self, header: &BatchHeader, batch: &Bytes) -> Filtered {
        match self.decide(header, batch) {
            Ok((fate, removed)) => Filtered {
                fate,
                removed,
                unopened: None,
            },
            Err(error) => Filtered {
                fate: Fate::Stays,
                removed: 0,
                unopened: Some(error),
            },
        }
    }

    fn decide(&self, header: &BatchHeader, batch: &Bytes) -> Result<(Fate, u64), BatchError> {
        if header.attributes.is_control() {
            return Ok((Fate::Stays, 0));
        }
        let counts = self.count(header, batch)?;
        if counts.stay == 0 {
            let fate = if !self.is_last_of_producer(header) {
                Fate::Goes
            } else if header.record_count == 0 {
                Fate::Stays
            } else {
                Fate::Becomes(rewrite::without_records(header))
            };
            return Ok((fate, counts.go));
        }
        let has_horizon = header.attributes.has_delete_horizon();
        let needs_horizon = counts.tombstones > 0 && !has_horizon;
        let horizon_ms = self.now_ms.filter(|_| needs_horizon);
        let horizon_ms = horizon_ms.map(|now| now.saturating_add(self.delete_retention_ms));
        if counts.go == 0 && horizon_ms.is_none() {
            return Ok((Fate::Stays, 0));
        }
        let mut budget = DecodeBudget::new(OPENED_BYTES_MAX);
        let opened = records(batch, &mut budget)?;
        let kept = opened.filter(|record| match record {
            Ok(record) => self.stays(header, record),
            Err(_) => true,
        });
        let rewritten = rewrite::with_records(header, kept, horizon_ms)?;
        Ok((Fate::Becomes(rewritten), counts.go))
    }

    fn count(&self, header: &BatchHeader, batch: &Bytes) -> Result<Counts, BatchError> {
        let mut counts = Counts::default();
        let mut budget = DecodeBudget::new(OPENED_BYTES_MAX);
        for record in records(batch, &mut budget)? {
            let record = record?;
            if !self.stays(header, &record) {
                counts.go = counts.go.saturating_add(1);
                continue;
            }
            counts.stay = counts.stay.saturating_add(1);
            if record.value.is_none() {
                counts.tombstones = counts.tombstones.saturating_add(1);
            }
        }
        Ok(counts)
    }

    fn stays(&self, header: &BatchHeader, record: &Record) -> bool {
        if record.offset >= self.mapped_to {
            return true;
        }
        // It was written before the topic was compacted: nobody can ask for it by a key.
        let Some(key) = &record.key else {
            return false;
        };
        let newest = self.newest.get(key);
        let is_newest = newest.is_none_or(|newest| record.offset >= newest);
        is_newest && (record.value.is_some() || !self.is_past_horizon(header))
    }

    /// Whether tombstones of the batch were kept for as long as they had to be.
    fn is_past_horizon(&self, header: &BatchHeader) -> bool {
        let must_stay = self.keeps_tombstones && !skips(Safeguard::TombstonesBehindDamage);
        let horizon_ms = header.base_timestamp_ms;
        header.attributes.has_delete_horizon()
            && !must_stay
            && self.now_ms.is_some_and(|now| now >= horizon_ms)
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let last = self.producers.get(&header.producer_id);
        header.is_idempotent()
            && last == Some(&header.last_offset())
            && !skips(Safeguard::ProducerBatchKept)
    }
}

/// Puts the keys of a batch into the map, from `first` on. `Ok(Some)`: there was no room for the one
/// at this offset.
pub(crate) fn note_keys(
    map: &mut OffsetMap,
    header: &BatchHeader,
    batch: &Bytes,
    first: Offset,
) -> Result<Option<Offset>, BatchError> {
    if header.attributes.is_control() {
        return Ok(None);
    }
    let mut budget = DecodeBudget::new(OPENED_BYTES_MAX);
    for record in records(batch, &mut budget)? {
        let record = record?;
        if let Some(key) = record.key.filter(|_| record.offset >= first)
            && !map.put(&key, record.offset)
        {
            return Ok(Some(record.offset));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
