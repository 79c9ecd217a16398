//! From a time to an offset: time indexes, then headers, then the records of one batch.
//!
//! Runs where it may wait for the disk, and looks at visible records only.

use std::ops::ControlFlow;

use bytes::Bytes;
use records::{DecodeBudget, Offset};
use storage::time_lookup::{DECODED_BYTES_MAX, find_in_batch};
use storage::{Isolation, OffsetAt, ReadError, TimeQuery};

use super::DiskLog;
use super::read::{Lookup, Plan};
use super::reader::{Care, SegmentReader};
use crate::position::Position;
use crate::walk::Found;
use crate::window::{Access, Fault};

/// A timestamp and the last offset of the batch that has it.
type Largest = (i64, Offset);

impl DiskLog {
    /// See [`storage::Log::offset_at`].
    pub(super) fn find_by_time(
        &self,
        query: TimeQuery,
        isolation: Isolation,
    ) -> Result<Option<OffsetAt>, Fault> {
        loop {
            let (start, number) = (self.start(), self.number());
            let found = match query {
                TimeQuery::AtOrAfter(wanted_ms) => {
                    self.find_at_or_after(wanted_ms, start, isolation)?
                }
                TimeQuery::Largest => self.find_largest(start, isolation)?,
            };
            // What was looked at may have been trimmed or compacted meanwhile.
            let is_as_it_was = self.start() == start && self.number() == number;
            if found.is_some() || is_as_it_was {
                return Ok(found);
            }
        }
    }

