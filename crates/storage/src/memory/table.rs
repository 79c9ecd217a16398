//! The table behind [`Metadata`](crate::Metadata): rows, their versions, compare-and-set.
//!
//! Pure state, without locks and I/O: the disk store keeps the same table in memory and replays
//! its files into it. Versions only rise: also over [`Table::load`] and [`Table::skip_versions`].

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::metadata::{CommitError, Entry, Key, Version, Versioned, Write};

/// Rows in order of their keys, and the newest version given out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    rows: BTreeMap<Key, Versioned>,
    last_version: Version,
}

impl Table {
    /// A table without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// The newest version given out or passed over.
    pub fn last_version(&self) -> Version {
        self.last_version
    }

    /// The version that the next commit gets.
    pub fn next_version(&self) -> Version {
        Version(
            self.last_version
                .0
                .checked_add(1)
                .expect("2^64 commits take centuries"),
        )
    }

    /// Versions up to and including `version` are not given out any more.
    pub fn skip_versions(&mut self, version: Version) {
        self.last_version = self.last_version.max(version);
    }

    /// The version of a key: [`Version::ABSENT`] if it has no row.
    pub fn version_of(&self, key: &Key) -> Version {
        self.rows
            .get(key)
            .map_or(Version::ABSENT, |row| row.version)
    }

    /// Whether every key of `checks` is at its version; the error names the first that is not.
    pub fn check(&self, checks: &[(Key, Version)]) -> Result<(), CommitError> {
        match checks
            .iter()
            .find(|(key, version)| self.version_of(key) != *version)
        {
            Some((key, _)) => Err(CommitError::Conflict { key: key.clone() }),
            None => Ok(()),
        }
    }

    /// Checks, then writes all under the next version. On an error nothing changes.
    pub fn apply(
        &mut self,
        checks: &[(Key, Version)],
        writes: &[Write],
    ) -> Result<Version, CommitError> {
        self.check(checks)?;
        let version = self.next_version();
        self.write(version, writes);
        Ok(version)
    }

    /// Writes all under `version`, which was checked before, as when a file is replayed. Of two
    /// writes to one key the later counts.
    pub fn write(&mut self, version: Version, writes: &[Write]) {
        assert!(
            version > self.last_version,
            "{version:?} was given out before"
        );
        self.last_version = version;
        for write in writes {
            match &write.value {
                Some(value) => {
                    let row = Versioned {
                        value: value.clone(),
                        version,
                    };
                    self.rows.insert(write.key.clone(), row);
                }
                None => {
                    self.rows.remove(&write.key);
                }
            }
        }
    }

    /// Puts a row in as it was, from a snapshot.
    pub fn load(&mut self, key: Key, row: Versioned) {
        assert!(row.version > Version::ABSENT, "a row has a version");
        self.skip_versions(row.version);
        self.rows.insert(key, row);
    }

    /// The row of a key.
    pub fn get(&self, key: &Key) -> Option<&Versioned> {
        self.rows.get(key)
    }

    /// The rows whose keys begin with `prefix`, in order, after `after`, `limit` at most.
    pub fn list(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Vec<Entry> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.rows
            .range::<Key, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, row)| Entry {
                key: key.clone(),
                value: row.value.clone(),
                version: row.version,
            })
            .collect()
    }

    /// All rows, in order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &Versioned)> {
        self.rows.iter()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests;
