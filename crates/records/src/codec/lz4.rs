//! LZ4 frames, with every checksum verified.
//!
//! | Bytes | Field (integers are little-endian) |
//! |--:|---|
//! | 4 | magic `04 22 4D 18` |
//! | 1 | flags: 7–6 version 01, 5 independent blocks, 4 block checksums, 3 content size, 2 content checksum, 0 dictionary |
//! | 1 | 6–4 block size: 4 = 64 KiB … 7 = 4 MiB |
//! | 0 or 8 | content size |
//! | 1 | second byte of xxHash-32 over flags … content size |
//! | – | blocks: size u32 (bit 31: stored as it is), data, checksum u32 if flagged |
//! | 4 | zero: end mark |
//! | 0 or 4 | xxHash-32 of the content |
//!
//! The frame is read here and not by the codec crate, because a frame head of seven bytes makes
//! that one take 12 MiB, and because it accepts a frame without an end mark.

use std::hash::Hasher;
use std::io;

use lz4_flex::block::{DecompressError, decompress_into, decompress_into_with_dict};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use super::lz4_dense::Dense;
use super::{Codec, Compress, Decompress, Limited, append, split, split_array};
use crate::budget::DecodeBudget;
use crate::error::BatchError;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const VERSION_MASK: u8 = 0b1100_0000;
const VERSION: u8 = 0b0100_0000;
const INDEPENDENT_BLOCKS: u8 = 1 << 5;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const UNSUPPORTED: u8 = 0b0000_0011;
const STORED: u32 = 1 << 31;
/// How far back a block may copy.
const WINDOW_BYTES: usize = 64 * 1024;
/// One byte of a match length gives at most 255 bytes: no block grows by more than this.
const EXPANSION_MAX: usize = 255;

pub(super) struct Unlz4<'a> {
    rest: &'a [u8],
    frame: Option<Frame>,
}

/// A frame between its head and its end mark.
struct Frame {
    flags: u8,
    block_bytes_max: usize,
    content_bytes: Option<u64>,
    got_bytes: u64,
    content_hash: XxHash32,
    /// The last 64 KiB given, where blocks depend on what came before.
    window: Vec<u8>,
}

impl<'a> Unlz4<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            frame: None,
        }
    }
}

impl Decompress for Unlz4<'_> {
    fn fill(&mut self, out: &mut Vec<u8>, budget: &mut DecodeBudget) -> Result<bool, BatchError> {
        let Some(frame) = &mut self.frame else {
            if self.rest.is_empty() {
                return Ok(false);
            }
            self.frame = Some(Frame::open(&mut self.rest)?);
            return Ok(true);
        };
        if !frame.next_block(&mut self.rest, out, budget)? {
            frame.close(&mut self.rest)?;
            self.frame = None;
        }
        Ok(true)
    }
}

impl Frame {
    fn open(rest: &mut &[u8]) -> Result<Self, BatchError> {
        let magic: [u8; 4] = split_array(Codec::Lz4, rest)?;
        if magic != MAGIC {
            return Err(Codec::Lz4.bad(format_args!("{magic:02x?} is not an LZ4 frame")));
        }
        let described = *rest;
        let [flags, block_size] = split_array(Codec::Lz4, rest)?;
        if flags & VERSION_MASK != VERSION || flags & UNSUPPORTED != 0 {
            return Err(Codec::Lz4.bad(format_args!("frame flags {flags:#04x}")));
        }
        let block_bytes_max = match block_size {
            0x40 => 64 * 1024,
            0x50 => 256 * 1024,
            0x60 => 1024 * 1024,
            0x70 => 4 * 1024 * 1024,
            _ => return Err(Codec::Lz4.bad(format_args!("block size code {block_size:#04x}"))),
        };
        let content_bytes = if flags & CONTENT_SIZE != 0 {
            Some(from_little_endian_64(split_array(Codec::Lz4, rest)?))
        } else {
            None
        };
        let described_bytes = described.len().saturating_sub(rest.len());
        let hash = xxhash32(described.get(..described_bytes).unwrap_or_default());
        let [.., wanted, _] = hash.to_be_bytes();
        let [got] = split_array(Codec::Lz4, rest)?;
        if got != wanted {
            let detail = format_args!("frame head checksum is {wanted:#04x}, not {got:#04x}");
            return Err(Codec::Lz4.bad(detail));
        }
        Ok(Self {
            flags,
            block_bytes_max,
            content_bytes,
            got_bytes: 0,
            content_hash: XxHash32::with_seed(0),
            window: Vec::new(),
        })
    }

