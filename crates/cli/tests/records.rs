//! Records go in and come out: bytes, order, keys, headers, partitions, places to begin and to end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]
#![allow(dead_code, reason = "no test uses all of the support")]

mod support;

use std::io::{BufReader, Read, Write};

use support::{Broker, end, read_line};

#[test]
fn a_large_file_comes_out_as_it_went_in() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let line = |n: u32| {
        format!(
            "{{\"flight\":{n},\"carrier\":\"UA\",\"origin\":\"EWR\",\"note\":\"{}\"}}\n",
            n % 97
        )
    };
    let lines: Vec<String> = (0..20_000).map(line).collect();
    let file = directory.path().with_extension("jsonl");
    std::fs::write(&file, lines.concat()).unwrap();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let produced = broker.run(
            &["produce", codec, file.to_str().unwrap(), "-z", codec],
            b"",
        );
        assert_eq!(produced.ok(), format!("{codec}[0]@0..19999\n"));
        let consumed = broker.run(&["consume", codec, "-e"], b"");
        assert_eq!(consumed.code, Some(0), "{codec}: {}", consumed.stderr);
        assert!(
            consumed.stdout == lines.concat().as_bytes(),
            "{codec}: other bytes came out"
        );
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn bytes_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let cases: [(&[u8], &[u8], &str); 5] = [
        (b"", b"", ""),
        (b"\n", b"\n", "t[0]@0\n"),
        (b"a\r\n\xff\x00\n", b"a\r\n\xff\x00\n", "t[0]@0..1\n"),
        (b"no end", b"no end\n", "t[0]@0\n"),
        (b"\n\nx", b"\n\nx\n", "t[0]@0..2\n"),
    ];
    for (at, (input, expected, receipt)) in cases.iter().enumerate() {
        let topic = format!("t{at}");
        let produced = broker.run(&["produce", &topic], input).ok();
        assert_eq!(produced, receipt.replace('t', &topic));
        if !input.is_empty() {
            assert_eq!(
                broker.run(&["consume", &topic, "-e"], b"").stdout,
                *expected,
                "{input:?}"
            );
        }
    }
    assert!(
        broker
            .run(&["consume", "t0", "-e"], b"")
            .failed(3)
            .contains("t0"),
        "nothing made it"
    );
}

#[test]
fn records_larger_than_a_batch_and_smaller_limits() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let large = [vec![b'x'; 900_000], b"\nsmall\n".to_vec()].concat();
    assert_eq!(broker.run(&["produce", "t"], &large).ok(), "t[0]@0..1\n");
    assert!(broker.run(&["consume", "t", "-e"], b"").stdout == large);
    let too_large = [b"first\n".to_vec(), vec![b'x'; 2_000_000], b"\n".to_vec()].concat();
    let ended = broker.run(&["produce", "t"], &too_large);
    assert_eq!(ended.out(), "t[0]@2\n", "what was kept is told");
    let said = ended.failed(6);
    assert!(
        said.contains("[MESSAGE_TOO_LARGE]") && said.contains("acknowledged before this: 1 record"),
        "{said}"
    );
    broker
        .run(
            &["topic", "create", "narrow", "-c", "max.message.bytes=500"],
            b"",
        )
        .ok();
    let lines = "a line of some length\n".repeat(1000);
    assert_eq!(
        broker.run(&["produce", "narrow"], lines.as_bytes()).ok(),
        "narrow[0]@0..999\n"
    );
    assert_eq!(broker.run(&["consume", "narrow", "-e"], b"").ok(), lines);
}

#[test]
fn keys_headers_and_forms() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    broker
        .run(
            &["produce", "t", "-k", "key", "-H", "a=1", "-H", "b=x=y"],
            b"one\n",
        )
        .ok();
    broker
        .run(&["produce", "t", "-f", "%k\\t%v\\n"], b"k2\ttwo\tmore\n")
        .ok();
    let form = "%t[%p]@%o %k=%v (%h) 100%%\\n";
    let consumed = broker.run(&["consume", "t", "-e", "-f", form], b"").ok();
    let expected = "t[0]@0 key=one (a=1,b=x=y) 100%\nt[0]@1 k2=two\tmore () 100%\n";
    assert_eq!(consumed, expected);
    let consumed = broker
        .run(&["consume", "t", "-e", "-o", "json", "-n", "1"], b"")
        .ok();
    let record: serde_json::Value = serde_json::from_str(&consumed).unwrap();
    assert_eq!(record["offset"], "0");
    assert_eq!(
        (record["key"].as_str(), record["value"].as_str()),
        (Some("key"), Some("one"))
    );
    assert_eq!(
        record["headers"][1],
        serde_json::json!({"key": "b", "value": "x=y"})
    );
    let said = broker
        .run(&["produce", "t", "-f", "%k:%v"], b"a:b\nnone\n")
        .failed(6);
    assert!(said.contains("line 2 has no separator"), "{said}");
    assert_eq!(
        broker
            .run(&["consume", "t", "--from", "-1", "-e"], b"")
            .ok(),
        "b\n"
    );
}

