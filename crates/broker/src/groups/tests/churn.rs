//! Random members come, go, die, fall silent and come back while the coordinator restarts.
//!
//! Held against a model: one leader for each generation; who is given an assignment is given what
//! the leader said; no partition twice in a generation; nobody of an earlier generation gets
//! through; a generation that was shown never comes again with other members; and when the chaos
//! ends, so does every rebalance.

use std::collections::BTreeMap;

use clock::{Rng, SeededRng};

use super::super::GroupState;
use super::super::member::Leaving;
use super::*;

const PARTITIONS: u8 = 12;
const CLIENTS: usize = 6;
const STEPS: usize = 3_000;

#[derive(Default)]
struct Client {
    instance_id: Option<String>,
    id: String,
    generation: i32,
    leads: Vec<String>,
    has_assignment: bool,
    joining: Option<JoinReceiver>,
    syncing: Option<SyncReceiver>,
    asleep_until_ms: u64,
}

struct World {
    rng: SeededRng,
    config: GroupConfig,
    group: Group,
    stored: Option<Bytes>,
    held: Vec<super::super::Reply>,
    unstored: Option<Bytes>,
    clients: Vec<Client>,
    ms: u64,
    ids: u64,
    /// The leader of each generation that was shown, and what it gave.
    leaders: BTreeMap<i32, String>,
    given: BTreeMap<i32, BTreeMap<String, Vec<u8>>>,
    shown: i32,
    stable_generations: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let client = |index: usize| Client {
            instance_id: (index % 3 == 2).then(|| format!("i{index}")),
            ..Client::default()
        };
        Self {
            rng: SeededRng::new(seed),
            config: GroupConfig::default(),
            group: Group::new(at(0)),
            stored: None,
            held: Vec::new(),
            unstored: None,
            clients: (0..CLIENTS).map(client).collect(),
            ms: 0,
            ids: 0,
            leaders: BTreeMap::new(),
            given: BTreeMap::new(),
            shown: 0,
            stable_generations: 0,
        }
    }

    fn one_in(&self, n: u64) -> bool {
        self.rng.next_below(n) == 0
    }

    fn take(&mut self, effects: Effects) {
        self.group.assert_whole();
        if effects.store {
            self.unstored = Some(self.group.encode().expect("a state that is stored"));
        }
        if self.unstored.is_some() {
            self.held.extend(effects.replies);
        } else {
            send(Effects {
                store: false,
                ..effects
            });
        }
    }

    /// What the keeper does.
    fn store(&mut self) {
        if let Some(record) = self.unstored.take() {
            self.stored = Some(record);
        }
        self.held.drain(..).for_each(super::super::Reply::send);
    }

    fn restart(&mut self) {
        self.held.clear();
        self.unstored = None;
        self.group = match &self.stored {
            Some(record) => Group::decode(record, at(self.ms)).expect("readable"),
            None => Group::new(at(self.ms)),
        };
        for client in &mut self.clients {
            client.joining = None;
            client.syncing = None;
        }
    }

    fn step(&mut self, index: usize, chaos: bool) {
        self.hear(index);
        let client = &self.clients[index];
        if chaos && client.asleep_until_ms > self.ms {
            return;
        }
        if client.joining.is_some() || client.syncing.is_some() {
            return;
        }
        if chaos && self.one_in(40) {
            // Silent for a while, or for good as this process: its next life knows no id.
            let sleep_ms = self.rng.next_below(30_000);
            let is_dead = self.one_in(2);
            let client = &mut self.clients[index];
            client.asleep_until_ms = self.ms + sleep_ms;
            if is_dead {
                client.id.clear();
                client.generation = 0;
                client.has_assignment = false;
            }
        } else if chaos && !client.id.is_empty() && self.one_in(40) {
            let leaving = Leaving {
                member_id: client.id.clone(),
                instance_id: client.instance_id.clone(),
            };
            let (_, effects) = self.group.leave(&[leaving], &self.config, at(self.ms));
            self.take(effects);
            self.clients[index].id.clear();
            self.clients[index].generation = 0;
        } else if client.generation == 0 {
            self.join(index);
        } else if !client.has_assignment {
            self.sync(index);
        } else {
            self.beat(index, chaos);
        }
    }

    fn join(&mut self, index: usize) {
        self.ids += 1;
        let client = &self.clients[index];
        let request = JoinGroup {
            instance_id: client.instance_id.clone(),
            requires_member_id: self.one_in(2),
            ..join_request(&client.id, &["x", "y"])
        };
        let fresh_id = format!("m{}", self.ids);
        let (receiver, effects) = join(
            &mut self.group,
            &self.config,
            at(self.ms),
            &fresh_id,
            request,
        );
        self.clients[index].joining = Some(receiver);
        self.take(effects);
    }

    fn sync(&mut self, index: usize) {
        let client = &self.clients[index];
        let mut given: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (place, id) in client
            .leads
            .iter()
            .cycle()
            .take(PARTITIONS.into())
            .enumerate()
        {
            let partition = u8::try_from(place).expect("few");
            given.entry(id.clone()).or_default().push(partition);
        }
        let rows: Vec<(&str, &[u8])> = given
            .iter()
            .map(|(id, bytes)| (id.as_str(), bytes.as_slice()))
            .collect();
        let from = Membership {
            instance_id: client.instance_id.clone(),
            ..member(&client.id, client.generation)
        };
        let generation = client.generation;
        let was = self.group.state();
        let (receiver, effects) = sync(&mut self.group, &self.config, at(self.ms), from, &rows);
        if was == GroupState::CompletingRebalance && self.group.state() == GroupState::Stable {
            let before = self.given.insert(generation, given.clone());
            assert!(before.is_none_or(|before| before == given), "assigned once");
            self.stable_generations += 1;
        }
        self.clients[index].syncing = Some(receiver);
        self.take(effects);
    }

    fn beat(&mut self, index: usize, chaos: bool) {
        let client = &self.clients[index];
        let from = Membership {
            instance_id: client.instance_id.clone(),
            ..member(&client.id, client.generation)
        };
        let outcome = self.group.heartbeat(&from, at(self.ms));
        let commits = self.group.commits(&from, at(self.ms));
        if client.generation != self.group.generation {
            assert!(
                outcome.is_err() && commits.is_err(),
                "an old generation gets through"
            );
        }
        let changes = chaos && self.one_in(60);
        let client = &mut self.clients[index];
        match outcome {
            Ok(()) if changes => self.join(index),
            Ok(()) => {}
            Err(super::super::GroupError::RebalanceInProgress) => {
                client.generation = 0;
                client.has_assignment = false;
            }
            Err(_) => lose(client),
        }
    }

    /// Takes the answers that have come.
    fn hear(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if let Some(answer) = client.joining.as_mut().and_then(|r| r.try_recv().ok()) {
            client.joining = None;
            match answer.outcome {
                Ok(joined) => {
                    client.id.clone_from(&answer.member_id);
                    client.generation = joined.generation;
                    client.has_assignment = false;
                    let leads = joined.leader == answer.member_id && !joined.skip_assignment;
                    client.leads = joined.members.into_iter().map(|m| m.member_id).collect();
                    if !leads {
                        client.leads.clear();
                    }
                    if joined.skip_assignment {
                        return;
                    }
                    assert!(joined.generation >= self.shown || client.leads.is_empty());
                    if leads {
                        let before = self.leaders.insert(joined.generation, answer.member_id);
                        let leader = &self.leaders[&joined.generation];
                        assert!(
                            before.is_none_or(|b| b == *leader),
                            "one leader a generation"
                        );
                    }
                    self.shown = self.shown.max(joined.generation);
                }
                Err(super::super::GroupError::MemberIdRequired) => client.id = answer.member_id,
                Err(_) => lose(client),
            }
        }
        if let Some(answer) = client.syncing.as_mut().and_then(|r| r.try_recv().ok()) {
            client.syncing = None;
            match answer {
                Ok(synced) => {
                    client.has_assignment = true;
                    let given = self.given.get(&client.generation).expect("the leader gave");
                    // A static member has its assignment under the id it had then.
                    if client.instance_id.is_none() {
                        let due = given.get(&client.id).cloned().unwrap_or_default();
                        assert_eq!(synced.assignment, due, "what the leader gave");
                    }
                }
                Err(super::super::GroupError::RebalanceInProgress) => client.generation = 0,
                Err(_) => lose(client),
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.ms += ms;
        let effects = self.group.tick(&self.config, at(self.ms));
        self.take(effects);
    }
}

fn lose(client: &mut Client) {
    client.id.clear();
    client.generation = 0;
    client.has_assignment = false;
}

fn run(seed: u64) -> usize {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        let index = usize::try_from(world.rng.next_below(CLIENTS as u64)).expect("few");
        world.step(index, true);
        let passed_ms = world.rng.next_below(400);
        world.pass(passed_ms);
        if world.one_in(3) {
            world.store();
        }
        if world.one_in(150) {
            world.restart();
        }
    }
    for client in &mut world.clients {
        client.asleep_until_ms = 0;
    }
    let calm_at_ms = world.ms;
    loop {
        for index in 0..CLIENTS {
            world.step(index, false);
            world.store();
            world.hear(index);
        }
        world.pass(100);
        let is_settled = |client: &Client| client.has_assignment && client.generation > 0;
        if world.group.state() == GroupState::Stable
            && world.group.members.len() == CLIENTS
            && world.clients.iter().all(is_settled)
        {
            break;
        }
        assert!(
            world.ms < calm_at_ms + 120_000,
            "seed {seed}: a rebalance does not end"
        );
    }
    world.stable_generations
}

#[test]
fn random_churn_breaks_no_promise() {
    let seed = 20_261_127;
    println!("seeds from {seed}");
    let generations: usize = (seed..seed + 60).map(run).sum();
    println!("{generations} generations were assigned");
    assert!(
        generations > 500,
        "the churn came to assignments: {generations}"
    );
}
