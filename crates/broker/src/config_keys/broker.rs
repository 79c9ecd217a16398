//! The broker configs that mean something here, sorted by name.
//!
//! Defaults are what the process does when nobody sets them. A key of another part of the process
//! (listeners, directories, sockets, durability) is obeyed there; its value is handed to
//! `BrokerConfig::shown` to be seen.

use super::topic::{CODECS, POLICIES, SYNC, TIMESTAMP_TYPES};
use super::{ConfigKey, ConfigKind, ConfigScope, Rule};

type Typed = (ConfigKind, Rule);

const BOOLEAN: Typed = (ConfigKind::Boolean, Rule::Any);
const TEXT: Typed = (ConfigKind::String, Rule::Any);
const LIST: Typed = (ConfigKind::List, Rule::Any);

const INT_MAX: i64 = 2_147_483_647;

const fn int(least: i64) -> Typed {
    (ConfigKind::Int, Rule::Range(least, INT_MAX))
}

const fn long(least: i64) -> Typed {
    (ConfigKind::Long, Rule::Range(least, i64::MAX))
}

const fn null(name: &'static str, typed: Typed, documentation: &'static str) -> ConfigKey {
    ConfigKey::new(ConfigScope::Broker, name, typed, None, documentation)
}

const fn key(
    name: &'static str,
    typed: Typed,
    default: &'static str,
    documentation: &'static str,
) -> ConfigKey {
    ConfigKey::new(
        ConfigScope::Broker,
        name,
        typed,
        Some(default),
        documentation,
    )
}

