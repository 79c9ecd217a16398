//! [`Layers`]: the broker's configs from all places that give a value, the start of the process being
//! the weakest: what is set later for every broker is stronger, what is set for this one strongest.
//!
//! Guarantee: what is kept here was checked. Must not know: how it is kept or changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::settings::start_synonyms;
use super::{ConfigKey, ConfigScope, ConfigSource, ConfigSynonym, InvalidConfig};
use super::{broken_sync_interval, find, not_built};
use crate::config::BrokerConfig;

/// Values by Kafka's names.
pub(crate) type Values = BTreeMap<String, String>;

/// See the head of the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layers {
    started: Arc<BrokerConfig>,
    every_broker: Values,
    this_broker: Values,
    effective: BrokerConfig,
}

impl Layers {
    /// Nothing was set after the start.
    pub(crate) fn started(config: Arc<BrokerConfig>) -> Self {
        Self {
            effective: (*config).clone(),
            started: config,
            every_broker: Values::new(),
            this_broker: Values::new(),
        }
    }

    /// The same start with these values over it, or what is wrong with them.
    pub(crate) fn with(
        &self,
        every_broker: Values,
        this_broker: Values,
    ) -> Result<Self, InvalidConfig> {
        let mut effective = (*self.started).clone();
        for (name, text) in every_broker.iter().chain(&this_broker) {
            effective.set(name, text)?;
            let key = find(ConfigScope::Broker, name).expect("it was just set");
            if key.read_only() {
                return Err(InvalidConfig::ReadOnly { key: key.name });
            }
        }
        if let Some((name, missing)) = broken_sync_interval(&effective) {
            let key = find(ConfigScope::Broker, name).expect("it is a key of the registry");
            let text = effective.value_of(key).unwrap_or_default();
            let acts_as = "9223372036854775807";
            return Err(not_built(key, &text, missing, acts_as));
        }
        Ok(Self {
            started: Arc::clone(&self.started),
            every_broker,
            this_broker,
            effective,
        })
    }

    /// What all of them come to.
    pub(crate) fn effective(&self) -> &BrokerConfig {
        &self.effective
    }

    /// What was set for every broker.
    pub(crate) fn every_broker(&self) -> &Values {
        &self.every_broker
    }

    /// What was set for this broker.
    pub(crate) fn this_broker(&self) -> &Values {
        &self.this_broker
    }

    /// The places that give `key` a value, the strongest first, as Kafka lists them.
    pub(super) fn synonyms(&self, key: &'static ConfigKey) -> Vec<ConfigSynonym> {
        let set = |values: &Values, source| {
            values.get(key.name).map(|value| ConfigSynonym {
                name: key.name,
                value: Some(value.clone()),
                source,
            })
        };
        let this = set(&self.this_broker, ConfigSource::ThisBroker);
        let every = set(&self.every_broker, ConfigSource::EveryBroker);
        let started = start_synonyms(&self.started, key);
        this.into_iter().chain(every).chain(started).collect()
    }
}
