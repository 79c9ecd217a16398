//! Whole requests through each front door, to a broker on the memory store: any answer that its
//! client can read, and no panic.
//!
//! Time stands still but for waits, which end at once, so that an input always does the same.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use broker::{Broker, BrokerConfig, NewTopic, Origin, Parts};
use bytes::{BufMut, BytesMut};
use clock::{SeededRng, SimClock};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use kafka_api::fuzzing::{Outcome, answer};
use kafka_api::{Advertise, KafkaApi};
use kafka_wire::frames::PREFIX_BYTES;
use kafka_wire::{Message, Reader, RequestHeader, ResponseHeader};
use records::{BatchBuilder, Codec};
use storage::BytesPermit;
use storage::memory::{MemoryMetadata, MemoryStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tower::ServiceExt;

use crate::input::Input;

const NOW_MS: i64 = 1_800_000_000_000;
/// Requests of one input.
const REQUESTS_MAX: usize = 4;
/// An answer may be waited for this long; nothing takes real time.
const PATIENCE: Duration = Duration::from_secs(3600);
/// `max_buf_size` of the real door.
const REQUEST_HEAD_BYTES_MAX: usize = 32 * 1024;

fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.expect("a runtime without threads");
    // A request that waits for ever is a failure only where nobody asked it to.
    runtime.block_on(case);
}

/// A broker with a topic of two partitions and a few records.
async fn broker() -> Arc<Broker> {
    let config = BrokerConfig {
        partitions_max_per_topic: 64,
        partitions_max: 256,
        ..BrokerConfig::default()
    };
    let parts = Parts {
        store: Arc::new(MemoryStore::new()),
        metadata: Arc::new(MemoryMetadata::new()),
        clock: Arc::new(SimClock::starting_at(NOW_MS)),
        rng: Arc::new(SeededRng::new(7)),
        config,
    };
    let broker = Broker::open(parts).await.expect("the broker opens");
    let keeper = Arc::clone(&broker);
    tokio::spawn(async move { keeper.groups().run().await });
    let new = NewTopic {
        partitions: Some(2),
        ..NewTopic::named("t")
    };
    let topic = broker.create_topic(new).await.expect("the topic is made");
    for codec in [Codec::None, Codec::Gzip] {
        let mut builder = BatchBuilder::new(codec);
        builder
            .append(NOW_MS, Some(b"k"), Some(b"value"), &[])
            .expect("small");
        let batch = BytesMut::from(&builder.build().expect("small").into_bytes()[..]);
        let (origin, permit) = (Origin::default(), BytesPermit::free());
        let ticket = broker
            .append(&topic, 0, batch, origin, permit)
            .expect("a good batch");
        ticket.placed().expect("a good batch");
    }
    broker
}

/// Frames of the Kafka protocol, each with a length of two bytes in front.
pub fn kafka(data: &[u8]) {
    let mut input = Input::new(data);
    run(async {
        let api = KafkaApi::new(broker().await, Advertise::Auto);
        for _ in 0..REQUESTS_MAX {
            if input.is_empty() {
                break;
            }
            let frame = input.string();
            let asked = tokio::time::timeout(PATIENCE, answer(&api, BytesMut::from(frame)));
            let asked = match asked.await {
                Ok(asked) => asked,
                // A member may wait for others, who do not come.
                Err(_) if waits_for_others(frame) => break,
                Err(_) => panic!("every request is answered"),
            };
            match asked {
                Outcome::Answer(bytes) => readable(frame, bytes),
                Outcome::Silence => {}
                Outcome::Close => break,
            }
        }
    });
}

/// Whether a frame is a JoinGroup or a SyncGroup.
fn waits_for_others(frame: &[u8]) -> bool {
    matches!(frame, [0, 11 | 14, ..])
}

macro_rules! bodies {
    ($(($name:ident, $request:path, $response:path))*) => {
        fn decode_body(key: i16, version: i16, reader: &mut Reader) {
            $(if key == <$request as Message>::KEY {
                // ApiVersions answers in version 0 what it does not know.
                let version = if <$response as Message>::supports(version) { version } else { 0 };
                <$response as Message>::decode(reader, version).expect("a client can read it");
                return reader.finish().expect("a client reads all of it");
            })*
            panic!("API {key} is answered and not known");
        }
    };
}

kafka_wire::for_each_api!(bodies);

/// The answer belongs to the request, and its client can read it.
fn readable(frame: &[u8], bytes: bytes::Bytes) {
    let (request, _) = RequestHeader::parse(frame).expect("it was answered");
    let (key, version) = (request.api_key, request.api_version);
    let answer = bytes.slice(PREFIX_BYTES..);
    let length = u32::from_be_bytes(bytes[..PREFIX_BYTES].try_into().expect("four bytes"));
    assert_eq!(length as usize, answer.len());
    let (header, at) = ResponseHeader::parse(&answer, key, version).expect("it has a header");
    assert_eq!(header.correlation_id, request.correlation_id);
    let mut reader = Reader::at(answer, at).with_budget(usize::MAX);
    decode_body(key, version, &mut reader);
}

const METHODS: [&str; 13] = [
    "CreateTopic",
    "DeleteTopic",
    "AddPartitions",
    "ListTopics",
    "DescribeTopic",
    "GetOffsets",
    "Produce",
    "ProduceStream",
    "Consume",
    "CommitOffset",
    "Seek",
    "TrimTopic",
    "NoSuchMethod",
];

/// Calls of the gRPC service: method, framing, message.
pub fn grpc(data: &[u8]) {
    let mut input = Input::new(data);
    run(async {
        let (_stop, stopping) = watch::channel(false);
        let router = grpc_api::router(broker().await, stopping);
        for _ in 0..REQUESTS_MAX {
            if input.is_empty() {
                break;
            }
            let method = input.of(&METHODS);
            let messages = input.u8() % 4;
            let mut body = BytesMut::new();
            for _ in 0..=messages {
                let message = input.string();
                body.put_u8(0);
                body.put_u32(u32::try_from(message.len()).expect("short"));
                body.put_slice(message);
            }
            let request = Request::post(format!("/broker.Broker/{method}"))
                .header(header::CONTENT_TYPE, "application/grpc")
                .header("te", "trailers")
                .body(Body::from(body.freeze()))
                .expect("a request");
            let call = async {
                let response = router.clone().oneshot(request).await.expect("infallible");
                // A consumer waits for records that nobody sends.
                response.into_body().collect().await
            };
            let _ = tokio::time::timeout(Duration::from_secs(5), call).await;
        }
    });
}

/// The bytes of an HTTP/1.1 connection to the pages, and its end.
pub fn http1(data: &[u8]) {
    run(async {
        let router = console::router(broker().await, Arc::new(AtomicBool::new(true)));
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client
            .write_all(&data[..data.len().min(1 << 19)])
            .await
            .expect("there is room");
        client.shutdown().await.expect("it is open");
        let service = TowerToHyperService::new(tower::service_fn(
            move |request: Request<hyper::body::Incoming>| {
                router.clone().oneshot(request.map(Body::new))
            },
        ));
        let serving = hyper::server::conn::http1::Builder::new()
            .max_buf_size(REQUEST_HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(server), service);
        let mut answer = Vec::new();
        let served = async {
            let _ = serving.await;
            pending::<()>().await;
        };
        tokio::select! {
            () = served => {}
            read = client.read_to_end(&mut answer) => { read.expect("it ends"); }
        }
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1."),
            "{answer:?}"
        );
    });
}
