//! `.snapshot`: what idempotent producers had written up to the offset in the file's name.
//!
//! Written whole and durably, once the log is durable up to that offset; the two newest are kept.
//! A bad one is no loss: an older one and a longer walk over the headers give the same table.

use std::io;
use std::path::Path;

use bytes::{Buf, BufMut};
use records::Offset;
use records::checksum::crc32c;
use sabotage::{Safeguard, skips};
use storage::{ProducedBatch, ProducerEntry, ProducerTable};
use vfs::Vfs;

use crate::paths::SegmentFile;

/// How many are kept.
pub(crate) const SNAPSHOTS_KEPT: usize = 2;

const MAGIC: &[u8; 4] = b"OPS1";
const VERSION: u16 = 1;
const FLAGS: u16 = 0;
const HEAD_BYTES: usize = 24;
const PRODUCER_HEAD_BYTES: usize = 31;
const BATCH_BYTES: usize = 24;
const NO_COORDINATOR_EPOCH: i32 = -1;
const NO_TRANSACTION: i64 = -1;
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Why bytes are not a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("it has {0} bytes, which does not fit what it says")]
    Length(usize),
    #[error("it does not begin with OPS1")]
    Magic,
    #[error("it has version {0}, this build knows {VERSION}")]
    Version(u16),
    #[error("its checksum is {got:08x} where {expected:08x} was expected")]
    Checksum { got: u32, expected: u32 },
    #[error("it is for offset {got}, its name says {expected}")]
    Offset { got: i64, expected: i64 },
}

/// The bytes of the snapshot at `offset`.
pub(crate) fn encode(table: &ProducerTable, offset: Offset) -> Vec<u8> {
    let mut body = Vec::new();
    for producer in table.producers() {
        encode_producer(producer, &mut body);
    }
    let mut bytes = Vec::with_capacity(HEAD_BYTES.saturating_add(body.len()));
    bytes.put_slice(MAGIC);
    bytes.put_u16(VERSION);
    bytes.put_u16(FLAGS);
    bytes.put_i64(offset.get());
    bytes.put_u32(u32::try_from(table.len()).expect("producers are fewer than 2^32"));
    bytes.put_u32(crc32c(&body));
    assert_eq!(bytes.len(), HEAD_BYTES, "the head has its size");
    bytes.put_slice(&body);
    bytes
}

fn encode_producer(producer: &ProducerEntry, body: &mut Vec<u8>) {
    body.put_i64(producer.producer_id());
    body.put_i16(producer.epoch());
    body.put_i32(NO_COORDINATOR_EPOCH);
    body.put_i64(NO_TRANSACTION);
    body.put_i64(producer.last_timestamp_ms());
    let batches = producer.batches();
    body.put_u8(u8::try_from(batches.len()).expect("five batches are kept at most"));
    for batch in batches {
        body.put_i32(batch.first_sequence);
        body.put_i32(batch.last_sequence);
        body.put_i64(batch.base.get());
        body.put_i64(batch.timestamp_ms);
    }
}

/// The mirror of [`encode`].
pub(crate) fn decode(bytes: &[u8], offset: Offset) -> Result<ProducerTable, SnapshotError> {
    let too_short = SnapshotError::Length(bytes.len());
    let (mut head, mut body) = bytes.split_at_checked(HEAD_BYTES).ok_or(too_short)?;
    if !head.starts_with(MAGIC) {
        return Err(SnapshotError::Magic);
    }
    head.advance(MAGIC.len());
    let version = head.get_u16();
    if version != VERSION || head.get_u16() != FLAGS {
        return Err(SnapshotError::Version(version));
    }
    let got = head.get_i64();
    if got != offset.get() {
        return Err(SnapshotError::Offset {
            got,
            expected: offset.get(),
        });
    }
    let producers = head.get_u32();
    let expected = head.get_u32();
    let got = crc32c(body);
    if got != expected && !skips(Safeguard::SnapshotCrc) {
        return Err(SnapshotError::Checksum { got, expected });
    }
    let mut table = ProducerTable::new();
    for _ in 0..producers {
        decode_producer(&mut body, &mut table).ok_or(too_short)?;
    }
    if !body.is_empty() {
        return Err(too_short);
    }
    Ok(table)
}

fn decode_producer(body: &mut &[u8], table: &mut ProducerTable) -> Option<()> {
    let (mut head, rest) = body.split_at_checked(PRODUCER_HEAD_BYTES)?;
    let producer_id = head.get_i64();
    let epoch = head.get_i16();
    let _coordinator_epoch = head.get_i32();
    let _transaction_start = head.get_i64();
    let last_timestamp_ms = head.get_i64();
    let count = usize::from(head.get_u8());
    let (batches, rest) = rest.split_at_checked(count.saturating_mul(BATCH_BYTES))?;
    let batches: Vec<ProducedBatch> = batches
        .chunks_exact(BATCH_BYTES)
        .map(|mut batch| ProducedBatch {
            first_sequence: batch.get_i32(),
            last_sequence: batch.get_i32(),
            base: Offset::new(batch.get_i64()),
            timestamp_ms: batch.get_i64(),
        })
        .collect();
    table.insert_loaded(producer_id, epoch, last_timestamp_ms, &batches);
    *body = rest;
    Some(())
}

/// Reads the snapshot at `offset`; a bad one is logged and is none.
pub(crate) fn read(vfs: &dyn Vfs, directory: &Path, offset: Offset) -> Option<ProducerTable> {
    let path = SegmentFile::Snapshot.path(directory, offset);
    let decoded = vfs::read_whole(vfs, &path, FILE_BYTES_MAX)
        .map_err(|error| error.to_string())
        .and_then(|bytes| decode(&bytes, offset).map_err(|error| error.to_string()));
    match decoded {
        Ok(table) => Some(table),
        Err(error) => {
            tracing::warn!(path = %path.display(), error, "O: a producer snapshot is bad");
            None
        }
    }
}

/// Writes a snapshot; the names of the directory are to be synced then.
pub(crate) fn put(vfs: &dyn Vfs, directory: &Path, offset: Offset, bytes: &[u8]) -> io::Result<()> {
    vfs::replace(vfs, &SegmentFile::Snapshot.path(directory, offset), bytes)
}

/// Removes those that are no longer needed.
pub(crate) fn remove_old(vfs: &dyn Vfs, directory: &Path) -> io::Result<()> {
    let Some(listing) = crate::listing::list(vfs, directory)? else {
        return Ok(());
    };
    let surplus = listing.snapshots.len().saturating_sub(SNAPSHOTS_KEPT);
    for old in listing.snapshots.into_iter().take(surplus) {
        vfs.remove_file(&SegmentFile::Snapshot.path(directory, old))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
