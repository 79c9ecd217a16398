//! The gRPC front door: package `broker`, service `Broker`, with reflection and health.
//!
//! Translates between the messages of `proto/broker.proto` and the broker, and nothing more: what
//! a topic, an offset or a position means is decided behind it. Guarantees: every error carries a
//! code, a sentence and google.rpc details; a stream holds no more than its window. Must not know:
//! sockets, the Kafka protocol, any concrete store.

#![forbid(unsafe_code)]

mod consume;
mod consumers;
mod error;
mod health;
mod lookup;
mod offsets;
mod position_keeper;
mod produce;
mod produce_stream;
mod proto;
mod read_ahead;
mod service;
mod topics;

#[cfg(test)]
#[path = "../tests/wire/harness.rs"]
mod harness;

use std::sync::Arc;

use axum::middleware::map_response;
use axum::response::Response;
use broker::Broker;
use tokio::sync::watch;
use tonic::service::Routes;

use proto::broker_server::BrokerServer;
use service::Service;

/// What a message may have beside the largest batch: names, and the marks of its fields.
const MESSAGE_OVERHEAD_BYTES: usize = 64 * 1024;

/// The services as one router. Streams end with UNAVAILABLE when `stop` turns true.
///
/// Limits of connections and of concurrent calls are the caller's matter.
pub fn router(broker: Arc<Broker>, stop: watch::Receiver<bool>) -> axum::Router {
    let limit_bytes = broker
        .config()
        .message_max_bytes
        .saturating_add(MESSAGE_OVERHEAD_BYTES);
    let service = Service::new(broker, stop.clone(), limit_bytes);
    let service = BrokerServer::new(service).max_decoding_message_size(limit_bytes);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that tools can show the details of errors.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let readable = "the descriptors were written by the build";
    Routes::new(service)
        .add_service(reflection().build_v1().expect(readable))
        .add_service(reflection().build_v1alpha().expect(readable))
        .add_service(health::service(stop))
        .prepare()
        .into_axum_router()
        .layer(map_response(move |response: Response| async move {
            error::say_too_large(response, limit_bytes)
        }))
}

/// What reflection tells: `proto/broker.proto` without its comments.
const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/broker_descriptor.bin"));
