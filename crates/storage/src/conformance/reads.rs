//! Reading: which batches, how many, and where a read is refused.

use std::sync::Arc;

use records::Offset;

use super::Fixture;
use super::samples::{
    NO_LIMIT, append, append_at, batch, batches_in, read, stored, topic_of_small_segments, valued,
    values,
};
use crate::BytesPermit;
use crate::log::{Ends, Fence, Isolation, Log, ReadError, ReadLimit};

/// A read returns whole batches: the first holds the offset, though it may begin before it.
pub async fn a_read_begins_with_the_batch_that_holds_the_offset(fixture: Fixture) {
    let log = fixture.log().await;
    for (count, base) in [(1, 0), (4, 1), (3, 5), (1, 8)] {
        append_at(&*log, batch(count), base).await;
    }
    for (from, base) in [(0, 0), (1, 1), (3, 1), (4, 1), (5, 5), (7, 5), (8, 8)] {
        let found = batches_in(&read(&*log, from, NO_LIMIT).await);
        let (first, last) = (
            found.first().expect("a batch"),
            found.last().expect("a batch"),
        );
        assert_eq!(first.0.base_offset, Offset::new(base), "from {from}");
        assert_eq!(last.0.next_offset(), Offset::new(9), "from {from}");
    }
}

/// With segments of a few batches, every offset leads to its batch.
pub async fn every_offset_is_found_across_segments(fixture: Fixture) {
    let topic = topic_of_small_segments("small");
    fixture
        .store
        .create(&topic, 0..1)
        .await
        .expect("a topic is created");
    let log = fixture.store.open(&topic, 0).expect("its log opens");
    let mut expected = Vec::new();
    for number in 0..200_i64 {
        let value = format!(
            "{number}: {}",
            "x".repeat(usize::try_from(number % 7).expect("small"))
        );
        append_at(&*log, valued(&value), number).await;
        expected.push((number, value));
    }
    assert_eq!(values(&*log).await, expected);
    let one = ReadLimit {
        bytes_max: 1,
        at_least_one_batch: true,
    };
    for from in 0..200 {
        let found = batches_in(&read(&*log, from, one).await);
        let bases: Vec<i64> = found
            .iter()
            .map(|(header, _)| header.base_offset.get())
            .collect();
        assert_eq!(bases, [from]);
    }
    let size_bytes: usize = stored(&*log, 0)
        .await
        .iter()
        .map(|(_, batch)| batch.len())
        .sum();
    assert_eq!(log.footprint().size_bytes, size_bytes as u64);
}

/// A read stops before the batch that would exceed the limit, and not earlier.
pub async fn byte_limits_hold(fixture: Fixture) {
    let log = fixture.log().await;
    let sizes: Vec<usize> = (1..=6).map(|count| batch(count).len()).collect();
    for count in 1..=6 {
        append(&*log, batch(count)).await.expect("accepted");
    }
    for fitting in 1..=6 {
        let exact: usize = sizes.iter().take(fitting).sum();
        for (bytes_max, expected) in [
            (exact - 1, fitting - 1),
            (exact, fitting),
            (exact + 1, fitting),
        ] {
            let limit = ReadLimit {
                bytes_max,
                at_least_one_batch: false,
            };
            let found = batches_in(&read(&*log, 0, limit).await);
            assert_eq!(found.len(), expected, "{bytes_max} bytes");
        }
    }
}

/// The first batch comes whatever its size, if the caller wants that; never a second one.
pub async fn the_first_batch_is_exempt_when_asked(fixture: Fixture) {
    let log = fixture.log().await;
    let large = batch(50).len();
    append(&*log, batch(50)).await.expect("accepted");
    append(&*log, batch(1)).await.expect("accepted");
    for bytes_max in [0, 1, large - 1] {
        let exempt = ReadLimit {
            bytes_max,
            at_least_one_batch: true,
        };
        assert_eq!(
            read(&*log, 7, exempt).await.len(),
            large,
            "{bytes_max} bytes"
        );
        let strict = ReadLimit {
            bytes_max,
            at_least_one_batch: false,
        };
        assert!(read(&*log, 7, strict).await.is_empty(), "{bytes_max} bytes");
    }
}

