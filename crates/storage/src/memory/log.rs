//! One log in memory: a vector of batches behind one short lock.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use records::{BatchError, BatchHeader, CheckedBatch, DecodeBudget, Offset};

use super::Switches;
use crate::epochs::LeaderEpochs;
use crate::log::{
    AppendError, AppendTicket, Chunk, Ends, EpochEnd, Fence, Footprint, Isolation, Log, OffsetAt,
    ReadError, ReadLimit, ReadSlice, StorageFailure, TimeQuery, TrimError,
};
use crate::producer_state::{ProducerEntry, ProducerTable, Verdict};
use crate::progress::Progress;
use crate::time_lookup::{DECODED_BYTES_MAX, find_in_batch};
use crate::wait::{WaitList, Waiter};
use crate::{BoxFuture, BytesPermit};

/// The records of one partition, in memory.
#[derive(Debug)]
pub struct MemoryLog {
    origin: Origin,
    /// The durable end, which is the high watermark: nothing here is visible before it is durable.
    progress: Arc<Progress>,
    waiters: WaitList,
    state: Mutex<State>,
}

/// What a log has from its store.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) leader_epoch: i32,
    pub(super) segment_bytes: u32,
    pub(super) switches: Arc<Switches>,
}

#[derive(Debug)]
struct State {
    /// Those before the start too: they say what producers wrote.
    batches: Vec<Stored>,
    log_start: Offset,
    log_end: Offset,
    producers: ProducerTable,
    epochs: LeaderEpochs,
    /// Of the batches that are not durable yet.
    permits: Vec<BytesPermit>,
    condition: Condition,
}

#[derive(Debug, Clone)]
pub(super) struct Stored {
    header: BatchHeader,
    bytes: Bytes,
}

#[derive(Debug)]
enum Condition {
    Serving,
    /// Durability is lost: nothing is accepted, what is visible can be read.
    Failed(StorageFailure),
    /// Removed: nothing can be done any more.
    Closed(StorageFailure),
}

impl State {
    fn accepts(&self) -> Result<(), StorageFailure> {
        match &self.condition {
            Condition::Serving => Ok(()),
            Condition::Failed(failure) | Condition::Closed(failure) => Err(failure.clone()),
        }
    }

    fn serves(&self) -> Result<(), StorageFailure> {
        match &self.condition {
            Condition::Serving | Condition::Failed(_) => Ok(()),
            Condition::Closed(failure) => Err(failure.clone()),
        }
    }

    fn push(&mut self, stored: Stored) {
        let header = &stored.header;
        assert_eq!(
            header.base_offset, self.log_end,
            "offsets of a log have no gap"
        );
        assert_eq!(
            header.size_bytes(),
            stored.bytes.len(),
            "a batch is as long as it says"
        );
        self.log_end = header.next_offset();
        self.epochs
            .on_append(header.leader_epoch, header.base_offset);
        self.producers.record(header);
        self.batches.push(stored);
    }

    /// The batches that a reader may see whole, below `visible_end`.
    fn visible(&self, visible_end: Offset) -> &[Stored] {
        let seen = |stored: &Stored| stored.header.next_offset() <= visible_end;
        let count = self.batches.partition_point(seen);
        self.batches
            .get(..count)
            .expect("a partition point lies inside")
    }
}

impl MemoryLog {
    pub(super) fn empty(origin: Origin) -> Self {
        Self::restored(origin, Vec::new(), (Offset::ZERO, Offset::ZERO))
    }

    /// A log that holds `batches`, all durable, and goes from `log_start` to `log_end`.
    pub(super) fn restored(
        origin: Origin,
        batches: Vec<Stored>,
        (log_start, log_end): (Offset, Offset),
    ) -> Self {
        let mut state = State {
            batches: Vec::new(),
            log_start,
            log_end: Offset::ZERO,
            producers: ProducerTable::new(),
            epochs: LeaderEpochs::new(),
            permits: Vec::new(),
            condition: Condition::Serving,
        };
        for stored in batches {
            state.push(stored);
        }
        assert_eq!(
            state.log_end, log_end,
            "the batches reach to the durable end"
        );
        state.epochs.on_append(origin.leader_epoch, log_end);
        state.epochs.truncate_from_start(log_start);
        Self {
            origin,
            progress: Progress::new(log_end),
            waiters: WaitList::default(),
            state: Mutex::new(state),
        }
    }

