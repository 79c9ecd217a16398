//! Kafka Streams: a word count with a repartition topic, a store and its changelog.
//!
//! The broker is killed between two runs, and the second begins with an empty folder: its table comes
//! from the changelog. Both tables, and the topic that the count goes to, must be what counting says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{World, jvm};
use crate::chance::Chance;
use crate::conformance::broker::Broker;
use crate::conformance::process;

const LINES: usize = 4_000;
const WORDS_A_LINE: usize = 8;
const VOCABULARY: usize = 300;
const LIMIT: Duration = Duration::from_mins(3);

type Table = BTreeMap<String, u64>;

/// Counts half of the words, then all.
pub(super) fn run(world: &World) -> Result<String, String> {
    let folder = TempDir::with_prefix("streams-").map_err(|error| error.to_string())?;
    let lines = lines(1);
    let (first, second) = lines.split_at(LINES / 2);
    let mut broker = world.broker()?;
    for topic in ["text", "word-counts"] {
        world.create(&broker, topic, 2)?;
    }
    produce(&broker, first, folder.path())?;
    count(world, &broker, &folder.path().join("first"), first)?;
    broker = broker.kill_and_restart()?;
    produce(&broker, second, folder.path())?;
    count(world, &broker, &folder.path().join("second"), &lines)?;
    compare("the topic word-counts", &counts_topic(&broker)?, &lines)?;
    let words = lines.len() * WORDS_A_LINE;
    Ok(format!(
        "{words} words counted right, the second half on a store restored from its changelog after kill -9 of the broker"
    ))
}

fn lines(seed: u64) -> Vec<String> {
    let mut chance = Chance::new(seed);
    let mut line = || {
        let words: Vec<String> = (0..WORDS_A_LINE)
            .map(|_| format!("word{}", chance.below(VOCABULARY)))
            .collect();
        words.join(" ")
    };
    (0..LINES).map(|_| line()).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a temporary file of a developer's tool"
)]
fn produce(broker: &Broker, lines: &[String], folder: &Path) -> Result<(), String> {
    let file = folder.join("lines.txt");
    std::fs::write(&file, lines.join("\n") + "\n").map_err(|error| error.to_string())?;
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", &broker.address, "-P", "-t", "text", "-l"]);
    kcat.arg(file);
    process::succeed(kcat).map(drop)
}

/// Runs the application until it has counted all of these, and compares its table.
fn count(world: &World, broker: &Broker, state: &Path, lines: &[String]) -> Result<(), String> {
    let mut application = jvm::java(&world.places, "256m", "WordCount");
    application.arg(&broker.address).arg(state);
    application.arg((lines.len() * WORDS_A_LINE).to_string());
    let said = jvm::finish(application, LIMIT)?;
    compare("the store", &table(&said), lines)
}

/// The last count of each word.
fn counts_topic(broker: &Broker) -> Result<Table, String> {
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", &broker.address, "-C", "-q", "-e", "-o", "beginning"]);
    kcat.args(["-t", "word-counts", "-f", "%k %s\\n"]);
    Ok(table(&process::succeed(kcat)?))
}

/// Lines `word count`; of a word that stands there twice the last counts.
fn table(said: &str) -> Table {
    let row = |line: &str| {
        let (word, count) = line.split_once(' ')?;
        Some((word.to_owned(), count.parse().ok()?))
    };
    said.lines().filter_map(row).collect()
}

fn compare(what: &str, found: &Table, lines: &[String]) -> Result<(), String> {
    let mut wanted = Table::new();
    for word in lines.iter().flat_map(|line| line.split(' ')) {
        *wanted.entry(word.to_owned()).or_default() += 1;
    }
    if *found == wanted {
        return Ok(());
    }
    let differ = |(word, count): &(&String, &u64)| found.get(*word) != Some(count);
    let wrong = wanted.iter().filter(differ).count();
    Err(format!(
        "{what}: {} words, {} wanted, {wrong} with another count",
        found.len(),
        wanted.len()
    ))
}
