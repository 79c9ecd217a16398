//! What is let in, what is refused and with which numbers, and every flipped bit.

use bytes::BufMut;

use super::*;
use crate::builder::BatchBuilder;
use crate::checksum::{crc_of, crc_ok};
use crate::codec::Codec;
use crate::header::{Attributes, HEADER_BYTES, TimestampType};
use crate::record::Header;

fn small() -> CheckedBatch {
    let mut builder = BatchBuilder::new(Codec::None).producer(7, 3, 40);
    builder.append(1000, Some(b"k"), Some(b"one"), &[]).unwrap();
    builder
        .append(1005, None, Some(b"two"), &[Header::new("h", "v")])
        .unwrap();
    builder.build().unwrap()
}

/// The small batch with another header, its CRC made good again.
fn with(change: impl FnOnce(&mut BatchHeader)) -> BytesMut {
    let batch = small();
    let mut header = *batch.header();
    change(&mut header);
    let mut bytes = BytesMut::from(batch.as_bytes());
    bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
    let crc = crc_of(&bytes);
    bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn verdict(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    check(BytesMut::from(bytes), &CheckLimits::default()).map(|batch| *batch.header())
}

#[test]
fn a_good_batch_passes_as_it_is() {
    let batch = small();
    let checked = check(BytesMut::from(batch.as_bytes()), &CheckLimits::default()).unwrap();
    assert_eq!(checked.header(), batch.header());
    assert_eq!(checked.len(), batch.len());
    assert_eq!(checked.into_bytes(), batch.into_bytes());
}

#[test]
fn fields_that_make_no_sense_are_refused() {
    type Change = fn(&mut BatchHeader);
    let cases: [(Change, BatchError); 12] = [
        (
            |h| h.attributes = Attributes::new(5),
            BatchError::UnknownCodec { id: 5 },
        ),
        (
            |h| h.attributes = Attributes::new(0x20),
            BatchError::ControlFromClient,
        ),
        (|h| h.record_count = 3, counts(3, 1)),
        (|h| h.record_count = 1, counts(1, 1)),
        (|h| h.record_count = -1, counts(-1, 1)),
        (
            |h| (h.record_count, h.last_offset_delta) = (0, -1),
            counts(0, -1),
        ),
        (
            |h| (h.record_count, h.last_offset_delta) = (i32::MIN, i32::MAX),
            counts(i32::MIN, i32::MAX),
        ),
        (
            |h| h.base_offset = Offset::new(9),
            BatchError::BaseOffsetNotZero { got: 9 },
        ),
        (|h| h.producer_id = -2, producer(-2, 3, 40)),
        (|h| h.producer_epoch = -1, producer(7, -1, 40)),
        (|h| h.base_sequence = -1, producer(7, 3, -1)),
        (
            |h| (h.producer_id, h.attributes) = (-1, Attributes::new(0x10)),
            BatchError::TransactionalWithoutProducer,
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(verdict(&with(change)), Err(expected));
    }
}

fn counts(record_count: i32, last_offset_delta: i32) -> BatchError {
    BatchError::CountMismatch {
        record_count,
        last_offset_delta,
    }
}

fn producer(producer_id: i64, producer_epoch: i16, base_sequence: i32) -> BatchError {
    BatchError::BadProducer {
        producer_id,
        producer_epoch,
        base_sequence,
    }
}

#[test]
fn fields_that_make_sense_pass() {
    type Change = fn(&mut BatchHeader);
    let cases: [Change; 5] = [
        |h| h.attributes = Attributes::new(0x10),
        |h| h.leader_epoch = 12,
        // Without a producer id nobody looks at the other two.
        |h| (h.producer_id, h.producer_epoch, h.base_sequence) = (-1, 5, -1),
        |h| h.base_sequence = i32::MAX,
        |h| h.max_timestamp_ms = -1,
    ];
    for (index, change) in cases.into_iter().enumerate() {
        assert!(verdict(&with(change)).is_ok(), "case {index}");
    }
}

#[test]
fn exactly_one_batch() {
    let batch = small();
    let one = batch.as_bytes();
    let size = one.len();
    assert_eq!(verdict(&[]), Err(BatchError::NoBatch));
    let twice = BatchError::MoreThanOneBatch {
        first_bytes: size,
        total_bytes: 2 * size,
    };
    assert_eq!(verdict(&[one, one].concat()), Err(twice));
    let junk = BatchError::LengthMismatch {
        declared_bytes: size,
        got_bytes: size + 4,
    };
    assert_eq!(verdict(&[one, b"junk"].concat()), Err(junk));
    for got_bytes in 1..size {
        let expected = if got_bytes < HEADER_BYTES {
            BatchError::TooShort {
                got_bytes,
                needed_bytes: HEADER_BYTES,
            }
        } else {
            BatchError::LengthMismatch {
                declared_bytes: size,
                got_bytes,
            }
        };
        assert_eq!(
            verdict(&one[..got_bytes]),
            Err(expected),
            "cut at {got_bytes}"
        );
    }
}

#[test]
fn the_size_limit_counts_the_whole_batch() {
    let bytes = small().into_bytes();
    let size_bytes = bytes.len();
    let limits = |max_message_bytes| CheckLimits { max_message_bytes };
    assert!(check(BytesMut::from(&bytes[..]), &limits(size_bytes)).is_ok());
    let refused = check(BytesMut::from(&bytes[..]), &limits(size_bytes - 1));
    let expected = BatchError::TooLarge {
        size_bytes,
        limit_bytes: size_bytes - 1,
    };
    assert_eq!(refused.unwrap_err(), expected);
}

/// Of the 136 bits outside the CRC, the 32 of the leader epoch are free for a sender to set
/// (the broker overwrites them); all others are caught, as is every bit inside the CRC.
#[test]
fn every_flipped_bit_is_caught_but_those_of_the_leader_epoch() {
    let good = small().into_bytes();
    let mut passed = Vec::new();
    for bit in 0..good.len() * 8 {
        let mut bytes = BytesMut::from(&good[..]);
        bytes[bit / 8] ^= 0x80 >> (bit % 8);
        let expected_kind = match bit / 8 {
            0..8 => "BaseOffsetNotZero",
            8..12 => "Length",
            16 => "WrongMagic",
            _ => "CrcMismatch",
        };
        match check(bytes, &CheckLimits::default()) {
            Ok(_) => passed.push(bit),
            Err(error) => {
                assert!(
                    format!("{error:?}").starts_with(expected_kind),
                    "bit {bit}: {error:?}"
                );
            }
        }
    }
    assert_eq!(passed, (LEADER_EPOCH_AT * 8..16 * 8).collect::<Vec<_>>());
}

#[test]
fn placing_touches_the_bytes_outside_the_crc_only() {
    let mut batch = small();
    let before = batch.as_bytes().to_vec();
    batch.place(Offset::new(0x0102_0304_0506_0708), 0x1112_1314);
    assert_eq!(
        batch.header().base_offset,
        Offset::new(0x0102_0304_0506_0708)
    );
    assert_eq!(batch.header().leader_epoch, 0x1112_1314);
    assert_eq!(BatchHeader::parse(batch.as_bytes()), Ok(*batch.header()));
    assert!(crc_ok(batch.as_bytes()));
    for (at, (old, new)) in before.iter().zip(batch.as_bytes()).enumerate() {
        assert!(old == new || matches!(at, 0..8 | 12..16), "byte {at}");
    }
}

#[test]
#[should_panic(expected = "offsets start at 0")]
fn a_negative_place_is_a_fault_of_ours() {
    small().place(Offset::new(-1), 0);
}

#[test]
#[should_panic(expected = "fit 64 bits")]
fn a_place_at_the_end_of_the_range_is_a_fault_of_ours() {
    small().place(Offset::MAX, 0);
}

#[test]
fn the_append_time_is_stamped_with_a_new_crc() {
    let mut batch = small();
    let old = *batch.header();
    batch.stamp_log_append_time(777_777);
    let new = *batch.header();
    assert_eq!(
        new.attributes.timestamp_type(),
        TimestampType::LogAppendTime
    );
    assert_eq!(new.max_timestamp_ms, 777_777);
    assert_ne!(new.crc, old.crc);
    let expected = BatchHeader {
        attributes: new.attributes,
        max_timestamp_ms: 777_777,
        crc: new.crc,
        ..old
    };
    assert_eq!(new, expected);
    assert_eq!(verdict(batch.as_bytes()), Ok(new));
}

#[test]
fn messages_of_old_formats_are_called_by_their_magic() {
    // Format 1, the smallest: offset, size, CRC, magic, attributes, timestamp, null key and value.
    let mut old = BytesMut::new();
    old.put_i64(0);
    old.put_i32(22);
    old.put_u32(0);
    old.put_i8(1);
    old.put_i8(0);
    old.put_i64(0);
    old.put_i32(-1);
    old.put_i32(-1);
    assert_eq!(verdict(&old), Err(BatchError::WrongMagic { got: 1 }));
}