    /// What is durable, and where that begins and ends.
    pub(super) fn durable_batches(&self) -> (Vec<Stored>, (Offset, Offset)) {
        let durable_end = self.progress.durable_end();
        let state = self.state.lock();
        let batches = state.visible(durable_end).to_vec();
        (batches, (state.log_start, durable_end))
    }

    pub(super) fn commit(&self) {
        let (log_end, permits) = {
            let mut state = self.state.lock();
            (state.log_end, std::mem::take(&mut state.permits))
        };
        drop(permits);
        self.progress.advance(log_end);
        self.waiters.wake_all();
    }

    pub(super) fn fail(&self, failure: &StorageFailure) {
        self.end(failure, Condition::Failed(failure.clone()));
    }

    pub(super) fn close(&self, failure: &StorageFailure) {
        self.end(failure, Condition::Closed(failure.clone()));
    }

    fn end(&self, failure: &StorageFailure, condition: Condition) {
        {
            let mut state = self.state.lock();
            state.condition = condition;
            state.permits.clear();
        }
        self.progress.fail(failure);
        self.waiters.wake_all();
    }

    fn ends_of(&self, state: &State) -> Ends {
        let high_watermark = self.progress.durable_end();
        let last_stable = high_watermark;
        let log_end = state.log_end;
        let ends = Ends {
            log_start: state.log_start,
            last_stable,
            high_watermark,
            log_end,
        };
        ends.assert_ordered();
        ends
    }

    /// Places the batch: the offsets it occupies, and whether it was written just now.
    fn place(
        &self,
        mut batch: CheckedBatch,
        fence: Fence,
        permit: BytesPermit,
    ) -> Result<(Offset, Offset), AppendError> {
        let mut state = self.state.lock();
        state.accepts()?;
        let current = self.origin.leader_epoch;
        if let Some(asked) = fence.leader_epoch.filter(|&asked| asked != current) {
            return Err(AppendError::Fenced { current, asked });
        }
        let (size_bytes, segment_bytes) = (batch.len(), self.origin.segment_bytes);
        if u32::try_from(size_bytes).is_ok_and(|size_bytes| size_bytes > segment_bytes) {
            return Err(AppendError::LargerThanSegment {
                size_bytes,
                segment_bytes,
            });
        }
        match state.producers.check(batch.header()) {
            Verdict::Accept => {}
            Verdict::Duplicate { base, last } => return Ok((base, last.plus(1))),
            Verdict::Refused(error) => return Err(error),
        }
        if let Some(failure) = &*self.origin.switches.no_space.lock() {
            return Err(AppendError::NoSpace(failure.clone()));
        }
        batch.place(state.log_end, current);
        let header = *batch.header();
        state.push(Stored {
            header,
            bytes: batch.into_bytes(),
        });
        if self.origin.switches.manual_commit {
            state.permits.push(permit);
        }
        Ok((header.base_offset, header.next_offset()))
    }

    fn read_now(
        &self,
        from: Offset,
        limit: ReadLimit,
        isolation: Isolation,
    ) -> Result<ReadSlice, ReadError> {
        let state = self.state.lock();
        state.serves()?;
        let ends = self.ends_of(&state);
        if from < ends.log_start || from > ends.log_end {
            return Err(ReadError::OutOfRange { asked: from, ends });
        }
        let visible = state.visible(ends.visible_end(isolation));
        let first = visible.partition_point(|stored| stored.header.last_offset() < from);
        let mut slice = ReadSlice::empty(ends);
        let mut size_bytes = 0_usize;
        for stored in visible.iter().skip(first) {
            size_bytes = size_bytes.saturating_add(stored.bytes.len());
            let exempt = slice.chunks.is_empty() && limit.at_least_one_batch;
            if size_bytes > limit.bytes_max && !exempt {
                break;
            }
            slice.chunks.push(Chunk::Memory(stored.bytes.clone()));
        }
        Ok(slice)
    }

    fn trim_now(&self, new_start: Offset) -> Result<Offset, TrimError> {
        let mut state = self.state.lock();
        state.accepts()?;
        let ends = self.ends_of(&state);
        if new_start < Offset::ZERO || new_start > ends.high_watermark {
            let asked = new_start;
            return Err(TrimError::OutOfRange { asked, ends });
        }
        if new_start > ends.log_start {
            state.log_start = new_start;
            state.epochs.truncate_from_start(new_start);
        }
        Ok(state.log_start)
    }

