//! Kafka's rules as a table of cases, and against a model that searches the whole history.

use proptest::prelude::*;
use records::{Attributes, MAGIC};

use super::*;

const ID: i64 = 9;
const MAX: i32 = i32::MAX;

fn header(producer_id: i64, epoch: i16, first: i32, count: i32, base: i64) -> BatchHeader {
    BatchHeader {
        base_offset: Offset::new(base),
        batch_length: 100,
        leader_epoch: 0,
        magic: MAGIC,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: count - 1,
        base_timestamp_ms: 0,
        max_timestamp_ms: base * 10,
        producer_id,
        producer_epoch: epoch,
        base_sequence: first,
        record_count: count,
    }
}

/// A table after batches of (epoch, first sequence, count), each of which was accepted.
fn after(history: &[Sent]) -> ProducerTable {
    let (mut table, mut base) = (ProducerTable::new(), 0);
    for &(epoch, first, count) in history {
        let batch = header(ID, epoch, first, count, base);
        assert_eq!(
            table.check(&batch),
            Verdict::Accept,
            "{history:?} at {base}"
        );
        table.record(&batch);
        base += i64::from(count);
    }
    table
}

fn duplicate(base: i64, last: i64) -> Verdict {
    Verdict::Duplicate {
        base: Offset::new(base),
        last: Offset::new(last),
    }
}

fn gap(expected: i32, got: i32) -> Verdict {
    Verdict::Refused(AppendError::OutOfOrderSequence {
        producer_id: ID,
        expected,
        got,
    })
}

fn stale(current: i16, got: i16) -> Verdict {
    Verdict::Refused(AppendError::StaleProducerEpoch {
        producer_id: ID,
        current,
        got,
    })
}

/// Epoch, first sequence, count.
type Sent = (i16, i32, i32);

/// Each batch of the history is accepted; the next one gets the verdict.
fn check_cases(cases: &[(&str, &[Sent], Sent, Verdict)]) {
    for (label, history, (epoch, first, count), expected) in cases {
        let table = after(history);
        assert_eq!(
            table.check(&header(ID, *epoch, *first, *count, 0)),
            *expected,
            "{label}"
        );
        let other = header(ID + 1, *epoch, *first, *count, 0);
        assert_eq!(
            table.check(&other),
            Verdict::Accept,
            "{label}, another producer"
        );
    }
}

#[test]
fn sequences_follow_or_repeat() {
    let singles = [
        (0, 0, 1),
        (0, 1, 1),
        (0, 2, 1),
        (0, 3, 1),
        (0, 4, 1),
        (0, 5, 1),
    ];
    check_cases(&[
        ("unknown, from 0", &[], (0, 0, 1), Verdict::Accept),
        ("unknown, any start", &[], (3, 77, 2), Verdict::Accept),
        ("follows", &[(0, 0, 3)], (0, 3, 1), Verdict::Accept),
        ("gap of one", &[(0, 0, 3)], (0, 4, 1), gap(3, 4)),
        ("overlap", &[(0, 0, 3)], (0, 2, 1), gap(3, 2)),
        ("same batch", &[(0, 0, 3)], (0, 0, 3), duplicate(0, 2)),
        ("same start, shorter", &[(0, 0, 3)], (0, 0, 2), gap(3, 0)),
        ("same start, longer", &[(0, 0, 3)], (0, 0, 4), gap(3, 0)),
        ("same end, later start", &[(0, 0, 3)], (0, 1, 2), gap(3, 1)),
        ("fifth to last", &singles, (0, 1, 1), duplicate(1, 1)),
        ("last", &singles, (0, 5, 1), duplicate(5, 5)),
        ("sixth to last", &singles, (0, 0, 1), gap(6, 0)),
        (
            "wraps between batches",
            &[(0, MAX, 1)],
            (0, 0, 1),
            Verdict::Accept,
        ),
        ("gap at the wrap", &[(0, MAX, 1)], (0, 1, 1), gap(0, 1)),
        (
            "wraps inside a batch",
            &[(0, MAX - 1, 4)],
            (0, 2, 1),
            Verdict::Accept,
        ),
        (
            "same wrapped batch",
            &[(0, MAX - 1, 4)],
            (0, MAX - 1, 4),
            duplicate(0, 3),
        ),
    ]);
}

