//! What a read does where the bytes are not good: it says how far that goes, notes it in the
//! quarantine list, and goes on behind where somebody accepted the loss.
//!
//! The bytes were looked at before anything here is asked, so no list hides a good batch.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use records::Offset;
use storage::{Isolation, ReadError};
use vfs::File;

use super::DiskLog;
use super::proof::mender;
use super::read::Lookup;
use super::reader::{Care, SegmentReader, Sought};
use super::state::State;
use crate::mend::Verdict;
use crate::names;
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::quarantine::{Entry, List, Quarantine};
use crate::recovery::Label;
use crate::window::{Access, Fault};

/// So long nobody looks at damaged bytes again: a reader that comes back costs nothing then.
const JUDGED_FOR: Duration = Duration::from_secs(10);
/// Offsets that are remembered as damaged.
const JUDGED_MAX: usize = 1024;

/// Offsets whose batches were found damaged lately. One is remembered by itself: how far damage goes
/// is told differently from different places.
#[derive(Debug, Default)]
pub(super) struct Judged(BTreeMap<Offset, Judgement>);

#[derive(Debug)]
struct Judgement {
    /// By the monotonic clock.
    at: Duration,
    /// How far the damage goes, and the base offset of its segment; `None`: not measured yet.
    measured: Option<(Offset, Entry)>,
}

impl DiskLog {
    /// Whether the batch that holds `from` was found damaged a moment ago.
    pub(super) fn was_judged(&self, from: Offset) -> bool {
        let now = self.context.clock.monotonic();
        let judged = &self.state.lock().judged.0;
        let fresh = |it: &Judgement| now.saturating_sub(it.at) < JUDGED_FOR;
        judged.get(&from).is_some_and(fresh)
    }

    pub(super) fn note_judged(&self, from: Offset) {
        let at = self.context.clock.monotonic();
        let judged = &mut self.state.lock().judged.0;
        if judged.len() >= JUDGED_MAX {
            judged.clear();
        }
        let measured = None;
        judged.insert(from, Judgement { at, measured });
    }

    /// The records at `from` cannot be read. Where to go on, if that was accepted; else the error.
    pub(super) fn step_over(
        &self,
        from: Offset,
        isolation: Isolation,
        (access, reason): (Access, ReadError),
    ) -> Result<Offset, Fault> {
        if let Some((base, known)) = self.quarantined(from, access)?
            && !known.accepted
        {
            return Err(self.lost(base, &known));
        }
        if access == Access::Cached {
            return Err(Fault::NotCached);
        }
        // How far to go is told by the bytes, so that a range of the list that is too long, or is
        // another log's, hides nothing.
        let Some((base, found)) = self.measure_damage(from, isolation)? else {
            return Err(reason.into());
        };
        if let Some((_, known)) = self.quarantined(from, access)?
            && known.accepted
        {
            return Ok(known.last.min(found.last).plus(1));
        }
        self.quarantine(base, &[found], &reason.to_string())?;
        match self.quarantined(from, access)? {
            Some((base, known)) => Err(self.lost(base, &known)),
            None => Err(reason.into()),
        }
    }

    /// The range that holds an offset which cannot be read, if it is known.
    pub(super) fn quarantined(
        &self,
        from: Offset,
        access: Access,
    ) -> Result<Option<(Offset, Entry)>, Fault> {
        if let Some(known) = &self.state.lock().quarantine {
            return Ok(known.find(from));
        }
        if access == Access::Cached {
            return Err(Fault::NotCached);
        }
        self.load_quarantine()?;
        let state = self.state.lock();
        Ok(state.quarantine.as_ref().and_then(|known| known.find(from)))
    }

    fn lost(&self, base: Offset, entry: &Entry) -> Fault {
        let path = SegmentFile::Log.path(&self.directory(), base);
        let Entry {
            first,
            last,
            position,
            end,
            label,
            ..
        } = entry;
        let what = format!(
            "offsets {first} to {last} cannot be read: bytes {position} to {end} of {} ({label})",
            path.display()
        );
        let failure = self.failure("quarantined", &what);
        tracing::debug!(%failure, "a read of damaged records");
        Fault::Read(ReadError::Corrupt(failure))
    }

    /// Reads the quarantine lists, unless that was done.
    pub(crate) fn load_quarantine(&self) -> Result<(), Fault> {
        let _names = self.names.lock();
        {
            let state = self.state.lock();
            state.serves()?;
            if state.quarantine.is_some() {
                return Ok(());
            }
        }
        let known = Quarantine::read(&*self.context.vfs, &self.directory())?;
        let mut state = self.state.lock();
        state.quarantine.get_or_insert(known);
        self.count_lost(&state);
        Ok(())
    }

    /// Notes ranges of one segment in its list. How many of them are new.
    pub(crate) fn quarantine(
        &self,
        base: Offset,
        entries: &[Entry],
        reason: &str,
    ) -> Result<usize, Fault> {
        self.load_quarantine()?;
        // IMPORTANT: a removal waits for this; after it the path may be another topic's.
        let _names = self.names.lock();
        self.state.lock().serves()?;
        if !self.holds_segment(base) {
            return Ok(0);
        }
        let (vfs, directory) = (&*self.context.vfs, self.directory());
        let mut list = List::read(vfs, &directory, base);
        let mut news = 0_usize;
        for entry in entries {
            if !list.add(*entry) {
                continue;
            }
            news = news.saturating_add(1);
            let path = SegmentFile::Log.path(&directory, base);
            tracing::error!(
                file = %path.display(), first = %entry.first, last = %entry.last,
                position = %entry.position, end = %entry.end, reason,
                "{}: damaged records; later ones stay readable", entry.label
            );
        }
        if news > 0 {
            self.write_list(&list, &directory, base)?;
        }
        let mut state = self.state.lock();
        if let Some(known) = &mut state.quarantine {
            known.set(base, &list.entries());
        }
        self.count_lost(&state);
        Ok(news)
    }

