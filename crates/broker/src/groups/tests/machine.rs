//! One group, move by move, on a simulated clock.

use super::super::group::GroupState;
use super::super::member::{Joined, Leaving};
use super::super::{GroupError, GroupState::*};
use super::*;

/// A group in which everything is answered at once.
struct Bench {
    group: Group,
    config: GroupConfig,
    ms: u64,
    stores: usize,
}

impl Bench {
    fn new() -> Self {
        Self::with(GroupConfig::default())
    }

    fn with(config: GroupConfig) -> Self {
        Self {
            group: Group::new(at(0)),
            config,
            ms: 0,
            stores: 0,
        }
    }

    fn done(&mut self, effects: Effects) {
        self.stores += usize::from(effects.store);
        send(effects);
        self.group.assert_whole();
    }

    fn join(&mut self, fresh_id: &str, request: JoinGroup) -> JoinReceiver {
        let now = at(self.ms);
        let (receiver, effects) = join(&mut self.group, &self.config, now, fresh_id, request);
        self.done(effects);
        receiver
    }

    fn sync(&mut self, from: Membership, given: &[(&str, &[u8])]) -> SyncReceiver {
        let now = at(self.ms);
        let (receiver, effects) = sync(&mut self.group, &self.config, now, from, given);
        self.done(effects);
        receiver
    }

    fn leave(&mut self, ids: &[&str]) -> Vec<Result<(), GroupError>> {
        let leaving = |id: &&str| Leaving {
            member_id: (*id).to_owned(),
            instance_id: None,
        };
        let leaving: Vec<_> = ids.iter().map(leaving).collect();
        let (outcomes, effects) = self.group.leave(&leaving, &self.config, at(self.ms));
        self.done(effects);
        outcomes
    }

    fn pass(&mut self, ms: u64) {
        let end = self.ms + ms;
        while let Some(due) = self.group.next_deadline() {
            let due = u64::try_from(due.as_millis()).expect("small");
            if due > end {
                break;
            }
            self.ms = due.max(self.ms);
            let effects = self.group.tick(&self.config, at(self.ms));
            self.done(effects);
        }
        self.ms = end;
    }

    fn beat(&mut self, id: &str, generation: i32) -> Result<(), GroupError> {
        self.group.heartbeat(&member(id, generation), at(self.ms))
    }

    fn state(&self) -> GroupState {
        self.group.state()
    }

    /// `a` and `b`, stable in generation 2; `a` leads.
    fn pair(config: GroupConfig) -> Self {
        let mut bench = Self::with(config);
        let _alone = bench.join("a", join_request("", &["x"]));
        let mut second = bench.join("b", join_request("", &["x"]));
        let mut first = bench.join("-", join_request("a", &["x"]));
        assert_eq!(joined(&mut first).generation, 2);
        assert_eq!(joined(&mut second).leader, "a");
        let mut b = bench.sync(member("b", 2), &[]);
        let mut a = bench.sync(
            member("a", 2),
            &[("a", b"1"), ("b", b"2"), ("stranger", b"3")],
        );
        assert_eq!(assigned(&mut a), "1");
        assert_eq!(assigned(&mut b), "2");
        assert_eq!(bench.state(), Stable);
        bench
    }
}

fn joined(receiver: &mut JoinReceiver) -> Joined {
    let answer = receiver.try_recv().expect("answered");
    answer.outcome.expect("joined")
}

fn refused(receiver: &mut JoinReceiver) -> GroupError {
    let answer = receiver.try_recv().expect("answered");
    answer.outcome.expect_err("refused")
}

fn assigned(receiver: &mut SyncReceiver) -> String {
    let synced = receiver.try_recv().expect("answered").expect("assigned");
    String::from_utf8(synced.assignment.to_vec()).expect("a text")
}

fn unknown(id: &str) -> GroupError {
    GroupError::UnknownMember {
        member: id.to_owned(),
    }
}

#[test]
fn two_members_balance_and_every_generation_is_stored() {
    let bench = Bench::pair(GroupConfig::default());
    // Two completed joins and one assignment: the first generation never had one.
    assert_eq!(bench.stores, 3);
}

