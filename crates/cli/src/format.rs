//! Format strings: how a record is printed, and how a line of input becomes one.
//!
//! `%t` topic, `%p` partition, `%o` offset, `%k` key, `%v` value, `%h` headers, `%T` time in
//! milliseconds since 1970, `%%` a percent sign; `\n`, `\t`, `\r`, `\0`, `\\` as usual.

use std::str::FromStr;

use records::Record;

/// A part of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Key,
    Value,
    Headers,
    Time,
}

fn parse(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let field = match character {
            '\\' => {
                plain.push(match characters.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some('0') => '\0',
                    Some('\\') => '\\',
                    Some(other) => return Err(format!("\\{other} means nothing")),
                    None => return Err("it ends with a backslash".to_owned()),
                });
                continue;
            }
            '%' => match characters.next() {
                Some('%') => {
                    plain.push('%');
                    continue;
                }
                Some('t') => Part::Topic,
                Some('p') => Part::Partition,
                Some('o') => Part::Offset,
                Some('k') => Part::Key,
                Some('v') => Part::Value,
                Some('h') => Part::Headers,
                Some('T') => Part::Time,
                Some(other) => return Err(format!("%{other} means nothing; %% is a percent sign")),
                None => return Err("it ends with %; %% is a percent sign".to_owned()),
            },
            other => {
                plain.push(other);
                continue;
            }
        };
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain).into_bytes()));
        }
        parts.push(field);
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain.into_bytes()));
    }
    Ok(parts)
}

/// How a record is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputFormat(Vec<Part>);

impl FromStr for OutputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Self)
    }
}

impl OutputFormat {
    /// Adds a record to `out`. Keys and values go as they are; what is absent is empty.
    pub(crate) fn write(&self, topic: &str, partition: i32, record: &Record, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Topic => out.extend_from_slice(topic.as_bytes()),
                Part::Partition => out.extend_from_slice(partition.to_string().as_bytes()),
                Part::Offset => out.extend_from_slice(record.offset.get().to_string().as_bytes()),
                Part::Key => out.extend_from_slice(record.key.as_deref().unwrap_or_default()),
                Part::Value => out.extend_from_slice(record.value.as_deref().unwrap_or_default()),
                Part::Time => out.extend_from_slice(record.timestamp_ms.to_string().as_bytes()),
                Part::Headers => write_headers(record, out),
            }
        }
    }
}

/// `key=value,key=value`
fn write_headers(record: &Record, out: &mut Vec<u8>) {
    for (at, header) in record.headers.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&header.key);
        out.push(b'=');
        out.extend_from_slice(header.value.as_deref().unwrap_or_default());
    }
}

/// How a line of input becomes a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InputFormat {
    /// The line is the value.
    Value,
    /// The key, a separator, the value.
    KeyFirst(Vec<u8>),
    /// The value, a separator, the key.
    ValueFirst(Vec<u8>),
}

/// Key and value of a line.
pub(crate) type KeyAndValue<'a> = (Option<&'a [u8]>, &'a [u8]);

impl FromStr for InputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = parse(text)?;
        // A record is a line: its end may be said, and is understood.
        if let Some(Part::Text(last)) = parts.last_mut() {
            if last.last() == Some(&b'\n') {
                last.pop();
            }
            if last.is_empty() {
                parts.pop();
            }
        }
        match parts.as_slice() {
            [Part::Value] => Ok(Self::Value),
            [Part::Key, Part::Text(separator), Part::Value] if is_inside_a_line(separator) => {
                Ok(Self::KeyFirst(separator.clone()))
            }
            [Part::Value, Part::Text(separator), Part::Key] if is_inside_a_line(separator) => {
                Ok(Self::ValueFirst(separator.clone()))
            }
            _ => Err("a line is %v, or %k and %v with a separator between them: \
                      '%k\\t%v\\n'"
                .to_owned()),
        }
    }
}

fn is_inside_a_line(separator: &[u8]) -> bool {
    !separator.contains(&b'\n')
}

impl InputFormat {
    /// Key and value of a line; `None` if it has no separator. The first separator counts.
    pub(crate) fn split<'a>(&self, line: &'a [u8]) -> Option<KeyAndValue<'a>> {
        let (separator, key_first) = match self {
            Self::Value => return Some((None, line)),
            Self::KeyFirst(separator) => (separator, true),
            Self::ValueFirst(separator) => (separator, false),
        };
        let at = line
            .windows(separator.len())
            .position(|window| window == separator)?;
        let (first, second) = (line.get(..at)?, line.get(at + separator.len()..)?);
        Some(if key_first {
            (Some(first), second)
        } else {
            (Some(second), first)
        })
    }
}

#[cfg(test)]
mod tests;
