//! JSON of a record, and base64 by the vectors of RFC 4648.

use bytes::Bytes;
use records::{Header, Offset, Record};
use serde_json::{Value, json};

use super::{base64, write};

#[test]
fn base64_vectors() {
    let cases: [(&[u8], &str); 8] = [
        (b"", ""),
        (b"f", "Zg=="),
        (b"fo", "Zm8="),
        (b"foo", "Zm9v"),
        (b"foob", "Zm9vYg=="),
        (b"fooba", "Zm9vYmE="),
        (b"foobar", "Zm9vYmFy"),
        (b"\xfb\xff\xfe", "+//+"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(base64(bytes), expected);
    }
}

#[test]
fn a_record_is_one_line() {
    let record = Record {
        offset: Offset::new(i64::MAX),
        timestamp_ms: 5,
        key: None,
        value: Some(Bytes::from_static(b"line\n\"two\"")),
        headers: vec![
            Header::new("h", Bytes::from_static(b"\xff")),
            Header {
                key: Bytes::from_static(b"n"),
                value: None,
            },
        ],
    };
    let mut out = Vec::new();
    write("orders", 2, &record, &mut out);
    assert_eq!(
        out.iter().position(|&byte| byte == b'\n'),
        Some(out.len() - 1)
    );
    let value: Value = serde_json::from_slice(&out).unwrap();
    let expected = json!({
        "topic": "orders",
        "partition": 2,
        "offset": "9223372036854775807",
        "timestamp_ms": "5",
        "key": null,
        "value": "line\n\"two\"",
        "headers": [{"key": "h", "value": {"base64": "/w=="}}, {"key": "n", "value": null}],
    });
    assert_eq!(value, expected);
}