#[test]
fn a_key_stays_in_its_partition_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    broker.run(&["topic", "create", "t", "-p", "4"], b"").ok();
    let lines: Vec<String> = (0..5000).map(|n| format!("key{}\t{n}\n", n % 37)).collect();
    broker
        .run(
            &["produce", "t", "-f", "%k\\t%v"],
            lines.concat().as_bytes(),
        )
        .ok();
    let consumed = broker
        .run(&["consume", "t", "-e", "-f", "%k %p %v\\n"], b"")
        .ok();
    let mut last = std::collections::BTreeMap::new();
    let mut used = std::collections::BTreeSet::new();
    for line in consumed.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number: u32 = words[2].parse().unwrap();
        let before = last.insert(words[0].to_owned(), (words[1].to_owned(), number));
        assert!(before.is_none_or(|(partition, before)| partition == words[1] && before < number));
        used.insert(words[1].to_owned());
    }
    assert_eq!(
        (consumed.lines().count(), last.len(), used.len()),
        (5000, 37, 4)
    );
    let one = broker
        .run(&["consume", "t", "-e", "-p", "2", "-f", "%p\\n"], b"")
        .ok();
    assert!(one.lines().count() > 0 && one.lines().all(|line| line == "2"));
    let missing = broker.run(&["consume", "t", "-p", "4"], b"").failed(3);
    assert!(missing.contains("it has 4: 0 to 3"), "{missing}");
    let missing = broker.run(&["produce", "t", "-p", "4"], b"x\n").failed(3);
    assert!(missing.contains("it has 4: 0 to 3"), "{missing}");
    let unclear = broker.run(&["consume", "t", "--from", "5"], b"").failed(2);
    assert!(unclear.contains("-p 0 --from 5"), "{unclear}");
}

#[test]
fn places_to_begin_and_to_end() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    broker.run(&["produce", "t"], b"a\nb\nc\nd\n").ok();
    let consume = |words: &[&str]| broker.run(&[&["consume", "t"], words].concat(), b"");
    let cases: [(&[&str], &str); 11] = [
        (&["-e"], "a\nb\nc\nd\n"),
        (&["-e", "--from", "start"], "a\nb\nc\nd\n"),
        (&["-e", "--from", "end"], ""),
        (&["-e", "--from", "3"], "d\n"),
        (&["-e", "--from", "4"], ""),
        (&["-e", "--from", "-2"], "c\nd\n"),
        (&["-e", "--from", "-100"], "a\nb\nc\nd\n"),
        (&["-e", "--from", "-1h"], "a\nb\nc\nd\n"),
        (&["-e", "--from", "@2001-01-01"], "a\nb\nc\nd\n"),
        (&["-e", "--from", "@2999-01-01"], ""),
        (&["-n", "2", "--from", "1"], "b\nc\n"),
    ];
    for (words, expected) in cases {
        assert_eq!(consume(words).ok(), expected, "{words:?}");
    }
    for words in [&["--from", "9"][..], &["--from", "9", "-e"]] {
        let said = consume(words).failed(1);
        assert!(
            said.contains("t[0] has no offset 9  [OFFSET_OUT_OF_RANGE]"),
            "{words:?}: {said}"
        );
        assert!(
            said.contains("it begins at 0, and the next record gets 4"),
            "{words:?}: {said}"
        );
    }
    let said = broker.run(&["produce", "a b"], b"x\n").failed(1);
    assert!(said.contains("1 to 249 of the characters"), "{said}");
    let said = broker.run(&["produce", "t", "-p", "-1"], b"x\n").failed(3);
    assert!(said.contains("no partition -1"), "{said}");
    let said = consume(&["-e", "-p", "-1"]).failed(3);
    assert!(said.contains("no partition -1"), "{said}");
}

#[test]
fn a_consumer_follows_and_a_producer_does_not_wait() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let mut producer = broker.spawn(&["produce", "t"]);
    let mut input = producer.stdin.take().unwrap();
    let mut receipts = BufReader::new(producer.stdout.take().unwrap());
    input.write_all(b"first\n").unwrap();
    assert_eq!(
        read_line(&mut receipts),
        "t[0]@0\n",
        "a line is acknowledged before the next"
    );
    let mut consumer = broker.spawn(&["consume", "t", "-n", "3"]);
    let mut records = BufReader::new(consumer.stdout.take().unwrap());
    assert_eq!(read_line(&mut records), "first\n");
    for at in 1..3 {
        input.write_all(format!("line {at}\n").as_bytes()).unwrap();
        assert_eq!(read_line(&mut receipts), format!("t[0]@{at}\n"));
        assert_eq!(read_line(&mut records), format!("line {at}\n"));
    }
    assert_eq!(end(consumer).code, Some(0));
    drop(input);
    assert_eq!(end(producer).code, Some(0));
}

#[test]
fn a_reader_that_goes_ends_the_command_quietly() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    broker
        .run(
            &["produce", "t"],
            "x".repeat(99)
                .replace("xxx", "some line\n")
                .repeat(20_000)
                .as_bytes(),
        )
        .ok();
    let mut consumer = broker.spawn(&["consume", "t"]);
    let mut first = [0; 10];
    let mut stdout = consumer.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let ended = end(consumer);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn weaker_acknowledgements() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    assert_eq!(
        broker.run(&["produce", "t", "--acks", "1"], b"a\nb\n").ok(),
        "t[0]@0..1\n"
    );
    let sent = broker.run(&["produce", "t", "--acks", "0"], b"c\n").ok();
    assert_eq!(sent, "t[0] 1 record sent, offsets unknown\n");
    assert_eq!(broker.run(&["consume", "t", "-e"], b"").ok(), "a\nb\nc\n");
    let refused = [vec![b'x'; 2_000_000], b"\n".to_vec()].concat();
    let said = broker
        .run(&["produce", "t", "--acks", "0"], &refused)
        .failed(5);
    assert!(said.contains("--acks all says why"), "{said}");
}

#[test]
fn a_file_that_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(directory.path());
    let said = broker
        .run(&["produce", "t", "/no/such/file"], b"")
        .failed(3);
    assert!(said.contains("/no/such/file cannot be opened"), "{said}");
    assert_eq!(
        broker.run(&["topic", "list"], b"").ok().lines().count(),
        1,
        "no topic was made"
    );
}
