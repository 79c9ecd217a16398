//! Finding a record by its timestamp inside one batch.
//!
//! A header tells the largest timestamp of a batch, not which record has it, so the batch must be
//! opened: one of the few places that decompress, and only within a budget. Must not know: where
//! the batch came from.

use bytes::Bytes;
use records::{BatchError, BatchHeader, DecodeBudget, Offset, records};

use crate::log::{OffsetAt, TimeQuery};

/// What one look-up may decompress at most, in bytes.
pub const DECODED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The record of `batch` at or behind `from` that answers `query`: the first at or after the time,
/// or the first with the largest timestamp. Records without a timestamp are never the largest.
pub fn find_in_batch(
    batch: &Bytes,
    from: Offset,
    query: TimeQuery,
    budget: &mut DecodeBudget,
) -> Result<Option<OffsetAt>, BatchError> {
    let leader_epoch = BatchHeader::parse(batch)?.leader_epoch;
    let mut largest: Option<OffsetAt> = None;
    for record in records(batch, budget)? {
        let record = record?;
        let (offset, timestamp_ms) = (record.offset, record.timestamp_ms);
        if offset < from {
            continue;
        }
        let found = OffsetAt {
            offset,
            timestamp_ms,
            leader_epoch,
        };
        match query {
            TimeQuery::AtOrAfter(wanted_ms) if timestamp_ms >= wanted_ms => return Ok(Some(found)),
            TimeQuery::AtOrAfter(_) => {}
            TimeQuery::Largest => {
                if timestamp_ms > largest.map_or(-1, |best| best.timestamp_ms) {
                    largest = Some(found);
                }
            }
        }
    }
    Ok(largest)
}

#[cfg(test)]
mod tests;
