//! How far groups are behind: in records, and in the age of the next record that they read.
//!
//! Nothing is kept up to date between two questions: no timer, no task, no work in a commit.
//! [`Groups::lag_of`] reads one group; [`Groups::lags`] reads all, at most once in
//! [`FRESH`] however often it is asked, and looks up [`LOOKUPS_MAX`] times of records at most, from
//! where it stopped the last time; the times it has found stay known while their positions stay. The age is that of the batch: exact
//! for its first record, otherwise of its newest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use records::{BatchHeader, HEADER_BYTES, Offset, TimestampType};
use storage::{Chunk, Entry, Isolation, Key, Log, ReadLimit, Space, TopicId};

use super::group::GroupState;
use super::{GroupError, Groups, check_length};
use crate::error::Trouble;
use crate::keys;
use crate::open::PAGE;
use crate::topics::{Topic, Topics};
use crate::values::Position;

/// The lags of all groups are read anew after this, at the earliest.
const FRESH: Duration = Duration::from_secs(1);

/// The most times of records that one look at all groups reads from logs.
const LOOKUPS_MAX: usize = 1_000;

/// The most times of records that one look at one group reads.
const LOOKUPS_OF_ONE_MAX: usize = 10_000;

/// How far one group is behind in one partition.
#[derive(Debug, Clone)]
pub struct PartitionLag {
    /// The topic.
    pub topic: Arc<Topic>,
    /// The partition.
    pub partition: u32,
    /// What was committed.
    pub position: Position,
    /// The first offset kept.
    pub start: Offset,
    /// The offset of the next record to become visible.
    pub end: Offset,
    /// When the next record to read was written, in ms since the epoch; `None` if there is none
    /// yet, or it was not looked up.
    pub next_ms: Option<i64>,
}

impl PartitionLag {
    /// Records from the position to the end, as Kafka's tools count: those deleted meanwhile too.
    pub fn records(&self) -> u64 {
        let records = self.end.get().saturating_sub(self.position.offset.get());
        u64::try_from(records).unwrap_or(0)
    }

    /// The age of the next record to read, in ms; 0 with nothing to read, `None` if not known.
    pub fn age_ms(&self, now_ms: i64) -> Option<u64> {
        if self.position.offset >= self.end {
            return Some(0);
        }
        let age = now_ms.saturating_sub(self.next_ms?);
        Some(u64::try_from(age).unwrap_or(0))
    }
}

/// A group, and how far it is behind.
#[derive(Debug, Clone)]
pub struct GroupLag {
    /// Its name.
    pub group: Arc<str>,
    /// Where it stands.
    pub state: GroupState,
    /// Its members.
    pub members: usize,
    /// Where it has committed, by topic id and partition. Topics that are gone are left out.
    pub partitions: Vec<PartitionLag>,
}

/// All groups, by name, and when they were looked at.
#[derive(Debug, Default)]
pub struct Lags {
    /// The groups.
    pub groups: Vec<GroupLag>,
    /// When, in ms since the epoch.
    pub at_ms: i64,
}

type Place = (TopicId, u32, Offset);

/// The last look at all groups.
#[derive(Debug, Default)]
pub(super) struct LastLook {
    /// On the monotonic clock.
    at: Option<Duration>,
    lags: Arc<Lags>,
    times: HashMap<Place, i64>,
    /// How many positions came before the one that was looked up last.
    stopped_at: usize,
}

impl Groups {
    /// How far a group is behind; `None` if there is none of the name.
    pub async fn lag_of(&self, group: &str) -> Result<Option<GroupLag>, GroupError> {
        check_length(group)?;
        let Some(mut lag) = self.without_lag(group) else {
            return Ok(None);
        };
        let all = Key::space(Space::Offset).part(group.as_bytes());
        let mut after = None;
        loop {
            let listed = self.metadata.list(&all, after.as_ref(), PAGE).await;
            let page = listed.map_err(Trouble::from)?;
            for row in &page {
                let Some(mut found) = partition_lag(row, &self.topics.load())? else {
                    continue;
                };
                if lag.partitions.len() < LOOKUPS_OF_ONE_MAX {
                    found.next_ms = next_ms(&found).await;
                }
                lag.partitions.push(found);
            }
            tokio::task::consume_budget().await;
            if page.len() < PAGE {
                return Ok(Some(lag));
            }
            after = page.last().map(|row| row.key.clone());
        }
    }

