//! What a test does to a data directory, as data: steps that run the same way every time, over
//! several lives of a process, until the machine stops.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use records::{CheckedBatch, Offset};
use storage::{AppendError, CommitError, Log, LogStore, StoreError, TrimError, Write};
use vfs::{NameRule, SimOptions, SimVfs};

use super::harness::{Life, append, batch, now, options, produced, read_from, try_start};
use super::oracle::{Ended, Oracle, Pending, key};
use crate::Durability;

/// The journal begins a new file at this size, so that a short script gets there.
const JOURNAL_BYTES: u64 = 500;

/// One step. Topics and rows have numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A topic, its partitions, and the size of a segment.
    Create(u8, u32, u32),
    /// To this many partitions.
    Grow(u8, u32),
    Remove(u8),
    /// Topic, partition, records in the batch, bytes of each.
    Append(u8, u32, usize, usize),
    /// As an idempotent producer: topic, partition, producer, bytes.
    Produce(u8, u32, i64, usize),
    /// Topic, partition: the start moves to this percentage of what is visible.
    Trim(u8, u32, i64),
    /// One commit round.
    Sync,
    /// What the commit file has is synced behind it.
    Turn,
    /// One round of maintenance.
    Maintain,
    /// Row, bytes of the value.
    Commit(u8, usize),
    Forget(u8),
    Read(u8, u32),
    /// Hours pass.
    Wait(u64),
    /// So many bytes are free on the disk from now on.
    Room(u64),
    /// No limit any more.
    Space,
    /// A clean end, and the next start.
    Close,
    /// The process dies.
    Kill,
    /// The power goes; the seed says what is lost.
    Cut(u64),
}

use Step::*;

/// A script on its way.
pub(super) struct Run {
    pub(super) vfs: SimVfs,
    pub(super) oracle: Oracle,
    pub(super) life: Option<Life>,
    durability: Durability,
    pending: Vec<Pending>,
    /// The machine stops at this change, counted over all lives.
    stop_at: Option<u64>,
    /// Errors are planned: steps may fail though the machine runs.
    pub(super) tolerant: bool,
    pub(super) what: String,
}

impl Run {
    pub(super) fn new(names: NameRule, durability: Durability, what: String) -> Self {
        let vfs = SimVfs::with_options(SimOptions {
            names,
            ..SimOptions::default()
        });
        Self::on(vfs, durability, what)
    }

    pub(super) fn on(vfs: SimVfs, durability: Durability, what: String) -> Self {
        Self {
            vfs,
            oracle: Oracle::default(),
            life: None,
            durability,
            pending: Vec::new(),
            stop_at: None,
            tolerant: false,
            what,
        }
    }

    /// Lets the machine stop before the change of this number.
    pub(super) fn stop_at(&mut self, change: u64) {
        self.stop_at = Some(change);
        self.arm();
    }

    /// The limit does not outlive a process by itself.
    fn arm(&self) {
        if let Some(stop_at) = self.stop_at {
            self.vfs
                .stop_after(stop_at.saturating_sub(self.vfs.changes()));
        }
    }

    fn may_fail(&self) -> bool {
        self.vfs.is_stopped() || self.tolerant
    }

    fn fault(&self, step: &str, error: &dyn std::fmt::Display) {
        assert!(self.may_fail(), "{}: {step}: {error}", self.what);
    }

    /// Runs the steps from an empty disk, until the machine stops.
    pub(super) fn execute(&mut self, steps: &[Step]) {
        self.begin();
        for step in steps {
            if self.vfs.is_stopped() || self.life.is_none() {
                break;
            }
            self.step(*step);
        }
        self.note();
    }

    /// A start; it may stop on the way, but is never refused.
    pub(super) fn begin(&mut self) {
        self.pending.clear();
        match try_start(&self.vfs, &options(self.durability)) {
            Ok(life) => {
                life.disk.journal.lock().roll_above(JOURNAL_BYTES);
                if self.oracle.settle(&life) {
                    if !self.vfs.is_stopped() && !self.tolerant {
                        self.oracle.check(&life, &self.what);
                    }
                } else {
                    self.fault("a creation is not finished", &"");
                }
                self.life = Some(life);
            }
            Err(error) => self.fault("a start was refused", &error.why()),
        }
    }

