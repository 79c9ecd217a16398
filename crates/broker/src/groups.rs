//! The coordinator of all consumer groups: both protocols, committed offsets.
//!
//! Guarantees: an answer to a member that shows a generation, an assignment or the new id of a
//! static member leaves after the group's record is durable, so that no restart takes it back.
//! Leaving, ids given out to be joined with, listings and descriptions are answered from memory.
//! One task ([`Groups::run`]) stores records, in the order in which the groups changed, and keeps
//! all deadlines. What a group may do is decided in `group` and its moves, which know neither time
//! nor store. What a group is told of its own is in `own_configs`. Must not know: any wire format,
//! sockets.

mod any_group;
mod consumer;
mod describe;
mod error;
mod expiry;
mod group;
mod join;
mod keeper;
mod lag;
mod member;
mod offsets;
mod own_configs;
mod rebalance;
mod record;
mod subscription;
mod sync;
mod table;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use clock::{Clock, Rng};
use parking_lot::{Mutex, RwLock};
use storage::{Key, Metadata, Space};
use tokio::sync::{Notify, oneshot};

use crate::Parts;
use crate::config::BrokerConfig;
use crate::error::{OpenBrokerError, Trouble};
use crate::keys::{self, CONSUMER_BYTES_MAX};
use crate::open::PAGE;
use crate::topics::Topics;

pub use consumer::{
    Assignor, Beat, BeatAnswer, ConsumerDescription, ConsumerMemberDescription, TopicPartitions,
};
pub use describe::{GroupDescription, GroupKind, GroupListing, MemberDescription};
pub use error::GroupError;
pub use group::{ConsumerConfig, GroupConfig, GroupState, Migration};
pub use lag::{GroupLag, Lags, PartitionLag};
pub use member::{
    JoinAnswer, JoinGroup, Joined, JoinedMember, Leaving, Membership, SyncGroup, Synced,
};
pub use offsets::{Commit, CommittedOffset};

use any_group::AnyGroup;
use consumer::Beating;
use group::{Effects, Now};
use join::Joining;
use lag::LastLook;
use member::{MemberId, Reply};
use own_configs::OwnConfigs;
use table::{SLOT_BYTES, Slot, Table};

/// What a member id says of the client, at most.
const CLIENT_BYTES_IN_ID: usize = 255;

/// All groups. See the head of the module.
#[derive(Debug)]
pub struct Groups {
    metadata: Arc<dyn Metadata>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    config: Arc<BrokerConfig>,
    /// For the names of topics that have offsets.
    topics: Arc<ArcSwap<Topics>>,
    table: Mutex<Table>,
    /// Wakes the task that stores and keeps time.
    work: Notify,
    stopping: AtomicBool,
    last_look: tokio::sync::Mutex<LastLook>,
    own_configs: RwLock<OwnConfigs>,
}

impl Groups {
    /// Reads the groups and the names that have offsets. Sessions begin anew.
    pub(crate) async fn load(
        parts: &Parts,
        config: &Arc<BrokerConfig>,
        topics: &Arc<ArcSwap<Topics>>,
    ) -> Result<Self, OpenBrokerError> {
        let groups = Self {
            metadata: Arc::clone(&parts.metadata),
            clock: Arc::clone(&parts.clock),
            rng: Arc::clone(&parts.rng),
            config: Arc::clone(config),
            topics: Arc::clone(topics),
            table: Mutex::default(),
            work: Notify::new(),
            stopping: AtomicBool::new(false),
            last_look: tokio::sync::Mutex::default(),
            own_configs: RwLock::default(),
        };
        groups.load_own_configs().await?;
        groups.load_space(Space::Group).await?;
        groups.load_space(Space::Offset).await?;
        Ok(groups)
    }

    async fn load_space(&self, space: Space) -> Result<(), OpenBrokerError> {
        let all = Key::space(space);
        let mut after = None;
        loop {
            let listed = self.metadata.list(&all, after.as_ref(), PAGE).await;
            let page = listed.map_err(Trouble::from)?;
            {
                let mut table = self.table.lock();
                let now = self.now();
                for row in &page {
                    let name: Arc<str> = keys::group_of(&row.key)?.into();
                    if space == Space::Group {
                        let group = AnyGroup::decode(&row.value, &self.limits_of(&name), now)?;
                        table.slots.insert(Arc::clone(&name), Slot::kept(group));
                    } else {
                        let simple = || Slot::kept(AnyGroup::new(now));
                        table.slots.entry(Arc::clone(&name)).or_insert_with(simple);
                    }
                    let nothing = self.settle(&mut table, &name, Effects::default());
                    assert!(nothing.is_empty(), "nobody waits yet");
                }
            }
            if page.len() < PAGE {
                return Ok(());
            }
            after = page.last().map(|row| row.key.clone());
        }
    }

