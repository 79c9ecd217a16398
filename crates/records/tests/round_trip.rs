//! What goes into a builder comes out of the batch, for every codec.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use records::{
    BatchBuilder, Batches, CheckLimits, Codec, DecodeBudget, Header, Offset, Record, check, crc_ok,
    validate_records_deep,
};
use support::{PLENTY_BYTES, read};

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        vec(any::<u8>(), 0..40).prop_map(Bytes::from),
        // Long enough to cross the blocks of every codec, and worth compressing.
        (any::<u8>(), 0..100_000_usize).prop_map(|(byte, length)| Bytes::from(vec![byte; length])),
    ]
}

prop_compose! {
    fn header()(key in bytes(), value in option::of(bytes())) -> Header {
        Header { key, value }
    }
}

prop_compose! {
    fn record()(
        // Half the range, so that the distance of two timestamps always fits.
        timestamp_ms in i64::MIN / 2..i64::MAX / 2,
        key in option::of(bytes()),
        value in option::of(bytes()),
        headers in vec(header(), 0..4),
    ) -> Record {
        Record { offset: Offset::ZERO, timestamp_ms, key, value, headers }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn build_check_place_read(
        codec in prop::sample::select(Codec::ALL.to_vec()),
        mut contents in vec(record(), 1..12),
        base in 0..i64::MAX - 12,
        leader_epoch: i32,
        producer in option::of((0..i64::MAX, 0..i16::MAX, 0..i32::MAX)),
    ) {
        let mut builder = BatchBuilder::new(codec);
        if let Some((id, epoch, base_sequence)) = producer {
            builder = builder.producer(id, epoch, base_sequence);
        }
        for record in &contents {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            builder.append(record.timestamp_ms, key, value, &record.headers).unwrap();
        }
        prop_assert_eq!(builder.record_count(), contents.len());
        let len_bytes = builder.len_bytes();
        let built = builder.build().unwrap();
        if codec == Codec::None {
            prop_assert_eq!(built.len(), len_bytes);
        }

        let limits = CheckLimits { max_message_bytes: built.len() };
        let mut batch = check(BytesMut::from(built.as_bytes()), &limits).unwrap();
        prop_assert_eq!(batch.header(), built.header());
        prop_assert_eq!(batch.header().is_idempotent(), producer.is_some());
        let latest = contents.iter().map(|record| record.timestamp_ms).max().unwrap();
        prop_assert_eq!(batch.header().max_timestamp_ms, latest);

        batch.place(Offset::new(base), leader_epoch);
        let placed = *batch.header();
        let bytes = batch.into_bytes();
        prop_assert!(crc_ok(&bytes));
        let walked = Batches::new(&bytes).next().unwrap().unwrap();
        prop_assert_eq!(walked, (0, placed, &bytes[..]));
        for (record, offset) in contents.iter_mut().zip(base..) {
            record.offset = Offset::new(offset);
        }
        prop_assert_eq!(contents.last().unwrap().offset, placed.last_offset());
        let deep = validate_records_deep(&bytes, &mut DecodeBudget::new(PLENTY_BYTES));
        prop_assert_eq!(deep, Ok(()));
        prop_assert_eq!(read(&bytes, PLENTY_BYTES), Ok(contents));
    }
}
