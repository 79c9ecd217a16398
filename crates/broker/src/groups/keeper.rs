//! The one task that stores the groups' records and keeps their deadlines.
//!
//! Records that wait are stored together, in one commit; answers that wait for them leave when it
//! is durable. Removals of groups and the look for old offsets come after them, a commit at a time.
//! Timers are one ordered set for all groups, with at most one entry for each.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use storage::{Key, Space, Write};
use tokio::sync::oneshot;

use super::any_group::AnyGroup;
use super::expiry::Look;
use super::member::Reply;
use super::table::{Slot, Table};
use super::{GroupError, Groups};
use crate::error::Trouble;
use crate::keys;
use crate::open::PAGE;

/// One commit takes no more records once it has this much.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// So many groups at a time have what is due done, and then others come to the lock.
const TIMERS_AT_ONCE: usize = 256;

/// How many offsets of a group that is removed go in one commit.
const ROWS_AT_ONCE: usize = 256;
/// What a row that is removed counts beside the name of its group.
const ROW_BYTES: usize = 64;

/// Who waits for a removal.
pub(super) type Removed = oneshot::Sender<Result<(), GroupError>>;

/// That a group is no more. It is kept until that is durable.
#[derive(Debug)]
pub(super) struct Removal {
    name: Arc<str>,
    group: Box<AnyGroup>,
    /// With somebody who waits its offsets go too.
    waiter: Option<Removed>,
}

impl Groups {
    /// Stores and keeps time until [`Groups::stop`]. Runs once for each broker.
    pub async fn run(&self) {
        let interval = self.limits().offsets_check_interval;
        let mut check_at = self.clock.monotonic() + interval;
        let mut look = Look::default();
        loop {
            let next = self.fire_timers();
            let mut is_busy = self.work_off().await;
            if !is_busy && self.stopping.load(Ordering::Acquire) {
                return;
            }
            let now = self.clock.monotonic();
            if look.is_over() && now >= check_at {
                look = self.begin_look();
                check_at = now + interval;
            }
            is_busy |= self.expire_some(&mut look).await;
            if is_busy {
                tokio::task::consume_budget().await;
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

    /// One commit of records and one of removals; false if there was nothing to do.
    pub(super) async fn work_off(&self) -> bool {
        let has_stored = self.store_some().await;
        let has_removed = self.remove_some().await;
        has_stored || has_removed
    }

    async fn store_some(&self) -> bool {
        let (names, writes) = self.next_records();
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

    fn next_records(&self) -> (Vec<Held>, Vec<Write>) {
        let mut table = self.table.lock();
        let (mut names, mut writes, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut later = Vec::new();
        while bytes < COMMIT_BYTES
            && let Some(name) = table.queue.pop_front()
        {
            if table.removing.contains_key(&name) {
                later.push(name);
                continue;
            }
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
        table.queue.extend(later);
        (names, writes)
    }

    /// Takes an empty group out of the table; its record follows. With somebody who waits for it
    /// its offsets go too; without, it comes back if it has offsets by then.
    pub(super) fn take_out(&self, table: &mut Table, group: &str, waiter: Option<Removed>) {
        let Some((name, slot)) = table.remove(group) else {
            return;
        };
        assert!(slot.group.is_empty(), "members are never thrown away");
        *table.removing.entry(Arc::clone(&name)).or_default() += 1;
        table.removals.push_back(Removal {
            name,
            group: Box::new(slot.group),
            waiter,
        });
        self.work.notify_one();
    }

    /// Removes groups from the front of the queue, in one commit; false if there were none.
    async fn remove_some(&self) -> bool {
        let mut batch = Vec::new();
        let mut writes = Vec::new();
        let mut bytes = 0;
        while writes.len() < PAGE && bytes < COMMIT_BYTES {
            let Some(removal) = self.table.lock().removals.pop_front() else {
                break;
            };
            let (rows, end) = self.rows_of(&removal).await;
            let key_bytes = removal.name.len() + ROW_BYTES;
            bytes += rows.len() * key_bytes;
            writes.extend(rows.into_iter().map(|key| Write { key, value: None }));
            batch.push((removal, end));
            tokio::task::consume_budget().await;
        }
        if batch.is_empty() {
            return false;
        }
        let mut trouble = None;
        if !writes.is_empty() {
            let committed = self.metadata.commit(&[], &writes).await;
            trouble = committed.err().map(Trouble::from);
        }
        for (removal, end) in batch {
            match (end, &trouble) {
                (Ok(_), Some(trouble)) => self.end_removal(removal, Err(trouble.clone())),
                (Ok(End::Later), None) => self.table.lock().removals.push_back(removal),
                (Ok(End::Gone), None) => self.end_removal(removal, Ok(true)),
                (Ok(End::Stays), None) => self.end_removal(removal, Ok(false)),
                (Err(trouble), _) => self.end_removal(removal, Err(trouble)),
            }
        }
        true
    }

    /// The rows that go next. The offsets go before the record: a crash in between leaves a group
    /// with fewer of them.
    async fn rows_of(&self, removal: &Removal) -> (Vec<Key>, Result<End, Trouble>) {
        let offsets = Key::space(Space::Offset).part(removal.name.as_bytes());
        let removes_offsets = removal.waiter.is_some();
        let limit = if removes_offsets { ROWS_AT_ONCE } else { 1 };
        let page = match self.metadata.list(&offsets, None, limit).await {
            Ok(page) => page,
            Err(error) => return (Vec::new(), Err(error.into())),
        };
        if !removes_offsets && !page.is_empty() {
            return (Vec::new(), Ok(End::Stays));
        }
        let is_last = page.len() < limit;
        let keys = page.into_iter().map(|row| row.key);
        let record = is_last.then(|| keys::group(&removal.name));
        let end = if is_last { End::Gone } else { End::Later };
        (keys.chain(record).collect(), Ok(end))
    }

    /// True: it is gone. Otherwise it comes back.
    fn end_removal(&self, removal: Removal, removed: Result<bool, Trouble>) {
        let Removal {
            name,
            group,
            waiter,
        } = removal;
        if let Err(trouble) = &removed {
            let reason = trouble.clone().into_failure();
            tracing::error!(group = %name, %reason, "a group was not removed");
        }
        {
            let mut table = self.table.lock();
            if let Some(count) = table.removing.get_mut(&name) {
                *count -= 1;
                if *count == 0 {
                    table.removing.remove(&name);
                }
            }
            if !matches!(removed, Ok(true)) {
                let back = || Slot::kept(*group);
                table.slots.entry(Arc::clone(&name)).or_insert_with(back);
                let nothing = self.settle(&mut table, &name, super::Effects::default());
                assert!(nothing.is_empty(), "nobody waits for an empty group");
            }
        }
        if let Some(waiter) = waiter {
            // Who asked may have gone.
            let _ = waiter.send(removed.map(drop).map_err(GroupError::from));
        }
    }
}

/// How far a removal is after a commit.
enum End {
    Gone,
    /// It has offsets.
    Stays,
    /// There are more rows.
    Later,
}

type Held = (Arc<str>, Vec<Reply>);
