//! The facts of Kafka's message schemas, and the text file that keeps them.
//!
//! Names, types, versions, tags, defaults and nullability; no prose. Reading back what was written
//! gives the same facts. This file depends on nothing, because the tests of `kafka-wire` include it
//! to build messages straight from the facts. It must not know Rust code generation or JSON.

use std::fmt::Write as _;

/// The first line of the facts file.
const HEAD: &str =
    "# Kafka message schemas, facts only; written by: cargo xtask codegen --from-jar\n";

/// An inclusive range of versions; empty when `first > last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) first: i16,
    pub(crate) last: i16,
}

impl Versions {
    pub(crate) const NONE: Self = Self { first: 0, last: -1 };

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            part.parse::<i16>()
                .map_err(|error| format!("version range '{text}': {error}"))
        };
        if text == "none" {
            return Ok(Self::NONE);
        }
        if let Some(first) = text.strip_suffix('+') {
            return Ok(Self {
                first: number(first)?,
                last: i16::MAX,
            });
        }
        match text.split_once('-') {
            Some((first, last)) => Ok(Self {
                first: number(first)?,
                last: number(last)?,
            }),
            None => Ok(Self {
                first: number(text)?,
                last: number(text)?,
            }),
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.first > self.last
    }

    pub(crate) fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    pub(crate) fn and(self, other: Self) -> Self {
        let both = Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        };
        if both.is_empty() { Self::NONE } else { both }
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            range if range.is_empty() => out.write_str("none"),
            Self {
                first,
                last: i16::MAX,
            } => write!(out, "{first}+"),
            Self { first, last } if first == last => write!(out, "{first}"),
            Self { first, last } => write!(out, "{first}-{last}"),
        }
    }
}

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint16,
    Uint32,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(element) = text.strip_prefix("[]") {
            return Ok(Self::Array(Box::new(Self::parse(element)?)));
        }
        Ok(match text {
            "bool" => Self::Bool,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "uint16" => Self::Uint16,
            "uint32" => Self::Uint32,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            name if name.starts_with(|first: char| first.is_ascii_uppercase()) => {
                Self::Struct(name.to_owned())
            }
            other => return Err(format!("unknown type '{other}'")),
        })
    }

    /// The struct this type is, or is an array of.
    pub(crate) fn struct_name(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(element) => element.struct_name(),
            _ => None,
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Bool => "bool",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uuid => "uuid",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Records => "records",
            Self::Struct(name) => name,
            Self::Array(element) => return write!(out, "[]{element}"),
        })
    }
}

/// One field of a message or of a struct inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) versions: Versions,
    pub(crate) nullable: Versions,
    pub(crate) tag: Option<u32>,
    pub(crate) tagged: Versions,
    pub(crate) ignorable: bool,
    /// `None` is the default of the type; `Some("null")` is null; else a number or `true`.
    pub(crate) default: Option<String>,
    pub(crate) fields: Vec<Field>,
}

/// A struct that several fields of one message share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedStruct {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
}

/// A request or a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) valid: Versions,
    pub(crate) flexible: Versions,
    pub(crate) structs: Vec<SharedStruct>,
    pub(crate) fields: Vec<Field>,
}

/// Both messages of one API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Api {
    pub(crate) key: i16,
    pub(crate) name: String,
    pub(crate) request: Message,
    pub(crate) response: Message,
}

/// Writes the facts file.
pub(crate) fn print(apis: &[Api]) -> String {
    let mut out = HEAD.to_owned();
    for api in apis {
        writeln!(out, "\napi {} {}", api.key, api.name).expect("a string takes every write");
        print_message(&mut out, "request", &api.request);
        print_message(&mut out, "response", &api.response);
    }
    out
}

fn print_message(out: &mut String, side: &str, message: &Message) {
    writeln!(
        out,
        "{side} {} flexible={}",
        message.valid, message.flexible
    )
    .expect("a string takes every write");
    for shared in &message.structs {
        writeln!(out, "struct {}", shared.name).expect("a string takes every write");
        print_fields(out, 1, &shared.fields);
    }
    if !message.structs.is_empty() {
        out.push_str("fields\n");
    }
    print_fields(out, 1, &message.fields);
}

