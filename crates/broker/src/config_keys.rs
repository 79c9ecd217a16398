//! The registry of configs: every topic key of Kafka 4.4 and the broker keys that mean something
//! here. One row says name, type, default, what is allowed, and whether the broker obeys it.
//!
//! Guarantee: what is shown is true. A key whose behaviour is not built is pinned to the value
//! that the broker really acts by ([`Effect::Pinned`]); another value is refused with the name of
//! what is missing, never accepted in silence. Must not know: any wire format.

mod broker;
mod group;
mod layers;
mod rule;
mod settings;
mod topic;

pub use broker::BROKER_KEYS;
pub use group::GROUP_KEYS;
pub use rule::{Rule, Value};
pub use settings::{ConfigEntry, ConfigSource, ConfigSynonym, TopicSettings};
pub use topic::TOPIC_KEYS;

pub(crate) use layers::{Layers, Values};
pub(crate) use settings::{
    broken_sync_interval, describe_broker, describe_every_broker, describe_group, describe_topic,
    effective,
};

/// What a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigScope {
    /// Set on a topic.
    Topic,
    /// Set on the broker, at its start.
    Broker,
    /// Set on a consumer group, whether it exists or not.
    Group,
}

/// The type of a value, as Kafka's DescribeConfigs names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigKind {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// A number with a fraction.
    Double,
    /// Texts separated by commas.
    List,
}

/// What a value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The process acts by it.
    Obeyed,
    /// The process acts by the default and by nothing else, because this is not built.
    Pinned {
        /// What is missing, as the subject of a sentence.
        missing: &'static str,
        /// What it acts by.
        acts_as: &'static str,
    },
    /// A promise to sync at least so often. With durability `fsync` every value is kept, because
    /// every append is synced; otherwise only the default is, which promises nothing.
    SyncInterval {
        /// What is missing, as the subject of a sentence.
        missing: &'static str,
        /// The default.
        acts_as: &'static str,
    },
    /// Any allowed value leads to the same behaviour on this broker, rightly so.
    Idle,
}

/// One config.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigKey {
    /// Kafka's name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: ConfigKind,
    /// What it is when nobody sets it, as text; `None` is null.
    pub default: Option<&'static str>,
    /// What it means.
    pub documentation: &'static str,
    /// What it belongs to.
    pub scope: ConfigScope,
    /// Whether values are never shown.
    pub sensitive: bool,
    /// For a key of a topic or a group: the broker key that its default comes from.
    pub synonym: Option<&'static str>,
    /// Which values are allowed.
    pub rule: Rule,
    /// What a value does.
    pub effect: Effect,
}

impl ConfigKey {
    const fn new(
        scope: ConfigScope,
        name: &'static str,
        (kind, rule): (ConfigKind, Rule),
        default: Option<&'static str>,
        documentation: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default,
            documentation,
            scope,
            sensitive: false,
            synonym: None,
            rule,
            effect: Effect::Obeyed,
        }
    }

    /// Whether it can only be set at the start of the process. A broker key that topics inherit can
    /// be set later, as in Kafka.
    pub fn read_only(&self) -> bool {
        let inherits = |key: &ConfigKey| key.synonym == Some(self.name);
        self.scope == ConfigScope::Broker && !TOPIC_KEYS.iter().any(inherits)
    }

    const fn inherits(mut self, synonym: &'static str) -> Self {
        self.synonym = Some(synonym);
        self
    }

    const fn pinned(mut self, missing: &'static str) -> Self {
        let acts_as = self.default_or_empty();
        self.effect = Effect::Pinned { missing, acts_as };
        self
    }

    const fn sync_interval(mut self, missing: &'static str) -> Self {
        let acts_as = self.default_or_empty();
        self.effect = Effect::SyncInterval { missing, acts_as };
        self
    }

    const fn default_or_empty(&self) -> &'static str {
        match self.default {
            Some(default) => default,
            None => "",
        }
    }

    /// Null until it is set, as in Kafka; until then the topic's own key has the default.
    const fn null_until_set(mut self) -> Self {
        self.default = None;
        self
    }

    const fn idle(mut self) -> Self {
        self.effect = Effect::Idle;
        self
    }
}

