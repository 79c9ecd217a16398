//! The metrics page, in the OpenMetrics text format (version 1.0.0).

use std::fmt::Write;

use broker::Broker;

/// Media type of the page.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One line a metric; no series for each partition.
pub(crate) fn render(broker: &Broker) -> String {
    let counters = broker.counters();
    let topics = broker.topics();
    let partitions: u64 = topics
        .iter()
        .map(|topic| u64::from(topic.partition_count()))
        .sum();
    let counted = [
        (
            "ottla_messages_in",
            "Records written.",
            counters.messages_in.get(),
        ),
        (
            "ottla_bytes_in",
            "Bytes of record batches written.",
            counters.bytes_in.get(),
        ),
        (
            "ottla_bytes_out",
            "Bytes of record batches read.",
            counters.bytes_out.get(),
        ),
        (
            "ottla_produce_requests",
            "Appends, one for each partition.",
            counters.produce_requests.get(),
        ),
        (
            "ottla_produce_failures",
            "Appends refused.",
            counters.produce_failures.get(),
        ),
        (
            "ottla_fetch_requests",
            "Reads, one for each partition.",
            counters.fetch_requests.get(),
        ),
        (
            "ottla_fetch_failures",
            "Reads answered with an error.",
            counters.fetch_failures.get(),
        ),
        (
            "ottla_connections_accepted",
            "Connections accepted.",
            counters.connections_accepted.get(),
        ),
        (
            "ottla_panics",
            "Panics that ended one connection.",
            counters.panics.get(),
        ),
    ];
    let now = [
        (
            "ottla_connections",
            "Connections open.",
            counters.connections.get(),
        ),
        ("ottla_topics", "Topics.", topics.iter().count() as u64),
        ("ottla_partitions", "Partitions.", partitions),
    ];
    let mut page = String::new();
    for (name, help, value) in counted {
        let metric = format!("# HELP {name} {help}\n# TYPE {name} counter\n{name}_total {value}\n");
        page.push_str(&metric);
    }
    for (name, help, value) in now {
        let metric = writeln!(
            page,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
        );
        metric.expect("a String takes every write");
    }
    page.push_str("# EOF\n");
    page
}
