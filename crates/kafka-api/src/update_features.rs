//! UpdateFeatures (KIP-584): every feature is at its highest level, as ApiVersions says, and stays
//! there.

use kafka_wire::ErrorCode;
use kafka_wire::messages::update_features::FeatureUpdateKey;
use kafka_wire::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::Context;
use crate::api_versions::FEATURES;
use crate::error::error_message;

pub(crate) async fn handle(
    _context: Context,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let stays = |update: &FeatureUpdateKey| {
        let mut known = FEATURES.iter();
        known.any(|known| update.feature == known.name && update.max_version_level == known.level)
    };
    let Some(first) = request.feature_updates.iter().find(|update| !stays(update)) else {
        return UpdateFeaturesResponse::default();
    };
    let known = FEATURES.iter().find(|known| first.feature == known.name);
    let why = match known {
        Some(known) => format!("it is at level {} and stays there", known.level),
        None => "this broker does not have it".to_owned(),
    };
    let message = format!(
        "Invalid update version {} for feature {}: {why}",
        first.max_version_level,
        first.feature.as_str()
    );
    UpdateFeaturesResponse {
        error_code: ErrorCode::InvalidUpdateVersion.code(),
        error_message: Some(error_message(&message)),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
