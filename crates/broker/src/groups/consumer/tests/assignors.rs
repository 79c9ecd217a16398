//! Who gets what.

use clock::{Rng, SeededRng};

use super::*;

struct Member {
    id: MemberId,
    instance: Option<&'static str>,
    topics: BTreeSet<TopicId>,
    target: Partitions,
}

fn member(id: &str, topics: &[&str], target: &[(&str, &[u32])]) -> Member {
    Member {
        id: id.into(),
        instance: None,
        topics: topics.iter().map(|name| topic(name)).collect(),
        target: target
            .iter()
            .map(|(name, of)| (topic(name), of.iter().copied().collect()))
            .collect(),
    }
}

fn assign(assignor: Assignor, members: &[Member], topics: &[(&str, u32)]) -> Vec<Partitions> {
    let subscribers: Vec<Subscriber<'_>> = members
        .iter()
        .map(|member| Subscriber {
            id: &member.id,
            instance: member.instance,
            topics: &member.topics,
            target: &member.target,
        })
        .collect();
    let topics = topics.iter().map(|(name, count)| (topic(name), *count));
    assignor.assign(&subscribers, &topics.collect())
}

fn partitions(of: &[(&str, &[u32])]) -> Partitions {
    let of = of
        .iter()
        .map(|(name, of)| (topic(name), of.iter().copied().collect()));
    of.collect()
}

#[test]
fn range_gives_neighbours_and_the_same_ones_of_each_topic() {
    let both = ["a", "b"];
    let mut members = [
        member("m2", &both, &[]),
        member("m1", &both, &[]),
        member("m3", &["a"], &[]),
    ];
    members[2].instance = Some("static");
    let given = assign(Assignor::Range, &members, &[("a", 7), ("b", 3)]);
    // The static member comes first, then by id; the first ones get one more.
    assert_eq!(given[2], partitions(&[("a", &[0, 1, 2])]));
    assert_eq!(given[1], partitions(&[("a", &[3, 4]), ("b", &[0, 1])]));
    assert_eq!(given[0], partitions(&[("a", &[5, 6]), ("b", &[2])]));
    assert_eq!(assign(Assignor::Range, &[], &[("a", 3)]), []);
    let few = [member("m1", &["a"], &[]), member("m2", &["a"], &[])];
    let given = assign(Assignor::Range, &few, &[("a", 1)]);
    assert_eq!(given, [partitions(&[("a", &[0])]), Partitions::new()]);
}

#[test]
fn uniform_takes_only_what_balance_asks_for() {
    let members = [
        member("m1", &["a"], &[("a", &[0, 1, 2, 3])]),
        member("m2", &["a"], &[]),
        member("m3", &["a"], &[]),
    ];
    let given = assign(Assignor::Uniform, &members, &[("a", 4)]);
    assert_eq!(given[0], partitions(&[("a", &[0, 1])]));
    assert_eq!(given[1].len() + given[2].len(), 2);
    // Nobody new: nothing moves.
    let settled = [
        member("m1", &["a"], &[("a", &[3])]),
        member("m2", &["a"], &[("a", &[0, 2])]),
    ];
    let given = assign(Assignor::Uniform, &settled, &[("a", 4)]);
    assert_eq!(
        given,
        [partitions(&[("a", &[1, 3])]), partitions(&[("a", &[0, 2])])]
    );
}

#[test]
fn every_partition_is_given_once_to_who_subscribes_and_numbers_are_even() {
    let names = ["a", "b", "c", "d"];
    for seed in 0..300 {
        let rng = SeededRng::new(seed);
        let same = rng.next_below(2) == 0;
        let count = |most: u64| u32::try_from(rng.next_below(most)).expect("small");
        let topics: Vec<(&str, u32)> = names.iter().map(|name| (*name, count(9))).collect();
        let all = names.as_slice();
        let mut members: Vec<Member> = (0..=count(6))
            .map(|number| {
                let some: Vec<&str> = all.iter().copied().filter(|_| count(3) > 0).collect();
                member(&format!("m{number}"), if same { all } else { &some }, &[])
            })
            .collect();
        for assignor in Assignor::ALL {
            for round in 0..3 {
                let given = assign(assignor, &members, &topics);
                let mut seen = BTreeSet::new();
                for (member, given) in members.iter().zip(&given) {
                    for (topic, of) in given {
                        assert!(member.topics.contains(topic), "seed {seed}");
                        for partition in of {
                            assert!(seen.insert((*topic, *partition)), "seed {seed}");
                        }
                    }
                }
                for (name, count) in &topics {
                    let has_member = members.iter().any(|m| m.topics.contains(&topic(name)));
                    let given = seen.iter().filter(|(id, _)| *id == topic(name)).count();
                    assert_eq!(
                        given,
                        if has_member { *count as usize } else { 0 },
                        "seed {seed}"
                    );
                }
                let counts = given
                    .iter()
                    .map(|of| of.values().map(BTreeSet::len).sum::<usize>());
                let counts: Vec<usize> = counts.collect();
                if same && assignor == Assignor::Uniform {
                    let (least, most) = (counts.iter().min(), counts.iter().max());
                    assert!(
                        most.unwrap() - least.unwrap() <= 1,
                        "seed {seed}: {counts:?}"
                    );
                }
                assert_eq!(given, assign(assignor, &members, &topics), "seed {seed}");
                for (member, given) in members.iter_mut().zip(given) {
                    if round == 0 {
                        member.target = given;
                    } else {
                        assert_eq!(member.target, given, "seed {seed}: the same again");
                    }
                }
            }
            for member in &mut members {
                member.target.clear();
            }
        }
    }
}
