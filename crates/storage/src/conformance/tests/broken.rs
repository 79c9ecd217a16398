//! The memory store behind a thin layer that breaks one promise.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use records::{BatchHeader, CheckLimits, CheckedBatch, Offset};

use crate::conformance::{Fixture, run};
use crate::log::{
    AppendTicket, Chunk, Ends, EpochEnd, Fence, Footprint, Isolation, Log, OffsetAt, ReadError,
    ReadLimit, ReadSlice, StorageFailure, TimeQuery, TrimError,
};
use crate::memory::{MemoryStore, Table};
use crate::metadata::{CommitError, Entry, Key, MetaError, Metadata, Version, Versioned, Write};
use crate::producer_state::ProducerEntry;
use crate::store::{LogStore, OpenError, StoreError};
use crate::topic::TopicMeta;
use crate::{BoxFuture, BytesPermit, Waiter};

/// One broken promise each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// None: the control.
    Sound,
    ProducersForgotten,
    ProducersNotTold,
    FenceIgnored,
    LimitIgnored,
    FirstBatchNotExempt,
    RangeNotChecked,
    BatchCut,
    ReadFromTheStart,
    TimeIgnored,
    LargestIsTheLast,
    NobodyWoken,
    WokenForNothing,
    WaiterKept,
    EpochEndsAtLogEnd,
    CreateTakesOver,
    OpenCreates,
    RemoveDoesNothing,
    RemoveIgnoresTheId,
    RestartLosesRecords,
    TrimDoesNothing,
    TrimAnswersAsAsked,
    RestartReusesVersions,
    ChecksIgnored,
    ConflictWrites,
    ListUnbounded,
    PrefixIgnored,
}

#[derive(Debug)]
struct BrokenStore {
    inner: Arc<MemoryStore>,
    defect: Defect,
    /// So that one log stays one object.
    opened: Mutex<Vec<Opened>>,
}

type Opened = (TopicMeta, u32, Arc<dyn Log>);

impl BrokenStore {
    fn wrap(&self, topic: &TopicMeta, partition: u32, log: Arc<dyn Log>) -> Arc<dyn Log> {
        let mut opened = self.opened.lock();
        let known = opened.iter().find(|(known, number, _)| {
            (known.id, &known.name, *number) == (topic.id, &topic.name, partition)
        });
        if let Some((_, _, known)) = known {
            return Arc::clone(known);
        }
        let broken: Arc<dyn Log> = Arc::new(BrokenLog {
            inner: log,
            defect: self.defect,
            kept: Mutex::default(),
        });
        opened.push((topic.clone(), partition, Arc::clone(&broken)));
        broken
    }

    async fn of_that_name(&self, topic: &TopicMeta) -> Option<TopicMeta> {
        let topics = self
            .inner
            .topics()
            .await
            .expect("the memory store lists its topics");
        topics.into_iter().find(|known| known.name == topic.name)
    }
}

impl LogStore for BrokenStore {
    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicMeta>, StoreError>> {
        self.inner.topics()
    }

    fn create(
        &self,
        topic: &TopicMeta,
        partitions: std::ops::Range<u32>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let topic = topic.clone();
        Box::pin(async move {
            if self.defect == Defect::CreateTakesOver
                && let Some(known) = self.of_that_name(&topic).await
                && known.id != topic.id
            {
                self.inner.remove(&known).await?;
            }
            self.inner.create(&topic, partitions).await
        })
    }

    fn open(&self, topic: &TopicMeta, partition: u32) -> Result<Arc<dyn Log>, OpenError> {
        if self.defect == Defect::OpenCreates {
            drop(run(self.inner.create(topic, 0..partition + 1)));
        }
        Ok(self.wrap(topic, partition, self.inner.open(topic, partition)?))
    }

