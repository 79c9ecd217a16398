//! The core between the front doors and the store: topics, produce, fetch, offsets, groups,
//! producer ids, configs.
//!
//! Everything that Kafka and gRPC share is decided here once. Guarantees: metadata changes only by
//! commit; an append is checked before it reaches a log; errors carry the numbers a user needs.
//! Must not know: any wire format, any concrete store, sockets.

#![forbid(unsafe_code)]

mod admin;
mod alter_configs;
mod compression;
mod config;
pub mod config_keys;
mod counters;
mod delete_records;
mod error;
mod fetch;
mod groups;
mod keys;
mod offload;
mod offsets;
mod open;
mod partitioner;
mod positions;
mod produce;
mod producer_ids;
mod topics;
mod values;

#[cfg(test)]
mod harness;

use std::sync::Arc;

use arc_swap::ArcSwap;
use clock::{Clock, Rng};
use storage::{BytesBudget, Findings, LogStore, Metadata, TopicId, Volume};

pub use admin::NewTopic;
pub use alter_configs::{BrokerScope, ConfigChange, ConfigEdit, ConfigOperation};
pub use compression::StoredCompression;
pub use config::{BrokerConfig, CleanerConfig};
pub use config_keys::{ConfigEntry, ConfigSource, ConfigSynonym, InvalidConfig, TopicSettings};
pub use counters::{Counter, Counters, Gauge, GaugeGuard};
pub use error::{
    AddPartitionsError, AlterConfigsError, CreateTopicError, DeleteRecordsError, DeleteTopicError,
    EpochEndError, FetchError, FindOffsetError, InitProducerIdError, LeaderEpochError,
    OpenBrokerError, PartitionError, PositionError, ProduceError, UnreadableValue, without_key,
};
pub use fetch::{Fetch, FetchPartition, FetchResult, PartitionRead};
pub use groups::{
    Assignor, Beat, BeatAnswer, Commit, CommittedOffset, ConsumerConfig, ConsumerDescription,
    ConsumerMemberDescription, GroupConfig, GroupDescription, GroupError, GroupKind, GroupLag,
    GroupListing, GroupState, Groups, JoinAnswer, JoinGroup, Joined, JoinedMember, Lags, Leaving,
    MemberDescription, Membership, Migration, PartitionLag, SyncGroup, Synced, TopicPartitions,
};
pub use offsets::{FoundOffset, OffsetQuery, PartitionDescription};
pub use positions::Positions;
pub use produce::{AppendTicket, Origin};
pub use producer_ids::ProducerIdentity;
pub use topics::{Topic, Topics};
pub use values::Position;

use admin::Admin;
use config_keys::Layers;
use offload::Workshop;
use producer_ids::ProducerIds;
use topics::TopicSource;

/// What a broker is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Keeps the records.
    pub store: Arc<dyn LogStore>,
    /// Keeps everything else.
    pub metadata: Arc<dyn Metadata>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws ids.
    pub rng: Arc<dyn Rng>,
    /// The settings.
    pub config: BrokerConfig,
}

/// One broker. Shared by all front doors; made by [`Broker::open`].
#[derive(Debug)]
pub struct Broker {
    /// As at the start.
    config: Arc<BrokerConfig>,
    /// With what was set since.
    layers: ArcSwap<Layers>,
    store: Arc<dyn LogStore>,
    metadata: Arc<dyn Metadata>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    cluster_id: String,
    topics: Arc<ArcSwap<Topics>>,
    admin: tokio::sync::Mutex<Admin>,
    groups: Groups,
    producer_ids: ProducerIds,
    budget: BytesBudget,
    workshop: Workshop,
    counters: Counters,
}

impl Broker {
    /// The settings as at the start; what topics inherit may have been set since.
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// The id of the cluster: 22 characters, the same for the life of the data.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The time.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// What the broker counts about itself.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What all requests in flight may hold together; a front door takes a share before it reads.
    pub fn budget(&self) -> &BytesBudget {
        &self.budget
    }

    /// Where the records are, and the room there. May wait for the disk.
    pub fn volume(&self) -> Volume {
        self.store.volume()
    }

    /// What the store found wrong with the records since the start, and mended.
    pub fn findings(&self) -> Findings {
        self.store.findings()
    }

    /// All topics at this moment.
    pub fn topics(&self) -> Arc<Topics> {
        self.topics.load_full()
    }

    /// The topic of that name.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.load().by_name(name).cloned()
    }

    /// The topic of that id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.topics.load().by_id(id).cloned()
    }

    /// The consumer groups, and what they have committed.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Every config of a topic, with the value that holds and where it comes from.
    pub fn describe_topic_configs(&self, topic: &Topic) -> Vec<ConfigEntry> {
        config_keys::describe_topic(&self.layers.load(), topic.configs())
    }

    /// Every config of the broker, with the value that holds and where it comes from.
    pub fn describe_broker_configs(&self) -> Vec<ConfigEntry> {
        config_keys::describe_broker(&self.layers.load())
    }

    /// Every config of a group, with the value that holds and where it comes from. The group need not
    /// exist.
    pub fn describe_group_configs(&self, group: &str) -> Vec<ConfigEntry> {
        config_keys::describe_group(&self.layers.load(), &self.groups.own_configs(group))
    }

    /// The configs that were set for every broker.
    pub fn describe_every_broker_configs(&self) -> Vec<ConfigEntry> {
        config_keys::describe_every_broker(&self.layers.load())
    }

    fn source(&self) -> TopicSource {
        TopicSource {
            layers: self.layers.load_full(),
            store: Arc::clone(&self.store),
        }
    }
}
