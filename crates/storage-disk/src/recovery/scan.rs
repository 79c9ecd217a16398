//! Reading the part of a segment that nobody vouches for: good batches, and what follows them.

use records::Offset;
use vfs::File;

use super::table::Rest;
use crate::position::Position;
use crate::walk::{EpochRange, Step, Walk, resync};
use crate::window::{Access, Fault, Window};

const CHUNK_BYTES: usize = 64 * 1024;

/// What a scan of one segment came to.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where the last good batch before any damage ends.
    pub(super) end: Position,
    /// The offset there.
    pub(super) next: Offset,
    pub(super) rest: Rest,
    /// Where good batches go on behind the rest, in this segment; they end with the file.
    pub(super) resumes: Option<(Position, Offset)>,
    /// Each epoch that was met, with its first offset.
    pub(super) epochs: Vec<(i32, Offset)>,
}

/// Reads a segment from `start`, where the batch at `expected` should be, to its end at `size`.
pub(super) fn scan(
    file: &dyn File,
    (start, size): (Position, Position),
    expected: Offset,
    epochs: EpochRange,
) -> Result<Scan, Fault> {
    let range = (start, size);
    let mut walk = Walk::checked(file, Access::Blocking, range, Some(expected), epochs);
    let mut met: Vec<(i32, Offset)> = Vec::new();
    loop {
        match walk.step()? {
            Step::Batch(found) => {
                let epoch = found.header.leader_epoch;
                if met.last().is_none_or(|(newest, _)| *newest < epoch) {
                    met.push((epoch, found.header.base_offset));
                }
            }
            Step::End => {
                let next = walk.expected().unwrap_or(expected);
                return Ok(Scan {
                    end: size,
                    next,
                    rest: Rest::Nothing,
                    resumes: None,
                    epochs: met,
                });
            }
            Step::Damaged { position, reason } => {
                let next = walk.expected().unwrap_or(expected);
                assert!(
                    next >= expected,
                    "a scan from {expected} does not end at {next}"
                );
                tracing::debug!(%position, reason, "a scan ends");
                let rest = rest_of(file, (position, size))?;
                let found = resync(file, Access::Blocking, (position, size), next)?;
                let resumes = found.map(|found| (found.position, found.header.base_offset));
                return Ok(Scan {
                    end: position,
                    next,
                    rest,
                    resumes,
                    epochs: met,
                });
            }
        }
    }
}

/// The offset behind the good batches from `position` to the end of the segment, and the epochs.
pub(super) fn rescan(
    file: &dyn File,
    (position, size): (Position, Position),
    base: Offset,
) -> Result<Scan, Fault> {
    scan(file, (position, size), base, EpochRange::ANY)
}

/// Whether a good batch stands at the start of a segment, at or after `expected`.
pub(super) fn begins_well(
    file: &dyn File,
    size: Position,
    expected: Offset,
) -> Result<bool, Fault> {
    let range = (Position::ZERO, size);
    let mut walk = Walk::checked(file, Access::Blocking, range, None, EpochRange::ANY);
    Ok(match walk.step()? {
        Step::Batch(found) => found.header.base_offset >= expected,
        _ => false,
    })
}

fn rest_of(file: &dyn File, (start, end): (Position, Position)) -> Result<Rest, Fault> {
    let mut window = Window::new(file, Access::Blocking, CHUNK_BYTES);
    let mut at = start;
    while at < end {
        let bytes = window.bytes(at, CHUNK_BYTES.min(end.since(at)))?;
        if bytes.iter().any(|&byte| byte != 0) {
            return Ok(Rest::Junk);
        }
        if bytes.is_empty() {
            break;
        }
        at = at.plus(bytes.len());
    }
    Ok(Rest::Zeros)
}
