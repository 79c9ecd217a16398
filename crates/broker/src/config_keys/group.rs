//! The configs of a single consumer group, sorted by name.
//!
//! Names, types and defaults are Kafka's (class `GroupConfig` of its group coordinator jar). Those of
//! share groups and of groups of Streams are not here: there are no such groups.

use super::{ConfigKey, ConfigKind, ConfigScope, Rule};

const INT_MAX: i64 = 2_147_483_647;

const fn key(
    name: &'static str,
    least: i64,
    default: &'static str,
    documentation: &'static str,
) -> ConfigKey {
    ConfigKey::new(
        ConfigScope::Group,
        name,
        (ConfigKind::Int, Rule::Range(least, INT_MAX)),
        Some(default),
        documentation,
    )
}

/// All of them.
pub const GROUP_KEYS: &[ConfigKey] = &[
    key(
        "consumer.assignment.interval.ms",
        0,
        "0",
        "How long the assignments of a group stay at least before they may change again.",
    )
    .pinned("holding assignments back is not built"),
    key(
        "consumer.heartbeat.interval.ms",
        1,
        "5000",
        "How often members of the consumer protocol give a sign of life in this group.",
    )
    .inherits("group.consumer.heartbeat.interval.ms"),
    key(
        "consumer.session.timeout.ms",
        1,
        "45000",
        "After how long without a sign of life a member of the consumer protocol is out of this group.",
    )
    .inherits("group.consumer.session.timeout.ms"),
];
