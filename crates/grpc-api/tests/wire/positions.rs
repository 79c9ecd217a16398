//! Positions of consumers, and offsets, over the wire.

use futures_util::StreamExt;
use tonic::Code;

use crate::harness::{NOW_MS, position};
use crate::produce::request;
use crate::server::proto::seek_request::To;
use crate::server::proto::trim_topic_request::Before;
use crate::server::proto::{
    CommitOffsetRequest, ConsumeRequest, GetOffsetsRequest, ListConsumersRequest, ProduceRequest,
    ResetOffsetRequest, SeekRequest, TrimTopicRequest, reset_offset_request,
};
use crate::server::{Client, Server, check};
use crate::topics::create;

/// A server with the records 0 to 9 in partition 0, one for each second before now.
async fn with_ten_records() -> (Server, Client) {
    let server = Server::start().await;
    let mut client = server.client();
    create(&mut client, "orders", 2).await;
    for index in 0..10 {
        let request = ProduceRequest {
            timestamp_ms: Some(time_of(index)),
            ..request("orders", &index.to_string())
        };
        client.produce(request).await.expect("durable");
    }
    (server, client)
}

fn time_of(index: i64) -> i64 {
    NOW_MS - 10_000 + index * 1000
}

fn as_billing() -> ConsumeRequest {
    ConsumeRequest {
        topic: "orders".into(),
        consumer: "billing".into(),
        until_end: true,
        ..ConsumeRequest::default()
    }
}

async fn consume(client: &mut Client, request: ConsumeRequest) -> Vec<i64> {
    let stream = client.consume(request).await.expect("it begins");
    let records = stream.into_inner().map(|record| record.expect("good"));
    let offsets = records.map(|record| record.offset.expect("always set"));
    offsets.collect().await
}

fn seek(to: Option<To>) -> SeekRequest {
    SeekRequest {
        consumer: "billing".into(),
        topic: "orders".into(),
        partition: 0,
        to,
    }
}

fn commit(offset: i64) -> CommitOffsetRequest {
    CommitOffsetRequest {
        consumer: "billing".into(),
        topic: "orders".into(),
        offset,
        ..CommitOffsetRequest::default()
    }
}

#[tokio::test]
async fn a_consumer_resumes_where_it_ended_also_after_a_restart() {
    let (server, mut client) = with_ten_records().await;
    let four = ConsumeRequest {
        max_messages: Some(4),
        ..as_billing()
    };
    assert_eq!(consume(&mut client, four.clone()).await, [0, 1, 2, 3]);
    assert_eq!(consume(&mut client, four).await, [4, 5, 6, 7]);
    let restarted = Server::on(server.harness.restarted()).await;
    let mut client = restarted.client();
    assert_eq!(consume(&mut client, as_billing()).await, [8, 9]);
    assert!(consume(&mut client, as_billing()).await.is_empty());
    let other = ConsumeRequest {
        consumer: "audit".into(),
        ..as_billing()
    };
    assert_eq!(
        consume(&mut client, other).await.len(),
        10,
        "positions are each one's own"
    );
}

#[tokio::test]
async fn without_auto_advance_only_commits_count() {
    let (_server, mut client) = with_ten_records().await;
    let exact = ConsumeRequest {
        auto_advance: Some(false),
        ..as_billing()
    };
    assert_eq!(consume(&mut client, exact.clone()).await.len(), 10);
    let answer = client.commit_offset(commit(7)).await.expect("stored");
    assert_eq!(answer.into_inner().offset, Some(7));
    assert_eq!(consume(&mut client, exact).await, [7, 8, 9]);
    let answer = client.commit_offset(commit(0)).await.expect("stored");
    assert_eq!(answer.into_inner().offset, Some(0), "an offset of 0 shows");
}

