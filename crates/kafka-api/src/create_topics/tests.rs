//! What is made, what is refused, in every version, as recorded from Kafka.

use kafka_wire::WireString;
use kafka_wire::messages::create_topics::{CreatableReplicaAssignment, CreatableTopicConfig};

use super::*;
use crate::harness::Harness;

const VERSIONS: std::ops::RangeInclusive<i16> = 2..=7;

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor,
        ..Default::default()
    }
}

fn request(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest {
        topics,
        ..Default::default()
    }
}

fn configured(name: &str, key: &str, value: Option<&str>) -> CreatableTopic {
    CreatableTopic {
        configs: vec![CreatableTopicConfig {
            name: key.into(),
            value: value.map(Into::into),
        }],
        ..topic(name, 1, 1)
    }
}

fn assigned(name: &str, rows: &[(i32, &[i32])]) -> CreatableTopic {
    let row = |(partition_index, nodes): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: nodes.to_vec(),
    };
    CreatableTopic {
        assignments: rows.iter().map(row).collect(),
        ..topic(name, -1, -1)
    }
}

fn code(row: &CreatableTopicResult) -> ErrorCode {
    ErrorCode::from_code(row.error_code).expect("a code of Kafka")
}

#[tokio::test]
async fn what_was_made_is_told() {
    let harness = Harness::new().await;
    for version in VERSIONS {
        let name = format!("t{version}");
        let new = CreatableTopic {
            num_partitions: 3,
            ..configured(&name, "segment.ms", Some("123456"))
        };
        let response = harness.ask(version, &request(vec![new])).await;
        let [row] = &response.topics[..] else {
            panic!("one row")
        };
        assert_eq!(
            (code(row), row.name.as_str()),
            (ErrorCode::None, name.as_str())
        );
        assert_eq!(row.error_message, None, "v{version}");
        let made = harness.broker().topic(&name).expect("is made");
        assert_eq!(made.partition_count(), 3);
        let told = (row.num_partitions, row.replication_factor);
        assert_eq!(told, if version >= 5 { (3, 1) } else { (-1, -1) });
        let id = if version >= 7 { made.id().0 } else { [0; 16] };
        assert_eq!(row.topic_id, Uuid(id), "v{version}");
        let configs = row.configs.as_deref().expect("never null");
        if version < 5 {
            assert!(configs.is_empty());
            continue;
        }
        assert_eq!(
            configs.len(),
            harness.broker().describe_topic_configs(&made).len()
        );
        let of = |name: &str| configs.iter().find(|config| config.name == name);
        let own = of("segment.ms").expect("is told");
        assert_eq!(own.value.as_deref(), Some("123456"));
        assert_eq!((own.config_source, own.is_sensitive), (1, false));
        assert_eq!(of("segment.bytes").expect("is told").config_source, 5);
    }
}

#[tokio::test]
async fn defaults_and_longest_name() {
    let harness = Harness::new().await;
    let long = "n".repeat(249);
    for new in [
        topic("a", -1, -1),
        topic("b", 1, -1),
        topic("c", -1, 1),
        topic(&long, 1, 1),
    ] {
        let response = harness.ask(5, &request(vec![new])).await;
        let row = &response.topics[0];
        assert_eq!(code(row), ErrorCode::None, "{:?}", row.error_message);
        assert_eq!((row.num_partitions, row.replication_factor), (1, 1));
    }
    let response = harness
        .ask(5, &request(vec![assigned("d", &[(0, &[1]), (1, &[1])])]))
        .await;
    assert_eq!(response.topics[0].num_partitions, 2);
}

fn refusals() -> Vec<(CreatableTopic, ErrorCode)> {
    use ErrorCode::{
        InvalidConfig, InvalidPartitions, InvalidReplicaAssignment, InvalidReplicationFactor,
        InvalidRequest, InvalidTopicException, TopicAlreadyExists,
    };
    let long = "n".repeat(250);
    let mut cases: Vec<_> = ["", ".", "..", "a/b", "a b", "größe", "collide_a.b", &long]
        .iter()
        .map(|name| (topic(name, 1, 1), InvalidTopicException))
        .collect();
    let counted = CreatableTopic {
        num_partitions: 2,
        ..assigned("new", &[(0, &[1])])
    };
    cases.extend([
        (topic("there", 1, 1), TopicAlreadyExists),
        (topic("new", 0, 1), InvalidPartitions),
        (topic("new", -2, 1), InvalidPartitions),
        (topic("new", i32::MAX, 1), InvalidPartitions),
        (topic("new", 1, 2), InvalidReplicationFactor),
        (topic("new", 1, 0), InvalidReplicationFactor),
        (topic("new", 1, -2), InvalidReplicationFactor),
        (configured("new", "no.such.key", Some("1")), InvalidConfig),
        (
            configured("new", "retention.ms", Some("soon")),
            InvalidConfig,
        ),
        (
            configured("new", "segment.bytes", Some("-5")),
            InvalidConfig,
        ),
        (
            configured("new", "cleanup.policy", Some("burn")),
            InvalidConfig,
        ),
        (configured("new", "retention.ms", None), InvalidConfig),
        (assigned("new", &[(0, &[9])]), InvalidReplicaAssignment),
        (assigned("new", &[(0, &[1, 1])]), InvalidReplicaAssignment),
        (assigned("new", &[(0, &[])]), InvalidReplicaAssignment),
        (
            assigned("new", &[(0, &[1]), (2, &[1])]),
            InvalidReplicaAssignment,
        ),
        (counted, InvalidRequest),
    ]);
    cases
}

