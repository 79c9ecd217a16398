//! Fetch sessions (KIP-227): a client names its partitions once and then only what changes.
//!
//! A session is a list of partitions with what the client was last told of each. The slots and the
//! partitions of all sessions together are limited; a full table gives no session (id 0), which
//! every client accepts. Knows nothing of logs: the caller reads, and asks here which answers the
//! client needs to see.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::{ErrorCode, Uuid, WireString};
use parking_lot::Mutex;

/// `max.incremental.fetch.session.cache.slots`.
pub(crate) const SLOTS: usize = 1000;
/// Partitions of all sessions together.
const PARTITIONS_MAX: usize = 500_000;
/// A session unused for this long gives way to a new one when the slots are full.
const EVICTION_AFTER: Duration = Duration::from_mins(2);
/// The epoch that asks for a new session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a fetch without a session.
pub(crate) const FINAL_EPOCH: i32 = -1;

/// How a client names a topic: one session uses one way only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    Name(WireString),
    Id(Uuid),
}

/// A partition as the client names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PartitionKey {
    pub(crate) topic: TopicKey,
    pub(crate) partition: i32,
}

/// What the client wants of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) key: PartitionKey,
    pub(crate) from: i64,
    pub(crate) bytes_max: i32,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
}

/// What the client was last told of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
}

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    told: Option<Told>,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    uses_ids: bool,
    entries: Vec<Entry>,
    places: HashMap<PartitionKey, usize>,
    /// Where the next fetch begins, so that no partition is always last.
    first: usize,
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<i32, Slot>,
    /// Of all slots.
    partitions: usize,
    last_id: i32,
}

/// A session in the table. Its lock is never taken while the table's is held.
#[derive(Debug)]
struct Slot {
    session: Arc<Mutex<Session>>,
    partitions: usize,
    used_at: Duration,
}

/// What a request says of its session.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) session_id: i32,
    pub(crate) epoch: i32,
    pub(crate) uses_ids: bool,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) forgotten: Vec<PartitionKey>,
}

/// One fetch, resolved: what to read, and how to answer.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// In the order in which they are served.
    pub(crate) wanted: Vec<Wanted>,
    /// The id to answer with; 0: no session.
    pub(crate) session_id: i32,
    session: Option<Arc<Mutex<Session>>>,
    incremental: bool,
}

impl Resolved {
    fn without_session(wanted: Vec<Wanted>) -> Self {
        Self {
            wanted,
            session_id: 0,
            session: None,
            incremental: false,
        }
    }
}

