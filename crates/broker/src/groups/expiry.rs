//! Offsets that nobody needs any more go after `offsets.retention.minutes`, and with the last of
//! them the group.
//!
//! | Group | An offset grows old |
//! |---|---|
//! | without members, had some | since the last one left |
//! | only offsets, never members | since its commit |
//! | `consumer` members, stable | since its commit, unless they subscribe to the topic |
//! | anything else | never |
//!
//! A commit that named a retention of its own (OffsetCommit 2 to 4) goes by that instead.

use std::collections::BTreeSet;
use std::sync::Arc;

use storage::{CommitError, Entry, Key, Space, Version, Write};

use super::Groups;
use super::group::OffsetsAge;
use crate::error::Trouble;
use crate::keys;
use crate::open::PAGE;
use crate::topics::Topics;
use crate::values::Position;

/// What decides about the offsets of one group.
struct Rule {
    age: OffsetsAge,
    subscribed: BTreeSet<String>,
    now_ms: i64,
    retention_ms: i64,
}

impl Groups {
    /// Looks at all groups once.
    pub(super) async fn expire_offsets(&self) {
        let names: Vec<Arc<str>> = self.table.lock().slots.keys().cloned().collect();
        for name in names {
            if let Err(trouble) = self.expire_group(&name).await {
                let reason = trouble.into_failure();
                tracing::warn!(group = %name, %reason, "old offsets were not removed");
            }
        }
    }

    async fn expire_group(&self, name: &Arc<str>) -> Result<(), Trouble> {
        let group_key = keys::group(name);
        let stored = self.metadata.get(&group_key).await?;
        let version = stored.map_or(Version::ABSENT, |stored| stored.version);
        let rule = {
            let table = self.table.lock();
            table.slots.get(name).and_then(|slot| {
                Some(Rule {
                    age: slot.group.offsets_age()?,
                    subscribed: slot.group.subscribed.clone().unwrap_or_default(),
                    now_ms: self.clock.wall_ms(),
                    retention_ms: self.limits().offsets_retention_ms,
                })
            })
        };
        let Some(rule) = rule else { return Ok(()) };
        let all = Key::space(Space::Offset).part(name.as_bytes());
        let mut after: Option<Key> = None;
        let mut kept = false;
        loop {
            let page = self.metadata.list(&all, after.as_ref(), PAGE).await?;
            let mut checks = vec![(group_key.clone(), version)];
            let mut removals = Vec::new();
            for row in &page {
                if rule.has_expired(row, &self.topics.load())? {
                    checks.push((row.key.clone(), row.version));
                    removals.push(Write {
                        key: row.key.clone(),
                        value: None,
                    });
                }
            }
            kept |= removals.len() < page.len();
            if !removals.is_empty() {
                match self.metadata.commit(&checks, &removals).await {
                    Ok(_) => {}
                    // Committed anew, or a rebalance: the next look decides.
                    Err(CommitError::Conflict { .. }) => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            }
            if page.len() < PAGE {
                break;
            }
            after = page.last().map(|row| row.key.clone());
        }
        let mut table = self.table.lock();
        let idle = |slot: &super::Slot| slot.group.is_idle();
        if !kept && table.slots.get(name).is_some_and(idle) {
            self.take_out(&mut table, name, None);
        }
        Ok(())
    }
}

impl Rule {
    fn has_expired(&self, row: &Entry, topics: &Topics) -> Result<bool, Trouble> {
        let position = Position::decode(&row.value)?;
        let (id, _) = keys::partition_of_position(&row.key)?;
        let topic = topics.by_id(id);
        if topic.is_some_and(|topic| self.subscribed.contains(topic.name().as_str())) {
            return Ok(false);
        }
        if let Some(at_ms) = position.expires_ms {
            return Ok(self.now_ms >= at_ms);
        }
        let since_ms = match self.age {
            OffsetsAge::Since(ms) => ms,
            OffsetsAge::SinceCommit => position.committed_ms,
        };
        Ok(self.now_ms.saturating_sub(since_ms) >= self.retention_ms)
    }
}
