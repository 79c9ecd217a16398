//! From segment to segment past the watermark, and what is done where they do not fit together.

use std::io;
use std::path::Path;

use records::Offset;
use sabotage::{Safeguard, skips};
use vfs::File;

use super::keep::Hole;
use super::scan::{self, Salvage, Scan};
use super::table::{Decision, Facts, Rest, decide};
use super::{Floor, Front, Label, Recovery, Scanned};
use crate::listing::LogFile;
use crate::names;
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::quarantine::KEPT_BYTES_MAX;
use crate::rewrite;
use crate::walk::EpochRange;
use crate::window::Fault;

/// Ends the name of a segment that holds offsets which another one holds too.
const ASIDE_SUFFIX: &str = ".overlap";

impl Recovery<'_> {
    /// Reads everything past the watermark.
    pub(super) fn scan_from(&mut self, logs: &[LogFile], front: Front) -> Result<Scanned, Fault> {
        let kept = logs.get(..front.place).unwrap_or_default().to_vec();
        let mut scanned = Scanned {
            kept,
            next: front.expected,
            epochs: Vec::new(),
        };
        if logs.is_empty() {
            scanned.next = Offset::ZERO;
            return Ok(scanned);
        }
        let mut front = front;
        while let Some(log) = logs.get(front.place).copied() {
            if front.position == Position::ZERO {
                if log.base > scanned.next && self.is_behind_cut(logs, front.place, &scanned) {
                    self.drop_from(logs, front.place)?;
                    return Ok(scanned);
                }
                if log.base < scanned.next && !scanned.kept.is_empty() {
                    if self.overlap(&log, &mut scanned)? {
                        front.epoch = i32::MIN;
                    } else {
                        front.place = front.place.saturating_add(1);
                        continue;
                    }
                }
                self.connect(&log, &scanned);
                front.expected = log.base;
            }
            if self.scan_segment(logs, front, &mut scanned)? {
                self.drop_from(logs, front.place.saturating_add(1))?;
                return Ok(scanned);
            }
            let newest = scanned.epochs.last();
            front = Front {
                place: front.place.saturating_add(1),
                position: Position::ZERO,
                expected: scanned.next,
                epoch: newest.map_or(front.epoch, |(epoch, _)| *epoch),
            };
        }
        Ok(scanned)
    }

    /// Notes the offsets that neither side has, where a segment begins behind the one before.
    fn connect(&mut self, log: &LogFile, scanned: &Scanned) {
        let (base, next) = (log.base, scanned.next);
        let explained = self.end_hole(base);
        if base <= next || explained {
            return;
        }
        let what = format!("offsets {next} to {base} are in no segment");
        self.report.alarm(Label::K, self.describe(&what));
        let before = scanned.kept.last();
        let (at, size) = before.map_or((base, Position::ZERO), |before| (before.base, before.size));
        self.quarantine(at, (next, base), (size, size), Label::K);
    }

    /// Two segments hold the same offsets. The one whose good batches reach further from there on
    /// keeps them. Whether the later one does.
    fn overlap(&mut self, later: &LogFile, scanned: &mut Scanned) -> Result<bool, Fault> {
        let base = later.base;
        let earlier = scanned.kept.last().copied().expect("checked by the caller");
        let what = format!(
            "the segments at {} and {base} both hold offset {base}",
            earlier.base
        );
        self.report.alarm(Label::M, self.describe(&what));
        let file = self.open(base)?;
        let reach = scan::reach(&*file, later.size, base, self.circumstances.epoch_max)?;
        if reach <= scanned.next {
            self.set_aside(base)?;
            return Ok(false);
        }
        let file = self.open(earlier.base)?;
        let shared = scan::position_of(&*file, earlier.size, (earlier.base, base))?;
        // Without a boundary there, or with more than can be kept, both stay as they are: reads
        // go by the base offsets.
        if let Some(position) = shared.filter(|at| earlier.size.since(*at) <= KEPT_BYTES_MAX) {
            let range = (position, earlier.size);
            self.keep_cut((earlier.base, &*file), range, base, Label::M)?;
            file.set_size(position.bytes())?;
            names::sync_data(&*file)?;
            if let Some(kept) = scanned.kept.last_mut() {
                kept.size = position;
            }
        }
        scanned.next = base;
        scanned.epochs.retain(|(_, first)| *first < base);
        self.hole = None;
        Ok(true)
    }

    /// Takes a segment out of the log without deleting it.
    fn set_aside(&mut self, base: Offset) -> io::Result<()> {
        let source = SegmentFile::Log.path(self.directory, base);
        let mut target = source.clone().into_os_string();
        target.push(ASIDE_SUFFIX);
        self.changed = true;
        self.vfs.rename(&source, Path::new(&target))
    }

    /// After a power cut a segment behind lost bytes past the watermark holds nothing that was
    /// promised.
    fn is_behind_cut(&self, logs: &[LogFile], place: usize, scanned: &Scanned) -> bool {
        let past_watermark = scanned.next >= self.floor_offset();
        place > 0 && place < logs.len() && past_watermark && self.power_was_cut()
    }

    fn power_was_cut(&self) -> bool {
        self.circumstances.floor != Floor::Unknown && !self.circumstances.same_boot
    }

    /// Scans one segment. `true` if the log ends in it whatever follows.
    fn scan_segment(
        &mut self,
        logs: &[LogFile],
        front: Front,
        scanned: &mut Scanned,
    ) -> Result<bool, Fault> {
        let log = logs
            .get(front.place)
            .copied()
            .expect("the front is at a segment");
        let file = self.open(log.base)?;
        let epochs = EpochRange {
            lowest: front.epoch,
            highest: self.circumstances.epoch_max,
            highest_from: Offset::ZERO,
        };
        self.mend(&*file, &log, front.position)?;
        let range = (front.position, log.size);
        let promises = self.circumstances.promises.iter();
        let here = promises.filter(|promise| promise.base == log.base);
        let places: Vec<_> = here.filter_map(|promise| promise.place).collect();
        let scan = scan::scan((&*file, &places), range, front.expected, epochs)?;
        self.note_scan(&scan, front.position);
        scanned.epochs.extend_from_slice(&scan.epochs);
        scanned.next = scan.next;
        let later = logs
            .get(front.place.saturating_add(1)..)
            .unwrap_or_default();
        let good = scan.salvage.as_ref().is_some_and(|salvage| salvage.good);
        let facts = self.facts(later, (scan.rest, scan.next), good)?;
        let (label, mut decision) = self.act(facts, (&log, &*file), scan.end, scan.next)?;
        let mut kept = log;
        if decision == Decision::Cut {
            kept.size = scan.end;
        } else if let Some(salvage) = scan.salvage {
            decision = self.step_over(later, (&mut kept, &*file), (&salvage, label), scanned)?;
        }
        self.secure(&*file, (front.position, kept.size), decision)?;
        scanned.kept.push(kept);
        Ok(decision == Decision::Cut)
    }

    /// What a scan found, for the table.
    fn facts(
        &self,
        later: &[LogFile],
        (rest, next): (Rest, Offset),
        good_behind: bool,
    ) -> Result<Facts, Fault> {
        let mut good_later = good_behind;
        if rest != Rest::Nothing
            && !good_later
            && let Some(log) = later.iter().find(|log| log.size > Position::ZERO)
        {
            let file = self.open(log.base)?;
            good_later = scan::begins_well(&*file, log.size, next)?;
        }
        Ok(Facts {
            below_watermark: next < self.floor_offset() && !skips(Safeguard::CutBelowWatermark),
            rest,
            good_later,
            watermark_known: self.circumstances.floor != Floor::Unknown,
            same_boot: self.circumstances.same_boot,
        })
    }

    /// Says what was found at `end`, and cuts if that is decided.
    fn act(
        &mut self,
        facts: Facts,
        (log, file): (&LogFile, &dyn File),
        end: Position,
        next: Offset,
    ) -> Result<(Label, Decision), Fault> {
        let case = decide(facts);
        let (label, base, size) = (case.label, log.base, log.size);
        let what = format!("bytes {end} to {size} of the segment at {base}, from offset {next} on");
        if case.alarm {
            self.report.alarm(label, self.describe(&what));
        } else {
            self.report.count(label);
            if end < size {
                tracing::info!("{label}: {}", self.describe(&what));
            }
        }
        if case.decision == Decision::Cut {
            self.keep_cut((base, file), (end, size), next, label)?;
            file.set_size(end.bytes())?;
        }
        Ok((label, case.decision))
    }

    /// Goes on behind damage. What is left of the segment at its end is looked at once more.
    fn step_over(
        &mut self,
        later: &[LogFile],
        (kept, file): (&mut LogFile, &dyn File),
        (salvage, label): (&Salvage, Label),
        scanned: &mut Scanned,
    ) -> Result<Decision, Fault> {
        for &(range, offsets) in &salvage.lost {
            self.quarantine(kept.base, offsets, range, label);
        }
        scanned.epochs.extend_from_slice(&salvage.epochs);
        scanned.next = salvage.next;
        let Some((position, first)) = salvage.tail else {
            return Ok(Decision::StepOver);
        };
        let mut label = label;
        if !salvage.lost.is_empty() {
            let epochs = EpochRange::up_to(self.circumstances.epoch_max);
            let rest = scan::rest_of(file, (position, kept.size), first, epochs)?;
            let facts = self.facts(later, (rest, first), false)?;
            let acted = self.act(facts, (&*kept, file), position, first)?;
            if acted.1 == Decision::Cut {
                kept.size = position;
                return Ok(Decision::Cut);
            }
            label = acted.0;
        }
        self.begin_hole(Hole {
            base: kept.base,
            first,
            position,
            end: kept.size,
            label,
        });
        Ok(Decision::StepOver)
    }

    fn note_scan(&mut self, scan: &Scan, start: Position) {
        let size_bytes = u64::try_from(scan.end.since(start)).expect("a usize fits 64 bits");
        self.report.scanned_bytes = self.report.scanned_bytes.saturating_add(size_bytes);
        if size_bytes > 0 {
            self.report.count(Label::B);
        }
        let newest = scan.epochs.iter().map(|(epoch, _)| *epoch).max();
        self.report.epoch_max = self.report.epoch_max.max(newest.unwrap_or(0));
    }

    /// Makes what was accepted durable. Bytes that are only in memory may have failed to reach the
    /// disk before, and the system would not say so again: writing them once more makes it try.
    fn secure(
        &self,
        file: &dyn File,
        (start, end): (Position, Position),
        decision: Decision,
    ) -> Result<(), Fault> {
        if start == end && decision == Decision::Accept {
            return Ok(());
        }
        if self.circumstances.same_boot && !skips(Safeguard::AcceptedTailRewrite) {
            rewrite::rewrite(file, start, end)?;
        }
        if !skips(Safeguard::AcceptedTailSync) {
            names::sync_data(file)?;
        }
        Ok(())
    }

    /// Removes the segments from `place` on: a cut or a lost tail lies before them.
    fn drop_from(&mut self, logs: &[LogFile], place: usize) -> Result<(), Fault> {
        let gone = |_: &&LogFile| !skips(Safeguard::SegmentsBehindCut);
        for log in logs.get(place..).unwrap_or_default().iter().filter(gone) {
            let base = log.base;
            let what = format!("the segment at {base} lies behind the end and is removed");
            let file = self.open(base)?;
            if scan::begins_well(&*file, log.size, base)? {
                self.report.alarm(Label::C, self.describe(&what));
            } else {
                tracing::info!("{}: {}", Label::C, self.describe(&what));
                self.report.count(Label::C);
            }
            self.keep_cut((base, &*file), (Position::ZERO, log.size), base, Label::C)?;
            drop(file);
            // IMPORTANT: the log last. What stands beside it speaks of its batches, and a crash in
            // between must not leave that for a later segment with the same base.
            for kind in [
                SegmentFile::Spans,
                SegmentFile::TimeIndex,
                SegmentFile::Index,
                SegmentFile::Log,
            ] {
                self.remove(&kind.path(self.directory, base))?;
            }
        }
        Ok(())
    }
}
