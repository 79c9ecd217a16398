//! Where a leader epoch ends. `leader-epoch-checkpoint` is text without a checksum, as Kafka has it, so
//! its word is held against the batches on both sides of the answer before it is given; where they
//! disagree, the heads of all batches tell the history anew.

use records::Offset;
use sabotage::{Safeguard, skips};
use storage::{EpochEnd, Isolation, LeaderEpochs, ReadLimit};

use super::DiskLog;
use super::state::State;
use crate::window::{Access, Fault};

/// What the history says, and what follows from it for the batches.
#[derive(Debug, Clone, Copy)]
struct Answer {
    end: EpochEnd,
    before: Before,
    log_end: Offset,
}

/// The batch before the end.
#[derive(Debug, Clone, Copy)]
enum Before {
    OfEpoch(i32),
    /// There is none.
    Nothing,
    /// The history does not say.
    Unknown,
}

impl DiskLog {
    pub(super) fn find_epoch_end(&self, epoch: i32) -> Option<EpochEnd> {
        let answer = {
            let mut state = self.state.lock();
            if let Err(failure) = state.serves().and_then(|()| self.load(&mut state)) {
                tracing::warn!(%failure, "the epochs of a log are not known");
                return None;
            }
            self.answer(&state, epoch)?
        };
        if self.agree(answer, epoch) || skips(Safeguard::EpochAnswerCheck) {
            return Some(answer.end);
        }
        let mut state = self.state.lock();
        if let Err(fault) = self.tell_epochs_anew(&mut state) {
            let failure = self.read_error(fault);
            tracing::warn!(%failure, "the epochs of a log are not known");
            return None;
        }
        self.answer(&state, epoch).map(|answer| answer.end)
    }

    fn answer(&self, state: &State, epoch: i32) -> Option<Answer> {
        let (log_end, log_start) = (state.end.offset, self.start());
        let epochs: &LeaderEpochs = &state.loaded.as_ref()?.epochs;
        let end = epochs.end_of(epoch, log_end, log_start)?;
        let starts = epochs.starts();
        let behind = starts.partition_point(|known| known.epoch <= epoch);
        let floor = behind.checked_sub(1).and_then(|at| starts.get(at));
        let before = match floor {
            _ if end.end <= log_start => Before::Unknown,
            None => Before::Nothing,
            Some(floor) if floor.start < end.end => Before::OfEpoch(floor.epoch),
            Some(_) => Before::Unknown,
        };
        Some(Answer {
            end,
            before,
            log_end,
        })
    }

    /// Whether the batches around the end are of the epochs that the history says. One that cannot
    /// be read says nothing.
    fn agree(&self, answer: Answer, epoch: i32) -> bool {
        let Answer {
            end,
            before,
            log_end,
        } = answer;
        let found = || self.epoch_at(end.end.plus(-1));
        let is_before = match before {
            Before::OfEpoch(before) => {
                found().is_none_or(|(found, next)| found == before && next == end.end)
            }
            // What has no epoch is in no history.
            Before::Nothing => found().is_none_or(|(found, _)| found < 0),
            Before::Unknown => true,
        };
        let is_behind = end.end >= log_end
            || self
                .epoch_at(end.end)
                .is_none_or(|(found, _)| found > epoch);
        is_before && is_behind
    }

    /// The epoch of the batch that holds an offset, and the offset behind it.
    fn epoch_at(&self, offset: Offset) -> Option<(i32, Offset)> {
        let limit = ReadLimit {
            bytes_max: 1,
            at_least_one_batch: true,
        };
        let isolation = Isolation::ReadUncommitted;
        let run = self.find_run(offset, limit, isolation, Access::Blocking);
        let header = run.ok()?.ok()?.first.header;
        Some((header.leader_epoch, header.next_offset()))
    }

    fn tell_epochs_anew(&self, state: &mut State) -> Result<(), Fault> {
        let end = state.end.offset;
        let Some(loaded) = state.loaded.as_mut() else {
            return Ok(());
        };
        let mut epochs = self.epochs_of_batches(loaded)?;
        epochs.on_append(self.context.leader_epoch, end);
        let directory = self.directory();
        tracing::warn!(
            directory = %directory.display(), was = ?loaded.epochs.starts(), is = ?epochs.starts(),
            "the history of epochs is not that of the batches, and is written anew"
        );
        loaded.epochs = epochs;
        loaded.epochs_unsaved = true;
        if !std::mem::replace(&mut loaded.in_upkeep, true) {
            self.context.upkeep.submit(self.me());
        }
        Ok(())
    }
}