    /// Takes note of what was promised so far.
    pub(super) fn note(&mut self) {
        if let Some(life) = &self.life {
            self.oracle.note(life, &self.pending);
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Create(topic, partitions, segment_bytes) => {
                if !self.oracle.topics.contains_key(&topic) {
                    let meta = self.oracle.new_topic(topic, partitions, segment_bytes);
                    self.create(topic, &meta, 0);
                }
            }
            Grow(topic, partitions) => {
                if let Some(known) = self.oracle.topics.get(&topic) {
                    let mut meta = known.meta.clone();
                    let first = std::mem::replace(&mut meta.partitions, partitions);
                    if first < partitions {
                        // What failed before is made too.
                        let first = if known.is_settled() { first } else { 0 };
                        self.create(topic, &meta, first);
                    }
                }
            }
            Remove(topic) => self.remove(topic),
            Append(topic, partition, records, bytes) => {
                self.append(topic, partition, None, (records, bytes));
            }
            Produce(topic, partition, producer, bytes) => {
                self.append(topic, partition, Some(producer), (1, bytes));
            }
            Trim(topic, partition, percentage) => self.trim(topic, partition, percentage),
            Sync => self.live(|life| life.sync()),
            Turn => self.live(|life| life.turn()),
            Maintain => self.live(|life| life.maintain()),
            Commit(row, bytes) => {
                let value = Bytes::from(self.oracle.value(bytes));
                self.commit(row, Some(value));
            }
            Forget(row) => self.commit(row, None),
            Read(topic, partition) => self.read(topic, partition),
            Wait(hours) => self.live(|life| life.clock.advance(Duration::from_hours(hours))),
            Room(bytes) => self
                .vfs
                .set_space_limit(Some(self.vfs.used_bytes() + bytes)),
            Space => self.vfs.set_space_limit(None),
            Close | Kill | Cut(_) => self.end(step),
        }
    }

    /// How often the process was told to end.
    fn fatals(&self) -> usize {
        let life = self.life.as_ref();
        life.map_or(0, |life| life.fatals.load(Ordering::SeqCst))
    }

    fn live(&mut self, work: impl FnOnce(&Life)) {
        if let Some(life) = &self.life {
            work(life);
        }
        self.note();
    }

    fn end(&mut self, step: Step) {
        self.note();
        let life = self.life.take().expect("a step is of a life");
        if step == Close {
            if let Err(error) = life.disk.close() {
                self.fault("a clean end", &error);
            }
            self.oracle.note_acknowledged(&self.pending);
            if self.vfs.is_stopped() {
                return;
            }
        } else {
            drop(life);
        }
        match step {
            // The weaker modes promise nothing for a cut.
            Cut(seed) if self.durability == Durability::Fsync => self.vfs.power_cut(seed),
            _ => self.vfs.process_kill(),
        }
        self.arm();
        self.begin();
    }

    fn create(&mut self, number: u8, meta: &storage::TopicMeta, first: u32) {
        let life = self.life.as_ref().expect("a step is of a life");
        let made = now(life.disk.store.create(meta, first..meta.partitions));
        let ended = match &made {
            Ok(()) => Ended::Done,
            // A directory that was enlarged may be so in part.
            Err(StoreError::NoSpace(_)) if first == 0 && !self.vfs.is_stopped() => Ended::Refused,
            Err(_) => Ended::Unknown,
        };
        if let Err(error) = &made
            && !matches!(error, StoreError::NoSpace(_))
        {
            self.fault("create", error);
        }
        self.oracle.created(number, meta, ended);
    }

    fn remove(&mut self, number: u8) {
        let Some(topic) = self.oracle.topics.get(&number) else {
            return;
        };
        let meta = topic.meta.clone();
        let life = self.life.as_ref().expect("a step is of a life");
        self.oracle.note(life, &self.pending);
        let ended = match now(life.disk.store.remove(&meta)) {
            Ok(()) => Ended::Done,
            Err(error) => {
                self.fault("remove", &error);
                Ended::Unknown
            }
        };
        self.pending.retain(|it| it.topic != number);
        self.oracle.removed(number, ended);
    }

