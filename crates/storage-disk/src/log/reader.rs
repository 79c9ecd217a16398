//! Finding batches inside one segment: an index entry, checked against the batch it names, and a
//! few headers from there. Damage on the way is stepped over where the way behind it is certain.

use std::ops::ControlFlow;

use records::Offset;
use sabotage::{Safeguard, skips};
use storage::ReadLimit;
use vfs::File;

use crate::position::Position;
use crate::quarantine::Entry;
use crate::recovery::Label;
use crate::segment_index::SegmentIndex;
use crate::walk::{EpochRange, Found, Step, Walk, resync};
use crate::window::{Access, Fault};

/// What a reader asks of an index: places of batches, each with the last offset of its batch.
pub(super) trait IndexLookup {
    /// The last indexed batch that ends at or before `offset`.
    fn floor(&self, offset: Offset) -> Option<(Position, Offset)>;
    /// The last indexed batch that begins at or before `position`.
    fn floor_position(&self, position: Position) -> Option<(Position, Offset)>;
    /// The first indexed batch that begins after `position`.
    fn after_position(&self, position: Position) -> Option<(Position, Offset)>;
}

impl IndexLookup for SegmentIndex {
    fn floor(&self, offset: Offset) -> Option<(Position, Offset)> {
        Self::floor(self, offset)
    }

    fn floor_position(&self, position: Position) -> Option<(Position, Offset)> {
        Self::floor_position(self, position)
    }

    fn after_position(&self, position: Position) -> Option<(Position, Offset)> {
        Self::after_position(self, position)
    }
}

/// What looking for an offset came to.
#[derive(Debug)]
pub(super) enum Sought {
    /// The batch that holds it.
    Batch(Found),
    /// The batch that should hold it is damaged, or is not there.
    Lost(String),
    /// An index entry does not name a batch: the index must be built anew.
    BadIndex,
}

/// How closely a walk looks at what it passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    Headers,
    Bodies,
}

/// One segment, read up to `limit`, where a batch ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct SegmentReader<'a> {
    pub(super) file: &'a dyn File,
    pub(super) access: Access,
    pub(super) base: Offset,
    pub(super) limit: Position,
    pub(super) epochs: EpochRange,
}

