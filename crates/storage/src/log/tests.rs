//! Tickets, ends, and what the errors say.

use futures_util::FutureExt;

use super::*;

fn at(offset: i64) -> Offset {
    Offset::new(offset)
}

#[test]
fn a_ticket_knows_its_place_and_waits_for_durability() {
    let progress = Progress::new(at(10));
    let ticket = AppendTicket::placed_at(at(10), at(13), at(4), &progress);
    assert_eq!(
        (ticket.placed(), ticket.log_start()),
        (Ok(at(10)), Some(at(4)))
    );
    progress.advance(at(12));
    assert!(!ticket.is_durable(), "two of three records");
    let mut durable = Box::pin(ticket.durable());
    assert!((&mut durable).now_or_never().is_none());
    progress.advance(at(13));
    assert_eq!(durable.now_or_never(), Some(Ok(at(10))));
}

#[test]
fn a_ticket_fails_with_its_log() {
    let (progress, failure) = (Progress::new(at(0)), StorageFailure::new("lost"));
    let durable = AppendTicket::placed_at(at(0), at(0), at(0), &progress);
    let pending = AppendTicket::placed_at(at(0), at(1), at(0), &progress);
    progress.fail(&failure);
    assert_eq!(durable.durable().now_or_never(), Some(Ok(at(0))));
    assert!(!pending.is_durable());
    assert_eq!(
        pending.durable().now_or_never(),
        Some(Err(AppendError::Storage(failure)))
    );
}

#[test]
fn the_ends_have_an_order() {
    let ends = |log_start, last_stable, high_watermark, log_end| Ends {
        log_start: at(log_start),
        last_stable: at(last_stable),
        high_watermark: at(high_watermark),
        log_end: at(log_end),
    };
    for good in [ends(0, 0, 0, 0), ends(1, 2, 3, 4), Ends::empty_at(at(7))] {
        good.assert_ordered();
    }
    for bad in [ends(1, 0, 2, 3), ends(0, 2, 1, 3), ends(0, 1, 3, 2)] {
        let panic = std::panic::catch_unwind(|| bad.assert_ordered());
        assert!(panic.is_err(), "{bad:?}");
    }
    let visible = ends(1, 2, 3, 4);
    assert_eq!(visible.visible_end(Isolation::ReadUncommitted), at(3));
    assert_eq!(visible.visible_end(Isolation::ReadCommitted), at(2));
}

#[test]
fn errors_carry_the_numbers() {
    let ends = Ends {
        log_end: at(9),
        ..Ends::empty_at(at(3))
    };
    let cases = [
        (
            ReadError::OutOfRange {
                asked: at(12),
                ends,
            }
            .to_string(),
            "offset 12 is outside the log, which has 3 to 9",
        ),
        (
            AppendError::Fenced {
                current: 5,
                asked: 4,
            }
            .to_string(),
            "the leader epoch is 5, the append is for 4",
        ),
        (
            AppendError::StaleProducerEpoch {
                producer_id: 8,
                current: 2,
                got: 1,
            }
            .to_string(),
            "producer 8 has epoch 2 now, the batch carries 1",
        ),
        (
            AppendError::OutOfOrderSequence {
                producer_id: 8,
                expected: 2,
                got: 4,
            }
            .to_string(),
            "producer 8 sent sequence 4 where 2 was expected; \
             a batch before it was lost or came out of order",
        ),
        (
            AppendError::NoSpace(StorageFailure::new("/data has 3 bytes left")).to_string(),
            "no space: /data has 3 bytes left",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(text, expected);
    }
}

#[test]
fn a_slice_counts_its_chunks() {
    let memory = |text: &'static str| Chunk::Memory(Bytes::from_static(text.as_bytes()));
    let ends = Ends::empty_at(at(0));
    assert_eq!(ReadSlice::empty(ends).size_bytes(), 0);
    let slice = ReadSlice {
        chunks: vec![memory("abc"), memory(""), memory("de")],
        ends,
    };
    assert_eq!(slice.size_bytes(), 5);
}
