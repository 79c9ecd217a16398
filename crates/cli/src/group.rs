//! `ottla group`: list, describe, lag, reset, delete.
//!
//! JSON: `{"schema": "ottla.groups/1", "groups": […]}`, `ottla.group/1` with `members` and
//! `positions`, `ottla.lag/1` and `ottla.reset/1` with `positions`. Offsets and lags are strings.

mod plan;

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use clock::{Clock, SystemClock};
use kafka_client::{
    Client, ClientError, Committed, ErrorCode, FetchLimits, GroupDescription, OffsetSpec, Topic,
};
use serde_json::{Value, json};

use crate::client_arguments::BrokerArguments;
use crate::connect::{block_on, connect, explain};
use crate::failure::{Exit, Failure};
use crate::group_arguments::{
    DeleteGroupArguments, GroupArguments, GroupVerb, LagArguments, LagLimit, ListGroupArguments,
};
use crate::outcomes::Outcomes;
use crate::output::{Align, Output, counted, table};
use crate::suggest::nearest;

/// Runs one of the commands.
pub(crate) fn run(verb: GroupVerb) -> Result<(), Failure> {
    match verb {
        GroupVerb::List(arguments) => block_on(list(arguments)),
        GroupVerb::Describe(arguments) => block_on(describe(arguments)),
        GroupVerb::Lag(arguments) => block_on(lag(arguments)),
        GroupVerb::Reset(arguments) => block_on(plan::reset(arguments)),
        GroupVerb::Delete(arguments) => block_on(delete(arguments)),
    }
}

async fn list(arguments: ListGroupArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let groups = client.list_groups().await;
    let groups = groups.map_err(|error| explain(&error, "the groups cannot be listed"))?;
    let form = arguments.form.output;
    let mut output = Output::new();
    if form.is_data() {
        let rows = groups.iter().map(|group| {
            json!({
                "name": group.name,
                "state": group.state,
                "type": group.kind,
                "protocol_type": group.protocol_type,
            })
        });
        let rows: Vec<_> = rows.collect();
        output.data(
            form,
            &json!({"schema": "ottla.groups/1", "groups": rows}),
            "groups",
        )?;
    } else {
        let head = [
            ("GROUP", Align::Left),
            ("STATE", Align::Left),
            ("TYPE", Align::Left),
            ("PROTOCOL TYPE", Align::Left),
        ];
        let rows = groups
            .into_iter()
            .map(|group| vec![group.name, group.state, group.kind, group.protocol_type]);
        output.write(table(&head, &rows.collect::<Vec<_>>()).as_bytes())?;
    }
    output.flush()
}

/// How far a group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    group: String,
    topic: String,
    partition: i32,
    offset: i64,
    end: Option<i64>,
    /// The age of the next record, where there is one.
    age: Option<Duration>,
    metadata: String,
}

impl Position {
    fn lag(&self) -> Option<i64> {
        Some(self.end?.saturating_sub(self.offset).max(0))
    }

    fn json(&self) -> Value {
        json!({
            "group": self.group,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset.to_string(),
            "end": self.end.map(|end| end.to_string()),
            "lag": self.lag().map(|lag| lag.to_string()),
            "lag_seconds": self.age.map(|age| age.as_secs_f64()),
            "metadata": self.metadata,
        })
    }
}

/// What a group has committed and how far that is from the end.
async fn positions(
    client: &mut Client,
    topics: &[Topic],
    group: &str,
) -> Result<Vec<Position>, ClientError> {
    let committed = client.committed(group, topics).await?;
    let mut numbers: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in committed.keys() {
        numbers.entry(topic).or_default().push(*partition);
    }
    let asked: Vec<(&str, &[i32])> = numbers.iter().map(|(t, p)| (*t, p.as_slice())).collect();
    let ends = client.all_offsets(&asked, OffsetSpec::Latest).await?;
    let mut positions = Vec::with_capacity(committed.len());
    for ((topic, partition), Committed { offset, metadata }) in &committed {
        let end = ends.get(&(topic.clone(), *partition));
        let end = end.and_then(|end| end.ok()).and_then(|found| found.offset);
        let known = topics.iter().find(|known| known.name == *topic);
        let age = match (known, end) {
            (Some(_), Some(end)) if *offset >= end => Some(Duration::ZERO),
            (Some(known), Some(_)) => age(client, known, *partition, *offset).await?,
            (Some(_) | None, _) => None,
        };
        positions.push(Position {
            group: group.to_owned(),
            topic: topic.clone(),
            partition: *partition,
            offset: *offset,
            end,
            age,
            metadata: metadata.clone(),
        });
    }
    Ok(positions)
}

