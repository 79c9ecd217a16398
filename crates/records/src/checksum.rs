//! CRC-32C (Castagnoli), the checksum of batches and of every frame on disk.
//!
//! The one place that names the CRC crate.

use crc_fast::{CrcAlgorithm, Digest, checksum_combine, crc32_iscsi};

use crate::header::{CRC_AT, CRC_START};

/// CRC-32C of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32_iscsi(bytes)
}

/// CRC-32C of everything that gave `crc`, followed by `bytes`.
#[must_use]
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!crc));
    digest.update(bytes);
    low_half(digest.finalize())
}

/// CRC-32C of two pieces in a row, from the CRC of each and the length of the second.
#[must_use]
pub fn crc32c_combine(first: u32, second: u32, second_bytes: u64) -> u32 {
    low_half(checksum_combine(
        CrcAlgorithm::Crc32Iscsi,
        u64::from(first),
        u64::from(second),
        second_bytes,
    ))
}

/// The CRC that the header of this whole batch should hold; 0 for bytes too short to have one.
#[must_use]
pub fn crc_of(batch: &[u8]) -> u32 {
    crc32c(batch.get(CRC_START..).unwrap_or_default())
}

/// Whether the CRC in the header of this whole batch is that of its bytes.
#[must_use]
pub fn crc_ok(batch: &[u8]) -> bool {
    stored_crc(batch) == Some(crc_of(batch))
}

fn stored_crc(batch: &[u8]) -> Option<u32> {
    batch
        .get(CRC_AT..)?
        .first_chunk()
        .copied()
        .map(u32::from_be_bytes)
}

fn low_half(crc: u64) -> u32 {
    u32::try_from(crc).expect("a CRC-32 has 32 bits")
}

#[cfg(test)]
mod tests;
