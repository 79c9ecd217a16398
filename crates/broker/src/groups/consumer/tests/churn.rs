//! Random members of both protocols come, go, fall silent, change their minds and come back while
//! topics grow and the coordinator restarts.
//!
//! Held against what the members themselves believe: no partition is in the hands of two of them
//! in one epoch; no member hears of an epoch that a restart takes back; and when the chaos ends,
//! so does every rebalance, with every partition in somebody's hands.

use bytes::Bytes;
use clock::{Rng, SeededRng};

use super::super::super::join::Joining;
use super::super::super::member::{JoinAnswer, Leaving, Membership, SyncGroup, Synced};
use super::super::super::{Reply, subscription};
use super::classic::{join_request, subscription as subscribes};
use super::*;

const CLIENTS: usize = 7;
const STEPS: usize = 2_000;
const NAMES: [&str; 3] = ["t", "u", "v"];

/// What waits for the record.
type Waiting<T> = oneshot::Receiver<T>;

#[derive(Default)]
struct Client {
    is_classic: bool,
    instance: Option<String>,
    id: String,
    epoch: i32,
    /// What it believes to have.
    owned: BTreeSet<(TopicId, u32)>,
    /// What it was told to have; it lets go at once or later, and takes when it has let go.
    told: Option<Partitions>,
    topics: Vec<&'static str>,
    asleep_until_ms: u64,
    beating: Option<Waiting<Result<BeatAnswer, GroupError>>>,
    joining: Option<Waiting<JoinAnswer>>,
    syncing: Option<Waiting<Result<Synced, GroupError>>>,
    /// A classic member that has joined: the members that it assigns to, if it leads.
    leads: Option<Vec<String>>,
    is_synced: bool,
}

impl Client {
    fn shown(&self) -> String {
        let (id, epoch, instance) = (&self.id, self.epoch, &self.instance);
        let waits = (
            self.beating.is_some(),
            self.joining.is_some(),
            self.syncing.is_some(),
        );
        let owned = self
            .owned
            .iter()
            .map(|(topic, n)| (char::from(topic.0[0]), *n));
        let owned: Vec<_> = owned.collect();
        let topics = &self.topics;
        format!("{id:?} {instance:?} in {epoch}, waits {waits:?}, {topics:?}: {owned:?}")
    }

    fn forget(&mut self) {
        self.epoch = 0;
        self.owned.clear();
        self.told = None;
        self.leads = None;
        self.is_synced = false;
        (self.beating, self.joining, self.syncing) = (None, None, None);
    }
}

struct Churn {
    rng: SeededRng,
    config: GroupConfig,
    world: World,
    group: AnyGroup,
    stored: Option<Bytes>,
    unstored: Option<Bytes>,
    held: Vec<Reply>,
    clients: Vec<Client>,
    ms: u64,
    ids: u64,
    /// Who had a partition in an epoch.
    claims: BTreeMap<(TopicId, u32, i32), usize>,
    conversions: usize,
    stable: usize,
}

impl Churn {
    fn new(seed: u64) -> Self {
        let client = |index: usize| Client {
            instance: (index % 3 == 2).then(|| format!("i{index}")),
            topics: vec!["t", "u"],
            ..Client::default()
        };
        Self {
            rng: SeededRng::new(seed),
            config: GroupConfig::default(),
            world: World::with(&[("t", 5), ("u", 3)]),
            group: AnyGroup::new(at(0)),
            stored: None,
            unstored: None,
            held: Vec::new(),
            clients: (0..CLIENTS).map(client).collect(),
            ms: 0,
            ids: 0,
            claims: BTreeMap::new(),
            conversions: 0,
            stable: 0,
        }
    }

    fn one_in(&self, n: u64) -> bool {
        self.rng.next_below(n) == 0
    }

    /// What the coordinator does with what a move leads to.
    fn take(&mut self, kind_before: super::super::super::GroupKind, effects: Effects) {
        whole(&self.group);
        self.conversions += usize::from(self.group.kind() != kind_before);
        if effects.store
            && let Some(record) = self.group.encode()
        {
            self.unstored = Some(record);
        }
        if self.unstored.is_some() {
            self.held.extend(effects.replies);
        } else {
            effects.replies.into_iter().for_each(Reply::send);
        }
    }

