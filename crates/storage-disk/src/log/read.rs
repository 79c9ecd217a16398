//! A read: from an offset to a run of whole batches, in memory or as a range of a file.
//!
//! Under the lock only what the log knows is looked up; bytes are read without it. Nothing above
//! the visible end is touched. Bytes that were not appended or verified by this process are
//! verified before they are given out, so that damage is never served silently.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use records::Offset;
use sabotage::{Safeguard, skips};
use storage::{Chunk, Ends, Isolation, Log as _, ReadError, ReadLimit, ReadSlice};
use vfs::File;

use super::DiskLog;
use super::proof::Proven;
use super::reader::{Care, IndexLookup, SegmentReader, Sought};
use super::state::{Loaded, Mark, State};
use crate::files::FileKey;
use crate::position::Position;
use crate::segment::Verified;
use crate::segment_index::SegmentIndex;
use crate::spans::Stretch;
use crate::walk::{Found, Step};
use crate::window::{Access, Fault, fill};

/// Up to this size records are copied, above it the socket sends from the file. A first value: the
/// crossing point was not measured with this code yet.
pub(super) const MEMORY_BYTES_MAX: usize = 128 * 1024;
/// How often one read begins anew because it met damage that could be repaired.
const MENDS_MAX: usize = 1024;

/// The segment that a read looks at.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) base: Offset,
    /// What the log's files were named by then.
    pub(super) number: u64,
    /// Where the segment ends, for this reader.
    pub(super) limit: Position,
    /// The offset at `limit`, if the log goes on there.
    pub(super) limit_offset: Offset,
    /// Where the segment ends.
    segment_end: Position,
    pub(super) verified: Verified,
    /// Where `from` begins, if a reader stopped there.
    cursor: Option<Position>,
    pub(super) is_active: bool,
    /// The whole segment is visible and will not change.
    pub(super) is_final: bool,
}

/// What one attempt to find good batches came to.
enum Tried {
    Found(Run),
    /// Nothing to see, or not even the first batch fits the limit.
    Nothing(Ends),
    /// Damage was repaired on the way, or the segment was sealed and its index let go.
    Again,
    /// The batch that says it holds the offset is not good.
    Damaged(String),
}

/// Batches that are what was written.
pub(super) struct Run {
    pub(super) plan: Plan,
    pub(super) file: Arc<dyn File>,
    pub(super) ends: Ends,
    /// The first one.
    pub(super) first: Found,
    pub(super) end: Position,
    /// The offset at `end`, if it is known.
    pub(super) next: Option<Offset>,
}

