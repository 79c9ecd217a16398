//! The borrowed views read what the generated decoders read.

use crate::schema::{self, Builder, Chance};
use bytes::{Bytes, BytesMut};
use kafka_wire::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use kafka_wire::messages::produce::{PartitionProduceData, TopicProduceData};
use kafka_wire::messages::{FetchRequest, ProduceRequest};
use kafka_wire::views::{FetchView, ProduceView, split_frame};
use kafka_wire::{DecodeError, DecodeFault, Message, Reader};

/// Bytes before the body, to prove that places refer to the frame.
const HEAD: &[u8] = b"a request header";

fn produce_by_view(frame: &Bytes, version: i16) -> Result<(ProduceRequest, usize), DecodeError> {
    let view = ProduceView::parse(frame, HEAD.len(), version)?;
    let topics = view.topics().map(|topic| TopicProduceData {
        name: topic.name.into(),
        topic_id: topic.topic_id,
        partition_data: topic
            .partitions()
            .map(|partition| PartitionProduceData {
                index: partition.index,
                records: partition.records.map(|place| frame.slice(place)),
            })
            .collect(),
    });
    let request = ProduceRequest {
        transactional_id: view.transactional_id.map(Into::into),
        acks: view.acks,
        timeout_ms: view.timeout_ms,
        topic_data: topics.collect(),
    };
    Ok((request, view.end()))
}

fn fetch_by_view(frame: &Bytes, version: i16) -> Result<(FetchRequest, usize), DecodeError> {
    let view = FetchView::parse(frame, HEAD.len(), version)?;
    let partition = |view: kafka_wire::views::FetchPartitionView| FetchPartition {
        partition: view.partition,
        current_leader_epoch: view.current_leader_epoch,
        fetch_offset: view.fetch_offset,
        last_fetched_epoch: view.last_fetched_epoch,
        log_start_offset: view.log_start_offset,
        partition_max_bytes: view.partition_max_bytes,
        replica_directory_id: view.replica_directory_id,
        high_watermark: view.high_watermark,
    };
    let topics = view.topics().map(|topic| FetchTopic {
        topic: topic.topic.into(),
        topic_id: topic.topic_id,
        partitions: topic.partitions().map(partition).collect(),
    });
    let forgotten = view.forgotten_topics().map(|topic| ForgottenTopic {
        topic: topic.topic.into(),
        topic_id: topic.topic_id,
        partitions: topic.partitions().collect(),
    });
    let (replica_id, replica_state) = if version >= 15 {
        (
            -1,
            ReplicaState {
                replica_id: view.replica_id,
                replica_epoch: view.replica_epoch,
            },
        )
    } else {
        (view.replica_id, ReplicaState::default())
    };
    let request = FetchRequest {
        cluster_id: view.cluster_id.map(Into::into),
        replica_id,
        replica_state,
        max_wait_ms: view.max_wait_ms,
        min_bytes: view.min_bytes,
        max_bytes: view.max_bytes,
        isolation_level: view.isolation_level,
        session_id: view.session_id,
        session_epoch: view.session_epoch,
        topics: topics.collect(),
        forgotten_topics_data: forgotten.collect(),
        rack_id: view.rack_id.into(),
    };
    Ok((request, view.end()))
}

type ByView<M> = fn(&Bytes, i16) -> Result<(M, usize), DecodeError>;

/// Both read the same, or both refuse; only the owned decoder has a memory budget.
fn check<M: Message>(by_view: ByView<M>, body: &[u8], version: i16, label: &str) -> bool {
    let frame = Bytes::from([HEAD, body].concat());
    let mut reader = Reader::at(frame.clone(), HEAD.len());
    let owned = M::decode(&mut reader, version);
    let viewed = by_view(&frame, version);
    match (owned, viewed) {
        (Ok(owned), Ok((viewed, end))) => {
            assert_eq!(owned, viewed, "{label}");
            assert_eq!(reader.position(), end, "{label}");
            true
        }
        (Err(owned), Err(viewed)) => {
            assert_eq!(owned.fault, viewed.fault, "{label}");
            assert_eq!(owned.at, viewed.at, "{label}");
            false
        }
        (owned, viewed) => {
            let only_budget = matches!(
                &owned,
                Err(DecodeError {
                    fault: DecodeFault::Budget { .. },
                    ..
                })
            );
            assert!(only_budget, "{label}: {owned:?} but {viewed:?}");
            false
        }
    }
}

