//! The process: it starts once, stops cleanly, and loses nothing when it is killed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]
#![allow(dead_code, reason = "no test uses all of the support")]

mod support;

use std::io::{BufReader, Write};

use rustix::process::Signal;
use support::{Broker, end, read_line, run};

#[test]
fn a_killed_broker_has_every_acknowledged_record() {
    let directory = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..3 {
        let broker = Broker::start(directory.path());
        let mut producer = broker.spawn(&["produce", "t", "--timeout", "300ms"]);
        let mut input = producer.stdin.take().unwrap();
        let mut receipts = BufReader::new(producer.stdout.take().unwrap());
        for line in 0..20 {
            let value = format!("round {round} line {line}\n");
            input.write_all(value.as_bytes()).unwrap();
            assert_eq!(
                read_line(&mut receipts),
                format!("t[0]@{}\n", expected.len())
            );
            expected.push(value);
        }
        let (status, _) = broker.stop(Signal::KILL);
        assert_eq!(status.code(), None, "it was killed");
        drop(input);
        assert_eq!(end(producer).code, Some(0), "all was acknowledged before");
    }
    let broker = Broker::start(directory.path());
    assert_eq!(
        broker.run(&["consume", "t", "-e"], b"").ok(),
        expected.concat()
    );
}

#[test]
fn clients_go_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let port = broker.port.to_string();
    let mut producer = broker.spawn(&["produce", "t", "--timeout", "60s"]);
    let mut input = producer.stdin.take().unwrap();
    let mut receipts = BufReader::new(producer.stdout.take().unwrap());
    input.write_all(b"before\n").unwrap();
    assert_eq!(read_line(&mut receipts), "t[0]@0\n");
    let mut consumer = broker.spawn(&["consume", "t", "-n", "2", "--timeout", "60s"]);
    let mut records = BufReader::new(consumer.stdout.take().unwrap());
    assert_eq!(read_line(&mut records), "before\n");
    broker.stop(Signal::KILL);
    input.write_all(b"meanwhile\n").unwrap();
    let broker = Broker::start_with(directory.path(), &["--port", &port]);
    assert_eq!(read_line(&mut receipts), "t[0]@1\n");
    assert_eq!(read_line(&mut records), "meanwhile\n");
    assert_eq!(end(consumer).code, Some(0));
    drop(input);
    assert_eq!(end(producer).code, Some(0));
    assert_eq!(
        broker.run(&["consume", "t", "-e"], b"").ok(),
        "before\nmeanwhile\n"
    );
}

#[test]
fn a_broker_that_stays_away_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let mut producer = broker.spawn(&["produce", "t", "--timeout", "500ms"]);
    let mut input = producer.stdin.take().unwrap();
    let mut receipts = BufReader::new(producer.stdout.take().unwrap());
    input.write_all(b"before\n").unwrap();
    read_line(&mut receipts);
    broker.stop(Signal::KILL);
    input.write_all(b"lost\n").unwrap();
    drop(input);
    let said = end(producer).failed(6);
    assert!(
        said.contains("acknowledged before this: 1 record") && said.contains("error:"),
        "{said}"
    );
}

#[test]
fn sigterm_and_ctrl_c_stop_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    for (signal, lines) in [(Signal::TERM, "a\n"), (Signal::INT, "a\na\n")] {
        let broker = Broker::start(directory.path());
        assert!(
            !broker.banner.contains("recovered"),
            "the stop before was clean: {}",
            broker.banner
        );
        broker.run(&["produce", "t"], b"a\n").ok();
        let (status, said) = broker.stop(signal);
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
        let broker = Broker::start(directory.path());
        assert_eq!(broker.run(&["consume", "t", "-e"], b"").ok(), lines);
        broker.stop(Signal::TERM);
    }
}

#[test]
fn a_second_broker_on_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let data_dir = directory.path().to_str().unwrap();
    let said = run(&["--port", "0", "--data-dir", data_dir], b"").failed(78);
    assert!(
        said.contains(&format!("process {}", broker.pid())),
        "{said}"
    );
    assert!(said.contains(data_dir) && said.contains("fix: "), "{said}");
    broker.run(&["produce", "t"], b"still here\n").ok();
}

#[test]
fn a_port_in_use_names_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let other = tempfile::tempdir().unwrap();
    let (port, data_dir) = (broker.port.to_string(), other.path().to_str().unwrap());
    let said = run(&["--port", &port, "--data-dir", data_dir], b"").failed(1);
    assert!(said.contains(&format!("port {port}")), "{said}");
    assert!(said.contains("--port 9093"), "{said}");
    #[cfg(target_os = "linux")]
    assert!(
        said.contains(&format!("pid {} (ottla)", broker.pid())),
        "{said}"
    );
    assert_eq!(
        std::fs::read_dir(other.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[test]
fn a_directory_of_somebody_else_is_refused_untouched() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("thesis.txt"), "mine").unwrap();
    let data_dir = directory.path().to_str().unwrap();
    let said = run(&["--port", "0", "--data-dir", data_dir], b"").failed(78);
    assert!(said.contains("thesis.txt"), "{said}");
    let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing was made: {names:?}");
}

#[test]
fn a_setting_that_another_flag_decides_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().to_str().unwrap();
    let cases = [
        ("durability=os", "--durability"),
        ("log.dirs=/elsewhere", "--data-dir"),
        ("max.connections=5", "fixed"),
        ("log.preallocate=true", "not built"),
        ("no.such.key=1", "Unknown"),
        ("num.partitions", "="),
    ];
    for (setting, told) in cases {
        let arguments = ["--port", "0", "--data-dir", data_dir, "--set", setting];
        let said = run(&arguments, b"");
        assert!(matches!(said.code, Some(2 | 78)), "{setting}: {said:?}");
        assert!(said.stderr.contains(told), "{setting}: {said:?}");
    }
    let broker = Broker::start_with(
        directory.path(),
        &["--port", "0", "--set", "num.partitions=3"],
    );
    broker.run(&["topic", "create", "t"], b"").ok();
    broker.run(&["produce", "t", "-p", "2"], b"there\n").ok();
    broker
        .run(&["produce", "t", "-p", "3"], b"not there\n")
        .failed(3);
}

#[test]
fn a_promise_that_the_durability_mode_does_not_keep_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start_with(directory.path(), &["--port", "0", "--durability", "os"]);
    let create = ["topic", "create", "t", "-c", "flush.messages=1"];
    let said = broker.run(&create, b"");
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("flush.messages"), "{said:?}");
}
