//! Kafka's wire format: frames, primitives, generated messages, borrowed views, segment lists.
//!
//! Every count and length that comes from the network is checked against the bytes that remain
//! before anything is allocated, and what a decoder allocates in all is bounded by the size of its
//! frame. Decoders never panic. No I/O, no clock, no broker: bytes in, values out, and back.

#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "tests may panic"
    )
)]

mod api;
mod cursor;
mod error;
mod error_code;
mod fetch_response;
pub mod frames;
mod header;
mod message;
pub mod messages;
mod reader;
mod segments;
mod uuid;
pub mod views;
mod wire_string;
mod writer;

pub use api::{Api, api, request_header_version, response_header_version};
pub use cursor::Cursor;
pub use error::{DecodeError, DecodeFault, EncodeError, EncodeFault, InField};
pub use error_code::ErrorCode;
pub use fetch_response::FetchResponseWriter;
pub use header::{HeaderError, RequestHeader, ResponseHeader};
pub use message::{Message, Request};
pub use reader::{Reader, SLACK_BYTES};
pub use segments::{Response, ResponseWriter, Segment};
pub use uuid::Uuid;
pub use wire_string::WireString;
pub use writer::{TaggedFields, Writer};
