//! The metrics page, in the OpenMetrics text format (version 1.0.0).

use std::fmt::Write;

use broker::{Broker, Counters};

/// Media type of the page.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Counted = (&'static str, &'static str, fn(&Counters) -> u64);
type Measured = (&'static str, &'static str, fn(&Broker) -> u64);

/// Numbers that only grow: name, help, value.
const COUNTERS: [Counted; 9] = [
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

/// Numbers that go up and down: name, help, value.
const GAUGES: [Measured; 3] = [
    ("ottla_connections", "Connections open.", |b| {
        b.counters().connections.get()
    }),
    ("ottla_topics", "Topics.", |b| b.topics().len() as u64),
    ("ottla_partitions", "Partitions.", |b| {
        b.topics().partition_count()
    }),
];

/// One line a metric; no series for each partition.
pub(crate) fn render(broker: &Broker) -> String {
    let mut page = String::new();
    for (name, help, value) in COUNTERS {
        let value = value(broker.counters());
        let metric = writeln!(
            page,
            "# HELP {name} {help}\n# TYPE {name} counter\n{name}_total {value}"
        );
        metric.expect("a String takes every write");
    }
    for (name, help, value) in GAUGES {
        let value = value(broker);
        let metric = writeln!(
            page,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
        );
        metric.expect("a String takes every write");
    }
    page.push_str("# EOF\n");
    page
}
