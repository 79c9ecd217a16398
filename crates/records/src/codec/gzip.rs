//! gzip: one or more members, the checksum of each verified.

use std::io::Write;

use bytes::{BufMut, BytesMut};
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Codec, CompressResult, Decompress, fill_from};
use crate::budget::DecodeBudget;
use crate::error::BatchError;

pub(super) struct Gunzip<'a> {
    reader: MultiGzDecoder<&'a [u8]>,
}

impl<'a> Gunzip<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self {
            reader: MultiGzDecoder::new(body),
        }
    }
}

impl Decompress for Gunzip<'_> {
    fn fill(&mut self, out: &mut Vec<u8>, budget: &mut DecodeBudget) -> Result<bool, BatchError> {
        fill_from(Codec::Gzip, &mut self.reader, out, budget)
    }
}

pub(super) fn compress(body: &[u8], out: &mut BytesMut) -> CompressResult {
    let mut encoder = GzEncoder::new(out.writer(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish()?;
    Ok(())
}
