//! The broker's own settings, with their defaults.
//!
//! Names and meanings are Kafka's; `config_keys` says what each key allows. What other parts of
//! the process obey (listeners, directories, limits of sockets) is only shown from here.

use std::collections::BTreeMap;
use std::time::Duration;

use records::TimestampType;
use storage::LogConfig;

use crate::compression::StoredCompression;
use crate::config_keys::{ConfigScope, InvalidConfig, Value, parse};
use crate::groups::GroupConfig;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// `log.retention.hours`, where nobody sets it.
const RETENTION_HOURS: i64 = 168;

/// The keys that say how long records are kept, the strongest first.
pub(crate) const RETENTION_KEYS: [&str; 3] = [
    "log.retention.ms",
    "log.retention.minutes",
    "log.retention.hours",
];

/// The settings of one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    /// `node.id`.
    pub node_id: i32,
    /// `num.partitions`: of a topic whose creation names no number.
    pub num_partitions: u32,
    /// `auto.create.topics.enable`: whether the Kafka front door may call `ensure_topic`.
    pub auto_create_topics: bool,
    /// `message.max.bytes`: the largest batch, where a topic does not say otherwise.
    pub message_max_bytes: usize,
    /// `log.message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `log.message.timestamp.before.max.ms`: how far a timestamp may lie in the past.
    pub timestamp_before_max_ms: i64,
    /// `log.message.timestamp.after.max.ms`: how far a timestamp may lie in the future.
    pub timestamp_after_max_ms: i64,
    /// `min.insync.replicas`; with one node every value acts as 1.
    pub min_insync_replicas: i32,
    /// `compression.type`, `compression.gzip.level`, `.lz4.level`, `.zstd.level`.
    pub compression: StoredCompression,
    /// `log.segment.bytes`, `log.roll.ms`, `log.index.interval.bytes`, `log.segment.delete.delay.ms`.
    pub log: LogConfig,
    /// `log.retention.check.interval.ms`: how often the store deletes what is too old or too many.
    pub retention_check_interval: Duration,
    /// `log.scrub.io.max.bytes.per.second`: how fast the store looks for damage; 0 turns it off.
    pub scrub_bytes_per_second: u64,
    /// `log.cleaner.*`: how the store compacts logs.
    pub cleaner: CleanerConfig,
    /// What holds for all consumer groups.
    pub groups: GroupConfig,
    /// `offset.metadata.max.bytes`: the longest text beside a committed position.
    pub offset_metadata_max_bytes: usize,
    /// What all requests in flight may hold together.
    pub request_bytes_in_flight: usize,
    /// `fetch.max.bytes`: the most that one fetch returns.
    pub fetch_max_bytes: usize,
    /// The most partitions of one topic.
    pub partitions_max_per_topic: u32,
    /// The most partitions of all topics together.
    pub partitions_max: u32,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Values of the keys that other parts of the process obey, by name: shown by
    /// `describe_broker_configs`, read nowhere in this crate.
    pub shown: BTreeMap<&'static str, String>,
}

