//! What a GiB costs, in and out, and what a start costs.

use super::{PARTITIONS, on_fresh, warm};
use crate::compare::Plan;
use crate::compare::bench::{Told, bench};
use crate::compare::broker::{Broker, Kind};
use crate::compare::figures::{Figure, figure};

pub(super) fn start(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        Ok(vec![
            figure("exec to first acknowledged record, ms", broker.first_ack_ms),
            figure("memory then, MiB", broker.memory_mib()?),
        ])
    })
}

pub(super) fn throughput(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        warm(broker, plan)?;
        let (large, large_cpu) = write(broker, plan, "large", (1024, "--batch-size 1MiB"))?;
        let (small, small_cpu) = write(broker, plan, "small", (256, "--batch-size 16KiB"))?;
        let read = format!(
            "consume --topic large --duration 1h --volume {}",
            plan.volume(2048)
        );
        let (out, out_cpu) = broker.cpu_seconds(|| bench(plan, broker, &read))?;
        Ok(vec![
            figure("1 MiB batches in, CPU-s/GiB", large_cpu / large.gib()),
            figure("16 KiB batches in, CPU-s/GiB", small_cpu / small.gib()),
            figure("out from the page cache, CPU-s/GiB", out_cpu / out.gib()),
            figure("1 MiB batches in, s/GiB", large.seconds() / large.gib()),
            figure("16 KiB batches in, s/GiB", small.seconds() / small.gib()),
            figure("out, s/GiB", out.seconds() / out.gib()),
            figure("client while reading, cores", out.client_cores()),
            figure("peak memory, MiB", broker.memory_peak_mib()?),
        ])
    })
}

pub(super) fn small_records(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        warm(broker, plan)?;
        let (kib, kib_cpu) = write(broker, plan, "kib", (1024, "--batch-size 1MiB"))?;
        let shape = "--size 100 --batch-size 1MiB";
        let (hundred, hundred_cpu) = write(broker, plan, "hundred", (1024, shape))?;
        let (kib_cost, hundred_cost) = (kib_cpu / kib.gib(), hundred_cpu / hundred.gib());
        Ok(vec![
            figure("1 KiB records, CPU-s/GiB", kib_cost),
            figure("100-byte records, CPU-s/GiB", hundred_cost),
            figure("100-byte to 1 KiB records", hundred_cost / kib_cost),
            figure(
                "100-byte records, CPU-s a million",
                hundred_cpu * 1e6 / hundred.records(),
            ),
        ])
    })
}

pub(super) fn compressed(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        warm(broker, plan)?;
        let mut figures = Vec::new();
        for codec in ["none", "lz4", "zstd"] {
            let shape = format!("--batch-size 1MiB -z {codec}");
            let (told, cpu) = write(broker, plan, codec, (512, &shape))?;
            // Values of 1 KiB.
            let records_gib = told.records() / f64::from(1 << 20);
            let name = |what: &str| format!("{codec}, CPU-s a GiB {what}");
            figures.push(figure(name("on the wire"), cpu / told.gib()));
            figures.push(figure(name("of records"), cpu / records_gib));
        }
        Ok(figures)
    })
}

/// Writes so many MiB, 8 requests in flight: what the load told and the broker's CPU seconds.
pub(super) fn write(
    broker: &Broker,
    plan: &Plan,
    topic: &str,
    (mebibytes, shape): (u64, &str),
) -> Result<(Told, f64), String> {
    broker.topic(topic, PARTITIONS, &[])?;
    let words = format!(
        "produce --topic {topic} --in-flight 8 --clients 1 --duration 1h --volume {} {shape}",
        plan.volume(mebibytes)
    );
    broker.cpu_seconds(|| bench(plan, broker, &words))
}
