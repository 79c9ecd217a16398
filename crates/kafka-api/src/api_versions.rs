//! ApiVersions: what this broker speaks, straight from the table (KIP-35, KIP-511, KIP-1242).

use kafka_wire::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use kafka_wire::{ErrorCode, Message};

use crate::Context;
use crate::dispatch::{Answer, Entry, TABLE, encode};

/// First version in which the client says what software it is.
const NAMES_SOFTWARE_FROM: i16 = 3;
/// First version that may tell of a feature whose lowest level is 0.
const LEVEL_0_FROM: i16 = 4;
/// The levels never change while the broker runs.
const FEATURES_EPOCH: i64 = 0;

/// What a broker can do beyond versions of requests (KIP-584).
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    /// The level that it is at, which is the highest.
    pub(crate) level: i16,
}

/// All of them.
pub(crate) const FEATURES: [Feature; 1] = [Feature {
    // The new protocol of consumer groups (KIP-848).
    name: "group.version",
    level: 1,
}];

/// First version in which the client may say which cluster and node it means.
const NAMES_TARGET_FROM: i16 = 5;

pub(crate) async fn handle(context: Context, request: ApiVersionsRequest) -> ApiVersionsResponse {
    let error = check(&context, &request);
    if error != ErrorCode::None {
        return ApiVersionsResponse {
            error_code: error.code(),
            ..Default::default()
        };
    }
    let (supported_features, finalized_features) = features(context.version);
    ApiVersionsResponse {
        api_keys: TABLE.iter().map(window).collect(),
        supported_features,
        finalized_features,
        finalized_features_epoch: FEATURES_EPOCH,
        ..Default::default()
    }
}

/// What this broker can do beyond versions of requests, and at which level it does it. Older Java
/// clients cannot read a feature whose lowest level is 0 (KAFKA-17011), so they are not told what
/// is supported, as in Kafka.
fn features(version: i16) -> (Vec<SupportedFeatureKey>, Vec<FinalizedFeatureKey>) {
    let supported = FEATURES.iter().map(|feature| SupportedFeatureKey {
        name: feature.name.into(),
        min_version: 0,
        max_version: feature.level,
    });
    let finalized = FEATURES.iter().map(|feature| FinalizedFeatureKey {
        name: feature.name.into(),
        max_version_level: feature.level,
        min_version_level: feature.level,
    });
    let tells_supported = version >= LEVEL_0_FROM;
    let supported = supported.filter(|_| tells_supported);
    (supported.collect(), finalized.collect())
}

/// The answer to a version that nobody knows yet: version 0, with the window of this API, so that
/// the client can ask again.
pub(crate) fn unsupported_version(correlation_id: i32) -> Answer {
    let own = TABLE
        .iter()
        .filter(|entry| entry.key == ApiVersionsRequest::KEY);
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: own.map(window).collect(),
        ..Default::default()
    };
    Box::pin(async move { encode(&response, ApiVersionsRequest::KEY, 0, correlation_id).map(Some) })
}

fn window(entry: &Entry) -> ApiVersion {
    ApiVersion {
        api_key: entry.key,
        min_version: entry.advertised_min,
        max_version: entry.max,
    }
}

fn check(context: &Context, request: &ApiVersionsRequest) -> ErrorCode {
    if context.version >= NAMES_SOFTWARE_FROM {
        let names = [
            &request.client_software_name,
            &request.client_software_version,
        ];
        if !names.iter().all(|name| is_software_name(name)) {
            return ErrorCode::InvalidRequest;
        }
    }
    if context.version >= NAMES_TARGET_FROM {
        let node = (request.node_id != -1).then_some(request.node_id);
        match (&request.cluster_id, node) {
            (None, None) => {}
            (Some(cluster), Some(node)) => {
                let ours = cluster.as_str() == context.broker().cluster_id();
                if !ours || node != context.broker().config().node_id {
                    return ErrorCode::RebootstrapRequired;
                }
            }
            (Some(_), None) | (None, Some(_)) => return ErrorCode::InvalidRequest,
        }
    }
    ErrorCode::None
}

/// KIP-511: `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
fn is_software_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter()
        .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

#[cfg(test)]
mod tests;