#[tokio::test]
async fn seek_moves_a_position_to_all_that_it_can_name() {
    let (server, mut client) = with_ten_records().await;
    let topic = server.broker.topic("orders").expect("made");
    for (to, expected) in [
        (To::Offset(3), 3),
        (To::Offset(0), 0),
        (To::Offset(10), 10),
        (To::Start(true), 0),
        (To::End(true), 10),
        (To::TimestampMs(time_of(4)), 4),
        (To::TimestampMs(time_of(4) + 1), 5),
        (To::TimestampMs(0), 0),
        (To::TimestampMs(NOW_MS), 10),
    ] {
        let answer = client.seek(seek(Some(to))).await.expect("moved");
        assert_eq!(answer.into_inner().offset, Some(expected), "{to:?}");
        let stored = position(&server.broker, &topic, "billing").await;
        assert_eq!(stored, Some(expected), "{to:?}");
    }
    let last = client.seek(seek(Some(To::Offset(9)))).await;
    last.expect("moved");
    assert_eq!(consume(&mut client, as_billing()).await, [9]);
}

#[tokio::test]
async fn bad_seeks_are_refused() {
    let (server, mut client) = with_ten_records().await;
    let range = [
        ("topic", "orders"),
        ("first_offset", "0"),
        ("last_offset", "9"),
    ];
    for (to, code, reason, facts) in [
        (
            Some(To::Offset(11)),
            Code::OutOfRange,
            "OFFSET_OUT_OF_RANGE",
            &range[..],
        ),
        (
            Some(To::Offset(-1)),
            Code::InvalidArgument,
            "INVALID_OFFSET",
            &range[..1],
        ),
        (
            Some(To::TimestampMs(-1)),
            Code::InvalidArgument,
            "INVALID_TIMESTAMP",
            &range[..1],
        ),
        (
            Some(To::Start(false)),
            Code::InvalidArgument,
            "INVALID_REQUEST",
            &range[..1],
        ),
        (
            Some(To::End(false)),
            Code::InvalidArgument,
            "INVALID_REQUEST",
            &range[..1],
        ),
        (None, Code::InvalidArgument, "INVALID_REQUEST", &range[..1]),
    ] {
        let status = client.seek(seek(to)).await.expect_err("refused");
        check(&status, code, reason, facts);
    }
    let nameless = SeekRequest {
        consumer: String::new(),
        ..seek(Some(To::Start(true)))
    };
    let status = client.seek(nameless).await.expect_err("refused");
    check(&status, Code::InvalidArgument, "INVALID_CONSUMER", &[]);
    let topic = server.broker.topic("orders").expect("made");
    assert_eq!(position(&server.broker, &topic, "billing").await, None);
}

#[tokio::test]
async fn bad_commits_are_refused() {
    let (server, mut client) = with_ten_records().await;
    let nameless = CommitOffsetRequest {
        consumer: String::new(),
        ..commit(1)
    };
    let wordy = CommitOffsetRequest {
        metadata: "m".repeat(4097),
        ..commit(1)
    };
    let elsewhere = CommitOffsetRequest {
        partition: 2,
        ..commit(1)
    };
    for (request, code, reason) in [
        (commit(-1), Code::InvalidArgument, "INVALID_OFFSET"),
        (commit(11), Code::OutOfRange, "OFFSET_OUT_OF_RANGE"),
        (nameless, Code::InvalidArgument, "INVALID_CONSUMER"),
        (wordy, Code::InvalidArgument, "OFFSET_METADATA_TOO_LARGE"),
        (elsewhere, Code::NotFound, "UNKNOWN_PARTITION"),
    ] {
        let status = client.commit_offset(request).await.expect_err("refused");
        check(&status, code, reason, &[("topic", "orders")]);
    }
    let topic = server.broker.topic("orders").expect("made");
    assert_eq!(position(&server.broker, &topic, "billing").await, None);
}

