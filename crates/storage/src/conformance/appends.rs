//! Appending: places, bytes, fences, concurrency.

use records::Offset;

use super::samples::{CODECS, append, append_at, batch, batches_in, read, stored, timed, topic};
use super::samples::{NO_LIMIT, topic_of_small_segments, valued};
use super::{Fixture, run};
use crate::BytesPermit;
use crate::log::{AppendError, Ends, Fence};

/// The bytes of a batch from its magic on are never touched.
const PATCHED_BYTES: usize = 16;

/// All ends of a new log are zero.
pub async fn a_new_log_is_empty(fixture: Fixture) {
    let log = fixture.log().await;
    assert_eq!(log.ends(), Ends::empty_at(Offset::ZERO));
    assert_eq!(log.footprint().size_bytes, 0);
    assert_eq!(log.settled().await, Ok(Ends::empty_at(Offset::ZERO)));
    assert!(read(&*log, 0, NO_LIMIT).await.is_empty());
}

/// Every record gets the offset behind the one before it.
pub async fn offsets_are_dense(fixture: Fixture) {
    let log = fixture.log().await;
    let mut expected = 0;
    for count in [1, 5, 2, 1, 40] {
        let ticket = log.append(batch(count), Fence::default(), BytesPermit::free());
        assert_eq!(ticket.placed(), Ok(Offset::new(expected)), "known at once");
        assert_eq!(ticket.log_start(), Some(Offset::ZERO));
        assert_eq!(ticket.durable().await, Ok(Offset::new(expected)));
        expected += i64::try_from(count).expect("small");
        assert_eq!(log.ends().log_end, Offset::new(expected));
    }
    let found = stored(&*log, 0).await;
    let bases: Vec<i64> = found
        .iter()
        .map(|(header, _)| header.base_offset.get())
        .collect();
    assert_eq!(bases, [0, 1, 6, 8, 9]);
}

/// Base offset and leader epoch are written into the batch, and nothing else is.
pub async fn place_is_patched_into_the_bytes(fixture: Fixture) {
    let log = fixture.log().await;
    for (index, codec) in (0_i64..).zip(CODECS) {
        let batch = timed(codec, &[1_000, 3_000, 2_000]);
        let sent = batch.as_bytes()[PATCHED_BYTES..].to_vec();
        append_at(&*log, batch, index * 3).await;
        let (header, kept) = stored(&*log, index * 3).await.remove(0);
        assert_eq!(header.base_offset.get(), index * 3);
        assert_eq!(header.leader_epoch, log.leader_epoch());
        assert_eq!(
            kept[PATCHED_BYTES..],
            sent[..],
            "{codec:?} is stored as it came"
        );
    }
}

/// When a ticket has resolved, its records and all before them can be read.
pub async fn durable_is_visible(fixture: Fixture) {
    let log = fixture.log().await;
    for base in (0..40).step_by(2) {
        let ticket = log.append(batch(1), Fence::default(), BytesPermit::free());
        assert_eq!(
            log.ends().log_end,
            Offset::new(base + 1),
            "what is placed is written"
        );
        append_at(&*log, batch(1), base + 1).await;
        assert!(
            ticket.is_durable(),
            "what was placed before is durable before"
        );
        let ends = log.ends();
        ends.assert_ordered();
        assert_eq!(ends.high_watermark, Offset::new(base + 2));
        assert_eq!(batches_in(&read(&*log, base, NO_LIMIT).await).len(), 2);
    }
}

/// An append for another leader epoch moves nothing.
pub async fn the_fence_is_checked(fixture: Fixture) {
    let log = fixture.log().await;
    let current = log.leader_epoch();
    for asked in [current - 1, current + 1] {
        let fence = Fence {
            leader_epoch: Some(asked),
        };
        let ticket = log.append(batch(1), fence, BytesPermit::free());
        assert_eq!(ticket.placed(), Err(AppendError::Fenced { current, asked }));
        assert_eq!(ticket.log_start(), None);
        assert!(!ticket.is_durable());
        assert_eq!(
            ticket.durable().await,
            Err(AppendError::Fenced { current, asked })
        );
    }
    assert_eq!(log.ends(), Ends::empty_at(Offset::ZERO));
    let fence = Fence {
        leader_epoch: Some(current),
    };
    let ticket = log.append(batch(1), fence, BytesPermit::free());
    assert_eq!(ticket.durable().await, Ok(Offset::ZERO));
}

