//! Changing the configs of a topic, of the broker or of a group while it runs.
//!
//! Order: check the whole outcome, commit it, publish topics that are served by it. Whoever takes a
//! topic afterwards gets the new settings, and the store cuts its logs by them. A caller that goes
//! away in the middle leaves `unsettled` set, as the other operations do. Must not know: any wire
//! format.

use std::sync::Arc;

use storage::{CommitError, Key, Metadata, Version, Write};

use crate::admin::record_of;
use crate::config::BrokerConfig;
use crate::config_keys::{ConfigKind, ConfigScope, Layers, TopicSettings, Values, find};
use crate::error::{AlterConfigsError, Trouble};
use crate::topics::{Topic, Topics};
use crate::values::{TopicRecord, decode_configs, encode_configs};
use crate::{Broker, InvalidConfig, keys};

/// Which brokers a config is set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerScope {
    /// This one.
    This,
    /// All that do not say otherwise.
    Every,
}

/// What happens to one config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOperation {
    /// It gets this value.
    Set(String),
    /// It has the default again.
    Delete,
    /// These entries join the list, as far as they are not in it.
    Append(String),
    /// These entries leave the list.
    Subtract(String),
}

/// A config and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// Kafka's name.
    pub name: String,
    /// What happens to it.
    pub operation: ConfigOperation,
}

/// What happens to the configs of a topic or a broker, all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigEdit {
    /// These change, in this order; the others stay.
    Changes(Vec<ConfigChange>),
    /// These hold; what is not among them has the default again. Of two with one name the last
    /// counts.
    Whole(Vec<(String, String)>),
}

impl ConfigEdit {
    fn applied_to(&self, scope: ConfigScope, before: &Values) -> Result<Values, AlterConfigsError> {
        match self {
            Self::Whole(configs) => {
                let trimmed =
                    |(name, value): &(String, String)| (name.clone(), value.trim().to_owned());
                Ok(configs.iter().map(trimmed).collect())
            }
            Self::Changes(changes) => {
                let mut after = before.clone();
                for change in changes {
                    change.apply(scope, &mut after)?;
                }
                Ok(after)
            }
        }
    }
}

impl ConfigChange {
    fn apply(&self, scope: ConfigScope, values: &mut Values) -> Result<(), AlterConfigsError> {
        let value = match &self.operation {
            ConfigOperation::Delete => {
                values.remove(&self.name);
                return Ok(());
            }
            ConfigOperation::Set(value) => value.trim().to_owned(),
            ConfigOperation::Append(entries) => {
                let mut list = self.list(scope, values, "APPEND")?;
                for entry in entries_of(entries) {
                    if !list.contains(&entry) {
                        list.push(entry);
                    }
                }
                list.join(",")
            }
            ConfigOperation::Subtract(entries) => {
                let gone = entries_of(entries);
                let mut list = self.list(scope, values, "SUBTRACT")?;
                list.retain(|entry| !gone.contains(entry));
                list.join(",")
            }
        };
        values.insert(self.name.clone(), value);
        Ok(())
    }

    /// The list as it stands: what is set, else, as in Kafka, the default of the key itself.
    fn list(
        &self,
        scope: ConfigScope,
        values: &Values,
        operation: &'static str,
    ) -> Result<Vec<String>, AlterConfigsError> {
        let key = find(scope, &self.name).filter(|key| key.kind == ConfigKind::List);
        let Some(key) = key else {
            let key = self.name.clone();
            return Err(AlterConfigsError::NotAList { operation, key });
        };
        let set = values.get(key.name).map(String::as_str);
        Ok(entries_of(set.or(key.default).unwrap_or_default()))
    }
}

fn entries_of(list: &str) -> Vec<String> {
    let entries = list.split(',').map(str::trim);
    entries
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}

impl Broker {
    /// Alters the configs of a topic. When this returns they are durable and in force.
    pub async fn alter_topic_configs(
        &self,
        name: &str,
        edit: &ConfigEdit,
        validate_only: bool,
    ) -> Result<(), AlterConfigsError> {
        let mut admin = self.admin().await.map_err(Trouble::from)?;
        let topic = self.topic(name);
        // As in Kafka, what is wrong with the configs is said first.
        let none = Values::new();
        let before = topic.as_ref().map_or(&none, |topic| topic.configs());
        let configs = edit.applied_to(ConfigScope::Topic, before)?;
        TopicSettings::new(self.layers.load().effective(), &configs)?;
        let Some(topic) = topic else {
            let topic = name.to_owned();
            return Err(AlterConfigsError::UnknownTopic { topic });
        };
        if validate_only || configs == *topic.configs() {
            return Ok(());
        }
        let record = TopicRecord {
            configs,
            ..record_of(&topic)
        };
        admin.unsettled = true;
        let committed = self
            .write_topic(topic.name(), &record, topic.version())
            .await;
        let version = match committed {
            Ok(version) => version,
            Err(error) => {
                let topics = self.in_doubt(&mut admin, &error).await?;
                let now = topics.by_id(topic.id());
                let altered = now.is_some_and(|topic| *topic.configs() == record.configs);
                return if altered {
                    Ok(())
                } else {
                    Err(Trouble::from(error).into())
                };
            }
        };
        let altered = Arc::new(self.topic_of(topic.name(), &record, version, Some(&topic)));
        self.publish(self.topics.load().with(Arc::clone(&altered)));
        admin.unsettled = false;
        // What stands beside the logs is read only where the metadata is lost.
        if let Err(error) = self.store.create(altered.meta(), 0..0).await {
            tracing::warn!(topic = %altered.name(), %error, "the label of a topic is not up to date");
        }
        Ok(())
    }