#[test]
fn epochs_shut_out_older_ones_and_begin_at_zero() {
    check_cases(&[
        (
            "stale epoch that follows",
            &[(2, 0, 1)],
            (1, 1, 1),
            stale(2, 1),
        ),
        (
            "stale epoch, same sequences",
            &[(1, 0, 1), (2, 0, 1)],
            (1, 0, 1),
            stale(2, 1),
        ),
        ("new epoch from 0", &[(0, 0, 3)], (1, 0, 3), Verdict::Accept),
        (
            "new epoch skips epochs",
            &[(0, 0, 3)],
            (9, 0, 1),
            Verdict::Accept,
        ),
        ("new epoch that goes on", &[(0, 0, 3)], (1, 3, 1), gap(0, 3)),
        (
            "new epoch forgets the old batches",
            &[(0, 0, 1), (1, 0, 2)],
            (1, 0, 1),
            gap(2, 0),
        ),
        (
            "retry in the new epoch",
            &[(0, 0, 1), (1, 0, 2)],
            (1, 0, 2),
            duplicate(1, 2),
        ),
    ]);
}

#[test]
fn batches_without_sequences_leave_no_trace() {
    let mut table = after(&[(0, 0, 1)]);
    let before = table.clone();
    for plain in [header(-1, -1, -1, 5, 1), header(ID, 0, -1, 1, 6)] {
        assert_eq!(table.check(&plain), Verdict::Accept);
        table.record(&plain);
        assert_eq!(table, before, "{plain:?}");
    }
}

#[test]
fn what_is_read_back_is_believed_except_an_older_epoch() {
    let mut table = after(&[(1, 0, 1)]);
    table.record(&header(ID, 1, 40, 2, 9));
    assert_eq!(table.check(&header(ID, 1, 42, 1, 0)), Verdict::Accept);
    let before = table.clone();
    table.record(&header(ID, 0, 42, 1, 11));
    assert_eq!(table, before);
}

#[test]
fn a_loaded_table_equals_the_saved_one() {
    let mut table = after(&[
        (0, 0, 1),
        (0, 1, 1),
        (0, 2, 1),
        (0, 3, 1),
        (0, 4, 2),
        (0, 6, 3),
    ]);
    table.record(&header(ID - 5, 3, MAX, 2, 9));
    assert_eq!((table.len(), table.is_empty()), (2, false));
    let mut loaded = ProducerTable::new();
    for entry in table.producers() {
        let (id, epoch) = (entry.producer_id(), entry.epoch());
        loaded.insert_loaded(id, epoch, entry.last_timestamp_ms(), entry.batches());
    }
    assert_eq!(loaded, table);
    let ids: Vec<i64> = table.producers().map(ProducerEntry::producer_id).collect();
    assert_eq!(
        ids,
        [ID - 5, ID],
        "in order, so that equal tables give equal snapshots"
    );
    let entry = table.get(ID).expect("known");
    assert_eq!(
        (entry.batches().len(), entry.next_sequence()),
        (BATCHES_KEPT, 9)
    );
    assert_eq!(entry.last_timestamp_ms(), 60);
}

#[test]
fn of_too_many_loaded_batches_the_newest_are_kept() {
    let batch = |sequence: i32| ProducedBatch {
        first_sequence: sequence,
        last_sequence: sequence,
        base: Offset::new(i64::from(sequence)),
        timestamp_ms: 1,
    };
    let batches: Vec<ProducedBatch> = (0..8).map(batch).collect();
    let mut table = ProducerTable::new();
    table.insert_loaded(ID, 0, 5, &batches);
    let entry = table.get(ID).expect("loaded");
    assert_eq!(
        (entry.batches(), entry.last_timestamp_ms()),
        (&batches[3..], 5)
    );
}

#[test]
fn an_empty_window_expects_zero() {
    let mut table = ProducerTable::new();
    table.insert_loaded(ID, 4, 5, &[]);
    assert_eq!(table.check(&header(ID, 4, 7, 1, 0)), gap(0, 7));
    assert_eq!(table.check(&header(ID, 4, 0, 1, 0)), Verdict::Accept);
}

