//! Which partition a record goes to when its producer does not say: by the hash of its key as
//! Kafka's Java client does it, or, without a key, one partition for a while and then the next.
//!
//! Staying for a while lets small records gather on one log instead of touching all.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::Broker;
use crate::topics::Topic;

/// Keyless bytes that go to one partition before the next has its turn (Kafka's `batch.size`).
const STICKY_BYTES: usize = 16 * 1024;

/// Whose turn it is among the partitions of one topic.
#[derive(Debug)]
pub(crate) struct Sticky {
    /// [`NOT_CHOSEN`] at first.
    partition: AtomicU32,
    bytes: AtomicUsize,
}

/// More than any topic has.
const NOT_CHOSEN: u32 = u32::MAX;

impl Default for Sticky {
    fn default() -> Self {
        Self {
            partition: AtomicU32::new(NOT_CHOSEN),
            bytes: AtomicUsize::new(0),
        }
    }
}

impl Sticky {
    /// `size_bytes` went to `partition`.
    pub(crate) fn note(&self, partition: u32, size_bytes: usize) {
        if self.partition.load(Ordering::Relaxed) == partition {
            self.bytes.fetch_add(size_bytes, Ordering::Relaxed);
        }
    }
}

impl Broker {
    /// The partition for a record with this key.
    pub fn choose_partition(&self, topic: &Topic, key: Option<&[u8]>) -> u32 {
        match key {
            Some(key) => records::partition_for_key(key, topic.partition_count()),
            None => self.sticky_partition(topic),
        }
    }

    fn sticky_partition(&self, topic: &Topic) -> u32 {
        let count = topic.partition_count();
        let sticky = topic.sticky();
        let chosen = sticky.partition.load(Ordering::Relaxed);
        if chosen < count && sticky.bytes.load(Ordering::Relaxed) < STICKY_BYTES {
            return chosen;
        }
        let first = if chosen < count {
            chosen.saturating_add(1)
        } else {
            let drawn = self.rng.next_below(count.max(1).into());
            u32::try_from(drawn).expect("drawn below a u32")
        };
        // A partition that is offline is passed over, unless all are.
        let turn = (0..count).map(|step| first.saturating_add(step) % count);
        let usable = |partition: &u32| topic.log(partition.cast_signed()).is_ok();
        let next = turn
            .clone()
            .find(usable)
            .or_else(|| turn.clone().next())
            .unwrap_or(0);
        // Two callers at once may both move on; one of the turns is then short, which is harmless.
        sticky.partition.store(next, Ordering::Relaxed);
        sticky.bytes.store(0, Ordering::Relaxed);
        next
    }
}

#[cfg(test)]
mod tests;
