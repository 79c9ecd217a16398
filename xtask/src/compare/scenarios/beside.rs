//! A load at a fixed rate, quiet and beside something that must not disturb it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{Advice, fadvise};

use super::throughput::write;
use super::{PARTITIONS, on_fresh, warm};
use crate::compare::Plan;
use crate::compare::bench::{Told, bench};
use crate::compare::broker::{Broker, Kind};
use crate::compare::figures::{Figure, figure};

/// How often the cold files are made cold again.
const EMPTIED_EVERY: Duration = Duration::from_millis(100);

/// 5,000 single records a second to a topic with these configs.
fn steady(
    broker: &Broker,
    plan: &Plan,
    topic: &str,
    configs: &[(&str, &str)],
) -> Result<Told, String> {
    broker.topic(topic, PARTITIONS, configs)?;
    let seconds = plan.seconds(10);
    let words = format!("produce --topic {topic} --rate 5000 --duration {seconds}s");
    bench(plan, broker, &words)
}

fn compared(quiet: &Told, beside: &Told, what: &str) -> Vec<Figure> {
    let p99 = |told: &Told| told.ms("acknowledged", "p99");
    let p999 = |told: &Told| told.ms("acknowledged", "p99_9");
    vec![
        figure("quiet, ack p99, ms", p99(quiet)),
        figure(format!("{what}, ack p99, ms"), p99(beside)),
        figure(
            format!("{what}, p99 to the quiet p99"),
            p99(beside) / p99(quiet),
        ),
        figure("quiet, ack p99.9, ms", p999(quiet)),
        figure(format!("{what}, ack p99.9, ms"), p999(beside)),
    ]
}

pub(super) fn rolls(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        warm(broker, plan)?;
        let quiet = steady(broker, plan, "quiet", &[])?;
        // The smallest segments that Kafka takes: a roll every 1.2 s in each partition.
        let rolling = steady(broker, plan, "rolling", &[("segment.bytes", "1048576")])?;
        Ok(compared(&quiet, &rolling, "rolling"))
    })
}

pub(super) fn cold_reader(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        warm(broker, plan)?;
        write(broker, plan, "cold", (2048, "--batch-size 1MiB"))?;
        let quiet = steady(broker, plan, "quiet", &[])?;
        let done = AtomicBool::new(false);
        let seconds = plan.seconds(10) + 1;
        let read = format!("consume --topic cold --duration {seconds}s");
        let (beside, read) = std::thread::scope(|scope| {
            let emptying = scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    empty_caches(broker)?;
                    std::thread::sleep(EMPTIED_EVERY);
                }
                Ok::<_, String>(())
            });
            let reading = scope.spawn(|| bench(plan, broker, &read));
            let beside = steady(broker, plan, "beside", &[]);
            let read = reading.join().map_err(|_panic| "the reader panicked")?;
            done.store(true, Ordering::Release);
            emptying
                .join()
                .map_err(|_panic| "the emptying panicked")??;
            Ok::<_, String>((beside?, read?))
        })?;
        let mut figures = compared(&quiet, &beside, "beside a cold reader");
        let speed = read.gib() * 1024.0 / read.seconds();
        figures.push(figure("the cold reader, MiB/s (more is better)", speed));
        Ok(figures)
    })
}

/// Drops what the page cache holds of the files of the topic `cold`.
fn empty_caches(broker: &Broker) -> Result<(), String> {
    for partition in 0..PARTITIONS {
        let directory = broker.partition_directory("cold", partition);
        let said = |error: std::io::Error| format!("{}: {error}", directory.display());
        for entry in std::fs::read_dir(&directory).map_err(said)? {
            let path = entry.map_err(said)?.path();
            empty_cache(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

fn empty_cache(path: &Path) -> std::io::Result<()> {
    let file = std::fs::File::open(path)?;
    // Pages that are not on disk yet stay.
    file.sync_data()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}
