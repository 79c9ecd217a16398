//! Moving the start of a log.

use std::sync::Arc;

use records::{Codec, Offset};

use super::samples::{NO_LIMIT, append, append_at, batch, bytes_of, produced, stored, timed};
use super::samples::{topic_of_small_segments, valued, values};
use super::{Ending, Fixture};
use crate::log::{AppendError, EpochEnd, Isolation, Log, OffsetAt, ReadError, TimeQuery};
use crate::log::{Fence, TrimError};
use crate::{BytesPermit, TopicMeta};

/// Batches of two records in the log of a topic with small segments.
const BATCHES: i64 = 100;

async fn filled(fixture: &Fixture) -> (TopicMeta, Arc<dyn Log>) {
    let topic = topic_of_small_segments("small");
    fixture
        .store
        .create(&topic, 0..1)
        .await
        .expect("a topic is created");
    let log = fixture.store.open(&topic, 0).expect("its log opens");
    for number in 0..BATCHES {
        append_at(&*log, batch(2), number * 2).await;
    }
    (topic, log)
}

async fn trim(log: &dyn Log, new_start: i64) -> Result<i64, TrimError> {
    log.trim(Offset::new(new_start)).await.map(Offset::get)
}

/// What lies before the new start is out of range; the rest is as it was, and so are the other ends.
pub async fn a_trim_moves_the_start(fixture: Fixture) {
    let (_, log) = filled(&fixture).await;
    for start in [1, 2, 77, BATCHES * 2 - 1] {
        let before = log.ends();
        let kept = stored(&*log, start).await;
        assert_eq!(trim(&*log, start).await, Ok(start));
        let ends = log.ends();
        assert_eq!(ends.log_start, Offset::new(start));
        assert_eq!(
            (ends.last_stable, ends.high_watermark, ends.log_end),
            (before.last_stable, before.high_watermark, before.log_end)
        );
        let asked = Offset::new(start - 1);
        let refused = log.read(asked, NO_LIMIT, Isolation::ReadUncommitted).await;
        let refused = refused.map(|slice| slice.ends);
        assert_eq!(refused, Err(ReadError::OutOfRange { asked, ends }));
        assert_eq!(stored(&*log, start).await, kept, "from {start} on");
    }
    let ticket = log.append(batch(1), Fence::default(), BytesPermit::free());
    assert_eq!(ticket.log_start(), Some(Offset::new(BATCHES * 2 - 1)));
}

/// A start that is not above the one that holds changes nothing.
pub async fn a_start_never_moves_back(fixture: Fixture) {
    let (_, log) = filled(&fixture).await;
    assert_eq!(trim(&*log, 0).await, Ok(0));
    assert_eq!(trim(&*log, 50).await, Ok(50));
    for asked in [0, 1, 49, 50] {
        assert_eq!(trim(&*log, asked).await, Ok(50));
        assert_eq!(log.ends().log_start, Offset::new(50));
    }
}

/// Nothing that is not visible is trimmed away.
pub async fn a_trim_outside_is_refused(fixture: Fixture) {
    let (_, log) = filled(&fixture).await;
    let ends = log.ends();
    for asked in [i64::MIN, -1, ends.high_watermark.get() + 1, i64::MAX] {
        let refused = TrimError::OutOfRange {
            asked: Offset::new(asked),
            ends,
        };
        assert_eq!(trim(&*log, asked).await, Err(refused));
        assert_eq!(log.ends(), ends);
    }
}

/// A log may begin where it ends, and goes on there.
pub async fn a_trim_to_the_end_empties_the_log(fixture: Fixture) {
    let (topic, log) = filled(&fixture).await;
    let end = BATCHES * 2;
    assert_eq!(trim(&*log, end).await, Ok(end));
    assert_eq!(log.ends().log_start, log.ends().log_end);
    let slice = log
        .read(Offset::new(end), NO_LIMIT, Isolation::ReadUncommitted)
        .await;
    assert!(slice.expect("the end is in range").chunks.is_empty());
    drop(log);
    let mut fixture = fixture;
    for (ending, round) in [(Ending::Killed, 0), (Ending::Clean, 1), (Ending::Clean, 2)] {
        fixture = fixture.reopen(ending);
        let log = fixture.store.open(&topic, 0).expect("its log opens");
        assert_eq!(log.ends().log_start, Offset::new(end));
        append_at(&*log, valued("after"), end + round).await;
        let found = values(&*log).await;
        assert_eq!(found.len(), usize::try_from(round + 1).expect("small"));
    }
}

