//! [`Log`]: the records of one partition, and what can go wrong with them.
//!
//! ```text
//!     log_start ≤ last_stable ≤ high_watermark ≤ log_end
//!     |--deleted--|===== readable =====|== written, not yet visible ==|
//! ```
//!
//! An append has two steps. [`Log::append`] fixes the place and returns at once; the
//! [`AppendTicket`] resolves when the bytes are durable. No lock is held between the two.

use std::sync::Arc;

use bytes::Bytes;
use records::{CheckedBatch, Offset};

use crate::producer_state::ProducerEntry;
use crate::progress::Progress;
use crate::wait::Waiter;
use crate::{BoxFuture, BytesPermit};

/// The records of one partition.
///
/// Must: keep the order of `ends` above at every moment; never let `log_start`, `last_stable` or
/// `high_watermark` move back; never show a reader what is not durable (in the mode that promises
/// it); never issue an offset again that was acknowledged as durable or was visible.
/// May: refuse any append with an error; put batches without records in the place of records that
/// are not the newest of their key, where the log is configured so. Must not: open or change the
/// records of a batch otherwise.
pub trait Log: Send + Sync + std::fmt::Debug {
    /// Fixes the place of `batch`: when this returns, a later append goes behind it. Patches base
    /// offset and leader epoch into the batch and applies the producer rules
    /// ([`crate::producer_state`]). `permit` is the share of the byte budget that the bytes hold;
    /// the store lets go of it when it no longer needs them. A duplicate of one of the producer's
    /// last five batches gets the ticket of the original.
    fn append(&self, batch: CheckedBatch, fence: Fence, permit: BytesPermit) -> AppendTicket;

    /// Whole batches, from the one that contains `from`; at least one if any is readable, however
    /// small the limit. Empty when `from` is at or above what `isolation` may see and not above
    /// the log end.
    fn read(
        &self,
        from: Offset,
        limit: ReadLimit,
        isolation: Isolation,
    ) -> BoxFuture<'_, Result<ReadSlice, ReadError>>;

    /// Finds an offset by time, among the visible records. `None`: there is no such record.
    fn offset_at(
        &self,
        query: TimeQuery,
        isolation: Isolation,
    ) -> BoxFuture<'_, Result<Option<OffsetAt>, ReadError>>;

    /// Moves the start of the log up to `new_start` and gives the start that holds then. When this
    /// resolves, no reader sees what lies before, and no later start of the store does. A start
    /// that is not above the one that holds changes nothing. The space comes back later; a chunk
    /// that was read before stays readable.
    fn trim(&self, new_start: Offset) -> BoxFuture<'_, Result<Offset, TrimError>>;

    /// Where the log starts and ends now.
    fn ends(&self) -> Ends;

    /// Resolves when all that was written before the call is visible (or at once).
    fn settled(&self) -> BoxFuture<'_, Result<Ends, StorageFailure>>;

    /// Where the largest leader epoch that is not above `epoch` ends (KIP-101, KIP-279). `None`
    /// when `epoch` is above every epoch known.
    fn epoch_end(&self, epoch: i32) -> Option<EpochEnd>;

    /// The leader epoch that appends are written with now.
    fn leader_epoch(&self) -> i32;

    /// Bytes and segments kept.
    fn footprint(&self) -> Footprint;

    /// The idempotent producers that are known, by id. May wait for the disk.
    fn producers(&self) -> Result<Vec<ProducerEntry>, StorageFailure>;

    /// Wakes `waiter` at the next move of the high watermark or the last stable offset, or when
    /// the log is removed or fails.
    fn wait(&self, waiter: Arc<Waiter>);
}

/// The four ends of a log; see the ruler above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The first offset kept.
    pub log_start: Offset,
    /// Below this no transaction is open.
    pub last_stable: Offset,
    /// Below this everything is visible.
    pub high_watermark: Offset,
    /// The next offset to be written.
    pub log_end: Offset,
}

impl Ends {
    /// An empty log that starts at `offset`.
    pub fn empty_at(offset: Offset) -> Self {
        Self {
            log_start: offset,
            last_stable: offset,
            high_watermark: offset,
            log_end: offset,
        }
    }

    /// The offset below which a reader under `isolation` may see records.
    pub fn visible_end(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable,
        }
    }

    /// Panics where the order is broken: a log in that state must not go on.
    pub fn assert_ordered(&self) {
        assert!(
            self.log_start <= self.last_stable
                && self.last_stable <= self.high_watermark
                && self.high_watermark <= self.log_end,
            "the ends of a log are out of order: {self:?}"
        );
    }
}

/// What an append must match to be accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fence {
    /// The leader epoch that the caller believes in; `None`: whatever is current.
    pub leader_epoch: Option<i32>,
}

/// Which records a reader may see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    #[default]
    ReadUncommitted,
    /// Up to the last stable offset.
    ReadCommitted,
}

/// How much a read may return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// Stop before the batch that would exceed this many bytes.
    pub bytes_max: usize,
    /// Return the first batch even when it alone exceeds `bytes_max`; otherwise return nothing.
    pub at_least_one_batch: bool,
}

/// A run of bytes of a log: in memory, or a range of a file that a socket can send from.
#[derive(Debug, Clone)]
pub enum Chunk {
    /// Bytes in memory.
    Memory(Bytes),
    /// A range of a file, all of it visible and never changed again.
    File {
        /// Kept open by this reference even when the segment is deleted.
        file: Arc<dyn vfs::File>,
        /// Where the range begins, in bytes.
        at: u64,
        /// How long it is, in bytes.
        size_bytes: usize,
    },
}

impl Chunk {
    /// Length in bytes.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::File { size_bytes, .. } => *size_bytes,
        }
    }
}

