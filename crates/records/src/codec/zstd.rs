//! Zstandard: one or more frames, with a cap on the window.
//!
//! The window is memory that a frame asks for before it gives a byte. The format recommends that
//! every decoder takes 8 MiB; more than that is refused here.

use std::io::{self, Read};

use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use super::{Codec, Compress, Decompress, Limited, fill_from};
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

/// The highest level whose window is not above [`WINDOW_LOG_MAX`], whatever the size.
const LEVEL_WITHIN_WINDOW: i32 = 19;

/// The encoder takes its tables by the size of the body, so the highest levels cost megabytes for a
/// batch of usual size and not their hundreds.
pub(super) fn compressor(
    level: Option<i32>,
    body_bytes: usize,
    out: Limited<'_>,
) -> io::Result<Encoder<'static, Limited<'_>>> {
    let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
    let mut encoder = Encoder::new(out, level)?;
    encoder.set_pledged_src_size(u64::try_from(body_bytes).ok())?;
    if level > LEVEL_WITHIN_WINDOW && body_bytes > 1 << WINDOW_LOG_MAX {
        encoder.window_log(WINDOW_LOG_MAX)?;
    }
    Ok(encoder)
}

impl Compress for Encoder<'static, Limited<'_>> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        Encoder::finish(*self).map(drop)
    }
}