impl SegmentReader<'_> {
    /// The batch that contains `from`. Headers tell which; a damaged one may tell that it contains
    /// what it does not, and is found out with [`Care::Bodies`].
    pub(super) fn find(
        &self,
        index: &dyn IndexLookup,
        (from, care): (Offset, Care),
    ) -> Result<Sought, Fault> {
        assert!(
            from >= self.base,
            "offset {from} is not before its segment at {}",
            self.base
        );
        let entry = index
            .floor(from)
            .filter(|(position, _)| *position < self.limit);
        let Some(mut walk) = self.walk_from(entry)? else {
            return Ok(Sought::BadIndex);
        };
        if care == Care::Bodies {
            let range = (walk.position(), self.limit);
            walk = Walk::checked(self.file, self.access, range, walk.expected(), self.epochs);
        }
        let mut before = None;
        loop {
            match walk.step()? {
                Step::Batch(found) if found.header.last_offset() < from => before = Some(found),
                Step::Batch(found) if found.header.base_offset <= from => {
                    return Ok(Sought::Batch(found));
                }
                Step::Batch(found) => {
                    let next = found.header.base_offset;
                    return Ok(Sought::Lost(format!(
                        "the next good batch begins at {next}"
                    )));
                }
                Step::End => {
                    let end = walk.expected().unwrap_or(self.base);
                    return Ok(Sought::Lost(format!("the segment ends at {end}")));
                }
                Step::Damaged { position, reason } => {
                    let expected = walk.expected().unwrap_or(self.base);
                    let (bad, first) = self.damage_begins(before, (position, expected))?;
                    match self.behind_damage(index, bad, first)? {
                        Some(found) if found.header.base_offset <= from => {
                            walk.jump(found.position);
                        }
                        _ => return Ok(Sought::Lost(format!("at byte {position}: {reason}"))),
                    }
                }
            }
        }
    }

    /// Where damage that a walk over headers met really begins: the length of the batch before may
    /// be what is wrong, and then the walk was led astray.
    fn damage_begins(
        &self,
        before: Option<Found>,
        (position, expected): (Position, Offset),
    ) -> Result<(Position, Offset), Fault> {
        let Some(before) = before.filter(|before| before.end() == position) else {
            return Ok((position, expected));
        };
        let (range, base) = ((before.position, position), before.header.base_offset);
        let mut walk = Walk::checked(self.file, self.access, range, Some(base), self.epochs);
        Ok(match walk.step()? {
            Step::Batch(_) => (position, expected),
            Step::End | Step::Damaged { .. } => (before.position, base),
        })
    }

    /// A walk over headers, as all reads walk: what one of them takes for a batch, all do.
    pub(super) fn headers(
        &self,
        range: (Position, Position),
        expected: Option<Offset>,
    ) -> Walk<'_> {
        Walk::headers(self.file, self.access, range, expected).with_epochs(self.epochs)
    }

    /// A walk that begins at the entry, which must name a batch; `None` if it does not.
    fn walk_from(&self, entry: Option<(Position, Offset)>) -> Result<Option<Walk<'_>>, Fault> {
        let Some((position, last)) = entry else {
            let range = (Position::ZERO, self.limit);
            return Ok(Some(self.headers(range, Some(self.base))));
        };
        let mut walk = self.headers((position, self.limit), None);
        match walk.step()? {
            Step::Batch(found)
                if found.header.last_offset() == last || skips(Safeguard::IndexCheckRead) =>
            {
                walk.jump(position);
                Ok(Some(walk))
            }
            _ => Ok(None),
        }
    }

    /// The first batch behind damage at `bad` that is certainly one.
    fn behind_damage(
        &self,
        index: &dyn IndexLookup,
        bad: Position,
        expected: Offset,
    ) -> Result<Option<Found>, Fault> {
        let next = index
            .after_position(bad)
            .filter(|(position, _)| *position < self.limit);
        let boundary = next.map_or(self.limit, |(position, _)| position);
        let found = resync(self.file, self.access, (bad, boundary), expected)?;
        if let Some(found) = found
            && self.leads_over(&found, boundary)?
        {
            return Ok(Some(found));
        }
        let Some((position, last)) = next else {
            return Ok(None);
        };
        let mut walk = self.headers((position, self.limit), None);
        match walk.step()? {
            Step::Batch(found) if found.header.last_offset() == last => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    /// Whether the batches from `found` on go on over `boundary`, where one begins by the index: the
    /// offset in the head of a single one may be damaged too.
    fn leads_over(&self, found: &Found, boundary: Position) -> Result<bool, Fault> {
        let mut walk = self.headers((found.position, self.limit), None);
        loop {
            match walk.step()? {
                Step::Batch(found) if found.position < boundary => {}
                Step::Batch(_) | Step::End => return Ok(true),
                Step::Damaged { .. } => return Ok(false),
            }
        }
    }

    /// Where a read that begins with the batch `first` ends, and the offset there if it is known:
    /// at the last batch boundary within the limit. `None`: not even the first batch fits.
    pub(super) fn end_of_range(
        &self,
        index: &dyn IndexLookup,
        first: &Found,
        limit: ReadLimit,
    ) -> Result<Option<(Position, Option<Offset>)>, Fault> {
        let start = first.position;
        if self.limit.since(start) <= limit.bytes_max {
            return Ok(Some((self.limit, None)));
        }
        if first.header.size_bytes() > limit.bytes_max {
            let end = (first.end(), Some(first.header.next_offset()));
            return Ok(limit.at_least_one_batch.then_some(end));
        }
        let furthest = start.plus(limit.bytes_max);
        let entry = index
            .floor_position(furthest)
            .filter(|(position, _)| *position > start);
        let mut walk = match self.walk_from(entry)? {
            Some(walk) if entry.is_some() => walk,
            // A bad entry or none: the headers tell, only more slowly.
            _ => {
                let expected = Some(first.header.base_offset);
                self.headers((start, self.limit), expected)
            }
        };
        let mut end = (walk.position(), walk.expected());
        while let Step::Batch(found) = walk.step()? {
            if found.end() > furthest {
                end = (found.position, Some(found.header.base_offset));
                break;
            }
            end = (found.end(), Some(found.header.next_offset()));
        }
        let (position, _) = end;
        assert!(
            position > start && position <= furthest,
            "a read from {start} ends at {position}"
        );
        Ok(Some(end))
    }

    /// Shows the headers of all batches that end after `from`, damaged ones left out, until `take`
    /// has enough.
    pub(super) fn each_batch(
        &self,
        index: &dyn IndexLookup,
        from: Offset,
        take: &mut dyn FnMut(&Found) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let entry = index
            .floor(from)
            .filter(|(position, _)| *position < self.limit);
        let mut walk = match self.walk_from(entry)? {
            Some(walk) => walk,
            None => self
                .walk_from(None)?
                .expect("the start of a segment needs no entry"),
        };
        let mut before = None;
        loop {
            match walk.step()? {
                Step::Batch(found) => {
                    before = Some(found);
                    if found.header.next_offset() > from && take(&found).is_break() {
                        return Ok(());
                    }
                }
                Step::End => return Ok(()),
                Step::Damaged { position, .. } => {
                    let expected = walk.expected().unwrap_or(self.base);
                    let (bad, first) = self.damage_begins(before, (position, expected))?;
                    match self.behind_damage(index, bad, first)? {
                        Some(found) => walk.jump(found.position),
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    /// The damage that holds offset `from`, every byte before it looked at; `None` if the batch
    /// there is good. The log goes on at `next_base` behind this segment.
    pub(super) fn damage_at(
        &self,
        index: &dyn IndexLookup,
        from: Offset,
        next_base: Offset,
    ) -> Result<Option<Entry>, Fault> {
        let entry = index
            .floor(from)
            .filter(|(position, _)| *position < self.limit);
        let whole = (Position::ZERO, Some(self.base));
        let (start, expected) = entry.map_or(whole, |(position, _)| (position, None));
        let found = self.damage_between((start, expected), index, (from, next_base))?;
        match found {
            // The way to it begins in the middle of damage.
            Some(entry) if entry.first > from || entry.last < from => {
                self.damage_between(whole, index, (from, next_base))
            }
            found => Ok(found),
        }
    }

    fn damage_between(
        &self,
        (start, expected): (Position, Option<Offset>),
        index: &dyn IndexLookup,
        (from, next_base): (Offset, Offset),
    ) -> Result<Option<Entry>, Fault> {
        let range = (start, self.limit);
        let mut walk = Walk::checked(self.file, self.access, range, expected, self.epochs);
        let entry = |first: Offset, next: Offset, (position, end), label| Entry {
            first,
            last: Offset::new(next.get().saturating_sub(1)).max(first),
            position,
            end,
            label,
            accepted: false,
        };
        let mut landed = None;
        loop {
            match walk.step()? {
                Step::Batch(found) if found.header.next_offset() <= from => {}
                Step::Batch(_) => return Ok(None),
                Step::End => {
                    let first = walk.expected().unwrap_or(from);
                    let nowhere = (self.limit, self.limit);
                    return Ok(Some(entry(first, next_base, nowhere, Label::K)));
                }
                Step::Damaged { position, .. } => {
                    let first = walk.expected().or(landed).unwrap_or(next_base);
                    let behind = self.behind_damage(index, position, first)?;
                    match behind {
                        Some(found) if found.header.base_offset <= from => {
                            walk.jump(found.position);
                            landed = Some(found.header.base_offset);
                        }
                        Some(found) => {
                            let range = (position, found.position);
                            let next = found.header.base_offset.min(next_base);
                            return Ok(Some(entry(first, next, range, Label::J)));
                        }
                        None => {
                            let range = (position, self.limit);
                            return Ok(Some(entry(first, next_base, range, Label::J)));
                        }
                    }
                }
            }
        }
    }
}
