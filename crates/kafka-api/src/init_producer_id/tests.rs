//! A fresh id each time, and what is refused.

use super::*;
use crate::harness::Harness;

const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;
/// First version in which a producer tells its id and epoch.
const TELLS_FROM: i16 = 3;

fn code(response: &InitProducerIdResponse) -> ErrorCode {
    ErrorCode::from_code(response.error_code).expect("a code of Kafka")
}

#[tokio::test]
async fn ids_are_given_once() {
    let harness = Harness::new().await;
    let mut given = std::collections::BTreeSet::new();
    for version in VERSIONS {
        for transaction_timeout_ms in [60_000, 0, -1] {
            let request = InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms,
                ..Default::default()
            };
            let response = harness.ask(version, &request).await;
            assert_eq!(
                (code(&response), response.producer_epoch),
                (ErrorCode::None, 0)
            );
            assert!(response.producer_id >= 0);
            assert!(given.insert(response.producer_id), "v{version}");
        }
    }
}

#[tokio::test]
async fn refusals_and_known_ids() {
    let harness = Harness::new().await;
    let cases = [
        (Some(""), -1, -1, ErrorCode::InvalidRequest),
        (
            Some("tx"),
            -1,
            -1,
            ErrorCode::TransactionalIdAuthorizationFailed,
        ),
        (
            Some("tx"),
            7,
            3,
            ErrorCode::TransactionalIdAuthorizationFailed,
        ),
        (None, 7, -1, ErrorCode::InvalidRequest),
        (None, -1, 3, ErrorCode::InvalidRequest),
        (None, 7, 3, ErrorCode::None),
    ];
    for (transactional_id, producer_id, producer_epoch, expected) in cases {
        for version in VERSIONS {
            if version < TELLS_FROM && (producer_id, producer_epoch) != (-1, -1) {
                continue;
            }
            let request = InitProducerIdRequest {
                transactional_id: transactional_id.map(Into::into),
                producer_id,
                producer_epoch,
                ..Default::default()
            };
            let response = harness.ask(version, &request).await;
            assert_eq!(code(&response), expected, "{request:?} v{version}");
            if expected != ErrorCode::None {
                assert_eq!((response.producer_id, response.producer_epoch), (-1, -1));
            } else {
                assert_ne!(
                    response.producer_id, producer_id,
                    "an id is never taken over"
                );
            }
        }
    }
}
