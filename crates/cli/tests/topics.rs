//! Topics: create, list, describe, delete, and the exit code of each failure.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]
#![allow(dead_code, reason = "no test uses all of the support")]

mod support;

use support::Broker;

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_life_of_a_topic() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let created = broker.run(
        &[
            "topic",
            "create",
            "orders",
            "-p",
            "3",
            "-c",
            "segment.bytes=1048576",
        ],
        b"",
    );
    assert_eq!(created.ok(), "topic orders created: 3 partitions\n");
    assert!(directory.path().join("orders/partition2").is_dir());
    broker
        .run(&["produce", "orders", "-p", "1"], b"a\nb\n")
        .ok();

    let listed = broker.run(&["topic", "list"], b"").ok();
    assert_eq!(
        listed,
        "NAME    PARTITIONS  RECORDS\norders           3        2\n"
    );
    let listed = json(&broker.run(&["topic", "list", "-o", "json"], b"").ok());
    assert_eq!(listed["schema"], "ottla.topics/1");
    assert_eq!(listed["topics"][0]["records"], "2");

    let described = broker.run(&["topic", "describe", "orders"], b"").ok();
    assert!(
        described.contains("segment.bytes  1048576  topic"),
        "{described}"
    );
    assert!(!described.contains("max.message.bytes"), "{described}");
    let row = described
        .lines()
        .find(|line| line.trim_start().starts_with("1 "))
        .unwrap();
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(row[..4], ["1", "0", "2", "2"], "{described}");
    assert_eq!(row[6], "online");
    let described = json(
        &broker
            .run(
                &["topic", "describe", "orders", "--configs", "-o", "json"],
                b"",
            )
            .ok(),
    );
    assert_eq!(described["partitions"][1]["end"], "2");
    assert_eq!(described["id"], listed["topics"][0]["id"]);
    let configs = described["configs"].as_array().unwrap();
    assert!(
        configs
            .iter()
            .any(|c| c["name"] == "max.message.bytes" && c["source"] == "default")
    );

    assert_eq!(
        broker.run(&["topic", "delete", "orders", "-y"], b"").ok(),
        "topic orders deleted\n"
    );
    assert!(!directory.path().join("orders").exists());
    assert_eq!(
        broker.run(&["topic", "list"], b"").ok(),
        "NAME  PARTITIONS  RECORDS\n"
    );
}

#[test]
fn without_a_terminal_nothing_is_deleted_unasked() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    broker.run(&["topic", "create", "a", "b"], b"").ok();
    let said = broker.run(&["topic", "delete", "a", "b"], b"y\n").failed(2);
    assert!(
        said.contains("delete topic a: 1 partition, 0 records"),
        "{said}"
    );
    let command = format!("fix: ottla topic delete a b -y -b {}", broker.address());
    assert!(said.contains(&command), "{said}");
    assert_eq!(broker.run(&["topic", "list"], b"").ok().lines().count(), 3);
}

#[test]
fn failures_have_codes_and_reasons() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    broker.run(&["topic", "create", "orders"], b"").ok();
    let long = "x".repeat(250);
    let cases: [(&[&str], i32, &str); 12] = [
        (&["create", "orders"], 1, "[TOPIC_ALREADY_EXISTS]"),
        (&["create", ".."], 1, "[INVALID_TOPIC_EXCEPTION]"),
        (&["create", "a/b"], 1, "'/'"),
        (&["create", &long], 1, "249"),
        (&["create", "\u{fc}ber"], 1, "[INVALID_TOPIC_EXCEPTION]"),
        (&["create", "a", "-p", "200000"], 1, "[INVALID_PARTITIONS]"),
        (
            &["create", "a", "-c", "segment.byte=1048576"],
            1,
            "segment.bytes",
        ),
        (
            &["create", "a", "-c", "segment.bytes=1"],
            1,
            "[INVALID_CONFIG]",
        ),
        (&["describe", "nothing"], 3, "does not exist"),
        (&["delete", "nothing", "-y"], 3, "does not exist"),
        (&["delete", "nothing"], 3, "does not exist"),
        (
            &["create", "new", "orders"],
            6,
            "1 of 2 topics were not created",
        ),
    ];
    for (words, code, expected) in cases {
        let said = broker.run(&[&["topic"], words].concat(), b"").failed(code);
        assert!(said.contains(expected), "{words:?}: {said}");
        assert!(
            said.contains("error: ") && said.contains("why: "),
            "{words:?}: {said}"
        );
    }
    for count in ["0", "-1"] {
        let said = broker.run(&["topic", "create", "a", "-p", count], b"");
        let said = said.failed(2);
        assert!(said.contains(&format!("{count} is not in 1")), "{said}");
    }
    let listed = broker.run(&["topic", "list", "n*"], b"").ok();
    assert_eq!(
        listed,
        "NAME  PARTITIONS  RECORDS\nnew            1        0\n"
    );
}

