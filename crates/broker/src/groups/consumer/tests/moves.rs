//! Moves of one group, one after the other.

use super::*;

fn new_group() -> AnyGroup {
    AnyGroup::new(at(0))
}

/// A group with member `a` that has all four partitions of `t`, in epoch 1.
fn alone() -> (AnyGroup, World) {
    let world = World::with(&[("t", 4)]);
    let mut group = new_group();
    let answer = beat(&mut group, &world, &joins("a", &["t"])).expect("joined");
    assert_eq!((answer.epoch, shown(&answer)), (1, of("t", &[0, 1, 2, 3])));
    assert_eq!(answer.interval_ms, 5_000);
    (group, world)
}

#[test]
fn partitions_go_over_when_their_owner_has_let_go_of_them() {
    let (mut group, world) = alone();
    let answer = beat(&mut group, &world, &joins("b", &["t"])).expect("joined");
    assert_eq!(
        (answer.epoch, shown(&answer)),
        (2, nothing()),
        "nothing is free yet"
    );
    assert_eq!(group.state(), GroupState::Reconciling);
    // The first is told to let go of two; it is not in the new epoch before it has.
    let answer = beat(&mut group, &world, &beats("a", 1)).expect("beats");
    assert_eq!((answer.epoch, shown(&answer)), (1, of("t", &[0, 1])));
    let answer = beat(&mut group, &world, &owning("a", 1, &[("t", &[0, 1, 2, 3])]));
    assert_eq!(
        answer.map(|answer| answer.epoch),
        Ok(1),
        "it has them still"
    );
    let answer = beat(&mut group, &world, &beats("b", 2)).expect("beats");
    assert_eq!((answer.epoch, answer.assignment), (2, None));
    let answer = beat(&mut group, &world, &owning("a", 1, &[("t", &[0, 1])])).expect("beats");
    assert_eq!((answer.epoch, answer.assignment), (2, None), "let go of");
    let answer = beat(&mut group, &world, &beats("b", 2)).expect("beats");
    assert_eq!((answer.epoch, shown(&answer)), (2, of("t", &[2, 3])));
    assert_eq!(group.state(), GroupState::Stable);
    // Nothing changes any more, so nothing is stored.
    let (answer, store) = beat_at(&mut group, &world, 0, &beats("b", 2));
    assert_eq!(
        (answer.map(|answer| answer.assignment), store),
        (Ok(None), false)
    );
}

#[test]
fn who_does_not_let_go_in_time_is_out() {
    let (mut group, world) = alone();
    beat(&mut group, &world, &joins("b", &["t"])).expect("joined");
    beat(&mut group, &world, &beats("a", 1)).expect("told to let go");
    let config = GroupConfig::default();
    let mut ms = 0;
    while ms < 19_000 {
        ms += 5_000;
        for (id, epoch) in [("a", 1), ("b", 2)] {
            beat_at(&mut group, &world, ms.min(19_000), &beats(id, epoch))
                .0
                .expect("alive");
        }
    }
    assert_eq!(group.next_deadline(), Some(at(20_000).monotonic));
    let effects = group.tick(&config, at(20_000));
    assert!(effects.store, "somebody is out");
    let gone = beat_at(&mut group, &world, 20_000, &beats("a", 1)).0;
    assert_eq!(
        gone,
        Err(GroupError::UnknownMember {
            member: "a".to_owned()
        })
    );
    let answer = beat_at(&mut group, &world, 20_000, &beats("b", 2))
        .0
        .expect("beats");
    assert_eq!((answer.epoch, shown(&answer)), (3, of("t", &[0, 1, 2, 3])));
}

#[test]
fn who_is_silent_is_out_after_its_session() {
    let (mut group, world) = alone();
    let config = GroupConfig::default();
    assert_eq!(group.next_deadline(), Some(at(45_000).monotonic));
    assert!(!group.tick(&config, at(44_999)).store);
    assert!(group.tick(&config, at(45_000)).store);
    assert_eq!(
        (group.state(), consumer(&group).epoch),
        (GroupState::Empty, 2)
    );
    let answer = beat_at(&mut group, &world, 45_000, &joins("a", &["t"]))
        .0
        .expect("joined");
    assert_eq!(answer.epoch, 3, "no epoch comes twice");
}

#[test]
fn wrong_epochs_are_fenced_and_a_lost_answer_is_repeated() {
    let (mut group, world) = alone();
    let fenced = |asked, current| Err(GroupError::FencedMemberEpoch { asked, current });
    assert_eq!(beat(&mut group, &world, &beats("a", 2)), fenced(2, 1));
    beat(&mut group, &world, &joins("b", &["t"])).expect("joined");
    beat(&mut group, &world, &beats("a", 1)).expect("told to let go");
    beat(&mut group, &world, &owning("a", 1, &[("t", &[0, 1])])).expect("in epoch 2");
    // The answer was lost: the epoch before is good with no more than what it has.
    let again = beat(&mut group, &world, &owning("a", 1, &[("t", &[0, 1])])).expect("repeated");
    assert_eq!(again.epoch, 2);
    assert_eq!(
        beat(&mut group, &world, &owning("a", 1, &[("t", &[0, 1, 2])])),
        fenced(1, 2)
    );
    assert_eq!(beat(&mut group, &world, &beats("a", 1)), fenced(1, 2));
    let unknown = Err(GroupError::UnknownMember {
        member: "x".to_owned(),
    });
    assert_eq!(beat(&mut group, &world, &beats("x", 1)), unknown);
    // A join is repeated too, while the member has not gone on.
    let again = beat(&mut group, &world, &joins("c", &["t"])).expect("joined");
    let twice = beat(&mut group, &world, &joins("c", &["t"])).expect("joined");
    assert_eq!((again.epoch, twice.epoch), (3, 3));
}

