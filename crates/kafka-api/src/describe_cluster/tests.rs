//! The node, and the endpoints that this is not.

use super::*;
use crate::harness::Harness;

#[tokio::test]
async fn the_node_in_every_version() {
    let harness = Harness::new().await;
    for version in 0..=2 {
        for asks in [false, true] {
            let request = DescribeClusterRequest {
                include_cluster_authorized_operations: asks,
                include_fenced_brokers: version >= 2 && asks,
                ..Default::default()
            };
            let response = harness.ask(version, &request).await;
            let node = DescribeClusterBroker {
                broker_id: 1,
                host: "localhost".into(),
                port: 9092,
                rack: None,
                is_fenced: false,
            };
            assert_eq!((response.error_code, response.brokers), (0, vec![node]));
            assert_eq!(response.cluster_id, harness.broker().cluster_id());
            assert_eq!(
                (response.controller_id, response.endpoint_type),
                (1, BROKERS)
            );
            let operations = response.cluster_authorized_operations;
            assert_eq!(operations, if asks { 8096 } else { i32::MIN });
        }
    }
}

#[tokio::test]
async fn other_endpoints() {
    let harness = Harness::new().await;
    let cases = [
        (CONTROLLERS, ErrorCode::MismatchedEndpointType),
        (9, ErrorCode::UnsupportedEndpointType),
        (0, ErrorCode::UnsupportedEndpointType),
        (-1, ErrorCode::UnsupportedEndpointType),
    ];
    for (endpoint_type, expected) in cases {
        for version in 1..=2 {
            let request = DescribeClusterRequest {
                endpoint_type,
                ..Default::default()
            };
            let response = harness.ask(version, &request).await;
            assert_eq!(response.error_code, expected.code(), "{endpoint_type}");
            assert!(response.error_message.is_some() && response.brokers.is_empty());
            assert_eq!(
                (response.controller_id, response.endpoint_type),
                (-1, BROKERS)
            );
            assert_eq!(response.cluster_id, "");
        }
    }
}