    fn store(&mut self) {
        if let Some(record) = self.unstored.take() {
            self.stored = Some(record);
        }
        self.held.drain(..).for_each(Reply::send);
    }

    fn restart(&mut self) {
        self.held.clear();
        self.unstored = None;
        self.group = match &self.stored {
            Some(record) => AnyGroup::decode(record, &self.config, at(self.ms)).expect("readable"),
            None => AnyGroup::new(at(self.ms)),
        };
        whole(&self.group);
        for client in &mut self.clients {
            (client.beating, client.joining, client.syncing) = (None, None, None);
        }
    }

    fn tick(&mut self) {
        let before = self.group.kind();
        let effects = self.group.tick(&self.config, at(self.ms));
        self.take(before, effects);
    }

    fn step(&mut self, index: usize, chaos: bool) {
        self.hear(index);
        let client = &self.clients[index];
        if chaos && client.asleep_until_ms > self.ms {
            return;
        }
        let waits =
            client.beating.is_some() || client.joining.is_some() || client.syncing.is_some();
        if waits {
            return;
        }
        if chaos && self.one_in(60) {
            let sleep_ms = self.rng.next_below(60_000);
            let dies = self.one_in(2);
            let other = self.one_in(2);
            let client = &mut self.clients[index];
            client.asleep_until_ms = self.ms + sleep_ms;
            if dies {
                // Its next life is another process, maybe of the other protocol.
                client.id.clear();
                client.forget();
                client.is_classic ^= other;
            }
        } else if client.is_classic {
            self.step_classic(index, chaos);
        } else {
            self.step_native(index, chaos);
        }
    }

    /// Lets go of what it was told to, and takes what it was told to.
    fn take_told(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(told) = client.told.take() else {
            return;
        };
        let all = told
            .iter()
            .flat_map(|(topic, of)| of.iter().map(|n| (*topic, *n)));
        client.owned = all.collect();
        self.claim(index);
    }

    fn step_native(&mut self, index: usize, chaos: bool) {
        let leaves = chaos && self.one_in(60);
        let changes = chaos && self.one_in(40);
        let is_slow = chaos && !self.one_in(3);
        let pick = usize::try_from(self.rng.next_below(3)).expect("small");
        let client = &mut self.clients[index];
        if changes {
            client.topics = NAMES.iter().copied().take(pick + 1).collect();
        }
        if !is_slow {
            self.take_told(index);
        }
        let client = &mut self.clients[index];
        let joins = client.epoch == 0;
        if joins && client.id.is_empty() {
            self.ids += 1;
            client.id = format!("n{}", self.ids);
        }
        let mut owned = Partitions::new();
        for (topic, partition) in &client.owned {
            owned.entry(*topic).or_default().insert(*partition);
        }
        let owned = owned
            .into_iter()
            .map(|(topic, of)| (topic, of.into_iter().map(u32::cast_signed).collect()));
        let epoch = match (
            leaves && !joins,
            client.instance.is_some() && self.rng.next_below(2) == 0,
        ) {
            (false, _) => client.epoch,
            (true, true) => -2,
            (true, false) => -1,
        };
        let beat = Beat {
            member_id: client.id.clone(),
            epoch,
            instance_id: client.instance.clone(),
            names: Some(
                client
                    .topics
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect(),
            ),
            rebalance_timeout_ms: Some(20_000),
            owned: Some(owned.collect()),
            ..Beat::default()
        };
        let (waiter, answer) = oneshot::channel();
        let before = self.group.kind();
        let beating = Beating {
            config: &self.config,
            now: at(self.ms),
            topics: &self.world,
            fresh_id: Arc::from("unused"),
        };
        let effects = self.group.beat(&beat, beating, waiter);
        self.take(before, effects);
        let client = &mut self.clients[index];
        if epoch < 0 {
            client.id.clear();
            client.forget();
        } else {
            client.beating = Some(answer);
        }
    }

