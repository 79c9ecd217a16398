//! Growing, and all that is not growing.

use kafka_wire::messages::create_partitions::CreatePartitionsAssignment;

use super::*;
use crate::harness::Harness;

const VERSIONS: std::ops::RangeInclusive<i16> = 0..=3;

fn grown(name: &str, count: i32, nodes: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let row = |nodes: &&[i32]| CreatePartitionsAssignment {
        broker_ids: nodes.to_vec(),
    };
    CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments: nodes.map(|all| all.iter().map(row).collect()),
    }
}

async fn ask(
    harness: &Harness,
    version: i16,
    topics: Vec<CreatePartitionsTopic>,
    validate_only: bool,
) -> Vec<(String, ErrorCode, bool)> {
    let request = CreatePartitionsRequest {
        topics,
        validate_only,
        ..Default::default()
    };
    let response = harness.ask(version, &request).await;
    let told = response.results.iter().map(|row| {
        let code = ErrorCode::from_code(row.error_code).expect("a code of Kafka");
        (row.name.to_string(), code, row.error_message.is_some())
    });
    told.collect()
}

fn count(harness: &Harness, name: &str) -> u32 {
    harness
        .broker()
        .topic(name)
        .expect("exists")
        .partition_count()
}

#[tokio::test]
async fn grows_in_every_version() {
    let harness = Harness::new().await;
    for version in VERSIONS {
        let name = format!("t{version}");
        harness.topic(&name, 3).await;
        let ok = [(name.clone(), ErrorCode::None, false)];
        let tried = ask(&harness, version, vec![grown(&name, 5, None)], true).await;
        assert_eq!((tried, count(&harness, &name)), (ok.to_vec(), 3));
        let done = ask(&harness, version, vec![grown(&name, 5, None)], false).await;
        assert_eq!((done, count(&harness, &name)), (ok.to_vec(), 5));
        let nodes: &[&[i32]] = &[&[1], &[1]];
        let done = ask(&harness, version, vec![grown(&name, 7, Some(nodes))], false).await;
        assert_eq!((done, count(&harness, &name)), (ok.to_vec(), 7));
    }
}

#[tokio::test]
async fn refusals_leave_the_topic_as_it_is() {
    use ErrorCode::{InvalidPartitions, InvalidReplicaAssignment, UnknownTopicOrPartition};
    let harness = Harness::new().await;
    harness.topic("t", 3).await;
    let cases = [
        (grown("t", 3, None), InvalidPartitions),
        (grown("t", 1, None), InvalidPartitions),
        (grown("t", 0, None), InvalidPartitions),
        (grown("t", -1, None), InvalidPartitions),
        (grown("t", i32::MAX, None), InvalidPartitions),
        (grown("absent", 5, None), UnknownTopicOrPartition),
        (grown("..", 5, None), UnknownTopicOrPartition),
        (grown("", 5, None), UnknownTopicOrPartition),
        (grown("t", 5, Some(&[&[1]])), InvalidReplicaAssignment),
        (grown("t", 4, Some(&[&[1], &[1]])), InvalidReplicaAssignment),
        (grown("t", 4, Some(&[&[9]])), InvalidReplicaAssignment),
        (grown("t", 4, Some(&[&[1, 1]])), InvalidReplicaAssignment),
        (grown("t", 4, Some(&[&[]])), InvalidReplicaAssignment),
    ];
    for (topic, expected) in cases {
        for version in VERSIONS {
            for validate_only in [false, true] {
                let told = ask(&harness, version, vec![topic.clone()], validate_only).await;
                assert_eq!(
                    told,
                    [(topic.name.to_string(), expected, true)],
                    "{topic:?}"
                );
                assert_eq!(count(&harness, "t"), 3);
            }
        }
    }
}

#[tokio::test]
async fn several_at_once() {
    let harness = Harness::new().await;
    harness.topic("a", 1).await;
    harness.topic("b", 1).await;
    let topics = vec![
        grown("b", 4, None),
        grown("a", 2, None),
        grown("b", 5, None),
    ];
    let told = ask(&harness, 3, topics, false).await;
    let expected = [
        ("b".to_owned(), ErrorCode::InvalidRequest, true),
        ("a".to_owned(), ErrorCode::None, false),
    ];
    assert_eq!(told, expected);
    assert_eq!((count(&harness, "a"), count(&harness, "b")), (2, 1));
    assert!(ask(&harness, 0, Vec::new(), false).await.is_empty());
}