#[tokio::test]
async fn offsets_are_told_for_one_partition_or_all() {
    let (_server, mut client) = with_ten_records().await;
    let all = GetOffsetsRequest {
        topic: "orders".into(),
        ..GetOffsetsRequest::default()
    };
    let answer = client.get_offsets(all.clone()).await.expect("found");
    let found: Vec<_> = answer
        .into_inner()
        .partitions
        .iter()
        .map(|found| {
            (
                found.partition,
                found.start_offset,
                found.end_offset,
                found.offset_at_timestamp,
            )
        })
        .collect();
    let expected = [
        (Some(0), Some(0), Some(10), None),
        (Some(1), Some(0), Some(0), None),
    ];
    assert_eq!(found, expected);
    for (timestamp_ms, expected) in [(0, Some(0)), (time_of(6), Some(6)), (NOW_MS, None)] {
        let one = GetOffsetsRequest {
            partition: Some(0),
            timestamp_ms: Some(timestamp_ms),
            ..all.clone()
        };
        let answer = client.get_offsets(one).await.expect("found").into_inner();
        assert_eq!(answer.partitions.len(), 1);
        assert_eq!(answer.partitions[0].offset_at_timestamp, expected);
    }
    for (partition, timestamp_ms, code) in [
        (Some(2), None, Code::NotFound),
        (Some(-1), None, Code::InvalidArgument),
        (None, Some(-1), Code::InvalidArgument),
    ] {
        let request = GetOffsetsRequest {
            partition,
            timestamp_ms,
            ..all.clone()
        };
        let status = client.get_offsets(request).await.expect_err("refused");
        assert_eq!(status.code(), code);
    }
}

fn listed(consumer: &str) -> ListConsumersRequest {
    ListConsumersRequest {
        consumer: consumer.into(),
        ..ListConsumersRequest::default()
    }
}

#[tokio::test]
async fn consumers_are_listed_with_their_lag() {
    let (_server, mut client) = with_ten_records().await;
    client.commit_offset(commit(4)).await.expect("in range");
    let other = CommitOffsetRequest {
        consumer: "audit".into(),
        ..commit(10)
    };
    client.commit_offset(other).await.expect("in range");
    let answer = client.list_consumers(listed("")).await.expect("answers");
    let all = answer.into_inner().consumers;
    let names: Vec<_> = all.iter().map(|found| found.consumer.as_str()).collect();
    assert_eq!(names, ["audit", "billing"]);
    let billing = &all[1];
    assert_eq!(billing.state, "Empty");
    assert_eq!((billing.members, billing.lag), (Some(0), Some(6)));
    let position = &billing.positions[0];
    assert_eq!(position.topic, "orders");
    assert_eq!((position.offset, position.end_offset), (Some(4), Some(10)));
    assert_eq!((position.lag, position.lag_ms), (Some(6), Some(6_000)));
    assert_eq!(all[0].positions[0].lag_ms, Some(0));
    let one = client
        .list_consumers(listed("billing"))
        .await
        .expect("is there");
    assert_eq!(one.into_inner().consumers, std::slice::from_ref(billing));
    let rest = ListConsumersRequest {
        after: "audit".into(),
        limit: Some(1),
        ..listed("")
    };
    let rest = client.list_consumers(rest).await.expect("answers");
    assert_eq!(rest.into_inner().consumers, std::slice::from_ref(billing));
    let refused = client
        .list_consumers(listed("biling"))
        .await
        .expect_err("refused");
    check(
        &refused,
        Code::NotFound,
        "UNKNOWN_CONSUMER",
        &[("consumer", "biling")],
    );
    let much = ListConsumersRequest {
        limit: Some(1_001),
        ..listed("")
    };
    let refused = client.list_consumers(much).await.expect_err("refused");
    check(
        &refused,
        Code::InvalidArgument,
        "INVALID_REQUEST",
        &[("limit", "1001")],
    );
}