#[test]
fn commits_and_fetches_know_the_epoch() {
    let (mut group, world) = alone();
    beat(&mut group, &world, &joins("b", &["t"])).expect("joined");
    beat(&mut group, &world, &beats("a", 1)).expect("told to let go");
    beat(&mut group, &world, &owning("a", 1, &[("t", &[0, 1])])).expect("in epoch 2");
    let group = consumer(&group);
    let place = |partition| (topic("t"), partition);
    let stale = |asked| Err(GroupError::StaleMemberEpoch { asked, current: 2 });
    // Epoch, partitions, outcome: it has had 0 and 1 since epoch 1, and 2 no more.
    let cases: [(i32, &[(TopicId, u32)], _); 6] = [
        (2, &[place(0), place(3)], Ok(())),
        (1, &[place(0), place(1)], Ok(())),
        (1, &[place(0), place(2)], stale(1)),
        (0, &[place(0)], stale(0)),
        (3, &[place(0)], stale(3)),
        (-1, &[place(0)], stale(-1)),
    ];
    for (epoch, partitions, expected) in cases {
        let outcome = group.commits(("a", epoch), true, partitions);
        assert_eq!(outcome, expected, "epoch {epoch}, {partitions:?}");
    }
    let old = group.commits(("a", 2), false, &[place(0)]);
    assert_eq!(old, Err(GroupError::VersionTooOld));
    let unknown = || {
        Err(GroupError::UnknownMember {
            member: String::new(),
        })
    };
    assert_eq!(group.commits(("", -1), true, &[]), unknown());
    assert_eq!(group.fetches("a", 2), Ok(()));
    assert_eq!(group.fetches("a", 1), stale(1));
    assert_eq!(group.fetches("", -1), unknown());
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let world = World::with(&[("t", 4)]);
    let mut group = new_group();
    let named = |id: &str, epoch| Beat {
        instance_id: Some("i".to_owned()),
        epoch,
        ..joins(id, &["t"])
    };
    let later = |id: &str, epoch| Beat {
        instance_id: Some("i".to_owned()),
        ..beats(id, epoch)
    };
    beat(&mut group, &world, &named("a", 0)).expect("joined");
    let unreleased = Err(GroupError::UnreleasedInstance {
        instance: "i".to_owned(),
    });
    assert_eq!(beat(&mut group, &world, &named("b", 0)), unreleased);
    let away = beat(&mut group, &world, &later("a", -2)).expect("away");
    assert_eq!((away.epoch, away.assignment), (-2, None));
    let back = beat(&mut group, &world, &named("b", 0)).expect("back");
    assert_eq!(
        (back.epoch, shown(&back)),
        (1, of("t", &[0, 1, 2, 3])),
        "no rebalance"
    );
    let fenced = Err(GroupError::FencedInstance {
        instance: "i".to_owned(),
    });
    assert_eq!(beat(&mut group, &world, &later("a", 1)), fenced);
    beat(&mut group, &world, &later("b", -1)).expect("left for good");
    assert_eq!(group.state(), GroupState::Empty);
}

#[test]
fn topics_that_come_and_grow_are_shared_out_by_name_and_by_expression() {
    let mut world = World::with(&[("t", 1), ("u1", 1)]);
    let mut group = new_group();
    let by_regex = Beat {
        names: None,
        regex: Some("u.*".to_owned()),
        ..joins("a", &[])
    };
    let answer = beat(&mut group, &world, &by_regex).expect("joined");
    assert_eq!(shown(&answer), of("u1", &[0]));
    world.set("xu", 1);
    world.set("u2", 2);
    let answer = beat(&mut group, &world, &beats("a", 1)).expect("beats");
    let all = vec![("u1".to_owned(), vec![0]), ("u2".to_owned(), vec![0, 1])];
    assert_eq!((answer.epoch, shown(&answer)), (2, all));
    // A topic that nobody means changes nothing.
    world.set("v", 1);
    let (answer, store) = beat_at(&mut group, &world, 0, &beats("a", 2));
    assert_eq!((answer.map(|a| a.epoch), store), (Ok(2), false));
    world.set("u1", 3);
    world.topics.remove("u2");
    let answer = beat(&mut group, &world, &beats("a", 2)).expect("beats");
    assert_eq!(
        (answer.epoch, shown(&answer)),
        (2, of("u1", &[0])),
        "lets go of u2 first"
    );
    let answer = beat(&mut group, &world, &owning("a", 2, &[("u1", &[0])])).expect("beats");
    assert_eq!((answer.epoch, shown(&answer)), (3, of("u1", &[0, 1, 2])));
    let names = Beat {
        names: Some(vec!["t".to_owned()]),
        regex: Some(String::new()),
        ..owning("a", 3, &[])
    };
    let answer = beat(&mut group, &world, &names).expect("beats");
    assert_eq!((answer.epoch, shown(&answer)), (4, of("t", &[0])));
}

