//! Records that are malformed inside a batch whose CRC is good, as a hostile client sends them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use bytes::{Bytes, BytesMut};
use records::{
    Attributes, BatchError, CheckLimits, Codec, DecodeBudget, HEADER_BYTES, RecordError, check,
    validate_records_deep,
};
use support::{Noise, PLENTY_BYTES, batch_of, ordinary, read, sealed, with_header};

fn deep(batch: &[u8]) -> Result<(), BatchError> {
    validate_records_deep(batch, &mut DecodeBudget::new(PLENTY_BYTES))
}

/// Both readers agree on the batch, and this is what they say. In a compressed batch one may meet
/// the damage in a record that the other meets in the stream.
fn verdict(batch: &Bytes) -> Result<usize, BatchError> {
    let got = read(batch, PLENTY_BYTES);
    let deep = deep(batch);
    let codec = batch.get(22).map_or(0, |bits| bits & 7);
    if codec == Codec::None.id() {
        assert_eq!(got.as_ref().err(), deep.as_ref().err());
    } else {
        assert_eq!(
            got.is_ok(),
            deep.is_ok(),
            "{:?} and {deep:?}",
            got.as_ref().err()
        );
    }
    got.map(|records| records.len())
}

/// Length 6, then: attributes, timestamp delta, offset delta, null key, null value, no headers.
const SMALLEST: [u8; 7] = [12, 0, 0, 0, 1, 1, 0];

const fn overrun(needed_bytes: usize, left_bytes: usize) -> RecordError {
    RecordError::Overrun {
        needed_bytes,
        left_bytes,
    }
}

const fn negative(got: i32) -> RecordError {
    RecordError::NegativeLength { got }
}

const fn unused(left_bytes: usize) -> RecordError {
    RecordError::UnusedBytes { left_bytes }
}

const fn offset(got: i32) -> RecordError {
    RecordError::OffsetDelta {
        got,
        previous: -1,
        last: 0,
    }
}

const fn count(got: i32, left_bytes: usize) -> RecordError {
    RecordError::HeaderCount { got, left_bytes }
}