    fn step_classic(&mut self, index: usize, chaos: bool) {
        let now = at(self.ms);
        let client = &self.clients[index];
        let from = Membership {
            generation: client.epoch,
            member_id: client.id.clone(),
            instance_id: client.instance.clone(),
        };
        let before = self.group.kind();
        if chaos && client.epoch > 0 && self.one_in(60) {
            let leaving = Leaving {
                member_id: client.id.clone(),
                instance_id: client.instance.clone(),
            };
            let (_, effects) = self.group.leave(&[leaving], &self.config, now);
            self.take(before, effects);
            self.clients[index].id.clear();
            self.clients[index].forget();
        } else if client.epoch == 0 {
            self.ids += 1;
            let fresh_id = format!("c{}", self.ids);
            let metadata = subscribes(&client.topics, &[]);
            let mut request = join_request(&client.id, metadata);
            request.instance_id.clone_from(&client.instance);
            request.requires_member_id = true;
            let (waiter, answer) = oneshot::channel();
            let joining = Joining {
                config: &self.config,
                now,
                fresh_id: fresh_id.into(),
                waiter,
            };
            let effects = self.group.join(request, joining, &self.world);
            self.take(before, effects);
            self.clients[index].joining = Some(answer);
        } else if !client.is_synced {
            let assignments = match &client.leads {
                Some(members) => self.shared_out(members),
                None => Vec::new(),
            };
            let request = SyncGroup {
                member: from,
                assignments,
                ..SyncGroup::default()
            };
            let (waiter, answer) = oneshot::channel();
            let effects = self.group.sync(request, waiter, &self.config, now);
            self.take(before, effects);
            self.clients[index].syncing = Some(answer);
        } else if let Err(error) = self.group.heartbeat(&from, now) {
            self.hear_error(index, &error);
        }
    }

    /// What a leader of the classic protocol assigns: one partition to each in turn.
    fn shared_out(&self, members: &[String]) -> Vec<(String, Bytes)> {
        let mut of: BTreeMap<&String, BTreeMap<&str, Vec<u32>>> = BTreeMap::new();
        let all = self
            .world
            .topics
            .iter()
            .flat_map(|(name, (_, count))| (0..*count).map(move |n| (name, n)));
        for ((name, partition), member) in all.zip(members.iter().cycle()) {
            of.entry(member)
                .or_default()
                .entry(name)
                .or_default()
                .push(partition);
        }
        let write = |of: BTreeMap<&str, Vec<u32>>| {
            subscription::write_assignment(1, &of.into_iter().collect::<Vec<_>>())
        };
        of.into_iter()
            .map(|(member, of)| (member.clone(), write(of)))
            .collect()
    }

    /// What has been answered meanwhile.
    fn hear(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if let Some(answer) = client
            .beating
            .as_mut()
            .and_then(|answer| answer.try_recv().ok())
        {
            client.beating = None;
            match answer {
                Ok(answer) => {
                    assert!(answer.epoch > 0, "who is in has an epoch");
                    client.epoch = answer.epoch;
                    let told = answer.assignment.or_else(|| client.told.take());
                    let has = |told: &Partitions| {
                        let all = told.iter().flat_map(|(t, of)| of.iter().map(|n| (*t, *n)));
                        all.collect::<BTreeSet<_>>() == client.owned
                    };
                    client.told = told.filter(|told| !has(told));
                    self.claim(index);
                }
                Err(error) => self.hear_error(index, &error),
            }
            return;
        }
        let client = &mut self.clients[index];
        if let Some(answer) = client
            .joining
            .as_mut()
            .and_then(|answer| answer.try_recv().ok())
        {
            client.joining = None;
            let id = answer.member_id.clone();
            match answer.outcome {
                Ok(joined) => {
                    client.id = id.clone();
                    client.epoch = joined.generation;
                    client.is_synced = false;
                    let members = joined.members.into_iter().map(|member| member.member_id);
                    client.leads = (joined.leader == id).then(|| members.collect());
                    // A new group may assign in epoch 0 only to who has to let go first.
                    if client.epoch == 0 {
                        client.forget();
                    }
                }
                Err(GroupError::MemberIdRequired) => client.id = id,
                Err(error) => self.hear_error(index, &error),
            }
            return;
        }
        let client = &mut self.clients[index];
        if let Some(answer) = client
            .syncing
            .as_mut()
            .and_then(|answer| answer.try_recv().ok())
        {
            client.syncing = None;
            match answer {
                Ok(synced) => {
                    client.is_synced = true;
                    let read = subscription::read_assignment(&synced.assignment);
                    for (name, of) in read.unwrap_or_default() {
                        let of = of.into_iter().map(|n| (topic(&name), n.cast_unsigned()));
                        client.owned.extend(of);
                    }
                    self.claim(index);
                }
                Err(error) => self.hear_error(index, &error),
            }
        }
    }

