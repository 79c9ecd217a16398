//! Every message in every version: what the schema says is what is read and written.

use crate::codecs;
use crate::schema::{self, Builder};
use bytes::Bytes;
use kafka_wire::messages::delete_topics::DeleteTopicState;
use kafka_wire::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_wire::messages::{
    ApiVersionsRequest, DeleteTopicsRequest, DescribeTopicPartitionsRequest, FetchRequest,
    MetadataRequest, ProduceRequest,
};
use kafka_wire::{
    DecodeFault, EncodeFault, Message, Reader, Writer, request_header_version,
    response_header_version,
};

const SEEDS: u64 = 60;

/// Calls `check` with every codec, version and seed, and the built message.
fn for_every_message(check: impl Fn(&codecs::Codec, i16, u64, &schema::Built)) {
    let apis = schema::apis();
    for codec in codecs::all() {
        let message = schema::message(&apis, codec.api, codec.side);
        for version in codec.versions.clone() {
            for seed in 0..SEEDS {
                check(
                    &codec,
                    version,
                    seed,
                    &Builder::new(message, version, seed).build(),
                );
            }
        }
    }
}

#[test]
fn decoding_and_encoding_gives_the_same_bytes() {
    for_every_message(|codec, version, seed, built| {
        let label = format!("{} {} version {version} seed {seed}", codec.api, codec.side);
        let bytes = Bytes::from(built.bytes.clone());
        let position = (codec.decode)(bytes.clone(), version).expect(&label);
        assert_eq!(position, bytes.len(), "{label}");
        assert_eq!(
            (codec.recode)(bytes.clone(), version).expect(&label),
            bytes,
            "{label}"
        );
    });
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    let apis = schema::apis();
    let mut flexible = 0;
    for codec in codecs::all() {
        let message = schema::message(&apis, codec.api, codec.side);
        for version in codec
            .versions
            .clone()
            .filter(|v| message.flexible.contains(*v))
        {
            for seed in 0..SEEDS {
                let label = format!("{} {} version {version} seed {seed}", codec.api, codec.side);
                let plain = Builder::new(message, version, seed).build();
                let mut builder = Builder::new(message, version, seed);
                builder.unknown_tags = true;
                let tagged = Bytes::from(builder.build().bytes);
                assert!(tagged.len() > plain.bytes.len(), "{label}");
                assert_eq!(
                    (codec.recode)(tagged, version).expect(&label),
                    plain.bytes,
                    "{label}"
                );
                flexible += 1;
            }
        }
    }
    assert!(flexible > 0);
}

#[test]
fn every_truncation_is_an_error() {
    for_every_message(|codec, version, seed, built| {
        if seed >= 5 {
            return;
        }
        let bytes = Bytes::from(built.bytes.clone());
        for length in 0..bytes.len() {
            let outcome = (codec.decode)(bytes.slice(..length), version);
            let label = format!("{} {} {version} seed {seed}", codec.api, codec.side);
            outcome.expect_err(&format!("{label}: {length} of {} bytes", bytes.len()));
        }
    });
}

#[test]
fn versions_outside_the_window_are_refused() {
    for codec in codecs::all() {
        for version in [
            codec.versions.start() - 1,
            codec.versions.end() + 1,
            i16::MAX,
            i16::MIN,
        ] {
            let error = (codec.decode)(Bytes::from_static(&[0; 64]), version).expect_err("refused");
            assert!(
                matches!(error.fault, DecodeFault::Version { .. }),
                "{} {error}",
                codec.api
            );
        }
    }
    let error = ProduceRequest::default()
        .encode(&mut Writer::new(), 2)
        .expect_err("refused");
    assert_eq!(
        error.fault,
        EncodeFault::Version {
            version: 2,
            min: 3,
            max: 13
        }
    );
}

#[test]
fn windows_are_those_of_kafka_4_4() {
    let windows: Vec<_> = kafka_wire::messages::APIS
        .iter()
        .map(|api| {
            (
                api.key,
                api.version_min,
                api.version_max,
                api.request_flexible_from,
            )
        })
        .collect();
    let expected = [
        (0, 3, 13, 9),
        (1, 4, 18, 12),
        (2, 1, 11, 6),
        (3, 0, 13, 9),
        (8, 2, 10, 8),
        (9, 1, 10, 6),
        (10, 0, 6, 3),
        (11, 0, 9, 6),
        (12, 0, 4, 4),
        (13, 0, 5, 4),
        (14, 0, 5, 4),
        (15, 0, 6, 5),
        (16, 0, 5, 3),
        (18, 0, 5, 3),
        (19, 2, 7, 5),
        (20, 1, 6, 4),
        (21, 0, 2, 2),
        (22, 0, 5, 2),
        (23, 2, 4, 4),
        (29, 1, 3, 2),
        (30, 1, 3, 2),
        (31, 1, 3, 2),
        (32, 1, 4, 4),
        (33, 0, 2, 2),
        (35, 1, 5, 2),
        (37, 0, 3, 2),
        (42, 0, 3, 2),
        (43, 0, 2, 2),
        (44, 0, 1, 1),
        (45, 0, 1, 0),
        (46, 0, 0, 0),
        (47, 0, 0, i16::MAX),
        (55, 0, 2, 0),
        (57, 0, 2, 0),
        (60, 0, 2, 0),
        (61, 0, 0, 0),
        (68, 0, 1, 0),
        (69, 0, 1, 0),
        (74, 0, 1, 0),
        (75, 0, 0, 0),
    ];
    assert_eq!(windows, expected);
}