#[tokio::test]
async fn refusals_leave_nothing_behind() {
    let harness = Harness::new().await;
    harness.topic("there", 1).await;
    harness.topic("collide.a_b", 1).await;
    for (new, expected) in refusals() {
        for version in VERSIONS {
            for validate_only in [false, true] {
                let request = CreateTopicsRequest {
                    validate_only,
                    ..request(vec![new.clone()])
                };
                let response = harness.ask(version, &request).await;
                let row = &response.topics[0];
                assert_eq!(
                    code(row),
                    expected,
                    "{new:?} v{version}: {:?}",
                    row.error_message
                );
                assert_eq!(row.name, new.name);
                let message = row.error_message.as_ref().map(WireString::as_str);
                assert!(message.is_some_and(|text| !text.is_empty()), "{new:?}");
                assert_eq!((row.num_partitions, row.replication_factor), (-1, -1));
                assert_eq!(
                    (row.configs.as_deref(), row.topic_id),
                    (Some(&[][..]), Uuid::ZERO)
                );
            }
        }
    }
    assert_eq!(harness.broker().topics().len(), 2);
}

#[tokio::test]
async fn only_validating_makes_nothing() {
    let harness = Harness::new().await;
    for version in VERSIONS {
        let request = CreateTopicsRequest {
            validate_only: true,
            ..request(vec![topic("new", 2, 1)])
        };
        let response = harness.ask(version, &request).await;
        let row = &response.topics[0];
        assert_eq!(code(row), ErrorCode::None);
        assert_eq!(row.num_partitions, if version >= 5 { 2 } else { -1 });
        // Kafka draws an id here, too.
        assert_eq!(row.topic_id.is_zero(), version < 7);
        assert!(harness.broker().topics().is_empty());
    }
}

#[tokio::test]
async fn several_at_once() {
    let harness = Harness::new().await;
    for version in VERSIONS {
        let (good, twice) = (format!("good{version}"), format!("twice{version}"));
        let topics = vec![
            topic(&twice, 1, 1),
            topic(&good, 1, 1),
            topic("a/b", 1, 1),
            topic(&twice, 2, 1),
        ];
        let response = harness.ask(version, &request(topics)).await;
        let told: Vec<_> = response
            .topics
            .iter()
            .map(|row| (row.name.as_str(), code(row)))
            .collect();
        let expected = [
            (twice.as_str(), ErrorCode::InvalidRequest),
            (good.as_str(), ErrorCode::None),
            ("a/b", ErrorCode::InvalidTopicException),
        ];
        assert_eq!(told, expected, "v{version}");
        assert!(harness.broker().topic(&twice).is_none());
    }
    assert!(harness.ask(7, &request(Vec::new())).await.topics.is_empty());
}

#[tokio::test]
async fn a_full_disk_and_a_full_broker() {
    let config = broker::BrokerConfig {
        partitions_max: 3,
        ..Default::default()
    };
    let harness = Harness::on(storage::memory::MemoryStore::new(), config).await;
    let response = harness.ask(7, &request(vec![topic("a", 4, 1)])).await;
    assert_eq!(code(&response.topics[0]), ErrorCode::PolicyViolation);
    let full = storage::StorageFailure::new("disk full");
    harness.memory.set_no_space(Some(full));
    let response = harness.ask(7, &request(vec![topic("a", 1, 1)])).await;
    assert_eq!(code(&response.topics[0]), ErrorCode::KafkaStorageError);
    harness.memory.set_no_space(None);
    let response = harness.ask(7, &request(vec![topic("a", 1, 1)])).await;
    assert_eq!(code(&response.topics[0]), ErrorCode::None);
}
