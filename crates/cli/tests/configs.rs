//! Configs on the command line: shown, set, unset, kept over a restart, refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]
#![allow(dead_code, reason = "no test uses all of the support")]

mod support;

use rustix::process::Signal;
use support::{Broker, Ended};

fn run(broker: &Broker, line: &str) -> Ended {
    let words: Vec<&str> = line.split(' ').collect();
    broker.run(&words, b"")
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_topic_is_altered_at_once_and_over_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    run(&broker, "topic create orders -p 2 -c segment.ms=5000").ok();
    let alter = "topic alter orders -c max.message.bytes=100 --unset segment.ms -p 3";
    let dry = run(&broker, &format!("{alter} --dry-run")).ok();
    assert_eq!(
        dry,
        "topic orders: could be set: max.message.bytes=100\n\
         topic orders: could be unset: segment.ms\n\
         topic orders: could be grown to 3 partitions\n"
    );
    let told = json(&run(&broker, &format!("{alter} -o json")).ok());
    assert_eq!(told["schema"], "ottla.altered/1");
    assert_eq!(told["changes"]["max.message.bytes"], "100");
    assert_eq!(told["changes"]["segment.ms"], serde_json::Value::Null);
    assert_eq!(
        (&told["partitions"], &told["done"]),
        (&3.into(), &true.into())
    );
    assert!(directory.path().join("orders/partition2").is_dir());
    let large = [b'x'; 200];
    let refused = broker.run(&["produce", "orders"], &large).failed(1);
    assert!(refused.contains("MESSAGE_TOO_LARGE"), "{refused}");

    broker.stop(Signal::TERM);
    let broker = Broker::start(directory.path());
    let shown = run(&broker, "config get topic orders").ok();
    assert_eq!(
        shown,
        "CONFIG             VALUE  SET BY\nmax.message.bytes  100    topic\n"
    );
    let unset = run(&broker, "config unset topic orders max.message.bytes").ok();
    assert_eq!(unset, "topic orders: unset: max.message.bytes\n");
    broker.run(&["produce", "orders"], &large).ok();
}

#[test]
fn the_broker_is_configured_for_itself_and_for_all() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    run(&broker, "topic create t").ok();
    let steps = [
        (
            "config set brokers message.max.bytes=300",
            "300",
            "every broker",
        ),
        ("config set broker message.max.bytes=400", "400", "broker"),
        ("config set topic t max.message.bytes=500", "500", "topic"),
        ("config unset topic t max.message.bytes", "400", "broker"),
        (
            "config unset broker message.max.bytes",
            "300",
            "every broker",
        ),
        (
            "config unset brokers message.max.bytes",
            "1048588",
            "default",
        ),
    ];
    for (line, value, source) in steps {
        run(&broker, line).ok();
        let shown = json(&run(&broker, "config get topic t max.message.bytes -o json").ok());
        let config = &shown["configs"][0];
        assert_eq!(
            (&config["value"], &config["source"]),
            (&value.into(), &source.into()),
            "{line}"
        );
    }
    let all = json(&run(&broker, "config get broker --all -o json").ok());
    let all = all["configs"].as_array().unwrap();
    let node = all
        .iter()
        .find(|config| config["name"] == "node.id")
        .unwrap();
    assert_eq!(node["read_only"], true);
}

#[test]
fn the_addresses_of_this_start_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    for advertise in [None, Some("127.0.0.1")] {
        let mut flags = vec!["--port", "0", "--host", "127.0.0.1"];
        flags.extend(advertise.iter().flat_map(|host| ["--advertise", host]));
        let broker = Broker::start_with(directory.path(), &flags);
        let get = "config get broker listeners advertised.listeners -o json";
        let shown = json(&run(&broker, get).ok());
        let by_name = |name: &str| {
            let configs = shown["configs"].as_array().unwrap();
            let found = configs.iter().find(|config| config["name"] == name);
            found.unwrap()["value"].clone()
        };
        let address = serde_json::Value::from(format!("PLAINTEXT://127.0.0.1:{}", broker.port));
        assert_eq!(by_name("listeners"), address);
        let advertised = advertise.map_or(serde_json::Value::Null, |_| address);
        assert_eq!(by_name("advertised.listeners"), advertised);
        broker.stop(Signal::TERM);
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    run(&broker, "topic create orders -p 2").ok();
    let cases = [
        ("topic alter orders", 2, "--config"),
        ("topic alter ordres -p 5", 3, "did you mean \"orders\"?"),
        ("topic alter orders -p 2", 1, "INVALID_PARTITIONS"),
        (
            "topic alter orders -c segment.ms=soon -p 5",
            1,
            "Not a number of type LONG",
        ),
        (
            "topic alter orders -c max.message.bytes=9 -p 1",
            1,
            "INVALID_PARTITIONS",
        ),
        ("topic alter orders -c preallocate=true", 1, "not built"),
        ("config set topic orders segment.ms", 2, "KEY=VALUE"),
        (
            "config set topic orders",
            2,
            "no config of topic orders is named",
        ),
        (
            "config set topic absent segment.ms=1",
            3,
            "UNKNOWN_TOPIC_OR_PARTITION",
        ),
        (
            "config set broker node.id=2",
            1,
            "Cannot update these configs dynamically",
        ),
        (
            "config get broker mesage.max.bytes",
            3,
            "did you mean \"message.max.bytes\"?",
        ),
        ("config get topic", 2, "no topic is named"),
    ];
    for (line, code, says) in cases {
        let stderr = run(&broker, line).failed(code);
        assert!(stderr.contains(says), "{line}: {stderr}");
    }
    // What is checked first is done not at all.
    let shown = json(&run(&broker, "topic describe orders -o json").ok());
    assert_eq!(shown["configs"].as_array().unwrap().len(), 0);
    assert_eq!(shown["partitions"].as_array().unwrap().len(), 2);
}
