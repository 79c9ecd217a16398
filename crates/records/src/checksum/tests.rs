//! Known values, and that pieces give the same CRC as the whole.

use super::*;

#[test]
fn known_values_of_crc32c() {
    // RFC 3720, B.4, and the check value of the polynomial.
    let rising: Vec<u8> = (0..32).collect();
    let falling: Vec<u8> = (0..32).rev().collect();
    for (bytes, expected) in [
        (&b""[..], 0),
        (b"123456789", 0xe306_9283),
        (&[0; 32], 0x8a91_36aa),
        (&[0xff; 32], 0x62a8_ab43),
        (&rising, 0x46dd_794e),
        (&falling, 0x113f_db5c),
    ] {
        assert_eq!(crc32c(bytes), expected, "{bytes:02x?}");
    }
}

#[test]
fn pieces_give_the_crc_of_the_whole() {
    let bytes: Vec<u8> = (0..1000_u32).map(|i| (i * 7 % 251) as u8).collect();
    let whole = crc32c(&bytes);
    for cut in [0, 1, 3, 4, 21, 64, 500, 999, 1000] {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(
            crc32c_append(crc32c(first), second),
            whole,
            "append at {cut}"
        );
        let combined = crc32c_combine(crc32c(first), crc32c(second), second.len() as u64);
        assert_eq!(combined, whole, "combine at {cut}");
    }
}

#[test]
fn bytes_without_a_crc_are_never_good() {
    for length in 0..=20 {
        assert!(!crc_ok(&vec![0; length]), "{length} zero bytes");
    }
    // 21 bytes are a CRC field over nothing, whose CRC is 0.
    assert!(crc_ok(&[0; 21]));
    assert!(!crc_ok(&[1; 21]));
}
