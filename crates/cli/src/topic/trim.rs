//! `ottla topic trim`: the oldest records of a topic go. It says what would go before it asks.
//!
//! JSON: `{"schema": "ottla.trim/1", "name": …, "partitions": […]}`, offsets as strings.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};

use clock::{Clock, SystemClock};
use kafka_client::{Client, ErrorCode, OffsetSpec};
use serde_json::json;

use crate::client_arguments::TrimArguments;
use crate::connect::{connect, explain, is_unknown_topic, unknown_topic};
use crate::failure::{Exit, Failure};
use crate::output::{Output, counted};
use crate::times::From;

/// What happens to one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Where it begins now.
    start: i64,
    /// Where it is to begin.
    before: i64,
}

impl Plan {
    fn records(self) -> i64 {
        self.before.saturating_sub(self.start).max(0)
    }
}

pub(super) async fn trim(arguments: TrimArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let name = &arguments.name;
    let topic = match client.topic(name, false).await {
        Ok(topic) => topic,
        Err(error) if is_unknown_topic(&error) => {
            let tried = ("topic trim", "this is not one of them");
            return Err(unknown_topic(&mut client, &arguments.broker, name, tried).await);
        }
        Err(error) => {
            return Err(explain(
                &error,
                &format!("topic {name:?} cannot be trimmed"),
            ));
        }
    };
    let all: Vec<i32> = topic
        .partitions
        .iter()
        .map(|partition| partition.index)
        .collect();
    let partitions = chosen(&arguments, &all)?;
    let plans = plan(&mut client, &arguments, &partitions).await?;
    if !arguments.yes {
        confirm(&arguments, &plans)?;
    }
    let before: BTreeMap<i32, i64> = plans
        .iter()
        .map(|(&partition, plan)| (partition, plan.before))
        .collect();
    let told = client.delete_records(name, &before).await;
    let told =
        told.map_err(|error| explain(&error, &format!("topic {name:?} cannot be trimmed")))?;
    report(&arguments, &plans, &told)
}

fn chosen(arguments: &TrimArguments, all: &[i32]) -> Result<Vec<i32>, Failure> {
    if arguments.partitions.is_empty() {
        return Ok(all.to_vec());
    }
    let absent = arguments
        .partitions
        .iter()
        .find(|wanted| !all.contains(wanted));
    let Some(absent) = absent else {
        return Ok(arguments.partitions.clone());
    };
    let name = &arguments.name;
    let count = counted(all.len(), "partition");
    Err(Failure::new(
        Exit::NotFound,
        format!("topic {name:?} has no partition {absent}"),
    )
    .why(format!("it has {count}, counted from 0"))
    .fix(format!(
        "ottla topic describe {name}{}",
        arguments.broker.flag()
    )))
}

async fn plan(
    client: &mut Client,
    arguments: &TrimArguments,
    partitions: &[i32],
) -> Result<BTreeMap<i32, Plan>, Failure> {
    let name = &arguments.name;
    let cannot = |error| explain(&error, &format!("topic {name:?} cannot be looked at"));
    let mut find = async |spec| -> Result<BTreeMap<i32, Option<i64>>, Failure> {
        let found = client
            .offsets(name, partitions, spec)
            .await
            .map_err(cannot)?;
        let offsets = found
            .into_iter()
            .map(|(partition, found)| (partition, found.offset));
        Ok(offsets.collect())
    };
    let starts = find(OffsetSpec::Earliest).await?;
    let ends = find(OffsetSpec::Latest).await?;
    let of = |offsets: &BTreeMap<i32, Option<i64>>, partition| {
        offsets.get(&partition).copied().flatten()
    };
    let end = |partition| of(&ends, partition).unwrap_or(0);
    let by_time = match arguments.before {
        From::Time(ms) => Some(find(OffsetSpec::Timestamp(ms)).await?),
        From::Ago(ago) => {
            let ago_ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            let ms = SystemClock.wall_ms().saturating_sub(ago_ms);
            Some(find(OffsetSpec::Timestamp(ms)).await?)
        }
        From::Start | From::End | From::Offset(_) | From::Last(_) => None,
    };
    let plan = |&partition: &i32| {
        let start = of(&starts, partition).unwrap_or(0);
        let before = match (arguments.before, &by_time) {
            // No record is young enough to stay.
            (_, Some(found)) => of(found, partition).unwrap_or_else(|| end(partition)),
            (From::Offset(offset), None) => offset,
            (From::Last(count), None) => end(partition).saturating_sub(count).max(start),
            (From::Start, None) => start,
            (_, None) => end(partition),
        };
        (partition, Plan { start, before })
    };
    Ok(partitions.iter().map(plan).collect())
}

/// Shows what would go and asks. Without a terminal nothing is done.
fn confirm(arguments: &TrimArguments, plans: &BTreeMap<i32, Plan>) -> Result<(), Failure> {
    let name = &arguments.name;
    for (partition, plan) in plans {
        let (records, before) = (counted(plan.records(), "record"), plan.before);
        eprintln!("trim {name}-{partition}: {records} before offset {before}");
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::new(Exit::Usage, "nothing was deleted")
            .why("there is no terminal to ask on")
            .fix("add -y"));
    }
    eprint!("Delete? The records are gone for good. [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Error, "nothing was deleted"))
}

fn report(
    arguments: &TrimArguments,
    plans: &BTreeMap<i32, Plan>,
    told: &BTreeMap<i32, Result<i64, ErrorCode>>,
) -> Result<(), Failure> {
    let (name, form) = (&arguments.name, arguments.form.output);
    let mut output = Output::new();
    let mut refused = Vec::new();
    let mut rows = Vec::new();
    for (partition, plan) in plans {
        let outcome = told.get(partition).copied();
        match outcome.unwrap_or(Err(ErrorCode::UnknownServerError)) {
            Ok(start) if form.is_data() => {
                rows.push(json!({"partition": partition, "start": start.to_string()}));
            }
            Ok(start) => {
                let gone = counted(start.saturating_sub(plan.start).max(0), "record");
                output.line(&format!(
                    "{name}-{partition}: {gone} deleted, starts at offset {start}"
                ))?;
            }
            Err(code) => refused.push((*partition, plan.before, code)),
        }
    }
    if form.is_data() {
        let trimmed = json!({"schema": "ottla.trim/1", "name": name, "partitions": rows});
        output.data(form, &trimmed, "partitions")?;
    }
    output.flush()?;
    let Some((partition, before, code)) = refused.first() else {
        return Ok(());
    };
    let why = if *code == ErrorCode::OffsetOutOfRange {
        format!("offset {before} is not between 0 and the end of {name}-{partition}")
    } else {
        format!("{name}-{partition}: {}", code.name())
    };
    let exit = if refused.len() == plans.len() {
        Exit::Error
    } else {
        Exit::PartlyFailed
    };
    let (failed, all) = (refused.len(), counted(plans.len(), "partition"));
    Err(
        Failure::new(exit, format!("{failed} of {all} were not trimmed"))
            .code(code.name())
            .why(why)
            .fix(format!(
                "ottla topic describe {name}{}",
                arguments.broker.flag()
            )),
    )
}
