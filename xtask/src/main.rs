//! The developer's commands: `cargo xtask COMMAND`.
//!
//! One module per command; this file only finds it. A command returns what went wrong as one
//! sentence. It must not know what any command does.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command line tool speaks to its terminal"
)]

mod chance;
mod codegen;
mod compare;
mod conformance;
mod crash;
mod damage;
mod faults;
mod frameworks;
mod fuzz;
mod grpc;
mod hostile;
mod instructions;
mod long;
mod page;
mod partitions;
mod readme;
mod sabotage;
mod tidy;
mod wire;

use std::process::ExitCode;

/// What a command gives back: nothing, or a sentence that says what is wrong.
type Outcome = Result<(), String>;

const USAGE: &str = "usage: cargo xtask COMMAND

  codegen              write crates/kafka-wire/src/messages from the committed schema facts
  codegen --check      fail if the committed messages differ from the facts
  codegen --from-jar   refresh the facts from Kafka's clients jar (Maven), then write the messages
  compare kafka        ottla and Apache Kafka under the same load, in turn; prints the ratios
  compare durability   ottla in mode fsync and in mode os under the same load, in turn; prints the ratios
  conformance          real clients on ottla, line by line as on Apache Kafka; --record, --kafka, --help
  crash                kill -9 under load, again and again: nothing acknowledged is lost; --rounds N
  damage               a bit, a sector, a file of a data directory is spoilt, again and again; --kafka beside
  faults               failing, full, slow disks, no descriptors, wrong clocks, under load
  flights              336,776 records in and out of every front door; --kill: with kill -9 in between
  frameworks           Connect, MirrorMaker 2, Streams, schema registries at work on a broker that is killed; --only NAME, --kafka
  fuzz                 every parser under coverage-guided fuzzing; --seconds N, --jobs N, TARGET...
  grpc                 generated Go and Python clients, and grpcurl, on a fresh broker
  hostile              10,000 malformed connections: it stays up, small and right; --connections N
  instructions         parts of the data path under callgrind: none costs other instructions than agreed on; --write
  long                 tests of CI with large counts: `cargo xtask long` lists them
  partitions           10,000 partitions, kill -9, and the work until a record is served again
  readme               runs the commands of README.md and docs/*.md against a fresh broker on port 9092
  sabotage             removes each safeguard in turn: a test must notice; NAME...
  tidy                 arrows between crates, file heads, sizes, names
";

/// The top folder of the repository.
fn root() -> std::path::PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        None => Err(USAGE.to_owned()),
        Some((command, rest)) => match command.as_str() {
            "codegen" => codegen::run(rest),
            "compare" => compare::run(rest),
            "conformance" => conformance::run(rest),
            "crash" => crash::run(rest),
            "damage" => damage::run(rest),
            "faults" => faults::run(rest),
            "flights" => conformance::flights::run(rest),
            "frameworks" => frameworks::run(rest),
            "fuzz" => fuzz::run(rest),
            "grpc" => grpc::run(),
            "hostile" => hostile::run(rest),
            "instructions" => instructions::run(rest),
            "long" => long::run(rest),
            "partitions" => partitions::run(rest),
            "readme" => readme::run(rest),
            "sabotage" => sabotage::run(rest),
            "tidy" => tidy::run(),
            other => Err(format!("unknown command '{other}'\n\n{USAGE}")),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}
