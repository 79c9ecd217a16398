//! What a start finds, and what it makes of it.

use std::collections::BTreeMap;

use clock::SeededRng;
use storage::{LogStore, Metadata, StoreError, TopicId};

use super::*;
use crate::error::PartitionError;
use crate::harness::{
    Harness, NOW_MS, create, create_with, failure, fetch_of, produce, record, topic_name, values_of,
};

/// Storage as an earlier run left it.
async fn store(harness: &Harness, name: &str, record: &TopicRecord) -> TopicMeta {
    let meta = TopicMeta {
        id: record.id,
        name: topic_name(name),
        partitions: record.partitions,
        configs: record.configs.clone(),
        log_config: storage::LogConfig::default(),
    };
    harness
        .memory
        .create(&meta, 0..record.partitions_made)
        .await
        .expect("memory creates");
    meta
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let cluster_id = broker.cluster_id().to_owned();
    assert_eq!(cluster_id.len(), 22);
    let configs = [("max.message.bytes", "5000")];
    let topic = create_with(&broker, "orders", &configs).await;
    create(&broker, "other", 7).await;
    produce(&broker, &topic, &["a", "b"]).await;
    drop(broker);
    let harness = harness.restarted();
    let broker = harness.broker().await;
    assert_eq!(broker.cluster_id(), cluster_id);
    assert_eq!(broker.topics().len(), 2);
    assert_eq!(broker.topic("other").expect("kept").partition_count(), 7);
    let kept = broker.topic("orders").expect("kept");
    assert_eq!((kept.id(), kept.meta()), (topic.id(), topic.meta()));
    let read = broker.fetch(fetch_of(&kept, 0)).await;
    let read = read.partitions[0].as_ref().expect("in range");
    assert_eq!(values_of(&read.slice), ["a", "b"]);
    assert!(
        harness.store.faults.lock().created.is_empty(),
        "nothing is made again"
    );
}

#[tokio::test]
async fn more_topics_than_a_page_are_loaded() {
    let harness = Harness::new();
    for index in 0..=2 * PAGE {
        let mut record = record(0, 1, 1);
        record.id = TopicId(u128::try_from(index).expect("small").to_be_bytes());
        harness.write_topic(&format!("t{index}"), &record).await;
    }
    assert_eq!(harness.broker().await.topics().len(), 2 * PAGE + 1);
}

#[tokio::test]
async fn storage_that_was_not_made_yet_is_made() {
    let harness = Harness::new();
    harness.write_topic("none", &record(1, 3, 0)).await;
    harness.write_topic("some", &record(2, 3, 2)).await;
    store(&harness, "some", &record(2, 2, 2)).await;
    let broker = harness.broker().await;
    for name in ["none", "some"] {
        let topic = broker.topic(name).expect("loaded");
        for partition in 0..3 {
            topic.log(partition).expect("made");
        }
    }
    let mut created = harness.store.faults.lock().created.clone();
    created.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(
        created,
        [(topic_name("none"), 0..3), (topic_name("some"), 2..3)]
    );
    harness.store.clear_faults();
    harness.broker().await;
    assert!(
        harness.store.faults.lock().created.is_empty(),
        "it is noted as made"
    );
}

#[tokio::test]
async fn storage_that_was_made_and_is_gone_is_not_made_again() {
    let harness = Harness::new();
    harness.write_topic("orders", &record(1, 2, 2)).await;
    let broker = harness.broker().await;
    let topic = broker.topic("orders").expect("loaded");
    let error = topic.log(0).expect_err("the records are lost");
    assert!(matches!(error, PartitionError::Offline(_)), "{error}");
    assert!(harness.store.faults.lock().created.is_empty());
    assert!(
        harness
            .memory
            .topics()
            .await
            .expect("memory lists")
            .is_empty()
    );
}

#[tokio::test]
async fn a_start_goes_on_when_storage_cannot_be_made() {
    let harness = Harness::new();
    harness.write_topic("orders", &record(1, 2, 0)).await;
    let full = StoreError::NoSpace(failure("full"));
    harness.store.faults.lock().create = Some(full);
    let broker = harness.broker().await;
    let topic = broker.topic("orders").expect("loaded");
    topic.log(0).expect_err("not made");
    // Other operations go on meanwhile, and do not make it forgotten.
    broker.delete_topic(&topic).await.expect("deleted");
    harness.write_topic("late", &record(2, 2, 0)).await;
    let broker = harness.broker().await;
    harness.store.faults.lock().create = None;
    create(&broker, "other", 1).await;
    let topic = broker.topic("late").expect("loaded");
    topic.log(1).expect("made by the way");
}

