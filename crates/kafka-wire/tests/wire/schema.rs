//! Builds encoded messages straight from the schema facts.
//!
//! This is a second encoder, written from the format and not from the crate. Its output is canonical:
//! tagged fields ascend and are left out at their defaults.

use crate::facts::{self, Field, Message, Type};
use std::ops::Range;

/// A small seeded generator (splitmix64).
#[derive(Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}

/// The facts of every API.
pub(crate) fn apis() -> Vec<facts::Api> {
    facts::parse(include_str!("../../schema/messages.txt")).expect("the committed facts parse")
}

/// The message of one side.
pub(crate) fn message<'a>(apis: &'a [facts::Api], api: &str, side: &str) -> &'a Message {
    let api = apis
        .iter()
        .find(|known| known.name == api)
        .expect("every API has facts");
    if side == "request" {
        &api.request
    } else {
        &api.response
    }
}

/// What a length or count in the built bytes counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    Elements,
    String,
    Bytes,
    Tags,
    TagBytes,
}

/// A length or count in the built bytes.
#[derive(Debug, Clone)]
pub(crate) struct Count {
    pub(crate) place: Range<usize>,
    pub(crate) compact: bool,
    pub(crate) counts: Counts,
}

/// An encoded message and where its counts are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Built {
    pub(crate) bytes: Vec<u8>,
    pub(crate) counts: Vec<Count>,
}

impl Built {
    /// The same bytes with one count replaced by another raw value.
    pub(crate) fn lie(&self, count: &Count, value: u32) -> Vec<u8> {
        let mut bytes = self.bytes[..count.place.start].to_vec();
        match (count.compact, count.counts) {
            (true, _) => uvarint(&mut bytes, value),
            (false, Counts::String) => bytes.extend(&value.to_be_bytes()[2..]),
            (false, _) => bytes.extend(value.to_be_bytes()),
        }
        bytes.extend(&self.bytes[count.place.end..]);
        bytes
    }
}

/// How to build.
pub(crate) struct Builder<'a> {
    pub(crate) message: &'a Message,
    pub(crate) version: i16,
    pub(crate) chance: Chance,
    /// Ends every tagged section with a field that no schema knows.
    pub(crate) unknown_tags: bool,
    pub(crate) elements_max: usize,
    built: Built,
}

pub(crate) fn uvarint(bytes: &mut Vec<u8>, mut value: u32) {
    while value > 0x7f {
        bytes.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect("seven bits"));
}

impl<'a> Builder<'a> {
    pub(crate) fn new(message: &'a Message, version: i16, seed: u64) -> Self {
        Self {
            message,
            version,
            chance: Chance::new(seed),
            unknown_tags: false,
            elements_max: 3,
            built: Built::default(),
        }
    }

    pub(crate) fn build(mut self) -> Built {
        self.fields(&self.message.fields);
        self.built
    }

    fn flexible(&self) -> bool {
        self.message.flexible.contains(self.version)
    }

    fn fields(&mut self, fields: &'a [Field]) {
        let version = self.version;
        let present = |field: &&Field| field.versions.contains(version);
        let is_tagged = |field: &&Field| field.tag.is_some() && field.tagged.contains(version);
        for field in fields
            .iter()
            .filter(present)
            .filter(|field| !is_tagged(field))
        {
            self.value(field);
        }
        if !self.flexible() {
            return;
        }
        let mut tagged: Vec<&Field> = fields.iter().filter(present).filter(is_tagged).collect();
        tagged.sort_by_key(|field| field.tag);
        let outer = std::mem::take(&mut self.built);
        let mut contents = Vec::new();
        for field in tagged {
            if self.chance.one_in(3) {
                continue;
            }
            self.value(field);
            let content = std::mem::take(&mut self.built);
            if content.bytes != self.default_bytes(field) {
                contents.push((field.tag.expect("it is tagged"), content));
            }
        }
        if self.unknown_tags {
            contents.push((
                4_000,
                Built {
                    bytes: vec![1, 2, 3],
                    counts: Vec::new(),
                },
            ));
        }
        self.built = outer;
        self.count(
            Counts::Tags,
            u32::try_from(contents.len()).expect("few tags"),
        );
        for (tag, content) in contents {
            uvarint(&mut self.built.bytes, tag);
            self.count(
                Counts::TagBytes,
                u32::try_from(content.bytes.len()).expect("short"),
            );
            let start = self.built.bytes.len();
            self.built.bytes.extend(content.bytes);
            self.built
                .counts
                .extend(content.counts.into_iter().map(|count| Count {
                    place: count.place.start + start..count.place.end + start,
                    ..count
                }));
        }
    }

