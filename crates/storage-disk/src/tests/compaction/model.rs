//! What a compacted log must hold, kept as a list: the rules once more, in the plainest way.

use std::collections::BTreeMap;

use bytes::Bytes;
use records::{BatchBuilder, Batches, CheckedBatch, Codec, DecodeBudget, Offset};
use storage::conformance::bytes_of;
use storage::{Isolation, Log, OffsetAt, ReadLimit, TimeQuery};

use super::super::harness::{append, now};

/// A record as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) timestamp_ms: i64,
}

/// A record as a reader sees it: with its offset and the delete horizon of its batch.
pub(super) type Seen = (i64, Sent, Option<i64>);

#[derive(Debug, Clone)]
struct Batch {
    base: i64,
    last: i64,
    records: Vec<(i64, Sent)>,
    horizon_ms: Option<i64>,
}

/// What a producer wrote last: the sequence, and where.
#[derive(Debug, Clone, Copy)]
struct Last {
    sequence: i32,
    base: i64,
    count: i32,
}

/// What one compaction went by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    pub(super) first_dirty: i64,
    pub(super) end: i64,
    /// While it is believed.
    pub(super) now_ms: Option<i64>,
    pub(super) delete_retention_ms: i64,
}

/// See the head of the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    batches: Vec<Batch>,
    pub(super) start: i64,
    producers: BTreeMap<i64, Last>,
}

impl Model {
    pub(super) fn end(&self) -> i64 {
        self.batches.last().map_or(0, |batch| batch.last + 1)
    }

    /// The sequence that a producer comes to next.
    pub(super) fn next_sequence(&self, producer: i64) -> i32 {
        let last = self.producers.get(&producer);
        last.map_or(0, |last| last.sequence + last.count)
    }

    pub(super) fn append(&mut self, producer: Option<i64>, sent: &[Sent]) {
        let base = self.end();
        let count = i64::try_from(sent.len()).expect("few");
        if let Some(producer) = producer {
            let last = Last {
                sequence: self.next_sequence(producer),
                base,
                count: i32::try_from(count).expect("few"),
            };
            self.producers.insert(producer, last);
        }
        self.batches.push(Batch {
            base,
            last: base + count - 1,
            records: (base..).zip(sent.iter().cloned()).collect(),
            horizon_ms: None,
        });
    }

    pub(super) fn compact(&mut self, pass: Pass) {
        let Pass {
            first_dirty,
            end,
            now_ms,
            delete_retention_ms,
        } = pass;
        let mut newest: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
        for (offset, sent) in self.batches.iter().flat_map(|batch| &batch.records) {
            if let Some(key) = &sent.key
                && (first_dirty.max(self.start)..end).contains(offset)
            {
                newest.insert(key.clone(), *offset);
            }
        }
        for batch in self.batches.iter_mut().filter(|batch| batch.base < end) {
            let horizon_ms = batch.horizon_ms.filter(|_| now_ms.is_some());
            let is_past = horizon_ms.is_some_and(|horizon| now_ms >= Some(horizon));
            batch.records.retain(|(offset, sent)| {
                let Some(key) = &sent.key else { return false };
                let is_newest = newest.get(key).is_none_or(|newest| offset >= newest);
                is_newest && (sent.value.is_some() || !is_past)
            });
            let has_tombstone = batch.records.iter().any(|(_, sent)| sent.value.is_none());
            if has_tombstone && batch.horizon_ms.is_none() {
                batch.horizon_ms = now_ms.map(|now_ms| now_ms + delete_retention_ms);
            }
        }
    }

    /// What a reader must see.
    pub(super) fn view(&self) -> Vec<Seen> {
        let records = self.batches.iter().flat_map(|batch| {
            let seen = |(offset, sent): &(i64, Sent)| (*offset, sent.clone(), batch.horizon_ms);
            batch.records.iter().map(seen)
        });
        records
            .filter(|(offset, ..)| *offset >= self.start)
            .collect()
    }

    /// The state with the batches of `after` before an offset and those of this one behind it, for
    /// the largest offset of a batch that shows what was seen; `None`: there is none.
    pub(super) fn between(&self, after: &Self, seen: &[Seen]) -> Option<Self> {
        let bases = self.batches.iter().map(|batch| batch.base);
        let mut boundaries: Vec<i64> = bases.chain([self.end()]).collect();
        boundaries.reverse();
        boundaries.into_iter().find_map(|boundary| {
            let first = after.batches.iter().filter(|batch| batch.base < boundary);
            let rest = self.batches.iter().filter(|batch| batch.base >= boundary);
            let mixed = Self {
                batches: first.chain(rest).cloned().collect(),
                ..self.clone()
            };
            (mixed.view() == seen).then_some(mixed)
        })
    }

    /// The first visible record that is not older than this.
    pub(super) fn at_or_after(&self, wanted_ms: i64) -> Option<(i64, i64)> {
        let view = self.view();
        let mut found = view
            .iter()
            .map(|(offset, sent, _)| (*offset, sent.timestamp_ms));
        found.find(|(_, timestamp_ms)| *timestamp_ms >= wanted_ms)
    }

