//! The words of the commands that talk to a broker or look at its files.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use kafka_client::{Acks, Address};
use records::{Codec, Header};

use crate::format::{InputFormat, OutputFormat};
use crate::times::{From, parse_duration};

/// Where a broker is looked for.
pub(crate) const DEFAULT_BOOTSTRAP: &str = "localhost:9092";

/// Shown below the help of `ottla produce`.
pub(crate) const PRODUCE_EXAMPLES: &str = "\
Examples:
  echo hi | ottla produce hello                 prints where it is: hello[0]@0
  ottla produce events events.jsonl -z zstd     one record for each line of a file
  ottla produce users -f '%k\\t%v\\n' users.tsv    key and value with a tab between them";

/// Shown below the help of `ottla consume`.
pub(crate) const CONSUME_EXAMPLES: &str = "\
Examples:
  ottla consume hello -e                        all records, then end
  ottla consume hello --from end                only what is new; Ctrl-C ends it
  ottla consume hello --from -1h -n 10          at most ten records of the last hour
  ottla consume hello -f '%p:%o %k=%v\\n'         with partition, offset and key";

/// How a broker is reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Broker")]
pub(crate) struct BrokerArguments {
    /// The broker
    #[arg(
        short, long, value_name = "HOST:PORT",
        default_value = DEFAULT_BOOTSTRAP, env = "OTTLA_BOOTSTRAP"
    )]
    pub(crate) bootstrap: Address,

    /// How long to wait for the broker, for example 500ms, 10s, 2m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

impl BrokerArguments {
    /// The flag that a command needs to reach the same broker; empty for the default.
    pub(crate) fn flag(&self) -> String {
        let address = self.bootstrap.to_string();
        if address == DEFAULT_BOOTSTRAP {
            String::new()
        } else {
            format!(" -b {address}")
        }
    }
}

/// Form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Table,
    /// For programs; offsets and ids are strings, because JavaScript loses 64-bit numbers.
    Json,
    /// The same, a line for each thing that is listed.
    Jsonl,
    /// The same as json, for people who read data.
    Yaml,
}

impl Form {
    /// Whether it is for programs.
    pub(crate) fn is_data(self) -> bool {
        self != Self::Table
    }
}

/// `-o`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct FormArguments {
    /// Form of the output
    #[arg(
        short,
        long = "output",
        value_name = "FORM",
        default_value = "table",
        env = "OTTLA_OUTPUT"
    )]
    pub(crate) output: Form,
}

/// `ottla topic …`
#[derive(Debug, Subcommand)]
pub(crate) enum TopicVerb {
    /// Create topics
    Create(CreateArguments),
    /// List topics
    List(ListArguments),
    /// Show partitions, offsets and configs of a topic
    Describe(DescribeArguments),
    /// Change configs of a topic, or give it more partitions
    Alter(AlterArguments),
    /// Delete the oldest records of a topic
    Trim(TrimArguments),
    /// Delete topics and all their records
    Delete(DeleteArguments),
}

/// `ottla topic alter`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(crate) struct AlterArguments {
    /// The topic
    pub(crate) name: String,
    /// Set a config by Kafka's name; may be repeated
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = parse_config, group = "what")]
    pub(crate) configs: Vec<(String, String)>,
    /// Give a config its default again; may be repeated
    #[arg(long, value_name = "KEY", group = "what")]
    pub(crate) unset: Vec<String>,
    /// How many partitions it is to have; more than now
    #[arg(
        short, long, value_name = "N", group = "what",
        allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(1..)
    )]
    pub(crate) partitions: Option<i32>,
    /// Only check whether it could be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla config …`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Show configs
    Get(GetArguments),
    /// Set configs: KEY=VALUE…
    Set(SetArguments),
    /// Give configs their defaults again
    Unset(UnsetArguments),
}

/// What configs belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfigOf {
    /// The broker
    Broker,
    /// Every broker that does not say otherwise
    Brokers,
    /// The topic whose name is the next word
    Topic,
}

/// `ottla config get`
#[derive(Debug, Args)]
pub(crate) struct GetArguments {
    /// What the configs belong to
    pub(crate) of: ConfigOf,
    /// The name of the topic, and keys; without keys, what was set
    #[arg(value_name = "NAME|KEY")]
    pub(crate) words: Vec<String>,
    /// Show those with their defaults too
    #[arg(short, long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla config set`
#[derive(Debug, Args)]
pub(crate) struct SetArguments {
    /// What the configs belong to
    pub(crate) of: ConfigOf,
    /// The name of the topic, and configs
    #[arg(value_name = "NAME|KEY=VALUE", required = true)]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla config unset`
#[derive(Debug, Args)]
pub(crate) struct UnsetArguments {
    /// What the configs belong to
    pub(crate) of: ConfigOf,
    /// The name of the topic, and keys
    #[arg(value_name = "NAME|KEY", required = true)]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla topic create`
#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// Names: letters, digits, dots, dashes and underscores
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    /// Number of partitions [default: the broker's num.partitions]
    // On the wire -1 asks for the broker's number; here that is said by saying nothing.
    #[arg(
        short, long, value_name = "N",
        allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(1..)
    )]
    pub(crate) partitions: Option<i32>,
    /// A config by Kafka's name, for example -c segment.bytes=1048576
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = parse_config)]
    pub(crate) configs: Vec<(String, String)>,
    /// A topic that exists is fine
    #[arg(long)]
    pub(crate) if_not_exists: bool,
    /// Only check whether it could be created
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla topic list`
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only names like this; * stands for anything, ? for one character
    #[arg(value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla topic describe`
