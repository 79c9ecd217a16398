//! What the tests share: a broker on the memory store, and a store that fails when told to.

use std::future::pending;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use clock::{SeededRng, SimClock};
use parking_lot::Mutex;
use records::{BatchBuilder, Codec, Offset, Record};
use storage::memory::{MemoryMetadata, MemoryStore};
use storage::{
    BoxFuture, BytesPermit, Chunk, Isolation, Log, LogStore, Metadata, OpenError, ReadSlice,
    StorageFailure, StoreError, TopicId, TopicMeta, TopicName, Version, Write,
};

use crate::values::{DeletionRecord, TopicRecord};
use crate::{
    AppendTicket, Broker, BrokerConfig, Fetch, FetchPartition, NewTopic, OpenBrokerError, Origin,
    Parts, ProduceError, Topic, keys,
};

/// Where the clock of every test starts.
pub(crate) const NOW_MS: i64 = 1_800_000_000_000;

/// What a broker stands on; several brokers in turn stand on the same.
#[derive(Debug)]
pub(crate) struct Harness {
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) metadata: Arc<MemoryMetadata>,
    pub(crate) clock: SimClock,
    pub(crate) config: BrokerConfig,
    pub(crate) rng: Arc<SeededRng>,
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self::on(MemoryStore::new())
    }

    pub(crate) fn on(memory: MemoryStore) -> Self {
        let memory = Arc::new(memory);
        Self {
            store: FaultyStore::over(&memory),
            memory,
            metadata: Arc::new(MemoryMetadata::new()),
            clock: SimClock::starting_at(NOW_MS),
            config: BrokerConfig::default(),
            rng: Arc::new(SeededRng::new(7)),
        }
    }

    /// The same data after a restart.
    pub(crate) fn restarted(self) -> Self {
        let memory = Arc::new(self.memory.restart());
        Self {
            store: FaultyStore::over(&memory),
            memory,
            ..self
        }
    }

    pub(crate) async fn try_broker(&self) -> Result<Arc<Broker>, OpenBrokerError> {
        Broker::open(Parts {
            store: Arc::clone(&self.store) as Arc<dyn LogStore>,
            metadata: Arc::clone(&self.metadata) as Arc<dyn Metadata>,
            clock: Arc::new(self.clock.clone()),
            rng: Arc::clone(&self.rng) as Arc<dyn clock::Rng>,
            config: self.config.clone(),
        })
        .await
    }

    pub(crate) async fn broker(&self) -> Arc<Broker> {
        self.try_broker().await.expect("the broker opens")
    }

    /// Writes a record into the metadata as an earlier run would have.
    pub(crate) async fn write_topic(&self, name: &str, record: &TopicRecord) -> Version {
        let write = Write {
            key: keys::topic(&topic_name(name)),
            value: Some(record.encode()),
        };
        self.metadata.commit(&[], &[write]).await.expect("commits")
    }

    pub(crate) async fn write_deletion(&self, name: &str, record: &TopicRecord) {
        let deletion = DeletionRecord {
            name: topic_name(name),
            topic: record.clone(),
        };
        let write = Write {
            key: keys::deletion(record.id),
            value: Some(deletion.encode()),
        };
        self.metadata.commit(&[], &[write]).await.expect("commits");
    }

    /// How many keys a space holds.
    pub(crate) async fn count(&self, space: storage::Space) -> usize {
        let prefix = storage::Key::space(space);
        let rows = self.metadata.list(&prefix, None, usize::MAX).await;
        rows.expect("memory lists").len()
    }
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName::parse(name).expect("a test names its topics well")
}

pub(crate) fn failure(text: &str) -> StorageFailure {
    StorageFailure::new(text)
}

pub(crate) fn record(id: u8, partitions: u32, partitions_made: u32) -> TopicRecord {
    TopicRecord {
        id: TopicId([id; 16]),
        partitions,
        partitions_made,
        configs: std::collections::BTreeMap::new(),
    }
}

/// A topic of that many partitions.
pub(crate) async fn create(broker: &Broker, name: &str, partitions: i32) -> Arc<Topic> {
    let new = NewTopic {
        partitions: Some(partitions),
        ..NewTopic::named(name)
    };
    broker.create_topic(new).await.expect("the topic is made")
}

/// A topic of one partition with these configs.
pub(crate) async fn create_with(
    broker: &Broker,
    name: &str,
    configs: &[(&str, &str)],
) -> Arc<Topic> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), Some((*value).to_owned()));
    let new = NewTopic {
        configs: configs.iter().map(own).collect(),
        ..NewTopic::named(name)
    };
    broker.create_topic(new).await.expect("the topic is made")
}

/// One batch with a record for each value, all of that time.
pub(crate) fn batch_at(timestamp_ms: i64, values: &[&str]) -> records::CheckedBatch {
    let mut builder = BatchBuilder::new(Codec::None);
    for value in values {
        let appended = builder.append(timestamp_ms, None, Some(value.as_bytes()), &[]);
        appended.expect("a small record");
    }
    builder.build().expect("a batch with records")
}

