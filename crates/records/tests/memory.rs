//! Opening a batch never takes more memory than its budget, measured with a counting allocator.
//!
//! One test only: the allocator counts for the whole process. What libzstd takes for its window
//! (at most 8 MiB) is not seen by it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::alloc::System;
use std::io::Write;

use bytes::Bytes;
use cap::Cap;
use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
use records::{BatchError, Codec, DecodeBudget, Header, records, validate_records_deep};
use support::batch_of;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const MIB: usize = 1 << 20;
/// Tables and buffers of the decoders.
const WORKING_BYTES: usize = 256 * 1024;

/// A part of a compressed stream; parts in a row are one stream.
fn part(codec: Codec, body: &[u8]) -> Vec<u8> {
    match codec {
        Codec::None => body.to_vec(),
        Codec::Gzip => {
            let level = flate2::Compression::default();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Snappy => {
            let block = snap::raw::Encoder::new().compress_vec(body).unwrap();
            let head = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
            let length = i32::try_from(block.len()).unwrap().to_be_bytes();
            [head, &length[..], &block].concat()
        }
        Codec::Lz4 => {
            let mut encoder = FrameEncoder::with_frame_info(
                FrameInfo::new().block_size(BlockSize::Max1MB),
                Vec::new(),
            );
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Zstd => zstd::bulk::compress(body, 3).unwrap(),
    }
}

/// One record with a value of 16 MiB of zeros, compressed to 0.8 MiB at most.
fn bomb(codec: Codec) -> Bytes {
    let parts = 16;
    let value_bytes = i32::try_from(parts * MIB).unwrap();
    let mut fields = vec![0, 0, 0, 1];
    records::varint::put_varint(&mut fields, value_bytes);
    let mut head = Vec::new();
    let length = i32::try_from(fields.len()).unwrap() + value_bytes + 1;
    records::varint::put_varint(&mut head, length);
    head.extend_from_slice(&fields);
    let mut body = part(codec, &head);
    body.extend(part(codec, &vec![0; MIB]).repeat(parts));
    body.extend(part(codec, &[0]));
    batch_of(codec, &body, 1)
}

/// The most memory that `open` had at once beyond what was there before, if that is more than was
/// ever taken so far; the peak of the process cannot be set back.
fn peak_of<T>(open: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATOR.allocated();
    let result = open();
    (result, ALLOCATOR.max_allocated() - before)
}

#[test]
fn memory_stays_within_the_budget() {
    let bombs: Vec<(Codec, Bytes)> = Codec::ALL
        .into_iter()
        .filter(|codec| *codec != Codec::None)
        .map(|codec| (codec, bomb(codec)))
        .collect();
    let built = ALLOCATOR.max_allocated();
    assert!(
        built < 6 * MIB,
        "making the bombs took {built} bytes, too many to measure less"
    );

    // Deep validation reads all 16 MiB and keeps nothing but a block.
    for (codec, bomb) in &bombs {
        let budget = &mut DecodeBudget::new(17 * MIB);
        let (verdict, peak) = peak_of(|| validate_records_deep(bomb, budget));
        assert_eq!(verdict, Ok(()), "{codec}");
        assert!(peak < 6 * MIB, "{codec}: {peak} bytes for a validation");
    }

    // Reading stops at the budget, and so does its memory.
    let limit_bytes = 8 * MIB;
    for (codec, bomb) in &bombs {
        let budget = &mut DecodeBudget::new(limit_bytes);
        let (refused, peak) = peak_of(|| records(bomb, budget).map(|_| ()));
        assert_eq!(
            refused,
            Err(BatchError::BudgetExceeded { limit_bytes }),
            "{codec}"
        );
        assert!(peak <= limit_bytes + WORKING_BYTES, "{codec}: {peak} bytes");
    }

    headers_are_bounded_too();
    counts_allocate_nothing();
}

/// 1.5 MiB of empty headers would become 48 MiB of `Header`s.
fn headers_are_bounded_too() {
    let count = MIB / 4 * 3;
    let mut fields = vec![0, 0, 0, 1, 1];
    records::varint::put_varint(&mut fields, i32::try_from(count).unwrap());
    fields.resize(fields.len() + 2 * count, 0);
    let mut body = Vec::new();
    records::varint::put_varint(&mut body, i32::try_from(fields.len()).unwrap());
    body.extend_from_slice(&fields);
    let batch = batch_of(Codec::None, &body, 1);
    drop((fields, body));

    let limit_bytes = 32 * MIB;
    let open = |limit| {
        let found = records(&batch, &mut DecodeBudget::new(limit))
            .unwrap()
            .next()
            .unwrap();
        found.map(|record| record.headers.len())
    };
    let (refused, peak) = peak_of(|| open(limit_bytes));
    assert_eq!(refused, Err(BatchError::BudgetExceeded { limit_bytes }));
    assert!(
        peak <= limit_bytes + WORKING_BYTES,
        "{peak} bytes for headers"
    );
    // With a budget that allows it, they are there.
    let enough = count * size_of::<Header>();
    assert!(enough > limit_bytes);
    assert_eq!(open(enough), Ok(count));
    assert!(open(enough - 1).is_err());
}

/// A count of 2³¹−1 in a batch of 70 bytes takes nothing.
fn counts_allocate_nothing() {
    let batch = batch_of(Codec::None, &[12, 0, 0, 0, 1, 1, 0], i32::MAX);
    let before = ALLOCATOR.total_allocated();
    let found = records(&batch, &mut DecodeBudget::new(MIB)).unwrap();
    assert_eq!(
        found.map(|record| record.is_ok()).collect::<Vec<_>>(),
        [true, false]
    );
    let taken = ALLOCATOR.total_allocated() - before;
    assert!(taken < 4096, "{taken} bytes");
}
