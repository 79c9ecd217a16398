//! Reading the part of a segment that nobody vouches for: good batches, and what follows them.

use records::{BatchHeader, HEADER_BYTES, Offset};
use sabotage::{Safeguard, skips};
use vfs::File;

use super::table::Rest;
use crate::position::Position;
use crate::walk::{EpochRange, Step, Walk, behind};
use crate::window::{Access, Fault, Window};

const CHUNK_BYTES: usize = 64 * 1024;
const MAGIC_AT: usize = 16;
const MAGIC: u8 = 2;
const LENGTH_AT: usize = 8;
const EPOCH_AT: usize = 12;

/// What a scan of one segment came to.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where the last good batch before any damage ends.
    pub(super) end: Position,
    /// The offset there.
    pub(super) next: Offset,
    pub(super) rest: Rest,
    /// What is behind the damage, if there is any.
    pub(super) salvage: Option<Salvage>,
    /// Each epoch that was met, with its first offset.
    pub(super) epochs: Vec<(i32, Offset)>,
}

/// What is left behind damage.
#[derive(Debug, Default)]
pub(super) struct Salvage {
    /// Ranges of positions and of offsets that hold no good batch.
    pub(super) lost: Vec<((Position, Position), (Offset, Offset))>,
    /// There are good batches between or behind them.
    pub(super) good: bool,
    /// Where damage begins that leads nowhere, and the offset there.
    pub(super) tail: Option<(Position, Offset)>,
    /// The offset behind the last batch, where there is no tail.
    pub(super) next: Offset,
    pub(super) epochs: Vec<(i32, Offset)>,
}

/// Reads a segment from `start`, where the batch at `expected` should be, to its end at `size`.
/// Behind damage, a batch stands in `places` for certain, each a position and an offset.
pub(super) fn scan(
    (file, places): (&dyn File, &[(Position, Offset)]),
    (start, size): (Position, Position),
    expected: Offset,
    epochs: EpochRange,
) -> Result<Scan, Fault> {
    let range = (start, size);
    let mut met = Vec::new();
    let (end, next, whole) = good_run(file, range, expected, epochs, &mut met)?;
    assert!(
        next >= expected,
        "a scan from {expected} does not end at {next}"
    );
    let mut scan = Scan {
        end,
        next,
        rest: Rest::Nothing,
        salvage: None,
        epochs: met,
    };
    if !whole {
        let lowest = scan
            .epochs
            .last()
            .map_or(epochs.lowest, |(epoch, _)| *epoch);
        let epochs = EpochRange { lowest, ..epochs };
        let salvage = salvage((file, epochs, places), (end, size), next)?;
        scan.rest = match rest_of(file, (end, size), next, epochs)? {
            Rest::Junk if salvage.tail.is_none() && !salvage.good => Rest::Complete,
            rest => rest,
        };
        scan.salvage = Some(salvage);
    }
    Ok(scan)
}

/// The good batches from `start` on: where they end, the offset there, and whether nothing is left.
fn good_run(
    file: &dyn File,
    (start, size): (Position, Position),
    expected: Offset,
    epochs: EpochRange,
    met: &mut Vec<(i32, Offset)>,
) -> Result<(Position, Offset, bool), Fault> {
    let range = (start, size);
    let mut walk = if skips(Safeguard::RecoveryCrc) {
        Walk::headers(file, Access::Blocking, range, Some(expected)).with_epochs(epochs)
    } else {
        Walk::checked(file, Access::Blocking, range, Some(expected), epochs)
    };
    loop {
        match walk.step()? {
            Step::Batch(found) => {
                let epoch = found.header.leader_epoch;
                if met.last().is_none_or(|(newest, _)| *newest < epoch) {
                    met.push((epoch, found.header.base_offset));
                }
            }
            Step::End => return Ok((size, walk.expected().unwrap_or(expected), true)),
            Step::Damaged { position, reason } => {
                tracing::debug!(%position, reason, "a scan ends");
                return Ok((position, walk.expected().unwrap_or(expected), false));
            }
        }
    }
}

