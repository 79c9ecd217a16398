//! What a fetch asks for, and which records come out of its answer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "no test uses all of the peer")]

mod peer;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_client::{Client, ErrorCode, FetchLimits, FetchedPartition};
use kafka_wire::messages::fetch::{
    FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use peer::{Broker, PATIENCE, topic};
use records::{Attributes, BatchBuilder, BatchHeader, Codec, HEADER_BYTES, Offset};

fn batch(base: i64, values: &[&str], codec: Codec) -> BytesMut {
    let mut builder = BatchBuilder::new(codec);
    for value in values {
        builder
            .append(1, None, Some(value.as_bytes()), &[])
            .unwrap();
    }
    let mut batch = builder.build().unwrap();
    batch.place(Offset::new(base), 0);
    BytesMut::from(batch.as_bytes())
}

/// A transaction marker, as other brokers may send one.
fn control(base: i64) -> BytesMut {
    let mut bytes = batch(base, &["marker"], Codec::None);
    let mut header = BatchHeader::parse(&bytes).unwrap();
    header.attributes = Attributes::new(1 << 5);
    bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
    header.crc = records::crc_of(&bytes);
    bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
    bytes
}

fn fetched(batches: &[BytesMut]) -> FetchedPartition {
    let batches = Bytes::from(batches.concat());
    FetchedPartition {
        partition: 0,
        error: None,
        high_watermark: 0,
        batches,
    }
}

fn values(fetched: &FetchedPartition, from: i64) -> (Vec<(i64, String)>, i64, Option<String>) {
    let mut records = fetched.records(from);
    let mut values = Vec::new();
    let mut error = None;
    for record in &mut records {
        match record {
            Ok(record) => {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                values.push((record.offset.get(), value));
            }
            Err(found) => error = Some(found.to_string()),
        }
    }
    (values, records.next_offset(), error)
}

#[test]
fn records_from_the_middle_of_a_batch_over_markers_to_the_end() {
    let all = fetched(&[
        batch(10, &["a", "b", "c"], Codec::Zstd),
        control(13),
        batch(14, &["d"], Codec::None),
        control(15),
    ]);
    let expected = [(11, "b"), (12, "c"), (14, "d")].map(|(at, value)| (at, value.to_owned()));
    assert_eq!(values(&all, 11), (expected.to_vec(), 16, None));
}

#[test]
fn a_part_of_a_batch_at_the_end_is_left_for_the_next_fetch() {
    let whole = batch(0, &["a"], Codec::None);
    let next = batch(1, &["b"], Codec::None);
    for cut in 0..next.len() {
        let all = fetched(&[whole.clone(), BytesMut::from(&next[..cut])]);
        assert_eq!(
            values(&all, 0),
            (vec![(0, "a".to_owned())], 1, None),
            "cut at {cut}"
        );
    }
}

#[test]
fn damage_is_an_error_and_hands_out_nothing_of_its_batch() {
    let good = batch(0, &["a"], Codec::None);
    let mut bad = batch(1, &["b", "c"], Codec::None);
    let last = bad.len() - 2;
    bad[last] ^= 1;
    let (records, next, error) = values(&fetched(&[good, bad, batch(3, &["d"], Codec::None)]), 0);
    assert_eq!((records, next), (vec![(0, "a".to_owned())], 1));
    assert!(error.is_some_and(|error| error.contains("CRC-32C")));
}

#[tokio::test]
async fn one_question_names_all_partitions_and_no_session() {
    let broker = Broker::start().await;
    let serve = async {
        let mut peer = broker.welcome().await;
        let asked = peer.expect::<FetchRequest>().await;
        assert_eq!(
            (asked.request.session_id, asked.request.session_epoch),
            (0, -1)
        );
        assert_eq!(
            (asked.request.max_wait_ms, asked.request.min_bytes),
            (70, 1)
        );
        let fetch = &asked.request.topics[0];
        assert_eq!(fetch.topic_id, topic(1).id);
        let from: Vec<_> = fetch
            .partitions
            .iter()
            .map(|p| (p.partition, p.fetch_offset))
            .collect();
        assert_eq!(from, [(0, 5), (1, 9)]);
        let data = |partition_index, error: ErrorCode, records| PartitionData {
            partition_index,
            error_code: error.code(),
            high_watermark: 6,
            records,
            ..Default::default()
        };
        let records = batch(5, &["x"], Codec::Gzip).freeze();
        let partitions = vec![
            data(0, ErrorCode::None, Some(records)),
            data(1, ErrorCode::OffsetOutOfRange, None),
        ];
        let topic = FetchableTopicResponse {
            topic_id: fetch.topic_id,
            partitions,
            ..Default::default()
        };
        let response = FetchResponse {
            responses: vec![topic],
            ..Default::default()
        };
        peer.answer(&asked, &response).await;
    };
    let fetch = async {
        let mut client = Client::connect(broker.options(PATIENCE)).await.unwrap();
        let limits = FetchLimits {
            bytes_min: 1,
            bytes_max: 1000,
            partition_bytes_max: 100,
            wait: Duration::from_millis(70),
        };
        client
            .fetch(&topic(2), &[(0, 5), (1, 9)], limits)
            .await
            .unwrap()
    };
    let ((), partitions) = tokio::join!(serve, fetch);
    assert_eq!(
        values(&partitions[0], 5),
        (vec![(5, "x".to_owned())], 6, None)
    );
    assert_eq!(partitions[0].error, None);
    assert_eq!(partitions[1].error, Some(ErrorCode::OffsetOutOfRange));
}
