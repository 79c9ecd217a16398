//! Fetch sessions (KIP-227): a client names its partitions once and then only what changes.
//!
//! A session is a list of partitions with what the client was last told of each. The slots are
//! limited; a full table gives no session (id 0), which every client accepts. Knows nothing of
//! logs: the caller reads, and asks here which answers the client needs to see.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::{ErrorCode, Uuid, WireString};
use parking_lot::Mutex;

/// `max.incremental.fetch.session.cache.slots`.
pub(crate) const SLOTS: usize = 1000;
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
    used_at: Duration,
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<i32, Arc<Mutex<Session>>>,
    last_id: i32,
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

impl Sessions {
    /// Applies a request to its session. `now` is monotonic.
    pub(crate) fn resolve(&self, asked: Asked, now: Duration) -> Result<Resolved, ErrorCode> {
        let full = asked.epoch == FINAL_EPOCH || asked.epoch == INITIAL_EPOCH;
        if full {
            return Ok(self.full(asked, now));
        }
        let session = {
            let table = self.table.lock();
            let session = table.sessions.get(&asked.session_id);
            session.cloned().ok_or(ErrorCode::FetchSessionIdNotFound)?
        };
        let mut state = session.lock();
        if state.epoch != asked.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if state.uses_ids != asked.uses_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        state.update(asked.wanted, &asked.forgotten);
        state.used_at = now;
        state.epoch = next_epoch(state.epoch);
        let wanted = state.in_turn();
        drop(state);
        if wanted.is_empty() {
            // The client forgot everything: the session ends, as in Kafka.
            self.table.lock().sessions.remove(&asked.session_id);
            return Ok(Resolved {
                wanted,
                session_id: 0,
                session: None,
                incremental: false,
            });
        }
        let session_id = asked.session_id;
        Ok(Resolved {
            wanted,
            session_id,
            session: Some(session),
            incremental: true,
        })
    }

    fn full(&self, asked: Asked, now: Duration) -> Resolved {
        let mut table = self.table.lock();
        if asked.session_id != 0 {
            table.sessions.remove(&asked.session_id);
        }
        if asked.epoch == FINAL_EPOCH || asked.wanted.is_empty() || !table.make_room(now) {
            return Resolved {
                wanted: asked.wanted,
                session_id: 0,
                session: None,
                incremental: false,
            };
        }
        let session_id = table.new_id();
        let mut session = Session {
            epoch: next_epoch(INITIAL_EPOCH),
            uses_ids: asked.uses_ids,
            entries: Vec::new(),
            places: HashMap::new(),
            first: 0,
            used_at: now,
        };
        session.update(asked.wanted, &[]);
        let wanted = session.in_turn();
        let session = Arc::new(Mutex::new(session));
        table.sessions.insert(session_id, Arc::clone(&session));
        Resolved {
            wanted,
            session_id,
            session: Some(session),
            incremental: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.table.lock().sessions.len()
    }
}

impl Table {
    /// Whether there is a slot, after the least recently used session gave way if it may.
    fn make_room(&mut self, now: Duration) -> bool {
        if self.sessions.len() < SLOTS {
            return true;
        }
        let oldest = self
            .sessions
            .iter()
            .map(|(id, session)| (session.lock().used_at, *id))
            .min();
        match oldest {
            Some((used_at, id)) if now.saturating_sub(used_at) >= EVICTION_AFTER => {
                self.sessions.remove(&id);
                true
            }
            _ => false,
        }
    }

    fn new_id(&mut self) -> i32 {
        loop {
            self.last_id = next_epoch(self.last_id);
            if !self.sessions.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }
}

impl Session {
    fn update(&mut self, wanted: Vec<Wanted>, forgotten: &[PartitionKey]) {
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
