//! What is printed while a comparison runs, and kept as a page of docs/measurements.

use std::fmt::Write;
use std::path::Path;

use super::figures::{self, WRITES};
use super::scenarios::Scenario;
use super::{Pair, Plan, broker};

/// Tables as they come, and raw figures behind them.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    raw: String,
}

impl Page {
    /// Begins with the command and the machine.
    pub(super) fn begin(plan: &Plan, arguments: &[String]) -> Result<Self, String> {
        let mut page = Self {
            text: String::new(),
            raw: String::new(),
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
    pub(super) fn scenario(&mut self, scenario: &Scenario, pairs: &[Pair]) {
        let title = format!("## {}\n\n{}\n", scenario.name, scenario.about);
        self.say(&title);
        self.say(&figures::table(pairs));
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

    /// Writes the page.
    pub(super) fn keep(&self, file: &Path) -> Result<(), String> {
        let text = format!(
            "# Measured\n\n{}## Raw figures\n\n```\n{}```\n",
            self.text, self.raw
        );
        std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
    }
}
