//! Small parsers: format strings, times and addresses of the command line, and the first bytes of a
//! connection.
//!
//! The parsers of the binary and of `server` are taken as files: they are of no use to anybody else.

#[allow(dead_code, unreachable_pub, reason = "taken from another crate")]
#[path = "../../crates/server/src/detect.rs"]
#[rustfmt::skip]
mod detect;
#[allow(dead_code, unreachable_pub, reason = "taken from another crate")]
#[path = "../../crates/cli/src/format.rs"]
#[rustfmt::skip]
mod format;
#[allow(dead_code, unreachable_pub, reason = "taken from another crate")]
#[path = "../../crates/cli/src/times.rs"]
#[rustfmt::skip]
mod times;

use bytes::Bytes;
use kafka_client::Address;
use records::{Offset, Record};

/// One byte chooses the parser.
pub fn texts(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return first_bytes(rest);
    };
    match which % 5 {
        0 => output(text),
        1 => input(text),
        2 => {
            let _ = text.parse::<times::From>();
            let _ = times::parse_duration(text);
        }
        3 => {
            if let Ok(address) = text.parse::<Address>() {
                let again: Address = address.to_string().parse().expect("it is an address");
                assert_eq!(again, address);
            }
        }
        _ => first_bytes(rest),
    }
}

fn output(text: &str) {
    let Ok(format) = text.parse::<format::OutputFormat>() else {
        return;
    };
    let record = Record {
        offset: Offset::new(7),
        timestamp_ms: 1_700_000_000_000,
        key: None,
        value: Some(Bytes::from_static(b"value")),
        headers: vec![records::Header::new("a", "b")],
    };
    let mut out = Vec::new();
    format.write("topic", 3, &record, &mut out);
    assert!(
        out.len() <= text.len() * 13,
        "two characters become a time at most"
    );
}

/// The format comes first, then a line.
fn input(text: &str) {
    let (format, line) = text.split_once('\n').unwrap_or((text, "a\tb"));
    let Ok(format) = format.parse::<format::InputFormat>() else {
        return;
    };
    if let Some((key, value)) = format.split(line.as_bytes()) {
        let used = key.map_or(0, <[u8]>::len) + value.len();
        assert!(used <= line.len(), "nothing is made up");
    }
}

/// Once the protocol is known, more bytes do not change it.
fn first_bytes(bytes: &[u8]) {
    let mut known = None;
    for length in 0..=bytes.len().min(64) {
        let now = detect::classify(&bytes[..length]);
        assert!(
            known.is_none() || known == now,
            "{known:?} became {now:?} at {length}"
        );
        known = now;
    }
}
