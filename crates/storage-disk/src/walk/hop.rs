//! The way behind damage: mostly only the records of one batch are bad, and its head still leads on.

use records::Offset;
use vfs::File;

use super::{EpochRange, Step, Walk, resync};
use crate::position::Position;
use crate::window::{Access, Fault};

/// Where batches go on behind damage at `bad`, and with which offset, as far as that is certain:
/// where the head of the damaged batch leads, or where [`resync`] finds good ones. It can be `end`.
pub(crate) fn behind(
    (file, access, epochs): (&dyn File, Access, EpochRange),
    (bad, end): (Position, Position),
    expected: Offset,
) -> Result<Option<(Position, Offset)>, Fault> {
    if let Some(target) = hop((file, access, epochs), (bad, end), expected)? {
        return Ok(Some(target));
    }
    let found = resync(file, access, (bad, end), expected)?;
    Ok(found.map(|found| (found.position, found.header.base_offset)))
}

/// The head of the damaged batch fits its place, and leads to another that fits, or to the end.
fn hop(
    (file, access, epochs): (&dyn File, Access, EpochRange),
    (bad, end): (Position, Position),
    expected: Offset,
) -> Result<Option<(Position, Offset)>, Fault> {
    let mut heads = Walk::headers(file, access, (bad, end), Some(expected)).with_epochs(epochs);
    let Step::Batch(found) = heads.step()? else {
        return Ok(None);
    };
    // Its offsets may be what is damaged, and so may the number of its records, which says the same but
    // where compaction took records out. A batch that goes on from there decides, as it does for readers.
    let offsets = found.header.last_offset_delta.checked_add(1);
    let is_agreed = offsets == Some(found.header.record_count);
    let target = (found.end(), found.header.next_offset());
    Ok(match heads.step()? {
        Step::Batch(_) => Some(target),
        Step::End => is_agreed.then_some(target),
        Step::Damaged { .. } => None,
    })
}
