//! One read of a log, opened batch by batch and record by record.
//!
//! Holds the bytes of one read and, of a compressed batch, what it was opened to: nothing is
//! opened before its first record is asked for.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use records::{BatchError, BatchHeader, DecodeBudget, Offset, Record, Records};
use storage::Chunk;

/// The most that opening one batch may take (security note §4.3).
const DECODE_BYTES_MAX: usize = 100 * 1024 * 1024;

/// A batch that cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// The first offset that is lost with it.
    pub(crate) from: Offset,
    /// The first offset behind the batch, where reading can go on.
    pub(crate) next: Offset,
    pub(crate) reason: BatchError,
}

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    /// The next offset to give: everything below it was given or is no record.
    next: Offset,
    chunks: VecDeque<Bytes>,
    open: Option<OpenBatch>,
}

#[derive(Debug)]
struct OpenBatch {
    header: BatchHeader,
    records: Records,
}

impl ReadAhead {
    /// Nothing read yet; records below `from` are left out.
    pub(crate) fn starting_at(from: Offset) -> Self {
        Self {
            next: from,
            chunks: VecDeque::new(),
            open: None,
        }
    }

    /// Where to read on when there is nothing left.
    pub(crate) fn next_offset(&self) -> Offset {
        self.next
    }

    /// Takes what was read: whole batches, from the one that holds [`ReadAhead::next_offset`].
    pub(crate) fn fill(&mut self, chunks: Vec<Bytes>) {
        assert!(
            self.open.is_none() && self.chunks.is_empty(),
            "one read is used up before the next"
        );
        self.chunks = chunks.into();
    }

    /// The next record; `None` when another read is needed.
    pub(crate) fn next_record(&mut self) -> Result<Option<Record>, Unreadable> {
        loop {
            let Some(open) = &mut self.open else {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            };
            match open.records.next() {
                Some(Ok(record)) if record.offset < self.next => {}
                Some(Ok(record)) => {
                    self.next = record.offset.plus(1);
                    return Ok(Some(record));
                }
                Some(Err(reason)) => {
                    let next = open.header.next_offset();
                    return Err(self.unreadable(next, reason));
                }
                None => {
                    self.next = self.next.max(open.header.next_offset());
                    self.open = None;
                }
            }
        }
    }

    /// Opens the next batch that holds records to give; false when there is none.
    fn open_next(&mut self) -> Result<bool, Unreadable> {
        while let Some(chunk) = self.chunks.front_mut() {
            if chunk.is_empty() {
                self.chunks.pop_front();
                continue;
            }
            let header = match BatchHeader::parse(chunk) {
                Ok(header) => header,
                Err(reason) => return Err(self.unreadable(self.next.plus(1), reason)),
            };
            let got_bytes = chunk.len();
            if header.size_bytes() > got_bytes {
                let declared_bytes = header.size_bytes();
                let reason = BatchError::LengthMismatch {
                    declared_bytes,
                    got_bytes,
                };
                return Err(self.unreadable(header.next_offset(), reason));
            }
            let batch = chunk.split_to(header.size_bytes());
            if header.attributes.is_control() || header.last_offset() < self.next {
                self.next = self.next.max(header.next_offset());
                continue;
            }
            let mut budget = DecodeBudget::new(DECODE_BYTES_MAX);
            match records::records(&batch, &mut budget) {
                Ok(records) => self.open = Some(OpenBatch { header, records }),
                Err(reason) => return Err(self.unreadable(header.next_offset(), reason)),
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Bytes of the last read that were not opened yet.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    fn unreadable(&self, next: Offset, reason: BatchError) -> Unreadable {
        Unreadable {
            from: self.next,
            next,
            reason,
        }
    }
}

/// The bytes of a chunk. What is not in memory is read on a thread that may block.
pub(crate) async fn load(chunk: Chunk) -> std::io::Result<Bytes> {
    let (file, at, size_bytes) = match chunk {
        Chunk::Memory(bytes) => return Ok(bytes),
        Chunk::File {
            file,
            at,
            size_bytes,
        } => (file, at, size_bytes),
    };
    let mut bytes = BytesMut::zeroed(size_bytes);
    let cached = file.read_cached_at(&mut bytes, at)?;
    if cached == Some(size_bytes) {
        return Ok(bytes.freeze());
    }
    let reading = tokio::task::spawn_blocking(move || {
        let mut filled = 0;
        while filled < size_bytes {
            let rest = bytes.get_mut(filled..).unwrap_or_default();
            let count = file.read_at(rest, at + filled as u64)?;
            if count == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            filled += count;
        }
        Ok(bytes.freeze())
    });
    reading.await.map_err(std::io::Error::other)?
}

#[cfg(test)]
mod tests;
