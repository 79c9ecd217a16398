//! What must be true of a data directory after whatever happened to it: what was promised, and to
//! whom. It is told what was done and how that ended, and later looks at what is there.
//!
//! In mode `fsync` after a power cut or a kill, and in mode `os` after a kill: nothing acknowledged
//! is lost, nothing that was visible vanishes or changes, what is there is a prefix of what was
//! appended, a retry of a producer is recognised, topics stay made and stay removed, and committed
//! metadata is what it was.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use records::Offset;
use storage::{AppendTicket, Key, Log, LogStore, Space, TopicMeta};

use super::harness::{Life, append, now, produced, read_from, topic};

/// One batch, as the test remembers it.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) base: i64,
    pub(super) values: Vec<Vec<u8>>,
    /// Producer id and first sequence.
    pub(super) producer: Option<(i64, i32)>,
    acknowledged: bool,
}

impl Sent {
    fn end(&self) -> i64 {
        self.base + i64::try_from(self.values.len()).expect("few")
    }
}

/// One partition, as it must be.
#[derive(Debug, Clone, Default)]
pub(super) struct Partition {
    pub(super) sent: Vec<Sent>,
    /// Appends that failed with the machine: they may be there, behind what was sent.
    uncertain: Vec<Sent>,
    /// The high watermark that was seen.
    pub(super) visible: i64,
    /// Where the log begins, and where it may begin since trims went wrong.
    start: i64,
    perhaps_starts: Vec<i64>,
    /// The sequence that each producer comes to next.
    sequences: BTreeMap<i64, i32>,
}

/// Whether a topic is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existence {
    Yes,
    /// It was being made, enlarged or removed when something went wrong.
    Perhaps,
}

#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) meta: TopicMeta,
    existence: Existence,
    pub(super) partitions: Vec<Partition>,
}

impl Topic {
    /// Whether it is certain that all of it is there.
    pub(super) fn is_settled(&self) -> bool {
        self.existence == Existence::Yes
    }
}

/// A row of the metadata: what it is, and what it may be since a commit went wrong.
#[derive(Debug, Clone, Default)]
struct Row {
    certain: Option<Bytes>,
    perhaps: Vec<Option<Bytes>>,
}

/// See the head of the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Oracle {
    pub(super) topics: BTreeMap<u8, Topic>,
    removed: Vec<TopicMeta>,
    rows: BTreeMap<u8, Row>,
    next_value: u64,
    next_id: u8,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    /// Nothing happened.
    Refused,
    /// It may have happened, in part or wholly.
    Unknown,
}

/// The key of a row.
pub(super) fn key(number: u8) -> Key {
    Key::space(Space::Topic).part(&[number])
}

/// An append on its way.
pub(super) struct Pending {
    pub(super) topic: u8,
    pub(super) partition: usize,
    pub(super) base: i64,
    pub(super) ticket: AppendTicket,
}

impl Oracle {
    /// How many records are promised, and how many were sent.
    pub(super) fn records(&self) -> (i64, i64) {
        let partitions = self.topics.values().flat_map(|topic| &topic.partitions);
        partitions.fold((0, 0), |(promised, sent), it| {
            let acknowledged = it.sent.iter().filter(|sent| sent.acknowledged);
            let end = acknowledged.map(Sent::end).max().unwrap_or(0);
            let last = it.sent.last().map_or(0, Sent::end);
            (promised + end.max(it.visible), sent + last)
        })
    }

    /// A value that was never used before, of about this many bytes.
    pub(super) fn value(&mut self, bytes: usize) -> Vec<u8> {
        self.next_value += 1;
        let mut value = format!("{:08}", self.next_value).into_bytes();
        let seed = self.next_value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let filler = seed.to_be_bytes().into_iter().cycle();
        value.extend(filler.take(bytes.saturating_sub(value.len())));
        value
    }

    /// A topic that is to be made.
    pub(super) fn new_topic(
        &mut self,
        number: u8,
        partitions: u32,
        segment_bytes: u32,
    ) -> TopicMeta {
        self.next_id += 1;
        topic(
            &format!("topic-{number}"),
            self.next_id,
            partitions,
            segment_bytes,
        )
    }

    /// A topic was made, or enlarged.
    pub(super) fn created(&mut self, number: u8, meta: &TopicMeta, ended: Ended) {
        let known = self.topics.contains_key(&number);
        match (ended, known) {
            (Ended::Refused, _) => return,
            (Ended::Unknown | Ended::Done, false) => {
                let partitions = Vec::new();
                let (meta, existence) = (meta.clone(), Existence::Yes);
                self.topics.insert(
                    number,
                    Topic {
                        meta,
                        existence,
                        partitions,
                    },
                );
            }
            (Ended::Unknown | Ended::Done, true) => {}
        }
        let topic = self.topics.get_mut(&number).expect("inserted above");
        topic.meta = meta.clone();
        let count = meta.partitions as usize;
        topic.partitions.resize_with(count, Partition::default);
        topic.existence = match ended {
            Ended::Done => Existence::Yes,
            _ => Existence::Perhaps,
        };
    }

