//! Produce: what is refused before the log is touched, and what is stamped and counted.

use bytes::BytesMut;
use records::{BatchBuilder, BatchError, Codec, Offset};
use storage::memory::MemoryStore;
use storage::{AppendError, BytesPermit};

use super::*;
use crate::error::PartitionError;
use crate::harness::{
    Harness, NOW_MS, append, batch_at, bytes_of, create, create_with, failure, fetch_of, produce,
    records_of, topic_name,
};

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn places_batches_one_behind_the_other_and_counts_them() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    assert_eq!(produce(&broker, &topic, &["a", "b"]).await, Offset::ZERO);
    assert_eq!(produce(&broker, &topic, &["c"]).await, Offset::new(2));
    let counters = broker.counters();
    assert_eq!(counters.messages_in.get(), 3);
    let size = batch_at(NOW_MS, &["a", "b"]).len() + batch_at(NOW_MS, &["c"]).len();
    assert_eq!(counters.bytes_in.get(), size as u64);
    assert_eq!(counters.produce_requests.get(), 2);
    assert_eq!(counters.produce_failures.get(), 0);
}

#[tokio::test]
async fn the_place_is_known_before_it_is_durable() {
    let harness = Harness::on(MemoryStore::with_manual_commit());
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    let ticket = append(&broker, &topic, 0, &["a"]).expect("accepted");
    assert_eq!(ticket.placed(), Ok(Offset::ZERO));
    assert_eq!(ticket.log_start(), Some(Offset::ZERO));
    assert!(!ticket.is_durable());
    harness.memory.commit_all();
    assert!(ticket.is_durable());
}

#[tokio::test]
async fn bad_bytes_change_nothing() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    let good = || bytes_of(batch_at(NOW_MS, &["a"]));
    let mut twice = good();
    twice.extend_from_slice(&good());
    let mut flipped = good();
    *flipped.last_mut().expect("not empty") ^= 1;
    let mut truncated = good();
    truncated.truncate(truncated.len() - 1);
    for (what, bytes) in [
        ("nothing", BytesMut::new()),
        ("noise", BytesMut::from(&[7; 100][..])),
        ("two batches", twice),
        ("a flipped bit", flipped),
        ("a cut batch", truncated),
    ] {
        let refused = broker.append(&topic, 0, bytes, Origin::default(), BytesPermit::free());
        let error = refused.expect_err(what);
        assert!(
            matches!(error, ProduceError::Batch { .. }),
            "{what}: {error}"
        );
        assert!(error.to_string().contains("orders-0"), "{error}");
    }
    assert_eq!(topic.log(0).expect("there").ends().log_end, Offset::ZERO);
    assert_eq!(broker.counters().produce_failures.get(), 5);
    assert_eq!(broker.counters().messages_in.get(), 0);
}

#[tokio::test]
async fn partitions_that_do_not_exist_are_named() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 3).await;
    for partition in [-1, 3, i32::MAX] {
        let error = append(&broker, &topic, partition, &["a"]).expect_err("no such partition");
        let unknown = PartitionError::Unknown {
            topic: topic_name("orders"),
            partition,
            count: 3,
        };
        assert_eq!(error, ProduceError::Partition(unknown));
        let checked = batch_at(NOW_MS, &["a"]);
        let again = broker.append_checked(&topic, partition, checked, BytesPermit::free());
        assert_eq!(again.expect_err("no such partition"), error);
    }
}

#[tokio::test]
async fn the_largest_batch_is_the_topics() {
    let mut harness = Harness::new();
    let size_bytes = batch_at(NOW_MS, &["abc"]).len();
    harness.config.message_max_bytes = size_bytes - 1;
    let broker = harness.broker().await;
    let strict = create(&broker, "strict", 1).await;
    let limit = size_bytes.to_string();
    let loose = create_with(&broker, "loose", &[("max.message.bytes", &limit)]).await;
    append(&broker, &loose, 0, &["abc"]).expect("fits");
    let expected = ProduceError::Batch {
        topic: topic_name("strict"),
        partition: 0,
        source: BatchError::TooLarge {
            size_bytes,
            limit_bytes: size_bytes - 1,
        },
    };
    let received = append(&broker, &strict, 0, &["abc"]);
    assert_eq!(received.expect_err("too large"), expected);
    let batch = batch_at(NOW_MS, &["abc"]);
    let made = broker.append_checked(&strict, 0, batch, BytesPermit::free());
    assert_eq!(made.expect_err("too large"), expected);
}

