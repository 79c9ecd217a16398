//! `ottla config` and `ottla topic alter`: configs of a topic or of the broker.
//!
//! JSON: `{"schema": "ottla.configs/1", "of": …, "configs": […]}` and
//! `{"schema": "ottla.altered/1", "of": …, "changes": {KEY: VALUE or null}, "partitions": …, "done": …}`.

use kafka_client::{Client, ClientError, Config, ConfigOwner, ConfigSource};
use serde_json::json;

use crate::client_arguments::{
    AlterArguments, ConfigOf, ConfigVerb, Form, GetArguments, SetArguments, UnsetArguments,
    parse_config,
};
use crate::connect::{block_on, connect, explain, is_unknown_topic, unknown_topic};
use crate::failure::{Exit, Failure};
use crate::output::{Align, Output, counted, table};
use crate::suggest::nearest;

/// Configs and what they become; `None`: the default again.
type Changes = Vec<(String, Option<String>)>;

/// Runs one of the commands.
pub(crate) fn run(verb: ConfigVerb) -> Result<(), Failure> {
    match verb {
        ConfigVerb::Get(arguments) => block_on(get(arguments)),
        ConfigVerb::Set(arguments) => block_on(set(arguments)),
        ConfigVerb::Unset(arguments) => block_on(unset(arguments)),
    }
}

/// `ottla topic alter`. All of it is checked before anything is done.
pub(crate) async fn alter_topic(arguments: AlterArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let name = &arguments.name;
    let mut changes: Changes = Vec::new();
    changes.extend(
        arguments
            .configs
            .into_iter()
            .map(|(key, value)| (key, Some(value))),
    );
    changes.extend(arguments.unset.into_iter().map(|key| (key, None)));
    let owner = ConfigOwner::Topic(name.clone());
    let steps: &[bool] = if arguments.dry_run {
        &[true]
    } else {
        &[true, false]
    };
    for validate_only in steps {
        let mut outcome = client.alter_configs(&owner, &changes, *validate_only).await;
        if let (Ok(()), Some(total)) = (&outcome, arguments.partitions) {
            outcome = client.add_partitions(name, total, *validate_only).await;
        }
        match outcome {
            Ok(()) => {}
            Err(error) if is_unknown_topic(&error) => {
                let tried = ("topic alter", "this is not one of them");
                return Err(unknown_topic(&mut client, &arguments.broker, name, tried).await);
            }
            Err(error) => {
                return Err(explain(
                    &error,
                    &format!("topic {name:?} cannot be altered"),
                ));
            }
        }
    }
    let done = !arguments.dry_run;
    report(
        &owner,
        &changes,
        arguments.partitions,
        (arguments.form.output, done),
    )
}

async fn get(arguments: GetArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let (owner, keys) = owner(&mut client, arguments.of, &arguments.words).await?;
    let shown = name_of(&owner);
    let cannot =
        |error: ClientError| explain(&error, &format!("the configs of {shown} cannot be read"));
    let mut configs = client.configs(&owner).await.map_err(cannot)?;
    for key in &keys {
        if !configs.iter().any(|config| config.name == **key) {
            return Err(unknown_key(key, &shown, &configs));
        }
    }
    if !keys.is_empty() {
        configs.retain(|config| keys.contains(&config.name.as_str()));
    } else if !arguments.all {
        configs.retain(|config| config.source != ConfigSource::Default);
    }
    let mut output = Output::new();
    let form = arguments.form.output;
    if form.is_data() {
        let rows = configs.iter().map(|config| {
            let source = source_name(config.source);
            json!({
                "name": config.name,
                "value": config.value,
                "source": source,
                "read_only": config.read_only,
            })
        });
        let rows: Vec<_> = rows.collect();
        let all = json!({"schema": "ottla.configs/1", "of": shown, "configs": rows});
        output.data(form, &all, "configs")?;
    } else {
        output.write(config_table(&configs).as_bytes())?;
    }
    output.flush()
}

async fn set(arguments: SetArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let (owner, words) = owner(&mut client, arguments.of, &arguments.words).await?;
    let mut changes: Changes = Vec::new();
    for word in words {
        let (key, value) = parse_config(word).map_err(|reason| {
            Failure::new(Exit::Usage, format!("{word:?} is no config")).why(reason)
        })?;
        changes.push((key, Some(value)));
    }
    change(&mut client, &owner, &changes, arguments.form.output).await
}