impl DiskLog {
    /// See [`storage::Log::read`]. Goes on behind damage whose loss was accepted.
    pub(super) fn read_with(
        &self,
        from: Offset,
        limit: ReadLimit,
        isolation: Isolation,
        access: Access,
    ) -> Result<ReadSlice, Fault> {
        let mut from = from;
        loop {
            match self.find_run(from, limit, isolation, access) {
                Ok(Ok(run)) => return self.slice(run, access),
                Ok(Err(ends)) => return Ok(ReadSlice::empty(ends)),
                Err(Fault::Read(error @ ReadError::Corrupt(_))) => {
                    let next = self.step_over(from, isolation, (access, error))?;
                    assert!(
                        next > from,
                        "a read goes forward from {from}, not to {next}"
                    );
                    from = next;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// The good batches from the one that holds `from` on, as many as fit the limit; the ends of
    /// the log if there are none to see.
    pub(super) fn find_run(
        &self,
        from: Offset,
        limit: ReadLimit,
        isolation: Isolation,
        access: Access,
    ) -> Result<Result<Run, Ends>, Fault> {
        if self.was_judged(from) {
            return Err(self.corrupt(from, "they were found damaged a moment ago"));
        }
        let found = self.look_for_run(from, limit, isolation, access);
        if let Err(Fault::Read(ReadError::Corrupt(_))) = &found {
            self.note_judged(from);
        }
        found
    }

    fn look_for_run(
        &self,
        from: Offset,
        limit: ReadLimit,
        isolation: Isolation,
        access: Access,
    ) -> Result<Result<Run, Ends>, Fault> {
        let mut care = Care::Headers;
        for _ in 0..MENDS_MAX {
            match self.try_run((from, care), limit, isolation, access)? {
                Tried::Found(run) => return Ok(Ok(run)),
                Tried::Nothing(ends) => return Ok(Err(ends)),
                Tried::Again => {}
                Tried::Damaged(reason) if care == Care::Bodies => {
                    return Err(self.corrupt(from, &reason));
                }
                Tried::Damaged(_) => care = Care::Bodies,
            }
        }
        Err(self.corrupt(from, "there is damage as often as it is repaired"))
    }

    fn try_run(
        &self,
        (from, care): (Offset, Care),
        limit: ReadLimit,
        isolation: Isolation,
        access: Access,
    ) -> Result<Tried, Fault> {
        let (plan, ends) = self.plan(from, isolation, access)?;
        let Some(mut plan) = plan else {
            return Ok(Tried::Nothing(ends));
        };
        if matches!(access, Access::Passing | Access::Anew) {
            plan.verified = Verified::default();
        }
        let file = match self.plan_file(&plan, access) {
            // It went between the look and the opening.
            Err(Fault::Read(_)) if self.start() >= plan.limit_offset || self.is_old(&plan) => {
                return Ok(Tried::Again);
            }
            opened => opened?,
        };
        let reader = self.reader(&*file, access, (plan.base, plan.limit));
        let mut index = self.lookup(&plan, &*file, access)?;
        // IMPORTANT: the file may be of before a compaction and its index of after it.
        if self.is_old(&plan) {
            return Ok(Tried::Again);
        }
        let first = match self.first_batch(&reader, &plan, &index, (from, care)) {
            Ok(Some(first)) => first,
            _ if index.is_gone() => return Ok(Tried::Again),
            Err(fault) => return Err(fault),
            Ok(None) => {
                index = self.rebuilt(&plan, (&*file, &index), access)?;
                self.first_batch(&reader, &plan, &index, (from, care))?
                    .ok_or_else(|| self.corrupt(from, "its index cannot be rebuilt"))?
            }
        };
        assert!(
            first.header.base_offset <= from && from <= first.header.last_offset(),
            "the batch found holds offset {from}"
        );
        let Some((end, next)) = reader.end_of_range(&index, &first, limit)? else {
            return Ok(Tried::Nothing(ends));
        };
        let good_end = match self.prove(&reader, &plan, &index, (&first, end))? {
            Proven::UpTo(good_end) => good_end,
            Proven::Again => return Ok(Tried::Again),
            Proven::Damaged(reason) => return Ok(Tried::Damaged(reason)),
        };
        let next = if good_end == plan.limit {
            Some(plan.limit_offset)
        } else {
            next.filter(|_| good_end == end)
        };
        Ok(Tried::Found(Run {
            plan,
            file,
            ends,
            first,
            end: good_end,
            next,
        }))
    }

    fn slice(&self, run: Run, access: Access) -> Result<ReadSlice, Fault> {
        let Run {
            plan,
            file,
            ends,
            first,
            end,
            next,
        } = run;
        let reader = self.reader(&*file, access, (plan.base, plan.limit));
        let chunk = self.chunk(&reader, &plan, &file, (first.position, end))?;
        if let Some(offset) = next {
            let mark = Mark {
                offset,
                base: plan.base,
                position: end,
            };
            self.remember(&plan, mark);
        }
        Ok(ReadSlice {
            chunks: vec![chunk],
            ends,
        })
    }

    /// Which segment to read, as the log knows it now. `None`: there is nothing to see yet.
    pub(super) fn plan(
        &self,
        from: Offset,
        isolation: Isolation,
        access: Access,
    ) -> Result<(Option<Plan>, Ends), Fault> {
        let mut state = self.state.lock();
        state.serves()?;
        let ends = self.ends();
        if from < ends.log_start || from > ends.log_end {
            return Err(ReadError::OutOfRange { asked: from, ends }.into());
        }
        if from >= ends.visible_end(isolation) {
            return Ok((None, ends));
        }
        if state.loaded.is_none() {
            if access == Access::Cached {
                return Err(Fault::NotCached);
            }
            self.load(&mut state)?;
        }
        let loaded = state.loaded.as_ref().expect("loaded above");
        let plan = plan_segment((&state, self.number()), loaded, from)
            .ok_or_else(|| self.corrupt(from, "no segment holds it"))?;
        assert!(
            from < plan.limit_offset,
            "offset {from} lies before the limit of what is read"
        );
        Ok((Some(plan), ends))
    }

    /// The file of the plan's segment.
    pub(super) fn plan_file(&self, plan: &Plan, access: Access) -> Result<Arc<dyn File>, Fault> {
        let key = plan.key();
        if let Some(file) = self.context.files.get(key) {
            return Ok(file);
        }
        if let Some(held) = self.held_file(plan) {
            return Ok(held);
        }
        if access == Access::Cached {
            return Err(Fault::NotCached);
        }
        let file = self.open_segment(key)?;
        // IMPORTANT: a removal is announced under the lock before the directory moves. If it is
        // not announced yet, the path was this log's when it was opened.
        if let Err(gone) = self.state.lock().serves() {
            self.context.files.forget(plan.number);
            return Err(gone.into());
        }
        Ok(file)
    }

    /// See [`crate::segment::SealedSegment::held`].
    fn held_file(&self, plan: &Plan) -> Option<Arc<dyn File>> {
        let state = self.state.lock();
        let loaded = state.loaded.as_ref().filter(|_| !self.is_old(plan))?;
        let sealed = loaded.sealed.iter().find(|it| it.base == plan.base)?;
        sealed.held.clone()
    }

    /// The index of the plan's segment.
    pub(super) fn lookup(
        &self,
        plan: &Plan,
        file: &dyn File,
        access: Access,
    ) -> Result<Lookup<'_>, Fault> {
        if plan.is_active {
            return Ok(Lookup::Active(self, plan.key()));
        }
        let key = plan.key();
        if let Some(index) = self.context.indexes.get(key) {
            return Ok(Lookup::Sealed(index));
        }
        let unwritten = {
            let state = self.state.lock();
            let base = plan.base;
            state.loaded.as_ref().and_then(|loaded| {
                loaded
                    .unwritten
                    .iter()
                    .find(|index| index.base() == base)
                    .cloned()
            })
        };
        let index = match unwritten {
            Some(index) => index,
            None if access == Access::Cached => return Err(Fault::NotCached),
            None => {
                let index = self.load_index(plan.base, file, plan.sealed_size())?;
                return Ok(self.keep_sealed(plan, index, false));
            }
        };
        self.context.indexes.insert(key, Arc::clone(&index));
        Ok(Lookup::Sealed(index))
    }

    /// The index of a segment that was active when the read began.
    fn sealed_meanwhile(&self, loaded: &Loaded, base: Offset) -> Option<Arc<SegmentIndex>> {
        let unwritten = loaded.unwritten.iter().find(|index| index.base() == base);
        let cached = || self.context.indexes.get(self.key(base));
        unwritten.cloned().or_else(cached)
    }

    /// Keeps the index of a sealed segment, and has it written if its files do not hold it.
    fn keep_sealed(&self, plan: &Plan, mut index: SegmentIndex, is_new: bool) -> Lookup<'_> {
        let directory = self.directory();
        let lacks_spans = index.seal_spans(self.index_source(&directory, plan.base));
        let index = Arc::new(index);
        self.context.indexes.insert(plan.key(), Arc::clone(&index));
        let needs_upkeep = {
            let mut state = self.state.lock();
            let is_due = |loaded: &&mut Box<Loaded>| {
                let kept = loaded.sealed.iter().any(|sealed| sealed.base == plan.base);
                kept && !self.is_old(plan) && (is_new || lacks_spans)
            };
            let loaded = state.loaded.as_mut().filter(is_due);
            loaded.is_some_and(|loaded| {
                loaded.unwritten.retain(|held| held.base() != plan.base);
                loaded.unwritten.push(Arc::clone(&index));
                !std::mem::replace(&mut loaded.in_upkeep, true)
            })
        };
        if needs_upkeep {
            self.context.upkeep.submit(self.me());
        }
        Lookup::Sealed(index)
    }

    /// Builds a wrong index anew, from the batches.
    fn rebuilt(
        &self,
        plan: &Plan,
        (file, wrong): (&dyn File, &Lookup<'_>),
        access: Access,
    ) -> Result<Lookup<'_>, Fault> {
        if access == Access::Cached {
            return Err(Fault::NotCached);
        }
        let directory = self.directory();
        let source = self.index_source(&directory, plan.base);
        if let Lookup::Sealed(wrong) = wrong {
            let index = SegmentIndex::rebuild(source, file, plan.sealed_size(), access)?;
            return Ok(self.keep_sealed(plan, index.with_spans_of(wrong), true));
        }
        let mut state = self.state.lock();
        let size = state.end.position;
        let index = SegmentIndex::rebuild(source, file, size, access)?;
        if let Some(loaded) = state.loaded.as_mut().filter(|l| l.active.base == plan.base) {
            loaded.active.index = index.with_spans_of(&loaded.active.index);
        }
        Ok(Lookup::Active(self, plan.key()))
    }

    /// The batch that holds `from`; `None` if the index is wrong.
    pub(super) fn first_batch(
        &self,
        reader: &SegmentReader<'_>,
        plan: &Plan,
        index: &Lookup<'_>,
        (from, care): (Offset, Care),
    ) -> Result<Option<Found>, Fault> {
        if let (Some(position), Care::Headers) = (plan.cursor, care) {
            let range = (position, plan.limit);
            let mut walk = reader.headers(range, Some(from));
            if let Step::Batch(found) = walk.step()? {
                return Ok(Some(found));
            }
        }
        let mut sought = reader.find(index, (from, care))?;
        if matches!(sought, Sought::Batch(_)) || care == Care::Bodies {
            return self.found(from, sought);
        }
        if self.mend_around(reader, plan, index, from)? {
            sought = reader.find(index, (from, care))?;
        }
        if let Sought::Lost(_) = sought {
            // A batch before it may say more of itself than is true.
            sought = reader.find(index, (from, Care::Bodies))?;
        }
        self.found(from, sought)
    }

    fn found(&self, from: Offset, sought: Sought) -> Result<Option<Found>, Fault> {
        match sought {
            Sought::Batch(found) => Ok(Some(found)),
            Sought::BadIndex => Ok(None),
            Sought::Lost(reason) => Err(self.corrupt(from, &reason)),
        }
    }

    /// The bytes of the range, which are known to be good.
    fn chunk(
        &self,
        reader: &SegmentReader<'_>,
        plan: &Plan,
        file: &Arc<dyn File>,
        (start, end): (Position, Position),
    ) -> Result<Chunk, Fault> {
        assert!(
            start < end && end <= plan.limit,
            "a read stays inside what is visible"
        );
        let size_bytes = end.since(start);
        if size_bytes > MEMORY_BYTES_MAX {
            return Ok(Chunk::File {
                file: Arc::clone(file),
                at: start.bytes(),
                size_bytes,
            });
        }
        Ok(Chunk::Memory(self.read_bytes(reader, (start, end))?))
    }

    pub(super) fn read_bytes(
        &self,
        reader: &SegmentReader<'_>,
        (start, end): (Position, Position),
    ) -> Result<Bytes, Fault> {
        assert!(
            start <= end && end <= reader.limit,
            "bytes {start} to {end} can be seen"
        );
        let mut bytes = BytesMut::zeroed(end.since(start));
        let count = fill(reader.file, &mut bytes, start, reader.access)?;
        if count < bytes.len() {
            let doing = format!("bytes {start} to {end} of the segment at {}", reader.base);
            let failure = self.failure(&doing, &format!("the file ends after {count}"));
            return Err(ReadError::Corrupt(failure).into());
        }
        Ok(bytes.freeze())
    }

    fn remember(&self, plan: &Plan, mark: Mark) {
        let mut state = self.state.lock();
        if let Some(loaded) = state.loaded.as_mut().filter(|_| !self.is_old(plan)) {
            loaded.cursors.remember(mark);
        }
    }

    /// Whether files of the log were replaced since the plan was made.
    pub(super) fn is_old(&self, plan: &Plan) -> bool {
        plan.number != self.number() && !skips(Safeguard::PlanOfNewFiles)
    }
}

impl Plan {
    fn key(&self) -> FileKey {
        FileKey {
            log: self.number,
            base: self.base,
        }
    }

    /// A sealed segment's size; its index covers all of it, whatever is visible.
    fn sealed_size(&self) -> Position {
        assert!(!self.is_active, "the active segment's index is in memory");
        self.segment_end
    }
}

/// The segment that holds `from`, as far as readers may see it.
fn plan_segment((state, number): (&State, u64), loaded: &Loaded, from: Offset) -> Option<Plan> {
    let cursor = loaded.cursors.find(from);
    let visible = state.visible;
    let active = &loaded.active;
    let is_active = from >= active.base;
    let (base, segment_end, verified, next_base) = if is_active {
        (active.base, active.size, active.verified, state.end.offset)
    } else {
        let place = loaded
            .sealed
            .partition_point(|sealed| sealed.base <= from)
            .checked_sub(1)?;
        let sealed = loaded.sealed.get(place)?;
        let next = loaded.sealed.get(place.saturating_add(1));
        let next_base = next.map_or(active.base, |next| next.base);
        (sealed.base, sealed.size, sealed.verified, next_base)
    };
    let holds_end = base == visible.base && !skips(Safeguard::ReadLimit);
    let (limit, limit_offset) = if holds_end {
        (visible.position, visible.offset)
    } else {
        (segment_end, next_base)
    };
    Some(Plan {
        base,
        number,
        limit,
        limit_offset,
        segment_end,
        verified,
        cursor: cursor
            .filter(|mark| mark.base == base && mark.position < limit)
            .map(|mark| mark.position),
        is_active,
        is_final: !is_active && !holds_end,
    })
}

/// The index of a segment: of a sealed one all of it, of the active one under its log's lock.
#[derive(Debug)]
pub(super) enum Lookup<'a> {
    Sealed(Arc<SegmentIndex>),
    Active(&'a DiskLog, FileKey),
}

impl Lookup<'_> {
    pub(super) fn ask<T>(&self, question: impl FnOnce(&SegmentIndex) -> Option<T>) -> Option<T> {
        match self {
            Self::Sealed(index) => question(index),
            Self::Active(log, key) => {
                let state = log.state.lock();
                let loaded = state.loaded.as_ref()?;
                if loaded.active.base == key.base {
                    return question(&loaded.active.index);
                }
                // It may have been compacted since.
                if log.number() != key.log {
                    return None;
                }
                question(&*log.sealed_meanwhile(loaded, key.base)?)
            }
        }
    }

    /// The spans that cover a range; `None` if there is no index to ask any more.
    pub(super) fn spans(&self, range: (Position, Position)) -> Option<Vec<Stretch>> {
        self.ask(|index| Some(index.spans().covering(range)))
    }

    /// The segment was sealed, and its index was let go: a new plan finds it.
    fn is_gone(&self) -> bool {
        self.ask(|_| Some(())).is_none()
    }
}

impl IndexLookup for Lookup<'_> {
    fn floor(&self, offset: Offset) -> Option<(Position, Offset)> {
        self.ask(|index| index.floor(offset))
    }

    fn floor_position(&self, position: Position) -> Option<(Position, Offset)> {
        self.ask(|index| index.floor_position(position))
    }

    fn after_position(&self, position: Position) -> Option<(Position, Offset)> {
        self.ask(|index| index.after_position(position))
    }
}
