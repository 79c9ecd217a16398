//! The table against the schemas, and what no input may do: panic, or get a wrong answer.

use std::sync::Arc;

use broker::BrokerConfig;
use bytes::{Bytes, BytesMut};
use clock::{Rng, SeededRng};
use kafka_wire::frames::PREFIX_BYTES;
use kafka_wire::messages::APIS;
use kafka_wire::{Message, Reader, Request, ResponseHeader, Writer};
use records::Offset;
use storage::memory::MemoryStore;

use super::*;
use crate::harness::{CORRELATION_ID, Harness, batch, frame};

/// Runs a generic function for every request of the table.
macro_rules! for_each_api {
    ($run:ident($($argument:expr),*)) => {
        $run::<ProduceRequest>($($argument),*).await;
        $run::<FetchRequest>($($argument),*).await;
        $run::<ListOffsetsRequest>($($argument),*).await;
        $run::<MetadataRequest>($($argument),*).await;
        $run::<OffsetCommitRequest>($($argument),*).await;
        $run::<OffsetFetchRequest>($($argument),*).await;
        $run::<FindCoordinatorRequest>($($argument),*).await;
        $run::<JoinGroupRequest>($($argument),*).await;
        $run::<HeartbeatRequest>($($argument),*).await;
        $run::<LeaveGroupRequest>($($argument),*).await;
        $run::<SyncGroupRequest>($($argument),*).await;
        $run::<DescribeGroupsRequest>($($argument),*).await;
        $run::<ListGroupsRequest>($($argument),*).await;
        $run::<ApiVersionsRequest>($($argument),*).await;
        $run::<CreateTopicsRequest>($($argument),*).await;
        $run::<DeleteTopicsRequest>($($argument),*).await;
        $run::<DeleteRecordsRequest>($($argument),*).await;
        $run::<InitProducerIdRequest>($($argument),*).await;
        $run::<OffsetForLeaderEpochRequest>($($argument),*).await;
        $run::<DescribeAclsRequest>($($argument),*).await;
        $run::<CreateAclsRequest>($($argument),*).await;
        $run::<DeleteAclsRequest>($($argument),*).await;
        $run::<DescribeConfigsRequest>($($argument),*).await;
        $run::<AlterConfigsRequest>($($argument),*).await;
        $run::<DescribeLogDirsRequest>($($argument),*).await;
        $run::<CreatePartitionsRequest>($($argument),*).await;
        $run::<DeleteGroupsRequest>($($argument),*).await;
        $run::<ElectLeadersRequest>($($argument),*).await;
        $run::<IncrementalAlterConfigsRequest>($($argument),*).await;
        $run::<AlterPartitionReassignmentsRequest>($($argument),*).await;
        $run::<ListPartitionReassignmentsRequest>($($argument),*).await;
        $run::<OffsetDeleteRequest>($($argument),*).await;
        $run::<DescribeQuorumRequest>($($argument),*).await;
        $run::<UpdateFeaturesRequest>($($argument),*).await;
        $run::<DescribeClusterRequest>($($argument),*).await;
        $run::<DescribeProducersRequest>($($argument),*).await;
        $run::<ListConfigResourcesRequest>($($argument),*).await;
        $run::<DescribeTopicPartitionsRequest>($($argument),*).await;
    };
}

