//! Borrowed views of the two requests that carry the load: Produce and Fetch.
//!
//! A view is walked once when it is parsed, so a malformed request is refused before any part of it
//! is acted on, and reading its elements afterwards cannot fail. Views allocate nothing. They agree
//! with the generated decoders on every input; the tests prove it.

mod fetch;
mod produce;

pub use fetch::{FetchPartitionView, FetchTopicView, FetchView, ForgottenTopicView};
pub use produce::{ProducePartitionView, ProduceTopicView, ProduceView, split_frame};

use crate::cursor::Cursor;
use crate::error::DecodeError;

type Read<'a, T> = fn(&mut Cursor<'a>, i16) -> Result<T, DecodeError>;

/// The elements of an array that was walked before.
#[derive(Debug, Clone)]
pub struct Elements<'a, T> {
    cursor: Cursor<'a>,
    version: i16,
    left: usize,
    read: Read<'a, T>,
}

impl<'a, T> Elements<'a, T> {
    /// Walks an array; the cursor is then behind it.
    fn walk(
        cursor: &mut Cursor<'a>,
        version: i16,
        count: usize,
        read: Read<'a, T>,
    ) -> Result<Self, DecodeError> {
        let start = cursor.clone();
        for _ in 0..count {
            read(cursor, version)?;
        }
        Ok(Self {
            cursor: start,
            version,
            left: count,
            read,
        })
    }

    /// The elements of an array that the version does not carry.
    fn none(cursor: &Cursor<'a>, version: i16, read: Read<'a, T>) -> Self {
        Self {
            cursor: cursor.clone(),
            version,
            left: 0,
            read,
        }
    }
}

impl<T> Iterator for Elements<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        Some((self.read)(&mut self.cursor, self.version).expect("the array was walked before"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Elements<'_, T> {}
