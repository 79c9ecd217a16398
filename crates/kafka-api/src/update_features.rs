//! UpdateFeatures (KIP-584): there is no feature whose level could be changed, as ApiVersions says.

use kafka_wire::ErrorCode;
use kafka_wire::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::Context;
use crate::error::error_message;

pub(crate) async fn handle(
    _context: Context,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let Some(first) = request.feature_updates.first() else {
        return UpdateFeaturesResponse::default();
    };
    let message = format!(
        "Invalid update version {} for feature {}: this broker has no features to update",
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
