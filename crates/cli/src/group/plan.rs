//! `ottla group reset`: the plan, and carrying it out. Without `-y` it is only the plan.

use std::collections::BTreeMap;

use clock::{Clock, SystemClock};
use kafka_client::{Client, ClientError, ErrorCode, OffsetSpec, Topic};
use serde_json::json;

use super::{find, has_members};
use crate::connect::{connect, explain, unknown_topic};
use crate::failure::{Exit, Failure};
use crate::group_arguments::{Place, ResetArguments, To};
use crate::output::{Align, Output, table};

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    topic: String,
    partition: i32,
    before: Option<i64>,
    after: i64,
}

/// Runs the command.
pub(super) async fn reset(arguments: ResetArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let name = &arguments.name;
    let cannot = |error| explain(&error, &format!("group {name:?} cannot be reset"));
    let topics = client.list_topics().await.map_err(cannot)?;
    let committed = client.committed(name, &topics).await.map_err(cannot)?;
    // A topic that is named makes a group that is not there yet, as a commit does.
    if arguments.topics.is_empty() {
        find(&mut client, &arguments.broker, name, "reset").await?;
    }
    let places = places(&mut client, &arguments, &topics, committed.keys()).await?;
    let before = |topic: &str, partition| {
        let place = (topic.to_owned(), partition);
        committed.get(&place).map(|committed| committed.offset)
    };
    let plan = plan(&mut client, arguments.to, &places, before).await;
    let plan = plan.map_err(cannot)?;
    let done = arguments.yes && !plan.is_empty();
    let refused = if done {
        carry_out(&mut client, name, &topics, &plan).await?
    } else {
        BTreeMap::new()
    };
    let is_refused = |one: &Move| refused.contains_key(&(one.topic.clone(), one.partition));
    let moved: Vec<Move> = plan
        .iter()
        .filter(|one| !is_refused(one))
        .cloned()
        .collect();
    let Some(((topic, partition), code)) = refused.first_key_value() else {
        return show(&arguments, &plan, done);
    };
    let what = format!("cannot be reset in {topic}[{partition}]");
    let error = ClientError::Refused {
        code: *code,
        message: None,
    };
    let failure = has_members(&error, name, &what);
    if moved.is_empty() {
        return Err(failure);
    }
    show(&arguments, &moved, done)?;
    Err(failure.exit(Exit::PartlyFailed))
}

