//! How large a request may be, and what a client is told when it is larger.

use futures_util::stream;
use tonic::Code;

use crate::produce::request;
use crate::server::proto::{CreateTopicRequest, ProduceRequest};
use crate::server::{Server, check};
use crate::topics::create;

#[tokio::test]
async fn a_request_beyond_the_limit_is_refused_by_name() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 1).await;
    let huge = || ProduceRequest {
        payload: vec![7; 2 << 20],
        ..request("orders", "")
    };
    let status = client.produce(huge()).await.expect_err("too large");
    let limit = (1_048_588 + 64 * 1024).to_string();
    let facts = [("limit_bytes", &*limit)];
    check(
        &status,
        Code::ResourceExhausted,
        "REQUEST_TOO_LARGE",
        &facts,
    );

    let requests = stream::iter([request("orders", "a"), huge()]);
    let answers = client.produce_stream(requests).await.expect("it begins");
    let mut answers = answers.into_inner();
    let first = answers
        .message()
        .await
        .expect("durable")
        .expect("an answer");
    assert_eq!(first.offset, Some(0));
    let status = answers.message().await.expect_err("too large");
    check(
        &status,
        Code::ResourceExhausted,
        "REQUEST_TOO_LARGE",
        &facts,
    );
}

#[tokio::test]
async fn the_largest_record_that_a_topic_allows_is_taken() {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 1).await;
    // The header of a batch, and a record's own numbers.
    let overhead_bytes = 61 + 11;
    let payload_bytes = 1_048_588 - overhead_bytes;
    let of_size = |size: usize| ProduceRequest {
        payload: vec![7; size],
        ..request("orders", "")
    };
    let answer = client.produce(of_size(payload_bytes)).await;
    assert_eq!(answer.expect("it fits").into_inner().offset, Some(0));
    let status = client.produce(of_size(payload_bytes + 1)).await;
    let status = status.expect_err("one byte too much");
    let facts = [("size_bytes", "1048589"), ("limit_bytes", "1048588")];
    check(
        &status,
        Code::ResourceExhausted,
        "MESSAGE_TOO_LARGE",
        &facts,
    );
}

#[tokio::test]
async fn an_absurd_name_is_refused_in_a_short_sentence() {
    let server = Server::start().await;
    let mut client = server.client();
    let absurd = CreateTopicRequest {
        topic: "n\u{1F980}".repeat(100_000),
        ..CreateTopicRequest::default()
    };
    let status = client.create_topic(absurd).await.expect_err("absurd");
    check(&status, Code::InvalidArgument, "INVALID_TOPIC_NAME", &[]);
    assert!(status.message().len() <= 600);
    assert!(status.message().starts_with("a topic name has at most 249"));
}
