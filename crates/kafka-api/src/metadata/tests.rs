//! All forms of the question in all versions, as recorded from Kafka.

use broker::BrokerConfig;
use storage::memory::MemoryStore;

use super::*;
use crate::harness::{Harness, id_of};

const VERSIONS: std::ops::RangeInclusive<i16> = 0..=13;
const ABSENT: Uuid = Uuid([7; 16]);

fn named(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic {
        name: Some(name.into()),
        ..Default::default()
    }
}

fn id_only(topic_id: Uuid) -> MetadataRequestTopic {
    MetadataRequestTopic {
        name: None,
        topic_id,
    }
}

fn about(version: i16, topics: Vec<MetadataRequestTopic>) -> MetadataRequest {
    MetadataRequest {
        topics: Some(topics),
        // Before version 4 there is no way to say no.
        allow_auto_topic_creation: version < ASKS_CREATION_FROM,
        ..Default::default()
    }
}

fn codes(response: &MetadataResponse) -> Vec<ErrorCode> {
    let codes = response.topics.iter().map(|topic| topic.error_code);
    codes
        .map(|code| ErrorCode::from_code(code).expect("a code of Kafka"))
        .collect()
}

#[tokio::test]
async fn the_node_the_cluster_and_one_topic() {
    let config = BrokerConfig {
        node_id: 5,
        rack: Some("r1".to_owned()),
        ..BrokerConfig::default()
    };
    let harness = Harness::on(MemoryStore::new(), config).await;
    let topic = harness.topic("t", 2).await;
    for version in VERSIONS {
        let response = harness
            .ask(version, &about(version, vec![named("t")]))
            .await;
        let node = MetadataResponseBroker {
            node_id: 5,
            host: "localhost".into(),
            port: 9092,
            rack: (version >= 1).then(|| "r1".into()),
        };
        assert_eq!(response.brokers, [node], "v{version}");
        let cluster_id = response.cluster_id.map(|id| id.to_string());
        let ours = harness.broker().cluster_id().to_owned();
        assert_eq!(cluster_id, (version >= 2).then_some(ours));
        assert_eq!(response.controller_id, if version >= 1 { 5 } else { -1 });
        let [told] = &response.topics[..] else {
            panic!("v{version}: {:?}", response.topics)
        };
        assert_eq!((told.error_code, told.name.as_deref()), (0, Some("t")));
        let id = if version >= 10 {
            id_of(&topic)
        } else {
            Uuid::ZERO
        };
        assert_eq!((told.topic_id, told.is_internal), (id, false));
        assert_eq!(told.topic_authorized_operations, OPERATIONS_NOT_ASKED);
        let partitions = [0, 1].map(|partition_index| MetadataResponsePartition {
            error_code: 0,
            partition_index,
            leader_id: 5,
            leader_epoch: if version >= 7 { 0 } else { -1 },
            replica_nodes: vec![5],
            isr_nodes: vec![5],
            offline_replicas: Vec::new(),
        });
        assert_eq!(told.partitions, partitions, "v{version}");
    }
}

#[tokio::test]
async fn all_none_and_twice() {
    let harness = Harness::new().await;
    harness.topic("a", 1).await;
    harness.topic("b", 1).await;
    for version in VERSIONS {
        let names = async |topics| {
            let request = MetadataRequest {
                topics,
                allow_auto_topic_creation: true,
                ..Default::default()
            };
            let response = harness.ask(version, &request).await;
            let names = response
                .topics
                .iter()
                .filter_map(|topic| topic.name.clone());
            names.map(|name| name.to_string()).collect::<Vec<_>>()
        };
        if version >= EMPTY_IS_NONE_FROM {
            assert_eq!(names(None).await, ["a", "b"]);
            assert!(names(Some(Vec::new())).await.is_empty(), "v{version}");
        } else {
            assert_eq!(names(Some(Vec::new())).await, ["a", "b"]);
        }
        assert_eq!(names(Some(vec![named("b"), named("b")])).await, ["b"]);
    }
}

