//! Making, opening and removing topics.

use std::sync::Arc;

use records::Offset;

use super::Fixture;
use super::samples::{NO_LIMIT, append, append_at, batch, stored, topic};
use crate::log::{AppendError, Fence, Isolation, ReadError, TimeQuery};
use crate::store::{OpenError, StoreError};
use crate::topic::{TopicId, TopicMeta};
use crate::{BytesPermit, Waiter};

/// [`LogStore::topics`](crate::LogStore::topics) gives all that was made, as it was made.
pub async fn topics_are_listed_by_name(fixture: Fixture) {
    let store = fixture.store;
    assert_eq!(store.topics().await, Ok(Vec::new()));
    let (a, b, c) = (topic("a", 1), topic("b", 3), topic("c", 2));
    for wanted in [&b, &c, &a] {
        store
            .create(wanted, 0..wanted.partitions)
            .await
            .expect("a topic is created");
    }
    assert_eq!(store.topics().await, Ok(vec![a, b, c]));
}

/// A creation that is repeated, as after a crash, finishes and keeps what is there.
pub async fn create_again_keeps_the_records(fixture: Fixture) {
    let log = fixture.log().await;
    append_at(&*log, batch(3), 0).await;
    let same = fixture.log().await;
    assert_eq!(same.ends().log_end, Offset::new(3));
    assert_eq!(stored(&*same, 0).await.len(), 1);
    append_at(&*log, batch(1), 3).await;
}

/// New partitions stand beside the old ones.
pub async fn partitions_are_added(fixture: Fixture) {
    let store = fixture.store;
    let two = topic("grows", 2);
    store.create(&two, 0..2).await.expect("a topic is created");
    let first = store.open(&two, 0).expect("partition 0 opens");
    append_at(&*first, batch(2), 0).await;
    let five = TopicMeta {
        partitions: 5,
        ..two
    };
    store
        .create(&five, 2..5)
        .await
        .expect("partitions are added");
    for partition in 1..5 {
        let log = store.open(&five, partition).expect("every partition opens");
        assert_eq!(
            log.ends().log_end,
            Offset::ZERO,
            "partition {partition} is empty"
        );
    }
    let first = store.open(&five, 0).expect("partition 0 opens");
    assert_eq!(first.ends().log_end, Offset::new(2));
    assert_eq!(store.topics().await, Ok(vec![five]));
}

/// Nobody's directory is written over.
pub async fn a_name_taken_by_another_id_is_occupied(fixture: Fixture) {
    let log = fixture.log().await;
    append_at(&*log, batch(1), 0).await;
    let other = TopicMeta {
        id: TopicId([9; 16]),
        ..topic("events", 1)
    };
    let refused = fixture.store.create(&other, 0..1).await;
    assert!(
        matches!(refused, Err(StoreError::Occupied { .. })),
        "{refused:?}"
    );
    assert_eq!(
        stored(&*log, 0).await.len(),
        1,
        "the topic that was there is untouched"
    );
    assert_eq!(fixture.store.topics().await, Ok(vec![topic("events", 1)]));
}

/// One log, one object: its lock and its waiters are the same for all.
pub async fn open_gives_the_same_log(fixture: Fixture) {
    let log = fixture.log().await;
    let again = fixture
        .store
        .open(&topic("events", 1), 0)
        .expect("the log opens");
    assert!(Arc::ptr_eq(&log, &again));
}

/// What is not there is an error, never an empty log.
pub async fn what_is_missing_does_not_open(fixture: Fixture) {
    fixture.log().await;
    let there = topic("events", 1);
    let cases = [
        ("no such topic", topic("nothing", 1), 0),
        (
            "another id",
            TopicMeta {
                id: TopicId([9; 16]),
                ..there.clone()
            },
            0,
        ),
        ("no such partition", there, 1),
    ];
    for (label, wanted, partition) in cases {
        let Err(OpenError::Missing {
            topic,
            partition: named,
            reason,
        }) = fixture.store.open(&wanted, partition)
        else {
            unreachable!("{label} must not open")
        };
        assert_eq!((topic, named), (wanted.name, partition), "{label}");
        assert!(!reason.is_empty(), "{label}");
    }
}

/// A name can be used again at once, and nothing of the old topic shows.
pub async fn a_recreated_topic_is_empty(fixture: Fixture) {
    let log = fixture.log().await;
    append_at(&*log, batch(3), 0).await;
    let old = topic("events", 1);
    fixture
        .store
        .remove(&old)
        .await
        .expect("the topic is removed");
    assert_eq!(fixture.store.topics().await, Ok(Vec::new()));
    assert!(matches!(
        fixture.store.open(&old, 0),
        Err(OpenError::Missing { .. })
    ));

    let new = TopicMeta {
        id: TopicId([9; 16]),
        ..old
    };
    fixture
        .store
        .create(&new, 0..1)
        .await
        .expect("the name is free");
    let log = fixture.store.open(&new, 0).expect("the new log opens");
    assert_eq!(log.ends().log_end, Offset::ZERO);
    append_at(&*log, batch(1), 0).await;
    assert_eq!(stored(&*log, 0).await.len(), 1);
}

/// A removal that comes late does not take the topic that has the name now.
pub async fn removal_asks_for_the_id(fixture: Fixture) {
    let log = fixture.log().await;
    let other = TopicMeta {
        id: TopicId([9; 16]),
        ..topic("events", 1)
    };
    assert_eq!(fixture.store.remove(&other).await, Ok(()));
    assert_eq!(fixture.store.remove(&topic("nothing", 1)).await, Ok(()));
    append_at(&*log, batch(1), 0).await;
    assert_eq!(fixture.store.topics().await, Ok(vec![topic("events", 1)]));
}

/// Who still holds a removed log gets errors and is woken, so that nobody waits for ever.
pub async fn removal_ends_open_logs(fixture: Fixture) {
    let log = fixture.log().await;
    append_at(&*log, batch(1), 0).await;
    let waiter = Waiter::new();
    log.wait(Arc::clone(&waiter));
    fixture
        .store
        .remove(&topic("events", 1))
        .await
        .expect("the topic is removed");
    waiter.woken().await;

    let appended = append(&*log, batch(1)).await;
    assert!(
        matches!(appended, Err(AppendError::Storage(_))),
        "{appended:?}"
    );
    let read = log
        .read(Offset::ZERO, NO_LIMIT, Isolation::ReadUncommitted)
        .await;
    assert!(matches!(read, Err(ReadError::Storage(_))), "{read:?}");
    let found = log
        .offset_at(TimeQuery::Largest, Isolation::ReadUncommitted)
        .await;
    assert!(matches!(found, Err(ReadError::Storage(_))), "{found:?}");
    assert!(log.settled().await.is_err());
    let late = Waiter::new();
    log.wait(Arc::clone(&late));
    late.woken().await;
}

/// A ticket given out before the removal resolves, well or badly.
pub async fn removal_resolves_pending_tickets(fixture: Fixture) {
    let log = fixture.log().await;
    let mut tickets = Vec::new();
    for _ in 0..20 {
        tickets.push(log.append(batch(1), Fence::default(), BytesPermit::free()));
    }
    fixture
        .store
        .remove(&topic("events", 1))
        .await
        .expect("the topic is removed");
    for (expected, ticket) in (0_i64..).zip(tickets) {
        match ticket.durable().await {
            Ok(base) => assert_eq!(base.get(), expected),
            Err(error) => assert!(matches!(error, AppendError::Storage(_)), "{error:?}"),
        }
    }
}