/// What fits no segment is refused; the largest that fits is taken.
pub async fn a_batch_larger_than_a_segment_is_refused(fixture: Fixture) {
    let topic = topic_of_small_segments("small");
    fixture
        .store
        .create(&topic, 0..1)
        .await
        .expect("a topic is created");
    let log = fixture.store.open(&topic, 0).expect("its log opens");
    let segment_bytes = topic.log_config.segment_bytes;
    let room = usize::try_from(segment_bytes).expect("small") - valued("").len();
    let refused = append(&*log, valued(&"x".repeat(room + 1))).await;
    assert!(
        matches!(refused, Err(AppendError::LargerThanSegment { segment_bytes: limit, .. })
            if limit == segment_bytes),
        "{refused:?}"
    );
    assert_eq!(log.ends(), Ends::empty_at(Offset::ZERO));
    let fits = (0..=room).rev().map(|length| valued(&"x".repeat(length)));
    let fits = fits
        .into_iter()
        .find(|batch| batch.len() == segment_bytes as usize);
    append_at(&*log, fits.expect("some length fits exactly"), 0).await;
    append_at(&*log, valued("more"), 1).await;
}

/// The footprint is the sum of the batches.
pub async fn footprint_counts_the_bytes(fixture: Fixture) {
    let log = fixture.log().await;
    let mut size_bytes = 0;
    for count in [1, 3, 9] {
        let batch = batch(count);
        size_bytes += batch.len() as u64;
        append(&*log, batch).await.expect("accepted");
        let footprint = log.footprint();
        assert_eq!(footprint.size_bytes, size_bytes);
        assert!(footprint.segments >= 1);
    }
}

/// Partitions and topics share no offsets.
pub async fn partitions_count_for_themselves(fixture: Fixture) {
    let (a, b) = (topic("a", 2), topic("b", 1));
    fixture
        .store
        .create(&a, 0..2)
        .await
        .expect("a topic is created");
    fixture
        .store
        .create(&b, 0..1)
        .await
        .expect("a topic is created");
    let logs = [
        fixture.store.open(&a, 0),
        fixture.store.open(&a, 1),
        fixture.store.open(&b, 0),
    ];
    for (index, log) in logs.into_iter().enumerate() {
        let log = log.expect("the log opens");
        append_at(&*log, batch(index + 1), 0).await;
        append_at(&*log, batch(1), i64::try_from(index).expect("small") + 1).await;
    }
}

/// Four threads at once: no gap, no overlap, every batch where its ticket says.
pub async fn concurrent_appends_are_dense(fixture: Fixture) {
    const THREADS: usize = 4;
    const APPENDS: usize = 50;
    let log = fixture.log().await;
    let append_many = |thread: usize| {
        let mut places = Vec::new();
        for number in 0..APPENDS {
            let value = format!("{thread}/{number}");
            let ticket = log.append(valued(&value), Fence::default(), BytesPermit::free());
            log.ends().assert_ordered();
            // Half of them are waited for one by one, half run ahead.
            if thread.is_multiple_of(2) {
                places.push((run(ticket.durable()).expect("accepted"), value));
            } else {
                places.push((ticket.placed().expect("accepted"), value));
            }
        }
        assert!(places.is_sorted(), "a thread's appends keep their order");
        places
    };
    let mut places: Vec<(Offset, String)> = std::thread::scope(|scope| {
        let append_many = &append_many;
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || append_many(thread)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    places.sort();
    log.settled().await.expect("all becomes visible");
    let expected: Vec<(i64, String)> = places
        .into_iter()
        .map(|(offset, value)| (offset.get(), value))
        .collect();
    assert_eq!(expected.len(), THREADS * APPENDS);
    assert_eq!(super::samples::values(&*log).await, expected);
}
