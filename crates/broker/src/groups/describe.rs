//! What administrators see of groups: listings and descriptions, answered from memory.

use std::sync::Arc;

use bytes::Bytes;

use super::Groups;
use super::any_group::AnyGroup;
use super::consumer::{ConsumerDescription, ConsumerGroup};
use super::group::{Group, GroupState};
use super::member::{Member, MemberId};
use super::table::Slot;

/// The protocol that a group is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupKind {
    /// JoinGroup and SyncGroup; also offsets alone.
    Classic,
    /// ConsumerGroupHeartbeat (KIP-848).
    Consumer,
}

impl GroupKind {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Classic, Self::Consumer];

    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

/// One row of a listing of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub group: String,
    /// The kind of group; empty where there are only committed offsets.
    pub protocol_type: String,
    /// The protocol that it is of.
    pub kind: GroupKind,
    /// Where it stands.
    pub state: GroupState,
}

/// All there is to say of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Where it stands.
    pub state: GroupState,
    /// The kind of group; empty where there are only committed offsets.
    pub protocol_type: String,
    /// The protocol of the generation, while the group is stable.
    pub protocol: String,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// A member, as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// What the client calls itself.
    pub client_id: String,
    /// Where it is.
    pub client_host: String,
    /// What it said with the protocol, while the group is stable.
    pub metadata: Bytes,
    /// What it got, while the group is stable.
    pub assignment: Bytes,
}

impl Groups {
    /// All groups, sorted by name.
    pub fn list(&self) -> Vec<GroupListing> {
        let table = self.table.lock();
        let row = |(name, slot): (&Arc<str>, &Slot)| GroupListing {
            group: name.to_string(),
            protocol_type: slot.group.protocol_type().to_owned(),
            kind: slot.group.kind(),
            state: slot.group.state(),
        };
        let mut rows: Vec<_> = table.slots.iter().map(row).collect();
        drop(table);
        rows.sort_by(|one, other| one.group.cmp(&other.group));
        rows
    }

    /// One group of the classic protocol; `None` if there is none of the name.
    pub fn describe(&self, group: &str) -> Option<GroupDescription> {
        let table = self.table.lock();
        match &table.slots.get(group)?.group {
            AnyGroup::Classic(group) => Some(group.describe()),
            AnyGroup::Consumer(_) => None,
        }
    }

    /// One group of the new protocol; `None` if there is none of the name.
    pub fn describe_consumer(&self, group: &str) -> Option<ConsumerDescription> {
        let table = self.table.lock();
        match &table.slots.get(group)?.group {
            AnyGroup::Classic(_) => None,
            AnyGroup::Consumer(group) => Some(ConsumerGroup::describe(group, self.limits())),
        }
    }
}

impl Group {
    pub(super) fn describe(&self) -> GroupDescription {
        let stable = self.state() == GroupState::Stable;
        let protocol = self.protocol.as_deref().filter(|_| stable);
        let member = |(id, member): (&MemberId, &Member)| MemberDescription {
            member_id: id.to_string(),
            instance_id: member.instance_id.as_deref().map(str::to_owned),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: protocol
                .map(|name| member.metadata(name))
                .unwrap_or_default(),
            assignment: protocol
                .map(|_| member.assignment.clone())
                .unwrap_or_default(),
        };
        GroupDescription {
            state: self.state(),
            protocol_type: self.protocol_type().to_owned(),
            protocol: protocol.unwrap_or_default().to_owned(),
            members: self.members.iter().map(member).collect(),
        }
    }
}
