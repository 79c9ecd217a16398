//! Pages and cursors, as recorded from Kafka.

use super::*;
use crate::harness::{Harness, id_of};

async fn harness() -> Harness {
    let harness = Harness::new().await;
    for name in ["a", "b", "c"] {
        harness.topic(name, 3).await;
    }
    harness
}

fn request(
    names: &[&str],
    limit: i32,
    cursor: Option<(&str, i32)>,
) -> DescribeTopicPartitionsRequest {
    let topic = |name: &&str| TopicRequest {
        name: (*name).into(),
    };
    DescribeTopicPartitionsRequest {
        topics: names.iter().map(topic).collect(),
        response_partition_limit: limit,
        cursor: cursor.map(|(name, partition_index)| Cursor {
            topic_name: name.into(),
            partition_index,
        }),
    }
}

/// Name, code and partitions of each topic; the next cursor.
type Told = (Vec<(String, ErrorCode, Vec<i32>)>, Option<(String, i32)>);

fn told(response: &DescribeTopicPartitionsResponse) -> Told {
    let topics = response.topics.iter().map(|topic| {
        let code = ErrorCode::from_code(topic.error_code).expect("a code of Kafka");
        let partitions = topic.partitions.iter().map(|row| row.partition_index);
        let name = topic.name.as_ref().expect("is named").to_string();
        (name, code, partitions.collect())
    });
    let cursor = response.next_cursor.as_ref();
    let cursor = cursor.map(|next| (next.topic_name.to_string(), next.partition_index));
    (topics.collect(), cursor)
}

fn good(name: &str, partitions: &[i32]) -> (String, ErrorCode, Vec<i32>) {
    (name.to_owned(), ErrorCode::None, partitions.to_vec())
}

fn bad(name: &str, code: ErrorCode) -> (String, ErrorCode, Vec<i32>) {
    (name.to_owned(), code, Vec::new())
}

#[tokio::test]
async fn one_topic_in_full() {
    let harness = harness().await;
    let response = harness.ask(0, &request(&["a"], 2000, None)).await;
    let topic = &response.topics[0];
    let known = harness.broker().topic("a").expect("exists");
    assert_eq!((topic.topic_id, topic.is_internal), (id_of(&known), false));
    assert_eq!(topic.topic_authorized_operations, 3576);
    let partition = DescribeTopicPartitionsResponsePartition {
        error_code: 0,
        partition_index: 2,
        leader_id: 1,
        leader_epoch: 0,
        replica_nodes: vec![1],
        isr_nodes: vec![1],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: Vec::new(),
    };
    assert_eq!(topic.partitions[2], partition);
}

#[tokio::test]
async fn pages() {
    let harness = harness().await;
    let all = &["c", "a", "b", "a"][..];
    let (a, b, c) = (
        good("a", &[0, 1, 2]),
        good("b", &[0, 1, 2]),
        good("c", &[0, 1, 2]),
    );
    let next = |name: &str, partition| Some((name.to_owned(), partition));
    let cases = [
        (
            request(all, 2000, None),
            (vec![a.clone(), b.clone(), c.clone()], None),
        ),
        (
            request(&[], 2000, None),
            (vec![a.clone(), b.clone(), c.clone()], None),
        ),
        (
            request(all, 4, None),
            (vec![a.clone(), good("b", &[0])], next("b", 1)),
        ),
        (request(all, 3, None), (vec![a.clone()], next("b", 0))),
        (
            request(all, 9, None),
            (vec![a.clone(), b.clone(), c.clone()], None),
        ),
        (
            request(&["a"], 0, None),
            (vec![good("a", &[0])], next("a", 1)),
        ),
        (
            request(&["a"], -5, None),
            (vec![good("a", &[0])], next("a", 1)),
        ),
        (
            request(all, 4, Some(("b", 1))),
            (vec![good("b", &[1, 2]), good("c", &[0, 1])], next("c", 2)),
        ),
        (
            request(all, 4, Some(("b", 77))),
            (vec![good("b", &[]), c.clone()], None),
        ),
        (
            request(all, 4, Some(("b", i32::MAX))),
            (vec![good("b", &[]), c.clone()], None),
        ),
        (
            request(&[], 3, Some(("a", 0))),
            (vec![a.clone()], next("b", 0)),
        ),
        // Of all topics, those from there on.
        (request(&[], 3, Some(("aa", 2))), (vec![b], next("c", 0))),
    ];
    for (request, expected) in cases {
        let response = harness.ask(0, &request).await;
        assert_eq!(told(&response), expected, "{request:?}");
    }
}

#[tokio::test]
async fn what_does_not_exist_and_cursors_that_cannot_be() {
    let harness = harness().await;
    let unknown = request(&["absent", "..", "b", ""], 2000, None);
    let response = harness.ask(0, &unknown).await;
    let expected = vec![
        bad("", ErrorCode::InvalidTopicException),
        bad("..", ErrorCode::InvalidTopicException),
        bad("absent", ErrorCode::UnknownTopicOrPartition),
        good("b", &[0, 1, 2]),
    ];
    assert_eq!(told(&response), (expected, None));
    let operations = |response: &DescribeTopicPartitionsResponse| {
        let topics = response.topics.iter();
        topics
            .map(|topic| topic.topic_authorized_operations)
            .collect::<Vec<_>>()
    };
    assert_eq!(operations(&response), [3576; 4]);
    for cursor in [("bb", 0), ("b", -2), ("absent", 0)] {
        let response = harness.ask(0, &request(&["b", "a"], 4, Some(cursor))).await;
        let invalid = ErrorCode::InvalidRequest;
        assert_eq!(
            told(&response),
            (vec![bad("b", invalid), bad("a", invalid)], None)
        );
        assert_eq!(operations(&response), [i32::MIN; 2]);
    }
    let response = harness.ask(0, &request(&[], 4, Some(("b", -2)))).await;
    assert_eq!(told(&response), (Vec::new(), None));
}
