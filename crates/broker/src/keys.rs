//! The keys under which the broker keeps its state: one function for each space.
//!
//! | Space | Parts after the space byte |
//! |---|---|
//! | topic (1) | name |
//! | deletion (2) | topic id, 16 bytes |
//! | node (3) | `cluster-id`, or `configs` and a node id, empty for every node |
//! | producer ids (4) | none |
//! | offset (5) | consumer (group), topic id, partition as u32 |
//!
//! Each part carries its length (see [`Key`]), so that no id imitates another.

use storage::{Key, Space, TopicId, TopicName};

/// The longest name of a consumer, in bytes: a Kafka string counts its bytes in an i16.
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

pub(crate) fn producer_ids() -> Key {
    Key::space(Space::ProducerIds)
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
    let parts = key.parts()?;
    let [_, id, _] = parts.as_slice() else {
        return None;
    };
    id.as_ref().try_into().ok().map(TopicId)
}
