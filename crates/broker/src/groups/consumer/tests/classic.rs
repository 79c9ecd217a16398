//! Members of the classic protocol beside those of the new one, and groups that change over.

use bytes::Bytes;

use super::super::super::join::Joining;
use super::super::super::member::{JoinAnswer, JoinGroup, Leaving, Membership, SyncGroup, Synced};
use super::super::super::subscription;
use super::*;

/// A subscription of version 1: topics, no user data, what its member has.
pub(super) fn subscription(topics: &[&str], owned: &[(&str, &[u32])]) -> Bytes {
    let mut bytes = vec![0, 1];
    let put = |bytes: &mut Vec<u8>, number: usize| {
        bytes.extend(u32::try_from(number).expect("small").to_be_bytes());
    };
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
        bytes.extend(text.bytes());
    };
    put(&mut bytes, topics.len());
    for topic in topics {
        text(&mut bytes, topic);
    }
    bytes.extend([0xff; 4]);
    put(&mut bytes, owned.len());
    for (topic, of) in owned {
        text(&mut bytes, topic);
        put(&mut bytes, of.len());
        of.iter()
            .for_each(|number| bytes.extend(number.to_be_bytes()));
    }
    bytes.into()
}

pub(super) fn join_request(id: &str, metadata: Bytes) -> JoinGroup {
    JoinGroup {
        member_id: id.to_owned(),
        client_id: "c".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), metadata)],
        ..JoinGroup::default()
    }
}

fn join(
    group: &mut AnyGroup,
    world: &World,
    fresh_id: &str,
    request: JoinGroup,
) -> oneshot::Receiver<JoinAnswer> {
    let (waiter, answer) = oneshot::channel();
    let config = GroupConfig::default();
    let joining = Joining {
        config: &config,
        now: at(0),
        fresh_id: fresh_id.into(),
        waiter,
    };
    let effects = group.join(request, joining, world);
    whole(group);
    send(effects);
    answer
}

fn sync(
    group: &mut AnyGroup,
    id: &str,
    generation: i32,
    assignments: Vec<(String, Bytes)>,
) -> Result<Synced, GroupError> {
    let (waiter, mut answer) = oneshot::channel();
    let request = SyncGroup {
        member: from(id, generation),
        assignments,
        ..SyncGroup::default()
    };
    send(group.sync(request, waiter, &GroupConfig::default(), at(0)));
    whole(group);
    answer.try_recv().expect("answered")
}

fn from(id: &str, generation: i32) -> Membership {
    Membership {
        generation,
        member_id: id.to_owned(),
        instance_id: None,
    }
}

fn assigned(synced: Result<Synced, GroupError>) -> Vec<(String, Vec<i32>)> {
    let synced = synced.expect("synced");
    subscription::read_assignment(&synced.assignment).expect("an assignment")
}

/// A classic group with one member `a` that has all four partitions of `t`, in generation 1.
fn classic() -> (AnyGroup, World) {
    let world = World::with(&[("t", 4)]);
    let mut group = AnyGroup::new(at(0));
    let request = join_request("", subscription(&["t"], &[]));
    let mut joined = join(&mut group, &world, "a", request);
    let joined = joined
        .try_recv()
        .expect("answered")
        .outcome
        .expect("joined");
    assert_eq!((joined.generation, &*joined.leader), (1, "a"));
    let all = subscription::write_assignment(1, &[("t", vec![0, 1, 2, 3])]);
    sync(&mut group, "a", 1, vec![("a".to_owned(), all)]).expect("synced");
    (group, world)
}

