//! [`DiskLog`]: the records of one partition, in the segment files of one directory.
//!
//! One short lock guards the place where the next batch goes; it is never held over an await, and
//! a panic under it ends the process. The four ends can be read without it. What an idle log needs
//! beyond them is loaded at its first append or read. Knows nothing of topics' meaning or of what
//! records say.
//!
//! - `append`: producer rules, place, roll, the one write
//! - `share`: what it gives to a round of the commit file
//! - `read`: from an offset to a run of whole batches
//! - `proof`: every byte is held against what was written, once, and repaired if that is certain
//! - `damage`: what a read does where the bytes are not good
//! - `epochs`: where a leader epoch ends
//! - `scrub`: bytes that nobody asked for are held against what was written too
//! - `times`: from a time to an offset
//! - `trim`: where the log begins
//! - `expire`: which segments are too old or too many
//! - `compact`: which segments are to be written anew, and the change from the old to the new
//! - `load`: what is read when a log is used first
//! - `rounds`: what the sync thread and the maintenance thread ask of a log

mod append;
mod compact;
mod damage;
mod epochs;
mod expire;
mod load;
mod proof;
mod read;
mod reader;
mod rounds;
mod scrub;
mod share;
mod state;
mod times;
mod trim;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard, RwLock};
use records::{CheckedBatch, Offset};
use sabotage::{Safeguard, skips};
use storage::{
    AppendTicket, BoxFuture, BytesPermit, Ends, EpochEnd, Fence, Footprint, Isolation, Log,
    LogConfig, OffsetAt, PartitionId, ProducerEntry, Progress, ReadError, ReadLimit, ReadSlice,
    StorageFailure, TimeQuery, TopicId, TopicName, TrimError, WaitList, Waiter,
};
use tokio::sync::oneshot;

use crate::context::Context;
use crate::files::FileKey;
use crate::names;
use crate::window::{Access, Fault};

pub(crate) use compact::{Cleanable, Reading, Swapped};
pub(crate) use rounds::RoundWork;
pub(crate) use share::{Piece, Share};
pub(crate) use state::{Mark, Place};

use state::{Condition, State};

/// What all partitions of a topic share.
#[derive(Debug)]
pub(crate) struct TopicPlace {
    pub(crate) id: TopicId,
    pub(crate) name: TopicName,
    /// The directory of the topic.
    pub(crate) directory: PathBuf,
    pub(crate) config: RwLock<LogConfig>,
}

/// See the head of the module.
pub(crate) struct DiskLog {
    me: Weak<Self>,
    context: Arc<Context>,
    topic: Arc<TopicPlace>,
    partition: u32,
    /// Names the log's open files, and is another one once some of them were replaced.
    number: AtomicU64,
    log_start: AtomicI64,
    high_watermark: AtomicI64,
    log_end: AtomicI64,
    /// Where this process found the end of the log; what it appends lies behind.
    found_end: AtomicI64,
    progress: Arc<Progress>,
    waiters: WaitList,
    /// Held while files are written by their paths without the lock of `state`, and before it.
    names: Mutex<()>,
    /// See [`DiskLog::sync_alone`]; before the lock of `state`.
    syncs: Mutex<()>,
    state: Mutex<State>,
}

impl fmt::Debug for DiskLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskLog")
            .field("topic", &self.topic.name)
            .field("partition", &self.partition)
            .field("ends", &self.ends())
            .finish_non_exhaustive()
    }
}

