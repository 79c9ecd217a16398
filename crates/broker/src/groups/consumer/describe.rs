//! What administrators see of a group of the new protocol.

use super::super::group::{GroupConfig, GroupState};
use super::super::member::MemberId;
use super::member::{ConsumerMember, without_epochs};
use super::{ConsumerGroup, Partitions};
use storage::TopicId;

/// All there is to say of a group of the new protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerDescription {
    /// Where it stands.
    pub state: GroupState,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of the target.
    pub target_epoch: i32,
    /// The name of the assignor.
    pub assignor: &'static str,
    /// Its members, by id.
    pub members: Vec<ConsumerMemberDescription>,
}

/// A member of a group of the new protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerMemberDescription {
    /// Its id.
    pub member_id: String,
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// Where it says that it is.
    pub rack_id: Option<String>,
    /// The epoch that it is in.
    pub epoch: i32,
    /// What the client calls itself.
    pub client_id: String,
    /// The address of the client.
    pub client_host: String,
    /// The topics that it names.
    pub names: Vec<String>,
    /// The regular expression that it subscribes with.
    pub regex: Option<String>,
    /// What it has.
    pub assigned: Vec<TopicPartitions>,
    /// What it is to have.
    pub target: Vec<TopicPartitions>,
    /// Whether it speaks the classic protocol.
    pub is_classic: bool,
}

/// Partitions of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPartitions {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Their numbers.
    pub partitions: Vec<u32>,
}

impl ConsumerGroup {
    pub(crate) fn describe(&self, config: &GroupConfig) -> ConsumerDescription {
        let members = self
            .members
            .iter()
            .map(|(id, member)| self.described(id, member));
        ConsumerDescription {
            state: self.state(),
            epoch: self.epoch,
            target_epoch: self.target_epoch,
            assignor: self.assignor(config).name(),
            members: members.collect(),
        }
    }

    fn described(&self, id: &MemberId, member: &ConsumerMember) -> ConsumerMemberDescription {
        ConsumerMemberDescription {
            member_id: id.to_string(),
            instance_id: member.instance_id.as_deref().map(str::to_owned),
            rack_id: member.rack_id.clone(),
            epoch: member.epoch,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            names: member.names.iter().cloned().collect(),
            regex: member.regex.clone(),
            assigned: self.named(&without_epochs(&member.assigned)),
            target: self.named(&member.target),
            is_classic: member.classic.is_some(),
        }
    }

    /// Topics that are gone are left out.
    fn named(&self, partitions: &Partitions) -> Vec<TopicPartitions> {
        let named = partitions.iter().filter_map(|(id, of)| {
            Some(TopicPartitions {
                id: *id,
                name: self.topics.get(id)?.name.to_string(),
                partitions: of.iter().copied().collect(),
            })
        });
        named.collect()
    }
}