/// Below the start and above the end is an error that tells the ends.
pub async fn outside_is_out_of_range(fixture: Fixture) {
    let log = fixture.log().await;
    for count in [0, 3] {
        if count > 0 {
            append(&*log, batch(count)).await.expect("accepted");
        }
        let ends = log.ends();
        for asked in [i64::MIN, -1, ends.log_end.get() + 1, 1_000, i64::MAX] {
            let asked = Offset::new(asked);
            for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
                let refused = log
                    .read(asked, NO_LIMIT, isolation)
                    .await
                    .map(|slice| slice.ends);
                assert_eq!(refused, Err(ReadError::OutOfRange { asked, ends }));
            }
        }
    }
}

/// At the end there is nothing yet, which is no error.
pub async fn the_end_is_empty(fixture: Fixture) {
    let log = fixture.log().await;
    for count in [0, 2] {
        if count > 0 {
            append(&*log, batch(count)).await.expect("accepted");
        }
        let ends: Ends = log.ends();
        let slice = log
            .read(ends.log_end, NO_LIMIT, Isolation::ReadUncommitted)
            .await;
        let slice = slice.expect("the end is in range");
        assert_eq!((slice.size_bytes(), slice.ends), (0, ends));
        assert!(slice.chunks.is_empty());
    }
}

/// Without open transactions, all that is visible is stable.
pub async fn both_isolations_see_the_stable_part(fixture: Fixture) {
    let log = fixture.log().await;
    append(&*log, batch(2)).await.expect("accepted");
    let ends = log.ends();
    assert_eq!(
        (ends.last_stable, ends.high_watermark),
        (Offset::new(2), Offset::new(2))
    );
    let mut slices = Vec::new();
    for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
        let slice = log
            .read(Offset::ZERO, NO_LIMIT, isolation)
            .await
            .expect("in range");
        slices.push(super::bytes_of(&slice));
    }
    assert!(!slices[0].is_empty());
    assert_eq!(slices[0], slices[1]);
}

/// While one thread appends, another sees only whole batches below the high watermark, in order,
/// and no end moves back.
pub async fn reads_beside_appends_see_whole_batches(fixture: Fixture) {
    const APPENDS: i64 = 200;
    let topic = topic_of_small_segments("small");
    fixture
        .store
        .create(&topic, 0..1)
        .await
        .expect("a topic is created");
    let log = fixture.store.open(&topic, 0).expect("its log opens");
    let writer = Arc::clone(&log);
    let writer = std::thread::spawn(move || {
        for number in 0..APPENDS {
            let ticket = writer.append(batch(2), Fence::default(), BytesPermit::free());
            assert_eq!(ticket.placed(), Ok(Offset::new(number * 2)));
        }
    });
    let (mut next, mut before) = (Offset::ZERO, log.ends());
    while next < Offset::new(APPENDS * 2) {
        let waiter = crate::Waiter::new();
        log.wait(Arc::clone(&waiter));
        let (bytes, ends) = read_visible(&*log, next).await;
        assert_moved_on(before, ends);
        before = ends;
        for (header, batch) in batches_in(&bytes) {
            assert_eq!(header.base_offset, next);
            assert!(records::crc_ok(&batch));
            next = header.next_offset();
            assert!(
                next <= ends.high_watermark,
                "{next} is not visible yet: {ends:?}"
            );
        }
        if bytes.is_empty() && log.ends().high_watermark == next {
            waiter.woken().await;
        }
    }
    writer.join().expect("the writer does not panic");
    log.settled().await.expect("all is visible");
}

async fn read_visible(log: &dyn Log, from: Offset) -> (bytes::Bytes, Ends) {
    let slice = log
        .read(from, NO_LIMIT, Isolation::ReadUncommitted)
        .await
        .expect("in range");
    (super::bytes_of(&slice), slice.ends)
}

fn assert_moved_on(before: Ends, now: Ends) {
    now.assert_ordered();
    assert!(before.log_start <= now.log_start, "{before:?} → {now:?}");
    assert!(
        before.last_stable <= now.last_stable,
        "{before:?} → {now:?}"
    );
    assert!(
        before.high_watermark <= now.high_watermark,
        "{before:?} → {now:?}"
    );
    assert!(before.log_end <= now.log_end, "{before:?} → {now:?}");
}