#[test]
fn the_table_has_the_windows_of_the_schemas() {
    for entry in TABLE {
        let api = APIS.iter().find(|api| api.key == entry.key);
        let api = api.unwrap_or_else(|| panic!("{} has a schema", entry.name));
        assert_eq!((entry.min, entry.max), (api.version_min, api.version_max));
        // Quirk 1: Produce is announced from 0 and refused below 3.
        let announced = if entry.key == 0 { 0 } else { api.version_min };
        assert_eq!(entry.advertised_min, announced, "{}", entry.name);
        assert_eq!(entry.overlaps, entry.key == 0, "{}", entry.name);
    }
    let windows: Vec<_> = TABLE
        .iter()
        .map(|entry| (entry.key, entry.advertised_min, entry.max))
        .collect();
    let expected = [
        (0, 0, 13),
        (1, 4, 18),
        (2, 1, 11),
        (3, 0, 13),
        (8, 2, 10),
        (9, 1, 10),
        (10, 0, 6),
        (11, 0, 9),
        (12, 0, 4),
        (13, 0, 5),
        (14, 0, 5),
        (15, 0, 6),
        (16, 0, 5),
        (18, 0, 5),
        (19, 2, 7),
        (20, 1, 6),
        (21, 0, 2),
        (22, 0, 5),
        (23, 2, 4),
        (29, 1, 3),
        (30, 1, 3),
        (31, 1, 3),
        (32, 1, 4),
        (33, 0, 2),
        (35, 1, 5),
        (37, 0, 3),
        (42, 0, 3),
        (43, 0, 2),
        (44, 0, 1),
        (45, 0, 1),
        (46, 0, 0),
        (47, 0, 0),
        (55, 0, 2),
        (57, 0, 2),
        (60, 0, 2),
        (61, 0, 0),
        (68, 0, 1),
        (69, 0, 1),
        (74, 0, 1),
        (75, 0, 0),
    ];
    assert_eq!(windows, expected);
}

async fn refuses_other_versions<R: Request>(harness: &Harness) {
    if R::KEY == ApiVersionsRequest::KEY {
        return;
    }
    for version in [
        R::MIN_VERSION - 1,
        R::MAX_VERSION + 1,
        99,
        i16::MAX,
        i16::MIN,
    ] {
        let mut bytes = frame(R::MAX_VERSION, 1, &R::default());
        bytes[2..4].copy_from_slice(&version.to_be_bytes());
        let refused = harness.answer(bytes).await.expect_err("no answer");
        let is_named = matches!(&refused, Close::UnsupportedVersion { version: named, min, max, .. }
            if (*named, *min, *max) == (version, R::MIN_VERSION, R::MAX_VERSION));
        // The header of a flexible version may not be readable as one of an older kind.
        let is_header = matches!(&refused, Close::Header(_));
        assert!(is_named || is_header, "{} v{version}: {refused}", R::NAME);
    }
}

#[tokio::test]
async fn other_versions_and_apis_close() {
    let harness = Harness::new().await;
    for_each_api!(refuses_other_versions(&harness));
    for key in [9999_i16, -1, 4, i16::MAX] {
        let mut bytes = frame(
            0,
            1,
            &MetadataRequest {
                topics: Some(Vec::new()),
                allow_auto_topic_creation: true,
                ..Default::default()
            },
        );
        bytes[..2].copy_from_slice(&key.to_be_bytes());
        let refused = harness.answer(bytes).await.expect_err("no answer");
        assert!(
            matches!(refused, Close::Header(HeaderError::UnknownApi { .. })),
            "{refused}"
        );
    }
}

async fn answers_the_default<R: Request>(harness: &Harness) {
    for version in R::MIN_VERSION..=R::MAX_VERSION {
        let answer = harness.try_ask(version, &R::default()).await;
        let response = answer.unwrap_or_else(|close| panic!("{} v{version}: {close}", R::NAME));
        // Only a produce under acks=0 gets none.
        assert_eq!(
            response.is_none(),
            R::KEY == ProduceRequest::KEY,
            "{}",
            R::NAME
        );
    }
}

#[tokio::test]
async fn every_version_of_every_api_is_answered() {
    let harness = Harness::new().await;
    for_each_api!(answers_the_default(&harness));
}

async fn refuses_cut_frames<R: Request>(harness: &Harness) {
    for version in R::MIN_VERSION..=R::MAX_VERSION {
        let whole = frame(version, CORRELATION_ID, &R::default());
        for cut in 0..whole.len() {
            let refused = harness.answer(BytesMut::from(&whole[..cut])).await;
            let refused = refused.expect_err("no answer to a part of a request");
            let told = matches!(refused, Close::Header(_) | Close::Malformed { .. });
            assert!(told, "{} v{version} cut at {cut}: {refused}", R::NAME);
        }
    }
}