    /// A topic was removed.
    pub(super) fn removed(&mut self, number: u8, ended: Ended) {
        match ended {
            Ended::Done => {
                let topic = self.topics.remove(&number).expect("it was there");
                self.removed.push(topic.meta);
            }
            Ended::Unknown => {
                let topic = self.topics.get_mut(&number).expect("it was there");
                topic.existence = Existence::Perhaps;
            }
            Ended::Refused => {}
        }
    }

    /// A row was written.
    pub(super) fn committed(&mut self, number: u8, value: Option<Bytes>, ended: Ended) {
        let row = self.rows.entry(number).or_default();
        match ended {
            Ended::Done => {
                row.certain = value;
                row.perhaps.clear();
            }
            Ended::Unknown => row.perhaps.push(value),
            Ended::Refused => {}
        }
    }

    /// Whoever was told that a record is durable must find it again.
    pub(super) fn note_acknowledged(&mut self, pending: &[Pending]) {
        for it in pending.iter().filter(|it| it.ticket.is_durable()) {
            if let Some(topic) = self.topics.get_mut(&it.topic)
                && let Some(partition) = topic.partitions.get_mut(it.partition)
                && let Some(sent) = partition.sent.iter_mut().find(|sent| sent.base == it.base)
            {
                sent.acknowledged = true;
            }
        }
    }

    /// So must whoever could read it.
    pub(super) fn note(&mut self, life: &Life, pending: &[Pending]) {
        self.note_acknowledged(pending);
        for topic in self.topics.values_mut() {
            for (number, partition) in (0..).zip(&mut topic.partitions) {
                if let Ok(log) = life.disk.store.open(&topic.meta, number) {
                    let seen = log.ends().high_watermark.get();
                    assert!(
                        partition.visible <= seen,
                        "what was visible stays so in one life"
                    );
                    partition.visible = seen;
                    let start = log.ends().log_start.get();
                    assert!(
                        partition.may_start_at(start),
                        "a log starts at {start}: {partition:?}"
                    );
                }
            }
        }
    }

    /// A topic that was being made is made, one that was being removed is there as before or gone.
    /// `false` if a creation could not be finished.
    pub(super) fn settle(&mut self, life: &Life) -> bool {
        let listed = now(life.disk.store.topics()).expect("topics are listed");
        let unsettled = |(_, topic): &(&u8, &Topic)| topic.existence == Existence::Perhaps;
        let numbers: Vec<u8> = self
            .topics
            .iter()
            .filter(unsettled)
            .map(|(n, _)| *n)
            .collect();
        for number in numbers {
            let meta = self.topics[&number].meta.clone();
            if listed.iter().any(|topic| topic.id == meta.id) {
                if now(life.disk.store.create(&meta, 0..meta.partitions)).is_err() {
                    return false;
                }
                self.created(number, &meta, Ended::Done);
            } else {
                self.removed(number, Ended::Done);
            }
        }
        true
    }

    /// Looks at everything, just after a start, and takes what is there for promised from now on.
    pub(super) fn check(&mut self, life: &Life, what: &str) {
        let listed = now(life.disk.store.topics()).expect("topics are listed");
        for gone in &self.removed {
            let back = listed.iter().any(|topic| topic.id == gone.id);
            assert!(!back, "{what}: removed topic {} is back", gone.name);
        }
        for topic in self.topics.values_mut() {
            assert_eq!(topic.existence, Existence::Yes, "{what}: settled before");
            for (number, partition) in (0..).zip(&mut topic.partitions) {
                let what = format!("{what}: {}-{number}", topic.meta.name);
                let log = match life.disk.store.open(&topic.meta, number) {
                    Ok(log) => log,
                    Err(error) => panic!("{what}: {error}"),
                };
                partition.check(&*log, &what);
            }
        }
        for (number, row) in &mut self.rows {
            let found = life.disk.metadata.get_now(&key(*number));
            let found = found.map(|row| row.value);
            let possible = row.certain == found || row.perhaps.contains(&found);
            assert!(
                possible,
                "{what}: row {number} is {found:?} instead of {row:?}"
            );
            *row = Row {
                certain: found,
                perhaps: Vec::new(),
            };
        }
        assert_eq!(life.fatals.load(Ordering::SeqCst), 0, "{what}: fatal");
    }
}

impl Partition {
    /// The sequence that the producer comes to next.
    pub(super) fn next_sequence(&self, producer: i64) -> i32 {
        self.sequences.get(&producer).copied().unwrap_or(0)
    }