#[test]
fn silent_producers_expire() {
    let day = Duration::from_hours(24);
    let day_ms = 24 * 60 * 60 * 1_000;
    let mut table = ProducerTable::new();
    for (producer_id, base) in [(1, 10), (2, 20), (3, 30)] {
        table.record(&header(producer_id, 0, 0, 1, base));
    }
    // Their timestamps are 100, 200 and 300.
    assert_eq!(table.expire(day_ms + 99, day), 0);
    assert_eq!(table.expire(day_ms + 200, day), 2);
    assert_eq!(
        table
            .producers()
            .map(ProducerEntry::producer_id)
            .collect::<Vec<_>>(),
        [3]
    );
    assert_eq!(
        table.check(&header(1, 0, 55, 1, 0)),
        Verdict::Accept,
        "unknown again"
    );
    assert_eq!(
        table.expire(i64::MIN, day),
        0,
        "a clock that went back takes nobody"
    );
    assert_eq!(table.expire(i64::MAX, Duration::MAX), 0, "never is never");
}

/// All that was ever written, searched from scratch for each question.
#[derive(Debug, Default)]
struct Model(Vec<BatchHeader>);

impl Model {
    fn check(&self, batch: &BatchHeader) -> Verdict {
        let producer_id = batch.producer_id;
        let mine = || {
            self.0
                .iter()
                .filter(|written| written.producer_id == producer_id)
        };
        let Some(current) = mine().map(|written| written.producer_epoch).max() else {
            return Verdict::Accept;
        };
        if batch.producer_epoch < current {
            let got = batch.producer_epoch;
            return Verdict::Refused(AppendError::StaleProducerEpoch {
                producer_id,
                current,
                got,
            });
        }
        let epoch = mine().filter(|written| written.producer_epoch == batch.producer_epoch);
        let epoch: Vec<&BatchHeader> = epoch.collect();
        for written in epoch.iter().rev().take(5) {
            if written.base_sequence == batch.base_sequence
                && written.last_offset_delta == batch.last_offset_delta
            {
                let (base, last) = (written.base_offset, written.last_offset());
                return Verdict::Duplicate { base, last };
            }
        }
        let next = |last: &&BatchHeader| {
            let next = i64::from(last.base_sequence) + i64::from(last.last_offset_delta) + 1;
            i32::try_from(next % (i64::from(MAX) + 1)).expect("taken modulo 2^31")
        };
        let (expected, got) = (epoch.last().map_or(0, next), batch.base_sequence);
        if got == expected {
            return Verdict::Accept;
        }
        Verdict::Refused(AppendError::OutOfOrderSequence {
            producer_id,
            expected,
            got,
        })
    }
}

/// Sequences close to each other and to the wrap, so that most batches mean something.
fn batches() -> impl Strategy<Value = Vec<(i64, i16, i32, i32)>> {
    let first = prop_oneof![0..8, MAX - 6..=MAX];
    proptest::collection::vec((0_i64..3, 0_i16..3, first, 1..4), 0..300)
}

proptest! {
    #[test]
    fn agrees_with_the_model(batches in batches()) {
        let (mut table, mut model, mut base) = (ProducerTable::new(), Model::default(), 0);
        for (producer_id, epoch, first, count) in batches {
            let batch = header(producer_id, epoch, first, count, base);
            let before = table.clone();
            let verdict = table.check(&batch);
            prop_assert_eq!(&verdict, &model.check(&batch));
            prop_assert_eq!(&table, &before);
            if verdict == Verdict::Accept {
                table.record(&batch);
                model.0.push(batch);
                base += i64::from(count);
            }
        }
    }

    #[test]
    fn a_table_read_back_from_the_log_is_the_same(batches in batches()) {
        let (mut table, mut log, mut base) = (ProducerTable::new(), Vec::new(), 0);
        for (producer_id, epoch, first, count) in batches {
            let batch = header(producer_id, epoch, first, count, base);
            if table.check(&batch) == Verdict::Accept {
                table.record(&batch);
                log.push(batch);
                base += i64::from(count);
            }
        }
        let mut again = ProducerTable::new();
        for batch in &log {
            again.record(batch);
        }
        prop_assert_eq!(again, table);
    }
}