#[tokio::test]
async fn a_growth_over_storage_that_is_not_made_makes_all_of_it() {
    let harness = Harness::new();
    harness.write_topic("orders", &record(1, 2, 0)).await;
    harness.store.faults.lock().create = Some(StoreError::NoSpace(failure("full")));
    let broker = harness.broker().await;
    broker
        .add_partitions("orders", 3, None, false)
        .await
        .expect_err("full");
    harness.store.clear_faults();
    let topic = broker
        .add_partitions("orders", 4, None, false)
        .await
        .expect("grown");
    for partition in 0..4 {
        topic.log(partition).expect("made");
    }
}

#[tokio::test]
async fn pending_deletions_are_finished_before_anything_is_adopted() {
    let harness = Harness::new();
    harness.write_deletion("gone", &record(1, 2, 2)).await;
    store(&harness, "gone", &record(1, 2, 2)).await;
    // The storage was taken away, the record was not cleared.
    harness.write_deletion("away", &record(2, 1, 1)).await;
    // The name is in use again already, by another topic.
    harness.write_deletion("again", &record(3, 1, 1)).await;
    harness.write_topic("again", &record(4, 1, 1)).await;
    store(&harness, "again", &record(4, 1, 1)).await;
    let position = keys::position("c", TopicId([1; 16]), 0);
    let write = Write {
        key: position,
        value: Some(bytes::Bytes::from_static(b"x")),
    };
    harness
        .metadata
        .commit(&[], &[write])
        .await
        .expect("commits");
    let broker = harness.broker().await;
    let names: Vec<_> = broker
        .topics()
        .iter()
        .map(|topic| topic.name().as_str().to_owned())
        .collect();
    assert_eq!(names, ["again"]);
    assert_eq!(broker.topic("again").expect("kept").id(), TopicId([4; 16]));
    broker
        .topic("again")
        .expect("kept")
        .log(0)
        .expect("its storage is left alone");
    assert_eq!(
        harness.memory.topics().await.expect("memory lists").len(),
        1
    );
    for space in [Space::Deletion, Space::Offset] {
        assert_eq!(harness.count(space).await, 0);
    }
}

#[tokio::test]
async fn storage_of_a_blocked_deletion_is_not_adopted() {
    let harness = Harness::new();
    harness.write_deletion("gone", &record(1, 1, 1)).await;
    store(&harness, "gone", &record(1, 1, 1)).await;
    harness.store.faults.lock().remove = Some(StoreError::Storage(failure("busy")));
    let broker = harness.broker().await;
    assert!(broker.topics().is_empty());
    assert_eq!(harness.count(Space::Topic).await, 0);
    harness.store.clear_faults();
    create(&broker, "gone", 1).await;
    assert_eq!(harness.count(Space::Deletion).await, 0);
}

#[tokio::test]
async fn storage_that_no_metadata_knows_is_adopted_with_its_records() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create_with(&broker, "orders", &[("max.message.bytes", "5000")]).await;
    produce(&broker, &topic, &["a"]).await;
    drop(broker);
    // All metadata is lost.
    let lost = Harness {
        metadata: Arc::default(),
        ..harness.restarted()
    };
    let broker = lost.broker().await;
    let adopted = broker.topic("orders").expect("adopted");
    assert_eq!(
        (adopted.id(), adopted.configs()),
        (topic.id(), topic.configs())
    );
    assert_eq!(adopted.settings().message_bytes_max, 5000);
    let read = broker.fetch(fetch_of(&adopted, 0)).await;
    let read = read.partitions[0].as_ref().expect("in range");
    assert_eq!(values_of(&read.slice), ["a"]);
    let id = broker.new_producer_id().await.expect("an id").id;
    assert!(
        id >= NOW_MS,
        "above every id that was given out before: {id}"
    );
    drop(broker);
    let again = lost.restarted().broker().await;
    assert_eq!(again.topic("orders").expect("kept").id(), topic.id());
}

