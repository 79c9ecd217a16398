//! The place of a record in its partition.
//!
//! An offset is not a byte position and not an index. Arithmetic saturates, so that no value from
//! the network can overflow.

use std::fmt;

/// The place of a record in its partition: 0 for the first record ever appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(i64);

impl Offset {
    /// The first offset of a partition.
    pub const ZERO: Self = Self(0);
    /// The largest offset that can be written down; never given to a record.
    pub const MAX: Self = Self(i64::MAX);

    /// An offset from its number.
    #[must_use]
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// This offset moved by `delta`, held at the ends of the range.
    #[must_use]
    pub const fn plus(self, delta: i64) -> Self {
        Self(self.0.saturating_add(delta))
    }

    /// This offset moved by `delta`, or `None` if it would leave the range.
    #[must_use]
    pub const fn checked_plus(self, delta: i64) -> Option<Self> {
        match self.0.checked_add(delta) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// How far this offset lies behind `other`: `self - other`, held at the ends of the range.
    #[must_use]
    pub const fn since(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests;