    /// Writes a raw count in the form that its kind has.
    fn count(&mut self, counts: Counts, raw: u32) {
        let compact = self.flexible();
        let start = self.built.bytes.len();
        match (compact, counts) {
            (true, _) => uvarint(&mut self.built.bytes, raw),
            (false, Counts::String) => self.built.bytes.extend(&raw.to_be_bytes()[2..]),
            (false, _) => self.built.bytes.extend(raw.to_be_bytes()),
        }
        let place = start..self.built.bytes.len();
        self.built.counts.push(Count {
            place,
            compact,
            counts,
        });
    }

    fn length(&mut self, counts: Counts, length: Option<usize>) {
        let length = length.map(|length| u32::try_from(length).expect("short"));
        let raw = match (self.flexible(), length) {
            (true, length) => length.map_or(0, |length| length + 1),
            (false, length) => length.unwrap_or(u32::MAX),
        };
        self.count(counts, raw);
    }

    fn value(&mut self, field: &'a Field) {
        let null = field.nullable.contains(self.version) && self.chance.one_in(4);
        match &field.kind {
            Type::Struct(_) if field.nullable.is_empty() => self.fields(self.struct_fields(field)),
            Type::Struct(_) if null => self.built.bytes.push(0xff),
            Type::Struct(_) => {
                self.built.bytes.push(1);
                self.fields(self.struct_fields(field));
            }
            Type::Array(_) if null => self.length(Counts::Elements, None),
            Type::String if null => self.length(Counts::String, None),
            Type::Bytes | Type::Records if null => self.length(Counts::Bytes, None),
            Type::Array(element) => {
                let elements = self.chance.below(self.elements_max + 1);
                self.length(Counts::Elements, Some(elements));
                for _ in 0..elements {
                    match &**element {
                        Type::Struct(_) => self.fields(self.struct_fields(field)),
                        element => self.scalar(element),
                    }
                }
            }
            scalar => self.scalar(scalar),
        }
    }

    fn struct_fields(&self, field: &'a Field) -> &'a [Field] {
        let name = field.kind.struct_name().expect("it is a struct");
        let shared = self
            .message
            .structs
            .iter()
            .find(|shared| shared.name == name);
        shared.map_or(&field.fields, |shared| &shared.fields)
    }

    fn scalar(&mut self, kind: &Type) {
        let width = match kind {
            Type::Bool => {
                let value = u8::from(self.chance.one_in(2));
                return self.built.bytes.push(value);
            }
            Type::String => {
                let letters = ["a", "Z", "9", "-", ".", "ä", "→", "𝄞"];
                let length = self.chance.below(9);
                let text: String = (0..length).map(|_| letters[self.chance.below(8)]).collect();
                self.length(Counts::String, Some(text.len()));
                return self.built.bytes.extend(text.into_bytes());
            }
            Type::Bytes | Type::Records => {
                let length = self.chance.below(40);
                self.length(Counts::Bytes, Some(length));
                let content = self.chance.bytes(length);
                return self.built.bytes.extend(content);
            }
            Type::Int8 => 1,
            Type::Int16 | Type::Uint16 => 2,
            Type::Int32 | Type::Uint32 => 4,
            Type::Int64 => 8,
            Type::Uuid => 16,
            Type::Struct(_) | Type::Array(_) => unreachable!("not a scalar"),
        };
        let value = if self.chance.one_in(5) {
            vec![0; width]
        } else {
            self.chance.bytes(width)
        };
        self.built.bytes.extend(value);
    }

    /// The encoding of a tagged field's default.
    fn default_bytes(&self, field: &Field) -> Vec<u8> {
        let number = || {
            field
                .default
                .as_deref()
                .map_or(0, |text| text.parse().expect("number"))
        };
        match (&field.kind, field.default.as_deref()) {
            (Type::Struct(_), _) => {
                assert!(
                    field.nullable.is_empty(),
                    "no tagged field is a nullable struct"
                );
                let present = field
                    .fields
                    .iter()
                    .filter(|f| f.versions.contains(self.version));
                let mut bytes: Vec<u8> = present
                    .flat_map(|inner| self.default_bytes(inner))
                    .collect();
                bytes.push(0);
                bytes
            }
            (Type::String | Type::Bytes | Type::Records | Type::Array(_), Some("null")) => vec![0],
            (Type::String | Type::Bytes | Type::Records | Type::Array(_), _) => vec![1],
            (Type::Bool, default) => vec![u8::from(default == Some("true"))],
            (Type::Uuid, _) => vec![0; 16],
            (Type::Int64, _) => i64::to_be_bytes(number()).to_vec(),
            (Type::Int32 | Type::Uint32, _) => i64::to_be_bytes(number())[4..].to_vec(),
            (Type::Int16 | Type::Uint16, _) => i64::to_be_bytes(number())[6..].to_vec(),
            (Type::Int8, _) => i64::to_be_bytes(number())[7..].to_vec(),
        }
    }
}