#[test]
fn a_group_goes_over_to_the_new_protocol_and_back_while_it_works() {
    let (mut group, world) = classic();
    let answer = beat(&mut group, &world, &joins("n", &["t"])).expect("joined");
    assert_eq!((answer.epoch, shown(&answer)), (2, nothing()));
    assert_eq!(consumer(&group).member_count(), 2);
    // The classic member is told to join again, keeps half, and lets go of the rest.
    let told = group.heartbeat(&from("a", 1), at(0));
    assert_eq!(told, Err(GroupError::RebalanceInProgress));
    let has_all = subscription(&["t"], &[("t", &[0, 1, 2, 3])]);
    let mut joined = join(&mut group, &world, "x", join_request("a", has_all));
    let joined = joined
        .try_recv()
        .expect("answered")
        .outcome
        .expect("joined");
    assert_eq!(
        (joined.generation, &*joined.leader, joined.members.len()),
        (1, "", 0)
    );
    let kept = assigned(sync(&mut group, "a", 1, Vec::new()));
    assert_eq!(kept, [("t".to_owned(), vec![0, 1])]);
    let told = group.heartbeat(&from("a", 1), at(0));
    assert_eq!(
        told,
        Err(GroupError::RebalanceInProgress),
        "there is more to do"
    );
    let has_half = subscription(&["t"], &[("t", &[0, 1])]);
    let mut joined = join(&mut group, &world, "x", join_request("a", has_half));
    let joined = joined
        .try_recv()
        .expect("answered")
        .outcome
        .expect("joined");
    assert_eq!(joined.generation, 2);
    assert_eq!(assigned(sync(&mut group, "a", 2, Vec::new())), kept);
    assert_eq!(group.heartbeat(&from("a", 2), at(0)), Ok(()));
    let answer = beat(&mut group, &world, &beats("n", 2)).expect("beats");
    assert_eq!(shown(&answer), of("t", &[2, 3]));
    assert_eq!(group.state(), GroupState::Stable);
    // The last member of the new protocol leaves.
    beat(&mut group, &world, &beats("n", -1)).expect("left");
    assert!(matches!(group, AnyGroup::Classic(_)));
    assert_eq!(group.state(), GroupState::PreparingRebalance);
    assert_eq!(
        group.heartbeat(&from("a", 2), at(0)),
        Err(GroupError::RebalanceInProgress)
    );
    let request = join_request("a", subscription(&["t"], &[]));
    let mut joined = join(&mut group, &world, "x", request);
    let joined = joined
        .try_recv()
        .expect("answered")
        .outcome
        .expect("joined");
    assert_eq!(
        (joined.generation, &*joined.leader),
        (3, "a"),
        "no generation comes twice"
    );
}

#[test]
fn who_is_not_let_in_changes_nothing() {
    let (mut group, world) = classic();
    let before = group.encode();
    let bad = Beat {
        regex: Some("(".to_owned()),
        ..joins("n", &["t"])
    };
    let (refused, store) = beat_at(&mut group, &world, 0, &bad);
    assert!(matches!(refused, Err(GroupError::InvalidRegex { .. })));
    assert_eq!((store, group.state()), (false, GroupState::Stable));
    assert_eq!(group.encode(), before);
    assert_eq!(group.heartbeat(&from("a", 1), at(0)), Ok(()));
}

#[test]
fn an_empty_group_takes_the_protocol_of_who_comes() {
    let (mut group, world) = classic();
    let leaving = Leaving {
        member_id: "a".to_owned(),
        instance_id: None,
    };
    let (left, effects) = group.leave(&[leaving], &GroupConfig::default(), at(0));
    send(effects);
    assert_eq!((left, group.state()), (vec![Ok(())], GroupState::Empty));
    let answer = beat(&mut group, &world, &joins("n", &["t"])).expect("joined");
    assert_eq!((answer.epoch, shown(&answer)), (3, of("t", &[0, 1, 2, 3])));
    beat(&mut group, &world, &beats("n", -1)).expect("left");
    let request = join_request("", subscription(&["t"], &[]));
    let mut joined = join(&mut group, &world, "b", request);
    let joined = joined
        .try_recv()
        .expect("answered")
        .outcome
        .expect("joined");
    assert_eq!((joined.generation, &*joined.leader), (5, "b"));
}

#[test]
fn a_group_of_another_kind_stays_what_it_is() {
    let world = World::with(&[("t", 4)]);
    let mut group = AnyGroup::new(at(0));
    let request = JoinGroup {
        protocol_type: "connect".to_owned(),
        ..join_request("", Bytes::from_static(b"opaque"))
    };
    join(&mut group, &world, "a", request)
        .try_recv()
        .expect("answered");
    let refused = beat(&mut group, &world, &joins("n", &["t"]));
    assert_eq!(refused, Err(GroupError::OtherProtocol));
    let refused = beat(&mut group, &world, &beats("n", 3));
    assert_eq!(refused, Err(GroupError::OtherProtocol));
}

