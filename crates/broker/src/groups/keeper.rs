//! The one task that stores the groups' records and keeps their deadlines.
//!
//! Records that wait are stored together, in one commit; answers that wait for them leave when it
//! is durable. Timers are one ordered set for all groups, with at most one entry for each.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use storage::{Key, Space, Write};
use tokio::sync::oneshot;

use super::group::Group;
use super::member::Reply;
use super::{GroupError, Groups, Slot, Table};
use crate::error::Trouble;
use crate::keys;
use crate::open::PAGE;

/// One commit takes no more records once it has this much.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// So many groups at a time have what is due done, and then others come to the lock.
const TIMERS_AT_ONCE: usize = 256;

/// Who waits for a removal.
pub(super) type Removed = oneshot::Sender<Result<(), GroupError>>;

/// What is to be stored.
#[derive(Debug)]
pub(super) enum Job {
    /// The record of a group.
    Store(Arc<str>),
    /// That a group, and its offsets, are no more. The group is kept until that is durable.
    Remove(Arc<str>, Box<Group>, Option<Removed>),
}

impl Groups {
    /// Stores and keeps time until [`Groups::stop`]. Runs once for each broker.
    pub async fn run(&self) {
        let interval = self.limits().offsets_check_interval;
        let mut check_at = self.clock.monotonic() + interval;
        loop {
            let next = self.fire_timers();
            if self.work_off().await {
                continue;
            }
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            let now = self.clock.monotonic();
            if now >= check_at {
                self.expire_offsets().await;
                check_at = now + interval;
                continue;
            }
            let until = next.map_or(check_at, |at| at.min(check_at));
            let sleep = until.saturating_sub(now);
            // Woken or not, the loop looks at everything.
            let _ = tokio::time::timeout(sleep, self.work.notified()).await;
        }
    }

    /// The broker stops: who waits is told to look for a coordinator again, and nobody waits any
    /// more. The groups stay as they are, for the next start.
    pub fn refuse_waiting(&self) {
        let mut replies = Vec::new();
        {
            let mut table = self.table.lock();
            table.closing = true;
            for slot in table.slots.values_mut() {
                replies.extend(slot.group.take_waiting(&GroupError::Stopping));
                let held = slot.held.drain(..);
                replies.extend(held.map(|reply| reply.failed(&GroupError::Stopping)));
            }
        }
        replies.into_iter().for_each(Reply::send);
    }

