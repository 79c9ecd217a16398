//! Sends responses: memory by vectored writes, file ranges by `sendfile`.
//!
//! Several responses that are ready together leave in one call. The order is the order of
//! [`Outgoing::push`]; nothing is sent twice and nothing is skipped, whatever the socket takes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_wire::{Response, Segment};
use storage::Chunk;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Responses are collected up to this many bytes before they are sent.
const COLLECT_BYTES_MAX: usize = 1024 * 1024;
/// A peer that takes nothing for this long is gone.
const STALL_MAX: Duration = Duration::from_mins(1);
/// Slices of one vectored write.
const SLICES_MAX: usize = 64;
/// Bytes of one `sendfile`, so that one connection does not keep the event loop.
const SENDFILE_BYTES_MAX: usize = 512 * 1024;
/// Bytes read at a time from a file that has no descriptor.
const COPY_BYTES: usize = 64 * 1024;

/// Responses on their way out.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Piece>,
    size_bytes: usize,
}

#[derive(Debug)]
enum Piece {
    Memory(Bytes),
    File {
        file: Arc<dyn vfs::File>,
        at: u64,
        left: usize,
    },
}

impl Outgoing {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether enough is collected to be sent.
    pub(crate) fn is_full(&self) -> bool {
        self.size_bytes >= COLLECT_BYTES_MAX
    }

    /// Adds a response behind the others.
    pub(crate) fn push(&mut self, response: Response<Chunk>) {
        self.size_bytes += response.length;
        for segment in response.segments {
            let piece = match segment {
                Segment::Bytes(bytes)
                | Segment::External {
                    chunk: Chunk::Memory(bytes),
                    ..
                } => Piece::Memory(bytes),
                Segment::External {
                    chunk:
                        Chunk::File {
                            file,
                            at,
                            size_bytes,
                        },
                    ..
                } => Piece::File {
                    file,
                    at,
                    left: size_bytes,
                },
            };
            self.pieces.push_back(piece);
        }
    }

    /// Sends everything.
    pub(crate) async fn send(&mut self, stream: &TcpStream) -> io::Result<()> {
        while !self.pieces.is_empty() {
            match self.send_some(stream) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let writable = tokio::time::timeout(STALL_MAX, stream.writable()).await;
                    writable.map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // A long response must not keep the other connections of this event loop waiting.
            tokio::task::consume_budget().await;
        }
        self.size_bytes = 0;
        Ok(())
    }

    /// One call to the kernel.
    fn send_some(&mut self, stream: &TcpStream) -> io::Result<()> {
        match self.pieces.front_mut() {
            None => Ok(()),
            Some(Piece::Memory(_)) => self.send_memory(stream),
            Some(Piece::File { file, at, left }) => {
                let sent = send_file(stream, &**file, *at, *left)?;
                *at += sent as u64;
                *left -= sent;
                if *left == 0 {
                    self.pieces.pop_front();
                }
                Ok(())
            }
        }
    }

    fn send_memory(&mut self, stream: &TcpStream) -> io::Result<()> {
        let memory = self.pieces.iter().map_while(|piece| match piece {
            Piece::Memory(bytes) => Some(IoSlice::new(bytes)),
            Piece::File { .. } => None,
        });
        let slices: Vec<IoSlice<'_>> = memory.take(SLICES_MAX).collect();
        let mut sent = stream.try_write_vectored(&slices)?;
        while let Some(Piece::Memory(bytes)) = self.pieces.front_mut() {
            if bytes.len() > sent {
                bytes.advance(sent);
                break;
            }
            sent -= bytes.len();
            self.pieces.pop_front();
        }
        Ok(())
    }
}

/// Sends from `file` at `at`; returns how much the socket took, at least one byte.
fn send_file(stream: &TcpStream, file: &dyn vfs::File, at: u64, left: usize) -> io::Result<usize> {
    let ended = || {
        io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "a log file is shorter than its log",
        )
    };
    #[cfg(target_os = "linux")]
    if let Some(descriptor) = file.descriptor() {
        let length = left.min(SENDFILE_BYTES_MAX);
        let sent = stream.try_io(Interest::WRITABLE, || {
            let mut position = at;
            Ok(rustix::fs::sendfile(
                stream,
                descriptor,
                Some(&mut position),
                length,
            )?)
        })?;
        return if sent == 0 { Err(ended()) } else { Ok(sent) };
    }
    let mut copy = BytesMut::zeroed(left.min(COPY_BYTES));
    let read = file.read_at(&mut copy, at)?;
    if read == 0 {
        return Err(ended());
    }
    copy.truncate(read);
    stream.try_write(&copy)
}

#[cfg(test)]
mod tests;
