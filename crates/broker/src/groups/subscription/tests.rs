//! Good subscriptions, cut ones and lies.

use super::topics;

fn subscription(version: i16, names: &[&str], tail: &[u8]) -> Vec<u8> {
    let mut bytes = version.to_be_bytes().to_vec();
    let count = i32::try_from(names.len()).expect("few");
    bytes.extend_from_slice(&count.to_be_bytes());
    for name in names {
        let length = i16::try_from(name.len()).expect("short");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
    }
    bytes.extend_from_slice(tail);
    bytes
}

#[test]
fn topics_are_read_in_every_version_and_nothing_is_read_past_the_end() {
    for version in 0..=3 {
        let bytes = subscription(version, &["b", "a", "a"], &[0xff; 4]);
        let read = topics(&bytes).expect("a subscription");
        assert_eq!(read.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        for cut in 0..bytes.len() - 4 {
            assert_eq!(topics(&bytes[..cut]), None, "cut at {cut}");
        }
    }
    let refused: [&[u8]; 5] = [
        b"",
        &[0xff, 0xff, 0, 0, 0, 0],
        &[0, 0, 0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0x7f, 0xff, 0xff, 0xff],
        &[0, 0, 0, 0, 0, 1, 0, 1, 0xff],
    ];
    for bytes in refused {
        assert_eq!(topics(bytes), None, "{bytes:?}");
    }
}