    /// Alters configs of this broker or of all. When this returns they are durable and in force.
    pub async fn alter_broker_configs(
        &self,
        scope: BrokerScope,
        edit: &ConfigEdit,
        validate_only: bool,
    ) -> Result<(), AlterConfigsError> {
        let mut admin = self.admin().await.map_err(Trouble::from)?;
        let before = self.layers.load_full();
        let (node, kept) = match scope {
            BrokerScope::This => (Some(self.config.node_id), before.this_broker()),
            BrokerScope::Every => (None, before.every_broker()),
        };
        let values = edit.applied_to(ConfigScope::Broker, kept)?;
        let after = match scope {
            BrokerScope::This => before.with(before.every_broker().clone(), values.clone()),
            BrokerScope::Every => before.with(values.clone(), before.this_broker().clone()),
        };
        let after = after?;
        if validate_only || after == *before {
            return Ok(());
        }
        admin.unsettled = true;
        match self
            .write_configs(keys::broker_configs(node), &values)
            .await
        {
            Ok(()) => {}
            Err(error) => {
                self.in_doubt(&mut admin, &error).await?;
                let altered = *self.layers.load_full() == after;
                return if altered {
                    Ok(())
                } else {
                    Err(Trouble::from(error).into())
                };
            }
        }
        self.serve_by(after);
        admin.unsettled = false;
        Ok(())
    }

    /// Alters the configs of a group, whether there is one of the name or not. When this returns they
    /// are durable, and members are told at their next sign of life.
    pub async fn alter_group_configs(
        &self,
        group: &str,
        edit: &ConfigEdit,
        validate_only: bool,
    ) -> Result<(), AlterConfigsError> {
        let mut admin = self.admin().await.map_err(Trouble::from)?;
        let before = self.groups.own_configs(group);
        let values = edit.applied_to(ConfigScope::Group, &before)?;
        self.groups.check_own_configs(group, &values)?;
        if validate_only || values == before {
            return Ok(());
        }
        admin.unsettled = true;
        match self
            .write_configs(keys::group_configs(group), &values)
            .await
        {
            Ok(()) => {}
            Err(error) => {
                self.in_doubt(&mut admin, &error).await?;
                let altered = self.groups.own_configs(group) == values;
                return if altered {
                    Ok(())
                } else {
                    Err(Trouble::from(error).into())
                };
            }
        }
        self.groups.keep_own_configs(group, values);
        admin.unsettled = false;
        Ok(())
    }

    async fn write_configs(&self, key: Key, values: &Values) -> Result<(), CommitError> {
        let found = self.metadata.get(&key).await;
        let found = found.map_err(|storage::MetaError::Storage(failure)| failure)?;
        let version = found.map_or(Version::ABSENT, |found| found.version);
        let value = (!values.is_empty()).then(|| encode_configs(values));
        let write = Write {
            key: key.clone(),
            value,
        };
        self.metadata
            .commit(&[(key, version)], &[write])
            .await
            .map(drop)
    }

    /// From here on topics are served by `layers`.
    fn serve_by(&self, layers: Layers) {
        self.layers.store(Arc::new(layers));
        let renewed = |topic: &Arc<Topic>| {
            let record = record_of(topic);
            Arc::new(self.topic_of(topic.name(), &record, topic.version(), Some(topic)))
        };
        let topics = self.topics.load().iter().map(renewed).collect();
        self.publish(Topics::new(topics));
    }

    /// After an operation that did not come to its end: the configs as the metadata has them.
    pub(crate) async fn reload_layers(&self) -> Result<(), Trouble> {
        let layers = load_layers(&*self.metadata, &self.config).await?;
        if layers != *self.layers.load_full() {
            self.serve_by(layers);
        }
        Ok(())
    }
}

/// The broker's configs as they are kept. One that this build or the settings of the start do not
/// allow must not keep the others from being served.
pub(crate) async fn load_layers(
    metadata: &dyn Metadata,
    config: &Arc<BrokerConfig>,
) -> Result<Layers, Trouble> {
    let every = load_configs(metadata, &keys::broker_configs(None)).await?;
    let this = load_configs(metadata, &keys::broker_configs(Some(config.node_id))).await?;
    let mut layers = Layers::started(Arc::clone(config));
    for (name, value) in every {
        let mut values = layers.every_broker().clone();
        values.insert(name, value);
        layers = kept(layers.with(values, Values::new()), layers);
    }
    for (name, value) in this {
        let mut values = layers.this_broker().clone();
        values.insert(name, value);
        layers = kept(layers.with(layers.every_broker().clone(), values), layers);
    }
    Ok(layers)
}

fn kept(with: Result<Layers, InvalidConfig>, without: Layers) -> Layers {
    with.unwrap_or_else(|reason| {
        tracing::warn!(%reason, "a config of the broker is left out");
        without
    })
}

async fn load_configs(metadata: &dyn Metadata, key: &Key) -> Result<Values, Trouble> {
    match metadata.get(key).await? {
        Some(found) => Ok(decode_configs(&found.value)?),
        None => Ok(Values::new()),
    }
}

#[cfg(test)]
mod tests;