#[tokio::test]
async fn parts_of_requests_are_never_answered() {
    let harness = Harness::new().await;
    for_each_api!(refuses_cut_frames(&harness));
}

async fn answers_longer_frames<R: Request>(harness: &Harness) {
    for version in R::MIN_VERSION..=R::MAX_VERSION {
        let sent = frame(version, CORRELATION_ID, &R::default());
        let mut longer = sent.clone();
        longer.extend_from_slice(&[0xff; 5]);
        let answer = harness.answer(longer).await;
        let answer = answer.unwrap_or_else(|close| panic!("{} v{version}: {close}", R::NAME));
        if let Some(answer) = answer {
            check_answer::<R>(&sent, &answer);
        }
    }
}

#[tokio::test]
async fn bytes_behind_a_request_are_ignored() {
    let harness = Harness::new().await;
    for_each_api!(answers_longer_frames(&harness));
}

/// librdkafka 2.15 writes the count of the topics as four bytes and takes three of them back only
/// if it names a topic.
#[tokio::test]
async fn the_question_of_librdkafka_for_all_topics_is_answered() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    let header = RequestHeader {
        api_key: MetadataRequest::KEY,
        api_version: 13,
        correlation_id: CORRELATION_ID,
        client_id: Some("rdkafka"),
    };
    let mut writer = Writer::new();
    header.encode(&mut writer).expect("a short name");
    writer.raw(&[0, 0, 0, 0, 0, 0, 0]);
    let answer = harness.answer(writer.into_inner()).await.expect("answered");
    let bytes = answer.expect("an answer");
    let (_, response) = crate::harness::decode::<MetadataRequest>(&bytes, 13);
    let names: Vec<_> = response.topics.iter().map(|t| t.name.as_deref()).collect();
    assert_eq!(names, [Some("t")]);
}

/// The response to a frame must be one to exactly that frame.
fn check_answer<R: Request>(sent: &[u8], bytes: &Bytes) {
    let version = i16::from_be_bytes([sent[2], sent[3]]);
    let version = if R::supports(version) { version } else { 0 };
    let body = bytes.slice(PREFIX_BYTES..);
    let (header, at) = ResponseHeader::parse(&body, R::KEY, version).expect("a header");
    assert_eq!(
        header.correlation_id.to_be_bytes(),
        sent[4..8],
        "{}",
        R::NAME
    );
    let mut reader = Reader::at(body, at).with_budget(usize::MAX);
    <R::Response as Message>::decode(&mut reader, version).expect("a body");
    reader.finish().expect("nothing behind it");
}

fn damage(frame: &mut BytesMut, rng: &SeededRng) {
    // Behind key, version and correlation id.
    let at = |frame: &BytesMut| {
        let length = frame.len().saturating_sub(8).max(1) as u64;
        usize::try_from(rng.next_below(length)).expect("fits") + 8
    };
    match rng.next_below(4) {
        0 => {
            let place = at(frame);
            if let Some(byte) = frame.get_mut(place) {
                *byte = rng.next_u64().to_be_bytes()[0];
            }
        }
        1 => {
            let place = at(frame);
            let lie = [
                0x7f_ff_ff_ff_u32,
                0xff_ff_ff_ff,
                0x00_0f_ff_ff,
                0xff_ff_ff_0f,
            ];
            let lie = lie[usize::try_from(rng.next_below(4)).expect("fits")];
            if let Some(four) = frame.get_mut(place..place + 4) {
                four.copy_from_slice(&lie.to_be_bytes());
            }
        }
        2 => {
            let place = at(frame).min(frame.len());
            frame.truncate(place);
        }
        _ => frame.extend_from_slice(&rng.next_u64().to_be_bytes()),
    }
}

