//! When the oldest records of a topic go because of their age.
//!
//! A client sees the time of the first record of a partition, and not which records share a segment
//! with it. A segment goes when its newest record is too old, so what is said here is the earliest
//! moment.

use std::collections::BTreeMap;

use kafka_client::{Client, ClientError, Config, OffsetSpec, Topic};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What is known of the oldest records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Oldest {
    /// The time of the first record, by partition, as far as there is one with a time.
    times_ms: BTreeMap<i32, i64>,
    /// How long records are kept; `None`: age takes none of them.
    retention_ms: Option<i64>,
    /// How many bytes a partition keeps; `None`: all.
    retention_bytes: Option<i64>,
}

impl Oldest {
    /// Asks for the first records; `configs` are all of the topic.
    pub(super) async fn look(
        client: &mut Client,
        topic: &Topic,
        configs: &[Config],
    ) -> Result<Self, ClientError> {
        let partitions: Vec<i32> = topic.partitions.iter().map(|each| each.index).collect();
        let asked = [(topic.name.as_str(), partitions.as_slice())];
        let found = client.all_offsets(&asked, OffsetSpec::Timestamp(0)).await?;
        let times = found.into_iter().filter_map(|((_, partition), found)| {
            let time_ms = found.ok().and_then(|found| found.timestamp_ms)?;
            Some((partition, time_ms))
        });
        Ok(Self::new(times.collect(), configs))
    }

    fn new(times_ms: BTreeMap<i32, i64>, configs: &[Config]) -> Self {
        let value = |name: &str| {
            let config = configs.iter().find(|config| config.name == name)?;
            config.value.as_deref()
        };
        let policy = value("cleanup.policy").unwrap_or("delete");
        let deletes = policy.split(',').any(|each| each.trim() == "delete");
        let limit = |name| {
            let limit = value(name).and_then(|text| text.parse().ok());
            limit.filter(|limit: &i64| *limit >= 0 && deletes)
        };
        Self {
            times_ms,
            retention_ms: limit("retention.ms"),
            retention_bytes: limit("retention.bytes"),
        }
    }

    /// The time of the first record of a partition.
    pub(super) fn of(&self, partition: i32) -> Option<i64> {
        self.times_ms.get(&partition).copied()
    }

    /// Before this nothing goes because of its age, in ms since 1970; `None`: it never does, or there
    /// is nothing.
    pub(super) fn goes_ms(&self) -> Option<i64> {
        let oldest_ms = self.times_ms.values().min()?;
        Some(oldest_ms.saturating_add(self.retention_ms?))
    }

    /// The same for people; `None` where there are no records.
    pub(super) fn sentence(&self, now_ms: i64) -> Option<String> {
        self.times_ms.first_key_value()?;
        let mut sentence = match (self.goes_ms(), self.retention_ms) {
            (Some(goes_ms), Some(retention_ms)) if goes_ms > now_ms => {
                let left = span(goes_ms.saturating_sub(now_ms));
                format!("oldest  goes in {left} at the earliest (retention.ms={retention_ms})")
            }
            (Some(_), Some(retention_ms)) => {
                format!("oldest  may go at any time (retention.ms={retention_ms})")
            }
            _ => "oldest  does not go because of its age".to_owned(),
        };
        if let Some(bytes) = self.retention_bytes {
            let or = "or where a partition holds more than retention.bytes";
            sentence = format!("{sentence}, {or}={bytes}");
        }
        Some(sentence)
    }
}

/// A time span in its two largest units.
fn span(ms: i64) -> String {
    let (days, hours, minutes) = (ms / DAY_MS, ms % DAY_MS / HOUR_MS, ms % HOUR_MS / MINUTE_MS);
    match (days, hours, minutes) {
        (0, 0, 0) => "less than a minute".to_owned(),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests;
