//! Primitive types, headers, frames, strings, ids and error codes.

use bytes::Bytes;
use kafka_wire::frames::{FrameError, peek_frame};
use kafka_wire::{
    Cursor, DecodeFault, EncodeFault, ErrorCode, HeaderError, Reader, RequestHeader,
    ResponseHeader, Uuid, WireString, Writer,
};
use std::collections::HashSet;

#[test]
fn varints_are_kafkas() {
    let cases: [(u32, &[u8]); 8] = [
        (0, &[0]),
        (1, &[1]),
        (127, &[0x7f]),
        (128, &[0x80, 1]),
        (300, &[0xac, 2]),
        (16_384, &[0x80, 0x80, 1]),
        (0x7fff_ffff, &[0xff, 0xff, 0xff, 0xff, 7]),
        (u32::MAX, &[0xff, 0xff, 0xff, 0xff, 0xf]),
    ];
    for (value, bytes) in cases {
        let mut writer = Writer::new();
        writer.uvarint(value);
        assert_eq!(&writer.into_inner()[..], bytes);
        assert_eq!(Cursor::new(bytes, 0).uvarint(), Ok(value));
    }
    for bytes in [[0xff, 0xff, 0xff, 0xff, 0x1f], [0xff; 5]] {
        let error = Cursor::new(&bytes, 0)
            .uvarint()
            .expect_err("more than 32 bits");
        assert_eq!(error.fault, DecodeFault::Varint);
    }
}

#[test]
fn numbers_are_big_endian() {
    let bytes = [0x80, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07];
    let cursor = Cursor::new(&bytes, 0);
    assert_eq!(cursor.clone().int8(), Ok(-128));
    assert_eq!(cursor.clone().int16(), Ok(-32_767));
    assert_eq!(cursor.clone().uint16(), Ok(0x8001));
    assert_eq!(cursor.clone().uint32(), Ok(0x8001_0203));
    assert_eq!(cursor.clone().int32(), Ok(0x8001_0203_u32.cast_signed()));
    assert_eq!(
        cursor.clone().int64(),
        Ok(0x8001_0203_0405_0607_u64.cast_signed())
    );
    assert_eq!(cursor.clone().boolean(), Ok(true));
    assert_eq!(
        cursor.clone().uuid().expect_err("16 bytes").fault,
        DecodeFault::Truncated {
            needed: 16,
            remaining: 8
        }
    );
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let cases: [(&str, &[u8], bool, DecodeFault); 5] = [
        (
            "negative",
            &[0xff, 0xfe],
            false,
            DecodeFault::NegativeLength { length: -2 },
        ),
        (
            "behind the end",
            &[0, 3, 65],
            false,
            DecodeFault::Truncated {
                needed: 3,
                remaining: 1,
            },
        ),
        (
            "compact",
            &[4, 65],
            true,
            DecodeFault::Truncated {
                needed: 3,
                remaining: 1,
            },
        ),
        ("not UTF-8", &[0, 1, 0xff], false, DecodeFault::NotUtf8),
        (
            "too long",
            &[0x81, 0x80, 2],
            true,
            DecodeFault::StringLimit {
                length: 32_768,
                limit: 32_767,
            },
        ),
    ];
    for (label, bytes, flexible, fault) in cases {
        let borrowed = Cursor::new(bytes, 0)
            .nullable_string(flexible)
            .expect_err(label);
        assert_eq!(borrowed.fault, fault, "{label}");
        let owned = Reader::new(Bytes::from_static(bytes)).nullable_string(flexible);
        assert_eq!(owned.expect_err(label).fault, fault, "{label}");
    }
    let bytes = 0x8000_0000_u32.to_be_bytes();
    let error = Cursor::new(&bytes, 0)
        .nullable_bytes_range(false)
        .expect_err("negative");
    assert_eq!(
        error.fault,
        DecodeFault::NegativeLength { length: i32::MIN }
    );
}

#[test]
fn counts_are_checked_against_the_bytes_that_remain() {
    let mut bytes = 3_i32.to_be_bytes().to_vec();
    bytes.extend([0; 11]);
    assert_eq!(Cursor::new(&bytes, 0).array_count(false, 3), Ok(3));
    let error = Cursor::new(&bytes, 0)
        .array_count(false, 4)
        .expect_err("12 of 11 bytes");
    let fault = DecodeFault::Count {
        count: 3,
        element_bytes_min: 4,
        remaining: 11,
    };
    assert_eq!(error.fault, fault);
    let mut bytes = 1_000_001_i32.to_be_bytes().to_vec();
    bytes.resize(1_100_000, 0);
    let error = Cursor::new(&bytes, 0)
        .array_count(false, 1)
        .expect_err("over the fixed limit");
    assert_eq!(
        error.fault,
        DecodeFault::CountLimit {
            count: 1_000_001,
            limit: 1_000_000
        }
    );
}

#[test]
fn a_string_too_long_for_the_format_is_not_written() {
    let longest = "x".repeat(32_767);
    for flexible in [false, true] {
        let mut writer = Writer::new();
        writer.string(flexible, &longest).expect("the longest");
        let bytes = writer.into_inner().freeze();
        assert_eq!(
            Reader::new(bytes).string(flexible).expect("reads back"),
            longest.as_str()
        );
        let error = Writer::new()
            .string(flexible, &format!("{longest}x"))
            .expect_err("too long");
        assert_eq!(
            error.fault,
            EncodeFault::TooLong {
                length: 32_768,
                limit: 32_767
            }
        );
    }
}

