//! Before bytes are given out that this process neither wrote nor verified: bodies are held against
//! their CRC, heads against their span and their neighbours. A head that the span proves is put
//! back into the file; damage that cannot be proven costs its batch.

use records::Offset;
use sabotage::{Safeguard, skips};
use vfs::File;

use super::DiskLog;
use super::read::{Lookup, MEMORY_BYTES_MAX, Plan};
use super::reader::{IndexLookup as _, SegmentReader};
use crate::mend::{Mender, Verdict, put_back};
use crate::position::Position;
use crate::spans::{Stretch, add_head};
use crate::walk::{Found, Step, Walk};
use crate::window::{Access, Fault};

/// What a range came to.
#[derive(Debug)]
pub(super) enum Proven {
    /// From its start to here, everything is what was written.
    UpTo(Position),
    /// Damage was repaired, or the index is not there any more: look again.
    Again,
    /// Not even the first batch is good.
    Damaged(String),
}

/// What became of the heads of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heads {
    Good,
    Mended,
    Lost,
}

/// What a walk over a range met.
#[derive(Debug)]
enum Met {
    Nothing,
    /// A batch that is not good by itself, or beside its neighbours.
    Damage(Position, String),
    /// Batches that are good by themselves, and not those that were written.
    Strange(Stretch),
}

impl DiskLog {
    /// Verifies the range from the batch `first` to `end`; at least that batch, if it is good.
    pub(super) fn prove(
        &self,
        reader: &SegmentReader<'_>,
        plan: &Plan,
        index: &Lookup<'_>,
        (first, end): (&Found, Position),
    ) -> Result<Proven, Fault> {
        let start = first.position;
        if plan.verified.covers((start, end)) || skips(Safeguard::ReadCrc) {
            return Ok(Proven::UpTo(end));
        }
        // IMPORTANT: without its spans nothing may be remembered as verified.
        let Some(mut spans) = index.spans((start, end)) else {
            return Ok(Proven::Again);
        };
        // What goes on past the limit was appended by this process.
        spans.retain(|span| span.is_known() && span.end <= reader.limit);
        if skips(Safeguard::SpanCheck) {
            spans.clear();
        }
        let walk_start = spans.first().map_or(start, |span| span.start.min(start));
        let walk_end = spans.last().map_or(end, |span| span.end.max(end));
        if walk_end.since(walk_start) > MEMORY_BYTES_MAX && reader.access == Access::Cached {
            return Err(Fault::NotCached);
        }
        let met = walk_over(reader, (walk_start, walk_end), first, &spans)?;
        let span = match &met {
            Met::Nothing => {
                self.mark_verified(plan, (walk_start, walk_end));
                return Ok(Proven::UpTo(end));
            }
            Met::Damage(position, _) => spans
                .iter()
                .find(|span| span.start <= *position && *position < span.end)
                .copied(),
            Met::Strange(span) => Some(*span),
        };
        let heads = match span {
            Some(span) => self.mend(reader, span)?,
            None => Heads::Lost,
        };
        if heads == Heads::Mended {
            return Ok(Proven::Again);
        }
        let limit_offset = (heads == Heads::Lost).then_some(plan.limit_offset);
        match before_damage(reader, (first, end), met, (span, limit_offset))? {
            Ok(good_end) => {
                assert!(
                    start < good_end && good_end <= end,
                    "a part of the range is good"
                );
                self.mark_verified(plan, (start, good_end));
                Ok(Proven::UpTo(good_end))
            }
            Err(reason) => Ok(Proven::Damaged(reason)),
        }
    }

    /// Looks for damage around a batch that was not found where it should be. Whether something
    /// was repaired.
    pub(super) fn mend_around(
        &self,
        reader: &SegmentReader<'_>,
        plan: &Plan,
        index: &Lookup<'_>,
        from: Offset,
    ) -> Result<bool, Fault> {
        let start = index
            .floor(from)
            .map_or(Position::ZERO, |(position, _)| position)
            .min(plan.limit);
        let next = index.after_position(start);
        let end = next.map_or(plan.limit, |(position, _)| position.plus(1));
        // Without an index, the caller looks again.
        let spans = index.spans((start, end)).unwrap_or_default();
        let mut mended = false;
        for span in spans {
            if span.is_known() && span.end <= reader.limit {
                mended |= self.mend(reader, span)? == Heads::Mended;
            }
        }
        Ok(mended)
    }

    /// Repairs the heads of a span, if they are not what was written and that can be told.
    fn mend(&self, reader: &SegmentReader<'_>, span: Stretch) -> Result<Heads, Fault> {
        if reader.access == Access::Cached {
            return Err(Fault::NotCached);
        }
        let heads = match mender(reader).judge(span)? {
            Verdict::Good => return Ok(Heads::Good),
            Verdict::Lost => return Ok(Heads::Lost),
            Verdict::Mend(heads) => heads,
        };
        put_back(reader.file, &heads)?;
        self.sync_mended(reader.file)?;
        for head in &heads {
            let (position, base) = (head.position, reader.base);
            let what = format!("the head of the batch at byte {position} of the segment at {base}");
            let note = self.failure(&what, &"it was damaged, and what was written is proven");
            tracing::warn!(%note, "I: repaired");
            self.context.tally.add_repaired_head();
        }
        Ok(Heads::Mended)
    }

