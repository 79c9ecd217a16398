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
        match query {
            TimeQuery::AtOrAfter(wanted_ms) => self.find_at_or_after(wanted_ms, isolation),
            TimeQuery::Largest => self.find_largest(isolation),
        }
    }

    fn find_at_or_after(
        &self,
        wanted_ms: i64,
        isolation: Isolation,
    ) -> Result<Option<OffsetAt>, Fault> {
        let mut budget = DecodeBudget::new(DECODED_BYTES_MAX);
        let query = TimeQuery::AtOrAfter(wanted_ms);
        let mut next = Some(self.start());
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
                reader.each_batch(index, from, &mut |found| {
                    if found.header.max_timestamp_ms >= wanted_ms {
                        answer = self.open_batch(reader, found, query, &mut budget);
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

    fn find_largest(&self, isolation: Isolation) -> Result<Option<OffsetAt>, Fault> {
        let mut best: Option<(Largest, Offset)> = None;
        let mut next = Some(self.start());
        while let Some(plan) = self.next_plan(next, isolation)? {
            next = Some(plan.limit_offset);
            let above = best.map_or(-1, |((timestamp_ms, _), _)| timestamp_ms);
            if plan.is_final && self.sealed_largest(&plan)?.is_none_or(|ms| ms <= above) {
                continue;
            }
            if let Some(largest) = self.largest_in(&plan)?.filter(|(ms, _)| *ms > above) {
                best = Some((largest, plan.base));
            }
        }
        let Some(((_, last), _)) = best else {
            return Ok(None);
        };
        let Some(plan) = self.next_plan(Some(last), isolation)? else {
            return Ok(None);
        };
        self.in_segment(&plan, |reader, index| {
            let Some(found) = self.first_batch(reader, &plan, index, (last, Care::Headers))? else {
                return Err(self.corrupt(last, "its index names no batch"));
            };
            let mut budget = DecodeBudget::new(DECODED_BYTES_MAX);
            self.open_batch(reader, &found, TimeQuery::Largest, &mut budget)
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
                Err(Fault::Read(error @ ReadError::Corrupt(_))) => {
                    from = self.step_over(from, isolation, (Access::Blocking, error))?;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    fn in_segment<T>(
        &self,
        plan: &Plan,
        look: impl FnOnce(&SegmentReader<'_>, &Lookup<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let access = Access::Blocking;
        let file = self.plan_file(plan, access)?;
        let index = self.lookup(plan, &*file, access)?;
        let reader = self.reader(&*file, access, (plan.base, plan.limit));
        look(&reader, &index)
    }

    /// The largest timestamp of a sealed segment; remembered.
    fn sealed_largest(&self, plan: &Plan) -> Result<Option<i64>, Fault> {
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
                if timestamp_ms > best.map_or(-1, |(best_ms, _)| best_ms) {
                    best = Some((timestamp_ms, found.header.last_offset()));
                }
                ControlFlow::Continue(())
            })?;
            Ok(best)
        })
    }

    fn open_batch(
        &self,
        reader: &SegmentReader<'_>,
        found: &Found,
        query: TimeQuery,
        budget: &mut DecodeBudget,
    ) -> Result<Option<OffsetAt>, Fault> {
        let range: (Position, Position) = (found.position, found.end());
        let bytes: Bytes = self.read_bytes(reader, range)?;
        find_in_batch(&bytes, query, budget).map_err(|error| {
            let doing = format!("the batch at offset {}", found.header.base_offset);
            Fault::Read(ReadError::Corrupt(self.failure(&doing, &error)))
        })
    }
}