    fn remove(&self, topic: &TopicMeta) -> BoxFuture<'_, Result<(), StoreError>> {
        let topic = topic.clone();
        Box::pin(async move {
            match (self.defect, self.of_that_name(&topic).await) {
                (Defect::RemoveDoesNothing, _) => Ok(()),
                (Defect::RemoveIgnoresTheId, Some(known)) => self.inner.remove(&known).await,
                _ => self.inner.remove(&topic).await,
            }
        })
    }

    fn volume(&self) -> crate::Volume {
        self.inner.volume()
    }

    fn findings(&self) -> crate::Findings {
        self.inner.findings()
    }
}

#[derive(Debug)]
struct BrokenLog {
    inner: Arc<dyn Log>,
    defect: Defect,
    kept: Mutex<Vec<Arc<Waiter>>>,
}

/// The same batch from a producer without an id.
fn anonymous(batch: CheckedBatch) -> CheckedBatch {
    let mut bytes = BytesMut::from(batch.as_bytes());
    let mut header: BatchHeader = *batch.header();
    (
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
    ) = (-1, -1, -1);
    for _ in 0..2 {
        bytes[..records::HEADER_BYTES].copy_from_slice(&header.encode());
        header.crc = records::crc_of(&bytes);
    }
    records::check(bytes, &CheckLimits::default()).expect("a good batch")
}

impl BrokenLog {
    async fn read_broken(
        &self,
        from: Offset,
        mut limit: ReadLimit,
        isolation: Isolation,
    ) -> Result<ReadSlice, ReadError> {
        match self.defect {
            Defect::LimitIgnored => limit.bytes_max = usize::MAX,
            Defect::FirstBatchNotExempt => limit.at_least_one_batch = false,
            _ => {}
        }
        let start = if self.defect == Defect::ReadFromTheStart {
            from.min(Offset::ZERO)
        } else {
            from
        };
        let mut slice = match self.inner.read(start, limit, isolation).await {
            Err(ReadError::OutOfRange { ends, .. }) if self.defect == Defect::RangeNotChecked => {
                ReadSlice::empty(ends)
            }
            other => other?,
        };
        if let (Defect::BatchCut, Some(Chunk::Memory(last))) =
            (self.defect, slice.chunks.last_mut())
        {
            last.truncate(last.len() - 1);
        }
        Ok(slice)
    }

    async fn largest_of_the_last(&self) -> Result<Option<OffsetAt>, ReadError> {
        let largest = self
            .inner
            .offset_at(TimeQuery::Largest, Isolation::ReadUncommitted)
            .await?;
        Ok(largest.map(|first| OffsetAt {
            offset: self.inner.ends().log_end.plus(-1),
            ..first
        }))
    }
}

impl Log for BrokenLog {
    fn append(&self, batch: CheckedBatch, fence: Fence, permit: BytesPermit) -> AppendTicket {
        match self.defect {
            Defect::ProducersForgotten => self.inner.append(anonymous(batch), fence, permit),
            Defect::FenceIgnored => self.inner.append(batch, Fence::default(), permit),
            _ => self.inner.append(batch, fence, permit),
        }
    }