/// The partitions that are named, or all that the group has committed in.
async fn places<'a>(
    client: &mut Client,
    arguments: &ResetArguments,
    topics: &[Topic],
    committed: impl Iterator<Item = &'a (String, i32)>,
) -> Result<BTreeMap<String, Vec<i32>>, Failure> {
    let mut places: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    if arguments.topics.is_empty() {
        for (topic, partition) in committed {
            places.entry(topic.clone()).or_default().push(*partition);
        }
        return Ok(places);
    }
    for Place { topic, partition } in &arguments.topics {
        let Some(known) = topics.iter().find(|known| known.name == *topic) else {
            let tried = ("group reset … -t", "this is not one of them");
            return Err(unknown_topic(client, &arguments.broker, topic, tried).await);
        };
        let all: Vec<i32> = known.partitions.iter().map(|known| known.index).collect();
        let numbers = places.entry(topic.clone()).or_default();
        match partition {
            None => numbers.extend(all),
            Some(number) if all.contains(number) => numbers.push(*number),
            Some(number) => {
                let what = format!("topic {topic:?} has no partition {number}");
                let why = format!("its partitions are 0 to {}", all.len().saturating_sub(1));
                return Err(Failure::new(Exit::NotFound, what).why(why));
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
    }
    Ok(places)
}

async fn plan(
    client: &mut Client,
    to: To,
    places: &BTreeMap<String, Vec<i32>>,
    before: impl Fn(&str, i32) -> Option<i64>,
) -> Result<Vec<Move>, ClientError> {
    let asked: Vec<(&str, &[i32])> = places
        .iter()
        .map(|(topic, numbers)| (topic.as_str(), numbers.as_slice()))
        .collect();
    let starts = client.all_offsets(&asked, OffsetSpec::Earliest).await?;
    let ends = client.all_offsets(&asked, OffsetSpec::Latest).await?;
    let time = match to {
        To::Time(ms) => Some(ms),
        To::Ago(ago) => {
            let ago_ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            Some(SystemClock.wall_ms().saturating_sub(ago_ms))
        }
        To::Start | To::End | To::Offset(_) | To::Shift(_) => None,
    };
    let times = match time {
        Some(ms) => {
            client
                .all_offsets(&asked, OffsetSpec::Timestamp(ms))
                .await?
        }
        None => BTreeMap::new(),
    };
    let mut plan = Vec::new();
    for (topic, numbers) in places {
        for &partition in numbers {
            let place = (topic.clone(), partition);
            let offset = |found: &kafka_client::Found| -> Result<Option<i64>, ClientError> {
                let refused = |code| ClientError::Refused {
                    code,
                    message: None,
                };
                let found = found.get(&place).copied().transpose().map_err(refused)?;
                Ok(found.and_then(|found| found.offset))
            };
            let (start, end) = (offset(&starts)?.unwrap_or(0), offset(&ends)?.unwrap_or(0));
            let before = before(topic, partition);
            let after = match to {
                To::Start => start,
                To::End => end,
                To::Offset(offset) => offset.clamp(start, end),
                To::Shift(by) => before.unwrap_or(start).saturating_add(by).clamp(start, end),
                To::Time(_) | To::Ago(_) => offset(&times)?.unwrap_or(end),
            };
            plan.push(Move {
                topic: topic.clone(),
                partition,
                before,
                after,
            });
        }
    }
    Ok(plan)
}

/// Moves, and says which partitions were refused.
async fn carry_out(
    client: &mut Client,
    group: &str,
    topics: &[Topic],
    plan: &[Move],
) -> Result<BTreeMap<(String, i32), ErrorCode>, Failure> {
    let moves: Vec<_> = plan
        .iter()
        .map(|one| (one.topic.clone(), one.partition, one.after))
        .collect();
    let outcomes = client.move_committed(group, topics, &moves).await;
    let outcomes = outcomes.map_err(|error| has_members(&error, group, "cannot be reset"))?;
    let refused = outcomes.into_iter().filter_map(|(place, outcome)| {
        // This is how Kafka says that somebody else balances the group.
        let code = match outcome? {
            ErrorCode::UnknownMemberId => ErrorCode::NonEmptyGroup,
            code => code,
        };
        Some((place, code))
    });
    Ok(refused.collect())
}

fn show(arguments: &ResetArguments, plan: &[Move], done: bool) -> Result<(), Failure> {
    let form = arguments.form.output;
    let mut output = Output::new();
    if form.is_data() {
        let rows = plan.iter().map(|one| {
            json!({
                "topic": one.topic,
                "partition": one.partition,
                "before": one.before.map(|offset| offset.to_string()),
                "after": one.after.to_string(),
            })
        });
        let rows: Vec<_> = rows.collect();
        let all = json!({
            "schema": "ottla.reset/1",
            "group": arguments.name,
            "done": done,
            "positions": rows,
        });
        output.data(form, &all, "positions")?;
    } else {
        let head = [
            ("TOPIC", Align::Left),
            ("PARTITION", Align::Right),
            ("BEFORE", Align::Right),
            ("AFTER", Align::Right),
        ];
        let rows = plan.iter().map(|one| {
            vec![
                one.topic.clone(),
                one.partition.to_string(),
                one.before
                    .map_or_else(|| "-".to_owned(), |offset| offset.to_string()),
                one.after.to_string(),
            ]
        });
        output.write(table(&head, &rows.collect::<Vec<_>>()).as_bytes())?;
    }
    output.flush()?;
    if !done && !plan.is_empty() {
        eprintln!("nothing was changed: this is the plan. Add -y to carry it out");
    }
    Ok(())
}
