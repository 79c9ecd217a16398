//! Going from batch to batch in a segment file, and finding the way again behind damage.
//!
//! The bytes outside a batch's CRC are held against their neighbours: the base offset must be the
//! one expected, the epoch must not fall, the length must stay inside the file. Decides nothing
//! about what damage means: recovery and reads do.

mod hop;

use records::checksum::crc32c_append;
use records::{BatchHeader, CRC_START, HEADER_BYTES, LOG_OVERHEAD_BYTES, Offset};
use sabotage::{Safeguard, skips};
use vfs::File;

use crate::position::Position;
use crate::window::{Access, Fault, Window};

pub(crate) use hop::behind;

/// Enough for the headers of a few small batches, and one page.
pub(crate) const HEADER_CHUNK_BYTES: usize = 4096;
/// For walks that read every byte.
const SCAN_CHUNK_BYTES: usize = 256 * 1024;
/// How many times over the bytes behind damage may be read while looking for the way.
const RESYNC_EFFORT: usize = 16;
/// No damage inside one segment hides more offsets than its index could name.
const LOST_OFFSETS_MAX: i64 = i32::MAX as i64;
const LENGTH_AT: usize = 8;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const MAGIC: u8 = 2;

/// A batch and where it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) position: Position,
    pub(crate) header: BatchHeader,
}

impl Found {
    /// Where the next batch begins.
    pub(crate) fn end(&self) -> Position {
        self.position.plus(self.header.size_bytes())
    }
}

/// One step of a walk.
#[derive(Debug)]
pub(crate) enum Step {
    Batch(Found),
    /// Exactly after a batch.
    End,
    /// No good batch begins here, though bytes are left.
    Damaged {
        position: Position,
        reason: String,
    },
}

/// Which leader epochs can be in a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EpochRange {
    pub(crate) lowest: i32,
    pub(crate) highest: i32,
    /// A batch of the highest epoch is not before this offset.
    pub(crate) highest_from: Offset,
}

impl EpochRange {
    pub(crate) const ANY: Self = Self::up_to(i32::MAX);

    pub(crate) const fn up_to(highest: i32) -> Self {
        Self {
            lowest: i32::MIN,
            highest,
            highest_from: Offset::ZERO,
        }
    }

    fn can_be(self, header: &BatchHeader) -> bool {
        let is_in_range = (self.lowest..=self.highest).contains(&header.leader_epoch);
        is_in_range
            && (header.leader_epoch < self.highest || header.base_offset >= self.highest_from)
    }
}

/// A walk over a part of a segment.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    window: Window<'a>,
    at: Position,
    end: Position,
    expected: Option<Offset>,
    epochs: EpochRange,
    reads_records: bool,
}

impl<'a> Walk<'a> {
    /// Looks at headers only. `expected` is the base offset of the batch at `start`, if known.
    pub(crate) fn headers(
        file: &'a dyn File,
        access: Access,
        (start, end): (Position, Position),
        expected: Option<Offset>,
    ) -> Self {
        assert!(
            start <= end,
            "a walk from {start} goes forward, not to {end}"
        );
        Self {
            window: Window::new(file, access, HEADER_CHUNK_BYTES),
            at: start,
            end,
            expected,
            epochs: EpochRange::ANY,
            reads_records: false,
        }
    }

    /// Looks at every byte and believes only batches whose CRC is good.
    pub(crate) fn checked(
        file: &'a dyn File,
        access: Access,
        range: (Position, Position),
        expected: Option<Offset>,
        epochs: EpochRange,
    ) -> Self {
        Self {
            window: Window::new(file, access, SCAN_CHUNK_BYTES),
            epochs,
            reads_records: true,
            ..Self::headers(file, access, range, expected)
        }
    }

    /// Believes no batch of an epoch that was never given out.
    #[must_use]
    pub(crate) fn with_epochs(self, epochs: EpochRange) -> Self {
        Self { epochs, ..self }
    }

    /// Where the next step looks.
    pub(crate) fn position(&self) -> Position {
        self.at
    }

