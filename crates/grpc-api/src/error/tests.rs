//! What every status must be, and what each error of the broker becomes.

use std::sync::Arc;

use broker::{
    AddPartitionsError, CreateTopicError, DeleteTopicError, FetchError, FindOffsetError,
    LeaderEpochError, PartitionError, PositionError, ProduceError, Topic, UnreadableValue,
};
use records::{BatchError, Codec, Offset};
use storage::{AppendError, Ends, InvalidTopicName, StorageFailure, TopicName};

use super::*;
use crate::harness::{Harness, create};

fn name() -> TopicName {
    TopicName::parse("orders").expect("a good name")
}

fn unknown_partition() -> PartitionError {
    PartitionError::Unknown {
        topic: name(),
        partition: 3,
        count: 3,
    }
}

fn failure() -> StorageFailure {
    StorageFailure::new("pwrite: I/O error")
}

async fn topic() -> Arc<Topic> {
    let broker = Harness::new().broker().await;
    create(&broker, "orders", 3, &[]).await
}

/// The code and the reason; every status has both, a retry hint where it is UNAVAILABLE, and names
/// the topic.
fn check(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((&*info.reason, &*info.domain), (reason, "ottla"));
    assert_eq!(
        info.metadata.get("topic").map(String::as_str),
        Some("orders"),
        "{status:?}"
    );
    let retry = status.get_details_retry_info();
    assert_eq!(retry.is_some(), code == Code::Unavailable, "{status:?}");
    let field = status.get_details_bad_request();
    assert_eq!(field.is_some(), code == Code::InvalidArgument, "{status:?}");
    let resource = status.get_details_resource_info();
    let about_a_thing = matches!(code, Code::NotFound | Code::AlreadyExists);
    assert_eq!(resource.is_some(), about_a_thing, "{status:?}");
}

#[test]
fn creations() {
    let topic = name();
    for (error, code, reason) in [
        (
            CreateTopicError::InvalidName {
                name: "orders".into(),
                source: InvalidTopicName::Empty,
            },
            Code::InvalidArgument,
            "INVALID_TOPIC_NAME",
        ),
        (
            CreateTopicError::Exists { topic: name() },
            Code::AlreadyExists,
            "TOPIC_ALREADY_EXISTS",
        ),
        (
            CreateTopicError::Collides {
                topic: name(),
                with: topic,
            },
            Code::InvalidArgument,
            "TOPIC_COLLIDES",
        ),
        (
            CreateTopicError::NameNotFree {
                topic: name(),
                reason: failure(),
            },
            Code::Unavailable,
            "TOPIC_NAME_NOT_FREE",
        ),
        (
            CreateTopicError::InvalidPartitions { asked: 0 },
            Code::InvalidArgument,
            "INVALID_PARTITIONS",
        ),
        (
            CreateTopicError::TooManyPartitions { asked: 9, limit: 8 },
            Code::InvalidArgument,
            "INVALID_PARTITIONS",
        ),
        (
            CreateTopicError::LimitReached {
                held: 7,
                asked: 2,
                limit: 8,
            },
            Code::ResourceExhausted,
            "PARTITION_LIMIT",
        ),
        (
            CreateTopicError::InvalidConfig {
                key: "a.b".into(),
                reason: "unknown".into(),
            },
            Code::InvalidArgument,
            "INVALID_CONFIG",
        ),
    ] {
        check(&create_topic(&error, "orders"), code, reason);
    }
}

#[test]
fn creations_that_cannot_be_done_here() {
    for (error, code, reason) in [
        (
            CreateTopicError::InvalidReplicationFactor { asked: 3, nodes: 1 },
            Code::Internal,
            "INTERNAL",
        ),
        (
            CreateTopicError::AssignmentsAndCounts,
            Code::Internal,
            "INTERNAL",
        ),
        (
            CreateTopicError::InvalidAssignment {
                reason: "no".into(),
            },
            Code::Internal,
            "INTERNAL",
        ),
        (
            CreateTopicError::NoSpace(failure()),
            Code::Unavailable,
            "DISK_FULL",
        ),
        (
            CreateTopicError::Storage(failure()),
            Code::Unavailable,
            "STORAGE_FAILURE",
        ),
    ] {
        check(&create_topic(&error, "orders"), code, reason);
    }
}

