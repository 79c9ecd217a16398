//! Lines of a file or of standard input, read by a thread of their own.
//!
//! Whatever has arrived is handed on at once, and what is read ahead is bounded: a slow broker slows
//! the reader. Lines come without their end, and otherwise as they are; a last line without an end
//! counts.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

/// Bytes that are handed on together.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that wait for the broker.
const CHUNKS_WAITING: usize = 8;
/// A longer line is an error: no broker takes such a record.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Lines that arrived together.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    /// The lines, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| &self.bytes[start..end])
    }
}

/// Why there are no more lines.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinesError {
    /// The file cannot be opened.
    #[error("{} cannot be opened: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Reading failed.
    #[error("the input cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A line has no end within reason.
    #[error("line {number} is longer than {} MiB", LINE_BYTES_MAX / 1024 / 1024)]
    TooLong {
        /// Which, from 1.
        number: u64,
    },
}

/// The queue from the reading thread.
pub(crate) type LinesQueue = mpsc::Receiver<Result<Lines, LinesError>>;

/// Starts to read a file; `-` is standard input.
pub(crate) fn start(path: &Path) -> Result<LinesQueue, LinesError> {
    let source: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        #[expect(
            clippy::disallowed_methods,
            reason = "a file of the user, not of the broker"
        )]
        let opened = std::fs::File::open(path);
        Box::new(opened.map_err(|source| LinesError::Open {
            path: path.to_owned(),
            source,
        })?)
    };
    let (queue, lines) = mpsc::channel(CHUNKS_WAITING);
    // Ends with its input, or with the process: nobody waits for a read from a terminal.
    let thread = std::thread::Builder::new().name("input".to_owned());
    thread.spawn(move || read_all(source, &queue))?;
    Ok(lines)
}

fn read_all(source: impl Read, queue: &mpsc::Sender<Result<Lines, LinesError>>) {
    let mut reader = Reader {
        source: BufReader::with_capacity(CHUNK_BYTES, source),
        count: 0,
    };
    loop {
        let chunk = reader.chunk();
        let is_last = chunk.as_ref().map_or(true, |chunk| chunk.ends.is_empty());
        if is_last && chunk.is_ok() {
            return;
        }
        // The receiver goes when the command has failed.
        if queue.blocking_send(chunk).is_err() || is_last {
            return;
        }
    }
}

struct Reader<R> {
    source: BufReader<R>,
    count: u64,
}

impl<R: Read> Reader<R> {
    /// The lines that are there, at least one; none at the end.
    fn chunk(&mut self) -> Result<Lines, LinesError> {
        let mut lines = Lines::default();
        while self.line(&mut lines)? {
            let more_is_here = self.source.buffer().contains(&b'\n');
            if !more_is_here || lines.bytes.len() >= CHUNK_BYTES {
                break;
            }
        }
        Ok(lines)
    }

    fn line(&mut self, lines: &mut Lines) -> Result<bool, LinesError> {
        let limit = u64::try_from(LINE_BYTES_MAX).expect("it is a small number") + 1;
        let read = (&mut self.source)
            .take(limit)
            .read_until(b'\n', &mut lines.bytes)?;
        if read == 0 {
            return Ok(false);
        }
        self.count += 1;
        if lines.bytes.last() == Some(&b'\n') {
            lines.bytes.pop();
        } else if read > LINE_BYTES_MAX {
            return Err(LinesError::TooLong { number: self.count });
        }
        lines.ends.push(lines.bytes.len());
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
