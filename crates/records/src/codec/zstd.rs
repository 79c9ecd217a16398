//! Zstandard: one or more frames, with a cap on the window.
//!
//! The window is memory that a frame asks for before it gives a byte. The format recommends that
//! every decoder takes 8 MiB; more than that is refused here.

use std::io::{Read, Write};

use bytes::{BufMut, BytesMut};
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use super::{Codec, CompressResult, Decompress, fill_from};
use crate::budget::DecodeBudget;
use crate::error::BatchError;

/// Largest window as a power of two: 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;

pub(super) struct Unzstd<'a> {
    reader: Decoder<'static, &'a [u8]>,
}

impl<'a> Unzstd<'a> {
    pub(super) fn new(body: &'a [u8]) -> Result<Self, BatchError> {
        let mut reader = Decoder::with_buffer(body).map_err(|error| Codec::Zstd.bad(error))?;
        reader
            .window_log_max(WINDOW_LOG_MAX)
            .map_err(|error| Codec::Zstd.bad(error))?;
        Ok(Self { reader })
    }
}

impl Decompress for Unzstd<'_> {
    fn fill(&mut self, out: &mut Vec<u8>, budget: &mut DecodeBudget) -> Result<bool, BatchError> {
        fill_from(Codec::Zstd, self.reader.by_ref(), out, budget)
    }
}

pub(super) fn compress(body: &[u8], out: &mut BytesMut) -> CompressResult {
    let mut encoder = Encoder::new(out.writer(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
    encoder.write_all(body)?;
    encoder.finish()?;
    Ok(())
}
