//! How a connection begins, and every way in which it can fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "no test uses all of the peer")]

mod peer;

use std::time::Duration;

use kafka_client::{Client, ClientError, ErrorCode};
use kafka_wire::messages::api_versions::ApiVersionsRequest;
use kafka_wire::messages::fetch::FetchRequest;
use kafka_wire::messages::metadata::{MetadataRequest, MetadataResponse};
use kafka_wire::messages::produce::ProduceRequest;
use kafka_wire::{Message, ResponseHeader, Writer};
use peer::{Asked, Broker, PATIENCE, all_versions};
use tokio::io::AsyncWriteExt;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn an_older_broker_is_asked_again_in_words_it_knows() {
    let broker = Broker::start().await;
    let mut known = all_versions();
    for api in &mut known.api_keys {
        match api.api_key {
            ApiVersionsRequest::KEY => api.max_version = 2,
            FetchRequest::KEY => api.max_version = 12,
            // Only versions that this client does not know.
            ProduceRequest::KEY => (api.min_version, api.max_version) = (90, 99),
            _ => {}
        }
    }
    let serve = async {
        let mut peer = broker.accept().await;
        let asked = peer.expect::<ApiVersionsRequest>().await;
        assert_eq!(asked.version, ApiVersionsRequest::MAX_VERSION);
        assert_eq!(asked.request.client_software_name, "ottla");
        let mut refusal = known.clone();
        refusal.error_code = ErrorCode::UnsupportedVersion.code();
        peer.answer(
            &Asked {
                version: 0,
                ..asked
            },
            &refusal,
        )
        .await;
        let asked = peer.expect::<ApiVersionsRequest>().await;
        assert_eq!(asked.version, 2);
        peer.answer(&asked, &known).await;
    };
    let connect = async {
        let mut client = Client::connect(broker.options(PATIENCE)).await.unwrap();
        assert_eq!(client.version_of::<FetchRequest>().await.unwrap(), 12);
        assert_eq!(client.version_of::<MetadataRequest>().await.unwrap(), 13);
        let produce = client.version_of::<ProduceRequest>().await;
        assert!(
            matches!(produce, Err(ClientError::Unsupported { api: "Produce" })),
            "{produce:?}"
        );
    };
    tokio::join!(serve, connect);
}

#[tokio::test]
async fn nobody_listens() {
    let options = Broker::start().await.options(PATIENCE);
    let error = Client::connect(options).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_silent_broker_is_waited_for_only_so_long() {
    let broker = Broker::start().await;
    let silent = async {
        let mut peer = broker.welcome().await;
        let _unanswered = peer.expect::<MetadataRequest>().await;
        peer
    };
    let ask = async {
        let mut options = broker.options(PATIENCE);
        options.timeout = SHORT.max(Duration::from_millis(500));
        let mut client = Client::connect(options).await.unwrap();
        client.list_topics().await.unwrap_err()
    };
    let (_peer, error) = tokio::join!(silent, ask);
    assert!(
        matches!(
            error,
            ClientError::Timeout {
                doing: "Metadata",
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.is_transport() && error.is_retriable());
}

#[tokio::test]
async fn a_closed_connection_is_made_anew_by_the_next_question() {
    let broker = Broker::start().await;
    let serve = async {
        let mut peer = broker.welcome().await;
        let _unanswered = peer.expect::<MetadataRequest>().await;
        drop(peer);
        let mut peer = broker.welcome().await;
        let asked = peer.expect::<MetadataRequest>().await;
        peer.answer(&asked, &MetadataResponse::default()).await;
    };
    let ask = async {
        let mut client = Client::connect(broker.options(PATIENCE)).await.unwrap();
        let error = client.list_topics().await.unwrap_err();
        assert!(
            matches!(
                error,
                ClientError::Closed {
                    doing: "Metadata",
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(client.list_topics().await.unwrap(), []);
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn other_protocols_and_nonsense_are_recognised() {
    let mut wrong_number = Writer::new();
    ResponseHeader { correlation_id: 77 }.encode(&mut wrong_number, ApiVersionsRequest::KEY, 0);
    let wrong_number = wrong_number.into_inner();
    let framed = |body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [length.as_slice(), body].concat()
    };
    let cases: [(&str, Vec<u8>, &str); 4] = [
        (
            "HTTP",
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            "limit",
        ),
        (
            "a negative length",
            vec![0xff, 0xff, 0xff, 0xff],
            "negative",
        ),
        ("an answer to something else", framed(&wrong_number), "77"),
        (
            "half an answer",
            framed(&[0, 0, 0, 0, 0, 0, 9]),
            "ApiVersions",
        ),
    ];
    for (what, bytes, expected) in cases {
        let broker = Broker::start().await;
        let answer = async {
            let mut peer = broker.accept().await;
            let _request = peer.frame().await;
            peer.stream.write_all(&bytes).await.unwrap();
            peer
        };
        let (_peer, outcome) = tokio::join!(answer, Client::connect(broker.options(PATIENCE)));
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, ClientError::Protocol { .. }),
            "{what}: {error:?}"
        );
        assert!(error.to_string().contains(expected), "{what}: {error}");
        assert!(!error.is_retriable(), "{what}");
    }
}

#[tokio::test]
async fn refusals_carry_code_and_message() {
    use kafka_client::NewTopic;
    use kafka_wire::messages::create_topics::{
        CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
    };
    let cases = [
        (
            36,
            Some("there already"),
            ErrorCode::TopicAlreadyExists,
            "there already",
        ),
        (37, None, ErrorCode::InvalidPartitions, "INVALID_PARTITIONS"),
        (9999, None, ErrorCode::UnknownServerError, "9999"),
    ];
    for (error_code, message, code, text) in cases {
        let broker = Broker::start().await;
        let serve = async {
            let mut peer = broker.welcome().await;
            let asked = peer.expect::<CreateTopicsRequest>().await;
            assert_eq!(asked.request.topics[0].num_partitions, -1);
            let result = CreatableTopicResult {
                name: "orders".into(),
                error_code,
                error_message: message.map(Into::into),
                ..Default::default()
            };
            let response = CreateTopicsResponse {
                topics: vec![result],
                ..Default::default()
            };
            peer.answer(&asked, &response).await;
        };
        let ask = async {
            let mut client = Client::connect(broker.options(PATIENCE)).await.unwrap();
            let topic = NewTopic {
                name: "orders".to_owned(),
                ..Default::default()
            };
            client.create_topic(&topic).await.unwrap_err()
        };
        let ((), error) = tokio::join!(serve, ask);
        assert_eq!(error.code(), Some(code));
        assert!(error.to_string().contains(text), "{error}");
        assert!(!error.is_transport());
    }
}
