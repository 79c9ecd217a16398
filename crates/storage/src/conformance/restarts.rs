//! What is there after a store was opened again on the same data.

use std::sync::Arc;

use records::Offset;

use super::samples::{append, valued, values};
use super::samples::{append_at, batch, produced, stored, topic, topic_of_small_segments};
use super::{Ending, Fixture};
use crate::BytesPermit;
use crate::log::{AppendError, EpochEnd, Fence, Log};
use crate::metadata::{Key, Space, Version, Write};

const ENDINGS: [Ending; 2] = [Ending::Clean, Ending::Killed];
const ID: i64 = 4711;

/// All that was acknowledged is there after a stop in order, and the next offset follows.
pub async fn records_survive_a_clean_end(fixture: Fixture) {
    records_survive(fixture, Ending::Clean).await;
}

/// All that was acknowledged is there after a kill, and the next offset follows.
pub async fn records_survive_a_kill(fixture: Fixture) {
    records_survive(fixture, Ending::Killed).await;
}

async fn records_survive(mut fixture: Fixture, ending: Ending) {
    let topic = topic_of_small_segments("small");
    let empty = super::samples::topic("empty", 1);
    fixture
        .store
        .create(&topic, 0..1)
        .await
        .expect("a topic is created");
    fixture
        .store
        .create(&empty, 0..1)
        .await
        .expect("a topic is created");
    let mut expected = Vec::new();
    for round in 0..4 {
        let log = open(&fixture, &topic);
        assert_eq!(values(&*log).await, expected, "in round {round}");
        for _ in 0..30 {
            let next = i64::try_from(expected.len()).expect("small");
            let value = format!("{next} in round {round}");
            append_at(&*log, valued(&value), next).await;
            expected.push((next, value));
        }
        let before = (log.ends(), log.footprint().size_bytes);
        drop(log);
        fixture = fixture.reopen(ending);
        let log = open(&fixture, &topic);
        assert_eq!(
            (log.ends(), log.footprint().size_bytes),
            before,
            "in round {round}"
        );
    }
    let log = open(&fixture, &empty);
    assert_eq!(log.ends().log_end, Offset::ZERO);
    append_at(&*log, batch(1), 0).await;
}

/// What was on its way when the store was killed is there up to some point and not after; nothing
/// else takes the place of what was visible.
pub async fn unfinished_appends_leave_a_prefix(mut fixture: Fixture) {
    let topic = topic_of_small_segments("small");
    fixture
        .store
        .create(&topic, 0..1)
        .await
        .expect("a topic is created");
    let mut sent: Vec<(i64, String)> = Vec::new();
    for round in 0..5 {
        let log = open(&fixture, &topic);
        for _ in 0..20 {
            let next = i64::try_from(sent.len()).expect("small");
            let value = format!("{next} in round {round}");
            let ticket = log.append(valued(&value), Fence::default(), BytesPermit::free());
            assert_eq!(ticket.placed(), Ok(Offset::new(next)));
            sent.push((next, value));
        }
        let visible = log.ends().high_watermark;
        drop(log);
        fixture = fixture.reopen(Ending::Killed);
        let log = open(&fixture, &topic);
        let found = values(&*log).await;
        let ends = log.ends();
        assert_eq!(
            ends.high_watermark, ends.log_end,
            "what is found is durable"
        );
        assert!(ends.log_end >= visible, "what was visible is found");
        assert!(
            sent.starts_with(&found),
            "in round {round}: {found:?} of {sent:?}"
        );
        sent.truncate(found.len());
    }
}

/// Retries are recognised and gaps refused as before.
pub async fn producers_survive(mut fixture: Fixture) {
    let topic = topic_of_small_segments("small");
    fixture
        .store
        .create(&topic, 0..1)
        .await
        .expect("a topic is created");
    let log = open(&fixture, &topic);
    for sequence in 0..70 {
        append_at(&*log, produced(ID, 2, sequence, 1), i64::from(sequence)).await;
    }
    drop(log);
    let endings = [Ending::Clean, Ending::Killed, Ending::Killed, Ending::Clean];
    for (next, ending) in (70..).zip(endings) {
        fixture = fixture.reopen(ending);
        let log = open(&fixture, &topic);
        let before = log.ends();
        for sequence in next - 5..next {
            append_at(&*log, produced(ID, 2, sequence, 1), i64::from(sequence)).await;
        }
        let gap = AppendError::OutOfOrderSequence {
            producer_id: ID,
            expected: next,
            got: next + 1,
        };
        assert_eq!(append(&*log, produced(ID, 2, next + 1, 1)).await, Err(gap));
        let stale = AppendError::StaleProducerEpoch {
            producer_id: ID,
            current: 2,
            got: 1,
        };
        assert_eq!(append(&*log, produced(ID, 1, 0, 1)).await, Err(stale));
        assert_eq!(log.ends(), before, "nothing of this is written");
        append_at(&*log, produced(ID, 2, next, 1), i64::from(next)).await;
    }
}

