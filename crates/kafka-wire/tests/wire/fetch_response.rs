//! The segment-list writer of Fetch responses writes the bytes of the generated encoder.

use crate::codecs::encode;
use crate::schema::{self, Builder, Chance};
use bytes::{Bytes, BytesMut};
use kafka_wire::messages::FetchResponse;
use kafka_wire::messages::fetch::{FetchableTopicResponse, NodeEndpoint, PartitionData};
use kafka_wire::{
    EncodeError, EncodeFault, FetchResponseWriter, Message, Reader, Response, ResponseHeader,
    ResponseWriter, Segment, Uuid, Writer,
};

const HEADER: ResponseHeader = ResponseHeader {
    correlation_id: 0x0102_0304,
};

/// Writes a response with the records of each partition cut into chunks.
fn by_segments(
    response: &FetchResponse,
    version: i16,
    chance: &mut Chance,
) -> Result<Response<Bytes>, EncodeError> {
    let topics = &response.responses;
    let mut writer = FetchResponseWriter::new(HEADER, version, response, topics.len())?;
    for topic in topics {
        writer.topic(&topic.topic, topic.topic_id, topic.partitions.len())?;
        for partition in &topic.partitions {
            let chunks = partition.records.clone().map(|mut records| {
                let mut chunks = Vec::new();
                while !records.is_empty() {
                    let chunk = records.split_to(1 + chance.below(records.len()));
                    let length = chunk.len();
                    chunks.push((chunk, length));
                }
                chunks
            });
            writer.partition(partition, chunks)?;
        }
    }
    writer.finish(&response.node_endpoints)
}

fn flatten(response: &Response<Bytes>) -> Bytes {
    let mut bytes = BytesMut::new();
    for segment in &response.segments {
        let piece = match segment {
            Segment::Bytes(piece) => piece,
            Segment::External { chunk, length } => {
                assert_eq!(chunk.len(), *length);
                chunk
            }
        };
        assert!(!piece.is_empty(), "no segment is empty");
        bytes.extend_from_slice(piece);
    }
    assert_eq!(bytes.len(), response.length);
    bytes.freeze()
}

/// The whole frame by the generated encoder.
fn by_encoder(response: &FetchResponse, version: i16) -> Bytes {
    let mut writer = Writer::new();
    HEADER.encode(&mut writer, FetchResponse::KEY, version);
    writer.raw(&encode(response, version));
    let body = writer.into_inner();
    let length = i32::try_from(body.len()).expect("short").to_be_bytes();
    Bytes::from([&length[..], &body].concat())
}

#[test]
fn segments_equal_the_generated_encoder_in_every_version() {
    let apis = schema::apis();
    let message = schema::message(&apis, "Fetch", "response");
    let mut chance = Chance::new(0xfe7c);
    let mut externals = 0;
    for version in FetchResponse::MIN_VERSION..=FetchResponse::MAX_VERSION {
        for seed in 0..150 {
            let built = Bytes::from(Builder::new(message, version, seed).build().bytes);
            let response =
                FetchResponse::decode(&mut Reader::new(built), version).expect("well formed");
            let written = by_segments(&response, version, &mut chance).expect("it encodes");
            let label = format!("version {version} seed {seed}");
            assert_eq!(flatten(&written), by_encoder(&response, version), "{label}");
            let is_external = |s: &&Segment<Bytes>| matches!(s, Segment::External { .. });
            externals += written.segments.iter().filter(is_external).count();
        }
    }
    assert!(externals > 1_000, "only {externals} chunks were named");
}

#[test]
fn versions_refuse_what_they_cannot_carry_as_the_encoder_does() {
    let mut current_leader = PartitionData::default();
    current_leader.current_leader.leader_id = 1;
    let replica = PartitionData {
        preferred_read_replica: 2,
        ..PartitionData::default()
    };
    for (label, partition) in [("leader", current_leader), ("replica", replica)] {
        for version in FetchResponse::MIN_VERSION..=FetchResponse::MAX_VERSION {
            let mut response = FetchResponse::default();
            response.responses.push(FetchableTopicResponse::default());
            response.responses[0].partitions.push(partition.clone());
            let by_encoder = response.encode(&mut Writer::new(), version);
            let by_segments = by_segments(&response, version, &mut Chance::new(1));
            assert_eq!(
                by_segments.map(drop),
                by_encoder,
                "{label} version {version}"
            );
        }
    }
    for version in FetchResponse::MIN_VERSION..=FetchResponse::MAX_VERSION {
        let node_endpoints = vec![NodeEndpoint::default()];
        for response in [
            FetchResponse {
                node_endpoints,
                ..FetchResponse::default()
            },
            FetchResponse {
                session_id: 1,
                ..FetchResponse::default()
            },
        ] {
            let by_encoder = response.encode(&mut Writer::new(), version);
            let by_segments = by_segments(&response, version, &mut Chance::new(1));
            assert_eq!(by_segments.map(drop), by_encoder, "version {version}");
        }
    }
}

#[test]
fn a_wrong_number_of_elements_is_an_error() {
    let start = |topics| {
        FetchResponseWriter::<Bytes>::new(HEADER, 12, &FetchResponse::default(), topics)
            .expect("version 12 exists")
    };
    let miscounted = |announced, written| EncodeFault::Miscounted { announced, written };

    let error = start(1).finish(&[]).expect_err("no topic");
    assert_eq!((error.field, error.fault), ("responses", miscounted(1, 0)));
    let error = start(0)
        .topic("t", Uuid::ZERO, 0)
        .expect_err("a topic too many");
    assert_eq!((error.field, error.fault), ("responses", miscounted(0, 1)));

    let mut writer = start(2);
    writer.topic("t", Uuid::ZERO, 1).expect("announced");
    let error = writer
        .topic("u", Uuid::ZERO, 0)
        .expect_err("a partition is missing");
    assert_eq!((error.field, error.fault), ("partitions", miscounted(1, 0)));
    writer
        .partition(&PartitionData::default(), None)
        .expect("announced");
    let error = writer
        .partition(&PartitionData::default(), None)
        .expect_err("one too many");
    assert_eq!((error.field, error.fault), ("partitions", miscounted(1, 2)));
}

#[test]
fn the_length_prefix_counts_chunks_that_are_never_in_memory() {
    let mut writer = ResponseWriter::new(HEADER, 1, 4);
    writer.writer().raw(b"head");
    writer.external("a file", 1 << 30);
    writer.external("nothing", 0);
    let response = writer.finish().expect("below 2 GiB");
    assert_eq!(response.length, 12 + (1 << 30));
    let [
        Segment::Bytes(head),
        Segment::External {
            chunk: "a file",
            length,
        },
    ] = &response.segments[..]
    else {
        panic!("{:?}", response.segments);
    };
    assert_eq!(*length, 1 << 30);
    assert_eq!(head[..4], (8 + (1_i32 << 30)).to_be_bytes());
    assert_eq!(head[4..], *b"\x01\x02\x03\x04head");
}

#[test]
fn a_response_longer_than_a_frame_can_be_is_refused() {
    let mut writer = ResponseWriter::new(HEADER, 1, 4);
    writer.external("a file", 0x7fff_ffff);
    let error = writer
        .finish()
        .expect_err("the header does not fit any more");
    let fault = EncodeFault::TooLong {
        length: 0x8000_0003,
        limit: 0x7fff_ffff,
    };
    assert_eq!(error.fault, fault);
}
