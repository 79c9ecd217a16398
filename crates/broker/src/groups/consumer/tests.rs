//! The machine of the new protocol: moves by tables, assignors, conversions, and all under churn.

mod assignors;
mod churn;
mod classic;
mod moves;

use std::collections::BTreeMap;
use std::sync::Arc;

use storage::TopicId;
use tokio::sync::oneshot;

use super::super::any_group::AnyGroup;
use super::super::group::{Effects, GroupConfig};
use super::super::tests::{at, send};
use super::topics::Fact;
use super::*;

/// Topics as a test says they are.
#[derive(Debug, Default)]
struct World {
    topics: BTreeMap<String, (TopicId, u32)>,
    revision: u64,
}

impl World {
    fn with(topics: &[(&str, u32)]) -> Self {
        let mut world = Self::default();
        for (name, partitions) in topics {
            world.set(name, *partitions);
        }
        world
    }

    fn set(&mut self, name: &str, partitions: u32) {
        self.revision += 1;
        self.topics
            .insert(name.to_owned(), (topic(name), partitions));
    }
}

/// The id that a name has in these tests.
fn topic(name: &str) -> TopicId {
    let mut id = [0; 16];
    for (byte, letter) in id.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    TopicId(id)
}

impl TopicView for World {
    fn revision(&self) -> u64 {
        self.revision
    }

    fn by_name(&self, name: &str) -> Option<Fact> {
        let (id, partitions) = self.topics.get(name)?;
        Some(Fact {
            id: *id,
            name: name.into(),
            partitions: *partitions,
        })
    }

    fn by_id(&self, id: TopicId) -> Option<Fact> {
        let named = self.topics.iter().find(|(_, (known, _))| *known == id);
        self.by_name(named?.0)
    }

    fn each(&self, visit: &mut dyn FnMut(&str, TopicId)) {
        for (name, (id, _)) in &self.topics {
            visit(name, *id);
        }
    }
}

fn joins(id: &str, topics: &[&str]) -> Beat {
    Beat {
        member_id: id.to_owned(),
        rebalance_timeout_ms: Some(20_000),
        names: Some(topics.iter().map(|name| (*name).to_owned()).collect()),
        owned: Some(Vec::new()),
        client_id: "c".to_owned(),
        ..Beat::default()
    }
}

fn beats(id: &str, epoch: i32) -> Beat {
    Beat {
        member_id: id.to_owned(),
        epoch,
        client_id: "c".to_owned(),
        ..Beat::default()
    }
}

fn owning(id: &str, epoch: i32, owned: &[(&str, &[i32])]) -> Beat {
    let owned = owned.iter().map(|(name, of)| (topic(name), of.to_vec()));
    Beat {
        owned: Some(owned.collect()),
        ..beats(id, epoch)
    }
}

/// Beats; what the group answers, and whether it wants to be stored first.
fn beat_at(
    group: &mut AnyGroup,
    world: &World,
    ms: u64,
    beat: &Beat,
) -> (Result<BeatAnswer, GroupError>, bool) {
    let config = GroupConfig::default();
    if let Err(error) = beat.check("g", true, &config) {
        return (Err(error), false);
    }
    let (waiter, mut answer) = oneshot::channel();
    let beating = Beating {
        config: &config,
        now: at(ms),
        topics: world,
        fresh_id: Arc::from("fresh"),
    };
    let effects = group.beat(beat, beating, waiter);
    whole(group);
    let store = effects.store;
    send(effects);
    (answer.try_recv().expect("answered"), store)
}

fn beat(group: &mut AnyGroup, world: &World, beat: &Beat) -> Result<BeatAnswer, GroupError> {
    beat_at(group, world, 0, beat).0
}

fn whole(group: &AnyGroup) {
    match group {
        AnyGroup::Classic(group) => group.assert_whole(),
        AnyGroup::Consumer(group) => group.assert_whole(),
    }
}

fn consumer(group: &AnyGroup) -> &ConsumerGroup {
    match group {
        AnyGroup::Consumer(group) => group,
        AnyGroup::Classic(group) => panic!("a classic group: {group:?}"),
    }
}

/// An assignment, as it is written in these tests.
fn shown(answer: &BeatAnswer) -> Vec<(String, Vec<u32>)> {
    let assignment = answer.assignment.as_ref().expect("it is told");
    let named = assignment.iter().map(|(id, of)| {
        let name: Vec<u8> = id.0.iter().copied().take_while(|byte| *byte != 0).collect();
        let name = String::from_utf8(name).expect("a name");
        (name, of.iter().copied().collect())
    });
    named.collect()
}

fn of(name: &str, partitions: &[u32]) -> Vec<(String, Vec<u32>)> {
    vec![(name.to_owned(), partitions.to_vec())]
}

fn nothing() -> Vec<(String, Vec<u32>)> {
    Vec::new()
}
