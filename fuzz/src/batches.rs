//! Record batches: checking, walking, opening and building them.
//!
//! The checksum is made to fit where it would keep the fuzzer out.

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use records::{
    Attributes, BatchBuilder, BatchError, BatchHeader, Batches, CheckLimits, Codec, DecodeBudget,
    HEADER_BYTES, Header, LOG_OVERHEAD_BYTES, MAGIC, Offset, Record, check, crc_of, crc_ok,
    records, validate_records_deep,
};

use crate::memory::bounded;

/// What opening a batch may take here; small, so that reaching it costs little.
const BUDGET_BYTES: usize = 1 << 20;
/// Tables and buffers of the codecs. What zstd takes in C is not counted.
const WORKING_BYTES: usize = 512 << 10;
const CRC_AT: usize = 17;
const LENGTH_AT: usize = 8;

/// A batch with a fuzzed header: the first byte says what is made to fit.
pub fn any(data: &[u8]) {
    let Some((fit, bytes)) = data.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if fit & 1 != 0 && bytes.len() >= HEADER_BYTES {
        let crc = crc_of(&bytes);
        put(&mut bytes, CRC_AT, &crc.to_be_bytes());
        if fit & 2 != 0 {
            seal(&mut bytes);
        }
    }
    walk(&bytes);
    open(&Bytes::from(bytes.clone()));
    take(&bytes);
}

/// Every row of batches can be walked.
fn walk(bytes: &[u8]) {
    let mut batches = bounded(0, || Batches::new(bytes));
    let mut at = 0;
    while let Some(Ok((position, header, batch))) = batches.next() {
        assert_eq!(position, at);
        assert_eq!(header.size_bytes(), batch.len());
        assert_eq!(header.encode(), batch[..HEADER_BYTES]);
        let _ = crc_ok(batch);
        at += batch.len();
    }
    assert_eq!(batches.rest(), at);
}