    /// Whether the segment is part of the log, as far as is known.
    fn holds_segment(&self, base: Offset) -> bool {
        let state = self.state.lock();
        state.loaded.as_ref().is_none_or(|loaded| {
            let sealed = loaded.sealed.iter().any(|sealed| sealed.base == base);
            sealed || loaded.active.base == base
        })
    }

    /// Says how much of the log is known to be lost, whenever that changed.
    pub(super) fn count_lost(&self, state: &State) {
        let lost = state.quarantine.as_ref().map_or((0, 0), Quarantine::open);
        self.context.tally.set_lost(&self.directory(), lost);
    }

    fn write_list(&self, list: &List, directory: &Path, base: Offset) -> Result<(), Fault> {
        let put = list.put(&*self.context.vfs, directory, base);
        match put.and_then(|is_new| if is_new { self.sync_names() } else { Ok(()) }) {
            Ok(()) => Ok(()),
            Err(error) if names::is_failed_sync(&error) => {
                // IMPORTANT: as in upkeep, the name of a new segment may be lost with it.
                let failure = self.failure("names may be lost", &error);
                self.context.health.fail(&failure);
                Err(failure.into())
            }
            Err(error) => {
                tracing::warn!(%error, %base, "a quarantine list is not written; it is only derived");
                Ok(())
            }
        }
    }

    /// How far the damage at `from` goes, and the base offset of its segment; `None` if it cannot be
    /// found again. What was verified there before is not any more.
    pub(super) fn measure_damage(
        &self,
        from: Offset,
        isolation: Isolation,
    ) -> Result<Option<(Offset, Entry)>, Fault> {
        if let Some(judged) = self.state.lock().judged.0.get(&from)
            && judged.measured.is_some()
        {
            return Ok(judged.measured);
        }
        let measured = self.look_at_damage(from, isolation)?;
        let mut state = self.state.lock();
        if let Some(judged) = state.judged.0.get_mut(&from) {
            judged.measured = measured;
        }
        if let (Some((base, entry)), Some(loaded)) = (measured, &mut state.loaded)
            && let Some(verified) = loaded.verified_mut(base)
        {
            verified.forget((entry.position, entry.end));
        }
        Ok(measured)
    }

    fn look_at_damage(
        &self,
        from: Offset,
        isolation: Isolation,
    ) -> Result<Option<(Offset, Entry)>, Fault> {
        let access = Access::Blocking;
        let plan = match self.plan(from, isolation, access) {
            Ok((Some(plan), _)) => plan,
            // No segment begins at or before it.
            Err(Fault::Read(ReadError::Corrupt(_))) => return Ok(self.lost_start()),
            Ok((None, _)) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let file: Arc<dyn File> = self.plan_file(&plan, access)?;
        let reader = self.reader(&*file, access, (plan.base, plan.limit));
        let index = self.lookup(&plan, &*file, access)?;
        if self.is_old(&plan) {
            return Ok(None);
        }
        let entry = reader.damage_at(&index, from, plan.limit_offset)?;
        let entry = match entry.filter(|entry| entry.holds(from)) {
            None => strange_at(&reader, &index, (from, plan.limit_offset))?,
            entry => entry,
        };
        Ok(entry.map(|entry| (plan.base, entry)))
    }

    /// The offsets before the first segment.
    fn lost_start(&self) -> Option<(Offset, Entry)> {
        let state = self.state.lock();
        let loaded = state.loaded.as_ref()?;
        let first = loaded
            .sealed
            .first()
            .map_or(loaded.active.base, |sealed| sealed.base);
        let start = self.start();
        (start < first).then(|| {
            let entry = Entry {
                first: start,
                last: Offset::new(first.get().saturating_sub(1)),
                position: Position::ZERO,
                end: Position::ZERO,
                label: Label::K,
                accepted: false,
            };
            (first, entry)
        })
    }
}

/// The span around the batch that holds `from`, if its batches are good by themselves and not those
/// that were written. The log goes on at `next_base` behind this segment.
fn strange_at(
    reader: &SegmentReader<'_>,
    index: &Lookup<'_>,
    (from, next_base): (Offset, Offset),
) -> Result<Option<Entry>, Fault> {
    let Sought::Batch(found) = reader.find(index, (from, Care::Headers))? else {
        return Ok(None);
    };
    let mender = mender(reader);
    let spans = index.spans((found.position, found.end()));
    for span in spans.unwrap_or_default() {
        if !span.is_known() || span.end > reader.limit || mender.judge(span)? != Verdict::Lost {
            continue;
        }
        let alone = (found.header.base_offset, found.header.next_offset());
        let (first, next) = mender.offsets(span)?.unwrap_or(alone);
        let entry = Entry {
            first: first.min(from),
            last: next.min(next_base).plus(-1).max(from),
            position: span.start,
            end: span.end,
            label: Label::J,
            accepted: false,
        };
        return Ok(Some(entry));
    }
    Ok(None)
}
