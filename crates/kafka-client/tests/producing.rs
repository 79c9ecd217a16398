//! What a producer sends, and what it does when things go wrong: nothing lost, nothing out of
//! order, nothing twice.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "no test uses all of the peer")]

mod peer;

use std::cell::Cell;
use std::time::Duration;

use kafka_client::{
    Acknowledged, Acks, Client, ClientError, ErrorCode, NewRecord, ProduceError, Producer,
    ProducerOptions,
};
use kafka_wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kafka_wire::messages::metadata::{MetadataRequest, MetadataResponse};
use kafka_wire::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use peer::{Asked, Broker, PATIENCE, Peer, topic};
use records::{BatchHeader, Codec};

const OPTIONS: ProducerOptions = ProducerOptions {
    acks: Acks::All,
    codec: Codec::None,
    batch_bytes: 200,
};

async fn producer(broker: &Broker, options: ProducerOptions, timeout: Duration) -> Producer {
    let client = Client::connect(broker.options(timeout)).await.unwrap();
    Producer::new(client, topic(2), options).await.unwrap()
}

/// Records of which each fills a batch.
async fn send(producer: &mut Producer, count: usize) -> Result<(), ProduceError> {
    for _ in 0..count {
        let record = NewRecord {
            timestamp_ms: 1,
            key: None,
            value: Some(&[1; 150]),
            headers: &[],
        };
        producer.send(Some(0), record).await?;
    }
    Ok(())
}

async fn give_id(peer: &mut Peer) {
    let asked = peer.expect::<InitProducerIdRequest>().await;
    assert_eq!(asked.request.transactional_id, None);
    let response = InitProducerIdResponse {
        producer_id: 42,
        producer_epoch: 0,
        ..Default::default()
    };
    peer.answer(&asked, &response).await;
}

/// The base sequences of a request's batches.
fn sequences(asked: &Asked<ProduceRequest>) -> Vec<i32> {
    let topics = asked.request.topic_data.iter();
    let batches = topics.flat_map(|topic| topic.partition_data.iter());
    batches
        .map(|partition| {
            let bytes = partition.records.as_ref().unwrap();
            assert!(records::crc_ok(bytes));
            BatchHeader::parse(bytes).unwrap().base_sequence
        })
        .collect()
}

fn response(asked: &Asked<ProduceRequest>, code: ErrorCode, base_offset: i64) -> ProduceResponse {
    let data = &asked.request.topic_data[0];
    let partitions = data
        .partition_data
        .iter()
        .map(|partition| PartitionProduceResponse {
            index: partition.index,
            error_code: code.code(),
            base_offset,
            ..Default::default()
        });
    let topic = TopicProduceResponse {
        name: data.name.clone(),
        topic_id: data.topic_id,
        partition_responses: partitions.collect(),
    };
    ProduceResponse {
        responses: vec![topic],
        ..Default::default()
    }
}

async fn accept_one(peer: &mut Peer, base_offset: i64) -> i32 {
    let asked = peer.expect::<ProduceRequest>().await;
    peer.answer(&asked, &response(&asked, ErrorCode::None, base_offset))
        .await;
    sequences(&asked)[0]
}

fn told(partition: i32, base_offset: i64) -> Acknowledged {
    Acknowledged {
        partition,
        base_offset: Some(base_offset),
        records: 1,
    }
}