    fn read(
        &self,
        from: Offset,
        limit: ReadLimit,
        isolation: Isolation,
    ) -> BoxFuture<'_, Result<ReadSlice, ReadError>> {
        Box::pin(self.read_broken(from, limit, isolation))
    }

    fn offset_at(
        &self,
        query: TimeQuery,
        isolation: Isolation,
    ) -> BoxFuture<'_, Result<Option<OffsetAt>, ReadError>> {
        match (self.defect, query) {
            (Defect::TimeIgnored, TimeQuery::AtOrAfter(_)) => {
                self.inner.offset_at(TimeQuery::AtOrAfter(0), isolation)
            }
            (Defect::LargestIsTheLast, TimeQuery::Largest) => Box::pin(self.largest_of_the_last()),
            _ => self.inner.offset_at(query, isolation),
        }
    }

    fn trim(&self, new_start: Offset) -> BoxFuture<'_, Result<Offset, TrimError>> {
        match self.defect {
            Defect::TrimDoesNothing => Box::pin(async move { Ok(new_start) }),
            Defect::TrimAnswersAsAsked => Box::pin(async move {
                drop(self.inner.trim(new_start).await);
                Ok(new_start)
            }),
            _ => self.inner.trim(new_start),
        }
    }

    fn ends(&self) -> Ends {
        self.inner.ends()
    }

    fn settled(&self) -> BoxFuture<'_, Result<Ends, StorageFailure>> {
        self.inner.settled()
    }

    fn epoch_end(&self, epoch: i32) -> Option<EpochEnd> {
        let mut end = self.inner.epoch_end(epoch)?;
        if self.defect == Defect::EpochEndsAtLogEnd {
            end.end = self.inner.ends().log_end;
        }
        Some(end)
    }

    fn leader_epoch(&self) -> i32 {
        self.inner.leader_epoch()
    }

    fn footprint(&self) -> Footprint {
        self.inner.footprint()
    }

    fn producers(&self) -> Result<Vec<ProducerEntry>, StorageFailure> {
        match self.defect {
            Defect::ProducersNotTold => Ok(Vec::new()),
            _ => self.inner.producers(),
        }
    }

    fn wait(&self, waiter: Arc<Waiter>) {
        match self.defect {
            Defect::NobodyWoken => return,
            Defect::WokenForNothing => waiter.wake(),
            Defect::WaiterKept => self.kept.lock().push(Arc::clone(&waiter)),
            _ => {}
        }
        self.inner.wait(waiter);
    }
}

#[derive(Debug)]
struct BrokenMetadata {
    table: Mutex<Table>,
    defect: Defect,
}

impl Metadata for BrokenMetadata {
    fn get(&self, key: &Key) -> BoxFuture<'_, Result<Option<Versioned>, MetaError>> {
        let row = self.table.lock().get(key).cloned();
        Box::pin(async { Ok(row) })
    }

    fn list(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, MetaError>> {
        let limit = if self.defect == Defect::ListUnbounded {
            usize::MAX
        } else {
            limit
        };
        let prefix = match (self.defect, prefix.as_bytes().first()) {
            (Defect::PrefixIgnored, Some(space)) => {
                Key::from_bytes(Bytes::copy_from_slice(&[*space]))
            }
            _ => prefix.clone(),
        };
        let rows = self.table.lock().list(&prefix, after, limit);
        Box::pin(async { Ok(rows) })
    }

    fn commit(
        &self,
        checks: &[(Key, Version)],
        writes: &[Write],
    ) -> BoxFuture<'_, Result<Version, CommitError>> {
        let checks = if self.defect == Defect::ChecksIgnored {
            &[]
        } else {
            checks
        };
        let mut table = self.table.lock();
        let answer = table.apply(checks, writes);
        if answer.is_err() && self.defect == Defect::ConflictWrites {
            table.apply(&[], &writes[..1]).expect("nothing is checked");
        }
        Box::pin(async { answer })
    }
}

/// A store with that defect.
pub(super) fn broken(defect: Defect) -> Fixture {
    broken_on(defect, MemoryStore::new(), Table::new())
}

fn broken_on(defect: Defect, store: MemoryStore, table: Table) -> Fixture {
    let inner = Arc::new(store);
    let table = Arc::new(BrokenMetadata {
        table: Mutex::new(table),
        defect,
    });
    let (logs, rows) = (Arc::clone(&inner), Arc::clone(&table));
    let store = BrokenStore {
        inner,
        defect,
        opened: Mutex::default(),
    };
    Fixture::new(Arc::new(store), table, move |_ending| {
        let mut table = rows.table.lock().clone();
        if defect == Defect::RestartReusesVersions {
            let mut reloaded = Table::new();
            table
                .iter()
                .for_each(|(key, row)| reloaded.load(key.clone(), row.clone()));
            table = reloaded;
        }
        let store = if defect == Defect::RestartLosesRecords {
            emptied(&logs)
        } else {
            logs.restart()
        };
        broken_on(defect, store, table)
    })
}

fn emptied(store: &MemoryStore) -> MemoryStore {
    let empty = MemoryStore::new();
    for topic in run(store.topics()).expect("the memory store lists its topics") {
        run(empty.create(&topic, 0..topic.partitions)).expect("the store is empty");
    }
    empty
}