/// The age of the next record from an offset on; `None` if it cannot be read.
async fn age(
    client: &mut Client,
    topic: &Topic,
    partition: i32,
    offset: i64,
) -> Result<Option<Duration>, ClientError> {
    let limits = FetchLimits {
        bytes_min: 1,
        bytes_max: 1,
        partition_bytes_max: 1,
        wait: Duration::ZERO,
    };
    let mut from = offset;
    // The record at a position may have been deleted: the next one is the first that is there.
    for _ in 0..2 {
        let fetched = client.fetch(topic, &[(partition, from)], limits).await?;
        let Some(fetched) = fetched.into_iter().next() else {
            return Ok(None);
        };
        if fetched.error == Some(ErrorCode::OffsetOutOfRange) {
            let partitions = [partition];
            let earliest = client.offsets(&topic.name, &partitions, OffsetSpec::Earliest);
            let earliest = earliest
                .await?
                .get(&partition)
                .and_then(|found| found.offset);
            from = earliest.unwrap_or(from);
            continue;
        }
        let Some(Ok(record)) = fetched.records(from).next() else {
            return Ok(None);
        };
        let age_ms = SystemClock.wall_ms().saturating_sub(record.timestamp_ms);
        let age_ms = u64::try_from(age_ms).unwrap_or(0);
        return Ok(Some(Duration::from_millis(age_ms)));
    }
    Ok(None)
}

/// A group that is there; otherwise what may have been meant.
async fn find(
    client: &mut Client,
    broker: &BrokerArguments,
    name: &str,
    command: &str,
) -> Result<GroupDescription, Failure> {
    match client.describe_group(name).await {
        Ok(group) => Ok(group),
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => {
            let known = client.list_groups().await.unwrap_or_default();
            let flag = broker.flag();
            let meant = nearest(name, known.iter().map(|group| group.name.as_str()));
            let fix = match meant {
                Some(meant) => {
                    format!("did you mean {meant:?}?   ottla group {command} {meant}{flag}")
                }
                None => format!("ottla group list{flag}"),
            };
            let count = counted(known.len(), "group");
            let failure = Failure::new(Exit::NotFound, format!("group {name:?} does not exist"));
            Err(failure
                .code(ErrorCode::GroupIdNotFound.name())
                .why(format!(
                    "broker {} has {count}, and this is not one of them",
                    broker.bootstrap
                ))
                .fix(fix))
        }
        Err(error) => Err(explain(
            &error,
            &format!("group {name:?} cannot be looked at"),
        )),
    }
}

async fn describe(arguments: GroupArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let name = &arguments.name;
    let group = find(&mut client, &arguments.broker, name, "describe").await?;
    let cannot = |error| explain(&error, &format!("group {name:?} cannot be described"));
    let topics = client.list_topics().await.map_err(cannot)?;
    let positions = positions(&mut client, &topics, name)
        .await
        .map_err(cannot)?;
    let form = arguments.form.output;
    let mut output = Output::new();
    if form.is_data() {
        output.data(form, &description_json(&group, &positions), "positions")?;
    } else {
        output.write(description(&group, &positions).as_bytes())?;
    }
    output.flush()
}

fn description_json(group: &GroupDescription, positions: &[Position]) -> Value {
    let members = group.members.iter().map(|member| {
        json!({
            "id": member.id,
            "instance_id": member.instance_id,
            "client_id": member.client_id,
            "host": member.host,
            "assigned": member.assigned,
        })
    });
    json!({
        "schema": "ottla.group/1",
        "name": group.name,
        "state": group.state,
        "protocol_type": group.protocol_type,
        "assignor": group.protocol,
        "members": members.collect::<Vec<_>>(),
        "positions": positions.iter().map(Position::json).collect::<Vec<_>>(),
    })
}

fn description(group: &GroupDescription, positions: &[Position]) -> String {
    let or_none = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    let mut text = format!(
        "group     {}\nstate     {}\nassignor  {}\nmembers   {}\n",
        group.name,
        group.state,
        or_none(&group.protocol),
        group.members.len()
    );
    if !group.members.is_empty() {
        let head = [
            ("MEMBER", Align::Left),
            ("INSTANCE", Align::Left),
            ("CLIENT", Align::Left),
            ("HOST", Align::Left),
            ("PARTITIONS", Align::Left),
        ];
        let rows = group.members.iter().map(|member| {
            let assigned = member.assigned.iter().map(|(topic, partitions)| {
                let numbers: Vec<_> = partitions.iter().map(ToString::to_string).collect();
                format!("{topic}[{}]", numbers.join(","))
            });
            vec![
                member.id.clone(),
                or_none(member.instance_id.as_deref().unwrap_or_default()),
                member.client_id.clone(),
                member.host.clone(),
                or_none(&assigned.collect::<Vec<_>>().join(" ")),
            ]
        });
        text.push('\n');
        text.push_str(&table(&head, &rows.collect::<Vec<_>>()));
    }
    if !positions.is_empty() {
        text.push('\n');
        text.push_str(&lag_table(positions, false));
    }
    text
}