    /// The first of the visible records with the largest timestamp.
    pub(super) fn largest(&self) -> Option<(i64, i64)> {
        let view = self.view();
        let largest = view.iter().map(|(_, sent, _)| sent.timestamp_ms).max()?;
        self.at_or_after(largest)
    }

    /// Holds a log against it.
    pub(super) fn check(&self, log: &dyn Log, what: &str) {
        let seen = read(log, 3000, what);
        let expected = self.view();
        assert!(seen == expected, "{what}: {}", difference(&seen, &expected));
        self.check_times(log, what);
        self.check_retries(log, what);
    }

    fn check_times(&self, log: &dyn Log, what: &str) {
        let find = |query| {
            let found = now(log.offset_at(query, Isolation::ReadUncommitted));
            let found: Option<OffsetAt> = found.unwrap_or_else(|error| panic!("{what}: {error}"));
            found.map(|at| (at.offset.get(), at.timestamp_ms))
        };
        let largest = self.largest();
        assert_eq!(find(TimeQuery::Largest), largest, "{what}: the largest");
        let times = self.batches.iter().flat_map(|batch| &batch.records);
        let times = times.map(|(_, sent)| sent.timestamp_ms).step_by(3);
        for wanted_ms in times.chain(largest.map(|(_, ms)| ms + 1)) {
            let found = find(TimeQuery::AtOrAfter(wanted_ms));
            assert_eq!(found, self.at_or_after(wanted_ms), "{what}: at {wanted_ms}");
        }
    }

    /// What each producer wrote last, sent again, is answered with its first offset.
    fn check_retries(&self, log: &dyn Log, what: &str) {
        let before = log.ends();
        for (producer, last) in &self.producers {
            let sent = vec![
                Sent {
                    key: None,
                    value: None,
                    timestamp_ms: 1
                };
                usize::try_from(last.count).expect("few")
            ];
            let batch = build(Codec::None, Some((*producer, last.sequence)), &sent);
            let placed = append(log, batch).placed();
            let expected = Ok(Offset::new(last.base));
            assert_eq!(placed, expected, "{what}: a retry of producer {producer}");
        }
        assert_eq!(log.ends(), before, "{what}: a retry writes nothing");
    }
}

fn difference(seen: &[Seen], expected: &[Seen]) -> String {
    let offsets = |all: &[Seen], other: &[Seen]| -> Vec<(i64, Option<i64>)> {
        let missing = all.iter().filter(|it| !other.contains(it));
        missing
            .map(|(offset, _, horizon)| (*offset, *horizon))
            .collect()
    };
    format!(
        "a reader sees {:?} and not {:?}",
        offsets(seen, expected),
        offsets(expected, seen)
    )
}

/// A batch of these records.
pub(super) fn build(codec: Codec, producer: Option<(i64, i32)>, sent: &[Sent]) -> CheckedBatch {
    let mut builder = BatchBuilder::new(codec);
    if let Some((id, sequence)) = producer {
        builder = builder.producer(id, 0, sequence);
    }
    for record in sent {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder
            .append(record.timestamp_ms, key, value, &[])
            .expect("a small record");
    }
    builder.build().expect("a small batch")
}

/// Everything that a reader sees, batch behind batch without a gap.
pub(super) fn read(log: &dyn Log, bytes_max: usize, what: &str) -> Vec<Seen> {
    let limit = ReadLimit {
        bytes_max,
        at_least_one_batch: true,
    };
    let start = log.ends().log_start;
    let (mut seen, mut next) = (Vec::new(), start);
    while next < log.ends().high_watermark {
        let slice = now(log.read(next, limit, Isolation::ReadUncommitted));
        let slice = slice.unwrap_or_else(|error| panic!("{what}: at {next}: {error}"));
        let bytes: Bytes = bytes_of(&slice);
        assert!(!bytes.is_empty(), "{what}: something is visible at {next}");
        for batch in Batches::new(&bytes) {
            let (_, header, batch) = batch.expect("whole batches");
            assert!(records::crc_ok(batch), "{what}: the batch at {next}");
            let base = header.base_offset;
            assert!(
                base == next || next == start && base < next,
                "{what}: a batch at {base} behind {next}"
            );
            let horizon_ms = header
                .attributes
                .has_delete_horizon()
                .then_some(header.base_timestamp_ms);
            let mut budget = DecodeBudget::new(1 << 20);
            let opened = records::records(&bytes.slice_ref(batch), &mut budget);
            for record in opened.expect("it opens") {
                let record = record.expect("a good record");
                if record.offset >= start {
                    let sent = Sent {
                        key: record.key.map(|key| key.to_vec()),
                        value: record.value.map(|value| value.to_vec()),
                        timestamp_ms: record.timestamp_ms,
                    };
                    seen.push((record.offset.get(), sent, horizon_ms));
                }
            }
            next = header.next_offset();
        }
    }
    seen
}