#[tokio::test]
async fn all_positions_in_a_topic_move_at_once() {
    use reset_offset_request::To;
    let (_server, mut client) = with_ten_records().await;
    client.commit_offset(commit(4)).await.expect("in range");
    let reset = |to, dry_run| ResetOffsetRequest {
        consumer: "billing".into(),
        topic: "orders".into(),
        partitions: Vec::new(),
        to,
        dry_run,
    };
    // Target, then for each of the two partitions before and after; partition 1 is empty.
    let cases = [
        (To::Start(true), [(Some(4), 0), (None, 0)]),
        (To::Offset(7), [(Some(0), 7), (Some(0), 0)]),
        (To::TimestampMs(time_of(3)), [(Some(7), 3), (Some(0), 0)]),
        (To::End(true), [(Some(3), 10), (Some(0), 0)]),
    ];
    for (to, expected) in cases {
        for dry_run in [true, false] {
            let answer = client.reset_offset(reset(Some(to), dry_run)).await;
            let moved = answer.expect("resets").into_inner().positions;
            let moved: Vec<_> = moved.iter().map(|p| (p.before, p.after)).collect();
            let expected = expected.map(|(before, after)| (before, Some(after)));
            assert_eq!(moved, expected, "{to:?}, dry run: {dry_run}");
        }
    }
    let billing = client
        .list_consumers(listed("billing"))
        .await
        .expect("is there")
        .into_inner();
    assert_eq!(billing.consumers[0].positions[0].offset, Some(10));
    let refused = client
        .reset_offset(reset(None, false))
        .await
        .expect_err("refused");
    check(
        &refused,
        Code::InvalidArgument,
        "INVALID_REQUEST",
        &[("topic", "orders")],
    );
    let absent = ResetOffsetRequest {
        partitions: vec![2],
        ..reset(Some(To::Start(true)), false)
    };
    let refused = client.reset_offset(absent).await.expect_err("refused");
    check(
        &refused,
        Code::NotFound,
        "UNKNOWN_PARTITION",
        &[("topic", "orders")],
    );
}

fn trim(before: Option<Before>) -> TrimTopicRequest {
    TrimTopicRequest {
        topic: "orders".into(),
        partition: 0,
        before,
    }
}

#[tokio::test]
async fn trim_deletes_up_to_all_that_it_can_name() {
    let (_server, mut client) = with_ten_records().await;
    for (before, start) in [
        (Before::Offset(0), 0),
        (Before::Offset(3), 3),
        (Before::Offset(2), 3),
        (Before::TimestampMs(0), 3),
        (Before::TimestampMs(i64::MAX), 10),
        (Before::End(true), 10),
    ] {
        let answer = client.trim_topic(trim(Some(before))).await.expect("done");
        let answer = answer.into_inner();
        assert_eq!(answer.start_offset, Some(start), "before {before:?}");
        assert_eq!(
            (answer.topic.as_str(), answer.partition),
            ("orders", Some(0))
        );
        let request = GetOffsetsRequest {
            topic: "orders".into(),
            ..GetOffsetsRequest::default()
        };
        let offsets = client
            .get_offsets(request)
            .await
            .expect("told")
            .into_inner();
        assert_eq!(offsets.partitions[0].start_offset, Some(start));
        assert_eq!(offsets.partitions[0].end_offset, Some(10));
    }
}

#[tokio::test]
async fn a_trim_that_makes_no_sense_is_refused() {
    let (_server, mut client) = with_ten_records().await;
    for (before, code, reason) in [
        (None, Code::InvalidArgument, "INVALID_REQUEST"),
        (
            Some(Before::End(false)),
            Code::InvalidArgument,
            "INVALID_REQUEST",
        ),
        (
            Some(Before::Offset(11)),
            Code::OutOfRange,
            "OFFSET_OUT_OF_RANGE",
        ),
        (
            Some(Before::Offset(-1)),
            Code::InvalidArgument,
            "INVALID_OFFSET",
        ),
        (
            Some(Before::TimestampMs(-1)),
            Code::InvalidArgument,
            "INVALID_TIMESTAMP",
        ),
    ] {
        let refused = client.trim_topic(trim(before)).await.expect_err("refused");
        check(&refused, code, reason, &[("topic", "orders")]);
    }
    let elsewhere = TrimTopicRequest {
        partition: 2,
        ..trim(Some(Before::End(true)))
    };
    let refused = client.trim_topic(elsewhere).await.expect_err("refused");
    assert_eq!(refused.code(), Code::NotFound);
}