/// All of them.
pub const BROKER_KEYS: &[ConfigKey] = &[
    null(
        "advertised.listeners",
        LIST,
        "The addresses that clients are told to connect to.",
    ),
    key(
        "auto.create.topics.enable",
        BOOLEAN,
        "true",
        "Whether a Kafka client that asks for a topic makes it.",
    ),
    key("broker.id", int(0), "1", "The older name of node.id."),
    null("broker.rack", TEXT, "Where the broker stands."),
    key(
        "compression.gzip.level",
        (ConfigKind::Int, Rule::RangeOr(1, 9, -1)),
        "-1",
        "The gzip level where compression.type is gzip.",
    ),
    key(
        "compression.lz4.level",
        (ConfigKind::Int, Rule::Range(1, 17)),
        "9",
        "The lz4 level where compression.type is lz4.",
    ),
    key(
        "compression.type",
        (ConfigKind::String, Rule::OneOf(CODECS)),
        "producer",
        "The codec of stored batches where a topic does not say.",
    ),
    key(
        "compression.zstd.level",
        (ConfigKind::Int, Rule::Range(-131_072, 22)),
        "3",
        "The zstd level where compression.type is zstd.",
    ),
    key(
        "connections.max.idle.ms",
        (ConfigKind::Long, Rule::Any),
        "600000",
        "A connection without a request for this long is closed.",
    ),
    key(
        "default.replication.factor",
        int(1),
        "1",
        "Copies of a topic whose creation names no number.",
    )
    .pinned("there is one broker"),
    key(
        "delete.topic.enable",
        BOOLEAN,
        "true",
        "Whether topics can be deleted.",
    )
    .pinned("forbidding deletion is not built yet"),
    key(
        "durability",
        TEXT,
        "fsync",
        "When an append is on disk: fsync (before it is answered), interval=N ms, or os.",
    ),
    key(
        "fetch.max.bytes",
        int(1024),
        "57671680",
        "The most that one fetch returns.",
    ),
    key(
        "group.consumer.assignors",
        (ConfigKind::List, Rule::ListOf(&["uniform", "range"])),
        "uniform,range",
        "The assignors that members of the consumer protocol may choose; the first is the default.",
    ),
    key(
        "group.consumer.heartbeat.interval.ms",
        int(1),
        "5000",
        "How often members of the consumer protocol give a sign of life.",
    ),
    key(
        "group.consumer.max.heartbeat.interval.ms",
        int(1),
        "15000",
        "The longest interval that a group may have of its own.",
    ),
    key(
        "group.consumer.max.session.timeout.ms",
        int(1),
        "60000",
        "The longest session timeout that a group may have of its own.",
    ),
    key(
        "group.consumer.max.size",
        int(1),
        "2147483647",
        "The most members of one group of the consumer protocol.",
    ),
    key(
        "group.consumer.migration.policy",
        (
            ConfigKind::String,
            Rule::OneOf(&["bidirectional", "upgrade", "downgrade", "disabled"]),
        ),
        "bidirectional",
        "Whether a group with members may go over from the classic to the consumer protocol and back.",
    ),
    key(
        "group.consumer.min.heartbeat.interval.ms",
        int(1),
        "5000",
        "The shortest interval that a group may have of its own.",
    ),
    key(
        "group.consumer.min.session.timeout.ms",
        int(1),
        "45000",
        "The shortest session timeout that a group may have of its own.",
    ),
    key(
        "group.consumer.session.timeout.ms",
        int(1),
        "45000",
        "After how long without a sign of life a member of the consumer protocol is out.",
    ),
    key(
        "group.initial.rebalance.delay.ms",
        int(0),
        "0",
        "How long a new group waits for more members before its first assignment.",
    ),
    key(
        "group.max.session.timeout.ms",
        int(1),
        "1800000",
        "The longest session timeout that a member of a group may ask for.",
    ),
    key(
        "group.max.size",
        int(1),
        "2147483647",
        "The most members of one group.",
    ),
    key(
        "group.min.session.timeout.ms",
        int(1),
        "6000",
        "The shortest session timeout that a member of a group may ask for.",
    ),
    key(
        "listeners",
        LIST,
        "PLAINTEXT://localhost:9092",
        "The addresses listened on.",
    ),
    key(
        "log.cleaner.backoff.ms",
        long(0),
        "15000",
        "How long compaction sleeps when no log is due.",
    ),
    key(
        "log.cleaner.dedupe.buffer.size",
        long(1_048_577),
        "134217728",
        "The memory that compaction may take, its buffers included; it is taken while it works.",
    ),
    key(
        "log.cleaner.delete.retention.ms",
        long(0),
        "86400000",
        "Where a topic does not say: delete.retention.ms.",
    ),
    key(
        "log.cleaner.enable",
        BOOLEAN,
        "true",
        "Whether topics with cleanup.policy=compact are compacted.",
    ),
    key(
        "log.cleaner.io.max.bytes.per.second",
        (ConfigKind::Double, Rule::Fraction(1.0, f64::MAX)),
        "1.7976931348623157E308",
        "How fast compaction reads and writes, both together.",
    ),
    key(
        "log.cleaner.max.compaction.lag.ms",
        long(1),
        "9223372036854775807",
        "Where a topic does not say: max.compaction.lag.ms.",
    ),
    key(
        "log.cleaner.min.cleanable.ratio",
        (ConfigKind::Double, Rule::Fraction(0.0, 1.0)),
        "0.5",
        "Where a topic does not say: min.cleanable.dirty.ratio.",
    ),
    key(
        "log.cleaner.min.compaction.lag.ms",
        long(0),
        "0",
        "Where a topic does not say: min.compaction.lag.ms.",
    ),
    key(
        "log.cleanup.policy",
        (ConfigKind::List, Rule::ListOf(POLICIES)),
        "delete",
        "Where a topic does not say: cleanup.policy.",
    ),
    null("log.dirs", LIST, "The data directory."),
    key(
        "log.flush.interval.messages",
        long(1),
        "9223372036854775807",
        "Where a topic does not say: flush.messages.",
    )
    .sync_interval(SYNC),
    key(
        "log.flush.interval.ms",
        long(0),
        "9223372036854775807",
        "Where a topic does not say: flush.ms.",
    )
    .sync_interval(SYNC)
    .null_until_set(),
    key(
        "log.index.interval.bytes",
        int(0),
        "4096",
        "Where a topic does not say: index.interval.bytes.",
    ),
    key(
        "log.index.size.max.bytes",
        int(4),
        "10485760",
        "Where a topic does not say: segment.index.bytes.",
    )
    .pinned("rolling a segment by the size of its index is not built yet"),
    key(
        "log.local.retention.bytes",
        long(-2),
        "-2",
        "Where a topic does not say: local.retention.bytes.",
    )
    .idle(),
    key(
        "log.local.retention.ms",
        long(-2),
        "-2",
        "Where a topic does not say: local.retention.ms.",
    )
    .idle(),
    key(
        "log.message.timestamp.after.max.ms",
        long(0),
        "3600000",
        "Where a topic does not say: message.timestamp.after.max.ms.",
    ),
    key(
        "log.message.timestamp.before.max.ms",
        long(0),
        "9223372036854775807",
        "Where a topic does not say: message.timestamp.before.max.ms.",
    ),
    key(
        "log.message.timestamp.type",
        (ConfigKind::String, Rule::OneOf(TIMESTAMP_TYPES)),
        "CreateTime",
        "Where a topic does not say: message.timestamp.type.",
    ),
    key(
        "log.preallocate",
        BOOLEAN,
        "false",
        "Where a topic does not say: preallocate.",
    )
    .pinned("preallocating segments is not built"),
    key(
        "log.remote.copy.lag.bytes",
        long(-1),
        "-1",
        "Where a topic does not say: remote.copy.lag.bytes.",
    )
    .idle(),
    key(
        "log.remote.copy.lag.ms",
        long(-1),
        "0",
        "Where a topic does not say: remote.copy.lag.ms.",
    )
    .idle(),
    key(
        "log.retention.bytes",
        (ConfigKind::Long, Rule::Any),
        "-1",
        "Where a topic does not say: retention.bytes.",
    ),
    key(
        "log.retention.check.interval.ms",
        long(1),
        "300000",
        "How often it is asked which records are too old or too many.",
    ),
    key(
        "log.retention.hours",
        (ConfigKind::Int, Rule::Any),
        "168",
        "log.retention.ms in hours, where neither that nor log.retention.minutes is set.",
    ),
    null(
        "log.retention.minutes",
        (ConfigKind::Int, Rule::Any),
        "log.retention.ms in minutes, where that is not set.",
    ),
    null(
        "log.retention.ms",
        long(-1),
        "Where a topic does not say: retention.ms.",
    ),
    key(
        "log.roll.jitter.ms",
        long(0),
        "0",
        "Where a topic does not say: segment.jitter.ms.",
    )
    .pinned("jitter of segment.ms is not built yet")
    .null_until_set(),
    key(
        "log.roll.ms",
        long(1),
        "604800000",
        "Where a topic does not say: segment.ms.",
    )
    .null_until_set(),
    key(
        "log.scrub.io.max.bytes.per.second",
        long(0),
        "4194304",
        "How fast stored records are read at most to find damage; 0 turns it off.",
    ),
    key(
        "log.segment.bytes",
        int(1_048_576),
        "134217728",
        "Where a topic does not say: segment.bytes.",
    ),
    key(
        "log.segment.delete.delay.ms",
        long(0),
        "60000",
        "Where a topic does not say: file.delete.delay.ms.",
    ),
    key(
        "max.connections",
        int(0),
        "2147483647",
        "The most connections at one time.",
    ),
    key(
        "max.decompressed.message.bytes",
        (ConfigKind::Int, Rule::Range(1, 2_147_483_639)),
        "2147483639",
        "The most that a batch may unpack to.",
    )
    .pinned("unpacking every batch at produce time is not built yet"),
    key(
        "max.incremental.fetch.session.cache.slots",
        int(0),
        "1000",
        "The most fetch sessions kept.",
    ),
    key(
        "message.max.bytes",
        int(0),
        "1048588",
        "Where a topic does not say: max.message.bytes.",
    ),
    key(
        "min.insync.replicas",
        int(1),
        "1",
        "Where a topic does not say: min.insync.replicas.",
    ),
    key("node.id", int(0), "1", "The number of this broker."),
    key(
        "num.partitions",
        int(1),
        "1",
        "Partitions of a topic whose creation names no number.",
    ),
    key(
        "offset.metadata.max.bytes",
        int(0),
        "4096",
        "The longest text beside a committed position.",
    ),
    key(
        "offsets.retention.check.interval.ms",
        long(1),
        "600000",
        "How often committed offsets that are too old are looked for.",
    ),
    key(
        "offsets.retention.minutes",
        int(1),
        "10080",
        "How long the offsets of a group without members are kept.",
    ),
    key(
        "producer.id.expiration.ms",
        int(1),
        "2147483647",
        "How long an idle producer is remembered, to know its duplicates.",
    )
    .pinned("forgetting idle producers is not built yet"),
    key(
        "socket.request.max.bytes",
        int(1),
        "104857600",
        "The largest request.",
    ),
    key(
        "unclean.leader.election.enable",
        BOOLEAN,
        "false",
        "Whether a copy that lags may lead; one broker has no copies.",
    )
    .idle(),
];
