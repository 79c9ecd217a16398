//! The floor: a program in C that does what cannot be left out, and ottla beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::on_fresh;
use super::others::{number, told};
use crate::compare::Plan;
use crate::compare::bench::bench;
use crate::compare::broker::Kind;
use crate::compare::figures::{Figure, figure};

const RATE: u32 = 10_000;

/// Compiles the floor with the system's compiler.
fn build() -> Result<PathBuf, String> {
    let program = crate::root().join("target/floor");
    let source = crate::root().join("xtask/src/compare/scenarios/floor.c");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]);
    let status = cc.arg(&program).arg(&source).status();
    match status {
        Ok(status) if status.success() => Ok(program),
        Ok(status) => Err(format!("cc: {status}")),
        Err(error) => Err(format!("cc: {error}")),
    }
}

fn floor(program: &Path, plan: &Plan, sync: bool) -> Result<Value, String> {
    let directory = std::env::temp_dir().join(format!("ottla-floor-{}", std::process::id()));
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut command = Command::new(program);
    command.args([RATE.to_string(), plan.seconds(10).to_string()]);
    command.arg(&directory).args(sync.then_some("sync"));
    let told = told(&mut command);
    // Only the space is lost if this fails.
    let _ = std::fs::remove_dir_all(&directory);
    told
}

pub(super) fn compare(_kind: Kind, plan: &Plan) -> Result<Vec<Figure>, String> {
    let program = build()?;
    let mut figures = Vec::new();
    for (mode, sync) in [("os", false), ("fsync", true)] {
        let floor = floor(&program, plan, sync)?;
        let plan = Plan {
            durability: mode.to_owned(),
            ..plan.clone()
        };
        let ottla = on_fresh(Kind::Ottla, &plan, |broker| {
            let words = format!("e2e --rate {RATE} --duration {}s", plan.seconds(10));
            let (told, cpu) = broker.cpu_seconds(|| bench(&plan, broker, &words))?;
            Ok(vec![
                figure("CPU µs a record", cpu * 1e6 / told.records()),
                figure("ack p50, ms", told.ms("acknowledged", "p50")),
                figure("ack p99, ms", told.ms("acknowledged", "p99")),
                figure("end to end p50, ms", told.ms("end_to_end", "p50")),
                figure("end to end p99, ms", told.ms("end_to_end", "p99")),
            ])
        })?;
        let keys = [
            "cpu_us",
            "ack_p50",
            "ack_p99",
            "end_to_end_p50",
            "end_to_end_p99",
        ];
        for (of_ottla, key) in ottla.into_iter().zip(keys) {
            let of_floor = number(&floor, &format!("/{key}"));
            let name = of_ottla.name;
            figures.push(figure(format!("{mode}, floor, {name}"), of_floor));
            figures.push(figure(format!("{mode}, ottla, {name}"), of_ottla.value));
            let ratio = of_ottla.value / of_floor;
            figures.push(figure(format!("{mode}, ottla to floor, {name}"), ratio));
        }
    }
    Ok(figures)
}
