//! Consumer groups: who is in them, what they have committed, moving and deleting that.

use std::collections::BTreeMap;

use bytes::Buf;
use kafka_wire::messages::consumer_group_describe::{
    Assignment, ConsumerGroupDescribeRequest, DescribedGroup as DescribedConsumerGroup,
};
use kafka_wire::messages::delete_groups::DeleteGroupsRequest;
use kafka_wire::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup};
use kafka_wire::messages::list_groups::ListGroupsRequest;
use kafka_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_wire::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};
use kafka_wire::{ErrorCode, Uuid};

use crate::admin::Topic;
use crate::client::Client;
use crate::error::ClientError;

/// First version of OffsetFetch that asks for several groups.
const GROUPS_FROM: i16 = 8;
/// The protocol type whose assignments name partitions.
const CONSUMER: &str = "consumer";
/// The state that old brokers describe a group with that is not there.
const DEAD: &str = "Dead";

/// One row of a listing of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its name.
    pub name: String,
    /// The kind of its members; empty where there are only committed offsets.
    pub protocol_type: String,
    /// Kafka's name of where it stands; empty if the broker is too old to say.
    pub state: String,
    /// The protocol of the group, `classic` or `consumer`; empty if the broker is too old to say.
    pub kind: String,
}

/// A group, as the broker describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub name: String,
    /// Kafka's name of where it stands.
    pub state: String,
    /// The kind of its members; empty where there are only committed offsets.
    pub protocol_type: String,
    /// The assignor.
    pub protocol: String,
    /// Its members, by id.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub id: String,
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// What the client calls itself.
    pub client_id: String,
    /// Where it is.
    pub host: String,
    /// What it has to read, by topic.
    pub assigned: BTreeMap<String, Vec<i32>>,
}

/// What a group has committed in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The offset of the record to read next.
    pub offset: i64,
    /// What was committed beside it.
    pub metadata: String,
}

/// What a group has committed, by topic and partition.
pub type CommittedOffsets = BTreeMap<(String, i32), Committed>;

impl Client {
    /// All groups, by name.
    pub async fn list_groups(&mut self) -> Result<Vec<ListedGroup>, ClientError> {
        let answer = self.call(&ListGroupsRequest::default()).await?;
        ClientError::check(answer.error_code, None)?;
        let groups = answer.groups.into_iter().map(|group| ListedGroup {
            name: group.group_id.to_string(),
            protocol_type: group.protocol_type.to_string(),
            state: group.group_state.to_string(),
            kind: group.group_type.to_string(),
        });
        let mut groups: Vec<ListedGroup> = groups.collect();
        groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(groups)
    }

    /// One group; a refusal with GROUP_ID_NOT_FOUND if there is none of the name.
    pub async fn describe_group(&mut self, name: &str) -> Result<GroupDescription, ClientError> {
        let request = DescribeGroupsRequest {
            groups: vec![name.into()],
            ..Default::default()
        };
        let answer = self.call(&request).await?;
        let mut groups = answer.groups.into_iter();
        let group = groups.find(|group| group.group_id == name);
        let group = group.ok_or_else(|| self.unanswered(name))?;
        let is_absent = group.error_code == ErrorCode::GroupIdNotFound.code();
        if is_absent || group.group_state == DEAD {
            return self.describe_consumer_group(name).await;
        }
        ClientError::check(group.error_code, group.error_message.as_deref())?;
        Ok(described(group))
    }

