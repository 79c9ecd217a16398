//! The format of `.timeindex` and its look-ups.

use super::{ENTRY_BYTES, TimeEntry, TimeIndex};

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/timeindex-1.bin");

fn index(entries: &[(i64, u32)]) -> TimeIndex {
    let mut index = TimeIndex::default();
    for &(timestamp_ms, relative_last) in entries {
        assert!(
            index.push(TimeEntry {
                timestamp_ms,
                relative_last
            }),
            "{timestamp_ms} is new"
        );
    }
    index
}

#[test]
fn what_is_written_is_the_golden_file() {
    let index = index(&[(1_700_000_000_000, 3), (1_700_000_000_500, 9)]);
    crate::golden::check("timeindex-1.bin", GOLDEN, &index.encode_from(0));
    assert_eq!(TimeIndex::decode(GOLDEN), (index.clone(), true));
    assert_eq!(index.encode_from(1), GOLDEN[ENTRY_BYTES..]);
}

#[test]
fn only_news_is_kept() {
    let mut index = index(&[(100, 3), (200, 9)]);
    let cases = [
        ((200, 12), false),
        ((150, 12), false),
        ((300, 9), false),
        ((300, 12), true),
    ];
    for ((timestamp_ms, relative_last), expected) in cases {
        let pushed = index.push(TimeEntry {
            timestamp_ms,
            relative_last,
        });
        assert_eq!(pushed, expected, "{timestamp_ms} at {relative_last}");
    }
    assert_eq!(index.len(), 3);
    let mut empty = TimeIndex::default();
    assert!(
        !empty.push(TimeEntry {
            timestamp_ms: -1,
            relative_last: 3
        }),
        "no timestamp"
    );
}

#[test]
fn only_a_good_prefix_is_read() {
    let bytes = index(&[(100, 3), (200, 9)]).encode_from(0);
    for (what, bytes, kept) in [
        ("zeros behind", [&bytes[..], &[0; 12]].concat(), 2),
        ("half an entry", bytes[..20].to_vec(), 1),
        ("an entry twice", [&bytes[..12], &bytes[..12]].concat(), 1),
    ] {
        let (read, whole) = TimeIndex::decode(&bytes);
        assert_eq!((read.len(), whole), (kept, false), "{what}");
    }
}

#[test]
fn look_ups_go_by_time_and_by_offset() {
    let index = index(&[(100, 3), (200, 9)]);
    for (timestamp_ms, expected) in [
        (0, None),
        (100, None),
        (101, Some(3)),
        (200, Some(3)),
        (201, Some(9)),
    ] {
        let found = index.below(timestamp_ms).map(|entry| entry.relative_last);
        assert_eq!(found, expected, "below {timestamp_ms}");
    }
    for (offset, expected) in [
        (0, None),
        (3, None),
        (4, Some(100)),
        (9, Some(100)),
        (10, Some(200)),
    ] {
        let found = index.before_offset(offset).map(|entry| entry.timestamp_ms);
        assert_eq!(found, expected, "before {offset}");
    }
}
