//! The metrics page, in the OpenMetrics text format (version 1.0.0).

use std::fmt::{Display, Write};

use broker::{Broker, Counters, Lags};
use storage::{Deleted, Findings};

/// Media type of the page.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Name, help, value.
type Metric<T> = (&'static str, &'static str, fn(&T) -> u64);

/// Numbers that only grow.
const COUNTERS: [Metric<Counters>; 9] = [
    ("ottla_messages_in", "Records written.", |c| {
        c.messages_in.get()
    }),
    ("ottla_bytes_in", "Bytes of record batches written.", |c| {
        c.bytes_in.get()
    }),
    ("ottla_bytes_out", "Bytes of record batches read.", |c| {
        c.bytes_out.get()
    }),
    ("ottla_produce_requests", "Appends, one a partition.", |c| {
        c.produce_requests.get()
    }),
    ("ottla_produce_failures", "Appends refused.", |c| {
        c.produce_failures.get()
    }),
    ("ottla_fetch_requests", "Reads, one a partition.", |c| {
        c.fetch_requests.get()
    }),
    (
        "ottla_fetch_failures",
        "Reads answered with an error.",
        |c| c.fetch_failures.get(),
    ),
    ("ottla_connections_accepted", "Connections accepted.", |c| {
        c.connections_accepted.get()
    }),
    ("ottla_panics", "Panics that ended one connection.", |c| {
        c.panics.get()
    }),
];

/// Numbers that go up and down.
const GAUGES: [Metric<Broker>; 3] = [
    ("ottla_connections", "Connections open.", |b| {
        b.counters().connections.get()
    }),
    ("ottla_topics", "Topics.", |b| b.topics().len() as u64),
    ("ottla_partitions", "Partitions.", |b| {
        b.topics().partition_count()
    }),
];

/// What the store found and mended: numbers that only grow.
const MENDED: [Metric<Findings>; 10] = [
    (
        "ottla_repaired_heads",
        "Damaged heads of batches that reads repaired.",
        |f| f.repaired_heads,
    ),
    (
        "ottla_scrub_bytes",
        "Bytes of records that the scrub read.",
        |f| f.scrubbed_bytes,
    ),
    (
        "ottla_scrub_found_ranges",
        "Ranges of offsets that cannot be read and that the scrub was the first to find.",
        |f| f.scrub_found_ranges,
    ),
    (
        "ottla_recovery_scanned_bytes",
        "Bytes of records that recovery read.",
        |f| f.scanned_bytes,
    ),
    (
        "ottla_compaction_passes",
        "How often a log was compacted.",
        |f| f.compaction.passes,
    ),
    (
        "ottla_compaction_read_bytes",
        "Bytes of records that compaction read.",
        |f| f.compaction.read_bytes,
    ),
    (
        "ottla_compaction_written_bytes",
        "Bytes of records that compaction wrote anew.",
        |f| f.compaction.written_bytes,
    ),
    (
        "ottla_compaction_removed_records",
        "Records that compaction took out: another of their key is newer, or they were old tombstones.",
        |f| f.compaction.removed_records,
    ),
    (
        "ottla_compaction_failures",
        "How often compaction left something of a log as it is, because it could not be written anew.",
        |f| f.compaction.failures,
    ),
    (
        "ottla_recovery_cut_bytes",
        "Bytes that recovery cut from logs.",
        |f| f.cut_bytes,
    ),
];

/// What the store found and cannot mend.
const LOST: [Metric<Findings>; 4] = [
    (
        "ottla_clock_jumped",
        "1 while the clock is not believed, and no record is deleted by its age.",
        |f| u64::from(f.clock_jumped),
    ),
    (
        "ottla_quarantined_ranges",
        "Ranges of offsets that cannot be read and nobody accepted, in the partitions recovered or used since the start.",
        |f| f.quarantined_ranges,
    ),
    (
        "ottla_quarantined_records",
        "Offsets in these ranges.",
        |f| f.quarantined_records,
    ),
    (
        "ottla_scrub_last_pass_timestamp_seconds",
        "When the scrub last came to the end of all logs; 0: not since the start.",
        |f| {
            f.scrub_passed_at_ms
                .map_or(0, |ms| ms.div_euclid(1000).max(0).unsigned_abs())
        },
    ),
];

/// What was deleted: numbers that only grow, for each reason.
const DELETED: [Metric<Deleted>; 2] = [
    (
        "ottla_deleted_segments",
        "Files of records that went, because of their age, the size of their log, or a request.",
        |d| d.segments,
    ),
    ("ottla_deleted_bytes", "Bytes of records in them.", |d| {
        d.size_bytes
    }),
];

const RECOVERED: &str = "ottla_recovery_findings";

/// One line a metric, one for each label of recovery, and what groups have committed; no series
/// for each partition.
pub(crate) fn render(broker: &Broker, lags: &Lags) -> String {
    let findings = broker.findings();
    let mut page = String::new();
    counters(&mut page, &COUNTERS, broker.counters());
    gauges(&mut page, &GAUGES, broker);
    counters(&mut page, &MENDED, &findings);
    gauges(&mut page, &LOST, &findings);
    head(
        &mut page,
        (RECOVERED, "What recovery met, by label."),
        "counter",
    );
    for (label, count) in &findings.recovered {
        let name = format!("{RECOVERED}_total{{label=\"{label}\"}}");
        line(&mut page, &name, *count);
    }
    for (name, help, value) in DELETED {
        head(&mut page, (name, help), "counter");
        for (reason, deleted) in &findings.deleted {
            let name = format!("{name}_total{{reason=\"{reason}\"}}");
            line(&mut page, &name, value(deleted));
        }
    }
    crate::group_metrics::render(&mut page, lags);
    page.push_str("# EOF\n");
    page
}

fn counters<T>(page: &mut String, metrics: &[Metric<T>], of: &T) {
    for (name, help, value) in metrics {
        head(page, (name, help), "counter");
        line(page, &format!("{name}_total"), value(of));
    }
}

fn gauges<T>(page: &mut String, metrics: &[Metric<T>], of: &T) {
    for (name, help, value) in metrics {
        head(page, (name, help), "gauge");
        line(page, name, value(of));
    }
}

pub(crate) fn head(page: &mut String, (name, help): (&str, &str), kind: &str) {
    let head = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
    head.expect("a String takes every write");
}

pub(crate) fn line(page: &mut String, name: &str, value: impl Display) {
    let line = writeln!(page, "{name} {value}");
    line.expect("a String takes every write");
}
