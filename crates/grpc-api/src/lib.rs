//! The gRPC front door: package `broker`, service `Broker`, with reflection and health.
//!
//! Translates between the messages of `proto/broker.proto` and the broker, and nothing more: what
//! a topic, an offset or a position means is decided behind it. Guarantees: every error carries a
//! code, a sentence and google.rpc details; a stream holds no more than its window. Must not know:
//! sockets, the Kafka protocol, any concrete store.

#![forbid(unsafe_code)]

mod health;

use std::sync::Arc;

use broker::Broker;
use tokio::sync::watch;
use tonic::service::Routes;

/// The services as one router. Streams end with UNAVAILABLE when `stop` turns true.
///
/// Limits of connections and of concurrent calls are the caller's matter.
pub fn router(_broker: Arc<Broker>, stop: watch::Receiver<bool>) -> axum::Router {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let readable = "the descriptors were written by the build";
    Routes::new(reflection().build_v1().expect(readable))
        .add_service(reflection().build_v1alpha().expect(readable))
        .add_service(health::service(stop))
        .prepare()
        .into_axum_router()
}

/// What reflection tells: `proto/broker.proto` without its comments.
const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/broker_descriptor.bin"));