impl DiskLog {
    /// A log whose files were recovered, or just made: all of it is durable and visible.
    pub(crate) fn new(
        context: Arc<Context>,
        topic: Arc<TopicPlace>,
        partition: u32,
        place: Place,
    ) -> Arc<Self> {
        let Place { log_start, end, .. } = place;
        assert!(
            log_start <= end.offset,
            "a log starts at {log_start}, before its end"
        );
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            number: AtomicU64::new(context.next_log_number()),
            context,
            topic,
            partition,
            log_start: AtomicI64::new(log_start.get()),
            high_watermark: AtomicI64::new(end.offset.get()),
            log_end: AtomicI64::new(end.offset.get()),
            found_end: AtomicI64::new(end.offset.get()),
            progress: Progress::new(end.offset),
            waiters: WaitList::default(),
            names: Mutex::default(),
            syncs: Mutex::default(),
            state: Mutex::new(State::new(place)),
        })
    }

    /// Held from before a sync of this log until its result counts: the disk tells of a loss once,
    /// and whoever acknowledges must not come between who was told and what that ends.
    pub(crate) fn sync_alone(&self) -> Option<MutexGuard<'_, ()>> {
        (!skips(Safeguard::OneSyncALog)).then(|| self.syncs.lock())
    }

    /// Makes the names in its directory durable. See [`names::is_failed_sync`].
    ///
    /// IMPORTANT: as [`DiskLog::sync_alone`] says of bytes: a round may be told what this is not, and
    /// then this must not be made.
    fn sync_names(&self) -> io::Result<()> {
        let _alone = self.sync_alone();
        self.context.health.check().map_err(io::Error::other)?;
        names::sync_dir(&*self.context.vfs, &self.directory())
    }

    /// Whether somebody syncs it.
    #[cfg(test)]
    pub(crate) fn is_synced_now(&self) -> bool {
        self.syncs.is_locked()
    }

    /// The directory with the segments.
    pub(crate) fn directory(&self) -> PathBuf {
        crate::paths::partition_dir(&self.topic.directory, self.partition)
    }

    /// Which partition it holds.
    pub(crate) fn id(&self) -> PartitionId {
        PartitionId {
            topic: self.topic.id,
            partition: self.partition,
        }
    }

    /// The name of its topic.
    pub(crate) fn topic_name(&self) -> &TopicName {
        &self.topic.name
    }

    fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    fn key(&self, base: Offset) -> FileKey {
        FileKey {
            log: self.number(),
            base,
        }
    }

    pub(crate) fn config(&self) -> LogConfig {
        *self.topic.config.read()
    }

    fn end(&self) -> Offset {
        Offset::new(self.log_end.load(Ordering::Acquire))
    }

    /// Where the log begins.
    pub(crate) fn start_offset(&self) -> Offset {
        self.start()
    }

    fn start(&self) -> Offset {
        Offset::new(self.log_start.load(Ordering::Acquire))
    }

    /// Raises the high watermark, under the lock.
    fn raise_high_watermark(&self, end: Offset) {
        let before = self.high_watermark.swap(end.get(), Ordering::AcqRel);
        assert!(
            end <= self.end(),
            "a high watermark of {end} lies inside the log"
        );
        assert!(
            before <= end.get(),
            "a high watermark of {before} does not fall to {end}"
        );
    }

    /// Everything below `end` is visible: wakes readers and answers producers, in this order, so
    /// that who waits after an answer is not woken for what it knows.
    fn announce(&self, end: Offset) {
        self.waiters.wake_all();
        self.progress.advance(end);
    }

    /// Durability is lost: nobody gets a good answer any more.
    pub(crate) fn fail(&self, failure: &StorageFailure) {
        self.progress.fail(failure);
        self.waiters.wake_all();
    }

    /// The first step of a removal: from here on no file is opened by its path.
    pub(crate) fn begin_removal(&self) {
        // An upkeep under way writes by path too: it ends first, and none begins later.
        let _names = (!skips(Safeguard::RemovalNamesLock)).then(|| self.names.lock());
        let condition = &mut self.state.lock().condition;
        let failure = match condition {
            Condition::Offline(failure) => Some(failure.clone()),
            _ => None,
        };
        *condition = Condition::Removing(failure);
    }

    /// The files could not be moved: the log is as it was before.
    pub(crate) fn cancel_removal(&self) {
        let condition = &mut self.state.lock().condition;
        if let Condition::Removing(failure) = condition
            && !skips(Safeguard::RemovalUndone)
        {
            *condition = failure
                .take()
                .map_or(Condition::Serving, Condition::Offline);
        }
    }

    /// The files are out of the way.
    pub(crate) fn finish_removal(&self) {
        let failure = self.removed();
        {
            let mut state = self.state.lock();
            state.condition = Condition::Removed(failure.clone());
            state.loaded = None;
            state.quarantine = None;
            self.count_lost(&state);
        }
        self.context.files.forget(self.number());
        self.fail(&failure);
        // The journal lets go of it there.
        self.context.upkeep.submit(self.me());
    }

    fn removed(&self) -> StorageFailure {
        StorageFailure::new(format!("topic {} was removed", self.topic.name))
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.state.lock().is_removed()
    }

    /// Whether its removal came to its end.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.state.lock().condition, Condition::Removed(_))
    }

    /// A failure that names this partition.
    fn failure(&self, doing: &str, error: &dyn fmt::Display) -> StorageFailure {
        let (topic, partition) = (&self.topic.name, self.partition);
        StorageFailure::new(format!("{topic}-{partition}: {doing}: {error}"))
    }

    fn corrupt(&self, offset: Offset, reason: &str) -> Fault {
        let failure = self.failure(&format!("the records at offset {offset}"), &reason);
        Fault::Read(ReadError::Corrupt(failure))
    }

    fn read_error(&self, fault: Fault) -> ReadError {
        match fault {
            Fault::Read(error) => error,
            Fault::Io(error) => ReadError::Storage(self.failure("a read failed", &error)),
            Fault::NotCached => {
                let failure = self.failure("a read failed", &"the disk was not asked");
                ReadError::Storage(failure)
            }
        }
    }

    fn me(&self) -> Arc<Self> {
        self.me
            .upgrade()
            .expect("a log that is called is owned by somebody")
    }

    /// Runs a read where it may wait for the disk, and waits for it without blocking.
    async fn cold<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (sender, receiver) = oneshot::channel();
        let log = self.me();
        self.context.cold.submit(Box::new(move || {
            let result = read(&log).map_err(|fault| log.read_error(fault));
            // Whoever asked may have gone.
            let _ = sender.send(result);
        }));
        let lost = |_closed| self.failure("a read failed", &"its thread ended");
        receiver.await.map_err(lost)?
    }
}

