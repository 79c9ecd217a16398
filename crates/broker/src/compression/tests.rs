//! `compression.type` of a topic and of the broker: what is packed anew, and by what.

use bytes::Bytes;
use records::{BatchBuilder, CheckedBatch, Codec, DecodeBudget, TimestampType};
use storage::BytesPermit;

use crate::harness::{Harness, NOW_MS, bytes_of, create_with};
use crate::{
    Broker, BrokerScope, ConfigChange, ConfigEdit, ConfigOperation, Origin, ProduceError, Topic,
};

const VALUE: &[u8] = &[b'v'; 2000];

fn batch(codec: Codec) -> CheckedBatch {
    let mut builder = BatchBuilder::new(codec).producer(5, 0, 0);
    for time in [NOW_MS, NOW_MS - 20] {
        builder
            .append(time, Some(b"k"), Some(VALUE), &[])
            .expect("fits");
    }
    builder.build().expect("not empty")
}

fn append(broker: &Broker, topic: &Topic, batch: CheckedBatch) -> Result<(), ProduceError> {
    let (origin, permit) = (Origin::default(), BytesPermit::free());
    let ticket = broker.append(topic, 0, bytes_of(batch), origin, permit)?;
    ticket.placed().expect("the memory store takes all");
    Ok(())
}

/// The stored batches, one by one.
async fn stored(topic: &Topic) -> Vec<Bytes> {
    let log = topic.log(0).expect("opens");
    let limit = storage::ReadLimit {
        bytes_max: usize::MAX,
        at_least_one_batch: true,
    };
    let isolation = storage::Isolation::ReadUncommitted;
    let read = log.read(records::Offset::ZERO, limit, isolation).await;
    let mut batches = Vec::new();
    for chunk in read.expect("readable").chunks {
        let storage::Chunk::Memory(bytes) = chunk else {
            panic!("the memory store has no files")
        };
        let found = records::Batches::new(&bytes).map(|found| found.expect("whole").2);
        batches.extend(found.map(|batch| bytes.slice_ref(batch)));
    }
    batches
}

fn header(batch: &[u8]) -> records::BatchHeader {
    assert!(records::crc_ok(batch), "the checksum is that of the bytes");
    records::BatchHeader::parse(batch).expect("a batch")
}

#[tokio::test]
async fn a_batch_is_stored_under_the_codec_of_its_topic() {
    let broker = Harness::new().broker().await;
    for (name, expected) in [
        ("producer", None),
        ("uncompressed", Some(Codec::None)),
        ("gzip", Some(Codec::Gzip)),
        ("snappy", Some(Codec::Snappy)),
        ("lz4", Some(Codec::Lz4)),
        ("zstd", Some(Codec::Zstd)),
    ] {
        for source in Codec::ALL {
            let (sent, configs) = (batch(source), [("compression.type", name)]);
            let topic = create_with(&broker, &format!("{name}-{source}"), &configs).await;
            append(&broker, &topic, batch(source)).expect("accepted");
            let batches = stored(&topic).await;
            let kept = header(&batches[0]);
            let codec = expected.unwrap_or(source);
            assert_eq!(kept.attributes.codec(), Ok(codec), "{source} to {name}");
            assert_eq!(kept.base_timestamp_ms, sent.header().base_timestamp_ms);
            assert_eq!(kept.max_timestamp_ms, NOW_MS);
            assert_eq!(kept.producer_id, 5);
            assert_eq!((kept.base_sequence, kept.last_sequence()), (0, 1));
            if codec == source {
                assert_eq!(
                    batches[0][21..],
                    sent.as_bytes()[21..],
                    "it stays as it came"
                );
            }
            let opened = records::records(&batches[0], &mut DecodeBudget::new(10_000));
            let times = opened
                .expect("opens")
                .map(|record| record.expect("good").timestamp_ms);
            assert_eq!(times.collect::<Vec<_>>(), [NOW_MS, NOW_MS - 20]);
        }
    }
}

#[tokio::test]
async fn a_duplicate_is_known_under_another_codec() {
    let broker = Harness::new().broker().await;
    let topic = create_with(&broker, "t", &[("compression.type", "lz4")]).await;
    append(&broker, &topic, batch(Codec::Gzip)).expect("accepted");
    append(&broker, &topic, batch(Codec::Gzip)).expect("answered");
    assert_eq!(stored(&topic).await.len(), 1);
}

#[tokio::test]
async fn the_time_of_the_append_is_stamped_on_the_new_batch() {
    let broker = Harness::new().broker().await;
    let configs = [
        ("compression.type", "zstd"),
        ("message.timestamp.type", "LogAppendTime"),
    ];
    let topic = create_with(&broker, "t", &configs).await;
    append(&broker, &topic, batch(Codec::Snappy)).expect("accepted");
    let kept = header(&stored(&topic).await[0]);
    assert_eq!(kept.attributes.codec(), Ok(Codec::Zstd));
    assert_eq!(
        kept.attributes.timestamp_type(),
        TimestampType::LogAppendTime
    );
    assert_eq!(kept.max_timestamp_ms, NOW_MS);
}

#[tokio::test]
async fn a_batch_that_gets_too_large_is_refused() {
    let broker = Harness::new().broker().await;
    let configs = [
        ("compression.type", "uncompressed"),
        ("max.message.bytes", "3000"),
    ];
    let topic = create_with(&broker, "t", &configs).await;
    let refused = append(&broker, &topic, batch(Codec::Zstd)).expect_err("4,000 bytes");
    assert!(
        matches!(
            refused,
            ProduceError::Batch {
                source: records::BatchError::TooLarge {
                    limit_bytes: 3000,
                    ..
                },
                ..
            }
        ),
        "{refused}"
    );
    assert!(stored(&topic).await.is_empty());
}

#[tokio::test]
async fn levels_and_the_brokers_own_type_take_effect_at_once() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let name = "t";
    create_with(&broker, name, &[]).await;
    let text: Vec<u8> = (0..60_000_u32)
        .flat_map(|n| (n * n % 1009).to_be_bytes())
        .collect();
    let mut sequence = 0;
    let mut size_with = async |scope, key: &str, value: &str| {
        let change = ConfigChange {
            name: key.to_owned(),
            operation: ConfigOperation::Set(value.to_owned()),
        };
        let edit = ConfigEdit::Changes(vec![change]);
        match scope {
            Some(scope) => broker.alter_broker_configs(scope, &edit, false).await,
            None => broker.alter_topic_configs(name, &edit, false).await,
        }
        .expect("allowed");
        let topic = broker.topic(name).expect("exists");
        let mut builder = BatchBuilder::new(Codec::None).producer(6, 0, sequence);
        sequence += 1;
        builder
            .append(NOW_MS, None, Some(&text), &[])
            .expect("fits");
        append(&broker, &topic, builder.build().expect("not empty")).expect("accepted");
        let batches = stored(&topic).await;
        let last = batches.last().expect("one was appended");
        (header(last).attributes.codec(), last.len())
    };
    let every = Some(BrokerScope::Every);
    let (codec, low) = size_with(every, "compression.type", "gzip").await;
    assert_eq!(codec, Ok(Codec::Gzip));
    let (_, fastest) = size_with(every, "compression.gzip.level", "1").await;
    let (_, closest) = size_with(None, "compression.gzip.level", "9").await;
    assert!(closest <= low && low < fastest, "{closest} {low} {fastest}");
    let (codec, _) = size_with(None, "compression.type", "producer").await;
    assert_eq!(codec, Ok(Codec::None));
}