#[tokio::test]
async fn a_transactional_batch_is_refused() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    let mut builder = BatchBuilder::new(Codec::None)
        .producer(1, 0, 0)
        .transactional();
    builder
        .append(NOW_MS, None, Some(b"a"), &[])
        .expect("a small record");
    let bytes = bytes_of(builder.build().expect("a batch"));
    let refused = broker.append(&topic, 0, bytes, Origin::default(), BytesPermit::free());
    let expected = ProduceError::TransactionsNotSupported {
        topic: topic_name("orders"),
        partition: 0,
    };
    assert_eq!(refused.expect_err("no transactions"), expected);
    assert_eq!(topic.log(0).expect("there").ends().log_end, Offset::ZERO);
}

#[tokio::test]
async fn zstd_needs_a_request_that_allows_it() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    for codec in [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        let append = |zstd_allowed| {
            let mut builder = BatchBuilder::new(codec);
            builder
                .append(NOW_MS, None, Some(b"a"), &[])
                .expect("a small record");
            let bytes = bytes_of(builder.build().expect("a batch"));
            let origin = Origin { zstd_allowed };
            broker
                .append(&topic, 0, bytes, origin, BytesPermit::free())
                .map(|_| ())
        };
        assert_eq!(append(true), Ok(()), "{codec}");
        let expected = ProduceError::UnsupportedCodec {
            topic: topic_name("orders"),
            partition: 0,
            codec,
        };
        let allowed = codec != Codec::Zstd;
        assert_eq!(append(false), if allowed { Ok(()) } else { Err(expected) });
    }
}

#[tokio::test]
async fn timestamps_far_from_the_clock_are_refused() {
    let broker = Harness::new().broker().await;
    let usual = create(&broker, "usual", 1).await;
    let configs = [
        ("message.timestamp.before.max.ms", "1000"),
        ("message.timestamp.after.max.ms", "0"),
    ];
    let strict = create_with(&broker, "strict", &configs).await;
    let stamped = [("message.timestamp.type", "LogAppendTime")];
    let stamped = create_with(&broker, "stamped", &stamped).await;
    // (topic, timestamp, whether it is accepted)
    let cases = [
        (&usual, NOW_MS + HOUR_MS, true),
        (&usual, NOW_MS + HOUR_MS + 1, false),
        (&usual, i64::MAX, false),
        (&usual, 0, true),
        (&usual, i64::MIN, true),
        (&usual, -1, true),
        (&strict, NOW_MS, true),
        (&strict, NOW_MS + 1, false),
        (&strict, NOW_MS - 1000, true),
        (&strict, NOW_MS - 1001, false),
        (&strict, i64::MIN, false),
        // No time at all is no time too early.
        (&strict, -1, true),
        (&stamped, i64::MAX, true),
        (&stamped, 0, true),
    ];
    for (topic, timestamp_ms, accepted) in cases {
        let bytes = bytes_of(batch_at(timestamp_ms, &["a"]));
        let outcome = broker.append(topic, 0, bytes, Origin::default(), BytesPermit::free());
        assert_eq!(outcome.is_ok(), accepted, "{} {timestamp_ms}", topic.name());
        if let Err(error) = outcome {
            let named = matches!(&error, ProduceError::InvalidTimestamp { timestamp_ms: named, .. }
                if *named == timestamp_ms);
            assert!(named, "{error}");
        }
    }
}

