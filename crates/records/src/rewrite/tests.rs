//! What is left of a batch and what stays the same.

use bytes::Bytes;

use super::*;
use crate::{BatchBuilder, DecodeBudget, Header, records};

const START_MS: i64 = 1_700_000_000_000;

fn batch(codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new(codec).producer(9, 3, i32::MAX - 1);
    for number in 0_i64..5 {
        let key = [u8::try_from(number).expect("small")];
        let value = (number != 2).then_some(b"a value".as_slice());
        let headers = [Header::new("about", "it")];
        builder
            .append(START_MS + number * 10, Some(&key), value, &headers)
            .expect("a small record");
    }
    let mut batch = builder.build().expect("a small batch");
    batch.place(Offset::new(100), 7);
    batch.into_bytes()
}

fn opened(batch: &Bytes) -> (BatchHeader, Vec<Record>) {
    assert!(crate::crc_ok(batch), "its checksum is that of its bytes");
    let header = BatchHeader::parse(batch).expect("a header");
    assert_eq!(header.size_bytes(), batch.len());
    let mut budget = DecodeBudget::new(1 << 20);
    let records = records(batch, &mut budget).expect("it opens");
    let records: Result<Vec<Record>, BatchError> = records.collect();
    (header, records.expect("good records"))
}

fn kept(records: &[Record], offsets: &[i64]) -> Vec<Record> {
    let wanted = |record: &&Record| offsets.contains(&record.offset.get());
    records.iter().filter(wanted).cloned().collect()
}

fn good(records: &[Record]) -> impl Iterator<Item = Result<Record, BatchError>> {
    records.iter().cloned().map(Ok)
}

#[test]
fn what_is_left_is_as_it_was() {
    for codec in Codec::ALL {
        for offsets in [&[100][..], &[104], &[101, 103], &[100, 101, 102, 103, 104]] {
            let (header, all) = opened(&batch(codec));
            let some = kept(&all, offsets);
            let rewritten = with_records(&header, good(&some), None).expect("it can be written");
            let (found, left) = opened(&rewritten);
            assert_eq!(left, some, "{codec}: {offsets:?}");
            assert_eq!(found.base_offset, header.base_offset);
            assert_eq!(found.last_offset(), header.last_offset());
            assert_eq!(found.leader_epoch, 7);
            assert_eq!(found.attributes, header.attributes);
            assert_eq!((found.producer_id, found.producer_epoch), (9, 3));
            assert_eq!(found.base_sequence, header.base_sequence);
            assert_eq!(found.last_sequence(), header.last_sequence());
            let newest = some.iter().map(|record| record.timestamp_ms).max();
            assert_eq!(Some(found.max_timestamp_ms), newest);
        }
    }
}

#[test]
fn a_delete_horizon_stands_for_the_base_timestamp_and_stays() {
    let (header, all) = opened(&batch(Codec::Zstd));
    let some = kept(&all, &[102, 104]);
    let horizon_ms = START_MS + 86_400_000;
    let marked = with_records(&header, good(&some), Some(horizon_ms)).expect("it can be written");
    let (found, left) = opened(&marked);
    assert_eq!(left, some);
    assert!(found.attributes.has_delete_horizon());
    assert_eq!(found.base_timestamp_ms, horizon_ms);
    assert_eq!(found.max_timestamp_ms, START_MS + 40);
    // Whoever rewrites it again takes nothing back.
    let some = kept(&all, &[102]);
    let again = with_records(&found, good(&some), Some(horizon_ms + 5)).expect("it can be written");
    let (found, left) = opened(&again);
    assert_eq!(left, some);
    assert!(found.attributes.has_delete_horizon());
    assert_eq!(found.base_timestamp_ms, horizon_ms);
}

#[test]
fn the_time_of_the_append_is_that_of_every_record() {
    let mut builder = BatchBuilder::new(Codec::None);
    for key in [b"a", b"b"] {
        builder
            .append(START_MS, Some(key), Some(b"x"), &[])
            .expect("a small record");
    }
    let mut batch = builder.build().expect("a small batch");
    batch.place(Offset::new(3), 1);
    batch.stamp_log_append_time(START_MS + 99);
    let (header, all) = opened(&batch.into_bytes());
    let rewritten = with_records(&header, good(&all[1..]), None).expect("it can be written");
    let (found, left) = opened(&rewritten);
    assert_eq!(found.max_timestamp_ms, START_MS + 99);
    assert_eq!(left, all[1..]);
}

#[test]
fn a_batch_without_records_says_what_its_producer_wrote() {
    let (header, _) = opened(&batch(Codec::Gzip));
    let (found, left) = opened(&without_records(&header));
    assert_eq!(left, []);
    assert_eq!(found.size_bytes(), HEADER_BYTES);
    assert_eq!(found.last_offset(), header.last_offset());
    assert_eq!(found.last_sequence(), header.last_sequence());
    assert_eq!((found.producer_id, found.producer_epoch), (9, 3));
    assert_eq!(found.max_timestamp_ms, header.max_timestamp_ms);
    assert_eq!(found.attributes.codec(), Ok(Codec::None));
}

#[test]
fn a_gap_stands_for_offsets_and_for_nobody() {
    let (header, _) = opened(&batch(Codec::Lz4));
    let bytes = gap(&header, Offset::new(1999), START_MS).expect("a gap that fits");
    let (found, left) = opened(&bytes);
    assert_eq!(left, []);
    assert_eq!(found.base_offset, header.base_offset);
    assert_eq!(found.next_offset(), Offset::new(2000));
    assert_eq!(found.leader_epoch, 7);
    assert!(!found.is_idempotent());
    assert_eq!(found.last_sequence(), NO_SEQUENCE);
    assert_eq!(found.max_timestamp_ms, START_MS);
    assert_eq!(gap(&header, Offset::new(99), START_MS), None);
    let too_far = header.base_offset.plus(i64::from(i32::MAX) + 1);
    assert_eq!(gap(&header, too_far, START_MS), None);
}

#[test]
fn records_of_another_batch_are_refused() {
    let (header, all) = opened(&batch(Codec::None));
    assert_eq!(
        with_records(&header, good(&[]), None),
        Err(BatchError::NoRecords)
    );
    for offset in [99, 105] {
        let mut strange = all[0].clone();
        strange.offset = Offset::new(offset);
        assert!(
            with_records(&header, [Ok(strange)], None).is_err(),
            "{offset}"
        );
    }
}