#[tokio::test]
async fn configs_that_are_not_allowed_are_left_out_of_what_is_adopted_or_loaded() {
    let harness = Harness::new();
    let mut topic = record(1, 1, 1);
    let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    topic.configs = BTreeMap::from(
        [
            ("segment.bytes", "2000000"),
            ("preallocate", "true"),
            ("future.key", "x"),
        ]
        .map(own),
    );
    store(&harness, "adopted", &topic).await;
    topic.id = TopicId([2; 16]);
    harness.write_topic("loaded", &topic).await;
    let broker = harness.broker().await;
    for name in ["adopted", "loaded"] {
        let topic = broker.topic(name).expect("served all the same");
        assert_eq!(
            topic.configs(),
            &BTreeMap::from([own(("segment.bytes", "2000000"))])
        );
    }
}

#[tokio::test]
async fn storage_of_others_is_left_alone() {
    let harness = Harness::new();
    harness.write_topic("orders", &record(1, 1, 1)).await;
    store(&harness, "orders", &record(1, 1, 1)).await;
    // A copy of the directory: the same id under another name.
    store(&harness, "copy", &record(1, 1, 1)).await;
    // Another topic in the directory of a known one.
    harness.write_topic("swapped", &record(2, 1, 1)).await;
    store(&harness, "swapped", &record(3, 1, 1)).await;
    let broker = harness.broker().await;
    assert!(broker.topic("copy").is_none());
    broker
        .topic("orders")
        .expect("kept")
        .log(0)
        .expect("served");
    let swapped = broker.topic("swapped").expect("kept");
    assert_eq!(swapped.id(), TopicId([2; 16]));
    swapped.log(0).expect_err("its own storage is not there");
    assert_eq!(
        harness.memory.topics().await.expect("memory lists").len(),
        3
    );
}

#[tokio::test]
async fn metadata_that_cannot_be_read_stops_the_start() {
    for (key, value, newer) in [
        (keys::topic(&topic_name("t")), &[0, 9, 1, 1][..], true),
        (keys::topic(&topic_name("t")), &[0, 1, 1], false),
        (keys::deletion(TopicId([1; 16])), &[0, 1, 1], false),
        (Key::space(Space::Topic).part(b"a/b"), &[0, 1], false),
        (keys::cluster_id(), &[0, 7], true),
    ] {
        let harness = Harness::new();
        let write = Write {
            key: key.clone(),
            value: Some(bytes::Bytes::copy_from_slice(value)),
        };
        harness
            .metadata
            .commit(&[], &[write])
            .await
            .expect("commits");
        let error = harness.try_broker().await.expect_err("refused");
        assert_eq!(
            error.to_string().contains("version"),
            newer,
            "{key:?}: {error}"
        );
    }
}

#[tokio::test]
async fn two_topics_with_one_id_stop_the_start() {
    let harness = Harness::new();
    harness.write_topic("a", &record(1, 1, 1)).await;
    harness.write_topic("b", &record(1, 1, 1)).await;
    let error = harness.try_broker().await.expect_err("refused");
    assert!(error.to_string().contains("a and b"), "{error}");
}

#[tokio::test]
async fn settings_that_make_no_sense_stop_the_start() {
    let cases: [fn(&mut BrokerConfig); 5] = [
        |config| {
            config
                .set("log.flush.interval.messages", "10")
                .expect("a value");
            config.set("durability", "os").expect("a value");
        },
        |config| config.num_partitions = 0,
        |config| config.num_partitions = config.partitions_max_per_topic + 1,
        |config| config.node_id = -1,
        |config| config.log.segment_bytes = 0,
    ];
    for change in cases {
        let mut harness = Harness::new();
        change(&mut harness.config);
        let error = harness.try_broker().await.expect_err("refused");
        assert!(
            matches!(error, OpenBrokerError::InvalidConfig { .. }),
            "{error}"
        );
    }
}

#[test]
fn uuids_are_written_as_kafka_writes_them() {
    // From Kafka's org.apache.kafka.common.Uuid: toString of these bits.
    assert_eq!(base64_url([0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(base64_url([0xff; 16]), "_____________________w");
    let counting: [u8; 16] = std::array::from_fn(|index| u8::try_from(index).expect("small"));
    assert_eq!(base64_url(counting), "AAECAwQFBgcICQoLDA0ODw");
}

#[test]
fn no_uuid_looks_like_a_flag() {
    let seed = 3;
    println!("seed {seed}");
    let rng = SeededRng::new(seed);
    let mut dashes_inside = 0;
    for _ in 0..2000 {
        let text = base64_url(random_uuid(&rng));
        assert!(!text.starts_with('-'), "{text}");
        dashes_inside += usize::from(text.contains('-'));
    }
    assert!(dashes_inside > 0, "the letters include the dash");
}
