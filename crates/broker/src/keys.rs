//! The keys under which the broker keeps its state: one function for each space.
//!
//! | Space | Parts after the space byte |
//! |---|---|
//! | topic (1) | name |
//! | deletion (2) | topic id, 16 bytes |
//! | node (3) | `cluster-id`, or `configs` and a node id, empty for every node, or `group-configs` and a group |
//! | producer ids (4) | none |
//! | offset (5) | group, topic id, partition as u32 |
//! | group (6) | name |
//!
//! Each part carries its length (see [`Key`]), so that no id imitates another.

use storage::{Key, Space, TopicId, TopicName};

use crate::error::UnreadableValue;

/// The longest name of a group, in bytes: a Kafka string counts its bytes in an i16.
pub(crate) const CONSUMER_BYTES_MAX: usize = i16::MAX.cast_unsigned() as usize;

pub(crate) fn topic(name: &TopicName) -> Key {
    Key::space(Space::Topic).part(name.as_str().as_bytes())
}

pub(crate) fn deletion(id: TopicId) -> Key {
    Key::space(Space::Deletion).part(&id.0)
}

pub(crate) fn cluster_id() -> Key {
    Key::space(Space::Node).part(b"cluster-id")
}

/// The configs set on one node, or on every node.
pub(crate) fn broker_configs(node_id: Option<i32>) -> Key {
    let node = node_id.map(|id| id.to_string()).unwrap_or_default();
    Key::space(Space::Node)
        .part(b"configs")
        .part(node.as_bytes())
}

/// What the configs of all groups stand below.
pub(crate) fn all_group_configs() -> Key {
    Key::space(Space::Node).part(b"group-configs")
}

/// The configs set on one group. The caller has checked the length of `group`.
pub(crate) fn group_configs(group: &str) -> Key {
    assert!(group.len() <= CONSUMER_BYTES_MAX, "checked where it enters");
    all_group_configs().part(group.as_bytes())
}

/// The group in the key of its configs.
pub(crate) fn group_of_configs(key: &Key) -> Result<String, UnreadableValue> {
    let parts = key.parts().unwrap_or_default();
    let name = parts.get(1).and_then(|name| std::str::from_utf8(name).ok());
    name.map(str::to_owned).ok_or_else(|| unreadable(key))
}

pub(crate) fn producer_ids() -> Key {
    Key::space(Space::ProducerIds)
}

/// The caller has checked the length of `group`.
pub(crate) fn group(group: &str) -> Key {
    assert!(group.len() <= CONSUMER_BYTES_MAX, "checked where it enters");
    Key::space(Space::Group).part(group.as_bytes())
}

/// The group in the key of a group or of a position.
pub(crate) fn group_of(key: &Key) -> Result<String, UnreadableValue> {
    let parts = key.parts().unwrap_or_default();
    let name = parts
        .first()
        .and_then(|name| std::str::from_utf8(name).ok());
    name.map(str::to_owned).ok_or_else(|| unreadable(key))
}

fn unreadable(key: &Key) -> UnreadableValue {
    UnreadableValue::Damaged {
        what: "the key of a group, of its configs or of a position",
        reason: format!("{key:?} is not one"),
    }
}

/// The topic id and partition in the key of a position.
pub(crate) fn partition_of_position(key: &Key) -> Result<(TopicId, u32), UnreadableValue> {
    let parts = key.parts().unwrap_or_default();
    let read = match parts.as_slice() {
        [_, id, partition] => id
            .as_ref()
            .try_into()
            .ok()
            .map(TopicId)
            .zip(partition.as_ref().try_into().ok().map(u32::from_be_bytes)),
        _ => None,
    };
    read.ok_or_else(|| unreadable(key))
}

/// The caller has checked the length of `consumer`.
pub(crate) fn position(consumer: &str, topic: TopicId, partition: u32) -> Key {
    assert!(
        consumer.len() <= CONSUMER_BYTES_MAX,
        "checked where it enters"
    );
    Key::space(Space::Offset)
        .part(consumer.as_bytes())
        .part(&topic.0)
        .part(&partition.to_be_bytes())
}

/// The topic id in the key of a position.
pub(crate) fn topic_of_position(key: &Key) -> Option<TopicId> {
    partition_of_position(key).ok().map(|(topic, _)| topic)
}
