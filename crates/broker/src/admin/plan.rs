//! What can be wrong with a topic that is to be made or grown, found before anything is written.
//!
//! The order of the checks is Kafka's: name, configs, counts.

use std::collections::BTreeMap;

use storage::{TopicId, TopicName};

use super::NewTopic;
use crate::Broker;
use crate::config_keys::TopicSettings;
use crate::error::{AddPartitionsError, CreateTopicError};
use crate::topics::Topic;
use crate::values::TopicRecord;

impl Broker {
    /// Everything that can be wrong with a new topic, before anything is written.
    pub(super) fn plan_topic(
        &self,
        name: &TopicName,
        new: &NewTopic,
    ) -> Result<TopicRecord, CreateTopicError> {
        let topics = self.topics.load();
        if topics.by_name(name.as_str()).is_some() {
            return Err(CreateTopicError::Exists {
                topic: name.clone(),
            });
        }
        if let Some(with) = topics.colliding(name) {
            let (topic, with) = (name.clone(), with.name().clone());
            return Err(CreateTopicError::Collides { topic, with });
        }
        let configs = self.plan_configs(&new.configs)?;
        let partitions = self.plan_partitions(new)?;
        let limit = self.config.partitions_max_per_topic;
        if partitions > limit {
            let asked = i32::try_from(partitions).unwrap_or(i32::MAX);
            return Err(CreateTopicError::TooManyPartitions { asked, limit });
        }
        let (held, limit) = (topics.partition_count(), self.config.partitions_max);
        if held.saturating_add(partitions.into()) > limit.into() {
            return Err(CreateTopicError::LimitReached {
                held,
                asked: partitions,
                limit,
            });
        }
        Ok(TopicRecord {
            id: TopicId::ZERO,
            partitions,
            partitions_made: 0,
            configs,
        })
    }

    fn plan_configs(
        &self,
        configs: &[(String, Option<String>)],
    ) -> Result<BTreeMap<String, String>, CreateTopicError> {
        let mut planned = BTreeMap::new();
        for (key, value) in configs {
            let Some(value) = value else {
                let error = crate::InvalidConfig::Null { key: key.clone() };
                return Err(invalid_config(&error));
            };
            planned.insert(key.clone(), value.trim().to_owned());
        }
        TopicSettings::new(self.layers.load().effective(), &planned)
            .map_err(|error| invalid_config(&error))?;
        Ok(planned)
    }

    fn plan_partitions(&self, new: &NewTopic) -> Result<u32, CreateTopicError> {
        if let Some(assignments) = &new.assignments {
            if new.partitions.is_some() || new.replication_factor.is_some() {
                return Err(CreateTopicError::AssignmentsAndCounts);
            }
            return self
                .plan_assignments(assignments)
                .map_err(|reason| CreateTopicError::InvalidAssignment { reason });
        }
        if let Some(asked) = new.replication_factor.filter(|factor| *factor != 1) {
            return Err(CreateTopicError::InvalidReplicationFactor { asked, nodes: 1 });
        }
        match new.partitions {
            None => Ok(self.config.num_partitions),
            Some(asked) => u32::try_from(asked)
                .ok()
                .filter(|count| *count > 0)
                .ok_or(CreateTopicError::InvalidPartitions { asked }),
        }
    }

    fn plan_assignments(&self, assignments: &[(i32, Vec<i32>)]) -> Result<u32, String> {
        let mut partitions: Vec<i32> = assignments.iter().map(|(number, _)| *number).collect();
        partitions.sort_unstable();
        if partitions.is_empty() || partitions.iter().zip(0..).any(|(given, due)| *given != due) {
            return Err("the partitions must be 0, 1, 2 and so on, each once".to_owned());
        }
        for (partition, brokers) in assignments {
            self.check_brokers(*partition, brokers)?;
        }
        u32::try_from(partitions.len()).map_err(|error| error.to_string())
    }

    fn check_brokers(&self, partition: i32, brokers: &[i32]) -> Result<(), String> {
        let node = self.config.node_id;
        if brokers == [node] {
            return Ok(());
        }
        Err(format!(
            "partition {partition} is given to {brokers:?}; there is only broker {node}"
        ))
    }

    pub(super) fn plan_growth(
        &self,
        topic: &Topic,
        total: i32,
        assignments: Option<&[Vec<i32>]>,
    ) -> Result<u32, AddPartitionsError> {
        let current = topic.partition_count();
        let grown = u32::try_from(total).ok().filter(|total| *total > current);
        let Some(partitions) = grown else {
            let topic = topic.name().clone();
            return Err(AddPartitionsError::TotalNotLarger {
                topic,
                current,
                asked: total,
            });
        };
        let limit = self.config.partitions_max_per_topic;
        if partitions > limit {
            return Err(AddPartitionsError::TooManyPartitions {
                asked: total,
                limit,
            });
        }
        let asked = partitions.saturating_sub(current);
        let (held, limit) = (
            self.topics.load().partition_count(),
            self.config.partitions_max,
        );
        if held.saturating_add(asked.into()) > limit.into() {
            return Err(AddPartitionsError::LimitReached { held, asked, limit });
        }
        if let Some(assignments) = assignments {
            self.check_growth(current, asked, assignments)
                .map_err(|reason| AddPartitionsError::InvalidAssignment { reason })?;
        }
        Ok(partitions)
    }

    fn check_growth(&self, current: u32, asked: u32, given: &[Vec<i32>]) -> Result<(), String> {
        if given.len() != asked as usize {
            let given = given.len();
            return Err(format!(
                "{asked} partitions are added, {given} assignments are given"
            ));
        }
        for (brokers, partition) in given.iter().zip(current.cast_signed()..) {
            self.check_brokers(partition, brokers)?;
        }
        Ok(())
    }
}

pub(super) fn parse_name(name: &str) -> Result<TopicName, CreateTopicError> {
    TopicName::parse(name).map_err(|source| CreateTopicError::InvalidName {
        name: name.to_owned(),
        source,
    })
}

fn invalid_config(error: &crate::InvalidConfig) -> CreateTopicError {
    CreateTopicError::InvalidConfig {
        key: error.key().to_owned(),
        reason: error.to_string(),
    }
}
