//! Figures of one broker in one run, and the tables over all pairs.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use super::Pair;
use super::svg::Series;

/// One number. A lower one is better, unless its name says what is better.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    /// What it is, with its unit.
    pub(super) name: String,
    /// In a curve: where on the axis.
    pub(super) at: Option<u32>,
    pub(super) value: f64,
}

/// A figure that is no point of a curve.
pub(super) fn figure(name: impl Into<String>, value: f64) -> Figure {
    Figure {
        name: name.into(),
        at: None,
        value,
    }
}

/// All figures of a run on one line.
pub(super) fn raw(figures: &[Figure]) -> String {
    let words = figures.iter().map(|figure| {
        let at = figure.at.map_or_else(String::new, |at| format!(" at {at}"));
        format!("{}{at} = {}", figure.name, figure.value)
    });
    words.collect::<Vec<_>>().join("; ")
}

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
        "{} · commit {}{}{} · {} × {cores} · Linux {} · {}",
        says(ottla, &["--version"])?,
        says(Path::new("git"), &["rev-parse", "--short", "HEAD"])?,
        if says(Path::new("git"), &["status", "--porcelain"])?.is_empty() {
            ""
        } else {
            " with changes"
        },
        kafka.map_or_else(String::new, |version| format!(" · Kafka {version}")),
        processor.unwrap_or("unknown processor"),
        says(Path::new("uname"), &["-r"])?,
        file_system(),
    ))
}

/// The file system of the directory that brokers write to, as mount(8) names it.
fn file_system() -> String {
    let directory = std::env::temp_dir();
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let holding = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (at, kind) = (words.next()?, words.next()?);
        directory.starts_with(at).then_some((at.len(), kind))
    });
    // The longest mount point is the one that counts.
    let nearest = holding.max_by_key(|(length, _)| *length);
    nearest
        .map_or("unknown file system", |(_, kind)| kind)
        .to_owned()
}

/// The values of a figure in all runs of one broker, sorted.
fn values<'a>(runs: impl Iterator<Item = &'a Vec<Figure>>, of: &Figure) -> Vec<f64> {
    let found = runs.filter_map(|run| run.iter().find(|it| it.name == of.name && it.at == of.at));
    sorted(found.map(|figure| figure.value))
}

/// Median of each figure and of the ratios, with the smallest and the largest ratio; of ottla alone,
/// with the smallest and the largest value.
pub(super) fn table(pairs: &[Pair]) -> String {
    let with_kafka = pairs.iter().any(|(_, kafka)| kafka.is_some());
    let mut text = String::from(if with_kafka {
        "| Figure | ottla | Kafka | Kafka/ottla, median | min–max |\n|---|--:|--:|--:|---|\n"
    } else {
        "| Figure | ottla, median | min–max |\n|---|--:|---|\n"
    });
    let Some((first, _)) = pairs.first() else {
        return text;
    };
    for figure in first {
        let at = figure
            .at
            .map_or_else(String::new, |at| format!(", at {at}"));
        let ottla = values(pairs.iter().map(|(ottla, _)| ottla), figure);
        write!(text, "| {}{at} | {:.2} |", figure.name, median(&ottla)).expect(WRITES);
        let mut spread = ottla;
        if with_kafka {
            let kafka = values(pairs.iter().filter_map(|(_, kafka)| kafka.as_ref()), figure);
            spread = sorted(pairs.iter().filter_map(|(ottla, kafka)| {
                let ottla = values(std::iter::once(ottla), figure);
                let kafka = values(kafka.iter(), figure);
                Some(kafka.first()? / ottla.first()?)
            }));
            write!(text, " {:.2} | {:.2} |", median(&kafka), median(&spread)).expect(WRITES);
        }
        let (least, most) = (spread.first(), spread.last());
        let (least, most) = least.zip(most).unwrap_or((&0.0, &0.0));
        writeln!(text, " {least:.2}–{most:.2} |").expect(WRITES);
    }
    text
}

/// The medians of a curve, figure by figure.
pub(super) fn curves(pairs: &[Pair]) -> Vec<Series> {
    let mut curves: Vec<Series> = Vec::new();
    let first = pairs.first().map(|(ottla, _)| ottla.as_slice());
    for figure in first.unwrap_or_default() {
        let Some(at) = figure.at else { continue };
        let ottla = median(&values(pairs.iter().map(|(ottla, _)| ottla), figure));
        let kafka = values(pairs.iter().filter_map(|(_, kafka)| kafka.as_ref()), figure);
        let point = (at, ottla, (!kafka.is_empty()).then(|| median(&kafka)));
        match curves.iter_mut().find(|curve| curve.name == figure.name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Series {
                name: figure.name.clone(),
                points: vec![point],
            }),
        }
    }
    curves
}

/// Why writing to a `String` cannot fail.
pub(super) const WRITES: &str = "a String takes every write";

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

    use super::{Figure, Pair, Series, curves, figure, median, table};

    #[test]
    fn medians() {
        assert!((median(&[1.0, 2.0, 9.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[1.0, 2.0, 4.0, 9.0]) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_ratio_is_taken_pair_by_pair() {
        let run = |value| vec![figure("start, ms", value)];
        let pairs: Vec<Pair> = [(1.0, 10.0), (2.0, 10.0), (4.0, 10.0)]
            .map(|(ottla, kafka)| (run(ottla), Some(run(kafka))))
            .to_vec();
        let text = table(&pairs);
        let row = "| start, ms | 2.00 | 10.00 | 5.00 | 2.50–10.00 |";
        assert!(text.contains(row), "{text}");
        let alone: Vec<Pair> = pairs.into_iter().map(|(ottla, _)| (ottla, None)).collect();
        let text = table(&alone);
        assert!(text.contains("| start, ms | 2.00 | 1.00–4.00 |"), "{text}");
    }

    #[test]
    fn a_curve_is_made_of_the_medians_at_its_places() {
        let at = |place, value| Figure {
            at: Some(place),
            ..figure("MiB/s", value)
        };
        let pairs: Vec<Pair> = [1.0, 2.0, 9.0]
            .map(|value| {
                (
                    vec![at(1, value), at(10, value * 2.0)],
                    Some(vec![at(1, 5.0)]),
                )
            })
            .to_vec();
        let curve = Series {
            name: "MiB/s".to_owned(),
            points: vec![(1, 2.0, Some(5.0)), (10, 4.0, None)],
        };
        assert_eq!(curves(&pairs), [curve]);
    }
}
