//! Who wrote to a partition, and what is answered for partitions that are not there.

use bytes::BytesMut;
use records::BatchBuilder;
use storage::BytesPermit;

use super::*;
use crate::harness::{Harness, NOW_MS, batch_of};

fn append(harness: &Harness, topic: &broker::Topic, batch: BytesMut) {
    let (origin, permit) = (broker::Origin::default(), BytesPermit::free());
    let ticket = harness.broker().append(topic, 1, batch, origin, permit);
    ticket.expect("accepted").placed().expect("placed");
}

fn asked(name: &str, partition_indexes: &[i32]) -> TopicRequest {
    TopicRequest {
        name: name.into(),
        partition_indexes: partition_indexes.to_vec(),
    }
}

#[tokio::test]
async fn producers_are_told_by_partition() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 2).await;
    let of =
        |id, epoch, sequence| BatchBuilder::new(records::Codec::None).producer(id, epoch, sequence);
    append(
        &harness,
        &topic,
        batch_of(of(7, 2, 0), NOW_MS - 50, &["a", "b"]),
    );
    append(&harness, &topic, batch_of(of(3, 0, 9), NOW_MS - 20, &["c"]));
    append(&harness, &topic, batch_of(of(7, 2, 2), NOW_MS - 10, &["d"]));
    append(
        &harness,
        &topic,
        batch_of(BatchBuilder::new(records::Codec::None), NOW_MS, &["e"]),
    );
    let request = DescribeProducersRequest {
        topics: vec![asked("t", &[1, 0, 1])],
    };
    let response = harness.ask(0, &request).await;
    let rows = &response.topics[0].partitions;
    let indexes: Vec<i32> = rows.iter().map(|row| row.partition_index).collect();
    assert_eq!(indexes, [0, 1], "each once");
    assert_eq!(rows[0].active_producers, []);
    let state = |id, epoch, last_sequence, last_timestamp| ProducerState {
        producer_id: id,
        producer_epoch: epoch,
        last_sequence,
        last_timestamp,
        coordinator_epoch: -1,
        current_txn_start_offset: -1,
    };
    let expected = [state(3, 0, 9, NOW_MS - 20), state(7, 2, 2, NOW_MS - 10)];
    assert_eq!(rows[1].active_producers, expected);
}

#[tokio::test]
async fn what_is_not_there_gets_its_code() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    for (name, partition, expected) in [
        ("t", 1, ErrorCode::UnknownTopicOrPartition),
        ("t", -1, ErrorCode::UnknownTopicOrPartition),
        ("absent", 0, ErrorCode::UnknownTopicOrPartition),
        ("", 0, ErrorCode::InvalidTopicException),
        ("a/b", 0, ErrorCode::InvalidTopicException),
    ] {
        let request = DescribeProducersRequest {
            topics: vec![asked(name, &[partition])],
        };
        let response = harness.ask(0, &request).await;
        let row = &response.topics[0].partitions[0];
        assert_eq!(
            ErrorCode::from_code(row.error_code),
            Some(expected),
            "{name}-{partition}"
        );
        assert!(row.error_message.is_some(), "{name}-{partition}");
    }
}
