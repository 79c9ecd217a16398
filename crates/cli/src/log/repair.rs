//! `ottla log repair`: says what cannot be read, and on `--yes` accepts that it is lost.

use std::sync::Arc;

use serde_json::json;
use storage_disk::DataDirectory;
use storage_disk::offline::{self, Damage, Loss, RepairPlan};
use vfs::{RealVfs, Vfs};

use super::failure;
use crate::client_arguments::RepairArguments;
use crate::failure::{Exit, Failure};
use crate::output::{Output, counted};

pub(super) fn run(arguments: &RepairArguments) -> Result<(), Failure> {
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    let data_dir = offline::data_dir_above(&*vfs, &arguments.path).map_err(failure)?;
    let _locked = DataDirectory::open(&vfs, &data_dir).map_err(|error| {
        Failure::new(Exit::Configuration, error.to_string())
            .why(error.why())
            .fix(error.fix())
    })?;
    let plan = offline::plan_repair(&*vfs, &arguments.path).map_err(failure)?;
    if arguments.yes {
        plan.apply(&*vfs).map_err(failure)?;
    }
    let mut output = Output::new();
    let form = arguments.form.output;
    if form.is_data() {
        output.data(form, &plan_json(&plan, arguments.yes), "")?;
    } else {
        for loss in plan.open() {
            output.line(&loss_line(loss))?;
        }
        for damage in &plan.left {
            output.line(&left_line(damage))?;
        }
        output.line(&summary(&plan, arguments.yes))?;
    }
    output.flush()?;
    if !arguments.yes && plan.open().next().is_some() {
        let path = arguments.path.display();
        eprintln!("nothing was changed; to accept the loss: ottla log repair {path} --yes");
    }
    Ok(())
}

fn summary(plan: &RepairPlan, done: bool) -> String {
    let ranges = plan.open().count();
    let records: u64 = plan.open().map(Loss::offsets).sum();
    if ranges == 0 {
        return "nothing to accept".to_owned();
    }
    let (ranges, records) = (counted(ranges, "range"), counted(records, "offset"));
    if done {
        format!("accepted: {ranges}, {records}; readers go on behind them")
    } else {
        format!("would be lost: {ranges}, {records}")
    }
}

/// One range, for people.
pub(super) fn loss_line(loss: &Loss) -> String {
    let Loss {
        path,
        first,
        last,
        position,
        end,
        label,
        accepted,
    } = loss;
    let kind = if *accepted { "gone" } else { "LOST" };
    let path = path.display();
    format!("{kind}  {path}: offsets {first} to {last}, bytes {position} to {end} ({label})")
}

fn left_line(damage: &Damage) -> String {
    let Damage {
        path,
        position,
        end,
        first,
        ..
    } = damage;
    let path = path.display();
    format!(
        "left  {path}: bytes {position} to {end}, from offset {first} on: \
         the next start decides about the end of a log"
    )
}

/// One range, for programs.
pub(super) fn loss_json(loss: &Loss) -> serde_json::Value {
    json!({
        "file": loss.path.display().to_string(),
        "first_offset": loss.first.get().to_string(),
        "last_offset": loss.last.get().to_string(),
        "position": loss.position.to_string(),
        "end": loss.end.to_string(),
        "label": loss.label.to_string(),
        "accepted": loss.accepted,
    })
}

fn plan_json(plan: &RepairPlan, done: bool) -> serde_json::Value {
    let left = plan.left.iter().map(|damage| {
        json!({
            "file": damage.path.display().to_string(),
            "position": damage.position.to_string(),
            "end": damage.end.to_string(),
        })
    });
    json!({
        "schema": "ottla.log.repair/1",
        "done": done,
        "losses": plan.open().map(loss_json).collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
    })
}
