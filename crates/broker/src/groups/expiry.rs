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

/// Groups without offsets that are looked at in one go.
const LOOKS_AT_ONCE: usize = 64;

/// A look at all groups, a page of offsets at a time, so that records and deadlines do not wait.
#[derive(Debug, Default)]
pub(super) struct Look {
    names: Vec<Arc<str>>,
    /// The group that the look is at.
    at: Option<Cursor>,
}

impl Look {
    pub(super) fn is_over(&self) -> bool {
        self.names.is_empty() && self.at.is_none()
    }
}

#[derive(Debug)]
struct Cursor {
    name: Arc<str>,
    version: Version,
    rule: Rule,
    after: Option<Key>,
    kept: bool,
}

/// What decides about the offsets of one group.
#[derive(Debug)]
struct Rule {
    age: OffsetsAge,
    subscribed: BTreeSet<String>,
    now_ms: i64,
    retention_ms: i64,
}

impl Groups {
    pub(super) fn begin_look(&self) -> Look {
        let names = self.table.lock().slots.keys().cloned().collect();
        Look { names, at: None }
    }

    /// Goes on with a look, up to one commit; false if it is over.
    pub(super) async fn expire_some(&self, look: &mut Look) -> bool {
        for _ in 0..LOOKS_AT_ONCE {
            let cursor = match look.at.take() {
                Some(cursor) => Ok(Some(cursor)),
                None => {
                    let Some(name) = look.names.pop() else {
                        return false;
                    };
                    self.look_at(name).await
                }
            };
            let step = match cursor {
                Ok(Some(cursor)) => self.expire_page(cursor).await,
                Ok(None) => Ok(Step::default()),
                Err(trouble) => Err(trouble),
            };
            match step {
                Ok(step) => {
                    look.at = step.goes_on;
                    if step.has_committed {
                        return true;
                    }
                }
                Err(trouble) => {
                    let reason = trouble.into_failure();
                    tracing::warn!(%reason, "old offsets were not removed");
                }
            }
            tokio::task::consume_budget().await;
        }
        true
    }

    async fn look_at(&self, name: Arc<str>) -> Result<Option<Cursor>, Trouble> {
        let stored = self.metadata.get(&keys::group(&name)).await?;
        let version = stored.map_or(Version::ABSENT, |stored| stored.version);
        let table = self.table.lock();
        let rule = table.slots.get(&name).and_then(|slot| {
            Some(Rule {
                age: slot.group.offsets_age()?,
                subscribed: slot.group.subscribed(),
                now_ms: self.clock.wall_ms(),
                retention_ms: self.limits().offsets_retention_ms,
            })
        });
        Ok(rule.map(|rule| Cursor {
            name,
            version,
            rule,
            after: None,
            kept: false,
        }))
    }

    async fn expire_page(&self, mut cursor: Cursor) -> Result<Step, Trouble> {
        let all = Key::space(Space::Offset).part(cursor.name.as_bytes());
        let page = self
            .metadata
            .list(&all, cursor.after.as_ref(), PAGE)
            .await?;
        let mut checks = vec![(keys::group(&cursor.name), cursor.version)];
        let mut removals = Vec::new();
        for row in &page {
            if cursor.rule.has_expired(row, &self.topics.load())? {
                checks.push((row.key.clone(), row.version));
                removals.push(Write {
                    key: row.key.clone(),
                    value: None,
                });
            }
        }
        let has_committed = !removals.is_empty();
        cursor.kept |= removals.len() < page.len();
        if has_committed {
            match self.metadata.commit(&checks, &removals).await {
                Ok(_) => {}
                // Committed anew, or a rebalance: the next look decides.
                Err(CommitError::Conflict { .. }) => return Ok(Step::default()),
                Err(error) => return Err(error.into()),
            }
        }
        if page.len() == PAGE {
            cursor.after = page.last().map(|row| row.key.clone());
            return Ok(Step {
                has_committed,
                goes_on: Some(cursor),
            });
        }
        let mut table = self.table.lock();
        let idle = |slot: &super::table::Slot| slot.group.is_idle();
        if !cursor.kept && table.slots.get(&cursor.name).is_some_and(idle) {
            self.take_out(&mut table, &cursor.name, None);
        }
        Ok(Step {
            has_committed,
            goes_on: None,
        })
    }

    /// Looks at all groups once.
    #[cfg(test)]
    pub(super) async fn expire_offsets(&self) {
        let mut look = self.begin_look();
        while self.expire_some(&mut look).await {}
    }
}

/// What came of one page.
#[derive(Default)]
struct Step {
    has_committed: bool,
    /// There are more pages.
    goes_on: Option<Cursor>,
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