/// What a read found.
#[derive(Debug, Clone)]
pub struct ReadSlice {
    /// Whole batches, in order.
    pub chunks: Vec<Chunk>,
    /// The ends at the time of the read.
    pub ends: Ends,
}

impl ReadSlice {
    /// Nothing readable here.
    pub fn empty(ends: Ends) -> Self {
        Self {
            chunks: Vec::new(),
            ends,
        }
    }

    /// Sum of the chunks, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::size_bytes).sum()
    }
}

/// What [`Log::offset_at`] looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeQuery {
    /// The first record whose timestamp is at or after this, in ms since the epoch.
    AtOrAfter(i64),
    /// The record with the largest timestamp (the first of equals; KIP-734).
    Largest,
}

/// A record found by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAt {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp in ms since the epoch.
    pub timestamp_ms: i64,
    /// The leader epoch of its batch.
    pub leader_epoch: i32,
}

/// The end of a leader epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch that the end belongs to.
    pub leader_epoch: i32,
    /// The first offset after it.
    pub end: Offset,
}

/// What a log takes on its store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of records.
    pub size_bytes: u64,
    /// Files of records.
    pub segments: usize,
    /// The largest timestamp in the oldest of these files, in ms since the epoch: its age is the one
    /// that counts. `None`: there is none.
    pub oldest_ms: Option<i64>,
}

/// The store cannot keep its promise any more; the text names file, operation and error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StorageFailure(pub Arc<str>);

impl StorageFailure {
    /// A failure with this text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

/// Why an append was refused. Nothing was written and no state moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The sequence does not follow the producer's last one.
    #[error(
        "producer {producer_id} sent sequence {got} where {expected} was expected; \
         a batch before it was lost or came out of order"
    )]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// The sequence that would have been accepted.
        expected: i32,
        /// The first sequence of the refused batch.
        got: i32,
    },
    /// A newer instance of the same producer has written.
    #[error("producer {producer_id} has epoch {current} now, the batch carries {got}")]
    StaleProducerEpoch {
        /// The producer.
        producer_id: i64,
        /// The newest epoch seen.
        current: i16,
        /// The epoch of the refused batch.
        got: i16,
    },
    /// The caller's leader epoch is not the current one.
    #[error("the leader epoch is {current}, the append is for {asked}")]
    Fenced {
        /// The current epoch.
        current: i32,
        /// The epoch that the caller named.
        asked: i32,
    },
    /// The batch is larger than a segment may be.
    #[error("the batch has {size_bytes} bytes, a segment holds {segment_bytes} at most")]
    LargerThanSegment {
        /// Size of the batch.
        size_bytes: usize,
        /// The limit (`segment.bytes`).
        segment_bytes: u32,
    },
    /// The disk is full or below its reserve: nothing was written; reads go on, and writes too as
    /// soon as there is room.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// The store failed, or the log was removed.
    #[error("{0}")]
    Storage(#[from] StorageFailure),
}

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The offset is below the log's start or above its end.
    #[error("offset {asked} is outside the log, which has {} to {}", ends.log_start, ends.log_end)]
    OutOfRange {
        /// The offset asked for.
        asked: Offset,
        /// The ends at that time.
        ends: Ends,
    },
    /// The bytes on the store are not what was written.
    #[error("damaged records: {0}")]
    Corrupt(StorageFailure),
    /// The store failed, or the log was removed.
    #[error("{0}")]
    Storage(#[from] StorageFailure),
}

/// Why a log was not trimmed. Its start is where it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrimError {
    /// The new start lies above what is visible, or below 0.
    #[error("the log cannot start at {asked}: its high watermark is {}", ends.high_watermark)]
    OutOfRange {
        /// The start asked for.
        asked: Offset,
        /// The ends at that time.
        ends: Ends,
    },
    /// No room to write down the new start.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// The store failed, or the log was removed.
    #[error("{0}")]
    Storage(#[from] StorageFailure),
}

/// A place in a log, and the promise of its durability.
#[derive(Debug)]
pub struct AppendTicket {
    placed: Result<Placed, AppendError>,
}

#[derive(Debug)]
struct Placed {
    base: Offset,
    /// First offset after the batch: durable when this is reached.
    end: Offset,
    log_start: Offset,
    progress: Arc<Progress>,
}

impl AppendTicket {
    /// A batch placed at `base` up to (not including) `end`.
    pub fn placed_at(
        base: Offset,
        end: Offset,
        log_start: Offset,
        progress: &Arc<Progress>,
    ) -> Self {
        Self {
            placed: Ok(Placed {
                base,
                end,
                log_start,
                progress: Arc::clone(progress),
            }),
        }
    }

    /// An append that did not happen.
    pub fn refused(error: AppendError) -> Self {
        Self { placed: Err(error) }
    }

    /// The base offset, known at once.
    pub fn placed(&self) -> Result<Offset, AppendError> {
        self.placed
            .as_ref()
            .map(|placed| placed.base)
            .map_err(Clone::clone)
    }

    /// The first offset of the log when the batch was placed.
    pub fn log_start(&self) -> Option<Offset> {
        self.placed.as_ref().ok().map(|placed| placed.log_start)
    }

    /// The base offset, once the batch is durable.
    pub async fn durable(self) -> Result<Offset, AppendError> {
        let placed = self.placed?;
        placed.progress.reached(placed.end).await?;
        Ok(placed.base)
    }

    /// Whether [`AppendTicket::durable`] would resolve at once.
    pub fn is_durable(&self) -> bool {
        self.placed
            .as_ref()
            .is_ok_and(|placed| placed.progress.durable_end() >= placed.end)
    }
}

#[cfg(test)]
mod tests;
