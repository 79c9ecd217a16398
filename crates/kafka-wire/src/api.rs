//! Facts about an API, and the header versions that follow from them.
//!
//! The list of APIs is generated from the schemas. What a broker advertises is not decided here.

use crate::message::Message;
use crate::messages::{APIS, ApiVersionsRequest};

/// One API of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Api {
    /// The API key.
    pub key: i16,
    /// Kafka's name, for example `Fetch`.
    pub name: &'static str,
    /// The oldest version.
    pub version_min: i16,
    /// The newest version.
    pub version_max: i16,
    /// The first request version with tagged fields; `i16::MAX` if there is none.
    pub request_flexible_from: i16,
    /// The first response version with tagged fields; `i16::MAX` if there is none.
    pub response_flexible_from: i16,
}

/// The API with a key, if this crate knows it.
pub fn api(key: i16) -> Option<&'static Api> {
    APIS.iter().find(|api| api.key == key)
}

/// The version of the request header: 2 in flexible versions, else 1. `None` for unknown keys.
///
/// A version outside of the window has an answer too, because an ApiVersions request of a newer
/// client must be readable as far as its header goes.
pub fn request_header_version(key: i16, version: i16) -> Option<i16> {
    let api = api(key)?;
    Some(if version >= api.request_flexible_from {
        2
    } else {
        1
    })
}

/// The version of the response header: 1 in flexible versions, else 0. `None` for unknown keys.
///
/// ApiVersions always has 0, so that a client can read the answer before versions are agreed.
pub fn response_header_version(key: i16, version: i16) -> Option<i16> {
    let api = api(key)?;
    if key == ApiVersionsRequest::KEY {
        return Some(0);
    }
    Some(i16::from(version >= api.response_flexible_from))
}
