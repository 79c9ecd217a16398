//! Looking into one batch, also one whose header lies.

use records::{BatchBuilder, Codec};

use super::*;

fn batch(codec: Codec, timestamps_ms: &[i64]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for timestamp_ms in timestamps_ms {
        builder
            .append(*timestamp_ms, None, Some(&[7; 100]), &[])
            .expect("a small record");
    }
    let mut batch = builder.build().expect("a small batch");
    batch.place(Offset::new(50), 3);
    batch.into_bytes()
}

fn find(batch: &Bytes, query: TimeQuery) -> Option<(i64, i64)> {
    let found = find_in_batch(batch, Offset::ZERO, query, &mut DecodeBudget::new(10_000))
        .expect("it opens");
    found.map(|found| {
        assert_eq!(found.leader_epoch, 3);
        (found.offset.get(), found.timestamp_ms)
    })
}

#[test]
fn records_are_found_by_time() {
    for codec in [Codec::None, Codec::Zstd] {
        let batch = batch(codec, &[20, 10, 30, 30]);
        let cases = [
            (TimeQuery::AtOrAfter(0), Some((50, 20))),
            (TimeQuery::AtOrAfter(20), Some((50, 20))),
            (TimeQuery::AtOrAfter(21), Some((52, 30))),
            (TimeQuery::AtOrAfter(31), None),
            (TimeQuery::Largest, Some((52, 30))),
        ];
        for (query, expected) in cases {
            assert_eq!(find(&batch, query), expected, "{query:?}");
        }
    }
}

#[test]
fn records_before_the_start_are_not_found() {
    let batch = batch(Codec::None, &[40, 10, 30]);
    let mut budget = DecodeBudget::new(10_000);
    let mut find = |from: i64, query| {
        let found = find_in_batch(&batch, Offset::new(from), query, &mut budget);
        found.expect("it opens").map(|found| found.offset.get())
    };
    for (from, late_enough, largest) in [
        (50, Some(50), Some(50)),
        (51, Some(52), Some(52)),
        (53, None, None),
    ] {
        assert_eq!(find(from, TimeQuery::AtOrAfter(20)), late_enough);
        assert_eq!(find(from, TimeQuery::Largest), largest);
    }
}

#[test]
fn a_record_without_a_time_is_not_the_largest() {
    assert_eq!(
        find(&batch(Codec::None, &[-1, -1]), TimeQuery::Largest),
        None
    );
    assert_eq!(
        find(&batch(Codec::None, &[-1, 0]), TimeQuery::Largest),
        Some((51, 0))
    );
}

#[test]
fn a_header_that_promises_too_much_is_not_believed() {
    let honest = batch(Codec::None, &[10, 20]);
    let mut header = BatchHeader::parse(&honest).expect("a header");
    header.max_timestamp_ms = 1_000;
    let mut bytes = honest.to_vec();
    let head = bytes.first_chunk_mut().expect("a batch has a header");
    *head = header.encode();
    let lying = Bytes::from(bytes);
    assert_eq!(find(&lying, TimeQuery::AtOrAfter(500)), None);
    assert_eq!(find(&lying, TimeQuery::Largest), Some((51, 20)));
}

#[test]
fn a_batch_that_opens_beyond_the_budget_is_refused() {
    let batch = batch(Codec::Zstd, &[10; 50]);
    let query = TimeQuery::AtOrAfter(11);
    let refused = find_in_batch(&batch, Offset::ZERO, query, &mut DecodeBudget::new(1_000));
    assert_eq!(
        refused,
        Err(BatchError::BudgetExceeded { limit_bytes: 1_000 })
    );
    assert_eq!(
        find_in_batch(&batch, Offset::ZERO, query, &mut DecodeBudget::new(100_000)),
        Ok(None)
    );
}
