//! `ottla topic`: create, list, describe, trim, delete; `alter` is in `config`.
//!
//! JSON: `{"schema": "ottla.topics/1", "topics": […]}` and `{"schema": "ottla.topic/1", …}`. Offsets,
//! counts of records and ids are strings.

mod oldest;
mod trim;

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};

use clock::{Clock as _, SystemClock};
use kafka_client::{
    Client, ClientError, Config, ConfigOwner, ConfigSource, ErrorCode, NewTopic, OffsetSpec, Topic,
};
use serde_json::json;

use crate::client_arguments::{
    BrokerArguments, CreateArguments, DeleteArguments, DescribeArguments, ListArguments, TopicVerb,
};
use crate::config::{alter_topic, config_table, source_name};
use crate::connect::{block_on, connect, explain, is_unknown_topic, unknown_topic};
use crate::failure::{Exit, Failure};
use crate::outcomes::Outcomes;
use crate::output::{Align, Output, counted, data, table};
use oldest::Oldest;

/// First and next offset of a partition; `None` where the broker did not tell.
type Range = Option<(i64, i64)>;

/// Runs one of the commands.
pub(crate) fn run(verb: TopicVerb) -> Result<(), Failure> {
    match verb {
        TopicVerb::Create(arguments) => block_on(create(arguments)),
        TopicVerb::List(arguments) => block_on(list(arguments)),
        TopicVerb::Describe(arguments) => block_on(describe(arguments)),
        TopicVerb::Alter(arguments) => block_on(alter_topic(arguments)),
        TopicVerb::Trim(arguments) => block_on(trim::trim(arguments)),
        TopicVerb::Delete(arguments) => block_on(delete(arguments)),
    }
}

async fn create(arguments: CreateArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let mut output = Output::new();
    let mut outcomes = Outcomes::of("topics");
    for name in &arguments.names {
        let made = create_one(&mut client, &arguments, name).await;
        outcomes.note(match made {
            Ok(text) => output.write(text.as_bytes()),
            Err(failure) => Err(failure),
        })?;
    }
    output.flush()?;
    outcomes.end("created")
}

async fn create_one(
    client: &mut Client,
    arguments: &CreateArguments,
    name: &str,
) -> Result<String, Failure> {
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: arguments.partitions,
        replication_factor: None,
        configs: arguments.configs.clone(),
        validate_only: arguments.dry_run,
    };
    let flag = arguments.broker.flag();
    let form = arguments.form.output;
    let made = match client.create_topic(&topic).await {
        Ok(made) => made,
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => {
            if arguments.if_not_exists {
                let json = data(form, &json!({"name": name, "created": false}), "");
                let text = format!("topic {name} exists already");
                return Ok(if form.is_data() {
                    json
                } else {
                    format!("{text}\n")
                });
            }
            let failure = Failure::new(Exit::Error, format!("topic {name:?} exists already"))
                .code(ErrorCode::TopicAlreadyExists.name())
                .why("nothing was changed");
            return Err(failure.fix(format!(
                "ottla topic describe {name}{flag}   |   add --if-not-exists"
            )));
        }
        Err(error) => {
            return Err(explain(
                &error,
                &format!("topic {name:?} cannot be created"),
            ));
        }
    };
    if form.is_data() {
        let id = (!made.id.is_zero()).then(|| made.id.to_string());
        let created = !arguments.dry_run;
        let partitions = made.partitions;
        let made = json!({"name": name, "id": id, "partitions": partitions, "created": created});
        return Ok(data(form, &made, ""));
    }
    let done = if arguments.dry_run {
        "could be created"
    } else {
        "created"
    };
    let partitions = made.partitions.map_or_else(String::new, |count| {
        format!(": {}", counted(count, "partition"))
    });
    Ok(format!("topic {name} {done}{partitions}\n"))
}