    fn append(
        &mut self,
        number: u8,
        partition: u32,
        producer: Option<i64>,
        (records, bytes): (usize, usize),
    ) {
        let values: Vec<Vec<u8>> = (0..records).map(|_| self.oracle.value(bytes)).collect();
        let Some((log, producer)) = self.target(number, partition, producer) else {
            return;
        };
        let ended = self.fatals() > 0;
        let ticket = append(&*log, build(&values, producer));
        assert!(
            !ended || ticket.placed().is_err(),
            "{}: accepted after the end",
            self.what
        );
        let topic = self.oracle.topics.get_mut(&number).expect("asked above");
        let known = &mut topic.partitions[partition as usize];
        match ticket.placed() {
            Ok(base) => {
                known.placed(base.get(), values, producer);
                self.pending.push(Pending {
                    topic: number,
                    partition: partition as usize,
                    base: base.get(),
                    ticket,
                });
            }
            Err(AppendError::NoSpace(_) | AppendError::LargerThanSegment { .. }) => {}
            Err(error) => {
                known.uncertain(values, producer);
                self.fault("append", &error);
            }
        }
    }

    /// The log, and the producer with its next sequence.
    #[expect(clippy::type_complexity, reason = "two things of one lookup")]
    fn target(
        &self,
        number: u8,
        partition: u32,
        producer: Option<i64>,
    ) -> Option<(Arc<dyn Log>, Option<(i64, i32)>)> {
        let topic = self.oracle.topics.get(&number)?;
        let known = topic.partitions.get(partition as usize)?;
        let life = self.life.as_ref().expect("a step is of a life");
        match life.disk.store.open(&topic.meta, partition) {
            Ok(log) => Some((log, producer.map(|id| (id, known.next_sequence(id))))),
            Err(error) => {
                self.fault("open", &error);
                None
            }
        }
    }

    fn trim(&mut self, number: u8, partition: u32, percentage: i64) {
        self.note();
        let Some((log, _)) = self.target(number, partition, None) else {
            return;
        };
        let wanted = log.ends().high_watermark.get() * percentage / 100;
        let trimmed = now(log.trim(Offset::new(wanted)));
        let ended = match &trimmed {
            Ok(_) => Ended::Done,
            Err(TrimError::NoSpace(_)) if !self.vfs.is_stopped() => Ended::Refused,
            Err(_) => Ended::Unknown,
        };
        if let Err(error) = &trimmed
            && !matches!(error, TrimError::NoSpace(_))
        {
            self.fault("trim", error);
        }
        let topic = self.oracle.topics.get_mut(&number).expect("asked above");
        topic.partitions[partition as usize].trimmed(wanted, ended);
        self.note();
    }

    fn commit(&mut self, row: u8, value: Option<Bytes>) {
        let life = self.life.as_ref().expect("a step is of a life");
        let write = Write {
            key: key(row),
            value: value.clone(),
        };
        let committed = life.disk.metadata.commit_blocking(&[], &[write]);
        // The thread may rewrite its files after the answer: it is done when it answers again.
        let _ = life.disk.metadata.commit_blocking(&[], &[]);
        let ended = match committed {
            Ok(_) => Ended::Done,
            Err(CommitError::NoSpace(_)) => Ended::Refused,
            Err(error) => {
                self.fault("commit", &error);
                Ended::Unknown
            }
        };
        self.oracle.committed(row, value, ended);
    }

    fn read(&mut self, number: u8, partition: u32) {
        self.note();
        let Some((log, _)) = self.target(number, partition, None) else {
            return;
        };
        let known = &self.oracle.topics[&number].partitions[partition as usize];
        // A small limit, so that a read is many reads.
        let start = log.ends().log_start;
        match read_from(&*log, start, 2000) {
            Ok(seen) => {
                let values = known.sent.iter().flat_map(|sent| &sent.values);
                let visible = usize::try_from(known.visible).expect("few");
                let before = usize::try_from(start.get()).expect("few");
                let expected = (0..).zip(values.cloned()).take(visible).skip(before);
                let expected: Vec<_> = expected.collect();
                assert!(
                    seen == expected,
                    "{}: a read shows something else",
                    self.what
                );
            }
            Err(error) => self.fault("read", &error),
        }
    }
}

fn build(values: &[Vec<u8>], producer: Option<(i64, i32)>) -> CheckedBatch {
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    match producer {
        Some((id, sequence)) => produced(id, 0, sequence, &values),
        None => batch(&values),
    }
}