impl Log for DiskLog {
    fn append(&self, batch: CheckedBatch, fence: Fence, permit: BytesPermit) -> AppendTicket {
        let placed = self.place(batch, fence);
        // The bytes are in the operating system's memory now, not in ours.
        drop(permit);
        match placed {
            Ok((base, end)) => AppendTicket::placed_at(base, end, self.start(), &self.progress),
            Err(error) => AppendTicket::refused(error),
        }
    }

    fn read(
        &self,
        from: Offset,
        limit: ReadLimit,
        isolation: Isolation,
    ) -> BoxFuture<'_, Result<ReadSlice, ReadError>> {
        let cached = self.read_with(from, limit, isolation, Access::Cached);
        Box::pin(async move {
            match cached {
                Ok(slice) => Ok(slice),
                Err(Fault::NotCached) => {
                    self.cold(move |log| log.read_with(from, limit, isolation, Access::Blocking))
                        .await
                }
                Err(fault) => Err(self.read_error(fault)),
            }
        })
    }

    fn offset_at(
        &self,
        query: TimeQuery,
        isolation: Isolation,
    ) -> BoxFuture<'_, Result<Option<OffsetAt>, ReadError>> {
        Box::pin(self.cold(move |log| log.find_by_time(query, isolation)))
    }

    fn trim(&self, new_start: Offset) -> BoxFuture<'_, Result<Offset, TrimError>> {
        let (sender, receiver) = oneshot::channel();
        let log = self.me();
        self.context.cold.submit(Box::new(move || {
            // Whoever asked may have gone; it is done all the same.
            let _ = sender.send(log.trim_to(new_start));
        }));
        Box::pin(async move {
            let lost = |_closed| self.failure("a trim failed", &"its thread ended");
            receiver.await.map_err(lost)?
        })
    }

    fn ends(&self) -> Ends {
        // Read from the lowest to the highest: each only grows, so the order holds.
        let log_start = self.start();
        let high_watermark = Offset::new(self.high_watermark.load(Ordering::Acquire));
        let log_end = self.end();
        let ends = Ends {
            log_start,
            last_stable: high_watermark,
            high_watermark,
            log_end,
        };
        ends.assert_ordered();
        ends
    }

    fn settled(&self) -> BoxFuture<'_, Result<Ends, StorageFailure>> {
        let log_end = self.end();
        let serves = self.state.lock().serves();
        Box::pin(async move {
            serves.map_err(|_gone| self.removed())?;
            self.progress.reached(log_end).await?;
            Ok(self.ends())
        })
    }

    fn epoch_end(&self, epoch: i32) -> Option<EpochEnd> {
        self.find_epoch_end(epoch)
    }

    fn leader_epoch(&self) -> i32 {
        self.context.leader_epoch
    }

    fn footprint(&self) -> Footprint {
        self.measure()
    }

    fn producers(&self) -> Result<Vec<ProducerEntry>, StorageFailure> {
        self.list_producers()
    }

    fn wait(&self, waiter: Arc<Waiter>) {
        self.waiters.register(waiter);
        // Registered first, asked second: what happens in between is seen by one of the two. A
        // log that only lost its durability goes on being read, and nothing more will come:
        // waking its readers would make them ask again at once, without end.
        if self.state.lock().serves().is_err() {
            self.waiters.wake_all();
        }
    }
}

/// The path of a file, for messages.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
