//! What there is stays as it is.

use kafka_wire::messages::update_features::FeatureUpdateKey;

use super::*;
use crate::harness::Harness;

#[tokio::test]
async fn a_feature_stays_at_its_level() {
    let harness = Harness::new().await;
    for version in 0..=2 {
        let named = |feature: &str| FeatureUpdateKey {
            feature: feature.into(),
            max_version_level: 1,
            ..Default::default()
        };
        let invalid = ErrorCode::InvalidUpdateVersion;
        for (features, code) in [
            (vec![], ErrorCode::None),
            (vec![named("group.version")], ErrorCode::None),
            (vec![named("group.version"), named("x")], invalid),
            (vec![named("metadata.version")], invalid),
            (vec![named(""), named("x")], invalid),
        ] {
            let request = UpdateFeaturesRequest {
                feature_updates: features,
                ..Default::default()
            };
            let response = harness.ask(version, &request).await;
            assert_eq!(response.error_code, code.code());
        }
    }
}