    /// A group of the new protocol, which the older request does not tell of.
    async fn describe_consumer_group(
        &mut self,
        name: &str,
    ) -> Result<GroupDescription, ClientError> {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![name.into()],
            ..Default::default()
        };
        let answer = match self.call(&request).await {
            Err(ClientError::Unsupported { .. }) => {
                return Err(ClientError::Refused {
                    code: ErrorCode::GroupIdNotFound,
                    message: None,
                });
            }
            answer => answer?,
        };
        let mut groups = answer.groups.into_iter();
        let group = groups.find(|group| group.group_id == name);
        let group = group.ok_or_else(|| self.unanswered(name))?;
        ClientError::check(group.error_code, group.error_message.as_deref())?;
        Ok(described_consumer(group))
    }

    /// All that a group has committed in `topics`, which are all there are.
    pub async fn committed(
        &mut self,
        group: &str,
        topics: &[Topic],
    ) -> Result<CommittedOffsets, ClientError> {
        let mut request = OffsetFetchRequest::default();
        if self.version_of::<OffsetFetchRequest>().await? >= GROUPS_FROM {
            request.groups.push(OffsetFetchRequestGroup {
                group_id: group.into(),
                topics: None,
                ..Default::default()
            });
        } else {
            request.group_id = group.into();
            request.topics = None;
        }
        let answer = self.call(&request).await?;
        ClientError::check(answer.error_code, None)?;
        let mut committed = CommittedOffsets::new();
        let mut note = |topic: &str, partition: i32, offset: i64, metadata: Option<&str>| {
            if offset >= 0 {
                let metadata = metadata.unwrap_or_default().to_owned();
                let place = (topic.to_owned(), partition);
                committed.insert(place, Committed { offset, metadata });
            }
        };
        for topic in &answer.topics {
            for partition in &topic.partitions {
                ClientError::check(partition.error_code, None)?;
                let (offset, metadata) = (partition.committed_offset, &partition.metadata);
                let index = partition.partition_index;
                note(&topic.name, index, offset, metadata.as_deref());
            }
        }
        for group in &answer.groups {
            ClientError::check(group.error_code, None)?;
            for topic in &group.topics {
                // By id since version 10; one that went meanwhile has no name.
                let by_id = topics.iter().find(|known| known.id == topic.topic_id);
                let name = match by_id {
                    Some(known) if topic.topic_id != Uuid::ZERO => known.name.as_str(),
                    Some(_) | None => &topic.name,
                };
                for partition in &topic.partitions {
                    ClientError::check(partition.error_code, None)?;
                    let (offset, metadata) = (partition.committed_offset, &partition.metadata);
                    note(name, partition.partition_index, offset, metadata.as_deref());
                }
            }
        }
        Ok(committed)
    }

    /// Moves what a group without members has committed. The outcome of each partition.
    pub async fn move_committed(
        &mut self,
        group: &str,
        topics: &[Topic],
        moves: &[(String, i32, i64)],
    ) -> Result<BTreeMap<(String, i32), Option<ErrorCode>>, ClientError> {
        let mut by_topic: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (topic, partition_index, committed_offset) in moves {
            let partition = OffsetCommitRequestPartition {
                partition_index: *partition_index,
                committed_offset: *committed_offset,
                committed_metadata: Some("".into()),
                ..Default::default()
            };
            by_topic.entry(topic).or_default().push(partition);
        }
        let id_of = |name: &str| topics.iter().find(|topic| topic.name == name);
        let request = OffsetCommitRequest {
            group_id: group.into(),
            topics: by_topic
                .into_iter()
                .map(|(name, partitions)| OffsetCommitRequestTopic {
                    name: name.into(),
                    topic_id: id_of(name).map_or(Uuid::ZERO, |topic| topic.id),
                    partitions,
                })
                .collect(),
            ..Default::default()
        };
        let answer = self.call(&request).await?;
        let mut outcomes = BTreeMap::new();
        for topic in &answer.topics {
            let by_id = topics.iter().find(|known| known.id == topic.topic_id);
            let name = match by_id {
                Some(known) if topic.topic_id != Uuid::ZERO => known.name.as_str(),
                Some(_) | None => &topic.name,
            };
            for partition in &topic.partitions {
                let code = ErrorCode::from_code(partition.error_code);
                let code = code.unwrap_or(ErrorCode::UnknownServerError);
                let failed = Some(code).filter(|&code| code != ErrorCode::None);
                outcomes.insert((name.to_owned(), partition.partition_index), failed);
            }
        }
        Ok(outcomes)
    }

    /// Deletes a group without members, and all that it has committed.
    pub async fn delete_group(&mut self, name: &str) -> Result<(), ClientError> {
        let request = DeleteGroupsRequest {
            groups_names: vec![name.into()],
        };
        let answer = self.call(&request).await?;
        let mut results = answer.results.into_iter();
        let result = results.find(|result| result.group_id == name);
        let result = result.ok_or_else(|| self.unanswered(name))?;
        ClientError::check(result.error_code, result.error_message.as_deref())
    }
}

fn described(group: DescribedGroup) -> GroupDescription {
    let is_consumer = group.protocol_type == CONSUMER;
    let members = group.members.into_iter().map(|member| GroupMember {
        id: member.member_id.to_string(),
        instance_id: member.group_instance_id.map(|name| name.to_string()),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assigned: Some(&member.member_assignment)
            .filter(|_| is_consumer)
            .and_then(|bytes| assigned(bytes))
            .unwrap_or_default(),
    });
    let mut members: Vec<GroupMember> = members.collect();
    members.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    GroupDescription {
        name: group.group_id.to_string(),
        state: group.group_state.to_string(),
        protocol_type: group.protocol_type.to_string(),
        protocol: group.protocol_data.to_string(),
        members,
    }
}

fn described_consumer(group: DescribedConsumerGroup) -> GroupDescription {
    let assigned = |assignment: Assignment| {
        let of = assignment.topic_partitions.into_iter();
        of.map(|of| (of.topic_name.to_string(), of.partitions))
            .collect()
    };
    let members = group.members.into_iter().map(|member| GroupMember {
        id: member.member_id.to_string(),
        instance_id: member.instance_id.map(|name| name.to_string()),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assigned: assigned(member.assignment),
    });
    GroupDescription {
        name: group.group_id.to_string(),
        state: group.group_state.to_string(),
        protocol_type: CONSUMER.to_owned(),
        protocol: group.assignor_name.to_string(),
        members: members.collect(),
    }
}

/// The partitions in an assignment of Kafka's `consumer` protocol; `None` if it is not one.
fn assigned(mut bytes: &[u8]) -> Option<BTreeMap<String, Vec<i32>>> {
    let _version = bytes.try_get_i16().ok()?;
    let topics = bytes.try_get_i32().ok()?;
    let mut assigned: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for _ in 0..topics {
        let length = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
        let (name, rest) = bytes.split_at_checked(length)?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        bytes = rest;
        let count = bytes.try_get_i32().ok()?;
        let partitions = assigned.entry(name).or_default();
        for _ in 0..count {
            partitions.push(bytes.try_get_i32().ok()?);
        }
    }
    Some(assigned)
}