/// Who wrote is told by a log that nobody has used since the start, too.
pub async fn producers_are_told_after_a_restart(mut fixture: Fixture) {
    let log = fixture.log().await;
    append_at(&*log, produced(ID, 2, 0, 3), 0).await;
    append_at(&*log, produced(ID, 3, 0, 1), 3).await;
    let before = log.producers();
    assert_eq!(before.as_ref().map(Vec::len), Ok(1));
    drop(log);
    for ending in ENDINGS {
        fixture = fixture.reopen(ending);
        let log = open(&fixture, &topic("events", 1));
        assert_eq!(log.producers(), before);
    }
}

/// Every start leads under a higher epoch, and the log tells where each one ended.
pub async fn epochs_are_told_apart(mut fixture: Fixture) {
    let topic = topic("events", 1);
    fixture
        .store
        .create(&topic, 0..1)
        .await
        .expect("a topic is created");
    let mut ends: Vec<(i32, i64)> = Vec::new();
    for ending in [Ending::Clean, Ending::Killed, Ending::Clean, Ending::Killed] {
        let log = open(&fixture, &topic);
        let current = log.leader_epoch();
        assert!(
            ends.last().is_none_or(|(before, _)| *before < current),
            "{ends:?}, {current}"
        );
        let start = log.ends().log_end;
        assert_eq!(
            log.epoch_end(current),
            Some(EpochEnd {
                leader_epoch: current,
                end: start
            })
        );
        append_at(&*log, batch(3), start.get()).await;
        let end = start.plus(3);
        assert_eq!(
            log.epoch_end(current),
            Some(EpochEnd {
                leader_epoch: current,
                end
            })
        );
        assert_eq!(log.epoch_end(current + 1), None, "not known yet");
        for &(leader_epoch, end) in &ends {
            let end = Offset::new(end);
            assert_eq!(
                log.epoch_end(leader_epoch),
                Some(EpochEnd { leader_epoch, end })
            );
        }
        let headers = stored(&*log, start.get()).await;
        assert!(
            headers
                .iter()
                .all(|(header, _)| header.leader_epoch == current)
        );
        ends.push((current, end.get()));
        drop(log);
        fixture = fixture.reopen(ending);
    }
}

/// Topics come back as they were made; what was removed stays away, and its name is free.
pub async fn topics_survive_and_removed_ones_do_not(mut fixture: Fixture) {
    let (kept, removed) = (topic("kept", 3), topic("removed", 2));
    for wanted in [&kept, &removed] {
        fixture
            .store
            .create(wanted, 0..wanted.partitions)
            .await
            .expect("a topic is created");
    }
    append_at(&*open(&fixture, &removed), batch(1), 0).await;
    fixture
        .store
        .remove(&removed)
        .await
        .expect("the topic is removed");
    for ending in ENDINGS {
        fixture = fixture.reopen(ending);
        assert_eq!(fixture.store.topics().await, Ok(vec![kept.clone()]));
        assert!(fixture.store.open(&removed, 0).is_err());
        for partition in 0..3 {
            fixture
                .store
                .open(&kept, partition)
                .expect("every partition opens");
        }
    }
    fixture
        .store
        .create(&removed, 0..2)
        .await
        .expect("the name is free");
    append_at(&*open(&fixture, &removed), batch(1), 0).await;
}

/// The table comes back with its versions, and no version is given out again.
pub async fn rows_and_versions_survive(mut fixture: Fixture) {
    let key = |name: &str| Key::space(Space::Topic).part(name.as_bytes());
    let write = |name: &str, value: Option<&'static str>| Write {
        key: key(name),
        value: value.map(|value| value.as_bytes().into()),
    };
    let mut newest = Version::ABSENT;
    for ending in [Ending::Clean, Ending::Killed, Ending::Killed, Ending::Clean] {
        let writes = [write("kept", Some("value")), write("gone", Some("value"))];
        let kept = fixture
            .metadata
            .commit(&[], &writes)
            .await
            .expect("committed");
        assert!(kept > newest, "{kept:?} after {newest:?}");
        // The newest version of all belongs to a row that is gone.
        let gone = fixture
            .metadata
            .commit(&[], &[write("gone", None)])
            .await
            .expect("committed");
        assert!(gone > kept);
        newest = gone;
        fixture = fixture.reopen(ending);
        let found = fixture
            .metadata
            .list(&Key::space(Space::Topic), None, 10)
            .await;
        let found = found.expect("the table can be read");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (&found[0].key, &found[0].value[..]),
            (&key("kept"), &b"value"[..])
        );
        assert_eq!(found[0].version, kept);
        assert_eq!(fixture.metadata.get(&key("gone")).await, Ok(None));
    }
}

fn open(fixture: &Fixture, topic: &crate::TopicMeta) -> Arc<dyn Log> {
    fixture.store.open(topic, 0).expect("the log opens")
}
