//! The vectors of Kafka's UtilsTest, and where keys go.

use super::*;

#[test]
fn vectors_of_kafka() {
    for (key, expected) in [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        (
            "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58897971,
        ),
        ("abc", 479470107),
    ] {
        assert_eq!(murmur2(key.as_bytes()), expected, "{key}");
    }
}

#[test]
fn partitions_are_in_range() {
    // toPositive clears the sign bit; it does not take the absolute value.
    assert_eq!(
        partition_for_key(b"21", 1000),
        (2_147_483_648 - 973_932_308) % 1000
    );
    assert_eq!(partition_for_key(b"abc", 7), 479470107 % 7);
    assert_eq!(partition_for_key(b"abc", 1), 0);
    assert_eq!(partition_for_key(b"abc", 0), 0);
    for length in 0..100 {
        assert!(partition_for_key(&vec![0xa5; length], 6) < 6);
    }
}
