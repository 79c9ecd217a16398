//! The same records under another codec.
//!
//! The records pass through one block of each codec twice: first they are looked at, as a reader
//! would, then they are packed anew. Memory is that of the codecs and of the result, whatever the
//! records unpack to. Everything but codec, length, checksum and a max timestamp that was not true
//! stays: offsets, producer, sequence, times.

use bytes::BytesMut;

use crate::budget::DecodeBudget;
use crate::builder::seal;
use crate::check::CheckedBatch;
use crate::codec::{Compress, Compression, Limited, compressor, decompress, packing_error};
use crate::deep::opened;
use crate::error::BatchError;
use crate::header::{BatchHeader, HEADER_BYTES};

impl CheckedBatch {
    /// The batch with its records packed by `target`. Refused where the records are malformed,
    /// unpack to more than `opened_bytes_max`, or are packed to a batch above `size_bytes_max`.
    pub fn recoded(
        &self,
        target: Compression,
        opened_bytes_max: usize,
        size_bytes_max: usize,
    ) -> Result<Self, BatchError> {
        let source = self.header();
        let opened = opened(self.as_bytes(), &mut DecodeBudget::new(opened_bytes_max))?;
        let mut bytes = BytesMut::zeroed(HEADER_BYTES);
        let limited = Limited {
            out: &mut bytes,
            limit_bytes: size_bytes_max,
        };
        let failed = |error| packing_error(target.codec(), error);
        let mut compressor = compressor(target, opened.body_bytes, limited).map_err(failed)?;
        self.unpack_into(&mut *compressor, target, opened_bytes_max)?;
        compressor.finish().map_err(failed)?;
        let header = BatchHeader {
            attributes: source.attributes.with_codec(target.codec()),
            max_timestamp_ms: opened.max_timestamp_ms.unwrap_or(source.max_timestamp_ms),
            ..*source
        };
        seal(header, bytes)
    }

    fn unpack_into(
        &self,
        compressor: &mut dyn Compress,
        target: Compression,
        opened_bytes_max: usize,
    ) -> Result<(), BatchError> {
        let failed = |error| packing_error(target.codec(), error);
        let body = self.as_bytes().get(HEADER_BYTES..).unwrap_or_default();
        let Some(mut decompressor) = decompress(self.header().attributes.codec()?, body)? else {
            return compressor.write_all(body).map_err(failed);
        };
        let mut budget = DecodeBudget::new(opened_bytes_max);
        let mut block = Vec::new();
        let mut more = true;
        while more {
            block.clear();
            more = decompressor.fill(&mut block, &mut budget)?;
            compressor.write_all(&block).map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