#[test]
fn bytes_behind_the_end_are_noticed() {
    let mut reader = Reader::new(Bytes::from_static(&[1, 2, 3]));
    reader.int8().expect("one byte");
    let error = reader.finish().expect_err("two are left");
    assert_eq!(
        (error.at, error.fault),
        (1, DecodeFault::Trailing { remaining: 2 })
    );
    reader.int16().expect("two bytes");
    reader.finish().expect("none is left");
}

#[test]
fn strings_share_their_frame() {
    let frame = Bytes::from_static(b"\0\x05hello\0\0\x03end");
    let mut reader = Reader::at(frame.clone(), 0);
    let hello = reader.string(false).expect("hello");
    assert_eq!(hello, "hello");
    assert_eq!(hello.as_ptr(), frame[2..].as_ptr());
    let built = WireString::from(String::from("hello"));
    assert_eq!(built, hello);
    assert_eq!(WireString::from("hello"), hello);
    let set: HashSet<WireString> = [hello.clone(), built].into();
    assert!(set.contains("hello"));
    assert_eq!(set.len(), 1);
    assert_eq!(format!("{hello} {hello:?}"), "hello \"hello\"");
    assert_eq!(WireString::default(), "");
    let (a, b) = (WireString::from("a"), WireString::from("b"));
    assert!(a < b);
    let long = "x".repeat(100_000);
    assert_eq!(WireString::from(&long), long.as_str());
}

#[test]
fn ids_print_as_kafka_prints_them() {
    let cases = [
        (0_u128, "AAAAAAAAAAAAAAAAAAAAAA"),
        (1, "AAAAAAAAAAAAAAAAAAAAAQ"),
        (u128::MAX, "_____________________w"),
        (
            0x0010_8310_5187_2092_8b30_d38f_4114_9351,
            "ABCDEFGHIJKLMNOPQRSTUQ",
        ),
    ];
    for (bits, text) in cases {
        assert_eq!(Uuid(bits.to_be_bytes()).to_string(), text);
    }
    assert!(Uuid::ZERO.is_zero());
    assert!(!Uuid([1; 16]).is_zero());
}

#[test]
fn frames_state_their_length() {
    let limit = 1_000;
    assert_eq!(peek_frame(&[], limit), Ok(None));
    assert_eq!(peek_frame(&[0, 0, 0], limit), Ok(None));
    assert_eq!(peek_frame(&[0, 0, 0, 9], limit), Ok(Some(9)));
    assert_eq!(peek_frame(&[0, 0, 3, 0xe8, 7, 7], limit), Ok(Some(1_000)));
    let over = FrameError::TooLarge {
        length: 1_001,
        limit,
    };
    assert_eq!(peek_frame(&[0, 0, 3, 0xe9], limit), Err(over));
    let negative = FrameError::Negative { length: -1 };
    assert_eq!(peek_frame(&[0xff; 4], limit), Err(negative));
}

#[test]
fn request_headers_read_back() {
    for (api_key, api_version, client_id, length) in [
        (3, 8, Some("c"), 11),
        (3, 9, Some("c"), 12),
        (18, 99, None, 11),
        (0, 3, Some(""), 10),
    ] {
        let header = RequestHeader {
            api_key,
            api_version,
            correlation_id: 77,
            client_id,
        };
        let mut writer = Writer::new();
        header.encode(&mut writer).expect("a short client id");
        writer.raw(b"body");
        let frame = writer.into_inner().freeze();
        assert_eq!(RequestHeader::parse(&frame), Ok((header, length)));
        for cut in 0..length {
            let error = RequestHeader::parse(&frame[..cut]).expect_err("cut short");
            assert!(matches!(error, HeaderError::Malformed(_)), "{error}");
        }
    }
    let unknown = RequestHeader::parse(&[0x27, 0x0f, 0, 1, 0, 0, 0, 5]);
    let expected = HeaderError::UnknownApi {
        api_key: 9_999,
        api_version: 1,
        correlation_id: 5,
    };
    assert_eq!(unknown, Err(expected));
}

#[test]
fn response_headers_read_back() {
    for (key, version, length) in [(3, 8, 4), (3, 9, 5), (18, 3, 4)] {
        let header = ResponseHeader { correlation_id: -5 };
        let mut writer = Writer::new();
        header.encode(&mut writer, key, version);
        assert_eq!(writer.len(), length);
        let frame = writer.into_inner().freeze();
        assert_eq!(
            ResponseHeader::parse(&frame, key, version),
            Ok((header, length))
        );
    }
}

#[test]
fn error_codes_are_kafkas() {
    for error in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_code(error.code()), Some(*error));
    }
    assert_eq!(ErrorCode::ALL.len(), 138);
    assert_eq!(ErrorCode::from_code(137), None);
    assert_eq!(ErrorCode::from_code(-2), None);
    assert_eq!(
        ErrorCode::UnknownTopicOrPartition.to_string(),
        "UNKNOWN_TOPIC_OR_PARTITION (3)"
    );
    let retriable: Vec<i16> = ErrorCode::ALL
        .iter()
        .filter(|e| e.is_retriable())
        .map(|e| e.code())
        .collect();
    let expected = [
        2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84,
        88, 89, 100, 103, 106, 122, 123, 133,
    ];
    assert_eq!(retriable, expected);
}