    /// The base offset that the next batch must have, if known.
    pub(crate) fn expected(&self) -> Option<Offset> {
        self.expected
    }

    /// Goes on at another place, where neither base offset nor epoch is known.
    pub(crate) fn jump(&mut self, target: Position) {
        assert!(
            target <= self.end,
            "a walk stays before {}, not at {target}",
            self.end
        );
        self.at = target;
        self.expected = None;
        self.epochs.lowest = i32::MIN;
    }

    /// The batch here.
    pub(crate) fn step(&mut self) -> Result<Step, Fault> {
        if self.at >= self.end {
            return Ok(Step::End);
        }
        match self.batch_here()? {
            Ok(header) => {
                let found = Found {
                    position: self.at,
                    header,
                };
                assert!(
                    found.end() <= self.end,
                    "a batch at {} ends inside",
                    self.at
                );
                self.at = found.end();
                self.expected = Some(header.next_offset());
                self.epochs.lowest = header.leader_epoch;
                Ok(Step::Batch(found))
            }
            Err(reason) => Ok(Step::Damaged {
                position: self.at,
                reason,
            }),
        }
    }

    fn batch_here(&mut self) -> Result<Result<BatchHeader, String>, Fault> {
        let left = self.end.since(self.at);
        let head = self.window.bytes(self.at, HEADER_BYTES.min(left))?;
        let header = match BatchHeader::parse(head) {
            Ok(header) => header,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Err(reason) = self.check_place(&header, left) {
            return Ok(Err(reason));
        }
        if self.reads_records {
            let got = self.crc_here(header.size_bytes())?;
            if got != header.crc {
                let expected = header.crc;
                return Ok(Err(format!(
                    "the CRC-32C of the bytes is {got:#010x}, the header says {expected:#010x}"
                )));
            }
        }
        Ok(Ok(header))
    }

    /// The fields that the CRC does not cover.
    fn check_place(&self, header: &BatchHeader, left: usize) -> Result<(), String> {
        let base = header.base_offset;
        if header.size_bytes() > left {
            let size_bytes = header.size_bytes();
            return Err(format!(
                "a batch of {size_bytes} bytes where {left} are left"
            ));
        }
        let (delta, count) = (header.last_offset_delta, header.record_count);
        // Compaction takes records out of a batch and leaves its offsets.
        let most = i64::from(delta).saturating_add(1);
        if base < Offset::ZERO || delta < 0 || !(0..=most).contains(&i64::from(count)) {
            return Err(format!(
                "base offset {base}, last offset delta {delta} and {count} records do not fit"
            ));
        }
        if let Some(expected) = self.expected.filter(|&expected| expected != base)
            && !skips(Safeguard::OffsetContinuity)
        {
            return Err(format!("base offset {base} where {expected} was expected"));
        }
        let EpochRange {
            lowest, highest, ..
        } = self.epochs;
        if !self.epochs.can_be(header) && !skips(Safeguard::EpochOrder) {
            let epoch = header.leader_epoch;
            return Err(format!(
                "leader epoch {epoch} where {lowest} to {highest} can be"
            ));
        }
        Ok(())
    }

    fn crc_here(&mut self, size_bytes: usize) -> Result<u32, Fault> {
        let mut crc = 0;
        let mut done = CRC_START;
        while done < size_bytes {
            let wanted = size_bytes.saturating_sub(done).min(SCAN_CHUNK_BYTES);
            let piece = self.window.bytes(self.at.plus(done), wanted)?;
            if piece.is_empty() {
                // The file became shorter meanwhile: not the CRC that was written.
                return Ok(!crc);
            }
            crc = crc32c_append(crc, piece);
            done = done.saturating_add(piece.len());
        }
        Ok(crc)
    }
}

/// Finds the first batch behind damage at `bad`: one from which an unbroken chain of good batches
/// ends exactly at `end`. Anything less could be bytes that a record holds; and if the bytes from
/// `bad` on have the CRC that stands there, all of them are one batch, whatever they contain.
pub(crate) fn resync(
    file: &dyn File,
    access: Access,
    (bad, end): (Position, Position),
    expected: Offset,
) -> Result<Option<Found>, Fault> {
    let mut effort = end.since(bad).saturating_mul(RESYNC_EFFORT);
    let mut window = Window::new(file, access, SCAN_CHUNK_BYTES);
    // Mostly only the records of one batch are damaged, and its length still leads to the next.
    let head = window.bytes(bad, HEADER_BYTES.min(end.since(bad)))?;
    let length = stored_size(head).unwrap_or(0);
    let crc = stored_crc(head);
    let next = bad.plus(length);
    if length > 0
        && next < end
        && let Some(found) = chain(file, access, (next, end), expected, &mut effort)?
    {
        return Ok(Some(found));
    }
    let mut candidate = bad.plus(1);
    while end.since(candidate) >= HEADER_BYTES && effort > 0 {
        let magic = window.bytes(candidate.plus(MAGIC_AT), 1)?.first().copied();
        if magic == Some(MAGIC)
            && let Some(found) = chain(file, access, (candidate, end), expected, &mut effort)?
        {
            return outside(file, access, (bad, crc), (found, end));
        }
        candidate = candidate.plus(1);
    }
    Ok(None)
}

/// The size that a head says, whatever its magic is.
fn stored_size(head: &[u8]) -> Option<usize> {
    let length = head.get(LENGTH_AT..)?.first_chunk()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    Some(length.saturating_add(LOG_OVERHEAD_BYTES)).filter(|size_bytes| *size_bytes >= HEADER_BYTES)
}

fn stored_crc(head: &[u8]) -> Option<u32> {
    let crc = head.get(CRC_AT..)?.first_chunk()?;
    Some(u32::from_be_bytes(*crc))
}

/// The first batch of a chain that is not inside the damaged one at `bad`: if the bytes up to a
/// later one of them have the CRC that stands at `bad`, those before it are what a record holds.
fn outside(
    file: &dyn File,
    access: Access,
    (bad, crc): (Position, Option<u32>),
    (first, end): (Found, Position),
) -> Result<Option<Found>, Fault> {
    let mut bytes = Window::new(file, access, SCAN_CHUNK_BYTES);
    let mut walk = Walk::headers(file, access, (first.position, end), None);
    let (mut at, mut got) = (bad.plus(CRC_START), 0);
    let mut reached = first.position;
    loop {
        while at < reached {
            let piece = bytes.bytes(at, SCAN_CHUNK_BYTES.min(reached.since(at)))?;
            if piece.is_empty() {
                return Ok(Some(first));
            }
            got = crc32c_append(got, piece);
            at = at.plus(piece.len());
        }
        let here = walk.step()?;
        if Some(got) == crc {
            return Ok(match here {
                Step::Batch(found) => Some(found),
                Step::End | Step::Damaged { .. } => None,
            });
        }
        match here {
            Step::Batch(found) => reached = found.end(),
            Step::End | Step::Damaged { .. } => return Ok(Some(first)),
        }
    }
}

fn is_behind(base: Offset, expected: Offset) -> bool {
    (0..=LOST_OFFSETS_MAX).contains(&base.since(expected))
}

/// The first batch of an unbroken chain of good ones from `start` to exactly `end`.
fn chain(
    file: &dyn File,
    access: Access,
    (start, end): (Position, Position),
    expected: Offset,
    effort: &mut usize,
) -> Result<Option<Found>, Fault> {
    let mut headers = Walk::headers(file, access, (start, end), None);
    match headers.step()? {
        Step::Batch(found) if is_behind(found.header.base_offset, expected) => {}
        _ => return Ok(None),
    }
    let mut walk = Walk::checked(file, access, (start, end), None, EpochRange::ANY);
    let mut first = None;
    loop {
        match walk.step()? {
            Step::Batch(found) => {
                *effort = effort.saturating_sub(found.header.size_bytes());
                first.get_or_insert(found);
            }
            Step::End => return Ok(first),
            Step::Damaged { .. } => {
                *effort = effort.saturating_sub(HEADER_BYTES);
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
