//! A well-formed request of every API and version, built from the schema facts, that remembers
//! where each of its counts and lengths is.
//!
//! Written from the format and not with the encoders of `kafka-wire`; a test holds both against
//! each other. Every array has one element and every nullable field a value, so that a lie can be
//! told at every place. Must not know which lies.

use std::ops::Range;

use crate::codegen::facts::{Api, Field, Message, Type};

/// What a count counts, which is also how wide it is in the versions without compact lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// 16 bits, or compact.
    String,
    /// 32 bits, or compact.
    Elements,
    Bytes,
    /// Always compact.
    Tags,
    TagBytes,
    /// 16 bits in every version: the client id of the header.
    ClientId,
}

/// A count and where it stands in the frame.
#[derive(Debug, Clone)]
pub(super) struct Count {
    pub(super) place: Range<usize>,
    pub(super) counts: Counts,
    pub(super) is_compact: bool,
    /// How many there are in truth; none if it is null.
    pub(super) things: usize,
    /// For people: `TopicData.Name`.
    pub(super) path: String,
}

/// A request without the length in front of it.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) key: i16,
    pub(super) version: i16,
    /// For people: `Produce v9`.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) counts: Vec<Count>,
}

impl Form {
    /// The whole frame.
    pub(super) fn frame(&self) -> Vec<u8> {
        framed(&self.bytes)
    }

    /// Whether one of its strings is this text.
    pub(super) fn has_text(&self, text: &[u8]) -> bool {
        let mut strings = self
            .counts
            .iter()
            .filter(|count| count.counts == Counts::String);
        strings.any(|count| {
            let behind = &self.bytes[count.place.end..];
            count.things == text.len() && behind.starts_with(text)
        })
    }

    /// The whole frame with one count replaced. The length of the frame stays true.
    pub(super) fn lie(&self, count: &Count, value: u32) -> Vec<u8> {
        let mut bytes = self.bytes[..count.place.start].to_vec();
        if count.is_compact {
            uvarint(&mut bytes, value);
        } else {
            let wide = value.to_be_bytes();
            bytes.extend(&wide[wide.len() - count.place.len()..]);
        }
        bytes.extend(&self.bytes[count.place.end..]);
        framed(&bytes)
    }
}

/// What a request is filled with.
#[derive(Debug, Clone)]
pub(super) struct Filling {
    pub(super) topic: Vec<u8>,
    pub(super) topic_id: [u8; 16],
    pub(super) records: Vec<u8>,
}

/// Bytes with their length in front.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("requests are short");
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend(bytes);
    frame
}

/// A request header of version 1 or 2, as its API and version want it.
pub(super) fn header(key: i16, version: i16, client_id: &[u8]) -> Vec<u8> {
    let mut bytes = key.to_be_bytes().to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend(7_i32.to_be_bytes());
    let length = u16::try_from(client_id.len()).expect("client ids are short");
    bytes.extend(length.to_be_bytes());
    bytes.extend(client_id);
    bytes
}

/// The request of an API in a version.
pub(super) fn form(api: &Api, version: i16, filling: &Filling) -> Form {
    const CLIENT_ID: &[u8] = b"hostile";
    let mut builder = Builder {
        message: &api.request,
        version,
        filling,
        bytes: header(api.key, version, CLIENT_ID),
        counts: Vec::new(),
        path: Vec::new(),
    };
    let behind_numbers = 8;
    builder.counts.push(Count {
        place: behind_numbers..behind_numbers + 2,
        counts: Counts::ClientId,
        is_compact: false,
        things: CLIENT_ID.len(),
        path: "header.ClientId".to_owned(),
    });
    if builder.is_flexible() {
        builder.path.push("header".to_owned());
        builder.tags(&[]);
        builder.path.clear();
    }
    builder.fields(&api.request.fields);
    Form {
        key: api.key,
        version,
        name: format!("{} v{version}", api.name),
        bytes: builder.bytes,
        counts: builder.counts,
    }
}

struct Builder<'a> {
    message: &'a Message,
    version: i16,
    filling: &'a Filling,
    bytes: Vec<u8>,
    counts: Vec<Count>,
    path: Vec<String>,
}

impl<'a> Builder<'a> {
    fn is_flexible(&self) -> bool {
        self.message.flexible.contains(self.version)
    }

    fn fields(&mut self, fields: &'a [Field]) {
        let version = self.version;
        let present = |field: &&Field| field.versions.contains(version);
        let (tagged, plain): (Vec<&Field>, Vec<&Field>) = fields
            .iter()
            .filter(present)
            .partition(|field| field.tag.is_some() && field.tagged.contains(version));
        for field in plain {
            self.field(field);
        }
        if self.is_flexible() {
            self.tags(&tagged);
        }
    }

