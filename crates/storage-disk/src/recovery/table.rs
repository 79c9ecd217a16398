//! What recovery decides, as a table: the first row that fits what was found counts.
//!
//! The labels are those of docs/operations.md and of the log lines. Nothing here touches a file.

use std::fmt;

/// Names a finding, so that a log line, a test and the documentation mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// Good batches past the watermark: accepted.
    B,
    /// Bytes past the watermark that are no batch: cut.
    C,
    /// Damage with good batches behind it: kept; the damaged records cannot be read.
    D,
    /// Zeros up to the end of the file: cut.
    E,
    /// The file ends exactly after a batch.
    G,
    /// The file ends before the watermark: the offsets in between are lost, and not given again.
    H,
    /// The head of a batch was damaged, and its span proves what was written: repaired.
    I,
    /// Damage below the watermark: kept, whatever follows; the damaged records cannot be read.
    J,
    /// Offsets are missing between two segments: both are kept.
    K,
    /// Two segments hold the same offsets: the later file is left aside.
    M,
    /// An index that is not believed: built anew from its log.
    N,
    /// A producer snapshot that cannot be used: an older one, or the log, tells the same.
    O,
    /// A bad frame in the watermark journal: the good ones are used.
    P,
    /// No watermark journal: the log is read in full.
    Q,
    /// What an interrupted step left behind: finished or removed.
    R,
    /// A topic without metadata: adopted.
    T,
    /// Records were durable here, and the directory is gone: offline.
    U,
    /// Records that only the commit file had durable: written into their log.
    W,
    /// Damage in the commit file, or something else stands in the place of what it holds: left.
    X,
}

impl Label {
    pub(crate) const ALL: [Self; 19] = [
        Self::B,
        Self::C,
        Self::D,
        Self::E,
        Self::G,
        Self::H,
        Self::I,
        Self::J,
        Self::K,
        Self::M,
        Self::N,
        Self::O,
        Self::P,
        Self::Q,
        Self::R,
        Self::T,
        Self::U,
        Self::W,
        Self::X,
    ];

    /// Its letter, as it stands in a quarantine list.
    pub(crate) fn letter(self) -> u8 {
        let text = self.to_string();
        *text.as_bytes().first().expect("a label is a letter")
    }

    /// The label of a letter.
    pub(crate) fn of_letter(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.letter() == letter)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What follows the last good batch of a segment, past the watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Nothing,
    Zeros,
    /// The begin of the batch that belongs here; the file ends inside it.
    Torn,
    /// Whole batches by their heads, up to the end of the file, whose bytes are not good.
    Complete,
    Junk,
}

/// What a scan found at the end of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// The last good batch ends before the watermark: what follows was promised to somebody.
    pub(super) below_watermark: bool,
    pub(super) rest: Rest,
    /// A good batch follows the rest, in this segment or the next.
    pub(super) good_later: bool,
    /// It is known up to where the log was durable.
    pub(super) watermark_known: bool,
    /// The system did not restart since the bytes were written.
    pub(super) same_boot: bool,
}

impl Facts {
    /// Unsynced writes may be lost in any order: what follows a hole was never acknowledged.
    fn power_was_cut(self) -> bool {
        self.watermark_known && !self.same_boot
    }

    /// A power cut leaves anything of what was not synced, a kill the begin of a batch.
    fn ends_as_a_crash_does(self) -> bool {
        self.watermark_known && (!self.same_boot || self.rest == Rest::Torn)
    }
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The segment is whole.
    Accept,
    /// End the log here: nothing that was promised lies behind.
    Cut,
    /// Leave the bytes where they are and go on behind them.
    StepOver,
}

/// One row.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) label: Label,
    found: fn(Facts) -> bool,
    pub(super) decision: Decision,
    /// Somebody should look at it.
    pub(super) alarm: bool,
}

pub(super) const CASES: [Case; 10] = [
    Case {
        label: Label::G,
        found: |facts| facts.rest == Rest::Nothing,
        decision: Decision::Accept,
        alarm: false,
    },
    Case {
        label: Label::J,
        found: |facts| facts.below_watermark,
        decision: Decision::StepOver,
        alarm: true,
    },
    Case {
        label: Label::E,
        found: |facts| facts.rest == Rest::Zeros && facts.power_was_cut() && !facts.good_later,
        decision: Decision::Cut,
        alarm: false,
    },
    Case {
        label: Label::E,
        found: |facts| facts.rest == Rest::Zeros && facts.power_was_cut(),
        decision: Decision::Cut,
        alarm: true,
    },
    Case {
        label: Label::E,
        found: |facts| facts.rest == Rest::Zeros && !facts.good_later,
        decision: Decision::Cut,
        alarm: true,
    },
    // A killed process leaves a file that ends inside a batch, never a whole batch of wrong bytes:
    // these were written and may have been acknowledged. Their offsets are not given again.
    Case {
        label: Label::D,
        found: |facts| facts.rest == Rest::Complete && !facts.power_was_cut(),
        decision: Decision::StepOver,
        alarm: true,
    },
    // Whoever wrote it never got to acknowledge it.
    Case {
        label: Label::C,
        found: |facts| !facts.good_later && facts.ends_as_a_crash_does(),
        decision: Decision::Cut,
        alarm: false,
    },
    Case {
        label: Label::C,
        found: |facts| !facts.good_later,
        decision: Decision::Cut,
        alarm: true,
    },
    Case {
        label: Label::C,
        found: Facts::power_was_cut,
        decision: Decision::Cut,
        alarm: true,
    },
    Case {
        label: Label::D,
        found: |_| true,
        decision: Decision::StepOver,
        alarm: true,
    },
];

/// The row that fits.
pub(super) fn decide(facts: Facts) -> &'static Case {
    let case = CASES.iter().find(|case| (case.found)(facts));
    case.expect("the last row fits everything")
}

#[cfg(test)]
mod tests;
