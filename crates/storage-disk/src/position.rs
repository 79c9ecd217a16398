//! A place in a segment file, in bytes. Not an offset, and not the number of an index entry.
//!
//! Kafka's index formats hold positions in 31 bits, so no segment grows past [`Position::MAX`].

use std::fmt;

/// Bytes from the start of a segment file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position(u32);

impl Position {
    pub(crate) const ZERO: Self = Self(0);
    /// The largest position that Kafka's tools can read.
    pub(crate) const MAX: Self = Self(i32::MAX.cast_unsigned());

    pub(crate) const fn new(bytes: u32) -> Self {
        Self(bytes)
    }

    /// The end of a file of this size; what lies past [`Position::MAX`] is never looked at.
    pub(crate) fn end_of(size_bytes: u64) -> Self {
        u32::try_from(size_bytes).map_or(Self::MAX, |bytes| Self(bytes).min(Self::MAX))
    }

    pub(crate) const fn get(self) -> u32 {
        self.0
    }

    /// As the file system counts.
    pub(crate) fn bytes(self) -> u64 {
        u64::from(self.0)
    }

    /// This place moved by `size_bytes`, held at the largest number.
    pub(crate) fn plus(self, size_bytes: usize) -> Self {
        Self(
            self.0
                .saturating_add(u32::try_from(size_bytes).unwrap_or(u32::MAX)),
        )
    }

    /// How many bytes lie between `earlier` and this place; 0 if it is not earlier.
    pub(crate) fn since(self, earlier: Self) -> usize {
        usize::try_from(self.0.saturating_sub(earlier.0)).expect("32 bits fit a usize")
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