#[tokio::test]
async fn untimely_records_are_named() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    for codec in [Codec::None, Codec::Zstd] {
        let mut builder = BatchBuilder::new(codec);
        for timestamp_ms in [NOW_MS, NOW_MS + 2 * HOUR_MS, -1, NOW_MS + 3 * HOUR_MS] {
            let appended = builder.append(timestamp_ms, None, Some(b"v"), &[]);
            appended.expect("a small record");
        }
        let bytes = bytes_of(builder.build().expect("a batch"));
        let refused = broker.append(&topic, 0, bytes, Origin::default(), BytesPermit::free());
        let Err(ProduceError::InvalidTimestamp { records, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(records, [1, 3], "{codec}");
    }
}

#[tokio::test]
async fn records_of_a_compacted_topic_have_keys() {
    let broker = Harness::new().broker().await;
    for policy in ["compact", "compact,delete"] {
        let configs = [("cleanup.policy", policy)];
        let topic = create_with(&broker, &format!("by-{}", policy.len()), &configs).await;
        for codec in [Codec::None, Codec::Gzip] {
            for (keys, blamed) in [
                (&[Some("a"), Some(""), Some("b")][..], &[][..]),
                (&[None, Some("a"), None], &[0, 2]),
            ] {
                let mut builder = BatchBuilder::new(codec);
                for key in keys {
                    let key = key.map(str::as_bytes);
                    let appended = builder.append(NOW_MS, key, None, &[]);
                    appended.expect("a small record");
                }
                let bytes = bytes_of(builder.build().expect("a batch"));
                let appended =
                    broker.append(&topic, 0, bytes, Origin::default(), BytesPermit::free());
                match appended {
                    Ok(_) => assert_eq!(blamed, [0; 0], "{codec}"),
                    Err(ProduceError::WithoutKey { records, .. }) => {
                        assert_eq!(records, blamed, "{codec}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
    let topic = broker.topic("by-7").expect("made above");
    let refused = append(&broker, &topic, 0, &["x"]).expect_err("it has no key");
    let said = refused.to_string();
    let each = "Compacted topic cannot accept message without key in topic partition by-7-0";
    let expected = format!(
        "One or more records have been rejected due to 1 record errors in total, and only showing \
         the first three errors at most: [RecordError(batchIndex=0, message='{each}')]"
    );
    assert_eq!(said, expected);
}

/// Every shard may open one at the same time, so what one may take is little.
#[tokio::test]
async fn an_untimely_batch_that_opens_to_much_is_refused_unopened() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    let mut builder = BatchBuilder::new(Codec::Zstd);
    let large = vec![0; 4 << 20];
    let appended = builder.append(NOW_MS + 2 * HOUR_MS, None, Some(&large), &[]);
    appended.expect("one large record");
    let bytes = bytes_of(builder.build().expect("a small batch"));
    let refused = broker.append(&topic, 0, bytes, Origin::default(), BytesPermit::free());
    let Err(ProduceError::InvalidTimestamp { records, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(records, [0; 0]);
}

#[tokio::test]
async fn log_append_time_is_the_brokers() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let configs = [("message.timestamp.type", "LogAppendTime")];
    let stamped = create_with(&broker, "stamped", &configs).await;
    let usual = create(&broker, "usual", 1).await;
    harness.clock.set_wall_ms(NOW_MS + 5);
    let ticket = append(&broker, &stamped, 0, &["a", "b"]).expect("accepted");
    assert_eq!(ticket.log_append_time_ms(), Some(NOW_MS + 5));
    let ticket = append(&broker, &usual, 0, &["a"]).expect("accepted");
    assert_eq!(ticket.log_append_time_ms(), None);

    for (topic, expected) in [(&stamped, NOW_MS + 5), (&usual, NOW_MS)] {
        let result = broker.fetch(fetch_of(topic, 0)).await;
        let read = result.partitions[0].as_ref().expect("in range");
        let records = records_of(&read.slice);
        assert!(!records.is_empty());
        assert!(records.iter().all(|record| record.timestamp_ms == expected));
    }
}

#[tokio::test]
async fn only_the_broker_stamps() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    let mut batch = batch_at(NOW_MS, &["a"]);
    batch.stamp_log_append_time(NOW_MS);
    let bytes = bytes_of(batch);
    let refused = broker.append(&topic, 0, bytes, Origin::default(), BytesPermit::free());
    let expected = ProduceError::InvalidTimestampType {
        topic: topic_name("orders"),
        partition: 0,
    };
    assert_eq!(refused.expect_err("a client cannot stamp"), expected);
}

#[tokio::test]
async fn the_logs_refusals_come_through_the_ticket() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create(&broker, "orders", 1).await;
    let full = failure("the disk is full");
    harness.memory.set_no_space(Some(full.clone()));
    let ticket = append(&broker, &topic, 0, &["a"]).expect("a ticket");
    assert_eq!(ticket.placed(), Err(AppendError::NoSpace(full)));
    assert_eq!(broker.counters().produce_failures.get(), 1);
    assert_eq!(broker.counters().messages_in.get(), 0);
    harness.memory.set_no_space(None);
    assert_eq!(produce(&broker, &topic, &["b"]).await, Offset::ZERO);
}

#[tokio::test]
async fn a_retry_of_an_idempotent_producer_is_not_written_twice() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1).await;
    let identity = broker.new_producer_id().await.expect("an id");
    let send = |sequence: i32, value: &str| {
        let mut builder =
            BatchBuilder::new(Codec::None).producer(identity.id, identity.epoch, sequence);
        builder
            .append(NOW_MS, None, Some(value.as_bytes()), &[])
            .expect("a small record");
        let bytes = bytes_of(builder.build().expect("a batch"));
        let origin = Origin::default();
        let sent = broker.append(&topic, 0, bytes, origin, BytesPermit::free());
        sent.expect("a ticket").placed()
    };
    assert_eq!(send(0, "a"), Ok(Offset::ZERO));
    assert_eq!(send(1, "b"), Ok(Offset::new(1)));
    assert_eq!(send(0, "a"), Ok(Offset::ZERO), "the first offset again");
    assert_eq!(topic.log(0).expect("there").ends().log_end, Offset::new(2));
    let gap = send(3, "d").expect_err("sequence 2 is missing");
    assert!(matches!(
        gap,
        AppendError::OutOfOrderSequence {
            expected: 2,
            got: 3,
            ..
        }
    ));
}
