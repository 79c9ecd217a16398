//! A small Kafka client: for the command line and for tests of a broker over its real port.
//!
//! It talks to the one broker it was told, and takes that one for the leader of every partition:
//! right for a broker of one node, an error with a code for any other. A [`Client`] asks one thing
//! after the other; a [`Producer`] keeps a few requests in flight and repeats what was not
//! answered, in order and without doubling it; fetched bytes become records in [`FetchedRecords`].
//!
//! Every wait ends: with an answer or with an error that says what was waited for. Knows nothing of
//! ottla itself, and reads no clock but tokio's.

#![forbid(unsafe_code)]

mod address;
mod admin;
mod client;
mod configs;
mod connection;
mod delete_records;
mod error;
mod fetch;
mod groups;
mod offsets;
mod producer;

pub use address::{Address, InvalidAddress};
pub use admin::{CreatedTopic, NewTopic, Partition, Topic};
pub use client::{Client, ClientOptions};
pub use configs::{Config, ConfigOwner, ConfigSource};
pub use connection::{Connection, Sent};
pub use error::ClientError;
pub use fetch::{FetchLimits, FetchedPartition, FetchedRecords};
pub use groups::{Committed, CommittedOffsets, GroupDescription, GroupMember, ListedGroup};
pub use kafka_wire::ErrorCode;
pub use offsets::{Found, OffsetFound, OffsetSpec};
pub use producer::{Acknowledged, Acks, NewRecord, ProduceError, Producer, ProducerOptions};