#[test]
fn classic_members_of_a_new_group_are_refused_as_kafka_does() {
    let (mut group, world) = classic();
    beat(&mut group, &world, &joins("n", &["t"])).expect("joined");
    let unknown = |id: &str| GroupError::UnknownMember {
        member: id.to_owned(),
    };
    assert_eq!(group.heartbeat(&from("n", 2), at(0)), Err(unknown("n")));
    assert_eq!(group.heartbeat(&from("x", 2), at(0)), Err(unknown("x")));
    let illegal = GroupError::IllegalGeneration {
        asked: 7,
        current: 1,
    };
    assert_eq!(group.heartbeat(&from("a", 7), at(0)), Err(illegal.clone()));
    assert_eq!(sync(&mut group, "a", 7, Vec::new()), Err(illegal));
    let others = JoinGroup {
        protocols: vec![("sticky".to_owned(), subscription(&["t"], &[]))],
        ..join_request("", Bytes::new())
    };
    let refusals = [
        others,
        join_request("", Bytes::from_static(b"opaque")),
        JoinGroup {
            protocol_type: "connect".to_owned(),
            ..join_request("", subscription(&["t"], &[]))
        },
    ];
    for request in refusals {
        let mut answer = join(&mut group, &world, "y", request.clone());
        let outcome = answer.try_recv().expect("answered").outcome;
        assert_eq!(
            outcome,
            Err(GroupError::InconsistentProtocol),
            "{request:?}"
        );
    }
    let leaving = |id: &str| Leaving {
        member_id: id.to_owned(),
        instance_id: None,
    };
    let all = [leaving("n"), leaving("x"), leaving("a"), leaving("a")];
    let (left, effects) = group.leave(&all, &GroupConfig::default(), at(0));
    send(effects);
    whole(&group);
    let expected = vec![
        Err(unknown("n")),
        Err(unknown("x")),
        Ok(()),
        Err(unknown("a")),
    ];
    assert_eq!(left, expected);
}

#[test]
fn a_static_member_may_change_its_protocol() {
    let (mut group, world) = classic();
    let native = Beat {
        instance_id: Some("i".to_owned()),
        ..joins("n", &["t"])
    };
    beat(&mut group, &world, &native).expect("joined");
    // It comes back as a classic one: nobody is left who speaks the new protocol.
    let request = JoinGroup {
        instance_id: Some("i".to_owned()),
        ..join_request("", subscription(&["t"], &[]))
    };
    let mut joined = join(&mut group, &world, "c", request);
    assert!(matches!(group, AnyGroup::Classic(_)));
    assert!(
        joined.try_recv().is_err(),
        "waits for the other to join again"
    );
    let mut other = join(
        &mut group,
        &world,
        "x",
        join_request("a", subscription(&["t"], &[])),
    );
    let generation = |answer: JoinAnswer| answer.outcome.expect("joined").generation;
    assert_eq!(generation(joined.try_recv().expect("answered")), 3);
    assert_eq!(generation(other.try_recv().expect("answered")), 3);
}

/// Who cannot be a member is not given an id to come back with.
#[test]
fn a_stranger_of_another_protocol_type_is_refused_at_once() {
    let world = World::with(&[("a", 2)]);
    let mut group = AnyGroup::new(at(0));
    let (joined, _) = beat_at(&mut group, &world, 0, &joins("m", &["a"]));
    assert!(joined.is_ok(), "{joined:?}");
    let connect = JoinGroup {
        protocol_type: "connect".to_owned(),
        requires_member_id: true,
        ..join_request("", subscription(&["a"], &[]))
    };
    let answer = join(&mut group, &world, "fresh", connect).try_recv();
    let answer = answer.expect("answered");
    assert_eq!(answer.outcome.err(), Some(GroupError::InconsistentProtocol));
    assert_eq!(answer.member_id, "");
}