    /// How far every group is behind, not older than a second.
    pub async fn lags(&self) -> Result<Arc<Lags>, GroupError> {
        // Who asks meanwhile waits for this look and gets it.
        let mut last = self.last_look.lock().await;
        let now = self.clock.monotonic();
        if last.at.is_some_and(|at| now.saturating_sub(at) < FRESH) {
            return Ok(Arc::clone(&last.lags));
        }
        let mut lags = self.read_lags().await?;
        let all = lags.iter_mut().flat_map(|lag| &mut lag.partitions);
        let mut behind: Vec<_> = all.filter(|lag| lag.position.offset < lag.end).collect();
        // Where the last look stopped, so that every position has its turn.
        let from = last.stopped_at.checked_rem(behind.len()).unwrap_or(0);
        behind.rotate_left(from);
        let mut places = HashSet::new();
        let mut lookups_left = LOOKUPS_MAX;
        for (index, found) in behind.into_iter().enumerate() {
            let offset = found.position.offset.max(found.start);
            let place = (found.topic.id(), found.partition, offset);
            places.insert(place);
            if let Some(ms) = last.times.get(&place) {
                found.next_ms = Some(*ms);
            } else if lookups_left > 0 {
                lookups_left -= 1;
                last.stopped_at = from + index + 1;
                tokio::task::consume_budget().await;
                found.next_ms = next_ms(found).await;
                // At once: who asks may give up, and the next look goes on from here.
                last.times.extend(found.next_ms.map(|ms| (place, ms)));
            }
        }
        last.times.retain(|place, _| places.contains(place));
        let lags = Arc::new(Lags {
            groups: lags,
            at_ms: self.clock.wall_ms(),
        });
        last.at = Some(now);
        last.lags = Arc::clone(&lags);
        Ok(lags)
    }

    async fn read_lags(&self) -> Result<Vec<GroupLag>, GroupError> {
        let names = self.list().into_iter().map(|listed| listed.group);
        let mut lags: Vec<GroupLag> = names.filter_map(|name| self.without_lag(&name)).collect();
        let topics = self.topics.load_full();
        let all = Key::space(Space::Offset);
        let mut after = None;
        loop {
            let listed = self.metadata.list(&all, after.as_ref(), PAGE).await;
            let page = listed.map_err(Trouble::from)?;
            for row in &page {
                let name = keys::group_of(&row.key)?;
                // A group that came meanwhile is seen by the next look.
                let Ok(index) = lags.binary_search_by(|lag| (*lag.group).cmp(name.as_str())) else {
                    continue;
                };
                if let Some(found) = partition_lag(row, &topics)? {
                    let lag = lags.get_mut(index).expect("found there");
                    lag.partitions.push(found);
                }
            }
            tokio::task::consume_budget().await;
            if page.len() < PAGE {
                return Ok(lags);
            }
            after = page.last().map(|row| row.key.clone());
        }
    }

    fn without_lag(&self, group: &str) -> Option<GroupLag> {
        let table = self.table.lock();
        let (name, slot) = table.slots.get_key_value(group)?;
        Some(GroupLag {
            group: Arc::clone(name),
            state: slot.group.state(),
            members: slot.group.member_count(),
            partitions: Vec::new(),
        })
    }
}

/// One row, without the time; `None` if its partition is no more or cannot be opened.
fn partition_lag(row: &Entry, topics: &Topics) -> Result<Option<PartitionLag>, GroupError> {
    let (id, partition) = keys::partition_of_position(&row.key)?;
    let Some(topic) = topics.by_id(id) else {
        return Ok(None);
    };
    let Ok(log) = topic.log(partition.cast_signed()) else {
        return Ok(None);
    };
    let ends = log.ends();
    Ok(Some(PartitionLag {
        topic: Arc::clone(topic),
        partition,
        position: Position::decode(&row.value)?,
        start: ends.log_start,
        end: ends.high_watermark,
        next_ms: None,
    }))
}

/// When the next record of a position was written; `None` if there is none or it cannot be read.
async fn next_ms(lag: &PartitionLag) -> Option<i64> {
    let offset = lag.position.offset.max(lag.start);
    if offset >= lag.end {
        return None;
    }
    let log = lag.topic.log(lag.partition.cast_signed()).ok()?;
    let header = header_at(&*log, offset).await?;
    let appended = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    let ms = if offset <= header.base_offset && !appended {
        header.base_timestamp_ms
    } else {
        header.max_timestamp_ms
    };
    (ms >= 0).then_some(ms)
}

/// The head of the batch that holds `offset`, or of the next one.
async fn header_at(log: &dyn Log, offset: Offset) -> Option<BatchHeader> {
    let limit = ReadLimit {
        bytes_max: 1,
        at_least_one_batch: true,
    };
    let slice = log.read(offset, limit, Isolation::ReadUncommitted).await;
    match slice.ok()?.chunks.into_iter().next()? {
        Chunk::Memory(bytes) => BatchHeader::parse(&bytes).ok(),
        Chunk::File { file, at, .. } => {
            let mut head = [0; HEADER_BYTES];
            // The read has just proven the batch, so its head is in memory; if it is not any more,
            // the age is not known this time.
            match file.read_cached_at(&mut head, at) {
                Ok(Some(HEADER_BYTES)) => BatchHeader::parse(&head).ok(),
                Ok(_) | Err(_) => None,
            }
        }
    }
}