    /// An append got its place.
    pub(super) fn placed(&mut self, base: i64, values: Vec<Vec<u8>>, producer: Option<(i64, i32)>) {
        let expected = self.sent.last().map_or(0, Sent::end);
        assert_eq!(base, expected, "offsets are dense");
        // What failed before is not there: this stands in its place.
        self.uncertain.clear();
        if let Some((id, sequence)) = producer {
            let count = i32::try_from(values.len()).expect("few");
            self.sequences.insert(id, sequence + count);
        }
        self.sent.push(Sent {
            base,
            values,
            producer,
            acknowledged: false,
        });
    }

    /// The start was to move.
    pub(super) fn trimmed(&mut self, wanted: i64, ended: Ended) {
        let wanted = wanted.max(self.start);
        match ended {
            Ended::Done => {
                self.start = wanted;
                self.perhaps_starts.retain(|perhaps| *perhaps > wanted);
            }
            Ended::Unknown => self.perhaps_starts.push(wanted),
            Ended::Refused => {}
        }
    }

    fn may_start_at(&self, start: i64) -> bool {
        self.start == start || self.perhaps_starts.contains(&start)
    }

    /// An append failed, and may be there all the same.
    pub(super) fn uncertain(&mut self, values: Vec<Vec<u8>>, producer: Option<(i64, i32)>) {
        let last = self.uncertain.last().or_else(|| self.sent.last());
        self.uncertain.push(Sent {
            base: last.map_or(0, Sent::end),
            values,
            producer,
            acknowledged: false,
        });
    }

    fn check(&mut self, log: &dyn Log, what: &str) {
        let ends = log.ends();
        assert_eq!(
            ends.high_watermark, ends.log_end,
            "{what}: what is found is visible"
        );
        assert!(
            self.visible <= ends.log_end.get(),
            "{what}: {} was visible, the log ends at {}",
            self.visible,
            ends.log_end
        );
        let found = match read_from(log, ends.log_start, 1 << 20) {
            Ok(found) => found,
            Err(error) => panic!("{what}: {error}"),
        };
        let batches = self.sent.iter().chain(&self.uncertain);
        let possible: Vec<&Vec<u8>> = batches.flat_map(|sent| &sent.values).collect();
        let start = ends.log_start.get();
        assert!(
            self.may_start_at(start),
            "{what}: starts at {start}: {self:?}"
        );
        (self.start, self.perhaps_starts) = (start, Vec::new());
        let before = usize::try_from(start).expect("few");
        assert!(
            before + found.len() <= possible.len(),
            "{what}: records that nobody sent"
        );
        let possible = (0..).zip(possible).skip(before);
        for ((offset, value), (expected_offset, expected)) in found.iter().zip(possible) {
            assert_eq!(*offset, expected_offset, "{what}: no offset is missing");
            assert!(
                value == expected,
                "{what}: the record at {offset} is another"
            );
        }
        let end = start + i64::try_from(found.len()).expect("few");
        assert_eq!(
            ends.log_end.get(),
            end,
            "{what}: the log ends behind its records"
        );
        for sent in self.sent.iter().filter(|sent| sent.acknowledged) {
            assert!(
                sent.end() <= end,
                "{what}: offset {} was acknowledged, {end} kept",
                sent.base
            );
        }
        self.forget_lost(end);
        let known = self.sent.last().map_or(0, Sent::end);
        assert_eq!(
            known, end,
            "{what}: a batch is there as a whole or not at all"
        );
        self.check_retry(log, what);
    }

    /// What is lost was promised to nobody: its offsets may be given again.
    fn forget_lost(&mut self, end: i64) {
        let mut sequences = BTreeMap::new();
        self.sent.append(&mut self.uncertain);
        self.sent.retain(|sent| sent.end() <= end);
        for sent in &mut self.sent {
            sent.acknowledged = true;
            if let Some((id, sequence)) = sent.producer {
                let count = i32::try_from(sent.values.len()).expect("few");
                sequences.insert(id, sequence + count);
            }
        }
        self.sequences = sequences;
        self.visible = end;
    }

    /// The last batch of each producer, sent again, is answered with its first offset.
    fn check_retry(&self, log: &dyn Log, what: &str) {
        let before = log.ends();
        for (&id, &next) in &self.sequences {
            let is_of = |sent: &&Sent| sent.producer.is_some_and(|(producer, _)| producer == id);
            let Some(last) = self.sent.iter().rev().find(is_of) else {
                continue;
            };
            let (_, sequence) = last.producer.expect("filtered");
            let count = i32::try_from(last.values.len()).expect("few");
            assert_eq!(sequence + count, next, "{what}: the model follows {id}");
            let values: Vec<&[u8]> = last.values.iter().map(Vec::as_slice).collect();
            let ticket = append(log, produced(id, 0, sequence, &values));
            let base = ticket.placed().map(Offset::get);
            assert_eq!(
                base,
                Ok(last.base),
                "{what}: a retry of producer {id}, {sequence}"
            );
            assert!(ticket.is_durable(), "{what}: the original is durable");
        }
        assert_eq!(log.ends(), before, "{what}: a retry writes nothing");
    }
}