#[test]
fn a_member_is_told_its_id_first_and_has_a_session_to_come_back() {
    let mut bench = Bench::new();
    let request = JoinGroup {
        requires_member_id: true,
        ..join_request("", &["x"])
    };
    let mut first = bench.join("a", request.clone());
    assert_eq!(refused(&mut first), GroupError::MemberIdRequired);
    bench.pass(9_999);
    let mut back = bench.join(
        "-",
        JoinGroup {
            member_id: "a".into(),
            ..request.clone()
        },
    );
    assert_eq!(joined(&mut back).leader, "a");
    let mut late = bench.join("b", request.clone());
    assert_eq!(refused(&mut late), GroupError::MemberIdRequired);
    bench.pass(10_000);
    let mut late = bench.join(
        "-",
        JoinGroup {
            member_id: "b".into(),
            ..request
        },
    );
    assert_eq!(refused(&mut late), unknown("b"));
}

#[test]
fn who_does_not_join_again_is_out_when_the_rebalance_timeout_is_over() {
    let mut bench = Bench::pair(GroupConfig::default());
    let mut third = bench.join("c", join_request("", &["x"]));
    assert_eq!(bench.beat("a", 2), Err(GroupError::RebalanceInProgress));
    let mut first = bench.join("-", join_request("a", &["x"]));
    for _ in 0..4 {
        bench.pass(4_900);
        assert_eq!(bench.beat("b", 2), Err(GroupError::RebalanceInProgress));
    }
    assert!(third.try_recv().is_err(), "b may still come");
    bench.pass(400);
    assert_eq!(joined(&mut first).members.len(), 2);
    assert_eq!(joined(&mut third).generation, 3);
    assert_eq!(bench.beat("b", 2), Err(unknown("b")));
}

#[test]
fn a_silent_member_is_out_after_its_session() {
    let mut bench = Bench::pair(GroupConfig::default());
    bench.pass(9_000);
    assert_eq!(bench.beat("a", 2), Ok(()));
    bench.pass(1_000);
    assert_eq!(bench.state(), PreparingRebalance);
    let mut first = bench.join("-", join_request("a", &["x"]));
    assert_eq!(joined(&mut first).members.len(), 1);
}

#[test]
fn who_joins_and_never_syncs_is_out_when_the_rebalance_timeout_is_over() {
    let mut bench = Bench::new();
    let mut first = bench.join("a", join_request("", &["x"]));
    assert_eq!(joined(&mut first).generation, 1);
    for _ in 0..4 {
        bench.pass(4_999);
        assert_eq!(bench.beat("a", 1), Ok(()));
    }
    bench.pass(4);
    assert_eq!(
        (bench.state(), bench.beat("a", 1)),
        (Empty, Err(unknown("a")))
    );
}

#[test]
fn followers_wait_for_the_leader_and_are_sent_back_when_the_group_changes() {
    let mut bench = Bench::pair(GroupConfig::default());
    let mut second = bench.join("-", join_request("b", &["x", "y"]));
    let mut first = bench.join("-", join_request("a", &["x"]));
    assert_eq!(joined(&mut first).generation, 3);
    assert_eq!(joined(&mut second).generation, 3);
    let mut waiting = bench.sync(member("b", 3), &[]);
    assert!(waiting.try_recv().is_err());
    assert_eq!(
        bench.leave(&["a", "nobody"]),
        [Ok(()), Err(unknown("nobody"))]
    );
    assert_eq!(waiting.try_recv(), Ok(Err(GroupError::RebalanceInProgress)));
    let mut second = bench.join("-", join_request("b", &["x"]));
    assert_eq!(joined(&mut second).leader, "b");
}

#[test]
fn the_last_one_to_leave_empties_the_group() {
    let mut bench = Bench::pair(GroupConfig::default());
    assert_eq!(bench.leave(&["a", "b"]), [Ok(()), Ok(())]);
    assert_eq!((bench.state(), bench.group.generation), (Empty, 3));
    assert_eq!(
        bench.group.protocol_type(),
        "test",
        "it is still of its kind"
    );
}

