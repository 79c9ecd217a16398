//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use server::{Advertise, Durability};

use crate::bench_arguments::{BENCH_EXAMPLES, BenchVerb};
use crate::client_arguments::{
    CONSUME_EXAMPLES, ConfigVerb, ConsumeArguments, LogVerb, PRODUCE_EXAMPLES, ProduceArguments,
    TopicVerb,
};
use crate::group_arguments::GroupVerb;

/// A Kafka-compatible message broker in one binary.
///
/// Without a command, `ottla` starts the broker: gRPC, the Kafka protocol and HTTP on one port.
/// Long flags are accepted with one dash or two: -port 9092 is --port 9092.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// The command; none starts the broker.
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,

    /// Flags of the broker, accepted without a command too.
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start the broker (what `ottla` alone does)
    Serve(ServeArguments),
    /// Create, list, describe, alter and delete topics
    #[command(subcommand)]
    Topic(TopicVerb),
    /// Show and change configs of the broker and of topics
    #[command(subcommand)]
    Config(ConfigVerb),
    /// List, describe, measure, reset and delete consumer groups
    #[command(subcommand)]
    Group(GroupVerb),
    /// Write records: one for each line of the input
    #[command(after_help = PRODUCE_EXAMPLES)]
    Produce(ProduceArguments),
    /// Read records and follow the topic
    #[command(after_help = CONSUME_EXAMPLES)]
    Consume(ConsumeArguments),
    /// Look at the files of a data directory, without a broker
    #[command(subcommand)]
    Log(LogVerb),
    /// Put a load on a broker and measure it; any broker that speaks the Kafka protocol
    #[command(subcommand, after_help = BENCH_EXAMPLES)]
    Bench(BenchVerb),
}

/// Flags of the broker.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Port for all protocols; 0 chooses a free one and prints it
    #[arg(long, default_value_t = 9092, env = "OTTLA_PORT")]
    pub(crate) port: u16,

    /// Address to listen on [default: 127.0.0.1 and ::1]
    #[arg(long, value_name = "ADDRESS", env = "OTTLA_HOST")]
    pub(crate) host: Option<String>,

    /// Directory of the records; made if it does not exist
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./data",
        env = "OTTLA_DATA_DIR"
    )]
    pub(crate) data_dir: PathBuf,

    /// When a write is on disk: fsync (before it is acknowledged), interval=10ms, os
    #[arg(
        long,
        value_name = "MODE",
        default_value = "fsync",
        env = "OTTLA_DURABILITY"
    )]
    pub(crate) durability: Durability,

    /// What clients are told to connect to: auto, or HOST[:PORT]
    #[arg(
        long,
        value_name = "auto|HOST[:PORT]",
        default_value = "auto",
        env = "OTTLA_ADVERTISE"
    )]
    pub(crate) advertise: Advertise,

    /// A broker setting by Kafka's name, for example --set log.segment.bytes=1048576
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,

    /// Least severe log lines to write: error, warn, info, debug, trace
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        env = "OTTLA_LOG_LEVEL"
    )]
    pub(crate) log_level: String,

    /// Form of log lines: text or json
    #[arg(
        long,
        value_name = "FORM",
        default_value = "text",
        env = "OTTLA_LOG_FORMAT"
    )]
    pub(crate) log_format: LogFormat,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
