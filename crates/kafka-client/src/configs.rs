//! Configs of topics and brokers: what they are, and changing them.

use kafka_wire::ErrorCode;
use kafka_wire::messages::MetadataRequest;
use kafka_wire::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_wire::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::client::Client;
use crate::error::ClientError;

/// Kafka's `ConfigResource.Type`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Kafka's `AlterConfigOp.OpType`.
const SET: i8 = 0;
const DELETE: i8 = 1;

/// What a config belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOwner {
    /// The topic of this name.
    Topic(String),
    /// The broker of this number.
    Broker(i32),
    /// Every broker that does not say otherwise.
    EveryBroker,
}

impl ConfigOwner {
    fn resource(&self) -> (i8, String) {
        match self {
            Self::Topic(name) => (TOPIC, name.clone()),
            Self::Broker(node) => (BROKER, node.to_string()),
            Self::EveryBroker => (BROKER, String::new()),
        }
    }
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Kafka's name.
    pub name: String,
    /// Its value; `None` if there is none or it is a secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it holds from the start of the broker.
    pub read_only: bool,
}

/// Where the value of a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set for this topic.
    Topic,
    /// Set for the broker while it ran.
    Broker,
    /// Set for every broker while they ran.
    EveryBroker,
    /// Set at the start of the broker.
    Start,
    /// Nobody set it.
    Default,
    /// Anything else, by Kafka's number.
    Other(i8),
}

impl ConfigSource {
    fn from_number(number: i8) -> Self {
        match number {
            1 => Self::Topic,
            2 => Self::Broker,
            3 => Self::EveryBroker,
            4 => Self::Start,
            5 => Self::Default,
            other => Self::Other(other),
        }
    }
}

impl Client {
    /// The settings of a topic or a broker, by name.
    pub async fn configs(&mut self, owner: &ConfigOwner) -> Result<Vec<Config>, ClientError> {
        let (resource_type, name) = owner.resource();
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type,
                resource_name: name.as_str().into(),
                configuration_keys: None,
            }],
            ..Default::default()
        };
        let answer = self.call(&request).await?;
        let mut results = answer.results.into_iter();
        let result = results.find(|result| result.resource_name == name.as_str());
        let result = result.ok_or_else(|| self.unanswered(&name))?;
        ClientError::check(result.error_code, result.error_message.as_deref())?;
        let configs = result.configs.into_iter().map(|config| Config {
            name: config.name.to_string(),
            value: config.value.map(|value| value.to_string()),
            source: ConfigSource::from_number(config.config_source),
            read_only: config.read_only,
        });
        let mut configs: Vec<Config> = configs.collect();
        configs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(configs)
    }

    /// Sets what has a value and takes back to the default what has none, all of it or nothing.
    pub async fn alter_configs(
        &mut self,
        owner: &ConfigOwner,
        changes: &[(String, Option<String>)],
        validate_only: bool,
    ) -> Result<(), ClientError> {
        let (resource_type, name) = owner.resource();
        let change = |(name, value): &(String, Option<String>)| AlterableConfig {
            name: name.as_str().into(),
            config_operation: if value.is_some() { SET } else { DELETE },
            value: value.as_deref().map(Into::into),
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type,
                resource_name: name.as_str().into(),
                configs: changes.iter().map(change).collect(),
            }],
            validate_only,
        };
        let answer = self.call(&request).await?;
        let mut results = answer.responses.into_iter();
        let result = results.find(|result| result.resource_name == name.as_str());
        let result = result.ok_or_else(|| self.unanswered(&name))?;
        ClientError::check(result.error_code, result.error_message.as_deref())
    }

    /// Raises the partitions of a topic to `total`.
    pub async fn add_partitions(
        &mut self,
        name: &str,
        total: i32,
        validate_only: bool,
    ) -> Result<(), ClientError> {
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: name.into(),
                count: total,
                assignments: None,
            }],
            timeout_ms: self.timeout_ms(),
            validate_only,
        };
        let answer = self.call(&request).await?;
        let mut results = answer.results.into_iter();
        let result = results.find(|result| result.name == name);
        let result = result.ok_or_else(|| self.unanswered(name))?;
        ClientError::check(result.error_code, result.error_message.as_deref())
    }

    /// The number of the broker that decides.
    pub async fn controller(&mut self) -> Result<i32, ClientError> {
        let request = MetadataRequest {
            topics: Some(Vec::new()),
            ..Default::default()
        };
        let answer = self.call(&request).await?;
        ClientError::check(answer.error_code, None)?;
        match answer.controller_id {
            node if node >= 0 => Ok(node),
            _ => Err(ClientError::Refused {
                code: ErrorCode::BrokerNotAvailable,
                message: None,
            }),
        }
    }
}
