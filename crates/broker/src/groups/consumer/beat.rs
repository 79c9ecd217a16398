//! The one request of the new protocol: joining, staying, changing one's mind, leaving.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use storage::TopicId;
use tokio::sync::oneshot;

use super::super::GroupError;
use super::super::group::{Effects, GroupConfig, Now};
use super::super::member::{MemberId, Reply};
use super::member::{AWAY, ConsumerMember, without_epochs};
use super::{Assignor, ConsumerGroup, Owned, Partitions, REGEXES_MAX, Timer, TopicView, topics};

/// The epoch of who joins.
const JOINS: i32 = 0;
/// The epoch of who leaves.
const LEAVES: i32 = -1;

/// A sign of life. What is `None` is as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beat {
    /// The id of the member; it makes one itself, or has none when it joins.
    pub member_id: String,
    /// The epoch that it is in: 0 joins, −1 leaves, −2 leaves for a while (static members only).
    pub epoch: i32,
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// Where it is.
    pub rack_id: Option<String>,
    /// How long it may take to let go of partitions.
    pub rebalance_timeout_ms: Option<i32>,
    /// The topics that it subscribes to.
    pub names: Option<Vec<String>>,
    /// A regular expression of topics that it subscribes to; empty for none any more.
    pub regex: Option<String>,
    /// The assignor that it prefers, by name.
    pub assignor: Option<String>,
    /// The partitions that it has.
    pub owned: Option<Vec<(TopicId, Vec<i32>)>>,
    /// What the client calls itself.
    pub client_id: String,
    /// The address of the client, as it is shown.
    pub client_host: String,
}

/// The answer to a [`Beat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeatAnswer {
    /// The id of the member.
    pub member_id: String,
    /// The epoch that it is in now.
    pub epoch: i32,
    /// What it is to have, where it has changed or was asked for.
    pub assignment: Option<Partitions>,
    /// When the next sign of life is due, in ms.
    pub interval_ms: i32,
}

/// Who waits for the answer.
pub(crate) type BeatWaiter = oneshot::Sender<Result<BeatAnswer, GroupError>>;

/// What a beat needs beside the request.
pub(crate) struct Beating<'a> {
    pub(crate) config: &'a GroupConfig,
    pub(crate) now: Now,
    pub(crate) topics: &'a dyn TopicView,
    /// An id that no member ever had.
    pub(crate) fresh_id: MemberId,
}

impl Beat {
    /// What is wrong with it, whatever is in the group. `makes_id`: the client is of a version that
    /// makes its id itself.
    pub(crate) fn check(
        &self,
        group: &str,
        makes_id: bool,
        config: &GroupConfig,
    ) -> Result<(), GroupError> {
        let blank =
            |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        let invalid = |what| Err(GroupError::InvalidRequest { what });
        if group.trim().is_empty() {
            return invalid("GroupId can't be empty.");
        }
        let needs_id = makes_id || self.epoch > JOINS || self.epoch < JOINS;
        if needs_id && self.member_id.trim().is_empty() {
            return invalid("MemberId can't be empty.");
        }
        if blank(&self.instance_id) {
            return invalid("InstanceId can't be empty.");
        }
        if blank(&self.rack_id) {
            return invalid("RackId can't be empty.");
        }
        if self.epoch == JOINS {
            if self.rebalance_timeout_ms.is_none() {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            if self.names.is_none() && self.regex.is_none() {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                     (re-)joining.",
                );
            }
        } else if self.epoch == AWAY && self.instance_id.is_none() {
            return invalid("InstanceId can't be null.");
        } else if self.epoch < AWAY {
            return invalid("MemberEpoch is invalid.");
        }
        self.wanted_assignor(config).map(drop)
    }

    fn wanted_assignor(&self, config: &GroupConfig) -> Result<Option<Assignor>, GroupError> {
        let Some(name) = &self.assignor else {
            return Ok(None);
        };
        let known = Assignor::of_name(name);
        let allowed = known.filter(|known| config.consumer.assignors.contains(known));
        allowed
            .map(Some)
            .ok_or_else(|| GroupError::UnsupportedAssignor {
                assignor: name.clone(),
                supported: config.consumer.assignors.clone(),
            })
    }

    pub(crate) fn joins(&self) -> bool {
        self.epoch == JOINS
    }

    /// Bytes of it that may be kept.
    pub(crate) fn bytes(&self) -> usize {
        let names = self.names.iter().flatten().map(String::len).sum::<usize>();
        let texts = [&self.instance_id, &self.rack_id, &self.regex];
        let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
        ConsumerMember::new().bytes() + names + texts + self.client_id.len()
    }

    fn owned(&self) -> Option<Partitions> {
        let owned = self.owned.as_ref()?;
        let mut partitions = Partitions::new();
        for (topic, of) in owned {
            let of = of.iter().filter_map(|number| u32::try_from(*number).ok());
            partitions.entry(*topic).or_default().extend(of);
        }
        Some(partitions)
    }

