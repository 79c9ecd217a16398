//! One round judged, and all rounds in a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::hurt::Kind;
use super::model::{Model, Name};
use super::reading::{Fate, Fates};

/// What one round showed.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) refused_start: Option<String>,
    /// The process ended or panicked while it was read from.
    pub(super) died: Option<String>,
    /// Served, though no check could tell that it is not what was written.
    pub(super) different: Vec<String>,
    /// Gone without an error to the reader, where something had vouched for it.
    pub(super) lost: Vec<String>,
    /// Refused or gone though no byte of it was touched.
    pub(super) excess: Vec<String>,
    /// Topics, configs, positions, offsets and producer ids that are not as they were.
    pub(super) forgotten: Vec<String>,
    /// Refused, and damaged.
    pub(super) refused: usize,
    /// Damaged in the file, and served as it was written.
    pub(super) repaired: usize,
    /// Partitions cut at a damaged batch that only the killed process knew of.
    pub(super) cut: BTreeSet<Name>,
    pub(super) records: u64,
    pub(super) served: u64,
}

impl Outcome {
    /// Judges what was read.
    pub(super) fn of(model: &Model, fates: &Fates, touched: &[(Name, i64)]) -> Self {
        let mut outcome = Self {
            records: model.records(),
            ..Self::default()
        };
        for (name, batches) in &model.partitions {
            let vouched = model.vouched.get(name).copied().unwrap_or(0);
            let skipped = |base| fates.get(&(*name, base)) == Some(&Fate::Skipped);
            let kept = batches.iter().rposition(|batch| !skipped(batch.base));
            let cut = batches.get(kept.map_or(0, |kept| kept + 1));
            let is_excused = |base: i64| {
                cut.is_some_and(|cut| {
                    base >= cut.base && cut.base >= vouched && touched.contains(&(*name, cut.base))
                })
            };
            for batch in batches {
                let is_touched = touched.contains(&(*name, batch.base));
                let told = |what: &str| format!("{name:?} at {}: {what}", batch.base);
                match fates.get(&(*name, batch.base)) {
                    Some(Fate::Served) => {
                        outcome.served += batch.records();
                        outcome.repaired += usize::from(is_touched);
                    }
                    Some(Fate::Refused(_)) if is_touched => outcome.refused += 1,
                    Some(Fate::Refused(why)) => outcome.excess.push(told(why)),
                    Some(Fate::Different(how)) => outcome.different.push(told(how)),
                    Some(Fate::Skipped) | None if is_excused(batch.base) => {
                        outcome.cut.insert(*name);
                    }
                    Some(Fate::Skipped) | None => outcome.lost.push(told("skipped")),
                }
            }
        }
        outcome
    }

    /// What is wrong, in words; empty if nothing is.
    pub(super) fn complaints(&self) -> Vec<String> {
        const EACH_MAX: usize = 3;
        let lists = [
            ("silently different", &self.different),
            ("silently lost", &self.lost),
            ("lost beside the damage", &self.excess),
            ("forgotten", &self.forgotten),
        ];
        let mut all = Vec::new();
        for (what, list) in lists {
            let more = list.len().saturating_sub(EACH_MAX);
            all.extend(
                list.iter()
                    .take(EACH_MAX)
                    .map(|one| format!("{what}: {one}")),
            );
            if more > 0 {
                all.push(format!("{what}: {more} more"));
            }
        }
        let single = [
            ("refused to start", &self.refused_start),
            ("died", &self.died),
        ];
        for (what, said) in single {
            all.extend(said.iter().map(|said| format!("{what}: {said}")));
        }
        all
    }
}

/// Counts of one kind of damage.
#[derive(Debug, Default, Clone)]
struct Row {
    rounds: u64,
    counts: [u64; COLUMNS.len()],
    records: u64,
    served: u64,
}

const COLUMNS: [&str; 9] = [
    "all as it was",
    "batch refused",
    "batch repaired",
    "tail cut",
    "silently different",
    "silently lost",
    "lost beside",
    "forgotten",
    "no start or died",
];

/// All rounds, by kind of damage.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<Kind, Row>);

impl Tally {
    pub(super) fn add(&mut self, kind: Kind, outcome: &Outcome) {
        let row = self.0.entry(kind).or_default();
        let dead = outcome.refused_start.is_some() || outcome.died.is_some();
        let seen = [
            outcome.served == outcome.records && outcome.forgotten.is_empty() && !dead,
            outcome.refused > 0,
            outcome.repaired > 0,
            !outcome.cut.is_empty(),
            !outcome.different.is_empty(),
            !outcome.lost.is_empty(),
            !outcome.excess.is_empty(),
            !outcome.forgotten.is_empty(),
            dead,
        ];
        row.rounds += 1;
        for (count, seen) in row.counts.iter_mut().zip(seen) {
            *count += u64::from(seen);
        }
        row.records += outcome.records;
        row.served += outcome.served;
    }

    /// A table in Markdown: rounds in which each was seen, and the share of all records served.
    pub(super) fn table(&self, of: &str) -> String {
        let mut text = format!(
            "| {of} | rounds | {} | records served |\n",
            COLUMNS.join(" | ")
        );
        let _ = writeln!(text, "|---|{}--:|", "--:|".repeat(COLUMNS.len() + 1));
        let mut total = Row::default();
        for (kind, row) in &self.0 {
            text.push_str(&line(kind.name(), row));
            total.rounds += row.rounds;
            total.records += row.records;
            total.served += row.served;
            for (sum, count) in total.counts.iter_mut().zip(row.counts) {
                *sum += count;
            }
        }
        text.push_str(&line("together", &total));
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn line(name: &str, row: &Row) -> String {
    let counts = row.counts.map(|count| count.to_string()).join(" | ");
    let share = row.served as f64 / row.records.max(1) as f64 * 100.0;
    format!("| {name} | {} | {counts} | {share:.4} % |\n", row.rounds)
}

#[cfg(test)]
mod tests;
