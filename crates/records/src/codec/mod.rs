//! The five codecs of a batch, by Kafka's numbers and names.
//!
//! Opening is streaming and bounded: a [`Decompress`] adds one block at a time to a buffer and
//! charges it to the budget before the memory is taken. So is packing: a [`Compress`] takes block by
//! block and ends where the result gets too large. Each file here knows one framing.

mod gzip;
mod lz4;
mod lz4_dense;
mod snappy;
mod zstd;

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use bytes::BytesMut;

use crate::budget::DecodeBudget;
use crate::error::BatchError;

/// Most bytes that a reading codec produces at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    /// Not compressed.
    #[default]
    None,
    /// gzip, one or more members.
    Gzip,
    /// Snappy, raw or in Xerial's framing.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard frames.
    Zstd,
}

impl Codec {
    /// All codecs, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Its number in the attributes of a batch.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec of a number, if there is one.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// Kafka's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    fn bad(self, detail: impl fmt::Display) -> BatchError {
        BatchError::BadCompression {
            codec: self,
            detail: detail.to_string(),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A codec, and how hard it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    codec: Codec,
    /// As Kafka counts it (`compression.gzip.level` and so on); `None`: the codec's own default.
    level: Option<i32>,
}

impl Compression {
    /// A codec at its default level.
    #[must_use]
    pub const fn of(codec: Codec) -> Self {
        Self { codec, level: None }
    }

    /// A codec at a level of Kafka's: gzip -1 or 1 to 9, LZ4 1 to 17, Zstandard up to 22. The others
    /// have none.
    #[must_use]
    pub const fn at_level(codec: Codec, level: i32) -> Self {
        let level = Some(level);
        Self { codec, level }
    }

    /// Which codec.
    #[must_use]
    pub const fn codec(self) -> Codec {
        self.codec
    }
}

/// A word that names no codec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression codec {0:?}; known are none, gzip, snappy, lz4, zstd")]
pub struct UnknownCodecName(pub String);

impl FromStr for Codec {
    type Err = UnknownCodecName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| UnknownCodecName(name.to_owned()))
    }
}

/// Compressed records being opened.
pub(crate) trait Decompress {
    /// Adds the next block to `out`. `false` once all is read, checksums included.
    fn fill(&mut self, out: &mut Vec<u8>, budget: &mut DecodeBudget) -> Result<bool, BatchError>;
}

/// Starts to open `body`; `None` if it is not compressed.
pub(crate) fn decompress(
    codec: Codec,
    body: &[u8],
) -> Result<Option<Box<dyn Decompress + '_>>, BatchError> {
    Ok(match codec {
        Codec::None => None,
        Codec::Gzip => Some(Box::new(gzip::Gunzip::new(body))),
        Codec::Snappy => Some(Box::new(snappy::Unsnappy::new(body))),
        Codec::Lz4 => Some(Box::new(lz4::Unlz4::new(body))),
        Codec::Zstd => Some(Box::new(zstd::Unzstd::new(body)?)),
    })
}

/// Records being packed. What is written comes out compressed once it is finished.
pub(crate) trait Compress: Write {
    /// Writes what is still held back, and the end of the framing.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Starts to pack a body of exactly `body_bytes` bytes into `out`.
pub(crate) fn compressor<'a>(
    compression: Compression,
    body_bytes: usize,
    out: Limited<'a>,
) -> io::Result<Box<dyn Compress + 'a>> {
    let level = compression.level;
    Ok(match compression.codec {
        Codec::None => Box::new(out),
        Codec::Gzip => Box::new(gzip::compressor(level, out)),
        Codec::Snappy => Box::new(snappy::Snappy::new(out)?),
        Codec::Lz4 => lz4::compressor(level, out)?,
        Codec::Zstd => Box::new(zstd::compressor(level, body_bytes, out)?),
    })
}

/// Appends a whole body to `out`, packed.
pub(crate) fn compress(
    compression: Compression,
    body: &[u8],
    out: Limited<'_>,
) -> Result<(), BatchError> {
    let packed = compressor(compression, body.len(), out).and_then(|mut compressor| {
        compressor.write_all(body)?;
        compressor.finish()
    });
    packed.map_err(|error| packing_error(compression.codec, error))
}

/// Where packed bytes go: at most so many.
pub(crate) struct Limited<'a> {
    pub(crate) out: &'a mut BytesMut,
    /// The most that `out` may hold.
    pub(crate) limit_bytes: usize,
}

impl Write for Limited<'_> {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let size_bytes = self.out.len().saturating_add(block.len());
        let limit_bytes = self.limit_bytes;
        if size_bytes > limit_bytes {
            return Err(io::Error::other(BatchError::TooLarge {
                size_bytes,
                limit_bytes,
            }));
        }
        self.out.extend_from_slice(block);
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Compress for Limited<'_> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// What went wrong while packing with `codec`.
pub(crate) fn packing_error(codec: Codec, error: io::Error) -> BatchError {
    match error.downcast::<BatchError>() {
        Ok(too_large) => too_large,
        Err(error) => codec.bad(error),
    }
}

/// The next block of a codec that is a [`Read`].
fn fill_from(
    codec: Codec,
    reader: &mut impl Read,
    out: &mut Vec<u8>,
    budget: &mut DecodeBudget,
) -> Result<bool, BatchError> {
    let room = CHUNK_BYTES.min(budget.remaining_bytes());
    if room == 0 {
        // Nothing may be kept any more: fine if there is nothing, a bomb if there is.
        let more = reader.read(&mut [0]).map_err(|error| codec.bad(error))?;
        return if more == 0 {
            Ok(false)
        } else {
            Err(budget.exceeded())
        };
    }
    let got_bytes = append(out, room, budget, |block| {
        reader.read(block).map_err(|error| codec.bad(error))
    })?;
    Ok(got_bytes > 0)
}

/// Grows `out` by at most `room` bytes that `write` fills, and charges what it wrote.
fn append(
    out: &mut Vec<u8>,
    room: usize,
    budget: &mut DecodeBudget,
    write: impl FnOnce(&mut [u8]) -> Result<usize, BatchError>,
) -> Result<usize, BatchError> {
    let start = out.len();
    budget.reserve(out, room);
    out.resize(start.saturating_add(room), 0);
    let got_bytes = write(out.get_mut(start..).unwrap_or_default())?;
    assert!(got_bytes <= room, "a decoder writes inside its slice");
    out.truncate(start.saturating_add(got_bytes));
    budget.take(got_bytes)?;
    Ok(got_bytes)
}

/// Takes `count` bytes off the front of `rest`.
fn split<'a>(codec: Codec, rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], BatchError> {
    let (head, tail) = rest
        .split_at_checked(count)
        .ok_or_else(|| codec.bad("the data ends too early"))?;
    *rest = tail;
    Ok(head)
}

/// Takes `N` bytes off the front of `rest`.
fn split_array<const N: usize>(codec: Codec, rest: &mut &[u8]) -> Result<[u8; N], BatchError> {
    let head = split(codec, rest, N)?;
    Ok(*head
        .first_chunk()
        .expect("split gives the bytes it was asked for"))
}

#[cfg(test)]
mod tests;