#[test]
fn deletions_and_growth() {
    let unknown = DeleteTopicError::Unknown { topic: name() };
    for (error, code, reason) in [
        (unknown, Code::NotFound, "UNKNOWN_TOPIC"),
        (
            DeleteTopicError::NoSpace(failure()),
            Code::Unavailable,
            "DISK_FULL",
        ),
        (
            DeleteTopicError::Storage(failure()),
            Code::Unavailable,
            "STORAGE_FAILURE",
        ),
    ] {
        check(&delete_topic(&error, "orders"), code, reason);
    }
    let unknown = AddPartitionsError::Unknown {
        topic: "orders".into(),
    };
    let smaller = AddPartitionsError::TotalNotLarger {
        topic: name(),
        current: 3,
        asked: 3,
    };
    let too_many = AddPartitionsError::TooManyPartitions { asked: 9, limit: 8 };
    let limit = AddPartitionsError::LimitReached {
        held: 7,
        asked: 2,
        limit: 8,
    };
    let assignment = AddPartitionsError::InvalidAssignment {
        reason: "no".into(),
    };
    for (error, code, reason) in [
        (unknown, Code::NotFound, "UNKNOWN_TOPIC"),
        (smaller, Code::InvalidArgument, "INVALID_PARTITIONS"),
        (too_many, Code::InvalidArgument, "INVALID_PARTITIONS"),
        (limit, Code::ResourceExhausted, "PARTITION_LIMIT"),
        (assignment, Code::Internal, "INTERNAL"),
        (
            AddPartitionsError::NoSpace(failure()),
            Code::Unavailable,
            "DISK_FULL",
        ),
        (
            AddPartitionsError::Storage(failure()),
            Code::Unavailable,
            "STORAGE_FAILURE",
        ),
    ] {
        check(&add_partitions(&error, "orders"), code, reason);
    }
}

#[tokio::test]
async fn partitions() {
    let topic = topic().await;
    let offline = PartitionError::Offline(failure());
    for (error, code, reason) in [
        (unknown_partition(), Code::NotFound, "UNKNOWN_PARTITION"),
        (
            PartitionError::Deleted { topic: name() },
            Code::NotFound,
            "UNKNOWN_TOPIC",
        ),
        (offline, Code::Unavailable, "PARTITION_OFFLINE"),
    ] {
        check(&partition(&error, &topic, 3), code, reason);
    }
}

