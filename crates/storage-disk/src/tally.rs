//! What was found wrong in a data directory since the start, mended and deleted: the sums over all
//! logs.
//!
//! Each log says what it knows when that changes, so that asking costs no lock of a log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use storage::{Deleted, Findings};

use crate::recovery::{Label, RecoveryReport};

/// Ranges that nobody accepted, and offsets in them.
pub(crate) type Lost = (u64, u64);

/// Why a segment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// All its records are older than the topic keeps them.
    Age,
    /// The log is larger than the topic allows.
    Size,
    /// Somebody asked for it.
    Request,
}

impl Removal {
    const ALL: [Self; 3] = [Self::Age, Self::Size, Self::Request];

    const fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
            Self::Request => "request",
        }
    }
}

/// See the head of the module.
#[derive(Debug)]
pub(crate) struct Tally {
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// All but what is quarantined.
    findings: Findings,
    /// By the directories of partitions; of those that lost something.
    lost: BTreeMap<PathBuf, Lost>,
}

impl Default for Tally {
    fn default() -> Self {
        let labels = Label::ALL.into_iter().map(|label| (key(label), 0));
        let findings = Findings {
            recovered: labels.collect(),
            deleted: Removal::ALL
                .into_iter()
                .map(|reason| (reason.name(), Deleted::default()))
                .collect(),
            ..Findings::default()
        };
        Self {
            known: Mutex::new(Known {
                findings,
                lost: BTreeMap::new(),
            }),
        }
    }
}

impl Tally {
    /// Adds what a recovery came to: the one of the start, or one of a log whose files somebody
    /// changed after a clean end.
    pub(crate) fn add_recovery(&self, report: &RecoveryReport) {
        let findings = &mut self.known.lock().findings;
        add(&mut findings.scanned_bytes, report.scanned_bytes);
        add(&mut findings.cut_bytes, report.cut_bytes);
        for (&label, &count) in &report.labels {
            add(findings.recovered.entry(key(label)).or_default(), count);
        }
    }

    /// A damaged head of a batch was repaired.
    pub(crate) fn add_repaired_head(&self) {
        add(&mut self.known.lock().findings.repaired_heads, 1);
    }

    /// A scrub read so much, and found damage that nobody knew of, or not.
    pub(crate) fn add_scrub(&self, size_bytes: usize, found: bool) {
        let findings = &mut self.known.lock().findings;
        let size_bytes = u64::try_from(size_bytes).unwrap_or(u64::MAX);
        add(&mut findings.scrubbed_bytes, size_bytes);
        add(&mut findings.scrub_found_ranges, u64::from(found));
    }

    /// A scrub looked at all logs.
    pub(crate) fn end_scrub_pass(&self, now_ms: i64) {
        let findings = &mut self.known.lock().findings;
        findings.scrub_passed_at_ms = Some(now_ms);
    }

    /// So many segments, of so many bytes, lie before the start of their log now.
    pub(crate) fn add_removed(&self, reason: Removal, (segments, bytes): (u64, u64)) {
        let findings = &mut self.known.lock().findings;
        let deleted = findings.deleted.entry(reason.name()).or_default();
        add(&mut deleted.segments, segments);
        add(&mut deleted.size_bytes, bytes);
    }

    /// A log was compacted.
    pub(crate) fn add_compaction_pass(&self) {
        add(&mut self.known.lock().findings.compaction.passes, 1);
    }

    /// Something could not be written anew.
    pub(crate) fn add_compaction_failure(&self) {
        add(&mut self.known.lock().findings.compaction.failures, 1);
    }

    /// A compaction read and wrote so many bytes.
    pub(crate) fn add_compaction_bytes(&self, read: usize, written: usize) {
        let compaction = &mut self.known.lock().findings.compaction;
        let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        add(&mut compaction.read_bytes, bytes(read));
        add(&mut compaction.written_bytes, bytes(written));
    }

    /// So many records went.
    pub(crate) fn add_compacted(&self, records: u64) {
        add(
            &mut self.known.lock().findings.compaction.removed_records,
            records,
        );
    }

    /// Whether the wall clock may say how old records are.
    pub(crate) fn set_time_trusted(&self, trusted: bool) {
        self.known.lock().findings.clock_jumped = !trusted;
    }

    /// What is lost of one partition now.
    pub(crate) fn set_lost(&self, directory: &Path, lost: Lost) {
        let known = &mut self.known.lock().lost;
        if lost == (0, 0) {
            known.remove(directory);
        } else {
            known.insert(directory.to_owned(), lost);
        }
    }

    /// The sums.
    pub(crate) fn findings(&self) -> Findings {
        let known = self.known.lock();
        let mut findings = known.findings.clone();
        for (ranges, records) in known.lost.values() {
            add(&mut findings.quarantined_ranges, *ranges);
            add(&mut findings.quarantined_records, *records);
        }
        findings
    }
}

fn add(sum: &mut u64, count: u64) {
    *sum = sum.saturating_add(count);
}

fn key(label: Label) -> char {
    char::from(label.letter())
}