/// What is wrong, the body of a batch of one record, and its name.
#[rustfmt::skip]
const MALFORMED: [(&str, &[u8], RecordError); 19] = [
    ("no bytes", &[], RecordError::Truncated),
    ("half a length", &[0x80], RecordError::Truncated),
    ("a length without end", &[0xff; 10], RecordError::VarintTooLong),
    ("a negative length", &[1], negative(-1)),
    ("the most negative length", &[0xff, 0xff, 0xff, 0xff, 0x0f], negative(i32::MIN)),
    ("an empty record", &[0], overrun(1, 0)),
    ("a length beyond the batch", &[200, 1, 0, 0, 0, 1, 1, 0], unused(94)),
    ("a value beyond the batch", &[200, 1, 0, 0, 0, 1, 100, b'v'], RecordError::Truncated),
    ("a timestamp without end", &[40, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
        RecordError::VarintTooLong),
    ("offset −1", &[12, 0, 0, 1, 1, 1, 0], offset(-1)),
    ("offset 1 of 0", &[12, 0, 0, 2, 1, 1, 0], offset(1)),
    ("key length −2", &[12, 0, 0, 0, 3, 1, 0], negative(-2)),
    ("value length −2", &[12, 0, 0, 0, 1, 3, 0], negative(-2)),
    ("a key longer than the record", &[12, 0, 0, 0, 10, 1, 0], overrun(5, 2)),
    ("−1 headers", &[12, 0, 0, 0, 1, 1, 1], count(-1, 0)),
    ("more headers than fit", &[16, 0, 0, 0, 1, 1, 4, 0, 0], count(2, 2)),
    ("a header without a key", &[16, 0, 0, 0, 1, 1, 2, 1, 0], negative(-1)),
    ("header value length −2", &[16, 0, 0, 0, 1, 1, 2, 0, 3], negative(-2)),
    ("bytes in no field", &[14, 0, 0, 0, 1, 1, 0, 9], unused(1)),
];

#[test]
fn malformed_records_are_named() {
    for (what, body, source) in MALFORMED {
        let batch = batch_of(Codec::None, body, 1);
        let expected = BatchError::BadRecord { index: 0, source };
        assert_eq!(verdict(&batch), Err(expected), "{what}");
    }
}

#[test]
fn the_smallest_records_are_fine() {
    assert_eq!(verdict(&batch_of(Codec::None, &SMALLEST, 1)), Ok(1));
    // One header, empty key, null value.
    assert_eq!(
        verdict(&batch_of(Codec::None, &[16, 0, 0, 0, 1, 1, 2, 0, 1], 1)),
        Ok(1)
    );
}

#[test]
fn offsets_rise_without_gaps_in_a_full_batch() {
    let at = |delta: u8| [12, 0, 0, delta * 2, 1, 1, 0];
    let body = |deltas: &[u8]| {
        deltas
            .iter()
            .flat_map(|delta| at(*delta))
            .collect::<Vec<u8>>()
    };
    assert_eq!(verdict(&batch_of(Codec::None, &body(&[0, 1, 2]), 3)), Ok(3));
    for (deltas, index, got, previous) in [
        (&[0, 0, 2][..], 1, 0, 0),
        (&[0, 2, 1], 2, 1, 2),
        (&[1, 2, 3], 2, 3, 2),
        (&[0, 1, 3], 2, 3, 1),
    ] {
        let source = RecordError::OffsetDelta {
            got,
            previous,
            last: 2,
        };
        let batch = batch_of(Codec::None, &body(deltas), 3);
        assert_eq!(
            verdict(&batch),
            Err(BatchError::BadRecord { index, source }),
            "{deltas:?}"
        );
    }
    // Compaction leaves gaps: fewer records than offsets.
    let compacted = with_header(&body(&[1, 4]), |header| {
        header.record_count = 2;
        header.last_offset_delta = 4;
    });
    assert_eq!(verdict(&compacted), Ok(2));
    let emptied = with_header(&[], |header| {
        header.record_count = 0;
        header.last_offset_delta = 4;
    });
    assert_eq!(verdict(&emptied), Ok(0));
}

#[test]
fn counts_that_cannot_be_are_refused_before_the_records() {
    for (record_count, last_offset_delta) in [(2, 0), (-1, 0), (0, -1), (1, -5), (i32::MAX, 7)] {
        let batch = with_header(&SMALLEST, |header| {
            header.record_count = record_count;
            header.last_offset_delta = last_offset_delta;
        });
        let expected = BatchError::CountMismatch {
            record_count,
            last_offset_delta,
        };
        assert_eq!(verdict(&batch), Err(expected));
    }
}

#[test]
fn records_must_fill_the_batch() {
    let two = [SMALLEST, SMALLEST].concat();
    let trailing = BatchError::TrailingBytes { record_count: 1 };
    assert_eq!(verdict(&batch_of(Codec::None, &two, 1)), Err(trailing));
    // A count far beyond the bytes ends where the bytes end.
    let lie = batch_of(Codec::None, &SMALLEST, i32::MAX);
    let truncated = BatchError::BadRecord {
        index: 1,
        source: RecordError::Truncated,
    };
    assert_eq!(verdict(&lie), Err(truncated));
}

#[test]
fn timestamps_stay_in_range() {
    let later = [12, 0, 2, 0, 1, 1, 0];
    let at = |base_timestamp_ms| with_header(&later, |h| h.base_timestamp_ms = base_timestamp_ms);
    assert_eq!(verdict(&at(i64::MAX - 1)), Ok(1));
    let source = RecordError::TimestampOverflow {
        base_timestamp_ms: i64::MAX,
        delta: 1,
    };
    assert_eq!(
        verdict(&at(i64::MAX)),
        Err(BatchError::BadRecord { index: 0, source })
    );
    // The time of the append does not need the record's own.
    let stamped = with_header(&later, |header| {
        header.attributes = Attributes::new(8);
        header.base_timestamp_ms = i64::MAX;
        header.max_timestamp_ms = 5;
    });
    assert_eq!(read(&stamped, 0).unwrap()[0].timestamp_ms, 5);
    assert_eq!(deep(&stamped), Ok(()));
}

#[test]
fn only_one_whole_batch_is_opened() {
    let batch = ordinary(Codec::None);
    let twice = Bytes::from([&batch[..], &batch].concat());
    let size = batch.len();
    let mismatch = |got_bytes| {
        Err(BatchError::LengthMismatch {
            declared_bytes: size,
            got_bytes,
        })
    };
    assert_eq!(verdict(&twice), mismatch(2 * size));
    assert_eq!(verdict(&batch.slice(..size - 1)), mismatch(size - 1));
    assert_eq!(verdict(&Bytes::new()), Err(BatchError::NoBatch));
    let unknown = with_header(&[], |header| header.attributes = Attributes::new(7));
    assert_eq!(verdict(&unknown), Err(BatchError::UnknownCodec { id: 7 }));
}

#[test]
fn a_batch_cut_anywhere_is_refused() {
    for codec in Codec::ALL {
        let whole = ordinary(codec);
        for length in 0..whole.len() {
            let cut = whole.slice(..length);
            assert!(check(BytesMut::from(&cut[..]), &CheckLimits::default()).is_err());
            assert!(verdict(&cut).is_err(), "{codec} cut at {length}");
            // Even when length and CRC are made to fit.
            if length >= HEADER_BYTES {
                let sealed = sealed(cut.to_vec());
                assert!(check(BytesMut::from(&sealed[..]), &CheckLimits::default()).is_ok());
                let got = verdict(&sealed);
                // The last bytes of a stream may be an end mark that changes nothing.
                assert!(
                    got.is_err(),
                    "{codec} cut at {length} of {}: {got:?}",
                    whole.len()
                );
            }
        }
    }
}

/// Bytes changed, put in and taken out under a good CRC: never a panic, and both readers agree.
#[test]
fn mutations_never_panic() {
    let rounds = 3000;
    for codec in Codec::ALL {
        let whole = ordinary(codec);
        let mut refused = 0;
        for seed in 0..rounds {
            let mut noise = Noise(seed);
            let mut bytes = whole.to_vec();
            for _ in 0..=noise.below(4) {
                let at = HEADER_BYTES + noise.below(bytes.len() - HEADER_BYTES);
                match noise.below(4) {
                    0 => bytes[at] = noise.byte(),
                    1 => bytes[at] ^= 1 << noise.below(8),
                    2 => bytes.insert(at, noise.byte()),
                    _ => drop(bytes.remove(at)),
                }
            }
            // Header fields that the CRC covers, now and then.
            if noise.below(8) == 0 {
                bytes[21 + noise.below(HEADER_BYTES - 21)] = noise.byte();
            }
            let batch = sealed(bytes);
            let verdict = std::panic::catch_unwind(|| {
                let _ = check(BytesMut::from(&batch[..]), &CheckLimits::default());
                verdict(&batch)
            });
            let verdict = verdict.unwrap_or_else(|_| panic!("{codec}, seed {seed}"));
            refused += u64::from(verdict.is_err());
        }
        assert!(
            refused > rounds / 4,
            "{codec}: {refused} of {rounds} refused, so little was hit"
        );
    }
}

/// Nothing but noise under a header that parses.
#[test]
fn noise_never_panics() {
    for seed in 0..5000 {
        let mut noise = Noise(seed);
        let length = noise.below(300);
        let mut body: Vec<u8> = (0..length).map(|_| noise.byte()).collect();
        let codec = Codec::ALL[noise.below(Codec::ALL.len())];
        // Real heads, so that noise reaches what lies behind them.
        let head: &[u8] = match codec {
            Codec::None => &[],
            Codec::Gzip => &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff],
            Codec::Snappy => &[
                0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0,
            ],
            Codec::Lz4 => &[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82],
            Codec::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
        };
        body.splice(0..0, head.iter().copied());
        let batch = batch_of(codec, &body, 1 + i32::try_from(noise.below(5)).unwrap());
        let both = std::panic::catch_unwind(|| verdict(&batch).map(|_| ()));
        assert!(both.is_ok(), "{codec}, seed {seed}");
    }
}