/// Goes on behind damage at `bad` as far as the way is certain.
fn salvage(
    (file, epochs, places): (&dyn File, EpochRange, &[(Position, Offset)]),
    (bad, size): (Position, Position),
    expected: Offset,
) -> Result<Salvage, Fault> {
    let mut salvage = Salvage {
        next: expected,
        ..Salvage::default()
    };
    let mut at = bad;
    loop {
        let next = salvage.next;
        let access = Access::Blocking;
        let found = behind((file, access, epochs), (at, size), next)?;
        let is_behind = |&&(position, base): &&(Position, Offset)| {
            at < position && position < size && next <= base && !skips(Safeguard::CommitPlaces)
        };
        let known = places.iter().filter(is_behind).min().copied();
        let nearest = found.into_iter().chain(known).min();
        let Some((position, base)) = nearest else {
            salvage.tail = Some((at, next));
            return Ok(salvage);
        };
        salvage.lost.push(((at, position), (next, base)));
        let range = (position, size);
        let met = &mut salvage.epochs;
        let (end, next, whole) = good_run(file, range, base, EpochRange::ANY, met)?;
        salvage.good |= end > position;
        salvage.next = next;
        at = end;
        if whole {
            return Ok(salvage);
        }
    }
}

/// How far the good batches of a whole segment reach.
pub(super) fn reach(
    file: &dyn File,
    size: Position,
    base: Offset,
    highest: i32,
) -> Result<Offset, Fault> {
    let (range, epochs) = ((Position::ZERO, size), EpochRange::up_to(highest));
    let (_, next, _) = good_run(file, range, base, epochs, &mut Vec::new())?;
    Ok(next)
}

/// Where the batch that begins with `offset` is, by the heads.
pub(super) fn position_of(
    file: &dyn File,
    size: Position,
    (base, offset): (Offset, Offset),
) -> Result<Option<Position>, Fault> {
    let range = (Position::ZERO, size);
    let mut walk = Walk::headers(file, Access::Blocking, range, Some(base));
    while let Step::Batch(found) = walk.step()? {
        if found.header.base_offset >= offset {
            return Ok((found.header.base_offset == offset).then_some(found.position));
        }
    }
    Ok(None)
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

/// What the bytes from `start` on look like; never [`Rest::Complete`], which takes more looking.
pub(super) fn rest_of(
    file: &dyn File,
    (start, end): (Position, Position),
    expected: Offset,
    epochs: EpochRange,
) -> Result<Rest, Fault> {
    let mut window = Window::new(file, Access::Blocking, CHUNK_BYTES);
    let left = end.since(start);
    let head = window.bytes(start, HEADER_BYTES.min(left))?;
    if is_torn(head, left, expected, epochs) {
        return Ok(Rest::Torn);
    }
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

/// Whether this is the begin of the batch that belongs here, and the file ends inside it.
fn is_torn(head: &[u8], left: usize, expected: Offset, epochs: EpochRange) -> bool {
    let offset = expected.get().to_be_bytes();
    let known = head.get(..offset.len()).unwrap_or(head);
    if !offset.starts_with(known) {
        return false;
    }
    let field = |at: usize| {
        let bytes = head.get(at..)?.first_chunk::<4>()?;
        Some(i32::from_be_bytes(*bytes))
    };
    let fits = |value: Option<i32>, test: &dyn Fn(i32) -> bool| value.is_none_or(test);
    let is_longer = |length: i32| {
        usize::try_from(length).is_ok_and(|length| {
            let size_bytes = length.saturating_add(EPOCH_AT);
            size_bytes > left && size_bytes >= HEADER_BYTES
        })
    };
    let in_range = |epoch: i32| epochs.lowest <= epoch && epoch <= epochs.highest;
    let whole_head_is_good = head.len() < HEADER_BYTES || BatchHeader::parse(head).is_ok();
    fits(field(LENGTH_AT), &is_longer)
        && fits(field(EPOCH_AT), &in_range)
        && head.get(MAGIC_AT).is_none_or(|magic| *magic == MAGIC)
        && whole_head_is_good
}