async fn list(arguments: ListArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let cannot = "the topics cannot be listed";
    let mut topics = client
        .list_topics()
        .await
        .map_err(|error| explain(&error, cannot))?;
    if let Some(pattern) = &arguments.pattern {
        topics.retain(|topic| matches(pattern, &topic.name));
    }
    let ranges = ranges(&mut client, &topics)
        .await
        .map_err(|error| explain(&error, cannot))?;
    let records = |topic: &Topic| {
        let ranges = topic.partitions.iter().filter_map(|partition| {
            ranges
                .get(&(topic.name.clone(), partition.index))
                .copied()
                .flatten()
        });
        ranges
            .map(|(start, end)| end.saturating_sub(start))
            .sum::<i64>()
            .to_string()
    };
    let mut output = Output::new();
    let form = arguments.form.output;
    if form.is_data() {
        let topics = topics.iter().map(|topic| {
            json!({
                "name": topic.name,
                "id": topic.id.to_string(),
                "partitions": topic.partitions.len(),
                "records": records(topic),
            })
        });
        let topics: Vec<_> = topics.collect();
        let all = json!({"schema": "ottla.topics/1", "topics": topics});
        output.data(form, &all, "topics")?;
    } else {
        let head = [
            ("NAME", Align::Left),
            ("PARTITIONS", Align::Right),
            ("RECORDS", Align::Right),
        ];
        let rows = topics.iter().map(|topic| {
            vec![
                topic.name.clone(),
                topic.partitions.len().to_string(),
                records(topic),
            ]
        });
        output.write(table(&head, &rows.collect::<Vec<_>>()).as_bytes())?;
    }
    output.flush()
}

/// Whether a name is like a pattern with `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = characters.as_str();
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.into_iter()
                .any(|at| matches(rest, name.get(at..).unwrap_or_default()))
        }
        Some(wanted) => {
            let mut left = name.chars();
            let next = left.next();
            next.is_some_and(|next| wanted == '?' || wanted == next)
                && matches(characters.as_str(), left.as_str())
        }
    }
}

/// First and next offset of every partition.
async fn ranges(
    client: &mut Client,
    topics: &[Topic],
) -> Result<BTreeMap<(String, i32), Range>, ClientError> {
    let numbers: Vec<Vec<i32>> = topics
        .iter()
        .map(|topic| {
            topic
                .partitions
                .iter()
                .map(|partition| partition.index)
                .collect()
        })
        .collect();
    let asked: Vec<(&str, &[i32])> = topics
        .iter()
        .zip(&numbers)
        .map(|(topic, numbers)| (topic.name.as_str(), numbers.as_slice()))
        .collect();
    let starts = client.all_offsets(&asked, OffsetSpec::Earliest).await?;
    let ends = client.all_offsets(&asked, OffsetSpec::Latest).await?;
    let ranges = starts.into_iter().map(|(place, start)| {
        let start = start.ok().and_then(|found| found.offset);
        let end = ends
            .get(&place)
            .and_then(|end| end.ok())
            .and_then(|found| found.offset);
        (place, start.zip(end))
    });
    Ok(ranges.collect())
}

async fn describe(arguments: DescribeArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let name = &arguments.name;
    let topic = match client.topic(name, false).await {
        Ok(topic) => topic,
        Err(error) if is_unknown_topic(&error) => {
            let tried = ("topic describe", "this is not one of them");
            return Err(unknown_topic(&mut client, &arguments.broker, name, tried).await);
        }
        Err(error) => {
            return Err(explain(
                &error,
                &format!("topic {name:?} cannot be described"),
            ));
        }
    };
    let cannot = |error| explain(&error, &format!("topic {name:?} cannot be described"));
    let ranges = ranges(&mut client, std::slice::from_ref(&topic))
        .await
        .map_err(cannot)?;
    let cannot = |error| explain(&error, &format!("the configs of {name:?} cannot be read"));
    let owner = ConfigOwner::Topic(name.clone());
    let mut configs = client.configs(&owner).await.map_err(cannot)?;
    let oldest = Oldest::look(&mut client, &topic, &configs).await;
    let oldest =
        oldest.map_err(|error| explain(&error, &format!("topic {name:?} cannot be described")))?;
    if !arguments.configs {
        configs.retain(|config| config.source == ConfigSource::Topic);
    }
    let range = |partition| {
        ranges
            .get(&(topic.name.clone(), partition))
            .copied()
            .flatten()
    };
    let mut output = Output::new();
    let form = arguments.form.output;
    if form.is_data() {
        let all = description_json(&topic, &configs, &oldest, range);
        output.data(form, &all, "partitions")?;
    } else {
        output.write(description(&topic, &configs, &oldest, range).as_bytes())?;
    }
    output.flush()
}

