//! Kafka's `consumer` protocol inside the classic one: the subscriptions that members send and the
//! assignments that they get. Other protocol types are never opened.

use std::collections::BTreeSet;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// First version of a subscription that says what its member has.
const OWNED_FROM: i16 = 1;
/// First version with the rack of the member, behind the generation.
const RACK_FROM: i16 = 3;

/// What a member wants, and what it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    /// The names of the topics.
    pub(super) topics: BTreeSet<String>,
    /// What it has, by topic; empty where it does not say.
    pub(super) owned: Vec<(String, Vec<i32>)>,
    pub(super) rack: Option<String>,
}

/// The version of a subscription.
pub(super) fn version(mut metadata: &[u8]) -> Option<i16> {
    metadata.try_get_i16().ok().filter(|version| *version >= 0)
}

/// The topics of one subscription; `None` if the bytes are not one.
pub(super) fn topics(metadata: &[u8]) -> Option<BTreeSet<String>> {
    let mut rest = metadata;
    rest.try_get_i16().ok().filter(|version| *version >= 0)?;
    read_topics(&mut rest)
}

impl Subscription {
    /// `None` if the bytes are not one.
    pub(super) fn read(metadata: &[u8]) -> Option<Self> {
        let mut rest = metadata;
        let version = rest.try_get_i16().ok().filter(|version| *version >= 0)?;
        let mut subscription = Self {
            topics: read_topics(&mut rest)?,
            ..Self::default()
        };
        let user_data = rest.try_get_i32().ok()?;
        rest = rest.get(usize::try_from(user_data).unwrap_or(0)..)?;
        if version >= OWNED_FROM {
            subscription.owned = read_partitions(&mut rest)?;
        }
        if version >= RACK_FROM {
            let _generation = rest.try_get_i32().ok()?;
            let length = rest.try_get_i16().ok()?;
            if length >= 0 {
                subscription.rack = Some(read_text(&mut rest, length)?);
            }
        }
        Some(subscription)
    }
}

/// The partitions of an assignment, by topic; `None` if the bytes are not one.
pub(super) fn read_assignment(assignment: &[u8]) -> Option<Vec<(String, Vec<i32>)>> {
    let mut rest = assignment;
    rest.try_get_i16().ok().filter(|version| *version >= 0)?;
    read_partitions(&mut rest)
}

/// An assignment in the version of its member's subscription.
pub(super) fn write_assignment(version: i16, assigned: &[(&str, Vec<u32>)]) -> Bytes {
    let count = |length: usize| i32::try_from(length).expect("partitions are bounded in number");
    let mut bytes = BytesMut::new();
    bytes.put_i16(version);
    bytes.put_i32(count(assigned.len()));
    for (topic, partitions) in assigned {
        bytes.put_i16(i16::try_from(topic.len()).expect("a topic's name is short"));
        bytes.put_slice(topic.as_bytes());
        bytes.put_i32(count(partitions.len()));
        for partition in partitions {
            bytes.put_u32(*partition);
        }
    }
    // No user data.
    bytes.put_i32(-1);
    bytes.freeze()
}

fn read_topics(rest: &mut &[u8]) -> Option<BTreeSet<String>> {
    let count = rest.try_get_i32().ok().filter(|count| *count >= 0)?;
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        let length = rest.try_get_i16().ok()?;
        topics.insert(read_text(rest, length)?);
    }
    Some(topics)
}

fn read_partitions(rest: &mut &[u8]) -> Option<Vec<(String, Vec<i32>)>> {
    let count = rest.try_get_i32().ok().filter(|count| *count >= 0)?;
    let mut topics = Vec::new();
    for _ in 0..count {
        let length = rest.try_get_i16().ok()?;
        let topic = read_text(rest, length)?;
        let numbers = rest.try_get_i32().ok().filter(|count| *count >= 0)?;
        let mut partitions = Vec::new();
        for _ in 0..numbers {
            partitions.push(rest.try_get_i32().ok()?);
        }
        topics.push((topic, partitions));
    }
    Some(topics)
}

fn read_text(rest: &mut &[u8], length: i16) -> Option<String> {
    let (text, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = behind;
    Some(std::str::from_utf8(text).ok()?.to_owned())
}

#[cfg(test)]
mod tests;
