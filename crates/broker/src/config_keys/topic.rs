//! The 37 topic configs of Kafka 4.4, sorted by name.
//!
//! Names, types, ranges and defaults are Kafka's (class `LogConfig` of its storage jar), except
//! `segment.bytes` (128 MiB here) and the pinned ones, whose default is what the broker does.

use super::{ConfigKey, ConfigKind, ConfigScope, Rule};

type Typed = (ConfigKind, Rule);

const BOOLEAN: Typed = (ConfigKind::Boolean, Rule::Any);
const REPLICAS: Typed = (ConfigKind::List, Rule::Replicas);

const INT_MAX: i64 = 2_147_483_647;
/// Kafka's largest array.
const ARRAY_BYTES_MAX: i64 = 2_147_483_639;
pub(super) const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
pub(super) const POLICIES: &[&str] = &["compact", "delete"];
pub(super) const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];

pub(super) const SYNC: &str = "a sync interval besides --durability is not built yet";
const TIERING: &str = "tiered storage is not built yet";

const fn int(least: i64) -> Typed {
    (ConfigKind::Int, Rule::Range(least, INT_MAX))
}

const fn long(least: i64) -> Typed {
    (ConfigKind::Long, Rule::Range(least, i64::MAX))
}

const fn key(
    name: &'static str,
    typed: Typed,
    default: &'static str,
    documentation: &'static str,
) -> ConfigKey {
    ConfigKey::new(
        ConfigScope::Topic,
        name,
        typed,
        Some(default),
        documentation,
    )
}

