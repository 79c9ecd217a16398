//! Snappy, raw or in Xerial's framing.
//!
//! Xerial's framing, which Java writes: 16 bytes of head (82 "SNAPPY" 00, version, oldest
//! compatible version), then blocks of `[length i32][raw Snappy]`. Heads may repeat, as they do
//! when streams are joined. Everything else is one raw block: no raw block can begin like a head,
//! because its third byte would copy from before the start.

use std::io::{self, Write};

use snap::raw::{Decoder, Encoder, decompress_len};

use super::{Codec, Compress, Decompress, Limited, append, split, split_array};
use crate::budget::DecodeBudget;
use crate::error::BatchError;

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const VERSION: i32 = 1;
const VERSIONS_BYTES: usize = 2 * size_of::<i32>();
/// Block size of Java's encoder.
const BLOCK_BYTES: usize = 32 * 1024;
/// A copy of 3 bytes gives at most 64: no block grows by more than this.
const EXPANSION_MAX: usize = 22;

pub(super) struct Unsnappy<'a> {
    rest: &'a [u8],
    framed: bool,
    decoder: Decoder,
}

impl<'a> Unsnappy<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            framed: body.starts_with(&MAGIC),
            decoder: Decoder::new(),
        }
    }

    fn next_block(&mut self) -> Result<&'a [u8], BatchError> {
        if !self.framed {
            return Ok(std::mem::take(&mut self.rest));
        }
        while self.rest.starts_with(&MAGIC) {
            split(Codec::Snappy, &mut self.rest, MAGIC.len())?;
            split(Codec::Snappy, &mut self.rest, VERSIONS_BYTES)?;
        }
        if self.rest.is_empty() {
            return Ok(&[]);
        }
        let length = i32::from_be_bytes(split_array(Codec::Snappy, &mut self.rest)?);
        let length = usize::try_from(length)
            .map_err(|error| Codec::Snappy.bad(format_args!("block length {length}: {error}")))?;
        split(Codec::Snappy, &mut self.rest, length)
    }
}

impl Decompress for Unsnappy<'_> {
    fn fill(&mut self, out: &mut Vec<u8>, budget: &mut DecodeBudget) -> Result<bool, BatchError> {
        if self.rest.is_empty() {
            return Ok(false);
        }
        let block = self.next_block()?;
        if block.is_empty() {
            return Ok(true);
        }
        let room = decompress_len(block).map_err(|error| Codec::Snappy.bad(error))?;
        if room > block.len().saturating_mul(EXPANSION_MAX) {
            let detail = format_args!("{} bytes cannot hold {room} bytes", block.len());
            return Err(Codec::Snappy.bad(detail));
        }
        if room > budget.remaining_bytes() {
            return Err(budget.exceeded());
        }
        append(out, room, budget, |target| {
            self.decoder
                .decompress(block, target)
                .map_err(|error| Codec::Snappy.bad(error))
        })?;
        Ok(true)
    }
}

/// Packs into Xerial's framing.
pub(super) struct Snappy<'a> {
    out: Limited<'a>,
    encoder: Encoder,
    /// What does not fill a block yet.
    block: Vec<u8>,
}

impl<'a> Snappy<'a> {
    pub(super) fn new(mut out: Limited<'a>) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        out.write_all(&VERSION.to_be_bytes())?;
        out.write_all(&VERSION.to_be_bytes())?;
        Ok(Self {
            out,
            encoder: Encoder::new(),
            block: Vec::with_capacity(BLOCK_BYTES),
        })
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let packed = self.encoder.compress_vec(&self.block);
        self.block.clear();
        let packed = packed.map_err(io::Error::other)?;
        let length = i32::try_from(packed.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&packed)
    }
}

impl Write for Snappy<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK_BYTES.saturating_sub(self.block.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.block.extend_from_slice(taken);
        if self.block.len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Compress for Snappy<'_> {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.end_block()
    }
}