    /// The tagged fields at the end of a struct, and one that no schema knows.
    fn tags(&mut self, tagged: &[&'a Field]) {
        const UNKNOWN_TAG: u32 = 4_000;
        let mut fields = tagged.to_vec();
        fields.sort_by_key(|field| field.tag);
        self.count(Counts::Tags, fields.len() + 1, "tags");
        for field in fields {
            uvarint(&mut self.bytes, field.tag.expect("it is tagged"));
            let (bytes, counts) = (
                std::mem::take(&mut self.bytes),
                std::mem::take(&mut self.counts),
            );
            self.field(field);
            let content = std::mem::replace(&mut self.bytes, bytes);
            let inner = std::mem::replace(&mut self.counts, counts);
            self.count(Counts::TagBytes, content.len(), "tag");
            let start = self.bytes.len();
            self.bytes.extend(content);
            self.counts.extend(inner.into_iter().map(|count| Count {
                place: count.place.start + start..count.place.end + start,
                ..count
            }));
        }
        uvarint(&mut self.bytes, UNKNOWN_TAG);
        self.count(Counts::TagBytes, 3, "unknown tag");
        self.bytes.extend([1, 2, 3]);
    }

    /// Writes a count of things; arrays, strings and bytes are counted from one when compact.
    fn count(&mut self, counts: Counts, things: usize, word: &str) {
        let things = u32::try_from(things).expect("few");
        self.raw_count(counts, Some(things), word);
    }

    /// `None` is null.
    fn raw_count(&mut self, counts: Counts, things: Option<u32>, word: &str) {
        let start = self.bytes.len();
        let is_compact = self.is_flexible();
        match counts {
            Counts::Tags | Counts::TagBytes => uvarint(&mut self.bytes, things.unwrap_or(0)),
            _ if is_compact => uvarint(&mut self.bytes, things.map_or(0, |things| things + 1)),
            Counts::String | Counts::ClientId => {
                let bytes = things.unwrap_or(u32::MAX).to_be_bytes();
                self.bytes.extend(&bytes[2..]);
            }
            Counts::Elements | Counts::Bytes => {
                self.bytes.extend(things.unwrap_or(u32::MAX).to_be_bytes());
            }
        }
        let mut path = self.path.join(".");
        if !word.is_empty() {
            path = format!("{path} {word}");
        }
        self.counts.push(Count {
            place: start..self.bytes.len(),
            counts,
            is_compact,
            things: things.map_or(0, |things| usize::try_from(things).expect("few")),
            path,
        });
    }

    fn field(&mut self, field: &'a Field) {
        self.path.push(field.name.clone());
        match &field.kind {
            Type::Struct(_) => {
                if !field.nullable.is_empty() {
                    self.bytes.push(1);
                }
                self.fields(self.struct_fields(field));
            }
            Type::Array(element) => {
                self.count(Counts::Elements, 1, "");
                match &**element {
                    Type::Struct(_) => self.fields(self.struct_fields(field)),
                    element => self.scalar(element, field),
                }
            }
            scalar => self.scalar(scalar, field),
        }
        self.path.pop();
    }

    fn struct_fields(&self, field: &'a Field) -> &'a [Field] {
        let name = field.kind.struct_name().expect("it is a struct");
        let mut shared = self.message.structs.iter();
        let found = shared.find(|shared| shared.name == name);
        found.map_or(&field.fields, |shared| &shared.fields)
    }

    fn may_be_null(&self, field: &Field) -> bool {
        field.nullable.contains(self.version)
    }

    fn scalar(&mut self, kind: &Type, field: &Field) {
        match kind {
            // A transaction would be refused before anything else is looked at.
            Type::String if field.name == "TransactionalId" && self.may_be_null(field) => {
                self.raw_count(Counts::String, None, "");
            }
            Type::String => {
                let text = self.text(field);
                self.count(Counts::String, text.len(), "");
                self.bytes.extend(text);
            }
            Type::Bytes | Type::Records => {
                let content = self.filling.records.clone();
                self.count(Counts::Bytes, content.len(), "");
                self.bytes.extend(content);
            }
            Type::Uuid => self.bytes.extend(self.filling.topic_id),
            Type::Bool => self.bytes.push(0),
            Type::Int8 => self.number(1, field),
            Type::Int16 | Type::Uint16 => self.number(2, field),
            Type::Int32 | Type::Uint32 => self.number(4, field),
            Type::Int64 => self.number(8, field),
            Type::Struct(_) | Type::Array(_) => {
                assert!(field.name.is_empty(), "no array holds arrays");
            }
        }
    }

    /// The topic where a topic is meant.
    fn text(&self, field: &Field) -> Vec<u8> {
        match field.name.as_str() {
            "Name" | "Topic" | "TopicNames" | "ResourceName" | "TopicName" => {
                self.filling.topic.clone()
            }
            _ => b"text".to_vec(),
        }
    }

    fn number(&mut self, width: usize, field: &Field) {
        let value: i64 = match field.name.as_str() {
            "Acks" | "ReplicaId" | "SessionEpoch" | "CurrentLeaderEpoch" | "Timestamp" => -1,
            "TimeoutMs" => 1_000,
            "MinBytes" | "ReplicationFactor" | "NumPartitions" | "Count" => 1,
            "MaxBytes" | "PartitionMaxBytes" => 65_536,
            // A topic.
            "ResourceType" => 2,
            _ => 0,
        };
        let wide = value.to_be_bytes();
        self.bytes.extend(&wide[wide.len() - width..]);
    }
}

/// Kafka's unsigned varint.
pub(super) fn uvarint(bytes: &mut Vec<u8>, mut value: u32) {
    while value > 0x7f {
        let [.., low] = value.to_be_bytes();
        bytes.push(low | 0x80);
        value >>= 7;
    }
    let [.., low] = value.to_be_bytes();
    bytes.push(low);
}

#[cfg(test)]
mod tests;