#[tokio::test]
async fn a_name_that_is_unknown_is_created_only_if_wanted() {
    let harness = Harness::new().await;
    for version in VERSIONS {
        let name = format!("new.{version}");
        let asks = |allow_auto_topic_creation| MetadataRequest {
            allow_auto_topic_creation,
            ..about(version, vec![named(&name)])
        };
        if version >= ASKS_CREATION_FROM {
            let refused = harness.ask(version, &asks(false)).await;
            assert_eq!(codes(&refused), [ErrorCode::UnknownTopicOrPartition]);
            assert!(harness.broker().topic(&name).is_none(), "v{version}");
        }
        // As in Kafka it is there when the client asks again.
        let first = harness.ask(version, &asks(true)).await;
        assert_eq!(
            codes(&first),
            [ErrorCode::UnknownTopicOrPartition],
            "v{version}"
        );
        assert!(first.topics[0].partitions.is_empty());
        let second = harness.ask(version, &asks(true)).await;
        assert_eq!(codes(&second), [ErrorCode::None], "v{version}");
        assert_eq!(second.topics[0].partitions.len(), 1);
    }
}

#[tokio::test]
async fn nothing_is_created_where_the_broker_forbids_it() {
    let mut config = BrokerConfig::default();
    config
        .set("auto.create.topics.enable", "false")
        .expect("a good value");
    let harness = Harness::on(MemoryStore::new(), config).await;
    for version in VERSIONS {
        let request = MetadataRequest {
            allow_auto_topic_creation: true,
            ..about(version, vec![named("new")])
        };
        let response = harness.ask(version, &request).await;
        assert_eq!(codes(&response), [ErrorCode::UnknownTopicOrPartition]);
    }
    assert!(harness.broker().topics().is_empty());
}

#[tokio::test]
async fn names_that_cannot_be_and_disks_that_are_full() {
    let harness = Harness::new().await;
    let long = "n".repeat(250);
    for name in ["", ".", "..", "a/b", "a b", "größe", "a\0", &long] {
        for version in VERSIONS {
            for allow_auto_topic_creation in [true, version < ASKS_CREATION_FROM] {
                let request = MetadataRequest {
                    allow_auto_topic_creation,
                    ..about(version, vec![named(name)])
                };
                let response = harness.ask(version, &request).await;
                assert_eq!(
                    codes(&response),
                    [ErrorCode::InvalidTopicException],
                    "{name:?}"
                );
            }
        }
    }
    harness.topic("a.b", 1).await;
    let colliding = about(0, vec![named("a_b")]);
    let response = harness.ask(0, &colliding).await;
    assert_eq!(codes(&response), [ErrorCode::InvalidTopicException]);
    let full = storage::StorageFailure::new("disk full");
    harness.memory.set_no_space(Some(full));
    let response = harness.ask(0, &about(0, vec![named("new")])).await;
    assert_eq!(codes(&response), [ErrorCode::KafkaStorageError]);
    assert_eq!(harness.broker().topics().len(), 1);
}

#[tokio::test]
async fn by_id() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 1).await;
    for version in IDS_FROM..=13 {
        let topics = vec![id_only(id_of(&topic)), id_only(ABSENT)];
        let response = harness.ask(version, &about(version, topics)).await;
        assert_eq!(
            codes(&response),
            [ErrorCode::None, ErrorCode::UnknownTopicId]
        );
        let [known, unknown] = &response.topics[..] else {
            panic!("two rows")
        };
        assert_eq!(
            (known.name.as_deref(), known.topic_id),
            (Some("t"), id_of(&topic))
        );
        assert_eq!((unknown.name.as_deref(), unknown.topic_id), (None, ABSENT));
        // With a name beside it, the id counts.
        let both = MetadataRequestTopic {
            name: Some("t".into()),
            topic_id: id_of(&topic),
        };
        let response = harness.ask(version, &about(version, vec![both])).await;
        assert_eq!(codes(&response), [ErrorCode::None]);
    }
    for version in 10..IDS_FROM {
        for asked in [id_only(id_of(&topic)), id_only(Uuid::ZERO)] {
            let topics = vec![named("t"), asked];
            let response = harness.ask(version, &about(version, topics)).await;
            assert_eq!(
                codes(&response),
                [ErrorCode::InvalidRequest; 2],
                "v{version}"
            );
        }
    }
}

#[tokio::test]
async fn operations_are_told_when_asked_for() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    for version in VERSIONS {
        let topic = (8..=13).contains(&version);
        let cluster = (8..=10).contains(&version);
        let request = MetadataRequest {
            include_topic_authorized_operations: topic,
            include_cluster_authorized_operations: cluster,
            ..about(version, vec![named("t")])
        };
        let response = harness.ask(version, &request).await;
        let told = response.topics[0].topic_authorized_operations;
        assert_eq!(told, if topic { 3576 } else { i32::MIN }, "v{version}");
        let told = response.cluster_authorized_operations;
        assert_eq!(told, if cluster { 8096 } else { i32::MIN }, "v{version}");
    }
}
