//! MirrorMaker 2 between Apache Kafka and the broker under test, in both directions.
//!
//! What must be true stands in `conformance/frameworks/src/Mirrored.java`: equal records, and a group's
//! position translated to where it is.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{World, jvm};
use crate::conformance::broker::Broker;
use crate::conformance::options::Target;

const RECORDS: &str = "4000";
const LIMIT: Duration = Duration::from_mins(5);

/// Mirrors one topic each way.
pub(super) fn run(world: &World) -> Result<String, String> {
    let folder = TempDir::with_prefix("mirror-").map_err(|error| error.to_string())?;
    let kafka = Broker::start(&world.places, &Target::Kafka)?;
    let broker = world.broker()?;
    let properties = folder.path().join("mirror.properties");
    write(&properties, &settings(&kafka.address, &broker.address))?;
    let mut mirror_maker = jvm::java(
        &world.places,
        "512m",
        "org.apache.kafka.connect.mirror.MirrorMaker",
    );
    mirror_maker.arg(&properties);
    let running = jvm::Program::start(mirror_maker, &world.places.cache.join("mirror.log"))?;
    let mut said = String::new();
    let ways = [
        ("kafka", &kafka, &broker, "orders"),
        ("under-test", &broker, &kafka, "payments"),
    ];
    for (alias, source, target, topic) in ways {
        let mut mirrored = jvm::java(&world.places, "256m", "Mirrored");
        mirrored.args([&source.address, alias, &target.address, topic, "billing"]);
        mirrored.arg(RECORDS);
        let found = jvm::finish(mirrored, LIMIT)
            .map_err(|reason| format!("from {alias}: {reason}\n{}", running.said()))?;
        let _ = write!(said, "from {alias}: {}; ", found.trim().replace('\n', "; "));
    }
    Ok(said.trim_end_matches("; ").to_owned())
}

fn settings(kafka: &str, under_test: &str) -> String {
    let mut all = format!(
        "clusters=kafka,under-test
kafka.bootstrap.servers={kafka}
under-test.bootstrap.servers={under_test}
kafka->under-test.enabled=true
under-test->kafka.enabled=true
kafka->under-test.topics=orders
under-test->kafka.topics=payments
groups=billing
offset.lag.max=0
"
    );
    for of in [
        "replication.factor",
        "checkpoints.topic.replication.factor",
        "heartbeats.topic.replication.factor",
        "offset-syncs.topic.replication.factor",
        "config.storage.replication.factor",
        "offset.storage.replication.factor",
        "status.storage.replication.factor",
        "refresh.topics.interval.seconds",
        "refresh.groups.interval.seconds",
        "emit.checkpoints.interval.seconds",
        "emit.heartbeats.interval.seconds",
        "sync.topic.configs.interval.seconds",
        "sync.topic.acls.interval.seconds",
        "sync.group.offsets.interval.seconds",
    ] {
        let _ = writeln!(all, "{of}=1");
    }
    all.push_str("sync.group.offsets.enabled=true\noffset.flush.interval.ms=500\n");
    all
}

#[expect(
    clippy::disallowed_methods,
    reason = "a temporary file of a developer's tool"
)]
pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