/// Records before the start have no time.
pub async fn times_before_the_start_are_not_found(fixture: Fixture) {
    let log = fixture.log().await;
    for times in [&[900, 100, 500][..], &[300, 200], &[100, 50]] {
        append(&*log, timed(Codec::None, times))
            .await
            .expect("accepted");
    }
    let find = async |query| {
        let found = log.offset_at(query, Isolation::ReadUncommitted).await;
        found
            .expect("the log can be searched")
            .map(|found: OffsetAt| (found.offset.get(), found.timestamp_ms))
    };
    for (start, first, largest) in [
        (0, Some((0, 900)), Some((0, 900))),
        (1, Some((1, 100)), Some((2, 500))),
        (2, Some((2, 500)), Some((2, 500))),
        (3, Some((3, 300)), Some((3, 300))),
        (4, Some((4, 200)), Some((4, 200))),
        (6, None, Some((6, 50))),
        (7, None, None),
    ] {
        assert_eq!(trim(&*log, start).await, Ok(start));
        let at = TimeQuery::AtOrAfter(100);
        assert_eq!(find(at).await, first, "from {start} on");
        assert_eq!(find(TimeQuery::Largest).await, largest, "from {start} on");
    }
}

/// What a producer wrote is remembered though its records are gone, over restarts too.
pub async fn a_trimmed_log_keeps_its_producers(fixture: Fixture) {
    const ID: i64 = 4711;
    let topic = topic_of_small_segments("small");
    let mut fixture = fixture;
    fixture
        .store
        .create(&topic, 0..1)
        .await
        .expect("a topic is created");
    let log = fixture.store.open(&topic, 0).expect("its log opens");
    for sequence in 0..10 {
        append_at(&*log, produced(ID, 0, sequence, 1), i64::from(sequence)).await;
    }
    for number in 10..100 {
        append_at(&*log, batch(1), number).await;
    }
    assert_eq!(trim(&*log, 90).await, Ok(90));
    drop(log);
    for ending in [Ending::Clean, Ending::Killed, Ending::Clean] {
        let log = fixture.store.open(&topic, 0).expect("its log opens");
        append_at(&*log, produced(ID, 0, 9, 1), 9).await;
        let gap = AppendError::OutOfOrderSequence {
            producer_id: ID,
            expected: 10,
            got: 11,
        };
        assert_eq!(append(&*log, produced(ID, 0, 11, 1)).await, Err(gap));
        assert_eq!(log.ends().log_end, Offset::new(100), "nothing was written");
        drop(log);
        fixture = fixture.reopen(ending);
    }
}

/// What was read before a trim stays readable.
pub async fn chunks_outlive_a_trim(fixture: Fixture) {
    let (_, log) = filled(&fixture).await;
    let slice = log
        .read(Offset::ZERO, NO_LIMIT, Isolation::ReadUncommitted)
        .await
        .expect("in range");
    let before = bytes_of(&slice);
    assert!(!before.is_empty());
    assert_eq!(trim(&*log, BATCHES * 2).await, Ok(BATCHES * 2));
    assert_eq!(bytes_of(&slice), before);
}

/// Epochs that lie before the start end where the log begins.
pub async fn epochs_before_the_start_end_there(mut fixture: Fixture) {
    let topic = topic_of_small_segments("small");
    fixture
        .store
        .create(&topic, 0..1)
        .await
        .expect("a topic is created");
    let log = fixture.store.open(&topic, 0).expect("its log opens");
    let first = log.leader_epoch();
    append_at(&*log, batch(3), 0).await;
    drop(log);
    fixture = fixture.reopen(Ending::Clean);
    let log = fixture.store.open(&topic, 0).expect("its log opens");
    let second = log.leader_epoch();
    append_at(&*log, batch(3), 3).await;
    let end_of = |epoch: i32, end: i64| {
        Some(EpochEnd {
            leader_epoch: epoch,
            end: Offset::new(end),
        })
    };
    assert_eq!(log.epoch_end(first), end_of(first, 3));
    assert_eq!(trim(&*log, 5).await, Ok(5));
    drop(log);
    for ending in [Ending::Killed, Ending::Clean] {
        let log = fixture.store.open(&topic, 0).expect("its log opens");
        assert_eq!(log.epoch_end(first), end_of(first, 5));
        assert_eq!(log.epoch_end(second), end_of(second, 6));
        drop(log);
        fixture = fixture.reopen(ending);
    }
}

/// A start that was answered holds after every ending, and what is kept is what was kept.
pub async fn a_start_survives(fixture: Fixture) {
    let (topic, log) = filled(&fixture).await;
    let mut fixture = fixture;
    drop(log);
    let endings = [Ending::Killed, Ending::Clean, Ending::Killed, Ending::Clean];
    for (start, ending) in [1, 64, 65, 130].into_iter().zip(endings) {
        let log = fixture.store.open(&topic, 0).expect("its log opens");
        assert_eq!(trim(&*log, start).await, Ok(start));
        let kept = stored(&*log, start).await;
        let ends = log.ends();
        assert_eq!(ends.log_start, Offset::new(start));
        drop(log);
        fixture = fixture.reopen(ending);
        let log = fixture.store.open(&topic, 0).expect("its log opens");
        assert_eq!(log.ends(), ends);
        assert_eq!(stored(&*log, start).await, kept);
    }
}
