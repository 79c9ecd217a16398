//! Idempotent producers: retries are written once, gaps never.

use records::{CheckedBatch, Offset};

use super::samples::{append, append_at, batch, produced, stored};
use super::{Fixture, run};
use crate::BytesPermit;
use crate::log::{AppendError, Fence, Log};
use crate::producer_state::ProducerEntry;

const ID: i64 = 4711;

fn out_of_order(expected: i32, got: i32) -> AppendError {
    AppendError::OutOfOrderSequence {
        producer_id: ID,
        expected,
        got,
    }
}

/// Expects that `batch` is refused with `error` and that nothing moves.
async fn refused(log: &dyn Log, batch: CheckedBatch, error: AppendError) {
    let (ends, footprint) = (log.ends(), log.footprint());
    assert_eq!(append(log, batch).await, Err(error));
    assert_eq!(
        (log.ends(), log.footprint()),
        (ends, footprint),
        "nothing moves"
    );
}

/// Each of the last five batches, sent again, gets its own place again.
pub async fn a_retry_answers_with_the_first_offset(fixture: Fixture) {
    let log = fixture.log().await;
    for number in 0..5 {
        append_at(&*log, produced(ID, 0, number * 2, 2), i64::from(number) * 3).await;
        append_at(&*log, batch(1), i64::from(number) * 3 + 2).await;
    }
    let before = (log.ends(), log.footprint());
    for number in 0..5 {
        let again = produced(ID, 0, number * 2, 2);
        let ticket = log.append(again, Fence::default(), BytesPermit::free());
        assert_eq!(ticket.placed(), Ok(Offset::new(i64::from(number) * 3)));
        assert_eq!(
            ticket.durable().await,
            Ok(Offset::new(i64::from(number) * 3))
        );
    }
    assert_eq!(
        (log.ends(), log.footprint()),
        before,
        "nothing is written twice"
    );
    append_at(&*log, produced(ID, 0, 10, 1), 15).await;
}

/// The sixth to last batch is not known any more, so a retry of it is out of order.
pub async fn only_five_batches_are_remembered(fixture: Fixture) {
    let log = fixture.log().await;
    for number in 0..6 {
        append_at(&*log, produced(ID, 0, number, 1), i64::from(number)).await;
    }
    refused(&*log, produced(ID, 0, 0, 1), out_of_order(6, 0)).await;
    append_at(&*log, produced(ID, 0, 1, 1), 1).await;
}

/// A batch that does not follow is refused and moves nothing; the right one is then taken.
pub async fn a_gap_is_refused(fixture: Fixture) {
    let log = fixture.log().await;
    append_at(&*log, produced(ID, 0, 0, 3), 0).await;
    for (base_sequence, count) in [(4, 1), (2, 1), (0, 2), (1, 2), (0, 4), (i32::MAX, 1)] {
        refused(
            &*log,
            produced(ID, 0, base_sequence, count),
            out_of_order(3, base_sequence),
        )
        .await;
    }
    append_at(&*log, produced(ID, 0, 3, 1), 3).await;
}

/// After a newer instance of a producer has written, the older one is shut out, retries included.
pub async fn a_stale_epoch_is_refused(fixture: Fixture) {
    let log = fixture.log().await;
    append_at(&*log, produced(ID, 1, 0, 1), 0).await;
    append_at(&*log, produced(ID, 3, 0, 1), 1).await;
    for (got, base_sequence) in [(1, 0), (1, 1), (2, 0), (0, 0)] {
        let error = AppendError::StaleProducerEpoch {
            producer_id: ID,
            current: 3,
            got,
        };
        refused(&*log, produced(ID, got, base_sequence, 1), error).await;
    }
    append_at(&*log, produced(ID, 3, 1, 1), 2).await;
}

/// A new epoch begins with sequence 0; a refused beginning leaves the old epoch in force.
pub async fn a_new_epoch_begins_at_zero(fixture: Fixture) {
    let log = fixture.log().await;
    append_at(&*log, produced(ID, 0, 0, 2), 0).await;
    refused(&*log, produced(ID, 1, 2, 1), out_of_order(0, 2)).await;
    append_at(&*log, produced(ID, 0, 2, 1), 2).await;
    append_at(&*log, produced(ID, 1, 0, 2), 3).await;
    append_at(&*log, produced(ID, 1, 0, 2), 3).await;
    append_at(&*log, produced(ID, 1, 2, 1), 5).await;
}

