//! A response as a list of segments whose sizes are known before the first byte leaves.
//!
//! Bytes made here share one allocation; record chunks, in memory or in a file, are only named. The
//! length prefix is exact because every chunk states its length. It must not know what a chunk is.

use crate::error::{EncodeError, EncodeFault};
use crate::frames::PREFIX_BYTES;
use crate::header::ResponseHeader;
use crate::writer::{LENGTH_MAX, Writer};
use bytes::{Bytes, BytesMut};

/// A piece of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment<T> {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes that the sender gets from elsewhere.
    External { chunk: T, length: usize },
}

/// A complete response frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response<T> {
    /// The pieces in order, none of them empty.
    pub segments: Vec<Segment<T>>,
    /// Length of all pieces, the length prefix included.
    pub length: usize,
}

/// Collects a response.
#[derive(Debug)]
pub struct ResponseWriter<T> {
    writer: Writer,
    externals: Vec<External<T>>,
    external_bytes: usize,
}

/// A chunk and the place in the written bytes that it follows.
#[derive(Debug)]
struct External<T> {
    after: usize,
    chunk: T,
    length: usize,
}

impl<T> ResponseWriter<T> {
    /// Starts a response with room for the length prefix and the response header.
    pub fn new(header: ResponseHeader, api_key: i16, api_version: i16) -> Self {
        let mut writer = Writer::new();
        writer.raw(&[0; PREFIX_BYTES]);
        header.encode(&mut writer, api_key, api_version);
        Self {
            writer,
            externals: Vec::new(),
            external_bytes: 0,
        }
    }

    /// Where bytes in memory are written.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Adds a chunk behind what is written; an empty one is dropped.
    pub fn external(&mut self, chunk: T, length: usize) {
        if length == 0 {
            return;
        }
        self.externals.push(External {
            after: self.writer.len(),
            chunk,
            length,
        });
        self.external_bytes = self.external_bytes.saturating_add(length);
    }

    /// Sets the length prefix and cuts the bytes into segments.
    pub fn finish(self) -> Result<Response<T>, EncodeError> {
        let mut buffer: BytesMut = self.writer.into_inner();
        let length = buffer.len().saturating_add(self.external_bytes);
        let body = length.saturating_sub(PREFIX_BYTES);
        let too_long = EncodeError::new(EncodeFault::TooLong {
            length: body,
            limit: LENGTH_MAX,
        });
        let prefix = i32::try_from(body).map_err(|_too_wide| too_long)?;
        if let Some(place) = buffer.first_chunk_mut::<PREFIX_BYTES>() {
            *place = prefix.to_be_bytes();
        }
        let mut rest = buffer.freeze();
        let mut segments = Vec::with_capacity(self.externals.len().saturating_mul(2));
        let mut cut = 0;
        for External {
            after,
            chunk,
            length,
        } in self.externals
        {
            let head = rest.split_to(after.saturating_sub(cut));
            cut = after;
            if !head.is_empty() {
                segments.push(Segment::Bytes(head));
            }
            segments.push(Segment::External { chunk, length });
        }
        if !rest.is_empty() {
            segments.push(Segment::Bytes(rest));
        }
        Ok(Response { segments, length })
    }
}
