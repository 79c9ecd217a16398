//! Request and response headers.
//!
//! A request header is borrowed from its frame and says where the body begins. The client id is
//! never compact, in any version. It must not know bodies.

use crate::api::{request_header_version, response_header_version};
use crate::cursor::Cursor;
use crate::error::{DecodeError, EncodeError, InField};
use crate::writer::Writer;

/// What stands before every request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// Which API.
    pub api_key: i16,
    /// Which version of it.
    pub api_version: i16,
    /// Returned in the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<&'a str>,
}

/// A header that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The bytes are malformed.
    #[error("request header: {0}")]
    Malformed(#[from] DecodeError),
    /// The API key is not known, so the form of the header is not known either.
    #[error("unknown api key {api_key} (version {api_version}, correlation id {correlation_id})")]
    UnknownApi {
        api_key: i16,
        api_version: i16,
        correlation_id: i32,
    },
}

impl<'a> RequestHeader<'a> {
    /// Reads the header at the start of a frame; also gives the position of the body.
    pub fn parse(frame: &'a [u8]) -> Result<(Self, usize), HeaderError> {
        let mut cursor = Cursor::new(frame, 0);
        let api_key = cursor.int16().field("request_api_key")?;
        let api_version = cursor.int16().field("request_api_version")?;
        let correlation_id = cursor.int32().field("correlation_id")?;
        let header_version =
            request_header_version(api_key, api_version).ok_or(HeaderError::UnknownApi {
                api_key,
                api_version,
                correlation_id,
            })?;
        let client_id = cursor.nullable_string(false).field("client_id")?;
        if header_version >= 2 {
            cursor.skip_tagged_fields().field("header tags")?;
        }
        Ok((
            Self {
                api_key,
                api_version,
                correlation_id,
                client_id,
            },
            cursor.position(),
        ))
    }

    /// Writes the header in the form that its API and version want; an unknown API gets version 1.
    pub fn encode(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.int16(self.api_key);
        writer.int16(self.api_version);
        writer.int32(self.correlation_id);
        writer
            .nullable_string(false, self.client_id)
            .field("client_id")?;
        if request_header_version(self.api_key, self.api_version).is_some_and(|v| v >= 2) {
            writer.no_tagged_fields();
        }
        Ok(())
    }
}

/// What stands before every response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The number from the request.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Reads the header of the response to a request of this API and version; also gives the
    /// position of the body. An unknown API is read as version 0.
    pub fn parse(frame: &[u8], key: i16, version: i16) -> Result<(Self, usize), DecodeError> {
        let mut cursor = Cursor::new(frame, 0);
        let correlation_id = cursor.int32().field("correlation_id")?;
        if response_header_version(key, version).is_some_and(|v| v >= 1) {
            cursor.skip_tagged_fields().field("header tags")?;
        }
        Ok((Self { correlation_id }, cursor.position()))
    }

    /// Writes the header of the response to a request of this API and version.
    pub fn encode(self, writer: &mut Writer, key: i16, version: i16) {
        writer.int32(self.correlation_id);
        if response_header_version(key, version).is_some_and(|v| v >= 1) {
            writer.no_tagged_fields();
        }
    }
}
