//! Batches that Kafka's Java client wrote, and batches that we wrote before, stay readable.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use bytes::{Bytes, BytesMut};
use records::{
    BatchBuilder, CheckLimits, Codec, DecodeBudget, Header, Offset, Record, check,
    validate_records_deep,
};
use support::{PLENTY_BYTES, read};

const AT_MS: i64 = 1_700_000_000_000;

const FILES: [(&str, Codec, &str); 12] = [
    (
        "java none",
        Codec::None,
        include_str!("golden/java-4.4.0-none.hex"),
    ),
    (
        "java gzip",
        Codec::Gzip,
        include_str!("golden/java-4.4.0-gzip.hex"),
    ),
    (
        "java snappy",
        Codec::Snappy,
        include_str!("golden/java-4.4.0-snappy.hex"),
    ),
    (
        "java lz4",
        Codec::Lz4,
        include_str!("golden/java-4.4.0-lz4.hex"),
    ),
    (
        "java zstd",
        Codec::Zstd,
        include_str!("golden/java-4.4.0-zstd.hex"),
    ),
    (
        "raw snappy",
        Codec::Snappy,
        include_str!("golden/java-4.4.0-snappy-raw.hex"),
    ),
    (
        "two members",
        Codec::Gzip,
        include_str!("golden/java-4.4.0-gzip-two-members.hex"),
    ),
    (
        "ottla none",
        Codec::None,
        include_str!("golden/ottla-0.1.0-none.hex"),
    ),
    (
        "ottla gzip",
        Codec::Gzip,
        include_str!("golden/ottla-0.1.0-gzip.hex"),
    ),
    (
        "ottla snappy",
        Codec::Snappy,
        include_str!("golden/ottla-0.1.0-snappy.hex"),
    ),
    (
        "ottla lz4",
        Codec::Lz4,
        include_str!("golden/ottla-0.1.0-lz4.hex"),
    ),
    (
        "ottla zstd",
        Codec::Zstd,
        include_str!("golden/ottla-0.1.0-zstd.hex"),
    ),
];

fn record(
    offset: i64,
    delta_ms: i64,
    key: Option<&'static str>,
    value: Option<&'static str>,
) -> Record {
    Record {
        offset: Offset::new(offset),
        timestamp_ms: AT_MS + delta_ms,
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        headers: Vec::new(),
    }
}

fn expected() -> Vec<Record> {
    let mut first = record(0, 0, Some("key"), Some("value"));
    first.headers = vec![
        Header::new("trace", "abc"),
        Header::new("trace", ""),
        Header {
            key: Bytes::from("grüß"),
            value: None,
        },
    ];
    let long = "0123456789abcdef".repeat(20);
    let mut last = record(4, 0, Some("many"), None);
    last.value = Some(Bytes::from(long));
    vec![
        first,
        record(1, -1, None, Some("no key, one millisecond earlier")),
        record(2, 3_000_000_000, Some("tombstone, 34 days later"), None),
        record(3, 0, Some(""), Some("")),
        last,
    ]
}

fn build(codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new(codec).producer(4242, 3, 2_147_483_645);
    for record in expected() {
        let Record {
            timestamp_ms,
            key,
            value,
            headers,
            ..
        } = record;
        builder
            .append(timestamp_ms, key.as_deref(), value.as_deref(), &headers)
            .unwrap();
    }
    builder.build().unwrap().into_bytes()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

#[test]
fn every_golden_batch_is_read() {
    for (name, codec, hex) in FILES {
        let batch = check(BytesMut::from(&unhex(hex)[..]), &CheckLimits::default()).unwrap();
        let header = *batch.header();
        assert_eq!(header.attributes.codec(), Ok(codec), "{name}");
        assert_eq!(
            (header.base_sequence, header.last_sequence()),
            (2_147_483_645, 1),
            "{name}"
        );
        assert_eq!(header.max_timestamp_ms, AT_MS + 3_000_000_000, "{name}");
        let bytes = batch.into_bytes();
        assert_eq!(read(&bytes, PLENTY_BYTES), Ok(expected()), "{name}");
        let deep = validate_records_deep(&bytes, &mut DecodeBudget::new(PLENTY_BYTES));
        assert_eq!(deep, Ok(()), "{name}");
    }
}

/// Compressors may change what they write; without one, every byte is the format's.
#[test]
fn we_write_what_java_writes() {
    let java = unhex(include_str!("golden/java-4.4.0-none.hex"));
    assert_eq!(build(Codec::None), java);
}

#[test]
fn what_we_write_today_is_read_too() {
    for codec in Codec::ALL {
        assert_eq!(read(&build(codec), PLENTY_BYTES), Ok(expected()), "{codec}");
    }
}