fn agree<M: Message>(api: &str, by_view: ByView<M>) {
    let apis = schema::apis();
    let message = schema::message(&apis, api, "request");
    let mut chance = Chance::new(0x5eed);
    for version in M::MIN_VERSION..=M::MAX_VERSION {
        for seed in 0..200 {
            let label = format!("{api} version {version} seed {seed}");
            let mut builder = Builder::new(message, version, seed);
            builder.unknown_tags = seed % 2 == 1;
            let built = builder.build();
            assert!(
                check(by_view, &built.bytes, version, &label),
                "{label} is well formed"
            );
            for length in 0..built
                .bytes
                .len()
                .min(if seed < 10 { usize::MAX } else { 0 })
            {
                let cut = check(by_view, &built.bytes[..length], version, &label);
                assert!(!cut, "{label} cut to {length} bytes");
            }
            for _ in 0..20 {
                let mut flipped = built.bytes.clone();
                let place = chance.below(flipped.len());
                flipped[place] = chance.next().to_be_bytes()[0];
                check(
                    by_view,
                    &flipped,
                    version,
                    &format!("{label} byte {place} flipped"),
                );
            }
            for count in &built.counts {
                for value in [0, 1, 2, 3, 9, 128, 1_000_001, u32::MAX] {
                    let label = format!("{label} {count:?} is {value}");
                    check(by_view, &built.lie(count, value), version, &label);
                }
            }
        }
    }
}

#[test]
fn the_produce_view_agrees_with_the_decoder() {
    agree::<ProduceRequest>("Produce", produce_by_view);
}

#[test]
fn the_fetch_view_agrees_with_the_decoder() {
    agree::<FetchRequest>("Fetch", fetch_by_view);
}

#[test]
fn views_refuse_versions_outside_the_window() {
    for version in [-1, 2, 14] {
        let error = ProduceView::parse(&[0; 64], 0, version).expect_err("refused");
        assert!(
            matches!(error.fault, DecodeFault::Version { .. }),
            "{error}"
        );
    }
    for version in [-1, 3, 19] {
        let error = FetchView::parse(&[0; 64], 0, version).expect_err("refused");
        assert!(
            matches!(error.fault, DecodeFault::Version { .. }),
            "{error}"
        );
    }
}

#[test]
fn batches_are_cut_out_of_the_frame_without_copying() {
    let apis = schema::apis();
    let message = schema::message(&apis, "Produce", "request");
    for seed in 0..50 {
        let body = Builder::new(message, 9, seed).build().bytes;
        let frame = BytesMut::from(&[HEAD, &body].concat()[..]);
        let view = ProduceView::parse(&frame, HEAD.len(), 9).expect("well formed");
        let places: Vec<_> = view
            .topics()
            .flat_map(|topic| topic.partitions())
            .filter_map(|partition| partition.records)
            .collect();
        let expected: Vec<_> = places
            .iter()
            .map(|place| (frame[place.clone()].as_ptr(), place.len()))
            .collect();
        let pieces = split_frame(frame, &places);
        let found: Vec<_> = pieces
            .iter()
            .map(|piece| (piece.as_ptr(), piece.len()))
            .collect();
        assert_eq!(found, expected, "seed {seed}");
    }
}

#[test]
#[should_panic(expected = "places of a frame ascend")]
fn places_that_overlap_are_a_bug_of_the_caller() {
    split_frame(BytesMut::from(&[0; 9][..]), &[2..5, 4..6]);
}
