//! What a lying length costs: nothing beyond a multiple of the bytes that really came.
//!
//! Its own test binary, because the allocator counts for the whole process.

#![allow(clippy::disallowed_methods, reason = "tests")]

use std::alloc::System;
use std::sync::Arc;

use broker::{Broker, BrokerConfig, Parts};
use bytes::BytesMut;
use cap::Cap;
use clock::{SeededRng, SimClock};
use kafka_api::{Advertise, KafkaApi};
use storage::memory::{MemoryMetadata, MemoryStore};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What a connection may hold before anything of it is understood: its buffer, its task.
const FIXED_BYTES: usize = 256 * 1024;

async fn api() -> Arc<KafkaApi> {
    let parts = Parts {
        store: Arc::new(MemoryStore::new()),
        metadata: Arc::new(MemoryMetadata::new()),
        clock: Arc::new(SimClock::starting_at(0)),
        rng: Arc::new(SeededRng::new(7)),
        config: BrokerConfig::default(),
    };
    let broker = Broker::open(parts).await.expect("opens");
    KafkaApi::new(broker, Advertise::Auto)
}

/// The most that was held at once while the front door read `sent`, above what was held before.
async fn cost(api: &Arc<KafkaApi>, listener: &TcpListener, sent: &[u8]) -> usize {
    let address = listener.local_addr().expect("an address");
    let mut client = TcpStream::connect(address).await.expect("connects");
    let (accepted, peer) = listener.accept().await.expect("accepts");
    let (stop, stopping) = watch::channel(false);
    let before = ALLOCATOR.allocated();
    let api = Arc::clone(api);
    let served = tokio::spawn(async move {
        kafka_api::serve(&api, accepted, BytesMut::new(), peer, stopping).await;
    });
    // The front door may close while more is sent.
    let _ = client.write_all(sent).await;
    drop(client);
    served.await.expect("ends");
    drop(stop);
    // The peak of the process never falls, so the tests go from small to large.
    ALLOCATOR.max_allocated().saturating_sub(before)
}

async fn counts_are_not_believed(api: &Arc<KafkaApi>, listener: &TcpListener) {
    // (key, version, what stands before the first count), each with counts of every kind.
    let apis: [(i16, i16, &[u8]); 6] = [
        (0, 3, &[0xff, 0xff, 0, 1, 0, 0, 0, 1]),
        (
            1,
            4,
            &[
                0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
        ),
        (2, 1, &[0xff, 0xff, 0xff, 0xff]),
        (3, 1, &[]),
        (19, 2, &[]),
        (32, 1, &[]),
    ];
    for (key, version, before) in apis {
        for count in [i32::MAX, 0x0fff_ffff, 1_000_000, 100_000] {
            let mut frame = BytesMut::new();
            frame.extend_from_slice(&key.to_be_bytes());
            frame.extend_from_slice(&version.to_be_bytes());
            frame.extend_from_slice(&[0, 0, 0, 7, 0xff, 0xff]);
            frame.extend_from_slice(before);
            frame.extend_from_slice(&count.to_be_bytes());
            frame.extend_from_slice(&[0; 1000]);
            let length = i32::try_from(frame.len()).expect("small");
            let sent = [&length.to_be_bytes()[..], &frame].concat();
            let cost = cost(api, listener, &sent).await;
            assert!(
                cost <= FIXED_BYTES,
                "{cost} bytes for API {key} with {count} elements"
            );
        }
    }
}

async fn claims_are_not_believed(api: &Arc<KafkaApi>, listener: &TcpListener) {
    let largest = 100 * 1024 * 1024_i32;
    for received in [0, 100, 60_000, 300_000, 3_000_000] {
        let sent = [&largest.to_be_bytes()[..], &vec![0; received]].concat();
        let cost = cost(api, listener, &sent).await;
        let allowed = FIXED_BYTES + 4 * sent.len();
        assert!(cost <= allowed, "{cost} bytes for {} received", sent.len());
    }
}

/// One test, so that nothing else allocates meanwhile.
#[tokio::test]
async fn lies_cost_nothing() {
    let api = api().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    counts_are_not_believed(&api, &listener).await;
    claims_are_not_believed(&api, &listener).await;
}