#[test]
fn header_versions_follow_flexibility() {
    for (key, version, request, response) in [
        (0, 8, 1, 0),
        (0, 9, 2, 1),
        (18, 0, 1, 0),
        (18, 2, 1, 0),
        (18, 3, 2, 0),
        (18, 99, 2, 0),
        (60, 0, 2, 1),
    ] {
        assert_eq!(
            request_header_version(key, version),
            Some(request),
            "{key} {version}"
        );
        assert_eq!(
            response_header_version(key, version),
            Some(response),
            "{key} {version}"
        );
    }
    assert_eq!(request_header_version(9_999, 0), None);
    assert_eq!(response_header_version(9_999, 0), None);
}

#[test]
fn a_set_field_that_the_version_lacks_is_refused_unless_ignorable() {
    let forget = FetchRequest {
        forgotten_topics_data: vec![ForgottenTopic::default()],
        ..FetchRequest::default()
    };
    let error = forget
        .encode(&mut Writer::new(), 6)
        .expect_err("sessions begin with version 7");
    assert_eq!(error.field, "forgotten_topics_data");
    assert_eq!(error.fault, EncodeFault::NotInVersion { version: 6 });
    forget
        .encode(&mut Writer::new(), 7)
        .expect("version 7 has sessions");

    let rack = FetchRequest {
        rack_id: "r1".into(),
        ..FetchRequest::default()
    };
    rack.encode(&mut Writer::new(), 4)
        .expect("the rack is ignorable");

    let by_id = DeleteTopicsRequest {
        topics: vec![DeleteTopicState::default()],
        ..DeleteTopicsRequest::default()
    };
    by_id
        .encode(&mut Writer::new(), 5)
        .expect_err("topics by id begin with version 6");
}

#[test]
fn null_is_refused_where_the_version_does_not_allow_it() {
    let all = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let error = all
        .encode(&mut Writer::new(), 0)
        .expect_err("version 0 has no null");
    assert_eq!(
        (error.field, error.fault),
        ("topics", EncodeFault::Null { version: 0 })
    );
    all.encode(&mut Writer::new(), 1)
        .expect("version 1 has null");

    let null = Bytes::from_static(&[0xff; 4]);
    let error = MetadataRequest::decode(&mut Reader::new(null.clone()), 0).expect_err("not null");
    assert_eq!((error.field, error.fault), ("topics", DecodeFault::Null));
    let decoded = MetadataRequest::decode(&mut Reader::new(null), 1).expect("null is allowed");
    assert_eq!(decoded.topics, None);
}

#[test]
fn defaults_are_those_of_the_schema() {
    let fetch = FetchRequest::default();
    assert_eq!(
        (fetch.replica_id, fetch.max_bytes, fetch.session_epoch),
        (-1, i32::MAX, -1)
    );
    assert_eq!(fetch.replica_state.replica_epoch, -1);
    assert_eq!(fetch.cluster_id, None);
    assert!(MetadataRequest::default().allow_auto_topic_creation);
    assert_eq!(MetadataRequest::default().topics, Some(Vec::new()));
    assert_eq!(
        DescribeTopicPartitionsRequest::default().response_partition_limit,
        2000
    );
    assert_eq!(ApiVersionsRequest::default().client_software_name, "");
}

#[test]
fn an_error_names_the_innermost_field_and_the_byte() {
    let mut request = FetchRequest::default();
    let mut topic = FetchTopic::default();
    topic.partitions.push(FetchPartition::default());
    request.topics.push(topic);
    let bytes = codecs::encode(&request, 4);
    let cut = bytes.slice(..bytes.len() - 1);
    let error = FetchRequest::decode(&mut Reader::new(cut), 4).expect_err("cut short");
    assert_eq!(error.field, "partitions");
    assert_eq!(
        error.to_string(),
        "partitions at byte 27: 1 elements of at least 16 bytes, 15 bytes remain"
    );
}
