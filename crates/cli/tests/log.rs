//! A look at the files without a broker.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]
#![allow(dead_code, reason = "no test uses all of the support")]

mod support;

use rustix::process::Signal;
use support::{Broker, run};

/// A data directory with three batches in `t` and one in partition 1 of `u`.
fn data() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    for lines in ["a\nb\n", "c\n", "d\ne\nf\n"] {
        broker
            .run(&["produce", "t", "-z", "gzip"], lines.as_bytes())
            .ok();
    }
    broker.run(&["topic", "create", "u", "-p", "2"], b"").ok();
    broker.run(&["produce", "u", "-p", "1"], b"x\n").ok();
    broker.stop(Signal::TERM);
    directory
}

#[test]
fn inspect_prints_the_four_columns_of_each_frame() {
    let directory = data();
    let partition = directory.path().join("t/partition0");
    let segment = partition.join("00000000000000000000.log");
    let bytes = std::fs::read(&segment).unwrap();
    for path in [&segment, &partition] {
        let ended = run(&["log", "inspect", path.to_str().unwrap()], b"");
        assert_eq!(ended.stderr, "3 good frames in 1 segment\n");
        let text = ended.ok();
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(head, ["offset", "length", "crc", "payload"]);
        let mut at = 0;
        for (offset, count) in [(0, "2 records"), (2, "1 record"), (3, "3 records")] {
            let line = lines.next().unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            let length = u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap());
            let crc = u32::from_be_bytes(bytes[at + 17..at + 21].try_into().unwrap());
            assert_eq!(words[0], offset.to_string());
            assert_eq!(words[1], length.to_string());
            assert_eq!(words[2], format!("{crc:#010x}"));
            assert!(line.contains(count) && line.contains("gzip"), "{line}");
            at += 12 + usize::try_from(length).unwrap();
        }
        assert_eq!((lines.next(), at), (None, bytes.len()));
    }
}

#[test]
fn inspect_walks_topics_and_brokers() {
    let directory = data();
    let text = run(&["log", "inspect", directory.path().to_str().unwrap()], b"").ok();
    let headings: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("partition"))
        .collect();
    assert_eq!(headings.len(), 3, "{text}");
    assert!(headings[0].ends_with("t/partition0") && headings[2].ends_with("u/partition1"));
    let topic = directory.path().join("u");
    let text = run(
        &["log", "inspect", topic.to_str().unwrap(), "-o", "json"],
        b"",
    )
    .ok();
    let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (frame["offset"].as_str(), frame["crc_ok"].as_bool()),
        (Some("0"), Some(true))
    );
}

#[test]
fn damage_is_shown_and_told_by_the_exit_code() {
    let directory = data();
    let path = directory.path().to_str().unwrap();
    let good = run(&["log", "verify", path], b"").ok();
    assert!(good.contains("7 records in 4 batches"), "{good}");
    assert!(good.contains("3 partitions"), "{good}");
    let segment = directory
        .path()
        .join("t/partition0/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[70] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let ended = run(&["log", "inspect", segment.to_str().unwrap()], b"");
    let (text, said) = (ended.out(), ended.failed(1));
    assert!(text.lines().nth(1).unwrap().contains("DAMAGED"), "{text}");
    assert_eq!(
        text.lines().count(),
        4,
        "the frames behind it are shown: {text}"
    );
    assert!(said.contains("2 good frames"), "{said}");
    let ended = run(&["log", "verify", path], b"");
    assert!(ended.out().contains("LOSS") && ended.out().contains("00000000000000000000.log"));
    assert!(ended.failed(1).contains("no good records at 1 place"));
    let ended = run(&["log", "verify", path, "-o", "json"], b"");
    let report: serde_json::Value = serde_json::from_str(&ended.out()).unwrap();
    assert_eq!(report["problems"][0]["is_loss"], true);
    assert_eq!(
        std::fs::read(&segment).unwrap(),
        bytes,
        "nothing is repaired"
    );
}

#[test]
fn a_repair_says_what_would_be_lost_and_does_it_when_told() {
    let directory = data();
    let path = directory.path().to_str().unwrap();
    let segment = directory
        .path()
        .join("t/partition0/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[70] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let broker = Broker::start(directory.path());
    let refused = run(&["log", "repair", path], b"").failed(78);
    assert!(refused.contains("in use"), "{refused}");
    broker.stop(Signal::TERM);
    let ended = run(&["log", "repair", path], b"");
    assert!(ended.stderr.contains("--yes"), "{}", ended.stderr);
    let text = ended.ok();
    assert!(
        text.contains("LOST") && text.contains("offsets 0 to 1"),
        "{text}"
    );
    assert!(text.contains("would be lost: 1 range, 2 offsets"), "{text}");
    let json = run(&["log", "repair", path, "-y", "-o", "json"], b"").ok();
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["losses"][0]["last_offset"], "1");
    assert_eq!(report["done"], true);
    run(&["log", "verify", path], b"").ok();
    assert!(
        run(&["log", "repair", path], b"")
            .ok()
            .contains("nothing to accept")
    );
    let broker = Broker::start(directory.path());
    let read = broker.run(&["consume", "t", "-e", "-n", "4"], b"").ok();
    assert_eq!(read.lines().collect::<Vec<_>>(), ["c", "d", "e", "f"]);
    broker.stop(Signal::TERM);
    assert_eq!(
        std::fs::read(&segment).unwrap(),
        bytes,
        "no record is touched"
    );
}

#[test]
fn paths_without_a_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let file = directory.path().join("x.txt");
    std::fs::write(&file, "x").unwrap();
    for verb in ["inspect", "verify"] {
        assert!(
            run(&["log", verb, "/no/such"], b"")
                .failed(3)
                .contains("does not exist")
        );
        assert!(
            run(&["log", verb, file.to_str().unwrap()], b"")
                .failed(3)
                .contains("holds no log")
        );
        assert!(
            run(&["log", verb, path], b"")
                .failed(3)
                .contains("holds no log")
        );
    }
}