#[tokio::test]
async fn batches() {
    let topic = topic().await;
    let time = ProduceError::InvalidTimestamp {
        topic: name(),
        partition: 1,
        timestamp_ms: 9,
        earliest_ms: 0,
        latest_ms: 8,
        records: vec![0],
    };
    let too_large = BatchError::TooLarge {
        size_bytes: 9,
        limit_bytes: 8,
    };
    let too_large = ProduceError::Batch {
        topic: name(),
        partition: 1,
        source: too_large,
    };
    let codec = Codec::Zstd;
    for (error, code, reason) in [
        (
            ProduceError::Partition(unknown_partition()),
            Code::NotFound,
            "UNKNOWN_PARTITION",
        ),
        (too_large, Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        (time, Code::InvalidArgument, "INVALID_TIMESTAMP"),
        (
            ProduceError::UnsupportedCodec {
                topic: name(),
                partition: 1,
                codec,
            },
            Code::Internal,
            "INTERNAL",
        ),
        (
            ProduceError::InvalidTimestampType {
                topic: name(),
                partition: 1,
            },
            Code::Internal,
            "INTERNAL",
        ),
        (
            ProduceError::TransactionsNotSupported {
                topic: name(),
                partition: 1,
            },
            Code::Internal,
            "INTERNAL",
        ),
    ] {
        check(&produce(&error, &topic, 1), code, reason);
    }
    check(
        &batch(&BatchError::NoRecords, &name(), 1),
        Code::Internal,
        "INTERNAL",
    );
}

#[tokio::test]
async fn appends() {
    let topic = topic().await;
    let larger = AppendError::LargerThanSegment {
        size_bytes: 9,
        segment_bytes: 8,
    };
    let sequence = AppendError::OutOfOrderSequence {
        producer_id: 1,
        expected: 0,
        got: 1,
    };
    let epoch = AppendError::StaleProducerEpoch {
        producer_id: 1,
        current: 1,
        got: 0,
    };
    for (error, code, reason) in [
        (larger, Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        (
            AppendError::NoSpace(failure()),
            Code::Unavailable,
            "DISK_FULL",
        ),
        (
            AppendError::Storage(failure()),
            Code::Unavailable,
            "STORAGE_FAILURE",
        ),
        (sequence, Code::Internal, "INTERNAL"),
        (epoch, Code::Internal, "INTERNAL"),
        (
            AppendError::Fenced {
                current: 1,
                asked: 0,
            },
            Code::Internal,
            "INTERNAL",
        ),
    ] {
        check(&append(&error, &topic, 1), code, reason);
    }
}

#[tokio::test]
async fn reads() {
    let topic = topic().await;
    let deleted = || PartitionError::Deleted { topic: name() };
    let corrupt = || (name(), 1, failure());
    let epoch = || LeaderEpochError::Fenced {
        topic: name(),
        partition: 1,
        current: 1,
        asked: 0,
    };
    let asked = Offset::new(9);
    let ends = Ends {
        log_start: Offset::new(2),
        ..Ends::empty_at(Offset::new(5))
    };
    let (name, partition, reason) = corrupt();
    let fetch_corrupt = FetchError::Corrupt {
        topic: name.clone(),
        partition,
        reason,
    };
    for (error, code, reason) in [
        (
            FetchError::Partition(deleted()),
            Code::NotFound,
            "UNKNOWN_TOPIC",
        ),
        (FetchError::LeaderEpoch(epoch()), Code::Internal, "INTERNAL"),
        (
            FetchError::OutOfRange {
                topic: name,
                partition,
                asked,
                ends,
            },
            Code::OutOfRange,
            "OFFSET_OUT_OF_RANGE",
        ),
        (fetch_corrupt, Code::DataLoss, "CORRUPT_MESSAGE"),
    ] {
        check(&fetch(&error, &topic, 1), code, reason);
    }
    let (name, partition, reason) = corrupt();
    let find_corrupt = FindOffsetError::Corrupt {
        topic: name.clone(),
        partition,
        reason,
    };
    let unknown_epoch = LeaderEpochError::Unknown {
        topic: name,
        partition,
        current: 1,
        asked: 2,
    };
    for (error, code, reason) in [
        (
            FindOffsetError::Partition(deleted()),
            Code::NotFound,
            "UNKNOWN_TOPIC",
        ),
        (
            FindOffsetError::LeaderEpoch(unknown_epoch),
            Code::Internal,
            "INTERNAL",
        ),
        (find_corrupt, Code::DataLoss, "CORRUPT_MESSAGE"),
    ] {
        check(&find_offset(&error, &topic, 1), code, reason);
    }
}

#[tokio::test]
async fn positions() {
    let topic = topic().await;
    let consumer = PositionError::InvalidConsumer {
        size_bytes: 0,
        limit_bytes: 9,
    };
    let negative = PositionError::NegativeOffset {
        offset: Offset::new(-1),
    };
    let metadata = PositionError::MetadataTooLarge {
        size_bytes: 9,
        limit_bytes: 8,
    };
    let newer = UnreadableValue::Newer {
        what: "a position",
        version: 2,
        newest: 1,
    };
    let deleted = PartitionError::Deleted { topic: name() };
    for (error, code, reason) in [
        (consumer, Code::InvalidArgument, "INVALID_CONSUMER"),
        (
            PositionError::Partition(deleted),
            Code::NotFound,
            "UNKNOWN_TOPIC",
        ),
        (
            PositionError::HasMembers {
                consumer: "billing".to_owned(),
            },
            Code::FailedPrecondition,
            "GROUP_HAS_MEMBERS",
        ),
        (negative, Code::InvalidArgument, "INVALID_OFFSET"),
        (metadata, Code::InvalidArgument, "OFFSET_METADATA_TOO_LARGE"),
        (
            PositionError::Unreadable(newer),
            Code::DataLoss,
            "CORRUPT_POSITION",
        ),
        (
            PositionError::NoSpace(failure()),
            Code::Unavailable,
            "DISK_FULL",
        ),
        (
            PositionError::Storage(failure()),
            Code::Unavailable,
            "STORAGE_FAILURE",
        ),
    ] {
        check(&position(&error, &topic, 1), code, reason);
    }
}

#[tokio::test]
async fn an_append_to_a_deleted_topic_says_so() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 1, &[]).await;
    broker.delete_topic(&topic).await.expect("deleted");
    let removed = AppendError::Storage(StorageFailure::new("topic removed"));
    check(
        &append(&removed, &topic, 0),
        Code::NotFound,
        "UNKNOWN_TOPIC",
    );
}