fn print_fields(out: &mut String, depth: usize, fields: &[Field]) {
    for field in fields {
        let indent = "  ".repeat(depth);
        let mut line = format!("{indent}{} {} {}", field.name, field.kind, field.versions);
        if !field.nullable.is_empty() {
            let _ = write!(line, " nullable={}", field.nullable);
        }
        if let Some(tag) = field.tag {
            let _ = write!(line, " tag={tag} tagged={}", field.tagged);
        }
        if field.ignorable {
            line.push_str(" ignorable");
        }
        if let Some(default) = &field.default {
            let _ = write!(line, " default={default}");
        }
        out.push_str(&line);
        out.push('\n');
        print_fields(out, depth + 1, &field.fields);
    }
}

/// Reads the facts file.
pub(crate) fn parse(text: &str) -> Result<Vec<Api>, String> {
    let lines: Vec<Line<'_>> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(number, line)| Line {
            number: number + 1,
            depth: (line.len() - line.trim_start().len()) / 2,
            words: line.split_whitespace().collect(),
        })
        .collect();
    let mut rest = lines.as_slice();
    let mut apis = Vec::new();
    while let Some((line, after)) = rest.split_first() {
        let ["api", key, name] = line.words[..] else {
            return Err(line.error("expected 'api KEY NAME'"));
        };
        rest = after;
        let request = parse_message(&mut rest, "request")?;
        let response = parse_message(&mut rest, "response")?;
        let key = key
            .parse()
            .map_err(|error| line.error(&format!("key: {error}")))?;
        apis.push(Api {
            key,
            name: name.to_owned(),
            request,
            response,
        });
    }
    Ok(apis)
}

struct Line<'a> {
    number: usize,
    depth: usize,
    words: Vec<&'a str>,
}

impl Line<'_> {
    fn error(&self, what: &str) -> String {
        format!("facts line {}: {what}", self.number)
    }
}

fn parse_message(rest: &mut &[Line<'_>], side: &str) -> Result<Message, String> {
    let (line, after) = rest
        .split_first()
        .ok_or_else(|| format!("no {side} at the end"))?;
    let [word, valid, flexible] = line.words[..] else {
        return Err(line.error("expected a message"));
    };
    let flexible = flexible
        .strip_prefix("flexible=")
        .ok_or_else(|| line.error("no flexible="))?;
    if word != side {
        return Err(line.error(&format!("expected the {side}")));
    }
    *rest = after;
    let mut structs = Vec::new();
    while let Some((line, after)) = rest.split_first() {
        match line.words[..] {
            ["struct", name] => {
                *rest = after;
                let name = name.to_owned();
                structs.push(SharedStruct {
                    name,
                    fields: parse_fields(rest, 1)?,
                });
            }
            ["fields"] => *rest = after,
            _ => break,
        }
    }
    Ok(Message {
        valid: Versions::parse(valid)?,
        flexible: Versions::parse(flexible)?,
        structs,
        fields: parse_fields(rest, 1)?,
    })
}

fn parse_fields(rest: &mut &[Line<'_>], depth: usize) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    while let Some((line, after)) = rest.split_first().filter(|(line, _)| line.depth == depth) {
        *rest = after;
        let mut field = parse_field(line)?;
        field.fields = parse_fields(rest, depth + 1)?;
        fields.push(field);
    }
    Ok(fields)
}

fn parse_field(line: &Line<'_>) -> Result<Field, String> {
    let [name, kind, versions, options @ ..] = line.words.as_slice() else {
        return Err(line.error("expected 'NAME TYPE VERSIONS'"));
    };
    let mut field = Field {
        name: (*name).to_owned(),
        kind: Type::parse(kind)?,
        versions: Versions::parse(versions)?,
        nullable: Versions::NONE,
        tag: None,
        tagged: Versions::NONE,
        ignorable: false,
        default: None,
        fields: Vec::new(),
    };
    for option in options {
        match option.split_once('=') {
            None if *option == "ignorable" => field.ignorable = true,
            Some(("nullable", versions)) => field.nullable = Versions::parse(versions)?,
            Some(("tagged", versions)) => field.tagged = Versions::parse(versions)?,
            Some(("default", value)) => field.default = Some(value.to_owned()),
            Some(("tag", tag)) => {
                field.tag = Some(
                    tag.parse()
                        .map_err(|error| line.error(&format!("tag: {error}")))?,
                );
            }
            _ => return Err(line.error(&format!("unknown option '{option}'"))),
        }
    }
    Ok(field)
}
