//! The states of a session.

use super::*;

const NOW: Duration = Duration::from_secs(1000);

fn key(topic: &str, partition: i32) -> PartitionKey {
    PartitionKey {
        topic: TopicKey::Name(topic.into()),
        partition,
    }
}

fn wanted(partition: i32, from: i64) -> Wanted {
    Wanted {
        key: key("t", partition),
        from,
        bytes_max: 1,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
    }
}

fn asked(session_id: i32, epoch: i32, wanted: Vec<Wanted>) -> Asked {
    Asked {
        session_id,
        epoch,
        uses_ids: false,
        wanted,
        forgotten: Vec::new(),
    }
}

fn open(sessions: &Sessions, partitions: i32, now: Duration) -> Resolved {
    let all = (0..partitions).map(|partition| wanted(partition, 0));
    let opened = sessions.resolve(asked(0, INITIAL_EPOCH, all.collect()), now);
    opened.expect("opens")
}

fn partitions(resolved: &Resolved) -> Vec<i32> {
    let keys = resolved.wanted.iter().map(|wanted| &wanted.key);
    keys.map(|key| key.partition).collect()
}

fn told(high_watermark: i64) -> Told {
    Told {
        high_watermark,
        log_start: 0,
    }
}

fn count(sessions: &Sessions) -> (usize, usize) {
    let table = sessions.table.lock();
    (table.slots.len(), table.partitions)
}

#[test]
fn without_a_session_nothing_is_kept() {
    let sessions = Sessions::default();
    let resolved = sessions.resolve(asked(0, FINAL_EPOCH, vec![wanted(1, 5)]), NOW);
    let resolved = resolved.expect("a full fetch");
    assert_eq!((resolved.session_id, partitions(&resolved)), (0, vec![1]));
    assert!(resolved.must_tell(&key("t", 1), told(0), false));
    assert_eq!(count(&sessions), (0, 0));
}

#[test]
fn a_partition_named_twice_counts_once() {
    let sessions = Sessions::default();
    for epoch in [FINAL_EPOCH, INITIAL_EPOCH] {
        let twice = vec![wanted(1, 5), wanted(2, 0), wanted(1, 7)];
        let resolved = sessions.resolve(asked(0, epoch, twice), NOW).expect("full");
        assert_eq!(resolved.wanted, [wanted(1, 7), wanted(2, 0)]);
    }
}

#[test]
fn a_session_tells_what_changed() {
    let sessions = Sessions::default();
    let opened = open(&sessions, 3, NOW);
    assert!(opened.session_id > 0);
    let id = opened.session_id;
    for partition in 0..3 {
        // A full answer lists everything.
        assert!(opened.must_tell(&key("t", partition), told(0), false));
    }
    let next = |epoch, changes| {
        sessions
            .resolve(asked(id, epoch, changes), NOW)
            .expect("known")
    };
    let second = next(1, Vec::new());
    assert_eq!(second.session_id, id);
    assert!(!second.must_tell(&key("t", 0), told(0), false), "no news");
    assert!(
        second.must_tell(&key("t", 1), told(1), false),
        "the watermark moved"
    );
    assert!(second.must_tell(&key("t", 2), told(0), true), "records");
    let third = next(2, vec![wanted(1, 9)]);
    let one = third.wanted.iter().find(|wanted| wanted.key.partition == 1);
    assert_eq!(one, Some(&wanted(1, 9)), "a changed partition");
    assert_eq!(third.wanted.len(), 3);
    assert!(!third.must_tell(&key("t", 1), told(1), false), "was told");
    let moved = Told {
        high_watermark: 1,
        log_start: 1,
    };
    assert!(
        third.must_tell(&key("t", 1), moved, false),
        "the start moved"
    );
    let fourth = next(3, vec![wanted(7, 0)]);
    assert!(
        fourth.must_tell(&key("t", 7), told(0), false),
        "a new partition"
    );
    assert_eq!(count(&sessions), (1, 4));
}

#[test]
fn an_error_is_told_each_time_and_so_is_its_end() {
    let sessions = Sessions::default();
    let opened = open(&sessions, 1, NOW);
    assert!(opened.must_tell(&key("t", 0), told(4), false));
    let next = |epoch| {
        let resolved = sessions.resolve(asked(opened.session_id, epoch, Vec::new()), NOW);
        resolved.expect("known")
    };
    assert!(next(1).must_tell(&key("t", 0), told(-1), true));
    assert!(next(2).must_tell(&key("t", 0), told(-1), true));
    assert!(
        next(3).must_tell(&key("t", 0), told(4), false),
        "well again"
    );
    assert!(!next(4).must_tell(&key("t", 0), told(4), false));
}

#[test]
fn every_fetch_begins_with_another_partition() {
    let sessions = Sessions::default();
    let opened = open(&sessions, 3, NOW);
    assert_eq!(partitions(&opened), [0, 1, 2]);
    let expected = [[1, 2, 0], [2, 0, 1], [0, 1, 2]];
    for (epoch, expected) in (1..).zip(expected) {
        let resolved = sessions.resolve(asked(opened.session_id, epoch, Vec::new()), NOW);
        assert_eq!(partitions(&resolved.expect("known")), expected);
    }
}