#[tokio::test]
async fn ranges_are_told_with_first_and_last_offset() {
    let topic = topic().await;
    let offset = Offset::new;
    let range = |start, end| crate::lookup::Range {
        start: offset(start),
        end: offset(end),
    };
    let fact = |status: &Status, name: &str| {
        let info = status.get_details_error_info().expect("details");
        info.metadata.get(name).cloned()
    };
    let status = out_of_range(&topic, 1, offset(9), range(2, 5));
    let message = "offset 9 is outside orders-1, which has offsets 2 to 4; the next is 5";
    assert_eq!(status.message(), message);
    for (name, value) in [
        ("first_offset", "2"),
        ("last_offset", "4"),
        ("end_offset", "5"),
    ] {
        assert_eq!(fact(&status, name).as_deref(), Some(value), "{name}");
    }
    let status = out_of_range(&topic, 1, offset(9), range(5, 5));
    let message = "offset 9 is outside orders-1, which has no records; the next offset is 5";
    assert_eq!(status.message(), message);
    assert_eq!(fact(&status, "last_offset"), None);
    let status = position_out_of_range("billing", &topic, 1, offset(9), range(2, 5));
    assert!(status.message().contains("Seek"), "{}", status.message());
    assert_eq!(fact(&status, "consumer").as_deref(), Some("billing"));
}

#[test]
fn nothing_long_gets_into_a_status() {
    let long = "\u{1F980}".repeat(100_000);
    let status = invalid_topic_name(&long, &InvalidTopicName::TooLong(100_000));
    assert!(status.message().len() <= MESSAGE_BYTES_MAX);
    assert!(
        status.message().contains("at most 249"),
        "{}",
        status.message()
    );
    let headers = status.into_http::<()>().into_parts().0.headers;
    let size = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        name.as_str().len() + value.len() + 32
    };
    assert!(headers.iter().map(size).sum::<usize>() < 8 * 1024);
    assert_eq!(shortened("abc".into(), 3), "abc");
    assert_eq!(shortened("abcdef".into(), 5), "ab…");
}

#[test]
fn only_what_tonic_made_for_a_large_request_is_changed() {
    let of_tonic = of_request(Status::out_of_range("decoded message length too large"), 77);
    assert_eq!(of_tonic.code(), Code::ResourceExhausted);
    assert!(of_tonic.message().contains("77"));
    let cancelled = of_request(Status::cancelled("gone"), 77);
    assert_eq!(cancelled.code(), Code::Cancelled);
}
