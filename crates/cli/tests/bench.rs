//! `ottla bench` on a real broker: counts that add up, latencies that hide nothing, nothing left behind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]
#![allow(dead_code, reason = "no test uses all of the support")]

mod support;

use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Broker, Ended, end, run};

fn json(ended: Ended) -> Value {
    serde_json::from_str(&ended.ok()).unwrap()
}

fn topics(broker: &Broker) -> usize {
    let listed = json(broker.run(&["topic", "list", "-o", "json"], b""));
    listed["topics"].as_array().unwrap().len()
}

#[test]
fn at_a_fixed_rate_every_record_is_sent_and_seen_by_every_reader() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let load = [
        "bench",
        "e2e",
        "--rate",
        "2000",
        "--volume",
        "600k",
        "--size",
        "100",
        "--consumers",
        "2",
        "-o",
        "json",
    ];
    let told = json(broker.run(&load, b""));
    assert_eq!(told["schema"], "ottla.bench/1");
    let requests = told["requests"].as_u64().unwrap();
    assert_eq!(told["records"], requests);
    assert_eq!(told["latency_ms"]["acknowledged"]["count"], requests);
    assert_eq!(told["latency_ms"]["end_to_end"]["count"], 2 * requests);
    let bytes = told["batch_bytes"].as_u64().unwrap();
    assert!((600 << 10..610 << 10).contains(&bytes), "{told}");
    // The last one was due at the end, and not earlier.
    let seconds = told["seconds"].as_f64().unwrap();
    let due = f64::from(u32::try_from(requests - 1).unwrap()) / 2000.0;
    assert!(seconds >= due, "{told}");
    assert_eq!(topics(&broker), 0, "its topic is deleted");
}

#[test]
fn in_closed_loop_with_every_codec_and_every_kind_of_acknowledgement() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let produced = broker.run(
            &[
                "bench",
                "produce",
                "--topic",
                codec,
                "-z",
                codec,
                "--batch-size",
                "16KiB",
                "--volume",
                "200k",
                "--in-flight",
                "5",
                "--clients",
                "2",
                "-o",
                "json",
            ],
            b"",
        );
        let told = json(produced);
        let records = told["records"].as_u64().unwrap();
        assert_eq!(
            told["latency_ms"]["acknowledged"]["count"],
            told["requests"]
        );
        // One more in each partition was written before the clock ran.
        let read = broker
            .run(&["consume", codec, "-e", "-f", "%o\\n"], b"")
            .ok();
        assert_eq!(read.lines().count() as u64, records + 6, "{codec}");
    }
    for acks in ["all", "1", "0"] {
        let topic = format!("acks-{acks}");
        let told = json(broker.run(
            &[
                "bench", "produce", "--topic", &topic, "--acks", acks, "--size", "10", "--volume",
                "20k", "-o", "json",
            ],
            b"",
        ));
        let read = broker
            .run(&["consume", &topic, "-e", "-f", "%o\\n"], b"")
            .ok();
        let records = told["records"].as_u64().unwrap();
        assert_eq!(read.lines().count() as u64, records + 6, "acks {acks}");
        let counted = told["latency_ms"]["acknowledged"]["count"].as_u64();
        assert_eq!(counted, Some(if acks == "0" { 0 } else { records }));
    }
}

#[test]
fn readers_begin_again_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let load = [
        "bench",
        "consume",
        "--fill",
        "100k",
        "--volume",
        "1MiB",
        "--clients",
        "3",
        "-o",
        "json",
    ];
    let told = json(broker.run(&load, b""));
    assert!(told["batch_bytes"].as_u64().unwrap() >= 1 << 20, "{told}");
    assert_eq!(told["latency_ms"]["fetched"]["count"], told["requests"]);
    assert_eq!(topics(&broker), 0, "its topic is deleted");
}

#[test]
fn a_stall_of_the_broker_is_counted_for_every_request_that_was_due_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let child = broker.spawn(&[
        "bench",
        "produce",
        "--topic",
        "t",
        "--rate",
        "500",
        "--duration",
        "4s",
        "-o",
        "json",
    ]);
    let running = || {
        let listed = json(broker.run(&["topic", "list", "-o", "json"], b""));
        let records = listed["topics"][0]["records"].as_str().unwrap_or("0");
        records.parse::<u64>().unwrap() > 100
    };
    while !running() {}
    let process = Pid::from_raw(i32::try_from(broker.pid()).unwrap()).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    // The stall is what is looked at: nothing can be awaited in its place.
    let (_never, stall) = mpsc::sync_channel::<()>(0);
    let _ = stall.recv_timeout(Duration::from_secs(1));
    kill_process(process, Signal::CONT).unwrap();
    let told = json(end(child));
    // 500 of 2,000 requests were due in the stall: one in ten waited for 0.6 s and more. Counted
    // from when they were sent at last, it would be a handful.
    let p90 = told["latency_ms"]["acknowledged"]["p90"].as_f64().unwrap();
    assert!(p90 > 400.0, "{told}");
}

#[test]
fn ctrl_c_ends_a_load_and_tells_what_was_measured() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let child = broker.spawn(&["bench", "produce", "--duration", "1h", "-o", "json"]);
    while topics(&broker) == 0 {}
    let running = || {
        let listed = json(broker.run(&["topic", "list", "-o", "json"], b""));
        listed["topics"][0]["records"] != "0"
    };
    while !running() {}
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(process, Signal::INT).unwrap();
    let told = json(end(child));
    assert!(told["seconds"].as_f64().unwrap() < 3000.0, "{told}");
    assert_eq!(topics(&broker), 0, "its topic is deleted");
}

#[test]
fn what_cannot_be_done_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let both = broker.run(
        &["bench", "produce", "--rate", "10", "--in-flight", "3"],
        b"",
    );
    assert!(both.failed(2).contains("--in-flight goes with --rate max"));
    for wrong in [
        ["bench", "produce", "--rate", "0"],
        ["bench", "produce", "--clients", "0"],
        ["bench", "produce", "--size", "2GiB"],
        ["bench", "e2e", "--partitions", "0"],
    ] {
        let said = broker.run(&wrong, b"").failed(2);
        assert!(said.contains(wrong[2]), "{said}");
    }
    let unknown = broker.run(&["bench", "consume", "--topic", "nothing"], b"");
    assert!(unknown.failed(3).contains("\"nothing\" does not exist"));
    broker.run(&["topic", "create", "empty"], b"").ok();
    let empty = broker.run(&["bench", "consume", "--topic", "empty"], b"");
    let said = empty.failed(3);
    assert!(
        said.contains("fix: ottla bench produce --topic empty"),
        "{said}"
    );
    let small = ["topic", "create", "small", "-c", "max.message.bytes=2000"];
    broker.run(&small, b"").ok();
    let large = broker.run(
        &["bench", "produce", "--topic", "small", "--size", "10KiB"],
        b"",
    );
    let said = large.failed(1);
    assert!(
        said.contains("MESSAGE_TOO_LARGE") && said.contains("fix: choose"),
        "{said}"
    );
    let nobody = run(&["bench", "produce", "-b", "localhost:1"], b"");
    assert!(
        nobody
            .failed(5)
            .contains("no broker answers at localhost:1")
    );
}