#[test]
fn what_may_be_or_not_is_fine_if_said() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let created = broker
        .run(&["topic", "create", "a", "--dry-run", "-p", "2"], b"")
        .ok();
    assert_eq!(created, "topic a could be created: 2 partitions\n");
    assert_eq!(broker.run(&["topic", "list"], b"").ok().lines().count(), 1);
    let create = ["topic", "create", "a", "--if-not-exists", "-o", "json"];
    assert_eq!(json(&broker.run(&create, b"").ok())["created"], true);
    assert_eq!(json(&broker.run(&create, b"").ok())["created"], false);
    broker
        .run(&["topic", "delete", "a", "b", "--if-exists", "-y"], b"")
        .ok();
    assert!(!directory.path().join("a").exists());
}

#[test]
fn a_broker_that_makes_no_topics_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--port", "0", "--set", "auto.create.topics.enable=false"];
    let broker = Broker::start_with(directory.path(), &flags);
    let said = broker.run(&["produce", "hello"], b"hi\n").failed(3);
    assert!(said.contains("ottla topic create hello"), "{said}");
}

#[test]
fn the_oldest_records_go() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    broker
        .run(&["topic", "create", "orders", "-p", "2"], b"")
        .ok();
    broker
        .run(&["produce", "orders", "-p", "0"], b"a\nb\nc\nd\n")
        .ok();
    broker.run(&["produce", "orders", "-p", "1"], b"e\n").ok();

    let asked = broker.run(&["topic", "trim", "orders", "--before", "end"], b"");
    let text = asked.failed(2);
    assert!(
        text.contains("trim orders-0: 4 records before offset 4"),
        "{text}"
    );
    assert!(text.contains("nothing was deleted"), "{text}");

    let trim = |more: &[&str]| {
        let command = ["topic", "trim", "orders", "-y"];
        broker.run(&[&command, more].concat(), b"")
    };
    assert_eq!(
        trim(&["-p", "0", "--before", "2"]).ok(),
        "orders-0: 2 records deleted, starts at offset 2\n"
    );
    assert_eq!(
        trim(&["--before", "-1"]).ok(),
        "orders-0: 1 record deleted, starts at offset 3\n\
         orders-1: 0 records deleted, starts at offset 0\n"
    );
    let kept = broker
        .run(&["consume", "orders", "-p", "0", "-e"], b"")
        .ok();
    assert_eq!(kept, "d\n");
    let text = trim(&["-p", "0", "--before", "9"]).failed(1);
    assert!(text.contains("OFFSET_OUT_OF_RANGE"), "{text}");
    let text = trim(&["-p", "7", "--before", "end"]).failed(3);
    assert!(text.contains("has no partition 7"), "{text}");
    let trimmed = json(&trim(&["--before", "-1h", "-o", "json"]).ok());
    assert_eq!(trimmed["schema"], "ottla.trim/1");
    assert_eq!(trimmed["partitions"][0]["start"], "3");
    let trimmed = json(&trim(&["--before", "end", "-o", "json"]).ok());
    assert_eq!(trimmed["partitions"][0]["start"], "4");
    assert_eq!(trimmed["partitions"][1]["start"], "1");
    let lines = trim(&["--before", "end", "-o", "jsonl"]).ok();
    assert_eq!(json(lines.lines().next().unwrap())["start"], "4", "{lines}");
    let yaml = trim(&["--before", "end", "-o", "yaml"]).ok();
    assert!(yaml.contains(r#""start": "4""#), "{yaml}");
}
