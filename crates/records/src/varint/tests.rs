//! Known bytes, round trips, and numbers that do not fit.

use proptest::prelude::*;

use super::*;

fn bytes_of(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varlong(&mut out, value);
    out
}

#[test]
fn known_bytes() {
    for (value, expected) in [
        (0, &[0x00][..]),
        (-1, &[0x01]),
        (1, &[0x02]),
        (63, &[0x7e]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (-65, &[0x81, 0x01]),
        (8191, &[0xfe, 0x7f]),
        (8192, &[0x80, 0x80, 0x01]),
        (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (i64::from(i32::MIN), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        (
            i64::MAX,
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ),
        (
            i64::MIN,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ),
    ] {
        assert_eq!(bytes_of(value), expected, "{value}");
        assert_eq!(varlong_size(value), expected.len(), "{value}");
        assert_eq!(get_varlong(&mut &expected[..]), Ok(value));
        if let Ok(small) = i32::try_from(value) {
            let mut out = Vec::new();
            put_varint(&mut out, small);
            assert_eq!(out, expected);
            assert_eq!(varint_size(small), expected.len());
            assert_eq!(get_varint(&mut &expected[..]), Ok(small));
        }
    }
}

#[test]
fn a_number_may_be_padded_as_java_accepts_it() {
    assert_eq!(get_varint(&mut &[0x82, 0x80, 0x80, 0x80, 0x00][..]), Ok(1));
}

#[test]
fn too_long_numbers_are_refused() {
    for (bytes, what) in [
        (&[0xff, 0xff, 0xff, 0xff, 0x1f][..], "33 bits"),
        (&[0xfe, 0xff, 0xff, 0xff, 0x7f], "35 bits"),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], "6 bytes"),
        (&[0xff; 11], "never ends"),
    ] {
        assert_eq!(
            get_varint(&mut &bytes[..]),
            Err(VarintError::TooLong),
            "{what}"
        );
    }
    for (bytes, what) in [
        (
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02][..],
            "65 bits",
        ),
        (
            &[
                0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00,
            ],
            "11 bytes",
        ),
        (&[0xff; 12], "never ends"),
    ] {
        assert_eq!(
            get_varlong(&mut &bytes[..]),
            Err(VarintError::TooLong),
            "{what}"
        );
    }
}

#[test]
fn every_cut_is_truncated() {
    for value in [64, i64::from(i32::MAX), i64::MAX] {
        let bytes = bytes_of(value);
        for length in 0..bytes.len() {
            assert_eq!(
                get_varlong(&mut &bytes[..length]),
                Err(VarintError::Truncated)
            );
        }
    }
}

proptest! {
    #[test]
    fn round_trip(value: i64, tail: Vec<u8>) {
        let mut bytes = bytes_of(value);
        prop_assert_eq!(bytes.len(), varlong_size(value));
        bytes.extend_from_slice(&tail);
        let mut input = &bytes[..];
        prop_assert_eq!(get_varlong(&mut input), Ok(value));
        prop_assert_eq!(input, &tail[..]);
    }
}
