//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use server::{Advertise, Durability};

/// A Kafka-compatible message broker in one binary.
///
/// Without a command, `ottla` starts the broker: gRPC, the Kafka protocol and HTTP on one port.
/// Long flags are accepted with one dash or two: -port 9092 is --port 9092.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// The command; none starts the broker.
    #[command(subcommand)]
    pub verb: Option<Verb>,

    /// Flags of the broker, accepted without a command too.
    #[command(flatten)]
    pub serve: ServeArguments,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start the broker (what `ottla` alone does)
    Serve(ServeArguments),
}

/// Flags of the broker.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Port for all protocols; 0 chooses a free one and prints it
    #[arg(long, default_value_t = 9092, env = "OTTLA_PORT")]
    pub port: u16,

    /// Address to listen on [default: 127.0.0.1 and ::1]
    #[arg(long, value_name = "ADDRESS", env = "OTTLA_HOST")]
    pub host: Option<String>,

    /// Directory of the records; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "./data", env = "OTTLA_DATA_DIR")]
    pub data_dir: PathBuf,

    /// When a write is on disk: fsync (before it is acknowledged), interval=10ms, os
    #[arg(long, value_name = "MODE", default_value = "fsync", env = "OTTLA_DURABILITY")]
    pub durability: Durability,

    /// What clients are told to connect to: auto, or HOST[:PORT]
    #[arg(long, value_name = "auto|HOST[:PORT]", default_value = "auto", env = "OTTLA_ADVERTISE")]
    pub advertise: Advertise,

    /// A broker setting by Kafka's name, for example --set log.segment.bytes=1048576
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,

    /// Least severe log lines to write: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "OTTLA_LOG_LEVEL")]
    pub log_level: String,

    /// Form of log lines: text or json
    #[arg(long, value_name = "FORM", default_value = "text", env = "OTTLA_LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
