//! The bytes of the files do not change by accident: golden files are only added to.

use storage::{Key, Version};

use super::super::entries::{self, SnapshotEnd, StoredEntry, VERSION_MAX};
use super::*;

const GOLDEN: &[u8] = include_bytes!("../../../tests/golden/metadata-1.bin");

fn golden_disk() -> SimVfs {
    let disk = disk();
    let metadata = open(&disk);
    commit(&metadata, &[put("topic-a", "value"), put("topic-b", "")]).expect("room");
    drop(metadata);
    let metadata = open(&disk);
    let both = [put("topic-a", "new"), removal("topic-b")];
    commit(&metadata, &both).expect("room");
    drop(metadata);
    disk
}

#[test]
fn what_is_written_is_the_golden_file() {
    crate::golden::check(
        "metadata-1.bin",
        GOLDEN,
        &content(&golden_disk(), "metadata.a.2"),
    );
}

#[test]
fn the_golden_file_is_read() {
    let disk = disk();
    overwrite(&disk, "metadata.a.2", GOLDEN);
    overwrite(&disk, "metadata.b.2", GOLDEN);
    let metadata = open(&disk);
    assert!(!metadata.report().is_damaged());
    let row = metadata
        .get_now(&key("topic-a"))
        .expect("it is in the file");
    assert_eq!(
        (row.value.as_ref(), row.version),
        (&b"new"[..], Version((2 << 32) + 1))
    );
    assert_eq!(rows(&metadata).len(), 1);
}

#[test]
fn entries_round_trip() {
    let long = "v".repeat(1000);
    let cases: [(&Key, Option<&str>, u64); 4] = [
        (&key("a"), Some("value"), 1),
        (&key(""), Some(""), 2),
        (&Key::from_bytes(Bytes::new()), None, VERSION_MAX.0),
        (&key("long"), Some(&long), 4),
    ];
    let mut body = Vec::new();
    let mut expected = Vec::new();
    for (key, value, version) in cases {
        let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        let write = Write {
            key: key.clone(),
            value,
        };
        let before = body.len();
        entries::encode(&mut body, Version(version), key, write.value.as_deref());
        assert_eq!(body.len() - before, entries::encoded_bytes(&write));
        expected.push(StoredEntry {
            version: Version(version),
            write,
        });
    }
    assert_eq!(entries::decode(&body, 4), Some(expected));
    assert_eq!(entries::decode(&body, 3), None, "the count is checked");
    for end in 0..body.len() {
        assert_eq!(entries::decode(&body[..end], 4), None, "cut at {end}");
    }
}

#[test]
fn entries_that_make_no_sense_are_refused() {
    let mut body = Vec::new();
    entries::encode(&mut body, Version(1), &key("a"), Some(b"value"));
    let changed = |at: usize, byte: u8| {
        let mut body = body.clone();
        body[at] = byte;
        entries::decode(&body, 1)
    };
    assert!(entries::decode(&body, 1).is_some());
    assert_eq!(changed(7, 0), None, "version 0");
    assert_eq!(changed(8, 2), None, "a removal with a value");
    assert_eq!(changed(8, 3), None, "an unknown kind");
    assert_eq!(changed(9, 0xff), None, "a key longer than the body");
    assert_eq!(changed(13, 0xff), None, "a value longer than the body");
}

#[test]
fn the_end_mark_round_trips() {
    let end = SnapshotEnd {
        rows: 7,
        last_version: VERSION_MAX,
    };
    let body = end.encode();
    assert_eq!(SnapshotEnd::decode(&body), Some(end));
    assert_eq!(SnapshotEnd::decode(&body[..15]), None);
}
