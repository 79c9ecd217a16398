//! gzip: one or more members, the checksum of each verified.

use std::io;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Codec, Compress, Decompress, Limited, fill_from};
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

/// Level 1 to 9; everything else is the default, as -1 is in Kafka.
pub(super) fn compressor(level: Option<i32>, out: Limited<'_>) -> GzEncoder<Limited<'_>> {
    let level = level.and_then(|level| u32::try_from(level).ok());
    let level = level.filter(|level| (1..=9).contains(level));
    GzEncoder::new(
        out,
        level.map_or_else(Compression::default, Compression::new),
    )
}

impl Compress for GzEncoder<Limited<'_>> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        GzEncoder::finish(*self).map(drop)
    }
}