impl Sessions {
    /// Applies a request to its session. `now` is monotonic.
    pub(crate) fn resolve(&self, asked: Asked, now: Duration) -> Result<Resolved, ErrorCode> {
        if asked.epoch == FINAL_EPOCH || asked.epoch == INITIAL_EPOCH {
            return Ok(self.full(asked, now));
        }
        let session_id = asked.session_id;
        let session = {
            let table = self.table.lock();
            let slot = table.slots.get(&session_id);
            let slot = slot.ok_or(ErrorCode::FetchSessionIdNotFound)?;
            Arc::clone(&slot.session)
        };
        let (wanted, size) = {
            let mut state = session.lock();
            if state.epoch != asked.epoch {
                return Err(ErrorCode::InvalidFetchSessionEpoch);
            }
            if state.uses_ids != asked.uses_ids {
                return Err(ErrorCode::FetchSessionTopicIdError);
            }
            state.update(asked.wanted, asked.forgotten);
            state.epoch = next_epoch(state.epoch);
            (state.in_turn(), state.entries.len())
        };
        let mut table = self.table.lock();
        if size == 0 {
            // The client forgot everything: the session ends, as in Kafka.
            table.remove(session_id);
            return Ok(Resolved::without_session(wanted));
        }
        if !table.resize(session_id, size, now) {
            // It outgrew what may be kept; the client begins again and gets no session then.
            table.remove(session_id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        Ok(Resolved {
            wanted,
            session_id,
            session: Some(session),
            incremental: true,
        })
    }

    fn full(&self, asked: Asked, now: Duration) -> Resolved {
        let mut session = Session {
            epoch: next_epoch(INITIAL_EPOCH),
            uses_ids: asked.uses_ids,
            entries: Vec::new(),
            places: HashMap::new(),
            first: 0,
        };
        session.update(asked.wanted, Vec::new());
        let wanted = session.in_turn();
        let mut table = self.table.lock();
        if asked.session_id != 0 {
            table.remove(asked.session_id);
        }
        let wants_none = asked.epoch == FINAL_EPOCH || wanted.is_empty();
        if wants_none || !table.make_room(wanted.len(), now) {
            return Resolved::without_session(wanted);
        }
        let session = Arc::new(Mutex::new(session));
        let session_id = table.insert(&session, wanted.len(), now);
        Resolved {
            wanted,
            session_id,
            session: Some(session),
            incremental: false,
        }
    }
}

impl Table {
    /// Whether there is a slot, after the least recently used session gave way if it may.
    fn make_room(&mut self, partitions: usize, now: Duration) -> bool {
        let has_room = |table: &Self| {
            table.slots.len() < SLOTS && table.partitions + partitions <= PARTITIONS_MAX
        };
        if has_room(self) {
            return true;
        }
        let by_use = self.slots.iter().map(|(id, slot)| (slot.used_at, *id));
        match by_use.min() {
            Some((used_at, id)) if now.saturating_sub(used_at) >= EVICTION_AFTER => {
                self.remove(id);
                has_room(self)
            }
            _ => false,
        }
    }

    fn insert(&mut self, session: &Arc<Mutex<Session>>, partitions: usize, now: Duration) -> i32 {
        loop {
            self.last_id = next_epoch(self.last_id);
            if !self.slots.contains_key(&self.last_id) {
                break;
            }
        }
        let slot = Slot {
            session: Arc::clone(session),
            partitions,
            used_at: now,
        };
        self.partitions += partitions;
        self.slots.insert(self.last_id, slot);
        self.last_id
    }

    fn remove(&mut self, id: i32) {
        if let Some(slot) = self.slots.remove(&id) {
            self.partitions -= slot.partitions;
        }
    }

    /// Notes a use; false when the partitions of all sessions are too many now.
    fn resize(&mut self, id: i32, partitions: usize, now: Duration) -> bool {
        // Absent: it gave way to another one meanwhile, which this fetch need not know.
        if let Some(slot) = self.slots.get_mut(&id) {
            self.partitions = self.partitions - slot.partitions + partitions;
            slot.partitions = partitions;
            slot.used_at = now;
        }
        self.partitions <= PARTITIONS_MAX
    }
}

impl Session {
    /// A partition that is named twice counts once, with what was said last.
    fn update(&mut self, wanted: Vec<Wanted>, forgotten: Vec<PartitionKey>) {
        for wanted in wanted {
            if let Some(entry) = self
                .places
                .get(&wanted.key)
                .and_then(|at| self.entries.get_mut(*at))
            {
                entry.wanted = wanted;
            } else {
                self.places.insert(wanted.key.clone(), self.entries.len());
                self.entries.push(Entry { wanted, told: None });
            }
        }
        if !forgotten.is_empty() {
            let forgotten: HashSet<PartitionKey> = forgotten.into_iter().collect();
            self.entries
                .retain(|entry| !forgotten.contains(&entry.wanted.key));
            let keys = self.entries.iter().map(|entry| entry.wanted.key.clone());
            self.places = keys.zip(0..).collect();
        }
    }

    /// All partitions, beginning at another one each time.
    fn in_turn(&mut self) -> Vec<Wanted> {
        let count = self.entries.len();
        if count == 0 {
            return Vec::new();
        }
        let first = self.first % count;
        self.first = first + 1;
        let turned = self.entries.iter().cycle().skip(first).take(count);
        turned.map(|entry| entry.wanted.clone()).collect()
    }
}

impl Resolved {
    /// Whether the client must be told of a partition: always in a full fetch; in an incremental
    /// one only if there is `news` (records or an error) or a number changed. Remembers `told`.
    pub(crate) fn must_tell(&self, key: &PartitionKey, told: Told, news: bool) -> bool {
        let Some(session) = &self.session else {
            return true;
        };
        let mut session = session.lock();
        let place = session.places.get(key).copied();
        let Some(entry) = place.and_then(|at| session.entries.get_mut(at)) else {
            return news;
        };
        let changed = entry.told != Some(told);
        let tell = !self.incremental || news || changed;
        if tell {
            entry.told = Some(told);
        }
        tell
    }
}

/// 1 follows the largest number; 0 and below have meanings of their own.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests;