    /// Adds one block to `out`; `false` at the end mark.
    fn next_block(
        &mut self,
        rest: &mut &[u8],
        out: &mut Vec<u8>,
        budget: &mut DecodeBudget,
    ) -> Result<bool, BatchError> {
        let size = from_little_endian(split_array(Codec::Lz4, rest)?);
        if size == 0 {
            return Ok(false);
        }
        let data_bytes = usize::try_from(size & !STORED).unwrap_or(usize::MAX);
        if data_bytes > self.block_bytes_max {
            return Err(Codec::Lz4.bad(format_args!("a block of {data_bytes} bytes")));
        }
        let data = split(Codec::Lz4, rest, data_bytes)?;
        if self.flags & BLOCK_CHECKSUMS != 0 {
            check_hash("block", xxhash32(data), rest)?;
        }
        let start = out.len();
        if size & STORED == 0 {
            self.unpack(data, out, budget)?;
        } else {
            if data_bytes > budget.remaining_bytes() {
                return Err(budget.exceeded());
            }
            append(out, data_bytes, budget, |target| {
                target.copy_from_slice(data);
                Ok(data_bytes)
            })?;
        }
        self.account(out.get(start..).unwrap_or_default());
        Ok(true)
    }

    fn unpack(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        budget: &mut DecodeBudget,
    ) -> Result<(), BatchError> {
        let block_max = self
            .block_bytes_max
            .min(data.len().saturating_mul(EXPANSION_MAX));
        let room = block_max.min(budget.remaining_bytes());
        let exceeded = budget.exceeded();
        append(out, room, budget, |target| {
            let unpacked = if self.window.is_empty() {
                decompress_into(data, target)
            } else {
                decompress_into_with_dict(data, target, &self.window)
            };
            unpacked.map_err(|error| match error {
                DecompressError::OutputTooSmall { .. } if room < block_max => exceeded,
                error => Codec::Lz4.bad(error),
            })
        })?;
        Ok(())
    }

    fn account(&mut self, block: &[u8]) {
        let block_bytes = u64::try_from(block.len()).expect("a block is at most 4 MiB");
        self.got_bytes = self.got_bytes.saturating_add(block_bytes);
        if self.flags & CONTENT_CHECKSUM != 0 {
            self.content_hash.write(block);
        }
        if self.flags & INDEPENDENT_BLOCKS == 0 {
            let new = block
                .get(block.len().saturating_sub(WINDOW_BYTES)..)
                .unwrap_or_default();
            let kept = WINDOW_BYTES.saturating_sub(new.len());
            let outdated = self.window.len().saturating_sub(kept);
            self.window.copy_within(outdated.., 0);
            self.window
                .truncate(self.window.len().saturating_sub(outdated));
            self.window.extend_from_slice(new);
        }
    }

    fn close(&self, rest: &mut &[u8]) -> Result<(), BatchError> {
        if self
            .content_bytes
            .is_some_and(|wanted| wanted != self.got_bytes)
        {
            let detail = format_args!("{} bytes are not the content size", self.got_bytes);
            return Err(Codec::Lz4.bad(detail));
        }
        if self.flags & CONTENT_CHECKSUM != 0 {
            check_hash("content", self.content_hash.finish_32(), rest)?;
        }
        Ok(())
    }
}

fn check_hash(what: &str, got: u32, rest: &mut &[u8]) -> Result<(), BatchError> {
    let wanted = from_little_endian(split_array(Codec::Lz4, rest)?);
    if got != wanted {
        let detail = format_args!("{what} checksum is {got:#010x}, not {wanted:#010x}");
        return Err(Codec::Lz4.bad(detail));
    }
    Ok(())
}

fn xxhash32(bytes: &[u8]) -> u32 {
    XxHash32::oneshot(0, bytes)
}

#[expect(clippy::little_endian_bytes, reason = "LZ4 frames are little-endian")]
const fn from_little_endian(bytes: [u8; 4]) -> u32 {
    u32::from_le_bytes(bytes)
}

#[expect(clippy::little_endian_bytes, reason = "LZ4 frames are little-endian")]
const fn from_little_endian_64(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes)
}

/// Kafka's default level, at which its fast encoder works, and not the one that searches.
const LEVEL_FAST: i32 = 9;

/// Writes what Java writes: independent blocks of 64 KiB, no checksum but that of the head.
pub(super) fn compressor(
    level: Option<i32>,
    out: Limited<'_>,
) -> io::Result<Box<dyn Compress + '_>> {
    if let Some(level) = level.filter(|level| *level != LEVEL_FAST) {
        return Ok(Box::new(Dense::new(level, out)?));
    }
    let head = FrameInfo::new()
        .block_mode(BlockMode::Independent)
        .block_size(BlockSize::Max64KB);
    Ok(Box::new(FrameEncoder::with_frame_info(head, out)))
}

impl Compress for FrameEncoder<Limited<'_>> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        FrameEncoder::finish(*self)?;
        Ok(())
    }
}
