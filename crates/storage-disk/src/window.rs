//! Reading a file piece by piece through one buffer, from memory only or from the disk too.
//!
//! A read that may not touch the disk ends with [`Fault::NotCached`], and the caller repeats it
//! where blocking is allowed.

use std::io;

use storage::{ReadError, StorageFailure};
use vfs::File;

use crate::position::Position;

/// Whether a read may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Cached,
    Blocking,
    /// As [`Access::Blocking`], for bytes that nobody asked for: see [`File::read_passing_at`].
    /// They are verified, whatever was verified before.
    Passing,
    /// As [`Access::Blocking`], for bytes that are to be written elsewhere: they are verified, too,
    /// whatever was verified before.
    Anew,
}

/// Why a read did not happen.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The disk would be needed, and [`Access::Cached`] was asked for.
    NotCached,
    Io(io::Error),
    /// The bytes are there but are not what was written, or the log is gone.
    Read(ReadError),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<StorageFailure> for Fault {
    fn from(failure: StorageFailure) -> Self {
        Self::Read(ReadError::Storage(failure))
    }
}

/// Reads up to `target.len()` bytes, less only at the end of the file.
pub(crate) fn fill(
    file: &dyn File,
    target: &mut [u8],
    at: Position,
    access: Access,
) -> Result<usize, Fault> {
    let mut filled = 0_usize;
    while let Some(rest) = target.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let from = at.plus(filled).bytes();
        let count = match access {
            Access::Blocking | Access::Anew => file.read_at(rest, from)?,
            Access::Passing => file.read_passing_at(rest, from)?,
            Access::Cached => file.read_cached_at(rest, from)?.ok_or(Fault::NotCached)?,
        };
        if count == 0 {
            break;
        }
        filled = filled.saturating_add(count);
    }
    Ok(filled)
}

/// A buffer that moves over a file.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    file: &'a dyn File,
    access: Access,
    chunk_bytes: usize,
    start: Position,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    /// Reads at least `chunk_bytes` at a time, where the file has them.
    pub(crate) fn new(file: &'a dyn File, access: Access, chunk_bytes: usize) -> Self {
        Self {
            file,
            access,
            chunk_bytes,
            start: Position::ZERO,
            buffer: Vec::new(),
        }
    }

    /// The `length` bytes at `at`, or fewer if the file ends before.
    pub(crate) fn bytes(&mut self, at: Position, length: usize) -> Result<&[u8], Fault> {
        if !self.holds(at, length) {
            self.load(at, length)?;
        }
        let skip = at.since(self.start);
        let held = self.buffer.get(skip..).unwrap_or_default();
        Ok(held.get(..length).unwrap_or(held))
    }

    fn holds(&self, at: Position, length: usize) -> bool {
        at >= self.start && at.plus(length) <= self.start.plus(self.buffer.len())
    }

    fn load(&mut self, at: Position, length: usize) -> Result<(), Fault> {
        self.buffer.clear();
        self.start = at;
        self.buffer.resize(length.max(self.chunk_bytes), 0);
        let mut filled = 0_usize;
        while filled < length {
            let rest = self.buffer.get_mut(filled..).unwrap_or_default();
            let from = at.plus(filled).bytes();
            let read = match self.access {
                Access::Blocking | Access::Anew => self.file.read_at(rest, from).map(Some),
                Access::Passing => self.file.read_passing_at(rest, from).map(Some),
                Access::Cached => self.file.read_cached_at(rest, from),
            };
            let count = match read {
                Ok(Some(count)) => count,
                Ok(None) => {
                    self.buffer.clear();
                    return Err(Fault::NotCached);
                }
                Err(error) => {
                    self.buffer.clear();
                    return Err(error.into());
                }
            };
            if count == 0 {
                break;
            }
            filled = filled.saturating_add(count);
        }
        assert!(
            filled <= self.buffer.len(),
            "a read fills at most its buffer"
        );
        self.buffer.truncate(filled);
        Ok(())
    }
}
