//! The pages, over a broker in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use broker::{Broker, BrokerConfig, NewTopic, Parts};
use clock::{SeededRng, SimClock};
use http_body_util::BodyExt;
use storage::memory::{MemoryMetadata, MemoryStore};
use tower::ServiceExt;

async fn pages() -> (Router, Arc<Broker>, Arc<AtomicBool>) {
    let broker = Broker::open(Parts {
        store: Arc::new(MemoryStore::new()),
        metadata: Arc::new(MemoryMetadata::new()),
        clock: Arc::new(SimClock::starting_at(1_700_000_000_000)),
        rng: Arc::new(SeededRng::new(7)),
        config: BrokerConfig::default(),
    });
    let broker = broker.await.unwrap();
    let ready = Arc::new(AtomicBool::new(true));
    (
        super::router(Arc::clone(&broker), Arc::clone(&ready)),
        broker,
        ready,
    )
}

async fn get(pages: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = pages.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn readiness_follows_the_flag_and_health_does_not() {
    let (pages, _broker, ready) = pages().await;
    assert_eq!(get(&pages, "/readyz").await.0, StatusCode::OK);
    ready.store(false, Ordering::Release);
    assert_eq!(
        get(&pages, "/readyz").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(get(&pages, "/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn topics_show_on_the_index_and_in_the_metrics() {
    let (pages, broker, _ready) = pages().await;
    let topic = NewTopic {
        name: "orders".to_owned(),
        partitions: Some(3),
        ..NewTopic::default()
    };
    broker.create_topic(topic).await.unwrap();
    let (status, index) = get(&pages, "/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(index.contains("<td>orders</td><td>3</td>"), "{index}");
    let (_, metrics) = get(&pages, "/metrics").await;
    assert!(metrics.contains("\nottla_partitions 3\n"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
}

#[tokio::test]
async fn an_unknown_path_says_where_to_look() {
    let (pages, _broker, _ready) = pages().await;
    let (status, text) = get(&pages, "/nope").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.contains("see /"), "{text}");
}