#[tokio::test]
async fn five_requests_are_in_flight_and_no_more() {
    let broker = Broker::start().await;
    let serve = async {
        let mut peer = broker.welcome().await;
        give_id(&mut peer).await;
        let mut asked = Vec::new();
        for _ in 0..5 {
            asked.push(peer.expect::<ProduceRequest>().await);
        }
        let mut byte = [0];
        let sixth = peer.stream.peek(&mut byte);
        let sixth = tokio::time::timeout(Duration::from_millis(100), sixth).await;
        assert!(sixth.is_err(), "a sixth request came before an answer");
        assert!(asked.iter().all(|asked| asked.request.acks == -1));
        for (offset, asked) in asked.iter().enumerate() {
            let offset = i64::try_from(offset).unwrap();
            peer.answer(asked, &response(asked, ErrorCode::None, offset))
                .await;
        }
        accept_one(&mut peer, 5).await
    };
    let produce = async {
        let mut producer = producer(&broker, OPTIONS, PATIENCE).await;
        send(&mut producer, 6).await.unwrap();
        producer.flush().await.unwrap();
        producer.take_acknowledged()
    };
    let (sequence, acknowledged) = tokio::join!(serve, produce);
    assert_eq!(sequence, 5);
    assert_eq!(
        acknowledged,
        (0..6).map(|offset| told(0, offset)).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn after_a_lost_connection_all_in_doubt_goes_again_in_order_with_its_numbers() {
    let broker = Broker::start().await;
    let serve = async {
        let mut peer = broker.welcome().await;
        give_id(&mut peer).await;
        assert_eq!(accept_one(&mut peer, 0).await, 0);
        for _ in 0..3 {
            peer.expect::<ProduceRequest>().await;
        }
        drop(peer);
        let mut peer = broker.welcome().await;
        // No new id: the numbers only mean something under the old one.
        let mut seen = Vec::new();
        for offset in 1..=5 {
            seen.push(accept_one(&mut peer, offset).await);
        }
        seen
    };
    let produce = async {
        let mut producer = producer(&broker, OPTIONS, PATIENCE).await;
        send(&mut producer, 1).await.unwrap();
        producer.flush().await.unwrap();
        send(&mut producer, 5).await.unwrap();
        producer.flush().await.unwrap();
        producer.take_acknowledged()
    };
    let (seen, acknowledged) = tokio::join!(serve, produce);
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    assert_eq!(
        acknowledged,
        (0..6).map(|offset| told(0, offset)).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_connection_that_is_lost_while_sending_leaves_nothing_behind() {
    let broker = Broker::start().await;
    let (lose, lost) = tokio::sync::oneshot::channel();
    let serve = async {
        let mut peer = broker.welcome().await;
        give_id(&mut peer).await;
        peer.expect::<ProduceRequest>().await;
        drop(peer);
        lose.send(()).unwrap();
        let mut peer = broker.welcome().await;
        let mut seen = Vec::new();
        for offset in 0..5 {
            seen.push(accept_one(&mut peer, offset).await);
        }
        seen
    };
    let produce = async {
        let mut producer = producer(&broker, OPTIONS, PATIENCE).await;
        send(&mut producer, 2).await.unwrap();
        lost.await.unwrap();
        // One is in flight; the first write to the closed socket wakes the reset, the next fails.
        send(&mut producer, 3).await.unwrap();
        producer.flush().await.unwrap();
        producer.take_acknowledged()
    };
    let (seen, acknowledged) = tokio::join!(serve, produce);
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    let expected: Vec<_> = (0..5).map(|offset| told(0, offset)).collect();
    assert_eq!(acknowledged, expected);
}

#[tokio::test]
async fn a_refusal_that_may_pass_takes_those_behind_it_along() {
    let broker = Broker::start().await;
    let serve = async {
        let mut peer = broker.welcome().await;
        give_id(&mut peer).await;
        let mut asked = Vec::new();
        for _ in 0..3 {
            asked.push(peer.expect::<ProduceRequest>().await);
        }
        let codes = [
            ErrorCode::KafkaStorageError,
            ErrorCode::OutOfOrderSequenceNumber,
            ErrorCode::OutOfOrderSequenceNumber,
        ];
        for (asked, code) in asked.iter().zip(codes) {
            peer.answer(asked, &response(asked, code, -1)).await;
        }
        let mut seen = Vec::new();
        for offset in 0..3 {
            seen.push(accept_one(&mut peer, offset).await);
        }
        seen
    };
    let produce = async {
        let mut producer = producer(&broker, OPTIONS, PATIENCE).await;
        send(&mut producer, 3).await.unwrap();
        producer.flush().await.unwrap();
        producer.take_acknowledged()
    };
    let (seen, acknowledged) = tokio::join!(serve, produce);
    assert_eq!(seen, [0, 1, 2]);
    assert_eq!(acknowledged, [told(0, 0), told(0, 1), told(0, 2)]);
}

#[tokio::test]
async fn a_refusal_that_stays_ends_the_producer_and_tells_what_was_kept() {
    // An out-of-order answer to the oldest batch means that the broker lost something.
    for code in [
        ErrorCode::MessageTooLarge,
        ErrorCode::OutOfOrderSequenceNumber,
        ErrorCode::UnknownTopicId,
    ] {
        let broker = Broker::start().await;
        let serve = async {
            let mut peer = broker.welcome().await;
            give_id(&mut peer).await;
            accept_one(&mut peer, 0).await;
            let asked = peer.expect::<ProduceRequest>().await;
            peer.answer(&asked, &response(&asked, code, -1)).await;
        };
        let produce = async {
            let mut producer = producer(&broker, OPTIONS, PATIENCE).await;
            send(&mut producer, 2).await.unwrap();
            let error = producer.flush().await.unwrap_err();
            let refused = matches!(&error, ProduceError::Client(e) if e.code() == Some(code));
            assert!(refused, "{error:?}");
            assert!(matches!(producer.flush().await, Err(ProduceError::Ended)));
            assert_eq!(producer.take_acknowledged(), [told(0, 0)]);
        };
        tokio::join!(serve, produce);
    }
}

#[tokio::test]
async fn patience_ends() {
    let broker = Broker::start().await;
    let times = Cell::new(0);
    let serve = async {
        let mut peer = broker.welcome().await;
        give_id(&mut peer).await;
        loop {
            let asked = peer.expect::<ProduceRequest>().await;
            times.set(times.get() + 1);
            let refusal = response(&asked, ErrorCode::KafkaStorageError, -1);
            peer.answer(&asked, &refusal).await;
        }
    };
    let produce = async {
        let mut producer = producer(&broker, OPTIONS, Duration::from_millis(600)).await;
        send(&mut producer, 1).await.unwrap();
        let error = producer.flush().await.unwrap_err();
        assert!(
            matches!(error, ProduceError::Client(ClientError::Refused { .. })),
            "{error:?}"
        );
        assert_eq!(producer.take_acknowledged(), []);
    };
    tokio::select! {
        () = produce => {}
        () = serve => {}
    }
    assert!(times.get() >= 2, "it was tried {} times", times.get());
}

#[tokio::test]
async fn a_duplicate_is_acknowledged() {
    let broker = Broker::start().await;
    let serve = async {
        let mut peer = broker.welcome().await;
        give_id(&mut peer).await;
        let asked = peer.expect::<ProduceRequest>().await;
        let duplicate = response(&asked, ErrorCode::DuplicateSequenceNumber, -1);
        peer.answer(&asked, &duplicate).await;
    };
    let produce = async {
        let mut producer = producer(&broker, OPTIONS, PATIENCE).await;
        send(&mut producer, 1).await.unwrap();
        producer.flush().await.unwrap();
        producer.take_acknowledged()
    };
    let ((), acknowledged) = tokio::join!(serve, produce);
    assert_eq!(
        acknowledged,
        [Acknowledged {
            partition: 0,
            base_offset: None,
            records: 1
        }]
    );
}

#[tokio::test]
async fn without_sequence_numbers_one_request_goes_after_the_other() {
    let options = ProducerOptions {
        acks: Acks::Leader,
        ..OPTIONS
    };
    let broker = Broker::start().await;
    let serve = async {
        let mut peer = broker.welcome().await;
        let asked = peer.expect::<ProduceRequest>().await;
        assert_eq!((asked.request.acks, sequences(&asked)), (1, vec![-1]));
        let mut byte = [0];
        let second = peer.stream.peek(&mut byte);
        let second = tokio::time::timeout(Duration::from_millis(100), second).await;
        assert!(second.is_err(), "a second request came before an answer");
        let refusal = response(&asked, ErrorCode::NotLeaderOrFollower, -1);
        peer.answer(&asked, &refusal).await;
        for offset in 0..2 {
            accept_one(&mut peer, offset).await;
        }
    };
    let produce = async {
        let mut producer = producer(&broker, options, PATIENCE).await;
        send(&mut producer, 2).await.unwrap();
        producer.flush().await.unwrap();
        producer.take_acknowledged()
    };
    let ((), acknowledged) = tokio::join!(serve, produce);
    assert_eq!(acknowledged, [told(0, 0), told(0, 1)]);
}

#[tokio::test]
async fn without_acknowledgement_only_a_closed_connection_tells() {
    let options = ProducerOptions {
        acks: Acks::None,
        ..OPTIONS
    };
    for closes in [false, true] {
        let broker = Broker::start().await;
        let serve = async {
            let mut peer = broker.welcome().await;
            for _ in 0..3 {
                let asked = peer.expect::<ProduceRequest>().await;
                assert_eq!((asked.request.acks, sequences(&asked)), (0, vec![-1]));
            }
            if !closes {
                let asked = peer.expect::<MetadataRequest>().await;
                peer.answer(&asked, &MetadataResponse::default()).await;
            }
        };
        let produce = async {
            let mut producer = producer(&broker, options, PATIENCE).await;
            send(&mut producer, 3).await.unwrap();
            let flushed = producer.flush().await;
            assert_eq!(flushed.is_err(), closes, "{flushed:?}");
            let expected = Acknowledged {
                partition: 0,
                base_offset: None,
                records: 1,
            };
            assert_eq!(producer.take_acknowledged(), [expected; 3]);
        };
        tokio::join!(serve, produce);
    }
}

#[tokio::test]
async fn a_partition_that_does_not_exist_is_refused_before_anything_is_sent() {
    let broker = Broker::start().await;
    let serve = async {
        let mut peer = broker.welcome().await;
        give_id(&mut peer).await;
    };
    let produce = async {
        let mut producer = producer(&broker, OPTIONS, PATIENCE).await;
        let record = NewRecord {
            timestamp_ms: 1,
            key: None,
            value: None,
            headers: &[],
        };
        let error = producer.send(Some(2), record).await.unwrap_err();
        let expected = matches!(
            error,
            ProduceError::UnknownPartition {
                partition: 2,
                count: 2,
                ..
            }
        );
        assert!(expected, "{error:?}");
    };
    tokio::join!(serve, produce);
}