/// What is taken from a client can be placed and stamped, and stays a batch.
fn take(bytes: &[u8]) {
    let Ok(mut batch) = check(BytesMut::from(bytes), &CheckLimits::default()) else {
        return;
    };
    assert_eq!(batch.as_bytes(), bytes);
    batch.place(Offset::new(1 << 40), 7);
    assert!(
        crc_ok(batch.as_bytes()),
        "a place is outside of the checksum"
    );
    batch.stamp_log_append_time(1_800_000_000_000);
    let header = BatchHeader::parse(batch.as_bytes()).expect("it has a header");
    assert_eq!(&header, batch.header());
    assert!(
        crc_ok(batch.as_bytes()),
        "the stamp makes the checksum anew"
    );
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// The length and the checksum that fit the bytes.
fn seal(bytes: &mut [u8]) {
    let length = i32::try_from(bytes.len() - LOG_OVERHEAD_BYTES).expect("inputs are small");
    put(bytes, LENGTH_AT, &length.to_be_bytes());
    let crc = crc_of(bytes);
    put(bytes, CRC_AT, &crc.to_be_bytes());
}

/// Reading and deep validation agree, and neither takes more than its budget.
fn open(batch: &Bytes) {
    drop(batch.clone());
    // A buffer that grows stands beside the one it was.
    let limit_bytes = 2 * BUDGET_BYTES + WORKING_BYTES;
    let codec = BatchHeader::parse(batch).and_then(|header| header.attributes.codec());
    let deep_limit_bytes = match codec {
        // It is opened a block at a time, and a block may be larger than the budget.
        Ok(Codec::Lz4) => limit_bytes,
        _ => WORKING_BYTES,
    };
    let deep = bounded(deep_limit_bytes, || {
        validate_records_deep(batch, &mut DecodeBudget::new(BUDGET_BYTES))
    });
    let read = bounded(limit_bytes, || -> std::result::Result<usize, BatchError> {
        let mut last = None;
        let mut count = 0;
        for record in records(batch, &mut DecodeBudget::new(BUDGET_BYTES))? {
            let offset = record?.offset;
            assert!(last.is_none_or(|last| offset > last), "offsets rise");
            last = Some(offset);
            count += 1;
        }
        Ok(count)
    });
    match (deep, read) {
        (Err(BatchError::BudgetExceeded { .. }), _)
        | (_, Err(BatchError::BudgetExceeded { .. })) => {}
        (deep, read) => assert_eq!(deep.is_ok(), read.is_ok(), "{deep:?} but {read:?}"),
    }
}

/// A batch whose body is fuzzed: two bytes of record count, then the body as the codec has it.
fn of_codec(codec: Codec, data: &[u8]) {
    let Some((count, body)) = data.split_first_chunk::<2>() else {
        return;
    };
    let record_count = i32::from(u16::from_be_bytes(*count));
    let header = BatchHeader {
        base_offset: Offset::ZERO,
        batch_length: 0,
        leader_epoch: -1,
        magic: MAGIC,
        crc: 0,
        attributes: Attributes::new(codec.id().into()),
        last_offset_delta: record_count - 1,
        base_timestamp_ms: 1_700_000_000_000,
        max_timestamp_ms: 1_700_000_000_000,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count,
    };
    let mut bytes = [&header.encode()[..], body].concat();
    seal(&mut bytes);
    take(&bytes);
    open(&Bytes::from(bytes));
}

pub fn none(data: &[u8]) {
    of_codec(Codec::None, data);
}

pub fn gzip(data: &[u8]) {
    of_codec(Codec::Gzip, data);
}

pub fn snappy(data: &[u8]) {
    of_codec(Codec::Snappy, data);
}

pub fn lz4(data: &[u8]) {
    of_codec(Codec::Lz4, data);
}

pub fn zstd(data: &[u8]) {
    of_codec(Codec::Zstd, data);
}

/// What is put into a batch comes out of it.
pub fn builder(data: &[u8]) {
    // Bytes that run out end the list of records, not the input.
    let _ = build(&mut Unstructured::new(data));
}

fn build(input: &mut Unstructured<'_>) -> Result<()> {
    let codec = *input.choose(&Codec::ALL)?;
    let mut builder = BatchBuilder::new(codec);
    let producer: Option<(u32, u8, u16)> = input.arbitrary()?;
    if let Some((id, epoch, sequence)) = producer {
        builder = builder.producer(id.into(), epoch.into(), sequence.into());
        if input.arbitrary()? {
            builder = builder.transactional();
        }
    }
    let mut expected = Vec::new();
    while let Ok(record) = one_record(input) {
        let before = builder.len_bytes();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        match builder.append(record.timestamp_ms, key, value, &record.headers) {
            Ok(()) => {
                let offset = Offset::new(i64::try_from(expected.len()).expect("few"));
                expected.push(Record { offset, ..record });
            }
            Err(_) => assert_eq!(
                builder.len_bytes(),
                before,
                "a refused record leaves nothing"
            ),
        }
        assert_eq!(builder.record_count(), expected.len());
        if input.is_empty() {
            break;
        }
    }
    if expected.is_empty() {
        assert_eq!(
            builder.build().expect_err("it is empty"),
            BatchError::NoRecords
        );
        return Ok(());
    }
    let batch = builder
        .build()
        .expect("what was accepted can be built")
        .into_bytes();
    let limits = CheckLimits {
        max_message_bytes: usize::MAX,
    };
    let checked = check(BytesMut::from(&batch[..]), &limits).expect("what was built is good");
    let newest = expected.iter().map(|record| record.timestamp_ms).max();
    assert_eq!(Some(checked.header().max_timestamp_ms), newest);
    let mut budget = DecodeBudget::new(64 << 20);
    let found: std::result::Result<Vec<Record>, BatchError> =
        records(&batch, &mut budget).expect("it opens").collect();
    assert_eq!(found.expect("every record is good"), expected);
    Ok(())
}

fn one_record(input: &mut Unstructured<'_>) -> Result<Record> {
    let timestamp_ms = match input.int_in_range(0..=3)? {
        0 => input.arbitrary()?,
        _ => 1_700_000_000_000 + i64::from(input.arbitrary::<i16>()?),
    };
    let some_bytes = |input: &mut Unstructured<'_>| -> Result<Option<Bytes>> {
        let bytes: Option<&[u8]> = input.arbitrary()?;
        Ok(bytes.map(Bytes::copy_from_slice))
    };
    let (key, value) = (some_bytes(input)?, some_bytes(input)?);
    let mut headers = Vec::new();
    for _ in 0..input.int_in_range(0..=3)? {
        let key: &[u8] = input.arbitrary()?;
        headers.push(Header {
            key: Bytes::copy_from_slice(key),
            value: some_bytes(input)?,
        });
    }
    Ok(Record {
        offset: Offset::ZERO,
        timestamp_ms,
        key,
        value,
        headers,
    })
}
