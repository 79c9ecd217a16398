//! A batch written by hand from the format table, against what the crate builds and reads.

#![allow(clippy::unwrap_used, reason = "tests")]

use bytes::{Bytes, BytesMut};
use records::{
    BatchBuilder, BatchError, BatchHeader, Batches, CheckLimits, Codec, DecodeBudget, Header,
    Offset, Record, check, crc_of, crc_ok, records, validate_records_deep,
};

/// Two records: key `k1` and one header, then a tombstone half a second later.
#[rustfmt::skip]
const BY_HAND: &[u8] = &[
    0, 0, 0, 0, 0, 0, 0, 0,                     // base offset
    0, 0, 0, 80,                                // batch length: 92 − 12
    0xff, 0xff, 0xff, 0xff,                     // leader epoch −1
    2,                                          // magic
    0, 0, 0, 0,                                 // CRC, put in below
    0, 0,                                       // attributes
    0, 0, 0, 1,                                 // last offset delta
    0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0x00,      // base timestamp 1,700,000,000,000
    0, 0, 1, 0x8b, 0xcf, 0xe5, 0x69, 0xf4,      // max timestamp, 500 more
    0, 0, 0, 0, 0, 0, 0, 42,                    // producer id
    0, 3,                                       // producer epoch
    0, 0, 0, 9,                                 // base sequence
    0, 0, 0, 2,                                 // record count
    // record 0: 18 bytes
    36, 0, 0, 0, 4, b'k', b'1', 10, b'v', b'a', b'l', b'u', b'e', 2, 2, b'h', 4, b'x', b'y',
    // record 1: 11 bytes
    22, 0, 0xe8, 0x07, 2, 8, b'g', b'o', b'n', b'e', 1, 0,
];

