//! What is printed while a comparison runs, and kept as a page of docs/measurements.

use std::fmt::Write;
use std::path::Path;

use super::figures::{self, WRITES};
use super::scenarios::Scenario;
use super::{Pair, Plan, broker, svg};

/// Tables as they come, and raw figures behind them.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    raw: String,
    /// By the name of their scenario.
    pictures: Vec<(&'static str, String)>,
}

impl Page {
    /// Begins with the command and the machine.
    pub(super) fn begin(plan: &Plan, arguments: &[String]) -> Result<Self, String> {
        let mut page = Self {
            text: String::new(),
            raw: String::new(),
            pictures: Vec::new(),
        };
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
        page.say(&format!(
            "Command: `cargo xtask compare {}`\n\n{}\n\npairs {} · ottla durability {} · load average at the beginning {load}\n",
            arguments.join(" "),
            figures::heading(&plan.ottla, Some(broker::KAFKA_VERSION))?,
            plan.pairs,
            plan.durability,
        ));
        if plan.short {
            page.say("Run with --short: these figures mean nothing.\n");
        }
        Ok(page)
    }

    fn say(&mut self, text: &str) {
        println!("{text}");
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// The table of a scenario.
    pub(super) fn scenario(&mut self, scenario: &Scenario, pairs: &[Pair], disturbed: &[String]) {
        let title = format!("## {}\n\n{}\n", scenario.name, scenario.about);
        self.say(&title);
        self.say(&figures::table(pairs));
        for run in disturbed {
            self.say(&format!("Disturbed: {run}.\n"));
        }
        if let Some(axis) = scenario.axis {
            let picture = svg::picture(axis, &figures::curves(pairs));
            self.pictures.push((scenario.name, picture));
        }
        for (number, (ottla, kafka)) in pairs.iter().enumerate() {
            let mut note = |who: &str, figures: &[figures::Figure]| {
                let raw = figures::raw(figures);
                let name = scenario.name;
                writeln!(self.raw, "{name} pair {} {who}: {raw}", number + 1).expect(WRITES);
            };
            note("ottla", ottla);
            if let Some(kafka) = kafka {
                note("kafka", kafka);
            }
        }
    }

    /// Writes the page, and each picture beside it.
    pub(super) fn keep(&self, file: &Path) -> Result<(), String> {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let written = |file: &Path, text: &str| {
            std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
        };
        let mut text = format!("# Measured: {stem}\n\n{}", self.text);
        for (name, picture) in &self.pictures {
            let beside = format!("{stem}-{name}.svg");
            written(&file.with_file_name(&beside), picture)?;
            writeln!(text, "![{name}]({beside})\n").expect(WRITES);
        }
        write!(text, "## Raw figures\n\n```\n{}```\n", self.raw).expect(WRITES);
        written(file, &text)
    }
}
