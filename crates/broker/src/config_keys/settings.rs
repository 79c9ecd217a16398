//! From configs to what a topic is served by, and the listing that shows where values come from.

use std::collections::BTreeMap;

use records::TimestampType;
use storage::LogConfig;

use super::{
    ConfigKey, ConfigScope, Effect, InvalidConfig, Layers, Value, find, keys, not_built, parse,
    rule,
};
use crate::compression::StoredCompression;
use crate::config::{
    BrokerConfig, RETENTION_KEYS, clean_up_by, duration_ms, kept_for, millionths, narrow,
    timestamp_type,
};

/// What a topic is served by: its configs over the broker's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSettings {
    /// The largest batch.
    pub message_bytes_max: usize,
    /// Whose time records carry.
    pub timestamp_type: TimestampType,
    /// How far a timestamp may lie behind the broker's clock.
    pub timestamp_before_max_ms: i64,
    /// How far a timestamp may lie ahead of the broker's clock.
    pub timestamp_after_max_ms: i64,
    /// How batches are stored.
    pub compression: StoredCompression,
    /// How the log is cut into files.
    pub log: LogConfig,
}

impl TopicSettings {
    /// Every config of the topic must be valid.
    pub fn new(
        config: &BrokerConfig,
        configs: &BTreeMap<String, String>,
    ) -> Result<Self, InvalidConfig> {
        let mut settings = Self {
            message_bytes_max: config.message_max_bytes,
            timestamp_type: config.timestamp_type,
            timestamp_before_max_ms: config.timestamp_before_max_ms,
            timestamp_after_max_ms: config.timestamp_after_max_ms,
            compression: config.compression,
            log: config.log,
        };
        for (name, text) in configs {
            settings.set(config, name, text)?;
        }
        Ok(settings)
    }

    fn set(&mut self, config: &BrokerConfig, name: &str, text: &str) -> Result<(), InvalidConfig> {
        let (key, value) = parse(ConfigScope::Topic, name, text)?;
        if let Effect::SyncInterval { missing, acts_as } = key.effect
            && !config.syncs_every_append()
            && rule::read(key.kind, &key.rule, acts_as).as_ref() != Ok(&value)
        {
            return Err(not_built(key, text, missing, acts_as));
        }
        match (key.name, &value) {
            ("max.message.bytes", Value::Integer(bytes)) => self.message_bytes_max = narrow(*bytes),
            ("message.timestamp.type", Value::Text(name)) => {
                self.timestamp_type = timestamp_type(name);
            }
            ("message.timestamp.before.max.ms", Value::Integer(ms)) => {
                self.timestamp_before_max_ms = *ms;
            }
            ("message.timestamp.after.max.ms", Value::Integer(ms)) => {
                self.timestamp_after_max_ms = *ms;
            }
            ("segment.bytes", Value::Integer(bytes)) => self.log.segment_bytes = narrow(*bytes),
            ("segment.ms", Value::Integer(ms)) => self.log.segment_ms = duration_ms(*ms),
            ("index.interval.bytes", Value::Integer(bytes)) => {
                self.log.index_interval_bytes = narrow(*bytes);
            }
            ("file.delete.delay.ms", Value::Integer(ms)) => {
                self.log.file_delete_delay = duration_ms(*ms);
            }
            ("retention.ms", Value::Integer(ms)) => self.log.retention = kept_for(*ms),
            ("retention.bytes", Value::Integer(bytes)) => {
                self.log.retention_bytes = u64::try_from(*bytes).ok();
            }
            (name, value) if self.compression.set(name, value) => {}
            ("cleanup.policy", Value::List(policies)) => clean_up_by(&mut self.log, policies),
            ("delete.retention.ms", Value::Integer(ms)) => {
                self.log.compaction.delete_retention = duration_ms(*ms);
            }
            ("min.compaction.lag.ms", Value::Integer(ms)) => {
                self.log.compaction.lag_min = duration_ms(*ms);
            }
            ("max.compaction.lag.ms", Value::Integer(ms)) => {
                self.log.compaction.lag_max = duration_ms(*ms);
            }
            ("min.cleanable.dirty.ratio", Value::Fraction(ratio)) => {
                self.log.compaction.dirty_ratio_min_ppm = millionths(*ratio);
            }
            // Pinned and idle keys, and min.insync.replicas, which with one copy always acts as 1.
            _ => {}
        }
        Ok(())
    }
}

/// A promise of the broker's settings to sync that its durability does not keep: the key, and
/// what is missing.
pub(crate) fn broken_sync_interval(config: &BrokerConfig) -> Option<(&'static str, &'static str)> {
    let broken = |key: &'static ConfigKey| match key.effect {
        Effect::SyncInterval { missing, acts_as } => {
            let set = config.value_of(key);
            set.is_some_and(|value| value != acts_as)
                .then_some((key.name, missing))
        }
        Effect::Obeyed | Effect::Pinned { .. } | Effect::Idle => None,
    };
    let mut keys = keys(ConfigScope::Broker).iter();
    if config.syncs_every_append() {
        None
    } else {
        keys.find_map(broken)
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// Set on the group.
    Group,
    /// Set on this broker while it ran.
    ThisBroker,
    /// Set for every broker while they ran.
    EveryBroker,
    /// Set at the start of the broker.
    StaticBroker,
    /// Nobody set it.
    Default,
}