    fn hear_error(&mut self, index: usize, error: &GroupError) {
        let client = &mut self.clients[index];
        let id = std::mem::take(&mut client.id);
        client.forget();
        match error {
            // It joins again as who it is.
            GroupError::RebalanceInProgress
            | GroupError::FencedMemberEpoch { .. }
            | GroupError::UnreleasedInstance { .. } => client.id = id,
            GroupError::UnknownMember { .. }
            | GroupError::IllegalGeneration { .. }
            | GroupError::FencedInstance { .. }
            | GroupError::OtherProtocol
            | GroupError::NotFound { .. } => {}
            other => panic!("{other}"),
        }
    }

    /// Nobody else has these partitions in this epoch.
    fn claim(&mut self, index: usize) {
        let client = &self.clients[index];
        for (topic, partition) in &client.owned {
            let key = (*topic, *partition, client.epoch);
            let holder = *self.claims.entry(key).or_insert(index);
            assert_eq!(holder, index, "{key:?} has two owners");
        }
    }

    fn grow(&mut self) {
        let pick = usize::try_from(self.rng.next_below(3)).expect("small");
        let count = self
            .world
            .topics
            .get(NAMES[pick])
            .map_or(0, |(_, count)| *count);
        if count < 9 {
            self.world.set(NAMES[pick], count + 1);
        }
    }

    fn run(&mut self, chaos: bool) {
        for step in 0..STEPS {
            self.ms += self.rng.next_below(if chaos { 400 } else { 250 });
            self.tick();
            let index = usize::try_from(self.rng.next_below(CLIENTS as u64)).expect("small");
            self.step(index, chaos);
            if self.one_in(2) {
                self.store();
            }
            if chaos && self.one_in(300) {
                self.restart();
            }
            if chaos && self.one_in(300) {
                self.grow();
            }
            self.stable += usize::from(self.group.state() == GroupState::Stable);
            if !chaos && step % 50 == 0 && self.is_settled() {
                return;
            }
        }
        let members: Vec<_> = self.clients.iter().map(Client::shown).collect();
        let state = self.group.state();
        assert!(chaos, "the rebalance does not end: {state:?}, {members:#?}");
    }

    /// Everybody is in, in one epoch, and every partition is in somebody's hands.
    fn is_settled(&mut self) -> bool {
        self.store();
        (0..CLIENTS).for_each(|index| self.hear(index));
        let ready = |client: &Client| {
            client.epoch > 0 && client.told.is_none() && client.is_synced == client.is_classic
        };
        if self.group.state() != GroupState::Stable || !self.clients.iter().all(ready) {
            return false;
        }
        let all = self
            .clients
            .iter()
            .flat_map(|client| client.owned.iter().copied());
        let all: Vec<_> = all.collect();
        let some: BTreeSet<_> = all.iter().copied().collect();
        assert_eq!(all.len(), some.len(), "nobody has what another has");
        let wanted = |name: &str| {
            self.clients
                .iter()
                .any(|client| client.topics.contains(&name))
        };
        let is_consumer = matches!(self.group, AnyGroup::Consumer(_));
        let topics = self.world.topics.iter();
        let topics = topics.filter(|(name, _)| !is_consumer || wanted(name));
        let count: u32 = topics.map(|(_, (_, count))| count).sum();
        some.len() == count as usize
    }
}

#[test]
fn every_rebalance_ends_and_no_partition_has_two_owners() {
    let first: u64 = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    let count: u64 = std::env::var("SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(3);
    let (mut conversions, mut stable) = (0, 0);
    for seed in first..first + count {
        println!("SEED={seed}");
        let mut churn = Churn::new(seed);
        // Some begin classic, so that groups change over.
        for index in 0..CLIENTS {
            churn.clients[index].is_classic = seed % 3 == 0 || (seed % 3 == 1 && index % 2 == 0);
        }
        for _ in 0..3 {
            churn.run(true);
            churn.run(false);
        }
        conversions += churn.conversions;
        stable += churn.stable;
    }
    println!("{count} runs, {conversions} conversions, stable after {stable} steps");
    assert!(count < 3 || conversions > 0, "groups have changed over");
}
