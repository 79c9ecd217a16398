//! The table of all groups, behind one lock: each group with what is to be done for it, the
//! deadlines of all, and what waits to be stored or removed.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::GroupError;
use super::any_group::AnyGroup;
use super::keeper::Removal;
use super::member::Reply;

/// What a group counts beside its name and its members.
pub(super) const SLOT_BYTES: usize = 512;
/// The most bytes of all groups together: names, members, ids that were given out.
const ALL_GROUPS_BYTES_MAX: usize = 256 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) slots: HashMap<Arc<str>, Slot>,
    /// One entry for each group that has a deadline: that one, or an earlier moment.
    pub(super) timers: BTreeSet<(Duration, Arc<str>)>,
    /// Groups whose records wait to be stored.
    pub(super) queue: VecDeque<Arc<str>>,
    /// Groups that are no more.
    pub(super) removals: VecDeque<Removal>,
    /// Their names, until that is durable: a group made anew is stored after its removal.
    pub(super) removing: HashMap<Arc<str>, usize>,
    /// What all slots count.
    pub(super) bytes: usize,
    /// Nobody may wait any more.
    pub(super) closing: bool,
}

/// A group, and what is to be done for it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) group: AnyGroup,
    /// The entry among the timers.
    pub(super) timer_at: Option<Duration>,
    /// It has a record or offsets, or is about to have them. Without, it goes when nobody is left.
    pub(super) is_kept: bool,
    /// The record to store, while it waits in the queue.
    pub(super) record: Option<Bytes>,
    pub(super) storing: bool,
    /// Answers that wait for the record.
    pub(super) held: Vec<Reply>,
    /// What is counted of the group among all.
    pub(super) bytes: usize,
}

impl Table {
    /// Whether members of a group may bring this much more, and wait.
    pub(super) fn admits(&self, group: &str, more_bytes: usize) -> Result<(), GroupError> {
        if self.closing {
            return Err(GroupError::Stopping);
        }
        self.has_room(group, more_bytes)
    }

    /// Whether there is room for this much more, and for the group if there is none of the name.
    pub(super) fn has_room(&self, group: &str, more_bytes: usize) -> Result<(), GroupError> {
        let limit_bytes = ALL_GROUPS_BYTES_MAX;
        let slot_bytes = if self.slots.contains_key(group) {
            0
        } else {
            SLOT_BYTES + group.len()
        };
        let more_bytes = more_bytes.saturating_add(slot_bytes);
        if self.bytes.saturating_add(more_bytes) > limit_bytes {
            return Err(GroupError::TooLarge { limit_bytes });
        }
        Ok(())
    }

    /// Takes a slot out, with all that is counted of it.
    pub(super) fn remove(&mut self, group: &str) -> Option<(Arc<str>, Slot)> {
        let (name, slot) = self.slots.remove_entry(group)?;
        self.bytes -= slot.bytes;
        if let Some(at) = slot.timer_at {
            self.timers.remove(&(at, Arc::clone(&name)));
        }
        Some((name, slot))
    }
}

impl Slot {
    pub(super) fn new(group: AnyGroup) -> Self {
        Self {
            group,
            timer_at: None,
            is_kept: false,
            record: None,
            storing: false,
            held: Vec::new(),
            bytes: 0,
        }
    }

    /// Of a group that has a record or offsets.
    pub(super) fn kept(group: AnyGroup) -> Self {
        Self {
            is_kept: true,
            ..Self::new(group)
        }
    }
}
