//! Groups on the command line: made by a reset, listed, described, measured, deleted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]
#![allow(dead_code, reason = "no test uses all of the support")]

mod support;

use support::{Broker, Ended};

fn run(broker: &Broker, line: &str) -> Ended {
    let words: Vec<&str> = line.split(' ').collect();
    broker.run(&words, b"")
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

/// A topic with ten records in partition 0 and none in partition 1.
fn with_ten_records(directory: &std::path::Path) -> Broker {
    let broker = Broker::start(directory);
    run(&broker, "topic create orders -p 2").ok();
    let ten = b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n";
    let produced = broker.run(&["produce", "orders", "-p", "0"], ten);
    produced.ok();
    broker
}

#[test]
fn a_reset_prints_its_plan_and_does_it_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let broker = with_ten_records(directory.path());
    let plan = run(&broker, "group reset billing -t orders --to 4");
    assert!(plan.stderr.contains("nothing was changed"), "{plan:?}");
    let table = "TOPIC   PARTITION  BEFORE  AFTER\n\
                 orders          0       -      4\n\
                 orders          1       -      0\n";
    assert_eq!(plan.ok(), table);
    assert_eq!(
        run(&broker, "group list -o json").ok(),
        "{\"groups\":[],\"schema\":\"ottla.groups/1\"}\n"
    );

    assert_eq!(
        run(&broker, "group reset billing -t orders --to 4 -y").ok(),
        table
    );
    // Where to; and where partition 0 is then.
    let cases = [
        ("-3", "1"),
        ("+2", "3"),
        ("start", "0"),
        ("end", "10"),
        ("-1000", "0"),
        ("99", "10"),
        ("-1h", "0"),
        ("@2100-01-01", "10"),
        ("7", "7"),
    ];
    for (to, after) in cases {
        let done = run(
            &broker,
            &format!("group reset billing -t orders:0 --to {to} -y -o json"),
        );
        let done = json(&done.ok());
        assert_eq!(done["positions"][0]["after"], after, "{to}");
        assert_eq!(
            (&done["done"], &done["schema"]),
            (&true.into(), &"ottla.reset/1".into())
        );
        let all = json(&run(&broker, "group describe billing -o json").ok());
        assert_eq!(all["positions"][0]["offset"], after, "{to}");
    }
    run(&broker, "group reset billing --to soon").failed(2);
    let wrong = run(&broker, "group reset biling --to start").failed(3);
    assert!(wrong.contains("did you mean \"billing\"?"), "{wrong}");
    let wrong = run(&broker, "group reset billing -t order --to start").failed(3);
    assert!(wrong.contains("did you mean \"orders\"?"), "{wrong}");
    let wrong = run(&broker, "group reset billing -t orders:2 --to start").failed(3);
    assert!(wrong.contains("0 to 1"), "{wrong}");
}

#[test]
fn lag_is_told_in_every_form_and_fails_when_it_is_too_much() {
    let directory = tempfile::tempdir().unwrap();
    let broker = with_ten_records(directory.path());
    run(&broker, "group reset billing -t orders --to 4 -y").ok();
    let table = run(&broker, "group lag billing").ok();
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..5], ["orders", "0", "4", "10", "6"], "{table}");
    assert!(row[5].parse::<f64>().unwrap() < 600.0, "{table}");
    assert!(table.lines().nth(2).unwrap().ends_with(" 0.0"), "{table}");
    let all = run(&broker, "group lag").ok();
    assert!(all.starts_with("GROUP "), "{all}");

    let lines = run(&broker, "group lag -o jsonl").ok();
    let rows: Vec<_> = lines.lines().map(json).collect();
    assert_eq!(
        (&rows[0]["lag"], &rows[1]["lag"]),
        (&"6".into(), &"0".into())
    );
    let yaml = run(&broker, "group lag billing -o yaml").ok();
    let beginning = "\"positions\":\n  - \"end\": \"10\"\n    \"group\": \"billing\"\n";
    assert!(yaml.starts_with(beginning), "{yaml}");

    run(&broker, "group lag billing --fail-above 6").ok();
    run(&broker, "group lag billing --fail-above 1h").ok();
    let said = run(&broker, "group lag billing --fail-above 5").failed(7);
    assert!(
        said.contains("1 of 2 positions are behind more than 5 records"),
        "{said}"
    );
    run(&broker, "group lag billing --fail-above 1ms").failed(7);
}

#[test]
fn a_group_is_described_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let broker = with_ten_records(directory.path());
    run(&broker, "group reset billing -t orders:0 --to end -y").ok();
    let described = run(&broker, "group describe billing").ok();
    assert!(
        described.starts_with("group     billing\nstate     Empty\n"),
        "{described}"
    );
    let listed = run(&broker, "group list").ok();
    assert!(listed.contains("billing  Empty  classic"), "{listed}");
    let said = run(&broker, "group delete billing").failed(2);
    let command = format!("fix: ottla group delete billing -y -b {}", broker.address());
    assert!(said.contains(&command), "{said}");
    assert_eq!(
        run(&broker, "group delete billing -y").ok(),
        "group billing deleted\n"
    );
    let said = run(&broker, "group describe billing").failed(3);
    assert!(said.contains("[GROUP_ID_NOT_FOUND]"), "{said}");
    run(&broker, "group delete billing -y").failed(3);
}
