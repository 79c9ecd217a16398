//! Which leader epoch wrote which offsets: the history behind OffsetForLeaderEpoch (KIP-101).
//!
//! A client that has read up to an offset under some epoch asks where that epoch ended; if it
//! ended earlier, the client has read what was cut away. Epochs and their start offsets both rise
//! strictly. The text form is Kafka's `leader-epoch-checkpoint`. Must not know: files.

use std::fmt::Write as _;

use records::Offset;

use crate::log::EpochEnd;

/// The only version of the text form.
const TEXT_VERSION: &str = "0";

/// Where one epoch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: i32,
    /// Its first offset.
    pub start: Offset,
}

/// The epochs of one log, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    starts: Vec<EpochStart>,
}

/// Why a text is not a history of epochs. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EpochTextError {
    /// The text ends too early.
    #[error("line {line} is missing")]
    Missing {
        /// The first line that is not there.
        line: usize,
    },
    /// The first line is not the version known here.
    #[error("line 1 holds version {got:?} where {TEXT_VERSION:?} is known")]
    Version {
        /// What stands there.
        got: String,
    },
    /// A line that is not what its place asks for.
    #[error("line {line} holds {got:?}, which is not {expected}")]
    Line {
        /// Which line.
        line: usize,
        /// What stands there.
        got: String,
        /// What should.
        expected: &'static str,
    },
    /// Epochs or offsets that do not rise.
    #[error("line {line} does not rise above the line before it")]
    Order {
        /// Which line.
        line: usize,
    },
    /// More lines than were announced.
    #[error("line {line} follows the {count} entries announced")]
    TooLong {
        /// The first line too many.
        line: usize,
        /// The announced count.
        count: usize,
    },
}

impl LeaderEpochs {
    /// The history of a log that nobody has led.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `epoch` leads from `offset`, the log end, on: at every append, and when a leader
    /// takes over. Says whether the history changed.
    ///
    /// Epochs in which nothing was written are dropped. An epoch below the newest changes nothing:
    /// when a log is read back, that field may be damaged (the CRC does not cover it).
    pub fn on_append(&mut self, epoch: i32, offset: Offset) -> bool {
        if epoch < 0
            || self
                .starts
                .last()
                .is_some_and(|newest| epoch <= newest.epoch)
        {
            return false;
        }
        while self
            .starts
            .pop_if(|newest| newest.start >= offset)
            .is_some()
        {}
        self.starts.push(EpochStart {
            epoch,
            start: offset,
        });
        true
    }

    /// The newest epoch.
    pub fn latest(&self) -> Option<i32> {
        self.starts.last().map(|newest| newest.epoch)
    }

    /// All epochs, oldest first.
    pub fn starts(&self) -> &[EpochStart] {
        &self.starts
    }

    /// Where the largest epoch that is not above `asked` ends. For an epoch below the first one
    /// known that is the first known start; `None` above the newest.
    pub fn end_of(&self, asked: i32, log_end: Offset, log_start: Offset) -> Option<EpochEnd> {
        if asked < 0 {
            return None;
        }
        // `next` is the first epoch above the asked one.
        let next = self.starts.partition_point(|known| known.epoch <= asked);
        let floor = next.checked_sub(1).and_then(|index| self.starts.get(index));
        match (floor, self.starts.get(next)) {
            (Some(newest), None) if newest.epoch == asked => Some(EpochEnd {
                leader_epoch: asked,
                end: log_end,
            }),
            (_, None) => None,
            (Some(floor), Some(next)) => {
                let end = next.start.max(log_start);
                Some(EpochEnd {
                    leader_epoch: floor.epoch,
                    end,
                })
            }
            (None, Some(first)) => Some(EpochEnd {
                leader_epoch: asked,
                end: first.start.max(log_start),
            }),
        }
    }

    /// The log was cut at `end`: epochs that began at or above it never were.
    pub fn truncate_to(&mut self, end: Offset) {
        while self.starts.pop_if(|newest| newest.start >= end).is_some() {}
    }

    /// The log starts at `log_start` now: epochs that ended before it are forgotten, the one that
    /// holds it begins there.
    pub fn truncate_from_start(&mut self, log_start: Offset) {
        let below = self
            .starts
            .partition_point(|known| known.start <= log_start);
        let Some(holds) = below.checked_sub(1) else {
            return;
        };
        self.starts.drain(..holds);
        if let Some(first) = self.starts.first_mut() {
            first.start = log_start;
        }
    }

    /// The history as Kafka's `leader-epoch-checkpoint`: version, count, a line for each epoch.
    pub fn encode(&self) -> String {
        let mut text = format!("{TEXT_VERSION}\n{}\n", self.starts.len());
        for known in &self.starts {
            writeln!(text, "{} {}", known.epoch, known.start).expect("a String takes any text");
        }
        text
    }

    /// Reads what [`LeaderEpochs::encode`] or Kafka wrote.
    pub fn decode(text: &str) -> Result<Self, EpochTextError> {
        let mut lines = text.lines();
        let version = lines.next().ok_or(EpochTextError::Missing { line: 1 })?;
        if version != TEXT_VERSION {
            return Err(EpochTextError::Version {
                got: version.to_owned(),
            });
        }
        let count = lines.next().ok_or(EpochTextError::Missing { line: 2 })?;
        let count: usize = count
            .parse()
            .map_err(|_not_a_number| wrong(2, count, "a count"))?;
        let mut starts: Vec<EpochStart> = Vec::new();
        for entry in 0..count {
            let line = entry.saturating_add(3);
            let text = lines.next().ok_or(EpochTextError::Missing { line })?;
            let known =
                decode_line(text).ok_or_else(|| wrong(line, text, "an epoch and its start"))?;
            let rises = |last: &EpochStart| last.epoch < known.epoch && last.start < known.start;
            if !starts.last().is_none_or(rises) {
                return Err(EpochTextError::Order { line });
            }
            starts.push(known);
        }
        if lines.next().is_some() {
            return Err(EpochTextError::TooLong {
                line: count.saturating_add(3),
                count,
            });
        }
        Ok(Self { starts })
    }
}

fn decode_line(text: &str) -> Option<EpochStart> {
    let (epoch, start) = text.split_once(' ')?;
    let (epoch, start) = (epoch.parse().ok()?, start.parse().ok()?);
    (epoch >= 0 && start >= 0).then_some(EpochStart {
        epoch,
        start: Offset::new(start),
    })
}

fn wrong(line: usize, got: &str, expected: &'static str) -> EpochTextError {
    EpochTextError::Line {
        line,
        got: got.to_owned(),
        expected,
    }
}

#[cfg(test)]
mod tests;
