//! The words of `ottla bench`.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use kafka_client::Acks;
use records::Codec;

use crate::client_arguments::{BrokerArguments, FormArguments, parse_acks};
use crate::times::parse_duration;

/// Shown below the help of `ottla bench`.
pub(crate) const BENCH_EXAMPLES: &str = "\
Examples:
  ottla bench produce                                     64 requests in flight, one record each
  ottla bench produce --batch-size 1MiB --in-flight 8     how much goes in
  ottla bench e2e --rate 10000 --duration 30s             latency at a fixed rate, to the reader
  ottla bench consume --clients 4                         how much comes out, to four readers";

/// `ottla bench …`
#[derive(Debug, Subcommand)]
pub(crate) enum BenchVerb {
    /// Write records: throughput, and the time until each request is acknowledged
    Produce(ProduceBench),
    /// Read records again and again: throughput, and the time of each fetch
    Consume(ConsumeBench),
    /// Write and read at once: the time until a reader has what was written
    E2e(EndToEndBench),
}

/// What records and batches look like.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Records")]
pub(crate) struct ShapeArguments {
    /// Bytes of a record's value
    #[arg(long, value_name = "BYTES", default_value = "1KiB", value_parser = parse_size)]
    pub(crate) size: u32,
    /// Bytes of a batch before compression [default: one record a batch; of consume: 1MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub(crate) batch_size: Option<u32>,
    /// Compression: none, gzip, snappy, lz4, zstd
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none")]
    pub(crate) compression: Codec,
}

/// How it is written.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Load")]
pub(crate) struct WriteArguments {
    /// Connections that write
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) clients: u16,
    /// Requests in flight over all connections, one on each at least [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) in_flight: Option<u32>,
    /// Records are safe (all), with the broker (1), or only sent (0)
    #[arg(long, value_name = "all|1|0", default_value = "all", value_parser = parse_acks)]
    pub(crate) acks: Acks,
    #[command(flatten)]
    pub(crate) length: LengthArguments,
}

/// When it ends: by whichever comes first.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Load")]
pub(crate) struct LengthArguments {
    /// How long it runs
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(crate) duration: Duration,
    /// End earlier, after so many bytes of batches
    #[arg(long, value_name = "BYTES", value_parser = parse_volume)]
    pub(crate) volume: Option<u64>,
}

/// Partitions of a topic that is made.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Load")]
pub(crate) struct PartitionsArguments {
    /// Partitions of a topic that is made
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: i32,
}

/// `ottla bench produce`
#[derive(Debug, Args)]
pub(crate) struct ProduceBench {
    /// Write to this topic and keep it [default: a topic of its own, deleted at the end]
    #[arg(long, value_name = "NAME")]
    pub(crate) topic: Option<String>,
    /// Records a second at fixed times; max: as fast as requests are answered
    #[arg(long, value_name = "max|N", default_value = "max")]
    pub(crate) rate: Rate,
    #[command(flatten)]
    pub(crate) write: WriteArguments,
    #[command(flatten)]
    pub(crate) partitions: PartitionsArguments,
    #[command(flatten)]
    pub(crate) shape: ShapeArguments,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla bench consume`
#[derive(Debug, Args)]
pub(crate) struct ConsumeBench {
    /// Read this topic [default: a topic of its own, filled first, deleted at the end]
    #[arg(long, value_name = "NAME")]
    pub(crate) topic: Option<String>,
    /// Bytes that are written to a topic of its own before it is read
    #[arg(
        long, value_name = "BYTES", default_value = "256MiB",
        value_parser = parse_volume, conflicts_with = "topic"
    )]
    pub(crate) fill: u64,
    /// Connections that read, each everything
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) clients: u16,
    /// Bytes of one partition that are enough for an answer
    #[arg(long, value_name = "BYTES", default_value = "1MiB", value_parser = parse_size)]
    pub(crate) fetch_size: u32,
    #[command(flatten)]
    pub(crate) length: LengthArguments,
    #[command(flatten)]
    pub(crate) partitions: PartitionsArguments,
    #[command(flatten)]
    pub(crate) shape: ShapeArguments,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// `ottla bench e2e`
#[derive(Debug, Args)]
pub(crate) struct EndToEndBench {
    /// Records a second at fixed times; max: as fast as requests are answered
    #[arg(long, value_name = "max|N", default_value = "1000")]
    pub(crate) rate: Rate,
    /// Connections that read, each everything
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) consumers: u16,
    #[command(flatten)]
    pub(crate) write: WriteArguments,
    #[command(flatten)]
    pub(crate) partitions: PartitionsArguments,
    #[command(flatten)]
    pub(crate) shape: ShapeArguments,
    #[command(flatten)]
    pub(crate) form: FormArguments,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
}

/// How fast records go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rate {
    /// As fast as requests are answered.
    Max,
    /// Records a second.
    Fixed(u32),
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "max" => Ok(Self::Max),
            Ok(records_s) if records_s > 0 => Ok(Self::Fixed(records_s)),
            _ => Err("it is max, or records a second: a number from 1".to_owned()),
        }
    }
}

/// A size that fits what Kafka counts in 31 bits.
fn parse_size(text: &str) -> Result<u32, String> {
    let size = parse_volume(text)?;
    let size = i32::try_from(size).map_err(|_too_large| "it is below 2GiB".to_owned())?;
    Ok(size.unsigned_abs())
}

/// Bytes: a number, or one with KiB, MiB or GiB behind it (k, m and g are the same).
fn parse_volume(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit: Option<u64> = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok();
    let bytes = unit
        .zip(number)
        .and_then(|(unit, number)| number.checked_mul(unit));
    bytes
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| "it is a number of bytes: 100, 16KiB, 1MiB, 4GiB".to_owned())
}

#[cfg(test)]
mod tests {
    //! Sizes and rates as they are typed.

    use super::{Rate, parse_size};

    #[test]
    fn sizes() {
        let cases = [
            ("100", Some(100)),
            ("1k", Some(1024)),
            ("16KiB", Some(16 << 10)),
            ("1MiB", Some(1 << 20)),
            ("2047m", Some(2047 << 20)),
            ("2g", None),
            ("4g", None),
            ("0", None),
            ("", None),
            ("k", None),
            ("1x", None),
            ("-1", None),
            ("99999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_size(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!("max".parse(), Ok(Rate::Max));
        assert_eq!("10000".parse(), Ok(Rate::Fixed(10_000)));
        for wrong in ["0", "-5", "", "fast", "5000000000"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong:?}");
        }
    }
}
