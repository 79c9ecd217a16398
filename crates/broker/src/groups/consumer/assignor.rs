//! Who is to have which partition: `uniform` and `range`, as pure functions.
//!
//! Guarantees: every partition of a subscribed topic is given once, only to who subscribes to it;
//! the same input gives the same output. `uniform` gives members with the same subscription numbers
//! that differ by one at most, and takes from a member only what balance asks for. `range` gives
//! each member neighbouring partitions, the same ones in topics of the same size. Source: Kafka's
//! `UniformAssignor` and `RangeAssignor`; which of two equal members gets one more may differ.

use std::collections::{BTreeMap, BTreeSet};

use storage::TopicId;

use super::super::member::MemberId;
use super::Partitions;

/// A way to share partitions out, by Kafka's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assignor {
    /// As even as it can be, and sticky.
    Uniform,
    /// Neighbours, and the same ones of each topic.
    Range,
}

impl Assignor {
    /// Every one, the default first.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The one of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|assignor| assignor.name() == name)
    }

    /// A target for each member, in their order.
    pub(super) fn assign(
        self,
        members: &[Subscriber<'_>],
        topics: &BTreeMap<TopicId, u32>,
    ) -> Vec<Partitions> {
        match self {
            Self::Uniform => uniform(members, topics),
            Self::Range => range(members, topics),
        }
    }
}

/// A member, as an assignor sees it.
#[derive(Debug)]
pub(super) struct Subscriber<'a> {
    pub(super) id: &'a MemberId,
    pub(super) instance: Option<&'a str>,
    pub(super) topics: &'a BTreeSet<TopicId>,
    /// What it was to have before.
    pub(super) target: &'a Partitions,
}