    fn find_at_or_after(
        &self,
        wanted_ms: i64,
        start: Offset,
        isolation: Isolation,
    ) -> Result<Option<OffsetAt>, Fault> {
        let mut budget = DecodeBudget::new(DECODED_BYTES_MAX);
        let query = TimeQuery::AtOrAfter(wanted_ms);
        let mut next = Some(start);
        while let Some(plan) = self.next_plan(next, isolation)? {
            next = Some(plan.limit_offset);
            if plan.is_final && self.sealed_largest(&plan)?.is_none_or(|ms| ms < wanted_ms) {
                continue;
            }
            let found = self.in_segment(&plan, |reader, index| {
                let from = index
                    .ask(|index| index.older_than(wanted_ms))
                    .map_or(plan.base, |(_, last)| last.plus(1));
                let mut answer = Ok(None);
                reader.each_batch(index, from.max(start), &mut |found| {
                    if found.header.max_timestamp_ms >= wanted_ms {
                        answer = self.open_batch(reader, found, (start, query), &mut budget);
                    }
                    if matches!(answer, Ok(None)) {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                })?;
                answer
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn find_largest(&self, start: Offset, isolation: Isolation) -> Result<Option<OffsetAt>, Fault> {
        let mut best: Option<(Largest, Offset)> = None;
        let mut next = Some(start);
        while let Some(plan) = self.next_plan(next, isolation)? {
            next = Some(plan.limit_offset);
            let above = best.map_or(-1, |((timestamp_ms, _), _)| timestamp_ms);
            if plan.is_final && self.sealed_largest(&plan)?.is_none_or(|ms| ms <= above) {
                continue;
            }
            let largest = if plan.base < start {
                self.largest_behind(&plan, start)?
            } else {
                self.largest_in(&plan)?
            };
            if let Some(largest) = largest.filter(|(ms, _)| *ms > above) {
                best = Some((largest, plan.base));
            }
        }
        let Some(((_, last), base)) = best else {
            return Ok(None);
        };
        // Another segment, or none: it was trimmed meanwhile, and whoever asks looks again.
        let plan = self.next_plan(Some(last), isolation)?;
        let Some(plan) = plan.filter(|plan| plan.base == base) else {
            return Ok(None);
        };
        self.in_segment(&plan, |reader, index| {
            let Some(found) = self.first_batch(reader, &plan, index, (last, Care::Headers))? else {
                return Err(self.corrupt(last, "its index names no batch"));
            };
            let mut budget = DecodeBudget::new(DECODED_BYTES_MAX);
            self.open_batch(reader, &found, (start, TimeQuery::Largest), &mut budget)
        })
    }

    /// The segment that holds `from`, if it is visible.
    fn next_plan(&self, from: Option<Offset>, isolation: Isolation) -> Result<Option<Plan>, Fault> {
        let Some(mut from) = from else {
            return Ok(None);
        };
        loop {
            match self.plan(from, isolation, Access::Blocking) {
                Ok((plan, _)) => return Ok(plan),
                Err(Fault::Read(ReadError::OutOfRange { asked, ends }))
                    if asked < ends.log_start =>
                {
                    from = ends.log_start;
                }
                Err(Fault::Read(error @ ReadError::Corrupt(_))) => {
                    from = self.step_over(from, isolation, (Access::Blocking, error))?;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// `None`, too, where the segment was trimmed since it was planned.
    pub(super) fn in_segment<T>(
        &self,
        plan: &Plan,
        look: impl FnOnce(&SegmentReader<'_>, &Lookup<'_>) -> Result<Option<T>, Fault>,
    ) -> Result<Option<T>, Fault> {
        let access = Access::Blocking;
        let mut newer: Option<Plan> = None;
        loop {
            let plan = newer.as_ref().unwrap_or(plan);
            let file = match self.plan_file(plan, access) {
                Err(Fault::Read(_)) if self.start() >= plan.limit_offset => return Ok(None),
                Err(Fault::Read(_)) if self.is_old(plan) => None,
                opened => Some(opened?),
            };
            if let Some(file) = file {
                let index = self.lookup(plan, &*file, access)?;
                // See `try_run`.
                if !self.is_old(plan) {
                    let reader = self.reader(&*file, access, (plan.base, plan.limit));
                    return look(&reader, &index);
                }
            }
            let from = plan.base.max(self.start());
            if from >= plan.limit_offset {
                return Ok(None);
            }
            let planned = self.plan(from, Isolation::ReadUncommitted, access)?;
            let Some(again) = planned.0 else {
                return Ok(None);
            };
            newer = Some(again);
        }
    }

    /// The largest timestamp of a sealed segment; remembered.
    pub(super) fn sealed_largest(&self, plan: &Plan) -> Result<Option<i64>, Fault> {
        let base = plan.base;
        let known = {
            let state = self.state.lock();
            let loaded = state.loaded.as_ref();
            loaded
                .and_then(|loaded| loaded.sealed.iter().find(|sealed| sealed.base == base))
                .and_then(|sealed| sealed.largest_ms)
        };
        if known.is_some() {
            return Ok(known);
        }
        let largest = self.in_segment(plan, |_, index| Ok(index.ask(|index| index.largest())))?;
        let largest_ms = largest.map(|(timestamp_ms, _)| timestamp_ms);
        if let Some(loaded) = &mut self.state.lock().loaded
            && !self.is_old(plan)
            && let Some(sealed) = loaded.sealed.iter_mut().find(|sealed| sealed.base == base)
        {
            sealed.largest_ms = largest_ms;
        }
        Ok(largest_ms)
    }

    /// The largest timestamp of the visible part of a segment, the first of equals.
    fn largest_in(&self, plan: &Plan) -> Result<Option<Largest>, Fault> {
        self.in_segment(plan, |reader, index| {
            if plan.is_final {
                return Ok(index.ask(|index| index.largest()));
            }
            let mut best = index.ask(|index| index.largest_before(plan.limit_offset));
            let from = best.map_or(plan.base, |(_, last)| last.plus(1));
            reader.each_batch(index, from, &mut |found| {
                let timestamp_ms = found.header.max_timestamp_ms;
                if found.header.record_count > 0
                    && timestamp_ms > best.map_or(-1, |(best_ms, _)| best_ms)
                {
                    best = Some((timestamp_ms, found.header.last_offset()));
                }
                ControlFlow::Continue(())
            })?;
            Ok(best)
        })
    }

    /// The largest timestamp of the visible part of a segment from `start` on, where the log
    /// begins inside of it: its index speaks of what lies before, too.
    fn largest_behind(&self, plan: &Plan, start: Offset) -> Result<Option<Largest>, Fault> {
        self.in_segment(plan, |reader, index| {
            let mut budget = DecodeBudget::new(DECODED_BYTES_MAX);
            let mut best: Result<Option<Largest>, Fault> = Ok(None);
            reader.each_batch(index, start, &mut |found| {
                let header = &found.header;
                if header.record_count == 0 {
                    return ControlFlow::Continue(());
                }
                let query = (start, TimeQuery::Largest);
                let largest = if header.base_offset < start {
                    let opened = self.open_batch(reader, found, query, &mut budget);
                    opened.map(|found| found.map(|found| found.timestamp_ms))
                } else {
                    Ok(Some(header.max_timestamp_ms))
                };
                best = match (largest, &best) {
                    (Err(fault), _) => Err(fault),
                    (Ok(Some(ms)), Ok(known)) if ms > known.map_or(-1, |(best_ms, _)| best_ms) => {
                        Ok(Some((ms, header.last_offset())))
                    }
                    _ => return ControlFlow::Continue(()),
                };
                if best.is_err() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            best
        })
    }

    fn open_batch(
        &self,
        reader: &SegmentReader<'_>,
        found: &Found,
        (start, query): (Offset, TimeQuery),
        budget: &mut DecodeBudget,
    ) -> Result<Option<OffsetAt>, Fault> {
        let range: (Position, Position) = (found.position, found.end());
        let bytes: Bytes = self.read_bytes(reader, range)?;
        find_in_batch(&bytes, start, query, budget).map_err(|error| {
            let doing = format!("the batch at offset {}", found.header.base_offset);
            Fault::Read(ReadError::Corrupt(self.failure(&doing, &error)))
        })
    }
}
