//! The format of `.index` and its look-ups.

use super::{ENTRY_BYTES, IndexEntry, OffsetIndex};
use crate::position::Position;

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/index-1.bin");

fn index(entries: &[(u32, u32)]) -> OffsetIndex {
    let mut index = OffsetIndex::default();
    for &(relative_last, position) in entries {
        index.push(IndexEntry {
            relative_last,
            position: Position::new(position),
        });
    }
    index
}

#[test]
fn what_is_written_is_the_golden_file() {
    let largest = i32::MAX.cast_unsigned();
    let index = index(&[(3, 200), (9, 4321), (largest, largest)]);
    crate::golden::check("index-1.bin", GOLDEN, &index.encode_from(0));
    let end = Position::new(u32::MAX);
    assert_eq!(OffsetIndex::decode(GOLDEN, end), (index.clone(), true));
    assert_eq!(index.encode_from(2), GOLDEN[2 * ENTRY_BYTES..]);
}

#[test]
fn only_a_good_prefix_is_read() {
    let good = index(&[(3, 200), (9, 4321), (12, 9000)]);
    let bytes = good.encode_from(0);
    let cases: [(&str, Vec<u8>, u32, usize); 7] = [
        ("all", bytes.clone(), 9001, 3),
        ("a batch behind the end of the log", bytes.clone(), 9000, 2),
        ("half an entry", bytes[..20].to_vec(), 10_000, 2),
        ("zeros behind", [&bytes[..16], &[0; 8]].concat(), 10_000, 2),
        ("zeros", vec![0; 64], 10_000, 0),
        (
            "an entry twice",
            [&bytes[..8], &bytes[..8]].concat(),
            10_000,
            1,
        ),
        ("nothing", Vec::new(), 10_000, 0),
    ];
    for (what, bytes, end, kept) in cases {
        let (read, whole) = OffsetIndex::decode(&bytes, Position::new(end));
        assert_eq!(read.entries(), &good.entries()[..kept], "{what}");
        assert_eq!(whole, kept * ENTRY_BYTES == bytes.len(), "{what}");
    }
}

#[test]
fn look_ups_find_neighbours() {
    let index = index(&[(3, 200), (9, 4321), (12, 9000)]);
    let floors = [
        (0, None),
        (2, None),
        (3, Some(200)),
        (8, Some(200)),
        (9, Some(4321)),
        (99, Some(9000)),
    ];
    for (offset, expected) in floors {
        assert_eq!(
            index.floor(offset).map(|e| e.position.get()),
            expected,
            "offset {offset}"
        );
    }
    let positions = [
        (0, None, Some(200)),
        (199, None, Some(200)),
        (200, Some(200), Some(4321)),
        (9000, Some(9000), None),
    ];
    for (position, floor, after) in positions {
        let at = Position::new(position);
        assert_eq!(
            index.floor_position(at).map(|e| e.position.get()),
            floor,
            "{position}"
        );
        assert_eq!(
            index.after_position(at).map(|e| e.position.get()),
            after,
            "{position}"
        );
    }
}

#[test]
#[should_panic(expected = "does not rise")]
fn an_entry_that_does_not_rise_is_a_fault() {
    index(&[(3, 200), (3, 300)]);
}