#[test]
fn forgetting() {
    let sessions = Sessions::default();
    let opened = open(&sessions, 3, NOW);
    let id = opened.session_id;
    let forget = |epoch, gone: &[i32], more| {
        let request = Asked {
            forgotten: gone.iter().map(|partition| key("t", *partition)).collect(),
            ..asked(id, epoch, more)
        };
        sessions.resolve(request, NOW).expect("known")
    };
    let mut left = partitions(&forget(1, &[1, 9], Vec::new()));
    left.sort_unstable();
    assert_eq!(left, [0, 2]);
    // The places of those that stay are right after the removal.
    let changed = forget(2, &[], vec![wanted(2, 8)]);
    assert!(changed.wanted.contains(&wanted(2, 8)), "{changed:?}");
    assert_eq!(count(&sessions), (1, 2));
    let none = forget(3, &[0, 2], Vec::new());
    assert_eq!((none.session_id, none.wanted.len()), (0, 0));
    assert_eq!(count(&sessions), (0, 0), "a session of nothing ends");
}

#[test]
fn wrong_ids_epochs_and_names() {
    let sessions = Sessions::default();
    let id = open(&sessions, 1, NOW).session_id;
    let refused = |asked| sessions.resolve(asked, NOW).expect_err("wrong");
    let cases = [
        (
            asked(id + 1, 1, Vec::new()),
            ErrorCode::FetchSessionIdNotFound,
        ),
        (asked(0, 1, Vec::new()), ErrorCode::FetchSessionIdNotFound),
        (asked(-5, 1, Vec::new()), ErrorCode::FetchSessionIdNotFound),
        (
            asked(id, 2, Vec::new()),
            ErrorCode::InvalidFetchSessionEpoch,
        ),
        (
            asked(id, -2, Vec::new()),
            ErrorCode::InvalidFetchSessionEpoch,
        ),
        (
            Asked {
                uses_ids: true,
                ..asked(id, 1, Vec::new())
            },
            ErrorCode::FetchSessionTopicIdError,
        ),
    ];
    for (request, code) in cases {
        assert_eq!(refused(request), code);
    }
    // None of it moved the session.
    sessions
        .resolve(asked(id, 1, Vec::new()), NOW)
        .expect("the right epoch");
    let again = sessions.resolve(asked(id, 1, Vec::new()), NOW);
    assert_eq!(
        again.expect_err("used"),
        ErrorCode::InvalidFetchSessionEpoch
    );
}

#[test]
fn closing_and_opening_anew_end_a_session() {
    let sessions = Sessions::default();
    for epoch in [FINAL_EPOCH, INITIAL_EPOCH] {
        let id = open(&sessions, 1, NOW).session_id;
        let resolved = sessions.resolve(asked(id, epoch, vec![wanted(0, 0)]), NOW);
        let resolved = resolved.expect("a full fetch");
        assert_ne!(resolved.session_id, id);
        let gone = sessions.resolve(asked(id, 1, Vec::new()), NOW);
        assert_eq!(gone.expect_err("ended"), ErrorCode::FetchSessionIdNotFound);
    }
    assert_eq!(count(&sessions).0, 1);
}

#[test]
fn slots_are_limited_and_the_unused_give_way() {
    let sessions = Sessions::default();
    let first = open(&sessions, 1, NOW).session_id;
    for _ in 1..SLOTS {
        assert_ne!(
            open(&sessions, 1, NOW + Duration::from_secs(1)).session_id,
            0
        );
    }
    assert_eq!(count(&sessions), (SLOTS, SLOTS));
    let early = NOW + EVICTION_AFTER.saturating_sub(Duration::from_millis(1));
    assert_eq!(open(&sessions, 1, early).session_id, 0, "all are in use");
    let late = NOW + EVICTION_AFTER;
    assert_ne!(open(&sessions, 1, late).session_id, 0);
    assert_eq!(count(&sessions).0, SLOTS);
    let gone = sessions.resolve(asked(first, 1, Vec::new()), late);
    assert_eq!(
        gone.expect_err("gave way"),
        ErrorCode::FetchSessionIdNotFound
    );
}

#[test]
fn the_partitions_of_all_sessions_are_limited() {
    let sessions = Sessions::default();
    let half = i32::try_from(PARTITIONS_MAX / 2).expect("fits");
    let first = open(&sessions, half, NOW).session_id;
    let second = open(&sessions, half, NOW).session_id;
    assert!(first != 0 && second != 0);
    assert_eq!(
        open(&sessions, 1, NOW).session_id,
        0,
        "no session, but an answer"
    );
    let grown = sessions.resolve(asked(first, 1, vec![wanted(half, 0)]), NOW);
    assert_eq!(
        grown.expect_err("too many"),
        ErrorCode::FetchSessionIdNotFound
    );
    assert_eq!(count(&sessions), (1, PARTITIONS_MAX / 2));
    assert_ne!(open(&sessions, 1, NOW).session_id, 0);
}

#[test]
fn epochs_and_ids_go_round() {
    assert_eq!(next_epoch(i32::MAX), 1);
    assert_eq!(next_epoch(1), 2);
    let sessions = Sessions::default();
    let taken = open(&sessions, 1, NOW).session_id;
    sessions.table.lock().last_id = i32::MAX;
    let next = open(&sessions, 1, NOW).session_id;
    assert!(next > 0 && next != taken, "{next} {taken}");
}
