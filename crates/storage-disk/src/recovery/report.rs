//! What a recovery found and did, for the log, the banner and tests.

use std::collections::{BTreeMap, BTreeSet};

use storage::PartitionId;

use super::table::Label;

/// The sum over all partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The last process ended cleanly: its word was taken.
    pub was_clean: bool,
    /// Partitions found.
    pub partitions: usize,
    /// Partitions whose files were looked at.
    pub partitions_scanned: usize,
    /// Bytes of records that were read.
    pub scanned_bytes: u64,
    /// Bytes behind the last good batch that were cut.
    pub cut_bytes: u64,
    /// Bytes of records that only the commit file had durable.
    pub restored_bytes: u64,
    /// How often each case occurred.
    pub labels: BTreeMap<Label, u64>,
    /// What somebody should look at.
    pub alarms: Vec<String>,
    /// The largest leader epoch found in a log.
    pub(crate) epoch_max: i32,
    /// Partitions with a quarantine list.
    pub(crate) listed: BTreeSet<PartitionId>,
}

impl RecoveryReport {
    pub(crate) fn count(&mut self, label: Label) {
        let count = self.labels.entry(label).or_default();
        *count = count.saturating_add(1);
    }

    pub(crate) fn alarm(&mut self, label: Label, what: String) {
        tracing::error!("{label}: {what}");
        self.count(label);
        self.alarms.push(format!("{label}: {what}"));
    }
}
