//! Kafka's 128-bit id and its text form.
//!
//! The text form is what Kafka prints: 22 characters of URL-safe base64 without padding. It must not
//! know how ids are made.

use std::fmt;

/// A 128-bit id in network byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// "No id" on the wire.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this is "no id".
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for Uuid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 128 bits are 21 digits of six bits and one of two, which stands for its upper end.
        let bits = u128::from_be_bytes(self.0);
        for digit in 0..22_u32 {
            let value = match 122_u32.checked_sub(digit.saturating_mul(6)) {
                Some(shift) => bits >> shift,
                None => bits << 4,
            };
            let place = usize::try_from(value & 63).unwrap_or_default();
            let letter = ALPHABET.get(place).copied().unwrap_or_default();
            write!(out, "{}", char::from(letter))?;
        }
        Ok(())
    }
}
