//! The pages, over a broker in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use broker::{Broker, BrokerConfig, Fetch, FetchPartition, NewTopic, Parts};
use clock::{SeededRng, SimClock};
use http_body_util::BodyExt;
use records::{BatchBuilder, Codec, Offset};
use storage::memory::{MemoryMetadata, MemoryStore};
use storage::{BytesPermit, Isolation, LogStore, Metadata};
use storage_disk::{Disk, DiskOptions, Durability};
use tower::ServiceExt;
use vfs::{OpenMode, SimVfs, Vfs};

async fn pages() -> (Router, Arc<Broker>, Arc<AtomicBool>) {
    pages_over(
        Arc::new(MemoryStore::new()),
        Arc::new(MemoryMetadata::new()),
    )
    .await
}

async fn pages_over(
    store: Arc<dyn LogStore>,
    metadata: Arc<dyn Metadata>,
) -> (Router, Arc<Broker>, Arc<AtomicBool>) {
    let broker = Broker::open(Parts {
        store,
        metadata,
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

const LOG: &str = "/data/orders/partition0/00000000000000000000.log";
const BATCHES: usize = 4;

fn open_disk(vfs: &SimVfs) -> Disk {
    let options = DiskOptions {
        data_dir: "/data".into(),
        durability: Durability::Fsync,
        min_free_bytes: 0,
        scrub_bytes_per_second: 0,
        compaction: storage_disk::CompactionOptions::default(),
        retention_check_interval: std::time::Duration::from_secs(10),
        open_files_max: 100,
    };
    let clock = Arc::new(SimClock::starting_at(1_700_000_000_000));
    let fatal = Arc::new(|failure: &storage::StorageFailure| panic!("{failure}"));
    storage_disk::open(Arc::new(vfs.clone()), clock, options, fatal).unwrap()
}

/// A disk after a clean stop, with a topic of one-record batches of one size.
async fn written() -> SimVfs {
    let vfs = SimVfs::new();
    let disk = open_disk(&vfs);
    let (_, broker, _) = pages_over(disk.store.clone(), disk.metadata.clone()).await;
    let topic = broker
        .create_topic(NewTopic::named("orders"))
        .await
        .unwrap();
    for _ in 0..BATCHES {
        let mut batch = BatchBuilder::new(Codec::None);
        batch
            .append(1_700_000_000_000, None, Some(b"a value"), &[])
            .unwrap();
        let batch = batch.build().unwrap();
        let ticket = broker.append_checked(&topic, 0, batch, BytesPermit::free());
        ticket.unwrap().durable().await.unwrap();
    }
    drop((broker, topic));
    disk.close().unwrap();
    vfs
}

/// Changes a byte of the second batch.
fn flip(vfs: &SimVfs, byte: usize) {
    let bytes = vfs::read_whole(vfs, LOG.as_ref(), 1 << 20).unwrap();
    let at = bytes.len() / BATCHES + byte;
    vfs.damage(LOG.as_ref(), at as u64, &[bytes[at] ^ 1])
        .unwrap();
}

async fn read_all(broker: &Broker) {
    for from in (0..).take(BATCHES) {
        let partition = FetchPartition {
            topic: broker.topic("orders").unwrap(),
            partition: 0,
            from: Offset::new(from),
            bytes_max: 1,
            current_leader_epoch: None,
            last_fetched_epoch: None,
        };
        let fetch = Fetch {
            partitions: vec![partition],
            bytes_min: 1,
            bytes_max: 1,
            wait: std::time::Duration::ZERO,
            isolation: Isolation::ReadUncommitted,
        };
        broker.fetch(fetch).await;
    }
}

#[tokio::test]
async fn what_the_store_found_and_mended_shows_in_the_metrics() {
    let names = [
        "ottla_quarantined_ranges",
        "ottla_quarantined_records",
        "ottla_repaired_heads_total",
        "ottla_scrub_bytes_total",
        "ottla_scrub_found_ranges_total",
        "ottla_scrub_last_pass_timestamp_seconds",
        "ottla_recovery_cut_bytes_total",
        "ottla_recovery_findings_total{label=\"E\"}",
    ];
    type Damage = fn(&SimVfs);
    let cases: [(&str, Damage, [u64; 8]); 4] = [
        ("nothing", |_| {}, [0; 8]),
        ("a record", |vfs| flip(vfs, 65), [1, 1, 0, 0, 0, 0, 0, 0]),
        (
            "a base offset",
            |vfs| flip(vfs, 7),
            [0, 0, 1, 0, 0, 0, 0, 0],
        ),
        (
            "zeros at the end",
            |vfs| {
                let log = vfs.open(LOG.as_ref(), OpenMode::ReadWrite).unwrap();
                let size = vfs.stat(LOG.as_ref()).unwrap().unwrap().size_bytes;
                vfs::write_all_at(&*log, &[0; 500], size).unwrap();
            },
            [0, 0, 0, 0, 0, 0, 500, 1],
        ),
    ];
    let original = written().await;
    for (what, damage, expected) in cases {
        let vfs = original.fork();
        damage(&vfs);
        let disk = open_disk(&vfs);
        let (pages, broker, _) = pages_over(disk.store.clone(), disk.metadata.clone()).await;
        read_all(&broker).await;
        let (_, metrics) = get(&pages, "/metrics").await;
        for (name, value) in names.iter().zip(expected) {
            let line = format!("\n{name} {value}\n");
            assert!(metrics.contains(&line), "{what}: {line:?} in {metrics}");
        }
        let labels = metrics.matches("_findings_total{label=").count();
        assert_eq!(labels, 19, "{what}: {metrics}");
        drop((pages, broker));
        disk.close().unwrap();
    }
}

#[tokio::test]
async fn a_store_that_recovers_nothing_has_no_findings() {
    let (pages, _broker, _ready) = pages().await;
    let (_, metrics) = get(&pages, "/metrics").await;
    assert!(
        metrics.contains("\nottla_quarantined_ranges 0\n"),
        "{metrics}"
    );
    assert!(!metrics.contains("{label="), "{metrics}");
}

/// A topic with ten records in each partition, one for each second before now.
async fn with_ten_records(broker: &Broker, partitions: i32) -> Arc<broker::Topic> {
    let new = NewTopic {
        partitions: Some(partitions),
        ..NewTopic::named("orders")
    };
    let topic = broker.create_topic(new).await.unwrap();
    for partition in 0..partitions {
        for second in 0..10 {
            let mut batch = BatchBuilder::new(Codec::None);
            let at_ms = 1_700_000_000_000 - 10_000 + second * 1000;
            batch.append(at_ms, None, Some(b"a value"), &[]).unwrap();
            let batch = batch.build().unwrap();
            let ticket = broker.append_checked(&topic, partition, batch, BytesPermit::free());
            ticket.unwrap().durable().await.unwrap();
        }
    }
    topic
}

#[tokio::test]
async fn lag_shows_in_messages_and_in_seconds() {
    let (pages, broker, _ready) = pages().await;
    let topic = with_ten_records(&broker, 3).await;
    let positions = broker.positions();
    let moves = [(0, Offset::new(4)), (1, Offset::new(10))];
    positions
        .commit_all("a \"b\"\n\\", &topic, &moves)
        .await
        .unwrap();
    let (_, metrics) = get(&pages, "/metrics").await;
    let group = "consumergroup=\"a \\\"b\\\"\\n\\\\\"";
    let lines = [
        format!("kafka_consumergroup_members{{{group}}} 0"),
        format!("kafka_consumergroup_current_offset{{{group},topic=\"orders\",partition=\"0\"}} 4"),
        format!("kafka_consumergroup_lag{{{group},topic=\"orders\",partition=\"0\"}} 6"),
        format!("kafka_consumergroup_lag{{{group},topic=\"orders\",partition=\"1\"}} 0"),
        format!(
            "kafka_consumergroup_lag_seconds{{{group},topic=\"orders\",partition=\"0\"}} 6.000"
        ),
        format!(
            "kafka_consumergroup_lag_seconds{{{group},topic=\"orders\",partition=\"1\"}} 0.000"
        ),
        format!("kafka_consumergroup_lag_sum{{{group},topic=\"orders\"}} 6"),
        "ottla_consumergroup_topics_not_shown 0".to_owned(),
    ];
    for line in lines {
        assert!(
            metrics.contains(&format!("\n{line}\n")),
            "{line:?} in {metrics}"
        );
    }
    assert!(
        !metrics.contains("partition=\"2\""),
        "never committed: {metrics}"
    );
}

#[tokio::test]
async fn many_groups_make_a_bounded_page() {
    let (pages, broker, _ready) = pages().await;
    let topic = with_ten_records(&broker, 1).await;
    let positions = broker.positions();
    for number in 0..6_000 {
        let name = format!("group-{number:05}");
        let moves = [(0, Offset::new(number % 10))];
        positions.commit_all(&name, &topic, &moves).await.unwrap();
    }
    let (_, metrics) = get(&pages, "/metrics").await;
    let series = |name: &str| metrics.matches(&format!("\n{name}{{")).count();
    assert_eq!(series("kafka_consumergroup_lag"), 5_000);
    assert_eq!(series("kafka_consumergroup_lag_sum"), 5_000);
    assert_eq!(series("kafka_consumergroup_members"), 5_000);
    assert!(!metrics.contains("partition="), "sums for each topic");
    let hidden = "\nottla_consumergroup_topics_not_shown 1000\n";
    assert!(metrics.contains(hidden));
}
