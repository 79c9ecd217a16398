//! Zigzag numbers of variable length, as records hold them.
//!
//! Seven bits a byte, low bits first; small numbers of either sign are short. A number of 32 bits
//! takes at most 5 bytes, one of 64 bits at most 10, and bits that do not fit are an error.

use bytes::BufMut;

/// Most bytes that a number of 32 bits takes.
pub const VARINT_BYTES_MAX: usize = 5;
/// Most bytes that a number of 64 bits takes.
pub const VARLONG_BYTES_MAX: usize = 10;

const PAYLOAD_BITS: u32 = 7;
const PAYLOAD: u8 = 0x7f;
const CONTINUES: u8 = 0x80;

/// Why bytes are not a number of variable length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
    /// The bytes end inside the number.
    #[error("the bytes end inside a variable-length number")]
    Truncated,
    /// The number goes on past its longest form, or holds bits that do not fit.
    #[error("a variable-length number is too long")]
    TooLong,
}

/// Writes a number of 32 bits.
pub fn put_varint(out: &mut impl BufMut, value: i32) {
    put_varlong(out, i64::from(value));
}

/// Writes a number of 64 bits. A number that fits 32 bits has the same bytes in both forms.
pub fn put_varlong(out: &mut impl BufMut, value: i64) {
    let mut left = zigzag(value);
    while left > u64::from(PAYLOAD) {
        out.put_u8(low_bits(left) | CONTINUES);
        left >>= PAYLOAD_BITS;
    }
    out.put_u8(low_bits(left));
}

/// Bytes that [`put_varint`] writes.
#[must_use]
pub fn varint_size(value: i32) -> usize {
    varlong_size(i64::from(value))
}

/// Bytes that [`put_varlong`] writes.
#[must_use]
pub fn varlong_size(value: i64) -> usize {
    let bits = u64::BITS
        .saturating_sub(zigzag(value).leading_zeros())
        .max(1);
    usize::try_from(bits.div_ceil(PAYLOAD_BITS)).expect("at most 10")
}

/// Reads a number of 32 bits and moves `input` behind it.
pub fn get_varint(input: &mut &[u8]) -> Result<i32, VarintError> {
    read_varint(|| next_byte(input))?.ok_or(VarintError::TooLong)
}

/// Reads a number of 64 bits and moves `input` behind it.
pub fn get_varlong(input: &mut &[u8]) -> Result<i64, VarintError> {
    read_varlong(|| next_byte(input))?.ok_or(VarintError::TooLong)
}

/// Reads a number of 32 bits from a source of bytes; `None` if it is too long.
pub(crate) fn read_varint<E>(next: impl FnMut() -> Result<u8, E>) -> Result<Option<i32>, E> {
    let raw = read_unsigned(VARINT_BYTES_MAX, next)?;
    Ok(raw.and_then(|raw| i32::try_from(unzigzag(raw)).ok()))
}

/// Reads a number of 64 bits from a source of bytes; `None` if it is too long.
pub(crate) fn read_varlong<E>(next: impl FnMut() -> Result<u8, E>) -> Result<Option<i64>, E> {
    Ok(read_unsigned(VARLONG_BYTES_MAX, next)?.map(unzigzag))
}

fn read_unsigned<E>(
    bytes_max: usize,
    mut next: impl FnMut() -> Result<u8, E>,
) -> Result<Option<u64>, E> {
    let mut value = 0_u64;
    let mut shift = 0_u32;
    for _ in 0..bytes_max {
        let byte = next()?;
        let bits = u64::from(byte & PAYLOAD);
        let placed = bits.checked_shl(shift).unwrap_or(0);
        if placed.checked_shr(shift) != Some(bits) {
            return Ok(None);
        }
        value |= placed;
        if byte & CONTINUES == 0 {
            return Ok(Some(value));
        }
        shift = shift.saturating_add(PAYLOAD_BITS);
    }
    Ok(None)
}

fn next_byte(input: &mut &[u8]) -> Result<u8, VarintError> {
    let (byte, rest) = input.split_first().ok_or(VarintError::Truncated)?;
    *input = rest;
    Ok(*byte)
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

const fn unzigzag(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ (raw & 1).cast_signed().wrapping_neg()
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & u64::from(PAYLOAD)).expect("seven bits fit a byte")
}

#[cfg(test)]
mod tests;