#[test]
fn the_protocol_is_the_one_that_all_support_and_most_prefer() {
    for (protocols, chosen) in [
        ([&["a", "b"][..], &["b", "a"], &["b", "a"]], "b"),
        ([&["a", "b", "c"][..], &["c", "b"], &["b", "c"]], "b"),
        ([&["a", "b"][..], &["b", "a"], &["a", "b", "c"]], "a"),
        ([&["a", "a"][..], &["a"], &["b", "a"]], "a"),
    ] {
        let config = GroupConfig {
            initial_delay: Duration::from_millis(100),
            ..GroupConfig::default()
        };
        let mut bench = Bench::with(config);
        let mut waiting: Vec<_> = ["1", "2", "3"]
            .iter()
            .zip(protocols)
            .map(|(id, protocols)| bench.join(id, join_request("", protocols)))
            .collect();
        bench.pass(200);
        for receiver in &mut waiting {
            assert_eq!(joined(receiver).protocol, chosen, "{protocols:?}");
        }
    }
    let mut bench = Bench::pair(GroupConfig::default());
    let mut other = bench.join("c", join_request("", &["y"]));
    assert_eq!(refused(&mut other), GroupError::InconsistentProtocol);
    let mut other = bench.join(
        "c",
        JoinGroup {
            protocol_type: "connect".to_owned(),
            ..join_request("", &["x"])
        },
    );
    assert_eq!(refused(&mut other), GroupError::InconsistentProtocol);
}

