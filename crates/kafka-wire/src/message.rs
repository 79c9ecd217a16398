//! What all generated messages have in common.
//!
//! A message knows its API key and its window of versions and refuses versions outside of it.

use crate::error::{DecodeError, DecodeFault, EncodeError, EncodeFault};
use crate::reader::Reader;
use crate::writer::Writer;

/// A request or a response body.
pub trait Message: Sized + Default + Clone + PartialEq + std::fmt::Debug {
    /// Kafka's name, for example `FetchRequest`.
    const NAME: &'static str;
    /// The API key.
    const KEY: i16;
    /// The oldest version.
    const MIN_VERSION: i16;
    /// The newest version.
    const MAX_VERSION: i16;
    /// The first version with compact lengths and tagged fields; `i16::MAX` if there is none.
    const FIRST_FLEXIBLE: i16;

    /// Reads a message. Bytes behind it stay unread.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Writes a message. A field that the version does not carry must have its default, unless it
    /// is ignorable.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Whether the version is in the window.
    fn supports(version: i16) -> bool {
        (Self::MIN_VERSION..=Self::MAX_VERSION).contains(&version)
    }

    /// Refuses to decode a version outside of the window.
    fn check_decode(version: i16) -> Result<(), DecodeError> {
        let (min, max) = (Self::MIN_VERSION, Self::MAX_VERSION);
        if Self::supports(version) {
            return Ok(());
        }
        Err(DecodeError::new(
            0,
            DecodeFault::Version { version, min, max },
        ))
    }

    /// Refuses to encode a version outside of the window.
    fn check_encode(version: i16) -> Result<(), EncodeError> {
        let (min, max) = (Self::MIN_VERSION, Self::MAX_VERSION);
        if Self::supports(version) {
            return Ok(());
        }
        Err(EncodeError::new(EncodeFault::Version { version, min, max }))
    }
}

/// A request and the response that answers it.
pub trait Request: Message {
    /// What answers this request.
    type Response: Message;
}