    /// Whether it says everything that a member can say, as after a lost answer.
    fn is_full(&self) -> bool {
        let says_all =
            self.rebalance_timeout_ms.is_some() && self.names.is_some() && self.owned.is_some();
        self.joins() || says_all
    }
}

pub(super) fn span(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

impl ConsumerGroup {
    /// A sign of life; [`Beat::check`] found nothing wrong with it.
    pub(crate) fn beat(
        &mut self,
        beat: &Beat,
        beating: Beating<'_>,
        waiter: BeatWaiter,
    ) -> Effects {
        let answer = if beat.epoch < JOINS {
            self.beat_last(beat, beating.now)
        } else {
            self.beat_on(beat, beating)
        };
        let mut effects = self.effects();
        effects.replies.push(Reply::Beat(waiter, answer));
        effects
    }

    fn beat_last(&mut self, beat: &Beat, now: Now) -> Result<BeatAnswer, GroupError> {
        let id = self.holder(&beat.member_id, beat.instance_id.as_deref())?;
        if beat.epoch == LEAVES {
            self.remove(std::slice::from_ref(&id), now);
        } else {
            let member = self.members.get(&id).expect("held");
            let mut away = member.clone();
            away.epoch = AWAY;
            away.revoking = Owned::new();
            away.state = super::MemberState::Stable;
            self.replace_partitions(&id, away);
            self.set_timer(Timer::Rebalance, &id, None);
            self.is_dirty = true;
        }
        Ok(BeatAnswer {
            member_id: beat.member_id.clone(),
            epoch: beat.epoch,
            assignment: None,
            interval_ms: 0,
        })
    }

    fn beat_on(&mut self, beat: &Beat, beating: Beating<'_>) -> Result<BeatAnswer, GroupError> {
        let Beating {
            config,
            now,
            topics,
            fresh_id,
        } = beating;
        let owned = beat.owned();
        let id = self.known_or_new(beat, owned.as_ref(), fresh_id)?;
        self.check_room(beat, &id, config)?;
        let matched = self.match_regex(beat, topics)?;
        let assignor = beat.wanted_assignor(config)?;
        // Nothing was changed up to here, and nothing fails from here on.
        let knew = self.members.contains_key(&id);
        let before = self.take_place(beat, &id);
        let is_other = self.update(beat, &id, assignor) || !knew && before.is_some();
        self.regexes.extend(matched);
        if is_other {
            self.forget_regexes();
        }
        self.move_on(&id, is_other, (config, topics));
        self.reconcile(&id, owned.as_ref(), now);
        let session_end = now.monotonic + config.consumer.session_timeout;
        self.set_timer(Timer::Session, &id, Some(session_end));
        let member = self.members.get(&id).expect("of the request");
        let assigned = without_epochs(&member.assigned);
        let is_new = before.is_none_or(|before| before != assigned);
        Ok(BeatAnswer {
            member_id: id.to_string(),
            epoch: member.epoch,
            assignment: (is_new || beat.is_full()).then_some(assigned),
            interval_ms: config.consumer.heartbeat_interval_ms,
        })
    }

    /// After a change of a member: a new epoch and a new target, where there is a reason.
    pub(super) fn move_on(
        &mut self,
        id: &MemberId,
        is_other: bool,
        (config, topics): (&GroupConfig, &dyn TopicView),
    ) {
        let looks =
            is_other || self.revision != topics.revision() || self.epoch != self.target_epoch;
        let are_other = looks && self.look_at_topics(topics, id);
        if is_other || are_other {
            self.raise_epoch();
        }
        self.make_target(config);
    }

    /// The member that a request is from; its id only, if it is to be one.
    fn known_or_new(
        &self,
        beat: &Beat,
        owned: Option<&Partitions>,
        fresh_id: MemberId,
    ) -> Result<MemberId, GroupError> {
        let own_id = || -> MemberId {
            if beat.member_id.is_empty() {
                fresh_id
            } else {
                beat.member_id.as_str().into()
            }
        };
        let instance = beat.instance_id.as_deref();
        if beat.joins()
            && let Some(name) = instance
        {
            let Some(holder) = self.statics.get(name) else {
                let id = own_id();
                return self.unless_taken(id);
            };
            let held = self
                .members
                .get(holder)
                .expect("a static member is a member");
            if held.epoch != AWAY && held.classic.is_none() {
                return Err(GroupError::UnreleasedInstance {
                    instance: name.to_owned(),
                });
            }
            let id = own_id();
            if id == *holder {
                return Ok(id);
            }
            return self.unless_taken(id);
        }
        if beat.joins() && !self.members.contains_key(&*beat.member_id) {
            return Ok(own_id());
        }
        let id = self.holder(&beat.member_id, instance)?;
        let member = self.members.get(&id).expect("held");
        if member.classic.is_none() || !beat.joins() {
            check_epoch(beat.epoch, member, owned)?;
        }
        Ok(id)
    }

    /// The id of a static member is its own.
    fn unless_taken(&self, id: MemberId) -> Result<MemberId, GroupError> {
        if self.members.contains_key(&id) {
            return Err(GroupError::UnknownMember {
                member: id.to_string(),
            });
        }
        Ok(id)
    }

    fn check_room(
        &self,
        beat: &Beat,
        id: &MemberId,
        config: &GroupConfig,
    ) -> Result<(), GroupError> {
        let known = self.members.get(id);
        let limit = config.consumer.size_max;
        let instance = beat.instance_id.as_deref();
        let returns = instance.is_some_and(|name| self.statics.contains_key(name));
        if known.is_none() && !returns && self.members.len() >= limit {
            return Err(GroupError::Full { limit });
        }
        let known_bytes = known.map_or(0, ConsumerMember::bytes);
        let limit_bytes = config.bytes_max;
        if self.bytes - known_bytes + known_bytes.max(beat.bytes()) > limit_bytes {
            return Err(GroupError::TooLarge { limit_bytes });
        }
        Ok(())
    }

    /// A regular expression that nobody had yet, and what it matches.
    fn match_regex(
        &self,
        beat: &Beat,
        topics: &dyn TopicView,
    ) -> Result<Option<(String, BTreeSet<TopicId>)>, GroupError> {
        let new = |regex: &&String| !regex.is_empty() && !self.regexes.contains_key(*regex);
        let Some(regex) = beat.regex.as_ref().filter(new) else {
            return Ok(None);
        };
        if self.regexes.len() >= REGEXES_MAX {
            return Err(GroupError::TooManyRegexes { limit: REGEXES_MAX });
        }
        let matched = topics::matched(regex, topics)?;
        Ok(Some((regex.clone(), matched)))
    }

    /// Makes a member that is not there yet, or lets a static one come back under a new id. What it
    /// had before; `None`: what it has to be told in any case.
    fn take_place(&mut self, beat: &Beat, id: &MemberId) -> Option<Partitions> {
        let instance = beat.instance_id.as_deref();
        let holder = instance.and_then(|name| self.statics.get(name)).cloned();
        if let Some(holder) = holder.filter(|_| beat.joins()) {
            self.succeed(&holder, id);
            return None;
        }
        if let Some(member) = self.members.get(id) {
            return Some(without_epochs(&member.assigned));
        }
        let mut member = ConsumerMember::new();
        member.instance_id = instance.map(Into::into);
        self.insert(Arc::clone(id), member);
        Some(Partitions::new())
    }

    /// A static member comes back: it has what it had, and begins in epoch 0.
    pub(super) fn succeed(&mut self, holder: &MemberId, id: &MemberId) {
        let mut member = self.take_out(holder).expect("a static member is a member");
        member.epoch = 0;
        member.previous_epoch = 0;
        member.timers = [None; 4];
        self.insert(Arc::clone(id), member);
    }

    /// What a member says of itself now. True if it subscribes to something else.
    fn update(&mut self, beat: &Beat, id: &MemberId, assignor: Option<Assignor>) -> bool {
        let member = self.members.get_mut(id).expect("it has its place");
        let before = member.clone();
        if let Some(rack_id) = &beat.rack_id {
            member.rack_id = Some(rack_id.clone());
        }
        if let Some(ms) = beat.rebalance_timeout_ms {
            member.rebalance_timeout = span(ms);
        }
        if let Some(names) = &beat.names {
            member.names = names.iter().cloned().collect();
        }
        if let Some(regex) = &beat.regex {
            member.regex = Some(regex.clone()).filter(|regex| !regex.is_empty());
        }
        if assignor.is_some() {
            member.assignor = assignor;
        }
        beat.client_id.clone_into(&mut member.client_id);
        beat.client_host.clone_into(&mut member.client_host);
        member.classic = None;
        if *member == before {
            return false;
        }
        let is_other = member.names != before.names || member.regex != before.regex;
        self.bytes = self.bytes - before.bytes() + member.bytes();
        self.is_dirty = true;
        let was_classic = before.classic.is_some();
        if was_classic {
            self.set_timer(Timer::Join, id, None);
            self.set_timer(Timer::Sync, id, None);
        }
        is_other
    }
}

/// Whether the epoch that a member says is the one it has; the one before is taken too, from who
/// missed the answer and has nothing that it should not have.
fn check_epoch(
    asked: i32,
    member: &ConsumerMember,
    owned: Option<&Partitions>,
) -> Result<(), GroupError> {
    let current = member.epoch;
    if asked == current {
        return Ok(());
    }
    let within = |owned: &Partitions| {
        let mut all = owned
            .iter()
            .flat_map(|(topic, of)| of.iter().map(move |n| (topic, n)));
        all.all(|(topic, n)| {
            member
                .assigned
                .get(topic)
                .is_some_and(|of| of.contains_key(n))
        })
    };
    if asked < current && asked == member.previous_epoch && owned.is_some_and(within) {
        return Ok(());
    }
    Err(GroupError::FencedMemberEpoch { asked, current })
}
