//! Single records at a fixed rate.

use super::{on_fresh, warm};
use crate::compare::Plan;
use crate::compare::bench::bench;
use crate::compare::broker::Kind;
use crate::compare::figures::{Figure, figure};

pub(super) fn latency(kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    on_fresh(kind, plan, |broker| {
        warm(broker, plan)?;
        let words = format!("e2e --rate 10000 --duration {}s", plan.seconds(10));
        let (told, cpu) = broker.cpu_seconds(|| bench(plan, broker, &words))?;
        let mut figures = Vec::new();
        for (name, of) in [("ack", "acknowledged"), ("end to end", "end_to_end")] {
            for (quantile, key) in [("p50", "p50"), ("p99", "p99"), ("p99.9", "p99_9")] {
                let name = format!("{name} {quantile}, ms");
                figures.push(figure(name, told.ms(of, key)));
            }
        }
        let each = cpu * 1e6 / told.records();
        figures.push(figure("CPU µs a record, in and out", each));
        figures.push(figure("client, cores", told.client_cores()));
        figures.push(figure("peak memory, MiB", broker.memory_peak_mib()?));
        Ok(figures)
    })
}
