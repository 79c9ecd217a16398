//! The picture of a curve: one panel for each figure, a line for each broker.
//!
//! Places stand at equal distances, whatever their values; every panel begins at 0.

use std::fmt::Write;

use super::figures::WRITES;

/// Points of one figure: place, ottla, and Kafka where it was measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(u32, f64, Option<f64>)>,
}

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 260.0;
/// Room around the lines of a panel: left, right, top, bottom.
const MARGINS: (f64, f64, f64, f64) = (56.0, 24.0, 40.0, 44.0);
const OTTLA: &str = "#c2410c";
const KAFKA: &str = "#475569";
const GRID_LINES: u32 = 4;

/// The whole picture; `axis` says what the places are.
pub(super) fn picture(axis: &str, series: &[Series]) -> String {
    let panels = u32::try_from(series.len()).unwrap_or(1);
    let width = WIDTH * f64::from(panels);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    for (number, series) in (0_u32..).zip(series) {
        panel(&mut svg, WIDTH * f64::from(number), axis, series);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, from: f64, axis: &str, series: &Series) {
    let (left, right, top, bottom) = MARGINS;
    let (wide, high) = (WIDTH - left - right, HEIGHT - top - bottom);
    let values = series.points.iter();
    let values = values.flat_map(|(_, ottla, kafka)| [Some(*ottla), *kafka]);
    let most = round_up(values.flatten().fold(0.0, f64::max));
    let steps = u32::try_from(series.points.len().saturating_sub(1)).unwrap_or(1);
    let x = |number: u32| from + left + wide * f64::from(number) / f64::from(steps.max(1));
    let y = |value: f64| top + high * (1.0 - value / most);
    text(svg, (from + left, 16.0), "start", "black", &series.name);
    text(svg, (from + left, 32.0), "start", OTTLA, "ottla");
    if series.points.iter().any(|point| point.2.is_some()) {
        text(svg, (from + left + 50.0, 32.0), "start", KAFKA, "Kafka");
    }
    for line in 0..=GRID_LINES {
        let value = most * f64::from(line) / f64::from(GRID_LINES);
        let (begin, end, at) = (from + left, from + left + wide, y(value));
        writeln!(
            svg,
            "<path d=\"M{begin:.1} {at:.1}H{end:.1}\" stroke=\"#e2e8f0\"/>"
        )
        .expect(WRITES);
        text(
            svg,
            (begin - 6.0, at + 4.0),
            "end",
            "#334155",
            &short(value),
        );
    }
    for (number, (place, ..)) in (0..).zip(&series.points) {
        let at = (x(number), HEIGHT - bottom + 16.0);
        text(svg, at, "middle", "#334155", &place.to_string());
    }
    text(
        svg,
        (from + left + wide / 2.0, HEIGHT - 8.0),
        "middle",
        "#334155",
        axis,
    );
    let points = || (0..).zip(&series.points);
    let ottla = points().map(|(number, point)| (x(number), y(point.1)));
    line(svg, OTTLA, ottla);
    let kafka = points().filter_map(|(number, point)| Some((x(number), y(point.2?))));
    line(svg, KAFKA, kafka);
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, color: &str, words: &str) {
    writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{color}\">{words}</text>"
    )
    .expect(WRITES);
}

fn line(svg: &mut String, color: &str, points: impl Iterator<Item = (f64, f64)>) {
    let points: Vec<(f64, f64)> = points.collect();
    let path: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
        path.join(" ")
    )
    .expect(WRITES);
    for (x, y) in points {
        writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>"
        )
        .expect(WRITES);
    }
}

/// The next of 1, 2, 4, 8, 10 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| step * power >= value);
    step.unwrap_or(10.0) * power
}

/// A number of the axis, without digits that say nothing.
fn short(value: f64) -> String {
    let places = match value {
        _ if value == 0.0 || value >= 20.0 => 0,
        _ if value >= 1.0 => 1,
        _ => 3,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    //! What stands where.

    use super::{Series, picture, round_up};

    #[test]
    fn axes_end_at_round_numbers() {
        let cases = [
            (0.0, 1.0),
            (0.9, 1.0),
            (1.1, 2.0),
            (37.0, 40.0),
            (81.0, 100.0),
        ];
        for (value, end) in cases {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn lines_go_from_the_left_to_the_right_and_up_with_the_values() {
        let series = Series {
            name: "MiB/s".to_owned(),
            points: vec![(1, 0.0, Some(10.0)), (10, 10.0, None)],
        };
        let svg = picture("partitions", &[series]);
        assert!(svg.contains("points=\"56.0,216.0 336.0,40.0\""), "{svg}");
        assert!(svg.contains("points=\"56.0,40.0\""), "{svg}");
        assert!(
            svg.contains(">partitions</text>") && svg.contains(">Kafka</text>"),
            "{svg}"
        );
        assert!(svg.trim_end().ends_with("</svg>"), "{svg}");
    }
}
