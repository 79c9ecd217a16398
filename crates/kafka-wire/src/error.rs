//! Why bytes could not be read, or a message could not be written.
//!
//! An error names the field, the byte position and the numbers that disagree. It carries no bytes of
//! the frame, so it is safe to log.

use std::fmt;

/// Bytes that are not the message they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}at byte {at}: {fault}", InWords(field))]
pub struct DecodeError {
    /// The innermost field being read; empty outside of messages.
    pub field: &'static str,
    /// The position in the frame.
    pub at: usize,
    /// What is wrong there.
    pub fault: DecodeFault,
}

/// What is wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// The frame ends inside a value.
    #[error("needs {needed} bytes, {remaining} remain")]
    Truncated { needed: usize, remaining: usize },
    /// A length below −1.
    #[error("negative length {length}")]
    NegativeLength { length: i32 },
    /// Null where the version does not allow it.
    #[error("null is not allowed here")]
    Null,
    /// A count that the remaining bytes cannot hold.
    #[error("{count} elements of at least {element_bytes_min} bytes, {remaining} bytes remain")]
    Count {
        count: u32,
        element_bytes_min: usize,
        remaining: usize,
    },
    /// A count above the fixed limit.
    #[error("{count} elements, the limit is {limit}")]
    CountLimit { count: u32, limit: u32 },
    /// A string above Kafka's limit.
    #[error("a string of {length} bytes, the limit is {limit}")]
    StringLimit { length: u32, limit: u32 },
    /// A string that is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A variable-length integer above 32 bits.
    #[error("a varint of more than 32 bits")]
    Varint,
    /// A tagged field whose content is not as long as it says.
    #[error("tagged field {tag} says {size} bytes and holds {used}")]
    TagSize { tag: u32, size: usize, used: usize },
    /// Decoded values would take too much memory for the size of the frame.
    #[error("needs {needed} bytes of memory, {left} of the frame's budget are left")]
    Budget { needed: usize, left: usize },
    /// Bytes after the end of the message.
    #[error("{remaining} bytes after the end")]
    Trailing { remaining: usize },
    /// A version outside of the message's window.
    #[error("version {version} is not between {min} and {max}")]
    Version { version: i16, min: i16, max: i16 },
}

/// A message that cannot be written in the wanted version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}{fault}", InWords(field))]
pub struct EncodeError {
    /// The field that cannot be written; empty when it is the message.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: EncodeFault,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeFault {
    /// The field has a value that this version cannot carry.
    #[error("is set, but version {version} does not carry it")]
    NotInVersion { version: i16 },
    /// Null in a version that does not allow it.
    #[error("is null, which version {version} does not allow")]
    Null { version: i16 },
    /// Longer than the format allows.
    #[error("has length {length}, the limit is {limit}")]
    TooLong { length: usize, limit: usize },
    /// A version outside of the message's window.
    #[error("version {version} is not between {min} and {max}")]
    Version { version: i16, min: i16, max: i16 },
    /// More or fewer elements were written than were announced.
    #[error("announced {announced} elements, wrote {written}")]
    Miscounted { announced: usize, written: usize },
}

impl DecodeError {
    pub(crate) const fn new(at: usize, fault: DecodeFault) -> Self {
        Self {
            field: "",
            at,
            fault,
        }
    }
}

impl EncodeError {
    pub(crate) const fn new(fault: EncodeFault) -> Self {
        Self { field: "", fault }
    }

    pub(crate) const fn not_in_version(field: &'static str, version: i16) -> Self {
        Self {
            field,
            fault: EncodeFault::NotInVersion { version },
        }
    }

    pub(crate) const fn null(field: &'static str, version: i16) -> Self {
        Self {
            field,
            fault: EncodeFault::Null { version },
        }
    }
}

/// Names the field an error happened in; the innermost name stays.
pub trait InField {
    /// Adds the name unless one is there.
    #[must_use]
    fn field(self, name: &'static str) -> Self;
}

impl<T> InField for Result<T, DecodeError> {
    fn field(self, name: &'static str) -> Self {
        self.map_err(|error| DecodeError {
            field: if error.field.is_empty() {
                name
            } else {
                error.field
            },
            ..error
        })
    }
}

impl<T> InField for Result<T, EncodeError> {
    fn field(self, name: &'static str) -> Self {
        self.map_err(|error| EncodeError {
            field: if error.field.is_empty() {
                name
            } else {
                error.field
            },
            ..error
        })
    }
}

/// The field's name and a space, or nothing.
struct InWords<'a>(&'a str);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(out, "{} ", self.0)
        }
    }
}
