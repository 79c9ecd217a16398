//! [`Metadata`]: a small table of keys and values with compare-and-set, the only way in which a
//! topic, a config or a committed position changes.
//!
//! A key is a space byte followed by length-prefixed parts, so that no id can imitate another
//! (an id that contains a separator would, in a key made by joining).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::BoxFuture;
use crate::log::StorageFailure;

/// What a key is about; its first byte. Numbers are on disk and never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Space {
    /// A topic, by name.
    Topic = 1,
    /// A deletion under way, by topic id.
    Deletion = 2,
    /// This node: id of the cluster, epoch.
    Node = 3,
    /// The next block of producer ids.
    ProducerIds = 4,
    /// A committed position: group, topic id, partition.
    Offset = 5,
    /// A consumer group, by name.
    Group = 6,
}

/// A key; ordered by its bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Bytes);

impl Key {
    /// All keys of a space begin with this.
    pub fn space(space: Space) -> Self {
        Self(Bytes::copy_from_slice(&[space as u8]))
    }

    /// This key with one more part, which may hold any bytes.
    ///
    /// # Panics
    /// If the part is longer than 65,535 bytes: ids are bounded far below that where they enter.
    #[must_use]
    pub fn part(&self, part: &[u8]) -> Self {
        let length = u16::try_from(part.len()).expect("ids are bounded where they enter");
        let mut bytes = BytesMut::with_capacity(self.0.len() + 2 + part.len());
        bytes.put_slice(&self.0);
        bytes.put_u16(length);
        bytes.put_slice(part);
        Self(bytes.freeze())
    }

    /// A key from bytes that [`Key::as_bytes`] gave, as a store reads them back.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The parts after the space byte; `None` if the bytes are not a key.
    pub fn parts(&self) -> Option<Vec<Bytes>> {
        // The space byte.
        self.0.first()?;
        let mut parts = Vec::new();
        let mut at = 1;
        while at < self.0.len() {
            let head = self.0.get(at..at + 2)?;
            let length = usize::from(u16::from_be_bytes(head.try_into().ok()?));
            let end = at + 2 + length;
            self.0.get(at + 2..end)?;
            parts.push(self.0.slice(at + 2..end));
            at = end;
        }
        Some(parts)
    }

    /// Whether this key begins with all of `prefix`.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.escape_ascii())
    }
}

/// Names one state of one key. Unique for the life of the store and never reused; larger is later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// The key is absent.
    pub const ABSENT: Self = Self(0);
}

/// A value and the version at which it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The value.
    pub value: Bytes,
    /// When it was written.
    pub version: Version,
}

/// One row of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Bytes,
    /// When it was written.
    pub version: Version,
}

/// One change of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: Key,
    /// The new value; `None` removes the key.
    pub value: Option<Bytes>,
}

/// The table.
///
/// Must: make a commit durable before it is answered or visible; apply all of it or nothing.
/// May: answer [`CommitError::Unknown`] when it cannot tell. Must not: interpret keys or values.
pub trait Metadata: Send + Sync + fmt::Debug {
    /// The value of a key.
    fn get(&self, key: &Key) -> BoxFuture<'_, Result<Option<Versioned>, MetaError>>;

    /// The keys that begin with `prefix`, in order, after `after`, `limit` at most.
    fn list(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, MetaError>>;

    /// Writes all of `writes` if every key of `checks` is at its version, or nothing. The version
    /// returned is that of every key written.
    fn commit(
        &self,
        checks: &[(Key, Version)],
        writes: &[Write],
    ) -> BoxFuture<'_, Result<Version, CommitError>>;
}

/// Why a read of the table failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// The store failed.
    #[error("{0}")]
    Storage(#[from] StorageFailure),
}

/// Why a commit did not happen, or may not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A key was not at the version that the caller had read: read again and decide anew.
    #[error("{key:?} changed meanwhile")]
    Conflict {
        /// The first such key.
        key: Key,
    },
    /// No room; nothing was written.
    #[error("no space: {0}")]
    NoSpace(StorageFailure),
    /// The outcome is not known: read back (versions are never reused).
    #[error("the outcome of the commit is not known: {0}")]
    Unknown(StorageFailure),
    /// The store failed; nothing was written.
    #[error("{0}")]
    Storage(#[from] StorageFailure),
}

#[cfg(test)]
mod tests;
