//! What was acknowledged against what was read. Knows no processes and no files.
//!
//! A record is known by its producer, its partition and its sequence there. Lost: acknowledged and
//! not in the log. Moved: in the log, but not where it was acknowledged. Doubled: in the log twice.
//! Out of order: behind a record of its producer that was sent later. Skipped: never seen, though a
//! later record of its producer is there, which idempotence rules out.

use std::collections::BTreeMap;
use std::fmt;

use super::producers::Acknowledged;

/// The findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) acknowledged: BTreeMap<String, usize>,
    pub(super) without_offset: usize,
    pub(super) read: usize,
    pub(super) lost: usize,
    pub(super) moved: usize,
    pub(super) doubled: usize,
    pub(super) out_of_order: usize,
    pub(super) skipped: usize,
    /// The first few, for people.
    pub(super) examples: Vec<String>,
}

const EXAMPLES_MAX: usize = 20;

/// Where each record of one producer in one partition is, by sequence.
type Places = BTreeMap<u64, i64>;

impl Verdict {
    fn blame(&mut self, what: String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(what);
        }
    }

    fn violations(&self) -> usize {
        self.lost + self.moved + self.doubled + self.out_of_order + self.skipped
    }

    /// All on one line.
    pub(super) fn line(&self) -> String {
        format!(
            "{} acknowledged, {} read, {} lost, {} moved, {} doubled, {} out of order, {} skipped",
            self.acknowledged.values().sum::<usize>(),
            self.read,
            self.lost,
            self.moved,
            self.doubled,
            self.out_of_order,
            self.skipped
        )
    }

    /// An error if anything is wrong.
    pub(super) fn outcome(&self) -> Result<(), String> {
        if self.violations() == 0 {
            return Ok(());
        }
        Err(format!("{}\n{}", self.examples.join("\n"), self.line()))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.acknowledged {
            let name = format!("acknowledged to {name}");
            writeln!(out, "{name:<34} {count:>12}")?;
        }
        let rows = [
            ("of these without an offset", self.without_offset),
            ("records read", self.read),
            ("lost", self.lost),
            ("moved", self.moved),
            ("doubled", self.doubled),
            ("out of order", self.out_of_order),
            ("skipped", self.skipped),
        ];
        let lines = rows.map(|(name, count)| format!("{name:<34} {count:>12}"));
        out.write_str(&lines.join("\n"))
    }
}

/// Compares. `found` has a line `partition offset producer sequence` for every record.
pub(super) fn judge(
    acknowledged: &[(&str, Vec<Acknowledged>)],
    found: &str,
) -> Result<Verdict, String> {
    let mut verdict = Verdict::default();
    let mut places: BTreeMap<(&str, usize), Places> = BTreeMap::new();
    for line in found.lines() {
        let (partition, offset, name, sequence) = parse(line)?;
        verdict.read += 1;
        let known = places.entry((name, partition)).or_default();
        let last = known
            .last_key_value()
            .map(|(sequence, offset)| (*sequence, *offset));
        if let Some(before) = known.get(&sequence) {
            verdict.doubled += 1;
            let before = *before;
            verdict.blame(format!(
                "doubled: {name} {sequence} of partition {partition} at {before} and {offset}"
            ));
            continue;
        }
        if let Some((last, at)) = last
            && (last > sequence || at >= offset)
        {
            verdict.out_of_order += 1;
            verdict.blame(format!("out of order: {name} {sequence} of partition {partition} at {offset}, {last} at {at}"));
        }
        known.insert(sequence, offset);
    }
    for ((name, partition), known) in &places {
        let wanted = known.last_key_value().map_or(0, |(last, _)| *last + 1);
        let there = known.len() as u64;
        if there < wanted {
            verdict.skipped += usize::try_from(wanted - there).unwrap_or(usize::MAX);
            verdict.blame(format!(
                "skipped: {} of {name} in partition {partition}",
                wanted - there
            ));
        }
    }
    for (name, acks) in acknowledged {
        verdict.acknowledged.insert((*name).to_owned(), acks.len());
        for ack in acks {
            let known = places.get(&(*name, ack.partition));
            verdict.check(
                name,
                ack,
                known.and_then(|known| known.get(&ack.sequence)).copied(),
            );
        }
    }
    Ok(verdict)
}

impl Verdict {
    fn check(&mut self, name: &str, ack: &Acknowledged, found: Option<i64>) {
        let Acknowledged {
            partition,
            offset,
            sequence,
        } = *ack;
        self.without_offset += usize::from(offset < 0);
        match found {
            None => {
                self.lost += 1;
                self.blame(format!(
                    "lost: {name} {sequence} of partition {partition}, acknowledged at {offset}"
                ));
            }
            Some(found) if offset >= 0 && found != offset => {
                self.moved += 1;
                self.blame(format!("moved: {name} {sequence} of partition {partition} at {found}, acknowledged at {offset}"));
            }
            Some(_) => {}
        }
    }
}

fn parse(line: &str) -> Result<(usize, i64, &str, u64), String> {
    let mut words = line.split(' ');
    let mut read = || {
        let partition = words.next()?.parse().ok()?;
        let offset = words.next()?.parse().ok()?;
        let name = words.next()?;
        let sequence = words.next()?.parse().ok()?;
        words
            .next()
            .is_none()
            .then_some((partition, offset, name, sequence))
    };
    read().ok_or_else(|| format!("not a record of ours: '{line}'"))
}

#[cfg(test)]
mod tests;
