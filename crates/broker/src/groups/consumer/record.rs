//! The stored form of a group of the new protocol: what a restart needs so that members go on
//! where they were, without a rebalance.
//!
//! All integers are big-endian; a text has its length (u16) in front, bytes theirs (u32). Partitions
//! are the number of topics (u32), and for each its id (16), how many (u32), and each number (u32)
//! with, where members own them, the epoch since when (i32).
//!
//! | Bytes | Field |
//! |--:|---|
//! | 2 | version = 2; version 1 is a group of the classic protocol |
//! | 8 | since when it is empty, or made, ms since the epoch |
//! | 4, 4 | epoch of the group, of the target |
//! | 4 | topics that members subscribe to |
//! | 16, 2 + n, 4 | each topic: id, name, partitions |
//! | 4 | members |
//! | 2 + n | each member: id |
//! | 2 + n, 2 + n | each member: instance id, rack, empty for none |
//! | 2 + n, 2 + n | each member: client id, client host |
//! | 4 | each member: rebalance timeout, ms |
//! | 4, 2 + n | each member: names that it subscribes to, and each of them |
//! | 2 + n, 2 + n | each member: regular expression, assignor, empty for none |
//! | 4, 4 | each member: epoch, the epoch before |
//! | 1 | each member: 0 Stable, 1 Unrevoked, 2 Unreleased |
//! | n, n, n | each member: partitions that it has, that it is told to let go of (both owned), that it is to have |
//! | 1 | each member: 1 if it speaks the classic protocol; then the rest |
//! | 4, 4 | session timeout, ms; protocols |
//! | 2 + n, 4 + n | each protocol: name, metadata |

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use storage::TopicId;

use super::super::group::{GroupConfig, Now};
use super::super::member::MemberId;
use super::member::{ClassicPart, ConsumerMember, MemberState};
use super::topics::Fact;
use super::{Assignor, ConsumerGroup, Owned, Partitions, Timer};
use crate::error::UnreadableValue;
use crate::values::{Reader, put_short};

/// The version of a group record that is of this protocol.
pub(crate) const VERSION: u16 = 2;

impl ConsumerGroup {
    /// The record.
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(64 + 2 * self.bytes);
        bytes.put_u16(VERSION);
        bytes.put_i64(self.since_ms);
        bytes.put_i32(self.epoch);
        bytes.put_i32(self.target_epoch);
        bytes.put_u32(count(self.topics.len()));
        for (id, fact) in &self.topics {
            bytes.put_slice(&id.0);
            put_short(&mut bytes, &fact.name);
            bytes.put_u32(fact.partitions);
        }
        bytes.put_u32(count(self.members.len()));
        for (id, member) in &self.members {
            put_short(&mut bytes, id);
            encode_member(&mut bytes, member);
        }
        bytes.freeze()
    }

    /// The group of a record behind its version, every session and every wait begun anew.
    pub(crate) fn decode(
        mut reader: Reader,
        config: &GroupConfig,
        now: Now,
    ) -> Result<Self, UnreadableValue> {
        let mut group = Self::new(now, 0);
        group.since_ms = i64::from_be_bytes(reader.array()?);
        group.epoch = i32::from_be_bytes(reader.array()?);
        group.target_epoch = i32::from_be_bytes(reader.array()?);
        let topics = u32::from_be_bytes(reader.array()?);
        for _ in 0..topics {
            let id = TopicId(reader.array()?);
            let name = reader.short_text()?.into();
            let partitions = u32::from_be_bytes(reader.array()?);
            let fact = Fact {
                id,
                name,
                partitions,
            };
            group.topics.insert(id, fact);
        }
        let members = u32::from_be_bytes(reader.array()?);
        for _ in 0..members {
            let id: MemberId = reader.short_text()?.into();
            let mut member = decode_member(&mut reader)?;
            let has_owner = |place| group.owners.contains_key(&place);
            if group.members.contains_key(&id) || member.owned_partitions().any(has_owner) {
                return Err(reader.damaged("two members have the same id or partition".to_owned()));
            }
            let session = match &member.classic {
                Some(part) => part.session_timeout,
                None => config.consumer.session_timeout,
            };
            *member.timer(Timer::Session) = Some(now.monotonic + session);
            if member.state == MemberState::Unrevoked && member.classic.is_none() {
                let end = now.monotonic + member.rebalance_timeout;
                *member.timer(Timer::Rebalance) = Some(end);
            }
            group.insert(id, member);
        }
        reader.finish()?;
        group.is_dirty = false;
        Ok(group)
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("a group is bounded in bytes, and partitions in number")
}

fn ms(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).expect("a span is an i32 in ms")
}