fn description_json(
    topic: &Topic,
    configs: &[Config],
    oldest: &Oldest,
    range: impl Fn(i32) -> Range,
) -> serde_json::Value {
    let partitions = topic.partitions.iter().map(|partition| {
        let range = range(partition.index);
        json!({
            "partition": partition.index,
            "leader": partition.leader,
            "leader_epoch": partition.leader_epoch,
            "start": range.map(|(start, _)| start.to_string()),
            "end": range.map(|(_, end)| end.to_string()),
            "oldest_ms": oldest.of(partition.index).map(|ms| ms.to_string()),
            "error": partition.error.map(ErrorCode::name),
        })
    });
    let configs = configs.iter().map(|config| {
        json!({"name": config.name, "value": config.value, "source": source_name(config.source)})
    });
    json!({
        "schema": "ottla.topic/1",
        "name": topic.name,
        "id": topic.id.to_string(),
        "partitions": partitions.collect::<Vec<_>>(),
        "oldest_goes_ms": oldest.goes_ms().map(|ms| ms.to_string()),
        "configs": configs.collect::<Vec<_>>(),
    })
}

fn description(
    topic: &Topic,
    configs: &[Config],
    oldest: &Oldest,
    range: impl Fn(i32) -> Range,
) -> String {
    let head = [
        ("PARTITION", Align::Right),
        ("START", Align::Right),
        ("END", Align::Right),
        ("RECORDS", Align::Right),
        ("LEADER", Align::Right),
        ("EPOCH", Align::Right),
        ("STATE", Align::Left),
    ];
    let rows = topic.partitions.iter().map(|partition| {
        let range = range(partition.index);
        let shown = |number: Option<i64>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
        vec![
            partition.index.to_string(),
            shown(range.map(|(start, _)| start)),
            shown(range.map(|(_, end)| end)),
            shown(range.map(|(start, end)| end.saturating_sub(start))),
            partition.leader.to_string(),
            partition.leader_epoch.to_string(),
            partition.error.map_or("online", ErrorCode::name).to_owned(),
        ]
    });
    let partitions = table(&head, &rows.collect::<Vec<_>>());
    let mut text = format!("topic  {}\nid     {}\n\n{partitions}", topic.name, topic.id);
    if let Some(sentence) = oldest.sentence(SystemClock.wall_ms()) {
        text = format!("{text}\n{sentence}\n");
    }
    if !configs.is_empty() {
        text.push('\n');
        text.push_str(&config_table(configs));
    }
    text
}

async fn delete(arguments: DeleteArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let mut outcomes = Outcomes::of("topics");
    let mut topics = Vec::new();
    for name in &arguments.names {
        match client.topic(name, false).await {
            Ok(topic) => topics.push(topic),
            Err(error) if is_unknown_topic(&error) && arguments.if_exists => {
                eprintln!("topic {name} does not exist");
            }
            Err(error) if is_unknown_topic(&error) => {
                let tried = ("topic delete", "this is not one of them");
                outcomes.note(Err(unknown_topic(
                    &mut client,
                    &arguments.broker,
                    name,
                    tried,
                )
                .await))?;
            }
            Err(error) => {
                return Err(explain(
                    &error,
                    &format!("topic {name:?} cannot be looked at"),
                ));
            }
        }
    }
    if !arguments.yes && !topics.is_empty() {
        let ranges = ranges(&mut client, &topics).await;
        let ranges = ranges.map_err(|error| explain(&error, "the topics cannot be looked at"))?;
        confirm(&topics, &ranges, &arguments.broker)?;
    }
    let mut output = Output::new();
    for topic in &topics {
        let name = &topic.name;
        outcomes.note(match client.delete_topic(name).await {
            Ok(()) => output.line(&format!("topic {name} deleted")),
            Err(error) => Err(explain(
                &error,
                &format!("topic {name:?} cannot be deleted"),
            )),
        })?;
    }
    output.flush()?;
    outcomes.end("deleted")
}

/// Shows what would be lost and asks. Without a terminal nothing is done.
fn confirm(
    topics: &[Topic],
    ranges: &BTreeMap<(String, i32), Range>,
    broker: &BrokerArguments,
) -> Result<(), Failure> {
    let mut names = Vec::new();
    for topic in topics {
        let own = ranges.iter().filter(|((name, _), _)| *name == topic.name);
        let counts = own.filter_map(|(_, range)| range.map(|(start, end)| end - start));
        let partitions = counted(topic.partitions.len(), "partition");
        let records = counted(counts.sum::<i64>(), "record");
        eprintln!("delete topic {}: {partitions}, {records}", topic.name);
        names.push(topic.name.clone());
    }
    let command = format!("ottla topic delete {} -y{}", names.join(" "), broker.flag());
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::new(Exit::Usage, "nothing was deleted")
            .why("there is no terminal to ask on")
            .fix(command));
    }
    eprint!("Delete? The records are gone for good. [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Error, "nothing was deleted"))
}

#[cfg(test)]
mod tests;