#[derive(Debug, Args)]
pub(crate) struct DescribeArguments {
    /// The topic
    pub(crate) name: String,
    /// Show every config, not only those that were set
    #[arg(long)]
    pub(crate) configs: bool,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla topic trim`
#[derive(Debug, Args)]
pub(crate) struct TrimArguments {
    /// The topic
    pub(crate) name: String,
    /// Which records go, those before: OFFSET, end, -N (the last N stay), @TIME, -1h
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    pub(crate) before: From,
    /// Only this partition; may be repeated [default: all]
    #[arg(
        short,
        long = "partition",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub(crate) partitions: Vec<i32>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla topic delete`
#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    /// The topics
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    /// A topic that does not exist is fine
    #[arg(long)]
    pub(crate) if_exists: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla produce`
#[derive(Debug, Args)]
pub(crate) struct ProduceArguments {
    /// The topic; created as the broker is set if it does not exist
    pub(crate) topic: String,
    /// The input; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// Key of every record
    #[arg(short, long, value_name = "KEY", conflicts_with = "format")]
    pub(crate) key: Option<String>,
    /// A header of every record; may be repeated
    #[arg(short = 'H', long = "header", value_name = "KEY=VALUE", value_parser = parse_header)]
    pub(crate) headers: Vec<Header>,
    /// Partition of every record [default: by key, or any]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) partition: Option<i32>,
    /// Form of a line, with %v for the value and %k for the key
    #[arg(short, long, value_name = "FORMAT", default_value = "%v\\n")]
    pub(crate) format: InputFormat,
    /// Compression: none, gzip, snappy, lz4, zstd
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none")]
    pub(crate) compression: Codec,
    /// Records are safe (all), with the broker (1), or only sent (0)
    #[arg(long, value_name = "all|1|0", default_value = "all", value_parser = parse_acks)]
    pub(crate) acks: Acks,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla consume`
#[derive(Debug, Args)]
pub(crate) struct ConsumeArguments {
    /// The topic
    pub(crate) topic: String,
    /// Only this partition; may be repeated [default: all]
    #[arg(
        short,
        long = "partition",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub(crate) partitions: Vec<i32>,
    /// Where to begin: start, end, OFFSET, -N (the last N), @TIME, -1h
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "start",
        allow_hyphen_values = true
    )]
    pub(crate) from: From,
    /// End after so many records
    #[arg(short = 'n', long = "max-messages", value_name = "N")]
    pub(crate) max_messages: Option<u64>,
    /// End at the end of the topic as it is now
    #[arg(short = 'e', long)]
    pub(crate) until_end: bool,
    /// Form of a record: %v value, %k key, %t topic, %p partition, %o offset, %T time in
    /// milliseconds, %h headers
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "%v\\n",
        conflicts_with = "output"
    )]
    pub(crate) format: OutputFormat,
    /// json: one object for each record
    #[arg(short, long, value_name = "FORM")]
    pub(crate) output: Option<RecordForm>,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// Forms of a record beside a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordForm {
    /// One object for each record.
    Json,
}

/// `ottla log …`
#[derive(Debug, Subcommand)]
pub(crate) enum LogVerb {
    /// Show the frames of segments: offset, length, crc, payload
    Inspect(LogArguments),
    /// Check every byte below a path
    Verify(LogArguments),
    /// Accept that damaged or missing records are lost, so that readers go on behind them
    Repair(RepairArguments),
}

/// `ottla log inspect`, `ottla log verify`
#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// A .log file, or the directory of a partition, a topic or a broker
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) form: FormArguments,
}

/// `ottla log repair`
#[derive(Debug, Args)]
pub(crate) struct RepairArguments {
    /// The directory of a partition, a topic or a broker that is stopped
    pub(crate) path: PathBuf,
    /// Do it; without this it only says what it would do
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) form: FormArguments,
}

pub(crate) fn parse_config(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("it has no \"=\": write KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

fn parse_header(text: &str) -> Result<Header, String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("it has no \"=\": write KEY=VALUE")?;
    Ok(Header::new(key.to_owned(), value.to_owned()))
}

pub(crate) fn parse_acks(text: &str) -> Result<Acks, String> {
    match text {
        "all" | "-1" => Ok(Acks::All),
        "1" => Ok(Acks::Leader),
        "0" => Ok(Acks::None),
        _ => Err("it is all, 1 or 0".to_owned()),
    }
}