async fn survives_noise<R: Request>(harness: &Harness, rng: &SeededRng, seeds: &[Bytes]) {
    for round in 0..400 {
        let seed = usize::try_from(rng.next_u64() % (seeds.len() as u64 + 1)).expect("fits");
        let span = u64::try_from(R::MAX_VERSION - R::MIN_VERSION + 1).expect("a window");
        let offset = i16::try_from(rng.next_below(span)).expect("fits");
        let version = R::MIN_VERSION + offset;
        let mut sent = match seeds.get(seed) {
            // A body of another API or of noise under this one's header.
            Some(body) if round % 2 == 0 => {
                let mut writer = Writer::new();
                let header = RequestHeader {
                    api_key: R::KEY,
                    api_version: version,
                    correlation_id: CORRELATION_ID,
                    client_id: None,
                };
                header.encode(&mut writer).expect("no client id");
                writer.raw(body);
                writer.into_inner()
            }
            _ => frame(version, CORRELATION_ID, &R::default()),
        };
        for _ in 0..rng.next_below(4) {
            damage(&mut sent, rng);
        }
        let copy = sent.clone();
        if let Ok(Some(answer)) = harness.answer(sent).await {
            check_answer::<R>(&copy, &answer);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn noise_never_panics_and_never_gets_a_wrong_answer() {
    let seed = 20_260_708;
    println!("seed {seed}");
    let rng = SeededRng::new(seed);
    let config = BrokerConfig {
        partitions_max: 100,
        ..BrokerConfig::default()
    };
    let harness = Harness::on(MemoryStore::new(), config).await;
    let topic = harness.topic("t", 2).await;
    harness.append(&topic, 0, &["kept"]);
    let mut seeds: Vec<Bytes> = (0..20)
        .map(|_| {
            let mut noise = vec![0; 64];
            rng.fill(&mut noise);
            noise.into()
        })
        .collect();
    seeds.push(Bytes::from_static(&[0; 64]));
    seeds.push(Bytes::from_static(&[1; 64]));
    seeds.push(batch(&["a"]).freeze());
    for_each_api!(survives_noise(&harness, &rng, &seeds));
    let log = harness.broker().topic("t").map(|topic| topic.log(0));
    let ends = log.map(|log| log.expect("opens").ends());
    // Noise may delete the topic by its name only if it guesses the request byte by byte.
    assert_eq!(ends.map(|ends| ends.high_watermark), Some(Offset::new(1)));
}

#[tokio::test]
async fn requests_with_more_partitions_than_there_may_be_are_refused() {
    use kafka_wire::messages::fetch::{FetchPartition, FetchTopic};
    use kafka_wire::messages::produce::{PartitionProduceData, TopicProduceData};
    let config = BrokerConfig {
        partitions_max: 10,
        ..BrokerConfig::default()
    };
    let harness = Harness::on(MemoryStore::new(), config).await;
    for count in [10, 11] {
        let fetch = FetchRequest {
            topics: vec![FetchTopic {
                topic: "t".into(),
                partitions: vec![FetchPartition::default(); count],
                ..Default::default()
            }],
            ..Default::default()
        };
        let produce = ProduceRequest {
            acks: 1,
            topic_data: vec![TopicProduceData {
                name: "t".into(),
                partition_data: vec![PartitionProduceData::default(); count],
                ..Default::default()
            }],
            ..Default::default()
        };
        let outcomes = [
            harness.try_ask(4, &fetch).await.map(drop),
            harness.try_ask(3, &produce).await.map(drop),
        ];
        for outcome in outcomes {
            let refused = matches!(
                outcome,
                Err(Close::TooManyPartitions {
                    count: 11,
                    limit: 10,
                    ..
                })
            );
            assert_eq!(refused, count == 11, "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn the_name_of_the_client_is_kept_once() {
    let harness = Harness::new().await;
    let mut context = harness.context();
    let mut seen: Vec<Arc<str>> = Vec::new();
    for _ in 0..2 {
        let bytes = frame(0, 1, &ApiVersionsRequest::default());
        let begun = dispatch(&mut context, bytes, BytesPermit::free()).ok();
        let answer = begun.expect("known").answer;
        answer.await.expect("is answered");
        seen.extend(context.client_id.clone());
    }
    assert_eq!(seen.len(), 2);
    assert!(
        Arc::ptr_eq(&seen[0], &seen[1]),
        "the same name is not copied again"
    );
}
