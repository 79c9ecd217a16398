//! What single groups are told of their own: the session timeout and the interval of their members
//! (Kafka's configs of resource type GROUP, KIP-848).
//!
//! A group has configs whether it exists or not, and keeps them when it is deleted. They are durable
//! before they hold. A value that the broker's limits of this start do not allow any more acts as the
//! nearest that they do, as in Kafka. Must not know: what changes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{GroupConfig, Groups, check_name};
use crate::config::{duration_ms, narrow};
use crate::config_keys::{ConfigScope, InvalidConfig, Value, Values, parse};
use crate::error::{AlterConfigsError, Trouble};
use crate::keys::{self, CONSUMER_BYTES_MAX};
use crate::open::PAGE;
use crate::values::decode_configs;

const SESSION_TIMEOUT: &str = "consumer.session.timeout.ms";
const HEARTBEAT_INTERVAL: &str = "consumer.heartbeat.interval.ms";

/// The most bytes of the configs of all groups, their names included.
const ALL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a config counts beside its name and its value.
const CONFIG_BYTES: usize = 128;

/// The configs of all groups that have some.
#[derive(Debug, Default)]
pub(super) struct OwnConfigs {
    groups: BTreeMap<Arc<str>, Values>,
    bytes: usize,
}

impl OwnConfigs {
    pub(super) fn of(&self, group: &str) -> Option<&Values> {
        self.groups.get(group)
    }

    fn insert(&mut self, group: &str, values: Values) {
        if let Some((name, before)) = self.groups.remove_entry(group) {
            self.bytes -= bytes_of(&name, &before);
        }
        if !values.is_empty() {
            self.bytes += bytes_of(group, &values);
            self.groups.insert(group.into(), values);
        }
    }

    /// How many bytes there would be with these values.
    fn bytes_with(&self, group: &str, values: &Values) -> usize {
        let before = self.of(group);
        let before_bytes = before.map_or(0, |before| bytes_of(group, before));
        self.bytes - before_bytes + bytes_of(group, values)
    }
}

fn bytes_of(group: &str, values: &Values) -> usize {
    let each = |(name, value): (&String, &String)| CONFIG_BYTES + name.len() + value.len();
    let configs: usize = values.iter().map(each).sum();
    group.len() + configs
}

/// `limits` with what a group has of its own.
pub(super) fn over(limits: &GroupConfig, own: &Values) -> GroupConfig {
    let mut limits = limits.clone();
    let consumer = &mut limits.consumer;
    for (name, text) in own {
        let Ok((key, Value::Integer(number))) = parse(ConfigScope::Group, name, text) else {
            continue;
        };
        let number: i32 = narrow(number);
        match key.name {
            SESSION_TIMEOUT => {
                let (least, most) = (
                    consumer.session_timeout_min_ms,
                    consumer.session_timeout_max_ms,
                );
                let timeout_ms = number.max(least).min(most);
                consumer.session_timeout = duration_ms(timeout_ms.into());
            }
            HEARTBEAT_INTERVAL => {
                let (least, most) = (
                    consumer.heartbeat_interval_min_ms,
                    consumer.heartbeat_interval_max_ms,
                );
                consumer.heartbeat_interval_ms = number.max(least).min(most);
            }
            _ => {}
        }
    }
    limits
}

/// Whether a group may have these configs of its own.
fn check(limits: &GroupConfig, values: &Values) -> Result<(), InvalidConfig> {
    let consumer = &limits.consumer;
    for (name, text) in values {
        let (key, value) = parse(ConfigScope::Group, name, text)?;
        let (least, most) = match key.name {
            SESSION_TIMEOUT => (
                consumer.session_timeout_min_ms,
                consumer.session_timeout_max_ms,
            ),
            HEARTBEAT_INTERVAL => (
                consumer.heartbeat_interval_min_ms,
                consumer.heartbeat_interval_max_ms,
            ),
            _ => continue,
        };
        let allowed = i64::from(least)..=i64::from(most);
        if !matches!(value, Value::Integer(number) if allowed.contains(&number)) {
            return Err(InvalidConfig::BadValue {
                key: key.name,
                value: text.clone(),
                expected: format!("it must be in the range {least} to {most} inclusive"),
            });
        }
    }
    let own = over(limits, values).consumer;
    let interval = Duration::from_millis(own.heartbeat_interval_ms.unsigned_abs().into());
    let has_own = [SESSION_TIMEOUT, HEARTBEAT_INTERVAL].map(|name| values.contains_key(name));
    if has_own.contains(&true) && own.session_timeout <= interval {
        return Err(InvalidConfig::BadValue {
            key: SESSION_TIMEOUT,
            value: own.session_timeout.as_millis().to_string(),
            expected: format!("it must be greater than {HEARTBEAT_INTERVAL}"),
        });
    }
    Ok(())
}

impl Groups {
    /// The groups that have configs of their own, by name.
    pub fn with_own_configs(&self) -> Vec<Arc<str>> {
        self.own_configs.read().groups.keys().cloned().collect()
    }

    /// The configs that were set on a group.
    pub(crate) fn own_configs(&self, group: &str) -> Values {
        let own = self.own_configs.read();
        own.of(group).cloned().unwrap_or_default()
    }

    /// Whether these may be the configs of a group.
    pub(crate) fn check_own_configs(
        &self,
        group: &str,
        values: &Values,
    ) -> Result<(), AlterConfigsError> {
        if check_name(group).is_err() {
            return Err(AlterConfigsError::InvalidGroup {
                size_bytes: group.len(),
                limit_bytes: CONSUMER_BYTES_MAX,
            });
        }
        check(self.limits(), values)?;
        let limit_bytes = ALL_BYTES_MAX;
        if self.own_configs.read().bytes_with(group, values) > limit_bytes {
            return Err(AlterConfigsError::TooLarge { limit_bytes });
        }
        Ok(())
    }

    /// These are durable, and hold from here on.
    pub(crate) fn keep_own_configs(&self, group: &str, values: Values) {
        self.own_configs.write().insert(group, values);
    }

    /// Reads the configs of all groups.
    pub(crate) async fn load_own_configs(&self) -> Result<(), Trouble> {
        let all = keys::all_group_configs();
        let (mut found, mut after) = (OwnConfigs::default(), None);
        loop {
            let page = self.metadata.list(&all, after.as_ref(), PAGE).await?;
            for row in &page {
                let group = keys::group_of_configs(&row.key)?;
                found.insert(&group, decode_configs(&row.value)?);
            }
            if page.len() < PAGE {
                break;
            }
            after = page.last().map(|row| row.key.clone());
        }
        *self.own_configs.write() = found;
        Ok(())
    }
}
