//! The groups' part of the metrics page: members, positions and lag, in messages and in seconds.
//!
//! The names are those of kafka_exporter, which dashboards query. Up to [`SERIES_MAX`] positions
//! have a series each; above that, one for each topic of a group; and above [`SERIES_MAX`] of
//! these the rest is only counted. So the page is bounded, however many groups there are.

use std::collections::BTreeMap;
use std::fmt::Write;

use broker::{GroupLag, Lags, PartitionLag};

use crate::metrics::{head, line};

/// The most series of one metric.
const SERIES_MAX: usize = 5_000;

const MEMBERS: (&str, &str) = (
    "kafka_consumergroup_members",
    "Members of a consumer group.",
);
const OFFSET: (&str, &str) = (
    "kafka_consumergroup_current_offset",
    "The offset that a group has committed.",
);
const LAG: (&str, &str) = (
    "kafka_consumergroup_lag",
    "Messages from what a group has committed to the end.",
);
const LAG_SECONDS: (&str, &str) = (
    "kafka_consumergroup_lag_seconds",
    "Age of the next message that a group has not committed; of the batch that it is in.",
);
const LAG_SUM: (&str, &str) = (
    "kafka_consumergroup_lag_sum",
    "Messages from what a group has committed to the end, of all partitions of a topic.",
);
const HIDDEN: (&str, &str) = (
    "ottla_consumergroup_topics_not_shown",
    "Topics of groups that have no series, because there are too many.",
);

/// What is said of one position, or of the positions in one topic.
#[derive(Default)]
struct Sum {
    offset: i64,
    records: u64,
    /// The greatest, if all are known.
    age_ms: Option<u64>,
    is_unknown: bool,
}

impl Sum {
    fn add(&mut self, lag: &PartitionLag, now_ms: i64) {
        self.offset = self.offset.saturating_add(lag.position.offset.get());
        self.records = self.records.saturating_add(lag.records());
        let age_ms = lag.age_ms(now_ms);
        self.is_unknown |= age_ms.is_none();
        self.age_ms = self.age_ms.max(age_ms).filter(|_| !self.is_unknown);
    }
}

/// Adds the groups to the page.
pub(crate) fn render(page: &mut String, lags: &Lags) {
    members(page, &lags.groups);
    let positions: usize = lags.groups.iter().map(|group| group.partitions.len()).sum();
    let (topics, hidden) = topics(lags);
    let partitions = if positions <= SERIES_MAX {
        partitions(lags)
    } else {
        Vec::new()
    };
    let series = if positions <= SERIES_MAX {
        &partitions
    } else {
        &topics
    };
    head(page, OFFSET, "gauge");
    for (labels, sum) in series {
        line(page, &format!("{}{labels}", OFFSET.0), sum.offset);
    }
    head(page, LAG, "gauge");
    for (labels, sum) in series {
        line(page, &format!("{}{labels}", LAG.0), sum.records);
    }
    head(page, LAG_SECONDS, "gauge");
    for (labels, sum) in series {
        if let Some(ms) = sum.age_ms {
            let seconds = format!("{}.{:03}", ms / 1000, ms % 1000);
            line(page, &format!("{}{labels}", LAG_SECONDS.0), seconds);
        }
    }
    head(page, LAG_SUM, "gauge");
    for (labels, sum) in &topics {
        line(page, &format!("{}{labels}", LAG_SUM.0), sum.records);
    }
    head(page, HIDDEN, "gauge");
    line(page, HIDDEN.0, hidden);
}

fn members(page: &mut String, groups: &[GroupLag]) {
    head(page, MEMBERS, "gauge");
    for group in groups.iter().take(SERIES_MAX) {
        let mut name = format!("{}{{consumergroup=\"", MEMBERS.0);
        escape(&mut name, &group.group);
        name.push_str("\"}");
        line(page, &name, group.members);
    }
}

/// A series for each position.
fn partitions(lags: &Lags) -> Vec<(String, Sum)> {
    let mut series = Vec::new();
    for group in &lags.groups {
        for lag in &group.partitions {
            let mut sum = Sum::default();
            sum.add(lag, lags.at_ms);
            let topic = lag.topic.name().as_str();
            series.push((labels(&group.group, topic, Some(lag.partition)), sum));
        }
    }
    series
}

/// A series for each topic of a group, and how many have none.
fn topics(lags: &Lags) -> (Vec<(String, Sum)>, usize) {
    let mut series = Vec::new();
    let mut hidden = 0;
    for group in &lags.groups {
        let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
        for lag in &group.partitions {
            let sum = sums.entry(lag.topic.name().as_str()).or_default();
            sum.add(lag, lags.at_ms);
        }
        for (topic, sum) in sums {
            if series.len() < SERIES_MAX {
                series.push((labels(&group.group, topic, None), sum));
            } else {
                hidden += 1;
            }
        }
    }
    (series, hidden)
}

fn labels(group: &str, topic: &str, partition: Option<u32>) -> String {
    let mut labels = "{consumergroup=\"".to_owned();
    escape(&mut labels, group);
    // A topic name has no character that is escaped.
    let rest = match partition {
        Some(partition) => write!(labels, "\",topic=\"{topic}\",partition=\"{partition}\"}}"),
        None => write!(labels, "\",topic=\"{topic}\"}}"),
    };
    rest.expect("a String takes every write");
    labels
}

/// A label's value, as OpenMetrics writes it.
fn escape(into: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            other => into.push(other),
        }
    }
}
