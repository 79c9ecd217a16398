//! The names of files and directories of a log, and nothing about their content.
//!
//! A segment's files are named by its base offset in 20 digits, as Kafka names them.

use std::path::{Path, PathBuf};

use records::Offset;

use crate::directory::partition_dir_name;

/// Kafka's name of the file with the history of leader epochs.
pub(crate) const EPOCH_FILE: &str = "leader-epoch-checkpoint";
/// Ends a name that a crash may leave behind: an unfinished replacement.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";
/// Ends a name that is only waiting to be removed.
pub(crate) const DELETED_SUFFIX: &str = ".deleted";

const BASE_DIGITS: usize = 20;

/// The files that stand beside each other under one base offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentFile {
    Log,
    Index,
    TimeIndex,
    Spans,
    Snapshot,
    Quarantine,
}

impl SegmentFile {
    const ALL: [Self; 6] = [
        Self::Log,
        Self::Index,
        Self::TimeIndex,
        Self::Spans,
        Self::Snapshot,
        Self::Quarantine,
    ];

    /// All that speak of the batches of a segment. The log last: what stands beside it must not be
    /// left for another one with the same base.
    pub(crate) const OF_SEGMENT: [Self; 5] = [
        Self::Quarantine,
        Self::Spans,
        Self::TimeIndex,
        Self::Index,
        Self::Log,
    ];
    /// As [`SegmentFile::OF_SEGMENT`], without the log.
    pub(crate) const BESIDE_LOG: [Self; 4] =
        [Self::Quarantine, Self::Spans, Self::TimeIndex, Self::Index];

    const fn extension(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Index => "index",
            Self::TimeIndex => "timeindex",
            Self::Spans => "spans",
            Self::Snapshot => "snapshot",
            Self::Quarantine => "quarantine",
        }
    }

    /// Where this file of the segment at `base` is.
    pub(crate) fn path(self, directory: &Path, base: Offset) -> PathBuf {
        assert!(
            base >= Offset::ZERO,
            "a segment starts at an offset, not at {base}"
        );
        directory.join(format!("{:020}.{}", base.get(), self.extension()))
    }

    /// What a file name says; `None` if it is none of ours.
    pub(crate) fn parse(name: &str) -> Option<(Offset, Self)> {
        let (digits, extension) = name.split_once('.')?;
        let kind = Self::ALL
            .into_iter()
            .find(|kind| kind.extension() == extension)?;
        if digits.len() != BASE_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some((Offset::new(digits.parse().ok()?), kind))
    }
}

/// The directory of one partition, below its topic's.
pub(crate) fn partition_dir(topic_dir: &Path, partition: u32) -> PathBuf {
    topic_dir.join(partition_dir_name(partition))
}

#[cfg(test)]
mod tests;
