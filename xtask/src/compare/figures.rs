//! The figures of one broker in one run, and the table of all pairs.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// What was measured of one broker; a lower figure is better in every row.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub(super) start_ms: f64,
    pub(super) memory_start_mib: f64,
    pub(super) produce_1m: f64,
    pub(super) produce_16k: f64,
    pub(super) fetch: f64,
    pub(super) ack_p50_ms: f64,
    pub(super) ack_p99_ms: f64,
    pub(super) end_to_end_p50_ms: f64,
    pub(super) end_to_end_p99_ms: f64,
    pub(super) cpu_us_record: f64,
    pub(super) memory_load_mib: f64,
}

type Row = (&'static str, fn(&Figures) -> f64);

const ROWS: [Row; 11] = [
    ("exec to first acknowledged record, ms", |f| f.start_ms),
    ("memory at start, MiB", |f| f.memory_start_mib),
    ("produce, 1 MiB batches, CPU-s/GiB", |f| f.produce_1m),
    ("produce, 16 KiB batches, CPU-s/GiB", |f| f.produce_16k),
    ("fetch from cache, CPU-s/GiB", |f| f.fetch),
    ("single records, ack p50, ms", |f| f.ack_p50_ms),
    ("single records, ack p99, ms", |f| f.ack_p99_ms),
    ("single records, end to end p50, ms", |f| {
        f.end_to_end_p50_ms
    }),
    ("single records, end to end p99, ms", |f| {
        f.end_to_end_p99_ms
    }),
    ("single records, CPU µs a record (in and out)", |f| {
        f.cpu_us_record
    }),
    ("peak memory after all loads, MiB", |f| f.memory_load_mib),
];

/// Machine, kernel, versions and commit: what a figure must carry.
pub(super) fn heading(ottla: &Path, kafka: Option<&str>) -> Result<String, String> {
    let says = |program: &Path, arguments: &[&str]| -> Result<String, String> {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(crate::root())
            .output()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: "));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    Ok(format!(
        "{} · commit {}{} · {} × {cores} · Linux {}",
        says(ottla, &["--version"])?,
        says(Path::new("git"), &["rev-parse", "--short", "HEAD"])?,
        kafka.map_or_else(String::new, |version| format!(" · Kafka {version}")),
        processor.unwrap_or("unknown processor"),
        says(Path::new("uname"), &["-r"])?,
    ))
}

/// Median of each figure and of the ratios, with the smallest and the largest ratio.
pub(super) fn table(pairs: &[(Figures, Figures)]) -> String {
    let mut text = String::from(
        "| Figure | ottla | Kafka | Kafka/ottla, median | min–max |\n|---|---|---|---|---|\n",
    );
    for (name, figure) in ROWS {
        let ottla = sorted(pairs.iter().map(|(ottla, _)| figure(ottla)));
        let kafka = sorted(pairs.iter().map(|(_, kafka)| figure(kafka)));
        let ratios = sorted(
            pairs
                .iter()
                .map(|(ottla, kafka)| figure(kafka) / figure(ottla)),
        );
        let (least, most) = (ratios.first().copied(), ratios.last().copied());
        let row = writeln!(
            text,
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2}–{:.2} |",
            median(&ottla),
            median(&kafka),
            median(&ratios),
            least.unwrap_or_default(),
            most.unwrap_or_default()
        );
        row.expect("a String takes every write");
    }
    text
}

pub(super) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

pub(super) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) && middle > 0 {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted.get(middle).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    //! Medians and ratios.

    use super::{Figures, median, table};

    #[test]
    fn medians() {
        assert!((median(&[1.0, 2.0, 9.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[1.0, 2.0, 4.0, 9.0]) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_ratio_is_taken_pair_by_pair() {
        let figures = |start_ms| Figures {
            start_ms,
            ..Figures::default()
        };
        let pairs = [
            (figures(1.0), figures(10.0)),
            (figures(2.0), figures(10.0)),
            (figures(4.0), figures(10.0)),
        ];
        let text = table(&pairs);
        assert!(
            text.contains("| 2.00 | 10.00 | 5.00 | 2.50–10.00 |"),
            "{text}"
        );
    }
}
