//! The binary `ottla`: parses the command line, runs one command, turns its outcome into an exit
//! code. Data goes to standard output, everything else to standard error.

#![forbid(unsafe_code)]
#![expect(clippy::print_stderr, reason = "a command line prints")]

mod arguments;
mod bench;
mod bench_arguments;
mod client_arguments;
mod config;
mod connect;
mod consume;
mod dashes;
mod failure;
mod format;
mod group;
mod group_arguments;
mod lines;
mod log;
mod outcomes;
mod output;
mod produce;
mod serve;
mod suggest;
mod times;
mod topic;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::arguments::{Arguments, Verb};
use crate::failure::{Exit, Failure};

fn main() -> ExitCode {
    let words = dashes::normalise(&Arguments::command(), std::env::args_os());
    let matches = Arguments::command().get_matches_from(words);
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has what they wanted.
        Err(failure) if failure.exit == Exit::OutputClosed => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        None => serve::run(arguments.serve),
        Some(Verb::Serve(serve)) => serve::run(serve),
        Some(Verb::Topic(verb)) => topic::run(verb),
        Some(Verb::Config(verb)) => config::run(verb),
        Some(Verb::Group(verb)) => group::run(verb),
        Some(Verb::Produce(arguments)) => produce::run(arguments),
        Some(Verb::Consume(arguments)) => consume::run(arguments),
        Some(Verb::Log(verb)) => log::run(verb),
        Some(Verb::Bench(verb)) => bench::run(verb),
    }
}