    fn now(&self) -> Now {
        Now {
            monotonic: self.clock.monotonic(),
            wall_ms: self.clock.wall_ms(),
        }
    }

    fn limits(&self) -> &GroupConfig {
        &self.config.groups
    }

    /// What holds for the members of one group.
    fn limits_of(&self, group: &str) -> Cow<'_, GroupConfig> {
        match self.own_configs.read().of(group) {
            None => Cow::Borrowed(self.limits()),
            Some(own) => Cow::Owned(own_configs::over(self.limits(), own)),
        }
    }

    /// A member joins; resolves when its generation has begun, or with why not.
    pub async fn join(&self, group: &str, request: JoinGroup) -> JoinAnswer {
        let own_id = request.member_id.clone();
        if let Err(error) = self.check_join(group, &request) {
            return JoinAnswer::refused(&own_id, error);
        }
        let unknown = |member: &str| GroupError::UnknownMember {
            member: member.to_owned(),
        };
        let fresh_id = self.fresh_id(&request);
        let (waiter, answer) = oneshot::channel();
        let joined = {
            let mut table = self.table.lock();
            if let Err(error) = table.admits(group, request.bytes()) {
                return JoinAnswer::refused(&own_id, error);
            }
            let now = self.now();
            let name: Arc<str> = group.into();
            if own_id.is_empty() {
                let new = || Slot::new(AnyGroup::new(now));
                table.slots.entry(Arc::clone(&name)).or_insert_with(new);
            }
            table
                .slots
                .get_mut(&name)
                .map(|slot| {
                    let joining = Joining {
                        config: self.limits(),
                        now,
                        fresh_id,
                        waiter,
                    };
                    slot.group.join(request, joining, &**self.topics.load())
                })
                .map(|effects| self.settle(&mut table, &name, effects))
        };
        let Some(replies) = joined else {
            return JoinAnswer::refused(&own_id, unknown(&own_id));
        };
        replies.into_iter().for_each(Reply::send);
        let gone = |_| JoinAnswer::refused(&own_id, unknown(&own_id));
        answer.await.unwrap_or_else(gone)
    }

    fn check_join(&self, group: &str, request: &JoinGroup) -> Result<(), GroupError> {
        check_name(group)?;
        let GroupConfig {
            session_min_ms: min_ms,
            session_max_ms: max_ms,
            ..
        } = *self.limits();
        let asked_ms = request.session_timeout_ms;
        if (min_ms..=max_ms).contains(&asked_ms) {
            return Ok(());
        }
        Err(GroupError::InvalidSessionTimeout {
            asked_ms,
            min_ms,
            max_ms,
        })
    }

    /// The client's name, or the instance's, and a UUID.
    fn fresh_id(&self, request: &JoinGroup) -> MemberId {
        let name = request.instance_id.as_ref().unwrap_or(&request.client_id);
        let end = name.floor_char_boundary(CLIENT_BYTES_IN_ID);
        let (name, _) = name.split_at(end);
        self.fresh_uuid(format!("{name}-"))
    }

    fn fresh_uuid(&self, mut id: String) -> MemberId {
        for (index, byte) in self.rng.uuid_v4().into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                id.push('-');
            }
            write!(id, "{byte:02x}").expect("a text takes all");
        }
        id.into()
    }

    /// A sign of life of a member of the new protocol; resolves when what it shows is durable.
    /// `makes_id`: the client is of a version that makes the id of its member itself.
    pub async fn beat(
        &self,
        group: &str,
        beat: &Beat,
        makes_id: bool,
    ) -> Result<BeatAnswer, GroupError> {
        check_length(group)?;
        beat.check(group, makes_id, self.limits())?;
        let fresh_id = self.fresh_uuid(String::new());
        let limits = self.limits_of(group);
        let (waiter, answer) = oneshot::channel();
        let replies = {
            let mut table = self.table.lock();
            let more_bytes = if beat.joins() { beat.bytes() } else { 0 };
            table.admits(group, more_bytes)?;
            let now = self.now();
            let name: Arc<str> = group.into();
            if beat.joins() {
                let new = || Slot::new(AnyGroup::new(now));
                table.slots.entry(Arc::clone(&name)).or_insert_with(new);
            }
            let slot = table.slots.get_mut(&name);
            let slot = slot.ok_or_else(|| GroupError::NotFound {
                group: group.to_owned(),
            })?;
            let beating = Beating {
                config: &limits,
                now,
                topics: &**self.topics.load(),
                fresh_id,
            };
            let effects = slot.group.beat(beat, beating, waiter);
            self.settle(&mut table, &name, effects)
        };
        replies.into_iter().for_each(Reply::send);
        answer.await.unwrap_or(Err(GroupError::Stopping))
    }

    /// A member asks for its assignment; resolves when the leader has given it.
    pub async fn sync(&self, group: &str, request: SyncGroup) -> Result<Synced, GroupError> {
        check_name(group)?;
        let member = request.member.member_id.clone();
        self.table.lock().admits(group, request.bytes())?;
        let (waiter, answer) = oneshot::channel();
        let replies = self.with_group(group, |group, now| {
            let effects = group.sync(request, waiter, self.limits(), now);
            ((), effects)
        });
        if replies.is_none() {
            return Err(GroupError::UnknownMember { member });
        }
        let gone = |_| Err(GroupError::UnknownMember { member });
        answer.await.unwrap_or_else(gone)
    }

    /// A sign of life.
    pub fn heartbeat(&self, group: &str, from: &Membership) -> Result<(), GroupError> {
        check_name(group)?;
        let mut table = self.table.lock();
        let now = self.now();
        let slot = table.slots.get_mut(group);
        // Deadlines only move away, so the timers stay as they are.
        slot.map_or_else(
            || Err(unknown_member(from)),
            |slot| slot.group.heartbeat(from, now),
        )
    }

    /// Members leave, or are made to.
    pub fn leave(
        &self,
        group: &str,
        leaving: &[Leaving],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        check_name(group)?;
        let left = self.with_group(group, |group, now| group.leave(leaving, self.limits(), now));
        left.ok_or_else(|| GroupError::UnknownMember {
            member: String::new(),
        })
    }

    /// Removes an empty group with its offsets, durably.
    pub async fn delete(&self, group: &str) -> Result<(), GroupError> {
        let deleted = {
            let mut table = self.table.lock();
            let name = || group.to_owned();
            match table.slots.get(group) {
                None => return Err(GroupError::NotFound { group: name() }),
                Some(slot) if !slot.group.is_empty() => {
                    return Err(GroupError::NotEmpty { group: name() });
                }
                Some(_) => {}
            }
            let (sender, receiver) = oneshot::channel();
            self.take_out(&mut table, group, Some(sender));
            receiver
        };
        deleted.await.unwrap_or(Ok(()))
    }

    /// Does something with a group and sends what comes of it.
    fn with_group<T>(
        &self,
        group: &str,
        act: impl FnOnce(&mut AnyGroup, Now) -> (T, Effects),
    ) -> Option<T> {
        let (outcome, replies) = {
            let mut table = self.table.lock();
            let now = self.now();
            let (name, _) = table.slots.get_key_value(group)?;
            let name = Arc::clone(name);
            let slot = table.slots.get_mut(&name)?;
            let (outcome, effects) = act(&mut slot.group, now);
            (outcome, self.settle(&mut table, &name, effects))
        };
        replies.into_iter().for_each(Reply::send);
        Some(outcome)
    }

    /// Notes the next deadline and what is to be stored. Returns the answers that can leave.
    fn settle(&self, table: &mut Table, name: &Arc<str>, effects: Effects) -> Vec<Reply> {
        let Some(slot) = table.slots.get_mut(name) else {
            return effects.replies;
        };
        let bytes = SLOT_BYTES + name.len() + slot.group.bytes();
        table.bytes = table.bytes - slot.bytes + bytes;
        slot.bytes = bytes;
        slot.is_kept |= effects.store;
        if !slot.is_kept && slot.group.is_idle() {
            table.remove(name);
            return effects.replies;
        }
        let mut wakes = false;
        if let Some(at) = slot.group.next_deadline()
            && slot.timer_at.is_none_or(|known| at < known)
        {
            if let Some(known) = slot.timer_at.replace(at) {
                table.timers.remove(&(known, Arc::clone(name)));
            }
            table.timers.insert((at, Arc::clone(name)));
            wakes = true;
        }
        let mut replies = effects.replies;
        if effects.store
            && let Some(record) = slot.group.encode()
            && slot.record.replace(record).is_none()
        {
            table.queue.push_back(Arc::clone(name));
            wakes = true;
        }
        if slot.record.is_some() || slot.storing {
            slot.held.append(&mut replies);
        }
        if wakes {
            self.work.notify_one();
        }
        replies
    }
}

fn unknown_member(from: &Membership) -> GroupError {
    GroupError::UnknownMember {
        member: from.member_id.clone(),
    }
}

/// A group that balances has a name.
fn check_name(group: &str) -> Result<(), GroupError> {
    if group.is_empty() {
        return Err(invalid_name(group));
    }
    check_length(group)
}

/// Offsets may also be kept for the empty name, as Kafka does it.
fn check_length(group: &str) -> Result<(), GroupError> {
    if group.len() > CONSUMER_BYTES_MAX {
        return Err(invalid_name(group));
    }
    Ok(())
}

fn invalid_name(group: &str) -> GroupError {
    GroupError::InvalidName {
        size_bytes: group.len(),
        limit_bytes: CONSUMER_BYTES_MAX,
    }
}

#[cfg(test)]
mod tests;
