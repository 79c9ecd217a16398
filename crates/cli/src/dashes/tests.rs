//! Which words get a second dash.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use super::normalise;

fn command() -> Command {
    let produce = Command::new("produce").arg(Arg::new("key").long("key").short('k'));
    Command::new("ottla")
        .arg(Arg::new("port").long("port"))
        .arg(Arg::new("data-dir").long("data-dir"))
        .arg(
            Arg::new("interactive")
                .short('i')
                .action(ArgAction::SetTrue),
        )
        .arg(Arg::new("terminal").short('t').action(ArgAction::SetTrue))
        .subcommand(produce)
}

#[test]
fn one_dash_or_two() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["-port", "9092"], &["--port", "9092"]),
        (&["-port=9092"], &["--port=9092"]),
        (&["--port", "9092"], &["--port", "9092"]),
        (&["-data-dir=./x"], &["--data-dir=./x"]),
        (&["-data-dir", "-port"], &["--data-dir", "-port"]),
        (&["--data-dir", "-port"], &["--data-dir", "-port"]),
        (&["-it"], &["-it"]),
        (&["-port", "-1"], &["--port", "-1"]),
        (&["--", "-port"], &["--", "-port"]),
        (&["produce", "-key", "a"], &["produce", "--key", "a"]),
        (&["produce", "-k", "-port"], &["produce", "-k", "-port"]),
        (&["-help"], &["--help"]),
        (&["-unknown"], &["-unknown"]),
        (&["-p"], &["-p"]),
    ];
    for (given, expected) in cases {
        let words = ["ottla"].iter().chain(given.iter()).map(OsString::from);
        let expected: Vec<OsString> = ["ottla"]
            .iter()
            .chain(expected.iter())
            .map(OsString::from)
            .collect();
        assert_eq!(normalise(&command(), words), expected, "{given:?}");
    }
}