fn encode_member(bytes: &mut BytesMut, member: &ConsumerMember) {
    put_short(bytes, member.instance_id.as_deref().unwrap_or_default());
    put_short(bytes, member.rack_id.as_deref().unwrap_or_default());
    put_short(bytes, &member.client_id);
    put_short(bytes, &member.client_host);
    bytes.put_u32(ms(member.rebalance_timeout));
    bytes.put_u32(count(member.names.len()));
    for name in &member.names {
        put_short(bytes, name);
    }
    put_short(bytes, member.regex.as_deref().unwrap_or_default());
    put_short(bytes, member.assignor.map_or("", Assignor::name));
    bytes.put_i32(member.epoch);
    bytes.put_i32(member.previous_epoch);
    bytes.put_u8(match member.state {
        MemberState::Stable => 0,
        MemberState::Unrevoked => 1,
        MemberState::Unreleased => 2,
    });
    put_owned(bytes, &member.assigned);
    put_owned(bytes, &member.revoking);
    bytes.put_u32(count(member.target.len()));
    for (topic, of) in &member.target {
        bytes.put_slice(&topic.0);
        bytes.put_u32(count(of.len()));
        for partition in of {
            bytes.put_u32(*partition);
        }
    }
    bytes.put_u8(member.classic.is_some().into());
    if let Some(part) = &member.classic {
        bytes.put_u32(ms(part.session_timeout));
        bytes.put_u32(count(part.protocols.len()));
        for (name, metadata) in &part.protocols {
            put_short(bytes, name);
            bytes.put_u32(count(metadata.len()));
            bytes.put_slice(metadata);
        }
    }
}

fn put_owned(bytes: &mut BytesMut, owned: &Owned) {
    bytes.put_u32(count(owned.len()));
    for (topic, of) in owned {
        bytes.put_slice(&topic.0);
        bytes.put_u32(count(of.len()));
        for (partition, epoch) in of {
            bytes.put_u32(*partition);
            bytes.put_i32(*epoch);
        }
    }
}

fn decode_member(reader: &mut Reader) -> Result<ConsumerMember, UnreadableValue> {
    let text = |reader: &mut Reader| -> Result<Option<String>, UnreadableValue> {
        Ok(Some(reader.short_text()?).filter(|text| !text.is_empty()))
    };
    let span = |reader: &mut Reader| -> Result<Duration, UnreadableValue> {
        Ok(Duration::from_millis(
            u32::from_be_bytes(reader.array()?).into(),
        ))
    };
    let mut member = ConsumerMember::new();
    member.instance_id = text(reader)?.map(Into::into);
    member.rack_id = text(reader)?;
    member.client_id = reader.short_text()?;
    member.client_host = reader.short_text()?;
    member.rebalance_timeout = span(reader)?;
    let names = u32::from_be_bytes(reader.array()?);
    for _ in 0..names {
        member.names.insert(reader.short_text()?);
    }
    member.regex = text(reader)?;
    member.assignor = text(reader)?.and_then(|name| Assignor::of_name(&name));
    member.epoch = i32::from_be_bytes(reader.array()?);
    member.previous_epoch = i32::from_be_bytes(reader.array()?);
    member.state = match reader.array()? {
        [0] => MemberState::Stable,
        [1] => MemberState::Unrevoked,
        [2] => MemberState::Unreleased,
        [other] => return Err(reader.damaged(format!("there is no state {other} of a member"))),
    };
    member.assigned = read_owned(reader)?;
    member.revoking = read_owned(reader)?;
    member.target = read_partitions(reader)?;
    if reader.array()? == [1] {
        let session_timeout = span(reader)?;
        let protocols = u32::from_be_bytes(reader.array()?);
        let mut listed = Vec::new();
        for _ in 0..protocols {
            let name = reader.short_text()?;
            listed.push((name, reader.long_bytes()?));
        }
        member.classic = Some(ClassicPart {
            session_timeout,
            protocols: listed,
        });
    }
    Ok(member)
}

fn read_owned(reader: &mut Reader) -> Result<Owned, UnreadableValue> {
    let topics = u32::from_be_bytes(reader.array()?);
    let mut owned = Owned::new();
    for _ in 0..topics {
        let topic = TopicId(reader.array()?);
        let partitions = u32::from_be_bytes(reader.array()?);
        let of = owned.entry(topic).or_default();
        for _ in 0..partitions {
            let partition = u32::from_be_bytes(reader.array()?);
            of.insert(partition, i32::from_be_bytes(reader.array()?));
        }
    }
    Ok(owned)
}

fn read_partitions(reader: &mut Reader) -> Result<Partitions, UnreadableValue> {
    let topics = u32::from_be_bytes(reader.array()?);
    let mut partitions = Partitions::new();
    for _ in 0..topics {
        let topic = TopicId(reader.array()?);
        let numbers = u32::from_be_bytes(reader.array()?);
        let mut of = BTreeSet::new();
        for _ in 0..numbers {
            of.insert(u32::from_be_bytes(reader.array()?));
        }
        partitions.insert(topic, of);
    }
    Ok(partitions)
}
