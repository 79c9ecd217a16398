//! `{topic}/topic.meta`: what a topic's directory says of itself, so that it can be recognised,
//! and adopted when the metadata is lost. docs/formats.md draws it.
//!
//! The metadata decides which topics exist; this file only speaks when that is silent. Written
//! whole and durably, never in place.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use records::checksum::crc32c;
use sabotage::{Safeguard, skips};
use storage::{InvalidTopicName, TopicId, TopicMeta, TopicName};
use vfs::Vfs;

/// The name of the file.
pub const FILE_NAME: &str = "topic.meta";

const MAGIC: &[u8; 4] = b"OTM1";
const VERSION: u16 = 1;
const CRC_AT: usize = 4;
const CHECKED_AT: usize = 8;
const HEAD_BYTES: usize = 38;
const CONFIG_HEAD_BYTES: usize = 6;
/// More than any set of configs that a request can carry.
const FILE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTopic {
    /// The topic's id.
    pub id: TopicId,
    /// Its name, which its directory must have too.
    pub name: TopicName,
    /// How many partitions it has.
    pub partitions: u32,
    /// The configs that were set on it.
    pub configs: BTreeMap<String, String>,
}

impl From<&TopicMeta> for StoredTopic {
    fn from(topic: &TopicMeta) -> Self {
        Self {
            id: topic.id,
            name: topic.name.clone(),
            partitions: topic.partitions,
            configs: topic.configs.clone(),
        }
    }
}

/// Why bytes are not a `topic.meta`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicMetaError {
    /// The file ends too early, or goes on behind its end.
    #[error("it has {0} bytes, which does not fit what it says")]
    Length(usize),
    /// It begins with something else.
    #[error("it does not begin with OTM1")]
    Magic,
    /// Written by another version of ottla.
    #[error("it has version {0}, this build knows {VERSION}")]
    Version(u16),
    /// The bytes are not those that were written.
    #[error("its checksum is {got:08x} where {expected:08x} was expected")]
    Checksum {
        /// Of the bytes.
        got: u32,
        /// As the file says.
        expected: u32,
    },
    /// The name in it breaks the rule.
    #[error("the topic name in it is not valid: {0}")]
    Name(#[from] InvalidTopicName),
    /// A text in it is not UTF-8.
    #[error("a text in it is not UTF-8")]
    Text,
    /// The disk did not give it.
    #[error("it cannot be read: {0}")]
    Read(String),
}

impl StoredTopic {
    /// The bytes of the file.
    ///
    /// # Panics
    /// If a config is longer than its length field: requests are far smaller.
    pub fn encode(&self) -> Vec<u8> {
        let name = self.name.as_str().as_bytes();
        let mut bytes = Vec::with_capacity(HEAD_BYTES.saturating_add(name.len()));
        bytes.put_slice(MAGIC);
        bytes.put_u32(0);
        bytes.put_u16(VERSION);
        bytes.put_u16(0);
        bytes.put_slice(&self.id.0);
        bytes.put_u32(self.partitions);
        bytes.put_u16(u16::try_from(name.len()).expect("a topic name has at most 249 bytes"));
        bytes.put_u32(u32::try_from(self.configs.len()).expect("configs are few"));
        assert_eq!(bytes.len(), HEAD_BYTES, "the head has its size");
        bytes.put_slice(name);
        for (key, value) in &self.configs {
            bytes.put_u16(u16::try_from(key.len()).expect("a config key is short"));
            bytes.put_u32(u32::try_from(value.len()).expect("a config value is below 4 GiB"));
            bytes.put_slice(key.as_bytes());
            bytes.put_slice(value.as_bytes());
        }
        let crc = crc32c(bytes.get(CHECKED_AT..).expect("longer than a head"));
        bytes
            .get_mut(CRC_AT..CHECKED_AT)
            .expect("longer than a head")
            .copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// What [`StoredTopic::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, TopicMetaError> {
        let mut head = bytes
            .get(..HEAD_BYTES)
            .ok_or(TopicMetaError::Length(bytes.len()))?;
        if !head.starts_with(MAGIC) {
            return Err(TopicMetaError::Magic);
        }
        head.advance(CRC_AT);
        let expected = head.get_u32();
        let got = crc32c(bytes.get(CHECKED_AT..).unwrap_or_default());
        if got != expected && !skips(Safeguard::TopicMetaCrc) {
            return Err(TopicMetaError::Checksum { got, expected });
        }
        let version = head.get_u16();
        if version != VERSION || head.get_u16() != 0 {
            return Err(TopicMetaError::Version(version));
        }
        let mut id = [0; 16];
        head.copy_to_slice(&mut id);
        let partitions = head.get_u32();
        let name_bytes = usize::from(head.get_u16());
        let config_count = head.get_u32();
        let mut rest = bytes.get(HEAD_BYTES..).unwrap_or_default();
        let too_short = TopicMetaError::Length(bytes.len());
        let name = take_text(&mut rest, name_bytes).ok_or_else(|| too_short.clone())??;
        let mut configs = BTreeMap::new();
        for _ in 0..config_count {
            let (key, value) = take_config(&mut rest).ok_or_else(|| too_short.clone())??;
            configs.insert(key, value);
        }
        if !rest.is_empty() {
            return Err(too_short);
        }
        Ok(Self {
            id: TopicId(id),
            name: TopicName::parse(&name)?,
            partitions,
            configs,
        })
    }

    /// Puts the file into the directory of the topic, durably.
    pub fn write(&self, vfs: &dyn Vfs, topic_dir: &Path) -> io::Result<()> {
        vfs::replace_durable(vfs, &path_in(topic_dir), &self.encode())
    }

    /// Reads the file of a topic's directory; `None` if there is none.
    pub fn read(vfs: &dyn Vfs, topic_dir: &Path) -> Result<Option<Self>, TopicMetaError> {
        match vfs::read_whole(vfs, &path_in(topic_dir), FILE_BYTES_MAX) {
            Ok(bytes) => Self::decode(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TopicMetaError::Read(error.to_string())),
        }
    }
}

/// Where the file of a topic's directory is.
pub fn path_in(topic_dir: &Path) -> PathBuf {
    topic_dir.join(FILE_NAME)
}

fn take_text(rest: &mut &[u8], size_bytes: usize) -> Option<Result<String, TopicMetaError>> {
    let (text, after) = rest.split_at_checked(size_bytes)?;
    *rest = after;
    let text = std::str::from_utf8(text).map(str::to_owned);
    Some(text.map_err(|_not_utf8| TopicMetaError::Text))
}

fn take_config(rest: &mut &[u8]) -> Option<Result<(String, String), TopicMetaError>> {
    let (mut head, after) = rest.split_at_checked(CONFIG_HEAD_BYTES)?;
    *rest = after;
    let key_bytes = usize::from(head.get_u16());
    let value_bytes = usize::try_from(head.get_u32()).ok()?;
    let key = take_text(rest, key_bytes)?;
    let value = take_text(rest, value_bytes)?;
    Some(key.and_then(|key| value.map(|value| (key, value))))
}

#[cfg(test)]
mod tests;
