//! Topics: create, list, describe, delete.

use kafka_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use kafka_wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponseTopic,
};
use kafka_wire::{ErrorCode, Uuid};

use crate::client::Client;
use crate::error::ClientError;

/// "The broker's default", in counts.
const DEFAULT_COUNT: i32 = -1;
const DEFAULT_FACTOR: i16 = -1;
/// First version of DeleteTopics that names topics by name or id.
const DELETE_BY_STATE_FROM: i16 = 6;

/// A topic to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; `None`: as the broker is set.
    pub partitions: Option<i32>,
    /// Copies of each partition; `None`: as the broker is set.
    pub replication_factor: Option<i16>,
    /// Settings by Kafka's names.
    pub configs: Vec<(String, String)>,
    /// Only check whether it could be made.
    pub validate_only: bool,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; zero if the broker is too old to say, or nothing was made.
    pub id: Uuid,
    /// Its partitions; `None` if the broker is too old to say.
    pub partitions: Option<i32>,
}

/// A topic, as the broker describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id; zero if the broker is too old to say.
    pub id: Uuid,
    /// By number.
    pub partitions: Vec<Partition>,
}

/// A partition, as the broker describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub index: i32,
    /// The node that serves it; −1 if none does.
    pub leader: i32,
    /// The epoch of that leader; −1 if unknown.
    pub leader_epoch: i32,
    /// What keeps it from being served.
    pub error: Option<ErrorCode>,
}

impl Client {
    /// Makes a topic.
    pub async fn create_topic(&mut self, topic: &NewTopic) -> Result<CreatedTopic, ClientError> {
        let configs = topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig {
                name: name.into(),
                value: Some(value.into()),
            });
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: topic.name.as_str().into(),
                num_partitions: topic.partitions.unwrap_or(DEFAULT_COUNT),
                replication_factor: topic.replication_factor.unwrap_or(DEFAULT_FACTOR),
                configs: configs.collect(),
                ..Default::default()
            }],
            timeout_ms: self.timeout_ms(),
            validate_only: topic.validate_only,
        };
        let answer = self.call(&request).await?;
        let made = answer
            .topics
            .into_iter()
            .find(|made| made.name == topic.name.as_str());
        let made = made.ok_or_else(|| self.unanswered(&topic.name))?;
        ClientError::check(made.error_code, made.error_message.as_deref())?;
        Ok(CreatedTopic {
            id: made.topic_id,
            partitions: (made.num_partitions >= 0).then_some(made.num_partitions),
        })
    }

    /// All topics, by name.
    pub async fn list_topics(&mut self) -> Result<Vec<Topic>, ClientError> {
        let request = MetadataRequest {
            topics: None,
            ..Default::default()
        };
        let answer = self.call(&request).await?;
        ClientError::check(answer.error_code, None)?;
        let mut topics: Vec<Topic> = answer.topics.into_iter().map(describe).collect();
        topics.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// One topic. With `may_create`, a topic that does not exist is made as the broker is set, the
    /// way producers do it.
    pub async fn topic(&mut self, name: &str, may_create: bool) -> Result<Topic, ClientError> {
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                topic_id: Uuid::ZERO,
                name: Some(name.into()),
            }]),
            allow_auto_topic_creation: may_create,
            ..Default::default()
        };
        let answer = self.call(&request).await?;
        ClientError::check(answer.error_code, None)?;
        let mut topics = answer.topics.into_iter();
        let topic = topics.find(|topic| topic.name.as_deref() == Some(name));
        let topic = topic.ok_or_else(|| self.unanswered(name))?;
        ClientError::check(topic.error_code, None)?;
        Ok(describe(topic))
    }

    /// Deletes a topic and all its records.
    pub async fn delete_topic(&mut self, name: &str) -> Result<(), ClientError> {
        let mut request = DeleteTopicsRequest {
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        if self.version_of::<DeleteTopicsRequest>().await? >= DELETE_BY_STATE_FROM {
            let state = DeleteTopicState {
                name: Some(name.into()),
                topic_id: Uuid::ZERO,
            };
            request.topics.push(state);
        } else {
            request.topic_names.push(name.into());
        }
        let answer = self.call(&request).await?;
        let mut results = answer.responses.into_iter();
        let result = results.find(|result| result.name.as_deref() == Some(name));
        let result = result.ok_or_else(|| self.unanswered(name))?;
        ClientError::check(result.error_code, result.error_message.as_deref())
    }

    /// How long the broker may work on a request.
    pub(crate) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.options().timeout.as_millis()).unwrap_or(i32::MAX)
    }

    pub(crate) fn unanswered(&self, name: &str) -> ClientError {
        ClientError::Protocol {
            address: self.options().address.clone(),
            detail: format!("the answer says nothing about {name:?}"),
        }
    }
}

fn describe(topic: MetadataResponseTopic) -> Topic {
    let partitions = topic.partitions.into_iter().map(|partition| Partition {
        index: partition.partition_index,
        leader: partition.leader_id,
        leader_epoch: partition.leader_epoch,
        error: ErrorCode::from_code(partition.error_code).filter(|&code| code != ErrorCode::None),
    });
    let mut partitions: Vec<Partition> = partitions.collect();
    partitions.sort_unstable_by_key(|partition| partition.index);
    Topic {
        name: topic.name.map(|name| name.to_string()).unwrap_or_default(),
        id: topic.topic_id,
        partitions,
    }
}