fn lag_table(positions: &[Position], with_group: bool) -> String {
    let mut head = vec![
        ("TOPIC", Align::Left),
        ("PARTITION", Align::Right),
        ("OFFSET", Align::Right),
        ("END", Align::Right),
        ("LAG", Align::Right),
        ("SECONDS", Align::Right),
    ];
    if with_group {
        head.insert(0, ("GROUP", Align::Left));
    }
    let shown = |number: Option<i64>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let rows = positions.iter().map(|position| {
        let age = position.age.map(|age| format!("{:.1}", age.as_secs_f64()));
        let mut row = vec![
            position.topic.clone(),
            position.partition.to_string(),
            position.offset.to_string(),
            shown(position.end),
            shown(position.lag()),
            age.unwrap_or_else(|| "?".to_owned()),
        ];
        if with_group {
            row.insert(0, position.group.clone());
        }
        row
    });
    table(&head, &rows.collect::<Vec<_>>())
}

async fn lag(arguments: LagArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let cannot = |error| explain(&error, "the lag of groups cannot be read");
    let names = match &arguments.name {
        Some(name) => {
            find(&mut client, &arguments.broker, name, "lag").await?;
            vec![name.clone()]
        }
        None => {
            let groups = client.list_groups().await.map_err(cannot)?;
            groups.into_iter().map(|group| group.name).collect()
        }
    };
    let topics = client.list_topics().await.map_err(cannot)?;
    let mut all = Vec::new();
    for name in &names {
        all.append(
            &mut positions(&mut client, &topics, name)
                .await
                .map_err(cannot)?,
        );
    }
    let form = arguments.form.output;
    let mut output = Output::new();
    if form.is_data() {
        let rows: Vec<_> = all.iter().map(Position::json).collect();
        output.data(
            form,
            &json!({"schema": "ottla.lag/1", "positions": rows}),
            "positions",
        )?;
    } else {
        output.write(lag_table(&all, arguments.name.is_none()).as_bytes())?;
    }
    output.flush()?;
    match arguments.fail_above {
        Some(limit) => check(&all, limit),
        None => Ok(()),
    }
}

/// Fails if a position is further behind than the limit; what is not known fails too.
fn check(positions: &[Position], limit: LagLimit) -> Result<(), Failure> {
    let is_above = |position: &&Position| match limit {
        LagLimit::Records(most) => position.lag().is_none_or(|lag| lag > most),
        LagLimit::Age(most) => position.age.is_none_or(|age| age > most),
    };
    let above = positions.iter().filter(is_above).count();
    if above == 0 {
        return Ok(());
    }
    let of = counted(positions.len(), "position");
    Err(Failure::new(
        Exit::NotMet,
        format!("{above} of {of} are behind more than {limit}"),
    ))
}

async fn delete(arguments: DeleteGroupArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let mut outcomes = Outcomes::of("groups");
    let mut groups = Vec::new();
    for name in &arguments.names {
        match find(&mut client, &arguments.broker, name, "delete").await {
            Ok(group) => groups.push(group),
            Err(failure) => outcomes.note(Err(failure))?,
        }
    }
    if !arguments.yes && !groups.is_empty() {
        confirm(&groups, &arguments.broker)?;
    }
    let mut output = Output::new();
    for group in &groups {
        let name = &group.name;
        outcomes.note(match client.delete_group(name).await {
            Ok(()) => output.line(&format!("group {name} deleted")),
            Err(error) => Err(has_members(&error, name, "cannot be deleted")),
        })?;
    }
    output.flush()?;
    outcomes.end("deleted")
}

/// Why a group cannot be changed from outside.
fn has_members(error: &ClientError, name: &str, what: &str) -> Failure {
    let failure = explain(error, &format!("group {name:?} {what}"));
    if error.code() != Some(ErrorCode::NonEmptyGroup) {
        return failure;
    }
    failure
        .why("it has members, and only they move it")
        .fix(format!(
            "stop its consumers; ottla group describe {name} says where they are"
        ))
}

/// Shows what would be lost and asks. Without a terminal nothing is done.
fn confirm(groups: &[GroupDescription], broker: &BrokerArguments) -> Result<(), Failure> {
    for group in groups {
        let members = counted(group.members.len(), "member");
        eprintln!("delete group {}: {}, {members}", group.name, group.state);
    }
    let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
    let command = format!("ottla group delete {} -y{}", names.join(" "), broker.flag());
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::new(Exit::Usage, "nothing was deleted")
            .why("there is no terminal to ask on")
            .fix(command));
    }
    eprint!("Delete? What they have committed is gone for good. [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Error, "nothing was deleted"))
}
