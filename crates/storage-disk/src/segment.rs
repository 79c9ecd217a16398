//! One file of batches: the active segment grows, a sealed one never changes. They are different
//! types, so that appending to a sealed segment does not compile.

use std::sync::Arc;

use records::{BatchHeader, Offset};
use vfs::File;

use crate::position::Position;
use crate::segment_index::SegmentIndex;

/// How many ranges of one segment are remembered.
const RANGES_MAX: usize = 4;

/// The parts of a segment whose batches are known to be good: appended or verified in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    /// None touches another; an empty one is free.
    ranges: [(Position, Position); RANGES_MAX],
}

impl Verified {
    pub(crate) fn covers(self, (start, end): (Position, Position)) -> bool {
        let covers = |range: &(Position, Position)| range.0 <= start && end <= range.1;
        self.ranges.iter().any(covers)
    }

    /// Adds a range that was found good. Where there are too many, the smallest is forgotten.
    pub(crate) fn add(&mut self, (start, end): (Position, Position)) {
        assert!(
            start <= end,
            "a range goes forward, not from {start} to {end}"
        );
        let mut added = (start, end);
        for range in &mut self.ranges {
            if range.0 < range.1 && range.0 <= added.1 && added.0 <= range.1 {
                added = (range.0.min(added.0), range.1.max(added.1));
                *range = Default::default();
            }
        }
        let size = |range: &(Position, Position)| range.1.since(range.0);
        let smallest = self.ranges.iter_mut().min_by_key(|range| size(range));
        if let Some(range) = smallest.filter(|range| size(range) < size(&added)) {
            *range = added;
        }
    }

    /// Damage was found there: what touches it must be verified again.
    pub(crate) fn forget(&mut self, (start, end): (Position, Position)) {
        for range in &mut self.ranges {
            if range.0 <= end && start <= range.1 {
                *range = Default::default();
            }
        }
    }
}

/// A segment that will not change.
#[derive(Debug, Clone)]
pub(crate) struct SealedSegment {
    pub(crate) base: Offset,
    pub(crate) size: Position,
    pub(crate) verified: Verified,
    /// The largest timestamp, once somebody asked.
    pub(crate) largest_ms: Option<i64>,
    /// Its file, while another one stands under its name.
    pub(crate) held: Option<Arc<dyn File>>,
}

/// The segment that is appended to.
#[derive(Debug)]
pub(crate) struct ActiveSegment {
    pub(crate) base: Offset,
    pub(crate) size: Position,
    pub(crate) verified: Verified,
    pub(crate) index: SegmentIndex,
    /// When its first batch came, by the wall clock; `None` while it is empty.
    pub(crate) first_append_ms: Option<i64>,
}

impl ActiveSegment {
    pub(crate) fn new(base: Offset) -> Self {
        Self::loaded(SegmentIndex::new(base), base, Position::ZERO, None)
    }

    pub(crate) fn loaded(
        index: SegmentIndex,
        base: Offset,
        size: Position,
        first_append_ms: Option<i64>,
    ) -> Self {
        Self {
            base,
            size,
            verified: Verified::default(),
            index,
            first_append_ms,
        }
    }

    /// A batch was written at the end.
    pub(crate) fn grow(&mut self, header: &BatchHeader, interval_bytes: u32, now_ms: i64) {
        let (start, end) = (self.size, self.size.plus(header.size_bytes()));
        assert!(
            header.base_offset >= self.base,
            "a batch belongs to the segment it is in"
        );
        assert!(
            end > start && end <= Position::MAX,
            "a segment does not grow to {end}"
        );
        self.index.append(header, start, interval_bytes);
        self.verified.add((start, end));
        self.size = end;
        self.first_append_ms.get_or_insert(now_ms);
    }

    /// Ends it: no more appends, and an index whose last entries are due.
    pub(crate) fn seal(self) -> (SealedSegment, Arc<SegmentIndex>) {
        let mut index = self.index;
        index.seal();
        let largest_ms = index.largest().map(|(timestamp_ms, _)| timestamp_ms);
        let Self {
            base,
            size,
            verified,
            ..
        } = self;
        assert!(
            size > Position::ZERO,
            "an empty segment is reused, not sealed"
        );
        (
            SealedSegment {
                base,
                size,
                verified,
                largest_ms,
                held: None,
            },
            Arc::new(index),
        )
    }
}
