//! The bodies of metadata frames: entries, and the end of a snapshot.
//!
//! An entry is one key with its value, or its removal, and the version of the commit that wrote
//! it. The entries of one commit stand in a row under one version, in one frame.

use bytes::{Buf, BufMut, Bytes};
use storage::{Key, Version, Versioned, Write};

/// Frames of a snapshot: every row of the table, as puts.
pub(super) const SNAPSHOT: u8 = 1;
/// The last frame of a snapshot; what follows are commits.
pub(super) const SNAPSHOT_END: u8 = 2;
/// The commits of one round.
pub(super) const COMMITS: u8 = 3;

const PUT: u8 = 1;
const REMOVAL: u8 = 2;

/// Bytes of an entry before key and value.
pub(super) const ENTRY_HEAD_BYTES: usize = 17;
/// Bytes of the body of a [`SNAPSHOT_END`] frame.
pub(super) const SNAPSHOT_END_BYTES: usize = 16;

/// No version that was given out is higher: there is room for 2^32 more.
pub(super) const VERSION_MAX: Version = Version(u64::MAX - (1 << 32));

/// Bytes that a write takes in a frame.
pub(super) fn encoded_bytes(write: &Write) -> usize {
    let value_bytes = write.value.as_ref().map_or(0, Bytes::len);
    row_bytes(&write.key, value_bytes)
}

/// Bytes that a row takes in a snapshot.
pub(super) fn row_bytes(key: &Key, value_bytes: usize) -> usize {
    ENTRY_HEAD_BYTES
        .saturating_add(key.as_bytes().len())
        .saturating_add(value_bytes)
}

/// Appends one entry to a body.
pub(super) fn encode(body: &mut Vec<u8>, version: Version, key: &Key, value: Option<&[u8]>) {
    let length =
        |bytes: &[u8]| u32::try_from(bytes.len()).expect("the size of a commit is bounded");
    body.put_u64(version.0);
    body.put_u8(if value.is_some() { PUT } else { REMOVAL });
    body.put_u32(length(key.as_bytes()));
    body.put_u32(length(value.unwrap_or_default()));
    body.put_slice(key.as_bytes());
    body.put_slice(value.unwrap_or_default());
}

/// One entry read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredEntry {
    pub(super) version: Version,
    pub(super) write: Write,
}

impl StoredEntry {
    /// As a row of a table; `None` for a removal.
    pub(super) fn into_row(self) -> Option<(Key, Versioned)> {
        let version = self.version;
        self.write
            .value
            .map(|value| (self.write.key, Versioned { value, version }))
    }
}

/// All entries of a body, or `None` if it does not hold exactly `count` well-formed ones.
pub(super) fn decode(mut body: &[u8], count: u32) -> Option<Vec<StoredEntry>> {
    let mut entries = Vec::new();
    while !body.is_empty() {
        entries.push(decode_one(&mut body)?);
    }
    (u32::try_from(entries.len()) == Ok(count)).then_some(entries)
}

fn decode_one(body: &mut &[u8]) -> Option<StoredEntry> {
    let (mut head, rest) = body.split_at_checked(ENTRY_HEAD_BYTES)?;
    let version = Version(head.get_u64());
    let kind = head.get_u8();
    let key_bytes = usize::try_from(head.get_u32()).ok()?;
    let value_bytes = usize::try_from(head.get_u32()).ok()?;
    let (key, rest) = rest.split_at_checked(key_bytes)?;
    let (value, rest) = rest.split_at_checked(value_bytes)?;
    *body = rest;
    // Copied, so that no row keeps the whole file in memory.
    let value = match kind {
        PUT => Some(Bytes::copy_from_slice(value)),
        REMOVAL if value.is_empty() => None,
        _ => return None,
    };
    let key = Key::from_bytes(Bytes::copy_from_slice(key));
    (version > Version::ABSENT && version <= VERSION_MAX).then_some(StoredEntry {
        version,
        write: Write { key, value },
    })
}

/// What the last frame of a snapshot says of the frames before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SnapshotEnd {
    /// How many rows they hold.
    pub(super) rows: u64,
    /// The newest version given out when it was taken.
    pub(super) last_version: Version,
}

impl SnapshotEnd {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut body = Vec::with_capacity(SNAPSHOT_END_BYTES);
        body.put_u64(self.rows);
        body.put_u64(self.last_version.0);
        assert_eq!(body.len(), SNAPSHOT_END_BYTES, "the body has its size");
        body
    }

    pub(super) fn decode(mut body: &[u8]) -> Option<Self> {
        if body.len() != SNAPSHOT_END_BYTES {
            return None;
        }
        let end = Self {
            rows: body.get_u64(),
            last_version: Version(body.get_u64()),
        };
        (end.last_version <= VERSION_MAX).then_some(end)
    }
}