/// All of them.
pub const TOPIC_KEYS: &[ConfigKey] = &[
    key(
        "cleanup.policy",
        (ConfigKind::List, Rule::ListOf(POLICIES)),
        "delete",
        "How old records go: by age and size (delete), or all but the newest of each key (compact).",
    )
    .inherits("log.cleanup.policy"),
    key(
        "compression.gzip.level",
        (ConfigKind::Int, Rule::RangeOr(1, 9, -1)),
        "-1",
        "The gzip level where compression.type is gzip.",
    )
    .inherits("compression.gzip.level"),
    key(
        "compression.lz4.level",
        (ConfigKind::Int, Rule::Range(1, 17)),
        "9",
        "The lz4 level where compression.type is lz4.",
    )
    .inherits("compression.lz4.level"),
    key(
        "compression.type",
        (ConfigKind::String, Rule::OneOf(CODECS)),
        "producer",
        "The codec of stored batches; producer keeps what the producer chose.",
    )
    .inherits("compression.type"),
    key(
        "compression.zstd.level",
        (ConfigKind::Int, Rule::Range(-131_072, 22)),
        "3",
        "The zstd level where compression.type is zstd.",
    )
    .inherits("compression.zstd.level"),
    key(
        "delete.retention.ms",
        long(0),
        "86400000",
        "How long compaction keeps tombstones.",
    )
    .inherits("log.cleaner.delete.retention.ms"),
    key(
        "errors.deadletterqueue.group.enable",
        BOOLEAN,
        "false",
        "Whether share groups may use the topic for records that could not be processed.",
    )
    .pinned("dead letter queues are not built yet"),
    key(
        "file.delete.delay.ms",
        long(0),
        "60000",
        "How long the files of a removed segment stay, under names that end in .deleted.",
    )
    .inherits("log.segment.delete.delay.ms"),
    key(
        "flush.messages",
        long(1),
        "9223372036854775807",
        "Sync at least after this many records; the broker's durability may do it oftener.",
    )
    .inherits("log.flush.interval.messages")
    .sync_interval(SYNC),
    key(
        "flush.ms",
        long(0),
        "9223372036854775807",
        "Sync at least after this time; the broker's durability may do it oftener.",
    )
    .inherits("log.flush.interval.ms")
    .sync_interval(SYNC),
    key(
        "follower.replication.throttled.replicas",
        REPLICAS,
        "",
        "Followers whose replication is slowed; one broker has none.",
    )
    .idle(),
    key(
        "index.interval.bytes",
        int(0),
        "4096",
        "Bytes of log between two entries of the offset index.",
    )
    .inherits("log.index.interval.bytes"),
    key(
        "leader.replication.throttled.replicas",
        REPLICAS,
        "",
        "Leaders whose replication is slowed; one broker has none.",
    )
    .idle(),
    key(
        "local.retention.bytes",
        long(-2),
        "-2",
        "Bytes kept on the local disk of a tiered topic.",
    )
    .inherits("log.local.retention.bytes")
    .idle(),
    key(
        "local.retention.ms",
        long(-2),
        "-2",
        "How long a tiered topic stays on the local disk.",
    )
    .inherits("log.local.retention.ms")
    .idle(),
    key(
        "max.compaction.lag.ms",
        long(1),
        "9223372036854775807",
        "The longest time that compaction may leave a record alone.",
    )
    .inherits("log.cleaner.max.compaction.lag.ms"),
    key(
        "max.decompressed.message.bytes",
        (ConfigKind::Int, Rule::Range(1, ARRAY_BYTES_MAX)),
        "2147483639",
        "The most that a batch may unpack to.",
    )
    .inherits("max.decompressed.message.bytes")
    .pinned("unpacking every batch at produce time is not built yet"),
    key(
        "max.message.bytes",
        int(0),
        "1048588",
        "The largest batch, as it is sent.",
    )
    .inherits("message.max.bytes"),
    key(
        "message.timestamp.after.max.ms",
        long(0),
        "3600000",
        "How far a timestamp may lie ahead of the broker's clock (with CreateTime).",
    )
    .inherits("log.message.timestamp.after.max.ms"),
    key(
        "message.timestamp.before.max.ms",
        long(0),
        "9223372036854775807",
        "How far a timestamp may lie behind the broker's clock (with CreateTime).",
    )
    .inherits("log.message.timestamp.before.max.ms"),
    key(
        "message.timestamp.type",
        (ConfigKind::String, Rule::OneOf(TIMESTAMP_TYPES)),
        "CreateTime",
        "Whose time records carry: the producer's (CreateTime) or the broker's (LogAppendTime).",
    )
    .inherits("log.message.timestamp.type"),
    key(
        "min.cleanable.dirty.ratio",
        (ConfigKind::Double, Rule::Fraction(0.0, 1.0)),
        "0.5",
        "The share of a log that must be new before compaction takes it.",
    )
    .inherits("log.cleaner.min.cleanable.ratio"),
    key(
        "min.compaction.lag.ms",
        long(0),
        "0",
        "The shortest time that compaction leaves a record alone.",
    )
    .inherits("log.cleaner.min.compaction.lag.ms"),
    key(
        "min.insync.replicas",
        int(1),
        "1",
        "Copies that must hold a record before acks=all is answered; at most as many as there are.",
    )
    .inherits("min.insync.replicas"),
    key("preallocate", BOOLEAN, "false", "Whether a new segment gets its full size at once.")
        .inherits("log.preallocate")
        .pinned("preallocating segments is not built"),
    key(
        "remote.copy.lag.bytes",
        long(-1),
        "-1",
        "Bytes that a tiered topic may hold back from the remote store.",
    )
    .inherits("log.remote.copy.lag.bytes")
    .idle(),
    key(
        "remote.copy.lag.ms",
        long(-1),
        "0",
        "How long a tiered topic may hold records back from the remote store.",
    )
    .inherits("log.remote.copy.lag.ms")
    .idle(),
    key(
        "remote.log.copy.disable",
        BOOLEAN,
        "false",
        "Whether a tiered topic stops copying to the remote store.",
    )
    .idle(),
    key(
        "remote.log.delete.on.disable",
        BOOLEAN,
        "false",
        "Whether remote data goes when tiering is switched off for the topic.",
    )
    .idle(),
    key("remote.storage.enable", BOOLEAN, "false", "Whether the topic is tiered.").pinned(TIERING),
    key(
        "retention.bytes",
        (ConfigKind::Long, Rule::Any),
        "-1",
        "Bytes kept in each partition, to one segment; -1 keeps all.",
    )
    .inherits("log.retention.bytes"),
    key(
        "retention.ms",
        long(-1),
        "604800000",
        "How long records are kept, to one segment, by their timestamps; -1 keeps them for ever.",
    )
    .inherits("log.retention.ms"),
    key(
        "segment.bytes",
        int(1_048_576),
        "134217728",
        "A segment is full before the batch that would exceed this.",
    )
    .inherits("log.segment.bytes"),
    key(
        "segment.index.bytes",
        int(4),
        "10485760",
        "The largest offset index; a segment's index stays below it at the usual intervals.",
    )
    .inherits("log.index.size.max.bytes")
    .pinned("rolling a segment by the size of its index is not built yet"),
    key(
        "segment.jitter.ms",
        long(0),
        "0",
        "A random time taken off segment.ms, so that segments do not roll all at once.",
    )
    .inherits("log.roll.jitter.ms")
    .pinned("jitter of segment.ms is not built yet"),
    key(
        "segment.ms",
        long(1),
        "604800000",
        "A segment older than this is followed by a new one at the next append.",
    )
    .inherits("log.roll.ms"),
    key(
        "unclean.leader.election.enable",
        BOOLEAN,
        "false",
        "Whether a copy that lags may lead; one broker has no copies.",
    )
    .inherits("unclean.leader.election.enable")
    .idle(),
];

/// Kafka 4.4 has as many.
const _: () = assert!(TOPIC_KEYS.len() == 37);