pub(crate) fn bytes_of(batch: records::CheckedBatch) -> BytesMut {
    BytesMut::from(&*batch.into_bytes())
}

pub(crate) fn append(
    broker: &Broker,
    topic: &Topic,
    partition: i32,
    values: &[&str],
) -> Result<AppendTicket, ProduceError> {
    let bytes = bytes_of(batch_at(NOW_MS, values));
    let (origin, permit) = (Origin::default(), BytesPermit::free());
    broker.append(topic, partition, bytes, origin, permit)
}

/// Appends and waits until it is durable.
pub(crate) async fn produce(broker: &Broker, topic: &Topic, values: &[&str]) -> Offset {
    let ticket = append(broker, topic, 0, values).expect("accepted");
    ticket.durable().await.expect("durable")
}

/// A fetch of partition 0 that does not wait.
pub(crate) fn fetch_of(topic: &Arc<Topic>, from: i64) -> Fetch {
    Fetch {
        partitions: vec![partition_of(topic, 0, from)],
        bytes_min: 1,
        bytes_max: 1 << 20,
        wait: std::time::Duration::ZERO,
        isolation: Isolation::ReadUncommitted,
    }
}

pub(crate) fn partition_of(topic: &Arc<Topic>, partition: i32, from: i64) -> FetchPartition {
    FetchPartition {
        topic: Arc::clone(topic),
        partition,
        from: Offset::new(from),
        bytes_max: 1 << 20,
        current_leader_epoch: None,
        last_fetched_epoch: None,
    }
}

/// The values of all records of a slice, as text.
pub(crate) fn values_of(slice: &ReadSlice) -> Vec<String> {
    let mut values = Vec::new();
    for record in records_of(slice) {
        let value = record.value.expect("test records have values");
        values.push(String::from_utf8(value.to_vec()).expect("test records are text"));
    }
    values
}

pub(crate) fn records_of(slice: &ReadSlice) -> Vec<Record> {
    let mut found = Vec::new();
    for chunk in &slice.chunks {
        let Chunk::Memory(bytes) = chunk else {
            panic!("the memory store reads from memory")
        };
        for step in records::Batches::new(bytes) {
            let (_, _, batch) = step.expect("whole batches");
            let mut budget = records::DecodeBudget::new(1 << 20);
            let batch = Bytes::copy_from_slice(batch);
            let records = records::records(&batch, &mut budget).expect("a good batch");
            found.extend(records.map(|record| record.expect("a good record")));
        }
    }
    found
}

/// The memory store, with faults that a test switches on.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    memory: Arc<MemoryStore>,
    pub(crate) faults: Mutex<Faults>,
}

pub(crate) type Wrap = fn(Arc<dyn Log>) -> Arc<dyn Log>;

#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// `create` makes nothing and answers this.
    pub(crate) create: Option<StoreError>,
    /// `create` makes all and never answers.
    pub(crate) create_hangs: bool,
    /// `remove` removes nothing and answers this.
    pub(crate) remove: Option<StoreError>,
    /// What `create` was asked to make.
    pub(crate) created: Vec<(TopicName, Range<u32>)>,
    /// Stands in front of every log that is opened.
    pub(crate) wrap: Option<Wrap>,
    /// How many logs were opened.
    pub(crate) opened: usize,
    /// The log config of the last opening.
    pub(crate) opened_by: Option<storage::LogConfig>,
}

impl FaultyStore {
    fn over(memory: &Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self {
            memory: Arc::clone(memory),
            faults: Mutex::default(),
        })
    }

    pub(crate) fn clear_faults(&self) {
        *self.faults.lock() = Faults::default();
    }
}

impl LogStore for FaultyStore {
    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicMeta>, StoreError>> {
        self.memory.topics()
    }

    fn create(
        &self,
        topic: &TopicMeta,
        partitions: Range<u32>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let (fault, hangs) = {
                let mut faults = self.faults.lock();
                faults
                    .created
                    .push((topic.name.clone(), partitions.clone()));
                (faults.create.clone(), faults.create_hangs)
            };
            if let Some(fault) = fault {
                return Err(fault);
            }
            let made = self.memory.create(&topic, partitions).await;
            if hangs { pending().await } else { made }
        })
    }

    fn open(&self, topic: &TopicMeta, partition: u32) -> Result<Arc<dyn Log>, OpenError> {
        let mut faults = self.faults.lock();
        faults.opened += 1;
        faults.opened_by = Some(topic.log_config);
        let log = self.memory.open(topic, partition)?;
        Ok(match faults.wrap {
            Some(wrap) => wrap(log),
            None => log,
        })
    }

    fn remove(&self, topic: &TopicMeta) -> BoxFuture<'_, Result<(), StoreError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let fault = self.faults.lock().remove.clone();
            match fault {
                Some(fault) => Err(fault),
                None => self.memory.remove(&topic).await,
            }
        })
    }

    fn volume(&self) -> storage::Volume {
        self.memory.volume()
    }

    fn findings(&self) -> storage::Findings {
        self.memory.findings()
    }
}