/// How logs are compacted, whatever topic they are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanerConfig {
    /// `log.cleaner.enable`.
    pub enabled: bool,
    /// `log.cleaner.dedupe.buffer.size`.
    pub dedupe_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`; `None`: no limit.
    pub bytes_per_second: Option<u64>,
    /// `log.cleaner.backoff.ms`.
    pub backoff: Duration,
}

impl Default for CleanerConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            dedupe_bytes: 128 * 1024 * 1024,
            bytes_per_second: None,
            backoff: Duration::from_secs(15),
        }
    }
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            node_id: 1,
            num_partitions: 1,
            auto_create_topics: true,
            message_max_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            min_insync_replicas: 1,
            compression: StoredCompression::default(),
            log: LogConfig {
                retention: kept_for(RETENTION_HOURS * HOUR_MS),
                ..LogConfig::default()
            },
            retention_check_interval: Duration::from_mins(5),
            scrub_bytes_per_second: 4 * 1024 * 1024,
            cleaner: CleanerConfig::default(),
            groups: GroupConfig::default(),
            offset_metadata_max_bytes: 4096,
            request_bytes_in_flight: 256 * 1024 * 1024,
            fetch_max_bytes: 57_671_680,
            partitions_max_per_topic: 100_000,
            partitions_max: 200_000,
            rack: None,
            shown: BTreeMap::new(),
        }
    }
}

impl BrokerConfig {
    /// Sets one key by Kafka's name, from text. A key that another part of the process obeys is
    /// only noted, so that it is shown.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), InvalidConfig> {
        let (key, value) = parse(ConfigScope::Broker, name, text)?;
        match (key.name, &value) {
            ("node.id" | "broker.id", Value::Integer(id)) => self.node_id = narrow(*id),
            ("num.partitions", Value::Integer(count)) => self.num_partitions = narrow(*count),
            ("auto.create.topics.enable", Value::Boolean(enable)) => {
                self.auto_create_topics = *enable;
            }
            ("message.max.bytes", Value::Integer(bytes)) => self.message_max_bytes = narrow(*bytes),
            ("log.message.timestamp.type", Value::Text(name)) => {
                self.timestamp_type = timestamp_type(name);
            }
            ("log.message.timestamp.before.max.ms", Value::Integer(ms)) => {
                self.timestamp_before_max_ms = *ms;
            }
            ("log.message.timestamp.after.max.ms", Value::Integer(ms)) => {
                self.timestamp_after_max_ms = *ms;
            }
            ("min.insync.replicas", Value::Integer(count)) => {
                self.min_insync_replicas = narrow(*count);
            }
            ("log.segment.bytes", Value::Integer(bytes)) => self.log.segment_bytes = narrow(*bytes),
            ("log.roll.ms", Value::Integer(ms)) => self.log.segment_ms = duration_ms(*ms),
            ("log.index.interval.bytes", Value::Integer(bytes)) => {
                self.log.index_interval_bytes = narrow(*bytes);
            }
            ("log.scrub.io.max.bytes.per.second", Value::Integer(bytes)) => {
                self.scrub_bytes_per_second = narrow(*bytes);
            }
            ("log.segment.delete.delay.ms", Value::Integer(ms)) => {
                self.log.file_delete_delay = duration_ms(*ms);
            }
            ("log.retention.bytes", Value::Integer(bytes)) => {
                self.log.retention_bytes = u64::try_from(*bytes).ok();
            }
            ("log.retention.check.interval.ms", Value::Integer(ms)) => {
                self.retention_check_interval = duration_ms(*ms);
            }
            (name, value) if self.set_cleaner(name, value) => {
                self.shown.insert(key.name, text.trim().to_owned());
            }
            (name, Value::Integer(_)) if RETENTION_KEYS.contains(&name) => {
                self.shown.insert(key.name, text.trim().to_owned());
                self.log.retention = kept_for(self.retention_ms());
            }
            ("offset.metadata.max.bytes", Value::Integer(bytes)) => {
                self.offset_metadata_max_bytes = narrow(*bytes);
            }
            ("fetch.max.bytes", Value::Integer(bytes)) => self.fetch_max_bytes = narrow(*bytes),
            ("broker.rack", Value::Text(rack)) => self.rack = Some(rack.clone()),
            (name, value) if self.compression.set(name, value) => {}
            (name, Value::Integer(number)) if self.groups.set(name, *number) => {}
            (name, Value::List(texts)) if self.groups.set_texts(name, texts) => {}
            (name, Value::Text(text))
                if self.groups.set_texts(name, std::slice::from_ref(text)) => {}
            _ => {
                self.shown.insert(key.name, text.trim().to_owned());
            }
        }
        Ok(())
    }

    /// Takes a config of compaction; `false` if it is none.
    fn set_cleaner(&mut self, name: &str, value: &Value) -> bool {
        let compaction = &mut self.log.compaction;
        match (name, value) {
            ("log.cleanup.policy", Value::List(policies)) => clean_up_by(&mut self.log, policies),
            ("log.cleaner.delete.retention.ms", Value::Integer(ms)) => {
                compaction.delete_retention = duration_ms(*ms);
            }
            ("log.cleaner.min.compaction.lag.ms", Value::Integer(ms)) => {
                compaction.lag_min = duration_ms(*ms);
            }
            ("log.cleaner.max.compaction.lag.ms", Value::Integer(ms)) => {
                compaction.lag_max = duration_ms(*ms);
            }
            ("log.cleaner.min.cleanable.ratio", Value::Fraction(ratio)) => {
                compaction.dirty_ratio_min_ppm = millionths(*ratio);
            }
            ("log.cleaner.enable", Value::Boolean(enabled)) => self.cleaner.enabled = *enabled,
            ("log.cleaner.dedupe.buffer.size", Value::Integer(bytes)) => {
                self.cleaner.dedupe_bytes = narrow(*bytes);
            }
            ("log.cleaner.io.max.bytes.per.second", Value::Fraction(bytes)) => {
                self.cleaner.bytes_per_second = whole(*bytes);
            }
            ("log.cleaner.backoff.ms", Value::Integer(ms)) => {
                self.cleaner.backoff = duration_ms(*ms);
            }
            _ => return false,
        }
        true
    }

    /// How long records are kept where a topic does not say; -1: for ever.
    pub(crate) fn retention_ms(&self) -> i64 {
        let units_ms = [1, MINUTE_MS, HOUR_MS];
        let set = RETENTION_KEYS
            .iter()
            .zip(units_ms)
            .find_map(|(name, unit_ms)| {
                let count: i64 = self.shown.get(name)?.parse().ok()?;
                Some(count.saturating_mul(unit_ms).max(-1))
            });
        set.unwrap_or(RETENTION_HOURS * HOUR_MS)
    }

    /// Whether every append is synced, so that no sync interval can be missed. What decides it
    /// lies elsewhere; it is known here only as it is shown.
    pub(crate) fn syncs_every_append(&self) -> bool {
        self.shown
            .get("durability")
            .is_none_or(|mode| mode == "fsync")
    }

    /// The value that a broker key has, as text; `None` for null.
    pub fn value_of(&self, key: &'static crate::config_keys::ConfigKey) -> Option<String> {
        match key.name {
            "node.id" | "broker.id" => Some(self.node_id.to_string()),
            "num.partitions" => Some(self.num_partitions.to_string()),
            "auto.create.topics.enable" => Some(self.auto_create_topics.to_string()),
            "message.max.bytes" => Some(self.message_max_bytes.to_string()),
            "log.message.timestamp.type" => Some(timestamp_type_name(self.timestamp_type).into()),
            "log.message.timestamp.before.max.ms" => Some(self.timestamp_before_max_ms.to_string()),
            "log.message.timestamp.after.max.ms" => Some(self.timestamp_after_max_ms.to_string()),
            "min.insync.replicas" => Some(self.min_insync_replicas.to_string()),
            "log.segment.bytes" => Some(self.log.segment_bytes.to_string()),
            "log.roll.ms" => (self.log.segment_ms != LogConfig::default().segment_ms)
                .then(|| self.log.segment_ms.as_millis().to_string()),
            "log.index.interval.bytes" => Some(self.log.index_interval_bytes.to_string()),
            "log.scrub.io.max.bytes.per.second" => Some(self.scrub_bytes_per_second.to_string()),
            "log.segment.delete.delay.ms" => {
                Some(self.log.file_delete_delay.as_millis().to_string())
            }
            "log.retention.bytes" => Some(
                self.log
                    .retention_bytes
                    .map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string()),
            ),
            "log.retention.check.interval.ms" => {
                Some(self.retention_check_interval.as_millis().to_string())
            }
            "offset.metadata.max.bytes" => Some(self.offset_metadata_max_bytes.to_string()),
            "fetch.max.bytes" => Some(self.fetch_max_bytes.to_string()),
            "broker.rack" => self.rack.clone(),
            name if let Some(value) = self.compression.value_of(name) => Some(value),
            name if let Some(number) = self.groups.value_of(name) => Some(number.to_string()),
            name if let Some(text) = self.groups.text_of(name) => Some(text),
            name => self
                .shown
                .get(name)
                .cloned()
                .or_else(|| key.default.map(str::to_owned)),
        }
    }
}

/// How old records go, by the checked texts of `cleanup.policy`.
pub(crate) fn clean_up_by(log: &mut LogConfig, policies: &[String]) {
    log.deletes = policies.iter().any(|policy| policy == "delete");
    log.compacts = policies.iter().any(|policy| policy == "compact");
}

/// A checked share of one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of one has at most a million millionths"
)]
pub(crate) fn millionths(share: f64) -> u32 {
    (share * 1_000_000.0).round() as u32
}

/// A checked rate, without its fraction; `None` where it is no limit.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "it is at least 1, and what does not fit is no limit"
)]
fn whole(rate: f64) -> Option<u64> {
    (rate < u64::MAX as f64).then_some(rate as u64)
}

/// A checked integer in the type of its setting: the rule of its key is narrower than the type.
pub(crate) fn narrow<T: TryFrom<i64>>(value: i64) -> T {
    T::try_from(value)
        .ok()
        .expect("the rule of the key is narrower than the type")
}

/// A checked time span.
pub(crate) fn duration_ms(ms: i64) -> Duration {
    Duration::from_millis(narrow(ms))
}

/// How long records are kept, from a value in which a negative number stands for "for ever".
pub(crate) fn kept_for(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

/// Kafka's name of a timestamp type.
pub(crate) const fn timestamp_type_name(kind: TimestampType) -> &'static str {
    match kind {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

/// The timestamp type of a checked name.
pub(crate) fn timestamp_type(name: &str) -> TimestampType {
    if name == timestamp_type_name(TimestampType::LogAppendTime) {
        TimestampType::LogAppendTime
    } else {
        TimestampType::CreateTime
    }
}