#[test]
fn requests_that_contradict_themselves_are_refused() {
    let (mut group, world) = alone();
    type Change = fn(&mut Beat);
    let cases: [(Change, &str); 13] = [
        (|beat| beat.member_id.clear(), "MemberId"),
        (|beat| beat.instance_id = Some(" ".into()), "InstanceId"),
        (|beat| beat.rack_id = Some(String::new()), "RackId"),
        (
            |beat| beat.rebalance_timeout_ms = None,
            "RebalanceTimeoutMs",
        ),
        (|beat| beat.owned = None, "TopicPartitions"),
        (|beat| beat.names = None, "SubscribedTopicNames"),
        (|beat| beat.epoch = -2, "InstanceId"),
        (|beat| beat.epoch = -3, "MemberEpoch"),
        (|beat| beat.assignor = Some("x".into()), "uniform, range"),
        (|beat| beat.regex = Some("a(".into()), "unclosed group"),
        (|beat| beat.regex = Some("a)|(b".into()), "unopened group"),
        (
            |beat| beat.regex = Some("(a{1000}){1000}".into()),
            "size limit",
        ),
        (|beat| beat.regex = Some("a".repeat(5_000)), "4096"),
    ];
    let before = format!("{group:?}");
    for (change, expected) in cases {
        let mut request = joins("b", &["t"]);
        change(&mut request);
        let refused = beat(&mut group, &world, &request).expect_err(expected);
        assert!(
            refused.to_string().contains(expected),
            "{refused} for {request:?}"
        );
    }
    assert_eq!(format!("{group:?}"), before, "nothing has changed");
}

#[test]
fn a_group_goes_on_after_a_restart_without_a_rebalance() {
    let (mut group, world) = alone();
    let named = Beat {
        instance_id: Some("i".to_owned()),
        regex: Some("t".to_owned()),
        assignor: Some("range".to_owned()),
        rack_id: Some("r".to_owned()),
        ..joins("b", &["u"])
    };
    beat(&mut group, &world, &named).expect("joined");
    beat(&mut group, &world, &beats("a", 1)).expect("told to let go");
    let record = group.encode().expect("always stored");
    let config = GroupConfig::default();
    for cut in 0..record.len() {
        let part = record.slice(..cut);
        assert!(
            AnyGroup::decode(&part, &config, at(0)).is_err(),
            "cut at {cut}"
        );
    }
    let mut group = AnyGroup::decode(&record, &config, at(0)).expect("readable");
    whole(&group);
    assert_eq!(group.encode(), Some(record));
    let (answer, store) = beat_at(&mut group, &world, 0, &beats("b", 2));
    assert_eq!(
        (answer.map(|a| a.epoch), store),
        (Ok(2), false),
        "nothing new"
    );
    let answer = beat(&mut group, &world, &owning("a", 1, &[("t", &[2, 3])])).expect("beats");
    assert_eq!(answer.epoch, 2);
    let answer = beat(&mut group, &world, &beats("b", 2)).expect("beats");
    assert_eq!(shown(&answer), of("t", &[0, 1]));
}

#[test]
fn a_full_group_takes_nobody_more() {
    let world = World::with(&[("t", 4)]);
    let mut group = new_group();
    let mut config = GroupConfig::default();
    config.consumer.size_max = 1;
    for (id, expected) in [
        ("a", Ok(1)),
        ("b", Err(GroupError::Full { limit: 1 })),
        ("a", Ok(1)),
    ] {
        let (waiter, mut answer) = oneshot::channel();
        let beating = Beating {
            config: &config,
            now: at(0),
            topics: &world,
            fresh_id: Arc::from("fresh"),
        };
        send(group.beat(&joins(id, &["t"]), beating, waiter));
        let answer = answer.try_recv().expect("answered");
        assert_eq!(answer.map(|answer| answer.epoch), expected, "{id}");
    }
}

/// The file is only added to: data of every release must stay readable.
#[test]
fn the_record_is_what_is_on_disk() {
    let golden = include_str!("../../../../tests/golden/group-record-v2.hex").trim();
    let (mut group, world) = alone();
    let named = Beat {
        instance_id: Some("i".to_owned()),
        regex: Some("t".to_owned()),
        assignor: Some("range".to_owned()),
        rack_id: Some("r".to_owned()),
        ..joins("b", &["u"])
    };
    beat(&mut group, &world, &named).expect("joined");
    beat(&mut group, &world, &beats("a", 1)).expect("told to let go");
    let record = group.encode().expect("always stored");
    let hex: String = record
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(hex, golden);
}
