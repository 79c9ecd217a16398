//! Keys: their bytes are on disk, so they never change.

use proptest::prelude::*;

use super::*;

#[test]
fn the_bytes_of_a_key() {
    let cases = [
        (Key::space(Space::Topic), &b"\x01"[..]),
        (Key::space(Space::Deletion).part(b""), b"\x02\0\0"),
        (Key::space(Space::Node).part(b"id"), b"\x03\0\x02id"),
        (Key::space(Space::ProducerIds), b"\x04"),
        (
            Key::space(Space::Offset).part(b"g\0").part(b"x"),
            b"\x05\0\x02g\0\0\x01x",
        ),
    ];
    for (key, bytes) in cases {
        assert_eq!(key.as_bytes(), bytes);
        assert_eq!(Key::from_bytes(Bytes::from_static(bytes)), key);
    }
    assert_eq!(
        format!("{:?}", Key::space(Space::Topic).part(b"a")),
        r"Key(\x01\x00\x01a)"
    );
}

#[test]
fn what_is_not_a_key_has_no_parts() {
    for bytes in [
        &b""[..],
        b"\x01\0",
        b"\x01\0\x02a",
        b"\x01\0\x01ab",
        b"\x01\xff\xffa",
    ] {
        assert_eq!(
            Key::from_bytes(Bytes::from_static(bytes)).parts(),
            None,
            "{bytes:?}"
        );
    }
    assert_eq!(Key::space(Space::Topic).parts(), Some(vec![]));
}

#[test]
fn the_longest_part_fits() {
    let part = vec![7; 65_535];
    let key = Key::space(Space::Topic).part(&part);
    assert_eq!(key.parts(), Some(vec![Bytes::from(part)]));
}

#[test]
#[should_panic(expected = "ids are bounded where they enter")]
fn a_longer_part_is_a_bug() {
    let _key = Key::space(Space::Topic).part(&vec![7; 65_536]);
}

proptest! {
    #[test]
    fn parts_come_back_and_order_is_that_of_bytes(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5), 0..4),
        others in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5), 0..4),
    ) {
        let make = |parts: &[Vec<u8>]| {
            parts.iter().fold(Key::space(Space::Offset), |key, part| key.part(part))
        };
        let (key, other) = (make(&parts), make(&others));
        let expected: Vec<Bytes> = parts.iter().cloned().map(Bytes::from).collect();
        prop_assert_eq!(key.parts(), Some(expected));
        prop_assert_eq!(key == other, parts == others);
        prop_assert_eq!(key.starts_with(&other), parts.starts_with(&others));
        prop_assert_eq!(key.cmp(&other), key.as_bytes().cmp(other.as_bytes()));
    }
}
