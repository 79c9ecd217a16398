//! Every codec into every other, and what is refused on the way.

use bytes::{Bytes, BytesMut};

use crate::builder::seal;
use crate::{
    BatchBuilder, BatchError, CheckedBatch, Codec, Compression, DecodeBudget, HEADER_BYTES, Header,
    Record, TimestampType, crc_ok, records,
};

const PLENTY: usize = 16 * 1024 * 1024;

fn batch(codec: Codec) -> CheckedBatch {
    let mut builder = BatchBuilder::new(codec).producer(77, 3, 2_147_483_640);
    let headers = [Header::new(&b"h"[..], &b"v"[..])];
    for index in 0..20_i64 {
        let value = vec![u8::try_from(index).unwrap(); 5000];
        // The largest time is not the last one.
        let time = 1000 + 7 * (index % 13);
        builder
            .append(time, Some(b"key"), Some(&value), &headers)
            .unwrap();
    }
    builder.build().unwrap()
}

fn contents(batch: &CheckedBatch) -> Vec<Record> {
    let bytes = Bytes::copy_from_slice(batch.as_bytes());
    let opened = records(&bytes, &mut DecodeBudget::new(PLENTY)).unwrap();
    opened.map(Result::unwrap).collect()
}

#[test]
fn all_but_the_codec_stays() {
    for source in Codec::ALL {
        let before = batch(source);
        for target in Codec::ALL {
            let after = before
                .recoded(Compression::of(target), PLENTY, PLENTY)
                .unwrap();
            assert!(crc_ok(after.as_bytes()), "{source} to {target}");
            assert_eq!(contents(&after), contents(&before), "{source} to {target}");
            let mut expected = *before.header();
            expected.attributes = expected.attributes.with_codec(target);
            expected.batch_length = after.header().batch_length;
            expected.crc = after.header().crc;
            assert_eq!(*after.header(), expected, "{source} to {target}");
        }
    }
}

#[test]
fn a_batch_is_as_long_as_its_records_pack_to() {
    let plain = batch(Codec::None);
    let again = batch(Codec::Zstd).recoded(Compression::of(Codec::None), PLENTY, PLENTY);
    assert_eq!(again.unwrap().as_bytes(), plain.as_bytes());
    let size_bytes_max = plain.len() - 1;
    let refused = batch(Codec::Zstd).recoded(Compression::of(Codec::None), PLENTY, size_bytes_max);
    assert!(
        matches!(refused, Err(BatchError::TooLarge { limit_bytes, .. }) if limit_bytes == size_bytes_max),
        "{refused:?}"
    );
    let exactly = batch(Codec::Zstd).recoded(Compression::of(Codec::None), PLENTY, plain.len());
    assert!(exactly.is_ok());
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    let body_bytes = batch(Codec::None).len() - HEADER_BYTES;
    for source in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let target = Compression::of(Codec::Zstd);
        assert!(batch(source).recoded(target, body_bytes, PLENTY).is_ok());
        let limit_bytes = body_bytes - 1;
        let refused = batch(source)
            .recoded(target, limit_bytes, PLENTY)
            .unwrap_err();
        assert_eq!(
            refused,
            BatchError::BudgetExceeded { limit_bytes },
            "{source}"
        );
    }
}

#[test]
fn a_max_timestamp_that_is_not_true_is_mended() {
    let plain = batch(Codec::None);
    let mut header = *plain.header();
    assert_eq!(header.max_timestamp_ms, 1000 + 7 * 12);
    header.max_timestamp_ms = 5;
    let lying = seal(header, BytesMut::from(plain.as_bytes())).unwrap();
    let mended = lying
        .recoded(Compression::of(Codec::Gzip), PLENTY, PLENTY)
        .unwrap();
    assert_eq!(
        mended.header().max_timestamp_ms,
        plain.header().max_timestamp_ms
    );
    assert_eq!(
        mended.header().attributes.timestamp_type(),
        TimestampType::CreateTime
    );
}

#[test]
fn malformed_records_are_refused() {
    let plain = batch(Codec::None);
    let mut header = *plain.header();
    header.record_count -= 1;
    header.last_offset_delta -= 1;
    let short = seal(header, BytesMut::from(plain.as_bytes())).unwrap();
    let refused = short.recoded(Compression::of(Codec::Zstd), PLENTY, PLENTY);
    assert!(
        matches!(refused, Err(BatchError::TrailingBytes { record_count: 19 })),
        "{refused:?}"
    );
    let mut header = *plain.header();
    header.attributes = header.attributes.with_codec(Codec::Gzip);
    let junk = seal(header, BytesMut::from(plain.as_bytes())).unwrap();
    let refused = junk.recoded(Compression::of(Codec::None), PLENTY, PLENTY);
    assert!(
        matches!(
            refused,
            Err(BatchError::BadCompression {
                codec: Codec::Gzip,
                ..
            })
        ),
        "{refused:?}"
    );
}
