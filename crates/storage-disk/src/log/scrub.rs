//! One step of a scrub: the next bytes of a log are proven as a first read proves them, so that repairs
//! and quarantine lists come out the same; and where they are not good, it goes on behind.

use records::Offset;
use storage::{Isolation, Log as _, ReadError, ReadLimit};

use super::DiskLog;
use super::read::Run;
use crate::position::Position;
use crate::walk::{Step, Walk};
use crate::window::{Access, Fault};

/// About so much is read at a time.
const STEP_BYTES: usize = 256 * 1024;

/// What a step came to.
#[derive(Debug, Default)]
pub(crate) struct ScrubStep {
    /// Where the next one begins; `None`: the log has no more.
    pub(crate) next: Option<Offset>,
    /// Bytes that were read.
    pub(crate) size_bytes: usize,
    /// Damage that no list had named.
    pub(crate) found: bool,
}

impl DiskLog {
    /// Verifies the batches from `from` on, about 256 KiB of them. `skips_verified`: what was appended
    /// or verified in this process is taken for good.
    pub(crate) fn scrub(&self, from: Offset, skips_verified: bool) -> Result<ScrubStep, Fault> {
        let (isolation, access) = (Isolation::ReadUncommitted, Access::Passing);
        let ends = self.ends();
        let from = from.max(ends.log_start);
        if from >= ends.visible_end(isolation) {
            return Ok(ScrubStep::default());
        }
        let Some(plan) = self.plan(from, isolation, access)?.0 else {
            return Ok(ScrubStep::default());
        };
        let (segment_end, verified) = (plan.limit_offset, plan.verified);
        let is_known = |start| skips_verified && verified.covers((start, plan.limit));
        let mut step = ScrubStep {
            next: Some(segment_end),
            ..ScrubStep::default()
        };
        if is_known(Position::ZERO) {
            return Ok(step);
        }
        let limit = ReadLimit {
            bytes_max: STEP_BYTES,
            at_least_one_batch: true,
        };
        match self.find_run(from, limit, isolation, access) {
            Ok(Ok(run)) => {
                step.size_bytes = run.end.since(run.first.position);
                if !is_known(run.end) {
                    step.next = Some(offset_behind(&run)?);
                }
            }
            Ok(Err(_nothing)) => step.next = None,
            Err(Fault::Read(error @ ReadError::Corrupt(_))) => {
                step.size_bytes = STEP_BYTES;
                let was_listed = self.quarantined(from, access)?.is_some();
                match self.step_over(from, isolation, (access, error)) {
                    Ok(_) | Err(Fault::Read(ReadError::Corrupt(_))) => {}
                    Err(fault) => return Err(fault),
                }
                step.found = !was_listed && self.quarantined(from, access)?.is_some();
                if let Some((_, damage)) = self.measure_damage(from, isolation)? {
                    step.next = Some(damage.last.plus(1));
                }
            }
            Err(Fault::Io(error)) => {
                let what = format!("bytes of the segment at {} cannot be read", plan.base);
                let failure = self.failure(&what, &error);
                tracing::error!(%failure, from = %from, "the scrub goes on behind that segment");
                step.size_bytes = STEP_BYTES;
            }
            Err(fault) => return Err(fault),
        }
        step.next = step.next.map(|next| next.max(from.plus(1)));
        Ok(step)
    }
}

impl DiskLog {
    /// The rest of the log is left to the next pass.
    pub(crate) fn note_unscrubbed(&self, from: Offset, fault: Fault) {
        let failure = self.read_error(fault);
        tracing::warn!(%failure, from = %from, "the scrub leaves the rest of a log");
    }
}

/// The offset at the end of a run.
fn offset_behind(run: &Run) -> Result<Offset, Fault> {
    if let Some(next) = run.next {
        return Ok(next);
    }
    let range = (run.first.position, run.end);
    let base = run.first.header.base_offset;
    let mut walk = Walk::headers(&*run.file, Access::Passing, range, Some(base));
    while let Step::Batch(_) = walk.step()? {}
    Ok(walk.expected().unwrap_or(base))
}
