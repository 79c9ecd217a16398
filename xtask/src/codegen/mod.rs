//! `cargo xtask codegen`: Kafka's message schemas become the generated half of `kafka-wire`.
//!
//! The committed facts file is the input and the committed Rust files are the output; both are
//! compared by `--check`, which needs no network. `--from-jar` refreshes the facts first.

mod emit;
pub(crate) mod facts;
mod jar;
mod rust;
#[cfg(test)]
mod tests;

use crate::{Outcome, root};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The APIs that are generated. Adding one is one line here and one `codegen --from-jar`.
const APIS: &[&str] = &[
    "Produce",
    "Fetch",
    "ListOffsets",
    "Metadata",
    "OffsetCommit",
    "OffsetFetch",
    "FindCoordinator",
    "JoinGroup",
    "Heartbeat",
    "LeaveGroup",
    "SyncGroup",
    "DescribeGroups",
    "ListGroups",
    "ApiVersions",
    "CreateTopics",
    "DeleteTopics",
    "DeleteRecords",
    "InitProducerId",
    "OffsetForLeaderEpoch",
    "DescribeAcls",
    "CreateAcls",
    "DeleteAcls",
    "DescribeConfigs",
    "AlterConfigs",
    "DescribeLogDirs",
    "CreatePartitions",
    "DeleteGroups",
    "ElectLeaders",
    "IncrementalAlterConfigs",
    "AlterPartitionReassignments",
    "ListPartitionReassignments",
    "OffsetDelete",
    "DescribeQuorum",
    "UpdateFeatures",
    "DescribeCluster",
    "DescribeProducers",
    "ConsumerGroupHeartbeat",
    "ConsumerGroupDescribe",
    "ListConfigResources",
    "DescribeTopicPartitions",
];

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let root = root();
    let facts_path = facts_path(&root);
    let messages = messages_folder(&root);
    match arguments {
        [] => write_all(&messages, &generate(&root, &facts_path)?),
        [flag] if flag == "--check" => check(&messages, &generate(&root, &facts_path)?),
        [flag] if flag == "--from-jar" => {
            refresh_facts(&root, &facts_path)?;
            write_all(&messages, &generate(&root, &facts_path)?)
        }
        other => Err(format!(
            "codegen takes --check or --from-jar, not {other:?}"
        )),
    }
}

pub(crate) fn facts_path(root: &Path) -> PathBuf {
    root.join("crates/kafka-wire/schema/messages.txt")
}

fn messages_folder(root: &Path) -> PathBuf {
    root.join("crates/kafka-wire/src/messages")
}

fn refresh_facts(root: &Path, facts_path: &Path) -> Outcome {
    let schemas = jar::unpack(&root.join("target/codegen"))?;
    let apis = APIS
        .iter()
        .map(|name| jar::read_api(&schemas, name))
        .collect::<Result<Vec<_>, _>>()?;
    let printed = facts::print(&apis);
    if facts::parse(&printed)? != apis {
        return Err("the facts file does not read back as it was written".to_owned());
    }
    write_file(facts_path, &printed)
}

/// The generated files: name and formatted text.
fn generate(root: &Path, facts_path: &Path) -> Result<Vec<(String, String)>, String> {
    let text = std::fs::read_to_string(facts_path)
        .map_err(|error| format!("{}: {error}", facts_path.display()))?;
    let apis = facts::parse(&text)?;
    let mut files = vec![("mod.rs".to_owned(), emit::index(&apis))];
    for api in &apis {
        files.push((
            format!("{}.rs", rust::snake_case(&api.name)),
            emit::api(api)?,
        ));
    }
    for (name, text) in &mut files {
        *text = format(root, text).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(files)
}

fn format(root: &Path, text: &str) -> Result<String, String> {
    let mut child = Command::new("rustfmt")
        .args([
            "--edition",
            "2024",
            "--config",
            "use_small_heuristics=Max",
            "--config-path",
        ])
        .arg(root.join("rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("rustfmt: {error}"))?;
    let mut input = child.stdin.take().expect("stdin is piped");
    let text = text.to_owned();
    let feeder = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child
        .wait_with_output()
        .map_err(|error| format!("rustfmt: {error}"))?;
    feeder
        .join()
        .expect("the feeder does not panic")
        .map_err(|error| format!("rustfmt: {error}"))?;
    if !output.status.success() {
        return Err(format!("rustfmt ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("rustfmt: {error}"))
}

#[expect(clippy::disallowed_methods, reason = "removes stale generated source")]
fn write_all(folder: &Path, files: &[(String, String)]) -> Outcome {
    for stale in unexpected(folder, files)? {
        std::fs::remove_file(&stale).map_err(|error| format!("{}: {error}", stale.display()))?;
    }
    files
        .iter()
        .try_for_each(|(name, text)| write_file(&folder.join(name), text))
}

fn check(folder: &Path, files: &[(String, String)]) -> Outcome {
    let mut different: Vec<String> = unexpected(folder, files)?
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    for (name, text) in files {
        let committed = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        if committed != *text {
            different.push(folder.join(name).display().to_string());
        }
    }
    if different.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not what `cargo xtask codegen` writes:\n  {}",
        different.join("\n  ")
    ))
}

fn unexpected(folder: &Path, files: &[(String, String)]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry
            .map_err(|error| format!("{}: {error}", folder.display()))?
            .path();
        if !files.iter().any(|(name, _)| path == folder.join(name)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[expect(
    clippy::disallowed_methods,
    reason = "writes source files, not a data directory"
)]
fn write_file(path: &Path, text: &str) -> Outcome {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
