//! The partitioner: Kafka's hash for keys, turns without.

use storage::BytesPermit;

use super::*;
use crate::harness::{Harness, NOW_MS, batch_at, create};

#[tokio::test]
async fn keys_go_where_kafkas_java_client_sends_them() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 3).await;
    // murmur2 of "21" is -973932308, of "foobar" -790332482, of "abc" 479470107.
    for (key, hash) in [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("abc", 479_470_107),
    ] {
        let expected = (hash & i32::MAX).cast_unsigned() % 3;
        assert_eq!(
            broker.choose_partition(&topic, Some(key.as_bytes())),
            expected,
            "{key}"
        );
        assert_eq!(
            broker.choose_partition(&topic, Some(key.as_bytes())),
            expected,
            "{key}"
        );
    }
    // An empty key is a key.
    let empty = broker.choose_partition(&topic, Some(b""));
    assert_eq!(empty, records::partition_for_key(b"", 3));
}

#[tokio::test]
async fn without_a_key_each_partition_has_its_turn_of_16_kib() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 3).await;
    let value = "x".repeat(1000);
    let mut turns: Vec<(u32, usize)> = Vec::new();
    for _ in 0..200 {
        let partition = broker.choose_partition(&topic, None);
        let batch = batch_at(NOW_MS, &[&value]);
        let size = batch.len();
        let permit = BytesPermit::free();
        broker
            .append_checked(&topic, partition.cast_signed(), batch, permit)
            .expect("accepted");
        match turns.last_mut() {
            Some((last, bytes)) if *last == partition => *bytes += size,
            _ => turns.push((partition, size)),
        }
    }
    turns.pop();
    assert!(turns.len() > 6, "{turns:?}");
    for (partition, bytes) in &turns {
        assert!(
            (STICKY_BYTES..STICKY_BYTES + 1200).contains(bytes),
            "{partition}: {bytes}"
        );
    }
    for pair in turns.windows(2) {
        assert_eq!(pair[1].0, (pair[0].0 + 1) % 3, "in turn: {turns:?}");
    }
}

#[tokio::test]
async fn records_that_others_placed_take_no_turn_away() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 4).await;
    let chosen = broker.choose_partition(&topic, None);
    let other = (chosen + 1) % 4;
    let value = "x".repeat(STICKY_BYTES);
    let batch = batch_at(NOW_MS, &[&value]);
    let permit = BytesPermit::free();
    broker
        .append_checked(&topic, other.cast_signed(), batch, permit)
        .expect("accepted");
    assert_eq!(broker.choose_partition(&topic, None), chosen);
}

#[tokio::test]
async fn an_offline_partition_is_passed_over_unless_all_are() {
    let harness = Harness::new();
    // Storage was made for three partitions, and that of the second is lost.
    let record = crate::harness::record(9, 3, 3);
    harness.write_topic("orders", &record).await;
    let other = Harness::new();
    let meta = {
        other.write_topic("orders", &record).await;
        other
            .broker()
            .await
            .topic("orders")
            .expect("loaded")
            .meta()
            .clone()
    };
    for partition in [0, 2] {
        storage::LogStore::create(&*harness.memory, &meta, partition..partition + 1)
            .await
            .expect("made");
    }
    let broker = harness.broker().await;
    let topic = broker.topic("orders").expect("loaded");
    assert!(topic.log(1).is_err());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let chosen = broker.choose_partition(&topic, None);
        seen.insert(chosen);
        topic.sticky().note(chosen, STICKY_BYTES);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 2]);

    let topic = other.broker().await.topic("orders").expect("loaded");
    assert!((0..3).all(|partition| topic.log(partition).is_err()));
    let broker = other.broker().await;
    assert!(broker.choose_partition(&topic, None) < 3);
}