/// Why a config was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// There is no such key.
    #[error("Unknown {} config name: {key}{}", scope_name(*scope), did_you_mean(*suggestion))]
    Unknown {
        /// What it was to be set on.
        scope: ConfigScope,
        /// The name given.
        key: String,
        /// The known name that is closest to it.
        suggestion: Option<&'static str>,
    },
    /// The value is not one of those allowed.
    #[error("Invalid value {value} for configuration {key}: {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value given, cut if it is long.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// The value holds from the start of the process.
    #[error("Cannot update these configs dynamically: Set({key})")]
    ReadOnly {
        /// The key.
        key: &'static str,
    },
    /// The value is null; a config is left out instead.
    #[error("{key} has no value; leave it out to have the default")]
    Null {
        /// The name given.
        key: String,
    },
    /// The value is right in Kafka, and the broker would not act by it.
    #[error("{key} cannot be {value:?}: {missing}, so only {acts_as:?} is accepted")]
    NotBuilt {
        /// The key.
        key: &'static str,
        /// The value given, cut if it is long.
        value: String,
        /// What is missing.
        missing: &'static str,
        /// What the broker does instead, always.
        acts_as: String,
    },
}

impl InvalidConfig {
    /// The key that was refused.
    pub fn key(&self) -> &str {
        match self {
            Self::Unknown { key, .. } | Self::Null { key } => key,
            Self::BadValue { key, .. } | Self::NotBuilt { key, .. } | Self::ReadOnly { key } => key,
        }
    }
}

/// All keys of a scope, sorted by name.
pub const fn keys(scope: ConfigScope) -> &'static [ConfigKey] {
    match scope {
        ConfigScope::Topic => TOPIC_KEYS,
        ConfigScope::Broker => BROKER_KEYS,
        ConfigScope::Group => GROUP_KEYS,
    }
}

/// The key of that name.
pub fn find(scope: ConfigScope, name: &str) -> Option<&'static ConfigKey> {
    let keys = keys(scope);
    let index = keys.binary_search_by(|key| key.name.cmp(name)).ok()?;
    keys.get(index)
}

/// Checks a value for a key by its rule, and that the broker would act by it.
pub fn validate(scope: ConfigScope, name: &str, text: &str) -> Result<(), InvalidConfig> {
    parse(scope, name, text).map(|_| ())
}

/// The key, and its value when it is allowed.
pub(crate) fn parse(
    scope: ConfigScope,
    name: &str,
    text: &str,
) -> Result<(&'static ConfigKey, Value), InvalidConfig> {
    let Some(key) = find(scope, name) else {
        let suggestion = closest(scope, name);
        return Err(InvalidConfig::Unknown {
            scope,
            key: shortened(name),
            suggestion,
        });
    };
    let value =
        rule::read(key.kind, &key.rule, text).map_err(|expected| InvalidConfig::BadValue {
            key: key.name,
            value: shortened(text),
            expected,
        })?;
    if let Effect::Pinned { missing, acts_as } = key.effect
        && rule::read(key.kind, &key.rule, acts_as).as_ref() != Ok(&value)
    {
        return Err(not_built(key, text, missing, acts_as));
    }
    Ok((key, value))
}

fn not_built(
    key: &'static ConfigKey,
    text: &str,
    missing: &'static str,
    acts_as: &str,
) -> InvalidConfig {
    let value = shortened(text);
    InvalidConfig::NotBuilt {
        key: key.name,
        value,
        missing,
        acts_as: acts_as.to_owned(),
    }
}

/// The known name that is at most a few keystrokes away.
pub fn closest(scope: ConfigScope, name: &str) -> Option<&'static str> {
    if name.len() > NAME_BYTES_COMPARED_MAX {
        return None;
    }
    let distance = |key: &'static ConfigKey| (keystrokes(name, key.name), key.name);
    let (best, found) = keys(scope).iter().map(distance).min()?;
    (best <= name.len() / 4 + 1).then_some(found)
}

/// A longer name is no misspelt key, and comparing costs its length.
const NAME_BYTES_COMPARED_MAX: usize = 64;

/// How many letters must be put in, taken out or changed.
fn keystrokes(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.bytes().enumerate() {
        let mut diagonal = index;
        let mut previous = index + 1;
        for (slot, other) in row.iter_mut().skip(1).zip(right.bytes()) {
            let changed = diagonal + usize::from(letter != other);
            diagonal = *slot;
            previous = changed.min(previous + 1).min(*slot + 1);
            *slot = previous;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Text from the network, short enough for a message.
fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 100;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

const fn scope_name(scope: ConfigScope) -> &'static str {
    match scope {
        ConfigScope::Topic => "topic",
        ConfigScope::Broker => "broker",
        ConfigScope::Group => "group",
    }
}

fn did_you_mean(suggestion: Option<&'static str>) -> String {
    suggestion
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