/// Members that subscribe to a topic. Static ones come first, by their names, so that a new member
/// id changes nothing for them.
fn subscribers(members: &[Subscriber<'_>], topic: TopicId) -> Vec<usize> {
    let mut of_topic: Vec<usize> = (0..members.len())
        .filter(|index| members[*index].topics.contains(&topic))
        .collect();
    of_topic.sort_by_key(|index| {
        let member = &members[*index];
        (member.instance.is_none(), member.instance, member.id)
    });
    of_topic
}

fn range(members: &[Subscriber<'_>], topics: &BTreeMap<TopicId, u32>) -> Vec<Partitions> {
    let mut given = vec![Partitions::new(); members.len()];
    for (topic, count) in topics {
        let of_topic = subscribers(members, *topic);
        let Ok(sharers) = u32::try_from(of_topic.len()) else {
            continue;
        };
        if sharers == 0 {
            continue;
        }
        let (each, more) = (count / sharers, count % sharers);
        let mut from = 0;
        for (place, index) in (0..).zip(of_topic) {
            let until = from + each + u32::from(place < more);
            if from < until {
                given[index].insert(*topic, (from..until).collect());
            }
            from = until;
        }
    }
    given
}

fn uniform(members: &[Subscriber<'_>], topics: &BTreeMap<TopicId, u32>) -> Vec<Partitions> {
    let mut sharing = Sharing::new(members, topics);
    let same = members
        .windows(2)
        .all(|pair| pair[0].topics == pair[1].topics);
    if same {
        sharing.cut_to_quota();
    }
    sharing.give_free();
    if !same {
        sharing.even_out();
    }
    sharing.given
}

/// An assignment in the making.
struct Sharing<'a> {
    topics: &'a BTreeMap<TopicId, u32>,
    /// Members of each topic.
    of_topic: BTreeMap<TopicId, Vec<usize>>,
    given: Vec<Partitions>,
    counts: Vec<usize>,
    free: Vec<(TopicId, u32)>,
}

impl<'a> Sharing<'a> {
    /// Everybody keeps what it has and may have.
    fn new(members: &[Subscriber<'_>], topics: &'a BTreeMap<TopicId, u32>) -> Self {
        let mut taken: BTreeSet<(TopicId, u32)> = BTreeSet::new();
        let mut given = vec![Partitions::new(); members.len()];
        let mut counts = vec![0; members.len()];
        for (index, member) in members.iter().enumerate() {
            for (topic, partitions) in member.target {
                let count = topics.get(topic).copied().unwrap_or(0);
                if !member.topics.contains(topic) {
                    continue;
                }
                for partition in partitions.range(..count) {
                    if taken.insert((*topic, *partition)) {
                        given[index].entry(*topic).or_default().insert(*partition);
                        counts[index] += 1;
                    }
                }
            }
        }
        let all = topics
            .iter()
            .flat_map(|(topic, count)| (0..*count).map(|n| (*topic, n)));
        let free = all.filter(|place| !taken.contains(place)).collect();
        let of_topic = topics
            .keys()
            .map(|topic| (*topic, subscribers(members, *topic)));
        Self {
            topics,
            of_topic: of_topic.collect(),
            given,
            counts,
            free,
        }
    }

    /// With the same subscriptions: nobody keeps more than its share. Who has most keeps one more,
    /// where they do not come out even.
    fn cut_to_quota(&mut self) {
        let sharers = self.given.len();
        let all: usize = self.topics.values().map(|count| *count as usize).sum();
        let Some(each) = all.checked_div(sharers) else {
            return;
        };
        let mut more = all % sharers;
        for index in 0..sharers {
            let mut quota = each;
            if self.counts[index] > each && more > 0 {
                more -= 1;
                quota += 1;
            }
            while self.counts[index] > quota {
                let fullest = self.given[index].iter().max_by_key(|(_, of)| of.len());
                let topic = fullest.map(|(topic, _)| *topic).expect("it has some");
                let last = self.given[index]
                    .get(&topic)
                    .and_then(|of| of.last().copied());
                let partition = last.expect("a topic in the list has partitions");
                self.take(index, topic, partition);
                self.free.push((topic, partition));
            }
        }
        self.free.sort_unstable();
    }

    fn take(&mut self, index: usize, topic: TopicId, partition: u32) {
        let of = self.given[index].get_mut(&topic).expect("it has it");
        of.remove(&partition);
        if of.is_empty() {
            self.given[index].remove(&topic);
        }
        self.counts[index] -= 1;
    }

    fn give(&mut self, index: usize, topic: TopicId, partition: u32) {
        self.given[index]
            .entry(topic)
            .or_default()
            .insert(partition);
        self.counts[index] += 1;
    }

    /// What nobody has goes to who has least, of those that may have it; topics with few
    /// subscribers first.
    fn give_free(&mut self) {
        let mut free = std::mem::take(&mut self.free);
        free.sort_by_key(|(topic, partition)| (self.of_topic[topic].len(), *topic, *partition));
        let mut queue: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut queue_of = None;
        for (topic, partition) in free {
            if queue_of != Some(topic) {
                // Members in the order in which they get something; only counts move within one
                // topic.
                let of_topic = self.of_topic[&topic].iter();
                queue = of_topic
                    .map(|index| (self.counts[*index], *index))
                    .collect();
                queue_of = Some(topic);
            }
            let Some((count, index)) = queue.pop_first() else {
                continue;
            };
            self.give(index, topic, partition);
            queue.insert((count + 1, index));
        }
    }

    /// With different subscriptions: as long as a subscriber of a topic has two less than another
    /// that has a partition of it, that one moves.
    fn even_out(&mut self) {
        let mut moves_left: usize = self.topics.values().map(|count| *count as usize).sum();
        let mut has_moved = true;
        while has_moved && moves_left > 0 {
            has_moved = false;
            for topic in self.topics.keys().copied() {
                while moves_left > 0 && self.move_one(topic) {
                    has_moved = true;
                    moves_left -= 1;
                }
            }
        }
    }

    fn move_one(&mut self, topic: TopicId) -> bool {
        let of_topic = &self.of_topic[&topic];
        let poorest = of_topic
            .iter()
            .min_by_key(|index| (self.counts[**index], **index));
        let holders = of_topic
            .iter()
            .filter(|index| self.given[**index].contains_key(&topic));
        let richest = holders.max_by_key(|index| (self.counts[**index], **index));
        let (Some(&to), Some(&from)) = (poorest, richest) else {
            return false;
        };
        if self.counts[from] < self.counts[to] + 2 {
            return false;
        }
        let of = self.given[from]
            .get(&topic)
            .and_then(|of| of.last().copied());
        let partition = of.expect("a holder has one");
        self.take(from, topic, partition);
        self.give(to, topic, partition);
        true
    }
}
