//! The values that the broker keeps in the metadata, as bytes. All integers are big-endian; every
//! value begins with a version (u16, now 1), so that an older build refuses what it cannot read.
//!
//! Topic (key: name), and deletion (key: topic id), which is a name in front of the same fields:
//!
//! | Bytes | Field |
//! |--:|---|
//! | 2 | version = 1 |
//! | 2 + n | deletion only: the name, its length (u16) in front |
//! | 16 | topic id |
//! | 4 | partitions |
//! | 4 | partitions whose storage was made: the others are made at the next start |
//! | 2 | configs |
//! | 2 + n | each config: name, its length (u16) in front |
//! | 4 + n | each config: value, its length (u32) in front |
//!
//! Position (key: consumer, topic id, partition):
//!
//! | Bytes | Field |
//! |--:|---|
//! | 2 | version = 1, or 2 with the last field |
//! | 8 | offset of the record to read next |
//! | 4 | leader epoch of the record before it, −1 not known |
//! | 8 | when it was committed, ms since the epoch |
//! | 4 + n | metadata, its length (u32) in front |
//! | 8 | version 2 only: until when it is kept, ms since the epoch |
//!
//! Configs of a broker: version (2), then the configs as a topic has them.
//!
//! Producer ids: version (2), the first id that no block holds yet (8). Cluster id: version (2),
//! then the text to the end.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use records::Offset;
use storage::{TopicId, TopicName};

use crate::error::UnreadableValue;

pub(crate) const VERSION: u16 = 1;
/// A position that says itself how long it is kept.
const VERSION_WITH_EXPIRY: u16 = 2;

/// What the metadata says of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicRecord {
    pub(crate) id: TopicId,
    pub(crate) partitions: u32,
    /// Storage was made for the partitions below this. One that is missing there was lost, and
    /// must not be made again as if it had been empty.
    pub(crate) partitions_made: u32,
    pub(crate) configs: BTreeMap<String, String>,
}

/// A deletion under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeletionRecord {
    pub(crate) name: TopicName,
    pub(crate) topic: TopicRecord,
}

/// Where a consumer goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The offset of the record that it reads next.
    pub offset: Offset,
    /// The leader epoch of the record before it, where the consumer told.
    pub leader_epoch: Option<i32>,
    /// When it was committed, in ms since the epoch.
    pub committed_ms: i64,
    /// Until when it is kept, in ms since the epoch; `None`: as the broker is set.
    pub expires_ms: Option<i64>,
    /// A text that the consumer keeps beside it.
    pub metadata: String,
}

impl TopicRecord {
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u16(VERSION);
        self.encode_fields(&mut bytes);
        bytes.freeze()
    }

    fn encode_fields(&self, bytes: &mut BytesMut) {
        assert!(
            self.partitions_made <= self.partitions,
            "only what exists is made"
        );
        bytes.put_slice(&self.id.0);
        bytes.put_u32(self.partitions);
        bytes.put_u32(self.partitions_made);
        put_configs(bytes, &self.configs);
    }

    pub(crate) fn decode(value: &Bytes) -> Result<Self, UnreadableValue> {
        let mut reader = Reader::open("a topic record", value)?;
        let record = Self::decode_fields(&mut reader)?;
        reader.finish()?;
        Ok(record)
    }

    fn decode_fields(reader: &mut Reader) -> Result<Self, UnreadableValue> {
        let id = TopicId(reader.array()?);
        let partitions = u32::from_be_bytes(reader.array()?);
        let partitions_made = u32::from_be_bytes(reader.array()?);
        if partitions_made > partitions {
            return Err(reader.damaged(format!(
                "{partitions_made} of {partitions} partitions cannot have been made"
            )));
        }
        Ok(Self {
            id,
            partitions,
            partitions_made,
            configs: reader.configs()?,
        })
    }
}

impl DeletionRecord {
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u16(VERSION);
        put_short(&mut bytes, self.name.as_str());
        self.topic.encode_fields(&mut bytes);
        bytes.freeze()
    }

    pub(crate) fn decode(value: &Bytes) -> Result<Self, UnreadableValue> {
        let mut reader = Reader::open("a deletion record", value)?;
        let name = reader.short_text()?;
        let name = TopicName::parse(&name).map_err(|error| reader.damaged(error.to_string()))?;
        let topic = TopicRecord::decode_fields(&mut reader)?;
        reader.finish()?;
        Ok(Self { name, topic })
    }
}

impl Position {
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        // A build that knows no expiry reads all others.
        let version = self.expires_ms.map_or(VERSION, |_| VERSION_WITH_EXPIRY);
        bytes.put_u16(version);
        bytes.put_i64(self.offset.get());
        bytes.put_i32(self.leader_epoch.unwrap_or(-1));
        bytes.put_i64(self.committed_ms);
        put_long(&mut bytes, &self.metadata);
        if let Some(ms) = self.expires_ms {
            bytes.put_i64(ms);
        }
        bytes.freeze()
    }

    pub(crate) fn decode(value: &Bytes) -> Result<Self, UnreadableValue> {
        let (mut reader, version) = Reader::open_up_to(VERSION_WITH_EXPIRY, "a position", value)?;
        let mut position = Self {
            offset: Offset::new(i64::from_be_bytes(reader.array()?)),
            leader_epoch: Some(i32::from_be_bytes(reader.array()?)).filter(|epoch| *epoch >= 0),
            committed_ms: i64::from_be_bytes(reader.array()?),
            expires_ms: None,
            metadata: reader.long_text()?,
        };
        if version == VERSION_WITH_EXPIRY {
            position.expires_ms = Some(i64::from_be_bytes(reader.array()?));
        }
        reader.finish()?;
        Ok(position)
    }
}

