//! What a store must know of a topic: its name, its id, how many partitions, how logs are cut.
//!
//! [`TopicName`] is the only text from the network that becomes a path component, so it can only
//! be made through the check. Source of the rule: Kafka's `org.apache.kafka.common.internals.Topic`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The longest topic name, in bytes (Kafka's `Topic.MAX_NAME_LENGTH`).
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// A name that matches `[a-zA-Z0-9._-]{1,249}` and is neither `.` nor `..`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(Arc<str>);

/// Why a text is not a topic name; the message names the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicName {
    /// No characters at all.
    #[error("a topic name has at least one character")]
    Empty,
    /// `.` or `..`: they mean a directory.
    #[error("a topic cannot be named \".\" or \"..\"")]
    Dots,
    /// Longer than [`TOPIC_NAME_BYTES_MAX`].
    #[error("a topic name has at most {TOPIC_NAME_BYTES_MAX} characters, this one has {0}")]
    TooLong(usize),
    /// A character outside the allowed set.
    #[error("a topic name has only the characters a-z A-Z 0-9 . _ -, this one has {0:?}")]
    Character(char),
}

impl TopicName {
    /// Checks `name` against the rule.
    pub fn parse(name: &str) -> Result<Self, InvalidTopicName> {
        if name.is_empty() {
            return Err(InvalidTopicName::Empty);
        }
        if name == "." || name == ".." {
            return Err(InvalidTopicName::Dots);
        }
        let characters = name.chars().count();
        if characters > TOPIC_NAME_BYTES_MAX {
            return Err(InvalidTopicName::TooLong(characters));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match name.chars().find(|&c| !allowed(c)) {
            Some(character) => Err(InvalidTopicName::Character(character)),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with `.` and `_` made one: two topics whose forms agree collide in metric names,
    /// so Kafka refuses the second.
    pub fn collision_form(&self) -> String {
        self.0.replace('.', "_")
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a topic, unique over deletion and re-creation of its name (a UUID, KIP-516).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// "No id" on the wire.
    pub const ZERO: Self = Self([0; 16]);
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One partition of one topic, by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId {
    /// The topic's id.
    pub topic: TopicId,
    /// The partition's number, from 0.
    pub partition: u32,
}

/// How the log of a partition is cut into files, and how long they are kept: the effective values,
/// defaults filled in. The default of the whole keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment rolls before the append that would exceed this (`segment.bytes`).
    pub segment_bytes: u32,
    /// A segment older than this rolls at the next append (`segment.ms`).
    pub segment_ms: Duration,
    /// Bytes of log between two index entries (`index.interval.bytes`).
    pub index_interval_bytes: u32,
    /// How long the files of a removed segment stay, under names that say that they go
    /// (`file.delete.delay.ms`).
    pub file_delete_delay: Duration,
    /// Whether old records go by age and size (`cleanup.policy` has `delete`).
    pub deletes: bool,
    /// A segment whose records are all older than this goes (`retention.ms`); `None`: never.
    pub retention: Option<Duration>,
    /// A log that is larger than this loses its oldest segments, as long as it does not get smaller
    /// than this (`retention.bytes`); `None`: never.
    pub retention_bytes: Option<u64>,
    /// Whether only the newest record of each key is kept (`cleanup.policy` has `compact`).
    pub compacts: bool,
    /// When a log is compacted, and what of it.
    pub compaction: CompactionConfig,
}

/// When a log is compacted, and what of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionConfig {
    /// More than this share of the log must be new, in millionths (`min.cleanable.dirty.ratio`).
    pub dirty_ratio_min_ppm: u32,
    /// How long a tombstone stays once it is the newest of its key and was seen by a compaction
    /// (`delete.retention.ms`).
    pub delete_retention: Duration,
    /// Records that are younger than this are left alone (`min.compaction.lag.ms`).
    pub lag_min: Duration,
    /// A log with records that are older than this and new is compacted whatever the ratio is
    /// (`max.compaction.lag.ms`).
    pub lag_max: Duration,
}

impl Default for CompactionConfig {
    fn default() -> Self {
        Self {
            dirty_ratio_min_ppm: 500_000,
            delete_retention: Duration::from_hours(24),
            lag_min: Duration::ZERO,
            lag_max: Duration::MAX,
        }
    }
}

impl LogConfig {
    /// A segment that is older rolls at the next append: where compaction must not wait for long,
    /// the active segment must not either (Kafka's `LogConfig.maxSegmentMs`).
    pub fn segment_age_max(&self) -> Duration {
        if self.compacts {
            self.segment_ms.min(self.compaction.lag_max)
        } else {
            self.segment_ms
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 128 * 1024 * 1024,
            segment_ms: Duration::from_hours(7 * 24),
            index_interval_bytes: 4096,
            file_delete_delay: Duration::from_mins(1),
            deletes: true,
            retention: None,
            retention_bytes: None,
            compacts: false,
            compaction: CompactionConfig::default(),
        }
    }
}

/// A topic as a store sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMeta {
    /// Its id.
    pub id: TopicId,
    /// Its name, and the name of its directory.
    pub name: TopicName,
    /// How many partitions it has.
    pub partitions: u32,
    /// The configs that were set on it, by Kafka's names, as text; a store keeps them beside the
    /// logs so that a topic can be adopted with them, and does not interpret them.
    pub configs: BTreeMap<String, String>,
    /// What the configs and the broker's defaults come to.
    pub log_config: LogConfig,
}

#[cfg(test)]
mod tests;
