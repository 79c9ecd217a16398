//! What is announced, to whom, and what a wrong handshake gets.

use kafka_wire::messages::api_versions::ApiVersionsRequest;
use kafka_wire::{ErrorCode, Message};

use super::*;
use crate::harness::{CORRELATION_ID, Harness, decode, frame};

fn request(name: &str) -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: name.into(),
        client_software_version: "1.0".into(),
        ..Default::default()
    }
}

fn for_version(version: i16) -> ApiVersionsRequest {
    if version >= NAMES_SOFTWARE_FROM {
        request("prober")
    } else {
        ApiVersionsRequest::default()
    }
}

#[tokio::test]
async fn the_table_is_announced_in_every_version() {
    let harness = Harness::new().await;
    let expected: Vec<ApiVersion> = TABLE.iter().map(window).collect();
    for version in 0..=5 {
        let response = harness.ask(version, &for_version(version)).await;
        assert_eq!(response.error_code, 0, "v{version}");
        assert_eq!(response.api_keys, expected, "v{version}");
        let told = (version >= 3, version >= 4);
        let epoch = if told.0 { 0 } else { -1 };
        assert_eq!(response.finalized_features_epoch, epoch, "v{version}");
        let levels = response.finalized_features.iter();
        let levels: Vec<_> = levels
            .map(|feature| (feature.name.as_str(), feature.max_version_level))
            .collect();
        let expected: &[(&str, i16)] = if told.0 { &[("group.version", 1)] } else { &[] };
        assert_eq!(levels, expected, "v{version}");
        let supported = response.supported_features.len();
        assert_eq!(supported, usize::from(told.1), "v{version}");
    }
}

#[tokio::test]
async fn an_unknown_version_is_answered_in_version_0_with_one_row() {
    let harness = Harness::new().await;
    for version in [6_i16, 99, i16::MAX, -1, i16::MIN] {
        let mut bytes = frame(5, CORRELATION_ID, &request("prober"));
        bytes[2..4].copy_from_slice(&version.to_be_bytes());
        let answer = harness.answer(bytes).await.expect("is answered");
        let answer = answer.expect("with a response");
        assert_eq!(answer.len(), 4 + 4 + 12, "v{version}");
        let (correlation_id, response) = decode::<ApiVersionsRequest>(&answer, 0);
        assert_eq!(correlation_id, CORRELATION_ID);
        assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
        let own = ApiVersion {
            api_key: ApiVersionsRequest::KEY,
            min_version: 0,
            max_version: 5,
        };
        assert_eq!(response.api_keys, [own], "v{version}");
    }
}

#[tokio::test]
async fn software_names() {
    let harness = Harness::new().await;
    let cases = [
        ("apache-kafka-java", true),
        ("a", true),
        ("a.b-c9", true),
        ("", false),
        ("no spaces!", false),
        ("-a", false),
        ("a-", false),
        (".a", false),
        ("größe", false),
    ];
    for (name, accepted) in cases {
        for version in NAMES_SOFTWARE_FROM..=5 {
            for request in [
                request(name),
                ApiVersionsRequest {
                    client_software_name: "prober".into(),
                    client_software_version: name.into(),
                    ..Default::default()
                },
            ] {
                let response = harness.ask(version, &request).await;
                let (code, rows) = (response.error_code, response.api_keys.len());
                let expected = if accepted {
                    (0, TABLE.len())
                } else {
                    (ErrorCode::InvalidRequest.code(), 0)
                };
                assert_eq!((code, rows), expected, "{name:?} v{version}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_means_another_broker_is_told() {
    let harness = Harness::new().await;
    let ours = harness.broker().cluster_id().to_owned();
    let node = harness.broker().config().node_id;
    let other = "AAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let cases = [
        (None, -1, ErrorCode::None),
        (Some(&ours), node, ErrorCode::None),
        (Some(&other), node, ErrorCode::RebootstrapRequired),
        (Some(&ours), node + 7, ErrorCode::RebootstrapRequired),
        (Some(&ours), -1, ErrorCode::InvalidRequest),
        (None, node, ErrorCode::InvalidRequest),
    ];
    for (cluster_id, node_id, expected) in cases {
        let request = ApiVersionsRequest {
            cluster_id: cluster_id.map(Into::into),
            node_id,
            ..request("prober")
        };
        let response = harness.ask(5, &request).await;
        assert_eq!(
            response.error_code,
            expected.code(),
            "{cluster_id:?} {node_id}"
        );
        assert_eq!(response.api_keys.is_empty(), expected != ErrorCode::None);
    }
}
