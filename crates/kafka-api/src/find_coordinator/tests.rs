//! Who coordinates what, and what nobody does.

use super::*;
use crate::harness::Harness;

#[tokio::test]
async fn this_node_coordinates_groups_and_nothing_else() {
    let harness = Harness::new().await;
    let none = ErrorCode::None;
    let refused = ErrorCode::TransactionalIdAuthorizationFailed;
    for version in 0..=6 {
        for (kind, expected) in [
            (GROUP, none),
            (TRANSACTION, refused),
            (SHARE, ErrorCode::InvalidRequest),
            (9, ErrorCode::InvalidRequest),
        ] {
            if version == 0 && kind != GROUP {
                continue;
            }
            let mut request = FindCoordinatorRequest {
                key_type: kind,
                ..Default::default()
            };
            if version >= BATCHED_FROM {
                request.coordinator_keys = vec!["a".into(), "a/b".into()];
            } else {
                request.key = "a".into();
            }
            let response = harness.ask(version, &request).await;
            let mut rows = vec![(response.error_code, response.node_id, response.port)];
            if version >= BATCHED_FROM {
                let coordinators = response.coordinators.iter();
                rows = coordinators
                    .map(|c| (c.error_code, c.node_id, c.port))
                    .collect();
                assert_eq!(rows.len(), 2);
            }
            for row in rows {
                let place = if expected == none {
                    (1, 9092)
                } else {
                    (-1, -1)
                };
                let due = (expected.code(), place.0, place.1);
                assert_eq!(row, due, "kind {kind} v{version}");
            }
        }
    }
}
