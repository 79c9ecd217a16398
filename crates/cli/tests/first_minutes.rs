//! What a newcomer types, and what the words of the command line mean.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]
#![allow(dead_code, reason = "no test uses all of the support")]

mod support;

use support::{Broker, run};

#[test]
fn the_first_message() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let produced = broker.run(&["produce", "hello"], b"hi\n");
    assert!(
        produced
            .stderr
            .contains("topic hello did not exist; it was created"),
        "{produced:?}"
    );
    assert_eq!(produced.ok(), "hello[0]@0\n");
    assert_eq!(broker.run(&["consume", "hello", "-e"], b"").ok(), "hi\n");
    let produced = broker.run(&["produce", "hello"], b"a\nb\nc");
    assert_eq!(produced.stderr, "");
    assert_eq!(produced.ok(), "hello[0]@1..3\n");
    let consumed = broker.run(&["consume", "hello", "--from", "2", "-e"], b"");
    assert_eq!(consumed.ok(), "b\nc\n");
}

#[test]
fn the_banner_says_what_to_type_and_it_works() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let data_dir = directory.path().display().to_string();
    for expected in [data_dir.as_str(), "fsync", "127.0.0.1", "[::1]"] {
        assert!(
            broker.banner.contains(expected),
            "{expected}: {}",
            broker.banner
        );
    }
    let typed = |verb: &str| {
        let line = broker
            .banner
            .lines()
            .find(|line| line.contains(verb))
            .unwrap();
        let words = line.split("ottla ").nth(1).unwrap();
        words
            .split_whitespace()
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    };
    let words = |words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(&words, b"hello\n")
    };
    assert_eq!(words(&typed("produce")).ok(), "greetings[0]@0\n");
    assert_eq!(words(&typed("consume")).ok(), "hello\n");
}

#[test]
fn one_dash_or_two() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let data_dir = format!("-data-dir={}", path.display());
    let other = tempfile::tempdir().unwrap();
    // The flag given last counts: the directory of the support comes behind it.
    let broker = Broker::start_with(other.path(), &["-port", "0", "-durability=os"]);
    assert!(broker.banner.contains("os"), "{}", broker.banner);
    assert!(
        run(&["-port", "0", &data_dir, "--log-level", "nonsense=="], b"")
            .failed(2)
            .contains("level")
    );
    let consumed = broker.run(&["consume", "x", "-from", "end", "-until-end"], b"");
    assert!(consumed.failed(3).contains("does not exist"));
}

#[test]
fn a_wrong_name_is_answered_with_the_right_one() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    broker.run(&["produce", "hello"], b"hi\n").ok();
    let said = broker.run(&["consume", "helo", "-e"], b"").failed(3);
    let flag = format!("-b {}", broker.address());
    assert!(
        said.contains("error: topic \"helo\" does not exist  [UNKNOWN_TOPIC_OR_PARTITION]"),
        "{said}"
    );
    assert!(
        said.contains(&format!(
            "did you mean \"hello\"?   ottla consume hello {flag}"
        )),
        "{said}"
    );
    assert!(said.contains("consumers do not create topics"), "{said}");
    let listed = broker.run(&["topic", "list", "-o", "json"], b"").ok();
    assert!(
        !listed.contains("helo\""),
        "asking created nothing: {listed}"
    );
    assert!(
        broker
            .run(&["topic", "describe", "hallo"], b"")
            .failed(3)
            .contains("\"hello\"")
    );
    assert!(
        !broker
            .run(&["consume", "entirely-else"], b"")
            .failed(3)
            .contains("did you mean")
    );
}

#[test]
fn a_broker_that_is_not_there() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let address = free.to_string();
    for command in [
        ["topic", "list"].as_slice(),
        &["produce", "hello"],
        &["consume", "hello"],
        &["topic", "create", "a"],
        &["topic", "delete", "a", "-y"],
        &["topic", "describe", "a"],
    ] {
        let said = run(&[command, &["-b", &address]].concat(), b"hi\n").failed(5);
        assert!(
            said.contains(&format!("error: no broker answers at {address}")),
            "{said}"
        );
        assert!(said.contains("fix: start one"), "{said}");
    }
    // By the environment too.
    let mut command = support::ottla(&["topic", "list"]);
    let child = command.env("OTTLA_BOOTSTRAP", &address).spawn().unwrap();
    assert!(support::end(child).failed(5).contains(&address));
}

#[test]
fn a_server_that_does_not_answer() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let said = run(
        &["topic", "list", "-b", &address, "--timeout", "200ms"],
        b"",
    )
    .failed(5);
    assert!(said.contains("did not answer within 0.2 s"), "{said}");
}

#[test]
fn wrong_words_are_exit_code_2() {
    for words in [
        ["produce"].as_slice(),
        &["consume"],
        &["consume", "t", "--from", "yesterday"],
        &["consume", "t", "-f", "%x"],
        &["produce", "t", "-z", "brotli"],
        &["produce", "t", "--acks", "2"],
        &["produce", "t", "-H", "novalue"],
        &["produce", "t", "-k", "a", "-f", "%k %v"],
        &["topic"],
        &["topic", "create"],
        &["topic", "create", "a", "-c", "novalue"],
        &["topic", "list", "-b", "host:port"],
        &["topic", "list", "--timeout", "10"],
        &["log", "inspect"],
        &["frobnicate"],
        &["--frobnicate"],
    ] {
        let ended = run(words, b"");
        assert_eq!(
            (ended.code, ended.stdout.len()),
            (Some(2), 0),
            "{words:?}: {ended:?}"
        );
        assert!(
            ended.stderr.starts_with("error:") || ended.stderr.contains("Usage"),
            "{ended:?}"
        );
    }
    let help = run(&["--help"], b"").ok();
    for word in [
        "topic",
        "produce",
        "consume",
        "log",
        "--data-dir",
        "one dash or two",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
}