async fn unset(arguments: UnsetArguments) -> Result<(), Failure> {
    let mut client = connect(&arguments.broker).await?;
    let (owner, words) = owner(&mut client, arguments.of, &arguments.words).await?;
    let changes: Changes = words.iter().map(|key| ((*key).to_owned(), None)).collect();
    change(&mut client, &owner, &changes, arguments.form.output).await
}

async fn change(
    client: &mut Client,
    owner: &ConfigOwner,
    changes: &Changes,
    form: Form,
) -> Result<(), Failure> {
    if changes.is_empty() {
        let what = format!("no config of {} is named", name_of(owner));
        return Err(Failure::new(Exit::Usage, what).fix("name at least one KEY"));
    }
    let altered = client.alter_configs(owner, changes, false).await;
    let cannot =
        |error: ClientError| explain(&error, &format!("{} cannot be altered", name_of(owner)));
    altered.map_err(cannot)?;
    report(owner, changes, None, (form, true))
}

/// What the words of a command are about, and the words behind that.
async fn owner<'a>(
    client: &mut Client,
    of: ConfigOf,
    words: &'a [String],
) -> Result<(ConfigOwner, Vec<&'a str>), Failure> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (of, words.split_first()) {
        (ConfigOf::Topic, Some((name, rest))) => {
            Ok((ConfigOwner::Topic((*name).to_owned()), rest.to_vec()))
        }
        (ConfigOf::Topic, None) => {
            Err(Failure::new(Exit::Usage, "no topic is named").fix("ottla config get topic NAME"))
        }
        (ConfigOf::Brokers, _) => Ok((ConfigOwner::EveryBroker, words)),
        (ConfigOf::Broker, _) => {
            let node = client.controller().await;
            let node = node.map_err(|error| explain(&error, "the broker cannot be asked"))?;
            Ok((ConfigOwner::Broker(node), words))
        }
    }
}

fn report(
    owner: &ConfigOwner,
    changes: &Changes,
    partitions: Option<i32>,
    (form, done): (Form, bool),
) -> Result<(), Failure> {
    let of = name_of(owner);
    let mut output = Output::new();
    if form.is_data() {
        let changes = changes
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)));
        let changes: serde_json::Map<_, _> = changes.collect();
        let all = json!({
            "schema": "ottla.altered/1",
            "of": of,
            "changes": changes,
            "partitions": partitions,
            "done": done,
        });
        output.data(form, &all, "")?;
        return output.flush();
    }
    let could = if done { "" } else { "could be " };
    for (key, value) in changes {
        output.line(&match value {
            Some(value) => format!("{of}: {could}set: {key}={value}"),
            None => format!("{of}: {could}unset: {key}"),
        })?;
    }
    if let Some(total) = partitions {
        output.line(&format!(
            "{of}: {could}grown to {}",
            counted(total, "partition")
        ))?;
    }
    output.flush()
}

fn name_of(owner: &ConfigOwner) -> String {
    match owner {
        ConfigOwner::Topic(name) => format!("topic {name}"),
        ConfigOwner::Broker(node) => format!("broker {node}"),
        ConfigOwner::EveryBroker => "every broker".to_owned(),
    }
}

fn unknown_key(key: &str, of: &str, configs: &[Config]) -> Failure {
    let failure = Failure::new(Exit::NotFound, format!("{of} has no config {key:?}"));
    match nearest(key, configs.iter().map(|config| config.name.as_str())) {
        Some(meant) => failure.fix(format!("did you mean {meant:?}?")),
        None => failure.fix("ottla config get … --all lists them"),
    }
}

/// Configs below a head.
pub(crate) fn config_table(configs: &[Config]) -> String {
    let head = [
        ("CONFIG", Align::Left),
        ("VALUE", Align::Left),
        ("SET BY", Align::Left),
    ];
    let rows = configs.iter().map(|config| {
        let value = config.value.clone().unwrap_or_default();
        vec![config.name.clone(), value, source_name(config.source)]
    });
    table(&head, &rows.collect::<Vec<_>>())
}

/// Where a value comes from, in a word or two.
pub(crate) fn source_name(source: ConfigSource) -> String {
    match source {
        ConfigSource::Topic => "topic".to_owned(),
        ConfigSource::Broker => "broker".to_owned(),
        ConfigSource::EveryBroker => "every broker".to_owned(),
        ConfigSource::Start => "start".to_owned(),
        ConfigSource::Default => "default".to_owned(),
        ConfigSource::Other(number) => format!("source {number}"),
    }
}