fn by_hand() -> Vec<u8> {
    let mut bytes = BY_HAND.to_vec();
    let crc = crc_of(&bytes);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn built() -> records::CheckedBatch {
    let mut builder = BatchBuilder::new(Codec::None).producer(42, 3, 9);
    let headers = [Header::new("h", "xy")];
    builder
        .append(1_700_000_000_000, Some(b"k1"), Some(b"value"), &headers)
        .unwrap();
    builder
        .append(1_700_000_000_500, Some(b"gone"), None, &[])
        .unwrap();
    assert_eq!(builder.record_count(), 2);
    assert_eq!(builder.len_bytes(), BY_HAND.len());
    builder.build().unwrap()
}

fn contents(first: i64) -> Vec<Record> {
    vec![
        Record {
            offset: Offset::new(first),
            timestamp_ms: 1_700_000_000_000,
            key: Some(Bytes::from("k1")),
            value: Some(Bytes::from("value")),
            headers: vec![Header::new("h", "xy")],
        },
        Record {
            offset: Offset::new(first + 1),
            timestamp_ms: 1_700_000_000_500,
            key: Some(Bytes::from("gone")),
            value: None,
            headers: vec![],
        },
    ]
}

fn read(batch: Bytes) -> Vec<Record> {
    let mut budget = DecodeBudget::new(1 << 20);
    records(&batch, &mut budget)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn what_is_built_is_what_the_table_says() {
    assert_eq!(BY_HAND.len(), 92);
    assert_eq!(built().as_bytes(), by_hand());
}

#[test]
fn what_is_written_by_hand_is_read() {
    let mut batch = check(BytesMut::from(&by_hand()[..]), &CheckLimits::default()).unwrap();
    assert_eq!(batch.header().last_sequence(), 10);
    assert!(batch.header().is_idempotent());
    batch.place(Offset::new(100), 5);
    assert_eq!(batch.header().next_offset(), Offset::new(102));
    let bytes = batch.into_bytes();
    assert_eq!(
        validate_records_deep(&bytes, &mut DecodeBudget::new(0)),
        Ok(())
    );
    assert_eq!(read(bytes), contents(100));
}

#[test]
fn the_append_time_replaces_all_timestamps() {
    let mut batch = built();
    batch.stamp_log_append_time(5);
    let times: Vec<i64> = read(batch.into_bytes())
        .iter()
        .map(|r| r.timestamp_ms)
        .collect();
    assert_eq!(times, [5, 5]);
}

#[test]
fn a_builder_without_records_builds_nothing() {
    assert_eq!(
        BatchBuilder::new(Codec::Lz4).build().unwrap_err(),
        BatchError::NoRecords
    );
}

#[test]
fn a_refused_record_leaves_the_builder_as_it_was() {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(i64::MIN, None, Some(b"first"), &[]).unwrap();
    let length = builder.len_bytes();
    assert!(
        builder.append(1, None, None, &[]).is_err(),
        "a delta of 2^63 does not fit"
    );
    assert_eq!((builder.len_bytes(), builder.record_count()), (length, 1));
    builder.append(-1, None, None, &[]).unwrap();
    let times: Vec<i64> = read(builder.build().unwrap().into_bytes())
        .iter()
        .map(|r| r.timestamp_ms)
        .collect();
    assert_eq!(times, [i64::MIN, -1]);
}

#[test]
fn what_does_not_fit_a_batch_is_refused() {
    // Zeros that are never touched: refused by their number, not copied.
    let huge = vec![0; 1 << 31];
    let mut builder = BatchBuilder::new(Codec::None);
    let limit_bytes = usize::try_from(i32::MAX).unwrap();
    for value in [&huge[..], &huge[..limit_bytes - 70]] {
        let refused = builder.append(0, None, Some(value), &[]).unwrap_err();
        assert!(
            matches!(refused, BatchError::TooLarge { limit_bytes: limit, .. } if limit == limit_bytes),
            "{refused:?}"
        );
    }
    assert!(builder.is_empty());
    assert_eq!(builder.len_bytes(), 61);
}

#[test]
fn a_row_of_batches_is_walked() {
    let mut row = Vec::new();
    for base in [0, 2, 4] {
        let mut batch = built();
        batch.place(Offset::new(base), 1);
        row.extend_from_slice(batch.as_bytes());
    }
    let size = BY_HAND.len();
    // Whole batches end where they end, wherever the row is cut.
    for length in 0..=row.len() {
        let mut batches = Batches::new(&row[..length]);
        let got: Vec<_> = batches.by_ref().map(Result::unwrap).collect();
        assert_eq!(got.len(), length / size);
        assert_eq!(batches.rest(), length / size * size);
        for (index, (position, header, bytes)) in got.into_iter().enumerate() {
            assert_eq!(position, index * size);
            assert_eq!(
                header.base_offset,
                Offset::new(2 * i64::try_from(index).unwrap())
            );
            assert_eq!(bytes, &row[position..position + size]);
            assert!(crc_ok(bytes));
        }
    }
}

#[test]
fn a_walk_ends_at_the_first_damage() {
    let size = BY_HAND.len();
    let row = [by_hand(), by_hand(), by_hand()].concat();
    for (at, value, expected) in [
        (16, 1, BatchError::WrongMagic { got: 1 }),
        (11, 48, BatchError::LengthTooSmall { batch_length: 48 }),
        (
            8,
            0xff,
            BatchError::LengthTooSmall {
                batch_length: 0xff00_0050_u32.cast_signed(),
            },
        ),
    ] {
        let mut row = row.clone();
        row[size + at] = value;
        let mut batches = Batches::new(&row);
        assert!(batches.next().unwrap().is_ok());
        assert_eq!(batches.next(), Some(Err(expected)));
        assert_eq!(batches.next(), None);
        assert_eq!(batches.rest(), size);
    }
    // Zeros after the last batch, as a torn write leaves them, are damage and not an end.
    let torn = [by_hand(), vec![0; 100]].concat();
    let mut batches = Batches::new(&torn);
    assert!(batches.next().unwrap().is_ok());
    assert_eq!(batches.next(), Some(Err(BatchError::WrongMagic { got: 0 })));
    // A length beyond the bytes is a batch that is not all there.
    let mut row = by_hand();
    row[8] = 0x7f;
    let mut batches = Batches::new(&row);
    assert_eq!(batches.next(), None);
    assert_eq!(batches.rest(), 0);
}

#[test]
fn a_parsed_header_encodes_back() {
    let bytes = by_hand();
    assert_eq!(
        &BatchHeader::parse(&bytes).unwrap().encode()[..],
        &bytes[..61]
    );
}