    /// A repair counts once it is durable.
    fn sync_mended(&self, file: &dyn File) -> Result<(), Fault> {
        if skips(Safeguard::MendSync) {
            return Ok(());
        }
        // IMPORTANT: appends may have gone to the same file, and the disk tells only once.
        let _alone = self.sync_alone();
        self.context.health.check()?;
        file.sync_data().map_err(|error| {
            let failure = self.failure("a repaired segment could not be synced", &error);
            self.context.health.fail(&failure);
            Fault::from(failure)
        })
    }

    fn mark_verified(&self, plan: &Plan, range: (Position, Position)) {
        let mut state = self.state.lock();
        let Some(loaded) = state.loaded.as_mut().filter(|_| !self.is_old(plan)) else {
            return;
        };
        if let Some(verified) = loaded.verified_mut(plan.base) {
            verified.add(range);
        }
    }
}

pub(super) fn mender<'a>(reader: &SegmentReader<'a>) -> Mender<'a> {
    Mender {
        file: reader.file,
        base: reader.base,
        limit: reader.limit,
        epochs: reader.epochs,
    }
}

/// Where good batches end, if they begin with `first`; or why that one is not good.
fn before_damage(
    reader: &SegmentReader<'_>,
    (first, end): (&Found, Position),
    met: Met,
    (span, limit_offset): (Option<Stretch>, Option<Offset>),
) -> Result<Result<Position, String>, Fault> {
    let start = first.position;
    Ok(match met {
        Met::Nothing => Ok(end),
        Met::Strange(span) if span.start > start => Ok(span.start.min(end)),
        Met::Strange(span) => Err(format!(
            "bytes {} to {} hold other batches than were written",
            span.start, span.end
        )),
        Met::Damage(position, _) if position > start => Ok(position.min(end)),
        Met::Damage(position, reason) if position == start => Err(reason),
        // The span is damaged before the range: its neighbours speak for the rest of it.
        Met::Damage(..) => {
            let until = span.map_or(end, |span| span.end);
            return by_neighbours(reader, first, (until, end), limit_offset);
        }
    })
}

/// As [`before_damage`], without spans; up to the first batch that ends at or behind `until`. Each of
/// the batches is confirmed by the next, which begins with the offset behind it: one alone may have
/// a head that was damaged too. Without a `limit_offset` the heads are proven, and nobody has to
/// confirm them.
fn by_neighbours(
    reader: &SegmentReader<'_>,
    first: &Found,
    (until, end): (Position, Position),
    limit_offset: Option<Offset>,
) -> Result<Result<Position, String>, Fault> {
    let (start, expected) = (first.position, Some(first.header.base_offset));
    let range = (start, end);
    let mut walk = Walk::checked(reader.file, reader.access, range, expected, reader.epochs);
    let mut confirmed = start;
    let reason = loop {
        match walk.step()? {
            Step::Batch(found) => {
                confirmed = match limit_offset {
                    Some(_) => found.position,
                    None => found.end(),
                };
                if found.end() < until && found.end() < end {
                    continue;
                }
                let goes_on = match limit_offset {
                    Some(limit_offset) => goes_on(reader, &found, limit_offset)?,
                    None => true,
                };
                if goes_on {
                    return Ok(Ok(found.end()));
                }
                let next = found.header.next_offset();
                break format!("the batch behind it does not begin with offset {next}");
            }
            Step::End => return Ok(Ok(end)),
            Step::Damaged { reason, .. } => break reason,
        }
    };
    Ok(if confirmed > start {
        Ok(confirmed)
    } else {
        Err(reason)
    })
}

/// Whether the log goes on behind a batch with the offset behind it.
fn goes_on(reader: &SegmentReader<'_>, found: &Found, limit_offset: Offset) -> Result<bool, Fault> {
    let next = found.header.next_offset();
    if found.end() >= reader.limit {
        return Ok(next == limit_offset);
    }
    let mut walk = reader.headers((found.end(), reader.limit), Some(next));
    Ok(matches!(walk.step()?, Step::Batch(_)))
}

/// Every byte of a range that begins and ends with a batch, up to the first that is not good.
fn walk_over(
    reader: &SegmentReader<'_>,
    (start, end): (Position, Position),
    first: &Found,
    spans: &[Stretch],
) -> Result<Met, Fault> {
    let expected = (start == first.position).then_some(first.header.base_offset);
    let range = (start, end);
    let mut walk = Walk::checked(reader.file, reader.access, range, expected, reader.epochs);
    let mut spans = spans.iter();
    let (mut span, mut crc) = (spans.next(), 0);
    loop {
        let found = match walk.step()? {
            Step::Batch(found) => found,
            Step::End => return Ok(Met::Nothing),
            Step::Damaged { position, reason } => return Ok(Met::Damage(position, reason)),
        };
        let Some(known) = span.filter(|span| span.start <= found.position) else {
            continue;
        };
        crc = add_head(crc, &found.header);
        if found.end() < known.end {
            continue;
        }
        if found.end() > known.end || crc != known.crc {
            return Ok(Met::Strange(*known));
        }
        (span, crc) = (spans.next(), 0);
    }
}

#[cfg(test)]
mod tests;
