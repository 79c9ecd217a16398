//! A broker on the memory store, for the tests inside the crate and for those over the wire.

use std::sync::Arc;

use broker::{Broker, BrokerConfig, NewTopic, Parts, Topic};
use clock::{SeededRng, SimClock};
use storage::memory::{MemoryMetadata, MemoryStore};
use storage::{LogStore, Metadata};

/// Where the clock of every test stands.
pub(crate) const NOW_MS: i64 = 1_800_000_000_000;

/// What a broker stands on; several brokers in turn stand on the same.
#[derive(Debug)]
pub(crate) struct Harness {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) metadata: Arc<MemoryMetadata>,
    pub(crate) config: BrokerConfig,
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self::on(MemoryStore::new())
    }

    pub(crate) fn on(store: MemoryStore) -> Self {
        Self {
            store: Arc::new(store),
            metadata: Arc::new(MemoryMetadata::new()),
            config: BrokerConfig::default(),
        }
    }

    /// The same data after a restart.
    pub(crate) fn restarted(self) -> Self {
        Self {
            store: Arc::new(self.store.restart()),
            ..self
        }
    }

    pub(crate) async fn broker(&self) -> Arc<Broker> {
        let parts = Parts {
            store: Arc::clone(&self.store) as Arc<dyn LogStore>,
            metadata: Arc::clone(&self.metadata) as Arc<dyn Metadata>,
            clock: Arc::new(SimClock::starting_at(NOW_MS)),
            rng: Arc::new(SeededRng::new(7)),
            config: self.config.clone(),
        };
        Broker::open(parts).await.expect("the broker opens")
    }
}

/// A topic of that many partitions, with these configs.
pub(crate) async fn create(
    broker: &Broker,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Arc<Topic> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), Some((*value).to_owned()));
    let new = NewTopic {
        partitions: Some(partitions),
        configs: configs.iter().map(own).collect(),
        ..NewTopic::named(name)
    };
    broker.create_topic(new).await.expect("the topic is made")
}

/// The stored position of a consumer in partition 0.
pub(crate) async fn position(broker: &Broker, topic: &Topic, consumer: &str) -> Option<i64> {
    let stored = broker.positions().get(consumer, topic, 0).await;
    let stored = stored.expect("memory answers");
    stored.map(|stored| stored.offset.get())
}
