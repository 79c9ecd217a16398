//! Finding offsets by time.

use records::{Codec, Offset};

use super::Fixture;
use super::samples::{CODECS, append, timed, topic_of_small_segments};
use crate::log::{Isolation, Log, OffsetAt, TimeQuery};

async fn find(log: &dyn Log, query: TimeQuery) -> Option<(i64, i64)> {
    let mut answers = Vec::new();
    for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
        answers.push(
            log.offset_at(query, isolation)
                .await
                .expect("the log can be searched"),
        );
    }
    assert_eq!(answers[0], answers[1], "all that is visible is stable");
    answers[0].map(
        |OffsetAt {
             offset,
             timestamp_ms,
             leader_epoch,
         }| {
            assert_eq!(leader_epoch, log.leader_epoch());
            (offset.get(), timestamp_ms)
        },
    )
}

async fn expect(log: &dyn Log, cases: &[(i64, Option<(i64, i64)>)]) {
    for &(wanted_ms, expected) in cases {
        let found = find(log, TimeQuery::AtOrAfter(wanted_ms)).await;
        assert_eq!(found, expected, "at or after {wanted_ms}");
    }
}

/// No records, no answer.
pub async fn an_empty_log_has_no_times(fixture: Fixture) {
    let log = fixture.log().await;
    assert_eq!(find(&*log, TimeQuery::AtOrAfter(0)).await, None);
    assert_eq!(find(&*log, TimeQuery::Largest).await, None);
}

/// The first record in the order of offsets whose time is late enough, though times may fall.
pub async fn the_first_at_or_after_is_found(fixture: Fixture) {
    let log = fixture.log().await;
    // Offsets 0–2, 3–4, 5, 6–7.
    for times in [&[100, 200, 150][..], &[50, 60], &[300], &[250, 400]] {
        append(&*log, timed(Codec::None, times))
            .await
            .expect("accepted");
    }
    let cases = [
        (i64::MIN, Some((0, 100))),
        (0, Some((0, 100))),
        (100, Some((0, 100))),
        (101, Some((1, 200))),
        (200, Some((1, 200))),
        (201, Some((5, 300))),
        (300, Some((5, 300))),
        (301, Some((7, 400))),
        (400, Some((7, 400))),
        (401, None),
        (i64::MAX, None),
    ];
    expect(&*log, &cases).await;
}

/// A record inside a compressed batch is found as exactly as any other.
pub async fn compressed_batches_are_opened(fixture: Fixture) {
    let log = fixture.log().await;
    for (number, codec) in (0_i64..).zip(CODECS) {
        let start_ms = number * 100;
        let times = [start_ms + 10, start_ms + 30, start_ms + 20];
        append(&*log, timed(codec, &times)).await.expect("accepted");
    }
    for (number, codec) in (0_i64..).zip(CODECS) {
        let (base, start_ms) = (number * 3, number * 100);
        let found = find(&*log, TimeQuery::AtOrAfter(start_ms + 11)).await;
        assert_eq!(found, Some((base + 1, start_ms + 30)), "{codec:?}");
    }
    assert_eq!(find(&*log, TimeQuery::Largest).await, Some((13, 430)));
}

/// Of several records with the largest time the first counts (KIP-734).
pub async fn the_largest_is_the_first_of_equals(fixture: Fixture) {
    let log = fixture.log().await;
    let steps: [(&[i64], (i64, i64)); 4] = [
        (&[10, 30, 30], (1, 30)),
        (&[30, 20], (1, 30)),
        (&[5, 40], (6, 40)),
        (&[40, 40], (6, 40)),
    ];
    for (codec, (times, expected)) in CODECS.into_iter().zip(steps) {
        append(&*log, timed(codec, times)).await.expect("accepted");
        assert_eq!(
            find(&*log, TimeQuery::Largest).await,
            Some(expected),
            "after {times:?}"
        );
    }
}

/// A batch stamped at the append has one time for all its records: that of the stamp.
pub async fn append_time_counts_for_all_records(fixture: Fixture) {
    let log = fixture.log().await;
    for (codec, stamp_ms) in [(Codec::None, 5_000), (Codec::Gzip, 6_000)] {
        let mut batch = timed(codec, &[9_999, 1, 2]);
        batch.stamp_log_append_time(stamp_ms);
        append(&*log, batch).await.expect("accepted");
    }
    let cases = [
        (1, Some((0, 5_000))),
        (5_000, Some((0, 5_000))),
        (5_001, Some((3, 6_000))),
        (6_000, Some((3, 6_000))),
        (6_001, None),
    ];
    expect(&*log, &cases).await;
    assert_eq!(find(&*log, TimeQuery::Largest).await, Some((3, 6_000)));
}

/// With segments of a few batches, each time leads to its record.
pub async fn times_are_found_across_segments(fixture: Fixture) {
    let topic = topic_of_small_segments("small");
    fixture
        .store
        .create(&topic, 0..1)
        .await
        .expect("a topic is created");
    let log = fixture.store.open(&topic, 0).expect("its log opens");
    for number in 0..100 {
        append(&*log, timed(Codec::None, &[number * 10, number * 10 + 5]))
            .await
            .expect("accepted");
    }
    assert_eq!(log.ends().log_end, Offset::new(200));
    for number in 0..100 {
        let (base, start_ms) = (number * 2, number * 10);
        expect(
            &*log,
            &[
                (start_ms, Some((base, start_ms))),
                (start_ms + 1, Some((base + 1, start_ms + 5))),
                (start_ms + 5, Some((base + 1, start_ms + 5))),
            ],
        )
        .await;
    }
    expect(&*log, &[(996, None)]).await;
    assert_eq!(find(&*log, TimeQuery::Largest).await, Some((199, 995)));
}
