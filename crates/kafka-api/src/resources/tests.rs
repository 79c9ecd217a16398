//! Which resources are listed.

use super::*;
use crate::harness::Harness;

#[tokio::test]
async fn resources_are_listed_by_type() {
    const NONE: ErrorCode = ErrorCode::None;
    type Listed = &'static [(&'static str, i8)];
    let harness = Harness::new().await;
    harness.topic("a", 1).await;
    harness.topic("b", 1).await;
    let topics_and_broker: Listed = &[("a", TOPIC), ("b", TOPIC), ("1", BROKER)];
    let cases: [(i16, &[i8], ErrorCode, Listed); 8] = [
        (0, &[], NONE, &[]),
        (1, &[], NONE, topics_and_broker),
        (1, &[TOPIC], NONE, &[("a", TOPIC), ("b", TOPIC)]),
        (1, &[TOPIC, TOPIC], NONE, &[("a", TOPIC), ("b", TOPIC)]),
        (1, &[BROKER], NONE, &[("1", BROKER)]),
        (1, &[BROKER, TOPIC], NONE, topics_and_broker),
        (1, &[8, 16, 32], NONE, &[]),
        (1, &[TOPIC, 99], ErrorCode::UnsupportedVersion, &[]),
    ];
    for (version, types, code, listed) in cases {
        let request = ListConfigResourcesRequest {
            resource_types: types.to_vec(),
        };
        let response = harness.ask(version, &request).await;
        assert_eq!(response.error_code, code.code(), "{types:?}");
        let rows: Vec<_> = response
            .config_resources
            .iter()
            .map(|row| (row.resource_name.as_str(), row.resource_type))
            .collect();
        assert_eq!(rows, listed, "{types:?}");
    }
}
