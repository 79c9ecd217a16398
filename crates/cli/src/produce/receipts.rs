//! Where records are: acknowledged batches that follow each other are told as one range.

use kafka_client::Acknowledged;

use crate::failure::Failure;
use crate::output::{Output, counted};

/// Neighbouring offsets of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    partition: i32,
    /// First offset and the one behind the last; `None` where the broker gave no offset.
    offsets: Option<(i64, i64)>,
    records: u64,
}

/// What is to be told.
#[derive(Debug)]
pub(super) struct Receipts {
    topic: String,
    ranges: Vec<Range>,
    records: u64,
    unknown: u64,
}

impl Receipts {
    pub(super) fn new(topic: String) -> Self {
        Self {
            topic,
            ranges: Vec::new(),
            records: 0,
            unknown: 0,
        }
    }

    /// Records so far of which the broker said that it has them.
    pub(super) fn records(&self) -> u64 {
        self.records - self.unknown
    }

    pub(super) fn take(&mut self, acknowledged: Vec<Acknowledged>) {
        for batch in acknowledged {
            let records = u64::try_from(batch.records).unwrap_or(u64::MAX);
            let count = i64::try_from(batch.records).unwrap_or(i64::MAX);
            let offsets = batch
                .base_offset
                .map(|base| (base, base.saturating_add(count)));
            let range = Range {
                partition: batch.partition,
                offsets,
                records,
            };
            self.records += records;
            if offsets.is_none() {
                self.unknown += records;
            }
            self.add(range);
        }
    }

    fn add(&mut self, range: Range) {
        let before = self
            .ranges
            .iter_mut()
            .rev()
            .find(|known| known.partition == range.partition);
        match before {
            Some(before) if follows(before.offsets, range.offsets) => {
                let end = range.offsets.map(|(_, end)| end);
                before.offsets = before
                    .offsets
                    .map(|(start, old)| (start, end.unwrap_or(old)));
                before.records += range.records;
            }
            _ => self.ranges.push(range),
        }
    }

    /// Tells what was not told yet.
    pub(super) fn print(&mut self, output: &mut Output) -> Result<(), Failure> {
        for line in self.lines() {
            output.line(&line)?;
        }
        output.flush()
    }

    fn lines(&mut self) -> Vec<String> {
        let mut ranges = std::mem::take(&mut self.ranges);
        ranges.sort_by_key(|range| range.partition);
        let topic = &self.topic;
        let lines = ranges.into_iter().map(
            |Range {
                 partition,
                 offsets,
                 records,
             }| match offsets {
                Some((start, end)) if end.saturating_sub(start) == 1 => {
                    format!("{topic}[{partition}]@{start}")
                }
                Some((start, end)) => {
                    format!("{topic}[{partition}]@{start}..{}", end.saturating_sub(1))
                }
                None => {
                    let sent = counted(records, "record");
                    format!("{topic}[{partition}] {sent} sent, offsets unknown")
                }
            },
        );
        lines.collect()
    }
}

fn follows(before: Option<(i64, i64)>, after: Option<(i64, i64)>) -> bool {
    match (before, after) {
        (Some((_, end)), Some((start, _))) => end == start,
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