    fn find_by_time(
        &self,
        query: TimeQuery,
        isolation: Isolation,
    ) -> Result<Option<OffsetAt>, ReadError> {
        let (log_start, visible) = {
            let state = self.state.lock();
            state.serves()?;
            let ends = self.ends_of(&state);
            let visible = state.visible(ends.visible_end(isolation));
            let kept = |stored: &&Stored| stored.header.next_offset() > ends.log_start;
            let visible: Vec<Stored> = visible.iter().filter(kept).cloned().collect();
            (ends.log_start, visible)
        };
        let mut budget = DecodeBudget::new(DECODED_BYTES_MAX);
        let mut find = |stored: &Stored| {
            find_in_batch(&stored.bytes, log_start, query, &mut budget)
                .map_err(|error| damaged(&stored.header, &error))
        };
        match query {
            TimeQuery::AtOrAfter(wanted_ms) => {
                for stored in visible
                    .iter()
                    .filter(|s| s.header.max_timestamp_ms >= wanted_ms)
                {
                    if let Some(found) = find(stored)? {
                        return Ok(Some(found));
                    }
                }
                Ok(None)
            }
            TimeQuery::Largest => {
                // What the head of the first batch says may be of records before the start.
                let mut best = match visible.first() {
                    Some(first) => find(first)?,
                    None => return Ok(None),
                };
                for stored in &visible {
                    let largest_ms = stored.header.max_timestamp_ms;
                    if stored.header.base_offset >= log_start
                        && largest_ms > best.map_or(-1, |best| best.timestamp_ms)
                    {
                        best = find(stored)?.or(best);
                    }
                }
                Ok(best)
            }
        }
    }
}

fn damaged(header: &BatchHeader, error: &BatchError) -> ReadError {
    let base = header.base_offset;
    ReadError::Corrupt(StorageFailure::new(format!(
        "the batch at offset {base}: {error}"
    )))
}

impl Log for MemoryLog {
    fn append(&self, batch: CheckedBatch, fence: Fence, permit: BytesPermit) -> AppendTicket {
        match self.place(batch, fence, permit) {
            Ok((base, end)) => {
                if !self.origin.switches.manual_commit {
                    self.progress.advance(end);
                    self.waiters.wake_all();
                }
                AppendTicket::placed_at(base, end, self.ends().log_start, &self.progress)
            }
            Err(error) => AppendTicket::refused(error),
        }
    }

    fn read(
        &self,
        from: Offset,
        limit: ReadLimit,
        isolation: Isolation,
    ) -> BoxFuture<'_, Result<ReadSlice, ReadError>> {
        Box::pin(async move { self.read_now(from, limit, isolation) })
    }

    fn offset_at(
        &self,
        query: TimeQuery,
        isolation: Isolation,
    ) -> BoxFuture<'_, Result<Option<OffsetAt>, ReadError>> {
        Box::pin(async move { self.find_by_time(query, isolation) })
    }

    fn trim(&self, new_start: Offset) -> BoxFuture<'_, Result<Offset, TrimError>> {
        Box::pin(async move { self.trim_now(new_start) })
    }

    fn ends(&self) -> Ends {
        self.ends_of(&self.state.lock())
    }

    fn settled(&self) -> BoxFuture<'_, Result<Ends, StorageFailure>> {
        let target = {
            let state = self.state.lock();
            state.serves().map(|()| state.log_end)
        };
        Box::pin(async move {
            self.progress.reached(target?).await?;
            Ok(self.ends())
        })
    }

    fn epoch_end(&self, epoch: i32) -> Option<EpochEnd> {
        let state = self.state.lock();
        state.epochs.end_of(epoch, state.log_end, state.log_start)
    }

    fn leader_epoch(&self) -> i32 {
        self.origin.leader_epoch
    }

    fn footprint(&self) -> Footprint {
        let state = self.state.lock();
        let kept = |stored: &&Stored| stored.header.next_offset() > state.log_start;
        let kept = || state.batches.iter().filter(kept);
        let largest = kept().map(|stored| stored.header.max_timestamp_ms).max();
        Footprint {
            size_bytes: kept().map(|stored| stored.bytes.len() as u64).sum(),
            segments: 1,
            oldest_ms: largest.filter(|largest_ms| *largest_ms >= 0),
        }
    }

    fn producers(&self) -> Result<Vec<ProducerEntry>, StorageFailure> {
        Ok(self.state.lock().producers.producers().cloned().collect())
    }

    fn wait(&self, waiter: Arc<Waiter>) {
        self.waiters.register(waiter);
        // Registered first, asked second: a removal in between has either woken the waiter or is
        // seen here.
        if self.state.lock().serves().is_err() {
            self.waiters.wake_all();
        }
    }
}