    /// Lets [`Groups::run`] end when nothing waits to be stored.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.work.notify_one();
    }

    /// Does what is due; returns when something is due next.
    pub(super) fn fire_timers(&self) -> Option<Duration> {
        let mut replies = Vec::new();
        let next = {
            let mut table = self.table.lock();
            if table.closing {
                return None;
            }
            let now = self.now();
            let mut left = TIMERS_AT_ONCE;
            loop {
                let Some((at, name)) = table.timers.first().cloned() else {
                    break None;
                };
                if at > now.monotonic || left == 0 {
                    break Some(at);
                }
                left -= 1;
                table.timers.remove(&(at, Arc::clone(&name)));
                let slot = table.slots.get_mut(&name);
                let slot = slot.expect("a timer goes with its group");
                slot.timer_at = None;
                let effects = slot.group.tick(self.limits(), now);
                replies.append(&mut self.settle(&mut table, &name, effects));
            }
        };
        replies.into_iter().for_each(Reply::send);
        next
    }

    /// Stores what waits at the front of the queue; false if there was nothing.
    pub(super) async fn work_off(&self) -> bool {
        let (names, writes, removal) = self.next_jobs();
        if let Some((name, group, waiter)) = removal {
            self.remove_stored(name, group, waiter).await;
            return true;
        }
        if names.is_empty() {
            return false;
        }
        let stored = self.metadata.commit(&[], &writes).await;
        let error = stored
            .err()
            .map(|error| GroupError::from(Trouble::from(error)));
        if let Some(error) = &error {
            tracing::error!(groups = names.len(), %error, "the state of groups was not stored");
        }
        let mut replies = Vec::new();
        {
            let mut table = self.table.lock();
            let now = self.now();
            for (name, held) in names {
                match &error {
                    None => replies.extend(held),
                    Some(error) => replies.extend(held.into_iter().map(|r| r.failed(error))),
                }
                let Some(slot) = table.slots.get_mut(&name) else {
                    continue;
                };
                slot.storing = false;
                if error.is_some() && slot.record.is_none() {
                    let effects = slot.group.store_failed(self.limits(), now);
                    replies.append(&mut self.settle(&mut table, &name, effects));
                }
                if let Some(slot) = table.slots.get_mut(&name)
                    && slot.record.is_none()
                {
                    replies.append(&mut slot.held);
                }
            }
        }
        replies.into_iter().for_each(Reply::send);
        true
    }

    fn next_jobs(&self) -> (Vec<Held>, Vec<Write>, Option<Removal>) {
        let mut table = self.table.lock();
        let (mut names, mut writes, mut bytes) = (Vec::new(), Vec::new(), 0);
        while bytes < COMMIT_BYTES {
            match table.queue.front() {
                Some(Job::Store(_)) => {}
                Some(Job::Remove(..)) if names.is_empty() => {}
                Some(Job::Remove(..)) | None => break,
            }
            match table.queue.pop_front() {
                Some(Job::Remove(name, group, waiter)) => {
                    return (names, writes, Some((name, group, waiter)));
                }
                Some(Job::Store(name)) => {
                    // The group may have been removed since, or made anew.
                    let Some(slot) = table.slots.get_mut(&name) else {
                        continue;
                    };
                    let Some(record) = slot.record.take() else {
                        continue;
                    };
                    slot.storing = true;
                    bytes += record.len() + name.len();
                    writes.push(Write {
                        key: keys::group(&name),
                        value: Some(record),
                    });
                    let held = std::mem::take(&mut slot.held);
                    names.push((name, held));
                }
                None => break,
            }
        }
        (names, writes, None)
    }

    /// Takes an empty group out of the table; its record follows. With somebody who waits for it
    /// its offsets go too; without, it comes back if it has offsets by then.
    pub(super) fn take_out(&self, table: &mut Table, group: &str, waiter: Option<Removed>) {
        let Some((name, slot)) = table.remove(group) else {
            return;
        };
        assert!(slot.group.is_empty(), "members are never thrown away");
        if slot.record.is_some() {
            // IMPORTANT: or it would store the record of a group made anew, before the removal.
            let is_other = |job: &Job| !matches!(job, Job::Store(stored) if *stored == name);
            table.queue.retain(is_other);
        }
        let removal = Job::Remove(name, Box::new(slot.group), waiter);
        table.queue.push_back(removal);
        self.work.notify_one();
    }

    async fn remove_stored(&self, name: Arc<str>, group: Box<Group>, waiter: Option<Removed>) {
        let removed = match &waiter {
            Some(_) => self.remove_rows(&name).await.map(|()| true),
            None => self.remove_record(&name).await,
        };
        if let Err(trouble) = &removed {
            let reason = trouble.clone().into_failure();
            tracing::error!(group = %name, %reason, "a group was not removed");
        }
        if !matches!(removed, Ok(true)) {
            let mut table = self.table.lock();
            let back = || Slot::kept(*group);
            table.slots.entry(Arc::clone(&name)).or_insert_with(back);
            let nothing = self.settle(&mut table, &name, super::Effects::default());
            assert!(nothing.is_empty(), "nobody waits for an empty group");
        }
        if let Some(waiter) = waiter {
            // Who asked may have gone.
            let _ = waiter.send(removed.map(drop).map_err(GroupError::from));
        }
    }

    /// False if the group has offsets: it stays.
    async fn remove_record(&self, name: &str) -> Result<bool, Trouble> {
        let offsets = Key::space(Space::Offset).part(name.as_bytes());
        if !self.metadata.list(&offsets, None, 1).await?.is_empty() {
            return Ok(false);
        }
        let removal = Write {
            key: keys::group(name),
            value: None,
        };
        self.metadata.commit(&[], &[removal]).await?;
        Ok(true)
    }

    /// The offsets first: a crash in between leaves a group with fewer of them.
    async fn remove_rows(&self, name: &str) -> Result<(), Trouble> {
        let offsets = Key::space(Space::Offset).part(name.as_bytes());
        loop {
            let page = self.metadata.list(&offsets, None, PAGE).await?;
            let is_last = page.len() < PAGE;
            let keys = page.into_iter().map(|row| row.key);
            let record = is_last.then(|| keys::group(name));
            let removals: Vec<Write> = keys
                .chain(record)
                .map(|key| Write { key, value: None })
                .collect();
            self.metadata.commit(&[], &removals).await?;
            if is_last {
                return Ok(());
            }
        }
    }
}

type Held = (Arc<str>, Vec<Reply>);
type Removal = (Arc<str>, Box<Group>, Option<Removed>);