/// One row of a listing: a key and what it comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigEntry {
    /// The key.
    pub key: &'static ConfigKey,
    /// The value that holds; `None` is null.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// All places that give a value, the strongest first.
    pub synonyms: Vec<ConfigSynonym>,
}

/// A place that gives a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The name of the key there.
    pub name: &'static str,
    /// The value; `None` is null.
    pub value: Option<String>,
    /// Which place it is.
    pub source: ConfigSource,
}

/// The value that a key of a topic or a group has, as text; `None` for null.
pub(crate) fn effective(
    layers: &Layers,
    configs: &BTreeMap<String, String>,
    key: &'static ConfigKey,
) -> Option<String> {
    configs
        .get(key.name)
        .cloned()
        .or_else(|| inherited(layers.effective(), key))
}

/// What a key is where its topic or group does not say.
fn inherited(config: &BrokerConfig, key: &'static ConfigKey) -> Option<String> {
    let synonym = key.synonym.and_then(|name| find(ConfigScope::Broker, name));
    if key.name == "retention.ms" {
        return Some(config.retention_ms().to_string());
    }
    let given = synonym.and_then(|synonym| config.value_of(synonym));
    given.or_else(|| key.default.map(str::to_owned))
}

/// Every key of a topic.
pub(crate) fn describe_topic(
    layers: &Layers,
    configs: &BTreeMap<String, String>,
) -> Vec<ConfigEntry> {
    describe_over(layers, configs, (ConfigScope::Topic, ConfigSource::Topic))
}

/// Every key of a group.
pub(crate) fn describe_group(
    layers: &Layers,
    configs: &BTreeMap<String, String>,
) -> Vec<ConfigEntry> {
    describe_over(layers, configs, (ConfigScope::Group, ConfigSource::Group))
}

/// Every key of something that inherits from the broker.
fn describe_over(
    layers: &Layers,
    configs: &BTreeMap<String, String>,
    (scope, own_source): (ConfigScope, ConfigSource),
) -> Vec<ConfigEntry> {
    let entry = |key: &'static ConfigKey| {
        let own = configs.get(key.name).map(|value| ConfigSynonym {
            name: key.name,
            value: Some(value.clone()),
            source: own_source,
        });
        let names = synonyms_of(key).into_iter();
        let synonyms = names.filter_map(|name| find(ConfigScope::Broker, name));
        let broker = synonyms.flat_map(|synonym| layers.synonyms(synonym));
        let entry = entry_of(key, own.into_iter().chain(broker).collect());
        // What a synonym says may be in another unit.
        ConfigEntry {
            value: effective(layers, configs, key),
            ..entry
        }
    };
    keys(scope).iter().map(entry).collect()
}

/// The broker's keys that a key inherits from, the strongest first.
fn synonyms_of(key: &'static ConfigKey) -> Vec<&'static str> {
    match key.name {
        "retention.ms" => RETENTION_KEYS.to_vec(),
        _ => key.synonym.into_iter().collect(),
    }
}

/// Every key of the broker.
pub(crate) fn describe_broker(layers: &Layers) -> Vec<ConfigEntry> {
    let entry = |key: &'static ConfigKey| entry_of(key, layers.synonyms(key));
    keys(ConfigScope::Broker).iter().map(entry).collect()
}

/// What was set for every broker.
pub(crate) fn describe_every_broker(layers: &Layers) -> Vec<ConfigEntry> {
    let entry = |key: &'static ConfigKey| {
        let mut synonyms = layers.synonyms(key);
        synonyms.retain(|synonym| synonym.source == ConfigSource::EveryBroker);
        (!synonyms.is_empty()).then(|| entry_of(key, synonyms))
    };
    keys(ConfigScope::Broker).iter().filter_map(entry).collect()
}

/// Without synonyms, the default of the key itself holds.
fn entry_of(key: &'static ConfigKey, synonyms: Vec<ConfigSynonym>) -> ConfigEntry {
    let strongest = synonyms.first();
    let default = || key.default.map(str::to_owned);
    ConfigEntry {
        key,
        value: strongest.map_or_else(default, |synonym| synonym.value.clone()),
        source: strongest.map_or(ConfigSource::Default, |synonym| synonym.source),
        synonyms,
    }
}

/// The value set at the start and the default, as far as they are not null, as Kafka lists them.
pub(super) fn start_synonyms(config: &BrokerConfig, key: &'static ConfigKey) -> Vec<ConfigSynonym> {
    let default = key.default.map(str::to_owned);
    let set = config
        .value_of(key)
        .filter(|value| Some(value) != default.as_ref());
    let synonym = |source| {
        move |value| ConfigSynonym {
            name: key.name,
            value: Some(value),
            source,
        }
    };
    let set = set.map(synonym(ConfigSource::StaticBroker));
    set.into_iter()
        .chain(default.map(synonym(ConfigSource::Default)))
        .collect()
}
