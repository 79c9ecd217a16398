//! Fields at their places, wraps, and what parsing refuses.

use super::*;

fn header() -> BatchHeader {
    BatchHeader {
        base_offset: Offset::new(0x0102_0304_0506_0708),
        batch_length: 49,
        leader_epoch: 0x1112_1314,
        magic: 2,
        crc: 0xa1a2_a3a4,
        attributes: Attributes::new(0x2122),
        last_offset_delta: 0x3132_3334,
        base_timestamp_ms: 0x4142_4344_4546_4748,
        max_timestamp_ms: 0x5152_5354_5556_5758,
        producer_id: 0x6162_6364_6566_6768,
        producer_epoch: 0x7172,
        base_sequence: 0x0a0b_0c0d,
        record_count: 0x1a1b_1c1d,
    }
}

#[test]
fn fields_stand_where_the_table_says() {
    let head = header().encode();
    for (at, bytes) in [
        (0, &[1, 2, 3, 4, 5, 6, 7, 8][..]),
        (8, &[0, 0, 0, 49]),
        (12, &[0x11, 0x12, 0x13, 0x14]),
        (16, &[2]),
        (17, &[0xa1, 0xa2, 0xa3, 0xa4]),
        (21, &[0x21, 0x22]),
        (23, &[0x31, 0x32, 0x33, 0x34]),
        (27, &[0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48]),
        (35, &[0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58]),
        (43, &[0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68]),
        (51, &[0x71, 0x72]),
        (53, &[0x0a, 0x0b, 0x0c, 0x0d]),
        (57, &[0x1a, 0x1b, 0x1c, 0x1d]),
    ] {
        assert_eq!(&head[at..at + bytes.len()], bytes, "at {at}");
    }
    assert_eq!(BatchHeader::parse(&head), Ok(header()));
}

#[test]
fn parsing_refuses_what_cannot_be_walked() {
    let head = header().encode();
    for length in 0..HEADER_BYTES {
        let expected = BatchError::TooShort {
            got_bytes: length,
            needed_bytes: 61,
        };
        assert_eq!(BatchHeader::parse(&head[..length]), Err(expected));
    }
    for batch_length in [i32::MIN, -1, 0, 48] {
        let bytes = BatchHeader {
            batch_length,
            ..header()
        }
        .encode();
        assert_eq!(
            BatchHeader::parse(&bytes),
            Err(BatchError::LengthTooSmall { batch_length })
        );
    }
    for got in [0, 1, 3, -1] {
        let bytes = BatchHeader {
            magic: got,
            ..header()
        }
        .encode();
        assert_eq!(
            BatchHeader::parse(&bytes),
            Err(BatchError::WrongMagic { got })
        );
        // Old messages are shorter than this header, and are still called by their name.
        assert_eq!(
            BatchHeader::parse(&bytes[..26]),
            Err(BatchError::WrongMagic { got })
        );
    }
}

#[test]
fn offsets_and_sizes() {
    let small = BatchHeader {
        base_offset: Offset::new(10),
        last_offset_delta: 4,
        ..header()
    };
    assert_eq!(small.last_offset(), Offset::new(14));
    assert_eq!(small.next_offset(), Offset::new(15));
    assert_eq!(small.size_bytes(), 61);
    let large = BatchHeader {
        base_offset: Offset::MAX,
        batch_length: i32::MAX,
        ..small
    };
    assert_eq!(large.next_offset(), Offset::MAX);
    assert_eq!(large.size_bytes(), 2_147_483_659);
}

#[test]
fn sequences_wrap_to_zero() {
    for (base_sequence, last_offset_delta, expected) in [
        (0, 0, 0),
        (5, 4, 9),
        (i32::MAX - 1, 1, i32::MAX),
        (i32::MAX, 1, 0),
        (i32::MAX, 3, 2),
        (i32::MAX, i32::MAX, i32::MAX - 1),
        (-1, 0, -1),
        (-1, 9, -1),
    ] {
        let header = BatchHeader {
            last_offset_delta,
            base_sequence,
            ..header()
        };
        assert_eq!(
            header.last_sequence(),
            expected,
            "{base_sequence} + {last_offset_delta}"
        );
    }
}

#[test]
fn attribute_bits() {
    let of = Attributes::new;
    for (id, codec) in (0..).zip(Codec::ALL) {
        assert_eq!(of(id).codec(), Ok(codec));
        assert_eq!(
            of(id | !0b111).codec(),
            Ok(codec),
            "other bits do not matter"
        );
        assert_eq!(of(0b1111_1000).with_codec(codec), of(0b1111_1000 | id));
    }
    for id in 5..8 {
        assert_eq!(of(id.into()).codec(), Err(BatchError::UnknownCodec { id }));
    }
    assert_eq!(of(0).timestamp_type(), TimestampType::CreateTime);
    assert_eq!(of(8).timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(of(0).with_log_append_time(), of(8));
    assert_eq!(of(0).with_transactional(), of(16));
    let flags = |bits| {
        let attributes = of(bits);
        (
            attributes.is_transactional(),
            attributes.is_control(),
            attributes.has_delete_horizon(),
        )
    };
    assert_eq!(flags(0x10), (true, false, false));
    assert_eq!(flags(0x20), (false, true, false));
    assert_eq!(flags(0x40), (false, false, true));
    assert_eq!(flags(!0x70), (false, false, false));
}