/// Retention may have taken the batches before, so a producer that is not known is believed.
pub async fn an_unknown_producer_begins_anywhere(fixture: Fixture) {
    let log = fixture.log().await;
    append_at(&*log, produced(ID, 7, 1_000, 1), 0).await;
    refused(&*log, produced(ID, 7, 1_002, 1), out_of_order(1_001, 1_002)).await;
    append_at(&*log, produced(ID, 7, 1_001, 1), 1).await;
}

/// After 2³¹−1 comes 0, between batches and inside one.
pub async fn sequences_wrap(fixture: Fixture) {
    let log = fixture.log().await;
    append_at(&*log, produced(ID, 0, i32::MAX - 1, 2), 0).await;
    refused(&*log, produced(ID, 0, 1, 1), out_of_order(0, 1)).await;
    append_at(&*log, produced(ID, 0, 0, 1), 2).await;
    append_at(&*log, produced(ID + 1, 0, i32::MAX, 3), 3).await;
    append_at(&*log, produced(ID + 1, 0, 2, 1), 6).await;
    // Retries of what wrapped, too.
    append_at(&*log, produced(ID, 0, i32::MAX - 1, 2), 0).await;
    append_at(&*log, produced(ID + 1, 0, i32::MAX, 3), 3).await;
    assert_eq!(log.ends().log_end, Offset::new(7));
}

/// Producers know nothing of each other, nor of batches without a producer; nor do partitions.
pub async fn producers_do_not_mix(fixture: Fixture) {
    let topic = super::samples::topic("events", 2);
    fixture
        .store
        .create(&topic, 0..2)
        .await
        .expect("a topic is created");
    for partition in 0..2 {
        let log = fixture
            .store
            .open(&topic, partition)
            .expect("the log opens");
        append_at(&*log, produced(ID, 0, 0, 1), 0).await;
        append_at(&*log, produced(ID + 1, 0, 0, 1), 1).await;
        append_at(&*log, batch(1), 2).await;
        append_at(&*log, batch(1), 3).await;
        append_at(&*log, produced(ID, 0, 1, 1), 4).await;
        append_at(&*log, produced(ID + 1, 0, 0, 1), 1).await;
        refused(&*log, produced(ID, 0, 3, 1), out_of_order(2, 3)).await;
    }
}

/// The same batch from many threads at once, as when a client reconnects: one is written, all get
/// its place.
pub async fn a_concurrent_retry_is_written_once(fixture: Fixture) {
    let log = fixture.log().await;
    for number in 0..20_i32 {
        let place = Offset::new(i64::from(number) * 2);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let batch = produced(ID, 0, number * 2, 2);
                    let ticket = log.append(batch, Fence::default(), BytesPermit::free());
                    assert_eq!(run(ticket.durable()), Ok(place));
                });
            }
        });
    }
    assert_eq!(stored(&*log, 0).await.len(), 20);
}

/// Who wrote is told as it stands: the newest epoch, the last sequence, the last time.
pub async fn producers_are_told(fixture: Fixture) {
    let log = fixture.log().await;
    assert_eq!(log.producers(), Ok(Vec::new()));
    append_at(&*log, produced(ID + 1, 2, 0, 3), 0).await;
    append_at(&*log, produced(ID, 0, 0, 1), 3).await;
    append_at(&*log, batch(1), 4).await;
    append_at(&*log, produced(ID, 0, 1, 4), 5).await;
    append_at(&*log, produced(ID, 0, 1, 4), 5).await;
    let known = log.producers().expect("the log serves");
    let last = |entry: &ProducerEntry| entry.batches().last().map(|batch| batch.last_sequence);
    let told: Vec<_> = known
        .iter()
        .map(|entry| (entry.producer_id(), entry.epoch(), last(entry)))
        .collect();
    assert_eq!(told, [(ID, 0, Some(4)), (ID + 1, 2, Some(2))]);
    append_at(&*log, produced(ID, 1, 0, 1), 9).await;
    let known = log.producers().expect("the log serves");
    assert_eq!((known[0].epoch(), last(&known[0])), (1, Some(0)));
}
