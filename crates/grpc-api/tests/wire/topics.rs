//! Topics over the wire.

use std::collections::HashMap;

use tonic::Code;

use crate::server::proto::{
    AddPartitionsRequest, CreateTopicRequest, DeleteTopicRequest, DescribeTopicRequest,
    ListTopicsRequest, ProduceRequest,
};
use crate::server::{Client, Server, check};

pub(crate) async fn create(client: &mut Client, topic: &str, partitions: i32) {
    let request = CreateTopicRequest {
        topic: topic.into(),
        partitions: Some(partitions),
        configs: HashMap::new(),
    };
    client.create_topic(request).await.expect("created");
}

fn named(topic: &str) -> CreateTopicRequest {
    CreateTopicRequest {
        topic: topic.into(),
        ..CreateTopicRequest::default()
    }
}

#[tokio::test]
async fn a_topic_lives_from_creation_to_deletion() {
    let server = Server::start().await;
    let mut client = server.client();
    let request = CreateTopicRequest {
        partitions: Some(2),
        ..named("orders")
    };
    let created = client.create_topic(request).await.expect("created");
    let created = created.into_inner();
    assert_eq!((&*created.topic, created.partitions), ("orders", Some(2)));
    assert_eq!(created.topic_id.len(), 36, "a UUID");
    let defaults = client.create_topic(named("defaults")).await;
    assert_eq!(defaults.expect("created").into_inner().partitions, Some(1));

    let listed = client
        .list_topics(ListTopicsRequest {})
        .await
        .expect("listed");
    let listed: Vec<_> = listed
        .into_inner()
        .topics
        .into_iter()
        .map(|topic| (topic.topic, topic.partitions))
        .collect();
    assert_eq!(
        listed,
        [("defaults".into(), Some(1)), ("orders".into(), Some(2))]
    );

    let delete = DeleteTopicRequest {
        topic: "orders".into(),
    };
    let deleted = client.delete_topic(delete.clone()).await.expect("deleted");
    assert_eq!(deleted.into_inner().topic, "orders");
    let again = client.delete_topic(delete).await.expect_err("it is gone");
    check(
        &again,
        Code::NotFound,
        "UNKNOWN_TOPIC",
        &[("topic", "orders")],
    );
    let anew = client
        .create_topic(named("orders"))
        .await
        .expect("its name is free");
    assert_ne!(anew.into_inner().topic_id, created.topic_id);
}

#[tokio::test]
async fn a_description_tells_what_each_partition_holds() {
    let server = Server::start().await;
    let mut client = server.client();
    let configs = HashMap::from([("segment.bytes".to_owned(), "1048576".to_owned())]);
    let request = CreateTopicRequest {
        partitions: Some(2),
        configs: configs.clone(),
        ..named("orders")
    };
    let created = client.create_topic(request).await.expect("created");
    let created = created.into_inner();
    let produced = ProduceRequest {
        topic: "orders".into(),
        partition: 1,
        payload: b"x".to_vec(),
        ..ProduceRequest::default()
    };
    client.produce(produced).await.expect("durable");
    let grown = AddPartitionsRequest {
        topic: "orders".into(),
        partitions: 3,
    };
    let grown = client.add_partitions(grown).await.expect("grown");
    assert_eq!(grown.into_inner().partitions, Some(3));

    let describe = DescribeTopicRequest {
        topic: "orders".into(),
    };
    let described = client.describe_topic(describe).await.expect("described");
    let described = described.into_inner();
    assert_eq!(described.topic_id, created.topic_id);
    assert_eq!(described.configs, configs);
    let partitions: Vec<_> = described
        .partitions
        .iter()
        .map(|found| (found.partition, found.start_offset, found.end_offset))
        .collect();
    let expected = [(0, 0, 0), (1, 0, 1), (2, 0, 0)];
    let expected = expected.map(|(at, start, end)| (Some(at), Some(start), Some(end)));
    assert_eq!(partitions, expected);
    assert!(described.partitions[1].size_bytes > Some(61));
    assert!(
        described
            .partitions
            .iter()
            .all(|found| found.segments.is_some())
    );
}

#[tokio::test]
async fn bad_creations_are_refused() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 1).await;
    create(&mut client, "a.b", 1).await;
    let partitions = |partitions| CreateTopicRequest {
        partitions: Some(partitions),
        ..named("new")
    };
    let config = |key: &str, value: &str| CreateTopicRequest {
        configs: HashMap::from([(key.to_owned(), value.to_owned())]),
        ..named("new")
    };
    let long = "n".repeat(250);
    for (request, code, reason) in [
        (named("orders"), Code::AlreadyExists, "TOPIC_ALREADY_EXISTS"),
        (named(""), Code::InvalidArgument, "INVALID_TOPIC_NAME"),
        (named(".."), Code::InvalidArgument, "INVALID_TOPIC_NAME"),
        (named("a/b"), Code::InvalidArgument, "INVALID_TOPIC_NAME"),
        (named("größe"), Code::InvalidArgument, "INVALID_TOPIC_NAME"),
        (named(&long), Code::InvalidArgument, "INVALID_TOPIC_NAME"),
        (named("a_b"), Code::InvalidArgument, "TOPIC_COLLIDES"),
        (partitions(0), Code::InvalidArgument, "INVALID_PARTITIONS"),
        (partitions(-1), Code::InvalidArgument, "INVALID_PARTITIONS"),
        (
            partitions(i32::MAX),
            Code::InvalidArgument,
            "INVALID_PARTITIONS",
        ),
        (
            config("segment.byte", "1"),
            Code::InvalidArgument,
            "INVALID_CONFIG",
        ),
        (
            config("segment.bytes", "much"),
            Code::InvalidArgument,
            "INVALID_CONFIG",
        ),
    ] {
        let status = client
            .create_topic(request.clone())
            .await
            .expect_err("refused");
        check(&status, code, reason, &[("topic", &request.topic)]);
    }
    assert_eq!(server.broker.topics().len(), 2, "nothing is left behind");
}

#[tokio::test]
async fn partitions_only_grow() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 3).await;
    for partitions in [3, 2, 0, -1] {
        let request = AddPartitionsRequest {
            topic: "orders".into(),
            partitions,
        };
        let status = client.add_partitions(request).await.expect_err("not more");
        let facts = [("topic", "orders"), ("current_partitions", "3")];
        check(&status, Code::InvalidArgument, "INVALID_PARTITIONS", &facts);
    }
    let unknown = AddPartitionsRequest {
        topic: "nowhere".into(),
        partitions: 9,
    };
    let status = client.add_partitions(unknown).await.expect_err("unknown");
    check(
        &status,
        Code::NotFound,
        "UNKNOWN_TOPIC",
        &[("topic", "nowhere")],
    );
    let unknown = DescribeTopicRequest {
        topic: "nowhere".into(),
    };
    let status = client.describe_topic(unknown).await.expect_err("unknown");
    check(
        &status,
        Code::NotFound,
        "UNKNOWN_TOPIC",
        &[("topic", "nowhere")],
    );
}
