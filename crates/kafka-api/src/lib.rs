//! Kafka front door: frames in, frames out, one file per API family, one table that dispatches.
//!
//! A connection reads frames, finds the handler in [`dispatch`], and sends the answers in the order
//! of the requests. Handlers translate between Kafka's messages and the broker's operations and
//! hold no rule of their own: what an append or a topic may be is decided in `broker`.

#![forbid(unsafe_code)]

mod acls;
mod advertise;
mod alter_configs;
mod api_versions;
mod connection;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod dispatch;
mod error;
mod fetch;
mod fetch_session;
mod find_coordinator;
#[cfg(fuzzing)]
pub mod fuzzing;
mod heartbeat;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod replicas;
mod resources;
mod send;
mod sync_group;
mod update_features;

#[cfg(test)]
mod harness;

use std::net::SocketAddr;
use std::sync::Arc;

use broker::Broker;
use fetch_session::Sessions;
use storage::BytesBudget;

pub use advertise::{Advertise, InvalidAdvertise};
pub use connection::serve;

/// What all Kafka connections share.
#[derive(Debug)]
pub struct KafkaApi {
    broker: Arc<Broker>,
    advertise: Advertise,
    sessions: Sessions,
    /// What large frames hold while they come in.
    large_frames: BytesBudget,
}

impl KafkaApi {
    /// A front door to `broker` that tells clients to connect as `advertise` says.
    pub fn new(broker: Arc<Broker>, advertise: Advertise) -> Arc<Self> {
        Arc::new(Self {
            broker,
            advertise,
            sessions: Sessions::default(),
            large_frames: BytesBudget::new(connection::LARGE_FRAMES_BUDGET_BYTES),
        })
    }
}

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// Our address, as the client reached it.
    pub(crate) local: SocketAddr,
}

/// What a handler knows beside the request itself.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) api: Arc<KafkaApi>,
    pub(crate) ends: Ends,
    /// The version of the request, inside the window that the table states.
    pub(crate) version: i16,
    /// What the client calls itself; for logs only.
    pub(crate) client_id: Option<Arc<str>>,
}

impl Context {
    pub(crate) fn broker(&self) -> &Arc<Broker> {
        &self.api.broker
    }

    /// Host and port that this client is told to connect to.
    pub(crate) fn advertised(&self) -> (String, u16) {
        self.api.advertise.to(self.ends)
    }
}