pub(crate) fn encode_next_producer_id(next: i64) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u16(VERSION);
    bytes.put_i64(next);
    bytes.freeze()
}

pub(crate) fn decode_next_producer_id(value: &Bytes) -> Result<i64, UnreadableValue> {
    let mut reader = Reader::open("the block of producer ids", value)?;
    let next = i64::from_be_bytes(reader.array()?);
    if next < 0 {
        return Err(reader.damaged(format!("producer id {next} is negative")));
    }
    reader.finish()?;
    Ok(next)
}

pub(crate) fn encode_cluster_id(id: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u16(VERSION);
    bytes.put_slice(id.as_bytes());
    bytes.freeze()
}

pub(crate) fn decode_cluster_id(value: &Bytes) -> Result<String, UnreadableValue> {
    let mut reader = Reader::open("the cluster id", value)?;
    let length = reader.rest.len();
    reader.text(length)
}

/// The configs of a broker, or of every broker.
pub(crate) fn encode_configs(configs: &BTreeMap<String, String>) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u16(VERSION);
    put_configs(&mut bytes, configs);
    bytes.freeze()
}

pub(crate) fn decode_configs(value: &Bytes) -> Result<BTreeMap<String, String>, UnreadableValue> {
    let mut reader = Reader::open("the configs of a broker", value)?;
    let configs = reader.configs()?;
    reader.finish()?;
    Ok(configs)
}

fn put_configs(bytes: &mut BytesMut, configs: &BTreeMap<String, String>) {
    bytes.put_u16(u16::try_from(configs.len()).expect("there are few config keys"));
    for (name, value) in configs {
        put_short(bytes, name);
        put_long(bytes, value);
    }
}

pub(crate) fn put_short(bytes: &mut BytesMut, text: &str) {
    bytes.put_u16(u16::try_from(text.len()).expect("names are bounded where they enter"));
    bytes.put_slice(text.as_bytes());
}

fn put_long(bytes: &mut BytesMut, text: &str) {
    bytes.put_u32(u32::try_from(text.len()).expect("texts are bounded where they enter"));
    bytes.put_slice(text.as_bytes());
}

/// Reads fields one after the other; every lack is an error that names the value.
pub(crate) struct Reader {
    what: &'static str,
    rest: Bytes,
}

impl Reader {
    pub(crate) fn open(what: &'static str, value: &Bytes) -> Result<Self, UnreadableValue> {
        Self::open_up_to(VERSION, what, value).map(|(reader, _)| reader)
    }

    /// The reader behind the version, and the version.
    pub(crate) fn open_up_to(
        newest: u16,
        what: &'static str,
        value: &Bytes,
    ) -> Result<(Self, u16), UnreadableValue> {
        let mut reader = Self {
            what,
            rest: value.clone(),
        };
        let version = u16::from_be_bytes(reader.array()?);
        if version == 0 {
            return Err(reader.damaged("version 0 was never written".into()));
        }
        if version > newest {
            return Err(UnreadableValue::Newer {
                what,
                version,
                newest,
            });
        }
        Ok((reader, version))
    }

    pub(crate) fn damaged(&self, reason: String) -> UnreadableValue {
        UnreadableValue::Damaged {
            what: self.what,
            reason,
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], UnreadableValue> {
        let Some(field) = self.rest.first_chunk::<N>().copied() else {
            let left = self.rest.len();
            return Err(self.damaged(format!("{N} bytes were expected, {left} are left")));
        };
        self.rest.advance(N);
        Ok(field)
    }

    fn text(&mut self, length: usize) -> Result<String, UnreadableValue> {
        if length > self.rest.len() {
            let left = self.rest.len();
            return Err(self.damaged(format!("{length} bytes were expected, {left} are left")));
        }
        let bytes = self.rest.split_to(length);
        String::from_utf8(bytes.into()).map_err(|error| self.damaged(error.to_string()))
    }

    pub(crate) fn short_text(&mut self) -> Result<String, UnreadableValue> {
        let length = u16::from_be_bytes(self.array()?);
        self.text(length.into())
    }

    pub(crate) fn long_text(&mut self) -> Result<String, UnreadableValue> {
        let length = u32::from_be_bytes(self.array()?);
        self.text(length as usize)
    }

    fn configs(&mut self) -> Result<BTreeMap<String, String>, UnreadableValue> {
        let count = u16::from_be_bytes(self.array()?);
        let mut configs = BTreeMap::new();
        for _ in 0..count {
            let name = self.short_text()?;
            configs.insert(name, self.long_text()?);
        }
        Ok(configs)
    }

    /// A copy: a part would keep the whole value alive.
    pub(crate) fn long_bytes(&mut self) -> Result<Bytes, UnreadableValue> {
        let length = u32::from_be_bytes(self.array()?) as usize;
        let Some(bytes) = self.rest.get(..length) else {
            let left = self.rest.len();
            return Err(self.damaged(format!("{length} bytes were expected, {left} are left")));
        };
        let bytes = Bytes::copy_from_slice(bytes);
        self.rest.advance(length);
        Ok(bytes)
    }

    pub(crate) fn finish(self) -> Result<(), UnreadableValue> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.damaged(format!("{} bytes are left over", self.rest.len())))
    }
}

#[cfg(test)]
mod tests;
