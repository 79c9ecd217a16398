//! The stored form of a group: what a restart needs so that members go on where they were.
//!
//! All integers are big-endian; a text has its length (u16) in front, bytes theirs (u32).
//!
//! | Bytes | Field |
//! |--:|---|
//! | 2 | version = 1 |
//! | 1 | state: 0 Empty, 1 CompletingRebalance, 2 Stable |
//! | 8 | since when, ms since the epoch |
//! | 4 | generation |
//! | 2 + n | protocol type, empty for none |
//! | 2 + n | protocol, empty for none |
//! | 2 + n | leader, empty for none |
//! | 4 | members, in the order in which they came |
//! | 2 + n | each member: id |
//! | 2 + n | each member: instance id, empty for none |
//! | 2 + n, 2 + n | each member: client id, client host |
//! | 4, 4 | each member: session and rebalance timeout, ms |
//! | 4 | each member: protocols |
//! | 2 + n, 4 + n | each protocol: name, metadata |
//! | 4 + n | each member: assignment |
//!
//! A group that prepares a rebalance is stored as the generation that it leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::group::{Group, GroupState, Now};
use super::member::{Member, MemberId};
use crate::error::UnreadableValue;
use crate::values::{Reader, VERSION, put_short};

const EMPTY: u8 = 0;
const COMPLETING: u8 = 1;
const STABLE: u8 = 2;

impl Group {
    /// The record; `None` in a state that is not stored.
    pub(crate) fn encode(&self) -> Option<Bytes> {
        let state = match self.state {
            GroupState::Empty => EMPTY,
            GroupState::CompletingRebalance => COMPLETING,
            GroupState::Stable => STABLE,
            GroupState::PreparingRebalance | GroupState::Assigning | GroupState::Reconciling => {
                return None;
            }
        };
        let mut bytes = BytesMut::with_capacity(64 + self.bytes);
        bytes.put_u16(VERSION);
        bytes.put_u8(state);
        bytes.put_i64(self.state_since_ms);
        bytes.put_i32(self.generation);
        put_short(&mut bytes, self.protocol_type());
        put_short(&mut bytes, self.protocol.as_deref().unwrap_or_default());
        put_short(&mut bytes, self.leader.as_deref().unwrap_or_default());
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_by_key(|(_, member)| member.order);
        bytes.put_u32(count(members.len()));
        for (id, member) in members {
            encode_member(&mut bytes, id, member);
        }
        Some(bytes.freeze())
    }

    /// The group of a record, every session begun anew.
    pub(crate) fn decode(value: &Bytes, now: Now) -> Result<Self, UnreadableValue> {
        let mut reader = Reader::open("a group record", value)?;
        let [state] = reader.array()?;
        let mut group = Self::new(now);
        group.state_since_ms = i64::from_be_bytes(reader.array()?);
        group.generation = i32::from_be_bytes(reader.array()?);
        group.protocol_type = Some(reader.short_text()?).filter(|text| !text.is_empty());
        group.protocol = Some(reader.short_text()?).filter(|text| !text.is_empty());
        let leader = reader.short_text()?;
        let members = u32::from_be_bytes(reader.array()?);
        for order in 0..members {
            let (id, mut member) = decode_member(&mut reader, now)?;
            member.order = order.into();
            member.syncs = state == COMPLETING;
            group.bytes += member.bytes();
            group.count_protocols(&member.protocols);
            if let Some(instance) = &member.instance_id {
                group.statics.insert(Arc::clone(instance), Arc::clone(&id));
            }
            if *id == *leader {
                group.leader = Some(Arc::clone(&id));
            }
            group
                .deadlines
                .insert((member.session_end, Arc::clone(&id)));
            group.members.insert(id, member);
        }
        group.next_order = members.into();
        group.state = match state {
            EMPTY => GroupState::Empty,
            COMPLETING => GroupState::CompletingRebalance,
            STABLE => GroupState::Stable,
            other => return Err(reader.damaged(format!("there is no state {other}"))),
        };
        group.previous = group.state;
        if group.is_empty() != group.members.is_empty()
            || group.leader.is_some() == group.is_empty()
        {
            return Err(reader.damaged("state, members and leader do not fit".to_owned()));
        }
        if group.state == GroupState::CompletingRebalance {
            group.sync_end = Some(now.monotonic + group.rebalance_timeout());
        }
        group.subscribed = group.compute_subscribed();
        reader.finish()?;
        Ok(group)
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("a group is bounded in bytes")
}

fn encode_member(bytes: &mut BytesMut, id: &MemberId, member: &Member) {
    put_short(bytes, id);
    put_short(bytes, member.instance_id.as_deref().unwrap_or_default());
    put_short(bytes, &member.client_id);
    put_short(bytes, &member.client_host);
    let ms = |span: Duration| u32::try_from(span.as_millis()).expect("a span is an i32 in ms");
    bytes.put_u32(ms(member.session_timeout));
    bytes.put_u32(ms(member.rebalance_timeout));
    bytes.put_u32(count(member.protocols.len()));
    for (name, metadata) in &member.protocols {
        put_short(bytes, name);
        bytes.put_u32(count(metadata.len()));
        bytes.put_slice(metadata);
    }
    bytes.put_u32(count(member.assignment.len()));
    bytes.put_slice(&member.assignment);
}

fn decode_member(reader: &mut Reader, now: Now) -> Result<(MemberId, Member), UnreadableValue> {
    let id: MemberId = reader.short_text()?.into();
    let instance_id = reader.short_text()?;
    let client_id = reader.short_text()?;
    let client_host = reader.short_text()?;
    let session_timeout = Duration::from_millis(u32::from_be_bytes(reader.array()?).into());
    let rebalance_timeout = Duration::from_millis(u32::from_be_bytes(reader.array()?).into());
    let protocols = u32::from_be_bytes(reader.array()?);
    let mut named = BTreeSet::new();
    let mut listed = Vec::new();
    for _ in 0..protocols {
        let name = reader.short_text()?;
        let metadata = reader.long_bytes()?;
        if named.insert(name.clone()) {
            listed.push((name, metadata));
        }
    }
    let member = Member {
        instance_id: Some(instance_id)
            .filter(|name| !name.is_empty())
            .map(Into::into),
        client_id,
        client_host,
        rebalance_timeout,
        session_timeout,
        protocols: listed,
        assignment: reader.long_bytes()?,
        order: 0,
        is_new: false,
        syncs: false,
        session_end: now.monotonic + session_timeout,
        join: None,
        sync: None,
    };
    Ok((id, member))
}