#[test]
fn an_empty_group_waits_a_while_and_longer_while_members_come() {
    let config = GroupConfig {
        initial_delay: Duration::from_secs(3),
        ..GroupConfig::default()
    };
    let mut bench = Bench::with(config);
    let mut all = vec![bench.join("m0", join_request("", &["x"]))];
    // 3 s more with each that comes, 20 s in all.
    for index in 1..7 {
        bench.pass(2_900);
        assert_eq!(bench.state(), PreparingRebalance, "after {} ms", bench.ms);
        all.push(bench.join(&format!("m{index}"), join_request("", &["x"])));
    }
    bench.pass(2_601);
    let count = all.len();
    for receiver in &mut all {
        let joined = joined(receiver);
        assert_eq!(joined.generation, 1);
        assert!(joined.members.is_empty() || joined.members.len() == count);
    }
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_fences_its_old_self() {
    for skips in [true, false] {
        let mut bench = Bench::new();
        let request = JoinGroup {
            instance_id: Some("i".to_owned()),
            skips_assignment: skips,
            ..join_request("", &["x"])
        };
        let mut first = bench.join("a", request.clone());
        assert_eq!(joined(&mut first).generation, 1);
        let _assigned = bench.sync(member("a", 1), &[("a", b"1")]);
        let stores = bench.stores;
        let mut again = bench.join("b", request.clone());
        let joined = joined(&mut again);
        assert_eq!((joined.generation, joined.skip_assignment), (1, skips));
        assert_eq!(joined.leader, if skips { "b" } else { "a" });
        assert_eq!(joined.members.len(), usize::from(skips));
        assert_eq!(bench.stores, stores + 1, "the new id outlives a crash");
        assert_eq!(bench.state(), Stable);
        let mut kept = bench.sync(member("b", 1), &[]);
        assert_eq!(assigned(&mut kept), "1");
        let old = Membership {
            instance_id: Some("i".to_owned()),
            ..member("a", 1)
        };
        let fenced = GroupError::FencedInstance {
            instance: "i".to_owned(),
        };
        assert_eq!(bench.group.heartbeat(&old, at(0)), Err(fenced.clone()));
        assert_eq!(bench.group.commits(&old, at(0)), Err(fenced));
    }
}

#[test]
fn a_group_has_as_many_members_and_bytes_as_it_may() {
    let config = GroupConfig {
        size_max: 2,
        ..GroupConfig::default()
    };
    let mut bench = Bench::pair(config);
    let mut third = bench.join("c", join_request("", &["x"]));
    assert_eq!(refused(&mut third), GroupError::Full { limit: 2 });

    let config = GroupConfig {
        bytes_max: 2_000,
        ..GroupConfig::default()
    };
    let mut bench = Bench::pair(config);
    let mut third = bench.join(
        "c",
        JoinGroup {
            protocols: vec![("x".to_owned(), Bytes::from(vec![0; 2_000]))],
            ..join_request("", &["x"])
        },
    );
    assert_eq!(
        refused(&mut third),
        GroupError::TooLarge { limit_bytes: 2_000 }
    );
    let _rejoin = bench.join("-", join_request("a", &["x"]));
    let _rejoin = bench.join("-", join_request("b", &["x"]));
    let mut sync = bench.sync(member("a", 3), &[("a", &[0; 2_000])]);
    let too_large = GroupError::TooLarge { limit_bytes: 2_000 };
    assert_eq!(sync.try_recv(), Ok(Err(too_large)));
}

#[test]
fn commits_are_taken_from_members_of_this_generation_or_for_an_empty_group() {
    let unknown_id = unknown("");
    let old = |asked| GroupError::IllegalGeneration { asked, current: 2 };
    let mut bench = Bench::pair(GroupConfig::default());
    let cases = [
        (member("a", 2), Ok(())),
        (member("a", 1), Err(old(1))),
        (member("a", 3), Err(old(3))),
        (member("c", 2), Err(unknown("c"))),
        (Membership::none(), Err(unknown_id)),
    ];
    for (from, expected) in cases {
        assert_eq!(bench.group.commits(&from, at(0)), expected, "{from:?}");
    }
    let _waiting = bench.join("c", join_request("", &["x"]));
    assert_eq!(
        bench.group.commits(&member("a", 2), at(0)),
        Ok(()),
        "while preparing"
    );
    let _all = bench.join("-", join_request("a", &["x"]));
    let _all = bench.join("-", join_request("b", &["x"]));
    let refused = bench.group.commits(&member("a", 3), at(0));
    assert_eq!(refused, Err(GroupError::RebalanceInProgress));
    bench.leave(&["a", "b"]);
    bench.pass(30_000);
    assert_eq!(bench.state(), Empty);
    assert_eq!(bench.group.commits(&Membership::none(), at(0)), Ok(()));
}

#[test]
fn a_record_reads_back_and_sessions_begin_anew() {
    let mut bench = Bench::pair(GroupConfig::default());
    let stable = bench.group.encode().expect("stored");
    let mut back = Group::decode(&stable, at(500_000)).expect("readable");
    assert_eq!(back.encode(), Some(stable.clone()));
    assert_eq!(back.heartbeat(&member("a", 2), at(509_999)), Ok(()));
    let (mut kept, effects) = sync(&mut back, &bench.config, at(510_000), member("b", 2), &[]);
    send(effects);
    assert_eq!(assigned(&mut kept), "2");
    // The leader may have been told to assign: it goes on with that.
    let _rejoin = bench.join("-", join_request("a", &["x"]));
    let _rejoin = bench.join("-", join_request("b", &["x"]));
    let completing = bench.group.encode().expect("stored");
    let mut back = Group::decode(&completing, at(0)).expect("readable");
    assert_eq!(back.state(), CompletingRebalance);
    let (mut leads, effects) = sync(
        &mut back,
        &bench.config,
        at(1),
        member("a", 3),
        &[("a", b"7")],
    );
    send(effects);
    assert_eq!(assigned(&mut leads), "7");
    for length in 0..stable.len() {
        assert!(
            Group::decode(&stable.slice(..length), at(0)).is_err(),
            "cut to {length}"
        );
    }
}

/// The file is only added to: data of every release must stay readable.
#[test]
fn the_record_is_what_is_on_disk() {
    let golden = include_str!("../../../tests/golden/group-record-v1.hex").trim();
    let bench = Bench::pair(GroupConfig::default());
    let record = bench.group.encode().expect("stored");
    let hex: String = record
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(hex, golden);
    let back = Group::decode(&record, at(0)).expect("readable");
    assert_eq!(back.encode(), Some(record));
}

#[test]
fn ids_that_are_pending_are_counted_and_leave_room_for_members() {
    let config = GroupConfig {
        bytes_max: 8_000,
        ..GroupConfig::default()
    };
    let mut bench = Bench::with(config);
    let request = JoinGroup {
        requires_member_id: true,
        ..join_request("", &["x"])
    };
    let mut given = 0;
    let full = loop {
        let before = bench.group.bytes();
        let mut answer = bench.join(&format!("id{given}"), request.clone());
        match refused(&mut answer) {
            GroupError::MemberIdRequired => assert!(bench.group.bytes() > before),
            error => break error,
        }
        given += 1;
        assert!(given < 100, "there is a limit");
    };
    assert_eq!(full, GroupError::TooLarge { limit_bytes: 8_000 });
    assert!(bench.group.bytes() <= 2_000, "the rest is for members");
    let back = JoinGroup {
        member_id: "id0".into(),
        ..request
    };
    let mut back = bench.join("-", back);
    assert_eq!(joined(&mut back).leader, "id0", "who was told comes in");
    bench.pass(10_000);
    assert!(bench.group.pending.is_empty());
}
